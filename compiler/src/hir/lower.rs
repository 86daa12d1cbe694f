//! AST to HIR: binds names, writes defaults out, and asks [`super::check`] for the types.
//!
//! Declarations are unordered: constants are evaluated first, in the order in which they use each other,
//! then everything else that has a name, then clauses that protect or prefer, then rules. A clause with a mistake is left out; the rest is still checked.

use std::collections::HashMap;

use oomc_abi::fields::{self, FieldId, Owner};
use oomc_abi::raw;
use oomc_abi::resolve::KernelView;

use super::check::Operand;
use super::define::Definitions;
use super::errors;
use super::{
    Action, ActionId, ActionKind, Anchor, ArithOp, ExprKind, Kill, MAX_VICTIMS, Mode, Policy, RATIO_ONE,
    Rule, Subject, Ty, Unit, Until,
};
use crate::diag::Sink;
use crate::resolve::uses::{self, Use};
use crate::resolve::{self, Candidate, Constant, Declared, Scope, What};
use crate::source::{Source, Span};
use crate::syntax::ast::{self, ClauseKind};

/// What is known so far of the policy that is checked.
pub(super) struct Checker<'a> {
    pub(super) policy: Policy,
    pub(super) source: &'a Source,
    pub(super) view: &'a KernelView,
    pub(super) sink: &'a mut Sink,
    pub(super) scope: Scope,
    /// How many quantifiers enclose what is being lowered.
    pub(super) quantifiers: usize,
    /// How many conditions that ask a counter enclose it.
    counted: usize,
    /// What is being lowered is a rule of an `on` block.
    pub(super) in_block: bool,
    /// The names of rules, and where each was given.
    rule_names: HashMap<String, Span>,
    pub(super) definitions: Definitions<'a>,
    /// Members of kernel structures that were found: policies name the same few again and again.
    pub(super) members: HashMap<(&'static str, Vec<String>), raw::Raw>,
}

/// A file of tests for a policy, and where its mistakes go.
#[derive(Debug)]
pub struct Tests<'a> {
    /// What it says.
    pub file: &'a ast::File,
    /// Its text.
    pub source: &'a Source,
    /// Its mistakes.
    pub sink: &'a mut Sink,
}

/// A lowered file.
#[derive(Debug)]
pub struct Lowered {
    /// What it means; what has mistakes is missing.
    pub policy: Policy,
    /// What its names stand for.
    pub uses: Vec<Use>,
    /// What those of the file of tests stand for.
    pub uses_of_tests: Vec<Use>,
}

/// Lowers a file, with the tests of another one.
pub fn lower<'a>(
    file: &'a ast::File,
    source: &'a Source,
    view: &'a KernelView,
    sink: &'a mut Sink,
    tests: Option<Tests<'_>>,
) -> Lowered {
    let mut checker = Checker {
        policy: Policy::default(),
        source,
        view,
        sink,
        scope: Scope::default(),
        quantifiers: 0,
        counted: 0,
        in_block: false,
        rule_names: HashMap::new(),
        definitions: Definitions::default(),
        members: HashMap::new(),
    };
    checker.header(file);
    checker.constants(file);
    checker.declarations(file);
    checker.protections(file);
    checker.rules(file);
    checker.watches(file);
    checker.scenarios(file, source);
    checker.unused();
    let Checker { policy, mut scope, .. } = checker;
    let uses = uses::sorted(std::mem::take(&mut scope.uses));
    let Some(tests) = tests else { return Lowered { policy, uses, uses_of_tests: Vec::new() } };
    let mut checker = Checker {
        policy,
        source: tests.source,
        view,
        sink: tests.sink,
        scope,
        quantifiers: 0,
        counted: 0,
        in_block: false,
        rule_names: HashMap::new(),
        definitions: Definitions::default(),
        members: HashMap::new(),
    };
    checker.only_tests(tests.file);
    let own = std::mem::take(&mut checker.policy.tests);
    checker.scenarios(tests.file, tests.source);
    checker.policy.more_tests = std::mem::replace(&mut checker.policy.tests, own);
    let Checker { policy, scope, .. } = checker;
    Lowered { policy, uses, uses_of_tests: uses::sorted(scope.uses) }
}

pub(super) fn unit(unit: ast::Unit) -> Unit {
    match unit {
        ast::Unit::Process => Unit::Process,
        ast::Unit::Cgroup => Unit::Cgroup,
    }
}

/// What a unit's fields belong to.
pub(crate) fn owner(unit: Unit) -> Owner {
    match unit {
        Unit::Process => Owner::Process,
        Unit::Cgroup => Owner::Cgroup,
    }
}

impl Checker<'_> {
    /// A file of tests holds nothing else.
    fn only_tests(&mut self, file: &ast::File) {
        for clause in &file.clauses {
            if !matches!(clause.kind, ClauseKind::Test(_)) {
                self.sink.push(errors::scenario::clause_among_tests(clause.span));
            }
        }
    }

    /// A field that the language's own rules name.
    pub(super) fn known_field(&mut self, owner: Owner, name: &str) -> Option<FieldId> {
        let field = fields::find(owner, name);
        if field.is_none() {
            self.contradiction(&format!("the field table has no `{name}`"));
        }
        field
    }

    /// What cannot be: tables of the front end say different things.
    pub(super) fn contradiction(&mut self, text: &str) {
        self.sink.push(crate::diag::front_end_failed(text));
    }

    // Header

    fn header(&mut self, file: &ast::File) {
        self.policy.name = stem(&self.source.name).to_owned();
        self.scope.lost.extend(file.lost.iter().map(|name| name.text.clone()));
        let (mut policy, mut mode, mut default, mut budget) = (None, None, None, None);
        for clause in &file.clauses {
            let (first, word) = match &clause.kind {
                ClauseKind::Policy(name) => {
                    if name.text.is_empty() {
                        self.empty(name.span, "the name of the policy is empty");
                    }
                    self.policy.name.clone_from(&name.text);
                    (&mut policy, "policy")
                }
                ClauseKind::Mode(name) => {
                    match name.text.as_str() {
                        "enforce" => self.policy.mode = Mode::Enforce,
                        "audit" => self.policy.mode = Mode::Audit,
                        other => self.sink.push(errors::declare::unknown_mode(other, name.span)),
                    }
                    (&mut mode, "mode")
                }
                ClauseKind::Default(_) => (&mut default, "default"),
                ClauseKind::Budget { .. } => (&mut budget, "budget"),
                _ => continue,
            };
            match *first {
                None => *first = Some(clause.span),
                Some(first) => {
                    let whole = self.source.with_blank(clause.span);
                    self.sink.push(errors::declare::clause_twice(word, clause.span, whole, first));
                }
            }
        }
    }

    pub(super) fn empty(&mut self, span: Span, message: &str) {
        self.sink.push(errors::declare::empty_part(message, span));
    }

    // Constants

    fn constants(&mut self, file: &ast::File) {
        let mut declared: Vec<(&ast::Name, &ast::Expr)> = Vec::new();
        let mut index: HashMap<&str, usize> = HashMap::new();
        for clause in &file.clauses {
            let ClauseKind::Const { name, value } = &clause.kind else { continue };
            if self.shadows(name) {
                self.scope.lost.insert(name.text.clone());
                continue;
            }
            match index.get(name.text.as_str()).and_then(|at| declared.get(*at)) {
                Some((first, _)) => {
                    self.sink.push(errors::declare::declared_twice(name, first.span));
                }
                None => {
                    index.insert(&name.text, declared.len());
                    declared.push((name, value));
                }
            }
        }
        let uses: Vec<Vec<usize>> = declared.iter().map(|(_, value)| references(value, &index)).collect();
        for (name, _) in &declared {
            let constant = Declared { what: What::Constant(None), span: name.span, used: false };
            self.scope.declared.insert(name.text.clone(), constant);
        }
        let (order, cycles) = order(&uses);
        for cycle in cycles {
            self.cycle(&cycle, &declared);
        }
        self.scope.constant_only = true;
        for at in order {
            if self.sink.is_full() {
                break;
            }
            let Some((name, value)) = declared.get(at) else { continue };
            let value = match &value.kind {
                ast::ExprKind::List(items) => self.constant_list(items, value.span),
                _ => self.constant_value(value),
            };
            if let Some(declared) = self.scope.declared.get_mut(&name.text) {
                declared.what = What::Constant(value);
            }
        }
        self.scope.constant_only = false;
    }

    fn constant_value(&mut self, value: &ast::Expr) -> Option<Constant> {
        match self.operand(value)? {
            Operand::Text(text) => Some(Constant::Text(text)),
            Operand::Expr(id) => self.policy.exprs.get(id).and_then(|expr| match expr.kind {
                ExprKind::Int(value) => Some(Constant::Int(expr.ty, value)),
                _ => None,
            }),
        }
    }

    /// The values of a list; one of its mistakes is enough.
    fn constant_list(&mut self, items: &[ast::Expr], span: Span) -> Option<Constant> {
        if items.is_empty() {
            self.sink.push(errors::expr::empty_list(span));
            return None;
        }
        let values: Vec<Option<Constant>> = items.iter().map(|item| self.constant_value(item)).collect();
        values.into_iter().collect::<Option<Vec<Constant>>>().map(Constant::List)
    }

    /// A name of the author's that the language has already.
    pub(super) fn shadows(&mut self, name: &ast::Name) -> bool {
        let taken = resolve::is_language_name(&name.text);
        if taken {
            self.sink.push(errors::declare::shadows(name));
        }
        taken
    }

    fn cycle(&mut self, cycle: &[usize], declared: &[(&ast::Name, &ast::Expr)]) {
        let names: Vec<&ast::Name> =
            cycle.iter().filter_map(|at| declared.get(*at)).map(|(name, _)| *name).collect();
        self.sink.push(errors::declare::cycle(&names));
    }

    fn unused(&mut self) {
        // An error may hide the use.
        if self.sink.has_errors() {
            return;
        }
        let mut unused: Vec<(&String, Span)> = self
            .scope
            .declared
            .iter()
            .filter(|(_, declared)| !declared.used)
            .map(|(name, declared)| (name, declared.span))
            .collect();
        unused.sort_by_key(|(_, span)| *span);
        for (name, span) in unused {
            self.sink.push(errors::declare::unused(name, span));
        }
    }

    /// With one more candidate in scope; also says whether it was called by its name.
    pub(super) fn inside<T>(&mut self, candidate: Candidate, body: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        self.scope.candidates.push(candidate);
        let result = body(self);
        let used = self.scope.candidates.pop().is_some_and(|candidate| candidate.used);
        (result, used)
    }

    // Rules

    fn rules(&mut self, file: &ast::File) {
        let mut default = None;
        for clause in &file.clauses {
            if self.sink.is_full() {
                break;
            }
            match &clause.kind {
                ClauseKind::Rule { name, action } => self.rule(name.as_ref(), action, clause.span),
                ClauseKind::Default(action) => default = Some((action, clause.span)),
                _ => {}
            }
        }
        // What the policy does in the end: deferring is implied.
        if let Some((action, span)) = default
            && let Some(id) = self.action(action)
            && !matches!(action.kind, ast::ActionKind::Defer)
        {
            self.policy.rules.push(Rule { name: "default".to_owned(), action: id, span });
        }
    }

    /// A rule; `line N` if it has no name.
    pub(super) fn rule(&mut self, name: Option<&ast::Text>, action: &ast::Action, span: Span) {
        let name = match name {
            Some(name) => {
                if name.text.is_empty() {
                    self.empty(name.span, "the name of the rule is empty");
                }
                if let Some(first) = self.rule_names.insert(name.text.clone(), name.span) {
                    self.sink.push(errors::declare::two_rules_of_one_name(name, first));
                }
                name.text.clone()
            }
            None => format!("line {}", self.source.line_column(span.start).0),
        };
        match self.action(action) {
            Some(action) => self.policy.rules.push(Rule { name, action, span }),
            None if self.sink.has_errors() => {}
            None => self.contradiction("a rule is left out, and has no mistake"),
        }
    }

    fn push_action(&mut self, kind: ActionKind, span: Span) -> ActionId {
        self.policy.actions.push(Action { kind, span })
    }

    fn action(&mut self, action: &ast::Action) -> Option<ActionId> {
        let span = action.span;
        let kind = match &action.kind {
            ast::ActionKind::If { condition, then, otherwise } => {
                let condition = self.condition(condition, "`if`");
                // What asks a counter is bounded by it.
                let counts = condition.is_some_and(|condition| self.asks_a_counter(condition));
                self.counted += usize::from(counts);
                let then = self.action(then);
                self.counted -= usize::from(counts);
                let otherwise = match otherwise {
                    Some(otherwise) => Some(self.action(otherwise)?),
                    None => None,
                };
                let condition = condition?;
                self.constant_condition(condition, "`if`");
                ActionKind::If { condition, then: then?, otherwise }
            }
            ast::ActionKind::Block(actions) => return self.block(actions, span),
            ast::ActionKind::Or(actions) => {
                let ids: Vec<Option<ActionId>> = actions.iter().map(|action| self.action(action)).collect();
                let mut chain: Option<(ActionId, Span)> = None;
                for (id, action) in ids.into_iter().zip(actions).rev() {
                    let id = id?;
                    chain = Some(match chain {
                        None => (id, action.span),
                        Some((rest, rest_span)) => {
                            let span = action.span.to(rest_span);
                            (self.push_action(ActionKind::Or(id, rest), span), span)
                        }
                    });
                }
                return chain.map(|(id, _)| id);
            }
            ast::ActionKind::Kill { .. } => return self.kill(&action.kind, span),
            ast::ActionKind::Reclaim(amount) => {
                self.only_in_block("reclaim", span)?;
                ActionKind::Reclaim(self.amount(amount, Some("usage"))?)
            }
            ast::ActionKind::RaiseLimit { amount, up_to } => {
                let by = self.amount(amount, Some("own_limit"));
                let up_to = match up_to {
                    Some(up_to) => Some(self.amount(up_to, None)?),
                    None if self.counted > 0 => None,
                    None => {
                        self.sink.push(errors::action::unbounded_rise(span));
                        None
                    }
                };
                let by = by?;
                self.rises(by, span);
                ActionKind::RaiseLimit { by, up_to }
            }
            ast::ActionKind::Wait => ActionKind::Wait,
            ast::ActionKind::Defer => ActionKind::Defer,
            ast::ActionKind::Notify(text) => ActionKind::Notify(self.message(text)?),
            ast::ActionKind::Count(name) => ActionKind::Count(self.state_named(name)?),
        };
        Some(self.push_action(kind, span))
    }

    fn kill(&mut self, kill: &ast::ActionKind, span: Span) -> Option<ActionId> {
        let ast::ActionKind::Kill { selection: written, now, until, grace, reason } = kill else {
            self.contradiction("a kill is none");
            return None;
        };
        let selection = self.selection_with(written, |lower| match reason {
            Some(text) => lower.message(text).map(Some),
            None => Some(None),
        });
        let all = written.rank.is_some_and(|(rank, _)| rank == ast::Rank::All);
        let until = match until {
            Some(until) => Some(self.until(until, all)?),
            None => None,
        };
        let grace = match grace {
            Some(grace) => {
                self.only_in_block("grace", grace.span)?;
                Some(self.time(grace)?)
            }
            None => None,
        };
        let (selection, reason) = selection?;
        Some(self.push_action(ActionKind::Kill(Kill { selection, now: *now, until, grace, reason }), span))
    }

    fn until(&mut self, until: &ast::Until, all: bool) -> Option<Until> {
        let freed = self.amount(&until.freed, None);
        if all {
            self.sink.push(errors::action::until_of_all(until.freed.span));
            return None;
        }
        let at_most = match &until.at_most.kind {
            ast::ExprKind::Number(literal) if literal.kind == crate::syntax::literal::Kind::Count => {
                u8::try_from(literal.value).ok()
            }
            ast::ExprKind::Broken => return None,
            _ => None,
        };
        let Some(at_most) = at_most.filter(|most| (1..=MAX_VICTIMS).contains(most)) else {
            self.sink.push(errors::action::until_without_end(until.at_most.span));
            return None;
        };
        Some(Until { freed: freed?, at_most })
    }

    /// Whether a condition asks a counter of the OOM'ing cgroup.
    fn asks_a_counter(&self, condition: super::ExprId) -> bool {
        let Some(expr) = self.policy.exprs.get(condition) else { return false };
        matches!(expr.kind, ExprKind::Counter(Subject::Anchor(Anchor::Cgroup), _))
            || expr.kind.operands().into_iter().any(|operand| self.asks_a_counter(operand))
    }

    /// Warns of a rise that is never progress.
    fn rises(&mut self, by: super::ExprId, span: Span) {
        let least = RATIO_ONE / 100;
        let small = match self.policy.exprs.get(by).map(|expr| &expr.kind) {
            Some(ExprKind::Int(bytes)) => *bytes <= 0,
            Some(ExprKind::Arith(ArithOp::Mul, base, ratio)) => {
                let own = matches!(self.policy.exprs.get(*base).map(|base| &base.kind),
                    Some(ExprKind::Field(Subject::Anchor(Anchor::Cgroup), field)) if field.row().name == "own_limit");
                let ratio_of = self.policy.exprs.get(*ratio).is_some_and(|ratio| ratio.ty == Ty::Ratio);
                own && ratio_of && self.constant(*ratio).is_some_and(|ratio| ratio < least)
            }
            _ => false,
        };
        if small {
            self.sink.push(errors::action::no_rise(span));
        }
    }

    fn block(&mut self, actions: &[ast::Action], span: Span) -> Option<ActionId> {
        if actions.is_empty() {
            self.empty(span, "a block without an action does nothing");
            return None;
        }
        let mut good = true;
        for (at, action) in actions.iter().enumerate() {
            let first = actions.first().filter(|_| at > 0);
            if let (Some(first), Some(defer)) = (first, defers(action)) {
                self.sink.push(errors::action::defers_behind_action(defer, first.span));
                good = false;
            } else if matches!(action.kind, ast::ActionKind::Defer)
                && let Some(next) = actions.get(at + 1)
            {
                self.sink.push(errors::action::nothing_behind_defer(next.span, action.span));
                good = false;
                break;
            }
        }
        let ids: Vec<Option<ActionId>> = actions.iter().map(|action| self.action(action)).collect();
        let ids: Vec<ActionId> = ids.into_iter().collect::<Option<_>>()?;
        if good { Some(self.push_action(ActionKind::Block(ids), span)) } else { None }
    }

    pub(super) fn constant_condition(&mut self, condition: super::ExprId, place: &str) {
        if let (Some(value), Some(expr)) = (self.constant(condition), self.policy.exprs.get(condition)) {
            let always = if value == 0 { "false" } else { "true" };
            self.sink.push(errors::action::constant_condition(place, always, expr.span));
        }
    }
}

/// The file's name without its folder and its end.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = file.strip_suffix(".oom").unwrap_or(file);
    if stem.is_empty() { "policy" } else { stem }
}

/// Where an action defers, if it does.
fn defers(action: &ast::Action) -> Option<Span> {
    match &action.kind {
        ast::ActionKind::Defer => Some(action.span),
        ast::ActionKind::If { then, otherwise, .. } => {
            defers(then).or_else(|| otherwise.as_deref().and_then(defers))
        }
        ast::ActionKind::Block(actions) | ast::ActionKind::Or(actions) => actions.iter().find_map(defers),
        ast::ActionKind::Kill { .. }
        | ast::ActionKind::RaiseLimit { .. }
        | ast::ActionKind::Reclaim(_)
        | ast::ActionKind::Wait
        | ast::ActionKind::Notify(_)
        | ast::ActionKind::Count(_) => None,
    }
}

/// The constants that an expression names.
fn references(expr: &ast::Expr, index: &HashMap<&str, usize>) -> Vec<usize> {
    fn walk(expr: &ast::Expr, index: &HashMap<&str, usize>, found: &mut Vec<usize>) {
        match &expr.kind {
            ast::ExprKind::Path(path) => {
                if let [name] = path.segments.as_slice() {
                    found.extend(index.get(name.text.as_str()));
                }
            }
            ast::ExprKind::List(items) => items.iter().for_each(|item| walk(item, index, found)),
            ast::ExprKind::Paren(inner) | ast::ExprKind::Not(inner) | ast::ExprKind::Minus(inner) => {
                walk(inner, index, found);
            }
            ast::ExprKind::Binary(_, left, right) => {
                walk(left, index, found);
                walk(right, index, found);
            }
            // What it asks is no constant, wherever it stands.
            ast::ExprKind::Choice(parts) => parts.iter().for_each(|part| walk(part, index, found)),
            ast::ExprKind::Quantifier(_)
            | ast::ExprKind::Rate(_)
            | ast::ExprKind::Growth(..)
            | ast::ExprKind::Has(..)
            | ast::ExprKind::Number(_)
            | ast::ExprKind::Text(_)
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Broken => {}
        }
    }
    let mut found = Vec::new();
    walk(expr, index, &mut found);
    found
}

/// An order in which each comes after those that it uses, without those on a cycle; and the cycles.
///
/// Without recursion: a chain may be as long as the file.
fn order(uses: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; uses.len()];
    let (mut order, mut cycles) = (Vec::new(), Vec::new());
    let mut circular = vec![false; uses.len()];
    for root in 0..uses.len() {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        if marks.get(root) != Some(&Mark::New) {
            continue;
        }
        set(&mut marks, root, Mark::Open);
        while let Some((at, next)) = path.last().copied() {
            let used = uses.get(at).and_then(|uses| uses.get(next)).copied();
            let Some(used) = used else {
                path.pop();
                set(&mut marks, at, Mark::Done);
                if circular.get(at) == Some(&false) {
                    order.push(at);
                }
                continue;
            };
            if let Some(last) = path.last_mut() {
                last.1 += 1;
            }
            match marks.get(used) {
                Some(Mark::New) => {
                    set(&mut marks, used, Mark::Open);
                    path.push((used, 0));
                }
                Some(Mark::Open) => {
                    let members: Vec<usize> =
                        path.iter().map(|(at, _)| *at).skip_while(|member| *member != used).collect();
                    for member in &members {
                        set(&mut circular, *member, true);
                    }
                    cycles.push(members);
                }
                _ => {}
            }
        }
    }
    (order, cycles)
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}
