//! The AST as an indented tree.

use core::fmt::Write as _;

use super::ast::{Action, ActionKind, ClauseKind, Expr, ExprKind, File, Path, Place, Selection};

/// Prints a file.
#[must_use]
pub fn print(file: &File) -> String {
    let mut out = Printer::default();
    for clause in &file.clauses {
        match &clause.kind {
            ClauseKind::Policy(name) => out.line(0, format_args!("policy {:?}", name.text)),
            ClauseKind::Mode(name) => out.line(0, format_args!("mode {}", name.text)),
            ClauseKind::Const { name, value } => {
                out.line(0, format_args!("const {} = {}", name.text, expr(value)));
            }
            ClauseKind::Never(never) => {
                let unit = never.unit.map_or("?", |(unit, _)| unit.spelling());
                out.line(0, format_args!("never {unit}"));
                if let Some(condition) = &never.condition {
                    out.line(1, format_args!("where {}", expr(condition)));
                }
            }
            ClauseKind::Rule { name: Some(name), action } => {
                out.line(0, format_args!("rule {:?}", name.text));
                out.action(1, action);
            }
            ClauseKind::Rule { name: None, action } => {
                out.line(0, format_args!("rule"));
                out.action(1, action);
            }
            ClauseKind::Default(action) => {
                out.line(0, format_args!("default"));
                out.action(1, action);
            }
        }
    }
    out.text
}

#[derive(Default)]
struct Printer {
    text: String,
}

impl Printer {
    fn line(&mut self, depth: usize, text: core::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{:width$}{text}", "", width = depth * 2);
    }

    fn action(&mut self, depth: usize, action: &Action) {
        match &action.kind {
            ActionKind::If { condition, then, otherwise } => {
                self.line(depth, format_args!("if {}", expr(condition)));
                self.action(depth + 1, then);
                if let Some(otherwise) = otherwise {
                    self.line(depth, format_args!("else"));
                    self.action(depth + 1, otherwise);
                }
            }
            ActionKind::Block(actions) => {
                self.line(depth, format_args!("block"));
                for action in actions {
                    self.action(depth + 1, action);
                }
            }
            ActionKind::Or(actions) => {
                self.line(depth, format_args!("or"));
                for action in actions {
                    self.action(depth + 1, action);
                }
            }
            ActionKind::Kill { selection, now, reason } => {
                self.line(depth, format_args!("kill{}", if *now { " now" } else { "" }));
                self.selection(depth + 1, selection);
                if let Some(reason) = reason {
                    self.line(depth + 1, format_args!("reason {:?}", reason.text));
                }
            }
            ActionKind::RaiseLimit { amount, up_to } => {
                self.line(depth, format_args!("raise_limit {}", expr(amount)));
                if let Some(up_to) = up_to {
                    self.line(depth + 1, format_args!("up to {}", expr(up_to)));
                }
            }
            ActionKind::Wait => self.line(depth, format_args!("wait")),
            ActionKind::Defer => self.line(depth, format_args!("defer")),
        }
    }

    fn selection(&mut self, depth: usize, selection: &Selection) {
        let mut words: Vec<&str> = Vec::new();
        words.extend(selection.rank.map(|(rank, _)| rank.spelling()));
        words.extend(selection.unit.map(|(unit, _)| unit.spelling()));
        words.extend(selection.name.as_ref().map(|name| name.text.as_str()));
        let place = match &selection.place {
            Place::Subtree(_) => "subtree".to_owned(),
            Place::Cgroup(name) => path(name),
        };
        words.extend(["in", &place]);
        self.line(depth, format_args!("{}", words.join(" ")));
        if let Some(filter) = &selection.filter {
            self.line(depth + 1, format_args!("where {}", expr(filter)));
        }
        for key in &selection.keys {
            let direction = match key.descending {
                None => "",
                Some(true) => " desc",
                Some(false) => " asc",
            };
            self.line(depth + 1, format_args!("by {}{direction}", expr(&key.value)));
        }
    }
}

/// On one line, every operator with its own parentheses.
fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number(literal) => format!("{:?}({})", literal.kind, literal.value).to_lowercase(),
        ExprKind::Text(text) => format!("{text:?}"),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Path(p) => path(p),
        ExprKind::List(items) => {
            let items: Vec<String> = items.iter().map(expr).collect();
            format!("[{}]", items.join(", "))
        }
        ExprKind::Paren(inner) => expr(inner),
        ExprKind::Not(inner) => format!("(not {})", expr(inner)),
        ExprKind::Minus(inner) => format!("(- {})", expr(inner)),
        ExprKind::Binary(op, left, right) => format!("({} {} {})", expr(left), op.spelling(), expr(right)),
        ExprKind::Broken => "?".to_owned(),
    }
}

fn path(path: &Path) -> String {
    let mut text = path.text();
    if path.indexed {
        text.push_str("[…]");
    }
    text
}
