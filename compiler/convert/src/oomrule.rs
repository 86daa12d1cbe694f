//! A ruleset of systemd-oomd: `NAME.oomrule`, which units ask for with `OOMRules=NAME`.
//!
//! What it means stands in oomd.conf(5), "OOM Rulesets", since systemd 261
//! (<https://www.freedesktop.org/software/systemd/man/latest/oomd.conf.html>): all conditions have to hold for
//! `LastingSec=`. `MemoryPressureAbove=` is of the unit's cgroup, in a window of 10 seconds, as for
//! `ManagedOOMMemoryPressure=`; the swap is the machine's.

use crate::Refused;
use crate::draft::Draft;
use crate::ini::{self, Entry};
use crate::quantity::{self, Millis, Permyriad};
use crate::unit::{self, Action};

#[derive(Default)]
struct Rule {
    pressure: Option<Permyriad>,
    swap: Option<Permyriad>,
    lasting: Millis,
    action: Option<Action>,
}

pub(crate) fn convert(draft: &mut Draft, text: &str) -> Result<(), Refused> {
    let (entries, odd) = ini::read(text);
    unit::odd_lines(draft, &odd);
    let mut rule = Rule::default();
    for entry in &entries {
        if entry.section != "Rule" {
            unit::unknown(draft, entry);
            continue;
        }
        set(draft, &mut rule, entry)?;
    }
    draft.attach = "--cgroup CGROUP_OF_THE_UNIT".to_owned();
    let Some(action) = rule.action else {
        draft.lose(None, "there is no `Action=`: systemd-oomd ignores such a ruleset");
        return Ok(());
    };
    if rule.pressure.is_none() && rule.swap.is_none() {
        draft.lose(None, "there is no condition: systemd-oomd ignores such a ruleset");
        return Ok(());
    }
    unit::block(draft, rule.pressure, rule.swap.map(unit::Swap::Alone), rule.lasting, action);
    Ok(())
}

fn set(draft: &mut Draft, rule: &mut Rule, entry: &Entry) -> Result<(), Refused> {
    let wrong = || Refused(format!("line {}: `{}` cannot be `{}`", entry.line, entry.key, entry.value));
    match entry.key.as_str() {
        "MemoryPressureAbove" => {
            rule.pressure = Some(quantity::systemd_share(&entry.value).ok_or_else(wrong)?);
        }
        "SwapUsageMax" => rule.swap = Some(quantity::systemd_share(&entry.value).ok_or_else(wrong)?),
        "LastingSec" => rule.lasting = quantity::systemd_time(&entry.value).ok_or_else(wrong)?,
        "Action" => {
            rule.action = Some(match entry.value.as_str() {
                "kill-all" => Action::All,
                "kill-by-pgscan" => Action::Reclaim,
                "kill-by-swap" => Action::Swap,
                _ => return Err(wrong()),
            });
        }
        _ => unit::unknown(draft, entry),
    }
    Ok(())
}
