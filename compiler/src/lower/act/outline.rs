//! A large policy in several functions.
//!
//! A policy of hundreds of kills in one function would exceed what the verifier is willing to look at. Functions
//! that it checks by themselves cost once, however often they are called: so the search for a victim is one
//! function for all kills that differ only in numbers, the search for a victim in flight is one for the policy,
//! and the rules stand in groups, which also keeps each function short. Such a function takes trusted pointers
//! and gives a number; whom it found lies in the scratch value. A small policy stays one function, which is
//! smaller and faster; only loops that no iterator bounds are functions there, too.

use std::collections::{HashMap, HashSet};

use oomc_abi::record::End;
use oomc_abi::{members, request};

use super::Act;
use super::list::List;
use super::rank::Searched;
use super::shape::Shape;
use super::stepwise::Rows;
use crate::hir::{BinderId, Kill, Policy, Rule, Unit};
use crate::ir::{Args, BinOp, Block, Cond, FuncRef, Function, InstData, Operand, Param, Type, Value};
use crate::lower::emit::{Cell, Slots, Walk, Walks, imm};
use crate::plan::{WalkId, is_large};

/// Groups of rules, searches, and loops: with the few besides them fewer than the kernel allows.
const GROUPS: usize = 96;
/// Rules of a group, unless there would be too many groups.
const GROUP: usize = 8;
const SEARCHES: usize = 112;
const PARTS: usize = 32;

/// What a group of rules, or the search for a victim in flight, answers.
pub(super) const NOTHING: i32 = 0;
pub(super) const PROGRESS: i32 = 1;
pub(super) const DEFER: i32 = 2;
/// The policy goes on when user space has done what it was asked for.
pub(super) const SUSPEND: i32 = 3;
/// The kernel has refused to raise the limit.
pub(super) const REFUSED: i32 = 4;

/// The functions of a policy, and how they are shared.
#[derive(Default)]
pub(super) struct Outline {
    large: bool,
    /// Finished functions, in the order of their references.
    functions: Vec<Function>,
    /// Searches by their shapes, and how many there are.
    searches: HashMap<Shape, Vec<Search>>,
    count: usize,
    in_flight: Option<FuncRef>,
    /// Raises the limit, and where it finds by how much and up to what.
    raise: Option<(FuncRef, [Cell; 2])>,
    /// Whether what several places ask is code that exists once, and the functions that answer.
    shares: bool,
    questions: HashMap<Question, FuncRef>,
    /// Writes down a kill unit.
    list: Option<FuncRef>,
    /// Loops that no iterator bounds.
    parts: HashMap<Part, FuncRef>,
}

impl Outline {
    pub(super) fn new(policy: &Policy) -> Self {
        Self { shares: policy.kills().count() > 1, large: is_large(policy), ..Self::default() }
    }

    /// The functions behind the callback.
    pub(super) fn into_functions(self) -> Vec<Function> {
        self.functions
    }
}

/// Blocks that answer for a function.
#[derive(Clone, Copy)]
pub(super) struct Answers {
    /// No progress: the caller goes on.
    pub(super) nothing: Block,
    pub(super) progress: Block,
    /// The policy ends there, without progress.
    pub(super) defer: Block,
}

/// What belongs to the function being lowered.
struct Outside {
    oc: Value,
    domain: Value,
    progress: Block,
    nothing: Block,
    suspend: Block,
    casts: HashSet<Value>,
    frame: Slots,
    candidates: HashMap<BinderId, Value>,
    homes: HashMap<BinderId, Value>,
    home: Option<Value>,
    in_rcu: bool,
}

impl Act<'_> {
    /// Lowers a part into a function of its own, which gets what the part is about, the memcg of the OOM domain, and
    /// the event.
    fn function(&mut self, about: &[&str], body: impl FnOnce(&mut Self, &[Value])) -> Function {
        let row = self.target.row();
        let event = [members::EVENT];
        let event: &[&str] = if self.is_asked() { &[] } else { &event };
        let params = about.iter().chain(&[members::MEMCG]).chain(event);
        // A cgroup is what the target holds of it.
        fn held<'t>(tag: &'t str, handle: &'t str) -> &'t str {
            if tag == members::MEMCG { handle } else { tag }
        }
        let params = params.map(|tag| Param::Trusted(held(tag, row.handle).to_owned())).collect();
        self.function_of(params, |s, values| match values {
            [about @ .., domain] if s.is_asked() => {
                s.domain = *domain;
                body(s, about);
            }
            [about @ .., domain, oc] => {
                (s.domain, s.oc) = (*domain, *oc);
                body(s, about);
            }
            _ => {
                s.broken("a function has no domain");
            }
        })
    }

    fn function_of(&mut self, params: Vec<Param>, body: impl FnOnce(&mut Self, &[Value])) -> Function {
        let (outer, values) = self.b.begin("", params);
        let outside = Outside {
            oc: self.oc,
            domain: self.domain,
            progress: self.progress,
            nothing: self.nothing,
            suspend: self.suspend,
            casts: core::mem::take(&mut self.casts),
            frame: core::mem::take(&mut self.frame),
            candidates: core::mem::take(&mut self.candidates),
            homes: core::mem::take(&mut self.homes),
            home: self.home.take(),
            in_rcu: core::mem::take(&mut self.in_rcu),
        };
        body(self, &values);
        self.in_rcu = outside.in_rcu;
        self.oc = outside.oc;
        self.domain = outside.domain;
        self.progress = outside.progress;
        self.nothing = outside.nothing;
        self.suspend = outside.suspend;
        self.casts = outside.casts;
        self.frame = outside.frame;
        self.candidates = outside.candidates;
        self.homes = outside.homes;
        self.home = outside.home;
        self.b.end(outer)
    }

    /// Makes a function one of the module.
    fn keep(&mut self, kind: &str, mut func: Function) -> FuncRef {
        func.name = format!("{}{kind}_{}", self.target.row().prefix, self.outline.functions.len());
        let known = self.b.declare(&func.name, func.params.clone());
        self.outline.functions.push(func);
        known
    }

    fn call_func(&mut self, func: FuncRef, about: &[Value]) -> Value {
        let event = (!self.is_asked()).then_some(self.oc);
        let args = about.iter().copied().chain([self.domain]).chain(event).collect();
        self.b.value(InstData::CallFunc { func, args }, Type::I64)
    }

    /// Blocks that answer for the function; those of a policy's end among them.
    fn answers(&mut self) -> Answers {
        let [nothing, progress, defer] = [(); 3].map(|()| self.b.create_block());
        (self.progress, self.nothing) = (progress, defer);
        if self.says() {
            self.suspend = self.b.create_block();
        }
        Answers { nothing, progress, defer }
    }

    fn give(&mut self, Answers { nothing, progress, defer }: Answers) {
        let suspend = self.says().then_some((self.suspend, SUSPEND));
        let blocks = [(nothing, NOTHING), (progress, PROGRESS), (defer, DEFER)];
        for (block, answer) in blocks.into_iter().chain(suspend) {
            self.b.switch_to(block);
            self.b.effect(InstData::Return(Operand::Imm(answer)));
        }
    }

    /// Goes on as a function has answered.
    pub(super) fn follow(&mut self, answer: Value, on_progress: Block, on_nothing: Block) {
        self.leave_if(Cond::Eq, answer, Operand::Imm(PROGRESS), on_progress);
        if self.says() {
            let suspend = self.suspend;
            self.leave_if(Cond::Eq, answer, Operand::Imm(SUSPEND), suspend);
        }
        let nothing = self.nothing;
        self.b.branch(Cond::Eq, answer, Operand::Imm(DEFER), nothing, on_nothing);
    }

    /// All rules in order; goes on behind them when none ended the policy. Blocks are for whoever asks about them.
    pub(super) fn rules(&mut self) {
        let policy = self.policy;
        if !self.is_asked() || policy.blocks.is_empty() {
            return self.rules_together(0, policy.bare_rules());
        }
        for (number, (first, rules)) in (0..).zip(policy.groups()) {
            let next = self.b.create_block();
            let trigger = self.asked(request::at::TRIGGER);
            let block = self.bin_imm(BinOp::Ushr, trigger, 8);
            self.leave_if(Cond::Ne, block, imm(number), next);
            self.in_block = number > 0;
            // What the rules of another group have chosen was not chosen here.
            self.picks.clear();
            self.rules_together(first, rules);
            let nothing = self.nothing;
            self.b.jump(nothing, &[]);
            self.b.switch_to(next);
        }
        self.in_block = false;
    }

    /// Rules that are asked together, the first of them with its number.
    fn rules_together(&mut self, first: usize, rules: &[Rule]) {
        let rules: Vec<(usize, &Rule)> = (first..).zip(rules).collect();
        if !self.outline.large {
            return rules.into_iter().for_each(|(index, rule)| self.rule(index, rule));
        }
        for group in rules.chunks(self.policy.rules.len().div_ceil(GROUPS).max(GROUP)) {
            let func = self.function(&[], |s, _| {
                let answers = s.answers();
                group.iter().for_each(|(index, rule)| s.rule(*index, rule));
                s.b.jump(answers.nothing, &[]);
                s.give(answers);
            });
            let func = self.keep("rules", func);
            let answer = self.call_func(func, &[]);
            let next = self.b.create_block();
            let progress = self.progress;
            self.follow(answer, progress, next);
            self.b.switch_to(next);
        }
    }

    /// Looks for a victim in flight, and waits for it. Who goes on with `on_none` says how the rule ends there.
    pub(super) fn in_flight(&mut self, walk: WalkId, on_victim: Block, on_none: Block) {
        // If the search ends the policy.
        self.note_end(End::Deferred);
        if !self.outline.large {
            let defer = self.nothing;
            self.run_walk(walk);
            return self.wait([on_victim, defer, on_none], on_none);
        }
        let func = match self.outline.in_flight {
            Some(func) => func,
            None => {
                let rule = core::mem::take(&mut self.rule);
                let func = self.function(&[], |s, _| {
                    let answers = s.answers();
                    s.run_walk(walk);
                    s.wait([answers.progress, answers.defer, answers.nothing], answers.nothing);
                    s.give(answers);
                });
                self.rule = rule;
                let func = self.keep("in_flight", func);
                *self.outline.in_flight.insert(func)
            }
        };
        let answer = self.call_func(func, &[]);
        self.follow(answer, on_victim, on_none);
    }

    /// Whether the policy stands in several functions.
    pub(super) fn is_large(&self) -> bool {
        self.outline.large
    }

    /// Calls the function that raises the limit by some pages, up to a number of pages.
    pub(super) fn raise_by(
        &mut self,
        by: Value,
        cap: Value,
        body: impl FnOnce(&mut Self, [Cell; 2], Answers),
    ) -> Value {
        let (func, cells) = match self.outline.raise {
            Some(raise) => raise,
            None => {
                let cells = self.lasting(|s| [(); 2].map(|()| s.cell()));
                let func = self.lasting(|s| {
                    s.function(&[], |s, _| {
                        let answers = s.answers();
                        body(s, cells, answers);
                        s.give(answers);
                    })
                });
                let func = self.keep("raise", func);
                *self.outline.raise.insert((func, cells))
            }
        };
        for (cell, value) in cells.into_iter().zip([by, cap]) {
            self.put(cell, value);
        }
        self.call_func(func, &[])
    }

    /// Writes down the cgroups of a kill unit.
    pub(super) fn list_unit(&mut self, unit: Value, units: List) {
        if !self.outline.large {
            return self.list_below(unit, units);
        }
        let func = match self.outline.list {
            Some(list) => list,
            None => {
                let func = self.function(&[members::MEMCG], |s, about| {
                    about.iter().for_each(|unit| s.list_below(*unit, units));
                    s.b.effect(InstData::Return(Operand::Imm(PROGRESS)));
                });
                let func = self.keep("list", func);
                *self.outline.list.insert(func)
            }
        };
        self.call_func(func, &[unit]);
    }

    /// A part with a loop that no iterator bounds: in a function, the verifier follows its rounds once, and not in each
    /// state of the walk. What it works with lies in the scratch value; the answer is a number.
    pub(super) fn once_for(&mut self, of: Part, part: impl FnOnce(&mut Self) -> Value) -> Value {
        let func = match self.outline.parts.get(&of) {
            Some(func) => *func,
            None if self.outline.parts.len() >= PARTS => return part(self),
            None => {
                let func = self.function_of(Vec::new(), |s, _| {
                    let answer = part(s);
                    s.b.effect(InstData::Return(Operand::Value(answer)));
                });
                let func = self.keep(of.name(), func);
                self.outline.parts.insert(of, func);
                func
            }
        };
        self.b.value(InstData::CallFunc { func, args: Args::default() }, Type::I64)
    }

    /// Whether what several places ask is a function.
    pub(super) fn shares(&self) -> bool {
        self.outline.shares
    }

    /// What several places ask of an object is code that exists once: a function, if the policy has several kills.
    /// The answer is a number.
    pub(super) fn once(
        &mut self,
        question: Question,
        objects: &[(&str, Value)],
        ask: impl FnOnce(&mut Self, &[Value]) -> Value,
    ) -> Value {
        let values: Vec<Value> = objects.iter().map(|(_, value)| *value).collect();
        if !self.outline.shares {
            return ask(self, &values);
        }
        let func = match self.outline.questions.get(&question) {
            Some(func) => *func,
            None => {
                let tags: Vec<&str> = objects.iter().map(|(tag, _)| *tag).collect();
                // Its cells are its own, and its numbers those of the policy.
                let numbers = self.numbers.take();
                let under_rcu = core::mem::replace(&mut self.under_rcu, true);
                let func = self.lasting(|s| {
                    s.function(&tags, |s, about| {
                        let answer = ask(s, about);
                        s.b.effect(InstData::Return(Operand::Value(answer)));
                    })
                });
                self.numbers = numbers;
                self.under_rcu = under_rcu;
                let func = self.keep(question.name(), func);
                self.outline.questions.insert(question, func);
                func
            }
        };
        self.call_func(func, &values)
    }

    /// Whether a kill takes its cells from the part that all kills use.
    pub(super) fn open_kill(&mut self) {
        if self.outline.large {
            self.open_local();
        }
    }

    /// A function that finds the next candidate of a kill, for a large policy: one for all kills that differ only in
    /// numbers. Those are put into its cells here. None: there are as many such functions as there can be, or the
    /// policy is small.
    pub(super) fn next_of(&mut self, kill: &Kill, next: impl FnOnce(&mut Self, &Walk)) -> Option<FuncRef> {
        if !self.outline.large {
            return None;
        }
        // Marks are a kill's own: a traced build shares nothing.
        let own = self.tracer.is_some().then_some(self.action);
        let (shape, numbers) = Shape::of(self.policy, kill, own);
        let known = self.outline.searches.get(&shape).into_iter().flatten();
        let known = known.into_iter().find(|search| search.serves(&numbers)).cloned();
        let search = match known {
            Some(search) => search,
            None if self.outline.count >= SEARCHES => return None,
            None => self.search(shape, &numbers, next),
        };
        for (at, cell) in &search.cells {
            let number = numbers.get(*at).copied().unwrap_or_default();
            let number = self.int(number);
            self.put(*cell, number);
        }
        self.go_on_behind(search.end);
        Some(search.func)
    }

    /// Makes such a function.
    fn search(&mut self, shape: Shape, numbers: &[i64], next: impl FnOnce(&mut Self, &Walk)) -> Search {
        self.numbers = Some(Vec::new());
        let func = self.function(&[], |s, _| {
            let none = s.b.create_block();
            let tries = Walk { item: s.domain, carried: Vec::new(), next: none, done: none };
            next(s, &tries);
            s.b.effect(InstData::Return(Operand::Imm(PROGRESS)));
            s.b.switch_to(none);
            s.b.effect(InstData::Return(Operand::Imm(NOTHING)));
        });
        let func = self.keep("search", func);
        let mut cells = Vec::new();
        for (cell, expr) in self.numbers.take().unwrap_or_default() {
            cells.extend(shape.place_of(expr).map(|at| (at, cell)));
        }
        let fixed = (0..numbers.len()).filter(|at| !cells.iter().any(|(of, _)| of == at));
        let fixed = fixed.filter_map(|at| Some((at, *numbers.get(at)?))).collect();
        let search = Search { func, cells, fixed, end: self.local_end() };
        self.outline.count += 1;
        self.outline.searches.entry(shape).or_default().push(search.clone());
        search
    }

    /// Asks such a function; goes to `none` if there is no further candidate.
    pub(super) fn call_next(&mut self, func: FuncRef, none: Block) {
        let answer = self.call_func(func, &[]);
        self.leave_if(Cond::Eq, answer, Operand::Imm(NOTHING), none);
    }
}

/// What functions answer that several places ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Whether a `never` on its unit protects an object by itself; with its cgroup, if there are two objects.
    Never(Unit, usize),
    /// Whether one protects a cgroup, or one above it.
    NeverAbove,
    /// Whether one protects something in the group that the kernel would extend a kill to.
    NeverInGroup,
    /// Whether the members of a kill unit forbid a kill, and whether there is somebody to kill.
    Members,
    /// The class that clauses on cgroups give a cgroup.
    ClassAbove,
    /// The class that clauses on its unit give an object; with its cgroup, if there are two objects.
    Class(Unit, usize),
}

/// A loop that is a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Finds the place of a candidate in a ranking.
    Place(Searched),
    /// Finds the place of a cgroup in the row of its level.
    Level(Rows),
    /// Enters the units of a cgroup there.
    Enter(Rows),
    /// What a cgroup cannot give back that is equal to another in all else.
    Unreclaimable,
    /// Whether somebody was refused.
    Refused,
    /// Whether somebody dies with a victim.
    Together,
}

impl Part {
    /// In the symbol of the function.
    fn name(&self) -> &'static str {
        match self {
            Self::Place(_) => "place",
            Self::Level(_) => "level",
            Self::Enter(_) => "enter",
            Self::Unreclaimable => "unreclaimable",
            Self::Refused => "refused",
            Self::Together => "together",
        }
    }
}

impl Question {
    /// In the symbol of the function.
    fn name(self) -> &'static str {
        match self {
            Self::Never(..) => "never",
            Self::NeverAbove => "never_above",
            Self::NeverInGroup => "never_in_group",
            Self::Members => "members",
            Self::ClassAbove => "class_above",
            Self::Class(..) => "class",
        }
    }
}

/// A function that finds candidates.
#[derive(Clone, Debug)]
struct Search {
    func: FuncRef,
    /// The numbers of its shape that it takes from cells, by their places.
    cells: Vec<(usize, Cell)>,
    /// Those that it holds itself.
    fixed: Vec<(usize, i64)>,
    /// Where the cells of one kill go on behind its own.
    end: u32,
}

impl Search {
    /// Whether it can find what a kill of its shape with these numbers wants.
    fn serves(&self, numbers: &[i64]) -> bool {
        self.fixed.iter().all(|(at, number)| numbers.get(*at) == Some(number))
    }
}
