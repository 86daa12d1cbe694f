//! From the checked policy to IR: a function that implements the kernel's callback, and for a large policy more
//! that it calls.
//!
//! Makes every kernel rule explicit: who holds a reference, where an RCU section begins and ends, which
//! walk is an open-coded iterator, what happens on each failure. Numbers that live across rounds of a loop
//! are in one global scratch value, because the verifier tracks registers and stack but not map values;
//! only referenced pointers are carried in registers. Knows the meaning of the language
//! and the kernel's rules; knows no registers, encodings or ELF.
//!
//! The function's frame:
//!
//! ```text
//! order == -1?  ── yes ─────────────────────────────► return 0      (SysRq never reaches the rules)
//! domain := reference on oc->memcg, or on the root
//! rule 1 ─ no progress ─► rule 2 ─ … ─► nothing: publish the record, put(domain), return 0
//!    └───── progress ──────────────────► progress: the same, return 1 (0 in audit mode)
//! ```

mod scratch;

mod config;
mod record;
mod state;

mod arith;
mod cond;
mod expr;
mod field;
mod narrow;
mod text;

mod walk;

mod place;
mod quantifier;
mod raw;

mod prefer;
mod protect;
mod rank;
mod select;
mod stepwise;

mod pick;

mod flight;
mod kill;
mod list;
mod raise;

mod outline;
mod shape;

mod trace;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oomc_abi::consts::ORDER_SYSRQ;
use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members::{self, Member};
use oomc_abi::record::{Action, End, at};
use oomc_abi::resolve::KernelView;

use crate::hir::{ActionId, ActionKind, BinderId, PickId, Policy, Rule, Selection, Subject};
use crate::ir::{
    BinOp, Block, Builder, Cond, Function, InstData, Module, Operand, Size, StackSlot, Type, Value,
};
use crate::plan::{Plan, RankingId};
use crate::source::Span;
use crate::trace::PointKind;
use trace::Tracer;

/// The symbol of the callback's program.
pub const CALLBACK: &str = oomc_abi::hooks::OOM.callback;

/// Lowers a checked policy by its plan.
///
/// # Errors
/// What should be impossible, and was found: a bug of the compiler.
pub fn lower(policy: &Policy, plan: &Plan, view: &KernelView) -> Result<Module, &'static str> {
    module(policy, plan, view, None).map(|(module, _)| module)
}

/// Lowers a checked policy with marks, which count through the points: what they mean, and what they are about.
///
/// # Errors
/// As [`lower`].
pub fn lower_traced(
    policy: &Policy,
    plan: &Plan,
    view: &KernelView,
    names_objects: bool,
) -> Result<(Module, Vec<(PointKind, Span)>), &'static str> {
    let (mut module, tracer) = module(policy, plan, view, Some(Tracer::new(names_objects)))?;
    let points = tracer.map(|tracer| tracer.into_places(policy, &mut module)).unwrap_or_default();
    Ok((module, points))
}

fn module(
    policy: &Policy,
    plan: &Plan,
    view: &KernelView,
    tracer: Option<Tracer>,
) -> Result<(Module, Option<Tracer>), &'static str> {
    let ties = rank::Ties::find().ok_or("a field of the tie rule has no row")?;
    let mut func = Function::new(CALLBACK);
    let mut lower = Lower::new(policy, plan, view, ties, &mut func);
    lower.tracer = tracer;
    let (others, tracer) = lower.run()?;
    let refs = Arc::clone(&func.refs);
    Ok((Module::new(refs, core::iter::once(func).chain(others).collect()), tracer))
}

/// The state of one lowering.
struct Lower<'a> {
    b: Builder<'a>,
    policy: &'a Policy,
    plan: &'a Plan,
    view: &'a KernelView,
    globals: scratch::Globals,
    frame: walk::Slots,
    /// The event; a trusted pointer.
    oc: Value,
    /// The OOM'ing cgroup's memcg, referenced.
    domain: Value,
    /// The second argument of the callback.
    link: Value,
    /// Where a policy ends that made progress.
    progress: Block,
    /// Where a policy ends that made none.
    nothing: Block,
    /// The object that a binder's fields are read from.
    candidates: HashMap<BinderId, Value>,
    /// Where the fields of the event's cgroups lie while candidates are walked.
    prefetched: HashMap<(Subject, field::Item), scratch::Fetched>,
    /// Candidates that may be the root cgroup.
    may_be_root: HashSet<BinderId>,
    /// The memcg of each candidate that is a process, where it is at hand.
    homes: HashMap<BinderId, Value>,
    /// The memcg whose processes are walked.
    home: Option<Value>,
    /// Lists of cgroups that the policy needs.
    lists: HashMap<&'static str, list::List>,
    /// Where the id of each pick lies that was chosen.
    picks: HashMap<PickId, scratch::Cell>,
    /// Where the class of the present candidate's cgroup lies, if the policy has classes.
    class: Option<scratch::Cell>,
    /// Fields of the event's cgroups come from [`Self::prefetched`].
    in_walk: bool,
    /// Inside an RCU section.
    in_rcu: bool,
    /// In a function that may be called in an RCU section of its caller: nothing in it may sleep.
    under_rcu: bool,
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
    /// The points of a traced build.
    tracer: Option<Tracer>,
    /// The cells of the rankings that were needed so far.
    rankings: HashMap<RankingId, rank::Kept>,
    /// Where a walk writes down a victim in flight.
    victim: Option<flight::Victim>,
    ties: rank::Ties,
    /// Expressions that are found out once for the present cgroup, and where.
    per_cgroup: HashMap<crate::hir::ExprId, expr::Remembered>,
    /// What should be impossible, and was found: a bug of the compiler.
    fault: Option<&'static str>,
}

impl<'a> Lower<'a> {
    fn new(
        policy: &'a Policy,
        plan: &'a Plan,
        view: &'a KernelView,
        ties: rank::Ties,
        func: &'a mut Function,
    ) -> Self {
        let globals = scratch::Globals::new(func, policy);
        let mut b = Builder::new(func);
        b.set_span(frame_span(policy));
        let entry = b.create_block();
        let (progress, nothing) = (b.create_block(), b.create_block());
        b.switch_to(entry);
        let oc = b.value(InstData::LoadCtx(0), Type::Ptr);
        let link = b.value(InstData::LoadCtx(1), Type::Ptr);
        Self {
            b,
            policy,
            plan,
            view,
            globals,
            frame: walk::Slots::default(),
            oc,
            domain: oc,
            link,
            progress,
            nothing,
            candidates: HashMap::new(),
            prefetched: HashMap::new(),
            may_be_root: place::may_be_root(policy),
            homes: HashMap::new(),
            home: None,
            lists: HashMap::new(),
            picks: HashMap::new(),
            class: None,
            in_walk: false,
            in_rcu: false,
            under_rcu: false,
            rule: String::new(),
            rule_index: 0,
            spared: crate::hir::kernel::spared(policy),
            action: ActionId::from_u32(0),
            outline: outline::Outline::new(policy),
            tracer: None,
            rankings: HashMap::new(),
            victim: None,
            ties,
            per_cgroup: HashMap::new(),
            fault: None,
        }
    }

    /// Notes that something impossible was found; the value is never used, because nothing comes of the function.
    fn broken(&mut self, what: &'static str) -> Value {
        self.fault.get_or_insert(what);
        self.int(0)
    }

    fn run(mut self) -> Result<(Vec<Function>, Option<Tracer>), &'static str> {
        let policy = self.policy;
        self.prologue();
        if !policy.preferences.is_empty() {
            self.class = Some(self.cell());
        }
        self.rules();
        self.b.set_span(frame_span(policy));
        self.b.jump(self.nothing, &[]);
        self.epilogues();
        self.globals.finish(self.b.func);
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.outline.into_functions(), self.tracer)),
        }
    }

    fn rule(&mut self, index: usize, rule: &Rule) {
        self.rule.clone_from(&rule.name);
        self.rule_index = index;
        self.b.set_span(rule.span);
        self.point((PointKind::Rule(index), rule.span), None);
        let (done, next) = (self.b.create_block(), self.b.create_block());
        self.choose_picks(rule.action, next);
        self.action(rule.action, done, next);
        self.b.switch_to(done);
        self.note_progress();
        self.b.jump(self.progress, &[]);
        self.b.switch_to(next);
    }

    /// Guards, and a reference on the OOM domain.
    fn prologue(&mut self) {
        let facts = scratch::Facts::of(self.policy);
        // An administrator who asks for a kill by SysRq wants the kernel's own killer.
        let (asked, refused) = (self.b.create_block(), self.b.create_block());
        let order = self.field(self.oc, members::OC_ORDER);
        self.b.branch(Cond::Eq, order, imm(ORDER_SYSRQ), refused, asked);
        self.b.switch_to(refused);
        self.b.effect(InstData::Return(Operand::Imm(0)));
        self.b.switch_to(asked);
        self.count("invocations");

        // One referenced pointer for both kinds of OOM, so that the same code serves and releases it.
        let (memcg_oom, system_oom) = (self.b.create_block(), self.b.create_block());
        let (got, gone, go) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let memcg = self.pointer(self.oc, members::OC_MEMCG);
        let domain = self.b.block_param(got, Type::Ptr);
        self.b.branch(Cond::Ne, memcg, imm(0), memcg_oom, system_oom);
        self.b.switch_to(memcg_oom);
        let css = self.css_of(memcg);
        let owned = self.call_ptr(kfuncs::GET_MEM_CGROUP, &[css]);
        self.b.jump(got, &[owned]);
        self.b.switch_to(system_oom);
        let root = self.call_ptr(kfuncs::GET_ROOT_MEM_CGROUP, &[]);
        self.b.jump(got, &[root]);
        self.b.switch_to(got);
        self.domain = domain;
        self.b.branch(Cond::Ne, domain, imm(0), go, gone);
        self.b.switch_to(gone);
        self.b.effect(InstData::Return(Operand::Imm(0)));
        self.b.switch_to(go);

        // Statistics are per-CPU and lag; one flush for the event, before anything reads them.
        if facts.statistics {
            self.call(kfuncs::MEM_CGROUP_FLUSH_STATS, &[domain]);
        }
        if facts.total_memory {
            self.read_total_memory();
        }
        // Read once: all candidates of an event are compared at the same moment.
        let now = self.helper(oomc_abi::helpers::KTIME_GET_BOOT_NS, &[]);
        self.put(self.globals.now, now);
        self.begin_record();
    }

    fn epilogues(&mut self) {
        let end = self.b.create_block();
        let answer = self.b.block_param(end, Type::I64);
        self.b.switch_to(self.progress);
        // In audit mode the kernel does what it does without a policy.
        let audit = self.audit();
        let audit = self.bin_imm(BinOp::And, audit, 1);
        let done = self.bin_imm(BinOp::Xor, audit, 1);
        self.b.jump(end, &[done]);
        self.b.switch_to(self.nothing);
        self.count("deferred");
        let none = self.int(0);
        self.b.jump(end, &[none]);
        self.b.switch_to(end);
        self.publish(answer);
        self.call(kfuncs::PUT_MEM_CGROUP, &[self.domain]);
        let answer = self.noted(at::ANSWER);
        self.b.effect(InstData::Return(Operand::Value(answer)));
    }

    /// One action; leaves no open block.
    fn action(&mut self, action: ActionId, on_progress: Block, on_nothing: Block) {
        let policy = self.policy;
        self.action = action;
        let Some(action) = policy.actions.get(action) else { return };
        let outer = self.b.set_span(action.span);
        if !matches!(action.kind, ActionKind::If { .. } | ActionKind::Block(_) | ActionKind::Or(..)) {
            self.point((PointKind::Action, action.span), None);
        }
        // The author knows (W0503): on such a kernel the action makes no progress.
        let needs = match &action.kind {
            ActionKind::Kill(_) | ActionKind::Wait => Some(kfuncs::OOM_KILL_PROCESS),
            ActionKind::RaiseLimit { .. } => Some(kfuncs::MEM_CGROUP_RAISE_MAX),
            ActionKind::If { .. }
            | ActionKind::Block(_)
            | ActionKind::Or(..)
            | ActionKind::Defer
            | ActionKind::Notify(_)
            | ActionKind::Count(_) => None,
        };
        // One object serves kernels with and without such a function: the test is a constant on each.
        if let Some(kfunc) = needs.filter(|kfunc| self.spared.contains(kfunc)) {
            let (there, absent) = (self.b.create_block(), self.b.create_block());
            let address = self.b.value(InstData::KfuncAddr(kfunc), Type::Ptr);
            self.b.branch(Cond::Ne, address, imm(0), there, absent);
            self.b.switch_to(absent);
            self.note_end(End::Unavailable);
            self.b.jump(on_nothing, &[]);
            self.b.switch_to(there);
        } else if needs.is_some_and(|kfunc| self.view.kfunc(kfunc).is_none()) {
            self.note_end(End::Unavailable);
            self.b.jump(on_nothing, &[]);
            self.b.set_span(outer);
            return;
        }
        match &action.kind {
            ActionKind::If { condition, then, otherwise } => {
                let (then_block, else_block) = (self.b.create_block(), self.b.create_block());
                let rejected = match otherwise {
                    Some(_) => else_block,
                    None => self.b.create_block(),
                };
                self.prefetch(&[*condition]);
                self.guard(*condition, None, then_block, rejected, rejected);
                self.b.switch_to(then_block);
                self.branch_point(*condition, true);
                self.action(*then, on_progress, else_block);
                if otherwise.is_none() {
                    self.b.switch_to(rejected);
                    self.branch_point(*condition, false);
                    self.note_end(End::NotTrue);
                    self.b.jump(else_block, &[]);
                }
                self.b.switch_to(else_block);
                match otherwise {
                    Some(otherwise) => {
                        self.branch_point(*condition, false);
                        self.action(*otherwise, on_progress, on_nothing);
                    }
                    None => self.b.jump(on_nothing, &[]),
                }
            }
            ActionKind::Block(actions) => self.block(actions, on_progress, on_nothing),
            ActionKind::Or(first, second) => {
                let next = self.b.create_block();
                self.alternative_point(*first);
                self.action(*first, on_progress, next);
                self.b.switch_to(next);
                self.alternative_point(*second);
                self.action(*second, on_progress, on_nothing);
            }
            ActionKind::Kill(_) | ActionKind::Wait => self.acts(self.action, on_progress, on_nothing),
            ActionKind::RaiseLimit { by, up_to } => {
                self.raise_limit(*by, *up_to, on_progress, on_nothing);
            }
            ActionKind::Defer => {
                self.note_end(End::Deferred);
                self.note_action(Action::Defer);
                self.note_imm(at::RULE, self.rule_index as i32);
                self.b.jump(self.nothing, &[]);
            }
            ActionKind::Notify(message) => {
                self.note_end(End::Quiet);
                self.prefetch(&message.values().collect::<Vec<_>>());
                self.note_message([at::NOTICE, at::NOTICE_VALUES], message);
                self.b.jump(on_nothing, &[]);
            }
            ActionKind::Count(state) => {
                self.note_end(End::Quiet);
                self.count_one(*state);
                self.b.jump(on_nothing, &[]);
            }
        }
        self.b.set_span(outer);
    }

    /// Tells that an alternative is tried. One that is itself made of two has no point but theirs.
    fn alternative_point(&mut self, action: ActionId) {
        let action = self.policy.actions.get(action);
        if let Some(action) = action.filter(|action| !matches!(action.kind, ActionKind::Or(..))) {
            self.point((PointKind::Alternative, action.span), None);
        }
    }

    /// Statements in order; progress if any made progress.
    fn block(&mut self, actions: &[ActionId], on_progress: Block, on_nothing: Block) {
        if let [only] = actions {
            return self.action(*only, on_progress, on_nothing);
        }
        let progressed = self.cell();
        self.put_imm(progressed, 0);
        let mut acts = false;
        for action in actions {
            let (done, next) = (self.b.create_block(), self.b.create_block());
            let kind = self.policy.actions.get(*action).map(|action| &action.kind);
            let quiet = matches!(kind, Some(ActionKind::Notify(_) | ActionKind::Count(_)));
            if quiet && acts {
                let so_far = self.get(progressed);
                self.leave_if(Cond::Eq, so_far, imm(0), next);
            }
            acts |= !quiet;
            self.action(*action, done, next);
            self.b.switch_to(done);
            self.put_imm(progressed, 1);
            self.b.jump(next, &[]);
            self.b.switch_to(next);
        }
        let any = self.get(progressed);
        self.b.branch(Cond::Ne, any, imm(0), on_progress, on_nothing);
    }
}

/// Where what belongs to no rule is shown: at the first rule, because a file's first line is often a comment.
fn frame_span(policy: &Policy) -> Span {
    policy.rules.first().map(|rule| rule.span).unwrap_or_default()
}

/// Instructions by what they do.
impl Lower<'_> {
    fn call(&mut self, kfunc: KfuncId, args: &[Value]) {
        let data = InstData::Call { kfunc, args: args.to_vec() };
        match kfunc.row().ret {
            kfuncs::Ret::Void => self.b.effect(data),
            kfuncs::Ret::Ptr => drop(self.b.value(data, Type::Ptr)),
            _ => drop(self.b.value(data, Type::I64)),
        }
    }

    fn call_ptr(&mut self, kfunc: KfuncId, args: &[Value]) -> Value {
        self.b.value(InstData::Call { kfunc, args: args.to_vec() }, Type::Ptr)
    }

    fn call_int(&mut self, kfunc: KfuncId, args: &[Value]) -> Value {
        self.b.value(InstData::Call { kfunc, args: args.to_vec() }, Type::I64)
    }

    fn helper(&mut self, helper: oomc_abi::helpers::Helper, args: &[Value]) -> Value {
        let ty = if helper.pointer { Type::Ptr } else { Type::I64 };
        self.b.value(InstData::CallHelper { helper, args: args.to_vec() }, ty)
    }

    fn int(&mut self, value: i64) -> Value {
        self.b.value(InstData::Iconst(value), Type::I64)
    }

    fn null(&mut self) -> Value {
        self.b.value(InstData::Iconst(0), Type::Ptr)
    }

    /// A number in a kernel structure.
    fn field(&mut self, ptr: Value, member: Member) -> Value {
        self.field_at(ptr, member.container, member.path)
    }

    /// A number in a kernel structure, by a path of another table.
    fn field_at(&mut self, ptr: Value, container: &str, path: &str) -> Value {
        let field = self.b.field(container, path);
        self.b.value(InstData::LoadField { ptr, field }, Type::I64)
    }

    /// A pointer in a kernel structure.
    fn pointer(&mut self, ptr: Value, member: Member) -> Value {
        self.pointer_at(ptr, member.container, member.path)
    }

    fn pointer_at(&mut self, ptr: Value, container: &str, path: &str) -> Value {
        let field = self.b.field(container, path);
        self.b.value(InstData::LoadPtr { ptr, field }, Type::Ptr)
    }

    /// The address of a member.
    fn member_addr(&mut self, ptr: Value, member: Member) -> Value {
        let field = self.b.field(member.container, member.path);
        self.b.value(InstData::FieldAddr { ptr, field }, Type::Ptr)
    }

    /// The css inside a memcg: as trusted as the memcg.
    fn css_of(&mut self, memcg: Value) -> Value {
        self.member_addr(memcg, members::MEMCG_CSS)
    }

    fn enumerator_at(&mut self, enumeration: &str, name: &str) -> Value {
        let enumerator = self.b.enumerator(enumeration, name);
        self.b.value(InstData::EnumValue(enumerator), Type::I64)
    }

    fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.b.value(InstData::Binary(op, a, Operand::Value(b)), Type::I64)
    }

    fn bin_imm(&mut self, op: BinOp, a: Value, b: i32) -> Value {
        self.b.value(InstData::Binary(op, a, Operand::Imm(b)), Type::I64)
    }

    fn load(&mut self, size: Size, ptr: Value, offset: i32) -> Value {
        self.b.value(InstData::Load { size, ptr, offset }, Type::I64)
    }

    fn slot_addr(&mut self, slot: StackSlot) -> Value {
        self.b.value(InstData::StackAddr(slot), Type::Ptr)
    }

    /// Names the object that a binder stands for from here on.
    fn bind(&mut self, binder: BinderId, object: Value) {
        self.candidates.insert(binder, object);
        match self.home {
            Some(home) => drop(self.homes.insert(binder, home)),
            None => drop(self.homes.remove(&binder)),
        }
    }

    /// Runs a part in which the processes of a memcg are walked.
    fn at_home<T>(&mut self, memcg: Value, part: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.home.replace(memcg);
        let result = part(self);
        self.home = outer;
        result
    }

    /// What a selection asks.
    fn asked_by_selection(&self, selection: &Selection) -> Vec<crate::hir::ExprId> {
        selection.filter.into_iter().chain(selection.keys.iter().map(|key| key.expr)).collect()
    }

    /// Ends the block if the condition holds; continues otherwise.
    fn leave_if(&mut self, cond: Cond, a: Value, b: Operand, target: Block) {
        let next = self.b.create_block();
        self.b.branch(cond, a, b, target, next);
        self.b.switch_to(next);
    }

    /// Runs a part inside an RCU section, which may be one that is already open.
    fn with_rcu<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        if self.in_rcu {
            return part(self);
        }
        self.call(kfuncs::RCU_READ_LOCK, &[]);
        self.in_rcu = true;
        let result = part(self);
        self.in_rcu = false;
        self.call(kfuncs::RCU_READ_UNLOCK, &[]);
        result
    }
}

/// An immediate operand. All constants that come here are far below 2³¹.
fn imm(value: i64) -> Operand {
    Operand::Imm(value as i32)
}
