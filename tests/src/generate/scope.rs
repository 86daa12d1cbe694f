//! What an expression may name at one place of a policy, and under which names.

use std::rc::Rc;

use oomc_abi::fields::{FIELDS, Measure, Owner, Recipe};

/// Members of kernel structures, by their owner, with their units. They have no rows: the kernel's BTF is the table.
const RAW: &[(Owner, &str, Measure)] = &[
    (Owner::Process, "task.signal.nr_threads", Measure::Count),
    (Owner::Process, "task.mm.rss_stat[1].count", Measure::Count),
    (Owner::Process, "task.signal.rlim[3].rlim_cur", Measure::Count),
    (Owner::Process, "task.sched_reset_on_fork", Measure::Count),
    (Owner::Process, "task.cgroups.subsys[0].ss.early_init", Measure::Bool),
    (Owner::Process, "task.group_leader.comm", Measure::Text),
    (Owner::Cgroup, "memcg.css.serial_nr", Measure::Count),
    (Owner::Cgroup, "memcg.memory.usage.counter", Measure::Count),
    (Owner::Cgroup, "memcg.oom_group", Measure::Bool),
    (Owner::Cgroup, "memcg.css.cgroup.kn.name", Measure::Text),
    (Owner::Event, "oc.gfp_mask", Measure::Count),
    (Owner::Event, "oc.chosen.pid", Measure::Count),
];

/// A member that is an enum, and the names of its constants.
const RAW_ENUM: (&str, &[&str]) = ("oom.oc.constraint", &["CONSTRAINT_NONE", "CONSTRAINT_MEMCG"]);

/// What a declared name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A const or a param: stands alone.
    Value,
    /// Of a cgroup; stands alone where a candidate is.
    Label,
    /// Of a cgroup; stands alone everywhere.
    State,
}

/// The names that a policy declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// Those that are numbers, truth values or texts.
    pub(super) values: Vec<(&'static str, Kind, Measure)>,
    /// Those that are cgroups.
    pub(super) picks: Vec<&'static str>,
    /// Those that are conditions on a process or a cgroup.
    pub(super) definitions: Vec<(&'static str, Owner)>,
    /// One that is a list of texts.
    pub(super) list: Option<&'static str>,
}

/// What an expression may name.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The innermost last; with the name that each has got.
    candidates: Vec<(Option<&'static str>, Owner)>,
    /// How many quantifiers may still be put inside.
    pub(super) quantifiers: u32,
    /// What is declared.
    pub(super) declared: Rc<Declared>,
}

impl Scope {
    /// Outside of all selections.
    pub(super) fn new(declared: Declared, quantifiers: u32) -> Self {
        Self { candidates: Vec::new(), quantifiers, declared: Rc::new(declared) }
    }

    /// Within a selection, a clause that protects, or a quantifier.
    pub(super) fn inside(&self, unit: Owner, name: Option<&'static str>) -> Self {
        let mut inside = self.clone();
        inside.candidates.push((name, unit));
        inside
    }

    /// A name for a candidate of a selection that stands here: no other one has it.
    pub(super) fn fresh(&self) -> &'static str {
        ["c", "inner", "third", "fourth"].get(self.candidates.len()).copied().unwrap_or("last")
    }

    /// The innermost candidate.
    pub(super) fn unit(&self) -> Option<Owner> {
        self.candidates.last().map(|(_, unit)| *unit)
    }

    /// What may stand before a field of this owner.
    pub(super) fn prefixes(&self, owner: Owner) -> Vec<String> {
        let mut found = Vec::new();
        if owner == Owner::Event {
            return vec!["oom.".to_owned()];
        }
        if owner == Owner::Machine {
            return vec!["machine.".to_owned()];
        }
        let innermost = self.candidates.last().map(|(_, unit)| (None, *unit));
        for (name, unit) in innermost.iter().chain(&self.candidates) {
            let heads = match name {
                Some(name) => vec![format!("{name}.")],
                None if std::ptr::eq(unit, innermost.as_ref().map_or(unit, |(_, unit)| unit)) => {
                    vec![String::new(), "it.".to_owned()]
                }
                None => continue,
            };
            for head in heads {
                match (owner, unit) {
                    (Owner::Cgroup, Owner::Process) => found.push(format!("{head}home.")),
                    _ if owner == *unit => {
                        // A bare `parent` is that of the cgroup that ran out.
                        if !head.is_empty() {
                            found.push(format!("{head}parent."));
                        }
                        found.push(head);
                    }
                    _ => {}
                }
            }
        }
        if owner == Owner::Cgroup {
            found.extend(["cgroup.", "parent.", "attached."].map(str::to_owned));
            found.extend(self.declared.picks.iter().map(|pick| format!("{pick}.")));
        }
        found
    }

    /// Cgroups that a place may name.
    pub(super) fn cgroups(&self) -> Vec<String> {
        let mut found = vec!["cgroup".to_owned(), "attached".to_owned()];
        found.extend(self.declared.picks.iter().map(|pick| (*pick).to_owned()));
        if self.unit() == Some(Owner::Cgroup) {
            found.push("it".to_owned());
        }
        let named = self.candidates.iter().filter(|(_, unit)| *unit == Owner::Cgroup);
        found.extend(named.filter_map(|(name, _)| name.map(str::to_owned)));
        found
    }

    /// All that has this unit; texts that are one of a few words are not among them.
    pub(super) fn names(&self, unit: Measure) -> Vec<String> {
        let mut found = Vec::new();
        for field in FIELDS.iter().filter(|field| field.unit == unit && field.recipe.words().is_none()) {
            found.extend(self.prefixes(field.owner).iter().map(|prefix| format!("{prefix}{}", field.name)));
        }
        for (owner, path, _) in RAW.iter().filter(|(_, _, of)| *of == unit) {
            let prefixes = self.prefixes(*owner).into_iter();
            // The structures of a candidate's parent have no name.
            let prefixes = prefixes.filter(|prefix| !prefix.ends_with(".parent."));
            found.extend(prefixes.map(|prefix| format!("{prefix}{path}")));
        }
        for (name, kind, _) in self.declared.values.iter().filter(|(_, _, of)| *of == unit) {
            let alone = match kind {
                Kind::Value if unit == Measure::Text => continue,
                Kind::Value | Kind::State => true,
                Kind::Label => self.unit().is_some(),
            };
            // As often as there are ways to ask for a field.
            let prefixes = self.prefixes(Owner::Cgroup);
            if alone {
                found.extend(prefixes.iter().map(|_| (*name).to_owned()));
            }
            if *kind != Kind::Value {
                let prefixes = prefixes.iter().filter(|prefix| !prefix.is_empty());
                found.extend(prefixes.map(|prefix| format!("{prefix}{name}")));
            }
        }
        found
    }

    /// Fields that have a base for a bare percent.
    pub(super) fn based(&self) -> Vec<String> {
        let mut found = Vec::new();
        for field in FIELDS.iter().filter(|field| field.base.is_some()) {
            found.extend(self.prefixes(field.owner).iter().map(|prefix| format!("{prefix}{}", field.name)));
        }
        found
    }

    /// Texts that are one of a few words, with these.
    pub(super) fn words(&self) -> Vec<(String, Vec<String>)> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut found = vec![(RAW_ENUM.0.to_owned(), owned(RAW_ENUM.1))];
        for field in FIELDS {
            let Some(words) = field.recipe.words() else { continue };
            let prefixes = self.prefixes(field.owner);
            found.extend(prefixes.iter().map(|prefix| (format!("{prefix}{}", field.name), owned(&words))));
        }
        found
    }

    /// What a message can show.
    pub(super) fn shown(&self) -> Vec<String> {
        let units =
            [Measure::Bytes, Measure::Count, Measure::Ratio, Measure::Duration, Measure::Bool, Measure::Text];
        let paths: Vec<&str> =
            FIELDS.iter().filter(|field| field.recipe == Recipe::Path).map(|field| field.name).collect();
        let mut found: Vec<String> = units.iter().flat_map(|unit| self.names(*unit)).collect();
        found.retain(|name| !paths.iter().any(|path| name.rsplit('.').next() == Some(*path)));
        found
    }

    /// Fields that a `sum` over elements of this owner can add up.
    pub(super) fn summands(owner: Owner, unit: Measure) -> Vec<String> {
        let rows = FIELDS.iter().filter(|field| field.owner == owner && field.unit == unit);
        rows.map(|field| field.name.to_owned()).collect()
    }
}
