//! What is read from outside, changed at random: policies (the grammar, the checker, the formatter), objects, types of a
//! kernel, snapshots, and what is pinned.
//!
//! A reader gives something or refuses; it does not panic, needs at most 256 MiB, and its time is linear in what it is
//! given. What it gives is the same the next time, and a changed object is refused or foreign. In the ordinary run each
//! reader has a few seconds; `cargo xtask fuzz readers SECONDS` gives them more, with another seed. An input that a
//! reader fails at is written to `target/tmp/readers`; it becomes a file in `tests/findings`, which is read first.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use oomc_abi::amounts::enumerators;
use oomc_abi::btf::write::Builder;
use oomc_abi::btf::{Btf, Kind};
use oomc_abi::profile::{self, Profile};
use oomc_abi::resolve::KernelView;
use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::{Parsed, Source, format};
use oomc_object::Object;
use oomc_runtime::{events, load, status, tidy, unlocked};
use oomc_sim::machine::Machine;
use oomc_sim::{Attached, Kernel, Policy, Simulation};
use oomc_tests::fake::{Fake, Thing, fixture, job};
use oomc_tests::mutate::{Numbers, mutated};

/// Of a processor, for each reader in the ordinary run.
const SECONDS: u64 = 3;

/// The most memory that this process has had, in bytes; all readers together.
const MEMORY: u64 = 256 << 20;

/// What this thread has had of a processor so far.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap())
}

fn peak() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Gives a reader right bytes, then findings, then changed bytes until its time is over.
fn read(name: &str, seeds: &[Vec<u8>], reader: impl Fn(&[u8])) {
    let budget = Duration::from_secs(oomc_tests::number("OOMC_READERS", SECONDS));
    let seed = oomc_tests::number("OOMC_SEED", 1);
    let mut numbers = Numbers::new(seed);
    let start = spent();
    let each = |bytes: &[u8]| {
        let before = spent();
        let outcome = catch_unwind(AssertUnwindSafe(|| reader(bytes)));
        (outcome.is_ok(), spent().saturating_sub(before))
    };
    // What a right one costs, byte for byte, is what any may cost, a few times over.
    let mut dearest = Duration::ZERO;
    for seed in seeds {
        let (fine, took) = each(seed);
        assert!(fine, "{name}: what is right is not read");
        dearest = dearest.max(took * 1024 / (seed.len() as u32).max(1024));
    }
    for finding in findings(name) {
        let (fine, _) = each(&fs::read(&finding).unwrap());
        assert!(fine, "{name}: {}", finding.display());
    }
    let mut count = 0_u64;
    while spent().saturating_sub(start) < budget {
        let (one, other) = (numbers.below(seeds.len()), numbers.below(seeds.len()));
        let bytes = mutated(&seeds[one], &seeds[other], &mut numbers);
        let (fine, mut took) = each(&bytes);
        let most = Duration::from_millis(300) + dearest * 16 * (bytes.len() as u32 / 1024 + 1);
        // A machine whose host is busy may take the processor away in the middle.
        for _ in 0..3 {
            if fine && took > most {
                took = took.min(each(&bytes).1);
            }
        }
        if !fine || took > most {
            let place = keep(name, &bytes);
            panic!(
                "{name}: input {count} of seed {seed} ({} bytes, {took:?}): {}",
                bytes.len(),
                place.display()
            );
        }
        count += 1;
    }
    assert!(count > 20, "{name}: only {count} inputs in {budget:?}");
    assert!(peak() < MEMORY, "{name}: {} MiB at the most", peak() >> 20);
    eprintln!("{name}: {count} inputs, seed {seed}");
}

fn findings(name: &str) -> Vec<PathBuf> {
    let folder = oomc_tests::root().join("tests/findings").join(name);
    if folder.exists() { oomc_tests::files(&folder) } else { Vec::new() }
}

fn keep(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("readers");
    fs::create_dir_all(&folder).unwrap();
    let place = folder.join(format!("{name}.bin"));
    fs::write(&place, bytes).unwrap();
    place
}

fn compiled(text: &str) -> Vec<u8> {
    let compiled = oomc_compiler::compile(&Source::new("policy.oom", text), &KernelView::embedded());
    compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

fn policies() -> Vec<Vec<u8>> {
    [
        "kill largest in subtree\n",
        "param step = 25% range 1% .. 100%\nlabel tier: count = 100 trust owner\n\
         if cgroup.tier < 50 then raise_limit step up to 1GiB or kill largest in subtree\n",
        "never comm in [\"init\", \"sshd*\"]\nkill worst process in subtree reason \"over {usage}\"\n",
    ]
    .iter()
    .filter_map(|text| {
        let compiled = oomc_compiler::compile(&Source::new("policy.oom", *text), &KernelView::embedded());
        compiled.object
    })
    .collect()
}

/// Policies and tests as authors write them, right and wrong: the cases of these stages, and the ready policies.
fn texts() -> Vec<Vec<u8>> {
    let folders = ["tests/cases/parse", "tests/cases/fmt", "tests/cases/check", "stdlib/policies"];
    let files = folders.map(|folder| oomc_tests::files(&oomc_tests::root().join(folder))).concat();
    let is_text = |path: &PathBuf| path.extension().is_some_and(|end| end == "oom" || end == "oomt");
    let texts = files.iter().filter(|path| is_text(path)).map(|path| fs::read(path).unwrap());
    let texts: Vec<Vec<u8>> = texts.filter(|text| text.len() < 8 << 10).collect();
    assert!(texts.len() > 150, "only {} texts: the search is broken", texts.len());
    texts
}

/// The text, if it is one; changed bytes seldom are, so that what is none becomes U+FFFD half of the time.
fn source(bytes: &[u8]) -> Option<Source> {
    let text = match bytes.len() % 2 {
        0 => String::from_utf8_lossy(bytes).into_owned().into_bytes(),
        _ => bytes.to_vec(),
    };
    Source::from_bytes("policy.oom", &text).ok()
}

/// Every place that is told of is one of the text.
fn places(source: &Source, told: &[Diagnostic]) {
    for span in told.iter().flat_map(|one| &one.labels).map(|label| label.span.range()) {
        assert!(source.text.get(span.clone()).is_some(), "{span:?} of {:?}", source.text);
    }
}

#[test]
fn grammar() {
    read("grammar", &texts(), |bytes| {
        let Some(source) = source(bytes) else { return };
        let parsed = Parsed::new(source.clone());
        places(&source, &parsed.diagnostics());
        for clause in &parsed.file().clauses {
            assert!(source.text.get(clause.span.range()).is_some(), "{:?} of {:?}", clause.span, source.text);
        }
        assert_eq!(parsed.print(), Parsed::new(source).print());
    });
}

/// What the checker accepts has a meaning, and what it refuses has an error; neither is the compiler's own fault.
#[test]
fn checker() {
    let view = KernelView::embedded();
    read("checker", &texts(), |bytes| {
        let Some(source) = source(bytes) else { return };
        let checked = Parsed::new(source.clone()).check(&view);
        let told = checked.diagnostics();
        places(&source, &told);
        let own_fault = told.iter().find(|one| one.code.id().starts_with("E09"));
        assert!(own_fault.is_none(), "{own_fault:?} of {:?}", source.text);
        let refused = told.iter().any(|one| one.severity == Severity::Error);
        assert_eq!(checked.policy().is_none(), refused, "{told:?} of {:?}", source.text);
        assert_eq!(told, Parsed::new(source).check(&view).diagnostics());
    });
}

/// The canonical form of the canonical form is the same, and it has the same clauses.
#[test]
fn formatter() {
    read("formatter", &texts(), |bytes| {
        let Some(source) = source(bytes) else { return };
        let once = format::format(&source.text);
        assert_eq!(format::format(&once.text), once, "of {:?}", source.text);
        let clauses = |text: &str| Parsed::new(Source::new("policy.oom", text)).file().clauses.len();
        assert_eq!(clauses(&once.text), clauses(&source.text), "of {:?}", source.text);
    });
}

/// A changed object is refused, or known to be none of ours; what is read is read alike again.
#[test]
fn objects() {
    let seeds = policies();
    assert!(seeds.len() > 1);
    let right = seeds.clone();
    read("objects", &seeds, move |bytes| {
        let Ok(object) = Object::parse(bytes) else { return };
        assert_eq!(format!("{object:?}"), format!("{:?}", Object::parse(bytes).unwrap()));
        assert!(right.iter().any(|right| right == bytes) || !object.foreign.is_empty(), "it is believed");
        types(&object.btf);
    });
}

/// Asks for everything that is asked of types.
fn types(btf: &Btf) {
    for id in btf.ids() {
        let Some(ty) = btf.get(id) else { continue };
        let _ = (btf.name(id), btf.size_of(id), btf.resolve(id), btf.find(ty.name, |_| true));
    }
    let _ = (Profile::of(btf), profile::query_type_id(btf));
}

/// The same types, written anew, the numbers of their enumerators changed.
fn written(btf: &Btf, changed: impl Fn(&str, i64) -> i64) -> Option<Vec<u8>> {
    let mut out = Builder::new();
    for _ in btf.ids() {
        out.reserve();
    }
    for id in btf.ids() {
        let mut ty = btf.get(id)?;
        if let Kind::Enum { values, .. } = &mut ty.kind {
            values.iter_mut().for_each(|one| one.value = changed(one.name, one.value));
        }
        // The bits that the writer leaves out are those that nothing reads.
        if matches!(ty.kind, Kind::Void) {
            return None;
        }
        out.set(id, ty.name, &ty.kind);
    }
    out.fault().is_none().then(|| out.finish())
}

/// A policy that reads members, counters and names, in a machine of a kernel.
fn decides(kernel: &Kernel, object: &Object, machine: &Machine) {
    let Ok(policy) = Policy::new(kernel, object) else { return };
    let Ok(asked) = policy.asked(kernel) else { return };
    for policy in [Some(policy), asked].into_iter().flatten() {
        let Ok(mut simulation) = Simulation::new(kernel, machine.clone()) else { return };
        let event = machine.event(Some(0), 0);
        let _ = simulation.ask(&mut Attached::new(&policy, machine, 0), &event);
    }
}

fn machine() -> Machine {
    let report = oomc_tests::root().join("tests/cases/reports/01-oomd-desktop.json");
    oomc_snapshot::parse(&fs::read(report).unwrap()).unwrap().machine()
}

/// The kernel's counters are told apart by numbers: elements of arrays and of tables, of which each has an end.
#[test]
fn a_counter_behind_the_end_is_none() {
    let (btf, machine) = (fixture("next.btf"), machine());
    let object = Object::parse(&compiled("kill cgroup in subtree by anon, slab_reclaimable")).unwrap();
    for number in [0, 63, 64, 511, 512, i64::from(i32::MAX)] {
        let counts =
            |name: &str| name.starts_with("NR_") || enumerators().any(|(_, counter, _)| counter == name);
        let types =
            written(&Btf::parse(&btf).unwrap(), |name, value| if counts(name) { number } else { value });
        let types = types.unwrap();
        let kernel = Kernel::new(KernelView::from_btf(&types).unwrap()).unwrap();
        decides(&kernel, &object, &machine);
    }
}

#[test]
fn types_of_a_kernel() {
    let seeds = ["next.btf", "no_hook.btf", "no_raise.btf"].map(fixture).to_vec();
    let policy = Source::new(
        "policy.oom",
        "if cgroup.anon > 90% and cgroup.events.oom > 0 then raise_limit 10%\n\
         else kill process in subtree where comm != \"init\" and uid != 0 and task.signal.nr_threads >= 1 and task.sched_reset_on_fork == 0 \
         by cgroup.file, rss",
    );
    let object = Object::parse(&compiled(&policy.text)).unwrap();
    let machine = machine();
    read("types", &seeds, |bytes| {
        let Ok(btf) = Btf::parse(bytes) else { return };
        types(&btf);
        if let Some(again) = written(&btf, |_, value| value) {
            let again = Btf::parse(&again).expect("what was read can be written");
            assert!(
                btf.ids().all(|id| btf.get(id) == again.get(id)),
                "it reads otherwise than it was written"
            );
        }
        let Ok(view) = KernelView::from_btf(bytes) else { return };
        let _ = (view.lookup("task_struct", "signal"), view.members("mem_cgroup"), view.has_hook());
        let own = oomc_compiler::compile(&policy, &view).object;
        if let Ok(kernel) = Kernel::new(view) {
            decides(&kernel, &object, &machine);
            if let Some(own) = own {
                decides(&kernel, &Object::parse(&own).unwrap(), &machine);
            }
        }
    });
}

#[test]
fn snapshots() {
    let seeds = ["01-oomd-desktop", "09-splunk-single-process"].map(|name| {
        fs::read(oomc_tests::root().join("tests/cases/reports").join(name).with_extension("json")).unwrap()
    });
    assert!(seeds.iter().all(|seed| oomc_snapshot::parse(seed).is_ok()));
    read("snapshots", &seeds, |bytes| {
        let Ok(snapshot) = oomc_snapshot::parse(bytes) else { return };
        let again = serde_json::to_vec(&snapshot).unwrap();
        assert_eq!(oomc_snapshot::parse(&again).as_ref(), Ok(&snapshot));
        let _ = snapshot.machine();
    });
}

/// What is pinned is another's in part: values of maps, their sizes and types, links, names. Whoever reads it reads it or
/// reports it, and the policy beside it is there as ever.
#[test]
fn pins() {
    let fake = Fake::new("readers_pins");
    let object = Object::parse(&compiled(
        "mode audit\nparam step = 25% range 1% .. 100%\nlabel tier: count = 100 trust owner\n\
         if cgroup.tier < 50 then raise_limit step up to 1GiB or kill largest in subtree\n",
    ))
    .unwrap();
    load(&fake.fresh(), &object, &job()).unwrap();
    let healthy = fake.things.borrow().clone();
    load(&fake.fresh(), &object, &oomc_runtime::Target::Cgroup("/next".to_owned())).unwrap();
    let whole = fake.things.borrow().clone();
    let mut maps: Vec<u64> = whole.keys().filter(|ino| !healthy.contains_key(ino)).copied().collect();
    maps.sort_unstable();
    // One input says which object is changed and to what.
    let seeds: Vec<Vec<u8>> = (maps.iter().zip(0_u8..))
        .map(|(ino, at)| match &whole[ino].1 {
            Thing::Map { value, .. } => [&[at], value.as_slice()].concat(),
            Thing::Btf(bytes) => [&[at], bytes.as_slice()].concat(),
            _ => vec![at, 0, 0, 0, 0, 0, 0, 0, 0],
        })
        .collect();
    read("pins", &seeds, |bytes| {
        let Some((at, rest)) = bytes.split_first() else { return };
        let ino = maps[usize::from(*at) % maps.len()];
        let number = |at: usize| {
            let word = rest.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_le_bytes)
        };
        let mut changed = whole.clone();
        match &mut changed.get_mut(&ino).unwrap().1 {
            Thing::Map { value, .. } => *value = rest.to_vec(),
            Thing::Btf(types) => *types = rest.to_vec(),
            Thing::Prog { len } => *len = number(0),
            Thing::Link { kind, map, cgroup } => {
                (*kind, *map, *cgroup) = (number(0), number(4) % 64, u64::from(number(2)));
            }
        }
        fake.things.replace(changed);
        let seen = status(&fake.fresh(), None).expect("a status");
        assert!(seen.attached.iter().any(|one| one.cgroup == "/job"), "the policy beside it");
        let (kept, _) = events::decisions(&fake.fresh(), None).expect("decisions");
        assert!(kept.iter().any(|one| one.cgroup == "/job"), "its decisions");
        unlocked(&fake.fresh()).expect("a look without the lock");
        assert_eq!(fake.folders(), 2);
        fake.things.replace(whole.clone());
    });
    // And nobody has removed anything.
    assert_eq!((tidy(&fake.fresh()).unwrap().gone.len(), fake.attached()), (0, 2));
}
