//! `oomc snapshot [--cgroup PATH] [--redact] -o S.json`

use std::io::{ErrorKind, IsTerminal as _, stderr};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use oomc_forecast::{Inputs, inputs};
use oomc_runtime::{System, cgroup};
use oomc_snapshot::{Progress, ReadError, Reading};
use serde_json::json;

use crate::args::{Roots, Snapshot};
use crate::cmd::write;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::report::Report;

/// The largest file that is read: half a million processes.
const MOST: u64 = 256 << 20;

/// A bar that is gone before anybody has seen it is not drawn.
const SOON: Duration = Duration::from_millis(300);

pub(crate) fn run(report: &Report, args: &Snapshot) -> Outcome {
    let Reading { mut snapshot, remarks } = live(report, &args.roots, args.cgroup.as_deref())?;
    for remark in &remarks {
        report.warn(remark);
    }
    if args.redact {
        snapshot.redact();
    }
    let mut text = serde_json::to_string_pretty(&snapshot)
        .map_err(|error| Failure::refused(format!("cannot write JSON: {error}")))?;
    text.push('\n');
    let (cgroups, processes) = (snapshot.cgroups.len(), snapshot.processes.len());
    if args.output == Path::new("-") {
        report.text(&text);
        return Ok(Exit::Ok);
    }
    write(&args.output, text.as_bytes())?;
    let output = args.output.display().to_string();
    report.remark(format_args!("{output}: {cgroups} cgroups, {processes} processes"));
    let result = json!({ "output": output, "cgroups": cgroups, "processes": processes, "remarks": remarks });
    report.result("snapshot", Exit::Ok, result);
    Ok(Exit::Ok)
}

/// The machine in a file.
pub(crate) fn recorded(path: &Path) -> Result<Inputs, Failure> {
    Ok(Inputs::new(&snapshot(path)?))
}

/// What a file holds that was recorded.
pub(crate) fn snapshot(path: &Path) -> Result<oomc_snapshot::Snapshot, Failure> {
    let Some(bytes) = files::read_at_most(path, MOST)? else {
        let text = format!("{} is larger than {} MiB: this is no snapshot", files::name(path), MOST >> 20);
        return Err(Failure::refused(text));
    };
    oomc_snapshot::parse(&bytes).map_err(|error| Failure::refused(format!("{}: {error}", files::name(path))))
}

/// Bytes in a page of this machine, or of the copy of one.
pub(crate) fn page_size(roots: &Roots) -> i64 {
    oomc_snapshot::page_size(&roots.proc_root)
}

/// Reads this machine, or the copy of one.
pub(crate) fn live(report: &Report, roots: &Roots, only: Option<&str>) -> Result<Reading, Failure> {
    let bar = match stderr().is_terminal() && !report.is_quiet() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    };
    // How many cgroups there are is known when they are read.
    let style =
        |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style("{msg} cgroups"));
    let bars = style("{msg} cgroups {bar:30} {pos} of {len} processes");
    let began = std::time::Instant::now();
    let mut drawn = false;
    let mut tell = |Progress { cgroups, processes, of }| {
        // Drawing costs more than reading.
        if began.elapsed() < SOON || !(cgroups + processes).is_multiple_of(256) {
            return;
        }
        bar.set_message(cgroups.to_string());
        if of > 0 && !drawn {
            bar.set_length(of as u64);
            bar.set_style(bars.clone());
            drawn = true;
        }
        bar.set_position(processes as u64);
    };
    let reading = machine(roots, only, &mut tell);
    bar.finish_and_clear();
    reading
}

/// The same, for whoever draws nothing.
pub(crate) fn machine(
    roots: &Roots,
    only: Option<&str>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Reading, Failure> {
    let mount = match &roots.cgroup_root {
        Some(root) => root.clone(),
        None => cgroup::mount(&System::running())?.place().to_owned(),
    };
    let only = only.map(|path| inputs::below(&mount, path));
    let roots = oomc_snapshot::Roots { cgroups: mount, proc: roots.proc_root.clone() };
    let reading = oomc_snapshot::read(&roots, only.as_deref(), tell);
    let counted = reading.and_then(|reading| {
        oomc_snapshot::has_memory_controller(&roots, &reading.snapshot).map(|()| reading)
    });
    let mut reading = counted.map_err(|error| match &error {
        ReadError::NoCgroup(_) | ReadError::Outside(_) => {
            Failure::refused(error.to_string()).help("`--cgroup` is a path from the cgroup2 mount")
        }
        ReadError::File { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Failure::new(Exit::Missing, error.to_string())
        }
        ReadError::NoMemoryController { .. } => Failure::new(Exit::Missing, error.to_string()),
        _ => Failure::refused(error.to_string()),
    })?;
    // This program is gone before anything can happen to it.
    if roots.proc == Path::new("/proc") {
        let own = i64::from(std::process::id());
        reading.snapshot.processes.retain(|process| process.pid != own);
    }
    Ok(reading)
}
