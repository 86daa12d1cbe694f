//! Mistakes in `on` blocks, in what only they can say, and in the budget.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use crate::diag::{Diagnostic, Fix, codes};
use crate::hir::Ty;
use crate::hir::check::ty_name;
use crate::hir::watch::sampled_fields;
use crate::source::Span;

/// What the kernel's hook cannot do.
pub(in crate::hir) fn only_in_block(word: &str, span: Span) -> Diagnostic {
    let why = match word {
        "grace" => "when memory has run out, nobody can wait for a process to end by itself",
        "reclaim" => "when memory has run out, the kernel has reclaimed already",
        _ => "when memory has run out, the kernel asks once; nobody has looked before",
    };
    Diagnostic::new(codes::ONLY_IN_BLOCK, format!("`{word}` stands in `on` blocks only"))
        .label(span, "asked when memory has run out")
        .help("write the rule into a block, for example `on pressure full avg10 > 60% { … }`")
        .note(why)
}

/// A member of the kernel's event, which whoever asks about a block does not have.
pub(in crate::hir) fn names_the_event(span: Span) -> Diagnostic {
    Diagnostic::new(
        codes::ONLY_IN_BLOCK,
        "a policy with `on` blocks cannot name members of the kernel's event",
    )
    .label(span, "only the kernel's own question has it")
    .help("ask `oom.scope` or `oom.trigger`, or write the rule into a policy of its own")
}

/// A share that is never exceeded.
pub(in crate::hir) fn above_the_whole(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "nothing is ever above this")
        .label(span, "a share is from 0% to below 100%")
        .help("write the share above which the rules are asked, for example `60%`")
}

/// Something else than a share or an amount of memory.
pub(in crate::hir) fn no_threshold(word: &str, ty: Ty, value: i64, span: Span) -> Diagnostic {
    let label = match ty {
        Ty::Bytes => "a negative amount".to_owned(),
        ty => format!("this is {}", ty_name(ty)),
    };
    let diagnostic = Diagnostic::new(
        codes::WATCH,
        format!("`{word}` is compared with a percent of the limit, or with bytes"),
    )
    .label(span, label);
    match (ty, value) {
        (Ty::Count, 1..100) => {
            let text = format!("{value}%");
            diagnostic.fix(Fix::possible(format!("write `{text}`"), span, text)).help("write a unit")
        }
        _ => diagnostic.help(format!("write `{word} > 95%` or `{word} > 512MiB`")),
    }
}

/// A window that the kernel's triggers do not have.
pub(in crate::hir) fn no_window(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "the kernel watches pressure in windows from 500ms to 10s")
        .label(span, "not such a window")
        .help("write a window that it has, or an average: `pressure full avg60 > 40%`")
}

/// More stall than the window has time.
pub(in crate::hir) fn more_stall_than_time(above: Span, per: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "so much stall does not fit into the window")
        .label(above, "more than 0, and at most the window")
        .label(per, "the window")
        .help("write less, for example `above 150ms per 1s`")
}

/// A time below nothing, or none where there must be some.
pub(in crate::hir) fn negative_time(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "this is no time that can pass")
        .label(span, "too short")
        .help("write a time, for example `30s`")
}

/// A budget without a number.
pub(in crate::hir) fn no_number_of_kills(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "a budget is a number of kills from 1")
        .label(span, "not such a number")
        .help("write for example `budget 3 kills per 10m`; a policy that never kills has no `kill`")
}

/// A budget of a policy without blocks.
pub(in crate::hir) fn budget_of_nothing(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "the policy has no `on` block whose kills the budget could count")
        .label(span, "counts nothing")
        .help("leave it out; for rules outside of blocks, count with a `state` that resets")
}

/// More blocks than a record can tell apart.
pub(in crate::hir) fn too_many_blocks(span: Span) -> Diagnostic {
    Diagnostic::new(codes::WATCH, "a policy has at most 255 `on` blocks")
        .label(span, "one too many")
        .help("join blocks that watch the same event")
}

/// More samples than a policy has.
pub(in crate::hir) fn too_many_samples(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SAMPLED, "a policy samples at most 64 values")
        .label(span, "one too many")
        .help("ask for the same field and time again")
}

/// A field that nobody looks at again and again.
pub(in crate::hir) fn not_sampled(word: &str, field: &str, span: Span) -> Diagnostic {
    let what = if word == "rate" { "of a counting field of a cgroup" } else { "of an amount of memory" };
    Diagnostic::new(codes::SAMPLED, format!("`{word}` is {what}, and `{field}` is none that is sampled"))
        .label(span, "not sampled")
        .help(format!("one of {}", sampled_fields(word == "rate")))
}
