//! The goals for the code, and which of them are met.
//!
//! Each is a number that may not be exceeded, by the geometric mean over the policies or by each of them.

use super::figures::{Counted, geometric_mean};
use super::forests::Forest;
use super::table::{figures, pairs, quotient, ratio, slope, spans};

/// One line of the list.
struct Goal {
    what: &'static str,
    most: f64,
    /// The number that counts, and the policy that it comes from.
    worst: Option<(f64, String)>,
}

/// The list, as Markdown.
pub(super) fn goals(counted: &[Counted]) -> String {
    let mut text = "\n| goal | at most | counted | |\n|---|--:|--:|---|\n".to_owned();
    for Goal { what, most, worst } in all(counted) {
        let (number, of, verdict) = match worst {
            Some((number, of)) => {
                (format!("{number:.2}"), of, if number <= most { "met" } else { "NOT met" })
            }
            None => ("-".to_owned(), String::new(), "not counted"),
        };
        let of = if of.is_empty() { of } else { format!(" ({of})") };
        text.push_str(&format!("| {what} | {most} | {number}{of} | {verdict} |\n"));
    }
    text
}

fn all(counted: &[Counted]) -> Vec<Goal> {
    let decision = |cgroups| {
        let forest = Forest::plain(cgroups);
        ratios(counted, move |ours, twin| ratio(ours.on(&forest), twin.on(&forest)))
    };
    let [cgroup, process, _] = spans();
    let further = |(from, to): (Forest, Forest)| {
        ratios(counted, move |ours, twin| quotient(slope(ours, &from, &to), slope(twin, &from, &to)))
    };
    let size = |at: usize| {
        ratios(counted, move |ours, twin| {
            ratio(figures(ours).get(at).copied().flatten(), figures(twin).get(at).copied().flatten())
        })
    };
    let both = [decision(20), decision(200)].concat();
    let headline = pairs(counted).find(|(ours, _)| ours.policy == "headline").and_then(|(ours, _)| ours.size);
    let growth = ratios(counted, |ours, _| {
        let start = slope(ours, &Forest::plain(10), &Forest::plain(200));
        quotient(slope(ours, &Forest::plain(1_000), &Forest::plain(5_000)), start)
    });
    vec![
        Goal { what: "decision to twin, N = 20, geometric mean", most: 1.0, worst: mean(&decision(20)) },
        Goal { what: "decision to twin, N = 200, geometric mean", most: 1.0, worst: mean(&decision(200)) },
        Goal { what: "decision to twin, each", most: 1.3, worst: worst(both) },
        Goal { what: "a further cgroup, to twin, each", most: 1.1, worst: worst(further(cgroup)) },
        Goal { what: "a further process, to twin, each", most: 1.1, worst: worst(further(process)) },
        Goal { what: "instructions of the program, to twin, each", most: 1.5, worst: worst(size(0)) },
        Goal {
            what: "instructions of the headline",
            most: 500.0,
            worst: headline.map(|size| (size.instructions as f64, String::new())),
        },
        Goal { what: "processed by the verifier, to twin, each", most: 1.0, worst: worst(size(1)) },
        Goal {
            what: "a further cgroup from 1,000 to 5,000, to one from 10 to 200, each",
            most: 1.05,
            worst: worst(growth),
        },
    ]
}

/// A number of each policy, with its name.
fn ratios(counted: &[Counted], of: impl Fn(&Counted, &Counted) -> Option<f64>) -> Vec<(f64, String)> {
    pairs(counted).filter_map(|(ours, twin)| Some((of(ours, twin)?, ours.policy.clone()))).collect()
}

fn mean(ratios: &[(f64, String)]) -> Option<(f64, String)> {
    let numbers: Vec<f64> = ratios.iter().map(|(ratio, _)| *ratio).collect();
    geometric_mean(&numbers).map(|mean| (mean, String::new()))
}

fn worst(ratios: Vec<(f64, String)>) -> Option<(f64, String)> {
    ratios.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Variant;

    #[test]
    fn the_worst_policy_is_named() {
        let mut counted = Vec::new();
        for (policy, own) in [("headline", "120"), ("until", "140")] {
            for (variant, count) in [(Variant::Ours, own), (Variant::Twin, "100")] {
                let mut one = Counted::new(policy, variant);
                one.count(&Forest::plain(20), count).expect("a count");
                counted.push(one);
            }
        }
        let text = goals(&counted);
        assert!(text.contains("| decision to twin, each | 1.3 | 1.40 (until) | NOT met |"), "{text}");
        assert!(text.contains("N = 200, geometric mean | 1 | - | not counted |"), "{text}");
    }
}
