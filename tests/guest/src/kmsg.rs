//! Reads the kernel's log from `/dev/kmsg`, one record per read
//! (`Documentation/ABI/testing/dev-kmsg`, Linux 6.12).

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

/// The kernel prints at most ten OOM reports in five seconds (`oom_rs` of mm/oom_kill.c, 6.12).
const REPORTS: usize = 10;

/// How many of them one case may need.
const OWN_REPORTS: usize = 4;

/// The time in which they count, with some room.
const WINDOW: f64 = 5.2;

/// What the kernel prints when it is itself at fault.
const ALARMS: [&str; 6] =
    ["WARNING:", "BUG:", "Oops", "general protection", "possible deadlock", "blocked for more than"];

/// Stands for lines that nobody has read in time.
const LOST: &str = "(some lines of the kernel's log were lost)";

/// The first line by which the kernel says that it is itself at fault.
pub(crate) fn complaint(lines: &[String]) -> Option<&String> {
    lines.iter().find(|line| ALARMS.iter().any(|alarm| line.contains(alarm)))
}

/// Were there lines that nobody has read?
pub(crate) fn has_gap(lines: &[String]) -> bool {
    lines.iter().any(|line| line == LOST)
}

/// A reader that begins at the end of what was logged before.
pub(crate) struct Log {
    file: File,
}

impl Log {
    /// Opens the log at its present end.
    pub(crate) fn open() -> Result<Log, String> {
        let mut file = File::options()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg")
            .map_err(|error| format!("cannot open /dev/kmsg: {error}"))?;
        file.seek(SeekFrom::End(0)).map_err(|error| format!("cannot seek in /dev/kmsg: {error}"))?;
        Ok(Log { file })
    }

    /// Waits until the kernel will not leave out a report because of those of the cases before.
    pub(crate) fn wait_for_reports() -> Result<(), String> {
        let mut log = Log::open()?;
        log.file.seek(SeekFrom::Start(0)).map_err(|error| format!("cannot seek in /dev/kmsg: {error}"))?;
        let times: Vec<f64> = log
            .drain()
            .iter()
            .filter(|line| line.contains("invoked oom-killer"))
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        loop {
            let text =
                fs::read_to_string("/proc/uptime").map_err(|error| format!("/proc/uptime: {error}"))?;
            let now: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::MAX);
            let recent = times.iter().filter(|&&time| now - time < WINDOW).count();
            if recent + OWN_REPORTS <= REPORTS {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The lines that came since the last call.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(0) => return lines,
                Ok(size) => {
                    let text = String::from_utf8_lossy(record.get(..size).unwrap_or_default());
                    // priority,sequence,microseconds,flags;text, then lines of keys and values
                    let text = text.lines().next().unwrap_or_default();
                    let (head, text) = text.split_once(';').unwrap_or(("", text));
                    let time: u64 = head.split(',').nth(2).and_then(|time| time.parse().ok()).unwrap_or(0);
                    lines.push(format!("{:5}.{:06} {text}", time / 1_000_000, time % 1_000_000));
                }
                // Older records were overwritten: go on with what is there.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    lines.push(LOST.to_owned());
                }
                Err(_) => return lines,
            }
        }
    }
}
