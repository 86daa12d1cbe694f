//! Names: what each one in a policy refers to.
//!
//! Owns the scope: what is declared, candidates, and the names that the language itself has. Takes a path as
//! written, gives a constant, a param, or a field, label or counter of something. Knows no types beyond a
//! constant's.

mod errors;
pub mod uses;

use std::collections::{BTreeMap, HashSet};

use oomc_abi::fields::{self, FieldId, Owner};

use crate::diag::suggest::nearest;
use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::hir::{Anchor, BinderId, LabelId, ParamId, PickId, StateId, Subject, Ty, Unit};
use crate::source::Span;
use crate::syntax::ast::{Name, Path};

/// The value of a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// A number or bool.
    Int(Ty, i64),
    /// A string.
    Text(String),
    /// Values of one kind, for `in`.
    List(Vec<Constant>),
}

/// A name that a clause declares.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// What it is.
    pub(crate) what: What,
    /// Its name, where it is declared.
    pub(crate) span: Span,
    /// Something uses it.
    pub(crate) used: bool,
}

/// What a clause declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// None when its own declaration is wrong: uses of it are no mistakes of their own.
    Constant(Option<Constant>),
    Param(ParamId),
    Label(LabelId),
    State(StateId),
    Pick(PickId),
    /// A condition on a unit, by its place among the file's definitions.
    Definition(usize),
}

impl What {
    /// In a sentence.
    pub(crate) fn called(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::Param(_) => "param",
            Self::Label(_) => "label",
            Self::State(_) => "counter",
            Self::Pick(_) => "pick",
            Self::Definition(_) => "definition",
        }
    }
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
    /// Where that is given.
    pub(crate) span: Option<Span>,
    /// Something calls it by that name.
    pub(crate) used: bool,
}

/// What a path refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A constant's value.
    Constant(Constant),
    /// A param.
    Param(ParamId),
    /// A label of a cgroup.
    Label(Subject, LabelId),
    /// A counter of a cgroup.
    Counter(Subject, StateId),
    /// A field.
    Field(Subject, FieldId),
    /// A member of a kernel structure.
    Raw {
        /// What it is read from.
        subject: Subject,
        /// The owner of the structure.
        owner: Owner,
        /// How many segments of the path stand before its kernel names.
        head: usize,
    },
    /// A definition, of this candidate.
    Definition(usize, BinderId),
    /// Something that was reported where it is declared.
    Reported,
}

/// What a name refers to that stands for the cgroup of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlaceName {
    /// A cgroup.
    Cgroup(Subject),
    /// `parent`, which is no place.
    Parent,
    /// A candidate that is a process.
    Process,
    /// Something that was reported where it is declared.
    Reported,
    /// Nothing has this name; these are cgroups.
    Nothing(Vec<String>),
}

/// The names that are visible.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// In the order of the names: of two that are as near to a mistyped one, the same is meant each time.
    pub(crate) declared: BTreeMap<String, Declared>,
    /// Names whose declarations could not be understood: uses of them are no mistakes of their own.
    pub(crate) lost: HashSet<String>,
    /// The innermost last.
    pub(crate) candidates: Vec<Candidate>,
    /// The units of the file's definitions.
    pub(crate) definitions: Vec<Unit>,
    /// Nothing of an event may be named: the value must be known when the policy is built.
    pub(crate) constant_only: bool,
    /// What the names of the text that is checked were found to stand for.
    pub(crate) uses: Vec<uses::Use>,
}

/// Names that begin a path and are no field.
const HEADS: &[&str] = &["cgroup", "attached", "parent", "home", "it", "oom", "task", "memcg"];

/// Whether the language itself has this name.
pub(crate) fn is_language_name(name: &str) -> bool {
    let first = |row: &'static str| row.split_once('.').map_or(row, |(first, _)| first);
    fields::all()
        .map(FieldId::row)
        .any(|row| !matches!(row.owner, Owner::Event | Owner::Machine) && first(row.name) == name)
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

fn plural(owner: Owner) -> &'static str {
    match owner {
        Owner::Process => "processes",
        Owner::Cgroup => "cgroups",
        Owner::Event => "the event",
        Owner::Machine => "the machine",
    }
}

fn singular(owner: Owner) -> &'static str {
    match owner {
        Owner::Process => "a process",
        Owner::Cgroup => "a cgroup",
        Owner::Event => "the event",
        Owner::Machine => "the machine",
    }
}

fn names(owner: Owner) -> impl Iterator<Item = &'static str> {
    fields::all().map(FieldId::row).filter(move |row| row.owner == owner).map(|row| row.name)
}

impl Scope {
    /// What a path refers to. Each name in it is written down as a use.
    pub(crate) fn resolve(&mut self, path: &Path) -> Result<Resolved, Diagnostic> {
        let resolved = self.lookup(path)?;
        self.used(path, &resolved);
        Ok(resolved)
    }

    fn lookup(&mut self, path: &Path) -> Result<Resolved, Diagnostic> {
        let Some((head, rest)) = path.segments.split_first() else { return Ok(Resolved::Reported) };
        let called = |candidate: &&mut Candidate| candidate.name.as_ref() == Some(&head.text);
        if let Some(candidate) = self.candidates.iter_mut().rev().find(called) {
            candidate.used = true;
        }
        if let Some(raw) = self.raw(path) {
            return raw;
        }
        if let Some((_, index)) = path.indices.first() {
            return Err(errors::no_elements(head, index.value, path.span));
        }
        if rest.is_empty()
            && let Some(resolved) = self.bare(path, head)
        {
            return resolved;
        }
        if self.constant_only {
            return Err(errors::not_constant(path));
        }
        self.member(path, head, rest)
    }

    /// A name that stands alone: what is declared, or a whole object.
    fn bare(&mut self, path: &Path, head: &Name) -> Option<Result<Resolved, Diagnostic>> {
        if let Some(declared) = self.declared.get_mut(&head.text) {
            declared.used = true;
            let what = declared.what.clone();
            return Some(match what {
                What::Constant(value) => Ok(value.map_or(Resolved::Reported, Resolved::Constant)),
                _ if self.constant_only => Err(errors::not_constant(path)),
                What::Param(param) => Ok(Resolved::Param(param)),
                What::Label(label) => match self.present() {
                    Some(cgroup) => Ok(Resolved::Label(cgroup, label)),
                    None => {
                        let help = errors::of_the_cgroup(&head.text, path.span);
                        Err(errors::no_candidate(&head.text, path.span, help))
                    }
                },
                What::State(state) => {
                    let cgroup = self.present().unwrap_or(Subject::Anchor(Anchor::Cgroup));
                    Ok(Resolved::Counter(cgroup, state))
                }
                What::Pick(_) => Err(self.whole(path, &head.text)),
                What::Definition(definition) => {
                    let it = self.candidates.last().map(|it| (it.unit, it.binder));
                    self.defined(path, head, definition, it)
                }
            });
        }
        if self.lost.contains(&head.text) {
            return Some(Ok(Resolved::Reported));
        }
        let home = head.text == "home" && self.candidates.last().is_some_and(|it| it.unit == Unit::Process);
        let object = self.candidate(&head.text).is_some()
            || matches!(head.text.as_str(), "it" | "oom")
            || home
            || anchor(&head.text).is_some();
        object.then(|| Err(self.whole(path, &head.text)))
    }

    /// A definition, of a candidate.
    fn defined(
        &self,
        path: &Path,
        name: &Name,
        definition: usize,
        of: Option<(Unit, BinderId)>,
    ) -> Result<Resolved, Diagnostic> {
        let unit = self.definitions.get(definition).copied();
        match of {
            Some((of, binder)) if Some(of) == unit => Ok(Resolved::Definition(definition, binder)),
            of => Err(errors::defined_for_others(&name.text, unit, of.map(|(unit, _)| unit), path.span)),
        }
    }

    /// A whole object where a value is needed.
    fn whole(&self, path: &Path, name: &str) -> Diagnostic {
        errors::whole_object(name, self.kind_of(name), self.example(name), path.span)
    }

    /// A whole object that is compared with a text: the field that such a text is.
    pub(crate) fn object_beside_text(&mut self, path: &Path, text: &str) -> Option<Diagnostic> {
        let name = path.text();
        match self.resolve(path) {
            Err(diagnostic) if diagnostic.code == codes::NOT_A_VALUE => {}
            _ => return None,
        }
        let kind = self.kind_of(&name);
        let field = match kind {
            "process" => "comm",
            "event" => "scope",
            _ if text.contains('/') => "path",
            _ => "name",
        };
        Some(errors::whole_object(&name, kind, field, path.span))
    }

    /// The cgroup of the innermost candidate.
    fn present(&self) -> Option<Subject> {
        self.candidates.last().map(|it| match it.unit {
            Unit::Cgroup => Subject::Candidate(it.binder),
            Unit::Process => Subject::Home(it.binder),
        })
    }

    /// The cgroup that a place names.
    pub(crate) fn place(&mut self, name: &str) -> PlaceName {
        if let Some(at) = self.candidates.iter().rposition(|it| it.name.as_deref() == Some(name)) {
            let Some(candidate) = self.candidates.get_mut(at) else { return PlaceName::Reported };
            candidate.used = true;
            return match candidate.unit {
                Unit::Cgroup => PlaceName::Cgroup(Subject::Candidate(candidate.binder)),
                Unit::Process => PlaceName::Process,
            };
        }
        match (anchor(name), name) {
            (Some(Anchor::Parent), _) => return PlaceName::Parent,
            (Some(anchor), _) => return PlaceName::Cgroup(Subject::Anchor(anchor)),
            (None, "it") => match self.candidates.last() {
                Some(it) if it.unit == Unit::Cgroup => {
                    return PlaceName::Cgroup(Subject::Candidate(it.binder));
                }
                Some(_) => return PlaceName::Process,
                None => {}
            },
            _ => {}
        }
        match self.declared.get_mut(name) {
            Some(Declared { what: What::Pick(pick), used, .. }) => {
                *used = true;
                return PlaceName::Cgroup(Subject::Pick(*pick));
            }
            _ if self.lost.contains(name) => return PlaceName::Reported,
            _ => {}
        }
        let picks = self.declared.iter().filter(|(_, declared)| matches!(declared.what, What::Pick(_)));
        let known = ["subtree", "cgroup", "attached"].into_iter().map(str::to_owned);
        let mut picks: Vec<String> = picks.map(|(name, _)| name.clone()).collect();
        picks.sort();
        PlaceName::Nothing(known.chain(picks).collect())
    }

    /// `task.signal.nr_threads`; None: the path names no kernel structure.
    fn raw(&mut self, path: &Path) -> Option<Result<Resolved, Diagnostic>> {
        let words: Vec<&str> = path.segments.iter().map(|name| name.text.as_str()).collect();
        // The word that names the structure, and what stands before it.
        let at = words.iter().take(3).position(|word| matches!(*word, "task" | "memcg" | "oc"))?;
        let (before, word) = (words.get(..at)?, *words.get(at)?);
        let innermost = self.candidates.last().map(|it| (it.unit, it.binder));
        let named = before.first().and_then(|name| self.candidate(name)).map(|it| (it.unit, it.binder));
        let of_candidate = |(unit, binder)| match unit {
            Unit::Process => (Owner::Process, Subject::Candidate(binder)),
            Unit::Cgroup => (Owner::Cgroup, Subject::Candidate(binder)),
        };
        let home = |it: Option<(Unit, BinderId)>| match it {
            Some((Unit::Process, binder)) => Some((Owner::Cgroup, Subject::Home(binder))),
            _ => None,
        };
        let (owner, subject) = match before {
            ["oom"] => (Owner::Event, Subject::Event),
            ["home"] => home(innermost)?,
            ["it", "home"] => home(innermost)?,
            [_, "home"] => home(named)?,
            [name] if named.is_none() && anchor(name).is_some() => {
                (Owner::Cgroup, Subject::Anchor(anchor(name)?))
            }
            [name] if named.is_none() && *name != "it" => match self.declared.get_mut(*name) {
                Some(Declared { what: What::Pick(pick), used, .. }) => {
                    *used = true;
                    (Owner::Cgroup, Subject::Pick(*pick))
                }
                _ => return None,
            },
            [] | [_] => match named.or(innermost) {
                Some(it) => of_candidate(it),
                None => return Some(Err(errors::no_candidate_of(path, word))),
            },
            _ => return None,
        };
        if self.constant_only {
            return Some(Err(errors::not_constant(path)));
        }
        let wanted = match owner {
            Owner::Process => "task",
            Owner::Cgroup => "memcg",
            Owner::Event | Owner::Machine => "oc",
        };
        if word != wanted {
            let rest: String = words.iter().skip(at + 1).map(|word| format!(".{word}")).collect();
            return Some(Err(errors::wrong_structure(owner, word, wanted, &rest, path.span)));
        }
        Some(Ok(Resolved::Raw { subject, owner, head: at + 1 }))
    }

    /// A field, label or counter.
    fn member(&mut self, path: &Path, head: &Name, rest: &[Name]) -> Result<Resolved, Diagnostic> {
        if head.text == "oom" {
            let field = find(Owner::Event, path, rest, Some("oom"))?;
            return Ok(Resolved::Field(Subject::Event, field));
        }
        // A pick or a candidate may have this name.
        let taken = self.declared.contains_key(&head.text) || self.candidate(&head.text).is_some();
        if head.text == "machine" && !taken && !rest.is_empty() {
            let field = find(Owner::Machine, path, rest, Some("machine"))?;
            return Ok(Resolved::Field(Subject::Event, field));
        }
        if let Some(anchor) = anchor(&head.text) {
            return self.of_cgroup(Subject::Anchor(anchor), path, rest, &head.text);
        }
        if let Some(Declared { what: What::Pick(pick), used, .. }) = self.declared.get_mut(&head.text) {
            *used = true;
            let pick = *pick;
            return self.of_cgroup(Subject::Pick(pick), path, rest, &head.text);
        }
        let named = self.candidate(&head.text).map(|it| (it.unit, it.binder));
        let innermost = self.candidates.last().map(|it| (it.unit, it.binder));
        let it = named.or(innermost.filter(|_| head.text == "it"));
        if let (Some((unit, binder)), [name]) = (it, rest)
            && let Some(Declared { what: What::Definition(definition), used, .. }) =
                self.declared.get_mut(&name.text)
        {
            *used = true;
            let definition = *definition;
            return self.defined(path, name, definition, Some((unit, binder)));
        }
        if let Some((unit, binder)) = it {
            return match (unit, rest) {
                (Unit::Cgroup, [parent, rest @ ..]) if parent.text == "parent" && !rest.is_empty() => {
                    self.of_cgroup(Subject::Parent(binder), path, rest, &format!("{}.parent", head.text))
                }
                (Unit::Process, [parent, rest @ ..]) if parent.text == "parent" && !rest.is_empty() => {
                    let field = find(Owner::Process, path, rest, Some(&format!("{}.parent", head.text)))?;
                    Ok(Resolved::Field(Subject::Parent(binder), field))
                }
                (Unit::Process, [home, rest @ ..]) if home.text == "home" && !rest.is_empty() => {
                    self.of_cgroup(Subject::Home(binder), path, rest, &format!("{}.home", head.text))
                }
                (Unit::Cgroup, _) => self.of_cgroup(Subject::Candidate(binder), path, rest, &head.text),
                (Unit::Process, [name]) if self.belongs_to_cgroups(&name.text) => {
                    // The declaration is meant, whatever is wrong with its use.
                    if let Some(declared) = self.declared.get_mut(&name.text) {
                        declared.used = true;
                    }
                    Err(errors::belongs_to_cgroups(head, name))
                }
                (Unit::Process, _) => {
                    let field = find(Owner::Process, path, rest, Some(&head.text))?;
                    Ok(Resolved::Field(Subject::Candidate(binder), field))
                }
            };
        }
        let Some((unit, binder)) = innermost else {
            return Err(self.without_candidate(path, head, rest));
        };
        if head.text == "home" && unit == Unit::Process {
            return self.of_cgroup(Subject::Home(binder), path, rest, "home");
        }
        match find(owner(unit), path, &path.segments, None) {
            Ok(field) => Ok(Resolved::Field(Subject::Candidate(binder), field)),
            // A mistyped constant is as likely as a mistyped field.
            Err(diagnostic) if diagnostic.code == codes::UNKNOWN_FIELD => {
                let known = names(owner(unit))
                    .map(|name| -> &str { name })
                    .chain(self.declared.keys().map(String::as_str))
                    .chain(HEADS.iter().copied());
                let member: String = rest.iter().map(|name| format!(".{}", name.text)).collect();
                let text = path.text();
                let field = member.trim_start_matches('.');
                if fields::find(owner(unit), field).is_some() && path.indices.is_empty() {
                    return Err(errors::field_stands_alone(&text, field, path.span));
                }
                if let Some(advice) = errors::foreign_field(&text, owner(unit), "", path.span) {
                    return Err(errors::unknown_name(&text, path.span, advice));
                }
                let help = match nearest(&head.text, known) {
                    Some(name) => {
                        Advice::meant(name, head.span).saying(format!("did you mean `{name}{member}`?"))
                    }
                    None => errors::candidate_fields(owner(unit)).into(),
                };
                Err(errors::unknown_name(&text, head.span, help))
            }
            Err(diagnostic) => Err(diagnostic),
        }
    }

    /// Whether it is the name of a label or of a counter.
    fn belongs_to_cgroups(&self, name: &str) -> bool {
        self.declared
            .get(name)
            .is_some_and(|declared| matches!(declared.what, What::Label(_) | What::State(_)))
    }

    /// What a cgroup has: a label, a counter, a field.
    fn of_cgroup(
        &mut self,
        cgroup: Subject,
        path: &Path,
        rest: &[Name],
        head: &str,
    ) -> Result<Resolved, Diagnostic> {
        if let [name] = rest
            && let Some(declared) = self.declared.get_mut(&name.text)
        {
            match declared.what {
                What::Label(label) => {
                    declared.used = true;
                    return Ok(Resolved::Label(cgroup, label));
                }
                What::State(state) => {
                    declared.used = true;
                    return Ok(Resolved::Counter(cgroup, state));
                }
                _ => {}
            }
        }
        if let [name] = rest
            && self.lost.contains(&name.text)
        {
            return Ok(Resolved::Reported);
        }
        let field = find(Owner::Cgroup, path, rest, Some(head))?;
        Ok(Resolved::Field(cgroup, field))
    }

    /// A bare name where no selection encloses it.
    fn without_candidate(&self, path: &Path, head: &Name, rest: &[Name]) -> Diagnostic {
        let text = path.text();
        let no_candidate = |help: Advice| errors::no_candidate(&text, path.span, help);
        if head.text == "it" {
            return no_candidate("`it` is the candidate of a selection: use it in `where` or `by`".into());
        }
        if fields::find(Owner::Cgroup, &text).is_some() {
            return no_candidate(errors::of_the_cgroup(&text, path.span));
        }
        if fields::find(Owner::Process, &text).is_some() {
            let help = format!("`{text}` is a field of processes: use it in `where` or `by` of a selection");
            return no_candidate(help.into());
        }
        if head.text == "home" {
            return no_candidate(
                "`home` is the cgroup of a process: use it in `where` or `by` of a selection".into(),
            );
        }
        if let Some(advice) = errors::foreign_field(&text, Owner::Cgroup, "cgroup.", path.span) {
            // The prefix has to be written, too.
            let fixes = advice.fixes.into_iter().map(with_prefix).collect();
            return errors::unknown_name(&text, path.span, Advice { fixes, ..advice });
        }
        let known = self.declared.keys().map(String::as_str).chain(HEADS.iter().copied());
        let known = known.chain(names(Owner::Cgroup).map(|name| -> &str { name }));
        let help = match nearest(&head.text, known) {
            Some(name) => {
                let member: String = rest.iter().map(|name| format!(".{}", name.text)).collect();
                let owner = if fields::find(Owner::Cgroup, name).is_some() { "cgroup." } else { "" };
                Advice::meant(&format!("{owner}{name}"), head.span)
                    .saying(format!("did you mean `{owner}{name}{member}`?"))
            }
            None => "names are constants, and fields such as `cgroup.usage`".into(),
        };
        errors::unknown_name(&head.text, head.span, help)
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
        if name == "oom" {
            return "event";
        }
        match self.unit_of(name) {
            Unit::Process => "process",
            Unit::Cgroup => "cgroup",
        }
    }

    fn example(&self, name: &str) -> &'static str {
        if name == "oom" {
            return "scope";
        }
        match self.unit_of(name) {
            Unit::Process => "footprint",
            Unit::Cgroup => "usage",
        }
    }
}

/// A field of the cgroup whose limit was hit, for a field of a cgroup.
fn with_prefix(mut fix: Fix) -> Fix {
    for edit in &mut fix.edits {
        edit.text.insert_str(0, "cgroup.");
    }
    fix
}

/// The field of an owner by its dotted name.
fn find(owner: Owner, path: &Path, segments: &[Name], head: Option<&str>) -> Result<FieldId, Diagnostic> {
    let words: Vec<&str> = segments.iter().map(|name| name.text.as_str()).collect();
    let name = words.join(".");
    if let Some(field) = fields::find(owner, &name) {
        return Ok(field);
    }
    let span = segments.iter().map(|name| name.span).reduce(Span::to).unwrap_or(path.span);
    let other = match owner {
        Owner::Process | Owner::Event | Owner::Machine => Owner::Cgroup,
        Owner::Cgroup => Owner::Process,
    };
    if fields::find(other, &name).is_some() {
        return Err(errors::wrong_owner(&name, owner, other, head, span));
    }
    Err(errors::unknown_field(&name, owner, head, span))
}
