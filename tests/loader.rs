//! The loader against a kernel of our own: the order of calls, every failure, a death at every moment.
//!
//! The kernel's types are those of the reference kernel. What another way of attaching changes stands in `profiles.rs`.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oomc_abi::btf::Btf;
use oomc_abi::fields::Measure;
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_runtime::error::Kind;
use oomc_runtime::labels::{self, Refreshed};
use oomc_runtime::sys::Facts;
use oomc_runtime::{
    Assignment, Error, Gone, Holder, Mode, Object, Settings, System, Target, config, events, load, load_with,
    replace, rollback, status, tidy, unload,
};
use oomc_tests::fake::{
    Change, EACCES, EINVAL, ENOSPC, EPERM, Fake, POLICY, STRUCT_OPS, SYSFS, TMPFS, Thing, compiled, fixture,
    is_whole, job, object,
};

#[test]
fn a_load_does_things_in_order_and_pins_the_link_last() {
    let fake = Fake::new("order");
    let loaded = load(&fake.fresh(), &object(), &job()).unwrap();
    let id = fake.cgroup("job");
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/job", id));
    assert_eq!(loaded.no_memory, None);
    assert_eq!(loaded.program.insns, loaded.program.xlated);
    assert!(is_whole(&fake.pins(id)), "{:?}", fake.pins(id));
    assert_eq!(fake.attached(), 1);

    let calls = fake.calls.borrow();
    let at = |what: &str| {
        calls.iter().position(|call| call == what).unwrap_or_else(|| panic!("no {what} in {calls:#?}"))
    };
    let order = [
        "BPF_BTF_LOAD",
        "BPF_MAP_CREATE oomc.stats",
        "BPF_PROG_LOAD",
        "BPF_MAP_CREATE oomc.ops",
        "PIN prog",
        "BPF_LINK_CREATE",
        "PIN link",
    ];
    let places: Vec<usize> = order.iter().map(|what| at(what)).collect();
    assert!(places.is_sorted(), "{calls:#?}");
    assert_eq!(calls.last().map(String::as_str), Some("PIN link"));
    // Between attaching and pinning the kernel is asked where it attached.
    assert_eq!(calls.get(at("BPF_LINK_CREATE") + 1).map(String::as_str), Some("BPF_OBJ_GET_INFO_BY_FD"));
    // Messages that the program hands to the kernel may change no more.
    if calls.iter().any(|call| call == "BPF_MAP_CREATE oomc.rodata") {
        let create = at("BPF_MAP_CREATE oomc.rodata");
        assert_eq!(calls.get(create + 2).map(String::as_str), Some("BPF_MAP_FREEZE"));
        assert!(create < at("BPF_PROG_LOAD"));
    }
}

#[test]
fn the_ops_map_holds_the_program_and_the_name() {
    let fake = Fake::new("ops");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let things = fake.things.borrow();
    let value = things.values().find_map(|(_, thing)| match thing {
        Thing::Map { kind: STRUCT_OPS, value, kernel_value_type, .. } => {
            assert_ne!(*kernel_value_type, 0);
            Some(value.clone())
        }
        _ => None,
    });
    let value = value.unwrap();
    let name = object().ops_name();
    assert!(name.starts_with("policy@") && name.len() == "policy@".len() + 8, "{name}");
    assert!(value.windows(name.len()).any(|bytes| bytes == name.as_bytes()));
}

#[test]
fn every_failing_call_leaves_nothing_behind() {
    let fake = Fake::new("failures");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let calls = fake.count.get();
    let names = fake.calls.borrow().clone();
    unload(&fake.fresh(), Some(&job())).unwrap();
    assert!(calls > 15, "{names:?}");
    for errno in [EPERM, EINVAL] {
        for call in 0..calls {
            fake.fail.set(Some((call, errno)));
            let result = load(&fake.fresh(), &object(), &job());
            fake.fail.set(None);
            let what = names.get(call).unwrap();
            match (what.as_str(), result) {
                // Without a log first, and then with one: the second time it works.
                ("BPF_PROG_LOAD", Ok(_)) => {
                    unload(&fake.fresh(), Some(&job())).unwrap();
                }
                (_, Ok(_)) => panic!("{what} failed and the load went on"),
                (_, Err(error)) => {
                    let kind = if errno == EPERM { Kind::Missing } else { Kind::Refused };
                    assert_eq!(error.kind(), kind, "{what}: {error}");
                    assert!(!error.to_string().is_empty());
                }
            }
            assert_eq!((fake.attached(), fake.folders()), (0, 0), "after a failing {what}");
        }
    }
    load(&fake.fresh(), &object(), &job()).unwrap();
}

#[test]
fn a_loader_killed_at_any_moment_leaves_nothing_half_attached() {
    let fake = Fake::new("killed");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let calls = fake.count.get();
    unload(&fake.fresh(), Some(&job())).unwrap();
    let id = fake.cgroup("job");
    std::panic::set_hook(Box::new(|_| {}));
    for call in 0..calls {
        fake.die.set(Some(call));
        let system = fake.fresh();
        let object = object();
        let outcome = catch_unwind(AssertUnwindSafe(|| load(&system, &object, &job()).map(drop)));
        fake.die.set(None);
        assert!(outcome.is_err(), "call {call} was never made");
        assert_eq!(fake.attached(), 0, "killed in call {call}");
        assert!(!fake.pins(id).contains(&"link".to_owned()));
        // Looking changes nothing; each command that changes something tidies up.
        let folders = fake.folders();
        let seen = status(&fake.fresh(), None).unwrap();
        assert_eq!((seen.attached.len(), seen.left.len(), fake.folders()), (0, folders, folders));
        match call % 3 {
            0 => assert_eq!(tidy(&fake.fresh()).unwrap().leftovers.len(), folders),
            1 => assert!(matches!(unload(&fake.fresh(), Some(&job())), Err(Error::Vacant { .. }))),
            _ => {
                load(&fake.fresh(), &object, &job()).unwrap();
                unload(&fake.fresh(), Some(&job())).unwrap();
            }
        }
        assert_eq!(fake.folders(), 0, "killed in call {call}");
    }
    let _ = std::panic::take_hook();
}

#[test]
fn an_unloader_killed_at_any_moment_leaves_nothing_half_attached() {
    let fake = Fake::new("killed_unload");
    load(&fake.fresh(), &object(), &job()).unwrap();
    unload(&fake.fresh(), Some(&job())).unwrap();
    let calls = fake.count.get();
    let id = fake.cgroup("job");
    for call in 0..calls {
        load(&fake.fresh(), &object(), &job()).unwrap();
        fake.die.set(Some(call));
        let system = fake.fresh();
        let outcome = catch_unwind(AssertUnwindSafe(|| unload(&system, Some(&job())).map(drop)));
        fake.die.set(None);
        assert!(outcome.is_err(), "call {call} was never made");
        // Either nothing happened yet, or the policy is detached and the rest is tidied up.
        if fake.attached() == 1 {
            assert!(is_whole(&fake.pins(id)), "killed in call {call}");
            unload(&fake.fresh(), Some(&job())).unwrap();
        } else {
            let seen = status(&fake.fresh(), None).unwrap();
            assert!(
                seen.gone.iter().all(|gone| gone.cgroup_exists),
                "it is detached, the cgroup is not gone"
            );
            tidy(&fake.fresh()).unwrap();
        }
        assert_eq!((fake.attached(), fake.folders()), (0, 0), "killed in call {call}");
    }
}

#[test]
fn a_cgroup_with_a_policy_of_ours_keeps_it() {
    let fake = Fake::new("ours");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let before = fake.pins(fake.cgroup("job"));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Occupied { cgroup, policy, foreign: false } = &error else { panic!("{error}") };
    assert_eq!(cgroup, "/job");
    assert_eq!(policy.as_deref(), Some(object().ops_name().as_str()));
    assert_eq!(error.kind(), Kind::Refused);
    // It was noticed before anything was made.
    assert!(!fake.calls.borrow().iter().any(|call| call.contains("LOAD") || call.contains("CREATE")));
    assert_eq!(fake.pins(fake.cgroup("job")), before);
    assert_eq!(fake.attached(), 1);
}

#[test]
fn a_cgroup_with_a_policy_of_another_loader_keeps_it() {
    let fake = Fake::new("foreign");
    load(&fake.fresh(), &object(), &job()).unwrap();
    // Another loader's: attached and pinned, but not in our folder.
    let id = fake.cgroup("job");
    fs::rename(fake.root.join("bpf/oomc").join(id.to_string()), fake.root.join("bpf/theirs")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Occupied { policy, foreign: true, .. } = &error else { panic!("{error}") };
    assert_eq!(policy.as_deref(), Some(object().ops_name().as_str()));
    assert_eq!((fake.attached(), fake.folders()), (1, 0));

    let status = status(&fake.fresh(), None).unwrap();
    assert_eq!(status.attached, []);
    let [foreign] = status.foreign.as_slice() else { panic!("{status:?}") };
    assert_eq!((foreign.cgroup.as_deref(), foreign.cgroup_id), (Some("/job"), id));
    assert_eq!(foreign.policy.as_deref(), Some(object().ops_name().as_str()));
    assert!(matches!(unload(&fake.fresh(), Some(&job())), Err(Error::Vacant { .. })));
}

#[test]
fn a_kernel_that_attaches_elsewhere_is_found_out() {
    let fake = Fake::new("stray");
    fake.stray.set(Some(4711));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let wanted = fake.cgroup("job");
    assert!(matches!(error, Error::WrongCgroup { wanted: id, found: 4711 } if id == wanted), "{error}");
    assert!(fake.calls.borrow().iter().any(|call| call == "BPF_LINK_DETACH"));
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

#[test]
fn counters_are_named_by_the_types_of_their_map() {
    let fake = Fake::new("counters");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let stats = File::open(fake.root.join("bpf/oomc").join(fake.cgroup("job").to_string()).join("stats"));
    let stats = OwnedFd::from(stats.unwrap());
    fake.change(std::os::fd::AsFd::as_fd(&stats), |thing| {
        let Thing::Map { value, .. } = thing else { panic!("{thing:?}") };
        for (at, word) in value.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&(at as u64 + 40).to_ne_bytes());
        }
    })
    .unwrap();
    let found = status(&fake.fresh(), Some(&job())).unwrap();
    let [one] = found.attached.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.policy, object().ops_name());
    assert_eq!(one.meta.get("mode"), "enforce");
    assert_eq!(one.counters.first(), Some(&("invocations".to_owned(), 40)));
    assert_eq!(one.counters.get(1), Some(&("kills".to_owned(), 41)));
    assert_eq!(found.foreign, []);
    let unloaded = unload(&fake.fresh(), Some(&job())).unwrap();
    assert_eq!(unloaded.detached.first().map(|one| &one.counters), Some(&one.counters));
}

#[test]
fn a_policy_whose_cgroup_is_gone_is_shown_until_it_is_unloaded_or_tidied() {
    let fake = Fake::new("gone");
    let next = Target::Cgroup("/next".to_owned());
    let loaded = load(&fake.fresh(), &object(), &next).unwrap();
    load(&fake.fresh(), &object(), &job()).unwrap();
    let check = |gone: &[Gone]| {
        let [Gone { was, cgroup_exists: false, before: false }] = gone else { panic!("{gone:?}") };
        assert_eq!((was.cgroup.as_str(), was.cgroup_id), ("/next", loaded.cgroup_id));
        assert_eq!(was.policy, object().ops_name());
    };
    let before = fake.pins(loaded.cgroup_id);
    fake.remove_cgroup("next");
    // By the path that it had, or among all; twice, because nothing changes.
    for target in [Some(&next), None, Some(&next), None] {
        let seen = status(&fake.fresh(), target).unwrap();
        check(&seen.gone);
        assert_eq!((seen.attached.len(), seen.left.len()), (usize::from(target.is_none()), 0));
        let (kept, left) = events::decisions(&fake.fresh(), target).unwrap();
        assert_eq!(kept.iter().filter(|one| one.gone && one.cgroup == "/next").count(), 1, "{target:?}");
        assert_eq!(left, []);
    }
    let shown = oomc_runtime::show::show(&fake.fresh(), &next).unwrap();
    assert_eq!((shown.text.as_str(), shown.gone), (POLICY, true));
    assert!(!oomc_runtime::show::show(&fake.fresh(), &job()).unwrap().gone);
    config::mode(&fake.fresh(), &job(), Mode::Audit).unwrap();
    let error = config::mode(&fake.fresh(), &next, Mode::Audit).unwrap_err();
    assert!(matches!(error, Error::Cgroup { .. }), "{error}");
    assert_eq!(unload(&fake.fresh(), Some(&job())).unwrap().gone, []);
    assert_eq!(fake.pins(loaded.cgroup_id), before);

    check(&unload(&fake.fresh(), Some(&next)).unwrap().gone);
    assert_eq!(fake.folders(), 0);
    assert!(matches!(unload(&fake.fresh(), Some(&next)), Err(Error::Cgroup { .. })));

    fs::create_dir(fake.root.join("cgroup/next")).unwrap();
    load(&fake.fresh(), &object(), &next).unwrap();
    load(&fake.fresh(), &object(), &job()).unwrap();
    fake.remove_cgroup("next");
    let tidied = tidy(&fake.fresh()).unwrap();
    assert_eq!((tidied.gone.len(), tidied.detached.len(), tidied.left.len()), (1, 0, 0));
    assert_eq!((fake.attached(), fake.folders()), (1, 1));
}

/// Everything that is reported as not made by oomc: names of entries and why.
fn odd(left: &[oomc_runtime::Left]) -> Vec<(String, &str)> {
    let name = |one: &oomc_runtime::Left| one.place.file_name().unwrap().to_string_lossy().into_owned();
    left.iter().filter(|one| !one.ours).map(|one| (name(one), one.why.as_str())).collect()
}

/// The directory of a cgroup goes first, and the kernel takes its policy away a moment later: what is between them, with
/// that cgroup and its id, and another policy beside it.
fn removed_just_now(name: &str) -> (Fake, Target, u64) {
    let fake = Fake::new(name);
    let next = Target::Cgroup("/next".to_owned());
    let loaded = load(&fake.fresh(), &object(), &next).unwrap();
    load(&fake.fresh(), &object(), &job()).unwrap();
    fs::remove_dir_all(fake.root.join("cgroup/next")).unwrap();
    (fake, next, loaded.cgroup_id)
}

#[test]
fn a_policy_whose_cgroup_was_removed_just_now_is_shown_by_its_path() {
    let (fake, next, id) = removed_just_now("gone_just_now");
    let seen = status(&fake.fresh(), Some(&next)).unwrap();
    let found: Vec<(&str, u64)> =
        seen.attached.iter().map(|one| (one.cgroup.as_str(), one.cgroup_id)).collect();
    assert_eq!((found, seen.gone.len()), (vec![("/next", id)], 0));
    let (kept, left) = events::decisions(&fake.fresh(), Some(&next)).unwrap();
    assert_eq!((kept.len(), left.len()), (1, 0));
    assert_eq!(kept.first().map(|one| one.cgroup.as_str()), Some("/next"));
    let elsewhere = Target::Cgroup("/elsewhere".to_owned());
    assert!(matches!(status(&fake.fresh(), Some(&elsewhere)), Err(Error::Cgroup { .. })));
    assert!(matches!(events::decisions(&fake.fresh(), Some(&elsewhere)), Err(Error::Cgroup { .. })));
}

#[test]
fn a_policy_whose_cgroup_was_removed_just_now_is_unloaded_by_its_path() {
    let (fake, next, id) = removed_just_now("unloaded_just_now");
    let elsewhere = Target::Cgroup("/elsewhere".to_owned());
    assert!(matches!(unload(&fake.fresh(), Some(&elsewhere)), Err(Error::Cgroup { .. })));
    let unloaded = unload(&fake.fresh(), Some(&next)).unwrap();
    let found: Vec<u64> = unloaded.detached.iter().map(|one| one.cgroup_id).collect();
    assert_eq!((found, unloaded.gone.len()), (vec![id], 0));
    let left: Vec<u64> =
        status(&fake.fresh(), None).unwrap().attached.iter().map(|one| one.cgroup_id).collect();
    assert_eq!((left.len(), left.contains(&id)), (1, false));
}

#[test]
fn what_oomc_did_not_make_is_reported_and_left_alone() {
    let fake = Fake::new("odd");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let precious = fake.root.join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("letters"), b"dear").unwrap();
    let folder = fake.root.join("bpf/oomc");
    std::os::unix::fs::symlink(&precious, folder.join("99")).unwrap();
    std::os::unix::fs::symlink(&precious, folder.join("4711 ")).unwrap();
    fs::create_dir(folder.join("097")).unwrap();
    fs::write(folder.join("98"), b"").unwrap();
    fs::create_dir(folder.join("97")).unwrap();
    fake.seen_as("bpf/oomc/97", |facts| Facts { uid: 1000, ..facts });
    let names = ["097", "4711 ", "97", "98", "99"];
    let seen = |left: &[oomc_runtime::Left]| {
        assert_eq!(odd(left).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    };
    let all = status(&fake.fresh(), None).unwrap();
    assert_eq!(all.attached.len(), 1);
    seen(&all.left);
    let (kept, left) = events::decisions(&fake.fresh(), None).unwrap();
    assert_eq!(kept.len(), 1);
    seen(&left);
    seen(&tidy(&fake.fresh()).unwrap().left);
    // What is odd elsewhere is nothing to whoever asks for one cgroup.
    assert_eq!(status(&fake.fresh(), Some(&job())).unwrap().left, []);
    let unloaded = unload(&fake.fresh(), None).unwrap();
    assert_eq!(unloaded.detached.len(), 1);
    seen(&unloaded.left);
    assert_eq!(fake.folders(), names.len());
    assert_eq!(fs::read(precious.join("letters")).unwrap(), b"dear");
}

#[test]
fn objects_of_others_among_the_pins_stop_nothing_and_stay() {
    let fake = Fake::new("others");
    let next = Target::Cgroup("/next".to_owned());
    load(&fake.fresh(), &object(), &next).unwrap();
    let pin = |thing: Thing, place: &str| {
        fake.make(thing).unwrap();
        let number = fake.things.borrow().len();
        let place = fake.root.join("bpf/oomc").join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::hard_link(fake.root.join("objects").join(number.to_string()), place).unwrap();
    };
    pin(Thing::Link { kind: 2, map: 0, cgroup: 1 }, "11/link");
    pin(Thing::Prog { len: 8 }, "12/link");
    pin(Thing::Link { kind: 2, map: 0, cgroup: 1 }, "13/stats");
    pin(Thing::Prog { len: 8 }, "14/theirs");
    let all = status(&fake.fresh(), None).unwrap();
    assert_eq!(all.attached.len(), 1);
    assert_eq!(
        odd(&all.left),
        [
            ("link".to_owned(), "it is a link of another kind (2)"),
            ("link".to_owned(), "it is a program, not a link"),
        ]
    );
    let tidied = tidy(&fake.fresh()).unwrap();
    assert_eq!(
        odd(&tidied.left),
        [
            ("link".to_owned(), "it is a link of another kind (2)"),
            ("link".to_owned(), "it is a program, not a link"),
            ("stats".to_owned(), "it is a link, not a map"),
            ("theirs".to_owned(), "oomc did not put it there"),
        ]
    );
    assert_eq!(unload(&fake.fresh(), None).unwrap().detached.len(), 1);
    for place in ["11/link", "12/link", "13/stats", "14/theirs"] {
        assert!(fake.root.join("bpf/oomc").join(place).exists(), "{place}");
    }
    assert!(!fake.calls.borrow().iter().filter(|call| *call == "BPF_LINK_DETACH").count() > 1);
}

#[test]
fn a_struct_ops_for_something_else_is_not_detached() {
    let fake = Fake::new("another_ops");
    load(&fake.fresh(), &object(), &job()).unwrap();
    for (_, thing) in fake.things.borrow_mut().values_mut() {
        if let Thing::Map { kind: STRUCT_OPS, kernel_value_type, .. } = thing {
            *kernel_value_type += 1;
        }
    }
    let unloaded = unload(&fake.fresh(), None).unwrap();
    assert_eq!(unloaded.detached, []);
    assert_eq!(
        odd(&unloaded.left),
        [("ops".to_owned(), "it is a struct_ops for something else than OOM events")]
    );
    assert!(unload(&fake.fresh(), Some(&job())).is_err());
    assert_eq!(fake.attached(), 1);
}

#[test]
fn a_folder_that_others_could_have_filled_is_not_believed() {
    let bad: [(&str, Change, &str); 6] = [
        ("bpf/oomc", |facts| Facts { uid: 1000, ..facts }, "chmod 700"),
        ("bpf/oomc", |facts| Facts { mode: 0o770, ..facts }, "chmod 700"),
        ("bpf/oomc", |facts| Facts { mode: 0o1777, ..facts }, "chmod 700"),
        ("bpf", |facts| Facts { mode: 0o777, ..facts }, "chmod 700"),
        ("bpf", |facts| Facts { uid: 1000, ..facts }, "chown root"),
        ("bpf", |facts| Facts { magic: TMPFS, ..facts }, "a tmpfs is mounted there"),
    ];
    for (at, (place, change, word)) in bad.into_iter().enumerate() {
        let fake = Fake::new(&format!("unbelieved_{at}"));
        load(&fake.fresh(), &object(), &job()).unwrap();
        fake.seen_as(place, change);
        for error in [
            load(&fake.fresh(), &object(), &Target::System).map(drop).unwrap_err(),
            status(&fake.fresh(), None).map(drop).unwrap_err(),
            events::decisions(&fake.fresh(), None).map(drop).unwrap_err(),
            tidy(&fake.fresh()).map(drop).unwrap_err(),
            unload(&fake.fresh(), None).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Refused, "{error}");
            let Error::Place { place: found, .. } = &error else { panic!("{error}") };
            assert!(found.ends_with(place) && error.to_string().contains(word), "{error}");
        }
        assert_eq!((fake.attached(), fake.folders()), (1, 1));
    }
    // In a directory with the sticky bit, as bpffs is by itself, what is root's stays root's.
    let fake = Fake::new("sticky");
    fake.seen_as("bpf", |facts| Facts { mode: 0o1777, ..facts });
    load(&fake.fresh(), &object(), &job()).unwrap();
}

#[test]
fn no_link_is_followed_to_the_folder() {
    let fake = Fake::new("linked");
    let precious = fake.root.join("precious/1");
    fs::create_dir_all(&precious).unwrap();
    fs::write(precious.join("stats"), b"dear").unwrap();
    std::os::unix::fs::symlink(fake.root.join("precious"), fake.root.join("bpf/oomc")).unwrap();
    for error in [
        load(&fake.fresh(), &object(), &job()).map(drop).unwrap_err(),
        status(&fake.fresh(), None).map(drop).unwrap_err(),
        tidy(&fake.fresh()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.to_string().contains("it is a link or a file"), "{error}");
    }
    fs::rename(fake.root.join("bpf"), fake.root.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(fake.root.join("elsewhere"), fake.root.join("bpf")).unwrap();
    let error = status(&fake.fresh(), None).unwrap_err();
    assert!(error.to_string().contains("is a link or a file"), "{error}");
    assert_eq!(fs::read(precious.join("stats")).unwrap(), b"dear");
}

#[test]
fn two_loaders_do_not_meet() {
    let fake = Fake::new("lock");
    let folder = fake.root.join("bpf/oomc");
    fs::create_dir(&folder).unwrap();
    let other = File::open(&folder).unwrap();
    other.lock().unwrap();
    let (sender, done) = std::sync::mpsc::channel();
    let root = fake.root.clone();
    let thread = std::thread::spawn(move || {
        // A second loader has a kernel of its own here: only the folder is shared.
        let fake = Fake { root, ..Fake::new("lock_other") };
        let result = load(&fake.system(), &object(), &job()).map(drop);
        let _ = sender.send(());
        result
    });
    let wait = std::time::Duration::from_millis(300);
    assert!(done.recv_timeout(wait).is_err(), "it did not wait for the lock");
    assert_eq!(fake.folders(), 0);
    other.unlock().unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(fake.folders(), 1);
}

#[test]
fn bpffs_is_mounted_once_where_nothing_is_mounted() {
    let fake = Fake::new("mount");
    let mounts = |fake: &Fake| fake.calls.borrow().iter().filter(|call| *call == "mount").count();
    fake.seen_as("bpf", |facts| Facts { magic: SYSFS, ..facts });
    // Whoever only looks mounts nothing.
    assert_eq!(status(&fake.fresh(), None).unwrap().attached, []);
    assert_eq!(mounts(&fake), 0);
    load(&fake.fresh(), &object(), &job()).unwrap();
    assert_eq!(mounts(&fake), 1);
    load(&fake.fresh(), &object(), &Target::System).unwrap();
    assert_eq!(mounts(&fake), 0);
}

#[test]
fn a_bpffs_that_nothing_can_be_written_to_is_called_so() {
    let fake = Fake::new("read_only");
    load(&fake.fresh(), &object(), &job()).unwrap();
    fake.seen_as("bpf", |facts| Facts { read_only: true, ..facts });
    let error = load(&fake.fresh(), &object(), &Target::System).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(
        error.to_string().contains("mounted read-only") && error.to_string().contains("remount,rw"),
        "{error}"
    );
    assert_eq!(status(&fake.fresh(), None).unwrap().attached.len(), 1, "it can still be looked at");
}

#[test]
fn what_may_not_be_looked_at_is_not_nothing() {
    let fake = Fake::new("denied");
    load(&fake.fresh(), &object(), &job()).unwrap();
    // Every call of a status, in turn.
    let calls = {
        status(&fake.fresh(), None).unwrap();
        fake.count.get()
    };
    for errno in [EPERM, EACCES] {
        for call in 0..calls {
            fake.fail.set(Some((call, errno)));
            let result = status(&fake.fresh(), None);
            fake.fail.set(None);
            let what = fake.calls.borrow().get(call).cloned().unwrap();
            match result {
                Err(error) if what.starts_with("BPF_") => {
                    assert!(error.to_string().contains(&what), "{error}")
                }
                Err(error) => assert_eq!(error.kind(), Kind::Missing, "{what}: {error}"),
                Ok(seen) => {
                    assert!(seen.attached.len() + odd(&seen.left).len() == 1, "{what}: {seen:?}");
                }
            }
        }
    }
}

#[test]
fn whoever_waits_is_told_for_whom() {
    let fake = Fake::new("waits");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let folder = File::open(fake.root.join("bpf/oomc")).unwrap();
    folder.lock().unwrap();
    let heard = RefCell::new(Vec::new());
    let waits = |holder: &Holder| {
        heard.borrow_mut().push(holder.clone());
        folder.unlock().unwrap();
    };
    assert_eq!(status(&fake.fresh().telling(&waits), None).unwrap().attached.len(), 1);
    let heard = heard.borrow();
    let [holder] = heard.as_slice() else { panic!("{heard:?}") };
    // Some file systems number their devices otherwise in /proc/locks; then nobody knows who it is.
    if let Some(pid) = holder.pid {
        assert_eq!(pid, std::process::id());
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(holder.to_string(), format!("process {pid} (`{}`)", name.trim_end()));
    } else {
        assert_eq!(holder.to_string(), "another process");
    }
}

#[test]
fn those_who_look_do_not_keep_each_other_waiting() {
    let fake = Fake::new("lookers");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let folder = File::open(fake.root.join("bpf/oomc")).unwrap();
    folder.lock_shared().unwrap();
    let waits = |holder: &Holder| panic!("waits for {holder}");
    assert_eq!(status(&fake.fresh().telling(&waits), None).unwrap().attached.len(), 1);
}

#[test]
fn a_refusal_of_the_verifier_is_shown_at_the_line_of_the_policy() {
    let fake = Fake::new("verifier");
    let noise = "0: R1=ctx() R10=fp0\n".repeat(20_000);
    let last = "R2 must be referenced or trusted";
    let end = "processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1\n";
    *fake.refusal.borrow_mut() = Some(format!("{noise}30: (85) call bpf_oom_kill_process#7\n{last}\n{end}"));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Verifier(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.message, last);
    assert_eq!(refusal.insn, Some(30));
    assert!(refusal.log.len() > noise.len(), "the log was cut");
    let place = refusal.place.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.line), ("policy.oom", 1));
    assert_eq!(place.text, POLICY.trim_end());
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
    // First without a log, then with ever larger ones.
    let loads = fake.calls.borrow().iter().filter(|call| *call == "BPF_PROG_LOAD").count();
    assert_eq!(loads, 3);
}

/// A kernel that has no memory for the verifier's work ends the log in the middle, and says EINVAL in some places.
#[test]
fn a_log_without_a_reason_is_no_refusal() {
    let fake = Fake::new("no_reason");
    let log = "0: R1=ctx() R10=fp0\n; kill largest in subtree @ policy.oom:1\n0: (79) r6 = *(u64 *)(r1 +0)\n\
               processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1\n";
    *fake.refusal.borrow_mut() = Some(log.to_owned());
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Call { call, object, .. } = &error else { panic!("{error}") };
    assert_eq!(*call, "BPF_PROG_LOAD");
    assert!(object.starts_with("the program of `policy@"), "{object}");
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

#[test]
fn what_a_kernel_lacks_is_listed_and_nothing_is_tried() {
    let fake = Fake::new("lacks");
    let raise = built("raise_limit 10%", &KernelView::embedded());
    for (name, object, word) in
        [("no_hook.btf", object(), "struct bpf_oom_ops"), ("no_raise.btf", raise, "bpf_mem_cgroup_raise_max")]
    {
        fs::write(fake.root.join("vmlinux"), fixture(name)).unwrap();
        let error = load(&fake.fresh(), &object, &job()).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: {error}");
        assert_eq!(*fake.calls.borrow(), Vec::<String>::new());
    }
    fs::remove_file(fake.root.join("vmlinux")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
}

fn built(text: &str, view: &KernelView) -> Object {
    let compiled = oomc_compiler::compile(&Source::new("policy.oom", text), view);
    Object::parse(&compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))).unwrap()
}

/// Whether the object's symbol for raising is weak; none: it has no such symbol.
fn weak_raise(object: &Object) -> Option<bool> {
    object.externs.iter().find(|ext| ext.name == "bpf_mem_cgroup_raise_max").map(|ext| ext.weak)
}

#[test]
fn one_object_serves_kernels_with_and_without_an_optional_function() {
    let (with, without) = (KernelView::embedded(), KernelView::from_btf(&fixture("no_raise.btf")).unwrap());
    for object in [built(POLICY, &with), built(POLICY, &without)] {
        assert_eq!(weak_raise(&object), Some(true));
        for (name, types, absent) in [
            ("with_raise", KernelView::embedded_btf().to_vec(), Vec::new()),
            ("without_raise", fixture("no_raise.btf"), vec!["bpf_mem_cgroup_raise_max"]),
        ] {
            let fake = Fake::new(name);
            fs::write(fake.root.join("vmlinux"), types).unwrap();
            let loaded = load(&fake.system(), &object, &job()).unwrap();
            assert_eq!(loaded.absent, absent);
        }
    }
}

#[test]
fn a_function_that_one_action_cannot_do_without_is_needed() {
    let weak = |text: &str| weak_raise(&built(text, &KernelView::embedded()));
    assert_eq!(weak("raise_limit 10% up to 1GiB or kill largest in subtree"), Some(true));
    assert_eq!(weak("raise_limit 10% up to 1GiB"), Some(false));
    let both = "raise_limit 10% up to 1GiB or wait\nraise_limit 20% up to 1GiB\n";
    assert_eq!(weak(both), Some(false));
    assert_eq!(weak("kill largest in subtree"), None);
}

/// CAP_BPF and CAP_PERFMON.
const SOME: &str = "CapEff:\t000000c000000000\n";

#[test]
fn what_needs_more_than_a_load_says_so_before_anything_is_done() {
    let fake = Fake::new("some_privilege");
    fs::write(fake.root.join("status"), SOME).unwrap();
    load(&fake.fresh(), &tunable(), &job()).unwrap();
    let calls = |result: Error| {
        assert!(matches!(&result, Error::Privilege(text) if text.contains("CAP_SYS_ADMIN")), "{result}");
        assert_eq!(fake.count.get(), 0, "{result}");
    };
    calls(unload(&fake.fresh(), Some(&job())).map(drop).unwrap_err());
    calls(unload(&fake.fresh(), None).map(drop).unwrap_err());
    calls(status(&fake.fresh(), None).map(drop).unwrap_err());
    calls(tidy(&fake.fresh()).map(drop).unwrap_err());
    calls(events::decisions(&fake.fresh(), None).map(drop).unwrap_err());
    calls(config::mode(&fake.fresh(), &job(), Mode::Audit).map(drop).unwrap_err());
    labels::put(&fake.fresh(), &job(), &assign("tier=7"), &literal).unwrap();
    assert_eq!(fake.attached(), 1);
}

#[test]
fn the_root_is_that_of_the_whole_tree() {
    let fake = Fake::new("bind_mount");
    let (tree, job_at) = (fake.root.join("cgroup"), fake.root.join("cgroup/job"));
    let bind = format!("29 23 0:26 /job {} rw - cgroup2 none rw\n", job_at.display());
    let whole = format!("30 23 0:26 / {} rw - cgroup2 none rw\n", tree.display());
    fs::write(fake.root.join("mounts"), format!("{bind}{whole}")).unwrap();
    let loaded = load(&fake.fresh(), &object(), &Target::System).unwrap();
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/", fake.cgroup("")));
    unload(&fake.fresh(), Some(&Target::System)).unwrap();

    // As in a container: there is nothing else.
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    fs::write(fake.root.join("mounts"), &bind).unwrap();
    let error = load(&fake.fresh(), &object(), &Target::System).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("shows only /job;"), "{error}");
    let loaded = load(&fake.fresh(), &object(), &Target::Cgroup("inner".to_owned())).unwrap();
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/job/inner", fake.cgroup("job/inner")));
    let seen = status(&fake.fresh(), Some(&Target::Cgroup("/job/inner".to_owned()))).unwrap();
    assert_eq!(seen.attached.first().map(|one| one.cgroup.as_str()), Some("/job/inner"));
    unload(&fake.fresh(), None).unwrap();

    // A cgroup namespace calls its own root `/`.
    fs::write(fake.root.join("mounts"), &whole).unwrap();
    fs::write(fake.root.join("cgroup/cgroup.events"), "populated 1\n").unwrap();
    assert!(matches!(load(&fake.fresh(), &object(), &Target::System), Err(Error::PartOfTree { .. })));
    let loaded = load(&fake.fresh(), &object(), &job()).unwrap();
    assert_eq!(loaded.cgroup, "(cgroup namespace)/job");
}

#[test]
fn the_advice_about_cgroups_fits_the_cause() {
    let fake = Fake::new("cgroup_advice");
    let next = Target::Cgroup("/next".to_owned());
    let advice = |target: &Target| {
        let why = load(&fake.fresh(), &object(), target).unwrap().no_memory;
        unload(&fake.fresh(), Some(target)).unwrap();
        why.unwrap_or_default()
    };
    let put = |file: &str, text: &str| fs::write(fake.root.join(file), text).unwrap();
    put("cgroup/cgroup.controllers", "cpu memory\n");
    put("cgroup/cgroup.subtree_control", "cpu\n");
    let gap = format!("`echo +memory > {}/cgroup.subtree_control`", fake.root.join("cgroup").display());
    assert!(advice(&next).ends_with(&gap), "{}", advice(&next));
    assert_eq!((advice(&job()), advice(&Target::System)), (String::new(), String::new()));

    put("cgroup/cgroup.controllers", "cpu\n");
    assert!(advice(&Target::System).contains("cgroup_disable=memory"));
    let mounts = fs::read_to_string(fake.root.join("mounts")).unwrap();
    let v1 = "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    put("mounts", &format!("{v1}{mounts}"));
    let both = advice(&Target::System);
    assert!(
        both.contains("cgroup v1, at /sys/fs/cgroup/memory") && both.contains("cgroup_no_v1=memory"),
        "{both}"
    );

    put("mounts", v1);
    let error = load(&fake.fresh(), &object(), &next).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("only cgroup v1 is mounted"), "{error}");
    put("mounts", "");
    let error = load(&fake.fresh(), &object(), &next).unwrap_err();
    assert!(error.to_string().contains("`mount -t cgroup2"), "{error}");
}

#[test]
fn who_is_not_trusted_decides_nothing_by_what_he_writes() {
    let fake = Fake::new("hostile_labels");
    let system = fake.system();
    let long = "1".repeat(65);
    let put = |cgroup: &str, text: &str| {
        let key = (fake.cgroup(cgroup), "user.oom.tier".to_owned());
        fake.attributes.borrow_mut().insert(key, text.to_owned());
    };
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    fs::create_dir(fake.root.join("cgroup/job/other")).unwrap();
    put("job/inner", &long);
    put("job/other", "3");
    fs::set_permissions(fake.root.join("cgroup/job/inner"), fs::Permissions::from_mode(0o777)).unwrap();
    let settings = Settings { literal: &literal, ..Settings::default() };
    let ignored = |labels: Refreshed| {
        assert_eq!((labels.set, labels.ignored.len()), (1, 1));
        let one = labels.ignored.first().unwrap();
        assert_eq!(one.cgroup, "/job/inner");
        one.why.clone()
    };
    let why = ignored(load_with(&system, &tunable(), &job(), &settings).unwrap().labels);
    assert_eq!(why, "others than its owner may write to the directory");
    fs::set_permissions(fake.root.join("cgroup/job/inner"), fs::Permissions::from_mode(0o755)).unwrap();
    let why = ignored(labels::refresh(&system, &job(), &literal).unwrap().what);
    assert_eq!(why, "its value has more than 64 bytes, which no value has");
    put("job/inner", "3\u{1b}[2J");
    let why = ignored(labels::refresh(&system, &job(), &literal).unwrap().what);
    assert!(why.contains("is not a value"), "{why}");
}

#[test]
fn whoever_follows_sees_reloads_and_what_comes_later() {
    let fake = Fake::new("follow");
    let next = Target::Cgroup("/next".to_owned());
    load(&fake.fresh(), &object(), &job()).unwrap();
    // Another reader has the ring buffer, which is none here.
    let reader = |cgroup: &str| {
        let folder = File::open(fake.root.join("bpf/oomc").join(fake.cgroup(cgroup).to_string())).unwrap();
        folder.lock().unwrap();
        folder
    };
    let mut readers = vec![reader("job")];
    let mut follow = events::follow(fake.fresh(), None, true).unwrap();
    let mut look = |all: bool| -> Vec<String> {
        let seen = follow.look(all).unwrap();
        seen.into_iter().map(|(of, seen)| format!("{} {seen:?} {}", of.cgroup, of.link)).collect()
    };
    let first = look(true);
    let [one] = first.as_slice() else { panic!("{first:?}") };
    assert!(one.starts_with("/job Attached "), "{one}");
    assert_eq!((look(true), look(false)), (Vec::new(), Vec::new()));
    // Between two looks: another link, though of the same policy on the same cgroup.
    unload(&fake.fresh(), Some(&job())).unwrap();
    load(&fake.fresh(), &object(), &job()).unwrap();
    load(&fake.fresh(), &object(), &next).unwrap();
    readers.extend([reader("job"), reader("next")]);
    let seen = look(true);
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen.first(), Some(&one.replace("Attached", "Detached")));
    assert!(seen.iter().any(|one| one.starts_with("/next Attached ")), "{seen:?}");
    // Nobody waits for whoever changes something.
    let folder = File::open(fake.root.join("bpf/oomc")).unwrap();
    folder.lock().unwrap();
    assert_eq!(look(true), Vec::<String>::new());
    folder.unlock().unwrap();
    fake.remove_cgroup("next");
    let seen = look(true);
    assert!(matches!(seen.as_slice(), [one] if one.starts_with("/next Detached ")), "{seen:?}");
}

#[test]
fn without_privilege_nothing_is_tried() {
    let fake = Fake::new("privilege");
    fs::write(fake.root.join("status"), "CapEff:\t0000000000000000\n").unwrap();
    for error in [
        load(&fake.fresh(), &object(), &job()).map(drop).unwrap_err(),
        status(&fake.fresh(), None).map(drop).unwrap_err(),
        unload(&fake.fresh(), None).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Privilege(_)), "{error}");
        assert_eq!(error.kind(), Kind::Missing);
    }
    assert_eq!(fake.count.get(), 0);
}

#[test]
fn cgroups_are_named_relative_to_their_mount_or_below_it() {
    let fake = Fake::new("cgroups");
    let mount = fake.root.join("cgroup");
    for path in ["/job", "job", "job/", "./job", mount.join("job").to_str().unwrap()] {
        let loaded = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap();
        assert_eq!(loaded.cgroup, "/job", "{path}");
        unload(&fake.fresh(), Some(&job())).unwrap();
    }
    for path in ["/", ".", mount.to_str().unwrap()] {
        let error = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{path}: {error}");
        assert!(error.to_string().contains("--system"), "{error}");
    }
    for path in ["/nowhere", "/job/../job", "", "/job/memory.max"] {
        let error = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap_err();
        assert!(matches!(error, Error::Cgroup { .. }), "{path}: {error}");
    }
    let loaded = load(&fake.fresh(), &object(), &Target::System).unwrap();
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/", fake.cgroup("")));
    unload(&fake.fresh(), Some(&Target::System)).unwrap();
}

/// Calls of a policy's own functions lead to where the kernel is told that a function begins.
#[test]
fn functions_follow_the_callback() {
    let text: String =
        (1..=40).map(|at| format!("kill largest process in subtree where rss > {at}MiB\n")).collect();
    let source = Source::new("many.oom", text);
    let object = oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap();
    let object = Object::parse(&object).unwrap();
    let [funcs] = object.ext.funcs.as_slice() else { panic!("one section: {:?}", object.ext.funcs) };
    let starts: Vec<u32> = funcs.records.iter().map(|func| func.insn).collect();
    assert!(starts.len() > 3 && starts.is_sorted(), "{starts:?}");
    let mut called = vec![0];
    for (at, insn) in (0_i64..).zip(&object.code) {
        if insn & 0xf0ff == 0x1085 && insn >> 32 != 0xffff_ffff {
            let callee = u32::try_from(at + 1 + i64::from((insn >> 32) as i32)).unwrap();
            assert!(starts.contains(&callee), "instruction {at} calls {callee}");
            called.push(callee);
        }
    }
    called.sort_unstable();
    called.dedup();
    assert_eq!(called, starts, "every function is called");
    for (section, what) in [(object.ext.lines.len(), "lines"), (object.ext.relos.len(), "relocations")] {
        assert_eq!(section, 1, "{what}");
    }
    let ends = |at: u32| object.code.get(at as usize).map(|insn| *insn as u8);
    assert!(starts.iter().skip(1).all(|start| matches!(ends(start - 1), Some(0x95 | 0x05 | 0x06))));
    let fake = Fake::new("functions");
    load(&fake.fresh(), &object, &job()).unwrap();
}

#[test]
fn every_cut_object_is_refused() {
    let whole = compiled();
    assert!(Object::parse(&whole).is_ok());
    for len in 0..whole.len() {
        assert!(Object::parse(whole.get(..len).unwrap()).is_err(), "the first {len} bytes");
    }
}

#[test]
fn a_damaged_object_is_refused_or_loads_something_without_a_panic() {
    let whole = compiled();
    let view = Btf::parse(KernelView::embedded_btf()).unwrap();
    assert!(view.composite("bpf_oom_ops").is_some());
    let fake = Fake::new("damaged");
    let mut refused = 0;
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            *bytes.get_mut(at).unwrap() ^= bit;
            match Object::parse(&bytes) {
                // Reading is enough for most; fitting to a kernel takes longer.
                Ok(object) if at % 97 == 0 => {
                    let _ = oomc_runtime::verify(&fake.fresh(), &object);
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 1000, "only {refused} were noticed");
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

/// Says that it is another policy than it is: refused; with leave it goes by the name that the kernel has.
#[test]
fn a_foreign_object_is_shown_as_what_it_is() {
    let mut object = object();
    let call = |helper: u64| 0x85 | helper << 32;
    let at = object.code.iter().position(|insn| *insn == call(130)).unwrap();
    object.code[at] = call(109);
    object.meta.lines.insert(0, ("cgroup".to_owned(), "/elsewhere".to_owned()));
    object.meta.lines.insert(0, ("name".to_owned(), "lab".to_owned()));
    object.foreign = oomc_object::foreign::oddities(&object);
    let fake = Fake::new("foreign");
    let error = load(&fake.fresh(), &object, &job()).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    let odd = "it calls the helper of number 109; it calls itself something else than `lab`";
    assert_eq!(error.to_string(), format!("the object is foreign: {odd}"));
    let error = oomc_runtime::verify(&fake.fresh(), &object).unwrap_err();
    assert_eq!(error.to_string(), format!("the object is foreign: {odd}"));
    assert_eq!((fake.count.get(), fake.attached(), fake.folders()), (0, 0, 0), "nothing was tried");

    let settings = Settings { foreign: true, ..Settings::default() };
    load_with(&fake.fresh(), &object, &job(), &settings).unwrap();
    let status = status(&fake.fresh(), None).unwrap();
    let [one] = status.attached.as_slice() else { panic!("{status:?}") };
    assert_eq!(one.policy, object.ops_name());
    assert_eq!(oomc_runtime::foreign::oddities(&one.meta), Some(odd));
    assert_eq!((one.cgroup.as_str(), one.meta.get("name")), ("/job", ""));
}

#[test]
fn what_is_no_object_of_ours_is_named_so() {
    let says = |bytes: &[u8]| Object::parse(bytes).unwrap_err().to_string();
    assert!(says(b"").contains("empty"));
    assert!(says(b"kill largest in subtree").contains("not an object"));
    assert!(says(&fs::read("/proc/self/exe").unwrap()).contains("not one for BPF"));
    // An object of oomc in another format.
    let mut other = compiled();
    let at = other.windows(9).position(|bytes| bytes == b"format=1\n").unwrap();
    *other.get_mut(at + 7).unwrap() = b'9';
    assert!(says(&other).contains("format `9`"), "{}", says(&other));
}

const TUNABLE: &str = "mode audit
param step = 25% range 1% .. 100%
param floor = 64MiB range 4KiB .. 1GiB
label tier: count = 100 trust owner
if cgroup.tier < 50 and cgroup.usage > floor then { raise_limit step up to 1GiB } else kill largest in subtree
";

fn tunable() -> Object {
    let compiled = oomc_compiler::compile(&Source::new("tunable.oom", TUNABLE), &KernelView::embedded());
    Object::parse(&compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))).unwrap()
}

/// The literals that the tests below write.
fn literal(text: &str) -> Result<(Measure, i64), String> {
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| format!("`{text}` is not a value"));
    match (text.strip_suffix('%'), text.strip_suffix("MiB")) {
        (Some(percent), _) => Ok((Measure::Ratio, number(percent)? * 10_000)),
        (_, Some(bytes)) => Ok((Measure::Bytes, number(bytes)? << 20)),
        _ => Ok((Measure::Count, number(text)?)),
    }
}

fn assign(text: &str) -> Vec<Assignment> {
    text.split(' ').map(|one| one.parse().unwrap()).collect()
}

/// Mode and params as `status` tells them.
fn settings(system: &System<'_>) -> (Option<Mode>, Vec<i64>) {
    let status = status(system, None).unwrap();
    let one = status.attached.first().unwrap();
    (one.mode, one.params.iter().map(|(_, value)| *value).collect())
}

#[test]
fn params_and_mode_change_without_a_reload() {
    let fake = Fake::new("settings");
    let system = fake.system();
    load(&system, &tunable(), &job()).unwrap();
    assert_eq!(settings(&system), (Some(Mode::Audit), vec![250_000, 64 << 20]));

    let changed = config::set(&system, &job(), &assign("step=30% floor=1MiB"), &literal).unwrap();
    assert_eq!((changed.cgroup.as_str(), changed.what.len()), ("/job", 2));
    assert_eq!(changed.what.first().map(|change| (change.from, change.to)), Some((250_000, 300_000)));
    assert_eq!(config::mode(&system, &job(), Mode::Enforce).unwrap().what, Mode::Audit);
    assert_eq!(settings(&system), (Some(Mode::Enforce), vec![300_000, 1 << 20]));
    // The epoch grows with each switch, and only then.
    config::mode(&system, &job(), Mode::Enforce).unwrap();
    config::mode(&system, &job(), Mode::Audit).unwrap();
    assert_eq!(fake.value("config").get(8..16), Some(2_i64.to_le_bytes().as_slice()));
}

#[test]
fn what_a_param_does_not_take_is_refused_with_its_range() {
    let fake = Fake::new("ranges");
    let system = fake.system();
    load(&system, &tunable(), &job()).unwrap();
    let refused = |text: &str| {
        let error = config::set(&system, &job(), &assign(text), &literal).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        error.to_string()
    };
    assert_eq!(refused("floor=2MiB step=101%"), "`step` is within 1% .. 100%, and 101% is not");
    assert_eq!(refused("step=30"), "`30` is not a percent such as `25%`; `step` is within 1% .. 100%");
    assert_eq!(refused("floor=much"), "`much` is not a value; `floor` is within 4KiB .. 1GiB");
    assert_eq!(refused("stop=1%"), "the policy has no param `stop`; it has `step`, `floor`");
    assert_eq!(settings(&system).1, [250_000, 64 << 20], "all or none");
    let error = config::set(&system, &Target::Cgroup("next".to_owned()), &assign("step=1%"), &literal);
    assert!(matches!(error, Err(Error::Vacant { .. })), "{error:?}");
}

#[test]
fn a_policy_can_begin_with_other_settings() {
    let fake = Fake::new("first_settings");
    let system = fake.system();
    let begin = |text: &str| Settings {
        mode: Some(Mode::Enforce),
        params: assign(text),
        literal: &literal,
        foreign: false,
    };
    let error = load_with(&system, &tunable(), &job(), &begin("step=0%")).unwrap_err();
    assert_eq!(error.to_string(), "`step` is within 1% .. 100%, and 0% is not");
    assert_eq!((fake.folders(), fake.attached()), (0, 0));
    load_with(&system, &tunable(), &job(), &begin("step=7%")).unwrap();
    assert_eq!(settings(&system), (Some(Mode::Enforce), vec![70_000, 64 << 20]));
}

#[test]
fn labels_come_from_attributes_of_those_who_are_trusted() {
    let fake = Fake::new("labels");
    let system = fake.system();
    let put = |cgroup: &str, text: &str| {
        let key = (fake.cgroup(cgroup), "user.oom.tier".to_owned());
        fake.attributes.borrow_mut().insert(key, text.to_owned());
    };
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    put("job/inner", "3");
    put("next", "4");
    let settings = Settings { literal: &literal, ..Settings::default() };
    let loaded = load_with(&system, &tunable(), &job(), &settings).unwrap();
    assert_eq!(loaded.labels, Refreshed { set: 1, ignored: Vec::new() }, "one is below, one is not");
    assert_eq!(fake.value("labels"), 3_i64.to_le_bytes());

    put("job/inner", "30MiB");
    let refreshed = labels::refresh(&system, &job(), &literal).unwrap().what;
    let ignored = refreshed.ignored.first().map(|one| (one.cgroup.as_str(), one.why.as_str()));
    assert_eq!(ignored, Some(("/job/inner", "`30MiB` is not a plain number such as `3`")));
    put("job/inner", "5");
    fs::set_permissions(fake.root.join("cgroup/job/inner"), fs::Permissions::from_mode(0o777)).unwrap();
    let refreshed = labels::refresh(&system, &job(), &literal).unwrap().what;
    let ignored = refreshed.ignored.first().map(|one| one.why.as_str());
    assert_eq!(ignored, Some("others than its owner may write to the directory"));
    assert_eq!((refreshed.set, fake.value("labels")), (0, 3_i64.to_le_bytes().to_vec()));
}

#[test]
fn a_label_is_for_the_nearest_policy() {
    let fake = Fake::new("nearest");
    let system = fake.system();
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    load(&system, &tunable(), &job()).unwrap();
    let inner = Target::Cgroup("job/inner".to_owned());
    let put = labels::put(&system, &inner, &assign("tier=7"), &literal).unwrap();
    assert_eq!(put.cgroup, "/job");
    assert_eq!(put.what.first().map(|put| (put.cgroup.as_str(), put.value)), Some(("/job/inner", Some(7))));
    assert_eq!(fake.value("labels"), 7_i64.to_le_bytes());
    let put = labels::put(&system, &inner, &assign("tier=inherit"), &literal).unwrap();
    assert_eq!(put.what.first().map(|put| put.value), Some(None));
    let refused = |target: &Target, text: &str| {
        labels::put(&system, target, &assign(text), &literal).unwrap_err().to_string()
    };
    assert_eq!(refused(&inner, "teir=7"), "the policy has no label `teir`; it has `tier`");
    assert_eq!(
        refused(&Target::Cgroup("next".to_owned()), "tier=7"),
        "no policy that oomc loaded is attached to /next or to a cgroup above it"
    );
}

/// A second version: `floor` is another param, `step` has another range, `mark` is new.
const LATER: &str = "mode audit\nparam step = 20% range 1% .. 50%\nparam floor = 3 range 1 .. 9\nlabel mark: count = 1\n\
                     if cgroup.usage > step then kill largest in subtree\n";

fn later() -> Object {
    let compiled = oomc_compiler::compile(&Source::new("later.oom", LATER), &KernelView::embedded());
    Object::parse(&compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))).unwrap()
}

fn setting(text: &str) -> Settings<'static> {
    let params = if text.is_empty() { Vec::new() } else { assign(text) };
    Settings { params, literal: &literal, ..Settings::default() }
}

/// What is attached, by its name.
fn attached_policy(system: &System<'_>) -> Option<String> {
    status(system, None).unwrap().attached.first().map(|one| one.policy.clone())
}

#[test]
fn another_version_takes_the_place_with_what_was_set() {
    let fake = Fake::new("replace");
    let system = fake.system();
    let first = replace(&system, &tunable(), &job(), &setting("")).unwrap();
    assert!(first.before.is_none(), "on a cgroup without a policy it is a load");
    config::set(&system, &job(), &assign("step=30% floor=1MiB"), &literal).unwrap();
    config::mode(&system, &job(), Mode::Enforce).unwrap();

    let done = replace(&fake.fresh(), &later(), &job(), &setting("")).unwrap();
    assert_eq!(done.before.map(|before| before.policy), Some(tunable().ops_name()));
    let kept: Vec<(&str, i64)> =
        done.kept.params.iter().map(|(param, value)| (param.name.as_str(), *value)).collect();
    assert_eq!((kept, done.kept.mode), (vec![("step", 300_000)], Some(Mode::Enforce)));
    let lost: Vec<(&str, &str)> =
        done.kept.lost.iter().map(|lost| (lost.what.as_str(), lost.why.as_str())).collect();
    assert_eq!(lost, [("param floor", "the new policy has one of another type")]);
    assert_eq!(settings(&system), (Some(Mode::Enforce), vec![300_000, 3]));
    assert_eq!((attached_policy(&system), fake.attached()), (Some(later().ops_name()), 1));
    // Between these two nobody is attached.
    let calls = fake.calls.borrow().clone();
    let at = |what: &str| calls.iter().position(|call| call == what).unwrap();
    assert_eq!(at("BPF_LINK_CREATE"), at("BPF_LINK_DETACH") + 1, "{calls:#?}");
    assert!(at("BPF_PROG_LOAD") < at("BPF_LINK_DETACH") && at("PIN records") < at("BPF_LINK_DETACH"));

    // What this load says counts, and what the policy before was never told does not.
    config::set(&system, &job(), &assign("step=40%"), &literal).unwrap();
    let again = replace(&system, &later(), &job(), &setting("step=5%")).unwrap();
    assert_eq!((again.kept.params.len(), settings(&system).1), (0, vec![50_000, 3]));
    assert_eq!(again.loaded.gone.len(), 1, "one version before is kept");
    assert_eq!((fake.folders(), fake.attached()), (2, 1));
}

#[test]
fn the_version_before_comes_back_as_it_was() {
    let fake = Fake::new("rollback");
    let system = fake.system();
    assert!(matches!(rollback(&system, &job()), Err(Error::Vacant { .. })));
    load(&system, &tunable(), &job()).unwrap();
    assert!(matches!(rollback(&system, &job()), Err(Error::NoVersion { .. })));
    config::set(&system, &job(), &assign("step=30%"), &literal).unwrap();
    replace(&system, &later(), &job(), &setting("step=9%")).unwrap();
    let seen = status(&system, None).unwrap();
    assert!(seen.gone.iter().all(|gone| gone.before) && seen.gone.len() == 1, "{:?}", seen.gone);
    assert_eq!(tidy(&system).unwrap().gone, [], "it is no leftover");

    for (from, to, params) in [
        (later(), tunable(), vec![300_000, 64 << 20]),
        (tunable(), later(), vec![90_000, 3]),
        (later(), tunable(), vec![300_000, 64 << 20]),
    ] {
        let back = rollback(&fake.fresh(), &job()).unwrap();
        assert_eq!((back.from, back.to.policy), (from.ops_name(), to.ops_name()));
        assert_eq!((settings(&system).1, attached_policy(&system)), (params, Some(to.ops_name())));
        assert_eq!((fake.attached(), fake.folders()), (1, 2));
        assert!(!fake.calls.borrow().iter().any(|call| call == "BPF_PROG_LOAD"), "nothing is verified again");
    }
    let unloaded = unload(&system, Some(&job())).unwrap();
    assert_eq!((unloaded.detached.len(), unloaded.gone.len(), fake.folders()), (1, 1, 0));
}

#[test]
fn every_failing_call_of_a_replacement_leaves_the_policy_before() {
    let fake = Fake::new("replace_failures");
    let (tunable, later) = (tunable(), later());
    load(&fake.fresh(), &tunable, &job()).unwrap();
    replace(&fake.fresh(), &later, &job(), &setting("")).unwrap();
    let (calls, names) = (fake.count.get(), fake.calls.borrow().clone());
    for errno in [EPERM, ENOSPC] {
        for call in 0..calls {
            unload(&fake.fresh(), None).unwrap();
            fake.collect();
            load(&fake.fresh(), &tunable, &job()).unwrap();
            fake.fail.set(Some((call, errno)));
            let result = replace(&fake.fresh(), &later, &job(), &setting(""));
            fake.fail.set(None);
            let what = names.get(call).unwrap();
            let policy = match (what.as_str(), &result) {
                // Without a log first, and then with one: the second time it works. An attribute that cannot be read
                // is no label.
                ("BPF_PROG_LOAD" | "fgetxattr", Ok(_)) => later.ops_name(),
                (_, Ok(_)) => panic!("{what} failed and the replacement went on"),
                (_, Err(_)) => tunable.ops_name(),
            };
            let seen = (attached_policy(&fake.system()), fake.attached());
            assert_eq!(seen, (Some(policy), 1), "after a failing {what} ({call}): {result:?}");
            let folders = if result.is_ok() { 2 } else { 1 };
            assert_eq!(fake.folders(), folders, "after a failing {what} ({call}): {result:?}");
            if let Err(Error::NotReplaced { policy, lost, .. }) = &result {
                assert_eq!((policy, lost.as_deref()), (&tunable.ops_name(), None));
            }
        }
    }
}

#[test]
fn whoever_replaces_may_be_killed_at_any_moment() {
    let fake = Fake::new("replace_killed");
    let (tunable, later) = (tunable(), later());
    load(&fake.fresh(), &tunable, &job()).unwrap();
    replace(&fake.fresh(), &later, &job(), &setting("")).unwrap();
    let calls = fake.count.get();
    rollback(&fake.fresh(), &job()).unwrap();
    let back = fake.count.get();
    std::panic::set_hook(Box::new(|_| {}));
    for (call, rolls) in (0..calls).map(|call| (call, false)).chain((0..back).map(|call| (call, true))) {
        unload(&fake.fresh(), None).unwrap();
        fake.collect();
        load(&fake.fresh(), &tunable, &job()).unwrap();
        if rolls {
            replace(&fake.fresh(), &later, &job(), &setting("")).unwrap();
        }
        fake.die.set(Some(call));
        let system = fake.fresh();
        let outcome = catch_unwind(AssertUnwindSafe(|| match rolls {
            true => rollback(&system, &job()).map(drop),
            false => replace(&system, &later, &job(), &setting("")).map(drop),
        }));
        fake.die.set(None);
        assert!(outcome.is_err(), "call {call} was never made");
        // One of the two or none, and nothing half: the next command goes on from there.
        assert!(fake.attached() <= 1, "killed in call {call}");
        let seen = status(&fake.fresh(), None).unwrap();
        assert_eq!(seen.attached.len(), fake.attached(), "killed in call {call}");
        assert!(seen.left.iter().all(|left| left.ours), "killed in call {call}: {:?}", seen.left);
        replace(&fake.fresh(), &later, &job(), &setting("")).unwrap();
        assert_eq!((attached_policy(&fake.system()), fake.attached()), (Some(later.ops_name()), 1));
    }
    let _ = std::panic::take_hook();
    unload(&fake.fresh(), None).unwrap();
    assert_eq!(fake.folders(), 0);
}
