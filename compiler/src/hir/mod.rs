//! The checked policy: names are bound, types and units are known, defaults are written out.
//!
//! Owns the arenas that lowering reads. What the author wrote in several ways has one form here:
//! `usage > 90%` is a comparison with a product, `largest` is a key with a direction, a bare `kill` has
//! its unit. Knows nothing of BPF.
//!
//! Invariants, established by `hir::lower` and `hir::check`, relied on by [`crate::lower`]:
//! - every [`ExprId`] in a policy is typed, and operands of an operator have the types its doc states;
//! - a [`Subject::Candidate`] names a binder whose selection or clause encloses the expression;
//! - a [`Selection`] has at least one key;
//! - `Action::Block` is never empty, and nothing follows a `Defer` inside it.

pub mod lower;

pub mod check;
pub mod consteval;
pub mod coverage;
pub mod kernel;
pub mod print;

use cranelift_entity::{PrimaryMap, entity_impl};
use oomc_abi::fields::FieldId;

use crate::source::Span;

/// An expression of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(u32);
entity_impl!(ExprId, "expr");

/// An action of a policy: a statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(u32);
entity_impl!(ActionId, "action");

/// What introduces a candidate: a selection, or a `never` clause.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinderId(u32);
entity_impl!(BinderId, "candidate");

/// A checked policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Its name: as declared, or the file's stem.
    pub name: String,
    /// `never` clauses in the order written.
    pub nevers: Vec<Never>,
    /// Rules in the order written.
    pub rules: Vec<Rule>,
    /// All expressions.
    pub exprs: PrimaryMap<ExprId, Expr>,
    /// All actions.
    pub actions: PrimaryMap<ActionId, Action>,
    /// The unit of each binder's candidates.
    pub binders: PrimaryMap<BinderId, Unit>,
}

/// What is killed, or compared, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A process.
    Process,
    /// A cgroup with everything below it.
    Cgroup,
}

/// `never kill UNIT where COND`.
#[derive(Clone, Debug)]
pub struct Never {
    /// What the clause is about.
    pub unit: Unit,
    /// Its candidate.
    pub binder: BinderId,
    /// Bool. Unknown protects.
    pub condition: ExprId,
    /// The whole clause.
    pub span: Span,
}

/// A rule: a name and one action.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As written, or `line N`.
    pub name: String,
    /// What it does.
    pub action: ActionId,
    /// The whole rule.
    pub span: Span,
}

/// An action with its place in the text.
#[derive(Clone, Debug)]
pub struct Action {
    /// What it does.
    pub kind: ActionKind,
    /// Where it stands.
    pub span: Span,
}

/// What an action does. Each ends in progress or no progress.
#[derive(Clone, Debug)]
pub enum ActionKind {
    /// Then, if the condition is true; otherwise, or if that made no progress, the alternative.
    If {
        /// Bool. Unknown is not true.
        condition: ExprId,
        /// When true.
        then: ActionId,
        /// Otherwise, or if `then` made no progress.
        otherwise: Option<ActionId>,
    },
    /// All in order; progress if any made progress.
    Block(Vec<ActionId>),
    /// The second if the first made no progress.
    Or(ActionId, ActionId),
    /// Kills what a selection finds.
    Kill(Kill),
    /// Raises the limit of the OOM'ing cgroup.
    RaiseLimit {
        /// Bytes to add.
        by: ExprId,
        /// Bytes: never above this.
        up_to: Option<ExprId>,
    },
    /// Progress if a victim is in flight.
    Wait,
    /// Ends the policy without progress.
    Defer,
}

/// `kill SELECTION [now] [reason "…"]`.
#[derive(Clone, Debug)]
pub struct Kill {
    /// Whom.
    pub selection: Selection,
    /// Without looking for a victim in flight first.
    pub now: bool,
    /// For the record and the kernel's log.
    pub reason: Option<String>,
}

/// A ranked choice.
#[derive(Clone, Debug)]
pub struct Selection {
    /// What is compared.
    pub unit: Unit,
    /// Its candidate.
    pub binder: BinderId,
    /// Where candidates are looked for; always cut with the OOM domain.
    pub place: Place,
    /// Bool. Unknown skips the candidate.
    pub filter: Option<ExprId>,
    /// Compared in order; the tie rule of the language follows the last one.
    pub keys: Vec<Key>,
    /// Where it stands.
    pub span: Span,
}

/// Where candidates are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The OOM'ing cgroup and all its descendants.
    Subtree,
    /// One cgroup alone.
    Cgroup(Anchor),
}

/// A cgroup that every event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The cgroup whose limit was hit.
    Cgroup,
    /// Its parent; at the root, itself. For its fields only.
    Parent,
    /// The cgroup that the policy is attached to.
    Attached,
}

/// One key of a ranking. Missing sorts last in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// A number.
    pub expr: ExprId,
    /// The largest wins, or the smallest.
    pub direction: Direction,
}

/// Direction of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Asc,
    /// The largest first.
    Desc,
}

/// Type of an expression. All numbers are signed 64-bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// An amount of memory, in bytes.
    Bytes,
    /// A ratio, in parts per million: `1%` is 10,000.
    Ratio,
    /// A time, in nanoseconds.
    Duration,
    /// A plain number.
    Count,
    /// Yes or no.
    Bool,
    /// A string.
    Text,
}

/// Parts per million in one: the scale of [`Ty::Ratio`].
pub const RATIO_ONE: i64 = 1_000_000;

/// A typed expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Ty,
    /// Where it stands.
    pub span: Span,
}

/// What an expression computes. Constants are folded.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number in the unit of its type; bool as 0 or 1.
    Int(i64),
    /// A field of a cgroup or of a candidate. Text only as the value of [`ExprKind::Matches`].
    Field(Subject, FieldId),
    /// Minus, saturating.
    Neg(ExprId),
    /// Arithmetic, saturating; division by zero is missing.
    ///
    /// Bytes ± Bytes, Count ± Count, Duration ± Duration, Ratio ± Ratio;
    /// Bytes × Count, Duration × Count, Bytes × Ratio (in this order), Count × Count;
    /// Bytes ÷ Bytes → Ratio; Bytes ÷ Count → Bytes; Count ÷ Count → Count. Division truncates.
    Arith(ArithOp, ExprId, ExprId),
    /// Two numbers or bools of one type.
    Compare(CompareOp, ExprId, ExprId),
    /// A text field equals one of the literals.
    Matches(ExprId, Vec<String>),
    /// Kleene logic.
    Not(ExprId),
    /// Kleene logic.
    And(ExprId, ExprId),
    /// Kleene logic.
    Or(ExprId, ExprId),
}

/// What a field is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A cgroup of the event.
    Anchor(Anchor),
    /// The candidate of an enclosing selection or clause.
    Candidate(BinderId),
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArithOp {
    Add,
    Sub,
    Mul,
    Div,
}

/// Comparisons, signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
