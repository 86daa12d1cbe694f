//! Writes the page: the tree, and every fact of the forecast as text and tables.
//!
//! It holds all that it needs. The drawing stands in it in both forms, of which the style sheet shows one; its
//! numbers stand in a table below it, for those who do not see it and for those who want them all.

use crate::colors::{self, Colors, DARK, LIGHT};
use crate::layout::{NARROW, WIDE};
use crate::markup::Markup;
use crate::words::{Role, count, percent, process, shortage, size, who};
use crate::{svg, tree};
use oomc_forecast::forecast::{
    AUDIT, Candidate, Ended, Entity, Forecast, KeyValue, Kind, Node, Protection, Then,
};

/// Objects of a list that are shown; more can be unfolded.
const SHOWN: usize = 12;

/// The page.
pub(crate) fn page(forecast: &Forecast) -> String {
    let mut out = Markup::default();
    out.raw("<!DOCTYPE html>\n");
    out.open("html", &[("lang", &"en")]);
    head(&mut out, forecast);
    out.open("body", &[]);
    out.open("main", &[]);
    parts(&mut out, forecast);
    let mut text = out.finish();
    text.push('\n');
    text
}

/// What stands on it.
pub(crate) fn inside(forecast: &Forecast) -> String {
    let mut out = Markup::default();
    parts(&mut out, forecast);
    out.finish()
}

/// Its styles.
pub(crate) fn stylesheet() -> String {
    [svg::FONTS, &colors::drawing(), STYLE, &variables()].map(|part| format!("{part}\n")).concat()
}

fn parts(out: &mut Markup, forecast: &Forecast) {
    title(out, forecast);
    tree(out, forecast);
    candidates(out, forecast);
    dies(out, forecast);
    then(out, forecast);
    protections(out, forecast);
    rules(out, forecast);
    remarks(out, forecast);
}

fn head(out: &mut Markup, forecast: &Forecast) {
    out.open("head", &[]);
    out.void("meta", &[("charset", &"utf-8")]);
    out.void("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
    out.void("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
    out.leaf("title", &[], format_args!("What {} would do", forecast.policy));
    out.open("style", &[]);
    out.raw(&stylesheet());
    out.close();
    out.close();
    out.line();
}

/// The colours of what is no drawing, for both schemes.
fn variables() -> String {
    let variables = |colors: &Colors| {
        let Colors { paper, panel, ink, quiet, line, victim, candidate, .. } = colors;
        format!(
            ":root{{--paper:{paper};--panel:{panel};--ink:{ink};--quiet:{quiet};--line:{line};\
             --victim:{victim};--candidate:{candidate}}}"
        )
    };
    format!("{}@media (prefers-color-scheme: dark){{{}}}", variables(&LIGHT), variables(&DARK))
}

/// Further colours, for whoever puts the page's parts beside others.
pub(crate) fn more_variables() -> String {
    let variables = |colors: &Colors| {
        let Colors { edge, protected, .. } = colors;
        format!(":root{{--edge:{edge};--protected:{protected}}}")
    };
    format!("{}@media (prefers-color-scheme: dark){{{}}}\n", variables(&LIGHT), variables(&DARK))
}

/// Where the page is narrow, tables become lists of cards; their roles stay what they are.
const STYLE: &str = "\
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.5;font-size:16px;\
font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif}
main{max-width:1064px;margin:0 auto;padding:40px 32px 64px}
h1{font-size:28px;line-height:1.25;font-weight:600;letter-spacing:-.01em;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:19px;line-height:1.3;font-weight:600;margin:48px 0 12px}
p{margin:0 0 12px;max-width:46em}
.summary{font-size:18px;margin-bottom:24px;overflow-wrap:anywhere}
.quiet{color:var(--quiet)}
code,bdi{overflow-wrap:anywhere;white-space:pre-wrap}
code,.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;font-size:.9em}
dl{display:flex;flex-wrap:wrap;gap:16px 48px;margin:0;\
padding:20px 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
dt{font-size:13px;color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
figure{margin:0}
svg.oomc{display:block;width:100%;height:auto}
svg.narrow{display:none}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:400;font-size:13px;color:var(--quiet);vertical-align:bottom}
th,td{padding:8px 24px 8px 0;border-bottom:1px solid var(--line)}
td{vertical-align:top;overflow-wrap:anywhere}
tbody th{font-size:14px;color:var(--ink);vertical-align:top}
.number{text-align:right;white-space:nowrap}
[data-fact=victim] [data-says=who]{color:var(--victim);font-weight:600}
.dies{color:var(--victim);font-weight:600;white-space:nowrap}
tr.chosen>*{background:var(--panel)}
.missing{font-style:italic;color:var(--quiet)}
.label{display:none}
ul,ol{margin:0;padding:0;list-style:none}
li{overflow-wrap:anywhere}
.clauses>li{padding:12px 0;border-bottom:1px solid var(--line)}
.clauses .quiet{font-size:14px}
.clauses ul{display:flex;flex-wrap:wrap;gap:4px 20px;margin-top:4px;font-size:14px}
.rules>li{padding:8px 0;border-bottom:1px solid var(--line)}
details{margin-top:12px}
summary{cursor:pointer;color:var(--candidate);padding:4px 0;width:fit-content}
summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--candidate);outline-offset:2px}
.scroll{overflow-x:auto}
@media (max-width:719px){
main{padding:24px 16px 48px}
h1{font-size:24px}
dl{gap:12px 32px}
svg.wide{display:none}
svg.narrow{display:block;max-width:440px}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards,.cards tbody,.cards tr,.cards td,.cards th{display:block}
.cards tr{padding:12px 0;border-bottom:1px solid var(--line)}
.cards th,.cards td{border:0;padding:1px 8px}
.cards td{display:flex;justify-content:space-between;gap:16px;text-align:right}
.cards .label{display:inline;color:var(--quiet);white-space:nowrap}
.cards tbody th{font-size:16px}
.scroll td,.scroll th{padding-right:12px}
}
@media print{details>*{display:block}}";

fn title(out: &mut Markup, forecast: &Forecast) {
    let Forecast { policy, audit, attached, domain, system, summary, rule, victim, by_the_kernel, .. } =
        forecast;
    out.open("header", &[]);
    out.open("h1", &[]);
    out.say("What ");
    out.leaf("bdi", &[("data-fact", &"policy")], policy);
    out.say(" would do");
    out.close();
    out.leaf("p", &[("class", &"summary"), ("data-fact", &"summary")], summary);
    if let Some(why) = &forecast.nobody_asks {
        out.leaf("p", &[("class", &"summary"), ("data-fact", &"nobody-asks")], why);
    }
    out.open("dl", &[]);
    fact(out, "Memory runs out in", |out| {
        if *system {
            out.leaf("span", &[("data-fact", &"system")], shortage(forecast));
            out.say(" ");
        }
        out.leaf("bdi", &[("class", &"name"), ("data-fact", &"domain")], domain);
    });
    fact(out, "The policy is at", |out| {
        out.leaf("bdi", &[("class", &"name"), ("data-fact", &"attached")], attached);
    });
    fact(out, "Victim", |out| match victim {
        Some(victim) => {
            out.open("span", &[("data-fact", &"victim")]);
            out.leaf("span", &[("aria-hidden", &"true"), ("class", &"dies")], "✕ ");
            entity(out, victim);
            out.close();
        }
        None => out.say("nobody"),
    });
    fact(out, "Chosen by", |out| match (by_the_kernel, rule) {
        (true, _) => out.leaf("span", &[("data-fact", &"by-the-kernel")], "the kernel"),
        (false, Some(rule)) => {
            out.say("the rule ");
            out.leaf("bdi", &[("data-fact", &"rule")], rule);
        }
        (false, None) => out.say("nobody"),
    });
    fact(out, "Mode", |out| {
        let mode = if *audit { AUDIT } else { "enforce" };
        out.leaf("span", &[("data-fact", &"mode")], mode);
    });
    out.close();
    out.close();
    out.line();
}

fn fact(out: &mut Markup, name: &str, value: impl FnOnce(&mut Markup)) {
    out.open("div", &[]);
    out.leaf("dt", &[], name);
    out.open("dd", &[]);
    value(out);
    out.close();
    out.close();
}

/// A process with its cgroup, or a cgroup.
pub(crate) fn entity(out: &mut Markup, entity: &Entity) {
    out.leaf("bdi", &[("class", &"name"), ("data-says", &"who")], who(entity));
    if entity.kind == Kind::Process {
        out.say(" in ");
        out.leaf("bdi", &[("class", &"name quiet"), ("data-says", &"cgroup")], &entity.cgroup);
    }
}

pub(crate) fn begin(out: &mut Markup, id: &'static str, title: &str) {
    out.line();
    out.open("section", &[("aria-labelledby", &id)]);
    out.leaf("h2", &[("id", &id)], title);
}

fn tree(out: &mut Markup, forecast: &Forecast) {
    begin(out, "memory", "Where the memory is");
    out.open("figure", &[]);
    tree::tree(out, forecast, &WIDE);
    tree::tree(out, forecast, &NARROW);
    out.close();
    out.open("details", &[]);
    let rows = forecast.tree.iter().map(|node| 1 + node.marked.len()).sum();
    out.leaf("summary", &[], format_args!("All numbers, {}", count(rows, "row", "rows")));
    out.open(
        "div",
        &[("class", &"scroll"), ("role", &"region"), ("aria-labelledby", &"memory"), ("tabindex", &"0")],
    );
    out.open("table", &[("id", &"numbers")]);
    out.open("thead", &[]);
    out.open("tr", &[]);
    column(out, "Cgroup or process", false);
    for name in ["Usage", "Own limit", "Limit", "Used", "Processes"] {
        column(out, name, true);
    }
    column(out, "In the decision", false);
    out.close();
    out.close();
    out.open("tbody", &[]);
    for node in &forecast.tree {
        numbers(out, node);
    }
    for _ in ["tbody", "table", "div", "details", "section"] {
        out.close();
    }
}

fn numbers(out: &mut Markup, node: &Node) {
    out.line();
    out.open("tr", &[("data-path", &node.path)]);
    out.open("th", &[("scope", &"row")]);
    out.leaf("bdi", &[("class", &"name")], &node.path);
    out.close();
    let own = node.own_limit.map_or_else(|| "none".to_owned(), size);
    let percent = percent(node).unwrap_or_default();
    for text in [size(node.usage), own, size(node.limit), percent, node.processes.to_string()] {
        out.leaf("td", &[("class", &"number")], text);
    }
    out.leaf("td", &[], Role::of_cgroup(node).facts().join(", "));
    out.close();
    for one in &node.marked {
        out.line();
        out.open("tr", &[("data-pid", &one.pid), ("data-in", &node.path)]);
        out.open("th", &[("scope", &"row")]);
        out.leaf("bdi", &[("class", &"name")], process(&one.name, one.pid));
        out.say(" in ");
        out.leaf("bdi", &[("class", &"name quiet")], &node.path);
        out.close();
        out.leaf("td", &[("class", &"number")], size(one.footprint));
        for _ in ["own", "limit", "used", "processes"] {
            out.leaf("td", &[], "");
        }
        out.leaf("td", &[], Role::of_process(one).facts().join(", "));
        out.close();
    }
}

fn column(out: &mut Markup, name: &str, number: bool) {
    let class = if number { "number" } else { "text" };
    out.leaf("th", &[("scope", &"col"), ("role", &"columnheader"), ("class", &class)], name);
}

fn candidates(out: &mut Markup, forecast: &Forecast) {
    begin(out, "candidates", "Candidates");
    if forecast.candidates.is_empty() {
        out.leaf("p", &[], "No selection has candidates.");
        out.close();
        return;
    }
    out.leaf(
        "p",
        &[("class", &"quiet")],
        "In the order in which they would be killed, with what they are compared by.",
    );
    // Each key once, in the order in which candidates have them.
    let mut keys: Vec<&str> = Vec::new();
    for key in forecast.candidates.iter().flat_map(|candidate| &candidate.keys) {
        if !keys.contains(&key.key.as_str()) {
            keys.push(&key.key);
        }
    }
    out.open("table", &[("class", &"cards"), ("role", &"table"), ("aria-labelledby", &"candidates")]);
    out.open("thead", &[("role", &"rowgroup")]);
    out.open("tr", &[("role", &"row")]);
    column(out, "Candidate", false);
    for key in &keys {
        column(out, key, true);
    }
    column(out, "Class", false);
    column(out, "Processes that die", true);
    out.close();
    out.close();
    out.open("tbody", &[("role", &"rowgroup")]);
    for one in &forecast.candidates {
        candidate(out, one, &keys, forecast.victim.as_ref() == Some(&one.entity));
    }
    out.close();
    out.close();
    out.close();
}

fn candidate(out: &mut Markup, candidate: &Candidate, keys: &[&str], victim: bool) {
    let Candidate { place, entity: who, class, keys: values, processes, tie, .. } = candidate;
    out.line();
    let row = if victim { "chosen" } else { "other" };
    out.open("tr", &[("role", &"row"), ("class", &row), ("data-candidate", place)]);
    out.open("th", &[("scope", &"row"), ("role", &"rowheader")]);
    out.say(format_args!("{place}. "));
    entity(out, who);
    if victim {
        out.say(" ");
        out.open("span", &[("class", &"dies"), ("data-victim", &"true")]);
        out.leaf("span", &[("aria-hidden", &"true")], "✕ ");
        out.say("victim");
        out.close();
    }
    out.close();
    if let Some(tie) = tie {
        out.leaf("small", &[("class", &"quiet"), ("data-tie", place)], format_args!(" {tie}"));
    }
    for key in keys {
        let value = values.iter().find(|value| value.key == *key);
        out.open("td", &[("role", &"cell"), ("class", &"number")]);
        out.leaf("span", &[("class", &"label")], format_args!("{key} "));
        match value {
            Some(KeyValue { value: None, text, .. }) => {
                out.leaf("span", &[("class", &"missing"), ("data-key", key)], text);
            }
            Some(KeyValue { text, .. }) => out.leaf("span", &[("data-key", key)], text),
            None => {}
        }
        out.close();
    }
    out.open("td", &[("role", &"cell")]);
    out.leaf("span", &[("class", &"label")], "Class ");
    out.leaf("span", &[("data-says", &"class")], class);
    out.close();
    out.open("td", &[("role", &"cell"), ("class", &"number")]);
    out.leaf("span", &[("class", &"label")], "Processes that die ");
    out.leaf("span", &[("data-says", &"processes")], processes);
    out.close();
    out.close();
}

fn dies(out: &mut Markup, forecast: &Forecast) {
    begin(out, "dies", "Who dies");
    if forecast.dies.is_empty() {
        out.leaf("p", &[], "Nobody.");
    } else {
        objects(out, "data-dies", &forecast.dies);
    }
    out.close();
}

/// What the next events would bring.
fn then(out: &mut Markup, forecast: &Forecast) {
    if forecast.then.is_empty() {
        return;
    }
    begin(out, "then", "When memory runs out again");
    out.open("ol", &[("class", &"rules"), ("role", &"list"), ("start", &2)]);
    for Then { event, summary, rule, dies } in &forecast.then {
        out.line();
        out.open("li", &[("data-event", event)]);
        out.leaf("span", &[("data-says", &"summary")], summary);
        if let Some(rule) = rule {
            out.say(", by the rule ");
            out.leaf("bdi", &[("class", &"name")], rule);
        }
        if !dies.is_empty() {
            objects(out, "data-dies-then", dies);
        }
        out.close();
    }
    out.close();
    out.close();
}

fn protections(out: &mut Markup, forecast: &Forecast) {
    begin(out, "protected", "Protected");
    if forecast.protections.is_empty() {
        out.leaf("p", &[], "Nothing protects anybody.");
        out.close();
        return;
    }
    out.open("ul", &[("class", &"clauses"), ("role", &"list")]);
    for protection in &forecast.protections {
        clause(out, protection);
    }
    out.close();
    out.close();
}

fn clause(out: &mut Markup, protection: &Protection) {
    let Protection { clause, line, objects: protected, .. } = protection;
    out.line();
    out.open("li", &[("data-clause", clause)]);
    out.leaf("code", &[("data-says", &"clause")], clause);
    let line = line.map_or("holds for every policy".to_owned(), |line| format!("line {line}"));
    out.say(" ");
    out.leaf("span", &[("class", &"quiet"), ("data-says", &"line")], line);
    if protected.is_empty() {
        out.leaf("p", &[("class", &"quiet")], protection.nobody());
    } else {
        objects(out, "data-protected", protected);
    }
    out.close();
}

/// The first of them, and the others folded away; each with a mark for programs.
pub(crate) fn objects(out: &mut Markup, mark: &str, all: &[Entity]) {
    let list = |out: &mut Markup, objects: &[Entity]| {
        out.open("ul", &[("role", &"list")]);
        for one in objects {
            out.open("li", &[(mark, &"true")]);
            entity(out, one);
            out.close();
        }
        out.close();
    };
    let (shown, more) = all.split_at(all.len().min(SHOWN));
    list(out, shown);
    if !more.is_empty() {
        out.open("details", &[]);
        out.leaf("summary", &[], format_args!("{} more", crate::words::thousands(more.len())));
        list(out, more);
        out.close();
    }
}

fn rules(out: &mut Markup, forecast: &Forecast) {
    if forecast.rules.is_empty() {
        return;
    }
    begin(out, "rules", "How each rule ended");
    out.open("ol", &[("class", &"rules"), ("role", &"list")]);
    for Ended { rule, end } in &forecast.rules {
        out.line();
        out.open("li", &[("data-rule", rule)]);
        out.leaf("bdi", &[("class", &"name"), ("data-says", &"rule")], rule);
        out.say(": ");
        out.leaf("span", &[("data-says", &"end")], end);
        if forecast.rule.as_ref() == Some(rule) {
            out.say(" ");
            out.leaf("strong", &[("data-says", &"decides")], "(decides)");
        }
        out.close();
    }
    out.close();
    out.close();
}

fn remarks(out: &mut Markup, forecast: &Forecast) {
    if forecast.remarks.is_empty() {
        return;
    }
    begin(out, "remarks", "Remarks");
    out.open("ul", &[("class", &"rules"), ("role", &"list")]);
    for remark in &forecast.remarks {
        out.line();
        out.leaf("li", &[("data-remark", &"")], remark);
    }
    out.close();
    out.close();
}
