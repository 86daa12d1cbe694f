//! Which parts of a policy its tests reach: rules, branches, conditions.
//!
//! Tests are played a second time with a traced build of the policy, whose marks tell what was passed; verdicts come
//! from the ordinary build alone, and both must decide alike.

use std::collections::BTreeSet;

use oomc_compiler::Source;
use oomc_compiler::trace::{Point, PointKind};
use oomc_sim::scenario::{Decision, Played};
use serde_json::{Value, json};

/// Kinds of what can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A rule.
    Rule,
    /// A way of an `if`, an alternative of an `or`, an action.
    Branch,
    /// A condition that was true, or was not.
    Condition,
}

impl Part {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Rule, "rules"), (Self::Branch, "branches"), (Self::Condition, "conditions")];

    fn of(kind: PointKind) -> Option<Self> {
        Some(match kind {
            PointKind::Rule(_) => Self::Rule,
            PointKind::Branch { .. } | PointKind::Alternative | PointKind::Action => Self::Branch,
            PointKind::Guard { .. } => Self::Condition,
            PointKind::Protected(_) => return None,
        })
    }
}

/// What the tests of one policy reach.
#[derive(Debug)]
pub struct Coverage {
    /// The policy's file.
    pub file: String,
    /// Each part with whether it was reached.
    parts: Vec<(Part, bool)>,
    /// What was not: its line, and a sentence.
    pub missing: Vec<(u32, String)>,
    /// Rules in `on` blocks: the program that whoever watches asks has no marks, so that nothing is known of them.
    pub not_counted: usize,
}

impl Coverage {
    /// From the points of a traced build, and those that were passed.
    pub fn new(source: &Source, points: &[Point], passed: &BTreeSet<u32>, not_counted: usize) -> Self {
        let file = source.name.clone();
        let mut coverage = Self { file, parts: Vec::new(), missing: Vec::new(), not_counted };
        let reached: Vec<(&Point, bool)> =
            (0..).zip(points).map(|(number, point)| (point, passed.contains(&number))).collect();
        let mut said = BTreeSet::new();
        for (point, yes) in &reached {
            let Some(part) = Part::of(point.kind) else { continue };
            coverage.parts.push((part, *yes));
            if *yes {
                continue;
            }
            let line = source.line_column(point.span.start).0;
            // A condition that was never asked was not found to be false, or true: both its ways are one remark.
            let asked = reached.iter().any(|(other, yes)| *yes && same_condition(point, other));
            if asked || !two_ways(point.kind) {
                coverage.missing.push((line, sentence(point)));
            } else if said.insert((point.span.start, point.span.end)) {
                coverage.missing.push((line, format!("never asked: `{}`", point.text)));
            }
        }
        coverage
    }

    fn count(&self, of: Option<Part>) -> (usize, usize) {
        let parts = self.parts.iter().filter(|(part, _)| of.is_none_or(|of| of == *part));
        parts.fold((0, 0), |(reached, all), (_, yes)| (reached + usize::from(*yes), all + 1))
    }

    /// Percent of all parts.
    pub fn percent(&self) -> f64 {
        percent(self.count(None))
    }

    /// `rules 2/2, branches 4/4, conditions 7/8: 92.9 %`
    pub fn line(&self) -> String {
        let parts = Part::ALL.map(|(part, name)| {
            let (reached, all) = self.count(Some(part));
            format!("{name} {reached}/{all}")
        });
        let not_counted = match self.not_counted {
            0 => String::new(),
            1 => "; 1 rule in an `on` block is not counted".to_owned(),
            many => format!("; {many} rules in `on` blocks are not counted"),
        };
        format!("{}: {:.1} %{not_counted}", parts.join(", "), self.percent())
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let part = |part| {
            let (reached, all) = self.count(Some(part));
            json!({ "reached": reached, "all": all })
        };
        let missing = self.missing.iter().map(|(line, text)| json!({ "line": line, "what": text }));
        json!({
            "file": self.file,
            "percent": self.percent(),
            "rules": part(Part::Rule),
            "branches": part(Part::Branch),
            "conditions": part(Part::Condition),
            "missing": missing.collect::<Vec<Value>>(),
            "not_counted": self.not_counted,
        })
    }
}

/// Of several policies together.
pub fn together(all: &[Coverage]) -> f64 {
    percent(all.iter().map(|one| one.count(None)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
}

fn percent((reached, all): (usize, usize)) -> f64 {
    if all == 0 { 100.0 } else { reached as f64 * 100.0 / all as f64 }
}

/// Whether a point is one of the two ways of a condition.
fn two_ways(kind: PointKind) -> bool {
    matches!(kind, PointKind::Branch { .. } | PointKind::Guard { .. })
}

/// Whether two points are ways of one condition.
fn same_condition(one: &Point, other: &Point) -> bool {
    two_ways(one.kind) && two_ways(other.kind) && (one.span, &one.text) == (other.span, &other.text)
}

fn sentence(point: &Point) -> String {
    let text = &point.text;
    match point.kind {
        PointKind::Rule(_) => format!("never reached: `{text}`"),
        PointKind::Branch { taken: true } => format!("`then` of `{text}` is never taken"),
        PointKind::Branch { taken: false } => format!("what follows when not `{text}` is never taken"),
        PointKind::Alternative | PointKind::Action => format!("never tried: `{text}`"),
        PointKind::Guard { yes: true } => format!("never true: `{text}`"),
        PointKind::Guard { yes: false } => format!("never anything but true: `{text}`"),
        PointKind::Protected(_) => String::new(),
    }
}

/// The numbers of the points that a test passes.
pub fn passed(played: &Played) -> impl Iterator<Item = u32> + '_ {
    played.decisions.iter().flat_map(|decision| &decision.marks).map(|mark| mark.point)
}

/// Whether two builds of a policy decided alike.
pub fn alike(one: &Played, other: &Played) -> bool {
    let same = |one: &Decision, other: &Decision| {
        let Decision { after, answer, record, killed, .. } = one;
        (after, answer, record, killed) == (&other.after, &other.answer, &other.record, &other.killed)
    };
    one.decisions.len() == other.decisions.len()
        && one.decisions.iter().zip(&other.decisions).all(|(one, other)| same(one, other))
}
