//! `oomc doctor`
//!
//! What is said of policies that are attached is found out here, because it takes their meaning: the runtime looks at
//! the machine alone.

use std::path::Path;

use oomc_forecast::{AtOdds, Inputs, Settings, at_odds};
use oomc_runtime::doctor::{Finding, Grade, examine};
use oomc_runtime::{Attached, Mode, System, Target, show, unlocked};
use oomc_sim::machine::ROOT;
use serde_json::{Value, json};

use crate::args::{Doctor, Roots};
use crate::cmd::{snapshot, view};
use crate::exit::{Exit, Outcome};
use crate::policy;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Doctor) -> Outcome {
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    let mut findings = examine(root, args.kernel.btf.as_deref());
    // Of another machine there are files, and no pins.
    if args.root.is_none() {
        policies(report, args, &mut findings);
    }
    for one in &findings {
        let text = format!("{:<8} {}: {}", one.grade.name(), one.topic, one.found);
        // Thirty functions that are there tell nobody anything.
        if one.grade == Grade::Good {
            report.detail(text)
        } else {
            report.line(text)
        }
        if let Some(todo) = &one.todo {
            report.line(format_args!("{:<8} -> {todo}", ""));
        }
    }
    let bad = findings.iter().filter(|one| one.grade == Grade::Bad).count();
    let exit = if bad == 0 { Exit::Ok } else { Exit::Missing };
    report.line(match bad {
        0 => "policies can be loaded here".to_owned(),
        1 => "1 finding keeps policies from being loaded or asked here".to_owned(),
        _ => format!("{bad} findings keep policies from being loaded or asked here"),
    });
    report.remark("`check`, `test`, `sim` and `build` work here in any case");
    let all: Vec<Value> = findings
        .iter()
        .map(|one| {
            json!({ "topic": one.topic, "grade": one.grade.name(), "found": one.found, "todo": one.todo })
        })
        .collect();
    report.result("doctor", exit, json!({ "findings": all }));
    Ok(exit)
}

/// What the attached policies and `oom_score_adj` say of the same processes.
fn policies(report: &Report, args: &Doctor, findings: &mut Vec<Finding>) {
    const TOPIC: &str = "policies";
    let system = System::running();
    let unknown = |topic: &str, why: String| Finding::new(topic, Grade::Unknown, why);
    let attached = match unlocked(&system) {
        Ok(seen) => seen.status.attached,
        Err(error) => {
            findings.push(unknown(TOPIC, format!("what is attached cannot be seen: {error}")));
            return;
        }
    };
    if attached.is_empty() {
        findings.push(Finding::new(TOPIC, Grade::Good, "none is attached"));
        return;
    }
    for one in &attached {
        let topic = format!("policy {} on {}", one.policy, one.cgroup);
        match of_policy(report, args, &system, one) {
            Ok(found) if found.is_empty() => {
                findings.push(Finding::new(&topic, Grade::Good, "oom_score_adj says nothing else than it"));
            }
            Ok(found) => findings.extend(found.iter().map(|one| told(&topic, one))),
            Err(why) => {
                findings.push(unknown(&topic, format!("whom it protects cannot be found out: {why}")))
            }
        }
    }
}

fn of_policy(
    report: &Report,
    args: &Doctor,
    system: &System<'_>,
    one: &Attached,
) -> Result<Vec<AtOdds>, String> {
    let failed = |failure: crate::exit::Failure| failure.message;
    let target = match one.cgroup.as_str() {
        "/" => Target::System,
        path => Target::Cgroup(path.to_owned()),
    };
    let text = show::show(system, &target).map_err(|error| error.to_string())?.text;
    let kernel =
        oomc_forecast::kernel(&view(&args.kernel).map_err(failed)?).map_err(|error| error.to_string())?;
    let suite = policy::running(one.meta.get("name"), &text, &kernel)?;
    let roots = Roots { cgroup_root: None, proc_root: "/proc".into() };
    let only = (target != Target::System).then_some(one.cgroup.as_str());
    let inputs = Inputs::new(&snapshot::live(report, &roots, only).map_err(failed)?.snapshot);
    let at = match only {
        Some(path) => inputs.find(path).map_err(|error| error.to_string())?,
        None => ROOT,
    };
    let settings = Settings { audit: one.mode.map(|mode| mode == Mode::Audit), params: one.params.clone() };
    at_odds(&kernel, suite, inputs, at, &settings).map_err(|error| error.to_string())
}

/// What is at odds, and what to do.
fn told(topic: &str, one: &AtOdds) -> Finding {
    match one {
        AtOdds::Exposed { process, adj, clause: (clause, line) } => {
            let found = format!(
                "`{clause}` (line {line}) protects {}, whose oom_score_adj is {adj}: where the policy does not decide, \
                 the kernel kills it before others",
                process.text()
            );
            let todo =
                format!("echo 0 > /proc/{}/oom_score_adj, or OOMScoreAdjust=0 in its unit", process.id);
            Finding::new(topic, Grade::Note, found).todo(todo)
        }
        AtOdds::Exempt { process } => {
            let found = format!(
                "it would kill {} now, whose oom_score_adj is -1000: the kernel lets no policy kill it",
                process.text()
            );
            let todo = format!(
                "name it in a `never` if it is to live; else raise its oom_score_adj: echo 0 > /proc/{}/oom_score_adj",
                process.id
            );
            Finding::new(topic, Grade::Note, found).todo(todo)
        }
        AtOdds::NotAsked { clause: (clause, line) } => {
            let found = format!(
                "whom `{clause}` (line {line}) protects is not known: no rule that would run now asks it"
            );
            Finding::new(topic, Grade::Unknown, found)
        }
    }
}

#[cfg(test)]
mod tests {
    use oomc_compiler::KernelView;
    use oomc_snapshot::{Cgroup, Process, SCHEMA, Snapshot};

    use super::*;

    const MIB: i64 = 1 << 20;

    /// A cgroup `/job` with processes of these names, `oom_score_adj` and sizes.
    fn machine(processes: &[(&str, i64, i64)]) -> Inputs {
        let cgroup = |id, path: &str, parent: Option<&str>| Cgroup {
            path: path.to_owned(),
            parent: parent.map(str::to_owned),
            id,
            mode: 0o755,
            controller: true,
            ..Cgroup::default()
        };
        let job = Cgroup { current: Some(90 * MIB), max: Some(100 * MIB), ..cgroup(2, "/job", Some("/")) };
        let processes = (700..).zip(processes).map(|(pid, (comm, adj, mib))| Process {
            pid,
            comm: (*comm).to_owned(),
            cgroup: "/job".to_owned(),
            oom_score_adj: *adj,
            threads: 1,
            anon: mib * MIB,
            ..Process::default()
        });
        Inputs::new(&Snapshot {
            schema: SCHEMA,
            top: "/".to_owned(),
            memory: 1 << 30,
            now: 1_000_000_000_000,
            cgroups: vec![cgroup(1, "/", None), job],
            processes: processes.collect(),
            ..Snapshot::default()
        })
    }

    fn findings(text: &str, processes: &[(&str, i64, i64)]) -> Vec<Finding> {
        let kernel =
            oomc_forecast::kernel(&KernelView::embedded()).expect("the reference kernel can be modelled");
        let suite = policy::running("web", text, &kernel).expect("a sound policy");
        let inputs = machine(processes);
        let at = inputs.find("/job").expect("it is there");
        let found = at_odds(&kernel, suite, inputs, at, &Settings::default()).expect("it decides");
        found.iter().map(|one| told("web", one)).collect()
    }

    const POLICY: &str = "never kill process where comm == \"sshd\"\nkill largest process in subtree\n";

    #[test]
    fn a_protected_process_that_the_kernel_would_kill_first_is_found() {
        let found = findings(POLICY, &[("sshd", 500, 50), ("sshd", 0, 20), ("worker", 900, 10)]);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(one.grade, Grade::Note);
        assert!(
            one.found.contains("(line 1) protects sshd (700) in /job, whose oom_score_adj is 500"),
            "{one:?}"
        );
        assert!(one.todo.as_deref().is_some_and(|todo| todo.starts_with("echo 0 > /proc/700/oom_score_adj")));
    }

    #[test]
    fn an_exempt_process_that_the_policy_would_kill_is_found() {
        let found = findings(POLICY, &[("postgres", -1000, 60), ("worker", 0, 10)]);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert!(one.found.starts_with("it would kill postgres (700) in /job now"), "{one:?}");
        assert!(one.todo.as_deref().is_some_and(|todo| todo.contains("`never`")));
        // Whom the policy protects may be exempt, and whom it would not kill.
        assert_eq!(findings(POLICY, &[("sshd", -1000, 60), ("worker", 0, 10), ("small", -1000, 1)]), []);
    }

    #[test]
    fn a_clause_that_nobody_asks_is_said_to_be_unknown() {
        let text = "never kill process where comm == \"sshd\"\nif cgroup.usage > 1TiB then kill largest in subtree\n";
        let found = findings(text, &[("sshd", 500, 50)]);
        assert!(found.iter().all(|one| one.grade == Grade::Unknown), "{found:?}");
    }
}
