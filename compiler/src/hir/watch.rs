//! `on` blocks: which events can be watched, what only such a block can say, and the budget of its kills.
//!
//! Takes clauses of the AST, gives blocks of the policy and the rules in them. What an event, a sample and a budget are
//! is [`oomc_abi::watch`]'s; how a rule is checked stands in [`super::lower`].

use oomc_abi::fields::{self, FieldId, Measure, Owner, Recipe};
use oomc_abi::members;
use oomc_abi::watch::{Amount, Average, Budget, Course, Event, MAX_BLOCKS, MAX_SAMPLES, WINDOWS};

use super::check::ty_of;
use super::errors;
use super::lower::Checker;
use super::{ExprId, ExprKind, RATIO_ONE, Sample, Ty, WatchBlock};
use crate::resolve::Resolved;
use crate::source::Span;
use crate::syntax::ast::{self, ClauseKind, Watched};
use crate::syntax::literal::Kind;

impl<'a> Checker<'a> {
    /// The blocks of a file, with their rules behind those that stand outside, and the budget.
    pub(super) fn watches(&mut self, file: &'a ast::File) {
        let mut budget = None;
        for clause in &file.clauses {
            if self.sink.is_full() {
                break;
            }
            match &clause.kind {
                ClauseKind::Watch(watch) => self.watch(watch, clause.span),
                ClauseKind::Budget { kills, per } => {
                    budget = Some(clause.span);
                    self.policy.budget = self.budget(kills, per);
                }
                _ => {}
            }
        }
        self.no_members_of_the_event();
        let blocks = file.clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Watch(_)));
        if let Some(span) = budget.filter(|_| !blocks && !self.sink.has_errors()) {
            self.sink.push(errors::watch::budget_of_nothing(span));
        }
    }

    /// Whoever asks has no structure of an event.
    fn no_members_of_the_event(&mut self) {
        let named = self.policy.exprs.values().find(|expr| {
            matches!(&expr.kind, ExprKind::Raw(_, raw)
                if self.policy.raws.get(*raw).is_some_and(|raw| raw.container == members::EVENT))
        });
        let span = named.map(|expr| expr.span).filter(|_| !self.policy.blocks.is_empty());
        if let Some(span) = span {
            self.sink.push(errors::watch::names_the_event(span));
        }
    }

    fn watch(&mut self, watch: &'a ast::Watch, span: Span) {
        let event = self.watched(&watch.event);
        let lasting = watch.lasting.as_ref().map(|time| self.time(time));
        let cooldown = watch.cooldown.as_ref().map(|time| self.time(time));
        if watch.rules.is_empty() {
            self.empty(span, "an `on` block without a rule does nothing");
        }
        let first = self.policy.rules.len();
        self.in_block = true;
        for rule in &watch.rules {
            self.rule(rule.name.as_ref(), &rule.action, rule.span);
        }
        self.in_block = false;
        let rules = first..self.policy.rules.len();
        if self.policy.blocks.len() == MAX_BLOCKS {
            self.sink.push(errors::watch::too_many_blocks(span));
            return;
        }
        let (Some(event), Some(lasting), Some(cooldown)) = (event, transposed(lasting), transposed(cooldown))
        else {
            return;
        };
        let lasting = lasting.unwrap_or(0);
        self.policy.blocks.push(WatchBlock { event, lasting, cooldown, rules, span });
    }

    fn watched(&mut self, event: &Watched) -> Option<Event> {
        Some(match event {
            Watched::Average { full, window, above } => {
                let average = Average::ALL.into_iter().find(|known| known.word() == window.text);
                if average.is_none() {
                    self.contradiction("an average of pressure over no time");
                }
                let share = self.known_as(above, Ty::Ratio)?;
                self.below_whole(share, above.span)?;
                Event::Pressure { full: *full, average: average?, above: share }
            }
            Watched::Stall { full, above, per } => {
                let (stall, window) = (self.known_as(above, Ty::Duration), self.known_as(per, Ty::Duration));
                let (stall, window) = (stall?, window?);
                if !WINDOWS.contains(&window) {
                    self.sink.push(errors::watch::no_window(per.span));
                    return None;
                }
                if !(1..=window).contains(&stall) {
                    self.sink.push(errors::watch::more_stall_than_time(above.span, per.span));
                    return None;
                }
                Event::Stall { full: *full, above: stall, per: window }
            }
            Watched::Usage(above) => Event::Usage(self.threshold("usage", above)?),
            Watched::Swap(above) => Event::Swap(self.threshold("swap", above)?),
            Watched::Limit => Event::Limit,
        })
    }

    /// A share of the limit, or bytes.
    fn threshold(&mut self, word: &str, above: &ast::Expr) -> Option<Amount> {
        match self.known(above)? {
            (Ty::Ratio, share) => {
                self.below_whole(share, above.span)?;
                Some(Amount::Share(share))
            }
            (Ty::Bytes, bytes) if bytes >= 0 => Some(Amount::Bytes(bytes)),
            (ty, value) => {
                self.sink.push(errors::watch::no_threshold(word, ty, value, above.span));
                None
            }
        }
    }

    /// What is never above the whole is watched in vain.
    fn below_whole(&mut self, share: i64, span: Span) -> Option<()> {
        if (0..RATIO_ONE).contains(&share) {
            return Some(());
        }
        self.sink.push(errors::watch::above_the_whole(span));
        None
    }

    /// A time that is known when the policy is built, and not negative.
    pub(super) fn time(&mut self, time: &ast::Expr) -> Option<i64> {
        let known = self.known_as(time, Ty::Duration)?;
        if known < 0 {
            self.sink.push(errors::watch::negative_time(time.span));
            return None;
        }
        Some(known)
    }

    fn budget(&mut self, kills: &ast::Expr, per: &ast::Expr) -> Option<Budget> {
        let per_time = self.time(per);
        let number = match &kills.kind {
            ast::ExprKind::Number(literal) if literal.kind == Kind::Count => {
                u64::try_from(literal.value).ok()
            }
            ast::ExprKind::Broken => return None,
            _ => None,
        };
        let Some(kills) = number.filter(|number| *number > 0) else {
            self.sink.push(errors::watch::no_number_of_kills(kills.span));
            return None;
        };
        let per_time = per_time?;
        if per_time == 0 {
            self.sink.push(errors::watch::negative_time(per.span));
            return None;
        }
        Some(Budget { kills, per: per_time })
    }

    /// Whether something stands in an `on` block; an error otherwise.
    pub(super) fn only_in_block(&mut self, word: &str, span: Span) -> Option<()> {
        if self.in_block {
            return Some(());
        }
        self.sink.push(errors::watch::only_in_block(word, span));
        None
    }

    /// `rate(pgscan)`, `growth(usage, 30s)`
    pub(super) fn sampled(
        &mut self,
        path: &ast::Path,
        window: Option<&ast::Expr>,
        span: Span,
    ) -> Option<ExprId> {
        let word = if window.is_some() { "growth" } else { "rate" };
        self.only_in_block(word, span)?;
        let course = match window {
            None => Course::Rate,
            Some(window) => match self.time(window)? {
                0 => {
                    self.sink.push(errors::watch::negative_time(window.span));
                    return None;
                }
                time => Course::Growth(time),
            },
        };
        let (subject, field) = match self.scope.resolve(path) {
            Ok(Resolved::Field(subject, field)) => (subject, field),
            Ok(Resolved::Reported) => return None,
            Ok(_) => {
                self.sink.push(errors::watch::not_sampled(word, &path.text(), path.span));
                return None;
            }
            Err(diagnostic) => {
                self.sink.push(diagnostic);
                return None;
            }
        };
        if !can_be_sampled(field, course) {
            self.sink.push(errors::watch::not_sampled(word, &path.text(), path.span));
            return None;
        }
        let row = field.row();
        let name = if row.owner == Owner::Process { "pid" } else { "id" };
        let of = self.known_field(row.owner, name)?;
        let of = self.push(ExprKind::Field(subject, of), Ty::Count, span);
        let sample = self.sample(field, course, span)?;
        let ty = if course == Course::Rate { Ty::Count } else { ty_of(row.unit) };
        Some(self.push(ExprKind::Sample(sample, of), ty, span))
    }

    fn sample(&mut self, field: FieldId, course: Course, span: Span) -> Option<super::SampleId> {
        let known =
            self.policy.samples.iter().find(|(_, known)| known.field == field && known.course == course);
        if let Some((id, _)) = known {
            return Some(id);
        }
        if self.policy.samples.len() == MAX_SAMPLES {
            self.sink.push(errors::watch::too_many_samples(span));
            return None;
        }
        Some(self.policy.samples.push(Sample { field, course }))
    }
}

/// Whether whoever asks can look at a field again and again: counters of a cgroup for a rate, amounts of memory that
/// files of the kernel tell for growth.
#[must_use]
pub fn can_be_sampled(field: FieldId, course: Course) -> bool {
    let row = field.row();
    match (course, row.owner) {
        (Course::Rate, Owner::Cgroup) => {
            matches!(row.recipe, Recipe::VmEvents(_) | Recipe::MemoryEvents(_))
                || matches!(row.recipe, Recipe::Stat(_)) && row.unit == Measure::Count
        }
        (Course::Growth(_), Owner::Cgroup) => {
            row.unit == Measure::Bytes
                && (matches!(row.recipe, Recipe::Stat(_)) || matches!(row.name, "usage" | "swap"))
        }
        (Course::Growth(_), Owner::Process) => {
            row.unit == Measure::Bytes && PROCESS_AMOUNTS.contains(&row.name)
        }
        _ => false,
    }
}

/// Amounts of a process that its `status` tells.
const PROCESS_AMOUNTS: [&str; 7] = ["rss", "anon", "file", "shmem", "swap", "pgtables", "footprint"];

/// The fields that can be looked at again and again, for a message.
pub(super) fn sampled_fields(rate: bool) -> String {
    let course = if rate { Course::Rate } else { Course::Growth(1) };
    let all = fields::all().filter(|field| can_be_sampled(*field, course));
    let mut names: Vec<String> = all.map(|field| format!("`{}`", field.row().name)).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.join(", ")
}

/// A mistake, or what may be there or not.
fn transposed<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}
