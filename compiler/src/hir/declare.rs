//! Declarations: params, labels, states, picks, and the clauses that protect or prefer.
//!
//! Takes clauses of the AST, gives rows of the policy. What is declared wrongly is remembered as lost, so that
//! its uses are no mistakes of their own.

use oomc_abi::fields::Owner;

use super::check::Operand;
use super::errors;
use super::lower::{Checker, unit};
use super::{
    BinderId, ExprId, ExprKind, Label, Never, Param, Pattern, Pick, Preference, State, Trust, Ty, Unit,
};
use crate::diag::Fix;
use crate::resolve::{Candidate, Declared, What};
use crate::source::Span;
use crate::syntax::ast::{self, ClauseKind};

impl<'a> Checker<'a> {
    /// Params, labels and states, which expressions name; then definitions, then picks, in the order written.
    pub(super) fn declarations(&mut self, file: &'a ast::File) {
        for clause in &file.clauses {
            if self.sink.is_full() {
                break;
            }
            let name = match &clause.kind {
                ClauseKind::Param { name, .. }
                | ClauseKind::Label { name, .. }
                | ClauseKind::State { name, .. } => name,
                _ => continue,
            };
            if !self.free(name) {
                continue;
            }
            let what = match &clause.kind {
                ClauseKind::Param { value, range, .. } => {
                    self.param(name, value, range.as_ref(), clause.span).map(What::Param)
                }
                ClauseKind::Label { ty, value, trust, .. } => {
                    self.label(name, ty, value, trust.as_ref()).map(What::Label)
                }
                ClauseKind::State { resets, .. } => self.state(name, resets.as_ref()).map(What::State),
                _ => None,
            };
            self.declare(name, what);
        }
        self.define(file);
        for clause in &file.clauses {
            if self.sink.is_full() {
                break;
            }
            let ClauseKind::Pick { name, selection } = &clause.kind else { continue };
            if !self.free(name) {
                continue;
            }
            let what = self.pick(name, selection, clause.span);
            self.declare(name, what);
        }
    }

    /// Whether a name may be declared; an error otherwise.
    pub(super) fn free(&mut self, name: &ast::Name) -> bool {
        if self.shadows(name) {
            self.scope.lost.insert(name.text.clone());
            return false;
        }
        let Some(first) = self.scope.declared.get(&name.text) else { return true };
        self.sink.push(errors::declare::declared_twice(name, first.span));
        false
    }

    fn declare(&mut self, name: &ast::Name, what: Option<What>) {
        match what {
            Some(what) => {
                let declared = Declared { what, span: name.span, used: false };
                self.scope.declared.insert(name.text.clone(), declared);
            }
            None => drop(self.scope.lost.insert(name.text.clone())),
        }
    }

    /// A number that is known when the policy is built.
    pub(super) fn known(&mut self, value: &ast::Expr) -> Option<(Ty, i64)> {
        self.scope.constant_only = true;
        let operand = self.operand(value);
        self.scope.constant_only = false;
        let id = match operand? {
            Operand::Expr(id) => id,
            Operand::Text(_) => {
                self.sink.push(errors::expr::text_as_number(value.span));
                return None;
            }
        };
        match self.policy.exprs.get(id).map(|expr| (expr.ty, &expr.kind)) {
            Some((ty, ExprKind::Int(number))) => Some((ty, *number)),
            _ => None,
        }
    }

    /// A number of a given type that is known when the policy is built.
    pub(super) fn known_as(&mut self, value: &ast::Expr, wanted: Ty) -> Option<i64> {
        let (ty, number) = self.known(value)?;
        if ty == wanted {
            return Some(number);
        }
        self.sink.push(errors::declare::known_as_another_type(wanted, ty, value.span));
        None
    }

    fn param(
        &mut self,
        name: &ast::Name,
        value: &ast::Expr,
        range: Option<&(ast::Expr, ast::Expr)>,
        span: Span,
    ) -> Option<super::ParamId> {
        let (ty, default) = self.known(value)?;
        let (least, most) = match (range, ty) {
            (Some((least, most)), _) => (self.known_as(least, ty), self.known_as(most, ty)),
            (None, Ty::Bool) => (Some(0), Some(1)),
            (None, _) => {
                let value = (ty, default);
                self.sink.push(errors::declare::param_without_range(&name.text, value, span, span));
                return None;
            }
        };
        let (least, most) = (least?, most?);
        if least > most || !(least..=most).contains(&default) {
            let (message, label) = if least > most {
                ("the range is empty", "the first end is above the second")
            } else {
                ("the value is outside of its own range", "not between the two ends")
            };
            let at = range.map_or(value.span, |(least, most)| match default {
                _ if message.starts_with("the range") => least.span.to(most.span),
                _ => value.span,
            });
            self.sink.push(errors::declare::wrong_range(message, label, at));
            return None;
        }
        let param = Param { name: name.text.clone(), ty, default, least, most, span: name.span };
        Some(self.policy.params.push(param))
    }

    fn label(
        &mut self,
        name: &ast::Name,
        ty: &ast::Name,
        value: &ast::Expr,
        trust: Option<&ast::Name>,
    ) -> Option<super::LabelId> {
        let wanted = match ty.text.as_str() {
            "bytes" => Ty::Bytes,
            "percent" => Ty::Ratio,
            "duration" => Ty::Duration,
            "bool" => Ty::Bool,
            "count" => Ty::Count,
            _ => {
                self.contradiction("a label has a type that is none");
                return None;
            }
        };
        let default = self.known_as(value, wanted)?;
        let trust = match trust.map(|trust| trust.text.as_str()) {
            None | Some("root") => Trust::Root,
            Some("owner") => Trust::Owner,
            Some("any") => Trust::Any,
            Some(_) => {
                self.contradiction("a label trusts somebody who is nobody");
                return None;
            }
        };
        let label = Label { name: name.text.clone(), ty: wanted, default, trust, span: name.span };
        Some(self.policy.labels.push(label))
    }

    fn state(&mut self, name: &ast::Name, resets: Option<&ast::Expr>) -> Option<super::StateId> {
        let resets = match resets {
            Some(time) => {
                let window = self.known_as(time, Ty::Duration)?;
                if window <= 0 {
                    self.sink.push(errors::declare::no_window(time.span));
                    return None;
                }
                Some(window)
            }
            None => None,
        };
        Some(self.policy.states.push(State { name: name.text.clone(), resets, span: name.span }))
    }

    fn pick(&mut self, name: &ast::Name, selection: &ast::Selection, span: Span) -> Option<What> {
        let picked = self.selection(selection)?;
        let wrong = match (picked.unit, picked.all) {
            (Unit::Process, _) => {
                Some(("`pick` names a cgroup, and this selects processes", "`largest cgroup …`"))
            }
            (_, true) => {
                Some(("`pick` names one cgroup, and this selects all", "`largest` instead of `all`"))
            }
            _ => None,
        };
        if let Some((message, instead)) = wrong {
            self.sink.push(errors::declare::picks_no_cgroup(message, instead, selection.span));
            return None;
        }
        Some(What::Pick(self.policy.picks.push(Pick { name: name.text.clone(), selection: picked, span })))
    }

    // Protections and preferences

    pub(super) fn protections(&mut self, file: &ast::File) {
        let mut first = None;
        for clause in &file.clauses {
            match &clause.kind {
                ClauseKind::Never(of) => {
                    let Some((unit, binder, condition)) = self.protection("never kill", of, clause.span)
                    else {
                        continue;
                    };
                    first.get_or_insert(clause.span);
                    self.policy.nevers.push(Never { unit, binder, condition, span: clause.span });
                }
                ClauseKind::Preference { prefer, of } => {
                    let word = if *prefer { "prefer" } else { "avoid" };
                    let Some((unit, binder, condition)) = self.protection(word, of, clause.span) else {
                        continue;
                    };
                    let (prefer, span) = (*prefer, clause.span);
                    self.policy.preferences.push(Preference { prefer, unit, binder, condition, span });
                }
                _ => {}
            }
        }
        if let Some(span) = first {
            self.sink.push(errors::declare::never_is_ours(span));
        }
    }

    /// The unit that a clause was meant about: the one whose field it names, or the cgroup of a path.
    fn missing_unit(&self, word: &str, of: &ast::Protection, span: Span) -> Option<Fix> {
        if let Some(path) = &of.path {
            let fix =
                |title: String, certain, text: String| Some(Fix::new(title, certain).at(path.span, text));
            let text = &path.text;
            if text.contains('/') {
                return fix(format!("write `{word} cgroup \"{text}\"`"), true, format!("cgroup \"{text}\""));
            }
            let unit = [".service", ".slice", ".scope", ".mount"].iter().any(|end| text.ends_with(end));
            let named = if unit { "cgroup where name" } else { "process where comm" };
            let text = format!("{named} == \"{text}\"");
            return fix(format!("write `{word} {text}`"), false, text);
        }
        let condition = of.condition.as_ref()?;
        let first = self.source.slice(condition.span);
        let name: String =
            first.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect();
        let has = |owner| oomc_abi::fields::find(owner, &name).is_some();
        let unit = match (has(Owner::Process), has(Owner::Cgroup)) {
            (true, false) => ast::Unit::Process,
            (false, true) => ast::Unit::Cgroup,
            _ => return None,
        };
        let text = self.source.slice(span);
        let place = span.start + text.rfind(" where ").and_then(|_| text.find(" where "))? as u32 + 1;
        let unit = unit.spelling();
        let title = format!("write `{word} {unit} where …`");
        Some(Fix::certain(title, Span { start: place, end: place }, format!("{unit} ")))
    }

    /// What a clause is about: a unit and a condition on it. A path is a condition, too.
    fn protection(
        &mut self,
        word: &str,
        of: &ast::Protection,
        span: Span,
    ) -> Option<(Unit, BinderId, ExprId)> {
        let misuse = |label: &str, at: Span| errors::declare::misused_protection(word, label, at, None);
        if let Some((_, at)) = of.rank {
            self.sink.push(misuse("it has no order", at));
            return None;
        }
        if let Some(place) = &of.place {
            self.sink.push(misuse("it holds everywhere", place.span()));
            return None;
        }
        let Some((written, unit_span)) = of.unit else {
            let fix = self.missing_unit(word, of, span);
            self.sink.push(errors::declare::misused_protection(word, "process or cgroup?", span, fix));
            return None;
        };
        let unit = unit(written);
        if let (Some(path), Unit::Process) = (&of.path, unit) {
            let text = format!("where comm == \"{}\"", path.text);
            let fix =
                (!path.text.contains('/')).then(|| Fix::certain(format!("write `{text}`"), path.span, text));
            let span = path.span.to(unit_span);
            self.sink.push(errors::declare::misused_protection(word, "a path is a cgroup's", span, fix));
            return None;
        }
        if of.path.is_none() && of.condition.is_none() {
            self.sink.push(misuse("which? without a condition, this is about all", span));
            return None;
        }
        let binder = self.policy.binders.push(unit);
        let path = match &of.path {
            Some(path) => {
                let field = self.known_field(super::lower::owner(unit), "path")?;
                let subject = super::Subject::Candidate(binder);
                let field = self.push(ExprKind::Field(subject, field), Ty::Text, path.span);
                let patterns = vec![Pattern::new(&path.text)];
                Some(self.push(ExprKind::Matches(field, patterns), Ty::Bool, path.span))
            }
            None => None,
        };
        let condition = match &of.condition {
            Some(condition) => {
                let candidate = Candidate { binder, unit, name: None, span: None, used: false };
                let condition = self.inside(candidate, |lower| lower.condition(condition, "`where`")).0?;
                self.constant_condition(condition, &format!("`{word}`"));
                Some(condition)
            }
            None => None,
        };
        let condition = match (path, condition) {
            (Some(path), Some(condition)) => self.logic(ast::Binary::And, path, condition, span),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        Some((unit, binder, condition))
    }
}
