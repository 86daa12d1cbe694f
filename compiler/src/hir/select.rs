//! Selections and quantifiers: units, places, candidates' names, keys.

use super::check::ty_of;
use super::errors;
use super::lower::{Checker, owner, unit};
use super::{
    BinderId, Direction, ExprId, ExprKind, Key, MAX_QUANTIFIERS, Pattern, Place, Quant, Quantifier,
    Selection, Subject, Ty, Unit,
};
use crate::diag::suggest::nearest;
use crate::diag::{Advice, Fix};
use crate::resolve::{Candidate, Declared, PlaceName, What};
use crate::source::Span;
use crate::syntax::ast::{self, Rank};

/// A place that was most likely meant; a word of the language certainly.
fn meant(near: &str, span: Span) -> Advice {
    let certain = ["subtree", "cgroup", "attached"].contains(&near);
    Advice::fix(Fix::new(format!("did you mean `{near}`?"), certain).at(span, near))
}

/// Words for a place of which `subtree` is the nearest.
const ELSEWHERE: [&str; 10] = [
    "root",
    "system",
    "machine",
    "host",
    "everywhere",
    "descendants",
    "siblings",
    "tree",
    "node",
    "anywhere",
];

impl Checker<'_> {
    pub(super) fn selection(&mut self, selection: &ast::Selection) -> Option<Selection> {
        self.selection_with(selection, |_| Some(())).map(|(selection, ())| selection)
    }

    /// A selection, and something else that may name its candidate.
    pub(super) fn selection_with<T>(
        &mut self,
        selection: &ast::Selection,
        also: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<(Selection, T)> {
        let unit = selection.unit.map_or(Unit::Process, |(word, _)| unit(word));
        let name = match &selection.name {
            Some(name) => {
                self.candidate_name(name)?;
                Some(name.text.clone())
            }
            None => None,
        };
        let span = selection.name.as_ref().map(|name| name.span);
        let place = self.place(&selection.place);
        let binder = self.policy.binders.push(unit);
        let errors = self.sink.error_count();
        let ((filter, keys, also), used) =
            self.inside(Candidate { binder, unit, name, span, used: false }, |lower| {
                let filter = selection.filter.as_ref().map(|filter| lower.condition(filter, "`where`"));
                (filter, lower.keys(selection, unit, binder), also(lower))
            });
        if !used {
            let place = (&selection.place, selection.unit.map(|(_, span)| span));
            self.unused_candidate(selection.name.as_ref(), unit, Some(place), errors);
        }
        let filter = self.checked_filter(filter)?;
        let (place, keys) = (place?, keys?);
        if let Some(span) = selection.stepwise
            && (unit == Unit::Process || !matches!(place, Place::Subtree(_)))
        {
            self.sink.push(errors::select::nothing_to_step_down(span, self.source.with_blank(span)));
            return None;
        }
        let all = selection.rank.is_some_and(|(rank, _)| rank == Rank::All);
        if let (Some(span), true) = (selection.stepwise, all) {
            self.sink.push(errors::select::stepwise_of_all(span));
            return None;
        }
        let stepwise = selection.stepwise.is_some();
        let selection = Selection { unit, binder, place, stepwise, all, filter, keys, span: selection.span };
        Some((selection, also?))
    }

    /// The condition behind `where`; the outer `None`: it has a mistake.
    fn checked_filter(&mut self, filter: Option<Option<ExprId>>) -> Option<Option<ExprId>> {
        let Some(filter) = filter else { return Some(None) };
        let filter = filter?;
        self.constant_condition(filter, "`where`");
        Some(Some(filter))
    }

    /// A candidate's name that nothing uses, unless there were errors since: one may hide the use.
    fn unused_candidate(
        &mut self,
        name: Option<&ast::Name>,
        unit: Unit,
        place: Option<(&ast::Place, Option<Span>)>,
        errors: usize,
    ) {
        let Some(name) = name.filter(|_| self.sink.error_count() == errors) else { return };
        let (word, field) = match unit {
            Unit::Process => ("process", "footprint"),
            Unit::Cgroup => ("cgroup", "usage"),
        };
        let whole = self.source.with_blank(name.span);
        let written = place.and_then(|(_, unit)| unit);
        let place = place.and_then(|(place, _)| match place {
            ast::Place::Subtree(span, of) => {
                Some((*span, of.as_ref().map_or("cgroup", |of| self.source.slice(of.span))))
            }
            ast::Place::Cgroup(of) => Some((of.span, self.source.slice(of.span))),
            _ => None,
        });
        let unused = errors::select::UnusedName { name, word, field, whole, place, unit: written };
        self.sink.push(errors::select::unused_candidate(&unused));
    }

    /// Whether a candidate may have this name. `kill largest leaf in subtree` reads as if it were about leaves.
    fn candidate_name(&mut self, name: &ast::Name) -> Option<()> {
        let ranks = Rank::ALL.into_iter().map(Rank::spelling);
        let words = ranks.chain(ast::Unit::ALL.into_iter().map(ast::Unit::spelling));
        if let Some(word) = nearest(&name.text, words) {
            self.sink.push(errors::select::name_like_a_word(name, word));
            return None;
        }
        if self.shadows(name) {
            return None;
        }
        if let Some(declared) = self.scope.declared.get(&name.text) {
            let what = declared.what.called();
            self.sink.push(errors::select::candidate_has_a_declared_name(name, what, declared.span));
            return None;
        }
        Some(())
    }

    fn place(&mut self, place: &ast::Place) -> Option<Place> {
        Some(match place {
            ast::Place::Subtree(_, None) => Place::DOMAIN,
            ast::Place::Subtree(_, Some(of)) => Place::Subtree(self.place_cgroup(of)?),
            ast::Place::Children(_, of) => Place::Children(self.place_cgroup(of)?),
            ast::Place::Leaves(_, of) => Place::Leaves(self.place_cgroup(of)?),
            ast::Place::Cgroup(of) => Place::Cgroup(self.place_cgroup(of)?),
            ast::Place::Matching(pattern) => {
                if pattern.text.is_empty() {
                    self.sink.push(errors::select::empty_pattern(pattern.span));
                    return None;
                }
                Place::Matching(self.policy.patterns.push(Pattern::new(&pattern.text)))
            }
        })
    }

    /// The cgroup that a place names.
    fn place_cgroup(&mut self, path: &ast::Path) -> Option<Subject> {
        let text = path.text();
        let wrong = |message: String, help: Advice| errors::select::no_place(message, help, path.span);
        if let Some(name) = path.segments.first().filter(|_| path.segments.len() == 1) {
            self.scope.used_as_place(name);
        }
        let diagnostic = match self.scope.place(&text) {
            PlaceName::Cgroup(subject) => return Some(subject),
            PlaceName::Reported => return None,
            PlaceName::Parent => wrong(
                "`parent` can be asked for its fields only".to_owned(),
                Advice::fix(Fix::possible("write `subtree`", path.span, "subtree")).saying(
                    "write `in subtree`: killing outside of the cgroup frees nothing where it is needed",
                ),
            ),
            PlaceName::Process => wrong(
                format!("`{text}` is a process, and candidates are looked for in cgroups"),
                "write `in subtree`, or the name of a cgroup".into(),
            ),
            PlaceName::Nothing(_) if ELSEWHERE.contains(&text.as_str()) => wrong(
                format!("`{text}` is no cgroup"),
                Advice::fix(Fix::possible("write `subtree`", path.span, "subtree"))
                    .saying("`subtree` is the cgroup whose limit was hit and all below it; of an OOM of the machine, all"),
            ),
            PlaceName::Nothing(known) => match nearest(&text, known.iter().map(String::as_str)) {
                Some(near) => wrong(format!("`{text}` is no cgroup"), meant(near, path.span)),
                None => wrong(
                    format!("`{text}` is no cgroup"),
                    "candidates are looked for in `subtree`, in `cgroup` or in `attached`".into(),
                ),
            },
        };
        self.sink.push(diagnostic);
        None
    }

    fn keys(&mut self, selection: &ast::Selection, unit: Unit, binder: BinderId) -> Option<Vec<Key>> {
        let rank = selection.rank.map(|(rank, _)| rank);
        if let (Some((Rank::Worst, span)), Unit::Cgroup) = (selection.rank, unit) {
            self.sink.push(errors::select::worst_cgroup(span));
            return None;
        }
        if selection.keys.is_empty() {
            let (field, direction) = match (unit, rank.unwrap_or(Rank::Largest)) {
                (Unit::Process, Rank::Largest | Rank::All) => ("footprint", Direction::Desc),
                (Unit::Process, Rank::Smallest) => ("footprint", Direction::Asc),
                (Unit::Process, Rank::Youngest) => ("age", Direction::Asc),
                (Unit::Process, Rank::Oldest) => ("age", Direction::Desc),
                (Unit::Process, Rank::Worst) => ("badness", Direction::Desc),
                (Unit::Cgroup, Rank::Largest | Rank::All | Rank::Worst) => ("usage", Direction::Desc),
                (Unit::Cgroup, Rank::Smallest) => ("usage", Direction::Asc),
                (Unit::Cgroup, Rank::Youngest) => ("age_rank", Direction::Desc),
                (Unit::Cgroup, Rank::Oldest) => ("age_rank", Direction::Asc),
            };
            let field = self.known_field(owner(unit), field)?;
            let span = selection.rank.map_or(selection.span, |(_, span)| span);
            let ty = ty_of(field.row().unit);
            let expr = self.push(ExprKind::Field(Subject::Candidate(binder), field), ty, span);
            return Some(vec![Key { expr, direction }]);
        }
        if let Some((rank, span)) = selection.rank
            && let Some(label) = match rank {
                Rank::Youngest | Rank::Oldest => Some("by age"),
                Rank::Worst => Some("by badness"),
                Rank::All => Some("all of them"),
                Rank::Largest | Rank::Smallest => None,
            }
        {
            let word = rank.spelling();
            self.sink.push(errors::select::rank_and_key(word, span, self.source.with_blank(span), label));
            return None;
        }
        let ascending = rank == Some(Rank::Smallest);
        let keys: Vec<Option<Key>> = selection
            .keys
            .iter()
            .map(|key| {
                let expr = self.number(&key.value)?;
                let descending = key.descending.unwrap_or(!ascending);
                Some(Key { expr, direction: if descending { Direction::Desc } else { Direction::Asc } })
            })
            .collect();
        keys.into_iter().collect()
    }

    /// `any process in it where …`
    pub(super) fn quantifier(&mut self, quantifier: &ast::Quantifier, span: Span) -> Option<ExprId> {
        if self.quantifiers >= MAX_QUANTIFIERS {
            self.sink.push(errors::select::too_many_quantifiers(span));
            return None;
        }
        let unit = unit(quantifier.unit);
        let name = match &quantifier.name {
            Some(name) => {
                self.candidate_name(name)?;
                Some(name.text.clone())
            }
            None => None,
        };
        let named = quantifier.name.as_ref().map(|name| name.span);
        let place = self.place(&quantifier.place);
        if matches!(quantifier.quant, ast::Quant::Every) && quantifier.filter.is_none() {
            self.sink.push(errors::select::every_without_condition(span));
            return None;
        }
        let binder = self.policy.binders.push(unit);
        self.quantifiers += 1;
        let errors = self.sink.error_count();
        let ((filter, value), used) =
            self.inside(Candidate { binder, unit, name, span: named, used: false }, |lower| {
                let filter = quantifier.filter.as_ref().map(|filter| lower.condition(filter, "`where`"));
                let value = match &quantifier.quant {
                    ast::Quant::Sum(path) => Some(lower.summand(path)),
                    ast::Quant::Max(path) | ast::Quant::Min(path) => Some(lower.compared(path)),
                    ast::Quant::Any | ast::Quant::Every | ast::Quant::Count => None,
                };
                (filter, value)
            });
        self.quantifiers -= 1;
        if !used {
            self.unused_candidate(quantifier.name.as_ref(), unit, None, errors);
        }
        let filter = self.checked_filter(filter)?;
        let value = match value {
            Some(value) => Some(value?),
            None => None,
        };
        let (quant, ty) = match (&quantifier.quant, value) {
            (ast::Quant::Any, _) => (Quant::Any, Ty::Bool),
            (ast::Quant::Every, _) => (Quant::Every, Ty::Bool),
            (ast::Quant::Count, _) => (Quant::Count, Ty::Count),
            (ast::Quant::Sum(_), Some(value)) => (Quant::Sum, self.ty(value)),
            (ast::Quant::Max(_), Some(value)) => (Quant::Max, self.ty(value)),
            (ast::Quant::Min(_), Some(value)) => (Quant::Min, self.ty(value)),
            (ast::Quant::Sum(_) | ast::Quant::Max(_) | ast::Quant::Min(_), None) => {
                self.contradiction("a sum has nothing to add up");
                return None;
            }
        };
        let quantifier = Quantifier { quant, unit, binder, place: place?, filter, value };
        Some(self.push(ExprKind::Quantifier(quantifier), ty, span))
    }

    /// The field whose largest or smallest value is looked for.
    fn compared(&mut self, path: &ast::Path) -> Option<ExprId> {
        self.number(&ast::Expr { kind: ast::ExprKind::Path(path.clone()), span: path.span })
    }

    /// The field that a `sum` adds up.
    fn summand(&mut self, path: &ast::Path) -> Option<ExprId> {
        let id = self.compared(path)?;
        if self.ty(id) == Ty::Ratio {
            self.sink.push(errors::select::sums_percents(path.span));
            return None;
        }
        Some(id)
    }

    /// What a state's name refers to behind `count`.
    pub(super) fn state_named(&mut self, name: &ast::Name) -> Option<super::StateId> {
        if let Some(Declared { what: What::State(state), used, .. }) = self.scope.declared.get_mut(&name.text)
        {
            *used = true;
            let state = *state;
            self.scope.used_declared(name);
            return Some(state);
        }
        if self.scope.lost.contains(&name.text) {
            return None;
        }
        let states: Vec<&str> = self.policy.states.values().map(|state| state.name.as_str()).collect();
        let help = match nearest(&name.text, states.iter().copied()) {
            Some(near) => Advice::meant(near, name.span),
            None => format!("declare it: `state {}: counter per cgroup`", name.text).into(),
        };
        self.sink.push(errors::select::unknown_counter(name, help));
        None
    }
}
