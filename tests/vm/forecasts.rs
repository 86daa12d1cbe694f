//! What a forecast says right before an OOM is what then happens: who dies, by which rule, how much comes free, who is
//! protected.
//!
//! Random policies and trees as for the [`pairs`], with swap, shared memory and dying processes besides their groups.
//! Each case grows until a little is left, takes a snapshot, and goes on until the limit is hit; a second snapshot shows
//! who is gone. The forecast is made of the first one outside of the machine, by what `oomc plan` is made of. Where it
//! says that it does not know, it claims nothing, and nothing is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use libtest_mimic::Failed;
use oomc_compiler::{KernelView, Parsed, Source};
use oomc_forecast::{Forecast, Inputs, Settings, Suite, Trial};
use oomc_snapshot::Snapshot;
use oomc_tests::number;
use oomc_vm::report::Report;
use oomc_vm::script::{self, Case};
use serde_json::Value;

use crate::documents::printed;
use crate::pairs::plan::{Dice, EXCESS, MIB};
use crate::pairs::{self, Pair};

/// The test's name.
pub(crate) const NAME: &str = "forecasts_come_true";

/// Seed and number of the trees; others by `OOMC_SEED` and `OOMC_FORECASTS`. Of 104 trees with this seed 85 forecasts came
/// true, 19 warned of what then was otherwise, and none was false.
const SEED: u64 = 7;
const COUNT: usize = 24;

/// What is left to grow when the forecast is made.
const LEFT: i64 = 3 * MIB;

/// What the cgroup may swap out, where there is swap.
const SWAP: i64 = 8 * MIB;

/// By how much what comes free may be off: a part in a hundred, and what a process has besides.
const TOLERANCE: i64 = 15;
const BESIDES: i64 = 4 * MIB;

/// So many of a hundred forecasts at most may say that they do not know, or warn of what may come otherwise.
const UNKNOWN: usize = 25;

/// What a forecast says where memory can still be swapped out, and where shared memory may stay: then amounts may be
/// others, and the next event follows at once.
const WARNED: [&str; 2] = ["of swap are free for it", "of what comes free is shared memory"];

/// A pair with what its tree has besides.
struct Scene {
    pair: Pair,
    script: String,
    /// What is special about it, in words.
    kinds: Vec<&'static str>,
}

fn scenes() -> &'static [Result<Scene, String>] {
    static SCENES: OnceLock<Vec<Result<Scene, String>>> = OnceLock::new();
    SCENES.get_or_init(|| {
        let view = KernelView::embedded();
        let mut dice = Dice::new(number("OOMC_SEED", SEED));
        let count = number("OOMC_FORECASTS", COUNT as u64) as usize;
        (0..count)
            .map(|at| Ok(scene(pairs::pair(&view, "f", at, pairs::Way::Kernel, &mut dice)?, &mut dice)))
            .collect()
    })
}

fn scene(pair: Pair, dice: &mut Dice) -> Scene {
    let (mut kinds, plan) = (Vec::new(), &pair.plan);
    let machine = &plan.machine;
    let (top, attached) = (machine.path(plan.top), machine.path(plan.attached));
    let swap = dice.chance(25);
    let mut more = plan.grows() - LEFT;
    let mut script = String::new();
    if swap {
        kinds.push("swap");
        more += SWAP;
        script += "#> swap 64MiB\n";
    }
    let dying = dice.chance(20).then(|| dice.below(machine.processes.len()));
    for line in plan.tree_steps().lines() {
        let task = line.strip_prefix("#> task ").and_then(|rest| rest.split(' ').next());
        let shared = task.is_some_and(|task| task != "grower") && dice.chance(20);
        if shared {
            kinds.push("shared memory");
        }
        script += &if shared { line.replace(" anon ", " shmem ") } else { line.to_owned() };
        script.push('\n');
        if line.starts_with(&format!("#> cgroup {top} ")) {
            let most = if swap { SWAP } else { 0 };
            _ = writeln!(script, "#> write {top} memory.swap.max {most}");
        }
    }
    if let Some(task) = dying.map(|at| plan.task(at)).filter(|task| task != "grower") {
        kinds.push("a dying process");
        _ = writeln!(script, "#> linger {task}\n#> kill {task}\n#> expect {task} dying");
    }
    if machine.cgroups.iter().any(|cgroup| cgroup.group) {
        kinds.push("a group");
    }
    let look = format!("#> oomc snapshot --cgroup {attached} -o -\n");
    _ = write!(
        script,
        "#> load --cgroup {attached}\n#> grow grower by {}MiB\n{look}#> grow grower by {}MiB\n#> oomc events --format \
         json\n{look}",
        more / MIB,
        (LEFT + EXCESS) / MIB,
    );
    kinds.sort_unstable();
    kinds.dedup();
    Scene { pair, script, kinds }
}

impl Scene {
    fn case_name(&self) -> String {
        format!("{NAME}_{}", self.pair.name)
    }

    fn case(&self) -> Result<Case, String> {
        let name = self.case_name();
        let mut case = script::parse(&name, &format!("#! policy: none\n{}", self.script))?;
        case.files.push((format!("{name}.o"), self.pair.object.clone()));
        Ok(case)
    }

    /// What would be said of a snapshot: the forecast, and the record of the decision.
    fn forecast(&self, view: &KernelView, snapshot: &Snapshot) -> Result<(Forecast, Option<u64>), String> {
        let kernel = oomc_forecast::kernel(view).map_err(|error| error.to_string())?;
        let checked =
            Parsed::new(Source::new(format!("{}.oom", self.pair.name), self.pair.text.as_str())).check(view);
        let suite = Suite::new(checked, &self.pair.object, &kernel).map_err(|error| error.to_string())?;
        let machine = &self.pair.plan.machine;
        let inputs = Inputs::new(snapshot);
        let find = |at| inputs.find(&machine.path(at)).map_err(|error| error.to_string());
        let (attached, top) = (find(self.pair.plan.attached)?, find(self.pair.plan.top)?);
        let mut trial = Trial::new(&kernel, suite, inputs, attached, &Settings::default());
        let (forecast, answer) = trial.ask(Some(top)).map_err(|error| error.to_string())?;
        let limit = answer.decision.record.as_ref().and_then(|record| u64::try_from(record.result).ok());
        Ok((forecast, limit))
    }

    fn explained(&self, what: &str) -> String {
        format!(
            "{} ({}): {what}\n--- policy\n{}--- script\n{}",
            self.pair.name,
            self.kinds.join(", "),
            self.pair.text,
            self.script
        )
    }
}

/// The cases: one for each scene.
pub(crate) fn cases() -> Vec<Case> {
    scenes().iter().flatten().filter_map(|scene| scene.case().ok()).collect()
}

/// What the machine told of one case.
struct Told {
    before: Snapshot,
    after: Snapshot,
    record: Value,
}

impl Told {
    fn of(report: &Report) -> Result<Self, String> {
        let documents = printed(&report.steps);
        let snapshots: Vec<Snapshot> = documents
            .iter()
            .filter_map(|one| oomc_snapshot::parse(one.to_string().as_bytes()).ok())
            .collect();
        let [before, after] = snapshots.as_slice() else {
            return Err(format!("{} snapshots were told\n{}", snapshots.len(), report.steps.join("\n")));
        };
        let events = documents.iter().find_map(|one| one.get("events")).and_then(Value::as_array);
        let records = events.into_iter().flatten().filter_map(|event| event.get("record"));
        let first = records.min_by_key(|record| record.get("number").and_then(Value::as_u64)).cloned();
        let record = first.ok_or_else(|| format!("no record was told\n{}", report.steps.join("\n")))?;
        Ok(Self { before: before.clone(), after: after.clone(), record })
    }

    /// Ids of those who lived and do not any more.
    fn died(&self) -> BTreeSet<i64> {
        let living = |snapshot: &Snapshot| -> BTreeSet<i64> {
            let lives = snapshot.processes.iter().filter(|one| !one.exiting && !one.killed);
            lives.filter(|one| one.pid != 1).map(|one| one.pid).collect()
        };
        living(&self.before).difference(&living(&self.after)).copied().collect()
    }

    /// Bytes that came free below the cgroup with the limit, less what the one that grows took again.
    fn freed(&self, scene: &Scene, room: i64) -> i64 {
        let path = scene.pair.plan.machine.path(scene.pair.plan.top);
        let used = |snapshot: &Snapshot| {
            let one = snapshot.cgroups.iter().find(|one| one.path == path);
            one.map_or(0, |one| one.current.unwrap_or(0) + one.swap.unwrap_or(0))
        };
        used(&self.before) + room - used(&self.after)
    }
}

/// In what the machine differs from the forecast.
fn differences(scene: &Scene, forecast: &Forecast, limit: Option<u64>, told: &Told) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, said: String, was: String| {
        if said != was {
            found.push(format!("{what}: the forecast says {said}, and it was {was}"));
        }
    };
    let record = &told.record;
    let shown = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
    compare("rule", forecast.rule.clone().unwrap_or("nobody".to_owned()), shown(&record["rule"]));
    let said: BTreeSet<i64> = forecast.dies.iter().map(|one| one.id).collect();
    let died = told.died();
    compare("who dies", format!("{said:?}"), format!("{died:?}"));
    let names: Vec<String> = forecast.candidates.iter().map(|one| one.entity.name.clone()).collect();
    let told_names = record["candidates"].as_array().into_iter().flatten().map(|one| shown(&one["name"]));
    compare("candidates", format!("{names:?}"), format!("{:?}", told_names.collect::<Vec<_>>()));
    if record["action"] == "raised the limit" {
        compare("limit", format!("{:?}", limit), format!("{:?}", record["result"].as_u64()));
    }
    let protected: BTreeSet<i64> = forecast
        .protections
        .iter()
        .flat_map(|clause| &clause.objects)
        .filter(|one| one.kind == oomc_forecast::forecast::Kind::Process)
        .map(|one| one.id)
        .collect();
    let lost: Vec<&i64> = protected.intersection(&died).collect();
    if !lost.is_empty() && record["answer"] == 1 {
        found.push(format!("{lost:?} were protected, and died"));
    }
    if !died.is_empty() && died == said {
        // Until the limit was met the one that grows took what there was room for.
        let room = LEFT + EXCESS;
        let freed = told.freed(scene, room);
        let off = (freed - forecast.frees).abs();
        if off > forecast.frees * TOLERANCE / 100 + BESIDES + room {
            found.push(format!("bytes: the forecast says {}, and {freed} came free", forecast.frees));
        }
    }
    found
}

/// How a forecast and what happened stand to each other.
enum Compared {
    True,
    /// It did not know, or it warned of what then was otherwise.
    Unknown(&'static str),
    /// What was said and was not so.
    False(String),
}

/// Compares what was said with what happened.
pub(crate) fn judge(report: impl Fn(&str) -> Result<Report, Failed>) -> Result<(), Failed> {
    let view = KernelView::embedded();
    let (mut true_ones, mut millis) = (0, 0);
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for scene in scenes() {
        let scene = scene.as_ref().map_err(|why| Failed::from(why.clone()))?;
        let told = match report(&scene.case_name()) {
            Ok(report) => {
                millis += report.millis;
                Told::of(&report)
            }
            Err(failed) => Err(failed.message().unwrap_or("it failed").to_owned()),
        };
        let compared = told.and_then(|told| {
            let (forecast, limit) = scene.forecast(&view, &told.before)?;
            if forecast.nobody_asks.is_some() {
                return Ok(Compared::Unknown("nobody asks"));
            }
            if !forecast.unknown.is_empty() {
                return Ok(Compared::Unknown("asks what only a kernel knows"));
            }
            let differences = differences(scene, &forecast, limit, &told);
            let lines = forecast.lines(true).join("\n");
            let text =
                format!("{}\n--- forecast\n{lines}\n--- record\n{}", differences.join("\n"), told.record);
            let warned = |warning: &&&str| forecast.remarks.iter().any(|remark| remark.contains(**warning));
            Ok(match WARNED.iter().find(warned) {
                _ if differences.is_empty() => Compared::True,
                Some(warning) => Compared::Unknown(warning),
                None => Compared::False(text),
            })
        });
        match compared {
            Ok(Compared::Unknown(why)) => *unknown.entry(why).or_default() += 1,
            Ok(Compared::True) => {
                true_ones += 1;
                scene.kinds.iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
            }
            Ok(Compared::False(text)) | Err(text) => wrong.push(scene.explained(&text)),
        }
    }
    let each: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} with {kind}")).collect();
    let not_known: Vec<String> = unknown.iter().map(|(why, count)| format!("{count} of {why:?}")).collect();
    eprintln!(
        "forecasts: {true_ones} came true ({}), warned or not known: {}, {} s",
        each.join(", "),
        not_known.join(", "),
        millis / 1000
    );
    let unknown: usize = unknown.values().sum();
    if unknown * 100 > UNKNOWN * scenes().len() {
        wrong.push(format!("{unknown} forecasts did not know, or warned of what came"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n\n"))) }
}
