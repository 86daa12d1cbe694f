//! Mistakes in the header and in declarations, and in the clauses that protect or prefer.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use crate::diag::foreign::{self, Use};
use crate::diag::suggest::nearest;
use crate::diag::{Advice, Diagnostic, Fix, codes, front_end_failed};
use crate::hir::Ty;
use crate::hir::check::ty_name;
use crate::source::Span;
use crate::syntax::ast;
use oomc_abi::amount;

/// A name that is declared twice.
pub(in crate::hir) fn declared_twice(name: &ast::Name, first: Span) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_NAME, format!("`{}` is declared twice", name.text))
        .label(name.span, "the second one")
        .label(first, "the first one")
        .help("choose another name")
}

/// A known value of another type than the one it belongs to.
pub(in crate::hir) fn known_as_another_type(wanted: Ty, ty: Ty, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("{} is needed here, and this is {}", ty_name(wanted), ty_name(ty)))
        .label(span, format!("this is {}", ty_name(ty)))
        .help("both have the same unit")
}

/// A param without a range; `value` is what it begins with, `word` its first word.
pub(in crate::hir) fn param_without_range(
    name: &str,
    (ty, value): (Ty, i64),
    span: Span,
    word: Span,
) -> Diagnostic {
    let text = |value| amount::exact(ty.measure(), value);
    let (least, most) = match ty {
        Ty::Ratio if (10_000..=1_000_000).contains(&value) => ("1%".to_owned(), "100%".to_owned()),
        _ => (text(value.min(0)), text(value.saturating_mul(4).max(1))),
    };
    let range = format!("range {least} .. {most}");
    let end = Span { start: span.end, ..span };
    Diagnostic::new(codes::RANGE, format!("between what may `{}` be set?", name))
        .label(span, "a param has a range")
        .help(format!("write one behind it, for example `{range}`, or `const` if nobody is to set it"))
        .fix(Fix::possible(format!("write `{range}`"), end, format!(" {range}")))
        .fix(Fix::possible("write `const`", Span { end: word.start + 5, ..word }, "const"))
        .note("whoever sets it at night cannot leave the range")
}

/// A range that is empty, or a value outside of it.
pub(in crate::hir) fn wrong_range(message: &str, label: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::RANGE, message)
        .label(span, label)
        .help("write the smaller end first, and a value between the two")
}

/// A counter that would be reset at once.
pub(in crate::hir) fn no_window(span: Span) -> Diagnostic {
    Diagnostic::new(codes::RANGE, "a window without length")
        .label(span, "no time at all")
        .help("write a time such as `1h`, or leave `resets after` out")
}

/// A `pick` of something else than one cgroup.
pub(in crate::hir) fn picks_no_cgroup(message: &str, instead: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::PICK, message).label(span, "not one cgroup").help(format!("write {instead}"))
}

/// The kernel's own killer does not know `never`.
pub(in crate::hir) fn never_is_ours(span: Span) -> Diagnostic {
    Diagnostic::new(codes::NEVER_IS_OURS, "`never` binds this policy only")
        .label(span, "the kernel's own killer does not know it")
        .help("set `oom_score_adj` to -1000 where a process must survive everything")
        .note("when the policy makes no progress, the kernel's own killer may choose such a process")
}

/// A protection or preference without what it needs, or with what it cannot have.
pub(in crate::hir) fn misused_protection(
    word: &str,
    label: &str,
    span: Span,
    fix: Option<Fix>,
) -> Diagnostic {
    let advice = fix.map_or_else(
        || {
            let forms =
                format!("`{word} process where …`, `{word} cgroup where …` or `{word} cgroup \"/path\"`");
            Advice::from(format!("write {forms}"))
        },
        Advice::fix,
    );
    Diagnostic::new(codes::NEVER, format!("`{word}` is about what a condition describes"))
        .label(span, label)
        .advice(advice)
}

/// A mode that there is not.
pub(in crate::hir) fn unknown_mode(other: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no mode `{other}`"))
        .label(span, "unknown mode")
        .help("write `mode audit` to record and not to act, or `mode enforce`")
        .fixes(mode(other).map(|(word, certain)| Fix::new(format!("write `{word}`"), certain).at(span, word)))
}

/// The mode that a word means, and whether it can mean nothing else.
fn mode(word: &str) -> Option<(&'static str, bool)> {
    match foreign::ours(word, Use::Mode) {
        Some(ours) => Some((ours.word, ours.certain)),
        None => nearest(word, ["audit", "enforce"]).map(|near| (near, false)),
    }
}

/// A clause that a policy has once stands twice; `whole` is what goes with the second one.
pub(in crate::hir) fn clause_twice(word: &str, span: Span, whole: Span, first: Span) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_CLAUSE, format!("`{word}` stands twice"))
        .label(span, "the second one")
        .label(first, "the first one")
        .help("keep one of them")
        .fix(Fix::possible("leave the second one out", whole, ""))
}

/// A name or a block with nothing in it.
pub(in crate::hir) fn empty_part(message: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::EMPTY_PART, message).label(span, "empty").help("fill it, or leave it out")
}

/// A name that the language has already.
pub(in crate::hir) fn shadows(name: &ast::Name) -> Diagnostic {
    Diagnostic::new(codes::SHADOWS, format!("`{}` is a name of the language", name.text))
        .label(name.span, "taken")
        .advice(match foreign::ours(&name.text, Use::Unit) {
            Some(ours) if !ours.word.is_empty() => {
                Advice::fix(Fix::possible(format!("write `{}`", ours.word), name.span, ours.word)).saying(
                    format!("write `{}`, or choose another name, for example `my_{}`", ours.word, name.text),
                )
            }
            _ => format!("choose another one, for example `my_{}`", name.text).into(),
        })
}

/// A declaration that nothing uses.
pub(in crate::hir) fn unused(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNUSED_CONST, format!("nothing uses `{name}`"))
        .label(span, "never used")
        .help("use it, or leave it out")
}

/// Two rules have one name.
pub(in crate::hir) fn two_rules_of_one_name(name: &ast::Text, first: Span) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_NAME, format!("two rules are called \"{}\"", name.text))
        .label(name.span, "the second one")
        .label(first, "the first one")
        .help("give each rule its own name: records tell them apart by it")
}

/// Constants that are made of each other, in the order of the cycle.
pub(in crate::hir) fn cycle(names: &[&ast::Name]) -> Diagnostic {
    let message = match names {
        [one] => format!("`{}` is made of itself", one.text),
        [others @ .., last] if names.len() <= 4 => {
            let others: Vec<String> = others.iter().map(|name| format!("`{}`", name.text)).collect();
            format!("{} and `{}` are made of each other", others.join(", "), last.text)
        }
        [first, rest @ ..] => {
            format!("`{}` and {} more constants are made of each other", first.text, rest.len())
        }
        [] => return front_end_failed("a cycle of constants has no members"),
    };
    let labels = ["has no value of its own"].into_iter().chain(core::iter::repeat("and this one"));
    let diagnostic = names
        .iter()
        .zip(labels)
        .take(5)
        .fold(Diagnostic::new(codes::CYCLE, message), |diagnostic, (name, label)| {
            diagnostic.label(name.span, label)
        });
    diagnostic.help("give one of them a literal")
}

/// A definition that is made of itself.
pub(in crate::hir) fn defined_by_itself(name: &ast::Name, used: Span) -> Diagnostic {
    Diagnostic::new(codes::CYCLE, format!("`{}` is made of itself", name.text))
        .label(used, "has no meaning before it is defined")
        .label(name.span, "defined here")
        .help("write the condition out where it is used")
}

/// More uses of definitions than a policy may have.
pub(in crate::hir) fn too_many_definitions(span: Span) -> Diagnostic {
    let most = crate::hir::define::MAX_USES;
    Diagnostic::new(codes::DEFINITIONS, format!("definitions are used more than {most} times"))
        .label(span, "one too many")
        .help("definitions that are made of others count each time: write fewer of them out of each other")
}
