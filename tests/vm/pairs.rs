//! Random policies on random trees, with real cgroups and processes: what the kernel then does is what the oracle
//! says. Where the kernel asks no policy, user space does.
//!
//! The machine runs one tree after the other; what was decided is read from the policy's own records, who died from
//! the processes themselves. Sizes of a tree are 30 % apart, and a pair counts only if the oracle decides the same
//! when each size is a little off: what the plan cannot know exactly never matters.

pub(crate) mod plan;
mod policy;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use libtest_mimic::Failed;
use oomc_abi::record::{Action, MAX_CANDIDATES};
use oomc_compiler::{KernelView, Source, hir};
use oomc_oracle::machine::{Life, Machine, PAGE};
use oomc_oracle::{Asking, Decision, Settings, decide_asked};
use oomc_tests::number;
use oomc_vm::report::Report;
use oomc_vm::script::{self, Case};
use serde_json::{Value, json};

pub(crate) use plan::Way;
use plan::{Dice, Plan};

/// The test's name.
pub(crate) const NAME: &str = "random_pairs_are_decided_as_the_oracle_says";

/// The name of the test of what is compared.
pub(crate) const COMPARED: &str = "records_of_random_pairs_are_compared";

/// Seed and number of the pairs; others by `OOMC_SEED` and `OOMC_PAIRS`.
const SEED: u64 = 1;
const COUNT: usize = 104;

/// How often the sizes of a tree are changed a little before a pair counts.
const VARIATIONS: usize = 24;

/// How often a policy of one kind is tried on another tree, until its decision depends only on what is known.
const TRIES: usize = 2_000;

/// Of a hundred pairs in which the policy does nothing, how many are taken: then the kernel decides who dies, and
/// only the record tells.
const IDLE: usize = 15;

/// By how many percent what a kill brings may differ from what the plan says.
const TOLERANCE: u64 = 15;

/// What a key may be off besides a tenth, in whatever it is measured in: two mebibytes in pages, nothing in bytes.
const SLACK: i64 = 512;

/// Which actions how many of a hundred pairs at least end in.
const LEAST: [(Action, usize); 4] =
    [(Action::KillProcess, 20), (Action::KillCgroup, 15), (Action::KillAll, 1), (Action::RaiseLimit, 5)];

/// A policy, a tree, and what is to happen.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) plan: Plan,
    way: Way,
    checked: hir::Policy,
    pub(crate) object: Vec<u8>,
    decision: Decision,
    /// Between which numbers each key of each candidate is, whatever the sizes are exactly.
    ranges: Vec<Vec<Range>>,
}

/// All pairs, or why one cannot be made.
fn pairs(way: Way) -> &'static [Result<Pair, String>] {
    static BY_KERNEL: OnceLock<Vec<Result<Pair, String>>> = OnceLock::new();
    static ASKED: OnceLock<Vec<Result<Pair, String>>> = OnceLock::new();
    let pairs = if way == Way::Kernel { &BY_KERNEL } else { &ASKED };
    pairs.get_or_init(|| {
        let view = KernelView::embedded();
        let mut dice = Dice::new(number("OOMC_SEED", SEED));
        let count = number("OOMC_PAIRS", COUNT as u64) as usize;
        (0..count).map(|at| pair(&view, "p", at, way, &mut dice)).collect()
    })
}

/// The pair of this number, whose decision depends only on what is known.
pub(crate) fn pair(
    view: &KernelView,
    prefix: &str,
    at: usize,
    way: Way,
    dice: &mut Dice,
) -> Result<Pair, String> {
    let name = format!("{prefix}{at:03}");
    for _ in 0..TRIES {
        let plan = Plan::draw(&name, way, dice);
        let text = policy::policy(at % policy::KINDS, &plan, dice);
        // Such a policy runs only where the kernel asks.
        if way == Way::Asked && text.contains("oom.oc.") {
            continue;
        }
        let source = Source::new(format!("{name}.oom"), text.as_str());
        let checked = oomc_compiler::check(&source, view);
        let Some(policy) = checked.policy() else {
            let messages: Vec<String> =
                checked.diagnostics().into_iter().map(|one| one.message.into_string()).collect();
            return Err(format!("this does not compile: {}\n{text}", messages.join("; ")));
        };
        let settings = Settings::of(policy);
        let asking = match way {
            Way::Kernel => Asking::default(),
            Way::Asked => Asking { trigger: "limit", ..Asking::default() },
        };
        let decided = |machine: &Machine| decide_asked(policy, &settings, machine, &plan.event(), &asking);
        let decision = decided(&plan.machine);
        if decision.answer == 0 && !settings.audit && !dice.chance(IDLE) {
            continue;
        }
        let variations: Vec<Decision> = (0..VARIATIONS).map(|_| decided(&plan.varied(dice))).collect();
        if variations.iter().any(|varied| seen(varied) != seen(&decision)) {
            continue;
        }
        if let Some(object) = checked.compile().object {
            let ranges = ranges(&decision, &variations);
            let checked = policy.clone();
            return Ok(Pair { name, text, plan, way, checked, object, decision, ranges });
        }
    }
    Err(format!("{name}: no pair of this kind depends only on what is known"))
}

/// What can be seen of a decision.
fn seen(decision: &Decision) -> impl PartialEq + use<> {
    let Decision { answer, action, rule, limit, .. } = *decision;
    let candidates: Vec<(i64, u8)> = decision.candidates.iter().map(|one| (one.id, one.class)).collect();
    let died: Vec<bool> =
        decision.machine.processes.iter().map(|process| process.life != Life::Lives).collect();
    let lists = (decision.ends.clone(), decision.victims.clone(), candidates, died);
    (answer, action, rule, limit, lists, decision.reason.clone(), decision.notice.clone())
}

/// The least and the most that a key can be; none: it is missing.
type Range = (Option<i64>, Option<i64>);

/// What the keys of each candidate are in all variations.
fn ranges(decision: &Decision, variations: &[Decision]) -> Vec<Vec<Range>> {
    let range = |at: usize, key: usize, value: Option<i64>| {
        let others = variations.iter().filter_map(|varied| varied.candidates.get(at)?.keys.get(key).copied());
        others.fold((value, value), |(least, most), value| (least.min(value), most.max(value)))
    };
    let candidates = decision.candidates.iter().enumerate();
    candidates
        .map(|(at, one)| one.keys.iter().enumerate().map(|(key, value)| range(at, key, *value)).collect())
        .collect()
}

/// Whether a key that the machine tells can be the one that is meant. One that is the same whatever the sizes are is
/// known exactly.
fn fits(key: &str, told: Option<i64>, (least, most): Range) -> bool {
    match (told, least, most) {
        // Numbers that the kernel gives to what is made, and the time that passes.
        _ if ["pid", "age_rank", "age"].contains(&key) => told.is_some(),
        (Some(told), Some(least), Some(most)) if least < most => {
            let slack = |amount: i64| amount.saturating_abs() / 10 + SLACK;
            (least.saturating_sub(slack(least))..=most.saturating_add(slack(most))).contains(&told)
        }
        _ => told == least && told == most,
    }
}

impl Pair {
    fn case_name(&self) -> String {
        format!("{NAME}_{}", self.name)
    }

    /// The script. Who dies is looked at only where the policy decides it.
    fn case(&self) -> Result<Case, String> {
        let name = self.case_name();
        let steps = match self.way {
            Way::Kernel => self.plan.steps(),
            Way::Asked => self.plan.asked_steps(),
        };
        let mut text = format!("#! policy: none\n{steps}");
        text += "#> oomc events --format json\n";
        if self.decision.answer != 0 {
            let after = &self.decision.machine;
            // Ends are waited for; only then is it certain who goes on living.
            for (died, state) in [(true, "killed"), (false, "alive")] {
                for (index, process) in after.processes.iter().enumerate() {
                    if (process.life != Life::Lives) == died {
                        text += &format!("#> expect {} {state}\n", self.plan.task(index));
                    }
                }
            }
            let max = after.cgroup(self.plan.top).max.unwrap_or(0) * PAGE;
            text += &format!("#> expect {} memory.max == {max}B\n", after.path(self.plan.top));
        }
        let mut case = script::parse(&name, &text)?;
        case.files.push((format!("{name}.o"), self.object.clone()));
        Ok(case)
    }

    /// The name of a process or cgroup by its id in the plan.
    fn name_of(&self, id: i64) -> String {
        let machine = &self.plan.machine;
        let process = machine.processes.iter().find(|process| process.pid == id);
        let process = process.map(|process| process.comm.clone());
        let cgroup =
            || machine.cgroups.iter().find(|cgroup| cgroup.id == id).map(|cgroup| cgroup.name.clone());
        process.or_else(cgroup).unwrap_or_default()
    }

    /// In what the first record differs from the decision.
    fn differences(&self, record: &Value) -> Vec<String> {
        let decision = &self.decision;
        let mut found = Vec::new();
        let mut compare = |what: &str, told: &Value, meant: Value| {
            if *told != meant {
                found.push(format!("{what}: {told} by the kernel, {meant} by the oracle"));
            }
        };
        let text = |text: &str| Value::from(text.to_owned());
        compare("answer", &record["answer"], Value::from(decision.answer));
        compare("action", &record["action"], text(decision.action.text()));
        let rule = decision.rule.and_then(|rule| self.checked.rules.get(rule));
        compare("rule", &record["rule"], rule.map_or(Value::Null, |rule| text(&rule.name)));
        let ends: Vec<Value> = self
            .checked
            .rules
            .iter()
            .zip(&decision.ends)
            .map(|(rule, end)| json!({ "rule": rule.name, "end": end.text() }))
            .collect();
        compare("ends of rules", &record["rules"], Value::from(ends));
        if matches!(decision.action, Action::KillProcess | Action::KillCgroup) {
            let victim = decision.victims.first().map(|id| self.name_of(*id)).unwrap_or_default();
            compare("victim", record.pointer("/victim/name").unwrap_or(&Value::Null), text(&victim));
        }
        let kills = matches!(decision.action, Action::KillProcess | Action::KillCgroup | Action::KillAll);
        let told = record["expected_bytes"].as_i64().unwrap_or_default();
        let off = told.abs_diff(decision.expected) / TOLERANCE > decision.expected.unsigned_abs() / 100;
        if kills && off {
            compare("expected bytes", &record["expected_bytes"], Value::from(decision.expected));
        }
        if decision.action == Action::RaiseLimit {
            compare("new limit", &record["result"], Value::from(decision.limit));
            compare("rise", &record["expected_bytes"], Value::from(decision.expected));
        }
        let candidates: Vec<Value> = decision
            .candidates
            .iter()
            .take(MAX_CANDIDATES)
            .map(|one| json!({ "name": self.name_of(one.id), "class": one.class }))
            .collect();
        let told: Vec<&Value> = record["candidates"].as_array().into_iter().flatten().collect();
        let named: Vec<Value> =
            told.iter().map(|one| json!({ "name": one["name"], "class": one["class"] })).collect();
        compare("candidates", &Value::from(named), Value::from(candidates));
        for (told, (one, ranges)) in told.iter().zip(decision.candidates.iter().zip(&self.ranges)) {
            let keys = told["keys"].as_array().into_iter().flatten();
            for (told, range) in keys.zip(ranges) {
                let key = told["key"].as_str().unwrap_or_default();
                if !fits(key, told["value"].as_i64(), *range) {
                    let name = self.name_of(one.id);
                    found.push(format!(
                        "{key} of {name}: {} by the kernel, {range:?} by the oracle",
                        told["value"]
                    ));
                }
            }
        }
        for (what, told, meant) in
            [("reason", &record["reason"], &decision.reason), ("note", &record["note"], &decision.notice)]
        {
            let values: Vec<&str> = meant.iter().flatten().flatten().map(String::as_str).collect();
            let told = told.as_str();
            // Which of several the reason is about is nobody's business.
            let there = decision.in_any_order
                || values.iter().all(|value| told.is_some_and(|told| told.contains(value)));
            if told.is_some() != meant.is_some() || !there {
                found.push(format!("{what}: {told:?} by the kernel, with {values:?} by the oracle"));
            }
        }
        found
    }

    /// A record that says what was decided.
    fn record(&self) -> Value {
        let decision = &self.decision;
        let name = |rule: usize| self.checked.rules.get(rule).map(|rule| rule.name.clone());
        let ends = decision.ends.iter().enumerate();
        let candidates = decision.candidates.iter().take(MAX_CANDIDATES);
        let shown = |values: &Option<Vec<Option<String>>>| {
            values.as_ref().map(|values| values.iter().flatten().cloned().collect::<Vec<String>>().join(" "))
        };
        json!({
            "answer": decision.answer,
            "action": decision.action.text(),
            "rule": decision.rule.and_then(name),
            "rules": ends.map(|(at, end)| json!({ "rule": name(at), "end": end.text() })).collect::<Vec<Value>>(),
            "victim": { "name": decision.victims.first().map(|id| self.name_of(*id)) },
            "result": decision.limit,
            "expected_bytes": decision.expected,
            "candidates": candidates
                .map(|one| {
                    let keys = one.keys.iter().map(|value| json!({ "key": "a key", "value": value }));
                    let keys: Vec<Value> = keys.collect();
                    json!({ "name": self.name_of(one.id), "class": one.class, "keys": keys })
                })
                .collect::<Vec<Value>>(),
            "reason": shown(&decision.reason),
            "note": shown(&decision.notice),
        })
    }

    /// The whole pair, for whoever has to find out.
    fn explained(&self, what: &str) -> String {
        let mut text =
            format!("{}: {what}\n--- policy\n{}--- plan\n{}", self.name, self.text, self.plan.steps());
        let names: Vec<String> = self.decision.victims.iter().map(|id| self.name_of(*id)).collect();
        let candidates: Vec<String> = self
            .decision
            .candidates
            .iter()
            .map(|one| format!("{} {:?}", self.name_of(one.id), one.keys))
            .collect();
        let Decision { answer, action, rule, limit, .. } = &self.decision;
        _ = writeln!(
            text,
            "--- decision\n{action}, answer {answer}, rule {rule:?}, victims {names:?}, limit {limit:?}\ncandidates \
             {candidates:?}\nends {:?}",
            self.decision.ends
        );
        text
    }
}

/// The cases: one for each pair.
pub(crate) fn cases(way: Way) -> Vec<Case> {
    // A script that cannot be read is missed by the judge.
    pairs(way).iter().flatten().filter_map(|pair| pair.case().ok()).collect()
}

/// The first record that `oomc events` told.
fn first_record(steps: &[String]) -> Option<Value> {
    let lines: Vec<&str> = steps.iter().filter_map(|step| step.trim_start().strip_prefix("| ")).collect();
    let from = lines.iter().position(|line| line.starts_with('{'))?;
    let text = lines.get(from..)?.join("\n");
    let document: Value = serde_json::Deserializer::from_str(&text).into_iter().next()?.ok()?;
    let records = document.get("events")?.as_array()?.iter().filter_map(|event| event.get("record"));
    records.min_by_key(|record| record.get("number").and_then(Value::as_u64)).cloned()
}

/// Compares what the machine tells with what was decided.
pub(crate) fn judge(way: Way, report: impl Fn(&str) -> Result<Report, Failed>) -> Result<(), Failed> {
    let mut actions: BTreeMap<Action, usize> = BTreeMap::new();
    let (mut agreed, mut idle, mut millis) = (0, 0, 0);
    let mut wrong = Vec::new();
    for pair in pairs(way) {
        let pair = match pair {
            Ok(pair) => pair,
            Err(why) => {
                wrong.push(why.clone());
                continue;
            }
        };
        let report = match report(&pair.case_name()) {
            Ok(report) => report,
            Err(failed) => {
                wrong.push(pair.explained(failed.message().unwrap_or("it failed")));
                continue;
            }
        };
        millis += report.millis;
        let Some(record) = first_record(&report.steps) else {
            wrong.push(pair.explained(&format!("no record was told:\n{}", report.steps.join("\n"))));
            continue;
        };
        let differences = pair.differences(&record);
        if differences.is_empty() {
            agreed += 1;
            idle += usize::from(pair.decision.answer == 0);
            *actions.entry(pair.decision.action).or_default() += 1;
        } else {
            let told = format!("{}\n--- record\n{record}", differences.join("\n"));
            wrong.push(pair.explained(&told));
        }
    }
    let each: Vec<String> = actions.iter().map(|(action, count)| format!("{count} {action}")).collect();
    eprintln!(
        "pairs on the kernel: {agreed} agree ({}; {idle} answered 0), {} s",
        each.join(", "),
        millis / 1000
    );
    for (action, least) in LEAST {
        let count = actions.get(&action).copied().unwrap_or(0);
        if pairs(way).len() >= COUNT && count * 100 < least * agreed {
            wrong.push(format!("{action}: only {count} of {agreed} pairs"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n\n"))) }
}

/// All pairs can be made, and what is compared would tell.
pub(crate) fn wrong_records_are_found(way: Way) -> Result<(), Failed> {
    for pair in pairs(way) {
        let pair = pair.as_ref().map_err(|why| Failed::from(why.clone()))?;
        let record = pair.record();
        let differences = pair.differences(&record);
        if !differences.is_empty() {
            return Err(Failed::from(pair.explained(&differences.join("\n"))));
        }
        let mut places = vec!["/answer", "/action", "/rule", "/rules/0/end"];
        let kills = matches!(pair.decision.action, Action::KillProcess | Action::KillCgroup);
        places.extend(kills.then_some(["/victim/name", "/expected_bytes"]).into_iter().flatten());
        let raises = pair.decision.action == Action::RaiseLimit;
        places.extend(raises.then_some(["/result", "/expected_bytes"]).into_iter().flatten());
        for place in
            ["/candidates/0/name", "/candidates/0/class", "/candidates/0/keys/0/value", "/reason", "/note"]
        {
            places.extend(record.pointer(place).filter(|value| !value.is_null()).map(|_| place));
        }
        for place in places {
            let mut wrong = record.clone();
            if let Some(value) = wrong.pointer_mut(place) {
                *value = match &*value {
                    Value::Number(_) => Value::from(i64::MIN),
                    Value::Null => Value::from("something"),
                    _ => Value::Null,
                };
            }
            if pair.differences(&wrong).is_empty() {
                return Err(Failed::from(pair.explained(&format!("another {place} is not found"))));
            }
        }
    }
    Ok(())
}
