//! What is wrong with a name: one constructor for each mistake.
//!
//! Takes the name, its place in the text, and what there is instead; gives the diagnostic. Knows nothing of the scope
//! in which a name was looked for.

use oomc_abi::fields::Owner;

use super::{names, plural, singular};
use crate::diag::foreign::{self, Use};
use crate::diag::suggest::nearest;
use crate::diag::{Advice, Diagnostic, Fix, codes};
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
pub(super) fn no_candidate(text: &str, span: Span, help: impl Into<Advice>) -> Diagnostic {
    Diagnostic::new(codes::NO_CANDIDATE, format!("`{text}` of what? no selection encloses it"))
        .label(span, "there is no candidate here")
        .advice(help)
}

/// A member of a candidate's structure where no selection encloses it; `word` names the structure.
pub(super) fn no_candidate_of(path: &Path, word: &str) -> Diagnostic {
    let text = path.text();
    let help: Advice = match word {
        "memcg" => of_the_cgroup(&text, path.span),
        "oc" => {
            let text = format!("oom.{text}");
            Advice::fix(Fix::certain(format!("write `{text}`"), path.span, text))
        }
        _ => "`task` is the structure of a process: use it in `where` or `by` of a selection".into(),
    };
    no_candidate(&text, path.span, help)
}

/// What to write for a member of the cgroup whose limit was hit.
pub(super) fn of_the_cgroup(text: &str, span: Span) -> Advice {
    let text = format!("cgroup.{text}");
    Advice::fix(Fix::certain(format!("write `{text}`"), span, text.as_str()))
        .saying(format!("write `{text}` for the cgroup whose limit was hit"))
}

/// A whole object where a value is needed; `kind` is what it is, `example` one of its fields.
pub(super) fn whole_object(name: &str, kind: &str, example: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::NOT_A_VALUE, format!("`{name}` is a whole {kind}, not a value"))
        .label(span, "no number, text or truth value")
        .help(format!("name one of its fields: `{name}.{example}`"))
        .fix(Fix::possible(format!("write `{name}.{example}`"), span, format!("{name}.{example}")))
}

/// A candidate's field behind a word that names nothing: `self.rss`, `rss.anon`.
pub(super) fn field_stands_alone(text: &str, field: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{text}` here"))
        .label(span, "unknown name")
        .help(format!("a field of the candidate stands alone: `{field}`"))
        .fix(Fix::possible(format!("write `{field}`"), span, field))
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
        .fix(Fix::certain("write `home.` before it", Span { end: name.span.start, ..name.span }, "home."))
}

/// A name that nothing has. `text` is how it is written, `head` its first part.
pub(super) fn unknown_name(text: &str, head: Span, help: impl Into<Advice>) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{text}` here"))
        .label(head, "unknown name")
        .advice(help)
}

/// A field of something else. `head` is what the path begins with, if that is no part of the field's name.
pub(super) fn wrong_owner(
    name: &str,
    owner: Owner,
    other: Owner,
    head: Option<&str>,
    span: Span,
) -> Diagnostic {
    let message = format!("`{name}` is a field of {}, and this is {}", plural(other), singular(owner));
    Diagnostic::new(codes::WRONG_OWNER, message)
        .label(span, format!("{} has no such field", singular(owner)))
        .advice(of_another(name, owner, head, span))
}

/// What to write for a field that something else has.
fn of_another(name: &str, owner: Owner, head: Option<&str>, span: Span) -> Advice {
    if head.is_some() || owner != Owner::Process {
        let bare = head.is_none() && owner == Owner::Cgroup;
        return match name {
            "comm" | "uid" | "pid" | "oom_score_adj" if bare => {
                format!("ask the processes in it: `(any process in it where {name} == …)`").into()
            }
            _ => fields_of(owner).into(),
        };
    }
    let write = |text: String| Fix::possible(format!("write `{text}`"), span, text);
    let (home, cgroup) = (format!("home.{name}"), format!("cgroup.{name}"));
    let help =
        format!("write `{home}` for the process's own cgroup, `{cgroup}` for the one whose limit was hit");
    let own = match name {
        "name" => Some(("comm", "a process's own name is `comm`")),
        "usage" => Some(("footprint", "a process has `footprint` and `rss`")),
        _ => None,
    };
    let advice = Advice { help, fixes: Vec::new() };
    match own {
        Some((field, remark)) => {
            let help = format!("{remark}; {}", advice.help);
            advice.saying(help).or(write(field.to_owned()))
        }
        None => advice,
    }
    .or(write(home))
    .or(write(cgroup))
}

/// A field that nothing has. `head` is what the path begins with, if that is no part of the field's name.
pub(super) fn unknown_field(name: &str, owner: Owner, head: Option<&str>, span: Span) -> Diagnostic {
    // `home.usage`, `usage.limit`: only the first part is known.
    let prefix = head.map_or_else(String::new, |head| format!("{head}."));
    let advice =
        foreign_field(name, owner, &prefix, span).unwrap_or_else(|| match nearest(name, names(owner)) {
            Some(near) => Advice::fix(Fix::possible(format!("did you mean `{prefix}{near}`?"), span, near)),
            None => fields_of(owner).into(),
        });
    Diagnostic::new(codes::UNKNOWN_FIELD, format!("{} has no field `{name}`", singular(owner)))
        .label(span, "unknown field")
        .advice(advice)
}

/// What a field of another tool is called here. The span is the name's, without what stands before it.
pub(super) fn foreign_field(name: &str, owner: Owner, prefix: &str, span: Span) -> Option<Advice> {
    let write =
        |text: &str, certain: bool| Fix::new(format!("write `{prefix}{text}`"), certain).at(span, text);
    if owner == Owner::Cgroup
        && let Some(path) = foreign::pressure(name)
    {
        return Some(Advice::fix(write(&path, true)));
    }
    let ours = foreign::ours(name, Use::field_of(owner)?)?;
    if ours.word.is_empty() {
        let advice = Advice::from(ours.remark);
        // A remark that names two fields offers both.
        let named = ["pressure.full.avg10", "pressure.some.avg10"];
        return Some(
            named
                .into_iter()
                .filter(|field| ours.remark.contains(field))
                .fold(advice, |advice, field| advice.or(write(field, false))),
        );
    }
    let advice = Advice::fix(write(ours.word, ours.certain));
    let help = format!("it is called `{prefix}{}` here", ours.word);
    Some(if ours.remark.is_empty() {
        advice.saying(help)
    } else {
        advice.saying(format!("{help}: {}", ours.remark))
    })
}

/// What is known only when an event comes, in a constant.
pub(super) fn not_constant(path: &Path) -> Diagnostic {
    Diagnostic::new(codes::NOT_CONSTANT, format!("a constant cannot depend on `{}`", path.text()))
        .label(path.span, "not known when the policy is built")
        .help("use literals and other constants; write the rest where the constant is used")
}

fn fields_of(owner: Owner) -> String {
    let few: Vec<&str> = names(owner).take(FEW).collect();
    let rest = names(owner).count() - few.len();
    let shown = list(few.into_iter());
    match rest {
        0 => format!("fields of {} are {shown}", plural(owner)),
        more => format!("fields of {} are {shown} and {more} more: `oomc fields` lists them", plural(owner)),
    }
}

/// The candidate, and fields that it has.
pub(super) fn candidate_fields(owner: Owner) -> String {
    format!("the candidate is {}; {}", singular(owner), fields_of(owner))
}

/// Names that a reader still reads.
const FEW: usize = 8;

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
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
