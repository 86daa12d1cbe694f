//! What became of a decision: looked at a second later by whoever follows a policy, and kept beside the record.
//!
//! | question | where it is looked up |
//! |---|---|
//! | how much memory is free below the limit that was met | `memory.max` less `memory.current` of that cgroup |
//! | does the victim still live | `/proc/PID/stat`, `cgroup.events` |
//! | did somebody else kill | `oom_kill` in `memory.events`, if the policy did nothing |
//!
//! What cannot be looked up is not known, and said so: nothing here is computed from what the policy expected. The free
//! memory is what is left of what came back: others may have taken some meanwhile.
//!
//! The map belongs to the loader; no program writes to it, so nobody loses a record by it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oomc_abi::maps::OUTCOMES;
use oomc_abi::record::{Action, KEPT, Record};

use crate::bpf::Bpf;
use crate::cgroup::{self, number, oom_kills};
use crate::error::Result;
use crate::events::Followed;
use crate::pins::Folder;
use crate::sys::MapAttr;
use crate::system::System;

/// So long after a decision it is looked what became of it.
pub const LATER: Duration = Duration::from_secs(1);

/// What became of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The record's.
    pub number: u64,
    /// Bytes below the limit that was met.
    pub room: Option<u64>,
    /// Whether the victim still lives: then nothing, or not all, of its memory is back.
    pub alive: Option<bool>,
    /// Processes that were killed in that cgroup although the policy killed none: by the kernel's own killer, or by
    /// another policy below.
    pub others_killed: Option<u64>,
}

/// Words of an outcome in the map: number, what is known, room, processes.
const WORDS: usize = 4;
const BYTES: u32 = WORDS as u32 * 8;
/// Bits of what is known.
const ROOM: u64 = 1;
const ALIVE_KNOWN: u64 = 2;
const ALIVE: u64 = 4;
const OTHERS: u64 = 8;

impl Outcome {
    fn words(&self) -> [u64; WORDS] {
        let bit = |is: bool, bit: u64| if is { bit } else { 0 };
        let known = bit(self.room.is_some(), ROOM)
            | bit(self.alive.is_some(), ALIVE_KNOWN)
            | bit(self.alive == Some(true), ALIVE)
            | bit(self.others_killed.is_some(), OTHERS);
        [self.number, known, self.room.unwrap_or(0), self.others_killed.unwrap_or(0)]
    }

    fn read([number, known, room, others]: [u64; WORDS]) -> Option<Self> {
        let is = |bit: u64| known & bit != 0;
        (number != 0).then(|| Self {
            number,
            room: is(ROOM).then_some(room),
            alive: is(ALIVE_KNOWN).then(|| is(ALIVE)),
            others_killed: is(OTHERS).then_some(others),
        })
    }

    /// Sentences about what was seen `when`; none: nothing is known.
    #[must_use]
    pub fn text(&self, when: &str, amount: impl Fn(u64) -> String) -> Option<String> {
        let room = self.room.map(|room| format!("{} were free below the limit", amount(room)));
        let alive = self.alive.map(|alive| match alive {
            true => "the victim still lived".to_owned(),
            false => "the victim was gone".to_owned(),
        });
        let others = self.others_killed.map(|count| match count {
            0 => "nobody had been killed".to_owned(),
            1 => "a process had been killed otherwise, as by the kernel's own killer".to_owned(),
            _ => format!("{count} processes had been killed otherwise, as by the kernel's own killer"),
        });
        let parts: Vec<String> = [room, alive, others].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("{when} {}", parts.join(", ")))
    }
}

/// The map: a slot for each record that is kept.
pub(crate) fn map() -> MapAttr<'static> {
    MapAttr { value_size: BYTES, max_entries: KEPT, ..MapAttr::array("oomc.outcomes") }
}

/// What became of the records that are kept.
pub(crate) fn kept(bpf: Bpf<'_>, folder: &Folder) -> Result<Vec<Outcome>> {
    let Some(map) = folder.open(bpf, OUTCOMES)? else { return Ok(Vec::new()) };
    let info = bpf.map_info(map.as_fd(), OUTCOMES)?;
    let mut found = Vec::new();
    if info.value_size != BYTES {
        return Ok(found);
    }
    let mut value = [0; BYTES as usize];
    for slot in 0..KEPT.min(info.max_entries) {
        bpf.element(map.as_fd(), slot, &mut value, OUTCOMES)?;
        let (words, _) = value.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        found.extend(words.try_into().ok().and_then(Outcome::read));
    }
    Ok(found)
}

/// Writes down what became of one.
pub(crate) fn keep(bpf: Bpf<'_>, map: &OwnedFd, outcome: &Outcome) -> Result<()> {
    let slot = (outcome.number % u64::from(KEPT)) as u32;
    let value: Vec<u8> = outcome.words().iter().flat_map(|word| word.to_ne_bytes()).collect();
    bpf.element_update(map.as_fd(), &slot.to_ne_bytes(), &value, OUTCOMES)
}

/// Decisions whose outcome is waited for.
#[derive(Debug, Default)]
pub struct Pending {
    all: Vec<Waiting>,
    /// `oom_kill` of the cgroups that have policies, from before any decision that is waited for.
    before: BTreeMap<PathBuf, u64>,
}

#[derive(Debug)]
struct Waiting {
    of: Followed,
    record: Box<Record>,
    due: Instant,
    /// Directory of the cgroup whose limit was met; none: the machine's memory, or it cannot be found.
    domain: Option<PathBuf>,
    /// The limit as it was met; none: there is none.
    limit: Option<u64>,
    /// `oom_kill` before the decision, if the policy did nothing and nothing else is waited for there.
    killed: Option<u64>,
}

impl Pending {
    /// A decision that was seen just now, unless nothing can become of it, or it was made long before.
    pub fn begin(&mut self, system: &System<'_>, of: &Followed, record: &Record) {
        let made = system.since_start().and_then(|now| now.checked_sub(Duration::from_nanos(record.last)));
        let Some(age) = made.filter(|age| *age < LATER) else { return };
        let place = |id| {
            let mount = cgroup::mount(system).ok()?;
            let path = cgroup::path(system, id)?;
            Some(mount.place().join(path.trim_start_matches('/')))
        };
        let domain = if record.system { None } else { place(record.domain) };
        let limit = domain.as_deref().and_then(|domain| number(&domain.join("memory.max")));
        // Of two decisions at once nobody can tell who has killed whom.
        let mut alone = true;
        for other in self.all.iter_mut().filter(|other| other.domain == domain) {
            (alone, other.killed) = (false, None);
        }
        let did_nothing = record.answer == 0 && alone;
        let killed =
            domain.as_deref().filter(|_| did_nothing).and_then(|place| self.before.get(place).copied());
        let due = Instant::now() + (LATER - age);
        self.all.push(Waiting {
            of: of.clone(),
            record: Box::new(record.clone()),
            due,
            domain,
            limit,
            killed,
        });
    }

    /// What became of those whose time has come.
    pub fn due(&mut self, system: &System<'_>) -> Vec<(Followed, Box<Record>, Outcome)> {
        let now = Instant::now();
        let (due, later) =
            std::mem::take(&mut self.all).into_iter().partition(|one: &Waiting| one.due <= now);
        self.all = later;
        due.into_iter().map(|one| (one.of.clone(), one.record.clone(), one.outcome(system))).collect()
    }

    /// Looks at the cgroups of these policies, while nothing is waited for: what was killed there before is nobody's
    /// concern.
    pub fn refresh<'f>(&mut self, system: &System<'_>, all: impl Iterator<Item = &'f Followed>) {
        if !self.all.is_empty() {
            return;
        }
        self.before.clear();
        let Ok(mount) = cgroup::mount(system) else { return };
        for one in all {
            let place = mount.place().join(one.cgroup.trim_start_matches('/'));
            if let Some(count) = oom_kills(&place) {
                self.before.insert(place, count);
            }
        }
    }

    /// How long to wait for the next one.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.all.iter().map(|one| one.due.saturating_duration_since(Instant::now())).min()
    }
}

impl Waiting {
    fn outcome(&self, system: &System<'_>) -> Outcome {
        let usage = self.domain.as_deref().and_then(|domain| number(&domain.join("memory.current")));
        let killed = self.domain.as_deref().and_then(oom_kills);
        Outcome {
            number: self.record.number,
            room: self.limit.zip(usage).map(|(limit, usage)| limit.saturating_sub(usage)),
            alive: self.alive(system),
            others_killed: self.killed.zip(killed).map(|(before, after)| after.saturating_sub(before)),
        }
    }

    /// Of what the policy killed itself.
    fn alive(&self, system: &System<'_>) -> Option<bool> {
        if self.record.audit || self.record.killed == 0 {
            return None;
        }
        match Action::from_code(self.record.action) {
            Some(Action::KillProcess) => {
                let stat = fs::read(format!("/proc/{}/stat", self.record.victim)).ok();
                // The state stands behind the name, which may hold anything.
                let state = stat.as_deref().and_then(|stat| {
                    let end = stat.iter().rposition(|byte| *byte == b')')?;
                    stat.get(end + 2)
                });
                Some(!matches!(state, None | Some(b'Z' | b'X')))
            }
            Some(Action::KillCgroup) => {
                let Some(path) = cgroup::path(system, self.record.victim) else { return Some(false) };
                let place = cgroup::mount(system).ok()?.place().join(path.trim_start_matches('/'));
                Some(cgroup::populated(&place) == Some(true))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all = [
            Outcome { number: 1, room: Some(5), alive: Some(false), others_killed: None },
            Outcome { number: 2, room: None, alive: Some(true), others_killed: Some(0) },
            Outcome { number: 3, ..Outcome::default() },
        ];
        for one in all {
            assert_eq!(Outcome::read(one.words()), Some(one));
        }
        assert_eq!(Outcome::read([0; WORDS]), None, "a slot that nobody has written");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let text = |outcome: Outcome| outcome.text("a second later", |bytes| format!("{bytes}B"));
        assert_eq!(text(Outcome::default()), None);
        let gone = Outcome { room: Some(7), alive: Some(false), ..Outcome::default() };
        let said = "a second later 7B were free below the limit, the victim was gone";
        assert_eq!(text(gone).as_deref(), Some(said));
    }
}
