//! The cases that run in the machine, once more: in the simulator, and each decision before the oracle, too.
//!
//! The same files and the same expectations; [`oomc_tests::replay`] plays them. In the machine
//! (`tests/vm/agreement.rs`) the kernel's decisions are compared with those that are played here. Which cases cannot
//! be played is counted; `OOMC_SHOW=1` names them.

use oomc_abi::resolve::KernelView;
use oomc_sim::Kernel;
use oomc_tests::replay::compare::{But, differences, left_out};
use oomc_tests::replay::more::More;
use oomc_tests::replay::room::near;
use oomc_tests::replay::{End, cases, cases_of, replay, replay_with};
use oomc_vm::report::Decision;

/// Cases that a model can show, at least: a change that makes one unplayable is noticed.
const LEAST: usize = 176;

fn kernel() -> Kernel {
    Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled")
}

#[test]
fn what_happens_in_the_machine_happens_in_the_simulator() {
    let kernel = kernel();
    let (mut played, mut decisions, mut failed, mut left) = (0, 0, Vec::new(), Vec::new());
    for case in cases() {
        match replay(&kernel, &case) {
            Ok(done) => {
                played += 1;
                decisions += done.asked;
            }
            Err(End::Wrong(what)) => failed.push(what),
            Err(End::Unplayable(what)) => left.push(format!("{}: {what}", case.name)),
        }
    }
    eprintln!(
        "{played} cases with {decisions} decisions happen as in the machine; {} are left to it",
        left.len()
    );
    if std::env::var_os("OOMC_SHOW").is_some() {
        eprintln!("{}", left.join("\n"));
    }
    assert!(failed.is_empty(), "{} cases go on otherwise:\n{}", failed.len(), failed.join("\n\n"));
    assert!(played >= LEAST, "only {played} cases can be played");
}

/// By so many pages may be off what the machine counts of a process or a cgroup: counters per CPU are added up late
/// (`MEMCG_CHARGE_BATCH`, include/linux/memcontrol.h, 6.12), and there are pages that no case asks for.
const OFF: i64 = 128;

/// A case that hangs on a few pages would agree with the kernel today and not tomorrow.
#[test]
fn a_few_pages_more_change_no_decision() {
    let kernel = kernel();
    let mut wrong = Vec::new();
    for case in cases() {
        let Ok(played) = replay(&kernel, &case) else { continue };
        let changed = More::each(&case, OFF).find_map(|more| {
            let what = match replay_with(&kernel, &case, Some(more)) {
                Ok(other) => differences(&case.name, &played.decisions, &other.decisions)?,
                Err(end) => format!("{end:?}"),
            };
            Some(format!("{}, with {more:?} in place of the kernel: {what}", case.name))
        });
        wrong.extend(changed);
    }
    assert!(wrong.is_empty(), "{} cases hang on a few pages:\n{}", wrong.len(), wrong.join("\n"));
}

/// What no model can play hangs on a few pages neither: told from the sizes in the script, whatever the policy asks.
#[test]
fn cases_left_to_the_machine_have_room() {
    let kernel = kernel();
    let left = cases().into_iter().filter(|case| replay(&kernel, case).is_err());
    let mut wrong = Vec::new();
    for case in left.chain(cases_of("stock")) {
        let near = near(&case, 2 * OFF.unsigned_abs() * 4096);
        wrong.extend(near.iter().map(|(line, who)| format!("{}:{line}: as large as {who:?}", case.name)));
    }
    assert!(wrong.is_empty(), "somebody runs into the limit at another's size:\n{}", wrong.join("\n"));
}

/// Each part of a decision, changed.
fn changed(decision: &Decision) -> Vec<(&'static str, Decision)> {
    let other = |text: &str| format!("{text}-");
    let name = |text: &Option<String>| text.as_ref().map_or_else(|| Some("-".to_owned()), |_| None);
    let mut ends = decision.ends.clone();
    ends.iter_mut().for_each(|(_, end)| end.push('-'));
    let mut candidates = decision.candidates.clone();
    candidates.push(("another".to_owned(), 1));
    vec![
        ("attached", Decision { attached: other(&decision.attached), ..decision.clone() }),
        ("domain", Decision { domain: other(&decision.domain), ..decision.clone() }),
        ("audit", Decision { audit: !decision.audit, ..decision.clone() }),
        ("answer", Decision { answer: 1 - decision.answer, ..decision.clone() }),
        ("action", Decision { action: other(&decision.action), ..decision.clone() }),
        ("rule", Decision { rule: name(&decision.rule), ..decision.clone() }),
        ("victim", Decision { victim: name(&decision.victim), ..decision.clone() }),
        ("killed", Decision { killed: decision.killed + 1, ..decision.clone() }),
        (
            "limit",
            Decision { limit: Some(decision.limit.map_or(1, |limit| limit / 50 * 51)), ..decision.clone() },
        ),
        ("ends", Decision { ends, ..decision.clone() }),
        ("candidates", Decision { candidates, ..decision.clone() }),
    ]
}

/// What is compared with the kernel would tell: each part of each decision, one too many and one too few.
#[test]
fn another_decision_is_found() {
    let kernel = kernel();
    let mut looked_at = 0;
    for case in cases() {
        let Ok(played) = replay(&kernel, &case) else { continue };
        let decisions = &played.decisions;
        let is_found = |told: &[Decision]| differences(&case.name, decisions, told).is_some();
        assert!(!is_found(decisions), "{} differs from itself", case.name);
        for at in 0..decisions.len() {
            for (part, decision) in changed(&decisions[at]) {
                let mut told = decisions.clone();
                told[at] = decision;
                assert!(is_found(&told), "{}: another {part} of decision {at} is not found", case.name);
                looked_at += 1;
            }
            let mut told = decisions.clone();
            told.remove(at);
            assert!(is_found(&told), "{}: decision {at} is not missed", case.name);
            let mut told = decisions.clone();
            told.push(decisions[at].clone());
            let may_be_more = left_out(&case.name) == Some(But::MoreDecisions);
            assert!(may_be_more || is_found(&told), "{}: one more decision is not found", case.name);
        }
    }
    assert!(looked_at > 1_000, "only {looked_at} changes were made");
}
