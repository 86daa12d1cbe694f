//! Completion: what can stand at a place.
//!
//! Words come from the grammar itself: the parser is asked what it expects behind the clause up to there. Names come
//! from the policy and from the tables of fields; those of the type that is wanted come first.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::Mutex;

use oomc_abi::fields::{FIELDS, Field, Measure, Owner};
use oomc_abi::raw;
use oomc_abi::resolve::{KernelView, Missing};
use oomc_abi::watch::Average;
use oomc_abi::{members, scenario};
use oomc_compiler::syntax::ast::Unit;
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::error::{ErrorVariant, InputLocation};
use oomc_grammar::{OomParser, Rule, items, words};

use super::names::{Declared, declared, rules};
use super::scope::Scope;
use super::tokens::{Within, is_letter, within};
use super::words::meaning;
use crate::analysis::{Page, Side};

/// What something is that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Keyword,
    Field,
    Member,
    Declared(Declared),
    Candidate,
    Rule,
    Object,
    Value,
    Snippet,
}

/// Something that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// Its unit, or what it is.
    pub(crate) detail: String,
    pub(crate) doc: String,
    /// With places to fill in, as the protocol writes them; none: the label.
    pub(crate) snippet: Option<String>,
    /// Of the type that is wanted.
    pub(crate) fits: bool,
}

impl Item {
    fn new(label: impl Into<String>, kind: Kind, detail: impl Into<String>, doc: impl Into<String>) -> Self {
        let (label, detail, doc) = (label.into(), detail.into(), doc.into());
        Self { label, kind, detail, doc, snippet: None, fits: false }
    }
}

/// What can stand at a byte, and which bytes it takes the place of.
pub(crate) fn complete(page: &Page<'_>, at: usize) -> (Range<usize>, Vec<Item>) {
    let before = page.text.get(..at).unwrap_or_default();
    match within(page.text, at) {
        Within::Comment => (at..at, Vec::new()),
        Within::Text(start) => (start + 1..at, in_text(page, start)),
        Within::Code => {
            let start = before.trim_end_matches(is_letter).len();
            let scope = Scope::at(page.text, start);
            let mut found =
                if scope.last(0) == "." { members_of(page, &scope) } else { others(page, &scope) };
            found.sort_by(|one, other| {
                (!one.fits, one.kind, &one.label).cmp(&(!other.fits, other.kind, &other.label))
            });
            found.dedup_by(|one, other| one.label == other.label && one.kind == other.kind);
            (start..at, found)
        }
    }
}

/// In a string: a rule's name, or the objects of a test.
fn in_text(page: &Page<'_>, start: usize) -> Vec<Item> {
    let scope = Scope::at(page.text, start);
    if (scope.last(1), scope.last(0)) == ("by", "rule") {
        let policy = page.policy_file().unwrap_or(page.file);
        let names = rules(policy).filter_map(|rule| rule.name);
        return names.map(|name| Item::new(&name.text, Kind::Rule, "rule", "")).collect();
    }
    if !scope.clause.starts_with("test") {
        return Vec::new();
    }
    let mut objects: Vec<&str> = scope
        .tokens
        .iter()
        .map(|token| token.text(scope.clause).trim_matches('"'))
        .filter(|text| text.starts_with('/'))
        .collect();
    objects.sort_unstable();
    objects.dedup();
    let what = |name: &str| if name.contains('#') { "process" } else { "cgroup" };
    objects.into_iter().map(|name| Item::new(name, Kind::Object, what(name), "")).collect()
}

fn owner_of(unit: Unit) -> Owner {
    match unit {
        Unit::Process => Owner::Process,
        Unit::Cgroup => Owner::Cgroup,
    }
}

fn field(row: &Field, label: &str) -> Item {
    Item::new(label, Kind::Field, row.unit.name(), row.doc)
}

/// Behind a dot: what belongs to that which stands before it.
fn members_of(page: &Page<'_>, scope: &Scope<'_>) -> Vec<Item> {
    let mut path = Vec::new();
    let mut back = 0;
    while scope.last(back) == "." {
        let mut name = back + 1;
        // An index stands behind its member.
        let mut index = String::new();
        if scope.last(name) == "]" {
            index = format!("[{}]", scope.last(name + 1));
            name += 3;
        }
        path.push(format!("{}{index}", scope.last(name)));
        back = name + 1;
    }
    path.reverse();
    let mut parts = path.iter().map(String::as_str);
    let Some(head) = parts.next() else { return Vec::new() };
    let rest: Vec<&str> = parts.collect();
    let in_test = scope.clause.starts_with("test");
    let pick = || named(page).any(|(name, kind)| name == head && kind == Declared::Pick);
    let owner = match (scope.candidate(head), head) {
        (Some(candidate), _) => owner_of(candidate.unit),
        (None, "it") => scope.innermost().map_or(Owner::Cgroup, |it| owner_of(it.unit)),
        (None, "cgroup" | "attached" | "parent" | "home") => Owner::Cgroup,
        (None, "oom") => Owner::Event,
        (None, "machine") => Owner::Machine,
        (None, "task") => return kernel_members(page.view, members::TASK, &rest),
        (None, "memcg") => return kernel_members(page.view, members::MEMCG, &rest),
        (None, _) if pick() => Owner::Cgroup,
        (None, _) => {
            // The first part of a field's name.
            let of = scope.innermost().map_or(Owner::Cgroup, |it| owner_of(it.unit));
            return fields_behind(of, &path.join("."), in_test);
        }
    };
    below(page, owner, &rest)
}

/// What belongs to an object, behind the parts that follow it.
fn below(page: &Page<'_>, owner: Owner, rest: &[&str]) -> Vec<Item> {
    match (owner, rest) {
        (Owner::Process | Owner::Cgroup, ["parent", rest @ ..]) => below(page, owner, rest),
        (Owner::Process, ["home", rest @ ..]) => below(page, Owner::Cgroup, rest),
        (Owner::Process, ["task", rest @ ..]) => kernel_members(page.view, members::TASK, rest),
        (Owner::Cgroup, ["memcg", rest @ ..]) => kernel_members(page.view, members::MEMCG, rest),
        (Owner::Event, ["oc", rest @ ..]) => kernel_members(page.view, members::EVENT, rest),
        (_, []) => {
            let mut found: Vec<Item> =
                FIELDS.iter().filter(|row| row.owner == owner).map(|row| field(row, row.name)).collect();
            if owner == Owner::Cgroup {
                found.extend(of_cgroups(page));
            }
            let heads: &[&str] = match owner {
                Owner::Process => &["home", "parent", "task"],
                Owner::Cgroup => &["parent", "memcg"],
                Owner::Event => &["oc"],
                Owner::Machine => &[],
            };
            found.extend(heads.iter().map(|head| Item::new(*head, Kind::Member, "", head_doc(head))));
            found
        }
        (_, rest) => fields_behind(owner, &rest.join("."), false),
    }
}

/// Fields whose names begin with some parts: what is left of them.
fn fields_behind(owner: Owner, head: &str, in_test: bool) -> Vec<Item> {
    let of = |row: &&Field| row.owner == owner || in_test;
    let rows = FIELDS.iter().filter(of);
    rows.filter_map(|row| {
        let rest = row.name.strip_prefix(head)?.strip_prefix('.')?;
        Some(field(row, rest))
    })
    .collect()
}

/// Members of a kernel structure, behind some members.
fn kernel_members(view: &KernelView, container: &str, rest: &[&str]) -> Vec<Item> {
    let parts: Vec<String> = rest.iter().map(|&part| part.to_owned()).collect();
    let names = if parts.is_empty() {
        view.members(container)
    } else {
        match raw::find(view, container, &parts) {
            Err(Missing::Whole { members, .. }) => members,
            _ => Vec::new(),
        }
    };
    names
        .into_iter()
        .map(|name| Item::new(name, Kind::Member, format!("of `struct {container}`"), ""))
        .collect()
}

/// What authors name: the name, and what it is.
fn named<'a>(page: &Page<'a>) -> impl Iterator<Item = (&'a str, Declared)> {
    let file = page.policy_file().unwrap_or(page.file);
    declared(file).map(|(name, what, _)| (name.text.as_str(), what))
}

fn declared_item(page: &Page<'_>, name: &str, what: Declared) -> Item {
    let file = page.policy_file().unwrap_or(page.file);
    let text = if page.side == Side::Policy { page.text } else { page.policy_text() };
    let clause =
        declared(file).find(|(known, ..)| known.text == name).map(|(.., clause)| clause.span.range());
    Item::new(name, Kind::Declared(what), "", clause.and_then(|range| text.get(range)).unwrap_or_default())
}

/// Labels and counters, which every cgroup has.
fn of_cgroups(page: &Page<'_>) -> Vec<Item> {
    let names = named(page).filter(|(_, kind)| matches!(kind, Declared::Label | Declared::State));
    names.map(|(name, kind)| declared_item(page, name, kind)).collect()
}

fn head_doc(head: &str) -> &'static str {
    match head {
        "cgroup" => "the cgroup whose limit was hit",
        "attached" => "the cgroup that the policy is attached to",
        "parent" => "the one above; of a process, the one that made it",
        "home" => "the cgroup of the process",
        "it" => "the innermost candidate",
        "oom" => "the event",
        "machine" => "the whole machine",
        "task" => "the kernel's structure of the process",
        "memcg" => "the kernel's structure of the cgroup",
        "oc" => "the kernel's structure of the event",
        _ => "",
    }
}

/// What the grammar expects somewhere.
struct Expected {
    rules: Vec<Rule>,
    words: Vec<&'static str>,
}

impl Expected {
    /// Behind the beginning of a clause.
    fn behind(clause: &str) -> Self {
        // No token has this character: the parser stumbles over it, and says what it looked for.
        let text = format!("{} \u{1}", clause.trim_end());
        let rules = match OomParser::parse(Rule::item, &text) {
            Err(error) if position(&error.location) + 1 >= text.len() => match error.variant {
                ErrorVariant::ParsingError { positives, .. } => positives,
                ErrorVariant::CustomError { .. } => Vec::new(),
            },
            _ => Vec::new(),
        };
        let mut words: Vec<&'static str> = rules.iter().flat_map(|rule| first(*rule)).collect();
        words.sort_unstable();
        words.dedup();
        Self { rules, words }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// Whether one of the rules reads all of a text.
    fn reads(&self, text: &str) -> bool {
        self.rules.iter().any(|rule| reads(*rule, text))
    }
}

fn position(location: &InputLocation) -> usize {
    match location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => *at,
    }
}

/// Whether a rule reads all of a text, as far as it goes.
fn reads(rule: Rule, text: &str) -> bool {
    match OomParser::parse(rule, text) {
        Ok(pairs) => pairs.as_str().len() >= text.len(),
        Err(error) => position(&error.location) >= text.len(),
    }
}

/// The words that a rule can begin with.
fn first(rule: Rule) -> Vec<&'static str> {
    static KNOWN: Mutex<BTreeMap<Rule, Vec<&'static str>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    known
        .entry(rule)
        .or_insert_with(|| {
            let all = words::all();
            // Where a name can stand, a word that can be one is most likely that.
            let takes_names = reads(rule, "x_");
            let is_word = |word: &&'static str| {
                let alone = words::of(rule).contains(word);
                alone || reads(rule, word) && (words::reserved().contains(word) || !takes_names)
            };
            all.into_iter().filter(is_word).collect()
        })
        .clone()
}

/// Not behind a dot.
fn others(page: &Page<'_>, scope: &Scope<'_>) -> Vec<Item> {
    let expected = Expected::behind(scope.clause);
    let mut found: Vec<Item> = expected
        .words
        .iter()
        .map(|word| Item::new(*word, Kind::Keyword, "", meaning(word).unwrap_or_default()))
        .collect();
    if expected.rules.contains(&Rule::average) {
        let averages = Average::ALL.into_iter().map(|average| average.word());
        found.extend(averages.map(|word| Item::new(word, Kind::Keyword, "", "")));
    }
    if ends(scope.clause) {
        found.extend(
            items::clause_words()
                .filter(|word| words::all().contains(word))
                .map(|word| Item::new(word, Kind::Keyword, "", meaning(word).unwrap_or_default())),
        );
        found.extend(snippets());
    }
    let in_test = scope.clause.starts_with("test");
    if in_test && expected.rules.contains(&Rule::path) {
        // What is said of an object is no path of a policy's.
        found = properties(page, scope);
    } else if expected.has("leaves")
        || matches!((scope.last(1), scope.last(0)), ("children" | "leaves" | "subtree", "of"))
    {
        found.extend(places(page, scope));
    } else if expected.reads("x_.y_") {
        found.extend(values(page, scope));
    } else if scope.last(0) == "count" {
        let states = named(page).filter(|(_, kind)| *kind == Declared::State);
        found.extend(states.map(|(name, kind)| declared_item(page, name, kind)));
    } else if in_test && (scope.last(0) == "param") {
        let params = named(page).filter(|(_, kind)| *kind == Declared::Param);
        found.extend(params.map(|(name, kind)| declared_item(page, name, kind)));
    } else if scope.last(0) == "mode" {
        found.extend(["audit", "enforce"].map(|mode| Item::new(mode, Kind::Value, "", "")));
    }
    found
}

/// Whether a clause may end here, and the next one begin.
fn ends(clause: &str) -> bool {
    clause.trim().is_empty() || OomParser::parse(Rule::item, clause).is_ok()
}

/// Whole clauses to begin with.
fn snippets() -> Vec<Item> {
    [
        ("rule …", "a rule with a name", "rule \"${1:name}\": kill largest process in subtree where ${2:footprint > 64MiB}"),
        ("if … then … else …", "one thing, or else another", "if ${1:cgroup.usage > 90%} then ${2:raise_limit 10%} else ${3:kill largest in subtree}"),
        ("never kill …", "whom this policy does not kill", "never kill process where comm in [\"${1:sshd}\"]"),
        ("param …", "a number that can be changed later", "param ${1:step} = ${2:25%} range ${3:1%} .. ${4:100%}"),
        ("label …", "a number on cgroups", "label ${1:tier}: count = ${2:100}"),
        ("state …", "a counter of each cgroup", "state ${1:grown}: counter per cgroup resets after ${2:1h}"),
        (
            "test …",
            "a machine, an event and what is expected",
            "test \"${1:what it shows}\" {\n    given {\n        \"/job\" { limit 1GiB }\n        \"/job#100\" { comm \"worker\" rss 700MiB }\n    }\n    on oom in \"/job\"\n    expect kill process \"/job#100\"\n}",
        ),
    ]
    .map(|(label, detail, snippet)| Item {
        snippet: Some(snippet.to_owned()),
        ..Item::new(label, Kind::Snippet, detail, "")
    })
    .to_vec()
}

/// What a test can say of the object whose braces are open.
fn properties(page: &Page<'_>, scope: &Scope<'_>) -> Vec<Item> {
    let mut depth = 0_i32;
    let mut before = None;
    for (at, token) in scope.tokens.iter().enumerate().rev() {
        match token.text(scope.clause) {
            "}" => depth += 1,
            "{" if depth == 0 => {
                before = at.checked_sub(1).and_then(|at| scope.tokens.get(at));
                break;
            }
            "{" => depth -= 1,
            _ => {}
        }
    }
    let named = before.map_or("", |token| token.text(scope.clause));
    let owner = match named {
        name if name.contains('#') => Owner::Process,
        name if name.starts_with('"') && !is_event(scope) => Owner::Cgroup,
        _ => Owner::Event,
    };
    let row = |name: &str| {
        let doc = FIELDS.iter().find(|row| row.owner == owner && row.name == name).map_or("", |row| row.doc);
        let unit = scenario::unit_of(owner, name).map_or("", Measure::name);
        Item::new(name, Kind::Field, unit, doc)
    };
    let mut found: Vec<Item> = scenario::names(owner).map(row).collect();
    if owner == Owner::Cgroup {
        found.extend(of_cgroups(page));
    }
    let word = if owner == Owner::Process { "task" } else { "memcg" };
    found.push(Item::new(word, Kind::Member, "", head_doc(word)));
    found
}

/// Whether the last braces describe an event: `on oom in "/job" { … }`.
fn is_event(scope: &Scope<'_>) -> bool {
    let words = scope.tokens.iter().rev().map(|token| token.text(scope.clause));
    words.take_while(|word| *word != "}").any(|word| word == "on")
}

/// Cgroups that can be a place.
fn places(page: &Page<'_>, scope: &Scope<'_>) -> Vec<Item> {
    let mut found: Vec<Item> =
        ["cgroup", "attached"].map(|head| Item::new(head, Kind::Member, "cgroup", head_doc(head))).to_vec();
    let picks = named(page).filter(|(_, kind)| *kind == Declared::Pick);
    found.extend(picks.map(|(name, kind)| declared_item(page, name, kind)));
    // The candidate that the selection itself introduces is none of its place.
    let own = usize::from(scope.last(0) == "in");
    let around = scope.candidates.len().saturating_sub(own);
    for candidate in scope.candidates.iter().take(around).filter(|candidate| candidate.unit == Unit::Cgroup) {
        let name = candidate.name.as_deref().unwrap_or("it");
        found.push(Item::new(name, Kind::Candidate, "cgroup", "a candidate"));
        found.push(Item::new("it", Kind::Candidate, "cgroup", head_doc("it")));
    }
    found
}

/// What a value can be made of.
fn values(page: &Page<'_>, scope: &Scope<'_>) -> Vec<Item> {
    let wanted = wanted(scope);
    let fits = |unit: Measure| wanted == Some(unit);
    let mut found = Vec::new();
    let unit = scope.innermost().map(|it| it.unit);
    if let Some(unit) = unit {
        let rows = FIELDS.iter().filter(|row| row.owner == owner_of(unit));
        found.extend(rows.map(|row| Item { fits: fits(row.unit), ..field(row, row.name) }));
    }
    for row in FIELDS.iter().filter(|row| fits(row.unit) && !matches!(row.owner, Owner::Process)) {
        let label = format!("{}.{}", row.owner.name(), row.name);
        found.push(Item { fits: true, ..field(row, &label) });
    }
    for (name, kind) in named(page).filter(|(_, kind)| *kind != Declared::Definition || unit.is_some()) {
        found.push(declared_item(page, name, kind));
    }
    for candidate in &scope.candidates {
        found.extend(
            candidate
                .name
                .as_deref()
                .map(|name| Item::new(name, Kind::Candidate, candidate.unit.spelling(), "a candidate")),
        );
    }
    let heads = ["cgroup", "attached", "parent", "oom", "machine"];
    let of_candidates: &[&str] = match unit {
        Some(Unit::Process) => &["it", "home", "task"],
        Some(Unit::Cgroup) => &["it", "memcg"],
        None => &[],
    };
    let all = heads.iter().chain(of_candidates);
    found.extend(all.map(|head| Item::new(*head, Kind::Member, "", head_doc(head))));
    let literal = match wanted {
        Some(Measure::Bytes) => Some(("64MiB", "${1:64}MiB")),
        Some(Measure::Ratio) => Some(("90%", "${1:90}%")),
        Some(Measure::Duration) => Some(("30s", "${1:30}s")),
        Some(Measure::Text) => Some(("\"…\"", "\"$1\"")),
        _ => None,
    };
    found.extend(literal.map(|(label, snippet)| Item {
        snippet: Some(snippet.to_owned()),
        fits: true,
        ..Item::new(label, Kind::Value, "", "")
    }));
    found
}

/// The unit of what stands on the other side of a comparison.
fn wanted(scope: &Scope<'_>) -> Option<Measure> {
    let signs = (0..2).take_while(|back| matches!(scope.last(*back), ">" | "<" | "=" | "!")).count();
    if signs == 0 && scope.last(0) != "in" {
        return None;
    }
    // From the end: the sign, then the path.
    let mut back = signs.max(1);
    let mut parts = Vec::new();
    loop {
        parts.push(scope.last(back).to_owned());
        if scope.last(back + 1) != "." {
            break;
        }
        back += 2;
    }
    parts.reverse();
    let owner = match parts.first().map(String::as_str) {
        Some("oom") => Owner::Event,
        Some("machine") => Owner::Machine,
        Some("cgroup" | "attached" | "parent" | "home") if parts.len() > 1 => Owner::Cgroup,
        Some(head) => {
            let candidate = scope.candidate(head).or_else(|| scope.innermost());
            candidate.map_or(Owner::Cgroup, |candidate| owner_of(candidate.unit))
        }
        None => return None,
    };
    let name = parts.join(".");
    let row = FIELDS
        .iter()
        .find(|row| row.owner == owner && (row.name == name || name.ends_with(&format!(".{}", row.name))));
    row.map(|row| row.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_says_what_comes_next() {
        for (clause, expected) in [
            (
                "kill ",
                vec!["all", "cgroup", "in", "largest", "oldest", "process", "smallest", "worst", "youngest"],
            ),
            (
                "kill in subtree",
                vec!["by", "grace", "now", "of", "or", "reason", "stepwise", "until", "where"],
            ),
            ("raise_limit 1MiB up ", vec!["to"]),
            ("kill kill ", vec![]),
        ] {
            assert_eq!(Expected::behind(clause).words, expected, "{clause}");
        }
        assert!(Expected::behind("kill in subtree where ").reads("x_.y_"));
        assert!(!Expected::behind("const ").reads("x_.y_"));
    }
}
