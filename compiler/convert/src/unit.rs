//! Settings of systemd-oomd: `ManagedOOM…=` of a unit or a drop-in, and `oomd.conf`.
//!
//! What they mean stands in systemd.resource-control(5) and oomd.conf(5)
//! (<https://www.freedesktop.org/software/systemd/man/latest/oomd.conf.html>).
//! With `ManagedOOMMemoryPressure=kill`, a descendant of the unit's cgroup is killed when all tasks in the unit were delayed
//! for more than the limit, 60 % of the time, for longer than the duration, 30 s: the one with the most reclaim activity.
//! With `ManagedOOMSwap=kill`, when the machine's memory and swap are both used by more than `SwapUsedLimit=`, 90 %: the one
//! with the most swap of those that have more than 5 % of all swap. The unit itself is never a candidate.

use crate::draft::{Block, Draft};
use crate::ini::{self, Entry};
use crate::quantity::{self, Millis, Permyriad, WHOLE};
use crate::{Refused, scene};

/// oomd.conf(5)
const LIMIT: Permyriad = 6000;
const LASTING: Millis = 30_000;
const SWAP_USED: Permyriad = 9000;
/// A look at which nothing has to be done.
const QUIET: &str = "on pressure full avg10 0% in \"/unit\"\nexpect not asked\n";
/// systemd-oomd waits so long after a kill for pressure (`POST_ACTION_DELAY_USEC`, oomd-manager.h).
const PAUSE: Millis = 15_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The unit as a whole.
    All,
    /// The descendant that reclaim works on most.
    Reclaim,
    /// The descendant with the most swap.
    Swap,
}

/// What is asked of swap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Swap {
    /// More of it is used.
    Alone(Permyriad),
    /// And more of the memory.
    WithMemory(Permyriad),
}

#[derive(Default)]
struct Settings {
    pressure: bool,
    swap: bool,
    limit: Option<Permyriad>,
    lasting: Option<Millis>,
    swap_used: Option<Permyriad>,
}

pub(crate) fn convert(draft: &mut Draft, name: &str, text: &str) -> Result<(), Refused> {
    let (entries, odd) = ini::read(text);
    odd_lines(draft, &odd);
    let unit = unit_of(name);
    let mut settings = Settings::default();
    for entry in &entries {
        if entry.section == "OOM" || entry.key.starts_with("ManagedOOM") {
            set(draft, &mut settings, &unit, entry)?;
        } else {
            unknown(draft, entry);
        }
    }
    draft.attach = format!("--cgroup CGROUP_OF_{}", unit.to_uppercase().replace(' ', "_"));
    if entries.iter().any(|entry| entry.section == "OOM") {
        draft.lose(
            None,
            "oomd.conf has defaults for units and names none: both blocks are those of a unit with \
             ManagedOOMMemoryPressure=kill and ManagedOOMSwap=kill; take out what the unit does not ask for",
        );
        (settings.pressure, settings.swap) = (true, true);
    } else if settings.limit.is_none() || settings.lasting.is_none() {
        draft.lose(None, "what oomd.conf of this machine says is not seen here: its defaults are taken");
    }
    if settings.pressure {
        let limit = settings.limit.filter(|limit| *limit > 0).unwrap_or(LIMIT);
        let lasting = settings.lasting.filter(|lasting| *lasting > 0).unwrap_or(LASTING);
        block(draft, Some(limit), None, lasting, Action::Reclaim);
    }
    if settings.swap {
        let used = Swap::WithMemory(settings.swap_used.unwrap_or(SWAP_USED));
        block(draft, None, Some(used), 0, Action::Swap);
    }
    Ok(())
}

/// The unit that a drop-in is for: `/etc/systemd/system/app.slice.d/oomd.conf` is for `app.slice`.
fn unit_of(name: &str) -> String {
    let mut parts = name.rsplit('/');
    let file = parts.next().unwrap_or(name);
    let folder = parts.next().and_then(|folder| folder.strip_suffix(".d"));
    match (folder, file.strip_suffix(".conf")) {
        (Some(unit), Some(_)) => unit.to_owned(),
        (None, Some(_)) => "the unit".to_owned(),
        _ => file.to_owned(),
    }
}

fn set(draft: &mut Draft, settings: &mut Settings, unit: &str, entry: &Entry) -> Result<(), Refused> {
    let wrong = || Refused(format!("line {}: `{}` cannot be `{}`", entry.line, entry.key, entry.value));
    let share = || quantity::systemd_share(&entry.value).ok_or_else(wrong);
    let kill = || match entry.value.as_str() {
        "kill" => Ok(true),
        "auto" | "" => Ok(false),
        _ => Err(wrong()),
    };
    match entry.key.as_str() {
        "ManagedOOMMemoryPressure" => settings.pressure = kill()?,
        "ManagedOOMSwap" => settings.swap = kill()?,
        "ManagedOOMMemoryPressureLimit" | "DefaultMemoryPressureLimit" => settings.limit = Some(share()?),
        "ManagedOOMMemoryPressureDurationSec" | "DefaultMemoryPressureDurationSec" => {
            settings.lasting = Some(quantity::systemd_time(&entry.value).ok_or_else(wrong)?);
        }
        "SwapUsedLimit" => settings.swap_used = Some(share()?),
        "ManagedOOMPreference" => match entry.value.as_str() {
            "none" | "" => {}
            "avoid" => draft.lose(
                Some(entry.line),
                format!("{unit} is avoided in policies of cgroups above it: there, `avoid cgroup where name == \"{unit}\"`"),
            ),
            "omit" => draft.lose(
                Some(entry.line),
                format!("{unit} is left out in policies of cgroups above it: there, `never kill cgroup where name == \"{unit}\"`"),
            ),
            _ => return Err(wrong()),
        },
        _ => unknown(draft, entry),
    }
    Ok(())
}

/// A setting that is not about this.
pub(crate) fn unknown(draft: &mut Draft, entry: &Entry) {
    let Entry { line, section, key, value } = entry;
    let why = match key.as_str() {
        "PrekillHookTimeoutSec" => "nobody is asked before a kill",
        "ManagedOOMRules" | "OOMRules" => "convert the ruleset that it names, and run it for this unit",
        _ => "is not about memory running out, or not known here",
    };
    draft.lose(Some(*line), format!("[{section}] {key}={value}: {why}"));
}

pub(crate) fn odd_lines(draft: &mut Draft, lines: &[usize]) {
    for line in lines {
        draft.lose(Some(*line), "is no assignment, and systemd ignores it");
    }
}

/// One block, with its test.
pub(crate) fn block(
    draft: &mut Draft,
    pressure: Option<Permyriad>,
    swap: Option<Swap>,
    lasting: Millis,
    action: Action,
) {
    let event = match pressure {
        Some(above) => format!("pressure full avg10 > {}", quantity::percent(above)),
        None => "usage > 0B".to_owned(),
    };
    if pressure.is_none() && lasting > 0 {
        let text = format!(
            "that the swap is so full for {} is not seen: it is looked at once",
            quantity::duration(lasting)
        );
        draft.lose(None, text);
    }
    if matches!(swap, Some(Swap::WithMemory(_))) {
        draft.lose(None, scene::AVAILABLE);
    }
    let condition = swap.map(condition);
    let kill = match action {
        Action::All => "kill cgroup in attached reason \"{name} as a whole\"",
        // As systemd-oomd: cgroups below, never the unit itself.
        Action::Reclaim => {
            "kill largest cgroup in subtree where path != attached.path by rate(pgscan) \
             reason \"reclaim works most on {name}\""
        }
        Action::Swap => {
            "kill largest cgroup in subtree where path != attached.path and swap > 5% of machine.swap by swap \
             reason \"{name} has {swap} in swap\""
        }
    };
    let wanted = match action {
        Action::All => "all",
        Action::Reclaim => "reclaim",
        Action::Swap => "swap",
    };
    let name = draft.unique(wanted);
    let rule = condition.map_or_else(|| kill.to_owned(), |condition| format!("if {condition} then {kill}"));
    test(draft, pressure, swap, lasting, action, &name);
    draft.block(Block {
        about: Vec::new(),
        event,
        lasting: if pressure.is_some() { lasting } else { 0 },
        cooldown: PAUSE,
        rules: vec![(name, rule)],
    });
}

fn condition(swap: Swap) -> String {
    let left = |used: Permyriad| quantity::percent(WHOLE - used);
    match swap {
        Swap::Alone(used) => format!("machine.swap_free < {} of machine.swap", left(used)),
        Swap::WithMemory(used) => format!(
            "machine.swap_free < {} of machine.swap and machine.available < {} of machine.memory",
            left(used),
            left(used),
        ),
    }
}

/// A unit with two cgroups: reclaim works on the smaller one, and the smaller one has the swap.
fn test(
    draft: &mut Draft,
    pressure: Option<Permyriad>,
    swap: Option<Swap>,
    lasting: Millis,
    action: Action,
    rule: &str,
) {
    if pressure == Some(WHOLE) {
        // Nothing is above all of the time.
        return;
    }
    // With little memory left where that is asked for.
    let large = if swap.is_some() { 16 * 1024 - 64 - 512 } else { 4096 };
    let swapped = if swap.is_some() { " swap 4GiB" } else { "" };
    let given = |of_large: &str, of_small: &str| {
        format!(
            "given {{\n    \"/\" {{ limit {} }}\n    \"/unit\" {{ attached }}\n{of_large}    \"/unit/large#100\" {{ rss {large}MiB }}\n\
             {of_small}    \"/unit/small#101\" {{ rss 512MiB{swapped} }}\n}}\n",
            quantity::bytes(scene::MEMORY),
        )
    };
    let seen = match pressure {
        Some(above) => {
            let more = quantity::percent((above + 500).min(WHOLE));
            format!(
                "on pressure full avg10 {more} in \"/unit\" for {}\n",
                quantity::duration(lasting.max(1000))
            )
        }
        None => "on usage in \"/unit\"\n".to_owned(),
    };
    let (name, chosen) = match action {
        Action::All => ("the unit goes as a whole", "/unit"),
        Action::Reclaim => ("the cgroup that reclaim works on goes, not the largest", "/unit/small"),
        Action::Swap => ("the cgroup with the most swap goes, not the largest", "/unit/small"),
    };
    let expect = format!("expect kill cgroup \"{chosen}\" by rule \"{rule}\"\n");
    let scanned = |of: &str, pages: u32| format!("    \"/unit/{of}\" {{ pgscan {pages} }}\n");
    let body = match action {
        // What grows is seen with the second look.
        Action::Reclaim => format!(
            "{}{QUIET}after 10s\ngiven {{\n{}{}}}\n{seen}{expect}",
            given(&scanned("large", 50), &scanned("small", 10)),
            scanned("large", 100),
            scanned("small", 90_000),
        ),
        _ => format!("{}{seen}{expect}", given("", "")),
    };
    draft.test(name, &body);
}
