//! What the tasks need from Debian: installs it as root, otherwise names the command.

use std::path::Path;
use std::process::Command;

use crate::say;

/// A package, and a file by which one sees that it (or something as good) is there.
pub(crate) type Package = (&'static str, &'static str);

/// To link the static programs of the machine and the reference loader.
pub(crate) const BUILD: [Package; 7] = [
    ("gcc", "gcc"),
    ("libc6-dev", "/usr/lib/x86_64-linux-gnu/libc.a"),
    ("make", "make"),
    ("pkg-config", "pkg-config"),
    ("binutils", "objcopy"),
    ("libelf-dev", "/usr/lib/x86_64-linux-gnu/libelf.a"),
    ("zlib1g-dev", "/usr/lib/x86_64-linux-gnu/libz.a"),
];

/// To boot the machine.
pub(crate) const MACHINE: [Package; 1] = [("qemu-system-x86", "qemu-system-x86_64")];

/// To make packages, and to read them back.
pub(crate) const PACKAGE: [Package; 3] = [("dpkg", "dpkg-deb"), ("rpm", "rpmbuild"), ("gzip", "gzip")];

/// To build the kernel under test.
pub(crate) const KERNEL: [Package; 11] = [
    ("linux-source-6.12", crate::kernel::SOURCE),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("pahole", "pahole"),
    ("xz-utils", "xz"),
    ("zstd", "zstd"),
    ("patch", "patch"),
    ("libssl-dev", "/usr/include/openssl/opensslv.h"),
    ("libelf-dev", "/usr/include/libelf.h"),
    ("make", "make"),
];

/// To compare encodings and objects with LLVM's; an editor for the language server; a terminal for what is drawn there;
/// the reader of schemas for results of tests;
/// browsers for pictures and for the playground, which write in the fonts that there are; what reads units; what makes
/// images of containers; git, which runs a hook.
pub(crate) const TESTS: [Package; 11] = [
    ("git", "git"),
    ("buildah", "buildah"),
    ("systemd", "systemd-analyze"),
    ("llvm-19", "llvm-mc-19"),
    ("neovim", "nvim"),
    ("chromium-headless-shell", "chromium-headless-shell"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("bsdutils", "script"),
    ("libxml2-utils", "xmllint"),
    ("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
];

/// A browser for the book.
pub(crate) const BOOK: [Package; 3] = [
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
];

/// Makes sure that these are there.
///
/// # Errors
/// The sentence names what is missing and the command that installs it.
pub(crate) fn need(packages: &[Package]) -> Result<(), String> {
    let missing: Vec<&str> =
        packages.iter().filter(|(_, file)| !present(file)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root() {
        return Err(format!("missing Debian packages; install them with\n    sudo apt-get install {names}"));
    }
    say(&format!("Installing Debian packages: {names}"));
    apt(&["update", "-qq"])?;
    let mut args = vec!["install", "-qq", "-y", "--no-install-recommends"];
    args.extend(missing);
    apt(&args)
}

fn apt(args: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(|error| format!("cannot start apt-get: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`apt-get {}` failed:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// A path must exist; a bare name must be a program that the shell would find.
fn present(file: &str) -> bool {
    if file.starts_with('/') {
        return Path::new(file).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(file).exists())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
