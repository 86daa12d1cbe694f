//! Which decisions were written already: number of the last one by load of a policy, in a file, so that a service that is started
//! again writes what was decided meanwhile, and nothing twice.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use oomc_runtime::events::{Followed, Seen};

use crate::exit::Failure;

/// Loads that are remembered: more than a machine has policies.
const MOST: usize = 10_000;

/// The numbers, and where they are kept.
pub(super) struct Told {
    place: PathBuf,
    last: BTreeMap<u32, u64>,
    changed: bool,
}

impl Told {
    /// Reads what a service before this one has left.
    pub(super) fn read(place: PathBuf) -> Self {
        let text = fs::read_to_string(&place).unwrap_or_default();
        let line = |line: &str| {
            let (load, number) = line.split_once(' ')?;
            Some((load.parse().ok()?, number.parse().ok()?))
        };
        Self { place, last: text.lines().filter_map(line).collect(), changed: false }
    }

    /// Whether this is new.
    pub(super) fn is_new(&mut self, of: &Followed, seen: &Seen) -> bool {
        match seen {
            Seen::Decision(record) => {
                let last = self.last.entry(of.load).or_default();
                let new = record.number > *last;
                *last = record.number.max(*last);
                self.changed |= new;
                new
            }
            // A load that is detached may come back, by a rollback.
            _ => true,
        }
    }

    /// Writes it down, if there is anything new.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        if !self.changed {
            return Ok(());
        }
        // Ids grow: the first ones are those of loads that are gone.
        while self.last.len() > MOST {
            self.last.pop_first();
        }
        let lines: String = self.last.iter().map(|(load, number)| format!("{load} {number}\n")).collect();
        let beside = self.place.with_extension("new");
        fs::write(&beside, lines)
            .and_then(|()| fs::rename(&beside, &self.place))
            .map_err(|error| Failure::refused(format!("cannot write {}: {error}", self.place.display())))?;
        self.changed = false;
        Ok(())
    }
}

/// A folder of the service's own.
pub(super) fn folder(place: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(place);
    made.map_err(|error| Failure::refused(format!("cannot make {}: {error}", place.display())))
}

#[cfg(test)]
mod tests {
    use oomc_abi::record::Record;

    use super::*;

    #[test]
    fn nothing_is_told_twice_also_by_the_next_service() {
        let place = std::env::temp_dir().join(format!("oomc-told-{}", std::process::id()));
        let _ = fs::remove_file(&place);
        let of = |load| Followed {
            cgroup: "/job".to_owned(),
            policy: "job@1".to_owned(),
            link: 1,
            load,
            declared: oomc_abi::declared::Declared::default(),
        };
        let decision = |number| Seen::Decision(Box::new(Record { number, ..Record::default() }));
        let mut told = Told::read(place.clone());
        assert!(told.is_new(&of(7), &decision(1)) && told.is_new(&of(7), &decision(2)));
        assert!(!told.is_new(&of(7), &decision(2)));
        assert!(told.is_new(&of(8), &decision(1)), "another load counts anew");
        assert!(told.is_new(&of(8), &Seen::Detached));
        assert!(!told.is_new(&of(8), &decision(1)), "it comes back by a rollback");
        told.keep().unwrap_or_else(|failure| panic!("{}", failure.message));
        let mut next = Told::read(place.clone());
        assert!(!next.is_new(&of(7), &decision(2)) && next.is_new(&of(7), &decision(3)));
        let _ = fs::remove_file(&place);
    }
}
