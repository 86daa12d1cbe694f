//! `oomc test --watch`: waits until something changes that tests depend on.
//!
//! Folders of policies are watched, not files: editors write a new file and rename it. What happens in one of them starts a
//! run only if a file is not as it was, so that an object or a swap file beside a policy starts none. The settings, which
//! may lie far above, and the types of a kernel, which lie anywhere, are looked at once a second: a watch of such a folder
//! would wake for whatever others do there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oomc_runtime::watch::{self, Watch};

use crate::args::Test;
use crate::exit::Failure;
use crate::{files, settings};

/// Editors write a file in several steps; so long nothing may happen before the tests run.
const QUIET: Duration = Duration::from_millis(100);
/// How often what is not watched is looked at.
const EACH: Duration = Duration::from_secs(1);
/// What tests are made of.
const ENDINGS: [&str; 3] = ["oom", "oomt", "toml"];

/// Files, each with when it was written and how long it is.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// What is waited for.
pub(super) struct Watcher {
    watch: Watch,
    /// Files and folders as the command line names them.
    named: Vec<PathBuf>,
    /// The types of a kernel that it names.
    btf: Option<PathBuf>,
    /// Where policies were.
    folders: BTreeSet<PathBuf>,
    before: Files,
    around: Files,
}

impl Watcher {
    /// Sees what changes from now on.
    pub(super) fn new(args: &Test) -> Result<Self, Failure> {
        let named = if args.files.is_empty() { vec![PathBuf::from(".")] } else { args.files.clone() };
        let (btf, folders) = (args.kernel.btf.clone(), BTreeSet::new());
        let (watch, before, around) = (Watch::new()?, Files::new(), Files::new());
        let mut watcher = Self { watch, named, btf, folders, before, around };
        watcher.before = watcher.look()?;
        watcher.around = watcher.look_around();
        Ok(watcher)
    }

    /// Returns when something has changed and nothing happens any more.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        loop {
            watch::wait(&[self.watch.as_fd()], EACH)?;
            let mut happened = false;
            while self.watch.happened()? {
                happened = true;
                watch::wait(&[self.watch.as_fd()], QUIET)?;
            }
            let now = if happened { self.look()? } else { self.before.clone() };
            let around = self.look_around();
            if (&now, &around) == (&self.before, &self.around) {
                continue;
            }
            (self.before, self.around) = (now, around);
            // What is still being written is read when it is whole.
            loop {
                watch::wait(&[self.watch.as_fd()], QUIET)?;
                let around = self.look_around();
                if around == self.around {
                    return Ok(());
                }
                self.around = around;
            }
        }
    }

    /// The files as they are; folders that have come are watched from here on.
    fn look(&mut self) -> Result<Files, Failure> {
        let mut folders = BTreeSet::new();
        let mut found = BTreeSet::new();
        for named in &self.named {
            if named.is_dir() {
                folders.insert(named.clone());
                // A folder that has just gone has no files.
                found.extend(files::expand_if_any(named, &ENDINGS).unwrap_or_default());
            } else {
                found.extend(ENDINGS.map(|ending| named.with_extension(ending)));
            }
        }
        for path in &found {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folders.insert(folder.unwrap_or(Path::new(".")).to_owned());
        }
        for folder in &folders {
            self.watch.directory(folder)?;
        }
        self.folders = folders;
        Ok(states(found))
    }

    /// The settings of the policies, and the kernels that they are compiled for.
    fn look_around(&self) -> Files {
        let mut found: BTreeSet<PathBuf> = self.btf.iter().cloned().collect();
        for settings in self.folders.iter().filter_map(|folder| settings::find(&folder.join("policy.oom"))) {
            if self.btf.is_none() {
                found.extend(settings::kernel_of(&settings));
            }
            found.insert(settings);
        }
        states(found)
    }
}

fn states(found: BTreeSet<PathBuf>) -> Files {
    let state = |path: PathBuf| {
        let about = fs::metadata(&path).ok()?;
        Some((path, (about.modified().ok(), about.len())))
    };
    found.into_iter().filter_map(state).collect()
}
