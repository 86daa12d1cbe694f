//! AST to HIR: binds names, writes defaults out, and asks [`super::check`] for the types.
//!
//! Declarations are unordered: constants are evaluated first, in the order in which they use each other,
//! then `never` clauses, then rules. A clause with a mistake is left out; the rest is still checked.

use std::collections::HashMap;

use oomc_abi::fields::{self, FieldId, Owner};

use super::check::Operand;
use super::{
    Action, ActionId, ActionKind, Anchor, ArithOp, BinderId, Direction, ExprKind, Key, Kill, Never, Place,
    Policy, RATIO_ONE, Rule, Selection, Subject, Ty, Unit,
};
use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, Sink, codes};
use crate::resolve::{self, Candidate, Constant, Scope, Value};
use crate::source::{Source, Span};
use crate::syntax::ast::{self, ClauseKind, Rank};

/// The state of one lowering.
pub(super) struct Lower<'a> {
    pub(super) policy: Policy,
    pub(super) source: &'a Source,
    pub(super) sink: &'a mut Sink,
    pub(super) scope: Scope,
}

/// Lowers a file. What has mistakes is missing from the result.
pub fn lower(file: &ast::File, source: &Source, sink: &mut Sink) -> Policy {
    let mut lower = Lower { policy: Policy::default(), source, sink, scope: Scope::default() };
    lower.header(file);
    lower.constants(file);
    lower.nevers(file);
    lower.rules(file);
    lower.unused();
    lower.policy
}

fn unit(unit: ast::Unit) -> Unit {
    match unit {
        ast::Unit::Process => Unit::Process,
        ast::Unit::Cgroup => Unit::Cgroup,
    }
}

fn owner(unit: Unit) -> Owner {
    match unit {
        Unit::Process => Owner::Process,
        Unit::Cgroup => Owner::Cgroup,
    }
}

impl Lower<'_> {
    /// A field that the language's own rules name.
    pub(super) fn known_field(&mut self, owner: Owner, name: &str) -> Option<FieldId> {
        let field = fields::find(owner, name);
        if field.is_none() {
            self.sink.push(crate::diag::front_end_failed(&format!("the field table has no `{name}`")));
        }
        field
    }

    // Header

    fn header(&mut self, file: &ast::File) {
        self.policy.name = stem(&self.source.name).to_owned();
        self.scope.lost.extend(file.lost.iter().map(|name| name.text.clone()));
        let (mut policy, mut mode, mut default) = (None, None, None);
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
                    if name.text != "enforce" {
                        let diagnostic =
                            Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no mode `{}`", name.text))
                                .label(name.span, "unknown mode")
                                .help("write `mode enforce`, or leave it out");
                        self.sink.push(diagnostic);
                    }
                    (&mut mode, "mode")
                }
                ClauseKind::Default(_) => (&mut default, "default"),
                _ => continue,
            };
            match *first {
                None => *first = Some(clause.span),
                Some(first) => self.sink.push(
                    Diagnostic::new(codes::DUPLICATE_CLAUSE, format!("`{word}` stands twice"))
                        .label(clause.span, "the second one")
                        .label(first, "the first one")
                        .help("keep one of them"),
                ),
            }
        }
    }

    fn empty(&mut self, span: Span, message: &str) {
        self.sink.push(
            Diagnostic::new(codes::EMPTY_PART, message).label(span, "empty").help("fill it, or leave it out"),
        );
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
                    self.sink.push(
                        Diagnostic::new(codes::DUPLICATE_NAME, format!("`{}` is declared twice", name.text))
                            .label(name.span, "the second one")
                            .label(first.span, "the first one")
                            .help("choose another name"),
                    );
                }
                None => {
                    index.insert(&name.text, declared.len());
                    declared.push((name, value));
                }
            }
        }
        let uses: Vec<Vec<usize>> = declared.iter().map(|(_, value)| references(value, &index)).collect();
        for (name, _) in &declared {
            let constant = Constant { value: None, span: name.span, used: false };
            self.scope.constants.insert(name.text.clone(), constant);
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
            let value = match self.operand(value) {
                Some(Operand::Text(text)) => Some(Value::Text(text)),
                Some(Operand::Expr(id)) => self.policy.exprs.get(id).and_then(|expr| match expr.kind {
                    ExprKind::Int(value) => Some(Value::Int(expr.ty, value)),
                    _ => None,
                }),
                None => None,
            };
            if let Some(constant) = self.scope.constants.get_mut(&name.text) {
                constant.value = value;
            }
        }
        self.scope.constant_only = false;
    }

    /// A name of the author's that the language has already.
    fn shadows(&mut self, name: &ast::Name) -> bool {
        let taken = resolve::is_language_name(&name.text);
        if taken {
            self.sink.push(
                Diagnostic::new(codes::SHADOWS, format!("`{}` is a name of the language", name.text))
                    .label(name.span, "taken")
                    .help(format!("choose another one, for example `my_{}`", name.text)),
            );
        }
        taken
    }

    fn cycle(&mut self, cycle: &[usize], declared: &[(&ast::Name, &ast::Expr)]) {
        let names: Vec<&ast::Name> =
            cycle.iter().filter_map(|at| declared.get(*at)).map(|(name, _)| *name).collect();
        let Some((first, rest)) = names.split_first() else { return };
        let message = match names.as_slice() {
            [one] => format!("`{}` is made of itself", one.text),
            [others @ .., last] if names.len() <= 4 => {
                let others: Vec<String> = others.iter().map(|name| format!("`{}`", name.text)).collect();
                format!("{} and `{}` are made of each other", others.join(", "), last.text)
            }
            _ => format!("`{}` and {} more constants are made of each other", first.text, rest.len()),
        };
        let mut diagnostic =
            Diagnostic::new(codes::CYCLE, message).label(first.span, "has no value of its own");
        for name in rest.iter().take(4) {
            diagnostic = diagnostic.label(name.span, "and this one");
        }
        self.sink.push(diagnostic.help("give one of them a literal"));
    }

    fn unused(&mut self) {
        // An error may hide the use.
        if self.sink.has_errors() {
            return;
        }
        let mut unused: Vec<(&String, Span)> = self
            .scope
            .constants
            .iter()
            .filter(|(_, constant)| !constant.used)
            .map(|(name, constant)| (name, constant.span))
            .collect();
        unused.sort_by_key(|(_, span)| *span);
        for (name, span) in unused {
            self.sink.push(
                Diagnostic::new(codes::UNUSED_CONST, format!("nothing uses `{name}`"))
                    .label(span, "never used")
                    .help("use it, or leave it out"),
            );
        }
    }

    // Protections

    fn nevers(&mut self, file: &ast::File) {
        let mut first = None;
        for clause in &file.clauses {
            let ClauseKind::Never(never) = &clause.kind else { continue };
            if let Some(never) = self.never(never, clause.span) {
                first.get_or_insert(never.span);
                self.policy.nevers.push(never);
            }
        }
        if let Some(span) = first {
            self.sink.push(
                Diagnostic::new(codes::NEVER_IS_OURS, "`never` binds this policy only")
                    .label(span, "the kernel's own killer does not know it")
                    .help("set `oom_score_adj` to -1000 where a process must survive everything")
                    .note("when the policy makes no progress, the kernel's own killer may choose such a process"),
            );
        }
    }

    fn never(&mut self, never: &ast::Never, span: Span) -> Option<Never> {
        let misuse = |label: &str, at: Span| {
            Diagnostic::new(codes::NEVER, "`never kill` protects what a condition describes")
                .label(at, label)
                .help("write `never kill process where …` or `never kill cgroup where …`")
        };
        if let Some(path) = &never.path {
            self.sink.push(
                Diagnostic::new(codes::NOT_YET, "protecting a path is not yet part of the language")
                    .label(path.span, "reserved for a later version")
                    .help("write `never kill cgroup where name == \"…\"`"),
            );
            return None;
        }
        if let Some((_, at)) = never.rank {
            self.sink.push(misuse("a protection has no order", at));
            return None;
        }
        if let Some(place) = &never.place {
            let at = match place {
                ast::Place::Subtree(at) => *at,
                ast::Place::Cgroup(path) => path.span,
            };
            self.sink.push(misuse("a protection holds everywhere", at));
            return None;
        }
        let Some((word, _)) = never.unit else {
            self.sink.push(misuse("process or cgroup?", span));
            return None;
        };
        let Some(condition) = &never.condition else {
            self.sink.push(misuse("which? without `where`, nothing could ever be killed", span));
            return None;
        };
        let unit = unit(word);
        let binder = self.policy.binders.push(unit);
        let condition = self
            .inside(Candidate { binder, unit, name: None, used: false }, |lower| {
                lower.condition(condition, "`where`")
            })
            .0?;
        self.constant_condition(condition, "`never`");
        Some(Never { unit, binder, condition, span })
    }

    /// With one more candidate in scope; also says whether it was called by its name.
    fn inside<T>(&mut self, candidate: Candidate, body: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        self.scope.candidates.push(candidate);
        let result = body(self);
        let used = self.scope.candidates.pop().is_some_and(|candidate| candidate.used);
        (result, used)
    }

    // Rules

    fn rules(&mut self, file: &ast::File) {
        let mut names: HashMap<String, Span> = HashMap::new();
        let mut default = None;
        for clause in &file.clauses {
            if self.sink.is_full() {
                break;
            }
            let (name, action) = match &clause.kind {
                ClauseKind::Rule { name: Some(name), action } => {
                    if name.text.is_empty() {
                        self.empty(name.span, "the name of the rule is empty");
                    }
                    if let Some(first) = names.insert(name.text.clone(), name.span) {
                        self.sink.push(
                            Diagnostic::new(
                                codes::DUPLICATE_NAME,
                                format!("two rules are called \"{}\"", name.text),
                            )
                            .label(name.span, "the second one")
                            .label(first, "the first one")
                            .help("give each rule its own name: records tell them apart by it"),
                        );
                    }
                    (name.text.clone(), action)
                }
                ClauseKind::Rule { name: None, action } => {
                    (format!("line {}", self.source.line_column(clause.span.start).0), action)
                }
                ClauseKind::Default(action) => {
                    default = Some((action, clause.span));
                    continue;
                }
                _ => continue,
            };
            if let Some(action) = self.action(action) {
                self.policy.rules.push(Rule { name, action, span: clause.span });
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

    fn push_action(&mut self, kind: ActionKind, span: Span) -> ActionId {
        self.policy.actions.push(Action { kind, span })
    }

    fn action(&mut self, action: &ast::Action) -> Option<ActionId> {
        let span = action.span;
        let kind = match &action.kind {
            ast::ActionKind::If { condition, then, otherwise } => {
                let condition = self.condition(condition, "`if`");
                let then = self.action(then);
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
            ast::ActionKind::Kill { selection, now, reason } => {
                let selection = self.selection(selection)?;
                if let Some(reason) = reason.as_ref().filter(|reason| reason.text.contains('{')) {
                    self.sink.push(
                        Diagnostic::new(
                            codes::NOT_YET,
                            "fields in a `reason` are not yet part of the language",
                        )
                        .label(reason.span, "`{` is reserved for a later version")
                        .help("write the reason without braces"),
                    );
                    return None;
                }
                let reason = reason.as_ref().map(|reason| reason.text.clone());
                ActionKind::Kill(Kill { selection, now: *now, reason })
            }
            ast::ActionKind::RaiseLimit { amount, up_to } => {
                let by = self.amount(amount, Some("own_limit"));
                let up_to = match up_to {
                    Some(up_to) => Some(self.amount(up_to, None)?),
                    None => {
                        self.sink.push(
                            Diagnostic::new(codes::UNBOUNDED, "nothing but the ancestors bounds this rise")
                                .label(span, "may rise at every OOM")
                                .help("bound it: `raise_limit 10% up to 2GiB`"),
                        );
                        None
                    }
                };
                let by = by?;
                self.rises(by, span);
                ActionKind::RaiseLimit { by, up_to }
            }
            ast::ActionKind::Wait => ActionKind::Wait,
            ast::ActionKind::Defer => ActionKind::Defer,
        };
        Some(self.push_action(kind, span))
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
            self.sink.push(
                Diagnostic::new(codes::NO_RISE, "this rise is never progress")
                    .label(span, "less than one percent of the limit")
                    .help("raise by at least `1%`"),
            );
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
                self.sink.push(
                    Diagnostic::new(
                        codes::DEFER_IN_BLOCK,
                        "`defer` stands after an action of the same block",
                    )
                    .label(defer, "would give up what the action has done")
                    .label(first.span, "the action")
                    .help("write the `defer` as a rule below, or behind `or`"),
                );
                good = false;
            } else if matches!(action.kind, ast::ActionKind::Defer)
                && let Some(next) = actions.get(at + 1)
            {
                self.sink.push(
                    Diagnostic::new(codes::DEFER_IN_BLOCK, "nothing runs after `defer`")
                        .label(next.span, "never reached")
                        .label(action.span, "the policy ends here")
                        .help("leave it out, or put it before"),
                );
                good = false;
                break;
            }
        }
        let ids: Vec<Option<ActionId>> = actions.iter().map(|action| self.action(action)).collect();
        let ids: Vec<ActionId> = ids.into_iter().collect::<Option<_>>()?;
        if good { Some(self.push_action(ActionKind::Block(ids), span)) } else { None }
    }

    fn constant_condition(&mut self, condition: super::ExprId, place: &str) {
        if let (Some(value), Some(expr)) = (self.constant(condition), self.policy.exprs.get(condition)) {
            let always = if value == 0 { "false" } else { "true" };
            self.sink.push(
                Diagnostic::new(
                    codes::CONSTANT_CONDITION,
                    format!("the condition of {place} is always {always}"),
                )
                .label(expr.span, format!("always {always}"))
                .help("compare a field, or leave the condition out"),
            );
        }
    }

    // Selections

    fn selection(&mut self, selection: &ast::Selection) -> Option<Selection> {
        let unit = selection.unit.map_or(Unit::Process, |(word, _)| unit(word));
        let name = match &selection.name {
            Some(name) => {
                self.candidate_name(name)?;
                Some(name.text.clone())
            }
            None => None,
        };
        let place = self.place(&selection.place);
        let binder = self.policy.binders.push(unit);
        let ((filter, keys), used) = self.inside(Candidate { binder, unit, name, used: false }, |lower| {
            let filter = selection.filter.as_ref().map(|filter| lower.condition(filter, "`where`"));
            (filter, lower.keys(selection, unit, binder))
        });
        // `kill largest leaf in subtree` reads as if it were about leaves.
        if let Some(name) = selection.name.as_ref().filter(|_| !used) {
            let word = selection.unit.map_or("process", |(unit, _)| unit.spelling());
            self.sink.push(
                Diagnostic::new(
                    codes::UNUSED_CANDIDATE,
                    format!("`{}` is only the candidate's name, and nothing uses it", name.text),
                )
                .label(name.span, format!("the candidate is a {word} all the same"))
                .help(format!(
                    "leave it out, or use it: `where {}.{} > 1GiB`",
                    name.text,
                    match unit {
                        Unit::Process => "footprint",
                        Unit::Cgroup => "usage",
                    }
                )),
            );
        }
        let filter = match filter {
            Some(filter) => {
                let filter = filter?;
                self.constant_condition(filter, "`where`");
                Some(filter)
            }
            None => None,
        };
        Some(Selection { unit, binder, place: place?, filter, keys: keys?, span: selection.span })
    }

    fn candidate_name(&mut self, name: &ast::Name) -> Option<()> {
        let words = ["largest", "smallest", "youngest", "oldest", "process", "cgroup"];
        if let Some(word) = nearest(&name.text, words) {
            self.sink.push(
                Diagnostic::new(
                    codes::CANDIDATE_NAME,
                    format!("`{}` would be the candidate's name", name.text),
                )
                .label(name.span, "too close to a word of the language")
                .help(format!("did you mean `{word}`? otherwise choose another name")),
            );
            return None;
        }
        if self.shadows(name) {
            return None;
        }
        if let Some(constant) = self.scope.constants.get(&name.text) {
            self.sink.push(
                Diagnostic::new(codes::DUPLICATE_NAME, format!("`{}` is a constant already", name.text))
                    .label(name.span, "the candidate")
                    .label(constant.span, "the constant")
                    .help("choose another name"),
            );
            return None;
        }
        Some(())
    }

    fn place(&mut self, place: &ast::Place) -> Option<Place> {
        let path = match place {
            ast::Place::Subtree(_) => return Some(Place::Subtree),
            ast::Place::Cgroup(path) => path,
        };
        let text = path.text();
        let wrong = |message: String, help: String| {
            Diagnostic::new(codes::PLACE, message).label(path.span, "no place for candidates").help(help)
        };
        let diagnostic = match resolve::anchor(&text) {
            Some(Anchor::Parent) => wrong(
                "`parent` can be asked for its fields only".to_owned(),
                "write `in subtree`: killing outside of the cgroup frees nothing where it is needed"
                    .to_owned(),
            ),
            Some(anchor) => return Some(Place::Cgroup(anchor)),
            None if self.scope.lost.contains(&text) => return None,
            None => match nearest(&text, ["subtree", "cgroup", "attached"]) {
                Some(near) => wrong(format!("`{text}` is no cgroup"), format!("did you mean `{near}`?")),
                None => wrong(
                    format!("`{text}` is no cgroup"),
                    "candidates are looked for in `subtree`, in `cgroup` or in `attached`".to_owned(),
                ),
            },
        };
        self.sink.push(diagnostic);
        None
    }

    fn keys(&mut self, selection: &ast::Selection, unit: Unit, binder: BinderId) -> Option<Vec<Key>> {
        let rank = selection.rank.map(|(rank, _)| rank);
        if selection.keys.is_empty() {
            let (field, direction) = match (unit, rank.unwrap_or(Rank::Largest)) {
                (Unit::Process, Rank::Largest) => ("footprint", Direction::Desc),
                (Unit::Process, Rank::Smallest) => ("footprint", Direction::Asc),
                (Unit::Process, Rank::Youngest) => ("age", Direction::Asc),
                (Unit::Process, Rank::Oldest) => ("age", Direction::Desc),
                (Unit::Cgroup, Rank::Largest) => ("usage", Direction::Desc),
                (Unit::Cgroup, Rank::Smallest) => ("usage", Direction::Asc),
                (Unit::Cgroup, Rank::Youngest) => ("age_rank", Direction::Desc),
                (Unit::Cgroup, Rank::Oldest) => ("age_rank", Direction::Asc),
            };
            let field = self.known_field(owner(unit), field)?;
            let ty = match field.row().unit {
                fields::Unit::Bytes => Ty::Bytes,
                fields::Unit::Duration => Ty::Duration,
                _ => Ty::Count,
            };
            let span = selection.rank.map_or(selection.span, |(_, span)| span);
            let expr = self.push(ExprKind::Field(Subject::Candidate(binder), field), ty, span);
            return Some(vec![Key { expr, direction }]);
        }
        if let Some((rank @ (Rank::Youngest | Rank::Oldest), span)) = selection.rank {
            let word = rank.spelling();
            self.sink.push(
                Diagnostic::new(
                    codes::RANK_AND_KEY,
                    format!("`{word}` is an order already, and `by` is another"),
                )
                .label(span, "by age")
                .help(format!("leave `{word}` out, or leave `by` out")),
            );
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
        ast::ActionKind::Kill { .. } | ast::ActionKind::RaiseLimit { .. } | ast::ActionKind::Wait => None,
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
            ast::ExprKind::Number(_)
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
