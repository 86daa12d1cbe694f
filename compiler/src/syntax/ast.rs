//! The syntax tree: what the author wrote, with its place in the text. Nothing is resolved.

use super::literal::Literal;
use crate::source::Span;

/// A policy's text.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What could be parsed, in the order written.
    pub clauses: Vec<Clause>,
    /// Names that clauses declare which could not be understood.
    pub lost: Vec<Name>,
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its letters.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A string without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What is between the quotes.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A clause.
#[derive(Clone, Debug)]
pub struct Clause {
    /// What it says.
    pub kind: ClauseKind,
    /// Where it stands.
    pub span: Span,
}

/// What a clause says.
#[derive(Clone, Debug)]
pub enum ClauseKind {
    /// `policy "name"`
    Policy(Text),
    /// `mode enforce`
    Mode(Name),
    /// `const name = value`
    Const {
        /// What it is called.
        name: Name,
        /// What it stands for.
        value: Expr,
    },
    /// `never kill process where …`
    Never(Never),
    /// `rule "name": action`, or a bare action.
    Rule {
        /// None for a bare one.
        name: Option<Text>,
        /// What it does.
        action: Action,
    },
    /// `default action`
    Default(Action),
}

/// `never kill`, with everything that an author may try to say behind it.
#[derive(Clone, Debug)]
pub struct Never {
    /// A ranking word: a mistake.
    pub rank: Option<(Rank, Span)>,
    /// Of what.
    pub unit: Option<(Unit, Span)>,
    /// A path.
    pub path: Option<Text>,
    /// A place: a mistake.
    pub place: Option<Place>,
    /// Which.
    pub condition: Option<Expr>,
}

/// An action.
#[derive(Clone, Debug)]
pub struct Action {
    /// What it does.
    pub kind: ActionKind,
    /// Where it stands.
    pub span: Span,
}

/// What an action does.
#[derive(Clone, Debug)]
pub enum ActionKind {
    /// `if condition then action else action`
    If {
        /// When.
        condition: Expr,
        /// When true.
        then: Box<Action>,
        /// Otherwise.
        otherwise: Option<Box<Action>>,
    },
    /// `{ … }`
    Block(Vec<Action>),
    /// `a or b or c`: at least two.
    Or(Vec<Action>),
    /// `kill …`
    Kill {
        /// Whom.
        selection: Box<Selection>,
        /// `now`
        now: bool,
        /// `reason "…"`
        reason: Option<Text>,
    },
    /// `raise_limit … up to …`
    RaiseLimit {
        /// By how much.
        amount: Expr,
        /// Not above.
        up_to: Option<Expr>,
    },
    /// `wait`
    Wait,
    /// `defer`
    Defer,
}

/// `largest process p in subtree where … by …`
#[derive(Clone, Debug)]
pub struct Selection {
    /// The ranking word.
    pub rank: Option<(Rank, Span)>,
    /// What is compared.
    pub unit: Option<(Unit, Span)>,
    /// The candidate's own name.
    pub name: Option<Name>,
    /// Where.
    pub place: Place,
    /// Which.
    pub filter: Option<Expr>,
    /// Compared by what.
    pub keys: Vec<Key>,
    /// Where it stands.
    pub span: Span,
}

/// A ranking word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum Rank {
    Largest,
    Smallest,
    Youngest,
    Oldest,
}

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum Unit {
    Process,
    Cgroup,
}

/// Where candidates are looked for.
#[derive(Clone, Debug)]
pub enum Place {
    /// `subtree`
    Subtree(Span),
    /// A cgroup's name.
    Cgroup(Path),
}

/// One key of a ranking.
#[derive(Clone, Debug)]
pub struct Key {
    /// What is compared.
    pub value: Expr,
    /// `asc` or `desc`; true for `desc`.
    pub descending: Option<bool>,
}

/// `cgroup.usage`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// At least one.
    pub segments: Vec<Name>,
    /// Holds an index: only members of kernel structures do.
    pub indexed: bool,
    /// Where it stands.
    pub span: Span,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression says.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `1.5GiB`
    Number(Literal),
    /// `"sshd"`
    Text(String),
    /// `true`
    Bool(bool),
    /// `cgroup.usage`
    Path(Path),
    /// `["a", "b"]`
    List(Vec<Expr>),
    /// `(…)`
    Paren(Box<Expr>),
    /// `not x`
    Not(Box<Expr>),
    /// `-x`
    Minus(Box<Expr>),
    /// `a + b`
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// A mistake that was reported where it stands.
    Broken,
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Binary {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Add,
    Sub,
    Mul,
    Div,
    /// `10% of cgroup.limit`
    Of,
}

impl Binary {
    /// As written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Of => "of",
        }
    }

    /// Compares its operands: the result is yes or no.
    #[must_use]
    pub fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge | Self::In)
    }
}

impl Rank {
    /// As written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::Youngest => "youngest",
            Self::Oldest => "oldest",
        }
    }
}

impl Unit {
    /// As written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
        }
    }
}

impl Path {
    /// As written, without white space.
    #[must_use]
    pub fn text(&self) -> String {
        let segments: Vec<&str> = self.segments.iter().map(|name| name.text.as_str()).collect();
        segments.join(".")
    }
}
