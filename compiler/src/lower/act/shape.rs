//! What a kill's search looks like, apart from numbers: kills of one shape can share the function that searches.

use core::fmt::Write as _;
use std::hash::{Hash, Hasher};

use crate::hir::{ActionId, BinderId, ExprId, ExprKind, Kill, Place, Policy, Subject};
use crate::lower::read::{Number, few_names};

/// The shape of a search. Two are equal if their searches differ in numbers of the policy only.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    text: String,
    /// Where the numbers stand, in the order in which the text names them.
    numbers: Vec<Number>,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Shape {
    /// The shape of a kill, and its numbers. With `own`, no other kill has it.
    pub(super) fn of(policy: &Policy, kill: &Kill, own: Option<ActionId>) -> (Self, Vec<i64>) {
        let mut writer = Writer {
            policy,
            shape: Self { text: String::new(), numbers: Vec::new() },
            values: Vec::new(),
            binders: Vec::new(),
        };
        writer.word(own);
        writer.kill(kill);
        (writer.shape, writer.values)
    }

    /// The place of a number of the policy among those of the shape.
    pub(super) fn place_of(&self, number: Number) -> Option<usize> {
        self.numbers.iter().position(|of| *of == number)
    }
}

struct Writer<'a> {
    policy: &'a Policy,
    shape: Shape,
    values: Vec<i64>,
    /// Candidates, by the order in which they are introduced.
    binders: Vec<BinderId>,
}

impl Writer<'_> {
    fn word(&mut self, word: impl core::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.shape.text, "{word:?} ");
    }

    fn kill(&mut self, kill: &Kill) {
        let selection = &kill.selection;
        let until = kill.until.map(|until| u32::from(until.at_most).max(crate::plan::KEPT));
        self.word((selection.unit, selection.stepwise, until));
        self.place(selection.place);
        self.binders.push(selection.binder);
        selection.filter.iter().for_each(|filter| self.expr(*filter));
        for key in &selection.keys {
            self.word(key.direction);
            self.expr(key.expr);
        }
    }

    fn number(&mut self, number: Number, value: i64) {
        self.shape.numbers.push(number);
        self.values.push(value);
    }

    fn place(&mut self, place: Place) {
        let word = match place {
            Place::Subtree(_) => "subtree",
            Place::Children(_) => "children",
            Place::Leaves(_) => "leaves",
            Place::Cgroup(_) => "only",
            Place::Matching(pattern) => return self.word(self.policy.patterns.get(pattern)),
        };
        self.word(word);
        self.subject(place.of());
    }

    fn subject(&mut self, subject: Subject) {
        let place = |binders: &[BinderId], binder| binders.iter().position(|of| *of == binder);
        match subject {
            Subject::Candidate(binder) => self.word(("candidate", place(&self.binders, binder))),
            Subject::Home(binder) => self.word(("home", place(&self.binders, binder))),
            Subject::Parent(binder) => self.word(("parent", place(&self.binders, binder))),
            other => self.word(other),
        }
    }

    fn expr(&mut self, id: ExprId) {
        let Some(expr) = self.policy.exprs.get(id) else { return };
        self.word(core::mem::discriminant(&expr.kind));
        match &expr.kind {
            ExprKind::Int(value) => {
                self.word(expr.ty);
                self.number((id, 0), *value);
            }
            ExprKind::Field(subject, field) => {
                self.subject(*subject);
                self.word(field);
            }
            ExprKind::Raw(subject, raw) => {
                self.subject(*subject);
                self.word(raw);
            }
            ExprKind::Label(subject, label) => {
                self.subject(*subject);
                self.word(label);
            }
            ExprKind::Counter(subject, state) => {
                self.subject(*subject);
                self.word(state);
            }
            ExprKind::Param(param) => self.word(param),
            ExprKind::Sample(sample, _) => self.word(sample),
            ExprKind::Quantifier(quantifier) => {
                self.word((quantifier.quant, quantifier.unit, quantifier.value.is_some()));
                self.place(quantifier.place);
                self.binders.push(quantifier.binder);
            }
            ExprKind::Arith(op, ..) => self.word(op),
            ExprKind::Compare(op, ..) => self.word(op),
            ExprKind::Matches(field, patterns) => match few_names(self.policy, *field, patterns) {
                Some(names) => {
                    self.word(names.len());
                    let mut numbers = Vec::new();
                    for name in names {
                        self.word(name.len());
                        for word in name {
                            self.word(word.mask.is_some());
                            numbers.extend(word.mask.into_iter().chain([word.value]));
                        }
                    }
                    numbers.into_iter().enumerate().for_each(|(at, word)| self.number((*field, at), word));
                }
                None => self.word(patterns),
            },
            ExprKind::HasBits(_, bits) => self.word(bits),
            ExprKind::Default(..)
            | ExprKind::Choice(..)
            | ExprKind::SameText(..)
            | ExprKind::Neg(_)
            | ExprKind::Not(_)
            | ExprKind::And(..)
            | ExprKind::Or(..) => {}
        }
        expr.kind.operands().into_iter().for_each(|operand| self.expr(operand));
    }
}
