//! Reading: what the language can ask of the event, of cgroups and of processes, as numbers, texts and conditions.
//!
//! Owns where subjects are at hand, which fields were read before the candidates are walked, and the marks of a traced
//! build. Takes expressions of the checked policy, gives values and ways out; knows no rule, action or ranking.

mod cond;
mod expr;
mod field;
mod glob;
mod path;
mod place;
mod quantifier;
mod raw;
mod state;
mod text;
mod trace;

use core::ops::{Deref, DerefMut};
use std::collections::{HashMap, HashSet};

use oomc_abi::resolve::KernelView;
use oomc_abi::target::Target;

use super::emit::{Cell, Emit, Fetched, Walks};
use crate::hir::{BinderId, Expr, ExprId, LabelId, PickId, Policy, Selection, Subject};
use crate::ir::{Function, Value};

pub(in crate::lower) use field::Item;
pub(in crate::lower) use place::{Cut, Grain, Places, may_be_root};
pub(in crate::lower) use text::few_names;
pub(in crate::lower) use trace::Tracer;

/// A number of the policy: by the expression that it belongs to, and which one of it.
pub(in crate::lower) type Number = (ExprId, usize);

/// The policy, and where what it asks about is at hand.
pub(in crate::lower) struct Read<'a> {
    emit: Emit<'a>,
    pub(in crate::lower) policy: &'a Policy,
    /// The maps of labels and counters.
    state: state::Maps,
    /// The object that a binder's fields are read from.
    pub(in crate::lower) candidates: HashMap<BinderId, Value>,
    /// Where the fields of the event's cgroups lie while candidates are walked.
    prefetched: HashMap<(Subject, Item), Fetched>,
    /// Candidates that may be the root cgroup.
    may_be_root: HashSet<BinderId>,
    /// The memcg of each candidate that is a process, where it is at hand.
    pub(in crate::lower) homes: HashMap<BinderId, Value>,
    /// The memcg whose processes are walked.
    pub(in crate::lower) home: Option<Value>,
    /// Where the id of each pick lies that was chosen.
    pub(in crate::lower) picks: HashMap<PickId, Cell>,
    /// Fields of the event's cgroups come from [`Self::prefetched`].
    pub(in crate::lower) in_walk: bool,
    /// The points of a traced build.
    pub(in crate::lower) tracer: Option<Tracer>,
    /// Expressions that are found out once for the present cgroup, and where.
    pub(in crate::lower) per_cgroup: HashMap<ExprId, expr::Remembered>,
    /// Quantifiers that are found out while the members of the present cgroup are walked.
    pub(in crate::lower) found_among_members: HashMap<ExprId, quantifier::Result>,
    /// What cgroups inherit of each label.
    inherited: HashMap<LabelId, state::Inherited>,
    /// Where a path is put together that is used before another one is read.
    path: Option<Cell>,
    /// Numbers of the policy that the function being lowered takes from cells.
    pub(in crate::lower) numbers: Option<Vec<(Cell, Number)>>,
}

impl<'a> Deref for Read<'a> {
    type Target = Emit<'a>;

    fn deref(&self) -> &Emit<'a> {
        &self.emit
    }
}

impl<'a> DerefMut for Read<'a> {
    fn deref_mut(&mut self) -> &mut Emit<'a> {
        &mut self.emit
    }
}

impl<'a> Walks<'a> for Read<'a> {
    fn emit(&mut self) -> &mut Emit<'a> {
        &mut self.emit
    }
}

impl<'a> Places<'a> for Read<'a> {
    fn reading(&mut self) -> &mut Self {
        self
    }
}

impl<'a> Read<'a> {
    /// Begins a callback.
    pub(in crate::lower) fn new(
        policy: &'a Policy,
        view: &'a KernelView,
        func: &'a mut Function,
        tracer: Option<Tracer>,
        target: Target,
    ) -> Self {
        let mut emit = Emit::new(policy, view, func, target);
        let state = state::Maps::new(emit.b.func, policy, target);
        let labels = policy.labels.keys();
        let inherited = labels
            .map(|label| (label, state::Inherited { parent: emit.cell(), value: emit.cell() }))
            .collect();
        Self {
            emit,
            policy,
            state,
            inherited,
            found_among_members: HashMap::new(),
            candidates: HashMap::new(),
            prefetched: HashMap::new(),
            may_be_root: place::may_be_root(policy),
            homes: HashMap::new(),
            home: None,
            picks: HashMap::new(),
            in_walk: false,
            tracer,
            per_cgroup: HashMap::new(),
            path: None,
            numbers: None,
        }
    }

    /// Ends the callback; gives the points of a traced build.
    pub(in crate::lower) fn finish(self) -> Result<Option<Tracer>, &'static str> {
        self.emit.finish()?;
        Ok(self.tracer)
    }

    /// Names the object that a binder stands for from here on.
    pub(in crate::lower) fn bind(&mut self, binder: BinderId, object: Value) {
        self.candidates.insert(binder, object);
        match self.home {
            Some(home) => drop(self.homes.insert(binder, home)),
            None => drop(self.homes.remove(&binder)),
        }
    }

    /// The object that a binder stands for.
    fn object_of(&mut self, binder: BinderId) -> Value {
        match self.candidates.get(&binder) {
            Some(object) => *object,
            None => self.broken("a binder stands for nothing"),
        }
    }

    /// An expression of the policy.
    pub(in crate::lower) fn expression(&mut self, id: ExprId) -> Option<&'a Expr> {
        let expr = self.policy.exprs.get(id);
        if expr.is_none() {
            self.broken("a policy lacks an expression of its own");
        }
        expr
    }

    /// The pointer of a list of one: a walk gives back as many as it was given, a function gets what it asks for.
    pub(in crate::lower) fn only(&mut self, pointers: &[Value]) -> Value {
        match pointers {
            [pointer] => *pointer,
            _ => self.broken("there is another number of pointers than one"),
        }
    }

    /// What a selection asks.
    pub(in crate::lower) fn asked_by_selection(&self, selection: &Selection) -> Vec<ExprId> {
        selection.filter.into_iter().chain(selection.keys.iter().map(|key| key.expr)).collect()
    }
}
