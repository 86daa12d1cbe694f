//! What the kernel lacks that a policy is built for, and mistakes in the names of its members.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use oomc_abi::kfuncs::Kfunc;

use crate::diag::{Code, Diagnostic, codes};
use crate::source::Span;
use crate::syntax::ast;

/// A kernel that cannot run any policy.
pub(in crate::hir) fn no_hook() -> Diagnostic {
    Diagnostic::new(codes::HOOK_MISSING, "this kernel cannot run an oom policy")
        .help("build for a kernel with `struct bpf_oom_ops`, or leave `--btf` out")
        .note("its BTF has no `struct bpf_oom_ops` with `handle_out_of_memory`")
}

/// A function that the program calls for itself.
pub(in crate::hir) fn function_missing(row: &Kfunc) -> Diagnostic {
    Diagnostic::new(
        codes::KFUNC_MISSING,
        format!("this kernel has no `{}`, which the policy needs", row.name),
    )
    .help("build for another kernel with `--btf`")
    .note(format!("`{}` ({})", row.c, row.source))
}

/// A field that cannot be read; `missing` says what the kernel lacks.
pub(in crate::hir) fn field_missing(name: &str, missing: String, span: Span) -> Diagnostic {
    Diagnostic::new(codes::FIELD_MISSING, format!("`{}` cannot be read on this kernel", name))
        .label(span, "not on this kernel")
        .help("use another field, or build for another kernel with `--btf`")
        .note(missing)
}

/// An index that cannot be one.
pub(in crate::hir) fn no_such_element(name: &ast::Name, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_FIELD, format!("`{}` has no such element", name.text))
        .label(span, "elements are numbered from 0")
        .help("write a number without a unit: `task.signal.rlim[3].rlim_cur`")
}

/// A structure where a value is needed; `first` is one of its members.
pub(in crate::hir) fn whole_structure(
    (text, container): (&str, &str),
    first: Option<&str>,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(codes::NOT_A_VALUE, format!("`{text}` is a whole structure, not a value"))
        .label(span, format!("`struct {container}` of the kernel"))
        .help(match first {
            Some(first) => format!("name one of its members: `{text}.{first}`"),
            None => "name one of its members".to_owned(),
        })
}

/// A member that this kernel has not, or that nobody can read.
pub(in crate::hir) fn unreadable_member(
    (code, label): (Code, &str),
    message: String,
    help: String,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(code, message).label(span, label).help(help)
}

/// A string that is no constant of the enum.
pub(in crate::hir) fn unknown_constant(tag: &str, text: &str, help: String, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TEXT, format!("`enum {tag}` has no \"{text}\""))
        .label(span, "no such constant")
        .help(help)
}

/// A function that an action needs; where something stands behind the action, that is tried.
pub(in crate::hir) fn action_without_function(
    kfunc: &Kfunc,
    word: &str,
    covered: bool,
    span: Span,
) -> Diagnostic {
    let (name, source) = (kfunc.name, kfunc.source);
    let code = if covered { codes::ACTION_WITHOUT_KFUNC } else { codes::KFUNC_MISSING };
    let diagnostic = Diagnostic::new(code, format!("this kernel has no `{name}`, which `{word}` needs"))
        .note(format!("`{}` ({source})", kfunc.c));
    if covered {
        diagnostic
            .label(span, "makes no progress on this kernel")
            .help("nothing to do: the alternative behind it is tried")
    } else {
        diagnostic
            .label(span, "not possible on this kernel")
            .help("write an alternative behind it with `or`, or build for another kernel with `--btf`")
    }
}

/// A member that no snapshot and no test has by itself.
pub(in crate::hir) fn not_in_the_model(name: &str, can_be_given: bool, span: Span) -> Diagnostic {
    Diagnostic::new(codes::NOT_IN_THE_MODEL, format!("only a running kernel knows `{name}`"))
        .label(span, "no snapshot says it")
        .help(if can_be_given {
            "give it in each test: `sim` and `plan` say that they do not know wherever it is asked for"
        } else {
            "`test`, `sim` and `plan` say that they do not know wherever it is asked for: try it with `mode audit`"
        })
}

/// A policy whose work grows with products.
pub(in crate::hir) fn above_linear(class: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::ABOVE_LINEAR, format!("the cost of a decision grows with {class}"))
        .label(span, "looks at its whole place for each candidate")
        .help("write the place as something of the candidate, such as `in it`, or expect decisions to take seconds")
        .note("the kernel's killer waits as long as the policy decides")
}
