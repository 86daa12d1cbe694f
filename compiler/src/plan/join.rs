//! Clauses that ask the same are one question: many `never`, `prefer` and `avoid` become few.
//!
//! A candidate is protected if one clause on its unit is true or unknown, and preferred or avoided if one is true,
//! whichever it is. So the alternatives of all clauses of a kind may be asked in any order, and those about one field
//! together: a text is compared with all their patterns at once, a number with the weakest of their bounds. Takes a
//! checked policy and gives one that decides alike; which clause it was cannot be told any more.

use std::borrow::Cow;

use oomc_abi::fields::FieldId;

use crate::hir::{
    BinderId, CompareOp, Expr, ExprId, ExprKind, Never, Pattern, Policy, Preference, RawId, Subject, Ty, Unit,
};
use crate::source::Span;

/// Joins the clauses of each kind.
#[must_use]
pub fn join(policy: &Policy) -> Cow<'_, Policy> {
    let mut joined = Cow::Borrowed(policy);
    for unit in [Unit::Process, Unit::Cgroup] {
        join_nevers(&mut joined, unit);
        join_preferences(&mut joined, unit, false);
        join_preferences(&mut joined, unit, true);
    }
    joined
}

fn join_nevers(policy: &mut Cow<'_, Policy>, unit: Unit) {
    let (own, mut nevers): (Vec<Never>, _) =
        policy.nevers.iter().cloned().partition(|never| never.unit == unit);
    let clauses =
        own.into_iter().map(|Never { binder, condition, span, .. }| Clause { binder, condition, span });
    let Some(questions) = Questions::of(policy, clauses) else { return };
    let policy = policy.to_mut();
    for Clause { binder, condition, span } in questions.written(policy) {
        nevers.push(Never { unit, binder, condition, span });
    }
    policy.nevers = nevers;
}

fn join_preferences(policy: &mut Cow<'_, Policy>, unit: Unit, prefer: bool) {
    let is_own = |clause: &Preference| (clause.unit, clause.prefer) == (unit, prefer);
    let (own, mut preferences): (Vec<Preference>, _) = policy.preferences.iter().cloned().partition(is_own);
    let clauses =
        own.into_iter().map(|Preference { binder, condition, span, .. }| Clause { binder, condition, span });
    let Some(questions) = Questions::of(policy, clauses) else { return };
    let policy = policy.to_mut();
    for Clause { binder, condition, span } in questions.written(policy) {
        preferences.push(Preference { prefer, unit, binder, condition, span });
    }
    policy.preferences = preferences;
}

/// What clauses of all kinds have.
#[derive(Clone, Copy, Debug)]
struct Clause {
    binder: BinderId,
    condition: ExprId,
    span: Span,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Field(Whose, FieldId),
    Raw(Whose, RawId),
}

/// A subject, whatever its clause calls the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Candidate,
    Home,
    Parent,
    Other(Subject),
}

/// Clauses that compare a number with a constant: the weakest of them stands for all.
#[derive(Debug)]
struct Bound {
    about: About,
    op: CompareOp,
    weakest: i64,
    clause: Clause,
}

/// Clauses that compare a text: the first of them with the patterns of all.
#[derive(Debug)]
struct Text {
    about: About,
    text: ExprId,
    patterns: Vec<Pattern>,
    clause: Clause,
}

/// The questions of the clauses of a kind.
#[derive(Debug, Default)]
struct Questions {
    bounds: Vec<Bound>,
    texts: Vec<Text>,
    /// As they were written.
    others: Vec<Clause>,
    /// Whether one of them is that of two clauses.
    joined: bool,
}

impl Questions {
    /// None if each clause asks something else.
    fn of(policy: &Policy, clauses: impl Iterator<Item = Clause>) -> Option<Self> {
        let mut questions = Self::default();
        for clause in clauses {
            let alternatives = alternatives(policy, clause.condition);
            let others = questions.others.len();
            let all = alternatives.len();
            for condition in alternatives {
                questions.add(policy, Clause { condition, ..clause });
            }
            // A clause of which nothing is asked together with others stays one.
            if questions.others.len() == others + all {
                questions.others.truncate(others);
                questions.others.push(clause);
            }
        }
        questions.joined.then_some(questions)
    }

    fn add(&mut self, policy: &Policy, clause: Clause) {
        let about = |value| about(policy, clause.binder, value);
        match policy.exprs.get(clause.condition).map(|expr| &expr.kind) {
            Some(ExprKind::Matches(text, patterns)) => {
                if let Some(about) = about(*text) {
                    return self.add_text(Text { about, text: *text, patterns: patterns.clone(), clause });
                }
            }
            Some(ExprKind::Compare(op, value, bound)) => {
                let is_bound = !matches!(op, CompareOp::Eq | CompareOp::Ne);
                if let (true, Some(about), Some(weakest)) = (is_bound, about(*value), number(policy, *bound))
                {
                    return self.add_bound(Bound { about, op: *op, weakest, clause });
                }
            }
            _ => {}
        }
        self.others.push(clause);
    }

    fn add_text(&mut self, text: Text) {
        match self.texts.iter_mut().find(|known| known.about == text.about) {
            Some(known) => {
                known.patterns.extend(text.patterns);
                self.joined = true;
            }
            None => self.texts.push(text),
        }
    }

    fn add_bound(&mut self, bound: Bound) {
        let known = self.bounds.iter_mut().find(|known| (known.about, known.op) == (bound.about, bound.op));
        let Some(known) = known else { return self.bounds.push(bound) };
        let below = matches!(bound.op, CompareOp::Lt | CompareOp::Le);
        let is_weaker = if below { bound.weakest > known.weakest } else { bound.weakest < known.weakest };
        if is_weaker {
            *known = bound;
        }
        self.joined = true;
    }

    /// Writes them down as clauses of a policy, the cheap ones first.
    fn written(self, policy: &mut Policy) -> Vec<Clause> {
        let mut clauses: Vec<Clause> = self.bounds.into_iter().map(|bound| bound.clause).collect();
        for Text { text, patterns, mut clause, .. } in self.texts {
            let kind = ExprKind::Matches(text, patterns);
            clause.condition = policy.exprs.push(Expr { kind, ty: Ty::Bool, span: clause.span });
            clauses.push(clause);
        }
        clauses.extend(self.others);
        clauses
    }
}

/// The parts of a condition of which one is enough.
fn alternatives(policy: &Policy, condition: ExprId) -> Vec<ExprId> {
    let (mut open, mut found) = (vec![condition], Vec::new());
    while let Some(id) = open.pop() {
        match policy.exprs.get(id).map(|expr| &expr.kind) {
            Some(ExprKind::Or(a, b)) => open.extend([*b, *a]),
            _ => found.push(id),
        }
    }
    found
}

fn about(policy: &Policy, binder: BinderId, value: ExprId) -> Option<About> {
    let whose = |subject: Subject| match subject {
        Subject::Candidate(of) if of == binder => Whose::Candidate,
        Subject::Home(of) if of == binder => Whose::Home,
        Subject::Parent(of) if of == binder => Whose::Parent,
        other => Whose::Other(other),
    };
    match policy.exprs.get(value)?.kind {
        ExprKind::Field(subject, field) => Some(About::Field(whose(subject), field)),
        ExprKind::Raw(subject, raw) => Some(About::Raw(whose(subject), raw)),
        _ => None,
    }
}

fn number(policy: &Policy, id: ExprId) -> Option<i64> {
    match policy.exprs.get(id)?.kind {
        ExprKind::Int(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use oomc_abi::resolve::KernelView;

    use super::*;

    fn checked(clauses: &[&str]) -> Policy {
        let text = clauses.join("\n") + "\nkill largest in subtree\n";
        let view = KernelView::embedded();
        crate::check(&crate::Source::new("test.oom", text), &view).into_policy().expect("a policy")
    }

    /// The conditions of all clauses behind the join, those of `avoid` and `prefer` first.
    fn joined(clauses: &[&str]) -> Vec<String> {
        let text = crate::hir::print::print(&join(&checked(clauses)));
        let conditions = text.lines().filter_map(|line| line.trim().strip_prefix("where "));
        let without_number = |line: &str| {
            let (before, field) = line.split_once("candidate").unwrap_or((line, ""));
            before.to_owned() + field.trim_start_matches(|c: char| c.is_ascii_digit())
        };
        conditions.map(without_number).collect()
    }

    #[test]
    fn texts_are_compared_with_all_patterns_at_once() {
        let found = joined(&[
            "never kill process where comm == \"a\"",
            "never kill process where comm in [\"b*\", \"c\"]",
            "never kill cgroup where name == \"a\"",
            "never kill process where comm == \"d\"",
        ]);
        assert_eq!(found, ["(.name in [\"a\"])", "(.comm in [\"a\", \"b*\", \"c\", \"d\"])"]);
    }

    #[test]
    fn of_bounds_the_weakest_is_left() {
        for (op, weakest) in [(">", 1), (">=", 1), ("<", 3), ("<=", 3)] {
            let clauses = [2, 1, 3].map(|bound| format!("avoid process where rss {op} {bound}B"));
            let found = joined(&clauses.each_ref().map(String::as_str));
            assert_eq!(found, [format!("(.rss {op} {weakest}B)")]);
        }
    }

    #[test]
    fn alternatives_of_different_clauses_meet() {
        let found = joined(&[
            "never kill process where comm == \"a\" or rss > 1B or uid == 0",
            "never kill process where rss > 2B or comm == \"b\"",
        ]);
        assert_eq!(found, ["(.rss > 1B)", "(.comm in [\"a\", \"b\"])", "(.uid == 0)"]);
    }

    #[test]
    fn what_nobody_else_asks_stays_as_it_was_written() {
        let policy = checked(&[
            "never kill process where comm == \"a\" or rss > 1MiB",
            "never kill process where rss < 2MiB and comm == \"b\"",
            "avoid process where comm == \"c\"",
            "prefer process where comm == \"d\"",
        ]);
        assert!(matches!(join(&policy), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cgroup_and_its_parent_are_two() {
        let found = joined(&[
            "never kill cgroup where usage > 1B",
            "never kill cgroup where parent.usage > 1B",
            "never kill cgroup where usage > 2B",
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
