//! One boot of the kernel under test in qemu, under software emulation.
//!
//! Owns the emulator's process: it ends with the value. Gives the guest's lines as they come.
//! The kernel's own console goes to a file, the guest's report to the second serial port.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::report::Message;

/// Size of the swap disk in bytes; the file is sparse.
const SWAP_DISK: u64 = 256 << 20;

/// What to boot.
pub struct Config {
    /// The kernel image.
    pub kernel: PathBuf,
    /// Where the archive, the console and the swap disk are written.
    pub folder: PathBuf,
    /// The guest's memory in MiB.
    pub memory: u32,
}

/// A running machine.
pub struct Machine {
    child: Child,
    lines: Receiver<String>,
    console: PathBuf,
}

/// What came from the machine.
pub enum Event {
    /// A line of the guest.
    Message(Message),
    /// The emulator is gone without a last word of the guest.
    Stopped,
    /// Nothing came in the time given.
    Silent,
}

impl Machine {
    /// Starts the kernel with this archive.
    ///
    /// # Errors
    /// The sentence names the file or program that failed.
    pub fn boot(config: &Config, archive: &[u8]) -> Result<Machine, String> {
        let folder = &config.folder;
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let initrd = folder.join("initramfs.cpio");
        fs::write(&initrd, archive).map_err(|error| format!("cannot write {}: {error}", initrd.display()))?;
        let swap = folder.join("swap.img");
        fs::File::create(&swap)
            .and_then(|file| file.set_len(SWAP_DISK))
            .map_err(|error| format!("cannot write {}: {error}", swap.display()))?;
        let console = folder.join("console.log");

        // Two sockets because the kernel has no ACPI: its MP table lists one processor a socket.
        // Level 3 keeps the many reports of the OOM killer off the emulated console, where each
        // byte costs; the guest reads them from /dev/kmsg.
        let mut child = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg,thread=multi", "-smp", "2,sockets=2", "-m"])
            .arg(format!("{}M", config.memory))
            .arg("-kernel")
            .arg(&config.kernel)
            .arg("-initrd")
            .arg(&initrd)
            .args(["-append", "console=ttyS0 loglevel=3 log_buf_len=4M panic=-1 oops=panic"])
            .args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"])
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", swap.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start qemu-system-x86_64: {error}"))?;
        let output = child.stdout.take().ok_or("qemu has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(io::Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        Ok(Machine { child, lines, console })
    }

    /// The next event. Lines that are no message are passed over.
    pub fn next(&mut self, patience: Duration) -> Event {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => {
                    if let Ok(message) = serde_json::from_str(&line) {
                        return Event::Message(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Event::Silent,
                Err(RecvTimeoutError::Disconnected) => return Event::Stopped,
            }
        }
    }

    /// The last lines of the kernel's console.
    pub fn console_tail(&self, lines: usize) -> String {
        tail(&self.console, lines)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when the emulator has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let start = all.len().saturating_sub(lines);
    all.get(start..).unwrap_or_default().join("\n")
}
