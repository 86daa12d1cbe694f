//! nohang's settings: `nohang.conf`, `nohang-desktop.conf`.
//!
//! What they mean stands in the file itself, which explains each key, and in nohang(8)
//! (<https://github.com/hakavlad/nohang/blob/master/conf/nohang/nohang.conf.in>): when available memory *and* free swap are both
//! at or below their soft thresholds, or pressure exceeds its one for so long, the process with the highest badness gets
//! SIGTERM, and SIGKILL if it is still there after `max_soft_exit_time`; at the hard thresholds, SIGKILL at once. Badness is
//! `oom_score`, plus what regular expressions add.
//!
//! `oom_score` is the kernel's badness in two thirds of a thousandth of memory and swap (`proc_oom_score()`,
//! fs/proc/base.c, 6.12), so that one point is 0.15 % of these.

use std::collections::BTreeMap;

use crate::draft::{Block, Draft};
use crate::quantity::{self, Millis};
use crate::{Refused, pattern, scene};

/// Keys that the policy has something for.
const USED: [&str; 13] = [
    "soft_threshold_min_mem",
    "soft_threshold_min_swap",
    "hard_threshold_min_mem",
    "hard_threshold_min_swap",
    "soft_threshold_max_psi",
    "hard_threshold_max_psi",
    "psi_checking_enabled",
    "psi_metrics",
    "psi_path",
    "psi_excess_duration",
    "psi_post_action_delay",
    "max_soft_exit_time",
    "ignore_positive_oom_score_adj",
];

/// A line `key = value`, and where it stands.
type Values<'a> = BTreeMap<&'a str, (usize, &'a str)>;

/// A line `@KEY value /// expression`.
struct Adjustment<'a> {
    line: usize,
    key: &'a str,
    points: i64,
    expression: &'a str,
}

pub(crate) fn convert(draft: &mut Draft, text: &str) -> Result<(), Refused> {
    let (values, adjustments) = read(draft, text)?;
    let key = badness(draft, &values, &adjustments)?;
    let kill = match key.as_str() {
        "" => "kill worst process in subtree".to_owned(),
        key => format!("kill largest process in subtree by {key}"),
    };
    let reason = "reason \"{comm} ({pid}) has {footprint}\"";
    let grace = seconds(&values, "max_soft_exit_time")?;
    let soft_kill = format!("{kill} grace {} {reason}", quantity::duration(grace));
    let hard_kill = format!("{kill} {reason}");
    let hard = memory(draft, &values, "hard", &hard_kill)?;
    let soft = memory(draft, &values, "soft", &soft_kill)?;
    tests(draft, &hard, &soft);
    if value(&values, "psi_checking_enabled")?.1 == "True" {
        pressure(draft, &values, &hard_kill, &soft_kill)?;
    }
    draft.lose(None, scene::AVAILABLE);
    rest(draft, &values);
    Ok(())
}

fn read<'a>(draft: &mut Draft, text: &'a str) -> Result<(Values<'a>, Vec<Adjustment<'a>>), Refused> {
    let (mut values, mut adjustments) = (Values::new(), Vec::new());
    for (line, whole) in (1..).zip(text.lines()) {
        // Lines that begin with `#` or white space are comments; adjustments may be indented.
        let trimmed = whole.trim();
        if trimmed.starts_with('@') && trimmed.contains("///") && !whole.starts_with('#') {
            if whole.starts_with([' ', '\t']) {
                continue;
            }
            let wrong = || Refused(format!("line {line}: `@KEY VALUE /// EXPRESSION` is meant"));
            let (head, expression) = trimmed.split_once("///").ok_or_else(wrong)?;
            let (key, points) = head.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
            let (key, points) = (key.trim(), points.trim());
            match points.parse::<i64>() {
                Ok(points) if key.starts_with("@BADNESS_ADJ_RE_") && (-2000..=2000).contains(&points) => {
                    adjustments.push(Adjustment { line, key, points, expression: expression.trim() });
                }
                _ => draft.lose(Some(line), format!("{trimmed}: no programs are run instead of a signal")),
            }
        } else if whole.starts_with('@') {
            draft.lose(Some(line), format!("{trimmed}: the kernel's own kills are counted by `oomc status`"));
        } else if !whole.starts_with(['#', ' ', '\t'])
            && let Some((key, value)) = whole.split_once('=')
        {
            values.insert(key.trim(), (line, value.trim()));
        }
    }
    if values.is_empty() {
        Err(Refused("it has no line `key = value`".to_owned()))
    } else {
        Ok((values, adjustments))
    }
}

fn value<'a>(values: &Values<'a>, key: &str) -> Result<(usize, &'a str), Refused> {
    values.get(key).copied().ok_or_else(|| Refused(format!("there is no `{key}`, which nohang demands")))
}

fn seconds(values: &Values<'_>, key: &str) -> Result<Millis, Refused> {
    let (line, text) = value(values, key)?;
    let number = text.parse::<f64>().ok().filter(|number| (0.0..1e9).contains(number));
    number
        .map(|number| (number * 1000.0).round() as Millis)
        .ok_or_else(|| Refused(format!("line {line}: `{text}` is no time")))
}

/// `5 %` of something, or `100 M`.
fn amount(values: &Values<'_>, key: &str, whole: &str) -> Result<(String, u64), Refused> {
    let (line, text) = value(values, key)?;
    let wrong = || Refused(format!("line {line}: `{text}` is no amount"));
    if let Some(share) = text.strip_suffix('%') {
        let share = quantity::share(share).ok_or_else(wrong)?;
        return Ok((
            format!("{} of {whole}", quantity::percent(share)),
            scene::MEMORY / quantity::WHOLE * share,
        ));
    }
    let mebibytes = text.strip_suffix('M').ok_or_else(wrong)?.trim().parse::<f64>().map_err(|_| wrong())?;
    let bytes = (mebibytes * 1024.0).round() as u64 * 1024;
    Ok((quantity::bytes(bytes), bytes))
}

/// The block of one pair of thresholds; gives its name and how much memory is left there.
fn memory(draft: &mut Draft, values: &Values<'_>, kind: &str, kill: &str) -> Result<(String, u64), Refused> {
    let (least, bytes) = amount(values, &format!("{kind}_threshold_min_mem"), "machine.memory")?;
    let (swap, _) = amount(values, &format!("{kind}_threshold_min_swap"), "machine.swap")?;
    let name = draft.unique(&format!("{kind} threshold of memory"));
    let rule = format!("if machine.available <= {least} and machine.swap_free <= {swap} then {kill}");
    draft.block(Block {
        about: vec!["Asked at every look.".to_owned()],
        event: "usage > 0B".to_owned(),
        lasting: 0,
        cooldown: 1000,
        rules: vec![(name.clone(), rule)],
    });
    Ok((name, bytes))
}

fn pressure(draft: &mut Draft, values: &Values<'_>, hard: &str, soft: &str) -> Result<(), Refused> {
    let (line, path) = value(values, "psi_path")?;
    if path != "/proc/pressure/memory" {
        draft.lose(Some(line), format!("`psi_path = {path}`: the machine is watched, not a cgroup, so pressure is not looked at at all"));
        return Ok(());
    }
    let (line, metric) = value(values, "psi_metrics")?;
    let known = metric.split_once('_').filter(|(kind, average)| {
        ["some", "full"].contains(kind) && ["avg10", "avg60", "avg300"].contains(average)
    });
    let (kind, average) = known.ok_or_else(|| Refused(format!("line {line}: `{metric}` is no metric")))?;
    for (which, kill) in [("hard", hard), ("soft", soft)] {
        let (line, text) = value(values, &format!("{which}_threshold_max_psi"))?;
        let above =
            quantity::share(text).ok_or_else(|| Refused(format!("line {line}: `{text}` is no share")))?;
        let name = draft.unique(&format!("{which} threshold of pressure"));
        let lasting = seconds(values, "psi_excess_duration")?;
        let above_it = quantity::percent((above + 500).min(quantity::WHOLE));
        if above < quantity::WHOLE {
            let given = scene::short_of_memory(scene::MEMORY / 4, "large", "small");
            let lasts = quantity::duration(lasting.max(1000));
            let seen = format!("on pressure {kind} {average} {above_it} in \"/\" for {lasts}\n");
            draft.test(
                &format!("{name}: the highest badness"),
                &format!("{given}{seen}{}", scene::chosen_dies(&name)),
            );
        }
        draft.block(Block {
            about: Vec::new(),
            event: format!("pressure {kind} {average} > {}", quantity::percent(above)),
            lasting,
            cooldown: seconds(values, "psi_post_action_delay")?,
            rules: vec![(name, kill.to_owned())],
        });
    }
    Ok(())
}

/// The key by which processes are compared; empty if it is the kernel's own.
fn badness(draft: &mut Draft, values: &Values<'_>, all: &[Adjustment<'_>]) -> Result<String, Refused> {
    let mut extra = String::new();
    let mut by_file = Vec::new();
    for one in all {
        match condition(one) {
            Ok(condition) => {
                if one.key == "@BADNESS_ADJ_RE_REALPATH" {
                    by_file.push(one.line.to_string());
                }
                extra.push_str(&term(one, &condition));
            }
            Err(why) => draft
                .lose(Some(one.line), format!("{} {} /// {}: {why}", one.key, one.points, one.expression)),
        }
    }
    if !by_file.is_empty() {
        let lines = by_file.join(", ");
        draft.lose(None, format!("adjustments of lines {lines} protect by the file of the program; here by the command's name, which is the file's as long as nobody changes it"));
    }
    let ignores = value(values, "ignore_positive_oom_score_adj")?.1 == "True";
    Ok(match (ignores, extra.is_empty()) {
        (false, true) => String::new(),
        (false, false) => format!("footprint + (0.1% of oom.total) * oom_score_adj{extra}"),
        (true, _) => {
            let adjusted = "(if oom_score_adj < 0 then oom_score_adj else 0)";
            format!("footprint + (0.1% of oom.total) * {adjusted}{extra}")
        }
    })
}

fn term(one: &Adjustment<'_>, condition: &str) -> String {
    let share = quantity::percent(one.points.unsigned_abs() * 15);
    // Points are added only to those whom nobody has protected.
    match one.points < 0 {
        true => format!(" - (if {condition} then {share} of oom.total else 0B)"),
        false => format!(" + (if {condition} and oom_score_adj >= 0 then {share} of oom.total else 0B)"),
    }
}

/// Whom an expression is about.
fn condition(one: &Adjustment<'_>) -> Result<String, String> {
    match one.key {
        "@BADNESS_ADJ_RE_NAME" => {
            Ok(format!("comm in {}", pattern::list(&pattern::of_command(one.expression)?)))
        }
        "@BADNESS_ADJ_RE_CGROUP_V2" => {
            let all = pattern::patterns(one.expression)?;
            // A name's `*` crosses no `/` in a path.
            let all: Vec<String> = all.iter().map(|one| one.replace('*', "**")).collect();
            Ok(format!("home.path in {}", pattern::list(&all)))
        }
        "@BADNESS_ADJ_RE_UID" => {
            let ids = pattern::patterns(one.expression)?;
            let exact = ids.iter().all(|id| id.parse::<u32>().is_ok());
            if !exact {
                return Err("only whole user ids can be compared".to_owned());
            }
            Ok(format!("({})", ids.iter().map(|id| format!("uid == {id}")).collect::<Vec<_>>().join(" or ")))
        }
        "@BADNESS_ADJ_RE_REALPATH" if one.points < 0 => of_file(one.expression),
        "@BADNESS_ADJ_RE_REALPATH" => {
            Err("the file of a program is not known, and by its name alone nobody is preferred".to_owned())
        }
        _ => Err("the kernel does not know it without reading a process's own memory".to_owned()),
    }
}

/// Processes that are called as the file is.
fn of_file(expression: &str) -> Result<String, String> {
    let mut names = Vec::new();
    for path in pattern::patterns(expression)? {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || name.contains(['*', '?']) || !path.starts_with('/') {
            return Err("the file of a program is not known, and this names no single one".to_owned());
        }
        // The kernel keeps 15 bytes.
        let name: String = name.chars().take(15).collect();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(format!("comm in {}", pattern::list(&names)))
}

/// What else stands in the file.
fn rest(draft: &mut Draft, values: &Values<'_>) {
    let special = [
        ("zram_checking_enabled", "False", "how full zram is is not looked at"),
        ("min_badness", "1", "there is no least badness"),
        ("low_memory_warnings_enabled", "False", "nobody is warned on screens"),
        ("warning_exe", "", "no programs are run"),
        ("post_kill_exe", "", "no programs are run"),
        ("post_action_gui_notifications", "False", "nothing is shown on screens"),
    ];
    for (key, nothing, why) in special {
        if let Some((line, value)) = values.get(key).filter(|(_, value)| *value != nothing) {
            draft.lose(Some(*line), format!("{key} = {value}: {why}"));
        }
    }
    let named = |key: &str| USED.contains(&key) || special.iter().any(|(name, ..)| *name == key);
    let others: Vec<&str> = values.keys().copied().filter(|key| !named(key)).collect();
    if !others.is_empty() {
        draft.lose(None, format!("how often it looks, what it logs and shows: {}", others.join(", ")));
    }
}

fn tests(draft: &mut Draft, hard: &(String, u64), soft: &(String, u64)) {
    for ((name, bytes), left) in [(hard, hard.1 / 2), (soft, hard.1 + (soft.1.saturating_sub(hard.1)) / 2)] {
        if *bytes > left {
            let given = scene::short_of_memory(left, "large", "small");
            let body = format!("{given}on usage in \"/\"\n{}", scene::chosen_dies(name));
            draft.test(&format!("{name}: the highest badness"), &body);
        }
    }
    let enough = scene::short_of_memory(scene::MEMORY / 2, "large", "small");
    draft.test("with enough memory nobody dies", &format!("{enough}on usage in \"/\"\nexpect defer\n"));
}
