//! `oomc metrics [--textfile FILE]`
//!
//! What is attached and what it has done, in OpenMetrics. Tells what `status` tells, but waits for nobody and keeps nobody
//! waiting: it takes no lock, and changes nothing.
//! How many series there are is bounded: of cgroups beyond [`MOST`] only the number is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use oomc_runtime::{Attached, Mode, System, Unlocked};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

/// Policies whose counters are told one by one.
const MOST: usize = 500;

type Labels = Vec<(&'static str, String)>;

pub(crate) fn run(report: &Report, textfile: Option<&Path>) -> Outcome {
    let text = rendered(&oomc_runtime::unlocked(&System::running())?)?;
    match textfile {
        Some(file) => replace(file, &text)?,
        None if report.json() => {}
        None => report.text(&text),
    }
    report.result("metrics", Exit::Ok, json!({ "metrics": text }));
    Ok(Exit::Ok)
}

/// The exposition of what is attached.
fn rendered(seen: &Unlocked) -> Result<String, Failure> {
    let status = &seen.status;
    let mut registry = Registry::with_prefix("oomc");
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(number(value));
        registry.register(name, help, gauge);
    };
    gauge("policies", "Policies that oomc has attached, or asks by `oomc run`", status.attached.len());
    gauge("policies_foreign", "Policies that other loaders have attached", status.foreign.len());
    gauge(
        "policies_gone",
        "Policies whose cgroup, or engine, is gone and whose records are kept",
        status.gone.iter().filter(|gone| !gone.before).count(),
    );
    gauge("pins_odd", "Entries among the pins that oomc did not make so", status.left.len());
    let help = "Folders of pins without a link: of a load that is under way, or was killed";
    gauge("pins_unfinished", help, seen.unfinished);
    let help = "Policies that were attached, replaced or taken away while this was read, and are not counted";
    gauge("policies_changing", help, seen.changing);
    let untold = status.attached.len().saturating_sub(MOST);
    gauge("policies_untold", "Attached policies that have no series of their own here", untold);
    let told = status.attached.iter().take(MOST);
    let enforcing = Family::<Labels, Gauge>::default();
    let done = Family::<Labels, Counter>::default();
    let params = Family::<Labels, Gauge>::default();
    for one in told {
        let labels = of(one);
        enforcing.get_or_create(&labels).set(i64::from(one.mode != Some(Mode::Audit)));
        for (name, count) in &one.counters {
            let labels = [labels.clone(), vec![("what", name.clone())]].concat();
            done.get_or_create(&labels).inc_by(*count);
        }
        for (param, value) in &one.params {
            let labels = [labels.clone(), vec![("param", param.name.clone())]].concat();
            params.get_or_create(&labels).set(*value);
        }
    }
    registry.register("policy_enforcing", "1 if the policy acts, 0 in audit mode", enforcing);
    registry.register("events", "What the policy was asked for and has done, since it was attached", done);
    registry.register(
        "param",
        "Value of a param: bytes, nanoseconds, 2^-20 for percents, or a count",
        params,
    );
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| Failure::refused(format!("cannot write the metrics: {error}")))?;
    Ok(text)
}

/// Which policy, and where.
fn of(one: &Attached) -> Labels {
    let asked_by = ("asked_by", one.asked_by.name().to_owned());
    vec![("cgroup", label(&one.cgroup)), ("policy", label(&one.policy)), asked_by]
}

/// The value of a label, escaped as OpenMetrics wants it: the library writes values as they are.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes a file so that whoever reads it sees the old one or the new one.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::refused(format!("cannot write {}: {error}", file.display()));
    let name = file.file_name().ok_or_else(|| Failure::new(Exit::Usage, "`--textfile` names no file"))?;
    let new = file.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let made = fs::OpenOptions::new().write(true).create_new(true).open(&new).map_err(cannot)?;
    let written = std::io::Write::write_all(&mut &made, text.as_bytes())
        .and_then(|()| made.set_permissions(fs::Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&new, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        cannot(error)
    })
}

#[cfg(test)]
mod tests {
    use oomc_runtime::object::Meta;
    use oomc_runtime::{AskedBy, Status};

    use super::*;

    fn seen(attached: Vec<Attached>) -> Unlocked {
        Unlocked { status: Status { attached, ..Status::default() }, ..Unlocked::default() }
    }

    fn attached(cgroup: &str) -> Attached {
        Attached {
            cgroup: cgroup.to_owned(),
            cgroup_id: 7,
            policy: "web@0123abcd".to_owned(),
            meta: Meta::parse(""),
            mode: Some(Mode::Enforce),
            params: Vec::new(),
            counters: vec![("invocations".to_owned(), 5), ("kills".to_owned(), 2)],
            last: None,
            asked_by: AskedBy::Kernel,
        }
    }

    /// A reader of the format reads what is written, names from outside included.
    #[test]
    fn what_is_written_is_openmetrics() {
        let hostile = "/a\"b\\c\nd{x=\"1\"} 9";
        let text = rendered(&seen(vec![attached("/job"), attached(hostile)])).expect("it can be written");
        let read = openmetrics_parser::openmetrics::parse_openmetrics(&text).expect("OpenMetrics");
        let family = &read.families["oomc_events"];
        assert_eq!(family.iter_samples().count(), 4, "{text}");
        assert!(
            text.contains("oomc_events_total{cgroup=\"/job\",policy=\"web@0123abcd\",asked_by=\"kernel\",what=\"kills\"} 2"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("oomc_policies ")).collect::<Vec<_>>(),
            ["oomc_policies 2"]
        );
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let many = (0..MOST + 30).map(|at| attached(&format!("/{at}"))).collect();
        let text = rendered(&seen(many)).expect("it can be written");
        assert!(text.contains("oomc_policies_untold 30"), "{text}");
        assert_eq!(text.matches("oomc_policy_enforcing{").count(), MOST);
    }
}
