//! Detectors: an event, and a condition.

use serde_json::Value;

use super::{Args, number, paths, plugin, text, told, writable};
use crate::Refused;
use crate::draft::Draft;
use crate::quantity::{self, Millis};
use crate::scene;

/// Bytes that no machine has.
const MOST: u64 = 1 << 55;

/// What a group of detectors has become.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) event: String,
    pub(super) lasting: Millis,
    /// Empty if the event says it all.
    pub(super) condition: String,
    /// The event of a test, and what it has to be given to the cgroups that are looked at.
    pub(super) shown: String,
    pub(super) given: Vec<Given>,
}

/// A cgroup of a test, and what it has.
pub(super) type Given = (String, String);

/// One detector.
enum Detector {
    /// An event of the machine says it exactly.
    Event { event: String, lasting: Millis, shown: String },
    /// The same for other cgroups: an event that is true then, and what is asked of them.
    Watched { event: String, lasting: Millis, shown: String, condition: String, given: Vec<Given> },
    /// Only a condition; how long it held is not seen.
    Condition { condition: String, lasting: Millis, given: Vec<Given> },
    /// Always true.
    Nothing,
}

/// Reads a group; none if one of its detectors has no counterpart.
pub(super) fn read(draft: &mut Draft, name: &str, group: &[Value]) -> Result<Option<Seen>, Refused> {
    let called = group.first().and_then(Value::as_str).unwrap_or("detectors").to_owned();
    let mut seen = Seen {
        name: called.clone(),
        event: String::new(),
        lasting: 0,
        condition: String::new(),
        shown: String::new(),
        given: Vec::new(),
    };
    let mut conditions: Vec<String> = Vec::new();
    for value in group.iter().filter(|value| !value.is_string()) {
        let (plugin, args) = plugin(value, name)?;
        let detector = match one(draft, name, plugin, &args) {
            Ok(detector) => detector,
            Err(why) => {
                let text = format!(
                    "`{name}`, `{called}`: `{plugin}` {why}; the whole group is left out, or it would be true more often"
                );
                draft.lose(None, text);
                return Ok(None);
            }
        };
        seen.take(draft, name, detector, &mut conditions);
    }
    if seen.event.is_empty() {
        // As often as anybody looks.
        (seen.event, seen.shown) = ("usage > 0B".to_owned(), "on usage".to_owned());
    }
    seen.condition = conditions.join(" and ");
    Ok(Some(seen))
}

impl Seen {
    fn take(&mut self, draft: &mut Draft, name: &str, detector: Detector, conditions: &mut Vec<String>) {
        let first = self.event.is_empty();
        let late = |draft: &mut Draft, lasting: Millis| {
            if lasting > 0 {
                let lasting = quantity::duration(lasting);
                draft.lose(None, format!("`{name}`, `{}`: that one of its detectors is true for {lasting} is not seen: it is looked at once", self.name));
            }
        };
        match detector {
            Detector::Event { event, lasting, shown } if first => {
                (self.event, self.lasting, self.shown) = (event, lasting, shown);
            }
            Detector::Watched { event, lasting, shown, condition, given } if first => {
                draft.lose(None, format!("`{name}`, `{}`: how long it lasts is seen of the machine, of other cgroups what is true at the end", self.name));
                (self.event, self.lasting, self.shown) = (event, lasting, shown);
                self.given.extend(given);
                conditions.push(condition);
            }
            Detector::Event { event, lasting, .. } => {
                late(draft, lasting);
                // Of the machine: what the event says, as a condition.
                conditions.push(of_root(&event));
            }
            Detector::Watched { condition, lasting, given, .. }
            | Detector::Condition { condition, lasting, given } => {
                late(draft, lasting);
                self.given.extend(given);
                conditions.push(condition);
            }
            Detector::Nothing => {}
        }
    }
}

/// `pressure full avg10 > 60%` as a condition on the machine.
fn of_root(event: &str) -> String {
    match event.strip_prefix("pressure ") {
        Some(rest) => format!("cgroup.pressure.{}", rest.replacen(' ', ".", 1)),
        None => match event.strip_prefix("swap > ") {
            Some(share) => format!("machine.swap - machine.swap_free > {share} of machine.swap"),
            None => format!("cgroup.{event}"),
        },
    }
}

fn one(draft: &mut Draft, name: &str, plugin: &str, args: &Args) -> Result<Detector, String> {
    if args.contains_key("ruleset_cgroup") {
        return Err("is relative to a cgroup of the ruleset".to_owned());
    }
    for key in ["threshold", "duration", "count", "threshold_pct"] {
        if !(plugin == "memory_above" && key == "threshold") {
            told(draft, name, args, key);
        }
    }
    match plugin {
        "pressure_above" => pressure(args, false),
        "pressure_rising_beyond" => {
            draft.lose(None, format!("`{name}`: `fast_fall_ratio`: that pressure falls quickly is not seen"));
            pressure(args, true)
        }
        "memory_above" => memory_above(args),
        "memory_reclaim" => {
            let condition = any(&cgroups(args)?, "rate(c.pgscan) > 0");
            Ok(Detector::Condition { condition, lasting: 0, given: Vec::new() })
        }
        "swap_free" => {
            let least = number(args, "threshold_pct").filter(|least| *least <= 100).ok_or("has no share")?;
            let used = quantity::percent((100 - least) * 100);
            Ok(Detector::Event { event: format!("swap > {used}"), lasting: 0, shown: "on swap".to_owned() })
        }
        "exists" => {
            let paths = cgroups(args)?;
            let there: Vec<String> =
                paths.iter().map(|path| format!("(count cgroup in \"{path}\") > 0")).collect();
            Ok(maybe_not(args, format!("({})", there.join(" or ")), given(&paths, "")))
        }
        "nr_dying_descendants" => {
            let paths = cgroups(args)?;
            let count = number(args, "count").ok_or("has no count")?;
            let (sign, dying) =
                if text(args, "lte") == Some("false") { (">", count + 1) } else { ("<=", count) };
            let there = any(&paths, &format!("c.nr_dying_descendants {sign} {count}"));
            Ok(maybe_not(args, there, given(&paths, &format!("nr_dying_descendants {dying}"))))
        }
        "dump_cgroup_overview" | "continue" => {
            draft
                .lose(None, format!("`{name}`: `{plugin}` writes to a log; `oomc events` has the decisions"));
            Ok(Detector::Nothing)
        }
        _ => Err("has no counterpart".to_owned()),
    }
}

/// A condition, or with `negate` its opposite, which is true in a test that says nothing of it.
fn maybe_not(args: &Args, condition: String, given: Vec<Given>) -> Detector {
    match text(args, "negate") {
        Some("true") => {
            Detector::Condition { condition: format!("not {condition}"), lasting: 0, given: Vec::new() }
        }
        _ => Detector::Condition { condition, lasting: 0, given },
    }
}

/// What the first of several cgroups has in a test.
fn given(paths: &[String], what: &str) -> Vec<Given> {
    paths.iter().take(1).map(|path| (scene::path(path, 'x'), what.to_owned())).collect()
}

fn cgroups(args: &Args) -> Result<Vec<String>, String> {
    let all = paths(args);
    match all.iter().find(|path| !writable(path)) {
        Some(path) => Err(format!("names `{path}`, which is no pattern of paths")),
        None if all.is_empty() => Err("names no cgroup".to_owned()),
        None => Ok(all),
    }
}

/// Whether something is true of one of several cgroups; `c` is the cgroup.
fn any(paths: &[String], what: &str) -> String {
    let of = |path: &String| match path.as_str() {
        "/" => format!("({})", what.replace("c.", "cgroup.")),
        path => format!("(any cgroup c in \"{path}\" where {what})"),
    };
    match paths {
        [one] => of(one),
        all => format!("({})", all.iter().map(of).collect::<Vec<_>>().join(" or ")),
    }
}

fn pressure(args: &Args, rising: bool) -> Result<Detector, String> {
    if text(args, "resource") != Some("memory") {
        return Err("looks at another resource than memory".to_owned());
    }
    let above = number(args, "threshold").filter(|above| *above <= 100).ok_or("has no threshold")?;
    let lasting = number(args, "duration").ok_or("has no duration")?.saturating_mul(1000);
    let average = if rising { "avg60" } else { "avg10" };
    let paths = cgroups(args)?;
    let also = if rising { format!(" and c.pressure.full.avg10 > {above}%") } else { String::new() };
    let condition = any(&paths, &format!("c.pressure.full.{average} > {above}%{also}"));
    let more = (above + 5).min(100);
    let lasts = quantity::duration(lasting.max(1000));
    let shown = |kind: &str| format!("on pressure {kind} {average} {more}%|{lasts}");
    if paths == ["/"] && !rising {
        let event = format!("pressure full {average} > {above}%");
        return Ok(Detector::Event { event, lasting, shown: shown("full") });
    }
    let given = given(&paths, &format!("pressure.full.avg10 {more}% pressure.full.avg60 {more}%"));
    let event = format!("pressure some {average} > {above}%");
    Ok(Detector::Watched { event, lasting, shown: shown("some"), condition, given })
}

/// More than all that a test puts into a cgroup.
const INSIDE: u64 = 3 << 30;

/// `threshold` of all memory, `threshold_anon` of anonymous memory; a bare number is megabytes.
fn memory_above(args: &Args) -> Result<Detector, String> {
    let (key, field) =
        if args.contains_key("threshold_anon") { ("threshold_anon", "anon") } else { ("threshold", "usage") };
    let (above, bytes) = amount(text(args, key).ok_or("has no threshold")?)?;
    let lasting = number(args, "duration").ok_or("has no duration")?.saturating_mul(1000);
    let paths = cgroups(args)?;
    let condition = any(&paths, &format!("c.{field} > {above}"));
    // Whoever is chosen may lie in such a cgroup.
    let more = (bytes + (1 << 30)).max(INSIDE);
    let given = given(&paths, &format!("{field} {}", quantity::bytes(more)));
    Ok(Detector::Condition { condition, lasting, given })
}

/// `1.5G`, `1.5M 32K 512`, `20%` of the machine's memory, `100`: megabytes. As the language writes it, and in bytes on the
/// machine of tests.
pub(super) fn amount(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("has a threshold that is no amount: `{text}`");
    if let Some(share) = text.trim().strip_suffix('%') {
        let share = quantity::share(share).ok_or_else(wrong)?;
        let bytes = scene::MEMORY / quantity::WHOLE * share;
        return Ok((format!("{} of machine.memory", quantity::percent(share)), bytes));
    }
    if let Ok(megabytes) = text.trim().parse::<u64>() {
        let bytes = megabytes.checked_mul(1 << 20).filter(|bytes| *bytes < MOST).ok_or_else(wrong)?;
        return Ok((quantity::bytes(bytes), bytes));
    }
    let mut sum = 0.0;
    for word in text.split_whitespace() {
        let (number, factor) = match word.char_indices().last() {
            Some((end, letter)) if letter.is_ascii_alphabetic() => {
                let power = "KMGT".find(letter.to_ascii_uppercase()).ok_or_else(wrong)?;
                (word.get(..end).unwrap_or_default(), 1024_f64.powi(power as i32 + 1))
            }
            _ => (word, 1.0),
        };
        sum += number.parse::<f64>().map_err(|_| wrong())? * factor;
    }
    let bytes = sum as u64;
    if bytes < MOST { Ok((quantity::bytes(bytes), bytes)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_oomds() {
        let amount = |text: &str| amount(text).map(|(text, _)| text);
        assert_eq!(amount("1.5G"), Ok("1536MiB".to_owned()));
        assert_eq!(amount("1.5M 32K 512"), Ok(quantity::bytes((3 << 19) + (32 << 10) + 512)));
        assert_eq!(amount("100"), Ok("100MiB".to_owned()));
        assert_eq!(amount("20%"), Ok("20% of machine.memory".to_owned()));
        assert!(amount("many").is_err());
    }

    #[test]
    fn what_an_event_says_of_the_machine_is_a_condition_too() {
        assert_eq!(of_root("pressure full avg10 > 60%"), "cgroup.pressure.full.avg10 > 60%");
        assert_eq!(of_root("swap > 90%"), "machine.swap - machine.swap_free > 90% of machine.swap");
    }
}
