//! What policies have decided, as `oomc events` tells it.
//!
//! Takes the records of policies that are attached, as often as it is asked to, and gives each decision once, with
//! names instead of the numbers of this run. Knows nothing of how records lie in maps.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use oomc_vm::report::Decision;
use serde_json::Value;

use crate::tree;

/// Whose decision it is and when it was made: the same, however often it is read.
type Key = (u64, u64, u64);

/// Decisions, and the cgroups of the case.
#[derive(Default)]
pub(crate) struct Decisions {
    paths: BTreeMap<u64, String>,
    found: BTreeMap<Key, Decision>,
}

impl Decisions {
    /// A cgroup was made: from now on its number, and that of each above it, has a name. Later it may be gone.
    pub(crate) fn name(&mut self, path: &str) -> Result<(), String> {
        let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).skip(1).collect();
        ends.push(path.len());
        for path in ["/"].into_iter().chain(ends.into_iter().filter_map(|end| path.get(..end))) {
            let folder = tree::folder(path);
            let data = fs::metadata(&folder)
                .map_err(|error| format!("cannot look at {}: {error}", folder.display()))?;
            self.paths.insert(data.ino(), path.to_owned());
        }
        Ok(())
    }

    /// The cgroup below the root in which all of the case lies; none if there is more than one.
    pub(crate) fn top(&self) -> Option<&str> {
        let mut tops = self.paths.values().filter(|path| path.len() > 1 && path.matches('/').count() == 1);
        tops.next().filter(|_| tops.next().is_none()).map(String::as_str)
    }

    /// Takes what the attached policies have written down.
    pub(crate) fn read(&mut self) -> Result<(), String> {
        let output = Command::new("/bin/oomc")
            .args(["events", "--format", "json"])
            .output()
            .map_err(|error| format!("cannot start oomc: {error}"))?;
        let document: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("oomc events ended with {} and no JSON: {error}", output.status))?;
        for event in list(document.get("events")) {
            let record = event.get("record").unwrap_or(&Value::Null);
            let number = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or_default();
            let key = (number("attached"), number("first_ns"), number("number"));
            self.found.insert(key, self.decision(record));
        }
        Ok(())
    }

    /// Each policy's decisions in their order.
    pub(crate) fn all(self) -> impl Iterator<Item = Decision> {
        self.found.into_values()
    }

    fn decision(&self, record: &Value) -> Decision {
        let number = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or_default();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = |id: u64| self.paths.get(&id).cloned().unwrap_or_else(|| id.to_string());
        let action = text(record.get("action"));
        let victim = record.get("victim").unwrap_or(&Value::Null);
        let victim = match action.as_str() {
            "killed a process" | "waits for a victim that is on its way out" => {
                Some(text(victim.get("name")))
            }
            "killed a cgroup" => victim.get("id").and_then(Value::as_u64).map(path),
            _ => None,
        };
        let limit = (action == "raised the limit").then(|| record.get("result").and_then(Value::as_i64));
        let ends = list(record.get("rules")).map(|end| (text(end.get("rule")), text(end.get("end"))));
        let candidates = list(record.get("candidates"))
            .map(|one| (text(one.get("name")), one.get("class").and_then(Value::as_u64).unwrap_or_default()));
        Decision {
            attached: path(number("attached")),
            domain: path(number("domain")),
            audit: record.get("audit").and_then(Value::as_bool).unwrap_or_default(),
            answer: number("answer"),
            rule: record.get("rule").and_then(Value::as_str).map(str::to_owned),
            victim,
            killed: number("killed"),
            limit: limit.flatten(),
            ends: ends.collect(),
            candidates: candidates.collect(),
            action,
        }
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
