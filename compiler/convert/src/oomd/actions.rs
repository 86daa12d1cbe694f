//! Actions: whom to kill.

use serde_json::Value;

use super::detectors::{Given, Seen, amount};
use super::{Args, list, number, paths, plugin, text, writable};
use crate::Refused;
use crate::draft::Draft;
use crate::quantity::Millis;
use crate::scene;

/// A look at which nothing has to be done.
const QUIET: &str = "on pressure full avg10 0% in \"/\"\nexpect not asked\n";
/// What oomd waits after a kill, in seconds.
const PAUSE: u64 = 15;

/// A kill, under conditions.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    conditions: Vec<String>,
    kill: String,
}

impl Kill {
    pub(super) fn under(&self, condition: &str) -> Self {
        let conditions = std::iter::once(condition.to_owned()).chain(self.conditions.iter().cloned());
        Self { conditions: conditions.collect(), kill: self.kill.clone() }
    }

    pub(super) fn text(&self) -> String {
        if self.conditions.is_empty() {
            return self.kill.clone();
        }
        format!("if {} then {}", self.conditions.join(" and "), self.kill)
    }
}

/// The actions of a ruleset.
pub(super) struct Actions {
    pub(super) rules: Vec<(String, Kill)>,
    pub(super) cooldown: Millis,
    /// For a test: the first pattern of the first kill, and what its choice has.
    first: Option<(String, Chosen)>,
}

/// A way to rank.
struct Ranking {
    key: &'static str,
    only: Option<String>,
    reason: &'static str,
    chosen: Chosen,
}

/// What a test gives to whom is chosen.
#[derive(Clone, Copy)]
struct Chosen {
    /// To the cgroup.
    cgroup: &'static str,
    /// To the cgroup, before a second look.
    later: &'static str,
    /// To the process in it.
    process: &'static str,
}

const NOTHING: Chosen = Chosen { cgroup: "", later: "", process: "rss 64MiB" };

/// If no action is meant to kill, the policy is not either.
pub(super) fn audit(draft: &mut Draft, rulesets: &[Value]) {
    let actions = rulesets.iter().filter_map(|ruleset| ruleset.get("actions")?.as_array()).flatten();
    let kills = actions.filter(|action| {
        action.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with("kill_"))
    });
    let dry: Vec<bool> =
        kills.map(|kill| kill.pointer("/args/dry").and_then(Value::as_str) == Some("true")).collect();
    draft.audit = !dry.is_empty() && dry.iter().all(|dry| *dry);
}

pub(super) fn read(draft: &mut Draft, name: &str, ruleset: &Args) -> Result<Actions, Refused> {
    let of_ruleset = number(ruleset, "post_action_delay").unwrap_or(PAUSE);
    let mut actions = Actions { rules: Vec::new(), cooldown: of_ruleset * 1000, first: None };
    for value in list(ruleset, "actions", name)? {
        let (plugin, args) = plugin(value, name)?;
        if plugin == "continue" || plugin == "dump_cgroup_overview" || plugin == "dump_kill_info" {
            continue;
        }
        match one(draft, name, plugin, &args) {
            Ok((rules, first)) => {
                if let Some(delay) = number(&args, "post_action_delay") {
                    actions.cooldown = delay * 1000;
                }
                actions.first = actions.first.take().or(first);
                actions.rules.extend(rules.into_iter().map(|kill| (name.to_owned(), kill)));
            }
            Err(why) => draft.lose(None, format!("`{name}`: `{plugin}` {why}")),
        }
    }
    Ok(actions)
}

type Rules = (Vec<Kill>, Option<(String, Chosen)>);

fn one(draft: &mut Draft, name: &str, plugin: &str, args: &Args) -> Result<Rules, String> {
    let ranking = ranking(draft, name, plugin, args)?;
    if args.contains_key("ruleset_cgroup") {
        return Err("is relative to a cgroup of the ruleset".to_owned());
    }
    if text(args, "dry") == Some("true") && !draft.audit {
        return Err("only tells whom it would kill; a policy does that as a whole (`mode audit`)".to_owned());
    }
    if text(args, "always_continue") == Some("true") {
        draft.lose(
            None,
            format!(
                "`{name}`: `always_continue`: what stands behind a kill is done only if it made no progress"
            ),
        );
    }
    let paths = paths(args);
    if let Some(path) = paths.iter().find(|path| !writable(path)) {
        return Err(format!("names `{path}`, which is no pattern of paths"));
    }
    draft.lose(None, "the attributes trusted.oomd_prefer and trusted.oomd_avoid are not read: say it in the policy, with `prefer cgroup` and `avoid cgroup`, or with a label");
    let first = paths.first().cloned().zip(Some(ranking.chosen));
    if text(args, "recursive") == Some("true") {
        let first = first.map(|(path, chosen)| (format!("{path}/*"), chosen));
        return Ok((vec![recursive(&paths, &ranking)], first));
    }
    let kills = match paths.as_slice() {
        [] => return Err("names no cgroup".to_owned()),
        [path] => vec![Kill { conditions: Vec::new(), kill: ranking.kill(path) }],
        all => among(draft, all, &ranking),
    };
    Ok((kills, first))
}

fn ranking(draft: &mut Draft, name: &str, plugin: &str, args: &Args) -> Result<Ranking, String> {
    let memory = || match text(args, "resource") {
        Some("memory") => Ok(()),
        _ => Err("looks at another resource than memory".to_owned()),
    };
    Ok(match plugin {
        "kill_by_memory_size_or_growth" => {
            draft.lose(None, format!("`{name}`: the largest by usage - memory.low dies; that a fast-growing one (`min_growth_ratio`) may go first is not expressed"));
            Ranking {
                key: "usage - low",
                only: None,
                reason: "{name} uses {usage}",
                chosen: Chosen { process: "rss 2GiB", ..NOTHING },
            }
        }
        "kill_by_swap_usage" => {
            let (least, _) = amount(text(args, "threshold").unwrap_or("1"))?;
            let only = Some(format!("swap >= {least}"));
            Ranking {
                key: "swap",
                only,
                reason: "{name} has {swap} in swap",
                chosen: Chosen { process: "rss 64MiB swap 6GiB", ..NOTHING },
            }
        }
        "kill_by_pressure" => {
            memory()?;
            let key = "pressure.full.avg10 + pressure.full.avg60";
            Ranking {
                key,
                only: None,
                reason: "{name} stalls most",
                chosen: Chosen { cgroup: "pressure.full.avg10 50%", ..NOTHING },
            }
        }
        "kill_by_pg_scan" => Ranking {
            key: "rate(pgscan)",
            only: None,
            reason: "reclaim works most on {name}",
            chosen: Chosen { cgroup: "pgscan 10", later: "pgscan 90_000", ..NOTHING },
        },
        _ => return Err("has no counterpart".to_owned()),
    })
}

impl Ranking {
    fn only(&self) -> String {
        self.only.as_ref().map_or_else(String::new, |only| format!(" where {only}"))
    }

    fn kill(&self, path: &str) -> String {
        format!("kill largest cgroup in \"{path}\"{} by {} reason \"{}\"", self.only(), self.key, self.reason)
    }
}

/// Down the tree, from the best of the named ones to the best below it.
fn recursive(paths: &[String], ranking: &Ranking) -> Kill {
    let below: Vec<String> = paths.iter().map(|path| format!("{}/**", path.trim_end_matches('/'))).collect();
    let only = ranking.only.as_ref().map_or_else(String::new, |only| format!(" and {only}"));
    let list = crate::pattern::list(&below);
    let kill = format!(
        "kill largest cgroup in subtree stepwise where path in {list}{only} by {} reason \"{}\"",
        ranking.key, ranking.reason
    );
    Kill { conditions: Vec::new(), kill }
}

/// The best of those that several patterns match: the best of each is picked, and the best of these dies.
fn among(draft: &mut Draft, paths: &[String], ranking: &Ranking) -> Vec<Kill> {
    let picks: Vec<String> = paths
        .iter()
        .map(|path| {
            let pick = draft.unique("best").replace(' ', "_");
            draft.declare(format!(
                "pick {pick} = largest cgroup in \"{path}\"{} by {}",
                ranking.only(),
                ranking.key
            ));
            pick
        })
        .collect();
    let value = |pick: &str| {
        let fields: Vec<String> = ranking.key.split(' ').map(|word| of_pick(pick, word)).collect();
        fields.join(" ")
    };
    let mut kills: Vec<Kill> = Vec::new();
    for (pick, path) in picks.iter().zip(paths) {
        let others = picks.iter().filter(|other| *other != pick);
        let conditions =
            others.map(|other| format!("{} >= (({}) ?? {})", value(pick), value(other), zero(ranking.key)));
        kills.push(Kill { conditions: conditions.collect(), kill: ranking.kill(path) });
    }
    kills
}

fn zero(key: &str) -> &'static str {
    match key {
        "usage - low" | "swap" => "0B",
        "rate(pgscan)" => "0",
        _ => "0%",
    }
}

/// `usage` of a pick: `best.usage`; `rate(pgscan)`: `rate(best.pgscan)`.
fn of_pick(pick: &str, word: &str) -> String {
    match word.strip_prefix("rate(") {
        Some(field) => format!("rate({pick}.{field}"),
        None if word.len() == 1 => word.to_owned(),
        None => format!("{pick}.{word}"),
    }
}

/// Two cgroups that the first pattern matches, or one if it names one.
pub(super) fn test(draft: &mut Draft, seen: &Seen, actions: &Actions, rules: &[(String, String)]) {
    let (Some((path, chosen)), Some((rule, _))) = (&actions.first, rules.first()) else { return };
    // That reclaim works on a cgroup whose name is not known cannot be given.
    if seen.condition.contains("rate(") {
        return;
    }
    let (best, other) = (scene::path(path, 'x'), scene::path(path, 'y'));
    let mut given = seen.given.clone();
    given.push((best.clone(), chosen.cgroup.to_owned()));
    let mut lines = vec!["\"/\" { limit 16GiB }".to_owned()];
    lines.extend(merged(&given).iter().map(|(path, what)| format!("\"{path}\" {{ {what} }}")));
    if other != best {
        lines.push(format!("\"{other}#101\" {{ rss 64MiB }}"));
    }
    lines.push(format!("\"{best}#100\" {{ {} }}", chosen.process));
    let given: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    // A second look, if what is ranked by is what has grown since.
    let again = match chosen.later {
        "" => String::new(),
        later => format!("{QUIET}after 10s\ngiven {{\n    \"{best}\" {{ {later} }}\n}}\n"),
    };
    let shown = seen.shown.split_once('|').map_or_else(
        || format!("{} in \"/\"", seen.shown),
        |(event, lasting)| format!("{event} in \"/\" for {lasting}"),
    );
    let body =
        format!("given {{\n{given}}}\n{again}{shown}\nexpect kill cgroup \"{best}\" by rule \"{rule}\"\n");
    draft.test(&format!("{rule}: the best of those it names dies"), &body);
}

/// Everything that is said of one cgroup together; of those with nothing, that they are there.
fn merged(given: &[Given]) -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    for (path, what) in given {
        match all.iter_mut().find(|(known, _)| known == path) {
            Some((_, whole)) => *whole = format!("{whole} {what}").trim().to_owned(),
            None => all.push((path.clone(), what.clone())),
        }
    }
    all
}
