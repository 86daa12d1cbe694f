//! What an operator does to policies while a case is played: loads and unloads them, sets params, mode and labels.
//!
//! Does what the commands of `oomc` do, as far as a model has it. A command that is to fail changes nothing.

use oomc_abi::declared::Trust;
use oomc_compiler::hir::Policy;
use oomc_compiler::syntax::literal;
use oomc_sim::Attached;
use oomc_sim::machine::{CgroupIndex, ROOT};
use oomc_vm::script::Case;

use super::{Before, End, Loaded, MachineSetup, unplayable};
use crate::agree::both;

/// Members of kernel structures that simulator and oracle both know.
const RAW: [&str; 12] = [
    "signal->nr_threads",
    "signal->oom_score_adj",
    "mm->rss_stat[1].count",
    "sched_reset_on_fork",
    "in_execve",
    "css.serial_nr",
    "oom_group",
    "css.cgroup->kn->name",
    "memcg->css.cgroup->kn->name",
    "gfp_mask",
    "chosen->pid",
    "constraint",
];

/// What is written for a label that is taken away.
const INHERIT: &str = "inherit";

impl MachineSetup<'_> {
    pub(super) fn oomc(&mut self, case: &Case, exit: i32, args: &[String]) -> Result<(), End> {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            // What they say is for the machine.
            ["status" | "events" | "why" | "plan" | "snapshot" | "sim" | "tidy" | "show", ..] => Ok(()),
            _ if exit != 0 => Ok(()),
            ["load", object, rest @ ..] => self.load(case, object, rest),
            ["unload", rest @ ..] => {
                let (at, _) = self.target(rest)?;
                while let Some(gone) = self.policies.iter().position(|policy| policy.attached.cgroup == at) {
                    self.take_away(gone);
                }
                Ok(())
            }
            ["set", rest @ ..] => {
                let (at, changes) = self.target(rest)?;
                changes.iter().try_for_each(|change| self.set(at, change))
            }
            ["mode", rest @ ..] => {
                let (at, modes) = self.target(rest)?;
                modes.iter().try_for_each(|mode| self.mode(at, mode))
            }
            ["label", "--refresh", path] => {
                let below = self.find(path)?;
                let policy = self.responsible(below)?;
                self.read_attributes(policy, below)
            }
            ["label", path, changes @ ..] => {
                let at = self.find(path)?;
                changes.iter().try_for_each(|change| self.label(at, change))
            }
            _ => unplayable(format!("oomc {}", args.join(" "))),
        }
    }

    /// The cgroup that options name, and the other words.
    fn target<'w>(&self, words: &[&'w str]) -> Result<(CgroupIndex, Vec<&'w str>), End> {
        match words {
            ["--cgroup", path, rest @ ..] => Ok((self.find(path)?, rest.to_vec())),
            ["--system", rest @ ..] => Ok((ROOT, rest.to_vec())),
            _ => unplayable(format!("options {}", words.join(" "))),
        }
    }

    fn load(&mut self, case: &Case, object: &str, options: &[&str]) -> Result<(), End> {
        let (cgroup, rest) = self.target(options)?;
        if self.played.before.is_none() {
            let (owners, attributes) = (self.owners.clone(), self.attributes.clone());
            self.played.before = Some(Before { machine: self.now(), owners, attributes });
        }
        let name = object.trim_end_matches(".o").trim_end_matches(".oom");
        let further = case.policies.iter().find(|(other, _)| other == name).map(|(_, text)| text);
        let own = case.own.as_ref().filter(|_| name == case.name);
        let Some(text) = further.or(own) else { return unplayable(format!("the object {object}")) };
        let Some(both) = both(text, self.kernel) else { return unplayable("a large policy") };
        if let Some(path) = unknown_member(&both.checked) {
            return unplayable(format!("the member `{path}`"));
        }
        let attached = Attached::new(&both.policy, &self.now(), cgroup);
        let labels = Vec::new();
        self.policies.push(Loaded { both, attached, audit: None, params: Vec::new(), labels });
        self.read_attributes(self.policies.len() - 1, cgroup)?;
        let mut rest = rest.into_iter();
        while let Some(option) = rest.next() {
            match (option, rest.next()) {
                ("--set", Some(change)) => self.set(cgroup, change)?,
                ("--mode", Some(mode)) => self.mode(cgroup, mode)?,
                _ => return unplayable(format!("the option {option}")),
            }
        }
        Ok(())
    }

    fn of(&mut self, cgroup: CgroupIndex) -> Result<&mut Loaded, End> {
        let found = self.policies.iter_mut().find(|policy| policy.attached.cgroup == cgroup);
        found.map_or_else(|| unplayable("a cgroup without a policy"), Ok)
    }

    fn set(&mut self, cgroup: CgroupIndex, change: &str) -> Result<(), End> {
        let policy = self.of(cgroup)?;
        let Some((name, Some(value))) = change.split_once('=').map(|(name, text)| (name, value(text))) else {
            return unplayable(format!("set {change}"));
        };
        if !policy.attached.set(name, value) {
            return unplayable(format!("the param {name}"));
        }
        policy.params.retain(|(other, _)| other != name);
        policy.params.push((name.to_owned(), value));
        Ok(())
    }

    fn mode(&mut self, cgroup: CgroupIndex, mode: &str) -> Result<(), End> {
        let policy = self.of(cgroup)?;
        policy.audit = Some(mode == "audit");
        policy.attached.set_audit(mode == "audit");
        Ok(())
    }

    /// The policy of the nearest cgroup above that has one.
    fn responsible(&self, cgroup: CgroupIndex) -> Result<usize, End> {
        let of = |at: CgroupIndex| self.policies.iter().position(|policy| policy.attached.cgroup == at);
        self.machine.ancestors(cgroup).find_map(of).map_or_else(|| unplayable("a label without a policy"), Ok)
    }

    fn label(&mut self, cgroup: CgroupIndex, change: &str) -> Result<(), End> {
        let policy = self.responsible(cgroup)?;
        match change.split_once('=') {
            Some((name, INHERIT)) => self.put(policy, cgroup, name, None),
            Some((name, text)) => match value(text) {
                Some(value) => self.put(policy, cgroup, name, Some(value)),
                None => return unplayable(format!("the label {change}")),
            },
            None => return unplayable(format!("the label {change}")),
        }
        Ok(())
    }

    fn put(&mut self, policy: usize, cgroup: CgroupIndex, name: &str, value: Option<i64>) {
        let id = self.machine.cgroup(cgroup).id;
        let Some(policy) = self.policies.get_mut(policy) else { return };
        policy.attached.put_label(id, name, value);
        policy.labels.retain(|(at, other, _)| *at != cgroup || other != name);
        policy.labels.extend(value.map(|value| (cgroup, name.to_owned(), value)));
    }

    /// Labels that lie on directories, where the policy trusts their owners.
    fn read_attributes(&mut self, policy: usize, below: CgroupIndex) -> Result<(), End> {
        let Some(loaded) = self.policies.get(policy) else { return Ok(()) };
        let owner = |at: CgroupIndex| self.owners.get(at).copied().unwrap_or_default();
        let attached = owner(loaded.attached.cgroup);
        let mut found = Vec::new();
        for (at, name, text) in self.attributes.iter().filter(|one| self.machine.is_within(one.0, below)) {
            let labels = &loaded.both.policy.declared.labels;
            let label = labels.iter().find(|label| name.strip_prefix("user.oom.") == Some(&label.name));
            let Some(label) = label else { continue };
            let trusted = match label.trust {
                Trust::Any => true,
                Trust::Owner => [0, attached].contains(&owner(*at)),
                Trust::Root => owner(*at) == 0,
            };
            let Some(value) = value(text) else { return unplayable(format!("the label {name} {text}")) };
            if trusted {
                found.push((*at, label.name.clone(), value));
            }
        }
        for (at, name, value) in found {
            self.put(policy, at, &name, Some(value));
        }
        Ok(())
    }
}

/// A member that simulator or oracle do not know.
fn unknown_member(policy: &Policy) -> Option<String> {
    let paths = policy.raws.values().map(|raw| raw.path.as_str());
    let mut unknown = paths.filter(|path| !RAW.contains(path));
    unknown.next().map(str::to_owned)
}

/// A value as the language writes it.
fn value(text: &str) -> Option<i64> {
    if let Ok(truth) = text.parse::<bool>() {
        return Some(i64::from(truth));
    }
    literal::parse(text).ok().map(|literal| literal.value)
}
