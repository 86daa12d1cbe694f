//! What is wrong with a name: one constructor for each mistake.
//!
//! Takes the name, its place in the text, and what there is instead; gives the diagnostic. Knows nothing of the scope
//! in which a name was looked for.

use oomc_abi::fields::Owner;

use super::{names, plural, singular};
use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, codes};
use crate::hir::Unit;
use crate::source::Span;
use crate::syntax::ast::{Name, Path};

/// `usage[3]`
pub(super) fn no_elements(head: &Name, index: i64, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_FIELD, format!("`{}` has no elements", head.text))
        .label(span, format!("no `[{index}]` here"))
        .help("only members of kernel structures have: `task.signal.rlim[3].rlim_cur`")
}

/// A name that is about a candidate, where no selection encloses it.
pub(super) fn no_candidate(text: &str, span: Span, help: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::NO_CANDIDATE, format!("`{text}` of what? no selection encloses it"))
        .label(span, "there is no candidate here")
        .help(help)
}

/// A member of a candidate's structure where no selection encloses it; `word` names the structure.
pub(super) fn no_candidate_of(path: &Path, word: &str) -> Diagnostic {
    let text = path.text();
    let help = match word {
        "memcg" => format!("write `cgroup.{text}` for the cgroup whose limit was hit"),
        "oc" => format!("write `oom.{text}`"),
        _ => "`task` is the structure of a process: use it in `where` or `by` of a selection".to_owned(),
    };
    no_candidate(&text, path.span, help)
}

/// A whole object where a value is needed; `kind` is what it is, `example` one of its fields.
pub(super) fn whole_object(name: &str, kind: &str, example: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::NOT_A_VALUE, format!("`{name}` is a whole {kind}, not a value"))
        .label(span, "no number, text or truth value")
        .help(format!("name one of its fields: `{name}.{example}`"))
}

/// The kernel's structure of something else: `word` was written for `wanted`, and `rest` behind it.
pub(super) fn wrong_structure(owner: Owner, word: &str, wanted: &str, rest: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::WRONG_OWNER, format!("{} has no `{word}`", singular(owner)))
        .label(span, format!("the kernel's structure of {} is `{wanted}`", singular(owner)))
        .help(match (owner, word) {
            (Owner::Process, "memcg") => format!("write `home.memcg{rest}` for the process's own cgroup"),
            _ => format!("name a member of `{wanted}`"),
        })
}

/// A label or counter of a process.
pub(super) fn belongs_to_cgroups(head: &Name, name: &Name) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_FIELD, format!("a process has no field `{}`", name.text))
        .label(name.span, "labels and counters belong to cgroups")
        .help(format!("write `{}.home.{}` for the process's own cgroup", head.text, name.text))
}

/// A name that nothing has. `text` is how it is written, `head` its first part.
pub(super) fn unknown_name(text: &str, head: Span, help: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{text}` here"))
        .label(head, "unknown name")
        .help(help)
}

/// A field of something else. `head` is what the path begins with, if that is no part of the field's name.
pub(super) fn wrong_owner(
    name: &str,
    owner: Owner,
    other: Owner,
    head: Option<&str>,
    span: Span,
) -> Diagnostic {
    let help = match (head, owner) {
        (None, Owner::Process) => format!(
            "write `home.{name}` for the process's own cgroup, `cgroup.{name}` for the one whose limit was hit"
        ),
        _ => fields_of(owner),
    };
    let message = format!("`{name}` is a field of {}, and this is {}", plural(other), singular(owner));
    Diagnostic::new(codes::WRONG_OWNER, message)
        .label(span, format!("{} has no such field", singular(owner)))
        .help(help)
}

/// A field that nothing has. `head` is what the path begins with, if that is no part of the field's name.
pub(super) fn unknown_field(name: &str, owner: Owner, head: Option<&str>, span: Span) -> Diagnostic {
    // `home.usage`, `usage.limit`: only the first part is known.
    let prefix = head.map_or_else(String::new, |head| format!("{head}."));
    Diagnostic::new(codes::UNKNOWN_FIELD, format!("{} has no field `{name}`", singular(owner)))
        .label(span, "unknown field")
        .help(match nearest(name, names(owner)) {
            Some(near) => format!("did you mean `{prefix}{near}`?"),
            None => fields_of(owner),
        })
}

/// What is known only when an event comes, in a constant.
pub(super) fn not_constant(path: &Path) -> Diagnostic {
    Diagnostic::new(codes::NOT_CONSTANT, format!("a constant cannot depend on `{}`", path.text()))
        .label(path.span, "not known when the policy is built")
        .help("use literals and other constants; write the rest where the constant is used")
}

fn fields_of(owner: Owner) -> String {
    format!("fields of {} are {}", plural(owner), list(names(owner)))
}

pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A definition of processes where a cgroup is asked, or the other way round, or where nobody is asked.
pub(super) fn defined_for_others(
    name: &str,
    unit: Option<Unit>,
    asked: Option<Unit>,
    span: Span,
) -> Diagnostic {
    let (of, word) = match unit {
        Some(Unit::Cgroup) => ("cgroups", "cgroup"),
        _ => ("processes", "process"),
    };
    if asked.is_none() {
        return no_candidate(name, span, format!("`{name}` is about {of}: use it in `where` of a selection"));
    }
    Diagnostic::new(codes::WRONG_OWNER, format!("`{name}` is defined for {of}"))
        .label(span, format!("the candidate here is no {word}"))
        .help(match unit {
            Some(Unit::Cgroup) => "ask it in a clause about cgroups".to_owned(),
            _ => "ask it in a clause about processes".to_owned(),
        })
}
