//! A kubelet's eviction thresholds: `KubeletConfiguration`, in YAML or JSON.
//!
//! What they mean stands in "Node-pressure Eviction"
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>): when `memory.available`, the node's
//! memory less its working set, falls below a threshold, pods are evicted; at a hard one at once, at a soft one when that
//! has lasted for its grace period. First go pods that use more than they request, then by priority, then by how much more
//! they use. A hard threshold of 100 MiB is the default.

use serde_json::{Map, Value};

use crate::draft::{Block, Draft};
use crate::quantity::{self, Millis};
use crate::{Refused, scene};

const MEMORY: &str = "memory.available";
/// What holds if `evictionHard` is not set.
const DEFAULT: &str = "100Mi";

/// So little memory is left.
struct Threshold {
    /// Less than this is available.
    least: String,
    /// It is used then, of all memory; none if that depends on the machine.
    used: Option<u64>,
    bytes: u64,
}

pub(crate) fn convert(draft: &mut Draft, text: &str) -> Result<(), Refused> {
    let root: Value =
        serde_saphyr::from_str(text).map_err(|error| Refused(format!("it is no YAML: {error}")))?;
    let root = root.as_object().ok_or_else(|| Refused("it is no YAML object".to_owned()))?;
    if root.get("kind").and_then(Value::as_str) != Some("KubeletConfiguration") {
        return Err(Refused("its `kind` is not KubeletConfiguration".to_owned()));
    }
    let place = place(root);
    draft.declare(
        "# A pod's priority: `oomc label POD priority=N`, or the attribute user.oom.priority of its cgroup."
            .to_owned(),
    );
    draft.declare("label priority: count = 0 trust root".to_owned());
    let kill = format!(
        "kill largest cgroup in \"{place}\" by (if usage > min then 1 else 0), priority asc, usage - min"
    );
    let (hard, soft) = (map(root, "evictionHard"), map(root, "evictionSoft"));
    let least = match hard.and_then(|hard| hard.get(MEMORY)) {
        Some(value) => Some(value),
        None if hard.is_none() => None,
        None => {
            draft.lose(
                None,
                "`evictionHard` has no `memory.available`: the kubelet then has no hard threshold of memory",
            );
            return soft_one(draft, root, soft, &place, &kill).map(|()| finish(draft, root));
        }
    };
    let least = least.map_or(Ok(DEFAULT.to_owned()), written)?;
    one(
        draft,
        "evictionHard",
        &threshold(&least)?,
        0,
        &format!("{kill} reason \"{{name}} uses {{usage}}\""),
        &place,
    );
    soft_one(draft, root, soft, &place, &kill)?;
    finish(draft, root);
    Ok(())
}

/// The soft threshold, if there is one.
fn soft_one(
    draft: &mut Draft,
    root: &Map<String, Value>,
    soft: Option<&Map<String, Value>>,
    place: &str,
    kill: &str,
) -> Result<(), Refused> {
    let Some(least) = soft.and_then(|soft| soft.get(MEMORY)) else { return Ok(()) };
    let threshold = threshold(&written(least)?)?;
    let periods = map(root, "evictionSoftGracePeriod").and_then(|periods| periods.get(MEMORY));
    let period = periods.and_then(Value::as_str).and_then(quantity::systemd_time);
    let period = period.ok_or_else(|| {
        Refused("`evictionSoft` has `memory.available`, and `evictionSoftGracePeriod` has not".to_owned())
    })?;
    if threshold.used.is_none() {
        draft.lose(None, format!("`evictionSoft`: that so little memory is left for {} cannot be seen where the threshold is no percentage; it is left out, or pods would die sooner", quantity::duration(period)));
        return Ok(());
    }
    let grace = root.get("evictionMaxPodGracePeriod").and_then(Value::as_u64).unwrap_or(0);
    let grace =
        if grace > 0 { format!(" grace {}", quantity::duration(grace * 1000)) } else { String::new() };
    one(
        draft,
        "evictionSoft",
        &threshold,
        period,
        &format!("{kill}{grace} reason \"{{name}} uses {{usage}}\""),
        place,
    );
    Ok(())
}

fn finish(draft: &mut Draft, root: &Map<String, Value>) {
    draft.lose(None, "what a pod requests is known only where the kubelet writes it to memory.min (MemoryQoS); without that all pods count as using more than they request");
    draft.lose(None, "the working set is without the kernel's own memory, which the kubelet counts, so that it falls below a threshold a little later");
    draft.lose(None, "a pod is killed; nobody tells the cluster, whose kubelet starts it anew");
    for name in ["evictionHard", "evictionSoft", "evictionSoftGracePeriod", "evictionMinimumReclaim"] {
        for (signal, value) in map(root, name).into_iter().flatten() {
            if signal != MEMORY || name == "evictionMinimumReclaim" {
                let value = value.as_str().unwrap_or_default();
                draft.lose(
                    None,
                    format!("`{name}`: {signal} {value}: only memory that is available is looked at"),
                );
            }
        }
    }
    if let Some(period) = root.get("evictionPressureTransitionPeriod").and_then(Value::as_str) {
        draft.lose(
            None,
            format!("`evictionPressureTransitionPeriod` {period}: no condition is told to the cluster"),
        );
    }
}

fn map<'a>(root: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    root.get(key).and_then(Value::as_object)
}

fn written(value: &Value) -> Result<String, Refused> {
    value.as_str().map(str::to_owned).ok_or_else(|| Refused(format!("`{MEMORY}` is no text")))
}

/// Where pods' cgroups are: systemd makes slices of them, cgroupfs plain folders.
fn place(root: &Map<String, Value>) -> String {
    match root.get("cgroupDriver").and_then(Value::as_str) {
        Some("cgroupfs") => "/kubepods/**pod*".to_owned(),
        _ => "/kubepods.slice/**-pod*.slice".to_owned(),
    }
}

/// `5%`, `100Mi`, `1Gi`, `500M`.
fn threshold(text: &str) -> Result<Threshold, Refused> {
    let wrong = || Refused(format!("`{text}` is no amount of memory"));
    if let Some(share) = text.strip_suffix('%') {
        let share = quantity::share(share).ok_or_else(wrong)?;
        let least = format!("{} of machine.memory", quantity::percent(share));
        let bytes = scene::MEMORY / quantity::WHOLE * share;
        return Ok(Threshold { least, used: Some(quantity::WHOLE - share), bytes });
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
    let bytes = if bytes < 1e16 { bytes.round() as u64 } else { return Err(wrong()) };
    Ok(Threshold { least: quantity::bytes(bytes), used: None, bytes })
}

fn one(draft: &mut Draft, name: &str, at: &Threshold, lasting: Millis, kill: &str, place: &str) {
    let condition = format!("machine.memory - cgroup.working_set < {}", at.least);
    let rule = draft.unique(name);
    let event = match at.used.filter(|_| lasting > 0) {
        // Whatever is in the working set is in use.
        Some(used) => format!("usage > {}", quantity::percent(used)),
        None => "usage > 0B".to_owned(),
    };
    test(draft, &rule, at, lasting, place);
    draft.block(Block {
        about: if lasting == 0 { vec!["Asked at every look.".to_owned()] } else { Vec::new() },
        event,
        lasting,
        cooldown: 10_000,
        rules: vec![(rule, format!("if {condition} then {kill}"))],
    });
}

/// Two pods: the one of the lower priority is evicted.
fn test(draft: &mut Draft, rule: &str, at: &Threshold, lasting: Millis, place: &str) {
    let pod = |letter: char| scene::path(&place.replace("**", ""), letter);
    let rest = (scene::MEMORY - at.bytes.min(scene::MEMORY / 2) / 2 - (4 << 30)) >> 20 << 20;
    let lasts = if lasting > 0 { format!(" for {}", quantity::duration(lasting)) } else { String::new() };
    let body = format!(
        "given {{\n    \"/\" {{ limit 16GiB }}\n    \"{high}\" {{ priority 10 }}\n    \"{high}/c#100\" {{ rss {} }}\n    \
         \"{low}\" {{ priority 1 }}\n    \"{low}/c#101\" {{ rss 4GiB }}\n}}\non usage in \"/\"{lasts}\n\
         expect kill cgroup \"{low}\" by rule \"{rule}\"\n",
        quantity::bytes(rest),
        high = pod('x'),
        low = pod('y'),
    );
    draft.test(&format!("{rule}: the pod of the lower priority goes, not the larger one"), &body);
}
