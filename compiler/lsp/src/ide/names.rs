//! Names: where each is declared, and where it is used.

use core::ops::Range;

use oomc_compiler::resolve::uses::Meaning;
use oomc_compiler::source::Span;
use oomc_compiler::syntax::ast::{Action, Clause, ClauseKind, File, Name, StepKind, Text};

use crate::analysis::{Analysis, Page, Side};

/// What has a name of the author's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// What a clause of the policy declares; its name stands there.
    Declared(Span),
    /// A candidate; it is given its name there.
    Candidate(Side, Span),
    /// A rule.
    Rule(String),
}

/// A place of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) side: Side,
    pub(crate) range: Range<usize>,
    /// It is declared here.
    pub(crate) declares: bool,
}

/// A rule with its name, if it has one.
pub(crate) struct Rule<'a> {
    pub(crate) name: Option<&'a Text>,
    pub(crate) action: &'a Action,
    pub(crate) span: Span,
}

/// What a clause gives a name to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Declared {
    Constant,
    Definition,
    Param,
    Label,
    State,
    Pick,
}

/// What a clause declares, if it declares something, and the name.
pub(crate) fn declares(clause: &ClauseKind) -> Option<(&Name, Declared)> {
    match clause {
        ClauseKind::Const { name, .. } => Some((name, Declared::Constant)),
        ClauseKind::Define { name, .. } => Some((name, Declared::Definition)),
        ClauseKind::Param { name, .. } => Some((name, Declared::Param)),
        ClauseKind::Label { name, .. } => Some((name, Declared::Label)),
        ClauseKind::State { name, .. } => Some((name, Declared::State)),
        ClauseKind::Pick { name, .. } => Some((name, Declared::Pick)),
        _ => None,
    }
}

/// The clauses that declare something.
pub(crate) fn declared(file: &File) -> impl Iterator<Item = (&Name, Declared, &Clause)> {
    file.clauses.iter().filter_map(|clause| {
        let (name, what) = declares(&clause.kind)?;
        Some((name, what, clause))
    })
}

/// The rules of a file, those of blocks included.
pub(crate) fn rules(file: &File) -> impl Iterator<Item = Rule<'_>> {
    file.clauses.iter().flat_map(|clause| match &clause.kind {
        ClauseKind::Rule { name, action } => vec![Rule { name: name.as_ref(), action, span: clause.span }],
        ClauseKind::Watch(watch) => {
            let rule = |rule: &'_ oomc_compiler::syntax::ast::Ruled| rule.span;
            watch
                .rules
                .iter()
                .map(|ruled| Rule { name: ruled.name.as_ref(), action: &ruled.action, span: rule(ruled) })
                .collect()
        }
        _ => Vec::new(),
    })
}

/// The strings that name a rule: where it is, and where tests expect something of it.
fn rule_names(file: &File) -> impl Iterator<Item = (&Text, bool)> {
    let declared = rules(file).filter_map(|rule| rule.name).map(|name| (name, true));
    let expected = file.clauses.iter().flat_map(|clause| match &clause.kind {
        ClauseKind::Test(test) => test.steps.as_slice(),
        _ => &[],
    });
    let expected = expected.filter_map(|step| match &step.kind {
        StepKind::Expect { rule, .. } => rule.as_ref().map(|rule| (rule, false)),
        _ => None,
    });
    declared.chain(expected)
}

/// What is between the quotes.
fn inside(text: &Text) -> Range<usize> {
    let range = text.span.range();
    (range.start + 1).min(range.end)..range.end.saturating_sub(1).max(range.start)
}

fn touches(range: &Range<usize>, at: usize) -> bool {
    range.start <= at && at <= range.end
}

/// What the name at a byte is of, and the name.
pub(crate) fn symbol(page: &Page<'_>, at: usize) -> Option<(Range<usize>, Symbol)> {
    let used = page.uses.iter().filter(|one| touches(&one.span.range(), at));
    let found = used.filter_map(|one| match one.meaning {
        Meaning::Declared(span) => Some((one.span.range(), Symbol::Declared(span))),
        Meaning::Candidate(span) => Some((one.span.range(), Symbol::Candidate(page.side, span))),
        Meaning::Field(_) | Meaning::Member(_) => None,
    });
    let declares = (page.side == Side::Policy).then(|| declared(page.file)).into_iter().flatten();
    let declares = declares.map(|(name, ..)| (name.span.range(), Symbol::Declared(name.span)));
    let candidates = page.uses.iter().filter_map(|one| match one.meaning {
        Meaning::Candidate(span) => Some((span.range(), Symbol::Candidate(page.side, span))),
        _ => None,
    });
    let rules = rule_names(page.file).map(|(name, _)| (inside(name), Symbol::Rule(name.text.clone())));
    found.chain(declares).chain(candidates).chain(rules).find(|(range, _)| touches(range, at))
}

/// Every place of a name, in both texts: the one where it is declared first, then in the order of the texts.
pub(crate) fn places(analysis: &Analysis, symbol: &Symbol) -> Vec<Place> {
    let mut found = Vec::new();
    for side in [Side::Policy, Side::Tests] {
        let Some(page) = analysis.page(side) else { continue };
        let mut add = |range: Range<usize>, declares| found.push(Place { side, range, declares });
        match symbol {
            Symbol::Declared(span) => {
                if side == Side::Policy {
                    add(span.range(), true);
                }
                let uses = page.uses.iter().filter(|one| one.meaning == Meaning::Declared(*span));
                uses.for_each(|one| add(one.span.range(), false));
            }
            Symbol::Candidate(of, span) if *of == side => {
                add(span.range(), true);
                let uses = page.uses.iter().filter(|one| one.meaning == Meaning::Candidate(*span));
                uses.for_each(|one| add(one.span.range(), false));
            }
            Symbol::Candidate(..) => {}
            Symbol::Rule(text) => {
                let names = rule_names(page.file).filter(|(name, _)| name.text == *text);
                names.for_each(|(name, declares)| add(inside(name), declares));
            }
        }
    }
    found.sort_by_key(|place| (!place.declares, place.side, place.range.start));
    found.dedup_by(|one, other| one.side == other.side && one.range == other.range);
    found
}
