//! What `on` blocks watch: whether an event holds at a look, read from the files of one cgroup, or of the machine.
//!
//! Owns the kernel's own triggers of pressure. Changes nothing else. A file that is not there (no PSI, no swap controller)
//! is an event that does not hold; [`Watched::new`] says so once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::watch::{Block, Clock, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cgroup::number;

/// A kernel that is late with a trigger is late by a tenth of its window at most (`psi_trigger_poll()` and its worker look that often,
/// `kernel/sched/psi.c`, 6.12).
const LATE: i64 = 10;

/// A block, and what is known of its event.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) block: Block,
    pub(super) clock: Clock,
    trigger: Option<File>,
    /// It has fired since the last look.
    fires: bool,
    /// When the kernel's trigger fired last.
    fired: Option<i64>,
}

/// Whose memory is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'p> {
    /// The cgroup's directory.
    pub(super) place: &'p Path,
    /// It is the whole machine.
    pub(super) machine: bool,
}

impl Watched {
    /// Sets the kernel's trigger, if the block has one.
    pub(super) fn new(block: Block, subject: Subject<'_>) -> io::Result<Self> {
        let trigger = match block.event {
            Event::Stall { full, above, per } => Some(trigger(subject, full, above, per)?),
            Event::Pressure { .. } => fs::metadata(subject.pressure()).map(|_| None)?,
            _ => None,
        };
        Ok(Self { block, clock: Clock::default(), trigger, fires: false, fired: None })
    }

    /// Has something urgent to say when the trigger fires.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.trigger.as_ref()?.as_fd())
    }

    /// Whoever waited has heard that the trigger fires: the kernel says it once.
    pub(super) fn hear(&mut self) {
        self.fires = true;
    }

    /// A look: whether the block is due. `at_limit` says whether the cgroup is about to run out.
    pub(super) fn look(&mut self, subject: Subject<'_>, now: i64, at_limit: bool) -> bool {
        let holds = self.holds(subject, now, at_limit);
        self.clock.look(&self.block, now, holds)
    }

    fn holds(&mut self, subject: Subject<'_>, now: i64, at_limit: bool) -> bool {
        match self.block.event {
            Event::Pressure { full, average, above } => {
                let text = fs::read_to_string(subject.pressure()).unwrap_or_default();
                pressure(&text, full, average.word()).is_some_and(|value| value > above)
            }
            Event::Stall { per, .. } => {
                let heard = std::mem::take(&mut self.fires);
                if self.trigger.as_ref().is_some_and(fires) || heard {
                    self.fired = Some(now);
                }
                // It fires once in a window at most: where it has to last, it is there until the next one is over.
                let lasts = if self.block.lasting == 0 { 0 } else { per + per / LATE };
                self.fired.is_some_and(|fired| now.saturating_sub(fired) <= lasts)
            }
            Event::Usage(amount) => subject.usage().is_some_and(|[used, limit]| amount.is_below(used, limit)),
            Event::Swap(amount) => subject.swap().is_some_and(|[used, limit]| amount.is_below(used, limit)),
            Event::Limit => at_limit,
        }
    }
}

impl Subject<'_> {
    fn pressure(&self) -> PathBuf {
        if self.machine { "/proc/pressure/memory".into() } else { self.place.join("memory.pressure") }
    }

    /// Bytes in use, and the limit; of the machine, what is not available of its memory.
    fn usage(&self) -> Option<[i64; 2]> {
        if self.machine {
            let [total, available] = meminfo(["MemTotal:", "MemAvailable:"])?;
            return Some([total.saturating_sub(available), total]);
        }
        Some([self.bytes("memory.current")?, self.bytes("memory.max").unwrap_or(i64::MAX)])
    }

    /// The same of swap. A cgroup without a limit may use all that there is.
    fn swap(&self) -> Option<[i64; 2]> {
        let [total, free] = meminfo(["SwapTotal:", "SwapFree:"])?;
        if self.machine {
            return Some([total.saturating_sub(free), total]);
        }
        Some([self.bytes("memory.swap.current")?, self.bytes("memory.swap.max").unwrap_or(total).min(total)])
    }

    fn bytes(&self, file: &str) -> Option<i64> {
        i64::try_from(number(&self.place.join(file))?).ok()
    }
}

/// Lines of `/proc/meminfo`, in bytes.
pub(super) fn meminfo<const N: usize>(names: [&str; N]) -> Option<[i64; N]> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let mut values = [0; N];
    for (value, name) in values.iter_mut().zip(names) {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        *value = line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1024)?;
    }
    Some(values)
}

/// `some avg10=1.25 avg60=0.30 …`: an average in parts per million.
fn pressure(text: &str, full: bool, average: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(if full { "full " } else { "some " }))?;
    let value = line.split(' ').find_map(|word| word.strip_prefix(average)?.strip_prefix('='))?;
    // Two digits behind the point, always (`psi_show()`, kernel/sched/psi.c, 6.12).
    let (whole, hundredths) = value.split_once('.')?;
    let percent = whole.parse::<i64>().ok()?.checked_mul(100)? + hundredths.parse::<i64>().ok()?;
    percent.checked_mul(100)
}

fn trigger(subject: Subject<'_>, full: bool, above: i64, per: i64) -> io::Result<File> {
    let mut file =
        File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(subject.pressure())?;
    let kind = if full { "full" } else { "some" };
    // Microseconds. One write is one trigger.
    file.write_all(format!("{kind} {} {}\0", above / 1000, per / 1000).as_bytes())?;
    Ok(file)
}

fn fires(trigger: &File) -> bool {
    let mut poll_fd = [PollFd::new(trigger, PollFlags::PRI)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ready = matches!(poll(&mut poll_fd, Some(&now)), Ok(count) if count > 0);
    ready && poll_fd.iter().all(|fd| fd.revents().contains(PollFlags::PRI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_read_as_the_kernel_writes_them() {
        let text = "some avg10=1.25 avg60=0.30 avg300=0.05 total=123\nfull avg10=100.00 avg60=0.00 avg300=0.00 total=5\n";
        assert_eq!(pressure(text, false, "avg10"), Some(12_500));
        assert_eq!(pressure(text, false, "avg300"), Some(500));
        assert_eq!(pressure(text, true, "avg10"), Some(1_000_000));
        assert_eq!(pressure("", true, "avg10"), None);
        assert_eq!(pressure("full avg10=x.yz\n", true, "avg10"), None);
    }
}
