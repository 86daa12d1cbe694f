//! Plays a test: one step after the other, with a policy that keeps what it keeps between events.

use std::collections::BTreeMap;

use oomc_abi::declared::Declared;
use oomc_abi::fields::Owner;
use oomc_abi::record::{Action, Record};
use oomc_abi::scenario::{Named, Property, Seen, StepKind, Test, Value, process_name};

use super::described::Described;
use super::verdict::{self, Failure};
use super::watching::{Asking, Look, Watching};
use super::{Mistake, given};
use crate::act::Killer;
use crate::kernel::Kernel as Types;
use crate::machine::{CgroupIndex, Event, Life, Machine, ROOT};
use crate::oom::Simulation;
use crate::policy::{Attached, Policy};
use crate::world::Mark;

/// A test after it was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// One for each event.
    pub decisions: Vec<Decision>,
    /// What did not come as expected; none: the test passes.
    pub failures: Vec<Failure>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Line of the event.
    pub line: u32,
    /// The machine before it, with what the policy has counted.
    pub before: Machine,
    /// The machine after it.
    pub after: Machine,
    /// What happened.
    pub event: Event,
    /// The policy was asked: it is attached to the cgroup or to one above it.
    pub asked: bool,
    /// What it answered.
    pub answer: i32,
    /// What it wrote down.
    pub record: Option<Record>,
    /// Who died by its hand.
    pub killed: Vec<usize>,
    /// What the kernel did, if the policy left the event to it.
    pub kernel: Option<Kernel>,
    /// What the policy passed, if it is a traced one.
    pub marks: Vec<Mark>,
    /// Members that the policy read and of which the machine says nothing: the structure, and the offset in it. They
    /// were 0, so what was decided need not be what a kernel would decide.
    pub unknown: Vec<(&'static str, u64)>,
    /// What it was asked before memory had run out; none: the kernel asked.
    pub asking: Option<Asking>,
}

/// What the kernel's own killer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// It waits for a process that is on its way out.
    Waits(usize),
    /// It killed a process, and perhaps others with it.
    Killed(usize),
    /// It found nobody.
    Nobody,
}

impl Decision {
    /// Of an event about which nothing was done.
    pub(super) fn nothing(machine: Machine, event: Event) -> Self {
        Self {
            line: 0,
            before: machine.clone(),
            after: machine,
            event,
            asked: true,
            answer: 0,
            record: None,
            killed: Vec::new(),
            kernel: None,
            marks: Vec::new(),
            unknown: Vec::new(),
            asking: None,
        }
    }

    /// The path of a cgroup by its id.
    #[must_use]
    pub fn path_of(&self, id: u64) -> String {
        self.cgroup(id).map_or_else(|| format!("cgroup {id}"), |at| self.before.path(at))
    }

    /// The name of a process in a test: `/job#100`.
    #[must_use]
    pub fn name_of(&self, process: usize) -> String {
        let one = self.before.process(process);
        process_name(&self.before.path(one.cgroup), one.pid)
    }

    /// The process with a number.
    #[must_use]
    pub fn process(&self, pid: u64) -> Option<usize> {
        (0..self.before.processes.len()).find(|at| self.before.process(*at).pid as u64 == pid)
    }

    /// The cgroup with a number.
    #[must_use]
    pub fn cgroup(&self, id: u64) -> Option<CgroupIndex> {
        (0..self.before.cgroups.len()).find(|at| self.before.cgroup(*at).id as u64 == id)
    }

    /// The name of a candidate or a victim by its number.
    #[must_use]
    pub fn object(&self, owner: Owner, id: u64) -> String {
        match self.process(id).filter(|_| owner == Owner::Process) {
            Some(process) => self.name_of(process),
            None => self.path_of(id),
        }
    }

    /// What the candidates of the last selection are.
    #[must_use]
    pub fn unit(&self, declared: &Declared) -> Owner {
        let selection = self.record.as_ref().and_then(|record| record.selection);
        let unit = selection.and_then(|at| declared.units.get(usize::try_from(at).ok()?));
        unit.copied().unwrap_or(Owner::Process)
    }

    /// What the victim is; none if there is none.
    #[must_use]
    pub fn victim(&self, declared: &Declared) -> Option<(Owner, u64)> {
        let record = self.record.as_ref()?;
        let owner = match Action::from_code(record.action)? {
            Action::KillProcess => Owner::Process,
            Action::KillCgroup => Owner::Cgroup,
            Action::KillAll => self.unit(declared),
            Action::None | Action::RaiseLimit | Action::Reclaim | Action::Wait | Action::Defer => {
                return None;
            }
        };
        Some((owner, record.victim))
    }
}

/// In which order the kernel comes to the objects of a machine. A decision must not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the test names them.
    #[default]
    Named,
    /// In another one, which follows from a number.
    Shuffled(u64),
}

/// Plays a test with a policy.
///
/// # Errors
/// [`Mistake`]: the test says something that cannot be, or the program does what the verifier would have refused,
/// which is a fault of the compiler and says so.
pub fn play(kernel: &Types, policy: &Policy, test: &Test, order: Order) -> Result<Played, Mistake> {
    let attached = test.steps.iter().find_map(|step| match &step.kind {
        StepKind::Event { cgroup, .. } | StepKind::Seen { cgroup, .. } => {
            Some(cgroup.clone().unwrap_or_else(|| "/".to_owned()))
        }
        _ => None,
    });
    let mut player = Player {
        kernel,
        policy,
        described: Described::new(kernel.view().page_size()),
        params: BTreeMap::new(),
        place: None,
        attached: None,
        watching: Watching::default(),
        default: attached.unwrap_or_default(),
        order,
        played: Played::default(),
    };
    for step in &test.steps {
        let mistake = |text: String| Mistake { line: step.line, text };
        match &step.kind {
            StepKind::Given(given) => {
                let said = given::given(&mut player.described, given, step.line).map_err(mistake)?;
                player.place = said.attached.or(player.place);
                if let Some(at) = said.kept {
                    player.read_kept(at);
                }
            }
            StepKind::Param(name, value) => player.set(name, *value),
            StepKind::After(time) if *time < 0 => return Err(mistake("time does not run back".to_owned())),
            StepKind::After(time) => {
                player.look_around(step.line)?;
                player.watching.time_passes();
                player.described.now = player.described.now.saturating_add(*time);
                player.described.bury();
            }
            StepKind::Event { cgroup, properties } => {
                player.put_in_order();
                let domain = cgroup.as_deref().map(|path| player.described.cgroup(path));
                let machine = player.described.machine(Some(domain.unwrap_or(ROOT)));
                let machine = machine.map_err(|(line, text)| Mistake { line, text })?;
                let mut event = machine.event(domain, ROOT);
                given::event(&mut event, &player.described, properties).map_err(mistake)?;
                player.event(machine, event, step.line)?;
            }
            StepKind::Seen { event, cgroup, lasting, properties } => {
                if *lasting < 0 {
                    return Err(mistake("time does not run back".to_owned()));
                }
                player.put_in_order();
                let domain = cgroup.as_deref().map(|path| player.described.cgroup(path));
                let look = Look { seen: *event, cgroup: domain, lasting: *lasting };
                player.seen(look, properties, step.line)?;
            }
            StepKind::Expect { text, expected, rule } => {
                if let Some(decision) = player.played.decisions.last() {
                    let declared = &policy.declared;
                    let rule = rule.as_deref();
                    if let Some(found) = verdict::differs(decision, declared, expected, rule) {
                        let decision = player.played.decisions.len() - 1;
                        let expected = text.clone();
                        player.played.failures.push(Failure { line: step.line, expected, found, decision });
                    }
                }
            }
        }
    }
    Ok(player.played)
}

/// Lets an event happen on a machine with one policy.
///
/// # Errors
/// A sentence: the machine cannot be modelled, or the program does what the verifier would have refused, which is a
/// fault of the compiler and says so.
pub fn decide(
    kernel: &Types,
    attached: &mut Attached,
    machine: Machine,
    event: Event,
) -> Result<Decision, String> {
    let mut simulation = Simulation::new(kernel, machine).map_err(|lacking| lacking.to_string())?;
    let before = simulation.machine().clone();
    let outcome = simulation.out_of_memory(std::slice::from_mut(attached), &event);
    let outcome = outcome.map_err(|refusal| {
        format!("the program does what the kernel would refuse, which is a fault of oomc: {refusal}")
    })?;
    let after = simulation.machine().clone();
    let unknown = simulation.unfilled().collect();
    let asked = outcome.asked.into_iter().next();
    let (kernel, by_kernel) = match outcome.killer {
        None => (None, Vec::new()),
        Some(Killer::Waits(at)) => (Some(Kernel::Waits(at)), Vec::new()),
        Some(Killer::Killed(at, all)) => (Some(Kernel::Killed(at)), all),
        Some(Killer::Nobody) => (Some(Kernel::Nobody), Vec::new()),
    };
    let killed = (0..after.processes.len()).filter(|at| {
        let (before, now) = (before.process(*at).life, after.process(*at).life);
        before == Life::Lives && now != Life::Lives && !by_kernel.contains(at)
    });
    let killed = killed.collect();
    let was_asked = asked.is_some();
    let (answer, marks, record) =
        asked.map_or_else(Default::default, |one| (one.run.answer, one.run.marks, one.record));
    Ok(Decision {
        line: 0,
        before,
        after,
        event,
        asked: was_asked,
        answer,
        record,
        killed,
        kernel,
        marks,
        unknown,
        asking: None,
    })
}

struct Player<'t> {
    kernel: &'t Types,
    policy: &'t Policy,
    described: Described,
    params: BTreeMap<String, i64>,
    /// Where the test says that the policy is attached.
    place: Option<CgroupIndex>,
    attached: Option<Attached>,
    /// Whoever watches.
    watching: Watching,
    /// Where it is otherwise.
    default: String,
    order: Order,
    played: Played,
}

impl Player<'_> {
    fn set(&mut self, name: &str, value: i64) {
        self.params.insert(name.to_owned(), value);
        self.watching.set(name, value);
        if let Some(attached) = &mut self.attached {
            attached.set(name, value);
        }
    }

    /// Labels and counters that were given after the policy was attached.
    fn read_kept(&mut self, at: CgroupIndex) {
        let cgroups = self.described.cgroups.iter().map(|one| one.cgroup.clone()).collect();
        let machine = Machine { cgroups, ..Machine::default() };
        if let Some(attached) = &mut self.attached {
            attached.read(&machine, at);
        }
    }

    /// Whoever watches takes down what the policy looks at again and again.
    fn look_around(&mut self, line: u32) -> Result<(), Mistake> {
        if self.policy.declared.samples.is_empty() {
            return Ok(());
        }
        self.put_in_order();
        let machine = self.described.machine(None);
        let machine =
            machine.map_err(|(at, text)| Mistake { line: if at == 0 { line } else { at }, text })?;
        self.watching.sample(self.policy, &machine);
        Ok(())
    }

    /// Whoever watches looks, and asks what is due.
    fn seen(&mut self, look: Look, properties: &[Property], line: u32) -> Result<(), Mistake> {
        let mistake = |text: String| Mistake { line, text };
        if look.lasting > 0 {
            self.watching.time_passes();
            self.described.now = self.described.now.saturating_add(look.lasting);
            self.described.bury();
        }
        if let Seen::Pressure { full, average, value } = look.seen {
            let field = format!("pressure.{}.{}", if full { "full" } else { "some" }, average.word());
            let property = Property { name: Named::Field(field), value: Value::Number(value) };
            given::pressure_of(&mut self.described, look.cgroup.unwrap_or(ROOT), &property)
                .map_err(mistake)?;
        }
        let machine = self.described.machine(None).map_err(|(line, text)| Mistake { line, text })?;
        let place = self.place.unwrap_or_else(|| self.described.cgroup(&self.default));
        let mut event = machine.event(look.cgroup, place);
        event.total = total_of(&machine, look.cgroup);
        given::event(&mut event, &self.described, properties).map_err(mistake)?;
        let (watching, policy) = (&mut self.watching, self.policy);
        let decisions = watching.look(self.kernel, policy, (machine, place), (look, &event), &self.params);
        for decision in decisions.map_err(mistake)? {
            self.keep(&decision.after);
            self.played.decisions.push(Decision { line, ..decision });
        }
        Ok(())
    }

    /// Once, before anything refers to an object by its place.
    fn put_in_order(&mut self) {
        if let (Order::Shuffled(seed), None) = (self.order, &self.attached) {
            let places = self.described.shuffle(seed);
            self.place = self.place.and_then(|place| places.get(place).copied());
            self.order = Order::Named;
        }
    }

    fn event(&mut self, mut machine: Machine, mut event: Event, line: u32) -> Result<(), Mistake> {
        let attached = self.attached.get_or_insert_with(|| {
            let place = self.place.unwrap_or_else(|| self.described.cgroup(&self.default));
            let mut attached = Attached::new(self.policy, &machine, place);
            for (name, value) in &self.params {
                attached.set(name, *value);
            }
            attached
        });
        if let Some(place) = self.place {
            attached.cgroup = place;
        }
        for index in 0..machine.cgroups.len() {
            let counters = attached.counters(index);
            if let Some(cgroup) = machine.cgroups.get_mut(index) {
                cgroup.counters = counters;
            }
        }
        event.attached = attached.cgroup;
        let decision = decide(self.kernel, attached, machine, event);
        let mut decision = decision.map_err(|text| Mistake { line, text })?;
        decision.line = line;
        self.keep(&decision.after);
        self.played.decisions.push(decision);
        Ok(())
    }

    /// What has changed stays so.
    fn keep(&mut self, after: &Machine) {
        for (one, process) in self.described.processes.iter_mut().zip(&after.processes) {
            one.process.life = process.life;
        }
        for (one, cgroup) in self.described.cgroups.iter_mut().zip(&after.cgroups) {
            one.cgroup.max = cgroup.max;
        }
    }
}

/// Pages that a cgroup, or the machine, may use: what its files say, before memory has run out.
fn total_of(machine: &Machine, cgroup: Option<CgroupIndex>) -> i64 {
    let Some(at) = cgroup else { return machine.memory.saturating_add(machine.swap) };
    let one = machine.cgroup(at);
    let swap = one.swap_max.map_or(machine.swap, |most| most.min(machine.swap));
    one.max.unwrap_or(i64::MAX / machine.page).saturating_add(swap)
}

/// What a record says of a rule.
pub(super) fn rule_of(record: &Record, declared: &Declared) -> Option<String> {
    let at = usize::try_from(record.rule?).ok()?;
    declared.rules.get(at).cloned()
}
