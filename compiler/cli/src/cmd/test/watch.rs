//! `oomc test --watch`: waits until something changes that tests depend on.
//!
//! Folders are watched, not files: editors write a new file and rename it. What happens in one of them starts a run only if
//! a file is not as it was, so that an object or a swap file beside a policy starts none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oomc_runtime::watch::{self, Watch};

use crate::exit::Failure;
use crate::files;

/// Editors write a file in several steps; so long nothing may happen before the tests run.
const QUIET: Duration = Duration::from_millis(100);
/// A wait without an end is taken again.
const LONG: Duration = Duration::from_secs(3600);
/// What tests are made of.
const ENDINGS: [&str; 3] = ["oom", "oomt", "toml"];

/// Files, each with when it was written and how long it is.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// What is waited for.
pub(super) struct Watcher {
    watch: Watch,
    /// Files and folders as the command line names them.
    named: Vec<PathBuf>,
    before: Files,
}

impl Watcher {
    /// Sees what changes from now on.
    pub(super) fn new(named: &[PathBuf]) -> Result<Self, Failure> {
        let named = if named.is_empty() { vec![PathBuf::from(".")] } else { named.to_vec() };
        let mut watcher = Self { watch: Watch::new()?, named, before: Files::new() };
        watcher.before = watcher.look()?;
        Ok(watcher)
    }

    /// Returns when something has changed and nothing happens any more.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        loop {
            watch::wait(&[self.watch.as_fd()], LONG)?;
            while self.watch.happened()? {
                watch::wait(&[self.watch.as_fd()], QUIET)?;
            }
            let now = self.look()?;
            if now != self.before {
                self.before = now;
                return Ok(());
            }
        }
    }

    /// The files as they are; folders that have come are watched from here on.
    fn look(&self) -> Result<Files, Failure> {
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
        // The settings may lie above.
        found.extend(folders.iter().filter_map(|folder| crate::settings::find(&folder.join("policy.oom"))));
        let state = |path: PathBuf| {
            let about = fs::metadata(&path).ok()?;
            Some((path, (about.modified().ok(), about.len())))
        };
        Ok(found.into_iter().filter_map(state).collect())
    }
}
