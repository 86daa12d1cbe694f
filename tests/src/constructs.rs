//! The constructs of the language by name, and which of them a policy has.
//!
//! The list is for tests that say that each occurs somewhere. Fields come from their table, words from the grammar.

use oomc_abi::fields::{self, FieldId};
use oomc_compiler::hir::{
    ActionKind, ExprId, ExprKind, Part, Pattern, Place, Policy, Quant, Selection, Subject,
};
use oomc_compiler::ir::{BinOp, Cond, InstData};
use oomc_grammar::words;

/// Names that the language itself has, and modes: to the grammar they are names like any other.
const NAMES: &str = "audit enforce it home parent attached task memcg oc";
/// Signs of the language; what the checked policy no longer shows.
const SIGNS: [&str; 17] =
    ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "??", "[", "(", "{", "..", ",", "}"];

/// What [`of`] finds besides fields.
const CONSTRUCTS: &str = "if block or kill raise reclaim wait defer notify count; place subtree, place children, place leaves, \
    place cgroup, place matching; of anchor, of candidate, of pick; param, label, counter, default, neg, arith, compare, matches, same text, \
    has, choice, not, and, or, raw; literal, glob, wild; subject anchor, subject candidate, subject home, subject parent, subject pick, subject event; \
    any, every, count elements, sum, max, min; quantifiers 2, quantifiers 3; text, value; stepwise, all, filter, until; keys 2; grace, sample";

/// The words and signs of a policy's text.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| format!("`{word}`"))
        .collect();
    found.extend(SIGNS.iter().filter(|sign| text.contains(**sign)).map(|sign| format!("`{sign}`")));
    found
}

/// The words and signs of the language.
#[must_use]
pub fn all_words() -> Vec<String> {
    words::all()
        .into_iter()
        .chain(NAMES.split_whitespace())
        .chain(SIGNS)
        .map(|word| format!("`{word}`"))
        .collect()
}

/// What a checked policy can be made of, besides fields.
#[must_use]
pub fn all_constructs() -> Vec<String> {
    let (actions, others) = CONSTRUCTS.split_once(';').unwrap_or_default();
    let actions = actions.split_whitespace().map(|action| format!("action {action}"));
    actions.chain(others.split([',', ';']).map(|construct| construct.trim().to_owned())).collect()
}

/// All that there is: words, signs, constructs and fields.
#[must_use]
pub fn all() -> Vec<String> {
    let mut all = all_words();
    all.extend(all_constructs());
    all.extend(fields::all().map(field));
    all
}

fn field(field: FieldId) -> String {
    format!("field {}.{}", field.row().owner.name(), field.row().name)
}

/// How a field is read, whatever it is read from.
#[must_use]
pub fn way(field: FieldId) -> String {
    let recipe = format!("{:?}", field.row().recipe);
    let name = recipe.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    format!("{} read by {name}", field.row().owner.name())
}

/// Each way in which a field is read.
#[must_use]
pub fn all_ways() -> Vec<String> {
    let mut ways: Vec<String> = fields::all().map(way).collect();
    ways.sort();
    ways.dedup();
    ways
}

/// The ways in which a policy's fields are read.
#[must_use]
pub fn ways(policy: &Policy) -> Vec<String> {
    let fields = policy.exprs.values().filter_map(|expr| match expr.kind {
        ExprKind::Field(_, field) => Some(way(field)),
        _ => None,
    });
    fields.collect()
}

/// What a checked policy is made of.
#[must_use]
pub fn of(policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let mut selections: Vec<&Selection> = policy.picks.values().map(|pick| &pick.selection).collect();
    for action in policy.actions.values() {
        let name = match &action.kind {
            ActionKind::If { .. } => "if",
            ActionKind::Block(_) => "block",
            ActionKind::Or(..) => "or",
            ActionKind::Kill(kill) => {
                selections.push(&kill.selection);
                found.extend(kill.until.map(|_| "until".to_owned()));
                found.extend(kill.grace.map(|_| "grace".to_owned()));
                "kill"
            }
            ActionKind::RaiseLimit { .. } => "raise",
            ActionKind::Reclaim(_) => "reclaim",
            ActionKind::Wait => "wait",
            ActionKind::Defer => "defer",
            ActionKind::Notify(_) => "notify",
            ActionKind::Count(_) => "count",
        };
        found.push(format!("action {name}"));
    }
    for (_, message) in policy.messages() {
        found.extend(message.parts.iter().map(|part| match part {
            Part::Text(_) => "text".to_owned(),
            Part::Value(_) => "value".to_owned(),
        }));
    }
    for selection in selections {
        found.extend(place(selection.place));
        let parts = [
            (selection.stepwise, "stepwise"),
            (selection.all, "all"),
            (selection.filter.is_some(), "filter"),
            (selection.keys.len() > 1, "keys 2"),
        ];
        found.extend(parts.iter().filter(|(there, _)| *there).map(|(_, name)| (*name).to_owned()));
    }
    for (id, expr) in policy.exprs.iter() {
        found.extend(match &expr.kind {
            ExprKind::Int(_) => Vec::new(),
            ExprKind::Field(of, field) => {
                vec![subject(*of), self::field(*field)]
            }
            ExprKind::Raw(of, _) => vec![subject(*of), "raw".to_owned()],
            ExprKind::Param(_) => vec!["param".to_owned()],
            ExprKind::Label(of, _) => vec![subject(*of), "label".to_owned()],
            ExprKind::Counter(of, _) => vec![subject(*of), "counter".to_owned()],
            ExprKind::Sample(..) => vec!["sample".to_owned()],
            ExprKind::Default(..) => vec!["default".to_owned()],
            ExprKind::Quantifier(quantifier) => {
                let name = match quantifier.quant {
                    Quant::Any => "any",
                    Quant::Every => "every",
                    Quant::Count => "count elements",
                    Quant::Sum => "sum",
                    Quant::Max => "max",
                    Quant::Min => "min",
                };
                let [at, of] = place(quantifier.place);
                vec![name.to_owned(), format!("quantifiers {}", nesting(policy, id)), at, of]
            }
            ExprKind::Neg(_) => vec!["neg".to_owned()],
            ExprKind::Arith(..) => vec!["arith".to_owned()],
            ExprKind::Compare(..) => vec!["compare".to_owned()],
            ExprKind::Matches(_, patterns) => patterns
                .iter()
                .map(|pattern| match pattern {
                    Pattern::Literal(_) => "literal".to_owned(),
                    Pattern::Glob(_) => "glob".to_owned(),
                    Pattern::Wild(_) => "wild".to_owned(),
                })
                .chain(["matches".to_owned()])
                .collect(),
            ExprKind::SameText(..) => vec!["same text".to_owned()],
            ExprKind::HasBits(..) => vec!["has".to_owned()],
            ExprKind::Choice(..) => vec!["choice".to_owned()],
            ExprKind::Not(_) => vec!["not".to_owned()],
            ExprKind::And(..) => vec!["and".to_owned()],
            ExprKind::Or(..) => vec!["or".to_owned()],
        });
    }
    found
}

/// How many quantifiers stand inside each other here.
fn nesting(policy: &Policy, id: ExprId) -> usize {
    let Some(expr) = policy.exprs.get(id) else { return 0 };
    let inside = expr.kind.operands().into_iter().map(|inner| nesting(policy, inner)).max().unwrap_or(0);
    inside + usize::from(matches!(expr.kind, ExprKind::Quantifier(_)))
}

fn place(place: Place) -> [String; 2] {
    let name = match place {
        Place::Subtree(_) => "subtree",
        Place::Children(_) => "children",
        Place::Leaves(_) => "leaves",
        Place::Cgroup(_) => "cgroup",
        Place::Matching(_) => "matching",
    };
    let of = subject(place.of());
    [format!("place {name}"), of.replace("subject", "of")]
}

fn subject(subject: Subject) -> String {
    let name = match subject {
        Subject::Anchor(_) => "anchor",
        Subject::Candidate(_) => "candidate",
        Subject::Home(_) => "home",
        Subject::Parent(_) => "parent",
        Subject::Pick(_) => "pick",
        Subject::Event => "event",
    };
    format!("subject {name}")
}

/// All that [`instruction`] can say.
#[must_use]
pub fn all_instructions() -> Vec<String> {
    let others = "iconst, sign_extend, load.ctx, param, load, store, load.field, load.ptr, field.addr, field.fact, \
        field.exists, enum.value, enum.exists, type.id, ksym.addr, kfunc.addr, stack.addr, map.addr, global.addr, \
        ptr.add, call, call of a helper, call of a function, mark, jump, return";
    let mut all: Vec<String> = others.split(',').map(|name| name.trim().to_owned()).collect();
    all.extend(BinOp::ALL.iter().map(|op| format!("{op:?}")));
    all.extend(Cond::ALL.iter().map(|cond| format!("branch {cond:?}")));
    all
}

/// The kind of an instruction of the IR.
#[must_use]
pub fn instruction(inst: &InstData) -> String {
    let name = match inst {
        InstData::Iconst(_) => "iconst",
        InstData::Binary(op, ..) => return format!("{op:?}"),
        InstData::SignExtend(..) => "sign_extend",
        InstData::LoadCtx(_) => "load.ctx",
        InstData::Param(_) => "param",
        InstData::Load { .. } => "load",
        InstData::Store { .. } => "store",
        InstData::LoadField { .. } => "load.field",
        InstData::LoadPtr { .. } => "load.ptr",
        InstData::FieldAddr { .. } => "field.addr",
        InstData::FieldFact(..) => "field.fact",
        InstData::FieldExists(_) => "field.exists",
        InstData::EnumValue(_) => "enum.value",
        InstData::EnumExists(_) => "enum.exists",
        InstData::TypeId(_) => "type.id",
        InstData::KsymAddr(_) => "ksym.addr",
        InstData::KfuncAddr(_) => "kfunc.addr",
        InstData::StackAddr(_) => "stack.addr",
        InstData::MapAddr(_) => "map.addr",
        InstData::GlobalAddr { .. } => "global.addr",
        InstData::PtrAdd(..) => "ptr.add",
        InstData::Call { .. } => "call",
        InstData::CallHelper { .. } => "call of a helper",
        InstData::CallFunc { .. } => "call of a function",
        InstData::Mark { .. } => "mark",
        InstData::Jump(_) => "jump",
        InstData::Branch { cond, .. } => return format!("branch {cond:?}"),
        InstData::Return(_) => "return",
    };
    name.to_owned()
}
