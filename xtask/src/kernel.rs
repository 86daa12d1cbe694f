//! The kernel under test: found ready-made, found in the cache, or built.
//!
//! Takes `tests/vm/kernel/` (patches, configuration, recorded sums) and Debian's source package;
//! gives a folder with `bzImage` and `vmlinux.btf`. The cache is keyed by a hash of all inputs, so
//! that a changed patch or source package never meets an old kernel.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use sha2::{Digest, Sha256};

use crate::{packages, say};

/// Debian's source archive of the kernel.
pub(crate) const SOURCE: &str = "/usr/src/linux-source-6.12.tar.xz";

/// Name of the folder inside the archive.
const TREE: &str = "linux-source-6.12";

/// The two files that a kernel is.
const PAIR: [&str; 2] = ["bzImage", "vmlinux.btf"];

/// What is switched on besides the configuration of the kernel under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Nothing: the kernel of the gate.
    Main,
    /// Lock order, RCU, sleeping while atomic, lifetimes of objects.
    Debug,
    /// Each access to memory is checked.
    Kasan,
    /// Allocations fail on demand.
    Failslab,
    /// What systemd wants of a kernel, and what it confines services with.
    Systemd,
}

impl Variant {
    const ALL: [Variant; 5] =
        [Variant::Main, Variant::Debug, Variant::Kasan, Variant::Failslab, Variant::Systemd];

    /// The name that a user writes, and that its configuration has.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Main => "main",
            Variant::Debug => "debug",
            Variant::Kasan => "kasan",
            Variant::Failslab => "failslab",
            Variant::Systemd => "systemd",
        }
    }

    /// The variant of this name.
    pub(crate) fn from_name(name: &str) -> Result<Variant, String> {
        Self::ALL.into_iter().find(|variant| variant.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Variant::name).join(", ");
            format!("`{name}` is no variant of the kernel: write one of {names}")
        })
    }

    /// Its configuration: later lines win.
    fn fragments(self) -> Vec<PathBuf> {
        let folder = inputs().join("config");
        let own = (self != Variant::Main).then(|| folder.join(format!("{}.config", self.name())));
        [folder.join("fragment.config")].into_iter().chain(own).collect()
    }

    /// What its files are called in `SHA256SUMS`.
    fn recorded(self, name: &str) -> String {
        if self == Variant::Main { name.to_owned() } else { format!("{}/{name}", self.name()) }
    }
}

/// `cargo xtask kernel [VARIANT]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let variant = args.first().map_or(Ok(Variant::Main), |name| Variant::from_name(name))?;
    let folder = ready_as(variant)?;
    say(&format!("The kernel under test is in {}", folder.display()));
    Ok(())
}

/// The folder with the kernel of the gate; builds it if need be.
pub(crate) fn ready() -> Result<PathBuf, String> {
    ready_as(Variant::Main)
}

/// The same for any variant.
pub(crate) fn ready_as(variant: Variant) -> Result<PathBuf, String> {
    if let Some(folder) = env::var_os("OOMC_KERNEL_DIR").map(PathBuf::from) {
        match is_recorded(&folder, variant) {
            Ok(()) => return Ok(folder),
            Err(why) => say(&format!("Not taking the kernel in {}: {why}", folder.display())),
        }
    }
    packages::need(&packages::BUILD)?;
    packages::need(&packages::KERNEL)?;
    let folder = cache()?;
    let cache = folder.join(key(variant)?);
    // What is there is whole: it comes in one step.
    let is_there = || PAIR.iter().all(|name| cache.join(name).exists());
    if is_there() {
        return Ok(cache);
    }
    let lock = folder.join("lock");
    let lock = File::create(&lock).map_err(|error| cannot("create", &lock, &error))?;
    if lock.try_lock().is_err() {
        say("Waiting for another build of the kernel under test.");
        lock.lock().map_err(|error| format!("cannot lock the cache of kernels: {error}"))?;
    }
    if is_there() {
        return Ok(cache);
    }
    build(&cache, variant)?;
    Ok(cache)
}

/// Does this folder hold the pair whose sums are recorded?
fn is_recorded(folder: &Path, variant: Variant) -> Result<(), String> {
    let sums = inputs().join("SHA256SUMS");
    let text = fs::read_to_string(&sums).map_err(|error| cannot("read", &sums, &error))?;
    for name in PAIR {
        let entry = variant.recorded(name);
        let recorded = text
            .lines()
            .filter_map(|line| line.split_once("  "))
            .find_map(|(sum, file)| (file == entry).then_some(sum))
            .ok_or_else(|| format!("{} has no line for {entry}", sums.display()))?;
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| cannot("read", &path, &error))?;
        if hex(&Sha256::digest(&bytes)) != recorded {
            return Err(format!("the SHA-256 of {name} is not the recorded one"));
        }
    }
    Ok(())
}

/// A hash of everything that the kernel is made from.
fn key(variant: Variant) -> Result<String, String> {
    let mut hash = Sha256::new();
    for path in patches()?.into_iter().chain(variant.fragments()).chain([PathBuf::from(SOURCE)]) {
        let mut file = File::open(&path).map_err(|error| cannot("open", &path, &error))?;
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        io::copy(&mut file, &mut Hasher(&mut hash)).map_err(|error| cannot("read", &path, &error))?;
    }
    hash.update(BUILD_VERSION);
    Ok(hex(&hash.finalize()).chars().take(16).collect())
}

/// Changes when the steps below change what they make.
const BUILD_VERSION: &str = "1";

struct Hasher<'a>(&'a mut Sha256);

impl io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn build(cache: &Path, variant: Variant) -> Result<(), String> {
    let work = cache.with_extension("build");
    let name = variant.name();
    say(&format!("Building the kernel under test ({name}); about five minutes on two cores, once."));
    if work.exists() {
        fs::remove_dir_all(&work).map_err(|error| cannot("remove", &work, &error))?;
    }
    let objects = work.join("objects");
    fs::create_dir_all(&objects).map_err(|error| cannot("create", &objects, &error))?;
    let tree = work.join(TREE);
    let start = Instant::now();
    let step = |what: &str| say(&format!("  {:4} s  {what}", start.elapsed().as_secs()));

    step("unpacking the source");
    unpack(&work)?;
    for patch in patches()? {
        step(&format!("patching: {}", patch.file_name().unwrap_or_default().to_string_lossy()));
        apply(&tree, &patch)?;
    }
    step("configuring");
    configure(&tree, &objects, variant)?;
    step("compiling");
    compile(&tree, &objects, start)?;
    step("collecting");
    let done = work.join("done");
    fs::create_dir_all(&done).map_err(|error| cannot("create", &done, &error))?;
    let image = objects.join("arch/x86/boot/bzImage");
    fs::copy(&image, done.join("bzImage")).map_err(|error| cannot("copy", &image, &error))?;
    let section = format!(".BTF={}", done.join("vmlinux.btf").display());
    let args = [
        OsStr::new("--dump-section"),
        section.as_ref(),
        objects.join("vmlinux").as_ref(),
        "/dev/null".as_ref(),
    ]
    .map(OsStr::to_owned);
    quiet(Command::new("objcopy").args(args), "objcopy")?;
    let config = objects.join(".config");
    fs::copy(&config, done.join("config")).map_err(|error| cannot("copy", &config, &error))?;

    // In one step, so that an interrupted build is never taken for a kernel.
    if cache.exists() {
        fs::remove_dir_all(cache).map_err(|error| cannot("remove", cache, &error))?;
    }
    fs::rename(&done, cache).map_err(|error| cannot("move", &done, &error))?;
    fs::remove_dir_all(&work).map_err(|error| cannot("remove", &work, &error))?;
    step("done");
    Ok(())
}

/// Unpacks what an x86-64 build reads; the rest is two thirds of the archive.
fn unpack(work: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(work);
    for arch in [
        "alpha",
        "arc",
        "arm",
        "arm64",
        "csky",
        "hexagon",
        "loongarch",
        "m68k",
        "microblaze",
        "mips",
        "nios2",
        "openrisc",
        "parisc",
        "powerpc",
        "riscv",
        "s390",
        "sh",
        "sparc",
        "xtensa",
    ] {
        // Not all of it: their crypto/ has Kconfig files that every configuration reads.
        for part in ["boot", "kernel", "include", "mm", "kvm", "lib", "platforms", "mach-*", "configs"] {
            tar.arg(format!("--exclude={TREE}/arch/{arch}/{part}"));
        }
    }
    for part in ["drivers/gpu/drm/amd/include", "tools/testing", "tools/perf", "Documentation/[a-z]*"] {
        tar.arg(format!("--exclude={TREE}/{part}"));
    }
    quiet(tar.arg("-xJf").arg(SOURCE), "tar")
}

/// Applies one patch, wholly or not at all.
fn apply(tree: &Path, patch: &Path) -> Result<(), String> {
    let file = File::open(patch).map_err(|error| cannot("open", patch, &error))?;
    let output = Command::new("patch")
        .args(["-p1", "--forward", "--no-backup-if-mismatch", "-d"])
        .arg(tree)
        .stdin(file)
        .output()
        .map_err(|error| format!("cannot start patch: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut place = "a file".to_owned();
    let mut failures = Vec::new();
    for line in text.lines() {
        if let Some(file) = line.strip_prefix("patching file ") {
            place = file.to_owned();
        } else if line.starts_with("Hunk") && line.contains("FAILED") {
            failures.push(format!("  {place}: {line}"));
        } else if line.starts_with("can't find file") {
            failures.push(format!("  {line}"));
        }
    }
    Err(format!(
        "{} does not apply to {SOURCE}: it was made for Linux 6.12.117, and this source differs at\n{}",
        patch.file_name().unwrap_or_default().to_string_lossy(),
        failures.join("\n")
    ))
}

/// `allnoconfig` with the fragments on top. Everything that they ask for must be granted: Kconfig drops silently what
/// a missing dependency forbids.
fn configure(tree: &Path, objects: &Path, variant: Variant) -> Result<(), String> {
    let mut texts = String::new();
    for path in variant.fragments() {
        texts += &fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
    }
    let fragment = objects.join("fragment.config");
    fs::write(&fragment, &texts).map_err(|error| cannot("write", &fragment, &error))?;
    quiet(
        make(tree, objects).arg(format!("KCONFIG_ALLCONFIG={}", fragment.display())).arg("allnoconfig"),
        "make allnoconfig",
    )?;
    let path = objects.join(".config");
    let granted = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
    let granted: Vec<&str> = granted.lines().collect();
    // Of two lines on one option the later one holds.
    let wanted: BTreeMap<&str, &str> = texts.lines().filter_map(|line| Some((option(line)?, line))).collect();
    let lost: Vec<&str> = wanted
        .into_values()
        .filter(|line| line.starts_with("CONFIG_") && !line.ends_with("=n") && !granted.contains(line))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!("the kernel's configuration did not take:\n  {}", lost.join("\n  ")))
}

/// The option that a line of a configuration is about: `CONFIG_X=y`, `# CONFIG_X is not set`.
fn option(line: &str) -> Option<&str> {
    let name = line.strip_prefix("# ").unwrap_or(line);
    name.starts_with("CONFIG_").then(|| name.split(['=', ' ']).next()).flatten()
}

fn compile(tree: &Path, objects: &Path, start: Instant) -> Result<(), String> {
    let jobs = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let log = objects.join("build.log");
    let errors = File::create(&log).map_err(|error| cannot("create", &log, &error))?;
    let mut child = make(tree, objects)
        .arg(format!("-j{jobs}"))
        .arg("bzImage")
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("cannot start make: {error}"))?;
    let output = child.stdout.take().ok_or("make has no output")?;
    let mut next = Duration::from_secs(0);
    let mut files = 0;
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        files += 1;
        if start.elapsed() >= next {
            say(&format!("  {:4} s  {files} files; {}", start.elapsed().as_secs(), line.trim()));
            next = start.elapsed() + Duration::from_secs(20);
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for make: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n");
    Err(format!("the kernel does not compile ({status}); the end of its log:\n{tail}"))
}

/// `make` for a reproducible build: no clock, user, host or language in it.
fn make(tree: &Path, objects: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(tree)
        .arg(format!("O={}", objects.display()))
        .arg("LOCALVERSION=")
        .env("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 2026")
        .env("KBUILD_BUILD_USER", "oom")
        .env("KBUILD_BUILD_HOST", "oom")
        .env("LC_ALL", "C");
    for name in ["KCONFIG_CONFIG", "ARCH", "CROSS_COMPILE", "MAKEFLAGS", "CFLAGS"] {
        make.env_remove(name);
    }
    make
}

/// Runs a program; its output is shown only when it fails.
fn quiet(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The patches in the order of their numbers.
fn patches() -> Result<Vec<PathBuf>, String> {
    let folder = inputs().join("patches");
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|error| cannot("list", &folder, &error))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    found.sort();
    Ok(found)
}

fn inputs() -> PathBuf {
    crate::build::root().join("tests/vm/kernel")
}

/// `$XDG_CACHE_HOME/oomc/kernel`, by default below `~/.cache`.
fn cache() -> Result<PathBuf, String> {
    let folder = cache_base()?.join("oomc/kernel");
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    Ok(folder)
}

/// Where caches lie.
pub(crate) fn cache_base() -> Result<PathBuf, String> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    base.ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let folder = env::temp_dir().join(format!("oomc-xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            Scratch(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_failed_hunk_is_a_sentence_with_patch_and_place() {
        let scratch = Scratch::new("hunk");
        fs::write(scratch.0.join("file.c"), "int one;\nint two;\n").expect("a file");
        let patch = scratch.0.join("0001-change.patch");
        let text = "--- a/file.c\n+++ b/file.c\n@@ -1,2 +1,2 @@\n int other;\n-int text;\n+int new;\n";
        fs::write(&patch, text).expect("a patch");
        let error = apply(&scratch.0, &patch).expect_err("it must not apply");
        assert!(error.contains("0001-change.patch does not apply"), "{error}");
        assert!(error.contains("file.c: Hunk #1 FAILED at 1"), "{error}");
    }

    #[test]
    fn a_pair_with_other_sums_is_not_taken() {
        let scratch = Scratch::new("pair");
        for name in PAIR {
            fs::write(scratch.0.join(name), b"something else").expect("a file");
        }
        let error = is_recorded(&scratch.0, Variant::Main).expect_err("other bytes");
        assert_eq!(error, "the SHA-256 of bzImage is not the recorded one");
    }
}
