//! `test` blocks: whether the machine that one describes, and what it expects, can be at all.
//!
//! Knows names and types only. What a test does is the business of whoever runs it.

use std::collections::{HashMap, HashSet};

use oomc_abi::fields::{self, Owner};

use super::check::{Operand, ty_name, ty_of};
use super::lower::Lower;
use super::{ExprKind, Ty};
use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, codes};
use crate::resolve::What;
use crate::source::Span;
use crate::syntax::ast::{self, ClauseKind, Outcome, StepKind};

/// What the objects of a test are called.
#[derive(Default)]
struct Described<'a> {
    cgroups: HashSet<&'a str>,
    processes: HashSet<&'a str>,
}

impl Lower<'_> {
    /// Checks all tests of a file.
    pub(super) fn scenarios(&mut self, file: &ast::File) {
        let mut names: HashMap<&str, Span> = HashMap::new();
        for clause in &file.clauses {
            let ClauseKind::Test(test) = &clause.kind else { continue };
            if self.sink.is_full() {
                break;
            }
            if let Some(first) = names.insert(&test.name.text, test.name.span) {
                self.sink.push(
                    Diagnostic::new(
                        codes::DUPLICATE_NAME,
                        format!("two tests are called \"{}\"", test.name.text),
                    )
                    .label(test.name.span, "the second one")
                    .label(first, "the first one")
                    .help("give each test its own name"),
                );
            }
            self.scenario(test);
        }
    }

    fn scenario(&mut self, test: &ast::Test) {
        let mut described = Described::default();
        let mut events = false;
        for step in &test.steps {
            match &step.kind {
                StepKind::Given(objects) => {
                    for object in objects {
                        self.given(object, &mut described);
                    }
                }
                StepKind::Event { cgroup, .. } => {
                    events = true;
                    if let Some(cgroup) = cgroup {
                        self.described(cgroup, Some(ast::Unit::Cgroup), &described);
                    }
                }
                StepKind::After(time) => {
                    let _ = self.given_value(time, Ty::Duration);
                }
                StepKind::Expect { outcome, rule } => {
                    if !events {
                        self.sink.push(
                            Diagnostic::new(codes::SCENARIO, "nothing has happened yet")
                                .label(step.span, "expects something before any `on oom`")
                                .help("write `on oom in \"/job\"` above it"),
                        );
                        return;
                    }
                    self.outcome(outcome, &described);
                    if let Some(rule) = rule {
                        self.rule_named(rule);
                    }
                }
            }
        }
        if !test.steps.iter().any(|step| matches!(step.kind, StepKind::Expect { .. })) {
            self.sink.push(
                Diagnostic::new(codes::SCENARIO, "this test expects nothing")
                    .label(test.name.span, "can never fail")
                    .help("write what must happen: `expect kill process \"/job#1\"`"),
            );
        }
    }

    fn outcome(&mut self, outcome: &Outcome, described: &Described<'_>) {
        match outcome {
            Outcome::Kill(unit, victims) => {
                for victim in victims {
                    self.described(victim, unit.map(|(unit, _)| unit), described);
                }
            }
            Outcome::RaiseLimit(cgroup, to) => {
                self.described(cgroup, Some(ast::Unit::Cgroup), described);
                let _ = self.given_value(to, Ty::Bytes);
            }
            Outcome::KillNobody | Outcome::Notify(_) | Outcome::Wait | Outcome::Defer => {}
        }
    }

    /// An object's name must be one that was given.
    fn described(&mut self, name: &ast::Text, unit: Option<ast::Unit>, described: &Described<'_>) {
        let text = name.text.as_str();
        let (cgroup, process) = (described.cgroups.contains(text), described.processes.contains(text));
        let found = match unit {
            Some(ast::Unit::Cgroup) => cgroup,
            Some(ast::Unit::Process) => process,
            None => cgroup || process,
        };
        if found {
            return;
        }
        let known = described.cgroups.iter().chain(&described.processes).copied();
        let help = match nearest(text, known) {
            Some(near) if near != text => format!("did you mean \"{near}\"?"),
            _ => "write it into `given`; a process is called `\"/job#100\"`".to_owned(),
        };
        self.sink.push(
            Diagnostic::new(codes::SCENARIO, format!("\"{text}\" was not given"))
                .label(name.span, "no such object in this test")
                .help(help),
        );
    }

    fn rule_named(&mut self, rule: &ast::Text) {
        let names: Vec<&str> = self.policy.rules.iter().map(|rule| rule.name.as_str()).collect();
        // A rule with a mistake is left out of the policy.
        if names.contains(&rule.text.as_str()) || self.sink.has_errors() {
            return;
        }
        let help = match nearest(&rule.text, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the rules are {}", quoted(&names)),
        };
        self.sink.push(
            Diagnostic::new(codes::SCENARIO, format!("no rule is called \"{}\"", rule.text))
                .label(rule.span, "unknown rule")
                .help(help),
        );
    }

    fn given<'t>(&mut self, object: &'t ast::Given, described: &mut Described<'t>) {
        let path = object.path.text.as_str();
        let (owner, seen) = match path.split_once('#') {
            Some((_, pid)) if pid.parse::<u32>().is_ok() => (Owner::Process, &mut described.processes),
            None if path.starts_with('/') => (Owner::Cgroup, &mut described.cgroups),
            _ => {
                self.sink.push(
                    Diagnostic::new(codes::SCENARIO, format!("\"{path}\" is neither a cgroup nor a process"))
                        .label(object.path.span, "not a name of an object")
                        .help("a cgroup is called `\"/job\"`, a process in it `\"/job#100\"`"),
                );
                return;
            }
        };
        if !seen.insert(path) {
            self.sink.push(
                Diagnostic::new(codes::SCENARIO, format!("\"{path}\" is given twice"))
                    .label(object.path.span, "the second one")
                    .help("say everything about it in one place"),
            );
        }
        for (name, value) in &object.properties {
            self.property(owner, name, value.as_ref());
        }
    }

    fn property(&mut self, owner: Owner, name: &ast::Path, value: Option<&ast::Expr>) {
        let text = name.text();
        let declared = match self.scope.declared.get_mut(&text) {
            Some(declared) if owner == Owner::Cgroup => match declared.what {
                What::Label(label) => self.policy.labels.get(label).map(|label| label.ty),
                What::State(_) => Some(Ty::Count),
                _ => None,
            },
            _ => None,
        };
        let Some(ty) = declared.or_else(|| fields::find(owner, &text).map(|field| ty_of(field.row().unit)))
        else {
            if self.scope.lost.contains(&text) {
                return;
            }
            let names = fields::all().map(|field| field.row()).filter(|row| row.owner == owner);
            let (what, known): (_, Vec<&str>) = match owner {
                Owner::Process => ("a process", names.map(|row| row.name).collect()),
                _ => ("a cgroup", names.map(|row| row.name).collect()),
            };
            let help = match nearest(&text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("fields, labels and counters of {what} can be given"),
            };
            self.sink.push(
                Diagnostic::new(codes::SCENARIO, format!("{what} has no `{text}`"))
                    .label(name.span, "unknown property")
                    .help(help),
            );
            return;
        };
        match value {
            Some(value) => {
                let _ = self.given_value(value, ty);
            }
            None if ty == Ty::Bool => {}
            None => self.sink.push(
                Diagnostic::new(codes::SCENARIO, format!("`{text}` needs a value"))
                    .label(name.span, format!("{} is expected behind it", ty_name(ty)))
                    .help("only what is true or false stands alone"),
            ),
        }
    }

    /// A literal of a type.
    fn given_value(&mut self, value: &ast::Expr, wanted: Ty) -> Option<()> {
        let found = match self.operand(value)? {
            Operand::Text(_) => Ty::Text,
            Operand::Expr(id) => match self.policy.exprs.get(id) {
                Some(expr) if matches!(expr.kind, ExprKind::Int(_)) => expr.ty,
                _ => return None,
            },
        };
        if found == wanted {
            return Some(());
        }
        self.sink.push(
            Diagnostic::new(
                codes::TYPES,
                format!("{} is needed here, and this is {}", ty_name(wanted), ty_name(found)),
            )
            .label(value.span, format!("this is {}", ty_name(found)))
            .help("write it as the policy would compare it"),
        );
        None
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
