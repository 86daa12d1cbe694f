//! One object on kernels that attach policies in two ways: what the loader asks each for, and that what the policy reads
//! of its second argument is the same cgroup. Which kernel it is, types say alone.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs::{self, File};
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use oomc_abi::btf::Btf;
use oomc_abi::kfuncs;
use oomc_abi::profile::{Profile, Unclear, query_type_id};
use oomc_abi::reference;
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_runtime::error::Kind;
use oomc_runtime::{
    Error, Led, Object, Settings, Target, lead, load, replace, rollback, status, tidy, unload,
};
use oomc_sim::Kernel;
use oomc_tests::agree::{agree, both_of};
use oomc_tests::fake::{EPERM, Fake, Thing, fixture, is_whole, job, object};
use oomc_tests::generate::{self, Scene};
use proptest::strategy::{Strategy as _, ValueTree as _};

fn next() -> Fake {
    // Each test has a folder of its own.
    let name = std::thread::current().name().unwrap().replace("::", "_");
    let fake = Fake::new(&name);
    fake.becomes(&fixture("next.btf"));
    fake
}

fn calls(fake: &Fake, what: &str) -> usize {
    fake.calls.borrow().iter().filter(|call| *call == what).count()
}

#[test]
fn types_alone_tell_the_two_apart() {
    let of = |bytes: &[u8]| Profile::of(&Btf::parse(bytes).unwrap());
    assert_eq!(of(KernelView::embedded_btf()), Ok(Profile::CgroupFlag));
    assert_eq!(of(&fixture("next.btf")), Ok(Profile::Generic));
    assert_eq!(of(&fixture("no_hook.btf")), Err(Unclear::Neither));
    let whole = reference::generic(&Btf::parse(KernelView::embedded_btf()).unwrap()).unwrap();
    assert_eq!(of(&whole), Ok(Profile::Generic));
    // Another name of the same length, wherever it stands.
    let without = |bytes: &[u8], name: &str| {
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(name.len()).position(|found| found == name.as_bytes()).unwrap();
        bytes.get_mut(at).map(|byte| *byte = b'X').unwrap();
        bytes
    };
    let unclear = of(&without(&whole, "CGROUP_OOM_OPS")).unwrap_err();
    let says = "this kernel lacks `CGROUP_OOM_OPS`, but gives `handle_out_of_memory` a `struct cgroup`";
    assert!(unclear.to_string().starts_with(says), "{unclear}");
    let fake = next();
    fake.becomes(&without(&whole, "CGROUP_OOM_OPS"));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    assert!(error.kind() == Kind::Missing && error.to_string().contains(says), "{error}");
    assert_eq!(fake.count.get(), 0, "nothing is tried");
}

/// `tests/btf/next.btf` is what `cargo xtask btf` makes of the reference kernel's types.
#[test]
fn the_fixture_is_made_of_the_reference_kernel() {
    let made = reference::reduce_next(&Btf::parse(KernelView::embedded_btf()).unwrap()).unwrap();
    assert!(made == fixture("next.btf"), "make it anew: `cargo xtask btf --from FILE`");
    assert_eq!(query_type_id(&Btf::parse(&made).unwrap()), Some(64));
    assert_eq!(query_type_id(&Btf::parse(KernelView::embedded_btf()).unwrap()), None);
}

#[test]
fn a_generic_kernel_is_asked_who_is_there_before_it_attaches() {
    let fake = next();
    let loaded = load(&fake.fresh(), &object(), &job()).unwrap();
    assert!(is_whole(&fake.pins(loaded.cgroup_id)));
    let order = fake.calls.borrow().clone();
    let at = |what: &str| order.iter().position(|call| call == what).unwrap();
    assert_eq!(at("BPF_LINK_CREATE"), at("BPF_PROG_QUERY") + 1, "{order:#?}");
    assert!(at("PIN ops") < at("BPF_PROG_QUERY") && at("BPF_LINK_CREATE") < at("PIN link"));
    let seen = status(&fake.fresh(), None).unwrap();
    assert_eq!(seen.attached.len(), 1);
    assert_eq!((seen.foreign, seen.left), (Vec::new(), Vec::new()));
    assert_eq!(unload(&fake.fresh(), Some(&job())).unwrap().detached.len(), 1);
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
    // The other kernel refuses a second policy itself, and cannot be asked.
    let other = Fake::new("profiles_v3");
    load(&other.fresh(), &object(), &job()).unwrap();
    assert_eq!(calls(&other, "BPF_PROG_QUERY"), 0);
}

/// The kernel would take up to 64 of them, and ask the other one first.
#[test]
fn a_cgroup_with_another_loaders_policy_keeps_it_alone() {
    let fake = next();
    load(&fake.fresh(), &object(), &job()).unwrap();
    let id = fake.cgroup("job");
    std::fs::rename(fake.root.join("bpf/oomc").join(id.to_string()), fake.root.join("bpf/theirs")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Occupied { policy, foreign: true, .. } = &error else { panic!("{error}") };
    assert_eq!(policy.as_deref(), Some(object().ops_name().as_str()));
    assert_eq!(calls(&fake, "BPF_LINK_CREATE"), 0, "{:?}", fake.calls.borrow());
    assert_eq!((fake.attached(), fake.folders()), (1, 0));
    load(&fake.fresh(), &object(), &Target::Cgroup("/next".to_owned())).unwrap();
}

#[test]
fn who_attaches_between_the_look_and_the_link_is_seen() {
    let fake = next();
    fake.meddlers.set(2);
    load(&fake.fresh(), &object(), &job()).unwrap();
    assert_eq!((calls(&fake, "BPF_PROG_QUERY"), calls(&fake, "BPF_LINK_CREATE")), (3, 3));
    unload(&fake.fresh(), None).unwrap();
    // Somebody who never stops is not waited for.
    fake.meddlers.set(u32::MAX);
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    assert!(error.to_string().starts_with("BPF_LINK_CREATE of /job failed"), "{error}");
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

/// Types without the member: then links tell who is there.
#[test]
fn a_generic_kernel_that_cannot_be_asked_is_looked_at() {
    let fake = next();
    let mut types = fixture("next.btf");
    let at = types.windows(9).position(|name| name == b"\0type_id\0").unwrap();
    types.get_mut(at + 1).map(|byte| *byte = b'X').unwrap();
    fake.becomes(&types);
    load(&fake.fresh(), &object(), &job()).unwrap();
    let id = fake.cgroup("job").to_string();
    std::fs::rename(fake.root.join("bpf/oomc").join(id), fake.root.join("bpf/theirs")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    assert!(matches!(error, Error::Occupied { foreign: true, .. }), "{error}");
    assert_eq!(calls(&fake, "BPF_PROG_QUERY"), 0);
    assert_eq!(fake.attached(), 1);
}

#[test]
fn a_link_is_led_to_another_map_where_the_kernel_can() {
    for (fake, done) in [(next(), Led::Done), (Fake::new("profiles_lead_v3"), Led::Unsupported)] {
        load(&fake.fresh(), &object(), &job()).unwrap();
        load(&fake.fresh(), &object(), &Target::Cgroup("/next".to_owned())).unwrap();
        let pin = |cgroup: &str, name: &str| {
            let folder = fake.root.join("bpf/oomc").join(fake.cgroup(cgroup).to_string());
            OwnedFd::from(File::open(folder.join(name)).unwrap())
        };
        let (link, from, to) = (pin("job", "link"), pin("job", "ops"), pin("next", "ops"));
        let led = |from: &OwnedFd, to: &OwnedFd| {
            lead(&fake.fresh(), link.as_fd(), from.as_fd(), to.as_fd(), "/job")
        };
        assert_eq!(led(&from, &to).unwrap(), done);
        let leads = |at: &OwnedFd| match fake.thing(link.as_fd()).1 {
            Thing::Link { map, .. } => map == fake.thing(at.as_fd()).0,
            other => panic!("{other:?}"),
        };
        match done {
            Led::Unsupported => assert!(leads(&from) && fake.count.get() == 0, "nothing is tried"),
            Led::Done => {
                assert!(leads(&to));
                // It is not where this caller believes it to be.
                let Error::Call { call: "BPF_LINK_UPDATE", object, source } = led(&from, &to).unwrap_err()
                else {
                    panic!("another error")
                };
                assert_eq!((object.as_str(), source.raw_os_error()), ("the link on /job", Some(EPERM)));
                fake.remove_cgroup("job");
                let error = led(&to, &from).unwrap_err().to_string();
                assert!(error.contains("BPF_LINK_UPDATE") && error.contains("link on /job"), "{error}");
            }
        }
    }
}

/// Another version, told from the first by its name.
fn later() -> Object {
    let source = Source::new("later.oom", "kill smallest in subtree\n");
    Object::parse(&oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap()).unwrap()
}

fn attached_policy(fake: &Fake) -> String {
    let seen = status(&fake.fresh(), None).unwrap();
    assert_eq!((seen.left.as_slice(), seen.foreign.as_slice()), (&[][..], &[][..]));
    let [one] = seen.attached.as_slice() else { panic!("{seen:?}") };
    one.policy.clone()
}

/// At every moment one of the two is attached: the link never leaves the cgroup.
#[test]
fn a_version_takes_the_place_of_another_without_a_gap() {
    let fake = next();
    load(&fake.fresh(), &object(), &job()).unwrap();
    replace(&fake.fresh(), &later(), &job(), &Settings::default()).unwrap();
    assert_eq!((calls(&fake, "BPF_LINK_UPDATE"), calls(&fake, "BPF_LINK_DETACH")), (1, 0));
    assert_eq!((calls(&fake, "BPF_LINK_CREATE"), fake.folders()), (0, 2));
    assert_eq!(attached_policy(&fake), later().ops_name());
    assert_eq!(tidy(&fake.fresh()).unwrap().gone, [], "the version before is no leftover");
    for policy in [object().ops_name(), later().ops_name()] {
        rollback(&fake.fresh(), &job()).unwrap();
        assert_eq!((calls(&fake, "BPF_LINK_UPDATE"), calls(&fake, "BPF_LINK_DETACH")), (1, 0));
        assert_eq!(attached_policy(&fake), policy);
    }
    let unloaded = unload(&fake.fresh(), Some(&job())).unwrap();
    assert_eq!((unloaded.detached.len(), unloaded.gone.len()), (1, 1));
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

#[test]
fn whatever_fails_and_whenever_it_dies_a_replacement_leaves_one_of_the_two() {
    let fake = next();
    load(&fake.fresh(), &object(), &job()).unwrap();
    replace(&fake.fresh(), &later(), &job(), &Settings::default()).unwrap();
    let names = fake.calls.borrow().clone();
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("killed in call") {
            eprintln!("{info}");
        }
    }));
    for (at, name) in names.iter().enumerate() {
        for dies in [false, true] {
            unload(&fake.fresh(), None).unwrap();
            load(&fake.fresh(), &object(), &job()).unwrap();
            if dies {
                fake.die.set(Some(at))
            } else {
                fake.fail.set(Some((at, EPERM)))
            }
            let system = fake.fresh();
            let run = AssertUnwindSafe(|| replace(&system, &later(), &job(), &Settings::default()).map(drop));
            let outcome = catch_unwind(run);
            fake.die.set(None);
            fake.fail.set(None);
            let what = format!("{name} ({at}), {}: {outcome:?}", if dies { "killed" } else { "failing" });
            let links: std::collections::BTreeSet<u64> = fake.links().into_iter().collect();
            assert_eq!(links.len(), 1, "{what}");
            let seen = status(&fake.fresh(), None).unwrap();
            let now: Vec<&str> = seen.attached.iter().map(|one| one.policy.as_str()).collect();
            let old = [object().ops_name()];
            let new = [later().ops_name()];
            assert!(now == old || now == new, "{what}: {now:?}");
            if matches!(outcome, Ok(Err(_))) {
                assert_eq!((now, fake.folders()), (vec![old[0].as_str()], 1), "{what}");
            }
            assert!(seen.left.iter().all(|left| left.ours), "{what}: {:?}", seen.left);
        }
    }
    unload(&fake.fresh(), None).unwrap();
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

/// The kernels with the hook whose types are at hand.
fn kernels() -> Vec<(String, KernelView)> {
    let whole = reference::generic(&Btf::parse(KernelView::embedded_btf()).unwrap()).unwrap();
    let of = |bytes: &[u8]| KernelView::from_btf(bytes).unwrap();
    let mut kernels = vec![("reference".to_owned(), KernelView::embedded()), ("next".to_owned(), of(&whole))];
    for file in fs::read_dir(oomc_tests::root().join("tests/btf")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".btf") && name != "no_hook.btf" {
            let view = of(&fixture(&name));
            kernels.push((name, view));
        }
    }
    kernels
}

/// An object runs on each kernel, whichever of them it was compiled for. Where that lacks a function that the policy can
/// do without, it can be loaded; the oracle knows no such kernel.
#[test]
fn what_is_compiled_for_one_kernel_runs_on_all() {
    let kernels = kernels();
    assert!(kernels.len() >= 4, "next.btf and no_raise.btf are among them");
    let mut runner = generate::runner(7);
    let scenes: Vec<Scene> =
        (0..20).map(|_| generate::scene().new_tree(&mut runner).unwrap().current()).collect();
    for folder in fs::read_dir(oomc_tests::root().join("examples")).unwrap() {
        let text = fs::read_to_string(folder.unwrap().path().join("policy.oom")).unwrap();
        let fits = |kernel: &KernelView| {
            oomc_compiler::check(&Source::new("policy.oom", &text), kernel).into_policy().is_some()
        };
        for (built, compiled_for) in kernels.iter().filter(|(_, kernel)| fits(kernel)) {
            for (run, view) in kernels.iter().filter(|(_, kernel)| fits(kernel)) {
                let kernel = Kernel::new(view.clone()).unwrap();
                let both = both_of(&text, compiled_for, &kernel).unwrap();
                if text.contains("raise_limit") && view.kfunc(kfuncs::MEM_CGROUP_RAISE_MAX).is_none() {
                    continue;
                }
                for scene in &scenes {
                    agree(&both, &kernel, scene)
                        .unwrap_or_else(|what| panic!("compiled for {built}, on {run}:\n{text}\n{what}"));
                }
            }
        }
    }
}

/// Whatever is asked for, the same bytes decide alike in both kernels: the attached cgroup is that of the second argument.
#[test]
fn one_object_knows_where_it_is_attached_in_both_kernels() {
    use oomc_sim::machine::{Cgroup, Event, Machine, PAGE, Process};
    use oomc_sim::{Attached, Policy, Simulation};
    // Pressure, paths and victims in flight are read of members that the two kernels declare in different ways.
    let text = "if cgroup.pressure.full.avg60 > 20% then kill largest process in subtree where home.path == \"a*\"\n";
    let compiled = oomc_compiler::compile(&Source::new("policy.oom", text), &KernelView::embedded());
    let object = compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let object = Object::parse(&object).unwrap();
    let whole = reference::generic(&Btf::parse(KernelView::embedded_btf()).unwrap()).unwrap();
    for types in [KernelView::embedded_btf(), &whole, &fixture("next.btf")] {
        let kernel = Kernel::new(KernelView::from_btf(types).unwrap()).unwrap();
        let policy = Policy::new(&kernel, &object).unwrap();
        let pages = |mib: i64| (mib << 20) / PAGE;
        let cgroup = |name: &str, parent, serial| Cgroup {
            name: name.to_owned(),
            parent: Some(parent),
            id: 100 + serial,
            serial,
            ..Cgroup::default()
        };
        let mut machine = Machine { memory: pages(512), now: 1_000_000, ..Machine::default() };
        machine.cgroups = vec![
            Cgroup { id: 1, serial: 1, ..Cgroup::default() },
            Cgroup {
                max: Some(pages(80)),
                pressure: Some([[0; 3], [0, 25 << 11, 0]]),
                ..cgroup("job", 0, 2)
            },
            cgroup("a", 1, 3),
            cgroup("b", 1, 4),
        ];
        let process = |cgroup, pid, mib| Process {
            cgroup,
            pid,
            anon: pages(mib),
            comm: format!("p{pid}"),
            threads: 1,
            ..Process::default()
        };
        machine.processes = vec![process(2, 10, 30), process(3, 11, 40)];
        let mut simulation = Simulation::new(&kernel, machine.clone()).unwrap();
        let mut attached = Attached::new(&policy, &machine, 1);
        let event =
            Event { cgroup: Some(1), attached: 1, total: pages(80), constraint: 3, ..Event::default() };
        let run = simulation.ask(&mut attached, &event).unwrap();
        assert!(run.handled(), "{run:?}");
        let record = attached.records().pop().unwrap();
        // `a*` is relative to /job, and /job/b with the larger process does not match.
        assert_eq!((record.attached, record.victim), (102, 10));
    }
}
