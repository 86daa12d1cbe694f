//! Numbers that only whoever looks again and again knows: rates of counters and growth of amounts, of the cgroups and
//! processes below the attached one, written into the map in which the program looks.
//!
//! Reads only the files that a policy asks for. What was looked at once has no course yet, and stands nowhere.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use oomc_abi::amounts::{self, ROWS};
use oomc_abi::fields::Owner;
use oomc_abi::watch::{Course, History, Sample};

use super::domain::Domain;
use crate::cgroup::walk_with_ids;
use crate::decide::Decider;
use crate::error::Result;
use crate::system::System;

/// An id, and the number of a sample.
type Key = (u64, u64);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// Those of one file together.
    samples: Vec<(Source, Sample)>,
    looks: HashMap<Key, History>,
    /// What stands in the map.
    written: HashMap<Key, i64>,
    /// A file that was read.
    text: Vec<u8>,
}

/// Most that one read gives: the kernel writes such a file into a page at first.
const PAGE: usize = 4096;

/// Where a sample is read.
#[derive(Debug)]
enum Source {
    /// A file of a cgroup, and keys in it whose values are added up.
    Keys(&'static str, &'static [&'static str]),
    /// A file of a cgroup with one number.
    Number(&'static str),
    /// Lines of `/proc/PID/status`, in kilobytes, which are added up.
    Status(&'static [&'static str]),
}

impl Sampler {
    /// The first of the samples that this engine cannot take, as an error.
    pub(super) fn new(samples: &[Sample]) -> std::result::Result<Self, String> {
        let told = |sample: &Sample| {
            let none = || format!("no file tells the {} of a {}", sample.field, sample.owner.name());
            source(sample).ok_or_else(none).map(|source| (source, sample.clone()))
        };
        let mut samples = samples.iter().map(told).collect::<std::result::Result<Vec<_>, String>>()?;
        samples.sort_by_key(|(source, _)| source.file());
        Ok(Self { samples, ..Self::default() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// One look at a cgroup and everything below it, at a time in nanoseconds.
    pub(super) fn look(
        &mut self,
        system: &System<'_>,
        decider: &Decider,
        own: &Domain,
        now: i64,
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let has = |owner| self.samples.iter().any(|(_, sample)| sample.owner == owner);
        let (cgroups, processes) = (has(Owner::Cgroup), has(Owner::Process));
        walk_with_ids(&own.place, "", own.id, &mut |place, _, id| {
            if cgroups {
                self.look_at(Owner::Cgroup, id, place, now, &mut seen);
            }
            let procs = if processes { fs::read_to_string(place.join("cgroup.procs")) } else { return };
            for pid in procs.unwrap_or_default().lines().filter_map(|line| line.parse().ok()) {
                let place = format!("/proc/{pid}");
                self.look_at(Owner::Process, pid, Path::new(&place), now, &mut seen);
            }
        });
        self.looks.retain(|key, _| seen.contains(key));
        self.write(|key, value| decider.sample(system, key, value))
    }

    fn look_at(&mut self, owner: Owner, id: u64, place: &Path, now: i64, seen: &mut HashSet<Key>) {
        // One after the other: samples of one file stand together, and it is read once.
        let mut read = None;
        for (source, sample) in self.samples.iter().filter(|(_, sample)| sample.owner == owner) {
            let file = source.file();
            if read.replace(file) != Some(file) {
                self.text.clear();
                // One that is gone has no values.
                let _ = File::open(place.join(file)).and_then(|file| whole(&file, &mut self.text));
            }
            let Some(value) = std::str::from_utf8(&self.text).ok().and_then(|text| source.value(text)) else {
                continue;
            };
            let looks = self.looks.entry((id, sample.number)).or_default();
            looks.look(now, value);
            looks.forget_before(match sample.course {
                Course::Rate => 0,
                Course::Growth(window) => window,
            });
            seen.insert((id, sample.number));
        }
    }

    /// Writes what differs from what stands there.
    fn write(&mut self, mut write: impl FnMut(&[u8], Option<i64>) -> Result<()>) -> Result<()> {
        let bytes = |(id, number): Key| [id.to_ne_bytes(), number.to_ne_bytes()].concat();
        let mut written = HashMap::new();
        for (key, looks) in &self.looks {
            let course = self.samples.iter().find(|(_, sample)| sample.number == key.1);
            let Some(value) = course.and_then(|(_, sample)| looks.value(sample.course)) else { continue };
            if self.written.get(key) != Some(&value) {
                write(&bytes(*key), Some(value))?;
            }
            written.insert(*key, value);
        }
        for gone in self.written.keys().filter(|key| !written.contains_key(key)) {
            write(&bytes(*gone), None)?;
        }
        self.written = written;
        Ok(())
    }
}

/// Reads a file to its end, into what has room from the last one: a file of the kernel's has no size that one could ask for.
fn whole(mut file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    text.reserve(PAGE);
    let mut space = [0; PAGE];
    loop {
        match file.read(&mut space)? {
            0 => return Ok(()),
            count => text.extend_from_slice(space.get(..count).unwrap_or_default()),
        }
    }
}

impl Source {
    fn file(&self) -> &'static str {
        match self {
            Self::Keys(file, _) | Self::Number(file) => file,
            Self::Status(_) => "status",
        }
    }

    fn value(&self, text: &str) -> Option<i64> {
        match self {
            Self::Number(_) => text.trim().parse().ok(),
            Self::Keys(_, keys) => keys.iter().try_fold(0_i64, |sum, key| {
                let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
                sum.checked_add(line.parse().ok()?)
            }),
            Self::Status(names) => names.iter().try_fold(0_i64, |sum, name| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                let kilobytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
                sum.checked_add(kilobytes.checked_mul(1024)?)
            }),
        }
    }
}

/// Of a process, what its fields are made of (`task_mem()`, fs/proc/task_mmu.c, 6.12).
const STATUS: &[(&str, &[&str])] = &[
    ("rss", &["RssAnon", "RssFile", "RssShmem"]),
    ("anon", &["RssAnon"]),
    ("file", &["RssFile"]),
    ("shmem", &["RssShmem"]),
    ("swap", &["VmSwap"]),
    ("pgtables", &["VmPTE"]),
    ("footprint", &["RssAnon", "RssFile", "RssShmem", "VmSwap", "VmPTE"]),
];

fn source(sample: &Sample) -> Option<Source> {
    let field = sample.field.as_str();
    if sample.owner == Owner::Process {
        return STATUS.iter().find(|(name, _)| *name == field).map(|(_, lines)| Source::Status(lines));
    }
    match field {
        "usage" => return Some(Source::Number("memory.current")),
        "swap" => return Some(Source::Number("memory.swap.current")),
        _ => {}
    }
    let row = ROWS.iter().find(|row| row.field.is_some_and(|known| known.name == field))?;
    let file = match row.file {
        amounts::File::Statistics => "memory.stat",
        amounts::File::Events => "memory.events",
    };
    Some(Source::Keys(file, row.keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn sample(owner: Owner, field: &str, course: Course) -> Sample {
        Sample { number: 0, owner, field: field.to_owned(), course }
    }

    #[test]
    fn what_files_tell_has_a_course() {
        let place = std::env::temp_dir().join(format!("oomc-sample-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a folder");
        let mut sampler = Sampler::new(&[
            sample(Owner::Cgroup, "usage", Course::Growth(3 * SECOND)),
            Sample { number: 1, ..sample(Owner::Cgroup, "pgscan", Course::Rate) },
        ])
        .expect("files tell both");
        for at in 0..10 {
            fs::write(place.join("memory.current"), format!("{}\n", at * at)).expect("writes");
            fs::write(place.join("memory.stat"), format!("anon 1\npgscan {}\n", 5 * at)).expect("writes");
            sampler.look_at(Owner::Cgroup, 7, &place, at * SECOND, &mut HashSet::new());
        }
        fs::remove_dir_all(&place).expect("removes");
        assert_eq!(sampler.looks[&(7, 0)].value(Course::Growth(3 * SECOND)), Some(81 - 36));
        assert_eq!(sampler.looks[&(7, 1)].value(Course::Rate), Some(5));
    }

    #[test]
    fn what_stands_in_the_map_is_not_written_again() {
        let mut sampler =
            Sampler::new(&[sample(Owner::Cgroup, "usage", Course::Growth(SECOND))]).expect("told");
        let mut write = |looks: &[(i64, i64)]| {
            sampler.looks.clear();
            if !looks.is_empty() {
                let history = sampler.looks.entry((7, 0)).or_default();
                looks.iter().for_each(|(at, value)| history.look(at * SECOND, *value));
            }
            let mut written = Vec::new();
            let mut note = |value| written.push(value);
            sampler
                .write(|_, value| {
                    note(value);
                    Ok(())
                })
                .expect("writes");
            written
        };
        assert_eq!(write(&[(0, 5)]), [], "one look is no course");
        assert_eq!(write(&[(0, 5), (1, 9)]), [Some(4)]);
        assert_eq!(write(&[(1, 9), (2, 13)]), [], "it grows as before");
        assert_eq!(write(&[(2, 13), (3, 13)]), [Some(0)]);
        assert_eq!(write(&[]), [None], "it is gone");
        assert_eq!(write(&[]), []);
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let place = std::env::temp_dir().join(format!("oomc-whole-{}", std::process::id()));
        fs::write(&place, "x".repeat(2 * PAGE + 1)).expect("writes");
        let mut text = Vec::new();
        whole(&File::open(&place).expect("a file"), &mut text).expect("reads");
        fs::remove_file(&place).expect("removes");
        assert_eq!(text.len(), 2 * PAGE + 1);
    }

    #[test]
    fn what_no_file_tells_is_refused() {
        assert!(Sampler::new(&[sample(Owner::Process, "age", Course::Rate)]).is_err());
        for (field, _) in STATUS {
            assert!(Sampler::new(&[sample(Owner::Process, field, Course::Rate)]).is_ok());
        }
        let text = "Name:\tx\nRssAnon:\t      12 kB\nRssFile:\t       4 kB\nRssShmem:\t       0 kB\n";
        assert_eq!(Source::Status(&["RssAnon", "RssFile", "RssShmem"]).value(text), Some(16 << 10));
        assert_eq!(Source::Status(&["VmSwap"]).value(text), None);
    }
}
