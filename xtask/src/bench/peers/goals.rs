//! What was to be reached beside the peers, and whether it was: also where oomc loses.

use oomc_peers::plan::{FEW, Killer, MANY, Scope, Workload};
use oomc_peers::report::Message;

use super::table::{Costs, Counted, costs, count, shown};

/// Of the trials of a workload in which any peer exceeds [`ANY_PEER`], in percent.
const RIGHT: usize = 95;
const ANY_PEER: usize = 50;
/// Fewer trials say that it works, and no more.
const ENOUGH: usize = 20;
/// CPU of a decision beside many cgroups: at most this part of the best peer's.
const PART: u64 = 10;

/// A table of goals.
pub(super) fn table(messages: &[Message]) -> String {
    let mut text = "| goal | at most or least | measured | |\n|---|--:|--:|---|\n".to_owned();
    for scope in Scope::ALL {
        for workload in Workload::ALL {
            text.push_str(&victims(messages, scope, workload));
        }
    }
    for scope in Scope::ALL {
        let of = |killer| costs(messages, killer, scope, MANY);
        let decision = best(scope, |killer| of(killer).decision).map(|cpu| cpu / PART);
        let what = format!("a decision beside {MANY} cgroups, µs, {}", scope.name());
        text.push_str(&at_most(&what, decision, of(Killer::Oomc).decision));
        for cgroups in [FEW, MANY] {
            let of = |killer| -> Costs { costs(messages, killer, scope, cgroups) };
            let idle = best(scope, |killer| of(killer).idle);
            let what = format!("idle with {cgroups} cgroups, µs in a second, {}", scope.name());
            text.push_str(&at_most(&what, idle, of(Killer::Oomc).idle));
        }
    }
    text
}

/// Who is compared there.
fn peers(scope: Scope) -> impl Iterator<Item = Killer> {
    let others = Killer::ALL.into_iter().filter(|killer| killer.unit().is_some() && *killer != Killer::Oomc);
    others.filter(move |killer| Workload::ALL.iter().any(|workload| killer.watches(scope, *workload)))
}

/// The least of the peers.
fn best(scope: Scope, of: impl Fn(Killer) -> Option<u64>) -> Option<u64> {
    peers(scope).filter_map(of).min()
}

fn victims(messages: &[Message], scope: Scope, workload: Workload) -> String {
    let ours = count(messages, Killer::Oomc, scope, workload);
    let theirs = peers(scope).filter_map(|killer| {
        let share = percent(&count(messages, killer, scope, workload))?;
        Some((share, killer.name()))
    });
    let Some((share, name)) = theirs.max() else { return String::new() };
    let wanted = if share > ANY_PEER { share.max(RIGHT) } else { share };
    let what = format!("right victim, {}, {} (best peer: {name}, {share} %)", workload.name(), scope.name());
    let own = percent(&ours);
    let verdict = match ours.trials {
        1..ENOUGH => "too few trials",
        _ => verdict(own.map(|own| own >= wanted)),
    };
    let own = own.map_or_else(|| "-".to_owned(), |own| format!("{own} %"));
    format!("| {what} | {wanted} % | {own} | {verdict} |\n")
}

fn percent(counted: &Counted) -> Option<usize> {
    (counted.right * 100).checked_div(counted.trials)
}

fn at_most(what: &str, most: Option<u64>, own: Option<u64>) -> String {
    if most.is_none() && own.is_none() {
        return String::new();
    }
    let verdict = verdict(most.zip(own).map(|(most, own)| own <= most));
    format!("| {what} | {} | {} | {verdict} |\n", shown(most), shown(own))
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "NOT met",
        None => "not measured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oomc_peers::plan::Cell;
    use oomc_peers::report::Seen;

    fn trials(killer: Killer, right: usize, of: usize) -> Vec<Message> {
        let cell =
            Cell { killer, scope: Scope::Machine, workload: Workload::SlowLeak, cgroups: FEW, idle: false };
        let seen = |freed| Seen { event: Some(1), freed, ..Seen::default() };
        (0..of).map(|at| Message::Ended(cell, Box::new(seen((at < right).then_some(2))))).collect()
    }

    #[test]
    fn who_is_behind_the_best_peer_or_below_the_share_has_not_met_it() {
        let goal = |ours, theirs| {
            let messages = [trials(Killer::Oomc, ours, 20), trials(Killer::Nohang, theirs, 20)].concat();
            table(&messages)
        };
        assert!(goal(18, 11).contains("nohang, 55 %) | 95 % | 90 % | NOT met |"));
        assert!(goal(19, 11).contains("| 95 % | 95 % | met |"));
        assert!(goal(19, 20).contains("| 100 % | 95 % | NOT met |"));
        assert!(goal(8, 8).contains("| 40 % | 40 % | met |"));
        assert!(table(&trials(Killer::Nohang, 1, 1)).contains("| - | not measured |"));
        let few = [trials(Killer::Oomc, 19, 19), trials(Killer::Nohang, 19, 19)].concat();
        assert!(table(&few).contains("| 100 % | 100 % | too few trials |"));
    }
}
