//! HIR text: names bound, defaults written out, every operator with its own parentheses.

use core::fmt::Write as _;

use super::{
    ActionId, ActionKind, Anchor, ArithOp, CompareOp, Direction, ExprId, ExprKind, Place, Policy, Selection,
    Subject, Ty, Unit,
};

/// Prints a policy.
#[must_use]
pub fn print(policy: &Policy) -> String {
    let mut out = Printer { policy, text: String::new() };
    out.line(0, format_args!("policy {:?}", policy.name));
    for never in &policy.nevers {
        out.line(0, format_args!("never {} {}", unit(never.unit), never.binder));
        let condition = out.expr(never.condition);
        out.line(1, format_args!("where {condition}"));
    }
    for rule in &policy.rules {
        out.line(0, format_args!("rule {:?}", rule.name));
        out.action(1, rule.action);
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
                if let Some(reason) = &kill.reason {
                    self.line(depth + 1, format_args!("reason {reason:?}"));
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
            ActionKind::Wait => self.line(depth, format_args!("wait")),
            ActionKind::Defer => self.line(depth, format_args!("defer")),
        }
    }

    fn selection(&mut self, depth: usize, selection: &Selection) {
        let place = match selection.place {
            Place::Subtree => "subtree",
            Place::Cgroup(cgroup) => anchor(cgroup),
        };
        self.line(depth, format_args!("{} {} in {place}", unit(selection.unit), selection.binder));
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

    fn expr(&self, id: ExprId) -> String {
        let Some(expr) = self.policy.exprs.get(id) else { return "?".to_owned() };
        match &expr.kind {
            ExprKind::Int(value) => match expr.ty {
                Ty::Bytes => format!("{value}B"),
                Ty::Ratio => format!("{value}ppm"),
                Ty::Duration => format!("{value}ns"),
                Ty::Bool => (*value != 0).to_string(),
                Ty::Count | Ty::Text => value.to_string(),
            },
            ExprKind::Field(subject, field) => {
                let subject = match subject {
                    Subject::Anchor(cgroup) => anchor(*cgroup).to_owned(),
                    Subject::Candidate(binder) => binder.to_string(),
                };
                format!("{subject}.{}", field.row().name)
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
            ExprKind::Matches(field, texts) => format!("({} in {texts:?})", self.expr(*field)),
            ExprKind::Not(inner) => format!("(not {})", self.expr(*inner)),
            ExprKind::And(left, right) => format!("({} and {})", self.expr(*left), self.expr(*right)),
            ExprKind::Or(left, right) => format!("({} or {})", self.expr(*left), self.expr(*right)),
        }
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
