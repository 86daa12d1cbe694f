//! Which decisions were written already: number of the last one by link, in a file, so that a service that is started
//! again writes what was decided meanwhile, and nothing twice.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use oomc_runtime::events::{Followed, Seen};

use crate::exit::Failure;

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
            let (link, number) = line.split_once(' ')?;
            Some((link.parse().ok()?, number.parse().ok()?))
        };
        Self { place, last: text.lines().filter_map(line).collect(), changed: false }
    }

    /// Whether this is new.
    pub(super) fn is_new(&mut self, of: &Followed, seen: &Seen) -> bool {
        match seen {
            Seen::Decision(record) => {
                let last = self.last.entry(of.link).or_default();
                let new = record.number > *last;
                *last = record.number.max(*last);
                self.changed |= new;
                new
            }
            Seen::Detached => {
                self.changed |= self.last.remove(&of.link).is_some();
                true
            }
            _ => true,
        }
    }

    /// Writes it down, if there is anything new.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let lines: String = self.last.iter().map(|(link, number)| format!("{link} {number}\n")).collect();
        let beside = self.place.with_extension("new");
        fs::write(&beside, lines)
            .and_then(|()| fs::rename(&beside, &self.place))
            .map_err(|error| Failure::refused(format!("cannot write {}: {error}", self.place.display())))
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
        let of = |link| Followed {
            cgroup: "/job".to_owned(),
            policy: "job@1".to_owned(),
            link,
            declared: oomc_abi::declared::Declared::default(),
        };
        let decision = |number| Seen::Decision(Box::new(Record { number, ..Record::default() }));
        let mut told = Told::read(place.clone());
        assert!(told.is_new(&of(7), &decision(1)) && told.is_new(&of(7), &decision(2)));
        assert!(!told.is_new(&of(7), &decision(2)));
        assert!(told.is_new(&of(8), &decision(1)), "another load counts anew");
        assert!(told.is_new(&of(8), &Seen::Detached));
        told.keep().unwrap_or_else(|failure| panic!("{}", failure.message));
        let mut next = Told::read(place.clone());
        assert!(!next.is_new(&of(7), &decision(2)) && next.is_new(&of(7), &decision(3)));
        assert_eq!(next.last.len(), 1, "what is detached is forgotten");
        let _ = fs::remove_file(&place);
    }
}
