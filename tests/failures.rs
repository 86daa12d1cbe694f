//! Each system call of each command that changes what is attached fails in turn, with each errno that it can return; and
//! the command dies in each. Afterwards the policy before is attached or none, and no pin, descriptor or object is left
//! that the next command does not remove; and the message names the call, the object and the cause.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oomc_abi::profile::Profile;
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_runtime::{
    Error, Left, Object, Settings, System, Target, load, replace, rollback, status, tidy, unload,
};
use oomc_tests::fake::{Fake, fixture, is_whole, job, object};

/// What each call returns (bpf(2), kernel/bpf/syscall.c, 6.12; the manual pages of the others). EINTR and EAGAIN of
/// bpf(2) do not come this far: the call is made again.
const ERRNOS: &[(&str, &[i32])] = &[
    ("BPF_BTF_LOAD", &[libc::EPERM, libc::EINVAL, libc::E2BIG, libc::ENOMEM, libc::ENOSPC, libc::EMFILE]),
    ("BPF_MAP_CREATE", &[libc::EPERM, libc::EINVAL, libc::E2BIG, libc::ENOMEM, libc::EMFILE, libc::ENFILE]),
    ("BPF_MAP_UPDATE_ELEM", &[libc::EPERM, libc::EINVAL, libc::E2BIG, libc::EBUSY, libc::ENOMEM]),
    ("BPF_MAP_LOOKUP_ELEM", &[libc::EPERM, libc::ENOENT, libc::ENOMEM, libc::EINVAL]),
    ("BPF_MAP_GET_NEXT_KEY", &[libc::EPERM, libc::ENOENT, libc::ENOMEM]),
    ("BPF_MAP_FREEZE", &[libc::EPERM, libc::EBUSY, libc::EINVAL]),
    ("BPF_PROG_LOAD", &[libc::EPERM, libc::EACCES, libc::EINVAL, libc::E2BIG, libc::ENOMEM, libc::EMFILE]),
    ("BPF_PROG_QUERY", &[libc::EPERM, libc::EINVAL, libc::ENOENT]),
    (
        "BPF_LINK_CREATE",
        &[
            libc::EPERM,
            libc::EINVAL,
            libc::EBUSY,
            libc::EEXIST,
            libc::ESTALE,
            libc::E2BIG,
            libc::ENOMEM,
            libc::EOPNOTSUPP,
        ],
    ),
    ("BPF_LINK_UPDATE", &[libc::EPERM, libc::EINVAL, libc::ENOLINK, libc::EOPNOTSUPP, libc::ENOMEM]),
    ("BPF_LINK_DETACH", &[libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOMEM]),
    ("BPF_LINK_GET_NEXT_ID", &[libc::EPERM, libc::ENOENT]),
    ("BPF_LINK_GET_FD_BY_ID", &[libc::EPERM, libc::ENOENT, libc::EMFILE]),
    ("BPF_MAP_GET_FD_BY_ID", &[libc::EPERM, libc::ENOENT, libc::EMFILE]),
    ("BPF_BTF_GET_FD_BY_ID", &[libc::EPERM, libc::ENOENT, libc::EMFILE]),
    ("BPF_OBJ_GET_INFO_BY_FD", &[libc::EPERM, libc::EINVAL, libc::EFAULT, libc::ENOMEM]),
    ("BPF_OBJ_PIN", &[libc::EPERM, libc::EACCES, libc::EEXIST, libc::ENOSPC, libc::ENOMEM, libc::EROFS]),
    ("BPF_OBJ_GET", &[libc::EPERM, libc::EACCES, libc::ENOENT, libc::EMFILE, libc::ENOMEM]),
    (
        "openat2",
        &[libc::ENOENT, libc::EACCES, libc::ELOOP, libc::ENOTDIR, libc::EMFILE, libc::ENOMEM, libc::EXDEV],
    ),
    ("fstat", &[libc::ENOMEM, libc::EIO]),
    ("getdents64", &[libc::ENOENT, libc::EIO]),
    ("mkdirat", &[libc::EEXIST, libc::EACCES, libc::EPERM, libc::ENOSPC, libc::EROFS, libc::ENOMEM]),
    (
        "unlinkat",
        &[libc::ENOENT, libc::EACCES, libc::EPERM, libc::EROFS, libc::EBUSY, libc::ENOTEMPTY, libc::EIO],
    ),
    ("flock", &[libc::EINTR, libc::ENOLCK, libc::EWOULDBLOCK]),
    ("readlink", &[libc::EACCES, libc::ENOENT, libc::ENOMEM]),
    ("fgetxattr", &[libc::ENODATA, libc::EACCES, libc::EOPNOTSUPP, libc::ERANGE]),
];

fn next() -> Target {
    Target::Cgroup("/next".to_owned())
}

/// Another version.
fn later() -> Object {
    let source = Source::new("later.oom", "kill smallest in subtree\n");
    Object::parse(&oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap()).unwrap()
}

/// A command, and how the machine is before it.
struct Command {
    name: &'static str,
    before: fn(&Fake, &Object),
    run: fn(&System<'_>, &Object) -> Result<Vec<Left>, Error>,
}

const COMMANDS: [Command; 6] = [
    Command {
        name: "load",
        before: |_, _| {},
        run: |system, object| load(system, object, &job()).map(|_| Vec::new()),
    },
    Command {
        name: "load --replace",
        before: |fake, object| drop(load(&fake.system(), object, &job()).unwrap()),
        run: |system, _| replace(system, &later(), &job(), &Settings::default()).map(|_| Vec::new()),
    },
    Command {
        name: "rollback",
        before: |fake, object| {
            load(&fake.system(), object, &job()).unwrap();
            replace(&fake.system(), &later(), &job(), &Settings::default()).unwrap();
        },
        run: |system, _| rollback(system, &job()).map(|_| Vec::new()),
    },
    Command {
        name: "unload",
        before: |fake, object| drop(load(&fake.system(), object, &job()).unwrap()),
        run: |system, _| unload(system, Some(&job())).map(|done| done.left),
    },
    Command {
        name: "unload --all",
        before: |fake, object| {
            load(&fake.system(), object, &job()).unwrap();
            load(&fake.system(), object, &next()).unwrap();
        },
        run: |system, _| unload(system, None).map(|done| done.left),
    },
    Command {
        name: "tidy",
        before: |fake, object| {
            load(&fake.system(), object, &job()).unwrap();
            load(&fake.system(), object, &next()).unwrap();
            fake.remove_cgroup("next");
            fs::create_dir(fake.root.join("cgroup/next")).unwrap();
            // And a load that was killed.
            fs::create_dir_all(fake.root.join("bpf/oomc/4711")).unwrap();
        },
        run: |system, _| tidy(system).map(|done| done.left),
    },
];

/// A machine before a command, with nothing of another one.
fn machine(command: &Command, profile: Profile, object: &Object) -> Fake {
    // Tests run at once.
    let test = std::thread::current().name().unwrap().replace("::", "_");
    let name = format!("failures_{test}_{}_{profile:?}", command.name.replace([' ', '-'], ""));
    let fake = Fake::new(&name);
    if profile == Profile::Generic {
        fake.becomes(&fixture("next.btf"));
    }
    (command.before)(&fake, object);
    fake.count.set(0);
    fake.calls.borrow_mut().clear();
    fake
}

/// Descriptors of this process that lead to an object or a folder of this kernel.
fn descriptors(fake: &Fake) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).filter(|to| to.starts_with(&fake.root)).count()
}

/// Names of the pins in a folder.
fn pins(fake: &Fake, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(fake.root.join("bpf/oomc").join(folder)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Objects that live on without anybody who has them open.
fn pinned(fake: &Fake) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let objects = fs::read_dir(fake.root.join("objects")).unwrap().flatten();
    objects.filter(|entry| entry.metadata().unwrap().nlink() > 1).count()
}

/// After a command that failed or died: what is attached is whole, and the commands for it remove the rest.
fn nothing_is_left(fake: &Fake, what: &str) {
    assert_eq!(descriptors(fake), 0, "{what}: open descriptors");
    if (fake.folders(), pinned(fake)) == (0, 0) {
        return;
    }
    let links = fake.links();
    for id in &links {
        let whole = ["", "b"].map(|version| is_whole(&pins(fake, &format!("{id}{version}"))));
        assert!(whole.contains(&true), "{what}: {:?}", fake.pins(*id));
    }
    let seen = status(&fake.fresh(), None).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((seen.attached.len(), seen.foreign.len()), (links.len(), 0), "{what}: {seen:?}");
    assert!(seen.left.iter().all(|left| left.ours), "{what}: {:?}", seen.left);
    tidy(&fake.fresh()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(fake.attached(), links.len(), "{what}: after a tidy");
    // A version before stays, with its pins.
    let versions = status(&fake.fresh(), None).unwrap().gone.iter().filter(|gone| gone.before).count();
    assert_eq!(fake.folders(), links.len() + versions, "{what}: after a tidy");
    unload(&fake.fresh(), None).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((fake.attached(), fake.folders(), pinned(fake)), (0, 0, 0), "{what}: after an unload");
}

/// The call's name without what it was about.
fn call_of(name: &str) -> &str {
    match name.split(' ').next().unwrap() {
        "PIN" => "BPF_OBJ_PIN",
        other => other,
    }
}

/// How it is said that something is not there: an answer, and no failure.
const NONE: &str = "has no policy that oomc loaded";
const NO_OPS: &str = "there is no `ops` beside it";
const A_LINK: &str = "it has a link, which could not be opened before";
const NO_PIN: [&str; 5] =
    ["has no ops", "has no link", "no version before", "already has a policy", "link failed: File exists"];

/// A sentence names the call that failed, what it was about and why; or says in words of its own what that errno means
/// there.
fn names(text: &str, call: &str, errno: i32) -> bool {
    let cause = io::Error::from_raw_os_error(errno).to_string();
    let said = text.contains(call) && text.contains(&cause) && text.contains(" of ");
    let otherwise: &[&str] = match (call, errno) {
        ("BPF_LINK_CREATE", libc::EEXIST) => &["already has a policy"],
        ("openat2", libc::ENOENT) => {
            &["does not exist", "somebody has removed it", "it is gone", NONE, NO_OPS, A_LINK]
        }
        ("openat2", libc::ELOOP | libc::ENOTDIR) => {
            &["is a link or a file", "is not a directory", "is a link"]
        }
        ("mkdirat", libc::EEXIST) => &["it is there already"],
        ("mkdirat", libc::EROFS) => &["mounted read-only"],
        ("BPF_OBJ_GET", libc::ENOENT) => &["it is gone", NONE, NO_OPS, A_LINK],
        _ => &[],
    };
    let absent = errno == libc::ENOENT && NO_PIN.iter().any(|words| text.contains(words));
    said || absent || otherwise.iter().any(|words| text.contains(words))
}

fn fail(
    command: &Command,
    profile: Profile,
    object: &Object,
    silent: &mut Vec<String>,
    chosen: fn(&str) -> bool,
) {
    let fake = machine(command, profile, object);
    (command.run)(&fake.fresh(), object).unwrap();
    let calls = fake.calls.borrow().clone();
    assert!(calls.len() > 10, "{}: {calls:?}", command.name);
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| chosen(call_of(call))) {
        let name = call_of(call);
        let (_, errnos) = ERRNOS.iter().find(|(call, _)| *call == name).unwrap_or_else(|| panic!("{name}"));
        // At the first of calls of one kind each errno, at the others two in turn, so that they all have theirs.
        let nth = calls.iter().take(at).filter(|before| call_of(before) == name).count();
        let some = if nth == 0 { errnos.len() } else { 2 };
        for errno in errnos.iter().cycle().skip(nth).take(some) {
            let what = format!("{} on {profile:?}, {call} ({at}) with {errno}", command.name);
            let fake = machine(command, profile, object);
            let before = fake.links();
            fake.fail.set(Some((at, *errno)));
            let result = (command.run)(&fake.fresh(), object);
            fake.fail.set(None);
            match &result {
                Err(error) if !names(&error.to_string(), name, *errno) => {
                    silent.push(format!("{what}: {error}"))
                }
                Ok(left) if !left.is_empty() => {
                    let told = left.iter().any(|left| names(&format!("{name} of {left}"), name, *errno));
                    if !told {
                        silent.push(format!("{what}: {left:?}"));
                    }
                }
                _ => {}
            }
            let after = fake.links();
            match command.name {
                "load" => assert_eq!(after.len(), usize::from(result.is_ok()), "{what}: {result:?}"),
                "tidy" => assert_eq!(after, before, "{what}: {result:?}"),
                "load --replace" | "rollback" => assert_eq!(after.len(), 1, "{what}: {result:?}"),
                _ => assert!(after.iter().all(|id| before.contains(id)), "{what}: {result:?}"),
            }
            if command.name == "load" && result.is_err() {
                assert_eq!((fake.folders(), pinned(&fake)), (0, 0), "{what}: left by a load that failed");
            }
            nothing_is_left(&fake, &what);
        }
    }
}

fn kill(command: &Command, profile: Profile, object: &Object) {
    let fake = machine(command, profile, object);
    (command.run)(&fake.fresh(), object).unwrap();
    // The two ways of attaching differ in a few calls; in the others a death in every third one is tried again.
    let calls = fake.calls.borrow().clone();
    let differs = |at: usize, call: &str| at.is_multiple_of(3) || OF_ATTACHING.contains(&call_of(call));
    let wanted = |(at, call): &(usize, &String)| profile == Profile::CgroupFlag || differs(*at, call);
    for (at, _) in calls.iter().enumerate().filter(wanted) {
        let what = format!("{} on {profile:?}, killed in call {at}", command.name);
        let fake = machine(command, profile, object);
        let before = fake.links();
        fake.die.set(Some(at));
        let system = fake.fresh();
        let outcome = catch_unwind(AssertUnwindSafe(|| (command.run)(&system, object).map(drop)));
        fake.die.set(None);
        assert!(outcome.is_err(), "{what}: it was never made");
        let after = fake.links();
        match command.name {
            // The link's pin is the last call.
            "load" => assert!(after.is_empty(), "{what}"),
            "tidy" => assert_eq!(after, before, "{what}"),
            // Where links cannot be led elsewhere there is a moment in which the cgroup has none.
            "load --replace" | "rollback" if profile == Profile::Generic => {
                assert_eq!(after.len(), 1, "{what}")
            }
            _ => assert!(after.iter().all(|id| before.contains(id)), "{what}"),
        }
        nothing_is_left(&fake, &what);
    }
}

/// Calls that only one of the two ways of attaching makes, or that it makes otherwise.
const OF_ATTACHING: [&str; 4] =
    ["BPF_PROG_QUERY", "BPF_LINK_CREATE", "BPF_LINK_DETACH", "BPF_OBJ_GET_INFO_BY_FD"];

fn fails(name: &str) {
    let (object, mut silent) = (object(), Vec::new());
    let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
    fail(command, Profile::CgroupFlag, &object, &mut silent, |_| true);
    fail(command, Profile::Generic, &object, &mut silent, |call| OF_ATTACHING.contains(&call));
    assert!(
        silent.is_empty(),
        "{} messages lack the call or its cause:\n{}",
        silent.len(),
        silent.join("\n")
    );
}

#[test]
fn whatever_call_of_a_load_fails() {
    fails("load");
}

#[test]
fn whatever_call_of_an_unload_fails() {
    fails("unload");
}

#[test]
fn whatever_call_of_an_unload_of_all_fails() {
    fails("unload --all");
}

#[test]
fn whatever_call_of_a_replacement_fails() {
    fails("load --replace");
}

#[test]
fn whatever_call_of_a_rollback_fails() {
    fails("rollback");
}

#[test]
fn whatever_call_of_a_tidy_fails() {
    fails("tidy");
}

#[test]
fn whoever_is_killed_between_any_two_calls_leaves_a_whole_policy_or_none() {
    let object = object();
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("killed in call") {
            eprintln!("{info}");
        }
    }));
    for command in &COMMANDS {
        for profile in Profile::ALL {
            kill(command, profile, &object);
        }
    }
}

/// What is read without system calls of the table above: files of the kernel, absent or unreadable.
#[test]
fn a_file_of_the_kernel_that_cannot_be_read_is_named() {
    let fake = Fake::new("failures_files");
    for (file, words) in [("vmlinux", "CONFIG_DEBUG_INFO_BTF"), ("mounts", "mounts"), ("status", "status")] {
        let place = fake.root.join(file);
        let bytes = fs::read(&place).unwrap();
        fs::remove_file(&place).unwrap();
        for folder in [false, true] {
            if folder {
                fs::create_dir(&place).unwrap();
            }
            let error = load(&fake.fresh(), &object(), &job()).unwrap_err().to_string();
            assert!(error.contains(words) || error.contains(&*place.to_string_lossy()), "{file}: {error}");
            assert_eq!((fake.attached(), fake.folders(), descriptors(&fake)), (0, 0, 0), "{file}");
        }
        fs::remove_dir(&place).unwrap();
        fs::write(&place, bytes).unwrap();
    }
    load(&fake.fresh(), &object(), &job()).unwrap();
}
