//! `cargo xtask aarch64`: the program for arm64, and what of it can be tried without such a machine.
//!
//! Builds with Debian's cross linker and runs under an emulator of user programs: the same objects must come out as here,
//! byte for byte, and the tests of policies and of the packages below the command line must pass. What an emulator of user
//! programs has not is a kernel for arm64: nothing is loaded there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, Package};
use crate::{build, kernel, say};

const PACKAGES: [Package; 3] = [
    ("gcc-aarch64-linux-gnu", LINKER),
    ("libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/lib/libc.a"),
    ("qemu-user-static", EMULATOR),
];

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64-static";

/// Debian's compiler, and its standard library for both machines. What these need besides is found by
/// [`BESIDES`].
const COMPILER: [&str; 3] = ["rustc-web:amd64", "libstd-rust-web-dev:amd64", "libstd-rust-web-dev:arm64"];
/// Beginnings of the names of further packages, which have versions in them.
const BESIDES: [&str; 2] = ["libstd-rust-web-", "libllvm"];

/// Packages whose tests run under the emulator.
const TESTED: [&str; 5] = ["oomc-abi", "oomc-object", "oomc-sim", "oomc-snapshot", "oomc-runtime"];

/// `cargo xtask aarch64 [--release]`: without a word the debug build, whose tests run, too.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let release = match args {
        [] => false,
        [word] if word == "--release" => true,
        _ => return Err("`cargo xtask aarch64` takes `--release`, or nothing".to_owned()),
    };
    packages::need(&packages::BUILD)?;
    packages::need(&PACKAGES)?;
    let compiler = compiler()?;
    // Of its own: another compiler may have made it.
    let folder = build::target().join("aarch64");
    let cargo = |command: &str| {
        let mut cargo = build::plain_cargo(command);
        cargo
            .args(["--locked", "--target", TARGET])
            .env("CARGO_TARGET_DIR", &folder)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
        if release {
            cargo.arg("--release");
        }
        if let Some(compiler) = &compiler {
            compiler.used_by(&mut cargo);
        }
        cargo
    };
    build::loud(cargo("build").args(["-p", "oomc"]), "the build for arm64")?;
    build::loud(build::cargo("build").args(["-p", "oomc"]), "the build for this machine")?;
    let profile = if release { "release" } else { "debug" };
    let programs = Programs {
        other: folder.join(TARGET).join(profile).join("oomc"),
        own: build::program("debug", "oomc"),
        folder: build::scratch("aarch64"),
    };
    programs.compare()?;
    if !release {
        let packages = TESTED.iter().flat_map(|package| ["-p", package]);
        build::loud(cargo("test").args(packages).arg("--lib"), "tests under the emulator")?;
    }
    say(&format!("{}: made, and tried as far as an emulator can", programs.other.display()));
    Ok(())
}

/// A compiler that knows the target, in a folder.
struct Compiler {
    root: PathBuf,
}

impl Compiler {
    fn used_by(&self, cargo: &mut Command) {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        cargo.env("RUSTC", self.root.join("usr/bin/rustc")).env("LD_LIBRARY_PATH", libraries);
    }
}

/// None: the compiler that is there knows the target. Otherwise Debian's, fetched and unpacked, but not installed.
fn compiler() -> Result<Option<Compiler>, String> {
    let known = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    if Path::new(String::from_utf8_lossy(&known.stdout).trim()).exists() {
        return Ok(None);
    }
    let cache = kernel::cache_base()?.join("oomc/aarch64");
    let root = cache.join("root");
    if root.exists() {
        return Ok(Some(Compiler { root }));
    }
    say("This toolchain has no standard library for arm64: fetching Debian's compiler, which has one");
    let work = cache.join("part");
    let _ = fs::remove_dir_all(&work);
    for folder in ["lists/partial", "archives/partial", "packages"] {
        let folder = work.join(folder);
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    // Lists of their own: this machine need not know that there are packages for arm64.
    let settings = work.join("apt.conf");
    let text = format!(
        "APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; \"arm64\"; }};\nAPT::Sandbox::User \"root\";\n\
         Dir::State::Lists \"{0}/lists\";\nDir::State::status \"/dev/null\";\nDir::Cache \"{0}\";\n",
        work.display()
    );
    fs::write(&settings, text).map_err(|error| format!("cannot write {}: {error}", settings.display()))?;
    let apt = |program: &str, args: &[&str]| {
        let mut apt = Command::new(program);
        apt.args(args).env("APT_CONFIG", &settings).current_dir(work.join("packages"));
        output(&mut apt)
    };
    apt("apt-get", &["update", "-qq"])?;
    let mut names: Vec<String> = COMPILER.map(str::to_owned).to_vec();
    // What the compiler itself needs: libraries whose names have their versions in them.
    let mut at = 0;
    while let Some(name) = names.get(at).filter(|name| name.ends_with(":amd64")).cloned() {
        at += 1;
        let needs = apt("apt-cache", &["depends", "--no-recommends", "--no-suggests", &name])?;
        let needs = needs.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        for name in needs.filter(|name| BESIDES.iter().any(|begin| name.starts_with(begin))) {
            let name = format!("{}:amd64", name.split(':').next().unwrap_or(name));
            if !names.contains(&name) {
                names.insert(at, name);
            }
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    apt("apt-get", &[&["download", "-qq"], names.as_slice()].concat())?;
    let made = work.join("root");
    for entry in fs::read_dir(work.join("packages")).into_iter().flatten().flatten() {
        output(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&made))?;
    }
    fs::rename(&made, &root).map_err(|error| format!("cannot move {}: {error}", made.display()))?;
    let _ = fs::remove_dir_all(&work);
    Ok(Some(Compiler { root }))
}

/// The same program for two machines.
struct Programs {
    other: PathBuf,
    own: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Both make the same objects of each policy of the library and of the examples, for each size of pages, and the
    /// tests of these pass.
    fn compare(&self) -> Result<(), String> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("cannot create {}: {error}", self.folder.display()))?;
        let mut compared = 0;
        for pages in ["4096", "16384", "65536"] {
            for policy in policies()? {
                let [other, own] = [true, false].map(|emulated| {
                    let object = self.folder.join(if emulated { "other.o" } else { "own.o" });
                    let mut oomc = self.oomc(emulated);
                    oomc.arg("build").arg(&policy).args(["--page-size", pages, "-o"]).arg(&object);
                    output(&mut oomc)?;
                    fs::read(&object).map_err(|error| format!("cannot read {}: {error}", object.display()))
                });
                if other? != own? {
                    return Err(format!("{} becomes another object on arm64", policy.display()));
                }
                compared += 1;
            }
            let mut tests = self.oomc(true);
            output(tests.args(["test", "--page-size", pages, "stdlib/policies", "examples"]))?;
        }
        say(&format!("{compared} objects are the same, byte for byte, and the tests of the policies pass"));
        Ok(())
    }

    fn oomc(&self, emulated: bool) -> Command {
        let mut oomc = if emulated { Command::new(EMULATOR) } else { Command::new(&self.own) };
        if emulated {
            oomc.arg(&self.other);
        }
        oomc.current_dir(build::root());
        oomc
    }
}

fn policies() -> Result<Vec<PathBuf>, String> {
    let folder = build::root().join("stdlib/policies");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "oom"));
    paths.push(build::root().join("examples/headline/policy.oom"));
    paths.sort();
    Ok(paths)
}

/// What a command prints; it must end well.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stdout) + &text(&output.stderr);
    Err(format!("{command:?} ended with {}:\n{said}", output.status))
}
