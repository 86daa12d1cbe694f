//! Acting: rules in their order, whom each kill takes, what is done to him, and what the record tells of it.
//!
//! Owns the rankings of the plan, the functions of a large policy and the two ends of the callback. Takes the checked
//! policy and its plan, gives the module; reads what the language asks by the layer below.

mod flight;
mod frame;
mod fresh;
mod keeps;
mod kill;
mod list;
mod outline;
mod pick;
mod prefer;
mod protect;
mod raise;
mod rank;
mod record;
mod rule;
mod say;
mod select;
mod shape;
mod stepwise;
mod ties;

#[cfg(test)]
mod tests;

use core::ops::{Deref, DerefMut};
use std::collections::HashMap;
use std::sync::Arc;

use cranelift_entity::PrimaryMap;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::members;
use oomc_abi::resolve::KernelView;
use oomc_abi::target::Target;

use super::emit::{Cell, Emit, Walks, frame_span};
use super::read::{Places, Read, Tracer};
use crate::hir::{ActionId, Policy};
use crate::ir::{Block, Function, Module, Refs};
use crate::plan::{Plan, RankingId};
use crate::source::Span;
use crate::trace::PointKind;

/// The symbol of the callback's program.
pub const CALLBACK: &str = oomc_abi::hooks::OOM.callback;

/// Lowers a checked policy by its plan: the callback.
///
/// # Errors
/// What should be impossible, and was found: a bug of the compiler.
pub fn lower(policy: &Policy, plan: &Plan, view: &KernelView) -> Result<Module, &'static str> {
    module(policy, plan, view, Function::new(CALLBACK), None, Target::Hook).map(|(module, _)| module)
}

/// Whether user space can ask it, on a kernel without the hook: who asks has no structure of an event, so a policy that
/// names a member of it runs only where the kernel asks.
pub fn can_be_asked(policy: &Policy) -> bool {
    !policy.raws.values().any(|raw| raw.container == members::EVENT)
}

/// Lowers the program that user space asks. It refers to what the callback refers to, and to more behind it; the
/// functions that it calls are its own.
///
/// # Errors
/// As [`lower`].
pub fn lower_asked(
    policy: &Policy,
    plan: &Plan,
    view: &KernelView,
    of_callback: &Refs,
) -> Result<Module, &'static str> {
    let mut func = Function::new(Target::Asked.row().program);
    func.refs = Arc::new(Refs { functions: PrimaryMap::new(), ..of_callback.clone() });
    module(policy, plan, view, func, None, Target::Asked).map(|(module, _)| module)
}

/// What the marks of a traced build count through: what each means, and what it is about.
type Points = Vec<(PointKind, Span)>;

/// Lowers a checked policy with marks, which count through the points: what they mean, and what they are about.
///
/// # Errors
/// As [`lower`].
pub fn lower_traced(
    policy: &Policy,
    plan: &Plan,
    view: &KernelView,
    names_objects: bool,
) -> Result<(Module, Points), &'static str> {
    let (func, tracer) = (Function::new(CALLBACK), Some(Tracer::new(names_objects)));
    let (mut module, tracer) = module(policy, plan, view, func, tracer, Target::Hook)?;
    let points = tracer.map(|tracer| tracer.into_places(policy, &mut module)).unwrap_or_default();
    Ok((module, points))
}

fn module(
    policy: &Policy,
    plan: &Plan,
    view: &KernelView,
    mut func: Function,
    tracer: Option<Tracer>,
    target: Target,
) -> Result<(Module, Option<Tracer>), &'static str> {
    let (others, tracer) = Act::new(policy, plan, view, &mut func, tracer, target)?.run()?;
    let refs = Arc::clone(&func.refs);
    Ok((Module::new(refs, core::iter::once(func).chain(others).collect()), tracer))
}

/// The plan, and what the rules work with.
struct Act<'a> {
    read: Read<'a>,
    plan: &'a Plan,
    /// Where a policy ends that made progress.
    progress: Block,
    /// Where a policy ends that made none.
    nothing: Block,
    /// Where a program ends that goes on when user space has done what it asks for.
    suspend: Block,
    /// The rules being lowered are those of an `on` block.
    in_block: bool,
    /// Which action of the present rule is lowered, from 1.
    node: usize,
    /// Where the name of a candidate lies that may have been refused.
    suspect: Option<(Cell, Cell)>,
    /// Where the kill lies that user space was asked for last.
    said: Option<Cell>,
    /// Where a program goes that finds the domain gone.
    gone: Option<Block>,
    /// Where the group of a candidate lies that may die with a victim.
    together: Option<Cell>,
    /// Lists of cgroups that the policy needs.
    lists: HashMap<&'static str, list::List>,
    /// Where the class of the present candidate's cgroup lies, if the policy has classes.
    class: Option<Cell>,
    /// The rule being lowered: for the kernel's log.
    rule: String,
    /// Its number.
    rule_index: usize,
    /// Optional functions that the policy can do without.
    spared: Vec<KfuncId>,
    /// The action being lowered: for the number of its message.
    action: ActionId,
    /// The functions besides the callback.
    outline: outline::Outline,
    /// The cells of the rankings that were needed so far.
    rankings: HashMap<RankingId, keeps::Keeps>,
    /// Where a walk writes down a victim in flight.
    victim: Option<flight::Victim>,
    ties: ties::Ties,
    /// What is asked of cgroups that are equal in all keys before what they cannot give back.
    equal: Option<ties::Equal>,
}

impl<'a> Deref for Act<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}

impl DerefMut for Act<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.read
    }
}

impl<'a> Walks<'a> for Act<'a> {
    fn emit(&mut self) -> &mut Emit<'a> {
        &mut self.read
    }
}

impl<'a> Places<'a> for Act<'a> {
    fn reading(&mut self) -> &mut Read<'a> {
        &mut self.read
    }
}

impl<'a> Act<'a> {
    fn new(
        policy: &'a Policy,
        plan: &'a Plan,
        view: &'a KernelView,
        func: &'a mut Function,
        tracer: Option<Tracer>,
        target: Target,
    ) -> Result<Self, &'static str> {
        let ties = ties::Ties::find().ok_or("a field of the tie rule has no row")?;
        let mut read = Read::new(policy, view, func, tracer, target);
        let (progress, nothing) = (read.b.create_block(), read.b.create_block());
        let suspend = if read.says() { read.b.create_block() } else { nothing };
        Ok(Self {
            read,
            plan,
            progress,
            nothing,
            suspend,
            in_block: false,
            node: 0,
            suspect: None,
            said: None,
            gone: None,
            together: None,
            lists: HashMap::new(),
            class: None,
            rule: String::new(),
            rule_index: 0,
            spared: crate::hir::kernel::spared(policy),
            action: ActionId::from_u32(0),
            outline: outline::Outline::new(policy),
            rankings: HashMap::new(),
            victim: None,
            ties,
            equal: None,
        })
    }

    fn run(mut self) -> Result<(Vec<Function>, Option<Tracer>), &'static str> {
        let policy = self.policy;
        self.prologue();
        if !policy.preferences.is_empty() {
            self.class = Some(self.cell());
        }
        self.rules();
        self.b.set_span(frame_span(policy));
        let nothing = self.nothing;
        self.b.jump(nothing, &[]);
        self.epilogues();
        let tracer = self.read.finish()?;
        Ok((self.outline.into_functions(), tracer))
    }
}
