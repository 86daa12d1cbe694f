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
    /// Nothing was said of it when it was parsed: wherever the same text is a clause, it is this tree.
    pub faultless: bool,
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
    /// `define name = unit where condition`
    Define {
        /// What it is called.
        name: Name,
        /// Of what.
        unit: Unit,
        /// When it holds.
        condition: Expr,
    },
    /// `param name = value range low .. high`
    Param {
        /// What it is called.
        name: Name,
        /// Until it is set.
        value: Expr,
        /// The least and the most that it may be.
        range: Option<(Expr, Expr)>,
    },
    /// `label name: type = value trust root`
    Label {
        /// What it is called.
        name: Name,
        /// The type, as written.
        ty: Name,
        /// Where nobody set it.
        value: Expr,
        /// Whose labels count, as written.
        trust: Option<Name>,
    },
    /// `state name: counter per cgroup resets after 1h`
    State {
        /// What it is called.
        name: Name,
        /// How long a window lasts.
        resets: Option<Expr>,
    },
    /// `never kill process where …`
    Never(Protection),
    /// `avoid …`, `prefer …`
    Preference {
        /// `prefer`, not `avoid`.
        prefer: bool,
        /// Of what.
        of: Protection,
    },
    /// `pick name = selection`
    Pick {
        /// What it is called.
        name: Name,
        /// What it stands for.
        selection: Box<Selection>,
    },
    /// `test "name" { … }`
    Test(Test),
    /// `rule "name": action`, or a bare action.
    Rule {
        /// None for a bare one.
        name: Option<Text>,
        /// What it does.
        action: Action,
    },
    /// `default action`
    Default(Action),
    /// `on event for 30s cooldown 15s { rules }`
    Watch(Watch),
    /// `budget 3 kills per 10m`
    Budget {
        /// How many.
        kills: Expr,
        /// In how long.
        per: Expr,
    },
}

/// `on event for 30s cooldown 15s { rules }`
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is watched.
    pub event: Watched,
    /// Where that stands.
    pub event_span: Span,
    /// How long it has to hold.
    pub lasting: Option<Expr>,
    /// How long the block rests.
    pub cooldown: Option<Expr>,
    /// In the order written.
    pub rules: Vec<Ruled>,
}

/// A rule of an `on` block.
#[derive(Clone, Debug)]
pub struct Ruled {
    /// None for a bare one.
    pub name: Option<Text>,
    /// What it does.
    pub action: Action,
    /// Where it stands.
    pub span: Span,
}

/// An event that is watched.
#[derive(Clone, Debug)]
pub enum Watched {
    /// `pressure full avg10 > 60%`
    Average {
        /// `full`, not `some`.
        full: bool,
        /// `avg10`, as written.
        window: Name,
        /// Above this.
        above: Expr,
    },
    /// `pressure some above 150ms per 1s`
    Stall {
        /// `full`, not `some`.
        full: bool,
        /// So much time.
        above: Expr,
        /// In so much.
        per: Expr,
    },
    /// `usage > 95%`
    Usage(Expr),
    /// `swap > 90%`
    Swap(Expr),
    /// `limit`
    Limit,
}

/// What a test says of an event that is watched.
#[derive(Clone, Debug)]
pub enum Seen {
    /// `pressure full avg10 70%`
    Average {
        /// `full`, not `some`.
        full: bool,
        /// `avg10`, as written.
        window: Name,
        /// How much.
        value: Expr,
    },
    /// `pressure some above 150ms per 1s`
    Stall {
        /// `full`, not `some`.
        full: bool,
        /// So much time.
        above: Expr,
        /// In so much.
        per: Expr,
    },
    /// `usage`
    Usage,
    /// `swap`
    Swap,
    /// `limit`
    Limit,
}

/// What stands behind `never kill`, `avoid` or `prefer`, with everything that an author may try to say there.
#[derive(Clone, Debug)]
pub struct Protection {
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

/// `test "name" { … }`
#[derive(Clone, Debug)]
pub struct Test {
    /// What it shows.
    pub name: Text,
    /// In order.
    pub steps: Vec<Step>,
}

/// A part of a test.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it says.
    pub kind: StepKind,
    /// Where it stands.
    pub span: Span,
}

/// What a part of a test says.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// `given { … }`
    Given(Vec<GivenKind>),
    /// `on [system] oom [in "/job"] [{ … }]`
    Event {
        /// The whole machine is short of memory.
        system: bool,
        /// The cgroup whose limit was hit.
        cgroup: Option<Text>,
        /// What else is said of the event.
        properties: Vec<Property>,
    },
    /// `on pressure full avg10 70% in "/job" for 30s [{ … }]`
    Seen {
        /// What the engine sees.
        event: Seen,
        /// Of which cgroup.
        cgroup: Option<Text>,
        /// For how long.
        lasting: Option<Expr>,
        /// What else is said of the event.
        properties: Vec<Property>,
    },
    /// `after 10s`
    After(Expr),
    /// `expect … [by rule "name"]`
    Expect {
        /// What must happen.
        outcome: Outcome,
        /// Which rule must have done it.
        rule: Option<Text>,
    },
}

/// What a test says of the machine.
#[derive(Clone, Debug)]
pub enum GivenKind {
    /// `param step 30%`
    Param(Name, Expr),
    /// An object.
    Object(Given),
}

/// `"/job#100" { comm "sshd" rss 700MiB }`: a cgroup, or a process behind `#`.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its path.
    pub path: Text,
    /// What is said of it.
    pub properties: Vec<Property>,
    /// Where it stands.
    pub span: Span,
}

/// `rss 700MiB`, or `dying` alone.
#[derive(Clone, Debug)]
pub struct Property {
    /// What.
    pub name: Path,
    /// Its value.
    pub value: Option<Expr>,
}

/// What a test expects.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// `not asked`
    NotAsked,
    /// `kill nobody`
    KillNobody,
    /// `kill process "/job#101", …`
    Kill(Option<(Unit, Span)>, Vec<Text>),
    /// `raise_limit "/job" to 1280MiB`
    RaiseLimit(Text, Expr),
    /// `reclaim 512MiB`
    Reclaim(Expr),
    /// `candidates "/job#101", …`
    Candidates(Vec<Text>),
    /// `freed 200MiB`
    Freed(Expr),
    /// `reason "text"`
    Reason(Text),
    /// `notify "text"`
    Notify(Text),
    /// `wait`
    Wait,
    /// `defer`
    Defer,
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
        /// `until freed B at most N`
        until: Option<Box<Until>>,
        /// `grace 5s`
        grace: Option<Box<Expr>>,
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
    /// `reclaim 512MiB`
    Reclaim(Expr),
    /// `wait`
    Wait,
    /// `defer`
    Defer,
    /// `notify "text"`
    Notify(Text),
    /// `count name`
    Count(Name),
}

/// `until freed 512MiB at most 4`
#[derive(Clone, Debug)]
pub struct Until {
    /// How much.
    pub freed: Expr,
    /// With how many victims.
    pub at_most: Expr,
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
    /// `stepwise`
    pub stepwise: Option<Span>,
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
    Worst,
    All,
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
    /// `subtree`, `subtree of C`
    Subtree(Span, Option<Path>),
    /// `children of C`
    Children(Span, Path),
    /// `leaves of C`
    Leaves(Span, Path),
    /// A cgroup's name.
    Cgroup(Path),
    /// A pattern of paths.
    Matching(Text),
}

impl Place {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Subtree(span, _) | Self::Children(span, _) | Self::Leaves(span, _) => *span,
            Self::Cgroup(path) => path.span,
            Self::Matching(text) => text.span,
        }
    }
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
    /// Indices behind segments, by the segment's number: only members of kernel structures have them.
    pub indices: Vec<(usize, Literal)>,
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
    /// `any process in it where …`
    Quantifier(Box<Quantifier>),
    /// `(if a then b else c)`
    Choice(Box<[Expr; 3]>),
    /// `rate(pgscan)`
    Rate(Path),
    /// `growth(usage, 30s)`
    Growth(Path, Box<Expr>),
    /// `task.flags has 0x200000`
    Has(Path, Vec<Name>),
    /// A mistake that was reported where it stands.
    Broken,
}

/// `any process p in it where …`, `sum rss of process in it`
#[derive(Clone, Debug)]
pub struct Quantifier {
    /// Which.
    pub quant: Quant,
    /// Of what.
    pub unit: Unit,
    /// The element's own name.
    pub name: Option<Name>,
    /// Where.
    pub place: Place,
    /// Which.
    pub filter: Option<Expr>,
}

/// A quantifier's word.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum Quant {
    Any,
    Every,
    Count,
    /// With the field that is summed.
    Sum(Path),
    /// With the field whose largest value is meant.
    Max(Path),
    /// With the field whose smallest value is meant.
    Min(Path),
}

impl Quant {
    /// The field that is summed or compared.
    #[must_use]
    pub fn field(&self) -> Option<&Path> {
        match self {
            Self::Any | Self::Every | Self::Count => None,
            Self::Sum(field) | Self::Max(field) | Self::Min(field) => Some(field),
        }
    }

    /// As written.
    #[must_use]
    pub fn spelling(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Every => "every",
            Self::Count => "count",
            Self::Sum(_) => "sum",
            Self::Max(_) => "max",
            Self::Min(_) => "min",
        }
    }
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
    /// `x ?? 0B`
    Default,
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
            Self::Default => "??",
        }
    }

    /// Compares its operands: the result is yes or no.
    #[must_use]
    pub fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge | Self::In)
    }
}

impl Rank {
    /// All of them, as the grammar has them.
    pub const ALL: [Self; 6] =
        [Self::Largest, Self::Smallest, Self::Youngest, Self::Oldest, Self::Worst, Self::All];

    /// As written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::Youngest => "youngest",
            Self::Oldest => "oldest",
            Self::Worst => "worst",
            Self::All => "all",
        }
    }
}

impl Unit {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Process, Self::Cgroup];

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
        let mut text = String::new();
        for (at, name) in self.segments.iter().enumerate() {
            if at > 0 {
                text.push('.');
            }
            text.push_str(&name.text);
            for (_, index) in self.indices.iter().filter(|(of, _)| *of == at) {
                text.push_str(&format!("[{}]", index.value));
            }
        }
        text
    }
}
