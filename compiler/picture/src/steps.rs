//! Writes how a decision came about: rule by rule, and why everybody is what he is in it.

use crate::html::{begin, entity, objects};
use crate::markup::Markup;
use crate::words::count;
use oomc_forecast::steps::{Fate, Part, PartKind, RuleSteps, Steps};

/// Both parts, a section each.
pub(crate) fn steps(steps: &Steps) -> String {
    let mut out = Markup::default();
    begin(&mut out, "steps", "Step by step");
    out.open("ol", &[("class", &"steps"), ("role", &"list")]);
    for rule in &steps.rules {
        self::rule(&mut out, rule);
    }
    out.close();
    out.close();
    begin(&mut out, "fates", "Why this one, and why not the others");
    out.open("ul", &[("class", &"rules"), ("role", &"list")]);
    for fate in &steps.fates {
        self::fate(&mut out, fate);
    }
    out.close();
    if steps.more > 0 {
        let more = count(steps.more, "more of whom", "more of whom");
        out.leaf("p", &[("class", &"quiet")], format_args!("{more} nothing is told here"));
    }
    out.finish()
}

fn rule(out: &mut Markup, rule: &RuleSteps) {
    let RuleSteps { rule: name, line, reached, end, parts } = rule;
    out.line();
    out.open("li", &[("data-step", name), ("data-reached", reached)]);
    out.open("div", &[]);
    out.leaf("bdi", &[("class", &"name")], name);
    out.say(" ");
    out.leaf("span", &[("class", &"quiet")], format_args!("line {line}"));
    let end = match (reached, end) {
        (false, _) => "not reached",
        (true, Some(end)) => end,
        (true, None) => "reached",
    };
    out.say(": ");
    out.leaf("span", &[("data-says", &"end")], end);
    out.close();
    if *reached && !parts.is_empty() {
        out.open("ul", &[("class", &"parts"), ("role", &"list")]);
        for part in parts {
            self::part(out, part);
        }
        out.close();
    }
    out.close();
}

fn part(out: &mut Markup, part: &Part) {
    let Part { text, line, kind, yes, holds_for, fails_for } = part;
    let outcome = match (kind, yes, holds_for.is_empty() && fails_for.is_empty()) {
        (PartKind::Action, Some(true), _) => "tried",
        (PartKind::Action, ..) => "not tried",
        (PartKind::Condition, Some(true), _) => "true",
        (PartKind::Condition, Some(false), _) => "not true, or not known",
        (PartKind::Condition, None, true) => "asked of nobody",
        (PartKind::Condition, None, false) => "asked",
    };
    out.line();
    out.open("li", &[("data-part", text), ("data-outcome", &outcome)]);
    out.leaf("code", &[], text);
    out.say(" ");
    out.leaf("span", &[("class", &"quiet")], format_args!("line {line}"));
    out.say(": ");
    out.leaf("span", &[], outcome);
    for (word, mark, of) in [("true of", "data-holds", holds_for), ("not true of", "data-fails", fails_for)] {
        if !of.is_empty() {
            out.open("div", &[("class", &"of")]);
            out.leaf("span", &[("class", &"quiet")], word);
            objects(out, mark, of);
            out.close();
        }
    }
    out.close();
}

fn fate(out: &mut Markup, fate: &Fate) {
    let Fate { entity: who, dies, why, .. } = fate;
    out.line();
    out.open("li", &[("data-fate", &who.id), ("data-of", &who.cgroup)]);
    if *dies {
        out.open("span", &[("class", &"dies")]);
        out.leaf("span", &[("aria-hidden", &"true")], "✕ ");
        out.say("dies ");
        out.close();
    }
    entity(out, who);
    out.say(": ");
    out.open("span", &[("data-says", &"why")]);
    // What stands between backticks is of the policy.
    for (at, piece) in why.split('`').enumerate() {
        if at % 2 == 1 { out.leaf("code", &[], piece) } else { out.say(piece) }
    }
    out.close();
    out.close();
}
