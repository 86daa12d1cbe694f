//! A large policy in several functions.
//!
//! A policy of hundreds of kills in one function would exceed what the verifier is willing to look at. Functions
//! that it checks by themselves cost once, however often they are called: so the search for a victim is one
//! function for all kills that differ only in numbers, the search for a victim in flight is one for the policy,
//! and the rules stand in groups, which also keeps each function short. Such a function takes trusted pointers
//! and gives a number; whom it found lies in the scratch value. A small policy stays one function, which is
//! smaller and faster.

use std::collections::HashMap;

use oomc_abi::kfuncs;
use oomc_abi::members;

use oomc_abi::record::End;

use super::list::List;
use super::rank::Ranking;
use super::scratch::Cell;
use super::{Lower, imm, walk};
use crate::hir::{ActionKind, BinderId, Policy, Rule, Selection, Unit};
use crate::ir::{Block, Cond, FuncRef, Function, InstData, Operand, Param, Type, Value};

/// From this many kills on a policy is large. By then one function would still be accepted: a kill costs a few
/// thousand instructions of the verifier's million.
const LARGE: usize = 32;
/// And from this many rules of any kind: a function should not be so long that its compilation is slow.
const LONG: usize = 256;

/// Groups of rules, and searches: with the two functions besides them fewer than the kernel allows.
const GROUPS: usize = 96;
/// Rules of a group, unless there would be too many groups.
const GROUP: usize = 8;
const SEARCHES: usize = 150;

/// What a group of rules, or the search for a victim in flight, answers.
const NOTHING: i32 = 0;
const PROGRESS: i32 = 1;
const DEFER: i32 = 2;

/// The functions of a policy, and how they are shared.
#[derive(Default)]
pub(super) struct Outline {
    large: bool,
    /// Finished functions, in the order of their references.
    functions: Vec<Function>,
    /// Searches by their code.
    searches: HashMap<String, FuncRef>,
    in_flight: Option<FuncRef>,
    /// Writes down a kill unit.
    list: Option<FuncRef>,
    /// Numbers of the policy that the search being lowered takes from cells.
    numbers: Option<Vec<(Cell, i64)>>,
}

impl Outline {
    pub(super) fn new(policy: &Policy) -> Self {
        let kills = policy.actions.values().filter(|action| matches!(action.kind, ActionKind::Kill(_)));
        // A picked cgroup is a pointer of the callback, and no function could use it.
        Self {
            large: policy.picks.is_empty() && (kills.count() >= LARGE || policy.rules.len() >= LONG),
            ..Self::default()
        }
    }

    /// The functions behind the callback.
    pub(super) fn into_functions(self) -> Vec<Function> {
        self.functions
    }
}

/// What belongs to the function being lowered.
struct Outside {
    oc: Value,
    domain: Value,
    progress: Block,
    nothing: Block,
    frame: walk::Slots,
    candidates: HashMap<BinderId, Value>,
    homes: HashMap<BinderId, Value>,
    home: Option<Value>,
}

fn params() -> Vec<Param> {
    ["mem_cgroup", "oom_control"].map(|tag| Param::Trusted(tag.to_owned())).to_vec()
}

impl Lower<'_> {
    /// Lowers a part into a function of its own, which gets a memcg, which is the OOM domain
    /// unless the caller says otherwise, and the event.
    fn function(&mut self, body: impl FnOnce(&mut Self)) -> Function {
        let (outer, values) = self.b.begin("", params());
        let outside = Outside {
            oc: self.oc,
            domain: self.domain,
            progress: self.progress,
            nothing: self.nothing,
            frame: core::mem::take(&mut self.frame),
            candidates: core::mem::take(&mut self.candidates),
            homes: core::mem::take(&mut self.homes),
            home: self.home.take(),
        };
        if let [domain, oc] = *values.as_slice() {
            (self.domain, self.oc) = (domain, oc);
        }
        body(self);
        self.oc = outside.oc;
        self.domain = outside.domain;
        self.progress = outside.progress;
        self.nothing = outside.nothing;
        self.frame = outside.frame;
        self.candidates = outside.candidates;
        self.homes = outside.homes;
        self.home = outside.home;
        self.b.end(outer)
    }

    /// Makes a function one of the module.
    fn keep(&mut self, kind: &str, mut func: Function) -> FuncRef {
        func.name = format!("{kind}_{}", self.outline.functions.len());
        let known = self.b.declare(&func.name, func.params.clone());
        self.outline.functions.push(func);
        known
    }

    fn call_func(&mut self, func: FuncRef, about: Value) -> Value {
        let args = vec![about, self.oc];
        self.b.value(InstData::CallFunc { func, args }, Type::I64)
    }

    /// Blocks that answer for the function; the two of a policy's end among them.
    fn answers(&mut self) -> [Block; 3] {
        let blocks = [NOTHING, PROGRESS, DEFER].map(|_| self.b.create_block());
        [_, self.progress, self.nothing] = blocks;
        blocks
    }

    fn give(&mut self, blocks: [Block; 3]) {
        for (block, answer) in blocks.into_iter().zip([NOTHING, PROGRESS, DEFER]) {
            self.b.switch_to(block);
            self.b.effect(InstData::Return(Operand::Imm(answer)));
        }
    }

    /// Goes on as a function has answered.
    fn follow(&mut self, answer: Value, on_progress: Block, on_nothing: Block) {
        self.leave_if(Cond::Eq, answer, Operand::Imm(PROGRESS), on_progress);
        let nothing = self.nothing;
        self.b.branch(Cond::Eq, answer, Operand::Imm(DEFER), nothing, on_nothing);
    }

    /// All rules in order; goes on behind them when none ended the policy.
    pub(super) fn rules(&mut self) {
        let rules: Vec<(usize, &Rule)> = self.policy.rules.iter().enumerate().collect();
        if !self.outline.large {
            return rules.into_iter().for_each(|(index, rule)| self.rule(index, rule));
        }
        for group in rules.chunks(rules.len().div_ceil(GROUPS).max(GROUP)) {
            let func = self.function(|s| {
                let answers = s.answers();
                group.iter().for_each(|(index, rule)| s.rule(*index, rule));
                s.b.jump(answers[0], &[]);
                s.give(answers);
            });
            let func = self.keep("rules", func);
            let answer = self.call_func(func, self.domain);
            let next = self.b.create_block();
            let progress = self.progress;
            self.follow(answer, progress, next);
            self.b.switch_to(next);
        }
    }

    /// Looks for a victim in flight, and waits for it. Who goes on with `on_none` says how the rule ends there.
    pub(super) fn in_flight(&mut self, on_victim: Block, on_none: Block) {
        // If the search ends the policy.
        self.note_end(End::Deferred);
        if !self.outline.large {
            return self.wait_in_flight(on_victim, on_none);
        }
        let func = match self.outline.in_flight {
            Some(func) => func,
            None => {
                let rule = core::mem::take(&mut self.rule);
                let func = self.function(|s| {
                    let answers = s.answers();
                    s.wait_in_flight(answers[1], answers[0]);
                    s.give(answers);
                });
                self.rule = rule;
                let func = self.keep("in_flight", func);
                *self.outline.in_flight.insert(func)
            }
        };
        let answer = self.call_func(func, self.domain);
        self.follow(answer, on_victim, on_none);
    }

    /// Writes down the cgroups of a kill unit.
    pub(super) fn list_unit(&mut self, unit: Value, units: List) {
        if !self.outline.large {
            return self.list_below(unit, units);
        }
        let func = match self.outline.list {
            Some(list) => list,
            None => {
                let func = self.function(|s| {
                    let unit = s.domain;
                    s.list_below(unit, units);
                    s.b.effect(InstData::Return(Operand::Imm(PROGRESS)));
                });
                let func = self.keep("list", func);
                *self.outline.list.insert(func)
            }
        };
        self.call_func(func, unit);
    }

    /// Whether a kill takes its cells from the part that all kills use.
    pub(super) fn open_kill(&mut self) {
        if self.outline.large {
            self.open_local();
        }
    }

    /// A number of the policy: a constant, or what differs between searches that share their code.
    pub(super) fn number_of_policy(&mut self, number: i64) -> Value {
        if self.outline.numbers.is_none() {
            return self.int(number);
        }
        let cell = self.cell();
        if let Some(numbers) = &mut self.outline.numbers {
            numbers.push((cell, number));
        }
        self.get(cell)
    }

    /// Whether numbers of the policy are not known where they are used.
    pub(super) fn numbers_are_shared(&self) -> bool {
        self.outline.numbers.is_some()
    }

    /// Whether a search is a function, which then does all that is the same for its kills.
    pub(super) fn searches_apart(&self) -> bool {
        self.outline.large
    }

    /// The best candidate, referenced, or null; of a function, also noted, and the ceiling of the next call.
    pub(super) fn search(&mut self, selection: &Selection, ranking: &Ranking) -> Value {
        if !self.outline.large {
            return self.select(selection, ranking);
        }
        let (id, start) = (self.cell(), self.cell());
        self.outline.numbers = Some(Vec::new());
        let func = self.function(|s| {
            let none = s.b.create_block();
            let victim = s.select(selection, ranking);
            s.leave_if(Cond::Eq, victim, imm(0), none);
            let number = match selection.unit {
                Unit::Process => s.field(victim, members::TASK_PID),
                Unit::Cgroup => s.read(victim, members::MEMCG_ID),
            };
            s.put(id, number);
            s.chosen(selection.unit, ranking, victim);
            match selection.unit {
                Unit::Process => {
                    let started = s.field(victim, members::TASK_START);
                    s.put(start, started);
                    s.call(kfuncs::TASK_RELEASE, &[victim]);
                }
                Unit::Cgroup => s.call(kfuncs::PUT_MEM_CGROUP, &[victim]),
            }
            s.b.effect(InstData::Return(Operand::Imm(PROGRESS)));
            s.b.switch_to(none);
            s.b.effect(InstData::Return(Operand::Imm(NOTHING)));
        });
        let numbers = self.outline.numbers.take().unwrap_or_default();
        let code = format!("{:?}", (&func.layout, &func.blocks, &func.insts, &func.results, &func.values));
        let func = match self.outline.searches.get(&code) {
            Some(func) => *func,
            None if self.outline.searches.len() >= SEARCHES => {
                let victim = self.select(selection, ranking);
                let (some, join) = (self.b.create_block(), self.b.create_block());
                self.b.branch(Cond::Ne, victim, imm(0), some, join);
                self.b.switch_to(some);
                self.chosen(selection.unit, ranking, victim);
                self.b.jump(join, &[]);
                self.b.switch_to(join);
                return victim;
            }
            None => {
                let func = self.keep("search", func);
                self.outline.searches.insert(code, func);
                func
            }
        };
        for (cell, number) in numbers {
            let number = self.int(number);
            self.put(cell, number);
        }
        let answer = self.call_func(func, self.domain);
        self.found(selection.unit, answer, [id, start])
    }

    /// What is the same for all kills of one search. Should the victim be refused, the next call looks for one
    /// that ranks below it.
    fn chosen(&mut self, unit: Unit, ranking: &Ranking, victim: Value) {
        self.note_candidate(ranking, unit, victim);
        self.lower_ceiling(ranking);
    }

    /// A reference on what a search has found. It may be gone meanwhile, or its number be another's.
    fn found(&mut self, unit: Unit, answer: Value, [id, start]: [Cell; 2]) -> Value {
        let (gone, other, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::Ptr);
        self.leave_if(Cond::Eq, answer, Operand::Imm(NOTHING), gone);
        let number = self.get(id);
        let same = self.b.create_block();
        let (object, release) = match unit {
            Unit::Process => {
                let task = self.call_ptr(kfuncs::TASK_FROM_PID, &[number]);
                self.leave_if(Cond::Eq, task, imm(0), gone);
                let (found, wanted) = (self.field(task, members::TASK_START), self.get(start));
                self.b.branch(Cond::Eq, found, Operand::Value(wanted), same, other);
                (task, kfuncs::TASK_RELEASE)
            }
            Unit::Cgroup => {
                let memcg = self.memcg_by_id(number, gone);
                let (found, wanted) = (self.read(memcg, members::MEMCG_ID), self.get(id));
                self.b.branch(Cond::Eq, found, Operand::Value(wanted), same, other);
                (memcg, kfuncs::PUT_MEM_CGROUP)
            }
        };
        self.b.switch_to(other);
        self.call(release, &[object]);
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
        let none = self.null();
        self.b.jump(join, &[none]);
        self.b.switch_to(same);
        self.b.jump(join, &[object]);
        self.b.switch_to(join);
        result
    }
}
