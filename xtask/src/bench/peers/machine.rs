//! One boot of Debian with its own kernel, under software emulation. Its disk stays as it is.

use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use oomc_peers::report::Message;
use oomc_vm::machine::emulator;

use crate::build;

/// Its memory.
const MEMORY: &str = "1024M";
/// How long it may be silent: a trial beside a thousand cgroups under emulation takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);
/// The kernel's command line. Nobody logs in: without udev there is no unit of
/// the console's device, and whoever waits for it waits for ninety seconds.
const WORDS: &str = "console=ttyS0 loglevel=3 panic=-1 psi=1 root=/dev/nvme0n1 rootfstype=ext4 rw quiet \
                     systemd.show_status=0 systemd.mask=getty.target systemd.mask=serial-getty@ttyS0.service";

/// Ends the emulator with the value.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots, and hands out what the machine tells, until its last word.
pub(super) fn run(
    kernel: &Path,
    disk: &Path,
    on: &mut dyn FnMut(Message) -> Result<(), String>,
) -> Result<(), String> {
    let folder = build::scratch("peers");
    let console = folder.join("console.log");
    let mut command = emulator();
    command.args(["-accel", "tcg,thread=multi", "-smp", "2,sockets=2", "-m", MEMORY]);
    command.arg("-kernel").arg(kernel).args(["-append", WORDS]);
    // The only one: several are found in any order, and have other names in each boot.
    command.arg("-drive").arg(format!("file={},format=raw,if=none,id=disk,snapshot=on", disk.display()));
    command.args(["-device", "nvme,serial=disk,drive=disk"]);
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
        for line in BufReader::new(output).split(b'\n').map_while(io::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => match serde_json::from_slice(line.trim_ascii()) {
                Ok(Message::End) => return Ok(()),
                Ok(message) => on(message)?,
                // What systemd writes there is no message.
                Err(_) => {}
            },
            Err(RecvTimeoutError::Timeout) => return Err("the machine went silent".to_owned()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(format!("the machine stopped; its console is in {}", console.display()));
            }
        }
    }
}
