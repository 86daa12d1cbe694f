//! Mistakes in selections and quantifiers: names of candidates, places, ranking words and keys.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use crate::diag::foreign::{self, Use};
use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::hir::MAX_QUANTIFIERS;
use crate::source::Span;
use crate::syntax::ast;

/// `stepwise` where there is no tree of cgroups; `whole` is what goes with the word.
pub(in crate::hir) fn nothing_to_step_down(span: Span, whole: Span) -> Diagnostic {
    Diagnostic::new(codes::STEPWISE, "`stepwise` goes down a tree of cgroups")
        .label(span, "nothing to go down here")
        .help("write `largest cgroup in subtree stepwise`, or leave `stepwise` out")
        .fix(Fix::possible("leave `stepwise` out", whole, ""))
}

/// `stepwise` beside `all`.
pub(in crate::hir) fn stepwise_of_all(span: Span) -> Diagnostic {
    Diagnostic::new(codes::STEPWISE, "`stepwise` finds one cgroup, and `all` takes each")
        .label(span, "one, or all?")
        .help("leave `all` or `stepwise` out")
}

/// A candidate's name that nothing uses.
pub(in crate::hir) struct UnusedName<'a> {
    pub(in crate::hir) name: &'a ast::Name,
    /// What the candidate is.
    pub(in crate::hir) word: &'a str,
    /// A field that the name could be used for.
    pub(in crate::hir) field: &'a str,
    /// What goes with the name if it is left out.
    pub(in crate::hir) whole: Span,
    /// The place of the selection, if `leaves of …` can stand there, and of which cgroup.
    pub(in crate::hir) place: Option<(Span, &'a str)>,
    /// The unit is written before it.
    pub(in crate::hir) unit: Option<Span>,
}

/// A candidate's name that nothing uses.
pub(in crate::hir) fn unused_candidate(unused: &UnusedName<'_>) -> Diagnostic {
    let name = unused.name;
    Diagnostic::new(
        codes::UNUSED_CANDIDATE,
        format!("`{}` is only the candidate's name, and nothing uses it", name.text),
    )
    .label(name.span, format!("the candidate is a {} all the same", unused.word))
    .advice(unused_name(unused))
}

/// What to write instead of a name that nothing uses.
fn unused_name(unused: &UnusedName<'_>) -> Advice {
    let UnusedName { name, field, whole, .. } = *unused;
    let leave = Fix::possible("leave it out", whole, "");
    let foreign = foreign::ours(&name.text, Use::Rank).or_else(|| foreign::ours(&name.text, Use::Unit));
    match foreign {
        Some(ours) if ours.word.is_empty() => {
            // To leave the word out would forget what it asks for.
            Advice { help: ours.remark.to_owned(), fixes: leaves(unused).into_iter().collect() }
        }
        Some(ours) => {
            let help = format!("did you mean `{}`?", ours.word);
            Advice::fix(Fix::certain(help, name.span, ours.word))
        }
        None => {
            let help = format!("leave it out, or use it: `where {}.{field} > 1GiB`", name.text);
            Advice::fix(leave).saying(help)
        }
    }
}

/// `kill largest leaf in subtree`: the leaves as a place.
fn leaves(unused: &UnusedName<'_>) -> Option<Fix> {
    let (place, of) = unused.place?;
    let place_text = format!("leaves of {of}");
    let fix = Fix::new(format!("write `cgroup in {place_text}`"), false).at(place, place_text);
    Some(match unused.unit {
        Some(unit) => fix.at(unit, "cgroup").at(unused.whole, ""),
        None => fix.at(unused.name.span, "cgroup"),
    })
}

/// A candidate's name that is almost a word of the language.
pub(in crate::hir) fn name_like_a_word(name: &ast::Name, word: &str) -> Diagnostic {
    Diagnostic::new(codes::CANDIDATE_NAME, format!("`{}` would be the candidate's name", name.text))
        .label(name.span, "too close to a word of the language")
        .help(format!("did you mean `{word}`? otherwise choose another name"))
        .fix(Fix::certain(format!("write `{word}`"), name.span, word))
}

/// A candidate has the name of something that is declared.
pub(in crate::hir) fn candidate_has_a_declared_name(
    name: &ast::Name,
    what: &str,
    declared: Span,
) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_NAME, format!("`{}` is a {what} already", name.text))
        .label(name.span, "the candidate")
        .label(declared, format!("the {what}"))
        .help("choose another name")
}

/// What cannot be a place for candidates.
pub(in crate::hir) fn no_place(
    message: impl Into<String>,
    help: impl Into<Advice>,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(codes::PLACE, message).label(span, "no place for candidates").advice(help)
}

/// `worst` of cgroups.
pub(in crate::hir) fn worst_cgroup(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WRONG_OWNER, "`worst` compares `badness`, which processes have")
        .label(span, "a cgroup has no such field")
        .help("write `largest cgroup … by …`, or `worst process`")
        .fix(Fix::possible("write `largest`", span, "largest"))
}

/// A ranking word that is an order already, and `by`; `whole` is what goes with the word.
pub(in crate::hir) fn rank_and_key(word: &str, span: Span, whole: Span, label: &str) -> Diagnostic {
    Diagnostic::new(codes::RANK_AND_KEY, format!("`{word}` is an order already, and `by` is another"))
        .label(span, label)
        .help(format!("leave `{word}` out, or leave `by` out"))
        .fix(Fix::possible(format!("leave `{word}` out"), whole, ""))
}

/// More quantifiers inside each other than can be counted at once.
pub(in crate::hir) fn too_many_quantifiers(span: Span) -> Diagnostic {
    Diagnostic::new(
        codes::QUANTIFIERS,
        format!("more than {MAX_QUANTIFIERS} quantifiers stand inside each other"),
    )
    .label(span, "one too many")
    .help("take a part of the question out, or ask it of a smaller place")
}

/// `every` without `where`.
pub(in crate::hir) fn every_without_condition(span: Span) -> Diagnostic {
    Diagnostic::new(codes::QUANTIFIERS, "`every` needs a condition")
        .label(span, "every one does what?")
        .help("write it behind `where`")
}

/// `sum` of percents.
pub(in crate::hir) fn sums_percents(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, "percents of different things cannot be added up")
        .label(span, "this is a percent")
        .help("sum bytes, numbers or durations")
}

/// `count` of a counter that is not declared.
pub(in crate::hir) fn unknown_counter(name: &ast::Name, help: Advice) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no counter `{}`", name.text))
        .label(name.span, "no `state` has this name")
        .advice(help)
}

/// `in ""`
pub(in crate::hir) fn empty_pattern(span: Span) -> Diagnostic {
    Diagnostic::new(codes::PLACE, "no path is empty")
        .label(span, "names no cgroup")
        .help("write a path or a pattern of paths: `in \"/system.slice/*.service\"`")
}
