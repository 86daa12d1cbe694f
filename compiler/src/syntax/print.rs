//! The AST as an indented tree.

use core::fmt::Write as _;

use super::ast::{
    Action, ActionKind, ClauseKind, Expr, ExprKind, File, GivenKind, Outcome, Path, Place, Property,
    Protection, Seen, Selection, StepKind, Test, Text, Watch, Watched,
};

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
            ClauseKind::Define { name, unit, condition } => {
                out.line(0, format_args!("define {} = {}", name.text, unit.spelling()));
                out.line(1, format_args!("where {}", expr(condition)));
            }
            ClauseKind::Param { name, value, range } => {
                out.line(0, format_args!("param {} = {}", name.text, expr(value)));
                if let Some((least, most)) = range {
                    out.line(1, format_args!("range {} .. {}", expr(least), expr(most)));
                }
            }
            ClauseKind::Label { name, ty, value, trust } => {
                out.line(0, format_args!("label {}: {} = {}", name.text, ty.text, expr(value)));
                if let Some(trust) = trust {
                    out.line(1, format_args!("trust {}", trust.text));
                }
            }
            ClauseKind::State { name, resets } => {
                out.line(0, format_args!("state {}", name.text));
                if let Some(resets) = resets {
                    out.line(1, format_args!("resets after {}", expr(resets)));
                }
            }
            ClauseKind::Never(of) => out.protection("never", of),
            ClauseKind::Preference { prefer: true, of } => out.protection("prefer", of),
            ClauseKind::Preference { prefer: false, of } => out.protection("avoid", of),
            ClauseKind::Pick { name, selection } => {
                out.line(0, format_args!("pick {}", name.text));
                out.selection(1, selection);
            }
            ClauseKind::Test(test) => out.test(test),
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
            ClauseKind::Watch(of) => out.watch(of),
            ClauseKind::Budget { kills, per } => {
                out.line(0, format_args!("budget {} kills per {}", expr(kills), expr(per)));
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

    fn protection(&mut self, word: &str, of: &Protection) {
        let unit = of.unit.map_or("?", |(unit, _)| unit.spelling());
        let path = of.path.as_ref().map(|path| format!(" {:?}", path.text)).unwrap_or_default();
        self.line(0, format_args!("{word} {unit}{path}"));
        if let Some(condition) = &of.condition {
            self.line(1, format_args!("where {}", expr(condition)));
        }
    }

    fn watch(&mut self, of: &Watch) {
        self.line(0, format_args!("on {}", watched(&of.event)));
        if let Some(time) = &of.lasting {
            self.line(1, format_args!("for {}", expr(time)));
        }
        if let Some(time) = &of.cooldown {
            self.line(1, format_args!("cooldown {}", expr(time)));
        }
        for rule in &of.rules {
            match &rule.name {
                Some(name) => self.line(1, format_args!("rule {:?}", name.text)),
                None => self.line(1, format_args!("rule")),
            }
            self.action(2, &rule.action);
        }
    }

    fn test(&mut self, test: &Test) {
        self.line(0, format_args!("test {:?}", test.name.text));
        for step in &test.steps {
            match &step.kind {
                StepKind::Given(objects) => {
                    for given in objects {
                        match given {
                            GivenKind::Param(name, value) => {
                                self.line(1, format_args!("given param {} {}", name.text, expr(value)));
                            }
                            GivenKind::Object(object) => {
                                self.line(1, format_args!("given {:?}", object.path.text));
                                self.properties(&object.properties);
                            }
                        }
                    }
                }
                StepKind::Event { system, cgroup, properties } => {
                    let system = if *system { "system " } else { "" };
                    let place = cgroup.as_ref().map(|cgroup| format!(" in {:?}", cgroup.text));
                    self.line(1, format_args!("on {system}oom{}", place.unwrap_or_default()));
                    self.properties(properties);
                }
                StepKind::Seen { event, cgroup, lasting, properties } => {
                    let place = cgroup.as_ref().map(|cgroup| format!(" in {:?}", cgroup.text));
                    let time = lasting.as_ref().map(|time| format!(" for {}", expr(time)));
                    let (place, time) = (place.unwrap_or_default(), time.unwrap_or_default());
                    self.line(1, format_args!("on {}{place}{time}", seen(event)));
                    self.properties(properties);
                }
                StepKind::After(time) => self.line(1, format_args!("after {}", expr(time))),
                StepKind::Expect { outcome, rule } => {
                    self.line(1, format_args!("expect {}", self::outcome(outcome)));
                    if let Some(rule) = rule {
                        self.line(2, format_args!("by rule {:?}", rule.text));
                    }
                }
            }
        }
    }

    fn properties(&mut self, properties: &[Property]) {
        for Property { name, value } in properties {
            let value = value.as_ref().map(|value| format!(" {}", expr(value)));
            self.line(2, format_args!("{}{}", path(name), value.unwrap_or_default()));
        }
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
            ActionKind::Kill { selection, now, until, grace, reason } => {
                self.line(depth, format_args!("kill{}", if *now { " now" } else { "" }));
                self.selection(depth + 1, selection);
                if let Some(until) = until {
                    let (freed, most) = (expr(&until.freed), expr(&until.at_most));
                    self.line(depth + 1, format_args!("until freed {freed} at most {most}"));
                }
                if let Some(grace) = grace {
                    self.line(depth + 1, format_args!("grace {}", expr(grace)));
                }
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
            ActionKind::Reclaim(amount) => self.line(depth, format_args!("reclaim {}", expr(amount))),
            ActionKind::Wait => self.line(depth, format_args!("wait")),
            ActionKind::Defer => self.line(depth, format_args!("defer")),
            ActionKind::Notify(text) => self.line(depth, format_args!("notify {:?}", text.text)),
            ActionKind::Count(name) => self.line(depth, format_args!("count {}", name.text)),
        }
    }

    fn selection(&mut self, depth: usize, selection: &Selection) {
        let mut words: Vec<&str> = Vec::new();
        words.extend(selection.rank.map(|(rank, _)| rank.spelling()));
        words.extend(selection.unit.map(|(unit, _)| unit.spelling()));
        words.extend(selection.name.as_ref().map(|name| name.text.as_str()));
        let place = place(&selection.place);
        words.extend(["in", &place]);
        words.extend(selection.stepwise.map(|_| "stepwise"));
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
        ExprKind::Quantifier(quantifier) => {
            let mut text = quantifier.quant.spelling().to_owned();
            if let Some(field) = quantifier.quant.field() {
                text += &format!(" {} of", path(field));
            }
            text += &format!(" {}", quantifier.unit.spelling());
            text.extend(quantifier.name.iter().map(|name| format!(" {}", name.text)));
            text += &format!(" in {}", place(&quantifier.place));
            text.extend(quantifier.filter.iter().map(|filter| format!(" where {}", expr(filter))));
            format!("({text})")
        }
        ExprKind::Choice(parts) => {
            let [condition, then, otherwise] = parts.as_ref().each_ref().map(expr);
            format!("(if {condition} then {then} else {otherwise})")
        }
        ExprKind::Rate(field) => format!("rate({})", path(field)),
        ExprKind::Growth(field, window) => format!("growth({}, {})", path(field), expr(window)),
        ExprKind::Has(field, bits) => {
            let bits: Vec<&str> = bits.iter().map(|bit| bit.text.as_str()).collect();
            format!("({} has {})", path(field), bits.join(" | "))
        }
        ExprKind::Broken => "?".to_owned(),
    }
}

fn watched(event: &Watched) -> String {
    let kind = |full: &bool| if *full { "full" } else { "some" };
    match event {
        Watched::Average { full, window, above } => {
            format!("pressure {} {} > {}", kind(full), window.text, expr(above))
        }
        Watched::Stall { full, above, per } => {
            format!("pressure {} above {} per {}", kind(full), expr(above), expr(per))
        }
        Watched::Usage(above) => format!("usage > {}", expr(above)),
        Watched::Swap(above) => format!("swap > {}", expr(above)),
        Watched::Limit => "limit".to_owned(),
    }
}

fn seen(event: &Seen) -> String {
    let kind = |full: &bool| if *full { "full" } else { "some" };
    match event {
        Seen::Average { full, window, value } => {
            format!("pressure {} {} {}", kind(full), window.text, expr(value))
        }
        Seen::Stall { full, above, per } => {
            format!("pressure {} above {} per {}", kind(full), expr(above), expr(per))
        }
        Seen::Usage => "usage".to_owned(),
        Seen::Swap => "swap".to_owned(),
        Seen::Limit => "limit".to_owned(),
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Subtree(_, None) => "subtree".to_owned(),
        Place::Subtree(_, Some(of)) => format!("subtree of {}", path(of)),
        Place::Children(_, of) => format!("children of {}", path(of)),
        Place::Leaves(_, of) => format!("leaves of {}", path(of)),
        Place::Cgroup(name) => path(name),
        Place::Matching(pattern) => format!("{:?}", pattern.text),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotAsked => "not asked".to_owned(),
        Outcome::KillNobody => "kill nobody".to_owned(),
        Outcome::Kill(unit, victims) => {
            let unit = unit.map(|(unit, _)| format!(" {}", unit.spelling())).unwrap_or_default();
            format!("kill{unit} {}", texts(victims))
        }
        Outcome::RaiseLimit(cgroup, to) => format!("raise_limit {:?} to {}", cgroup.text, expr(to)),
        Outcome::Reclaim(bytes) => format!("reclaim {}", expr(bytes)),
        Outcome::Candidates(candidates) => format!("candidates {}", texts(candidates)),
        Outcome::Freed(bytes) => format!("freed {}", expr(bytes)),
        Outcome::Reason(text) => format!("reason {:?}", text.text),
        Outcome::Notify(text) => format!("notify {:?}", text.text),
        Outcome::Wait => "wait".to_owned(),
        Outcome::Defer => "defer".to_owned(),
    }
}

fn texts(texts: &[Text]) -> String {
    texts.iter().map(|text| format!("{:?}", text.text)).collect::<Vec<_>>().join(", ")
}

fn path(path: &Path) -> String {
    path.text()
}
