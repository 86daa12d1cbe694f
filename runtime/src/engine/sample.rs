//! Numbers that only whoever looks again and again knows: rates of counters and growth of amounts, of the cgroups and
//! processes below the attached one, written into the map in which the program looks.
//!
//! Reads only the files that a policy asks for. What was looked at once has no course yet, and stands nowhere.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use oomc_abi::amounts::{File, ROWS};
use oomc_abi::fields::Owner;
use oomc_abi::watch::{Course, History, Sample};

use crate::cgroup::walk;
use crate::decide::Decider;
use crate::error::Result;
use crate::system::System;

/// An id, and the number of a sample.
type Key = (u64, u64);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    samples: Vec<Sample>,
    looks: HashMap<Key, History>,
    written: HashSet<Key>,
}

/// Where a sample is read.
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
        match samples.iter().find(|sample| source(sample).is_none()) {
            Some(sample) => Err(format!("no file tells the {} of a {}", sample.field, sample.owner.name())),
            None => Ok(Self { samples: samples.to_vec(), ..Self::default() }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// One look at everything below a cgroup, at a time in nanoseconds.
    pub(super) fn look(
        &mut self,
        system: &System<'_>,
        decider: &Decider,
        place: &Path,
        now: i64,
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let has = |owner| self.samples.iter().any(|sample| sample.owner == owner);
        let (cgroups, processes) = (has(Owner::Cgroup), has(Owner::Process));
        walk(place, "", &mut |place, _| {
            if cgroups && let Ok(data) = fs::metadata(place) {
                self.look_at(Owner::Cgroup, data.ino(), place, now, &mut seen);
            }
            let procs = if processes { fs::read_to_string(place.join("cgroup.procs")) } else { return };
            for pid in procs.unwrap_or_default().lines().filter_map(|line| line.parse().ok()) {
                let place = format!("/proc/{pid}");
                self.look_at(Owner::Process, pid, Path::new(&place), now, &mut seen);
            }
        });
        self.looks.retain(|key, _| seen.contains(key));
        self.write(system, decider)
    }

    fn look_at(&mut self, owner: Owner, id: u64, place: &Path, now: i64, seen: &mut HashSet<Key>) {
        let mut texts: HashMap<&str, String> = HashMap::new();
        for sample in self.samples.iter().filter(|sample| sample.owner == owner) {
            let Some(source) = source(sample) else { continue };
            let file = source.file();
            let text =
                texts.entry(file).or_insert_with(|| fs::read_to_string(place.join(file)).unwrap_or_default());
            let Some(value) = source.value(text) else { continue };
            let looks = self.looks.entry((id, sample.number)).or_default();
            looks.look(now, value);
            looks.forget_before(match sample.course {
                Course::Rate => 0,
                Course::Growth(window) => window,
            });
            seen.insert((id, sample.number));
        }
    }

    fn write(&mut self, system: &System<'_>, decider: &Decider) -> Result<()> {
        let bytes = |(id, number): Key| [id.to_ne_bytes(), number.to_ne_bytes()].concat();
        let mut written = HashSet::new();
        for (key, looks) in &self.looks {
            let course =
                self.samples.iter().find(|sample| sample.number == key.1).map(|sample| sample.course);
            let Some(value) = course.and_then(|course| looks.value(course)) else { continue };
            decider.sample(system, &bytes(*key), Some(value))?;
            written.insert(*key);
        }
        for gone in self.written.difference(&written) {
            decider.sample(system, &bytes(*gone), None)?;
        }
        self.written = written;
        Ok(())
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
        File::Statistics => "memory.stat",
        File::Events => "memory.events",
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
