//! What `cargo xtask package` makes: installed into empty folders, and run there; and the examples of how to run it
//! elsewhere.
//!
//! The packages are made of the debug build, which other tests have built already. Whether a package manager's scripts do
//! what they should on a running machine is seen by `cargo xtask boot`: in an empty folder there is no systemd to tell.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oomc_tests::{read, root};
use serde_json::Value;

/// A policy with a test, which the installed program checks and plays.
const POLICY: &str = r#"kill largest process in subtree reason "{comm} is the largest"
test "the largest goes" {
    given { "/job" { limit 1GiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect kill process "/job#100"
}
"#;

/// What every installation has.
const FILES: [&str; 9] = [
    "usr/bin/oomc",
    "usr/lib/systemd/system/oomc.service",
    "usr/lib/systemd/system/oomc-policies.service",
    "usr/share/man/man1/oomc.1.gz",
    "usr/share/man/man1/oomc-run.1.gz",
    "usr/share/man/man1/oomc-load.1.gz",
    "usr/share/bash-completion/completions/oomc",
    "usr/share/fish/vendor_completions.d/oomc.fish",
    "usr/share/doc/oomc/LICENSE-APACHE",
];

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a tool as root; where this is not root, as root of a namespace of its own.
fn as_root(args: &[&str]) -> String {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if is_root { "env" } else { "unshare" });
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The folder with packages, made anew.
fn packages(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages").join(name);
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["package", "--debug", "--to"]).arg(&folder).env("SOURCE_DATE_EPOCH", "1700000000");
    let output = xtask.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    folder
}

fn one(folder: &Path, end: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == end)).collect();
    assert_eq!(found.len(), 1, "one package: {found:?}");
    found.remove(0)
}

fn empty(folder: &Path) -> PathBuf {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    folder.to_owned()
}

/// An installation has its files, with modes that let root alone write; the program runs where nothing else is.
fn works(root: &Path) {
    for name in FILES {
        let data = fs::metadata(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mode = if name.contains("/bin/") { 0o755 } else { 0o644 };
        assert_eq!(data.permissions().mode() & 0o7777, mode, "{name}");
    }
    let policies = fs::metadata(root.join("etc/oomc/policies.d")).unwrap();
    assert!(policies.is_dir());
    assert_eq!(policies.permissions().mode() & 0o7777, 0o755);
    fs::write(root.join("job.oom"), POLICY).unwrap();
    let run = |args: &[&str]| as_root(&[&["chroot", text(root), "/usr/bin/oomc"], args].concat());
    assert!(run(&["--version"]).starts_with("oomc "));
    run(&["check", "/job.oom"]);
    assert!(run(&["test", "/job.oom"]).contains("1 passed"), "{}", run(&["test", "/job.oom"]));
}

/// The units of an installation, in it: their program is there, and so are the pages that they name. What a machine with
/// systemd has besides is put there.
fn units_are_sound(root: &Path) {
    for target in ["sysinit", "basic", "shutdown", "local-fs", "multi-user"] {
        let unit = root.join(format!("usr/lib/systemd/system/{target}.target"));
        fs::write(unit, "[Unit]\nDescription=stands in\nDefaultDependencies=no\n").unwrap();
    }
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(root.join("usr/bin/oomc"), root.join("bin/sh")).unwrap();
    for name in ["oomc.service", "oomc-policies.service"] {
        let unit = format!("/usr/lib/systemd/system/{name}");
        let place = format!("--root={}", root.display());
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no", &place, &unit]).output().unwrap();
        let of_ours: Vec<String> =
            said(&output).lines().filter(|line| line.contains("oomc")).map(str::to_owned).collect();
        assert!(of_ours.is_empty(), "{name}: {of_ours:?}");
        let unit = read(&root.join(unit.trim_start_matches('/')));
        for page in unit.lines().filter_map(|line| line.strip_prefix("Documentation=man:")) {
            let page = page.trim_end_matches("(1)");
            assert!(root.join(format!("usr/share/man/man1/{page}.1.gz")).exists(), "{name} names {page}");
        }
    }
}

#[test]
fn packages_install_into_empty_folders_and_their_programs_run_there() {
    let made = packages("made");
    debian(&made);
    rpm(&made);
    the_example_is_sound(&made);
    image(&made);
}

/// The image that the recipe makes of what lies beside the packages: the program and nothing else, which runs in it.
fn image(made: &Path) {
    if !Command::new("unshare").args(["--mount", "true"]).output().unwrap().status.success() {
        eprintln!(
            "the image is not made here: nothing may be mounted; `cargo xtask boot` runs it in a machine"
        );
        return;
    }
    let recipe = root().join("packaging/container/Containerfile");
    let (store, state) = (empty(&made.join("images")), empty(&made.join("images-state")));
    let policies = empty(&made.join("images-policies"));
    fs::write(policies.join("job.oom"), POLICY).unwrap();
    // As slow and as plain as it can be: no layers, and no runtime but chroot(2).
    let tool = ["buildah", "--root", text(&store), "--runroot", text(&state), "--storage-driver", "vfs"];
    let buildah = |args: &[&str]| as_root(&[&tool, args].concat());
    buildah(&["build", "--isolation", "chroot", "--tag", "oomc", "--file", text(&recipe), text(made)]);
    let about: Value =
        serde_json::from_str(&buildah(&["inspect", "--type", "image", "oomc"])).expect("a document");
    assert_eq!(about.pointer("/OCIv1/config/Entrypoint"), Some(&serde_json::json!(["/usr/bin/oomc"])));
    assert_eq!(about.pointer("/OCIv1/config/Cmd"), Some(&serde_json::json!(["run", "--all"])));
    let container = buildah(&["from", "--pull-never", "oomc"]);
    let tree = buildah(&["mount", container.trim()]);
    let files = as_root(&["find", tree.trim(), "-type", "f", "-printf", "%P %m\n"]);
    assert_eq!(files, "usr/bin/oomc 755\n");
    let folder = format!("{}:/policies:ro", policies.display());
    let run = |args: &[&str]| {
        let isolated = ["run", "--isolation", "chroot", "--volume", &folder, container.trim(), "--"];
        buildah(&[&isolated, ["/usr/bin/oomc"].as_slice(), args].concat())
    };
    assert!(run(&["--version"]).starts_with("oomc "));
    assert!(run(&["test", "/policies/job.oom"]).contains("1 passed"));
    buildah(&["rm", container.trim()]);
}

fn debian(made: &Path) {
    let package = one(made, "deb");
    let root = empty(&made.join("root-deb"));
    let state = root.join("var/lib/dpkg");
    fs::create_dir_all(state.join("info")).unwrap();
    fs::create_dir_all(state.join("updates")).unwrap();
    fs::write(state.join("status"), "").unwrap();
    let place = format!("--root={}", root.display());
    // There is no shell in it: the package's scripts are run outside, and are told so.
    let dpkg =
        |args: &[&str]| as_root(&[&["dpkg", place.as_str(), "--force-script-chrootless"], args].concat());
    dpkg(&["--install", text(&package)]);
    works(&root);
    units_are_sound(&root);
    // A file of a policy stays when the package goes, and nothing of the package does.
    let kept = root.join("etc/oomc/policies.d/job.toml");
    fs::write(&kept, "").unwrap();
    dpkg(&["--purge", "oomc"]);
    assert!(kept.exists());
    let left: Vec<&&str> = FILES.iter().filter(|name| root.join(name).exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    let fields = as_root(&["dpkg-deb", "--field", text(&package)]);
    assert!(!fields.contains("Depends"), "a static program needs nothing: {fields}");
}

fn rpm(made: &Path) {
    let package = one(made, "rpm");
    let listed = as_root(&["rpm", "--query", "--package", "--list", text(&package)]);
    for name in FILES {
        assert!(listed.lines().any(|line| line == format!("/{name}")), "{name}: {listed}");
    }
    let needs = as_root(&["rpm", "--query", "--package", "--requires", text(&package)]);
    let foreign: Vec<&str> =
        needs.lines().filter(|line| !line.starts_with("rpmlib(") && !line.starts_with("/bin/sh")).collect();
    assert!(foreign.is_empty(), "a static program needs nothing: {foreign:?}");
    let root = empty(&made.join("root-rpm"));
    // There is no shell in it for the package's scripts.
    let args =
        ["--root", text(&root), "--install", "--nodeps", "--noscripts", "--nosignature", text(&package)];
    as_root(&[&["rpm"], args.as_slice()].concat());
    works(&root);
    units_are_sound(&root);
}

#[test]
fn the_same_sources_give_the_same_packages() {
    let (one_run, other_run) = (packages("first"), packages("second"));
    for end in ["deb", "rpm"] {
        let bytes = |folder: &Path| fs::read(one(folder, end)).unwrap();
        assert!(bytes(&one_run) == bytes(&other_run), "two {end} of the same sources differ");
    }
}

/// The documents of a YAML file.
fn documents(path: &Path) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example() -> Vec<Value> {
    documents(&root().join("packaging/kubernetes/daemonset.yaml"))
}

#[test]
fn the_daemonset_is_one() {
    let schema: Value = serde_json::from_str(&read(&root().join("tests/schemas/daemonset.json"))).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let all = example();
    let set = all.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(set).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The schema looks: a mistyped member is found.
    let mut mistyped = set.clone();
    mistyped["spec"]["template"]["spec"]["hostPid"] = Value::Bool(true);
    assert!(!validator.is_valid(&mistyped));
}

/// The policies of the example lie where the program looks for them, and the program finds nothing wrong with them.
fn the_example_is_sound(made: &Path) {
    let all = example();
    let map = all.iter().find(|document| document["kind"] == "ConfigMap").unwrap();
    let set = all.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
    let mounts = set.pointer("/spec/template/spec/containers/0/volumeMounts").unwrap().as_array().unwrap();
    let folder = empty(&made.join("example"));
    for (name, file) in map["data"].as_object().unwrap() {
        let place = format!("/etc/oomc/policies.d/{name}");
        let mounted = mounts
            .iter()
            .any(|mount| mount["subPath"] == name.as_str() && mount["mountPath"] == place.as_str());
        assert!(mounted, "{name} is mounted where policies are looked for");
        fs::write(folder.join(name), file.as_str().unwrap()).unwrap();
    }
    let output = Command::new(made.join("oomc")).arg("check").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
