//! Writes a test of a decision that somebody has seen: the machine as it was given, the event, and what came of it.
//!
//! Whether the test says the same as the machine is not for the writer to claim: the test is run before it is shown,
//! and where it does not pass, a sentence says so.

use oomc_abi::amount::exact;
use oomc_abi::amounts::ROWS;
use oomc_abi::declared::Declared;
use oomc_abi::fields::Unit;
use oomc_abi::scenario::process_name;
use oomc_compiler::diag::Severity;
use oomc_compiler::{Parsed, Source, value};
use oomc_forecast::{Forecast, Suite, test_run};
use oomc_sim::machine::{CgroupIndex, Machine, PAGE, ROOT};
use oomc_sim::scenario::{Decision, Order, did};
use oomc_snapshot::{Cgroup, Process, Snapshot};
use serde::Serialize;

use crate::desk::{Desk, NAME};

/// A test, and whether it passes.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// For a file of tests.
    pub(crate) text: String,
    /// For a reader: what shows nothing in a name is spelt out.
    pub(crate) shown: String,
    pub(crate) passes: bool,
    /// Why it does not: a sentence.
    pub(crate) why: Option<String>,
}

/// What happened, and where.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// None: the whole machine.
    pub(crate) domain: Option<CgroupIndex>,
    pub(crate) declared: &'a Declared,
}

/// Writes the test and runs it; none if nothing is claimed of the decision.
pub(crate) fn test(
    desk: &Desk,
    policy: &str,
    event: &Event<'_>,
    forecast: &Forecast,
    decision: &Decision,
) -> Option<Written> {
    if !forecast.unknown.is_empty() {
        return None;
    }
    let cgroups = event.snapshot.cgroups.iter().map(|one| one.path.as_str());
    let names = cgroups.chain(event.snapshot.processes.iter().map(|one| one.comm.as_str()));
    if names.into_iter().any(|name| name.contains(|c: char| c == '"' || c.is_control())) {
        let why = "a name on the machine has a quotation mark or a line break, and no text of a policy can"
            .to_owned();
        return Some(Written { text: String::new(), shown: String::new(), passes: false, why: Some(why) });
    }
    let text = text(event, forecast, decision);
    let outcome = run(desk, policy, &text);
    let shown = text.lines().map(|line| oomc_picture::visible(line) + "\n").collect();
    Some(Written { text, shown, passes: outcome.is_ok(), why: outcome.err() })
}

fn run(desk: &Desk, policy: &str, tests: &str) -> Result<(), String> {
    let kernel = desk.kernel();
    let parsed = Parsed::new(Source::new(NAME, policy)).with_tests(Source::new("policy.oomt", tests));
    let checked = parsed.check(kernel.view());
    let errors = checked.beside().map(|beside| beside.diagnostics.as_slice()).unwrap_or_default();
    if let Some(error) = errors.iter().find(|one| one.severity == Severity::Error) {
        return Err(format!("what is on the machine cannot be said in a test: {}", error.message));
    }
    let object = checked.compile().object.ok_or("the policy does not compile with it")?;
    let suite = Suite::new(checked, &object, kernel).map_err(|error| error.to_string())?;
    let last = suite.tests.len().checked_sub(1).ok_or("it is no test")?;
    let ran = test_run::run(kernel, &[suite], &[], &[(0, last)], Order::Named);
    let wrong = ran.iter().flat_map(test_run::Ran::wrong).map(|(_, sentence)| sentence).next();
    wrong.map_or(Ok(()), Err)
}

fn text(event: &Event<'_>, forecast: &Forecast, decision: &Decision) -> String {
    // A text of the language ends at a quotation mark, and has none in it.
    let name = oomc_picture::visible(&forecast.summary.replace('"', "'"));
    let mut out = format!("test \"{name}\" {{\n    given {{\n");
    let machine = event.snapshot.machine();
    let mut order: Vec<usize> = (0..event.snapshot.cgroups.len()).collect();
    // Older ones first: a test makes them in the order in which it names them.
    order.sort_by_key(|at| event.snapshot.cgroups.get(*at).map(|one| one.id));
    for at in order {
        let Some(one) = event.snapshot.cgroups.get(at) else { continue };
        let said = cgroup(event, &machine, at, one);
        if !said.is_empty() || Some(at) == event.domain {
            out.push_str(&format!("        \"{}\" {{ {} }}\n", one.path, said.join(" ")));
        }
    }
    let mut processes: Vec<&Process> = event.snapshot.processes.iter().collect();
    processes.sort_by_key(|one| one.start);
    for one in processes {
        let said = process(event.snapshot, one).join(" ");
        out.push_str(&format!("        \"{}\" {{ {said} }}\n", process_name(&one.cgroup, one.pid)));
    }
    out.push_str("    }\n");
    match event.domain.and_then(|at| event.snapshot.cgroups.get(at)) {
        Some(domain) => out.push_str(&format!("    on oom in \"{}\"\n", domain.path)),
        None => out.push_str("    on system oom\n"),
    }
    let by = forecast.rule.as_ref().map(|rule| format!(" by rule \"{rule}\"")).unwrap_or_default();
    out.push_str(&format!("    expect {}{by}\n}}\n", did(decision, event.declared)));
    out
}

/// What has to be said of a cgroup so that it is as it is here.
fn cgroup(event: &Event<'_>, machine: &Machine, at: CgroupIndex, one: &Cgroup) -> Vec<String> {
    let snapshot = event.snapshot;
    let bytes = |name: &str, value: i64| format!("{name} {}", exact(Unit::Bytes, value));
    let mut said = Vec::new();
    if at == ROOT {
        said.push(bytes("limit", snapshot.memory));
        said.extend((snapshot.swap > 0).then(|| bytes("swap_limit", snapshot.swap)));
    } else {
        let limits = [
            ("limit", one.max),
            ("high", one.high),
            ("low", one.low.filter(|low| *low > 0)),
            ("min", one.min.filter(|min| *min > 0)),
            ("swap_limit", one.swap_max),
        ];
        said.extend(limits.into_iter().filter_map(|(name, value)| Some(bytes(name, value?))));
    }
    said.extend(one.oom_group.then(|| "oom_group".to_owned()));
    if !one.controller {
        said.push("no_memory_controller".to_owned());
        return said;
    }
    said.extend(labels(event, one));
    // Only what does not follow from the processes and the cgroups in it.
    let held = held(machine, at);
    for row in ROWS {
        let Some(field) = row.field else { continue };
        let own = machine.cgroup(at).own.get(row.amount);
        let follows = held.iter().find(|(name, _)| *name == field.name).map_or(0, |(_, bytes)| *bytes);
        if own != follows {
            let total = machine.sum(at, |own| own.get(row.amount));
            said.push(format!("{} {}", field.name, exact(field.unit, total)));
        }
    }
    if let Some(pressure) = &one.pressure {
        for (state, windows) in [("some", pressure.some), ("full", pressure.full)] {
            let averages = [("avg10", windows.avg10), ("avg60", windows.avg60), ("avg300", windows.avg300)];
            for (window, value) in averages.into_iter().filter(|(_, value)| *value > 0.0) {
                said.push(format!("pressure.{state}.{window} {value}%"));
            }
        }
    }
    said
}

/// Labels that the policy reads here.
fn labels(event: &Event<'_>, one: &Cgroup) -> Vec<String> {
    let attached = event.snapshot.cgroups.get(event.domain.unwrap_or(ROOT)).map_or(0, |at| at.owner);
    let said = event.declared.labels.iter().filter_map(|label| {
        let text = one.labels.get(&label.name)?;
        let trusted = label.trust.refuses(one.owner, one.mode, attached).is_none();
        let readable = value::read(text).is_ok_and(|(unit, _)| unit == label.unit);
        (trusted && readable).then(|| format!("{} {text}", label.name))
    });
    said.collect()
}

/// Bytes that the processes of a cgroup itself add to its own amounts.
fn held(machine: &Machine, at: CgroupIndex) -> Vec<(&'static str, i64)> {
    let mut sums = [("anon", 0), ("file", 0), ("shmem", 0), ("kernel", 0)];
    for place in 0..machine.processes.len() {
        let one = machine.process(place);
        if machine.home(place) != at || one.kernel {
            continue;
        }
        let parts = [one.anon * PAGE, (one.file + one.shmem) * PAGE, one.shmem * PAGE, one.pgtables];
        for ((_, sum), part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
    }
    sums.to_vec()
}

fn process(snapshot: &Snapshot, one: &Process) -> Vec<String> {
    let mut said = vec![format!("comm \"{}\"", one.comm)];
    let sizes = [
        ("anon", one.anon),
        ("file", one.file),
        ("shmem", one.shmem),
        ("swap", one.swap),
        ("pgtables", one.page_tables),
    ];
    for (name, value) in sizes.into_iter().filter(|(_, value)| *value > 0) {
        // Whoever has nothing else is as large as this.
        let name = if name == "anon" && one.file + one.shmem == 0 { "rss" } else { name };
        said.push(format!("{name} {}", exact(Unit::Bytes, value)));
    }
    for (name, value) in [("oom_score_adj", one.oom_score_adj), ("uid", one.uid)] {
        said.extend((value != 0).then(|| format!("{name} {value}")));
    }
    // The language has no time below a millisecond.
    let age = (snapshot.now - one.start).max(0) / MILLISECOND * MILLISECOND;
    said.push(format!("age {}", exact(Unit::Duration, age)));
    said.extend((one.threads > 1).then(|| format!("nr_threads {}", one.threads)));
    said.extend(one.kernel_thread.then(|| "kernel_thread".to_owned()));
    said.extend((one.killed || one.exiting).then(|| "dying".to_owned()));
    let parent = one.parent.filter(|parent| *parent > 1);
    let parent = parent.and_then(|parent| snapshot.processes.iter().find(|other| other.pid == parent));
    said.extend(parent.map(|other| format!("parent \"{}\"", process_name(&other.cgroup, other.pid))));
    said.extend(one.ns_pids.last().map(|number| format!("ns_pid {number}")));
    said
}

const MILLISECOND: i64 = 1_000_000;
