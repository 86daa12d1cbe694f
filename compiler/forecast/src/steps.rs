//! How a decision came about: which rules were reached, how each condition came out and for whom, and why everybody
//! who is not the victim is not.
//!
//! Takes what a traced build passed and the forecast of the same event. Parts stand in the order of the policy's text,
//! because the compiler is free to ask in another; nothing is said of whom no mark and no candidate tells.

use std::collections::{BTreeMap, BTreeSet};

use oomc_compiler::Source;
use oomc_compiler::source::Span;
use oomc_compiler::trace::{Point, PointKind};
use oomc_sim::Object;
use oomc_sim::machine::{Machine, ROOT};
use oomc_sim::scenario::Decision;
use serde::Serialize;

use crate::forecast::{Candidate, Entity, Forecast, Kind, Protection};

/// Everybody of whom it is told why, at most.
const MOST: usize = 200;

/// The way to a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Steps {
    /// Rule by rule.
    pub rules: Vec<RuleSteps>,
    /// What becomes of everybody in the domain: who dies first, then the candidates, then the others.
    pub fates: Vec<Fate>,
    /// How many more there are, of whom nothing is told.
    pub more: usize,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSteps {
    /// Its name.
    pub rule: String,
    /// Of the policy.
    pub line: u32,
    /// It was asked.
    pub reached: bool,
    /// How it ended, in words; none: it is not recorded.
    pub end: Option<String>,
    /// Its conditions and actions.
    pub parts: Vec<Part>,
}

/// A condition or an action of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// As the policy writes it.
    pub text: String,
    /// Of the policy.
    pub line: u32,
    /// What it is.
    pub kind: PartKind,
    /// A condition that is about nobody in particular: how it came out. An action: whether it was reached.
    pub yes: Option<bool>,
    /// For whom a condition was true.
    pub holds_for: Vec<Entity>,
    /// For whom it was not, or is not known.
    pub fails_for: Vec<Entity>,
}

/// Parts of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Of an `if`, or behind `where`.
    Condition,
    /// `kill`, `raise_limit` and so on.
    Action,
}

/// What becomes of somebody, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Who.
    #[serde(flatten)]
    pub entity: Entity,
    /// It would be killed.
    pub dies: bool,
    /// Place among the candidates.
    pub place: Option<u32>,
    /// A sentence.
    pub why: String,
}

impl Steps {
    /// Of a decision of a traced build.
    pub(crate) fn of(source: &Source, points: &[Point], decision: &Decision, forecast: &Forecast) -> Self {
        let passed = Passed::of(points, decision);
        let (fates, more) = fates(source, &passed, forecast);
        Self { rules: rules(source, &passed, forecast), fates, more }
    }
}

/// Points of a policy, and who passed which.
struct Passed<'a> {
    points: &'a [Point],
    /// By the place of a point: it was passed; by these.
    by: BTreeMap<usize, BTreeSet<Object>>,
    decision: &'a Decision,
}

impl<'a> Passed<'a> {
    fn of(points: &'a [Point], decision: &'a Decision) -> Self {
        let mut by: BTreeMap<usize, BTreeSet<Object>> = BTreeMap::new();
        for mark in &decision.marks {
            by.entry(mark.point as usize).or_default().extend(mark.object);
        }
        Self { points, by, decision }
    }

    fn machine(&self) -> &'a Machine {
        &self.decision.before
    }

    /// The conditions of a stretch of the text, each with who passed it with which outcome; none: nobody in particular.
    fn conditions(&self, within: Span) -> BTreeMap<(u32, u32), Condition<'a>> {
        let mut found: BTreeMap<(u32, u32), Condition<'a>> = BTreeMap::new();
        for (at, point) in self.points.iter().enumerate() {
            let PointKind::Guard { yes } = point.kind else { continue };
            if !inside(point.span, within) {
                continue;
            }
            let key = (point.span.start, point.span.end);
            let condition =
                found.entry(key).or_insert_with(|| Condition { point, yes: None, of: [vec![], vec![]] });
            let Some(objects) = self.by.get(&at) else { continue };
            if objects.is_empty() {
                condition.yes = Some(yes);
            }
            let [holds, fails] = &mut condition.of;
            if yes { holds } else { fails }.extend(objects.iter().copied());
        }
        found
    }

    fn entities(&self, objects: &[Object]) -> Vec<Entity> {
        objects.iter().map(|object| Entity::of(self.machine(), *object)).collect()
    }
}

/// A condition and its outcomes.
struct Condition<'a> {
    point: &'a Point,
    yes: Option<bool>,
    /// For whom it holds, and for whom it does not.
    of: [Vec<Object>; 2],
}

fn inside(inner: Span, outer: Span) -> bool {
    inner.start >= outer.start && inner.end <= outer.end
}

fn rules(source: &Source, passed: &Passed<'_>, forecast: &Forecast) -> Vec<RuleSteps> {
    let rule = |(at, point): (usize, &Point)| {
        let PointKind::Rule(number) = point.kind else { return None };
        let ended = forecast.rules.get(number);
        Some(RuleSteps {
            rule: ended.map_or_else(|| point.text.clone(), |ended| ended.rule.clone()),
            line: source.line_column(point.span.start).0,
            reached: passed.by.contains_key(&at),
            end: ended.map(|ended| ended.end.clone()),
            parts: parts(source, passed, point.span),
        })
    };
    passed.points.iter().enumerate().filter_map(rule).collect()
}

/// The conditions and actions of a rule, in the order of the text.
fn parts(source: &Source, passed: &Passed<'_>, rule: Span) -> Vec<Part> {
    let line = |span: Span| source.line_column(span.start).0;
    let mut parts: Vec<(Span, Part)> = Vec::new();
    for condition in passed.conditions(rule).into_values() {
        let [holds, fails] = &condition.of;
        let part = Part {
            text: condition.point.text.clone(),
            line: line(condition.point.span),
            kind: PartKind::Condition,
            yes: condition.yes,
            holds_for: passed.entities(holds),
            fails_for: passed.entities(fails),
        };
        parts.push((condition.point.span, part));
    }
    for (at, point) in passed.points.iter().enumerate() {
        if point.kind == PointKind::Action && inside(point.span, rule) {
            let part = Part {
                text: point.text.clone(),
                line: line(point.span),
                kind: PartKind::Action,
                yes: Some(passed.by.contains_key(&at)),
                holds_for: Vec::new(),
                fails_for: Vec::new(),
            };
            parts.push((point.span, part));
        }
    }
    parts.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
    parts.into_iter().map(|(_, part)| part).collect()
}

/// What becomes of the processes of the domain, and of the cgroups that the decision is about; and how many more there are.
fn fates(source: &Source, passed: &Passed<'_>, forecast: &Forecast) -> (Vec<Fate>, usize) {
    let machine = passed.machine();
    let domain = passed.decision.event.cgroup.unwrap_or(ROOT);
    let mut all: Vec<Object> = machine
        .subtree(domain)
        .filter(|at| {
            let one = Entity::cgroup(machine, *at);
            let about = |other: &Entity| *other == one;
            forecast.candidates.iter().any(|candidate| about(&candidate.entity))
                || forecast.protections.iter().any(|clause| clause.objects.iter().any(about))
                || passed.by.values().any(|objects| objects.contains(&Object::Cgroup(*at)))
        })
        .map(Object::Cgroup)
        .collect();
    let living = crate::forecast::living(machine);
    all.extend(living.filter(|at| machine.is_within(machine.home(*at), domain)).map(Object::Process));
    let refused = refused(source, passed, forecast);
    let mut fates: Vec<Fate> = all.iter().map(|object| fate(passed, forecast, &refused, *object)).collect();
    fates.sort_by_key(|fate| (!fate.dies, fate.place.unwrap_or(u32::MAX)));
    let more = fates.len().saturating_sub(MOST);
    fates.truncate(MOST);
    (fates, more)
}

/// Who was left out of the selection that decides, each with the condition of it that was not true of him: a sentence.
fn refused(source: &Source, passed: &Passed<'_>, forecast: &Forecast) -> BTreeMap<Object, String> {
    let of = |kind: fn(PointKind) -> Option<usize>| {
        passed.points.iter().filter_map(move |point| Some((kind(point.kind)?, point.span)))
    };
    let rules = of(|kind| if let PointKind::Rule(number) = kind { Some(number) } else { None });
    let decides = rules.filter(|(number, _)| {
        let name = forecast.rules.get(*number).map(|ended| &ended.rule);
        forecast.rule.is_none() || forecast.rule.as_ref() == name
    });
    let mut refused = BTreeMap::new();
    for (_, rule) in decides {
        let actions = of(|kind| (kind == PointKind::Action).then_some(0));
        let actions = actions.filter(|(_, span)| inside(*span, rule));
        for condition in actions.flat_map(|(_, action)| passed.conditions(action).into_values()) {
            let line = source.line_column(condition.point.span.start).0;
            let [_, fails] = condition.of;
            for object in fails {
                let why = format!("left out: `{}` (line {line}) is not true of it", condition.point.text);
                refused.insert(object, why);
            }
        }
    }
    refused
}

fn fate(
    passed: &Passed<'_>,
    forecast: &Forecast,
    refused: &BTreeMap<Object, String>,
    object: Object,
) -> Fate {
    let one = Entity::of(passed.machine(), object);
    let is_victim = forecast.victim.as_ref() == Some(&one);
    let dies = is_victim || forecast.dies.contains(&one);
    let candidate = forecast.candidates.iter().find(|candidate| candidate.entity == one);
    let protection = forecast.protections.iter().find(|clause| protects(clause, &one));
    let above = match object {
        Object::Process(at) => passed.machine().home(at),
        Object::Cgroup(at) => at,
    };
    let refused_above = || {
        let mut above = passed.machine().ancestors(above);
        above.find_map(|at| refused.get(&Object::Cgroup(at)).map(|why| format!("its cgroup is {why}")))
    };
    let why = match (candidate, protection) {
        _ if dies && forecast.by_the_kernel => "the kernel's own killer takes it".to_owned(),
        _ if dies && !is_victim && candidate.is_none() => with_the_victim(forecast),
        (_, Some(clause)) if !dies => protected(clause),
        (Some(candidate), _) => behind(candidate, forecast, dies),
        (None, _) => match refused.get(&object).cloned().or_else(refused_above) {
            _ if dies => "it is the victim".to_owned(),
            Some(why) => why,
            None if forecast.candidates.is_empty() => "the policy chose nobody".to_owned(),
            None => "not among the first candidates".to_owned(),
        },
    };
    Fate { entity: one, dies, place: candidate.map(|candidate| candidate.place), why }
}

fn with_the_victim(forecast: &Forecast) -> String {
    match &forecast.victim {
        Some(victim) if victim.kind == Kind::Cgroup => format!("dies with {}", victim.cgroup),
        Some(victim) => format!("dies with {} ({})", victim.name, victim.id),
        None => "dies with the others".to_owned(),
    }
}

/// It, or a cgroup that it is in.
fn protects(clause: &Protection, one: &Entity) -> bool {
    clause.objects.iter().any(|other| {
        let below = || one.cgroup.strip_prefix(other.cgroup.as_str());
        *other == *one
            || other.kind == Kind::Cgroup
                && below().is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || other.cgroup == "/")
    })
}

fn protected(clause: &Protection) -> String {
    match clause.line {
        Some(line) => format!("protected: `{}` (line {line})", clause.clause),
        None => format!("protected: {}", clause.clause),
    }
}

/// Which key puts a candidate where it is.
fn behind(candidate: &Candidate, forecast: &Forecast, dies: bool) -> String {
    let Some(first) = forecast.candidates.first() else { return String::new() };
    let Candidate { place, entity, class, keys, tie, .. } = candidate;
    if entity == &first.entity {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{}` {}", key.key, key.text)).collect();
        let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
        let class = if *class == "normal" { String::new() } else { format!(", {class}") };
        let end = if dies { "" } else { ", and is not killed" };
        return format!("the first candidate{by}{class}{end}");
    }
    let why = if *class != first.class {
        format!("it is {class}, the first is {}", first.class)
    } else {
        let different = keys.iter().zip(&first.keys).find(|(own, other)| own.value != other.value);
        match different {
            Some((own, other)) => format!("`{}` is {}, that of the first {}", own.key, own.text, other.text),
            None => tie.clone().unwrap_or_else(|| "all keys are equal".to_owned()),
        }
    };
    format!("candidate {place}: {why}")
}
