//! Random policies against the compiler: what is valid compiles, and every construct of the language occurs.

use std::collections::HashMap;

use oomc_abi::fields;
use oomc_compiler::diag::{Diagnostic, Severity, codes};
use oomc_compiler::hir::{ActionKind, ExprKind, Part, Pattern, Place, Policy, Quant, Selection, Subject};
use oomc_compiler::{KernelView, Source};
use oomc_tests::generate;

/// Seed of the ordinary run.
const SEED: u64 = 1;

/// Policies that the front end sees; and of these, policies that become objects.
const CHECKED: usize = 3_000;
const COMPILED: usize = 250;

/// In how many of [`CHECKED`] policies each construct occurs at least.
const LEAST: usize = 5;

/// What is wrong, without the limits of the kernel: a large policy may exceed one, and is told so.
fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error && found.code != codes::PROGRAM_TOO_LARGE)
        .map(|found| format!("{} {found}", found.code))
        .collect()
}

/// Fails with the first few of what is wrong.
fn none(wrong: &[String]) {
    let first: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} policies:\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn valid_policies_compile() {
    let view = KernelView::embedded();
    let (mut wrong, mut objects) = (Vec::new(), 0);
    for text in generate::policies(SEED, COMPILED) {
        let source = Source::new("random.oom", text.as_str());
        let Ok(compiled) = std::panic::catch_unwind(|| oomc_compiler::compile(&source, &view)) else {
            panic!("the compiler panics at\n{text}");
        };
        let errors = errors(&compiled.diagnostics);
        if !errors.is_empty() {
            wrong.push(format!("{}\n{text}", errors.join("\n")));
        }
        objects += usize::from(compiled.object.is_some());
    }
    none(&wrong);
    assert!(objects * 20 >= COMPILED * 19, "only {objects} of {COMPILED} are within the kernel's limits");
}

/// The front end sees many more policies than can be compiled in the time: each is accepted, and every construct is
/// among them.
#[test]
fn every_construct_occurs_and_is_accepted() {
    let view = KernelView::embedded();
    let mut wrong = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for text in generate::policies(SEED, CHECKED) {
        let checked = oomc_compiler::check(&Source::new("random.oom", text.as_str()), &view);
        let errors = errors(&checked.diagnostics);
        if !errors.is_empty() {
            wrong.push(format!("{}\n{text}", errors.join("\n")));
        }
        let mut found = words(&text);
        if let Some(policy) = &checked.policy {
            found.extend(constructs(policy));
        }
        found.sort();
        found.dedup();
        for construct in found {
            *seen.entry(construct).or_default() += 1;
        }
    }
    none(&wrong);
    let rare: Vec<String> = wanted()
        .into_iter()
        .map(|construct| (seen.get(&construct).copied().unwrap_or(0), construct))
        .filter(|(times, _)| *times < LEAST)
        .map(|(times, construct)| format!("{construct}: {times} times"))
        .collect();
    assert!(rare.is_empty(), "constructs that hardly occur:\n{}", rare.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_policies() {
    assert_eq!(generate::policies(7, 3), generate::policies(7, 3));
    assert_ne!(generate::policies(7, 3), generate::policies(8, 3));
}

/// Words and signs of the language; what the checked policy no longer shows.
const WORDS: &str = "policy mode audit enforce const param range label trust root owner any state counter per cgroup \
    resets after never avoid prefer pick default test given on system oom in expect nobody rule if then else or kill \
    raise_limit up to until freed at most wait defer notify count now reason largest smallest youngest oldest worst \
    all process subtree children leaves of stepwise where by asc desc it home parent attached every sum true false \
    not and task memcg oc percent bytes duration bool";
const SIGNS: [&str; 17] =
    ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "??", "[", "(", "{", "..", ",", "}"];

/// What [`constructs`] finds besides fields.
const CONSTRUCTS: &str = "if block or kill raise wait defer notify count; place subtree, place children, place leaves, \
    place cgroup; of anchor, of candidate, of pick; param, label, counter, default, neg, arith, compare, matches, not, \
    and, or, raw; literal, glob; subject anchor, subject candidate, subject home, subject pick, subject event; \
    any, every, count elements, sum; quantifiers 2, quantifiers 3; text, value; stepwise, all, filter, until; keys 2";

fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| format!("`{word}`"))
        .collect();
    found.extend(SIGNS.iter().filter(|sign| text.contains(**sign)).map(|sign| format!("`{sign}`")));
    found
}

/// All that must occur.
fn wanted() -> Vec<String> {
    let mut wanted: Vec<String> =
        WORDS.split_whitespace().chain(SIGNS).map(|word| format!("`{word}`")).collect();
    let (actions, others) = CONSTRUCTS.split_once(';').unwrap_or_default();
    wanted.extend(actions.split_whitespace().map(|action| format!("action {action}")));
    wanted.extend(others.split([',', ';']).map(|construct| construct.trim().to_owned()));
    wanted.extend(
        fields::all().map(|field| format!("field {}.{}", field.row().owner.name(), field.row().name)),
    );
    wanted
}

fn constructs(policy: &Policy) -> Vec<String> {
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
                "kill"
            }
            ActionKind::RaiseLimit { .. } => "raise",
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
                vec![subject(*of), format!("field {}.{}", field.row().owner.name(), field.row().name)]
            }
            ExprKind::Raw(of, _) => vec![subject(*of), "raw".to_owned()],
            ExprKind::Param(_) => vec!["param".to_owned()],
            ExprKind::Label(of, _) => vec![subject(*of), "label".to_owned()],
            ExprKind::Counter(of, _) => vec![subject(*of), "counter".to_owned()],
            ExprKind::Default(..) => vec!["default".to_owned()],
            ExprKind::Quantifier(quantifier) => {
                let name = match quantifier.quant {
                    Quant::Any => "any",
                    Quant::Every => "every",
                    Quant::Count => "count elements",
                    Quant::Sum => "sum",
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
                })
                .chain(["matches".to_owned()])
                .collect(),
            ExprKind::Not(_) => vec!["not".to_owned()],
            ExprKind::And(..) => vec!["and".to_owned()],
            ExprKind::Or(..) => vec!["or".to_owned()],
        });
    }
    found
}

/// How many quantifiers stand inside each other here.
fn nesting(policy: &Policy, id: oomc_compiler::hir::ExprId) -> usize {
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
    };
    let of = subject(place.of());
    [format!("place {name}"), of.replace("subject", "of")]
}

fn subject(subject: Subject) -> String {
    let name = match subject {
        Subject::Anchor(_) => "anchor",
        Subject::Candidate(_) => "candidate",
        Subject::Home(_) => "home",
        Subject::Pick(_) => "pick",
        Subject::Event => "event",
    };
    format!("subject {name}")
}
