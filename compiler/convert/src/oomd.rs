//! oomd's rulesets, in JSON with comments.
//!
//! What they mean stands in its docs/configuration.md and docs/core_plugins.md
//! (<https://github.com/facebookincubator/oomd/blob/main/docs/core_plugins.md>): a ruleset acts when any of its groups of
//! detectors is true, and a group when all of its detectors are. Numbers are read as oomd reads them, with `std::stoi`: what
//! stands behind the first digits is not looked at.
//!
//! A detector can look at any cgroup; an `on` block watches the one that the policy is attached to, here the machine. So a
//! group becomes a block with an event of the machine that is true whenever the group is, and what the group asks of other
//! cgroups becomes the condition of its rules. If all tasks of some cgroup wait, some task of the machine does: the event is
//! `some` then.

mod actions;
mod detectors;

use jsonc_parser::ParseOptions;
use serde_json::{Map, Value};

use crate::Refused;
use crate::draft::{Block, Draft};

/// Members of a plugin's `args`.
type Args = Map<String, Value>;

pub(crate) fn convert(draft: &mut Draft, text: &str) -> Result<(), Refused> {
    let root: Value = jsonc_parser::parse_to_serde_value(text, &ParseOptions::default())
        .map_err(|error| Refused(format!("it is no JSON: {error}")))?;
    let root = root.as_object().ok_or_else(|| Refused("it is no JSON object".to_owned()))?;
    let rulesets = root.get("rulesets").and_then(Value::as_array);
    let rulesets = rulesets.ok_or_else(|| Refused("it has no list `rulesets`".to_owned()))?;
    for key in root.keys().filter(|key| *key != "rulesets") {
        draft.lose(None, format!("`{key}`: nobody is asked before a kill"));
    }
    actions::audit(draft, rulesets);
    for ruleset in rulesets {
        let ruleset = ruleset.as_object().ok_or_else(|| Refused("a ruleset is no JSON object".to_owned()))?;
        one(draft, ruleset)?;
    }
    Ok(())
}

fn one(draft: &mut Draft, ruleset: &Args) -> Result<(), Refused> {
    let name = ruleset.get("name").and_then(Value::as_str).unwrap_or("ruleset").to_owned();
    if ["cgroup", "xattr_filter"].iter().any(|key| ruleset.contains_key(*key)) {
        draft.lose(None, format!("`{name}`: a ruleset for each of several cgroups (`cgroup`, `xattr_filter`): convert it alone, and run the policy for each of them"));
        return Ok(());
    }
    for key in ruleset.keys() {
        let why = match key.as_str() {
            "name" | "detectors" | "actions" | "post_action_delay" => continue,
            "silence-logs" => "each decision has its record",
            "prekill_hook_timeout" => "nobody is asked before a kill",
            "drop-in" | "disable-on-drop-in" => {
                "there are no drop-ins: `oomc load --replace` puts another policy in its place"
            }
            _ => "is not known here",
        };
        draft.lose(None, format!("`{name}`: `{key}`: {why}"));
    }
    let groups = list(ruleset, "detectors", &name)?;
    let actions = actions::read(draft, &name, ruleset)?;
    if actions.rules.is_empty() {
        draft.lose(None, format!("`{name}`: none of its actions kills, so nothing is left of it"));
        return Ok(());
    }
    for group in groups {
        let group =
            group.as_array().ok_or_else(|| Refused(format!("`{name}`: a group of detectors is no list")))?;
        let Some(seen) = detectors::read(draft, &name, group)? else { continue };
        let rules = actions.rules.iter().map(|(rule, action)| {
            let rule = draft.unique(rule);
            let action = match seen.condition.as_str() {
                "" => action.clone(),
                condition => action.under(condition),
            };
            (rule, action.text())
        });
        let rules: Vec<(String, String)> = rules.collect();
        actions::test(draft, &seen, &actions, &rules);
        draft.block(Block {
            about: vec![format!("{}: {}", crate::draft::plain(&name), crate::draft::plain(&seen.name))],
            event: seen.event,
            lasting: seen.lasting,
            cooldown: actions.cooldown,
            rules,
        });
    }
    Ok(())
}

fn list<'a>(of: &'a Args, key: &str, name: &str) -> Result<&'a Vec<Value>, Refused> {
    of.get(key).and_then(Value::as_array).ok_or_else(|| Refused(format!("`{name}` has no list `{key}`")))
}

/// The name and the arguments of a plugin.
fn plugin<'a>(value: &'a Value, name: &str) -> Result<(&'a str, Args), Refused> {
    let wrong = || Refused(format!("`{name}`: a plugin is an object with `name` and `args`"));
    let plugin = value.as_object().ok_or_else(wrong)?;
    let called = plugin.get("name").and_then(Value::as_str).ok_or_else(wrong)?;
    Ok((called, plugin.get("args").and_then(Value::as_object).cloned().unwrap_or_default()))
}

/// An argument as text.
fn text<'a>(args: &'a Args, key: &str) -> Option<&'a str> {
    args.get(key).and_then(Value::as_str)
}

/// A number as `std::stoi` reads it: digits, and what is behind them is not looked at.
fn number(args: &Args, key: &str) -> Option<u64> {
    let text = args.get(key)?;
    if let Some(number) = text.as_u64() {
        return Some(number);
    }
    let text = text.as_str()?.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// Says so where that is not what stands there.
fn told(draft: &mut Draft, name: &str, args: &Args, key: &str) {
    if let (Some(text), Some(number)) = (text(args, key), number(args, key))
        && text.trim() != number.to_string()
    {
        draft.lose(
            None,
            format!("`{name}`: oomd reads `{key}` \"{text}\" as {number}, and so does this policy"),
        );
    }
}

/// Paths of cgroups: `a/b,c/*`.
fn paths(args: &Args) -> Vec<String> {
    let text = text(args, "cgroup").unwrap_or_default();
    let whole = |path: &str| match path.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}"),
    };
    text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(whole).collect()
}

/// Whether a path can stand in a string, and is no regular expression.
fn writable(path: &str) -> bool {
    crate::draft::plain(path) == path && !path.contains(['"', '[', ']', '{', '}', '\\'])
}
