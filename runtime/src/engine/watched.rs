//! What `on` blocks watch: whether an event holds at a look, read from the files of one cgroup, or of the machine.
//!
//! Owns the kernel's own triggers of pressure. Changes nothing else. A file that is not there (no PSI, no swap controller)
//! is an event that does not hold; [`Watched::new`] says so once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::watch::{Amount, Block, Clock, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::domain::Reach;
use super::shortage::until_used;
use crate::cgroup::number;

/// Nanoseconds between two looks at files of which nobody says that they have changed. The kernel averages pressure every two
/// seconds.
pub(super) const LOOK: i64 = 1_000_000_000;
/// The same at the shortest, where memory is used up fast.
const SHORTEST: i64 = 100_000_000;
/// After a block was asked in vain, it is left alone for so long: a cgroup above its `memory.high` wakes the engine a thousand
/// times a second.
const AGAIN: i64 = 100_000_000;

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
    /// What was seen at the last look.
    reach: Reach,
    /// When that was.
    looked: i64,
    /// When it is looked at next, if nothing is due before.
    next: i64,
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
        let (clock, reach) = (Clock::default(), Reach::Far);
        Ok(Self { block, clock, trigger, fires: false, fired: None, reach, looked: -1, next: 0 })
    }

    /// Has something urgent to say when the trigger fires.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.trigger.as_ref()?.as_fd())
    }

    /// Whoever waited has heard that the trigger fires: the kernel says it once.
    pub(super) fn hear(&mut self) {
        self.fires = true;
    }

    /// A look: whether the block is due. `limit` says how near the cgroup is to running out.
    pub(super) fn look(&mut self, subject: Subject<'_>, now: i64, limit: Reach) -> bool {
        if now < self.next_look() {
            return false;
        }
        let (reach, pause) = self.reach(subject, now, limit);
        (self.reach, self.looked, self.next) = (reach, now, now.saturating_add(pause));
        self.clock.look(&self.block, now, reach == Reach::There)
    }

    /// When it is looked at next: who looks before then reads nothing.
    pub(super) fn next_look(&self) -> i64 {
        let due = self.clock.due_at(&self.block).filter(|due| *due > self.looked);
        due.map_or(self.next, |due| due.min(self.next))
    }

    /// Whether its event is near, as far as that was seen.
    pub(super) fn is_near(&self) -> bool {
        self.reach > Reach::Far
    }

    /// The block was asked, and made no progress.
    pub(super) fn was_asked_in_vain(&mut self, now: i64) {
        self.next = self.next.max(now.saturating_add(AGAIN));
    }

    /// How near the event is, and for how long nobody has to look again. What somebody else looks at is there at each look.
    fn reach(&mut self, subject: Subject<'_>, now: i64, limit: Reach) -> (Reach, i64) {
        match self.block.event {
            Event::Pressure { full, average, above } => {
                let text = fs::read_to_string(subject.pressure()).unwrap_or_default();
                let value = pressure(&text, full, average.word()).unwrap_or_default();
                (reach(value > above, value > above / 2), LOOK)
            }
            Event::Stall { per, .. } => {
                let heard = std::mem::take(&mut self.fires);
                if self.trigger.as_ref().is_some_and(fires) || heard {
                    self.fired = Some(now);
                }
                // It fires once in a window at most: where it has to last, it is there until the next one is over.
                let lasts = if self.block.lasting == 0 { 0 } else { per + per / LATE };
                let fires = self.fired.is_some_and(|fired| now.saturating_sub(fired) <= lasts);
                // Nobody knows how near it is.
                (reach(fires, true), 0)
            }
            Event::Usage(amount) => amount_reach(amount, subject.usage(), subject.machine),
            Event::Swap(amount) => amount_reach(amount, subject.swap(), false),
            Event::Limit => (limit, 0),
        }
    }
}

fn reach(there: bool, near: bool) -> Reach {
    match (there, near) {
        (true, _) => Reach::There,
        (false, true) => Reach::Near,
        (false, false) => Reach::Far,
    }
}

/// Bytes in use, and what a share is of. The machine has no limit at which the kernel could wake anybody: so it is looked at
/// before the fastest growth has used up what is left.
fn amount_reach(amount: Amount, seen: Option<[i64; 2]>, fast: bool) -> (Reach, i64) {
    let Some([used, limit]) = seen else { return (Reach::Far, LOOK) };
    let most = match amount {
        Amount::Bytes(most) => most,
        Amount::Share(share) => limit / 1_000_000 * share,
    };
    let until = i64::try_from(until_used(most.saturating_sub(used)).as_nanos()).unwrap_or(i64::MAX);
    let pause = if fast { until.clamp(SHORTEST, LOOK) } else { LOOK };
    (reach(amount.is_below(used, limit), used > most / 2), pause)
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

    const MEBIBYTE: i64 = 1 << 20;

    #[test]
    fn what_is_far_away_is_looked_at_seldom() {
        let of = |used: i64, fast| {
            let [used, limit] = [used, 1000].map(|mebibytes| mebibytes * MEBIBYTE);
            amount_reach(Amount::Share(900_000), Some([used, limit]), fast)
        };
        assert_eq!(of(100, false), (Reach::Far, LOOK));
        assert_eq!(of(800, false), (Reach::Near, LOOK));
        assert_eq!(of(901, false), (Reach::There, LOOK));
        assert_eq!(of(800, true), (Reach::Near, SHORTEST));
        assert_eq!(amount_reach(Amount::Bytes(1 << 40), Some([0, 0]), true), (Reach::Far, LOOK));
        assert_eq!(amount_reach(Amount::Bytes(1), None, true), (Reach::Far, LOOK));
    }

    fn limit_block(lasting: i64) -> Watched {
        let block = Block { number: 1, event: Event::Limit, lasting, cooldown: None, rules: 0..1 };
        Watched::new(block, nowhere()).expect("it has no trigger")
    }

    fn nowhere() -> Subject<'static> {
        Subject { place: Path::new("/nowhere"), machine: false }
    }

    #[test]
    fn a_block_that_was_asked_in_vain_is_not_asked_at_each_of_a_thousand_wake_ups() {
        let mut watched = limit_block(0);
        let mut asked = 0;
        for at in 0..1000 {
            let now = at * 1_000_000;
            if watched.look(nowhere(), now, Reach::There) {
                asked += 1;
                watched.was_asked_in_vain(now);
            }
        }
        assert_eq!(asked, 10, "in a second");
        assert!(!watched.look(nowhere(), LOOK, Reach::Far));
        assert!(watched.look(nowhere(), LOOK + 1, Reach::There), "it was over meanwhile");
    }

    #[test]
    fn a_block_is_looked_at_when_it_may_be_due() {
        let mut watched = limit_block(3 * LOOK);
        assert!(!watched.look(nowhere(), 5, Reach::There));
        assert_eq!(watched.clock.due_at(&watched.block), Some(3 * LOOK + 5));
        assert!(watched.look(nowhere(), 3 * LOOK + 5, Reach::There));
    }

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
