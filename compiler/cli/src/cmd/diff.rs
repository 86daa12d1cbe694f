//! `oomc diff A.oom B.oom --snapshot S.json [--cgroup PATH] [--oom PATH|--system] [--set P=V]`

use std::collections::BTreeSet;

use oomc_abi::record::Record;
use oomc_runtime::Assignment;
use oomc_sim::machine::{CgroupIndex, Event, Life, Machine, ROOT};
use oomc_sim::{Attached, Policy, Simulation};
use serde_json::{Value, json};

use crate::args::Diff;
use crate::cmd::view;
use crate::decision::Told;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;
use crate::scene::{self, Scene};
use crate::suite;

/// A policy on its side of the comparison.
struct Side {
    name: String,
    policy: Policy,
    attached: Attached,
}

pub(crate) fn run(report: &Report, args: &Diff) -> Outcome {
    let scene = Scene::open(&args.snapshot)?;
    let top = args.cgroup.as_deref().unwrap_or(&scene.top);
    let at = scene.find(top)?;
    let places = match (&args.oom, args.system) {
        (Some(path), _) => vec![scene.find(path)?],
        (None, true) => vec![ROOT],
        (None, false) => places(&scene.machine, at),
    };
    let view = view(&args.kernel)?;
    let kernel = suite::kernel(&view)?;
    let (mut sides, mut remarks) = (Vec::new(), BTreeSet::new());
    let as_written: &[Assignment] = &[];
    for (file, set) in [(&args.before, as_written), (&args.after, &args.set)] {
        match suite::open(report, file, &kernel, false)? {
            Ok(suite) => {
                let (mut attached, of_labels) = scene.attach(&suite.policy, at);
                remarks.extend(of_labels);
                scene::set(&mut attached, &suite.policy.declared, set)?;
                // What each would do in earnest is compared.
                attached.set_audit(false);
                let set = set.iter().map(|one| format!("{}={}", one.name, one.value));
                let set = set.collect::<Vec<_>>().join(", ");
                let name = suite.source.name;
                let name = if set.is_empty() { name } else { format!("{name} with {set}") };
                sides.push(Side { name, policy: suite.policy, attached });
            }
            Err(unready) => {
                report.result("diff", unready.exit, json!({ "diagnostics": unready.diagnostics }));
                return Ok(unready.exit);
            }
        }
    }
    for remark in &remarks {
        report.warn(remark);
    }
    let [before, after] = sides.as_slice() else { return Ok(Exit::Errors) };
    let machine = scene.machine.clone();
    let mut simulation =
        Simulation::new(&kernel, machine).map_err(|lacking| Failure::refused(lacking.to_string()))?;
    let mut differences: Vec<Value> = Vec::new();
    for place in &places {
        let (own, full) = (scene.machine.cgroup(*place).own, scene.machine.run_out(*place));
        simulation.set_own(*place, full);
        let domain = (*place != ROOT).then_some(*place);
        let event = simulation.machine().event(domain, at);
        let one = decide(&mut simulation, &scene.machine, before, &event)?;
        let other = decide(&mut simulation, &scene.machine, after, &event)?;
        simulation.set_own(*place, own);
        if one.becomes == other.becomes {
            continue;
        }
        let path = scene.machine.path(*place);
        report.line(format_args!("when {path} runs out of memory"));
        let mut texts = Vec::new();
        for (side, decided) in [(before, &one), (after, &other)] {
            let text = tell(&scene.machine, side, decided.record.as_ref());
            report.line(format_args!("    {}: {text}", side.name));
            texts.push(text);
        }
        differences.push(json!({ "cgroup": path, "before": texts.first(), "after": texts.get(1) }));
    }
    report.line(match (differences.len(), places.len()) {
        (0, 1) => "both decide alike".to_owned(),
        (0, all) => format!("both decide alike at all {all} places"),
        (some, all) => format!("they decide differently at {some} of {all} places"),
    });
    let exit = if differences.is_empty() { Exit::Ok } else { Exit::Errors };
    let result = json!({ "places": places.len(), "differences": differences, "remarks": remarks });
    report.result("diff", exit, result);
    Ok(exit)
}

/// Whoever can run out of memory: the cgroup itself, and those below it with a limit of their own.
fn places(machine: &Machine, top: CgroupIndex) -> Vec<CgroupIndex> {
    let limited = |at: &CgroupIndex| *at == top || machine.cgroup(*at).max.is_some();
    machine.subtree(top).filter(limited).filter(|at| !machine.cgroup(*at).removed).collect()
}

/// What a policy decided.
struct Decided {
    record: Option<Record>,
    becomes: Becomes,
}

/// What becomes of the machine: who did it by which rule is the policies' own.
#[derive(PartialEq, Eq)]
struct Becomes {
    /// Otherwise the next handler decides, or the kernel.
    handled: bool,
    lives: Vec<Life>,
    limits: Vec<Option<i64>>,
}

/// Asks a copy of the policy; the machine is as it was for the next question.
fn decide(
    simulation: &mut Simulation<'_>,
    machine: &Machine,
    side: &Side,
    event: &Event,
) -> Result<Decided, Failure> {
    let mut attached = side.attached.clone();
    let run = simulation.ask(&mut attached, event).map_err(|refusal| {
        Failure::refused(format!("{}: a fault of oomc: the kernel would refuse: {refusal}", side.name))
    })?;
    let Machine { processes, cgroups, .. } = simulation.machine();
    let becomes = Becomes {
        handled: run.handled(),
        lives: processes.iter().map(|process| process.life).collect(),
        limits: cgroups.iter().map(|cgroup| cgroup.max).collect(),
    };
    simulation.undo(machine);
    Ok(Decided { record: attached.records().pop(), becomes })
}

fn tell(machine: &Machine, side: &Side, record: Option<&Record>) -> String {
    let Some(record) = record else { return "did not decide".to_owned() };
    let name = |id: u64| {
        let found = (0..machine.cgroups.len()).find(|at| machine.cgroup(*at).id as u64 == id);
        found.map_or_else(|| format!("cgroup {id}"), |at| machine.path(at))
    };
    let told = Told { record, declared: &side.policy.declared, cgroup: &name };
    match told.account().acting_rule() {
        Some(rule) => format!("{}, by rule \"{rule}\"", told.would()),
        None => told.would(),
    }
}
