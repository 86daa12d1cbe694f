//! Names: what each one in a policy refers to.
//!
//! Owns the scope: constants, candidates, and the names that the language itself has. Takes a path as
//! written, gives a constant or a field of something. Knows no types beyond a constant's.

use std::collections::{HashMap, HashSet};

use oomc_abi::fields::{self, FieldId, Owner};

use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, codes};
use crate::hir::{Anchor, BinderId, Subject, Ty, Unit};
use crate::source::Span;
use crate::syntax::ast::{Name, Path};

/// A folded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number or bool.
    Int(Ty, i64),
    /// A string.
    Text(String),
}

/// A declared constant.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// None when its own declaration is wrong: uses of it are no mistakes of their own.
    pub(crate) value: Option<Value>,
    /// Its name, where it is declared.
    pub(crate) span: Span,
    /// Something uses it.
    pub(crate) used: bool,
}

/// An enclosing selection's or clause's candidate.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its binder.
    pub(crate) binder: BinderId,
    /// What it is.
    pub(crate) unit: Unit,
    /// Its own name.
    pub(crate) name: Option<String>,
    /// Something calls it by that name.
    pub(crate) used: bool,
}

/// What a path refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A constant's value.
    Constant(Value),
    /// A field.
    Field(Subject, FieldId),
    /// Something that was reported where it is declared.
    Reported,
}

/// The names that are visible.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) constants: HashMap<String, Constant>,
    /// Names whose declarations could not be understood: uses of them are no mistakes of their own.
    pub(crate) lost: HashSet<String>,
    /// The innermost last.
    pub(crate) candidates: Vec<Candidate>,
    /// Nothing of an event may be named: the value must be known when the policy is built.
    pub(crate) constant_only: bool,
}

/// Fields of a process that a later version reads.
const LATER_PROCESS: &[&str] = &["home"];

/// Fields of a cgroup that a later version reads; `events` and `pressure` have members.
const LATER_CGROUP: &[&str] =
    &["swap_limit", "working_set", "pgscan", "pgmajfault", "refault", "events", "path", "pressure"];

/// Names that begin a path and are no field.
const HEADS: &[&str] = &["cgroup", "attached", "parent", "it", "oom", "task", "memcg"];

/// Whether the language itself has this name.
pub(crate) fn is_language_name(name: &str) -> bool {
    fields::all().any(|field| field.row().name == name)
        || LATER_PROCESS.contains(&name)
        || LATER_CGROUP.contains(&name)
        || HEADS.contains(&name)
}

/// The cgroup that a name stands for in every event.
pub(crate) fn anchor(name: &str) -> Option<Anchor> {
    Some(match name {
        "cgroup" => Anchor::Cgroup,
        "parent" => Anchor::Parent,
        "attached" => Anchor::Attached,
        _ => return None,
    })
}

fn owner(unit: Unit) -> Owner {
    match unit {
        Unit::Process => Owner::Process,
        Unit::Cgroup => Owner::Cgroup,
    }
}

fn later(owner: Owner) -> &'static [&'static str] {
    match owner {
        Owner::Process => LATER_PROCESS,
        Owner::Cgroup => LATER_CGROUP,
    }
}

fn plural(owner: Owner) -> &'static str {
    match owner {
        Owner::Process => "processes",
        Owner::Cgroup => "cgroups",
    }
}

fn singular(owner: Owner) -> &'static str {
    match owner {
        Owner::Process => "a process",
        Owner::Cgroup => "a cgroup",
    }
}

fn names(owner: Owner) -> impl Iterator<Item = &'static str> {
    fields::all().map(FieldId::row).filter(move |row| row.owner == owner).map(|row| row.name)
}

impl Scope {
    /// What a path refers to.
    pub(crate) fn resolve(&mut self, path: &Path) -> Result<Resolved, Diagnostic> {
        let Some((head, rest)) = path.segments.split_first() else { return Ok(Resolved::Reported) };
        let called = |candidate: &&mut Candidate| candidate.name.as_ref() == Some(&head.text);
        if let Some(candidate) = self.candidates.iter_mut().rev().find(called) {
            candidate.used = true;
        }
        if path.indexed || matches!(head.text.as_str(), "task" | "memcg") || is_raw(rest) {
            return Err(not_yet(path, "members of kernel structures are", "write a field of the language"));
        }
        if head.text == "oom" {
            return Err(not_yet(
                path,
                "the fields of `oom` are",
                "a system-wide shortage is one where `cgroup` is the root: `cgroup.name == \"\"`",
            ));
        }
        if rest.is_empty() {
            if let Some(constant) = self.constants.get_mut(&head.text) {
                constant.used = true;
                return Ok(constant.value.clone().map_or(Resolved::Reported, Resolved::Constant));
            }
            if self.lost.contains(&head.text) {
                return Ok(Resolved::Reported);
            }
            let candidate = self.candidate(&head.text).is_some() || head.text == "it";
            if candidate || anchor(&head.text).is_some() {
                return Err(Diagnostic::new(
                    codes::NOT_A_VALUE,
                    format!("`{}` is a whole {}, not a value", head.text, self.kind_of(&head.text)),
                )
                .label(path.span, "no number, text or truth value")
                .help(format!(
                    "name one of its fields: `{}.{}`",
                    head.text,
                    self.example(&head.text)
                )));
            }
        }
        if self.constant_only {
            return Err(Diagnostic::new(
                codes::NOT_CONSTANT,
                format!("a constant cannot depend on `{}`", path.text()),
            )
            .label(path.span, "not known when the policy is built")
            .help("use literals and other constants; write the rest where the constant is used"));
        }
        self.field(path, head, rest)
    }

    fn field(&self, path: &Path, head: &Name, rest: &[Name]) -> Result<Resolved, Diagnostic> {
        if let Some(anchor) = anchor(&head.text) {
            let field = find(Owner::Cgroup, path, rest, Some(&head.text))?;
            return Ok(Resolved::Field(Subject::Anchor(anchor), field));
        }
        if let Some(candidate) = self.candidate(&head.text) {
            let field = find(owner(candidate.unit), path, rest, Some(&head.text))?;
            return Ok(Resolved::Field(Subject::Candidate(candidate.binder), field));
        }
        let Some(candidate) = self.candidates.last() else {
            return Err(self.without_candidate(path, head, rest));
        };
        if head.text == "it" {
            let field = find(owner(candidate.unit), path, rest, Some("it"))?;
            return Ok(Resolved::Field(Subject::Candidate(candidate.binder), field));
        }
        match find(owner(candidate.unit), path, &path.segments, None) {
            Ok(field) => Ok(Resolved::Field(Subject::Candidate(candidate.binder), field)),
            // A mistyped constant is as likely as a mistyped field.
            Err(diagnostic) if diagnostic.code == codes::UNKNOWN_FIELD => {
                let known = names(owner(candidate.unit))
                    .map(|name| -> &str { name })
                    .chain(self.constants.keys().map(String::as_str))
                    .chain(HEADS.iter().copied());
                let member: String = rest.iter().map(|name| format!(".{}", name.text)).collect();
                Err(Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{}` here", path.text()))
                    .label(head.span, "unknown name")
                    .help(match nearest(&head.text, known) {
                        Some(name) => format!("did you mean `{name}{member}`?"),
                        None => format!(
                            "the candidate is {}; its fields are {}",
                            singular(owner(candidate.unit)),
                            list(names(owner(candidate.unit)))
                        ),
                    }))
            }
            Err(diagnostic) => Err(diagnostic),
        }
    }

    /// A bare name where no selection encloses it.
    fn without_candidate(&self, path: &Path, head: &Name, rest: &[Name]) -> Diagnostic {
        let text = path.text();
        let no_candidate = |help: String| {
            Diagnostic::new(codes::NO_CANDIDATE, format!("`{text}` of what? no selection encloses it"))
                .label(path.span, "there is no candidate here")
                .help(help)
        };
        if head.text == "it" {
            return no_candidate(
                "`it` is the candidate of a selection: use it in `where` or `by`".to_owned(),
            );
        }
        if fields::find(Owner::Cgroup, &text).is_some() {
            return no_candidate(format!("write `cgroup.{text}` for the cgroup whose limit was hit"));
        }
        if fields::find(Owner::Process, &text).is_some() {
            return no_candidate(format!(
                "`{text}` is a field of processes: use it in `where` or `by` of a selection"
            ));
        }
        if LATER_CGROUP.contains(&head.text.as_str()) || LATER_PROCESS.contains(&head.text.as_str()) {
            return not_yet(path, &format!("the field `{text}` is"), &instead(&head.text));
        }
        let diagnostic = Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{}` here", head.text))
            .label(head.span, "unknown name");
        let known = self.constants.keys().map(String::as_str).chain(HEADS.iter().copied());
        let Some(name) = nearest(&head.text, known.chain(names(Owner::Cgroup).map(|name| -> &str { name })))
        else {
            return diagnostic.help("names are constants, and fields such as `cgroup.usage`");
        };
        let member: String = rest.iter().map(|name| format!(".{}", name.text)).collect();
        let owner = if fields::find(Owner::Cgroup, name).is_some() { "cgroup." } else { "" };
        diagnostic.help(format!("did you mean `{owner}{name}{member}`?"))
    }

    /// The candidate with this name of its own.
    fn candidate(&self, name: &str) -> Option<&Candidate> {
        self.candidates.iter().rev().find(|candidate| candidate.name.as_deref() == Some(name))
    }

    fn unit_of(&self, name: &str) -> Unit {
        match (name, self.candidate(name)) {
            (_, Some(candidate)) => candidate.unit,
            ("it", None) => self.candidates.last().map_or(Unit::Process, |candidate| candidate.unit),
            _ => Unit::Cgroup,
        }
    }

    fn kind_of(&self, name: &str) -> &'static str {
        match self.unit_of(name) {
            Unit::Process => "process",
            Unit::Cgroup => "cgroup",
        }
    }

    fn example(&self, name: &str) -> &'static str {
        match self.unit_of(name) {
            Unit::Process => "footprint",
            Unit::Cgroup => "usage",
        }
    }
}

/// `cgroup.memcg.…`: a member of a kernel structure.
fn is_raw(rest: &[Name]) -> bool {
    rest.first().is_some_and(|name| name.text == "memcg")
        || rest.first().is_some_and(|name| name.text == "task")
}

/// The field of an owner by its dotted name.
fn find(owner: Owner, path: &Path, segments: &[Name], head: Option<&str>) -> Result<FieldId, Diagnostic> {
    let words: Vec<&str> = segments.iter().map(|name| name.text.as_str()).collect();
    let name = words.join(".");
    if let Some(field) = fields::find(owner, &name) {
        return Ok(field);
    }
    let span = segments.iter().map(|name| name.span).reduce(Span::to).unwrap_or(path.span);
    let first = words.first().copied().unwrap_or("");
    if later(owner).contains(&first) {
        return Err(not_yet(path, &format!("the field `{name}` is"), &instead(first)));
    }
    let other = match owner {
        Owner::Process => Owner::Cgroup,
        Owner::Cgroup => Owner::Process,
    };
    if fields::find(other, &name).is_some() || later(other).contains(&first) {
        let help = match (head, owner) {
            (None, Owner::Process) if fields::find(other, &name).is_some() => {
                format!("write `cgroup.{name}` for the cgroup whose limit was hit")
            }
            _ => format!("fields of {} are {}", plural(owner), list(names(owner))),
        };
        return Err(Diagnostic::new(
            codes::WRONG_OWNER,
            format!("`{name}` is a field of {}, and this is {}", plural(other), singular(owner)),
        )
        .label(span, format!("{} has no such field", singular(owner)))
        .help(help));
    }
    // `home.usage`, `usage.limit`: only the first part is known.
    let prefix = head.map_or_else(String::new, |head| format!("{head}."));
    let diagnostic =
        Diagnostic::new(codes::UNKNOWN_FIELD, format!("{} has no field `{name}`", singular(owner)))
            .label(span, "unknown field");
    Err(match nearest(&name, names(owner)) {
        Some(near) => diagnostic.help(format!("did you mean `{prefix}{near}`?")),
        None => diagnostic.help(format!("fields of {} are {}", plural(owner), list(names(owner)))),
    })
}

/// What reads as nearly the same today.
fn instead(field: &str) -> String {
    let near = match field {
        "home" => "compare the process's own fields",
        "working_set" => "`unreclaimable` is what only a kill or swap can free",
        "path" => "`name` is the last component of the path",
        "swap_limit" => "`swap` is what was swapped out",
        _ => "leave the condition out",
    };
    near.to_owned()
}

fn not_yet(path: &Path, what: &str, help: &str) -> Diagnostic {
    Diagnostic::new(codes::NOT_YET, format!("{what} not yet part of the language"))
        .label(path.span, "reserved for a later version")
        .help(help)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
