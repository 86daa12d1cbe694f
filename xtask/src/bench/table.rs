//! The tables of `cargo xtask bench code`: a short one for whoever changes the compiler, and the whole one as Markdown.

use super::figures::{Counted, Size, Variant};
use super::forests::{CROWDED, Forest};

/// What is counted of one program of a policy.
pub(super) fn of<'a>(counted: &'a [Counted], policy: &str, variant: Variant) -> Option<&'a Counted> {
    counted.iter().find(|one| one.policy == policy && one.variant == variant)
}

/// Ours and the twin of each policy that was counted.
pub(super) fn pairs(counted: &[Counted]) -> impl Iterator<Item = (&Counted, &Counted)> {
    counted
        .iter()
        .filter(|one| one.variant == Variant::Ours)
        .filter_map(|ours| Some((ours, of(counted, &ours.policy, Variant::Twin)?)))
}

/// Some columns, for a loop of changes.
pub(super) fn quick(counted: &[Counted], forests: &[Forest]) -> String {
    let mut text = format!("\n{:<16}{:>6}", "policy", "");
    for forest in forests {
        text.push_str(&format!("{:>12}", format!("N={}", forest.cgroups)));
    }
    text.push_str(&format!("{:>8}{:>11}{:>8}{:>7}\n", "insns", "processed", "jited", "stack"));
    for (ours, twin) in pairs(counted) {
        for one in [Some(ours), Some(twin), of(counted, &ours.policy, Variant::Lean)].into_iter().flatten() {
            text.push_str(&format!("{:<16}{:>6}", ours.policy, one.variant.name()));
            for forest in forests {
                text.push_str(&format!("{:>12}", number(one.on(forest))));
            }
            let [instructions, processed, jited, stack] = figures(one).map(number);
            text.push_str(&format!("{instructions:>8}{processed:>11}{jited:>8}{stack:>7}\n"));
        }
        text.push_str(&format!("{:<16}{:>6}", "", "ratio"));
        for forest in forests {
            text.push_str(&format!("{:>12}", shown(ratio(ours.on(forest), twin.on(forest)))));
        }
        let ([instructions, processed, ..], [theirs, checked, ..]) = (figures(ours), figures(twin));
        let (code, work) = (shown(ratio(instructions, theirs)), shown(ratio(processed, checked)));
        text.push_str(&format!("{code:>8}{work:>11}\n"));
    }
    text
}

/// Everything, as Markdown.
pub(super) fn whole(counted: &[Counted], forests: &[Forest]) -> String {
    let mut text = String::new();
    text.push_str("Instructions of a decision, with one process in each cgroup:\n\n");
    text.push_str(&decisions(counted));
    text.push_str("\nInstructions for one more, from 20 to 200 cgroups, from 10 to 100 processes in each of 20 cgroups, and from 1 to 50 threads of each of 20 processes:\n\n");
    text.push_str(&slopes(counted));
    text.push_str("\nThe programs:\n\n");
    text.push_str(&programs(counted));
    text.push_str("\nAll counts; 20x10x50 are 20 cgroups with 10 processes of 50 threads each:\n\n");
    text.push_str(&all(counted, forests));
    text
}

fn decisions(counted: &[Counted]) -> String {
    let mut rows = vec![row(["policy", "N", "oomc", "twin", "ratio", "lean", "ratio to lean"])];
    rows.push(rule(7));
    for (ours, twin) in pairs(counted) {
        let lean = of(counted, &ours.policy, Variant::Lean);
        for cgroups in [20, 200] {
            let forest = Forest::plain(cgroups);
            let (own, lean) = (ours.on(&forest), lean.and_then(|lean| lean.on(&forest)));
            rows.push(row([
                ours.policy.clone(),
                cgroups.to_string(),
                number(own),
                number(twin.on(&forest)),
                shown(ratio(own, twin.on(&forest))),
                number(lean),
                shown(ratio(own, lean)),
            ]));
        }
    }
    rows.concat()
}

/// Instructions for one more of something.
pub(super) fn slope(one: &Counted, from: &Forest, to: &Forest) -> Option<f64> {
    let more = to.things().checked_sub(from.things()).filter(|more| *more > 0)?;
    let (less, all) = (one.on(from)?, one.on(to)?);
    Some((all as f64 - less as f64) / f64::from(more))
}

/// What is compared: a further cgroup with a process, a further process, a further thread.
pub(super) fn spans() -> [(Forest, Forest); 3] {
    let [few, many, threads, _] =
        CROWDED.map(|(processes, threads)| Forest { cgroups: 20, processes, threads });
    [(Forest::plain(20), Forest::plain(200)), (few, many), (Forest::plain(20), threads)]
}

fn slopes(counted: &[Counted]) -> String {
    let mut rows = vec![row([
        "policy",
        "cgroup: oomc",
        "twin",
        "ratio",
        "process: oomc",
        "twin",
        "ratio",
        "thread: oomc",
        "twin",
    ])];
    rows.push(rule(9));
    for (ours, twin) in pairs(counted) {
        let mut cells = vec![ours.policy.clone()];
        for (at, (from, to)) in spans().iter().enumerate() {
            let (own, other) = (slope(ours, from, to), slope(twin, from, to));
            cells.extend([whole_number(own), whole_number(other)]);
            if at < 2 {
                cells.push(shown(quotient(own, other)));
            }
        }
        rows.push(row(cells));
    }
    rows.concat()
}

fn programs(counted: &[Counted]) -> String {
    let mut rows = vec![row([
        "policy",
        "instructions: oomc",
        "twin",
        "ratio",
        "lean",
        "processed: oomc",
        "twin",
        "ratio",
        "bytes JITed: oomc",
        "twin",
        "stack: oomc",
        "twin",
    ])];
    rows.push(rule(12));
    for (ours, twin) in pairs(counted) {
        let [own, processed, jited, stack] = figures(ours);
        let [other, checked, machine_code, depth] = figures(twin);
        let lean =
            of(counted, &ours.policy, Variant::Lean).and_then(|lean| lean.size).map(|size| size.instructions);
        rows.push(row([
            ours.policy.clone(),
            number(own),
            number(other),
            shown(ratio(own, other)),
            number(lean),
            number(processed),
            number(checked),
            shown(ratio(processed, checked)),
            number(jited),
            number(machine_code),
            number(stack),
            number(depth),
        ]));
    }
    rows.concat()
}

fn all(counted: &[Counted], forests: &[Forest]) -> String {
    let head = ["policy".to_owned(), "program".to_owned()];
    let mut rows = vec![row(head.into_iter().chain(forests.iter().map(Forest::word)))];
    rows.push(rule(2 + forests.len()));
    for one in counted {
        let head = [one.policy.clone(), one.variant.name().to_owned()];
        rows.push(row(head.into_iter().chain(forests.iter().map(|forest| number(one.on(forest))))));
    }
    rows.concat()
}

/// Instructions, processed, bytes of machine code, stack.
pub(super) fn figures(one: &Counted) -> [Option<u64>; 4] {
    let figure = |of: fn(&Size) -> u64| one.size.as_ref().map(of);
    [
        figure(|size| size.instructions),
        figure(|size| size.processed),
        figure(|size| size.machine_code),
        figure(|size| size.stack),
    ]
}

pub(super) fn ratio(ours: Option<u64>, twin: Option<u64>) -> Option<f64> {
    quotient(ours.map(|count| count as f64), twin.map(|count| count as f64))
}

pub(super) fn quotient(ours: Option<f64>, twin: Option<f64>) -> Option<f64> {
    Some(ours? / twin.filter(|twin| *twin > 0.0)?)
}

fn shown(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn whole_number(count: Option<f64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"))
}

/// With commas.
fn number(count: Option<u64>) -> String {
    let Some(count) = count else { return "-".to_owned() };
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn row<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.as_ref().to_owned()).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Numbers stand on the right.
fn rule(columns: usize) -> String {
    format!("|---|{}\n", "--:|".repeat(columns - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(number(Some(7)), "7");
        assert_eq!(number(Some(1_113_817)), "1,113,817");
        assert_eq!(number(None), "-");
    }

    #[test]
    fn a_slope_is_per_further_cgroup() {
        let mut one = Counted::new("headline", Variant::Ours);
        let (few, many) = (Forest::plain(20), Forest::plain(200));
        one.count(&few, "1000").expect("a count");
        one.count(&many, "19000").expect("a count");
        assert_eq!(slope(&one, &few, &many), Some(100.0));
        assert_eq!(slope(&one, &few, &few), None);
    }
}
