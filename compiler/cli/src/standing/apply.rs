//! Makes a machine so as standing policies say.
//!
//! What is so already is left alone: a policy of the same text, in the wanted mode, with the wanted params. Another text
//! replaces the one that is attached. Each cgroup is for itself: what fails at one stops nothing else.

use std::collections::BTreeMap;

use oomc_compiler::hir::{Pattern, glob};
use oomc_compiler::value;
use oomc_runtime::{Attached, Object, Settings, System, Target, cgroup, config, labels};

use super::{Hands, Standing, target};
use crate::exit::{Exit, Failure};

/// What became of one cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was so.
    Unchanged,
    /// The policy is attached, or asked, now.
    Attached,
    /// Mode or params are others now.
    Changed,
    /// Another text was attached.
    Replaced,
    /// No cgroup has this path yet.
    Absent,
    /// It could not be made so.
    Failed,
}

impl Outcome {
    /// As JSON has it, and a reader.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Attached => "attached",
            Self::Changed => "changed",
            Self::Replaced => "replaced",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// What was done for one file at one cgroup.
pub(crate) struct Done {
    /// The cgroup; of [`Outcome::Absent`] the pattern.
    pub(crate) cgroup: String,
    pub(crate) outcome: Outcome,
    /// Why it failed.
    pub(crate) failure: Option<Failure>,
}

/// Makes all cgroups of one file so. `object` compiles its policy, once, when the first cgroup is found; `taken` holds the
/// cgroups of the files before.
pub(crate) fn apply(
    system: &System<'_>,
    one: &Standing,
    attached: &[Attached],
    taken: &mut BTreeMap<String, String>,
    hands: &mut dyn Hands,
    object: &mut dyn FnMut() -> Result<Vec<u8>, Failure>,
) -> Result<Vec<Done>, Failure> {
    let found = cgroups(system, &one.cgroup)?;
    if found.is_empty() {
        let cgroup = one.cgroup.text().to_owned();
        return Ok(vec![Done { cgroup, outcome: Outcome::Absent, failure: None }]);
    }
    let bytes = object()?;
    let object = Object::parse(&bytes)
        .map_err(|error| Failure::refused(format!("{}: {error}", one.policy.display())))?;
    let done = found.into_iter().map(|cgroup| {
        let file = one.file.display().to_string();
        let result = match taken.get(&cgroup) {
            Some(other) => {
                Err(Failure::new(Exit::Usage, format!("{other} says what is to be attached there")))
            }
            None => {
                taken.insert(cgroup.clone(), file);
                at(system, one, &object, &cgroup, attached, hands)
            }
        };
        match result {
            Ok(outcome) => Done { cgroup, outcome, failure: None },
            Err(failure) => Done { cgroup, outcome: Outcome::Failed, failure: Some(failure) },
        }
    });
    Ok(done.collect())
}

/// Makes one cgroup so.
fn at(
    system: &System<'_>,
    one: &Standing,
    object: &Object,
    cgroup: &str,
    attached: &[Attached],
    hands: &mut dyn Hands,
) -> Result<Outcome, Failure> {
    let now = attached.iter().find(|now| now.cgroup == cgroup && now.asked_by == hands.asked_by());
    let outcome = match now {
        Some(now) if now.meta.get("hash") == object.meta.get("hash") => {
            let outcome = settle(system, one, now, &target(cgroup))?;
            hands.keep(object, cgroup, &settings(one))?;
            outcome
        }
        Some(_) => {
            // What would be refused leaves the old policy where it is.
            hands.exchange(object, cgroup, &settings(one))?;
            Outcome::Replaced
        }
        None => {
            hands.bring(object, cgroup, &settings(one))?;
            Outcome::Attached
        }
    };
    // A label that is the same again changes nothing.
    let below = |path: &str| path == cgroup || cgroup == "/" || path.starts_with(&format!("{cgroup}/"));
    for (path, assignments) in one.labels.iter().filter(|(path, _)| below(path)) {
        labels::put(system, &Target::Cgroup(path.clone()), assignments, &value::read)?;
    }
    Ok(outcome)
}

/// What a file says that a policy begins with.
fn settings(one: &Standing) -> Settings<'static> {
    Settings { mode: one.mode, params: one.params.clone(), literal: &value::read, foreign: false }
}

/// Mode and params of a policy that is attached already.
fn settle(system: &System<'_>, one: &Standing, now: &Attached, target: &Target) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Unchanged;
    if let Some(mode) = one.mode.filter(|mode| now.mode.is_some_and(|now| now != *mode)) {
        config::mode(system, target, mode)?;
        outcome = Outcome::Changed;
    }
    if !one.params.is_empty() {
        let declared = now.meta.declared();
        let mut differs = false;
        for assignment in &one.params {
            let (param, wanted) = config::wanted(&declared, assignment, &value::read)?;
            differs |= !now.params.iter().any(|(known, is)| known.name == param.name && *is == wanted);
        }
        if differs {
            config::set(system, target, &one.params, &value::read)?;
            outcome = Outcome::Changed;
        }
    }
    Ok(outcome)
}

/// The cgroups whose path a pattern matches, by path.
pub(crate) fn cgroups(system: &System<'_>, pattern: &Pattern) -> Result<Vec<String>, Failure> {
    let mount = cgroup::mount(system)?;
    let mut found = Vec::new();
    if let Pattern::Literal(path) = pattern {
        if mount.place().join(path.trim_start_matches('/')).is_dir() {
            found.push(path.clone());
        }
        return Ok(found);
    }
    cgroup::walk(mount.place(), "/", &mut |_, path| {
        if glob::matches(pattern, path) {
            found.push(path.to_owned());
        }
    });
    found.sort();
    Ok(found)
}
