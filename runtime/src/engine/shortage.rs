//! Whether the whole machine is about to run out of memory.
//!
//! The root has no `memory.high`, and pressure comes too late: a process that grows as fast as one CPU can touch pages meets the
//! kernel's killer first. So what is available is looked at, the oftener the less there is: a look is due before the fastest
//! growth could have used up what is above the reserve.
//!
//! Where there is swap, the machine is about to run out when both are nearly used up.

use std::time::Duration;

use super::domain::Reach;
use super::watched::meminfo;

/// The reserve: a twentieth of the memory, and of the swap.
const RESERVE: i64 = 20;
/// Bytes that are used up in a second at most: several CPUs that touch pages.
const FASTEST: i64 = 6 << 30;
/// Between two looks.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    pause: Duration,
}

impl Shortage {
    /// A look: how near the reserve is.
    pub(super) fn look(&mut self) -> Reach {
        let names = ["MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:"];
        let Some(seen) = meminfo(names) else {
            self.pause = SHORTEST;
            return Reach::Near;
        };
        let above = above_reserve(seen);
        self.pause = until_used(above).clamp(SHORTEST, LONGEST);
        let [total, _, swap_total, _] = seen;
        match above {
            ..=0 => Reach::There,
            above if above <= (total + swap_total) / 2 => Reach::Near,
            _ => Reach::Far,
        }
    }

    /// Until the next look.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }
}

/// How long the fastest growth takes for so many bytes.
pub(super) fn until_used(bytes: i64) -> Duration {
    let nanos = i128::from(bytes.max(0)) * 1_000_000_000 / i128::from(FASTEST);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How much can be used before the reserve is reached; of memory and swap together, since one is used up after the other.
fn above_reserve([total, available, swap_total, swap_free]: [i64; 4]) -> i64 {
    let memory = available - total / RESERVE;
    let swap = swap_free - swap_total / RESERVE;
    memory.max(0) + swap.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_swap_have_to_be_used_up() {
        assert_eq!(above_reserve([1000, 400, 0, 0]), 350);
        assert_eq!(above_reserve([1000, 40, 0, 0]), 0);
        assert_eq!(above_reserve([1000, 40, 1000, 100]), 50);
        assert_eq!(above_reserve([1000, 40, 1000, 50]), 0);
    }
}
