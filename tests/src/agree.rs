//! The bytes of a policy in the simulator against the oracle: whether both decide alike.
//!
//! Compares all that can be seen: what is returned, what the kernel is asked for, the machine afterwards, and the
//! record. A pair that disagrees is made smaller as long as it still does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oomc_abi::account::Account;
use oomc_abi::declared::Part;
use oomc_abi::fields::{self, Measure, Owner, Recipe};
use oomc_abi::members;
use oomc_abi::record::{Action, Candidate, MAX_CANDIDATES, MAX_KEYS, Message, NAME_BYTES, Record};
use oomc_abi::request::{Question, TRIGGERS, Trigger};
use oomc_abi::resolve::KernelView;
use oomc_abi::target::{Unit, unit_of};
use oomc_compiler::diag::codes;
use oomc_compiler::hir;
use oomc_oracle::{Asking, Decision, Settings, decide, decide_asked};
use oomc_sim::machine::{Event, Life, Machine, ROOT};
use oomc_sim::{Attached, Call, Kernel, Policy, Run, Simulation};

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generate::{self, Scene};

/// A policy in both forms.
#[derive(Debug)]
pub struct Both {
    /// Its text.
    pub text: String,
    /// As it was checked.
    pub checked: hir::Policy,
    /// As it was compiled.
    pub policy: Policy,
    /// Its program for kernels without the hook, if it has one.
    pub asked: Option<Policy>,
}

/// Compiles a policy. None: it is too large for the kernel's limits.
///
/// # Panics
/// If it cannot be compiled, or its object cannot be read.
#[must_use]
pub fn both(text: &str, kernel: &Kernel) -> Option<Both> {
    both_of(text, kernel.view(), kernel)
}

/// The same, compiled for one kernel and asked on another.
///
/// # Panics
/// As [`both`].
#[must_use]
pub fn both_of(text: &str, compiled_for: &KernelView, kernel: &Kernel) -> Option<Both> {
    let source = oomc_compiler::Source::new("random.oom", text);
    let checked = oomc_compiler::check(&source, compiled_for);
    let compiled = checked.compile();
    let Some(object) = compiled.object else {
        let mut codes = compiled.diagnostics.iter().map(|diagnostic| diagnostic.code);
        assert!(codes.any(|code| code == codes::PROGRAM_TOO_LARGE), "{:?}\n{text}", compiled.diagnostics);
        return None;
    };
    let checked = checked.into_policy()?;
    let object = oomc_object::Object::parse(&object);
    let object = object.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let policy = Policy::new(kernel, &object).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let asked = object
        .asked()
        .map(|object| Policy::new(kernel, &object).unwrap_or_else(|error| panic!("{error}\n{text}")));
    Some(Both { text: text.to_owned(), checked, policy, asked })
}

/// Asks both before memory has run out, about the rules outside of blocks or a block. None: the policy has no program
/// for that.
///
/// # Errors
/// As [`agree`].
pub fn agree_asked(
    both: &Both,
    kernel: &Kernel,
    scene: &Scene,
    asking: &Asking,
) -> Result<Option<Decision>, String> {
    let Some(policy) = &both.asked else { return Ok(None) };
    let scene = &before_the_limit(kernel, scene);
    let settings = settings(both, scene, &[]);
    let decision = decide_asked(&both.checked, &settings, &scene.machine, &scene.event, asking);
    let mut simulation =
        Simulation::new(kernel, scene.machine.clone()).map_err(|lacking| lacking.to_string())?;
    let mut attached = Attached::new(policy, &scene.machine, scene.event.attached);
    attached.set_audit(settings.audit);
    for ((sample, id), value) in &asking.samples {
        attached.put_sample(*id, *sample, Some(*value));
    }
    let id = |at: usize| scene.machine.cgroup(at).id.cast_unsigned();
    let domain = id(scene.event.cgroup.unwrap_or(ROOT));
    let code = TRIGGERS.iter().position(|word| *word == asking.trigger).unwrap_or_default();
    let trigger = Trigger::from_code(code as u64).unwrap_or(Trigger::Limit);
    let question = Question {
        block: asking.block as u64,
        kills_left: asking.kills_left,
        memory_expected: asking.memory_expected,
        ..Question::begin(1, domain, id(scene.event.attached), scene.event.cgroup.is_none(), trigger)
    };
    let talk =
        simulation.talk(&mut attached, &scene.event, question).map_err(|refusal| refusal.to_string())?;
    let Some(talk) = talk else { return Err("the domain is gone".to_owned()) };
    let mut found = Differences::default();
    compare(&mut found, both, scene, &decision, &talk.run, &attached, simulation.machine());
    let told = attached.records().last().map(|record| (record.woken_by(), record.block()));
    found.compare("woken by", &told, &Some((Some(trigger), asking.block as u64)));
    for (container, offset) in simulation.unfilled().filter(|place| !is_field(kernel, *place)) {
        _ = writeln!(found.0, "the model does not fill what lies at byte {offset} of `{container}`");
    }
    if found.0.is_empty() {
        return Ok(Some(decision));
    }
    Err(told_with(found, both, &attached))
}

/// The scene as whoever asks finds it: nobody wants memory yet, what the domain may use is what its files say, children
/// have the same controllers, and counters are of whole pages.
fn before_the_limit(kernel: &Kernel, scene: &Scene) -> Scene {
    let page = kernel.view().page_size();
    let mut machine = Machine { page, ..scene.machine.clone() };
    for at in 1..machine.cgroups.len() {
        let parent = machine.cgroup(at).parent;
        let bare_above = parent.is_some_and(|parent| parent != ROOT && machine.cgroup(parent).bare);
        let mut siblings = machine.cgroups.iter().filter(|one| one.parent == parent);
        let bare_beside = siblings.all(|one| one.bare);
        if let Some(cgroup) = machine.cgroups.get_mut(at) {
            cgroup.bare = bare_above || bare_beside;
        }
    }
    // Each cgroup's processes are walked by themselves: a walk fails where those of the cgroup are all that count.
    for at in 0..machine.cgroups.len() {
        let below = machine.cgroups.iter().any(|one| one.parent == Some(at) && one.bare);
        if let Some(cgroup) = machine.cgroups.get_mut(at) {
            cgroup.no_walk &= !cgroup.bare && !below;
        }
    }
    for cgroup in &mut machine.cgroups {
        for row in oomc_abi::amounts::ROWS {
            let amount = cgroup.own.get_mut(row.amount);
            if row.terms.iter().any(|term| unit_of(term.enumerator) != Unit::One) {
                *amount = *amount / page * page;
            }
        }
    }
    let domain = scene.event.cgroup;
    let swap = machine.swap;
    let total = match domain.map(|at| machine.cgroup(at)) {
        None => machine.memory.saturating_add(swap),
        Some(cgroup) => {
            let swap = cgroup.swap_max.map_or(swap, |most| most.min(swap));
            cgroup.max.unwrap_or(i64::MAX / page).saturating_add(swap).min(i64::MAX / page)
        }
    };
    let event = machine.event(domain, scene.event.attached);
    Scene { event: Event { total, ..event }, machine, audit: scene.audit }
}

/// What differs, with what the program says of itself.
fn told_with(found: Differences, both: &Both, attached: &Attached) -> String {
    let mut text = found.0;
    if let Some(record) = attached.records().last() {
        let declared = &both.policy.declared;
        let account = Account { record, declared, cgroup: &|id| format!("cgroup {id}") };
        _ = writeln!(text, "the program's account: {}", account.summary());
        let lines = account.candidates().chain(account.rules()).chain(account.remarks());
        lines.for_each(|line| _ = writeln!(text, "  {line}"));
    }
    text
}

/// What a policy is set to in a scene.
fn settings(both: &Both, scene: &Scene, params: &[(String, i64)]) -> Settings {
    let mut settings = Settings::of(&both.checked);
    for (param, value) in both.checked.params.values().zip(&mut settings.params) {
        *value = params.iter().find(|(name, _)| *name == param.name).map_or(*value, |(_, set)| *set);
    }
    if let Some(audit) = scene.audit {
        settings.audit = audit;
    }
    settings
}

/// Asks both.
///
/// # Errors
/// In what they differ, or what the program does that the verifier would have refused.
pub fn agree(both: &Both, kernel: &Kernel, scene: &Scene) -> Result<Decision, String> {
    agree_with(both, kernel, scene, &[])
}

/// Asks both, with params that somebody has set.
///
/// # Errors
/// As [`agree`].
pub fn agree_with(
    both: &Both,
    kernel: &Kernel,
    scene: &Scene,
    params: &[(String, i64)],
) -> Result<Decision, String> {
    // A scene counts in pages; how large they are, the kernel says.
    let machine = Machine { page: kernel.view().page_size(), ..scene.machine.clone() };
    let scene = &Scene { machine, event: scene.event.clone(), audit: scene.audit };
    let settings = settings(both, scene, params);
    let decision = decide(&both.checked, &settings, &scene.machine, &scene.event);
    let mut simulation =
        Simulation::new(kernel, scene.machine.clone()).map_err(|lacking| lacking.to_string())?;
    let mut attached = Attached::new(&both.policy, &scene.machine, scene.event.attached);
    attached.set_audit(settings.audit);
    for (name, value) in params {
        attached.set(name, *value);
    }
    let run = simulation.ask(&mut attached, &scene.event).map_err(|refusal| refusal.to_string())?;
    let mut found = Differences::default();
    compare(&mut found, both, scene, &decision, &run, &attached, simulation.machine());
    for (container, offset) in simulation.unfilled().filter(|place| !is_field(kernel, *place)) {
        _ = writeln!(found.0, "the model does not fill what lies at byte {offset} of `{container}`");
    }
    if found.0.is_empty() {
        return Ok(decision);
    }
    Err(told_with(found, both, &attached))
}

/// A pair that disagrees.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The policy.
    pub text: String,
    /// The machine and the event.
    pub scene: Scene,
    /// In what.
    pub what: String,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\n{}", self.text, self.what, self.scene)
    }
}

/// A policy and its machines.
#[derive(Debug)]
pub struct Batch<'k> {
    kernel: &'k Kernel,
    runner: TestRunner,
    /// Policies that were made.
    made: usize,
    /// What was decided, each with how often.
    pub actions: BTreeMap<Action, usize>,
    /// Policies that are too large for the kernel's limits.
    pub too_large: usize,
}

/// How often a pair is made smaller.
const STEPS: usize = 300;

impl<'k> Batch<'k> {
    /// The same seed gives the same pairs.
    #[must_use]
    pub fn new(kernel: &'k Kernel, seed: u64) -> Self {
        let runner = generate::runner(seed);
        Self { kernel, runner, made: 0, actions: BTreeMap::new(), too_large: 0 }
    }

    /// A random policy on so many random machines; each eighth is one of many kills.
    ///
    /// # Errors
    /// The first pair that disagrees, made smaller.
    pub fn policy(&mut self, machines: usize) -> Result<(), Box<Disagreement>> {
        self.made += 1;
        let many = self.made.is_multiple_of(8);
        let of_many = move |text: String| if many { generate::of_many_kills(&text) } else { text };
        let policy = generate::policy().prop_map(of_many).new_tree(&mut self.runner);
        let mut policy = policy.unwrap_or_else(|reason| panic!("no policy can be made: {reason}"));
        let text = policy.current();
        let both = match made(&text, self.kernel) {
            Ok(Some(both)) => both,
            Ok(None) => {
                self.too_large += 1;
                return Ok(());
            }
            Err(what) => {
                let scene = Scene { machine: Machine::default(), event: Event::default(), audit: None };
                return Err(Box::new(Disagreement { text, scene, what }));
            }
        };
        let scenes = generate::scene();
        for _ in 0..machines {
            let scene = scenes.new_tree(&mut self.runner);
            let mut scene = scene.unwrap_or_else(|reason| panic!("no machine can be made: {reason}"));
            match asked(&both, self.kernel, &scene.current()) {
                Ok(decision) => *self.actions.entry(decision.action).or_default() += 1,
                Err(what) => return Err(self.smaller(&mut policy, &mut scene, what)),
            }
        }
        Ok(())
    }

    /// Makes a pair smaller as long as it disagrees: the policy, then the machine.
    fn smaller(
        &self,
        policy: &mut impl ValueTree<Value = String>,
        scene: &mut impl ValueTree<Value = Scene>,
        what: String,
    ) -> Box<Disagreement> {
        let mut least = Disagreement { text: policy.current(), scene: scene.current(), what };
        for _ in 0..STEPS {
            if !policy.simplify() {
                break;
            }
            let text = policy.current();
            let failed = made(&text, self.kernel).ok().flatten();
            match failed.and_then(|both| asked(&both, self.kernel, &least.scene).err()) {
                Some(what) => least = Disagreement { text, what, ..least },
                None if !policy.complicate() => break,
                None => {}
            }
        }
        let Ok(Some(both)) = made(&least.text, self.kernel) else { return Box::new(least) };
        for _ in 0..STEPS {
            if !scene.simplify() {
                break;
            }
            match asked(&both, self.kernel, &scene.current()) {
                Err(what) => least = Disagreement { scene: scene.current(), what, ..least },
                Ok(_) if !scene.complicate() => break,
                Ok(_) => {}
            }
        }
        Box::new(least)
    }
}

/// As [`both`]; a panic is a disagreement, too.
fn made(text: &str, kernel: &Kernel) -> Result<Option<Both>, String> {
    std::panic::catch_unwind(|| both(text, kernel)).map_err(|_| "the compiler panics".to_owned())
}

/// As [`agree`]; a panic is a disagreement, too.
fn asked(both: &Both, kernel: &Kernel, scene: &Scene) -> Result<Decision, String> {
    let asked = std::panic::catch_unwind(|| agree(both, kernel, scene));
    asked.unwrap_or_else(|_| Err("the simulator or the oracle panics".to_owned()))
}

/// Whether a member is a field by itself: one that a machine need not have a word for.
fn is_field(kernel: &Kernel, (container, offset): (&str, u64)) -> bool {
    fields::all().map(fields::FieldId::row).any(|row| {
        let Recipe::Member { path, .. } = row.recipe else { return false };
        let from = match row.owner {
            Owner::Process => members::TASK,
            Owner::Cgroup => members::MEMCG,
            Owner::Event | Owner::Machine => members::EVENT,
        };
        let steps = kernel.view().path_steps(from, path).unwrap_or_default();
        steps
            .last()
            .is_some_and(|last| last.container == container && u64::from(last.member.offset) == offset)
    })
}

/// Lines: what, by the program, by the oracle.
#[derive(Default)]
struct Differences(String);

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, program: &T, oracle: &T) {
        if program != oracle {
            _ = writeln!(self.0, "{what}: {program:?} by the program, {oracle:?} by the oracle");
        }
    }
}

fn compare(
    found: &mut Differences,
    both: &Both,
    scene: &Scene,
    decision: &Decision,
    run: &Run,
    attached: &Attached,
    machine: &Machine,
) {
    found.compare("answer", &i64::from(run.answer), &decision.answer);
    let alone = compare_calls(found, scene, decision, run);
    // Who is killed with another's memory takes no group along; so where memory is shared and there are groups, the order
    // decides who dies, and of several that all die, or of those in one cgroup, it is open.
    let shared = machine.processes.iter().any(|process| process.shares_with.is_some());
    let groups = machine.cgroups.iter().any(|cgroup| cgroup.group);
    let any_order = decision.in_any_order || decision.members_in_any_order;
    let open = decision.order_decides || (any_order && shared && groups);
    let lives = machine.processes.iter().zip(&decision.machine.processes).enumerate();
    for (index, (one, other)) in lives.filter(|_| !open) {
        let life = |life: Life| match life {
            // Of two that share their memory, who is killed first takes the other with him; and any of those that
            // die may be the one that is hurried on.
            Life::Dying { reaped, .. } if !alone || decision.in_any_order => {
                Life::Dying { chosen: true, reaped }
            }
            life => life,
        };
        found.compare(&format!("process {index}"), &life(one.life), &life(other.life));
    }
    for (index, (one, other)) in machine.cgroups.iter().zip(&decision.machine.cgroups).enumerate() {
        found.compare(&format!("memory.max of cgroup {index}"), &one.max, &other.max);
        for (name, counter) in attached.counters(index) {
            let theirs = other.counters.iter().find(|(of, _)| *of == name).map(|(_, counter)| *counter);
            found.compare(&format!("{name} of cgroup {index}"), &counter, &theirs.unwrap_or_default());
        }
    }
    let records = attached.records();
    found.compare("records kept and sent", &records, &attached.sent().collect());
    if let Some(record) = records.last() {
        compare_records(found, both, decision, record);
        if !decision.in_any_order && !open {
            found.compare("killed by calls", &record.killed, &decision.killed);
        }
    }
}

/// In which order the members of a cgroup die is nobody's business, nor whom the kernel is asked to kill if others
/// die with him, nor which of many that die is hurried on.
///
/// Gives whether each died by a call of its own.
fn compare_calls(found: &mut Differences, scene: &Scene, decision: &Decision, run: &Run) -> bool {
    let (mut killed, mut rises, mut reclaims, mut waits) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for call in &run.calls {
        match call {
            Call::Kill(pid) => killed.push(*pid),
            Call::Hurry(_) => waits += 1,
            Call::Raise(bytes) => rises.push(*bytes),
            Call::Reclaim(bytes) => reclaims.push(*bytes),
        }
    }
    let (mut to_kill, mut to_raise, mut to_reclaim, mut to_wait) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for call in &decision.calls {
        match call {
            oomc_oracle::Call::Kill(pid) => to_kill.push(*pid),
            oomc_oracle::Call::Wait(_) => to_wait += 1,
            oomc_oracle::Call::Raise(bytes) => to_raise.push(*bytes),
            oomc_oracle::Call::Reclaim(bytes) => to_reclaim.push(*bytes),
        }
    }
    found.compare("waits", &waits, &to_wait);
    found.compare("rises", &rises, &to_raise);
    found.compare("reclaims", &reclaims, &to_reclaim);
    let before = scene.machine.processes.iter();
    let died = before.zip(&decision.machine.processes).filter(|(one, other)| one.life != other.life).count();
    let alone = to_kill.len() >= died && !decision.order_decides;
    if alone {
        killed.sort_unstable();
        to_kill.sort_unstable();
        found.compare("killed", &killed, &to_kill);
    }
    alone
}

fn compare_records(found: &mut Differences, both: &Both, decision: &Decision, record: &Record) {
    found.compare("recorded answer", &(record.answer as i64), &decision.answer);
    found.compare("action", &record.action, &u64::from(decision.action.code()));
    found.compare("rule", &record.rule, &decision.rule.map(|rule| rule as u64));
    let ends: Vec<u8> = decision.ends.iter().map(|end| end.code()).collect();
    let told = record.ends.get(..ends.len()).unwrap_or_default().to_vec();
    found.compare("ends of rules", &told, &ends);
    let kills = matches!(decision.action, Action::KillProcess | Action::KillCgroup | Action::KillAll);
    if (kills && !decision.in_any_order) || decision.action == Action::RaiseLimit {
        found.compare("expected", &record.expected, &decision.expected);
    }
    if decision.action == Action::RaiseLimit {
        found.compare("limit", &Some(record.result), &decision.limit);
    }
    let candidates: Vec<Candidate> = decision
        .candidates
        .iter()
        .take(MAX_CANDIDATES)
        .map(|ranked| {
            let keys = ranked.keys.iter().copied().take(MAX_KEYS).collect();
            Candidate { id: ranked.id as u64, name: String::new(), class: ranked.class.into(), keys }
        })
        .collect();
    // Behind the keys of a selection there may be those of one before.
    let count = decision.candidates.first().map_or(0, |ranked| ranked.keys.len());
    let told: Vec<Candidate> = record
        .candidates
        .iter()
        .map(|one| {
            let keys = one.keys.iter().copied().take(count).collect();
            Candidate { name: String::new(), keys, ..one.clone() }
        })
        .collect();
    found.compare("candidates", &told, &candidates);
    if decision.in_any_order {
        return;
    }
    for (what, told, meant) in
        [("reason", &record.reason, &decision.reason), ("notice", &record.notice, &decision.notice)]
    {
        let told = told.as_ref().map(|message| values(both, message));
        found.compare(what, &told, &meant.as_ref().map(|values| values.iter().map(cut).collect()));
    }
}

/// A name has its place in a record, and is cut there. One without a letter is told like one that is missing.
fn cut(value: &Option<String>) -> Option<String> {
    let text = value.as_ref().filter(|text| !text.is_empty())?;
    let end = (0..NAME_BYTES).rev().find(|at| text.is_char_boundary(*at) && *at <= text.len())?;
    text.get(..end).map(str::to_owned)
}

fn values(both: &Both, message: &Message) -> Vec<Option<String>> {
    let parts = both.policy.declared.messages.get(message.index as usize).cloned().unwrap_or_default();
    let units = parts.into_iter().filter_map(|part| match part {
        Part::Value(unit) => Some(unit),
        Part::Text(_) => None,
    });
    let values = units.zip(&message.values).map(|(unit, value)| match (unit, value.number) {
        (Measure::Text, _) => Some(value.name.clone()).filter(|name| !name.is_empty()),
        (_, number) => number.map(|number| number.to_string()),
    });
    values.collect()
}

/// Policies that are asked, each with its rules at the limit and in a block.
#[derive(Debug)]
pub struct AskedBatch<'k> {
    kernel: &'k Kernel,
    runner: TestRunner,
    /// What was decided, each with how often.
    pub actions: BTreeMap<Action, usize>,
}

/// What a block has besides the rules of a random policy: what only blocks can say.
const OF_BLOCKS: [&str; 6] = [
    "",
    "rule \"of the block\": reclaim 5%",
    "rule \"of the block\": kill cgroup in children of cgroup by rate(pgscan)",
    "rule \"of the block\": kill process in subtree where growth(rss, 10s) > 1MiB by growth(anon, 20s) grace 5s",
    "rule \"of the block\": if rate(cgroup.refault) ?? 0 > 3 then { reclaim 64MiB kill largest in subtree now }",
    "rule \"of the block\": kill cgroup in subtree by growth(usage, 1m) desc, growth(anon, 1m) asc until freed 1GiB at most 3",
];

impl<'k> AskedBatch<'k> {
    /// The same seed gives the same pairs.
    #[must_use]
    pub fn new(kernel: &'k Kernel, seed: u64) -> Self {
        Self { kernel, runner: generate::runner(seed), actions: BTreeMap::new() }
    }

    /// A random policy on so many random machines.
    ///
    /// # Errors
    /// The first pair that disagrees.
    pub fn policy(&mut self, machines: usize) -> Result<(), String> {
        let policy = generate::policy().new_tree(&mut self.runner);
        let text = policy.unwrap_or_else(|reason| panic!("no policy can be made: {reason}")).current();
        let choice = self.choose(OF_BLOCKS.len() as u64 * 2);
        let more = OF_BLOCKS.get(choice as usize / 2).copied().unwrap_or_default();
        let text = if choice.is_multiple_of(2) && more.is_empty() {
            text
        } else {
            in_a_block(&text, more, choice.is_multiple_of(2))
        };
        // What is too large, or names a member of the kernel's event, is asked by the kernel alone.
        if text.contains("oom.oc.") {
            return Ok(());
        }
        let Some(both) = both(&text, self.kernel) else { return Ok(()) };
        let blocks = both.checked.blocks.len();
        let scenes = generate::scene();
        for _ in 0..machines {
            let scene = scenes.new_tree(&mut self.runner);
            let scene = scene.unwrap_or_else(|reason| panic!("no machine can be made: {reason}")).current();
            if is_open(&scene) {
                continue;
            }
            let asking = self.asking(&both, &scene, blocks);
            match agree_asked(&both, self.kernel, &scene, &asking) {
                Ok(None) => return Ok(()),
                Ok(Some(decision)) => *self.actions.entry(decision.action).or_default() += 1,
                Err(what) => return Err(format!("{text}\n{asking:?}\n{what}\n{scene}")),
            }
        }
        Ok(())
    }

    fn choose(&mut self, below: u64) -> u64 {
        let tree = (0..below).new_tree(&mut self.runner);
        tree.map_or(0, |tree| tree.current())
    }

    fn asking(&mut self, both: &Both, scene: &Scene, blocks: usize) -> Asking {
        let block = self.choose(blocks as u64 + 1) as usize;
        let triggers = ["limit", "pressure", "usage", "swap"];
        let trigger = triggers.get(self.choose(4) as usize).copied().unwrap_or("limit");
        let kills_left = self.choose(4).checked_sub(1).filter(|_| both.checked.budget.is_some());
        let memory_expected = self.choose(4) == 0;
        let mut samples = std::collections::HashMap::new();
        let cgroups = scene.machine.cgroups.iter().map(|cgroup| cgroup.id);
        let ids: Vec<i64> = cgroups.chain(scene.machine.processes.iter().map(|one| one.pid)).collect();
        for sample in 0..both.checked.samples.len() as u32 {
            for id in &ids {
                if self.choose(4) > 0 {
                    samples.insert((sample, *id), self.choose(9) as i64 * (1 << 20) - (1 << 20));
                }
            }
        }
        Asking { trigger, block, kills_left, memory_expected, samples }
    }
}

/// Where who dies is open: a signal does not reach who has the memory of its victim, and the model's does.
fn is_open(scene: &Scene) -> bool {
    scene.machine.processes.iter().any(|process| process.shares_with.is_some())
}

/// The same policy with its named rules in a block.
fn in_a_block(text: &str, more: &str, budget: bool) -> String {
    let is_rule = |line: &&str| line.starts_with("rule \"");
    let rules: Vec<&str> = text.lines().filter(is_rule).collect();
    let others: Vec<&str> = text.lines().filter(|line| !is_rule(line)).collect();
    let budget = if budget { "budget 2 kills per 1m\n" } else { "" };
    let (first, rest) = rules.split_at(rules.len() / 2);
    format!(
        "{budget}on usage > 50% {{\n{}\n{more}\n{}\n}}\n{}\n",
        first.join("\n"),
        rest.join("\n"),
        others.join("\n")
    )
}
