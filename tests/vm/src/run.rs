//! One run of many cases: compiles their policies with the `oomc` program, packs the archive,
//! boots, and hands out a report per case as they come.
//!
//! A case that stops the machine fails, and the machine is started again for the ones after it:
//! one bad case never hides the others.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::cpio::Archive;
use crate::machine::{Config, Event, Hardware, Machine};
use crate::report::{Message, Report};
use crate::script::{self, Case};

/// The programs that a run needs.
pub struct Tools {
    /// The kernel image.
    pub kernel: PathBuf,
    /// The static `oomc`.
    pub oomc: PathBuf,
    /// The static first process of the guest.
    pub guest: PathBuf,
}

impl Tools {
    /// The programs that `cargo xtask` has named in the environment; none outside of it.
    pub fn from_environment() -> Option<Tools> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Some(Tools {
            kernel: path("OOMC_VM_KERNEL")?,
            oomc: path("OOMC_VM_OOMC")?,
            guest: path("OOMC_VM_GUEST")?,
        })
    }
}

/// How often one run starts the machine anew.
const RESTARTS: usize = 5;

/// Runs the cases on the machine that they are written for: see [`run_on`].
///
/// # Errors
/// As there.
pub fn run(
    tools: &Tools,
    folder: &Path,
    cases: Vec<Case>,
    files: &[(String, Vec<u8>)],
    on: &mut dyn FnMut(Report),
) -> Result<(), String> {
    run_on(Hardware::CASES, tools, folder, cases, files, on)
}

/// Runs the cases, reports each through `on` (in the order of their ends), and returns when all
/// have been reported. `files` are put into each case's folder under their names.
///
/// # Errors
/// The run itself was not possible: a tool or file is missing, or the kernel did not start.
pub fn run_on(
    hardware: Hardware,
    tools: &Tools,
    folder: &Path,
    cases: Vec<Case>,
    files: &[(String, Vec<u8>)],
    on: &mut dyn FnMut(Report),
) -> Result<(), String> {
    let sources = folder.join("cases");
    let mut waiting = VecDeque::new();
    for (case, result) in compile_all(&tools.oomc, &sources, cases) {
        match result {
            Ok(()) => waiting.push_back(case),
            Err(failure) => on(Report { case: case.name, failure: Some(failure), ..Report::default() }),
        }
    }

    let mut starts = 0;
    while !waiting.is_empty() {
        if starts > RESTARTS {
            for case in waiting.drain(..) {
                let failure = Some("not run: the machine stopped too often before".to_owned());
                on(Report { case: case.name, failure, ..Report::default() });
            }
            break;
        }
        starts += 1;
        let archive = pack(tools, &sources, &waiting, files)?;
        let config = Config { kernel: tools.kernel.clone(), folder: folder.to_owned(), hardware };
        let mut machine = Machine::boot(&config, &archive)?;
        drop(archive);
        boot(&mut machine, hardware.patience, &mut waiting, on)?;
    }
    Ok(())
}

/// Listens to one boot until it ends. Takes from `waiting` what has been reported.
fn boot(
    machine: &mut Machine,
    patience: Duration,
    waiting: &mut VecDeque<Case>,
    on: &mut dyn FnMut(Report),
) -> Result<(), String> {
    let mut current: Option<String> = None;
    let mut ready = false;
    loop {
        let why = match machine.next(patience) {
            Event::Message(Message::Ready { .. }) => {
                ready = true;
                continue;
            }
            Event::Message(Message::Started { case }) => {
                current = Some(case);
                continue;
            }
            Event::Message(Message::Finished(report)) => {
                waiting.retain(|case| case.name != report.case);
                current = None;
                on(report);
                continue;
            }
            Event::Message(Message::End) => {
                // What the guest did not report although it came to its end would run for ever.
                for case in waiting.drain(..) {
                    let failure = Some("the guest ended without a word about this case".to_owned());
                    on(Report { case: case.name, failure, ..Report::default() });
                }
                return Ok(());
            }
            Event::Stopped => "the machine stopped",
            Event::Silent => "the machine went silent",
        };
        let tail = machine.console_tail(40);
        if !ready {
            return Err(format!("{why} before its first process spoke; the end of its console:\n{tail}"));
        }
        if let Some(name) = current {
            waiting.retain(|case| case.name != name);
            let failure = Some(format!("{why} during this case; the end of its console:\n{tail}"));
            on(Report { case: name, failure, ..Report::default() });
        }
        return Ok(());
    }
}

/// Compiles the policies of all cases, two at a time, and gives the cases back in their order.
fn compile_all(oomc: &Path, folder: &Path, cases: Vec<Case>) -> Vec<(Case, Result<(), String>)> {
    let queue: Mutex<VecDeque<(usize, Case)>> = Mutex::new(cases.into_iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                    let Some((index, case)) = next else { break };
                    let result = compile(oomc, &folder.join(&case.name), &case);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, case, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, ..)| *index);
    done.into_iter().map(|(_, case, result)| (case, result)).collect()
}

/// Writes and compiles the policies of one case.
fn compile(oomc: &Path, folder: &Path, case: &Case) -> Result<(), String> {
    let says = |what: &str, error| format!("cannot {what} {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| says("remove", error))?;
    }
    fs::create_dir_all(folder).map_err(|error| says("create", error))?;
    let own = case.own.clone().map(|text| (case.name.clone(), text));
    for (name, text) in case.policies.iter().chain(&own) {
        let source = format!("{name}.oom");
        fs::write(folder.join(&source), text).map_err(|error| says("write into", error))?;
        let output = Command::new(oomc)
            .current_dir(folder)
            .args(["build", &source, "-o", &format!("{name}.o")])
            .output()
            .map_err(|error| format!("cannot start {}: {error}", oomc.display()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`oomc build {source}` ended with {}:\n{text}", output.status));
        }
    }
    Ok(())
}

/// The archive: `/init`, `/bin/oomc`, `/cases/order`, and each case's folder with its script,
/// policies and objects.
fn pack(
    tools: &Tools,
    sources: &Path,
    cases: &VecDeque<Case>,
    files: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, String> {
    let read =
        |path: &Path| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp", "ram"] {
        archive.folder(folder);
    }
    archive.file("init", &read(&tools.guest)?);
    archive.file("bin/oomc", &read(&tools.oomc)?);
    let mut order = String::new();
    for case in cases {
        order.push_str(&case.name);
        order.push('\n');
        let folder = format!("cases/{}", case.name);
        archive.file(&format!("{folder}/{}.oom", case.name), case.text.as_bytes());
        for (name, text) in &case.policies {
            archive.file(&format!("{folder}/{name}.oom"), text.as_bytes());
        }
        let names = case.policies.iter().map(|(name, _)| name).chain([&case.name]);
        for object in names.map(|name| format!("{name}.o")) {
            let path = sources.join(&case.name).join(&object);
            if path.exists() {
                archive.file(&format!("{folder}/{object}"), &read(&path)?);
            }
        }
        for page in case.pages() {
            let content = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src").join(page))?;
            archive.file(&format!("{folder}/{}", script::file_of_page(page)), &content);
        }
        for (name, content) in files.iter().chain(&case.files) {
            archive.file(&format!("{folder}/{name}"), content);
        }
    }
    archive.file("cases/order", order.as_bytes());
    Ok(archive.finish())
}
