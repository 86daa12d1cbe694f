//! Actions: each ends in progress or no progress.

use oomc_abi::record::{Action, End, MAX_CANDIDATES};
use oomc_compiler::hir::{
    ActionId, ActionKind, BinderId, ExprId, ExprKind, Kill, Message, Part, Rule, Selection, Subject, Unit,
};

use crate::machine::ProcessIndex;
use crate::scope::{Object, Scope};
use crate::value::clamp;
use crate::{Call, Oracle, kernel};

/// The policy ends at once.
pub(crate) struct Deferred;

/// Whether an action made progress.
type Outcome = Result<bool, Deferred>;

/// Candidates of one selection that are tried: what the kernel refuses was tested before.
const TRIES: usize = 32;

impl Oracle<'_> {
    /// A rule, and the picks that it uses.
    pub(crate) fn rule(&mut self, rule: &Rule) -> Outcome {
        let picks = self.picks_of(&self.subjects_of_rule(rule.action));
        for pick in &picks {
            if !self.picks.contains_key(pick) {
                let chosen = self.choose(*pick);
                self.picks.insert(*pick, chosen);
            }
        }
        self.act(rule.action)
    }

    fn act(&mut self, action: ActionId) -> Outcome {
        let policy = self.policy;
        let Some(kind) = policy.actions.get(action).map(|action| &action.kind) else { return Ok(false) };
        match kind {
            ActionKind::If { condition, then, otherwise } => {
                if self.is_true(None, *condition) {
                    if self.act(*then)? {
                        return Ok(true);
                    }
                } else if otherwise.is_none() {
                    self.end(End::NotTrue);
                }
                match otherwise {
                    Some(otherwise) => self.act(*otherwise),
                    None => Ok(false),
                }
            }
            ActionKind::Or(first, second) => Ok(self.act(*first)? || self.act(*second)?),
            ActionKind::Block(actions) => self.block(actions),
            ActionKind::Kill(kill) => self.kill(kill),
            ActionKind::RaiseLimit { by, up_to } => Ok(self.raise(*by, *up_to)),
            ActionKind::Reclaim(bytes) => Ok(self.reclaim(*bytes)),
            ActionKind::Wait => {
                let waits = self.wait()?;
                self.end(End::NoVictim);
                Ok(waits)
            }
            ActionKind::Defer => {
                self.end(End::Deferred);
                self.decision.action = Action::Defer;
                self.decision.rule = Some(self.rule);
                Err(Deferred)
            }
            ActionKind::Notify(message) => {
                self.end(End::Quiet);
                self.decision.notice = Some(self.message(None, message));
                Ok(false)
            }
            ActionKind::Count(state) => {
                self.end(End::Quiet);
                self.count(*state);
                Ok(false)
            }
        }
    }

    /// `count` and `notify` run if something before them made progress, or if nothing else stands before them.
    fn block(&mut self, actions: &[ActionId]) -> Outcome {
        let (mut progress, mut acted) = (false, false);
        for action in actions {
            let kind = self.policy.actions.get(*action).map(|action| &action.kind);
            let quiet = matches!(kind, Some(ActionKind::Notify(_) | ActionKind::Count(_)));
            if quiet && acted && !progress {
                continue;
            }
            acted |= !quiet;
            progress |= self.act(*action)?;
        }
        Ok(progress)
    }

    /// Progress if a victim is in flight that the kernel hurries on. If there are only others, the policy ends:
    /// another victim would be one too many.
    fn wait(&mut self) -> Outcome {
        let victims = self.in_flight();
        let Some(victim) = victims.iter().copied().find(|at| kernel::can_be_hurried(&self.machine, *at))
        else {
            if victims.is_empty() {
                return Ok(false);
            }
            self.end(End::Deferred);
            return Err(Deferred);
        };
        if !self.settings.audit {
            self.decision.calls.push(Call::Wait(self.machine.process(victim).pid));
            // Whoever asks only hurries the memory back: nobody is chosen by that.
            if self.asking.trigger == "oom" {
                let domain = self.domain();
                let done = kernel::kill(&mut self.machine, domain, victim);
                assert_eq!(done, Ok(()), "the kernel hurries on whom it can");
            }
        }
        self.decision.action = Action::Wait;
        Ok(true)
    }

    /// Progress if at least a tenth came back.
    fn reclaim(&mut self, bytes: ExprId) -> bool {
        let Some(wanted) = self.value(None, bytes) else {
            self.end(End::Missing);
            return false;
        };
        self.end(End::TooLittle);
        if wanted <= 0 {
            return false;
        }
        if !self.settings.audit {
            self.decision.calls.push(Call::Reclaim(wanted));
            let domain = self.domain();
            let back = self.machine.reclaim(domain, wanted);
            if i128::from(back) * 10 < i128::from(wanted) || back <= 0 {
                return false;
            }
        }
        self.decision.action = Action::Reclaim;
        self.decision.expected = wanted;
        true
    }

    /// Whether a kill of a block may kill at all.
    fn is_free(&mut self, kill: &Kill) -> bool {
        if self.asking.block == 0 {
            return true;
        }
        if self.policy.budget.is_some() && self.kills_left == Some(0) {
            self.end(End::OverBudget);
            return false;
        }
        // Until the memory of the last victim is back, nobody else has to die.
        if self.asking.memory_expected && !kill.now {
            self.end(End::Expected);
            return false;
        }
        true
    }

    fn kill(&mut self, kill: &Kill) -> Outcome {
        let selection = &kill.selection;
        if !self.is_free(kill) {
            return Ok(false);
        }
        if let Subject::Pick(pick) = selection.place.of()
            && self.picks.get(&pick).copied().flatten().is_none()
        {
            self.end(End::NothingPicked);
            return Ok(false);
        }
        if !kill.now && self.wait()? {
            return Ok(true);
        }
        self.end(End::NoCandidate);
        let enough = kill.until.map(|until| self.value(None, until.freed));
        let most = match kill.until {
            _ if selection.all => usize::MAX,
            Some(until) => until.at_most.into(),
            None => 1,
        };
        // The ranking is made once.
        let mut left = self.candidates(selection, true);
        let kept = kill.until.map_or(MAX_CANDIDATES, |until| MAX_CANDIDATES.max(until.at_most.into()));
        let tries = if selection.all { left.len() } else { TRIES };
        if selection.all {
            self.decision.order_decides |= self.asks_who_else_is_dying(selection);
            self.decision.in_any_order |= left.len() > 1 || self.decision.order_decides;
        } else {
            self.decision.candidates = left.iter().take(MAX_CANDIDATES).cloned().collect();
        }
        let (mut victims, mut freed, mut tried) = (0, 0_i128, 0);
        while !left.is_empty() && tried < tries {
            let candidate = left.remove(0);
            // Once somebody died, those that were kept are all that are tried.
            if victims > 0 && tried >= kept && !selection.all {
                break;
            }
            tried += 1;
            // It may have died with one before it.
            if !self.settings.audit && !self.is_alive(candidate.object) {
                continue;
            }
            let expected = match candidate.object {
                Object::Process(process) => self.process_field(process, "footprint"),
                Object::Cgroup(cgroup) => self.cgroup_field(cgroup, "usage"),
                Object::Event => None,
            };
            let reason = kill.reason.as_ref().filter(|_| victims == 0).map(|message| {
                let scope = Scope { binder: selection.binder, object: candidate.object, outer: None };
                self.message(Some(&scope), message)
            });
            if reason.is_some() {
                self.decision.reason = reason;
            }
            if !self.strike(candidate.object) {
                self.end(End::Refused);
                continue;
            }
            victims += 1;
            freed += i128::from(expected.unwrap_or(0));
            // Where the amount is missing, one victim is what can be justified.
            let is_enough = enough.is_some_and(|enough| freed >= i128::from(enough.unwrap_or(0)));
            if !selection.all && (victims >= most || is_enough) {
                break;
            }
        }
        if victims == 0 {
            return Ok(false);
        }
        if !self.settings.audit {
            self.kills_left = self.kills_left.map(|left| left.saturating_sub(1));
        }
        self.decision.expected = clamp(freed);
        self.decision.action = match (kill.selection.all, kill.selection.unit) {
            (true, _) => Action::KillAll,
            (false, Unit::Process) => Action::KillProcess,
            (false, Unit::Cgroup) => Action::KillCgroup,
        };
        Ok(true)
    }

    /// Whether what a kill asks of a candidate depends on who else is dying.
    fn asks_who_else_is_dying(&self, selection: &Selection) -> bool {
        let nevers = self.policy.nevers.iter().map(|never| (never.condition, never.binder));
        let filter = selection.filter.map(|filter| (filter, selection.binder));
        nevers.chain(filter).any(|(condition, own)| self.asks_dying(condition, own))
    }

    fn asks_dying(&self, expr: ExprId, own: BinderId) -> bool {
        let Some(expr) = self.policy.exprs.get(expr) else { return false };
        let here = match &expr.kind {
            ExprKind::Field(subject, field) => {
                field.row().name == "dying" && *subject != Subject::Candidate(own)
            }
            _ => false,
        };
        here || expr.kind.operands().into_iter().any(|operand| self.asks_dying(operand, own))
    }

    fn is_alive(&self, object: Object) -> bool {
        match object {
            Object::Process(process) => !crate::read::is_dying(self.machine.process(process)),
            Object::Cgroup(cgroup) => !self.members(cgroup).is_empty(),
            Object::Event => false,
        }
    }

    /// Kills a process, or every process of a cgroup; whether somebody died.
    fn strike(&mut self, object: Object) -> bool {
        let victims: Vec<ProcessIndex> = match object {
            Object::Process(process) => vec![process],
            Object::Cgroup(cgroup) => self.members(cgroup),
            Object::Event => Vec::new(),
        };
        self.decision.victims.push(match object {
            Object::Process(process) => self.machine.process(process).pid,
            Object::Cgroup(cgroup) => self.machine.cgroup(cgroup).id,
            Object::Event => 0,
        });
        if self.settings.audit {
            self.decision.killed += victims.len() as u64;
            return !victims.is_empty();
        }
        self.decision.members_in_any_order |= victims.len() > 1;
        let domain = self.domain();
        let mut died = false;
        for victim in victims {
            // In a unit, one kill may have taken the next.
            if crate::read::is_dying(self.machine.process(victim)) {
                continue;
            }
            self.decision.calls.push(Call::Kill(self.machine.process(victim).pid));
            if kernel::kill(&mut self.machine, domain, victim).is_ok() {
                self.decision.killed += 1;
                died = true;
            }
        }
        died
    }

    /// Raises the limit of the OOM'ing cgroup; whether it really rose.
    fn raise(&mut self, by: ExprId, up_to: Option<ExprId>) -> bool {
        self.end(End::NoRoom);
        let Some(domain) = self.event.cgroup else { return false };
        let Some(own) = self.machine.cgroup(domain).max else { return false };
        let own = own * self.machine.page;
        let Some(by) = self.value(None, by) else { return false };
        let mut bounds =
            vec![clamp(i128::from(own) + i128::from(by.max(0))), self.machine.memory * self.machine.page];
        if let Some(up_to) = up_to {
            let Some(bound) = self.value(None, up_to) else { return false };
            bounds.push(bound);
        }
        // What an ancestor with a limit can still carry.
        for above in self.machine.ancestors(domain).skip(1) {
            if let Some(limit) = self.machine.cgroup(above).max {
                let usage = self.machine.sum(above, |own| own.charged);
                bounds.push(own + (limit - usage).max(0) * self.machine.page);
            }
        }
        let Some(wanted) = bounds.into_iter().min() else { return false };
        let limit = wanted.max(0) / self.machine.page * self.machine.page;
        let gain = i128::from(limit) - i128::from(own);
        if gain <= 0 || gain * 100 < i128::from(own) {
            return false;
        }
        if !self.settings.audit {
            self.decision.calls.push(Call::Raise(limit));
            if let Some(cgroup) = self.machine.cgroups.get_mut(domain) {
                cgroup.max = Some(limit / self.machine.page);
            }
        }
        self.decision.action = Action::RaiseLimit;
        self.decision.expected = clamp(gain);
        self.decision.limit = Some(limit);
        true
    }

    fn message(&self, scope: Option<&Scope<'_>>, message: &Message) -> Vec<Option<String>> {
        let values = message.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(*value),
            Part::Text(_) => None,
        });
        values.map(|value| self.shown(scope, value)).collect()
    }

    /// Why a rule makes no progress, should it end here.
    fn end(&mut self, end: End) {
        if let Some(last) = self.decision.ends.get_mut(self.rule) {
            *last = end;
        }
    }
}

/// Which subjects a rule names.
impl Oracle<'_> {
    /// All subjects of a rule; where it kills, those of the clauses that every kill asks, too.
    fn subjects_of_rule(&self, action: ActionId) -> Vec<Subject> {
        let mut found = Vec::new();
        self.subjects_of_action(action, &mut found);
        found
    }

    fn subjects_of_action(&self, action: ActionId, found: &mut Vec<Subject>) {
        let policy = self.policy;
        let Some(kind) = policy.actions.get(action).map(|action| &action.kind) else { return };
        match kind {
            ActionKind::If { condition, then, otherwise } => {
                self.subjects_of(*condition, found);
                for action in [Some(*then), *otherwise].into_iter().flatten() {
                    self.subjects_of_action(action, found);
                }
            }
            ActionKind::Block(actions) => {
                actions.iter().for_each(|action| self.subjects_of_action(*action, found));
            }
            ActionKind::Or(first, second) => {
                [first, second].into_iter().for_each(|action| self.subjects_of_action(*action, found));
            }
            ActionKind::Kill(kill) => {
                found.extend(self.subjects_of_selection(&kill.selection));
                let nevers = policy.nevers.iter().map(|never| never.condition);
                let preferences = policy.preferences.iter().map(|preference| preference.condition);
                let until = kill.until.iter().map(|until| until.freed);
                let reason = kill.reason.iter().flat_map(Message::values);
                nevers.chain(preferences).chain(until).chain(reason).for_each(|e| self.subjects_of(e, found));
            }
            ActionKind::RaiseLimit { by, up_to } => {
                [Some(*by), *up_to].into_iter().flatten().for_each(|e| self.subjects_of(e, found));
            }
            ActionKind::Reclaim(bytes) => self.subjects_of(*bytes, found),
            ActionKind::Notify(message) => message.values().for_each(|e| self.subjects_of(e, found)),
            ActionKind::Wait | ActionKind::Defer | ActionKind::Count(_) => {}
        }
    }

    /// All subjects of a selection.
    pub(crate) fn subjects_of_selection(&self, selection: &Selection) -> Vec<Subject> {
        let mut found = vec![selection.place.of()];
        let keys = selection.keys.iter().map(|key| key.expr);
        keys.chain(selection.filter).for_each(|expr| self.subjects_of(expr, &mut found));
        found
    }

    fn subjects_of(&self, expr: ExprId, found: &mut Vec<Subject>) {
        let Some(expr) = self.policy.exprs.get(expr) else { return };
        match &expr.kind {
            ExprKind::Field(subject, _)
            | ExprKind::Raw(subject, _)
            | ExprKind::Label(subject, _)
            | ExprKind::Counter(subject, _) => found.push(*subject),
            ExprKind::Quantifier(quantifier) => found.push(quantifier.place.of()),
            _ => {}
        }
        expr.kind.operands().into_iter().for_each(|operand| self.subjects_of(operand, found));
    }
}
