//! What is to be attached where, and when to look.
//!
//! A pass over the files ([`crate::standing`]) is made when a file, or the set of the cgroups that files name, is another
//! one than at the last pass, and when a policy of theirs was detached. Watches the directories in which such a cgroup can
//! appear. A policy is compiled again only when its bytes changed. What a file has attached and no file names any more is
//! detached.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use oomc_compiler::KernelView;
use oomc_compiler::hir::Pattern;
use oomc_runtime::events::{Followed, Seen};
use oomc_runtime::watch::Watch;
use oomc_runtime::{System, cgroup};

use super::journal::Journal;
use crate::cmd::load::compiled;
use crate::exit::Failure;
use crate::report::Report;
use crate::standing::{Hands, Outcome, Standing, cgroups, pass, read_all, trusted_policy};

/// Bytes of a policy and of the object that they were compiled to.
type Compiled = (Vec<u8>, Vec<u8>);

/// What the files say, and why some say nothing.
#[derive(Default, PartialEq)]
struct Files {
    all: Vec<Standing>,
    failures: Vec<String>,
}

pub(super) struct Keeper<'a> {
    report: &'a Report,
    system: &'a System<'a>,
    journal: &'a Journal<'a>,
    folder: PathBuf,
    watch: Watch,
    compiled: HashMap<PathBuf, Compiled>,
    /// The files, as they were at the last pass.
    files: Files,
    /// What the files name: paths of cgroups, with their ids.
    named: Vec<(String, u64)>,
    /// Cgroups with a policy by a file.
    kept: BTreeMap<String, String>,
    /// A pass has to be made whatever is seen.
    again: bool,
    /// What the last pass left undone; said once.
    failures: Vec<String>,
    /// Why not everything is watched, if it is not: then it is looked at from time to time alone.
    blind: Option<String>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        report: &'a Report,
        system: &'a System<'a>,
        folder: &Path,
        journal: &'a Journal<'a>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            report,
            system,
            journal,
            folder: folder.to_owned(),
            watch: Watch::new()?,
            compiled: HashMap::new(),
            files: Files::default(),
            named: Vec::new(),
            kept: BTreeMap::new(),
            again: true,
            failures: Vec::new(),
            blind: None,
        })
    }

    /// Can be read when something happened to files or cgroups.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// For a reader of `systemctl status`.
    pub(super) fn state(&self) -> String {
        let kept = match self.kept.len() {
            1 => "1 policy attached".to_owned(),
            count => format!("{count} policies attached"),
        };
        match self.failures.len() {
            0 => kept,
            failed => format!("{kept}, {failed} not done"),
        }
    }

    /// Cgroups with a policy by a file.
    pub(super) fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.keys().map(String::as_str)
    }

    /// The next look makes a pass.
    pub(super) fn again(&mut self) {
        self.again = true;
    }

    /// A policy that a file attached is gone although its cgroup may be there.
    pub(super) fn seen(&mut self, of: &Followed, seen: &Seen) {
        if matches!(seen, Seen::Detached) && self.kept.contains_key(&of.cgroup) {
            self.again = true;
        }
    }

    /// Whether a pass has to be made. `look`: it is time to look even if nothing happened.
    pub(super) fn due(&mut self, look: bool) -> Result<bool, Failure> {
        if self.watch.happened()? || look {
            let files = self.read();
            self.again |= files != self.files;
            let (changed, blind) = self.watch_all(&files.all)?;
            self.again |= changed || self.name(&files.all) != self.named;
            self.again |= blind.is_some() != self.blind.is_some();
        }
        Ok(self.again)
    }

    /// Makes a pass; what stops it as a whole is told, and it is tried again at the next look.
    pub(super) fn pass_or_tell(&mut self, hands: &mut dyn Hands) {
        if let Err(failure) = self.pass(hands) {
            self.fail(vec![("/".to_owned(), failure.message)]);
            self.again = true;
        }
    }

    /// Makes the machine so as the files say.
    pub(super) fn pass(&mut self, hands: &mut dyn Hands) -> Result<(), Failure> {
        // Before the pass: what changes or appears while it is made is seen at the next look.
        self.files = self.read();
        self.blind = self.watch_all(&self.files.all)?.1;
        self.named = self.name(&self.files.all);
        self.again = false;
        let (report, system, cache) = (self.report, self.system, &mut self.compiled);
        let done = pass(system, &self.folder, hands, &mut |policy| object(report, system, cache, policy))?;
        let mut failures: Vec<(String, String)> =
            done.unreadable.iter().map(|failure| ("/".to_owned(), failure.message.clone())).collect();
        failures.extend(self.blind.iter().map(|why| ("/".to_owned(), why.clone())));
        let whole = done.unreadable.is_empty();
        let (mut named, mut failed) = (BTreeMap::new(), BTreeSet::new());
        for (file, one) in done.done {
            let text = format!("{}: {} ({file})", one.cgroup, one.outcome.name());
            match (one.outcome, one.failure) {
                (_, Some(failure)) => {
                    failures.push((one.cgroup.clone(), format!("{text}: {}", failure.message)))
                }
                (Outcome::Unchanged | Outcome::Absent, _) => {}
                _ => self.journal.changed(&one.cgroup, &text),
            }
            match one.outcome {
                Outcome::Absent => {}
                Outcome::Failed => drop(failed.insert(file)),
                _ => drop(named.insert(one.cgroup, file)),
            }
        }
        // A file that cannot be read may name any of them; one whose policy is not compiled names what it named before.
        if whole {
            self.let_go(&named, &failed, hands, &mut failures);
        }
        self.kept.extend(named);
        self.fail(failures);
        Ok(())
    }

    /// Detaches what a file had attached and no file names any more.
    fn let_go(
        &mut self,
        named: &BTreeMap<String, String>,
        failed: &BTreeSet<String>,
        hands: &mut dyn Hands,
        failures: &mut Vec<(String, String)>,
    ) {
        let gone =
            self.kept.iter().filter(|(path, file)| !named.contains_key(*path) && !failed.contains(*file));
        let gone: Vec<String> = gone.map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.kept.remove(&path);
            match hands.take_away(&path) {
                Ok(true) => {
                    self.journal.changed(&path, &format!("{path}: detached, no file names it any more"))
                }
                // The cgroup is gone, or somebody else was faster.
                Ok(false) => {}
                Err(failure) => failures.push((path.clone(), failure.message)),
            }
        }
    }

    /// Tells what was not told at the pass before.
    fn fail(&mut self, failures: Vec<(String, String)>) {
        for (cgroup, text) in &failures {
            if !self.failures.contains(text) {
                self.journal.failed(cgroup, text);
            }
        }
        self.failures = failures.into_iter().map(|(_, text)| text).collect();
    }

    fn read(&self) -> Files {
        let told = |failures: &[Failure]| failures.iter().map(|failure| failure.message.clone()).collect();
        match read_all(&self.folder) {
            Ok((all, failures)) => Files { all, failures: told(&failures) },
            Err(failure) => Files { all: Vec::new(), failures: told(&[failure]) },
        }
    }

    /// The cgroups that the files name, as far as they are there.
    fn name(&self, files: &[Standing]) -> Vec<(String, u64)> {
        let Ok(mount) = cgroup::mount(self.system) else { return Vec::new() };
        let mut named = Vec::new();
        for one in files {
            for path in cgroups(self.system, &one.cgroup).unwrap_or_default() {
                let place = mount.place().join(path.trim_start_matches('/'));
                if let Ok(data) = place.metadata() {
                    named.push((path, data.ino()));
                }
            }
        }
        named
    }

    /// Watches where files are, and where their cgroups can appear, as far as the kernel has watches left: whoever may make
    /// cgroups may use them up. Says whether a policy has other bytes than those that were compiled, and why not everything is
    /// watched.
    fn watch_all(&self, files: &[Standing]) -> Result<(bool, Option<String>), Failure> {
        let mut blind = None;
        let mut watch = |place: &Path| {
            if let Err(error) = self.watch.directory(place) {
                let text = "so changes are seen by looks alone; fs.inotify.max_user_watches is the limit";
                blind.get_or_insert_with(|| format!("{error}: {text}"));
            }
        };
        watch(&self.folder);
        let mount = cgroup::mount(self.system)?;
        let mut changed = false;
        for one in files {
            if let Some(folder) = one.policy.parent() {
                watch(folder);
            }
            changed |= trusted_policy(&one.policy)
                .is_ok_and(|bytes| self.compiled.get(&one.policy).is_some_and(|(known, _)| *known != bytes));
            let (fixed, deep) = fixed(&one.cgroup);
            let mut place = mount.place().to_owned();
            watch(&place);
            for name in fixed.split('/').filter(|name| !name.is_empty()) {
                place.push(name);
                watch(&place);
            }
            if deep && place.is_dir() {
                let mut places = Vec::new();
                cgroup::walk(&place, "", &mut |place, _| places.push(place.to_owned()));
                places.iter().for_each(|place| watch(place));
            }
        }
        Ok((changed, blind))
    }
}

/// The directory in which all cgroups of a pattern are, and whether they may be anywhere below.
fn fixed(pattern: &Pattern) -> (&str, bool) {
    let text = pattern.text();
    match text.find(['*', '?']) {
        None => (text.rsplit_once('/').map_or("", |(above, _)| above), false),
        Some(at) => {
            let before = text.get(..at).unwrap_or_default();
            (before.rsplit_once('/').map_or("", |(above, _)| above), true)
        }
    }
}

/// The object of a policy, compiled again only if the policy is another one.
fn object(
    report: &Report,
    system: &System<'_>,
    cache: &mut HashMap<PathBuf, Compiled>,
    policy: &Path,
) -> Result<Vec<u8>, Failure> {
    let bytes = trusted_policy(policy)?;
    if let Some((_, object)) = cache.get(policy).filter(|(known, _)| *known == bytes) {
        return Ok(object.clone());
    }
    // Where the kernel asks no policy, the object is asked from here: it fits whatever it is compiled for.
    let otherwise = Some(KernelView::embedded());
    let object = compiled(report, system, policy, bytes.clone(), otherwise)?;
    cache.insert(policy.to_owned(), (bytes, object.clone()));
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_where_a_cgroup_can_appear() {
        let of = |text: &str| {
            let pattern = Pattern::new(text);
            let (place, deep) = fixed(&pattern);
            (place.to_owned(), deep)
        };
        assert_eq!(of("/system.slice/web.service"), ("/system.slice".to_owned(), false));
        assert_eq!(of("/job"), (String::new(), false));
        assert_eq!(of("/system.slice/web-*"), ("/system.slice".to_owned(), true));
        assert_eq!(of("/kubepods.slice/**/pod?"), ("/kubepods.slice".to_owned(), true));
        assert_eq!(of("/*"), (String::new(), true));
    }
}
