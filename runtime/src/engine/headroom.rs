//! `memory.high` a little below a limit, and how it is put back.
//!
//! Before it is set, what was there and what will be there is written to a file; so an engine that died leaves enough for
//! the next one. It is put back only where it still is what was set: whoever changed it since knows better.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::domain::Domain;
use crate::cgroup::number;
use crate::error::{Error, Result};
use crate::page;

/// So many bytes below the limit, unless the operator says otherwise. Chosen, not measured.
pub const DEFAULT: u64 = 8 << 20;

/// Where it is told, and how much it is.
#[derive(Debug)]
pub(super) struct Headroom {
    folder: PathBuf,
    /// Id of the attached cgroup.
    attached: u64,
    bytes: u64,
}

/// What became of `memory.high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// So many bytes now.
    Set(u64),
    /// It was lower, and stays.
    Lower,
    /// It is what it should be.
    AsBefore,
}

impl Headroom {
    pub(super) fn new(folder: &Path, attached: u64, bytes: u64) -> Self {
        Self { folder: folder.to_owned(), attached, bytes }
    }

    /// The usage from which on a domain is about to run out: its headroom begins. Never more than an eighth of the limit.
    pub(super) fn from(&self, limit: u64) -> u64 {
        let page = page::size().cast_unsigned();
        let high = limit - self.bytes.min(limit / 8);
        high - high % page
    }

    /// Sets `memory.high` of a domain.
    pub(super) fn give(&self, domain: &Domain, limit: u64) -> Result<Given> {
        let file = domain.place.join("memory.high");
        let wanted = self.from(limit);
        let now = number(&file);
        let ours = self.note(domain.id).and_then(|note| fs::read_to_string(note).ok());
        let before = ours.as_deref().and_then(Note::read);
        let is_ours = before.as_ref().is_some_and(|note| now == Some(note.ours));
        match now {
            Some(now) if now == wanted && is_ours => return Ok(Given::AsBefore),
            Some(now) if now < wanted && !is_ours => return Ok(Given::Lower),
            _ => {}
        }
        let was = match before.filter(|_| is_ours) {
            Some(note) => note.was,
            None => now.map_or_else(|| "max".to_owned(), |now| now.to_string()),
        };
        let note = Note { place: domain.place.clone(), ours: wanted, was };
        let place = self.note_place(domain.id);
        fs::write(&place, note.text()).map_err(Error::file("write", &place))?;
        fs::write(&file, wanted.to_string()).map_err(Error::file("write", &file))?;
        Ok(Given::Set(wanted))
    }

    /// Puts back all that an engine of this cgroup has set.
    pub(super) fn put_back_all(&self) -> Result<()> {
        let prefix = format!("high-{}-", self.attached);
        let entries = fs::read_dir(&self.folder).map_err(Error::file("look into", &self.folder))?;
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            take_back(&entry.path())?;
        }
        Ok(())
    }

    /// Puts back what was set for one domain, which is gone or has no limit any more.
    pub(super) fn take_back(&self, domain: u64) -> Result<()> {
        let Some(place) = self.note(domain) else { return Ok(()) };
        take_back(&place)
    }

    fn note_place(&self, domain: u64) -> PathBuf {
        self.folder.join(format!("high-{}-{domain}", self.attached))
    }

    fn note(&self, domain: u64) -> Option<PathBuf> {
        Some(self.note_place(domain)).filter(|place| place.exists())
    }
}

/// Puts back what a note tells, and removes it.
fn take_back(place: &Path) -> Result<()> {
    let text = fs::read_to_string(place).map_err(Error::file("read", place))?;
    if let Some(note) = Note::read(&text) {
        put_back(&note)?;
    }
    fs::remove_file(place).map_err(Error::file("remove", place))
}

fn put_back(note: &Note) -> Result<()> {
    let file = note.place.join("memory.high");
    if number(&file) != Some(note.ours) {
        return Ok(());
    }
    match fs::write(&file, &note.was) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::file("write", &file)),
    }
}

/// What was there, and what was set.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    place: PathBuf,
    ours: u64,
    /// A number of bytes, or `max`.
    was: String,
}

impl Note {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.ours, self.was, self.place.display())
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.splitn(3, '\n');
        let ours = lines.next()?.parse().ok()?;
        let was = lines.next()?;
        let place = lines.next()?.strip_suffix('\n')?;
        let known = was == "max" || was.parse::<u64>().is_ok();
        (known && place.starts_with('/')).then(|| Self { place: place.into(), ours, was: was.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_keeps_most_of_itself() {
        let headroom = Headroom::new(Path::new("/run/oomc"), 1, DEFAULT);
        assert_eq!(headroom.from(100 << 20), 92 << 20);
        assert_eq!(headroom.from(8 << 20), 7 << 20);
    }

    #[test]
    fn what_is_noted_is_read_and_nothing_else() {
        let note = Note { place: "/sys/fs/cgroup/job".into(), ours: 4096, was: "max".to_owned() };
        assert_eq!(Note::read(&note.text()), Some(note));
        for text in ["", "1\n", "1\nmuch\n/a\n", "1\nmax\nrelative\n", "x\nmax\n/a\n", "1\nmax\n/cut"] {
            assert_eq!(Note::read(text), None, "{text:?}");
        }
    }
}
