//! HIR text: names bound, defaults written out, every operator with its own parentheses.

use core::fmt::Write as _;

use oomc_abi::fields::Owner;
use oomc_abi::watch::Course;

use super::{
    ActionId, ActionKind, Anchor, ArithOp, Bits, CompareOp, Direction, ExprId, ExprKind, Message, Mode, Part,
    Pattern, Place, Policy, Quant, Sample, Selection, Subject, Ty, Unit,
};

/// Prints a policy.
#[must_use]
pub fn print(policy: &Policy) -> String {
    let mut out = Printer { policy, text: String::new() };
    out.line(0, format_args!("policy {:?}", policy.name));
    if policy.mode == Mode::Audit {
        out.line(0, format_args!("audit"));
    }
    for (id, param) in policy.params.iter() {
        let number = |value| number(param.ty, value);
        let (default, least, most) = (number(param.default), number(param.least), number(param.most));
        out.line(0, format_args!("{id} {} = {default} range {least} .. {most}", param.name));
    }
    for (id, label) in policy.labels.iter() {
        let default = number(label.ty, label.default);
        out.line(0, format_args!("{id} {} = {default} trust {}", label.name, label.trust.spelling()));
    }
    for (id, state) in policy.states.iter() {
        let resets = state.resets.map(|time| format!(" resets {time}ns")).unwrap_or_default();
        out.line(0, format_args!("{id} {}{resets}", state.name));
    }
    for (id, pick) in policy.picks.iter() {
        out.line(0, format_args!("{id} {}", pick.name));
        out.selection(1, &pick.selection);
    }
    for preference in &policy.preferences {
        let word = if preference.prefer { "prefer" } else { "avoid" };
        out.line(0, format_args!("{word} {} {}", unit(preference.unit), preference.binder));
        let condition = out.expr(preference.condition);
        out.line(1, format_args!("where {condition}"));
    }
    for never in &policy.nevers {
        out.line(0, format_args!("never {} {}", unit(never.unit), never.binder));
        let condition = out.expr(never.condition);
        out.line(1, format_args!("where {condition}"));
    }
    for rule in policy.bare_rules() {
        out.line(0, format_args!("rule {:?}", rule.name));
        out.action(1, rule.action);
    }
    if let Some(budget) = policy.budget {
        out.line(0, format_args!("budget {} kills per {}ns", budget.kills, budget.per));
    }
    for block in &policy.blocks {
        let cooldown = block.cooldown.map(|time| format!(" cooldown {time}ns")).unwrap_or_default();
        out.line(0, format_args!("on {} for {}ns{cooldown}", block.event.told(), block.lasting));
        for rule in policy.rules.get(block.rules.clone()).unwrap_or_default() {
            out.line(1, format_args!("rule {:?}", rule.name));
            out.action(2, rule.action);
        }
    }
    out.text
}

struct Printer<'a> {
    policy: &'a Policy,
    text: String,
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: core::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{:width$}{text}", "", width = depth * 2);
    }

    fn action(&mut self, depth: usize, action: ActionId) {
        let policy = self.policy;
        let Some(action) = policy.actions.get(action) else { return };
        match &action.kind {
            ActionKind::If { condition, then, otherwise } => {
                let condition = self.expr(*condition);
                self.line(depth, format_args!("if {condition}"));
                self.action(depth + 1, *then);
                if let Some(otherwise) = otherwise {
                    self.line(depth, format_args!("otherwise"));
                    self.action(depth + 1, *otherwise);
                }
            }
            ActionKind::Block(actions) => {
                self.line(depth, format_args!("block"));
                for action in actions {
                    self.action(depth + 1, *action);
                }
            }
            ActionKind::Or(first, second) => {
                self.line(depth, format_args!("or"));
                self.action(depth + 1, *first);
                // A chain hangs to the right: it is printed as the one list that it was.
                let mut rest = *second;
                while let Some(ActionKind::Or(next, after)) =
                    policy.actions.get(rest).map(|action| &action.kind)
                {
                    self.action(depth + 1, *next);
                    rest = *after;
                }
                self.action(depth + 1, rest);
            }
            ActionKind::Kill(kill) => {
                self.line(depth, format_args!("kill{}", if kill.now { " now" } else { "" }));
                self.selection(depth + 1, &kill.selection);
                if let Some(until) = &kill.until {
                    let freed = self.expr(until.freed);
                    self.line(depth + 1, format_args!("until freed {freed} at most {}", until.at_most));
                }
                if let Some(grace) = kill.grace {
                    self.line(depth + 1, format_args!("grace {grace}ns"));
                }
                if let Some(reason) = &kill.reason {
                    let reason = self.message(reason);
                    self.line(depth + 1, format_args!("reason {reason}"));
                }
            }
            ActionKind::RaiseLimit { by, up_to } => {
                let by = self.expr(*by);
                self.line(depth, format_args!("raise_limit by {by}"));
                if let Some(up_to) = up_to {
                    let up_to = self.expr(*up_to);
                    self.line(depth + 1, format_args!("up to {up_to}"));
                }
            }
            ActionKind::Reclaim(bytes) => {
                let bytes = self.expr(*bytes);
                self.line(depth, format_args!("reclaim {bytes}"));
            }
            ActionKind::Wait => self.line(depth, format_args!("wait")),
            ActionKind::Defer => self.line(depth, format_args!("defer")),
            ActionKind::Notify(message) => {
                let message = self.message(message);
                self.line(depth, format_args!("notify {message}"));
            }
            ActionKind::Count(state) => self.line(depth, format_args!("count {state}")),
        }
    }

    fn selection(&mut self, depth: usize, selection: &Selection) {
        let place = self.place(selection.place);
        let all = if selection.all { "all " } else { "" };
        let stepwise = if selection.stepwise { " stepwise" } else { "" };
        self.line(
            depth,
            format_args!("{all}{} {} in {place}{stepwise}", unit(selection.unit), selection.binder),
        );
        if let Some(filter) = selection.filter {
            let filter = self.expr(filter);
            self.line(depth, format_args!("where {filter}"));
        }
        for key in &selection.keys {
            let direction = match key.direction {
                Direction::Asc => "asc",
                Direction::Desc => "desc",
            };
            let value = self.expr(key.expr);
            self.line(depth, format_args!("by {value} {direction}"));
        }
    }

    fn place(&self, place: Place) -> String {
        match place {
            Place::DOMAIN => "subtree".to_owned(),
            Place::Subtree(of) => format!("subtree of {}", subject(of)),
            Place::Children(of) => format!("children of {}", subject(of)),
            Place::Leaves(of) => format!("leaves of {}", subject(of)),
            Place::Cgroup(of) => subject(of),
            Place::Matching(id) => match self.policy.patterns.get(id) {
                Some(pattern) => format!("{:?}", pattern.text()),
                None => "?".to_owned(),
            },
        }
    }

    fn message(&self, message: &Message) -> String {
        let parts = message.parts.iter().map(|part| match part {
            Part::Text(text) => format!("{text:?}"),
            Part::Value(value) => self.expr(*value),
        });
        parts.collect::<Vec<_>>().join(" ")
    }

    fn expr(&self, id: ExprId) -> String {
        let Some(expr) = self.policy.exprs.get(id) else { return "?".to_owned() };
        match &expr.kind {
            ExprKind::Int(value) => number(expr.ty, *value),
            ExprKind::Field(_, field) if field.row().owner == Owner::Machine => {
                format!("machine.{}", field.row().name)
            }
            ExprKind::Field(of, field) => format!("{}.{}", subject(*of), field.row().name),
            ExprKind::Raw(of, raw) => {
                let Some(raw) = self.policy.raws.get(*raw) else { return "?".to_owned() };
                format!("{}.{}.{}", subject(*of), raw.container, raw.path)
            }
            ExprKind::Param(param) => param.to_string(),
            ExprKind::Label(of, label) => format!("{}.{label}", subject(*of)),
            ExprKind::Counter(of, state) => format!("{}.{state}", subject(*of)),
            ExprKind::Sample(sample, of) => match self.policy.samples.get(*sample) {
                Some(Sample { field, course: Course::Rate }) => {
                    format!("rate({} of {})", field.row().name, self.expr(*of))
                }
                Some(Sample { field, course: Course::Growth(time) }) => {
                    format!("growth({} of {}, {time}ns)", field.row().name, self.expr(*of))
                }
                None => "?".to_owned(),
            },
            ExprKind::Default(value, otherwise) => {
                format!("({} ?? {})", self.expr(*value), self.expr(*otherwise))
            }
            ExprKind::Quantifier(q) => {
                let quant = match q.quant {
                    Quant::Any => "any",
                    Quant::Every => "every",
                    Quant::Count => "count",
                    Quant::Sum => "sum",
                    Quant::Max => "max",
                    Quant::Min => "min",
                };
                let value = q.value.map(|value| format!(" {} of", self.expr(value))).unwrap_or_default();
                let filter =
                    q.filter.map(|filter| format!(" where {}", self.expr(filter))).unwrap_or_default();
                format!("({quant}{value} {} {} in {}{filter})", unit(q.unit), q.binder, self.place(q.place))
            }
            ExprKind::Neg(inner) => format!("(- {})", self.expr(*inner)),
            ExprKind::Arith(op, left, right) => {
                let op = match op {
                    ArithOp::Add => "+",
                    ArithOp::Sub => "-",
                    ArithOp::Mul => "*",
                    ArithOp::Div => "/",
                };
                format!("({} {op} {})", self.expr(*left), self.expr(*right))
            }
            ExprKind::Compare(op, left, right) => {
                let op = match op {
                    CompareOp::Eq => "==",
                    CompareOp::Ne => "!=",
                    CompareOp::Lt => "<",
                    CompareOp::Le => "<=",
                    CompareOp::Gt => ">",
                    CompareOp::Ge => ">=",
                };
                format!("({} {op} {})", self.expr(*left), self.expr(*right))
            }
            ExprKind::Matches(field, patterns) => {
                let texts: Vec<&str> = patterns.iter().map(Pattern::text).collect();
                format!("({} in {texts:?})", self.expr(*field))
            }
            ExprKind::SameText(left, right) => format!("({} is {})", self.expr(*left), self.expr(*right)),
            ExprKind::HasBits(member, bits) => {
                let bits = bits.iter().map(|bits| match bits {
                    Bits::Number(number) => format!("{number:#x}"),
                    Bits::Constant(name) => name.clone(),
                });
                format!("({} has {})", self.expr(*member), bits.collect::<Vec<_>>().join(" | "))
            }
            ExprKind::Choice(condition, then, otherwise) => {
                let [condition, then, otherwise] = [condition, then, otherwise].map(|part| self.expr(*part));
                format!("(if {condition} then {then} else {otherwise})")
            }
            ExprKind::Not(inner) => format!("(not {})", self.expr(*inner)),
            ExprKind::And(left, right) => format!("({} and {})", self.expr(*left), self.expr(*right)),
            ExprKind::Or(left, right) => format!("({} or {})", self.expr(*left), self.expr(*right)),
        }
    }
}

/// A number in the unit of its type.
fn number(ty: Ty, value: i64) -> String {
    match ty {
        Ty::Bytes => format!("{value}B"),
        Ty::Ratio => format!("{value}ppm"),
        Ty::Duration => format!("{value}ns"),
        Ty::Bool => (value != 0).to_string(),
        Ty::Count | Ty::Text => value.to_string(),
    }
}

fn subject(subject: Subject) -> String {
    match subject {
        Subject::Anchor(cgroup) => anchor(cgroup).to_owned(),
        Subject::Candidate(binder) => binder.to_string(),
        Subject::Home(binder) => format!("{binder}.home"),
        Subject::Parent(binder) => format!("{binder}.parent"),
        Subject::Pick(pick) => pick.to_string(),
        Subject::Event => "oom".to_owned(),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Process => "process",
        Unit::Cgroup => "cgroup",
    }
}

fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Cgroup => "cgroup",
        Anchor::Parent => "parent",
        Anchor::Attached => "attached",
    }
}
