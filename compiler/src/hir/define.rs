//! Definitions: conditions with a name, `define batch = process where …`.
//!
//! A definition is checked once, by itself, and stands for its condition wherever its name is used: there it is lowered
//! again, for the candidate that is asked. So it means the same everywhere, and its mistakes are reported once.

use super::errors;
use super::lower::{Checker, unit};
use super::{BinderId, ExprId, Unit};
use crate::resolve::{Candidate, Declared, What};
use crate::syntax::ast::{self, ClauseKind};

/// Uses of definitions in one policy, those inside of other definitions counted each time.
pub(super) const MAX_USES: usize = 256;

/// The definitions of a file.
#[derive(Default)]
pub(super) struct Definitions<'a> {
    all: Vec<Definition<'a>>,
    uses: usize,
}

struct Definition<'a> {
    name: &'a ast::Name,
    unit: Unit,
    condition: &'a ast::Expr,
    state: State,
}

/// How far a definition is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// It is being checked, or used.
    Open,
    Good,
    /// Its mistake was reported.
    Bad,
}

impl<'a> Checker<'a> {
    /// Declares the definitions of a file, then checks each.
    pub(super) fn define(&mut self, file: &'a ast::File) {
        for clause in &file.clauses {
            let ClauseKind::Define { name, unit: of, condition } = &clause.kind else { continue };
            if !self.free(name) {
                continue;
            }
            let what = What::Definition(self.definitions.all.len());
            self.definitions.all.push(Definition { name, unit: unit(*of), condition, state: State::New });
            self.scope.definitions.push(unit(*of));
            self.scope.declared.insert(name.text.clone(), Declared { what, span: name.span, used: false });
        }
        for at in 0..self.definitions.all.len() {
            if self.sink.is_full() {
                break;
            }
            self.check_definition(at);
        }
    }

    fn state_of(&mut self, at: usize) -> State {
        match self.definitions.all.get(at) {
            Some(definition) => definition.state,
            None => {
                self.contradiction("a name stands for a definition that is none");
                State::Bad
            }
        }
    }

    fn set_state(&mut self, at: usize, state: State) {
        if let Some(definition) = self.definitions.all.get_mut(at) {
            definition.state = state;
        }
    }

    /// Checks a definition for a candidate of its own.
    fn check_definition(&mut self, at: usize) {
        if self.state_of(at) != State::New {
            return;
        }
        let Some(unit) = self.definitions.all.get(at).map(|definition| definition.unit) else { return };
        let binder = self.policy.binders.push(unit);
        let checked = self.expand(at, binder);
        self.set_state(at, if checked.is_some() { State::Good } else { State::Bad });
    }

    /// The condition of a definition, for a candidate.
    pub(super) fn definition(
        &mut self,
        at: usize,
        binder: BinderId,
        use_span: crate::source::Span,
    ) -> Option<ExprId> {
        self.check_definition(at);
        match self.state_of(at) {
            State::Good => {}
            State::Open => {
                let name = self.definitions.all.get(at).map(|definition| definition.name)?;
                self.sink.push(errors::declare::defined_by_itself(name, use_span));
                return None;
            }
            State::New | State::Bad => return None,
        }
        self.definitions.uses += 1;
        if self.definitions.uses > MAX_USES {
            if self.definitions.uses == MAX_USES + 1 {
                self.sink.push(errors::declare::too_many_definitions(use_span));
            }
            return None;
        }
        let condition = self.expand(at, binder);
        self.set_state(at, State::Good);
        condition
    }

    /// Lowers a definition's condition as if nothing else were in scope than its candidate.
    fn expand(&mut self, at: usize, binder: BinderId) -> Option<ExprId> {
        let (unit, condition) =
            self.definitions.all.get(at).map(|definition| (definition.unit, definition.condition))?;
        self.set_state(at, State::Open);
        let candidate = Candidate { binder, unit, name: None, span: None, used: false };
        let around = core::mem::replace(&mut self.scope.candidates, vec![candidate]);
        let condition = self.condition(condition, "`where`");
        self.scope.candidates = around;
        condition
    }
}
