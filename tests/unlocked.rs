//! Whoever only counts what is attached takes no lock: it neither waits nor keeps anybody waiting, and what others do
//! meanwhile is no fault of the pins.

use std::fs::File;

use oomc_runtime::{Holder, Target, load, unload, unlocked};
use oomc_tests::fake::{Fake, Meanwhile, job, object};

fn next() -> Target {
    Target::Cgroup("/next".to_owned())
}

#[test]
fn whoever_counts_takes_no_lock_and_waits_for_nobody() {
    let fake = Fake::new("unlocked");
    assert_eq!(unlocked(&fake.fresh()).unwrap().status.attached, []);
    load(&fake.fresh(), &object(), &job()).unwrap();
    // Somebody changes something, and will not be ready.
    let folder = File::open(fake.root.join("bpf/oomc")).unwrap();
    folder.lock().unwrap();
    let waits = |holder: &Holder| panic!("waits for {holder}");
    let seen = unlocked(&fake.fresh().telling(&waits)).unwrap();
    assert_eq!(seen.status.attached.len(), 1);
    assert_eq!((seen.unfinished, seen.changing, seen.status.left.len()), (0, 0, 0));
    assert!(!fake.calls.borrow().iter().any(|call| call == "flock"), "{:?}", fake.calls.borrow());
    let changes = ["unlinkat", "mkdirat", "BPF_OBJ_PIN", "BPF_LINK_DETACH", "BPF_MAP_UPDATE_ELEM", "mount"];
    assert!(!fake.calls.borrow().iter().any(|call| changes.contains(&call.as_str())));
}

/// Between any two of its calls another process loads, unloads, or does both.
#[test]
fn what_changes_meanwhile_is_there_or_not_and_never_odd() {
    let acts: [(&str, Meanwhile); 4] = [
        ("unload", |fake| drop(unload(&fake.system(), Some(&job())))),
        ("load", |fake| drop(load(&fake.system(), &object(), &next()))),
        ("reload", |fake| {
            unload(&fake.system(), Some(&job())).unwrap();
            load(&fake.system(), &object(), &job()).unwrap();
        }),
        ("remove the cgroup", |fake| {
            if fake.root.join("cgroup/job").exists() {
                fake.remove_cgroup("job");
            }
        }),
    ];
    for (name, act) in acts {
        let mut counted = Vec::new();
        for at in 0.. {
            let fake = Fake::new("unlocked_meanwhile");
            load(&fake.fresh(), &object(), &job()).unwrap();
            fake.meanwhile.replace(Some((at, act)));
            let seen =
                unlocked(&fake.fresh()).unwrap_or_else(|error| panic!("{name} before call {at}: {error}"));
            if fake.meanwhile.borrow().is_some() {
                assert!(at > 20, "all calls were tried: {at}");
                break;
            }
            let what = (seen.status.attached.len(), seen.status.gone.len(), seen.changing, seen.unfinished);
            assert_eq!(seen.status.left, [], "{name} before call {at}");
            assert_eq!(seen.status.foreign, [], "{name} before call {at}");
            assert!(what.0 + what.1 + what.2 <= 2 && what.3 == 0, "{name} before call {at}: {what:?}");
            counted.push(what.0 + what.1 + what.2);
        }
        let (least, most) = match name {
            "unload" => (0, 1),
            "load" => (1, 2),
            _ => (1, 2),
        };
        assert!(counted.iter().all(|count| (least..=most).contains(count)), "{name}: {counted:?}");
    }
}

/// A load that is half done, or was killed there.
#[test]
fn a_folder_without_a_link_is_unfinished_and_a_link_without_a_pin_is_nobody_elses() {
    let fake = Fake::new("unlocked_half");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let folder = fake.root.join("bpf/oomc").join(fake.cgroup("job").to_string());
    std::fs::rename(folder.join("link"), fake.root.join("bpf/link")).unwrap();
    let seen = unlocked(&fake.fresh()).unwrap();
    assert_eq!((seen.unfinished, seen.changing), (1, 1));
    assert_eq!((seen.status.foreign.len(), seen.status.attached.len(), seen.status.left.len()), (0, 0, 0));
}
