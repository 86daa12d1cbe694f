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

/// The clock of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time passes as on the host; two processors.
    Host,
    /// One nanosecond passes with each instruction; one processor. Nothing of the host gets in: what happens, and
    /// after how many instructions, is the same in every boot.
    Instructions,
}

/// The machine that a run needs.
#[derive(Clone, Copy, Debug)]
pub struct Hardware {
    /// Its clock.
    pub clock: Clock,
    /// Its memory in MiB.
    pub memory: u32,
    /// How long one case may take, by the machine's own clock.
    pub limit: Duration,
    /// Further words of the kernel's command line. A kernel as it is shipped may have pressure switched off.
    pub words: &'static str,
    /// How long the guest may be silent, by the host's clock. The guest limits each case itself; this is for a dead
    /// machine.
    pub patience: Duration,
}

impl Hardware {
    /// What the cases of the repository run on.
    pub const CASES: Hardware = Hardware {
        clock: Clock::Host,
        memory: 640,
        // Emulation on a busy machine is slow; a case takes a second or two.
        limit: Duration::from_secs(120),
        words: "psi=1",
        patience: Duration::from_secs(240),
    };

    /// What the cases for kernels without the hook run on: a stock kernel is larger, and slower to boot.
    pub const STOCK: Hardware = Hardware { memory: 1024, patience: Duration::from_secs(420), ..Self::CASES };

    /// The emulator's words for processors and time.
    ///
    /// Two sockets because the kernel has no ACPI: its MP table lists one processor a socket. With the clock of
    /// instructions, the date, the entropy and the place of the kernel in memory are fixed, too, and there is no
    /// disk, whose answers come when the host has them.
    fn words(&self, swap: &Path) -> Vec<String> {
        let all: &[&str] = match self.clock {
            Clock::Host => &["-accel", "tcg,thread=multi", "-smp", "2,sockets=2"],
            Clock::Instructions => &[
                "-accel",
                "tcg,thread=single",
                "-icount",
                "shift=0,sleep=off",
                "-smp",
                "1",
                "-seed",
                "1",
                "-rtc",
                "base=2026-01-01,clock=vm",
            ],
        };
        let mut words: Vec<String> = all.iter().map(|word| (*word).to_owned()).collect();
        if self.clock == Clock::Host {
            words.extend(["-drive".to_owned(), format!("file={},format=raw,if=virtio", swap.display())]);
        }
        words.extend(["-m".to_owned(), format!("{}M", self.memory)]);
        words
    }

    /// The kernel's command line. Level 3 keeps the many reports of the OOM killer off the emulated console, where
    /// each byte costs; the guest reads them from /dev/kmsg. The timer of the local APIC would be calibrated for a fifth of
    /// a second, in a loop that takes the emulator more than a minute when it counts.
    fn command_line(&self) -> String {
        let fixed = match self.clock {
            Clock::Host => "",
            Clock::Instructions => " nokaslr tsc_early_khz=1000000 nolapic_timer",
        };
        let (limit, words) = (self.limit.as_secs(), self.words);
        format!("console=ttyS0 loglevel=3 log_buf_len=4M panic=-1 oops=panic {words}{fixed} {LIMIT}{limit}")
    }
}

/// The word of the kernel's command line that tells the guest how many seconds a case may take.
pub const LIMIT: &str = "oomc.limit=";

/// What to boot.
pub struct Config {
    /// The kernel image.
    pub kernel: PathBuf,
    /// Where the archive, the console and the swap disk are written.
    pub folder: PathBuf,
    /// The machine.
    pub hardware: Hardware,
}

/// A running machine.
pub struct Machine {
    child: Child,
    lines: Receiver<String>,
    console: PathBuf,
}

/// The emulator, without a word of what it shall run. It ends when the thread ends that starts it, also where that is killed:
/// nobody has to look for a machine that was left running.
#[must_use]
pub fn emulator() -> Command {
    ending_with_its_parent("qemu-system-x86_64")
}

fn ending_with_its_parent(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
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

        let mut child = emulator()
            .args(config.hardware.words(&swap))
            .arg("-kernel")
            .arg(&config.kernel)
            .arg("-initrd")
            .arg(&initrd)
            .args(["-append", &config.hardware.command_line()])
            .args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"])
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn what_is_started_ends_with_the_thread_that_started_it() {
        let start = || {
            let child = ending_with_its_parent("sleep").arg("60").spawn()?;
            // The wish to end with this thread counts only for a thread that lives when it is said,
            // and is said before `sleep` takes the program's place.
            let name = format!("/proc/{}/comm", child.id());
            while fs::read_to_string(&name)?.trim_end() != "sleep" {
                thread::sleep(Duration::from_millis(1));
            }
            io::Result::Ok(child)
        };
        let mut child = thread::spawn(start).join().expect("the thread").expect("a program");
        assert_eq!(child.wait().expect("its end").signal(), Some(9));
    }
}
