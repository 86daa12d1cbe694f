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
//! - a field's subject is of its owner: processes are candidates only; labels and counters belong to cgroups;
//! - quantifiers stand at most [`MAX_QUANTIFIERS`] deep inside each other;
//! - `Action::Block` is never empty, and nothing follows a `Defer` inside it.

pub mod lower;

mod declare;
mod define;
mod message;
mod raw;
mod scenario;
mod select;
pub mod watch;
pub mod watchable;

mod errors;

pub mod automaton;
pub mod check;
pub mod complexity;
pub mod consteval;
pub mod coverage;
pub mod glob;
pub mod kernel;
pub mod lint;
pub mod modelled;
pub mod print;
mod used;

use cranelift_entity::{PrimaryMap, entity_impl};
use oomc_abi::fields::{FieldId, Measure};
pub use oomc_abi::raw::Value as RawValue;
use oomc_abi::scenario::Test;
use oomc_abi::watch::{Budget, Course, Event};

use crate::source::Span;

/// An expression of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(u32);
entity_impl!(ExprId, "expr");

/// An action of a policy: a statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(u32);
entity_impl!(ActionId, "action");

/// A `param` of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(u32);
entity_impl!(ParamId, "param");

/// A `label` of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(u32);
entity_impl!(LabelId, "label");

/// A `state` of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(u32);
entity_impl!(StateId, "state");

/// A `pick` of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PickId(u32);
entity_impl!(PickId, "pick");

/// A pattern of paths that is a place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternId(u32);
entity_impl!(PatternId, "pattern");

/// A member of a kernel structure that a policy names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RawId(u32);
entity_impl!(RawId, "raw");

/// A value that whoever asks has looked at again and again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId(u32);
entity_impl!(SampleId, "sample");

/// What introduces a candidate: a selection, a quantifier, or a clause that protects or prefers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinderId(u32);
entity_impl!(BinderId, "candidate");

/// A checked policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Its name: as declared, or the file's stem.
    pub name: String,
    /// Whether it acts.
    pub mode: Mode,
    /// Numbers that are set at run time.
    pub params: PrimaryMap<ParamId, Param>,
    /// Numbers that an administrator puts on cgroups.
    pub labels: PrimaryMap<LabelId, Label>,
    /// Counters of each cgroup.
    pub states: PrimaryMap<StateId, State>,
    /// Cgroups chosen once per event; one may use those before it.
    pub picks: PrimaryMap<PickId, Pick>,
    /// Patterns of paths that are places.
    pub patterns: PrimaryMap<PatternId, Pattern>,
    /// Members of kernel structures.
    pub raws: PrimaryMap<RawId, Raw>,
    /// `never` clauses in the order written.
    pub nevers: Vec<Never>,
    /// `prefer` and `avoid` clauses in the order written.
    pub preferences: Vec<Preference>,
    /// Rules in the order written, a `default` that acts is the last one; behind them those of the blocks.
    pub rules: Vec<Rule>,
    /// `on` blocks in the order written: each has some of the rules.
    pub blocks: Vec<WatchBlock>,
    /// Of kills in blocks.
    pub budget: Option<Budget>,
    /// What is looked at again and again.
    pub samples: PrimaryMap<SampleId, Sample>,
    /// All expressions.
    pub exprs: PrimaryMap<ExprId, Expr>,
    /// All actions.
    pub actions: PrimaryMap<ActionId, Action>,
    /// The unit of each binder's candidates.
    pub binders: PrimaryMap<BinderId, Unit>,
    /// Its `test` blocks.
    pub tests: Vec<Test>,
    /// Those of the file of tests beside it.
    pub more_tests: Vec<Test>,
}

impl Policy {
    /// The rules outside of blocks, which are asked when memory has run out.
    #[must_use]
    pub fn bare_rules(&self) -> &[Rule] {
        let end = self.blocks.first().map_or(self.rules.len(), |block| block.rules.start);
        self.rules.get(..end).unwrap_or_default()
    }

    /// Rules that are asked together, each group with the number of its first one: those outside of blocks, and each
    /// block's.
    pub fn groups(&self) -> impl Iterator<Item = (usize, &[Rule])> {
        let blocks = self
            .blocks
            .iter()
            .map(|block| (block.rules.start, self.rules.get(block.rules.clone()).unwrap_or_default()));
        core::iter::once((0, self.bare_rules())).chain(blocks)
    }

    /// All messages, with the action that each belongs to. Records name them by their places here.
    pub fn messages(&self) -> impl Iterator<Item = (ActionId, &Message)> {
        self.actions.iter().filter_map(|(id, action)| match &action.kind {
            ActionKind::Kill(Kill { reason: Some(message), .. }) | ActionKind::Notify(message) => {
                Some((id, message))
            }
            _ => None,
        })
    }

    /// All kills, with their actions. Records name their selections by their places here.
    pub fn kills(&self) -> impl Iterator<Item = (ActionId, &Kill)> {
        self.actions.iter().filter_map(|(id, action)| match &action.kind {
            ActionKind::Kill(kill) => Some((id, kill)),
            _ => None,
        })
    }
}

/// Whether a policy acts when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It acts.
    #[default]
    Enforce,
    /// It records what it would do, and returns 0.
    Audit,
}

/// `param NAME = DEFAULT range LEAST .. MOST`.
#[derive(Clone, Debug)]
pub struct Param {
    /// As written.
    pub name: String,
    /// A number.
    pub ty: Ty,
    /// Until somebody sets it.
    pub default: i64,
    /// Not below.
    pub least: i64,
    /// Not above.
    pub most: i64,
    /// Its name in the text.
    pub span: Span,
}

/// `label NAME: TYPE = DEFAULT trust WHOM`.
#[derive(Clone, Debug)]
pub struct Label {
    /// As written.
    pub name: String,
    /// A number or a bool.
    pub ty: Ty,
    /// Where neither the cgroup nor an ancestor has one.
    pub default: i64,
    /// Whose labels count.
    pub trust: Trust,
    /// Its name in the text.
    pub span: Span,
}

/// Whose labels count: who owns the cgroup's directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Root.
    #[default]
    Root,
    /// Root, and the owner of the attached cgroup.
    Owner,
    /// Everybody.
    Any,
}

impl Trust {
    /// As written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Owner => "owner",
            Self::Any => "any",
        }
    }
}

/// `state NAME: counter per cgroup resets after TIME`.
#[derive(Clone, Debug)]
pub struct State {
    /// As written.
    pub name: String,
    /// How long a window lasts from its first count, in nanoseconds of the boot clock; none: for ever.
    pub resets: Option<i64>,
    /// Its name in the text.
    pub span: Span,
}

/// `pick NAME = SELECTION`. Sees every cgroup: the exclusions of `kill` and `never` do not hold.
#[derive(Clone, Debug)]
pub struct Pick {
    /// As written.
    pub name: String,
    /// Of cgroups.
    pub selection: Selection,
    /// The whole clause.
    pub span: Span,
}

/// A member of a kernel structure, as the kernel that the policy is built for has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The structure it is read from: that of a process, of a memory cgroup, or of the event.
    pub container: &'static str,
    /// C path from there, with `->` where a pointer is followed.
    pub path: String,
    /// What is there.
    pub value: RawValue,
}

/// `prefer UNIT where COND`, `avoid UNIT where COND`: a first key of every selection of a `kill`, in three
/// classes. Unknown leaves a candidate normal; a clause on cgroups holds for everything below. What two
/// clauses say differently is decided by `avoid`.
#[derive(Clone, Debug)]
pub struct Preference {
    /// `prefer`, not `avoid`.
    pub prefer: bool,
    /// What the clause is about.
    pub unit: Unit,
    /// Its candidate.
    pub binder: BinderId,
    /// Bool.
    pub condition: ExprId,
    /// The whole clause.
    pub span: Span,
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

/// An `on` block.
#[derive(Clone, Debug)]
pub struct WatchBlock {
    /// What is watched.
    pub event: Event,
    /// It has to hold for so many nanoseconds.
    pub lasting: i64,
    /// The block rests for so many nanoseconds after progress.
    pub cooldown: Option<i64>,
    /// Its rules, among the policy's.
    pub rules: core::ops::Range<usize>,
    /// The whole block.
    pub span: Span,
}

/// A field that is looked at again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Of a cgroup or a process.
    pub field: FieldId,
    /// What is made of it.
    pub course: Course,
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
    /// Reclaims so many bytes from the domain; progress if a tenth came back. In blocks only.
    Reclaim(ExprId),
    /// Progress if a victim is in flight.
    Wait,
    /// Ends the policy without progress.
    Defer,
    /// A record. Runs in a block if an action before it made progress, or if none stands before it.
    Notify(Message),
    /// One more in a counter of the OOM'ing cgroup. Runs as [`Self::Notify`] does.
    Count(StateId),
}

/// `kill SELECTION [now] [until freed B at most N] [reason "…"]`.
#[derive(Clone, Debug)]
pub struct Kill {
    /// Whom.
    pub selection: Selection,
    /// Without looking for a victim in flight first.
    pub now: bool,
    /// Goes on down the ranking.
    pub until: Option<Until>,
    /// So many nanoseconds in which the victims can end by themselves. In blocks only.
    pub grace: Option<i64>,
    /// For the record and the kernel's log. Its values may name the victim, as the selection's candidate.
    pub reason: Option<Message>,
}

/// `until freed B at most N`: by estimate, the footprint of a process or the usage of a cgroup.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// Bytes.
    pub freed: ExprId,
    /// Victims, 1 to [`MAX_VICTIMS`].
    pub at_most: u8,
}

/// Victims of one `until`.
pub const MAX_VICTIMS: u8 = 16;

/// Text with values: `"usage {cgroup.usage}"`.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// In order.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// As written.
    Text(String),
    /// A number, a bool, or a text field that is no path; at most [`MAX_VALUES`] in a message.
    Value(ExprId),
}

/// Values in one message.
pub const MAX_VALUES: usize = 4;

impl Message {
    /// What is known when the policy is built: the kernel's log gets this.
    #[must_use]
    pub fn constant(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Value(_) => None,
        });
        texts.collect()
    }

    /// Its values, in order.
    pub fn values(&self) -> impl Iterator<Item = ExprId> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(*value),
            Part::Text(_) => None,
        })
    }
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
    /// Compares children, and descends into the best one. Cgroups in a [`Place::Subtree`] only.
    pub stepwise: bool,
    /// All candidates, not the best one. Only of a `kill`.
    pub all: bool,
    /// Bool. Unknown skips the candidate.
    pub filter: Option<ExprId>,
    /// Compared in order; the tie rule of the language follows the last one.
    pub keys: Vec<Key>,
    /// Where it stands.
    pub span: Span,
}

/// Where candidates are looked for. Of a `kill` or `pick`, what lies outside of the OOM domain does not count.
///
/// A cgroup of a place is an anchor (not the parent), a candidate that is a cgroup, or a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The cgroup and all its descendants. As cgroups: its kill units, which are the online leaves and every
    /// cgroup with `memory.oom.group` that has none such above it in the place. As processes: all of them.
    Subtree(Subject),
    /// Its online children; as processes, those in each child alone.
    Children(Subject),
    /// Its online leaves; those of a leaf are itself. As processes, those in each leaf.
    Leaves(Subject),
    /// The cgroup alone.
    Cgroup(Subject),
    /// The online cgroups of the OOM domain whose path matches and which lie below no other such. The root is never one.
    /// As processes, those of each match and of everything below it.
    Matching(PatternId),
}

impl Place {
    /// The OOM domain.
    pub const DOMAIN: Self = Self::Subtree(Subject::Anchor(Anchor::Cgroup));

    /// The cgroup that it begins at.
    #[must_use]
    pub fn of(self) -> Subject {
        match self {
            Self::Subtree(of) | Self::Children(of) | Self::Leaves(of) | Self::Cgroup(of) => of,
            Self::Matching(_) => Subject::Anchor(Anchor::Cgroup),
        }
    }
}

/// A cgroup that every event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl Ty {
    /// What it measures.
    #[must_use]
    pub fn measure(self) -> Measure {
        match self {
            Self::Bytes => Measure::Bytes,
            Self::Ratio => Measure::Ratio,
            Self::Duration => Measure::Duration,
            Self::Count => Measure::Count,
            Self::Bool => Measure::Bool,
            Self::Text => Measure::Text,
        }
    }
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
    /// A field of a cgroup, a candidate or the event. Text only as the value of [`ExprKind::Matches`].
    Field(Subject, FieldId),
    /// A member of a kernel structure of a candidate, a cgroup or the event. Missing where a pointer on the way is
    /// null. An enum is a number, or as the value of [`ExprKind::Matches`] the name of its constant.
    Raw(Subject, RawId),
    /// A param, as it is set at the time of the event.
    Param(ParamId),
    /// A label of a cgroup, inherited from the nearest ancestor that has one. Never missing.
    Label(Subject, LabelId),
    /// A counter of a cgroup. Missing if its storage cannot be had.
    Counter(Subject, StateId),
    /// What was found by looking again and again at the cgroup or process with this id. Missing before there are two
    /// looks. In blocks only.
    Sample(SampleId, ExprId),
    /// The first, or the second where it is missing. Two numbers or bools of one type.
    Default(ExprId, ExprId),
    /// What holds for, or is the sum over, the elements of a place.
    Quantifier(Quantifier),
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
    /// A text field matches one of the patterns.
    Matches(ExprId, Vec<Pattern>),
    /// Two text fields hold the same bytes.
    SameText(ExprId, ExprId),
    /// A member of a kernel structure has all of these bits.
    HasBits(ExprId, Vec<Bits>),
    /// The second where the condition is true, the third where it is false; missing where it is unknown. Two numbers
    /// or bools of one type.
    Choice(ExprId, ExprId, ExprId),
    /// Kleene logic.
    Not(ExprId),
    /// Kleene logic.
    And(ExprId, ExprId),
    /// Kleene logic.
    Or(ExprId, ExprId),
}

impl ExprKind {
    /// The expressions that it is directly made of, those inside of a quantifier included.
    #[must_use]
    pub fn operands(&self) -> Vec<ExprId> {
        match self {
            Self::Int(_)
            | Self::Field(..)
            | Self::Raw(..)
            | Self::Param(_)
            | Self::Label(..)
            | Self::Counter(..) => Vec::new(),
            Self::Sample(_, a) | Self::Neg(a) | Self::Not(a) | Self::Matches(a, _) | Self::HasBits(a, _) => {
                vec![*a]
            }
            Self::Arith(_, a, b)
            | Self::Compare(_, a, b)
            | Self::And(a, b)
            | Self::Or(a, b)
            | Self::SameText(a, b)
            | Self::Default(a, b) => vec![*a, *b],
            Self::Choice(a, b, c) => vec![*a, *b, *c],
            Self::Quantifier(quantifier) => quantifier.filter.into_iter().chain(quantifier.value).collect(),
        }
    }
}

/// `any process in it where …`. Sees every process and cgroup of its place, inside of the OOM domain or not.
///
/// Where a walk could not start, it is missing; bools follow Kleene's logic: `any` of nothing is false, `every`
/// of nothing true; `count`, `sum`, `max` and `min` are missing if the condition is unknown, or the value missing, for one
/// element (a value counts only where the condition is true); `max` and `min` of nothing are missing, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantifier {
    /// Which.
    pub quant: Quant,
    /// Of what.
    pub unit: Unit,
    /// Its element.
    pub binder: BinderId,
    /// Where.
    pub place: Place,
    /// Bool. Always there for `every`.
    pub filter: Option<ExprId>,
    /// What a `sum` adds up, saturating, or a `max` or `min` compares: a field of the element.
    pub value: Option<ExprId>,
}

/// A quantifier's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quant {
    /// Bool.
    Any,
    /// Bool.
    Every,
    /// Count.
    Count,
    /// The type of its value.
    Sum,
    /// The type of its value.
    Max,
    /// The type of its value.
    Min,
}

/// Quantifiers that may stand inside each other.
pub const MAX_QUANTIFIERS: usize = 3;

/// Bits that a member is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// As a number.
    Number(u64),
    /// The value of a constant of the member's enum, as the kernel has it.
    Constant(String),
}

/// What a text field is compared with. The whole text must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// These bytes.
    Literal(String),
    /// `*` any bytes but `/`, `**` any bytes, `?` one byte but `/`; `P/**` matches P too.
    Glob(String),
    /// As a glob, but of a text that is no path: `*` any bytes.
    Wild(String),
}

impl Pattern {
    /// What a string of the language means as a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.contains(['*', '?']) { Self::Glob(text.to_owned()) } else { Self::Literal(text.to_owned()) }
    }

    /// What a string means beside a command name, which is no path.
    #[must_use]
    pub fn of_name(text: &str) -> Self {
        match Self::new(text) {
            Self::Glob(text) => Self::Wild(text),
            other => other,
        }
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Glob(text) | Self::Wild(text) => text,
        }
    }
}

/// What a field is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A cgroup of the event.
    Anchor(Anchor),
    /// The candidate of an enclosing selection or clause.
    Candidate(BinderId),
    /// The cgroup of a candidate that is a process.
    Home(BinderId),
    /// The parent of a candidate: of a process the one that made it, or that it was left to; of a cgroup the one above,
    /// of the root itself.
    Parent(BinderId),
    /// What a pick chose. Missing if it chose nothing.
    Pick(PickId),
    /// The event itself.
    Event,
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
