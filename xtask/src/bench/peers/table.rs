//! The tables of `cargo xtask bench peers`, as Markdown.

use oomc_peers::plan::{Cell, FEW, Killer, MANY, Scope, Workload};
use oomc_peers::report::{Idle, Message, Seen};
use oomc_peers::verdict::{Verdict, judge};

use super::goals;

/// All trials of one killer with one workload.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) trials: usize,
    pub(super) right: usize,
    wrong: usize,
    kernel_first: usize,
    second: usize,
    nobody: usize,
    freed: Vec<u64>,
}

/// What a killer takes, with so many cgroups.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// KiB.
    pub(super) resident: Option<u64>,
    /// Microseconds of a CPU in a second without an event.
    pub(super) idle: Option<u64>,
    /// Microseconds of a CPU of a decision, without what it would have taken idle.
    pub(super) decision: Option<u64>,
    decisions: usize,
}

/// What happened in a trial, for whoever waits.
pub(super) fn line(message: &Message) -> String {
    match message {
        Message::Ready { kernel, .. } => format!("   Linux {kernel}"),
        Message::Begun(cell) => format!("   {} …", name(cell)),
        Message::Ended(cell, seen) => {
            format!("   {}: {}", name(cell), ended(&judge(cell.killer, seen), seen))
        }
        Message::Failed(cell, why) => format!("   {}: {why}", name(cell)),
        Message::End => "   the end".to_owned(),
    }
}

/// A trial's name.
pub(super) fn name(cell: &Cell) -> String {
    let Cell { killer, scope, workload, cgroups, .. } = cell;
    format!("{}, {}, {}, {cgroups} cgroups", killer.name(), workload.name(), scope.name())
}

fn ended(verdict: &Verdict, seen: &Seen) -> String {
    let words = [
        (verdict.right, "right"),
        (verdict.wrong, "wrong"),
        (verdict.kernel_first, "the kernel first"),
        (verdict.second, "a second victim"),
        (verdict.nobody, "nobody"),
    ];
    let words: Vec<&str> = words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
    let time = verdict.freed.map_or_else(|| "-".to_owned(), |time| time.to_string());
    format!("{}, freed after {time} ms, {} µs of a CPU", words.join(", "), shown(seen.cpu))
}

/// Everything.
pub(super) fn whole(messages: &[Message]) -> String {
    let mut text = machine(messages);
    for scope in Scope::ALL {
        text.push_str(&format!("\nWhat runs out is the memory of {}:\n\n", scope.name()));
        text.push_str(&victims(messages, scope));
    }
    text.push_str("\nWhat they take, in the fast leak:\n\n");
    text.push_str(&taken(messages));
    text.push('\n');
    text.push_str(&goals::table(messages));
    text.push_str(&failures(messages));
    text
}

fn machine(messages: &[Message]) -> String {
    let ready = messages.iter().find_map(|message| match message {
        Message::Ready { kernel, versions } => Some((kernel, versions)),
        _ => None,
    });
    let Some((kernel, versions)) = ready else { return "No machine has booted.\n".to_owned() };
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!("Linux {kernel}; {}.\n", versions.join(", "))
}

fn victims(messages: &[Message], scope: Scope) -> String {
    let mut text = "| workload | killer | trials | right | wrong | kernel first | second victim | nobody | event to free, median, ms | worst |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for workload in Workload::ALL {
        for killer in Killer::ALL {
            let counted = count(messages, killer, scope, workload);
            if counted.trials == 0 {
                continue;
            }
            let Counted { trials, right, wrong, kernel_first, second, nobody, freed } = &counted;
            let (middle, worst) = (shown(median(freed)), shown(freed.iter().copied().max()));
            text.push_str(&format!(
                "| {} | {} | {trials} | {right} | {wrong} | {kernel_first} | {second} | {nobody} | {middle} | {worst} |\n",
                workload.name(),
                killer.name(),
            ));
        }
    }
    text
}

/// The trials of a killer with a workload, few and many cgroups alike.
pub(super) fn count(messages: &[Message], killer: Killer, scope: Scope, workload: Workload) -> Counted {
    let mut counted = Counted::default();
    for (cell, seen) in ended_trials(messages) {
        if (cell.killer, cell.scope, cell.workload) != (killer, scope, workload) {
            continue;
        }
        let verdict = judge(killer, seen);
        counted.trials += 1;
        counted.right += usize::from(verdict.right);
        counted.wrong += usize::from(verdict.wrong);
        counted.kernel_first += usize::from(verdict.kernel_first);
        counted.second += usize::from(verdict.second);
        counted.nobody += usize::from(verdict.nobody);
        counted.freed.extend(verdict.freed);
    }
    counted
}

fn ended_trials(messages: &[Message]) -> impl Iterator<Item = (&Cell, &Seen)> {
    messages.iter().filter_map(|message| match message {
        Message::Ended(cell, seen) => Some((cell, seen.as_ref())),
        _ => None,
    })
}

fn taken(messages: &[Message]) -> String {
    let mut text = "| killer | watches | cgroups | resident, KiB | idle, µs of a CPU in a second | a decision, µs of a CPU | decisions |\n\
                    |---|---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for killer in Killer::ALL {
        for scope in Scope::ALL {
            for cgroups in [FEW, MANY] {
                let costs = costs(messages, killer, scope, cgroups);
                if costs.idle.is_none() {
                    continue;
                }
                text.push_str(&format!(
                    "| {} | {} | {cgroups} | {} | {} | {} | {} |\n",
                    killer.name(),
                    scope.name(),
                    shown(costs.resident),
                    shown(costs.idle),
                    shown(costs.decision),
                    costs.decisions,
                ));
            }
        }
    }
    text
}

/// Medians of what a killer takes. Only a trial in which it decided has a decision.
pub(super) fn costs(messages: &[Message], killer: Killer, scope: Scope, cgroups: u32) -> Costs {
    let (mut resident, mut idle, mut decision) = (Vec::new(), Vec::new(), Vec::new());
    for (cell, seen) in ended_trials(messages) {
        if (cell.killer, cell.scope, cell.cgroups) != (killer, scope, cgroups) {
            continue;
        }
        let Some(before) = seen.idle else { continue };
        resident.push(before.resident);
        idle.push(before.cpu * 1000 / before.span.max(1));
        if judge(killer, seen).right {
            // One that took less than it takes idle says nothing of the decision.
            decision.extend(seen.cpu.and_then(|cpu| cpu.checked_sub(in_span(&before, seen.span))));
        }
    }
    Costs {
        resident: median(&resident),
        idle: median(&idle),
        decision: median(&decision),
        decisions: decision.len(),
    }
}

/// Microseconds that it would have taken idle.
fn in_span(idle: &Idle, span: u64) -> u64 {
    idle.cpu * span / idle.span.max(1)
}

/// What could not be tried, and why.
fn failures(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        if let Message::Failed(cell, why) = message {
            let why = why.lines().next().unwrap_or_default();
            text.push_str(&format!("* not tried: {}: {why}\n", name(cell)));
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// The middle one; of two the smaller.
fn median(numbers: &[u64]) -> Option<u64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

pub(super) fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(killer: Killer, cgroups: u32) -> Cell {
        Cell { killer, scope: Scope::Cgroup, workload: Workload::FastLeak, cgroups, idle: true }
    }

    #[test]
    fn trials_are_counted_by_what_they_show() {
        let right = Seen { event: Some(10), freed: Some(30), ..Seen::default() };
        let late = Seen { kernel: Some(5), kernel_kills: 1, ..right.clone() };
        let messages = [right, late].map(|seen| Message::Ended(cell(Killer::Oomd, FEW), Box::new(seen)));
        let text = victims(&messages, Scope::Cgroup);
        assert!(text.contains("| fast-leak | oomd | 2 | 1 | 0 | 1 | 0 | 0 | 20 | 20 |"), "{text}");
        assert!(!victims(&messages, Scope::Machine).contains("oomd"));
    }

    #[test]
    fn a_decision_is_what_it_takes_more_than_idle() {
        let idle = Some(Idle { span: 10_000, cpu: 50_000, resident: 4096 });
        let seen = Seen {
            event: Some(1),
            freed: Some(2000),
            cpu: Some(12_000),
            span: 2000,
            idle,
            ..Seen::default()
        };
        let told = |seen: Seen| {
            let messages = [Message::Ended(cell(Killer::Oomd, MANY), Box::new(seen))];
            let costs = costs(&messages, Killer::Oomd, Scope::Cgroup, MANY);
            (costs.resident, costs.idle, costs.decision)
        };
        let busy = Seen { cpu: Some(9_999), ..seen.clone() };
        assert_eq!(told(seen), (Some(4096), Some(5000), Some(2000)));
        assert_eq!(told(busy), (Some(4096), Some(5000), None), "less than idle");
    }
}
