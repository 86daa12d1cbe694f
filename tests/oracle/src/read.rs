//! What fields, labels, counters and members of kernel structures say of a machine.
//!
//! Fields are known by their names: the table tells how the compiler reads them, and the compiler is what is tested.
//! Only a field that a machine has no word for is looked up there, as the member that it is.

use oomc_abi::amounts::Amount;
use oomc_abi::fields::{self, FieldId, Owner, Recipe, Scale};
use oomc_compiler::hir::{LabelId, Pattern, RawId, StateId, Subject};

use crate::Oracle;
use crate::machine::{Amounts, CONSTRAINTS, CgroupIndex, Life, Process, ProcessIndex, ROOT};
use crate::scope::{Object, Scope};
use crate::value::{Value, clamp, matches};

/// A text. A path can be asked for from the attached cgroup, too.
pub(crate) struct Text {
    whole: String,
    relative: Option<Relative>,
}

/// A path as seen from the attached cgroup.
enum Relative {
    Below(String),
    Outside,
}

impl Text {
    fn plain(text: &str) -> Self {
        Self { whole: text.to_owned(), relative: None }
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &str {
        &self.whole
    }

    /// Whether all of it matches a pattern.
    pub(crate) fn fits(&self, pattern: &Pattern) -> bool {
        self.against(pattern.text()).is_some_and(|text| match pattern {
            Pattern::Literal(literal) => text == literal,
            Pattern::Glob(glob) => matches(glob.as_bytes(), text.as_bytes()),
            // In what is no path, any character is like any other.
            Pattern::Wild(glob) => matches(glob.replace('*', "***").as_bytes(), text.as_bytes()),
        })
    }

    /// What a pattern is compared with; none if it cannot match.
    pub(crate) fn against(&self, pattern: &str) -> Option<&str> {
        match &self.relative {
            Some(Relative::Below(path)) if !pattern.starts_with('/') => Some(path),
            Some(Relative::Outside) if !pattern.starts_with('/') => None,
            _ => Some(&self.whole),
        }
    }
}

impl Oracle<'_> {
    /// The number that a subject has for a field.
    pub(crate) fn field(&self, scope: Option<&Scope<'_>>, subject: Subject, field: FieldId) -> Value {
        let name = field.row().name;
        match (field.row().owner, self.object(scope, subject)?) {
            (Owner::Process, Object::Process(process)) => self.process_field(process, name),
            (Owner::Cgroup, Object::Cgroup(cgroup)) => self.cgroup_field(cgroup, name),
            (Owner::Machine, Object::Event) => Some(self.machine_field(name)),
            (Owner::Event, Object::Event) => match name {
                "order" => Some(self.event.order),
                "total" => Some(self.pages(self.event.total)),
                other => panic!("the oracle does not know `oom.{other}`"),
            },
            (owner, object) => panic!("{object:?} is no {}", owner.name()),
        }
    }

    /// Bytes of so many pages.
    fn pages(&self, pages: i64) -> i64 {
        pages * self.machine.page
    }

    /// A limit that is not set, in bytes: the kernel's largest number of pages.
    fn unlimited(&self) -> i64 {
        self.pages(i64::MAX / self.machine.page)
    }

    /// A field of the machine.
    fn machine_field(&self, name: &str) -> i64 {
        let machine = &self.machine;
        let sum = |amount: fn(&Amounts) -> i64| machine.sum(ROOT, amount) / machine.page;
        let (file, shmem) = (sum(|own| own.file), sum(|own| own.shmem));
        let taken = sum(|own| own.anon) + file + sum(|own| own.kernel);
        self.pages(match name {
            "memory" => machine.memory,
            "swap" => machine.swap,
            "swap_free" => machine.swap_free.max(0),
            // Free pages, page cache, and slabs that can be reclaimed.
            "available" => {
                let inactive = sum(|own| own.inactive_file);
                (machine.memory - taken).max(0)
                    + (file - shmem - inactive).max(0)
                    + inactive.max(0)
                    + sum(|own| own.slab_reclaimable).max(0)
            }
            other => panic!("the oracle does not know `machine.{other}`"),
        })
    }

    /// A field of a process.
    pub(crate) fn process_field(&self, index: ProcessIndex, name: &str) -> Value {
        let process = self.machine.process(index);
        // A share that is counted in several places can be below 0 for a moment.
        let of = |shares: &[i64]| self.pages(shares.iter().map(|pages| (*pages).max(0)).sum());
        let Process { anon, file, shmem, swap, .. } = *process;
        match name {
            "rss" => self.memory(process, of(&[anon, file, shmem])),
            "anon" => self.memory(process, of(&[anon])),
            "file" => self.memory(process, of(&[file])),
            "shmem" => self.memory(process, of(&[shmem])),
            "swap" => self.memory(process, of(&[swap])),
            "pgtables" => self.memory(process, process.pgtables),
            "footprint" => self.memory(process, of(&[anon, file, shmem, swap]) + process.pgtables),
            "badness" => {
                let size = self.process_field(index, "footprint")? / self.machine.page;
                Some(size + process.adj * (self.event.total / 1000))
            }
            "oom_score_adj" => Some(process.adj),
            "pid" => Some(process.pid),
            "ppid" => Some(self.machine.process(self.machine.parent(index)).pid),
            "ns_pid" => Some(self.machine.ns_pid(index)),
            "uid" => Some(process.uid),
            "age" => Some(self.machine.now - process.start),
            "nr_threads" => Some(process.threads),
            "dying" => Some(i64::from(is_dying(process))),
            other => Some(named(Owner::Process, other, &process.members, self.machine.page)),
        }
    }

    /// An amount of a process's memory: it is not known while the leader is gone and others go on, and there is none
    /// once it was given up.
    fn memory(&self, process: &Process, amount: i64) -> Value {
        match process.life {
            _ if process.kernel => Some(0),
            Life::Gone { .. } => Some(0),
            _ if process.leader_gone => None,
            Life::Lives | Life::Dying { .. } => Some(amount),
        }
    }

    /// A field of a cgroup.
    pub(crate) fn cgroup_field(&self, index: CgroupIndex, name: &str) -> Value {
        let machine = &self.machine;
        let cgroup = machine.cgroup(index);
        let sum = |amount: fn(&Amounts) -> i64| machine.sum(index, amount);
        let below = || (0..machine.cgroups.len()).filter(|at| *at != index && machine.is_within(*at, index));
        let pressure = |kind: usize, window: usize| {
            let average = *cgroup.pressure?.get(kind)?.get(window)?;
            // Percent with eleven bits of fraction, in parts per million.
            Some(average * 10_000 / 2048)
        };
        match name {
            "usage" if index == ROOT => Some(sum(|own| own.anon) + sum(|own| own.file)),
            "usage" => Some(self.pages(sum(|own| own.charged))),
            "limit" => {
                let limits = machine.ancestors(index).filter_map(|at| machine.cgroup(at).max);
                Some(self.pages(limits.chain([machine.memory]).min()?))
            }
            "own_limit" => Some(cgroup.max.map_or(self.unlimited(), |max| self.pages(max))),
            "high" => Some(cgroup.high.map_or(self.unlimited(), |max| self.pages(max))),
            "low" => Some(self.pages(cgroup.low)),
            "min" => Some(self.pages(cgroup.min)),
            "swap" => Some(self.pages(sum(|own| own.swapped))),
            "swap_limit" => machine
                .ancestors(index)
                .filter_map(|at| machine.cgroup(at).swap_max)
                .min()
                .map(|max| self.pages(max)),
            "anon" => Some(sum(|own| own.anon)),
            "file" => Some(sum(|own| own.file)),
            "shmem" => Some(sum(|own| own.shmem)),
            "kernel" => Some(sum(|own| own.kernel)),
            "slab_reclaimable" => Some(sum(|own| own.slab_reclaimable)),
            "working_set" => {
                let usage = self.cgroup_field(index, "usage")?;
                Some((usage - sum(|own| own.inactive_file)).max(0))
            }
            "unreclaimable" => {
                let sum = sum(|own| own.anon + own.shmem + own.kernel - own.slab_reclaimable);
                Some(sum.max(0))
            }
            "pgscan" => Some(sum(|own| own.pgscan)),
            "pgmajfault" => Some(sum(|own| own.pgmajfault)),
            "refault" => Some(sum(|own| own.refault)),
            "events.max" => Some(sum(|own| own.events_max)),
            "events.oom" => Some(sum(|own| own.events_oom)),
            "events.oom_kill" => Some(sum(|own| own.events_oom_kill)),
            "oom_group" => Some(i64::from(cgroup.group)),
            "nr_processes" => {
                let places: Vec<CgroupIndex> = machine.subtree(index).collect();
                if places.iter().any(|at| machine.cgroup(*at).no_walk) {
                    return None;
                }
                Some(places.iter().map(|at| machine.processes_of(*at).count() as i64).sum())
            }
            "nr_descendants" => Some(below().filter(|at| !machine.cgroup(*at).removed).count() as i64),
            "nr_dying_descendants" => Some(below().filter(|at| machine.cgroup(*at).removed).count() as i64),
            "depth" => Some(machine.ancestors(index).count() as i64 - 1),
            "id" => Some(cgroup.id),
            "is_leaf" => Some(i64::from(machine.children(index).next().is_none())),
            "age_rank" => Some(cgroup.serial),
            "pressure.some.avg10" => pressure(0, 0),
            "pressure.some.avg60" => pressure(0, 1),
            "pressure.some.avg300" => pressure(0, 2),
            "pressure.full.avg10" => pressure(1, 0),
            "pressure.full.avg60" => pressure(1, 1),
            "pressure.full.avg300" => pressure(1, 2),
            other => Some(match Amount::of_field(other) {
                Some(amount) => machine.sum(index, |own| own.get(amount)),
                None => named(Owner::Cgroup, other, &cgroup.members, self.machine.page),
            }),
        }
    }

    /// The text that a subject has for a field.
    pub(crate) fn text_field(
        &self,
        scope: Option<&Scope<'_>>,
        subject: Subject,
        field: FieldId,
    ) -> Option<Text> {
        let machine = &self.machine;
        Some(match (field.row().name, self.object(scope, subject)?) {
            ("comm", Object::Process(process)) => Text::plain(&machine.process(process).comm),
            ("name", Object::Cgroup(cgroup)) => {
                Text::plain(&machine.cgroup(self.where_it_is(scope, subject, cgroup)).name)
            }
            ("path", Object::Cgroup(cgroup)) => self.path_of(self.where_it_is(scope, subject, cgroup)),
            ("scope", Object::Event) => {
                Text::plain(if self.event.cgroup.is_some() { "memcg" } else { "system" })
            }
            ("trigger", Object::Event) => Text::plain(self.asking.trigger),
            ("constraint", Object::Event) => Text::plain(CONSTRAINTS.get(self.event.constraint)?),
            (name, object) => panic!("the oracle does not know `{name}` of {object:?}"),
        })
    }

    /// The path of a cgroup.
    pub(crate) fn path_of(&self, cgroup: CgroupIndex) -> Text {
        let machine = &self.machine;
        let whole = machine.path(cgroup);
        let attached = machine.path(self.event.attached);
        let relative = if machine.is_within(cgroup, self.event.attached) {
            let rest = whole.strip_prefix(&attached).unwrap_or_default();
            Relative::Below(rest.trim_start_matches('/').to_owned())
        } else {
            Relative::Outside
        };
        Text { whole, relative: Some(relative) }
    }

    /// The cgroup that a name is asked of: of a process, the one that it is in, with or without a memory controller.
    fn where_it_is(&self, scope: Option<&Scope<'_>>, subject: Subject, cgroup: CgroupIndex) -> CgroupIndex {
        let Subject::Home(binder) = subject else { return cgroup };
        match self.object(scope, Subject::Candidate(binder)) {
            Some(Object::Process(process)) => self.machine.process(process).cgroup,
            _ => cgroup,
        }
    }

    /// A member of a kernel structure, as a number.
    pub(crate) fn raw(&self, scope: Option<&Scope<'_>>, subject: Subject, raw: RawId) -> Value {
        let path = self.raw_path(raw);
        match (self.object(scope, subject)?, path) {
            (Object::Process(index), path) => {
                let process = self.machine.process(index);
                let has_memory = !process.kernel
                    && !process.leader_gone
                    && matches!(process.life, Life::Lives | Life::Dying { .. });
                match path {
                    "signal->nr_threads" => Some(process.threads),
                    "signal->oom_score_adj" => Some(process.adj),
                    "mm->rss_stat[1].count" => has_memory.then_some(process.anon),
                    // Unlimited, and an unsigned number: the largest that the language has.
                    "signal->rlim[3].rlim_cur" => Some(i64::MAX),
                    "sched_reset_on_fork" | "in_execve" => Some(member(&process.members, path)),
                    "cgroups->subsys[0]->ss->early_init" => Some(1),
                    other => panic!("the oracle's processes have no `{other}`"),
                }
            }
            (Object::Cgroup(index), path) => match path {
                "css.serial_nr" => Some(self.machine.cgroup(index).serial),
                "memory.usage.counter" => Some(self.machine.sum(index, |own| own.charged)),
                "oom_group" => Some(i64::from(self.machine.cgroup(index).group)),
                other => panic!("the oracle's cgroups have no `{other}`"),
            },
            (Object::Event, "gfp_mask") => Some(self.event.gfp_mask),
            (Object::Event, "constraint") => i64::try_from(self.event.constraint).ok(),
            // Nobody is chosen yet.
            (Object::Event, "chosen->pid") => None,
            (Object::Event, other) => panic!("the oracle's events have no `{other}`"),
        }
    }

    /// A member of a kernel structure, as a text; of an enum, its constant's name.
    pub(crate) fn raw_text(&self, scope: Option<&Scope<'_>>, subject: Subject, raw: RawId) -> Option<Text> {
        let path = self.raw_path(raw);
        Some(match (self.object(scope, subject)?, path) {
            (Object::Process(index), "group_leader->comm") => Text::plain(&self.machine.process(index).comm),
            (Object::Cgroup(index), "css.cgroup->kn->name") => Text::plain(&self.machine.cgroup(index).name),
            (Object::Event, "memcg->css.cgroup->kn->name") => {
                Text::plain(&self.machine.cgroup(self.event.cgroup?).name)
            }
            (Object::Event, "constraint") => {
                let word = CONSTRAINTS.get(self.event.constraint)?;
                Text::plain(&format!("CONSTRAINT_{}", word.to_uppercase()))
            }
            (object, path) => panic!("the oracle has no text `{path}` of {object:?}"),
        })
    }

    /// The number of a constant of a member's enum.
    pub(crate) fn constant(&self, name: &str) -> u64 {
        let is_it = |word: &&str| format!("CONSTRAINT_{}", word.to_uppercase()) == name;
        match CONSTRAINTS.iter().position(is_it) {
            Some(number) => number as u64,
            None => panic!("the oracle has no constant `{name}`"),
        }
    }

    fn raw_path(&self, raw: RawId) -> &str {
        self.policy.raws.get(raw).map_or("", |raw| raw.path.as_str())
    }

    /// A label of a cgroup: its own, that of the nearest cgroup above that has one, or as declared.
    pub(crate) fn label(&self, cgroup: CgroupIndex, label: LabelId) -> Value {
        let declared = self.policy.labels.get(label)?;
        let put = |at: CgroupIndex| {
            let found = self.machine.cgroup(at).labels.iter().find(|(name, _)| *name == declared.name);
            found.map(|(_, value)| *value)
        };
        Some(self.machine.ancestors(cgroup).find_map(put).unwrap_or(declared.default))
    }

    /// A counter of a cgroup, whose window may be over.
    pub(crate) fn counter(&self, cgroup: CgroupIndex, state: StateId) -> Value {
        let declared = self.policy.states.get(state)?;
        let counters = &self.machine.cgroup(cgroup).counters;
        let Some((_, counter)) = counters.iter().find(|(name, _)| *name == declared.name) else {
            return Some(0);
        };
        let (count, since) = if self.settings.audit { counter.audit } else { counter.real };
        let over = declared.resets.is_some_and(|window| self.machine.now - since >= window);
        Some(if over { 0 } else { count })
    }

    /// One more in a counter of the OOM'ing cgroup; the first one begins a window.
    pub(crate) fn count(&mut self, state: StateId) {
        let now = self.machine.now;
        let before = self.counter(self.domain(), state).unwrap_or(0);
        let Some(name) = self.policy.states.get(state).map(|state| state.name.clone()) else { return };
        let audit = self.settings.audit;
        let domain = self.domain();
        let Some(cgroup) = self.machine.cgroups.get_mut(domain) else { return };
        if !cgroup.counters.iter().any(|(found, _)| *found == name) {
            cgroup.counters.push((name.clone(), Default::default()));
        }
        for (found, counter) in &mut cgroup.counters {
            if *found != name {
                continue;
            }
            let copy = if audit { &mut counter.audit } else { &mut counter.real };
            *copy = if before == 0 { (1, now) } else { (clamp(i128::from(before) + 1), copy.1) };
        }
    }
}

/// A field that is a member of a kernel structure and nothing else: what the machine names, or 0.
fn named(owner: Owner, name: &str, members: &[(String, i64)], page: i64) -> i64 {
    match fields::find(owner, name).map(|field| field.row().recipe) {
        Some(Recipe::Member { path, scale: Scale::One }) => member(members, path),
        Some(Recipe::Member { path, scale: Scale::Pages }) => member(members, path) * page,
        _ => panic!("the oracle does not know `{name}` of a {}", owner.name()),
    }
}

fn member(members: &[(String, i64)], path: &str) -> i64 {
    members.iter().find(|(named, _)| named == path).map_or(0, |(_, value)| *value)
}

/// Chosen by an OOM killer, or exiting as a whole.
pub(crate) fn is_dying(process: &Process) -> bool {
    matches!(process.life, Life::Dying { .. } | Life::Gone { .. })
}
