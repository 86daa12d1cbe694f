//! What commands see of a policy that a running engine asks, and how they change it, against a kernel made of files: who
//! else has the cgroup, an engine that died at every moment, and what somebody else put there.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use oomc_abi::fields::Measure;
use oomc_compiler::KernelView;
use oomc_compiler::Source;
use oomc_runtime::engine::{DEFAULT_HEADROOM, Engine, Rules, Start};
use oomc_runtime::{
    AskedBy, Assignment, Error, Kind, Mode, Object, Settings, config, events, load, status, tidy, unload,
    unlocked,
};
use oomc_tests::fake::{Fake, job};

const TEXT: &str = "param step = 10% range 5% .. 50%\n\
                    if cgroup.usage > 90% then raise_limit step else kill largest in subtree\n";

fn object() -> Object {
    let source = Source::new("policy.oom", TEXT);
    Object::parse(&oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap()).unwrap()
}

/// A kernel, and a folder in which an engine leaves what it has changed.
fn fake(name: &str) -> (Fake, PathBuf) {
    let fake = Fake::new(name);
    let run = fake.root.join("run");
    fs::create_dir_all(&run).unwrap();
    (fake, run)
}

fn start<'f>(fake: &'f Fake, run: &std::path::Path, rules: Rules) -> Result<Engine<'f>, Error> {
    let start = Start { rules, headroom: DEFAULT_HEADROOM, folder: run };
    Engine::start(fake.system(), &object(), &job(), &Settings::default(), &start)
}

/// The names in an engine's folder.
fn pins(fake: &Fake) -> Vec<String> {
    let folder = fake.root.join("bpf/oomc").join(format!("{}r", fake.cgroup("job")));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_policy_that_is_asked_is_shown_and_changed_as_one_that_is_attached() {
    let (fake, run) = fake("engine_shown");
    let engine = start(&fake, &run, Rules::All).unwrap();
    assert_eq!(pins(&fake), ["config", "meta", "outcomes", "records", "source", "stats"], "no program");

    let seen = status(&fake.system(), Some(&job())).unwrap();
    assert_eq!((seen.attached.len(), seen.gone.len(), seen.left.len()), (1, 0, 0));
    let one = &seen.attached[0];
    assert_eq!((one.cgroup.as_str(), one.asked_by, one.mode), ("/job", AskedBy::Engine, Some(Mode::Enforce)));
    assert_eq!(unlocked(&fake.system()).unwrap().status.attached, seen.attached);

    assert_eq!(config::mode(&fake.system(), &job(), Mode::Audit).unwrap().what, Mode::Enforce);
    let step = Assignment { name: "step".to_owned(), value: "20%".to_owned() };
    let literal = |_: &str| Ok((Measure::Ratio, 42));
    // What is out of the range is refused, and changes nothing.
    assert!(config::set(&fake.system(), &job(), std::slice::from_ref(&step), &literal).is_err());
    let literal = |_: &str| Ok((Measure::Ratio, (1 << 20) / 5));
    config::set(&fake.system(), &job(), &[step], &literal).unwrap();
    let now = &status(&fake.system(), None).unwrap().attached[0];
    assert_eq!((now.mode, now.params[0].1), (Some(Mode::Audit), (1 << 20) / 5));

    let (all, left) = events::decisions(&fake.system(), Some(&job())).unwrap();
    assert_eq!((all.len(), all[0].gone, all[0].asked_by, left.len()), (1, false, AskedBy::Engine, 0));
    assert!(oomc_runtime::show::show(&fake.system(), &job()).unwrap().text.starts_with("param step"));

    assert_eq!(engine.stop().unwrap(), []);
    assert_eq!(fake.folders(), 0);
}

#[test]
fn a_running_engine_is_not_unloaded_and_not_tidied() {
    let (fake, run) = fake("engine_stays");
    let engine = start(&fake, &run, Rules::All).unwrap();
    let refused = unload(&fake.system(), Some(&job())).unwrap_err().to_string();
    assert!(refused.contains("asks this policy"), "{refused}");
    let all = unload(&fake.system(), None).unwrap();
    assert_eq!((all.detached.len(), all.gone.len(), all.left.len()), (0, 0, 1), "{:?}", all.left);
    let tidied = tidy(&fake.system()).unwrap();
    assert_eq!((tidied.gone.len(), tidied.left.len()), (0, 0));
    assert_eq!(status(&fake.system(), None).unwrap().attached.len(), 1);
    engine.stop().unwrap();
}

#[test]
fn a_second_engine_is_refused_and_the_first_stays() {
    let (fake, run) = fake("engine_second");
    let first = start(&fake, &run, Rules::All).unwrap();
    assert!(matches!(start(&fake, &run, Rules::All), Err(Error::Busy { .. })), "by its lock");
    let other = fake.root.join("other");
    fs::create_dir_all(&other).unwrap();
    assert!(matches!(start(&fake, &other, Rules::All), Err(Error::Busy { .. })), "by its pins");
    assert_eq!(status(&fake.system(), None).unwrap().attached.len(), 1);
    first.stop().unwrap();
}

#[test]
fn what_a_killed_engine_left_is_told_and_tidied_and_makes_room() {
    let (fake, run) = fake("engine_killed");
    drop(start(&fake, &run, Rules::All).unwrap());
    let seen = status(&fake.system(), Some(&job())).unwrap();
    assert_eq!((seen.attached.len(), seen.gone.len()), (0, 1));
    assert!(seen.gone[0].cgroup_exists && !seen.gone[0].before);
    assert_eq!(seen.gone[0].was.asked_by, AskedBy::Engine);
    assert!(events::decisions(&fake.system(), Some(&job())).unwrap().0[0].gone);
    assert!(matches!(config::mode(&fake.system(), &job(), Mode::Audit), Err(Error::Vacant { .. })));

    let next = start(&fake, &run, Rules::All).unwrap();
    assert_eq!(next.begun().gone.len(), 1);
    drop(next);
    assert_eq!(unload(&fake.system(), Some(&job())).unwrap().gone.len(), 1);
    assert_eq!(fake.folders(), 0);
    start(&fake, &run, Rules::All).unwrap().abandon().unwrap();
    assert_eq!((tidy(&fake.system()).unwrap().gone.len(), fake.folders()), (1, 0));
}

#[test]
fn a_kernel_without_the_iterators_is_told_what_it_lacks_and_which_one_has_it() {
    let (fake, run) = fake("engine_old");
    // Linux 6.1 has none of them: they came with 6.7.
    let mut types = KernelView::embedded_btf().to_vec();
    let name = b"\0bpf_iter_css_new\0";
    let at = types.windows(name.len()).position(|word| word == name).unwrap();
    types[at + 1] = b'X';
    fake.becomes(&types);
    let error = start(&fake, &run, Rules::All).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
    for word in ["no function `bpf_iter_css_new`", "Linux 6.12 and later", "boot a newer kernel"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(fake.folders(), 0);
}

#[test]
fn an_engine_with_nothing_to_do_asks_nobody_and_writes_nothing() {
    let (fake, run) = fake("engine_calm");
    let text = "on usage > 90% { kill cgroup in subtree where growth(anon, 2s) > 4MiB by growth(anon, 2s) }\n\
                on limit { kill cgroup in subtree by rate(pgscan) }\n";
    let object = oomc_compiler::compile(&Source::new("policy.oom", text), &KernelView::embedded()).object;
    let object = Object::parse(&object.unwrap()).unwrap();
    let start = Start { rules: Rules::All, headroom: DEFAULT_HEADROOM, folder: &run };
    let mut engine = Engine::start(fake.system(), &object, &job(), &Settings::default(), &start).unwrap();
    engine.look().unwrap();
    let before = fake.count.get();
    for _ in 0..1000 {
        assert_eq!(engine.look().unwrap(), []);
    }
    assert_eq!(fake.count.get(), before);
    // A moment is what it may take until somebody sees it.
    fs::rename(fake.root.join("cgroup/job"), fake.root.join("cgroup/other")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(engine.look().unwrap_err().to_string().contains("it was removed"));
    engine.abandon().unwrap();
}

#[test]
fn an_engine_that_dies_at_any_moment_leaves_nothing_that_stays() {
    let (fake, run) = fake("engine_dies");
    let (object, mut calls) = (object(), 0);
    loop {
        fake.count.set(0);
        fake.die.set(Some(calls));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let start = Start { rules: Rules::All, headroom: DEFAULT_HEADROOM, folder: &run };
            Engine::start(fake.system(), &object, &job(), &Settings::default(), &start).map(drop)
        }));
        fake.die.set(None);
        assert_eq!(status(&fake.system(), None).unwrap().attached.len(), 0, "killed in call {calls}");
        assert_eq!(tidy(&fake.system()).unwrap().left, [], "killed in call {calls}");
        assert_eq!(fake.folders(), 0, "killed in call {calls}");
        if ended.is_ok() {
            break;
        }
        calls += 1;
    }
    assert!(calls > 20, "only {calls} calls");
}

#[test]
fn a_policy_of_which_the_kernel_asks_a_part_is_changed_in_both() {
    let (fake, run) = fake("engine_both");
    load(&fake.system(), &object(), &job()).unwrap();
    let engine = start(&fake, &run, Rules::Blocks).unwrap();
    config::mode(&fake.system(), &job(), Mode::Audit).unwrap();
    let seen = status(&fake.system(), None).unwrap();
    let ways: Vec<_> = seen.attached.iter().map(|one| (one.asked_by, one.mode)).collect();
    assert_eq!(
        ways,
        [(AskedBy::Kernel, Some(Mode::Audit)), (AskedBy::EngineBlocks, Some(Mode::Audit))],
        "one policy in two places"
    );
    // What is attached is taken away; the engine ends when it sees that.
    let unloaded = unload(&fake.system(), Some(&job())).unwrap();
    assert_eq!((unloaded.detached.len(), unloaded.left.len()), (1, 0));
    engine.stop().unwrap();
    assert_eq!(fake.folders(), 0);
}

#[test]
fn what_somebody_else_put_there_stays_and_is_told() {
    let (fake, run) = fake("engine_odd");
    drop(start(&fake, &run, Rules::All).unwrap());
    let folder = fake.root.join("bpf/oomc").join(format!("{}r", fake.cgroup("job")));
    fs::write(folder.join("mine"), b"").unwrap();
    assert!(matches!(start(&fake, &run, Rules::All), Err(Error::Place { .. })));
    let tidied = tidy(&fake.system()).unwrap();
    assert!(folder.join("mine").exists(), "{tidied:?}");
    std::os::unix::fs::symlink("/etc", fake.root.join("bpf/oomc/7r")).unwrap();
    assert_eq!(status(&fake.system(), None).unwrap().left.iter().filter(|left| !left.ours).count(), 1);
}
