//! `cargo xtask boot`: oomc's package, and then its image, on a machine with systemd, on the kernel under test; with
//! `--stock` on one as Debian ships it.
//!
//! Makes a disk of Debian, the package, what the image is made of, and what lies in `tests/boot`; boots it once for each file
//! of steps there, and tells each step as it is made. What is a failure is decided by the steps; here it only counts that
//! each boot came to its end.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::kernel::{self, Variant};
use crate::{build, debian, package, packages, say, stock, vm};

/// What is installed besides what every Debian has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,podman,crun";
/// What lies on the disk besides Debian.
const FILES: &str = "tests/boot";
/// The steps of each boot, in their order.
const BOOTS: [&str; 3] = ["1.sh", "2.sh", "3.sh"];
/// What tells that all steps of a boot were made.
const END: &str = "END";
/// The disk's size, and the machine's memory.
const SIZE: &str = "1400M";
const MEMORY: &str = "1024M";
/// How long the machine may be silent: it is emulated, and one step waits for the watchdog.
const PATIENCE: Duration = Duration::from_secs(300);
/// The kernel's command line. Nobody logs in: without udev there is no unit of the console's device, and whoever waits for
/// it waits for ninety seconds.
const WORDS: &str = "console=ttyS0 loglevel=3 log_buf_len=4M panic=-1 psi=1 no_timer_check rootfstype=ext4 rw quiet \
                     systemd.show_status=0 systemd.mask=getty.target systemd.mask=serial-getty@ttyS0.service";

/// `cargo xtask boot [--stock] [--release]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut on_stock, mut release) = (false, false);
    for arg in args {
        match arg.as_str() {
            vm::ON_STOCK => on_stock = true,
            "--release" => release = true,
            other => return Err(format!("boot takes `{}` and `--release`, not `{other}`", vm::ON_STOCK)),
        }
    }
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    packages::need(&debian::TOOLS)?;
    let kernel = match on_stock {
        true => Kernel { image: stock::image()?, device: "nvme,serial=disk", root: "/dev/nvme0n1" },
        false => Kernel {
            image: kernel::ready_as(Variant::Systemd)?.join("bzImage"),
            device: "virtio-blk-pci",
            root: "/dev/vda",
        },
    };
    let folder = build::scratch("boot");
    let disk = disk(&folder, &packaged(&folder, release)?, on_stock)?;
    let (mut made, mut failed) = (0, 0);
    for boot in BOOTS {
        say(&format!("Booting for {FILES}/steps/{boot} …"));
        steps(&folder, &kernel, &disk, boot, &mut |line| {
            made += usize::from(line.starts_with("ok "));
            failed += usize::from(line.starts_with("FAILS "));
            say(&format!("   {line}"));
        })?;
    }
    say(&format!("{made} steps went well, {failed} did not"));
    if failed == 0 { Ok(()) } else { Err(format!("{failed} steps failed")) }
}

/// What is booted, and how it finds its disk without modules.
struct Kernel {
    image: PathBuf,
    device: &'static str,
    root: &'static str,
}

/// The Debian package.
fn packaged(folder: &Path, release: bool) -> Result<PathBuf, String> {
    let to = folder.join("package");
    let debug = (!release).then(|| "--debug".to_owned());
    let args: Vec<String> = debug.into_iter().chain(["--to".to_owned(), to.display().to_string()]).collect();
    package::run(&args)?;
    let files = fs::read_dir(&to).map_err(|error| cannot("look into", &to, &error))?;
    let mut files = files.flatten().map(|entry| entry.path());
    files
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or_else(|| format!("no Debian package was made in {}", to.display()))
}

/// Debian, what lies in [`FILES`], the package and what the image is made of, on a disk.
fn disk(folder: &Path, package: &Path, on_stock: bool) -> Result<PathBuf, String> {
    let debian = debian::folder("boot", PACKAGES)?;
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(|error| cannot("remove", &tree, &error))?;
    }
    debian::quiet(Command::new("cp").arg("-a").arg(&debian).arg(&tree), "cp")?;
    for part in ["etc", "steps"] {
        // Nobody but root may write to policies, or oomc refuses them.
        let mut copy = Command::new("cp");
        copy.args(["-r", "--no-preserve=all"]).arg(build::root().join(FILES).join(part)).arg(&tree);
        debian::quiet(&mut copy, "cp")?;
    }
    let steps = tree.join("steps");
    let image = steps.join("image");
    fs::create_dir_all(&image).map_err(|error| cannot("create", &image, &error))?;
    let program = package.with_file_name("oomc");
    let recipe = build::root().join("packaging/container/Containerfile");
    for (from, to) in [
        (package, steps.join("oomc.deb")),
        (&program, image.join("oomc")),
        (&recipe, image.join("Containerfile")),
    ] {
        fs::copy(from, &to).map_err(|error| cannot("copy", from, &error))?;
    }
    let hook = if on_stock { "no" } else { "yes" };
    // Each boot counts itself.
    let run = format!(
        "cd /steps\nHOOK={hook}\n. ./words.sh\nboot=$(($(cat boot) + 1))\necho $boot > boot\n. ./$boot.sh\necho {END}\n\
         sync\nsystemctl reboot\n"
    );
    for (name, text) in [("run", run.as_str()), ("boot", "0\n")] {
        let path = steps.join(name);
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
    }
    // What Debian's packages start by themselves is not what is looked at.
    let units = tree.join("etc/systemd/system");
    for target in ["multi-user", "default", "timers", "sockets"] {
        let wants = units.join(format!("{target}.target.wants"));
        if wants.exists() {
            fs::remove_dir_all(&wants).map_err(|error| cannot("remove", &wants, &error))?;
        }
    }
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants).map_err(|error| cannot("create", &wants, &error))?;
    for unit in ["steps.service", "web.service"] {
        let link = wants.join(unit);
        symlink(format!("/etc/systemd/system/{unit}"), &link)
            .map_err(|error| cannot("link", &link, &error))?;
    }
    let disk = folder.join("disk.img");
    debian::image(&tree, &disk, SIZE)?;
    fs::remove_dir_all(&tree).map_err(|error| cannot("remove", &tree, &error))?;
    Ok(disk)
}

/// Ends the emulator with the value.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One boot: hands out each line of its steps, and waits until the machine has ended by itself.
fn steps(
    folder: &Path,
    kernel: &Kernel,
    disk: &Path,
    boot: &str,
    on: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let console = folder.join(format!("{boot}.console"));
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", "tcg,thread=multi", "-smp", "2,sockets=2", "-m", MEMORY]);
    command.arg("-kernel").arg(&kernel.image).arg("-append").arg(format!("{WORDS} root={}", kernel.root));
    command.arg("-drive").arg(format!("file={},format=raw,if=none,id=disk", disk.display()));
    command.arg("-device").arg(format!("{},drive=disk", kernel.device));
    command.args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot", "-serial"]);
    command.arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start qemu-system-x86_64: {error}"))?;
    let mut emulator = Emulator(child);
    let output = emulator.0.stdout.take().ok_or("qemu has no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line.trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let mut told = File::create(folder.join(format!("{boot}.log")))
        .map_err(|error| format!("cannot write the log of {boot}: {error}"))?;
    let mut ended = false;
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line == END => ended = true,
            Ok(line) => {
                writeln!(told, "{line}")
                    .map_err(|error| format!("cannot write the log of {boot}: {error}"))?;
                on(&line);
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the machine went silent; its console is in {}", console.display()));
            }
            Err(RecvTimeoutError::Disconnected) if ended => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(format!(
                    "the machine ended before its steps did; its console is in {}",
                    console.display()
                ));
            }
        }
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
