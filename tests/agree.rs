//! The bytes of random policies in the simulator against the oracle, on random machines.
//!
//! `OOMC_SEED` and `OOMC_FUZZ` change what is looked at; `cargo xtask fuzz` runs it for long.

use std::collections::BTreeMap;
use std::thread;

use oomc_abi::consts::PAGE_SIZES;
use oomc_abi::record::Action;
use oomc_abi::resolve::KernelView;
use oomc_sim::Kernel;
use oomc_sim::machine::{Event, Machine};
use oomc_tests::agree::{Batch, Both, agree, both};
use oomc_tests::generate::Scene;
use oomc_tests::number;

/// Of the ordinary run.
const SEED: u64 = 1;
const PAIRS: u64 = 20_000;

/// Machines for each policy: a machine costs a hundredth of a policy.
const MACHINES: usize = 20;

/// How often each action is decided at least, in a hundred thousand pairs.
const LEAST: usize = 500;

fn kernel() -> Kernel {
    kernel_with_pages(PAGE_SIZES[0])
}

fn kernel_with_pages(bytes: i64) -> Kernel {
    Kernel::new(KernelView::embedded().with_page_size(bytes)).expect("the embedded kernel can be modelled")
}

#[test]
fn bytes_and_oracle_decide_alike() {
    let kernels = PAGE_SIZES.map(kernel_with_pages);
    let pairs = number("OOMC_FUZZ", PAIRS);
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let policies = pairs.div_ceil(MACHINES as u64).div_ceil(threads * kernels.len() as u64);
    let seed = number("OOMC_SEED", SEED);
    let mut actions: BTreeMap<Action, usize> = BTreeMap::new();
    let (mut wrong, mut too_large) = (Vec::new(), 0);
    thread::scope(|scope| {
        let kernels = &kernels;
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                scope.spawn(move || {
                    let of = |(page, kernel)| {
                        let part = part + page * threads;
                        let mut batch = Batch::new(kernel, seed.wrapping_mul(1_000).wrapping_add(part));
                        let wrong = (0..policies).find_map(|_| batch.policy(MACHINES).err());
                        (batch, wrong)
                    };
                    (0..).zip(kernels).map(of).collect::<Vec<_>>()
                })
            })
            .collect();
        let parts = parts.into_iter().flat_map(|part| part.join().expect("a part has come to its end"));
        for (batch, disagreement) in parts {
            batch.actions.iter().for_each(|(action, count)| *actions.entry(*action).or_default() += count);
            too_large += batch.too_large;
            wrong.extend(disagreement);
        }
    });
    let agreed: usize = actions.values().sum();
    let each: Vec<String> = actions.iter().map(|(action, count)| format!("{action}: {count}")).collect();
    eprintln!("{agreed} pairs decided alike; {too_large} policies were too large; {}", each.join(", "));
    if let Some(first) = wrong.first() {
        panic!("{first}");
    }
    assert!(agreed as u64 * 10 >= pairs * 9, "only {agreed} of {pairs} pairs were decided");
    let acts = [
        Action::None,
        Action::KillProcess,
        Action::KillCgroup,
        Action::KillAll,
        Action::RaiseLimit,
        Action::Wait,
        Action::Defer,
    ];
    for action in acts {
        let count = actions.get(&action).copied().unwrap_or(0);
        assert!(count * 100_000 >= LEAST * agreed, "{action}: decided {count} times only");
    }
}

/// A limit in pages is another one in bytes on a machine with larger pages, and so is what a process holds.
#[test]
fn an_amount_is_as_many_bytes_as_the_machines_pages_say() {
    use oomc_sim::machine::{Cgroup, Process};
    let machine = Machine {
        memory: 1 << 18,
        now: 1_000_000_000,
        cgroups: vec![
            Cgroup { id: 1, serial: 1, ..Cgroup::default() },
            Cgroup { name: "job".to_owned(), parent: Some(0), id: 7, serial: 2, ..Cgroup::default() },
        ],
        processes: vec![Process { cgroup: 1, pid: 10, anon: 1000, threads: 1, ..Process::default() }],
        ..Machine::default()
    };
    let event = Event { cgroup: Some(1), attached: 1, total: 1 << 18, ..Event::default() };
    let scene = Scene { machine, event, audit: None };
    for (bytes, killed) in [(4096, false), (16_384, true), (65_536, true)] {
        let kernel = kernel_with_pages(bytes);
        let policy =
            both("kill largest process in subtree where anon > 15MiB", &kernel).expect("it is small");
        let decision = agree(&policy, &kernel, &scene).expect("both are right");
        assert_eq!(decision.action == Action::KillProcess, killed, "{bytes}");
    }
}

/// A machine that is short of memory: cgroups by name, parent, serial number and whether it is a group, behind the root;
/// processes by cgroup, id and whose memory they have.
fn short_of_memory(cgroups: &[(&str, usize, i64, bool)], processes: &[(usize, i64, Option<usize>)]) -> Scene {
    use oomc_sim::machine::{Amounts, Cgroup, Process};
    let cgroups = cgroups.iter().map(|(name, parent, serial, group)| Cgroup {
        name: (*name).to_owned(),
        parent: Some(*parent),
        id: *serial,
        serial: *serial,
        group: *group,
        own: Amounts { charged: 300, ..Amounts::default() },
        ..Cgroup::default()
    });
    let processes = processes.iter().map(|(cgroup, pid, shares_with)| Process {
        cgroup: *cgroup,
        pid: *pid,
        shares_with: *shares_with,
        anon: 100,
        threads: 1,
        start: 1,
        ..Process::default()
    });
    let machine = Machine {
        memory: 1 << 18,
        now: 1_000_000_000,
        cgroups: std::iter::once(Cgroup { id: 1, serial: 1, ..Cgroup::default() }).chain(cgroups).collect(),
        processes: processes.collect(),
        ..Machine::default()
    };
    let event = Event { cgroup: None, attached: 0, total: 1 << 18, ..Event::default() };
    Scene { machine, event, audit: None }
}

/// Two leaves share a process's memory, and one of them lies in a group: who is killed first decides whether the group dies
/// too, and `all` promises no order.
#[test]
fn whom_one_of_all_takes_along_depends_on_the_order() {
    let kernel = kernel();
    let scene = short_of_memory(
        &[("a", 0, 2, false), ("job", 0, 5, false), ("group", 1, 3, true), ("leaf", 3, 4, false)],
        &[(2, 15, None), (4, 25, Some(0)), (3, 40, None)],
    );
    let all = both("kill all cgroup in leaves of cgroup", &kernel).expect("it is small");
    let decision = agree(&all, &kernel, &scene).expect("both are right");
    assert!(decision.in_any_order);
}

/// Of a cgroup's processes any may come first. Where one of them has its memory with one in a group, that decides how many
/// the kernel is asked to kill; who dies is the same.
#[test]
fn a_cgroup_is_killed_in_any_order() {
    let kernel = kernel();
    let scene = short_of_memory(
        &[("a", 0, 5, false), ("first", 1, 6, false), ("second", 1, 7, false), ("group", 2, 8, true)],
        &[(3, 15, None), (4, 25, Some(0)), (4, 40, None)],
    );
    let unit = both("kill oldest cgroup in \"/a/**\"", &kernel).expect("it is small");
    let decision = agree(&unit, &kernel, &scene).expect("both are right");
    assert!(decision.members_in_any_order);
}

/// What is compared would tell: the bytes of one policy against the meaning of another.
#[test]
fn a_wrong_program_is_found() {
    use oomc_sim::machine::{Cgroup, Process};
    let kernel = kernel();
    let made = |text| both(text, &kernel).expect("it is small");
    let cgroup = Cgroup { name: "job".to_owned(), parent: Some(0), id: 7, serial: 2, ..Cgroup::default() };
    let process = |pid, anon| Process { cgroup: 1, pid, anon, threads: 1, ..Process::default() };
    let machine = Machine {
        memory: 1 << 18,
        now: 1_000_000_000,
        cgroups: vec![Cgroup { id: 1, serial: 1, ..Cgroup::default() }, cgroup],
        processes: vec![process(10, 100), process(11, 200)],
        ..Machine::default()
    };
    let event = Event { cgroup: Some(1), attached: 1, total: 1 << 18, ..Event::default() };
    let scene = Scene { machine, event, audit: None };
    let (largest, smallest) = (made("kill largest in subtree"), made("kill smallest in subtree"));
    assert!(agree(&largest, &kernel, &scene).is_ok());
    let mixed = Both { policy: smallest.policy, ..largest };
    let what = agree(&mixed, &kernel, &scene).expect_err("another one dies");
    assert!(what.contains("killed: [10] by the program, [11] by the oracle"), "{what}");
    assert!(what.contains("candidates"), "{what}");
}
