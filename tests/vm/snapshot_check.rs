//! What `oomc snapshot` sees of the machine: before its first policy is loaded, each case tells it, and it must be what
//! the case has made.

use libtest_mimic::Failed;
use oomc_compiler::KernelView;
use oomc_sim::Kernel;
use oomc_snapshot::{Cgroup, Process, Snapshot};
use oomc_tests::replay::snapshot_check::differences;
use oomc_tests::replay::{Before, End, replay};
use oomc_vm::report::Report;
use oomc_vm::script::Case;

/// The test's name.
pub(crate) const NAME: &str = "snapshots_show_what_cases_have_made";

/// So many machines at least are compared.
const LEAST: usize = 165;

/// Changes of the first process and of the last cgroup, each of which has to be found.
const CHANGES: [(&str, Change); 19] = [
    ("adj", |_, process| process.oom_score_adj ^= 1),
    ("uid", |_, process| process.uid += 1),
    ("threads", |_, process| process.threads += 1),
    ("name", |_, process| process.comm.insert(0, '-')),
    ("anon", |_, process| process.anon += MUCH),
    ("file", |_, process| process.file += MUCH),
    ("shmem", |_, process| process.shmem += MUCH),
    ("swap", |_, process| process.swap += MUCH),
    ("page tables", |_, process| process.page_tables += MUCH),
    ("kernel thread", |_, process| process.kernel_thread ^= true),
    ("killed", |_, process| process.killed ^= true),
    ("max", |cgroup, _| cgroup.max = Some(cgroup.max.unwrap_or_default() + MUCH)),
    ("high", |cgroup, _| cgroup.high = Some(cgroup.high.unwrap_or_default() + MUCH)),
    ("low", |cgroup, _| cgroup.low = Some(cgroup.low.unwrap_or_default() + MUCH)),
    ("min", |cgroup, _| cgroup.min = Some(cgroup.min.unwrap_or_default() + MUCH)),
    ("swap limit", |cgroup, _| cgroup.swap_max = Some(cgroup.swap_max.unwrap_or_default() + MUCH)),
    ("group", |cgroup, _| cgroup.oom_group ^= true),
    ("owner", |cgroup, _| cgroup.owner += 1),
    ("label", |cgroup, _| drop(cgroup.labels.insert("another".to_owned(), "1".to_owned()))),
];

type Change = fn(&mut Cgroup, &mut Process);

/// More than any amount may be off.
const MUCH: i64 = 64 << 20;

/// The changes that are not found.
fn unseen(before: &Before, snapshot: &Snapshot) -> Vec<String> {
    let mut unseen = Vec::new();
    for (what, change) in CHANGES {
        let mut other = snapshot.clone();
        // What lies in the root is not of the case.
        let process = other.processes.iter_mut().find(|process| process.cgroup != "/");
        let (Some(cgroup), Some(process)) = (other.cgroups.last_mut(), process) else { break };
        change(cgroup, process);
        if differences(before, &other).is_empty() {
            unseen.push(format!("another {what} is not found"));
        }
    }
    unseen
}

/// Compares what the machine tells with what is played. Fewer cases than there are may have been asked for.
pub(crate) fn judge(
    cases: &[Case],
    all: usize,
    report: impl Fn(&str) -> Result<Report, Failed>,
) -> Result<(), Failed> {
    let kernel = Kernel::new(KernelView::embedded()).map_err(|lacking| Failed::from(lacking.to_string()))?;
    let (mut compared, mut wrong) = (0, Vec::new());
    for case in cases {
        let before = match replay(&kernel, case) {
            Ok(played) => played.before,
            // What is wrong is told where decisions are compared.
            Err(End::Unplayable(_) | End::Wrong(_)) => continue,
        };
        let Ok(report) = report(&case.name) else { continue };
        let (Some(before), Some(told)) = (before, report.machine) else { continue };
        let differences = match oomc_snapshot::parse(told.to_string().as_bytes()) {
            Ok(snapshot) => match differences(&before, &snapshot) {
                nothing if nothing.is_empty() => unseen(&before, &snapshot),
                differences => differences,
            },
            Err(error) => vec![error.to_string()],
        };
        compared += usize::from(differences.is_empty());
        wrong.extend(differences.into_iter().map(|what| format!("{}: {what}", case.name)));
    }
    eprintln!("{compared} machines are seen as they were made");
    if cases.len() >= all && compared < LEAST {
        wrong.push(format!("only {compared} machines are seen as they were made"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}
