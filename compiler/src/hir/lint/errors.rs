//! How lints are worded: one constructor for each.
//!
//! Takes what is written and where, gives the diagnostic; how it is found stands in the lint's own file.

use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::source::Span;

/// A pattern with signs of regular expressions.
pub(super) fn regex(text: &str, span: Span, glob: Option<String>, literal: bool) -> Diagnostic {
    let help = "a pattern is no regular expression: `*` stands for any characters, `?` for one, and a list for \
                alternatives: `in [\"sshd\", \"worker-*\"]`";
    let fix = glob
        .filter(|glob| literal && glob != text)
        .map(|glob| Fix::possible(format!("write \"{glob}\""), span, format!("\"{glob}\"")));
    Diagnostic::new(codes::REGEX_PATTERN, format!("\"{text}\" is written as a regular expression"))
        .label(span, "compared as it stands, so it matches nothing that was meant")
        .help(help)
        .fixes(fix)
}

/// A path where the name of a command is compared.
pub(super) fn comm_path(text: &str, span: Span, base: &str, literal: bool) -> Diagnostic {
    let fix = Fix::certain(format!("write \"{base}\""), span, format!("\"{base}\""));
    Diagnostic::new(codes::COMM_PATH, format!("`comm` is never \"{text}\""))
        .label(span, "a path, and `comm` is a command's name")
        .help(format!("write the name alone: \"{base}\""))
        .fixes(literal.then_some(fix))
        .note("the kernel keeps the last part of the executable's path, or what the process calls itself")
}

/// A path that no cgroup has.
pub(super) fn path_shape(text: &str, span: Span, label: &str, instead: &str, literal: bool) -> Diagnostic {
    let fix = Fix::certain(format!("write \"{instead}\""), span, format!("\"{instead}\""));
    Diagnostic::new(codes::PATH_SHAPE, format!("no cgroup has the path \"{text}\""))
        .label(span, label)
        .help(format!("paths begin at the cgroup mount and end without a slash: \"{instead}\""))
        .fixes(literal.then_some(fix))
}

/// A path where the last part of one is compared.
pub(super) fn name_shape(text: &str, span: Span, last: &str, literal: bool) -> Diagnostic {
    let fix = Fix::possible(format!("write \"{last}\""), span, format!("\"{last}\""));
    Diagnostic::new(codes::PATH_SHAPE, format!("no cgroup has the name \"{text}\""))
        .label(span, "a path, and `name` is its last part")
        .help(format!("write the last part alone, \"{last}\", or compare `path`"))
        .fixes(literal.then_some(fix))
}

/// A condition that says the same of each candidate.
pub(super) fn independent(written: &str, span: Span, help: &str) -> Diagnostic {
    Diagnostic::new(codes::INDEPENDENT, format!("`{written}` does not depend on the candidate"))
        .label(span, "the same for all of them")
        .help(help)
}

/// A part of a condition that never changes; `always` is what it always is.
pub(super) fn always(written: &str, always: bool, why: &str, span: Span) -> Diagnostic {
    let word = if always { "always" } else { "never" };
    Diagnostic::new(codes::CONSTANT_CONDITION, format!("`{written}` is {word} true")).label(span, why).help(
        if always {
            "leave it out, or compare with another value"
        } else {
            "compare with another value, or leave it out"
        },
    )
}

/// `until freed 0B`
pub(super) fn frees_nothing(span: Span) -> Diagnostic {
    Diagnostic::new(codes::CONSTANT_CONDITION, "`until freed` always ends with the first victim")
        .label(span, "whoever dies frees as much")
        .help("write how much is to come free, for example `512MiB`, or leave `until freed …` out")
}

/// Two things that are the same, of which the second one does nothing.
pub(super) fn same(message: &str, second: Span, first: Span, help: &str, fix: Option<Fix>) -> Diagnostic {
    Diagnostic::new(codes::SAME_TWICE, message)
        .label(second, "the same again")
        .label(first, "the first one")
        .advice(Advice { help: help.to_owned(), fixes: fix.into_iter().collect() })
}

/// An element of a list that stands there already.
pub(super) fn duplicate(written: &str, second: Span, fix: Option<Fix>) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_ELEMENT, format!("{written} stands twice"))
        .label(second, "once is enough")
        .help("leave one of them out, or write what was meant instead")
        .fixes(fix)
}

/// A counter that is asked, and that nothing counts.
pub(super) fn never_counted(name: &str, asked: Span, declared: Span) -> Diagnostic {
    Diagnostic::new(codes::NEVER_COUNTED, format!("nothing counts `{name}`, so it is always 0"))
        .label(asked, "asked here")
        .label(declared, "declared here")
        .help(format!("count it beside the action that it bounds: `{{ raise_limit 10% count {name} }}`"))
}

/// A letter of another script among those of ASCII.
pub(super) fn look_alike(what: &str, found: char, ascii: char, span: Span, fix: Option<Fix>) -> Diagnostic {
    let number = found as u32;
    Diagnostic::new(
        codes::LOOK_ALIKE,
        format!("{what} mixes alphabets: `{found}` (U+{number:04X}) is no `{ascii}`"),
    )
    .label(span, "nothing that is typed matches this")
    .help(format!("write the letter `{ascii}` of ASCII"))
    .fixes(fix)
}
