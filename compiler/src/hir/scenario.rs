//! `test` blocks: whether the machine that one describes, and what it expects, can be at all.
//!
//! Takes syntax trees and gives [`scenario::Test`]s. Knows names and types only. What a test does is the business of
//! whoever runs it.

use std::collections::{HashMap, HashSet};

use oomc_abi::fields::Owner;
use oomc_abi::model::{self, Class, Stray};
use oomc_abi::raw;
use oomc_abi::scenario::{self, Expected, Named, Seen, StepKind, Value};
use oomc_abi::watch::Average;

use super::check::{Operand, ty_of};
use super::errors;
use super::lower::Checker;
use super::{ExprKind, RATIO_ONE, Ty};
use crate::diag::Advice;
use crate::diag::suggest::nearest;
use crate::resolve::What;
use crate::source::{Source, Span};
use crate::syntax::ast::{self, ClauseKind, GivenKind, Outcome};

/// What the objects of a test are called.
#[derive(Default)]
struct Described {
    cgroups: HashSet<String>,
    processes: HashSet<String>,
    /// Those of which something was said since the last event.
    fresh: HashSet<String>,
    /// Processes of which something is said further down in the same `given`.
    announced: HashSet<String>,
}

impl Described {
    /// Whether nothing was said of it since the last event.
    fn add(&mut self, cgroup: &str, name: &str, process: bool) -> bool {
        // What is above is there, too.
        let mut above = String::new();
        for part in cgroup.split('/').filter(|part| !part.is_empty()) {
            above.push('/');
            above.push_str(part);
            self.cgroups.insert(above.clone());
        }
        self.cgroups.insert("/".to_owned());
        if process {
            self.processes.insert(name.to_owned());
        }
        self.fresh.insert(name.to_owned())
    }
}

impl Checker<'_> {
    /// Checks all tests of a file; what can be run is kept.
    pub(super) fn scenarios(&mut self, file: &ast::File, source: &Source) {
        let mut names: HashMap<&str, Span> = HashMap::new();
        for clause in &file.clauses {
            let ClauseKind::Test(test) = &clause.kind else { continue };
            if self.sink.is_full() {
                break;
            }
            if let Some(first) = names.insert(&test.name.text, test.name.span) {
                self.sink.push(errors::scenario::two_tests_of_one_name(&test.name, first));
            }
            if let Some(test) = self.scenario(test, source) {
                self.policy.tests.push(test);
            }
        }
    }

    /// None: it expects something before anything happened.
    fn scenario(&mut self, test: &ast::Test, source: &Source) -> Option<scenario::Test> {
        let mut described = Described::default();
        let mut steps = Vec::new();
        let mut events = false;
        for step in &test.steps {
            let mut add = |span: Span, kind: Option<StepKind>| {
                let line = source.line_column(span.start).0;
                steps.extend(kind.map(|kind| scenario::Step { line, kind }));
            };
            match &step.kind {
                ast::StepKind::Given(objects) => {
                    described.announced = processes_in(objects);
                    for given in objects {
                        match given {
                            GivenKind::Param(name, value) => add(name.span, self.setting(name, value)),
                            GivenKind::Object(object) => {
                                add(object.span, self.given(object, &mut described));
                            }
                        }
                    }
                }
                ast::StepKind::Event { system, cgroup, properties } => {
                    events = true;
                    if let (true, Some(cgroup)) = (*system, cgroup)
                        && cgroup.text != "/"
                    {
                        self.sink.push(errors::scenario::system_in_a_cgroup(cgroup));
                    }
                    add(step.span, Some(self.event(cgroup.as_ref(), properties, &mut described)));
                }
                ast::StepKind::Seen { event, cgroup, lasting, properties } => {
                    events = true;
                    let seen =
                        self.seen(event, cgroup.as_ref(), lasting.as_ref(), (properties, &mut described));
                    add(step.span, seen);
                }
                ast::StepKind::After(time) => {
                    // What is given behind it is how things have become.
                    described.fresh.clear();
                    add(step.span, self.given_number(time, Ty::Duration).map(StepKind::After));
                }
                ast::StepKind::Expect { outcome, rule } => {
                    if !events {
                        self.sink.push(errors::scenario::expects_too_early(step.span));
                        return None;
                    }
                    let text = source.slice(step.span);
                    add(step.span, self.expectation(text, outcome, rule.as_ref(), &described));
                }
            }
        }
        if !test.steps.iter().any(|step| matches!(step.kind, ast::StepKind::Expect { .. })) {
            self.sink.push(errors::scenario::expects_nothing(test.name.span));
        }
        let line = source.line_column(test.name.span.start).0;
        Some(scenario::Test { name: test.name.text.clone(), line, steps })
    }

    /// A cgroup, or the machine, runs out of memory.
    fn event(
        &mut self,
        cgroup: Option<&ast::Text>,
        properties: &[ast::Property],
        described: &mut Described,
    ) -> StepKind {
        described.fresh.clear();
        if let Some(cgroup) = cgroup {
            self.described(cgroup, Some(ast::Unit::Cgroup), described);
        }
        let properties = self.properties(Owner::Event, properties, described);
        // The root has no limit: when memory runs out there, the machine is short of it.
        let cgroup = cgroup.filter(|cgroup| cgroup.text != "/");
        StepKind::Event { cgroup: cgroup.map(|cgroup| cgroup.text.clone()), properties }
    }

    /// Something that is watched is so.
    fn seen(
        &mut self,
        event: &ast::Seen,
        cgroup: Option<&ast::Text>,
        lasting: Option<&ast::Expr>,
        (properties, described): (&[ast::Property], &mut Described),
    ) -> Option<StepKind> {
        described.fresh.clear();
        if let Some(cgroup) = cgroup {
            self.described(cgroup, Some(ast::Unit::Cgroup), described);
        }
        let properties = self.properties(Owner::Event, properties, described);
        let event = match event {
            ast::Seen::Average { full, window, value } => {
                let average = Average::ALL.into_iter().find(|known| known.word() == window.text);
                let share = self.given_number(value, Ty::Ratio)?;
                if !(0..=RATIO_ONE).contains(&share) {
                    self.sink.push(errors::scenario::no_pressure(value.span));
                    return None;
                }
                Seen::Pressure { full: *full, average: average?, value: share }
            }
            ast::Seen::Stall { full, above, per } => {
                let (stall, time) =
                    (self.given_number(above, Ty::Duration)?, self.given_number(per, Ty::Duration)?);
                if !(0..=time).contains(&stall) || time == 0 {
                    self.sink.push(errors::scenario::no_pressure(above.span.to(per.span)));
                    return None;
                }
                Seen::Stall { full: *full, above: stall, per: time }
            }
            ast::Seen::Usage => Seen::Usage,
            ast::Seen::Swap => Seen::Swap,
            ast::Seen::Limit => Seen::Limit,
        };
        let lasting = match lasting {
            Some(time) => self.given_number(time, Ty::Duration)?,
            None => 0,
        };
        // The root is the machine.
        let cgroup = cgroup.filter(|cgroup| cgroup.text != "/").map(|cgroup| cgroup.text.clone());
        Some(StepKind::Seen { event, cgroup, lasting, properties })
    }

    /// What must have happened; `text` is how it is written.
    fn expectation(
        &mut self,
        text: &str,
        outcome: &Outcome,
        rule: Option<&ast::Text>,
        described: &Described,
    ) -> Option<StepKind> {
        if let Some(rule) = rule {
            self.rule_named(rule);
        }
        let text = text.trim_start_matches("expect").split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = self.outcome(outcome, described)?;
        Some(StepKind::Expect { text, expected, rule: rule.map(|rule| rule.text.clone()) })
    }

    fn setting(&mut self, name: &ast::Name, value: &ast::Expr) -> Option<StepKind> {
        let param = match self.scope.declared.get(&name.text).map(|declared| &declared.what) {
            Some(What::Param(param)) => self.policy.params.get(*param),
            _ => None,
        };
        let Some(param) = param else {
            if !self.scope.lost.contains(&name.text) {
                let known: Vec<&str> = self.policy.params.values().map(|param| param.name.as_str()).collect();
                let help = match nearest(&name.text, known.iter().copied()) {
                    Some(near) => Advice::meant(near, name.span),
                    None if known.is_empty() => "the policy has no params".into(),
                    None => format!("the params are {}", known.join(", ")).into(),
                };
                self.sink.push(errors::scenario::unknown_param(name, help));
            }
            return None;
        };
        let (ty, least, most) = (param.ty, param.least, param.most);
        self.scope.used_declared(name);
        let number = self.given_number(value, ty)?;
        if !(least..=most).contains(&number) {
            self.sink.push(errors::scenario::outside_of_range(&name.text, value.span));
            return None;
        }
        Some(StepKind::Param(name.text.clone(), number))
    }

    fn outcome(&mut self, outcome: &Outcome, described: &Described) -> Option<Expected> {
        let texts = |texts: &[ast::Text]| texts.iter().map(|text| text.text.clone()).collect();
        Some(match outcome {
            Outcome::KillNobody => Expected::KillNobody,
            Outcome::Kill(unit, victims) => {
                let unit = unit.map(|(unit, _)| unit);
                for victim in victims {
                    self.described(victim, unit, described);
                }
                let process = |victim: &ast::Text| victim.text.contains('#');
                match unit {
                    Some(ast::Unit::Process) => Expected::KillProcesses(texts(victims)),
                    Some(ast::Unit::Cgroup) => Expected::KillCgroups(texts(victims)),
                    None if victims.iter().all(process) => Expected::KillProcesses(texts(victims)),
                    None if !victims.iter().any(process) => Expected::KillCgroups(texts(victims)),
                    None => {
                        let Some(span) = victims.first().map(|victim| victim.span) else {
                            self.contradiction("an expectation names nobody");
                            return None;
                        };
                        self.sink.push(errors::scenario::processes_and_cgroups(span));
                        return None;
                    }
                }
            }
            Outcome::RaiseLimit(cgroup, to) => {
                self.described(cgroup, Some(ast::Unit::Cgroup), described);
                Expected::RaiseLimit(cgroup.text.clone(), self.given_number(to, Ty::Bytes)?)
            }
            Outcome::NotAsked => Expected::NotAsked,
            Outcome::Reclaim(bytes) => Expected::Reclaim(self.given_number(bytes, Ty::Bytes)?),
            Outcome::Candidates(candidates) => {
                for candidate in candidates {
                    self.described(candidate, None, described);
                }
                Expected::Candidates(texts(candidates))
            }
            Outcome::Freed(bytes) => Expected::Freed(self.given_number(bytes, Ty::Bytes)?),
            Outcome::Reason(text) => Expected::Reason(text.text.clone()),
            Outcome::Notify(text) => Expected::Notify(text.text.clone()),
            Outcome::Wait => Expected::Wait,
            Outcome::Defer => Expected::Defer,
        })
    }

    /// An object's name must be one that was given.
    fn described(&mut self, name: &ast::Text, unit: Option<ast::Unit>, described: &Described) {
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
        let mut known: Vec<&str> =
            described.cgroups.iter().chain(&described.processes).map(String::as_str).collect();
        known.sort_unstable();
        let help = match nearest(text, known) {
            Some(near) if near != text => Advice::meant_text(near, name.span),
            _ => "write it into `given`; a process is called `\"/job#100\"`".into(),
        };
        self.sink.push(errors::scenario::not_given(text, name.span, help));
    }

    fn rule_named(&mut self, rule: &ast::Text) {
        let names: Vec<&str> = self.policy.rules.iter().map(|rule| rule.name.as_str()).collect();
        // A rule with a mistake is left out of the policy.
        if names.contains(&rule.text.as_str()) || self.sink.has_errors() {
            return;
        }
        let help = match nearest(&rule.text, names.iter().copied()) {
            Some(near) => Advice::meant_text(near, rule.span),
            None => format!("the rules are {}", quoted(&names)).into(),
        };
        self.sink.push(errors::scenario::unknown_rule(rule, help));
    }

    fn given(&mut self, object: &ast::Given, described: &mut Described) -> Option<StepKind> {
        let name = object.path.text.as_str();
        let Some((cgroup, pid)) = scenario::split(name) else {
            self.sink.push(errors::scenario::no_object(name, object.path.span));
            return None;
        };
        let owner = if pid.is_some() { Owner::Process } else { Owner::Cgroup };
        if !described.add(cgroup, name, pid.is_some()) {
            self.sink.push(errors::scenario::given_twice(name, object.path.span));
        }
        let same = pid.map(|pid| format!("#{pid}"));
        let other = same.and_then(|same| {
            described.processes.iter().find(|other| other.ends_with(&same) && *other != name).cloned()
        });
        if let Some(other) = other {
            described.processes.remove(name);
            self.sink.push(errors::scenario::number_taken(&other, object.path.span));
        }
        let properties = self.properties(owner, &object.properties, described);
        Some(StepKind::Given(scenario::Given { cgroup: cgroup.to_owned(), pid, properties }))
    }

    fn properties(
        &mut self,
        owner: Owner,
        properties: &[ast::Property],
        described: &Described,
    ) -> Vec<scenario::Property> {
        let mut found = Vec::new();
        for property in properties {
            found.extend(self.property(owner, property, described));
        }
        found
    }

    fn property(
        &mut self,
        owner: Owner,
        property: &ast::Property,
        described: &Described,
    ) -> Option<scenario::Property> {
        let text = property.name.text();
        let (name, ty) = self.property_name(owner, &property.name)?;
        let value = match &property.value {
            Some(value) => self.given_value(value, ty)?,
            None if ty == Ty::Bool => Value::Number(1),
            None => {
                self.sink.push(errors::scenario::value_missing(&text, ty, property.name.span));
                return None;
            }
        };
        // Some of the extras name a process.
        if let (Named::Field(field), Value::Text(other), Some(span)) =
            (&name, &value, property.value.as_ref().map(|value| value.span))
            && scenario::names_a_process(field)
            && !described.announced.contains(other)
        {
            self.described(&ast::Text { text: other.clone(), span }, Some(ast::Unit::Process), described);
        }
        Some(scenario::Property { name, value })
    }

    fn property_name(&mut self, owner: Owner, name: &ast::Path) -> Option<(Named, Ty)> {
        let text = name.text();
        if let Some(declared) = self.scope.declared.get(&text).filter(|_| owner == Owner::Cgroup) {
            let what = declared.what.clone();
            if let (What::Label(_) | What::State(_), [name]) = (&what, name.segments.as_slice()) {
                self.scope.used_declared(name);
            }
            match what {
                What::Label(label) => {
                    let ty = self.policy.labels.get(label).map(|label| label.ty)?;
                    return Some((Named::Label(text), ty));
                }
                What::State(_) => return Some((Named::Counter(text), Ty::Count)),
                _ => {}
            }
        }
        self.scope.used_property(owner, name);
        if let Some(unit) = scenario::unit_of(owner, &text) {
            let Some(why) = scenario::follows(owner, &text) else {
                return Some((Named::Field(text), ty_of(unit)));
            };
            self.sink.push(errors::scenario::follows(&text, why, name.span));
            return None;
        }
        if self.scope.lost.contains(&text) {
            return None;
        }
        match self.member(owner, name) {
            Some(Ok(member)) => return Some((Named::Member(member), Ty::Count)),
            Some(Err(stray)) => {
                self.sink.push(errors::scenario::member_of_another(&text, &stray, name.span));
                return None;
            }
            None => {}
        }
        let what = match owner {
            Owner::Process => "a process",
            Owner::Cgroup => "a cgroup",
            Owner::Event => "an event",
            Owner::Machine => "the machine",
        };
        let help = match nearest(&text, scenario::names(owner)) {
            Some(near) => Advice::meant(near, name.span),
            None => format!("{} can be given", known(owner)).into(),
        };
        self.sink.push(errors::scenario::unknown_property(what, &text, help, name.span));
        None
    }

    /// A number of a kernel structure: `task.signal.nr_threads`, `memcg.css.serial_nr`. None: there is no such one.
    fn member(&self, owner: Owner, name: &ast::Path) -> Option<Result<String, Stray>> {
        let (word, class) = match owner {
            Owner::Process => ("task", Class::Task),
            Owner::Cgroup => ("memcg", Class::Memcg),
            Owner::Event | Owner::Machine => return None,
        };
        let (first, rest) = name.segments.split_first()?;
        if first.text != word || rest.is_empty() {
            return None;
        }
        let part = |(at, part): (usize, &ast::Name)| {
            let indices = name.indices.iter().filter(|(of, _)| *of == at + 1);
            indices.fold(part.text.clone(), |text, (_, index)| format!("{text}[{}]", index.value))
        };
        let parts: Vec<String> = rest.iter().enumerate().map(part).collect();
        let found = raw::find(self.view, class.tag(), &parts).ok()?;
        let number = !matches!(found.value, raw::Value::Chars(_) | raw::Value::Text);
        // What is said of one object is never written into another one.
        number.then(|| model::own_place(self.view, class, &found.path).map(|_| found.path))
    }

    fn given_number(&mut self, value: &ast::Expr, wanted: Ty) -> Option<i64> {
        match self.given_value(value, wanted)? {
            Value::Number(number) => Some(number),
            Value::Text(_) => None,
        }
    }

    /// A literal of a type.
    fn given_value(&mut self, value: &ast::Expr, wanted: Ty) -> Option<Value> {
        let (found, literal) = match self.operand(value)? {
            Operand::Text(text) => (Ty::Text, Value::Text(text)),
            Operand::Expr(id) => match self.policy.exprs.get(id).map(|expr| (&expr.kind, expr.ty)) {
                Some((ExprKind::Int(number), ty)) => (ty, Value::Number(*number)),
                _ => return None,
            },
        };
        if found == wanted {
            return Some(literal);
        }
        let number = match literal {
            Value::Number(number) => Some(number),
            _ => None,
        };
        self.sink.push(errors::scenario::given_as_another_type(wanted, found, number, value.span));
        None
    }
}

/// The names of the processes in a `given`.
fn processes_in(objects: &[GivenKind]) -> HashSet<String> {
    let names = objects.iter().filter_map(|object| match object {
        GivenKind::Object(object) => Some(object.path.text.clone()),
        GivenKind::Param(..) => None,
    });
    names.filter(|name| matches!(scenario::split(name), Some((_, Some(_))))).collect()
}

/// What can be said of an object, in a sentence.
fn known(owner: Owner) -> &'static str {
    match owner {
        Owner::Process => "fields of a process, and `task.…`,",
        Owner::Cgroup => "fields, labels and counters of a cgroup, and `memcg.…`,",
        Owner::Event => "`order`, `constraint`, `total` and `trigger`",
        Owner::Machine => "nothing",
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
