//! Uses of names: what each name in a text was found to stand for.
//!
//! Written down while names are resolved, so that an editor shows, finds and renames what the compiler means. A clause
//! that is checked more than once (a definition is, for each candidate that it is asked of) has each of its uses once.

use oomc_abi::fields::{self, FieldId, Owner};

use super::{Declared, Resolved, Scope, What};
use crate::source::Span;
use crate::syntax::ast::{Name, Path};

/// A name, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Where it stands; of a field or member all of its parts, without what it is asked of.
    pub span: Span,
    /// What it stands for.
    pub meaning: Meaning,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What a clause of the policy declares; its name stands there.
    Declared(Span),
    /// A candidate of the same text; it is given its name there.
    Candidate(Span),
    /// A field.
    Field(FieldId),
    /// A member of a kernel structure of this owner; the first part of the path is the structure's word.
    Member(Owner),
}

/// In the order of the text, each once.
pub(crate) fn sorted(mut uses: Vec<Use>) -> Vec<Use> {
    uses.sort_by_key(|one| one.span);
    uses.dedup();
    uses
}

impl Scope {
    /// Writes down what the names of a path stand for.
    pub(super) fn used(&mut self, path: &Path, resolved: &Resolved) {
        let Some((head, rest)) = path.segments.split_first() else { return };
        let declared = self.declared.get(&head.text);
        if let Some(span) = self.candidate(&head.text).and_then(|candidate| candidate.span) {
            self.uses.push(Use { span: head.span, meaning: Meaning::Candidate(span) });
        } else if let Some(Declared { what: What::Pick(_), span, .. }) = declared.filter(|_| !rest.is_empty())
        {
            self.uses.push(Use { span: head.span, meaning: Meaning::Declared(*span) });
        }
        match resolved {
            Resolved::Constant(_)
            | Resolved::Param(_)
            | Resolved::Label(..)
            | Resolved::Counter(..)
            | Resolved::Definition(..) => {
                if let Some(name) = path.segments.last() {
                    self.used_declared(name);
                }
            }
            Resolved::Field(_, field) => {
                let parts = field.row().name.split('.').count();
                self.used_from(path, path.segments.len().saturating_sub(parts), Meaning::Field(*field));
            }
            Resolved::Raw { owner, head, .. } => {
                self.used_from(path, head.saturating_sub(1), Meaning::Member(*owner));
            }
            Resolved::Reported => {}
        }
    }

    /// Writes down a name that a clause declares.
    pub(crate) fn used_declared(&mut self, name: &Name) {
        if let Some(declared) = self.declared.get(&name.text) {
            self.uses.push(Use { span: name.span, meaning: Meaning::Declared(declared.span) });
        }
    }

    /// Writes down a name that stands for the cgroup of a place.
    pub(crate) fn used_as_place(&mut self, name: &Name) {
        match self.candidate(&name.text).map(|candidate| candidate.span) {
            Some(Some(span)) => self.uses.push(Use { span: name.span, meaning: Meaning::Candidate(span) }),
            Some(None) => {}
            None => {
                if let Some(Declared { what: What::Pick(_), .. }) = self.declared.get(&name.text) {
                    self.used_declared(name);
                }
            }
        }
    }

    /// Writes down what a test says of an object.
    pub(crate) fn used_property(&mut self, owner: Owner, name: &Path) {
        if let Some(field) = fields::find(owner, &name.text()) {
            self.used_from(name, 0, Meaning::Field(field));
        }
    }

    fn used_from(&mut self, path: &Path, first: usize, meaning: Meaning) {
        let names = path.segments.get(first..).unwrap_or_default();
        if let Some(span) = names.iter().map(|name| name.span).reduce(Span::to) {
            self.uses.push(Use { span, meaning });
        }
    }
}
