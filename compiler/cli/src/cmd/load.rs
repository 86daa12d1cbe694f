//! `oomc load FILE --cgroup PATH`, `oomc load --all`

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::amount::exact;
use oomc_compiler::diag::verifier_refused;
use oomc_compiler::source::Span;
use oomc_compiler::value;
use oomc_compiler::{KernelView, Source};
use oomc_runtime::replace::{Kept, Lost};
use oomc_runtime::verifier_log::Refusal;
use oomc_runtime::{Attached, Error, Mode, Object, Replaced, Settings, System, object, page, preflight};
use serde_json::{Value, json};

use crate::args::Load;
use crate::cmd::label::{ignored_json, tell_ignored};
use crate::cmd::status::{gone_json, tell_removed};
use crate::cmd::{tell, view_of, waiting};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, read};
use crate::policy;
use crate::report::Report;
use crate::standing::{Hook, pass, trusted_policy};

pub(crate) fn run(report: &Report, args: &Load) -> Outcome {
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    let Some(file) = &args.what.file else { return standing(report, &system, &args.what.policies) };
    let name = files::name(file);
    let bytes = match object_of(report, &system, file, read(file)?, None)? {
        Ok(object) => object,
        Err(unready) => {
            report.result("load", unready.exit, json!({ "diagnostics": unready.diagnostics }));
            return Ok(unready.exit);
        }
    };
    let object = Object::parse(&bytes).map_err(|error| Failure::refused(format!("{name}: {error}")))?;
    let mode = args.what.settings.mode.map(Into::into);
    let params = args.what.settings.set.clone();
    let settings = Settings { mode, params, literal: &value::read, foreign: args.what.foreign };
    let target = args.what.place.target();
    let loaded = match args.replace {
        true => oomc_runtime::replace(&system, &object, &target, &settings),
        false => oomc_runtime::load_with(&system, &object, &target, &settings).map(|loaded| Replaced {
            loaded,
            before: None,
            kept: Kept::default(),
        }),
    };
    match loaded {
        Ok(replaced) => {
            let declared = object.meta.declared();
            if !declared.blocks.is_empty() && (0..declared.rules.len()).all(|rule| !declared.is_bare(rule)) {
                report.warn(format_args!(
                    "{name} has `on` blocks alone: it does nothing when memory has run out; `oomc run` watches"
                ));
            }
            tell_loaded(report, &replaced);
            let loaded = &replaced.loaded;
            if loaded.no_memory.is_none() && loaded.cgroup != "/" && !can_run_out(&loaded.place) {
                report.warn(format_args!(
                    "neither {0} nor a cgroup below it has a memory.max: nobody asks this policy until one has",
                    loaded.cgroup
                ));
            }
            Ok(Exit::Ok)
        }
        Err(Error::Verifier(refusal)) if !object.foreign.is_empty() => {
            let odd = object::foreign::told(&object.foreign, None);
            Err(Failure::refused(format!("{name}: {refusal}"))
                .help(format!("the object is foreign, so this is no fault of oomc: {odd}")))
        }
        Err(error @ Error::Object(object::Error::NotOurs(_))) => Err(Failure::refused(format!(
            "{name}: {error}"
        ))
        .help("build it again from its policy; `--foreign` loads it all the same, and `status` says so")),
        Err(Error::Verifier(refusal)) => Ok(tell_refusal(report, &object, &refusal)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a cgroup or one below it has a limit that can be met: only then the kernel asks a policy that is attached
/// there.
fn can_run_out(place: &Path) -> bool {
    let limit = fs::read_to_string(place.join("memory.max"));
    if limit.is_ok_and(|limit| limit.trim() != "max") {
        return true;
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .any(|entry| can_run_out(&entry.path()))
}

/// The standing policies. Each file and each cgroup is for itself; the exit code is that of the worst.
fn standing(report: &Report, system: &System<'_>, folder: &Path) -> Outcome {
    let pass = pass(system, folder, &mut Hook(system), &mut |policy| object_of_file(report, system, policy))?;
    let mut told = Vec::new();
    for failure in &pass.unreadable {
        report.unreadable(failure);
        told.push(json!({ "file": Value::Null, "why": failure.message }));
    }
    for (file, one) in &pass.done {
        report.remark(format_args!("{}: {} ({file})", one.cgroup, one.outcome.name()));
        if let Some(failure) = &one.failure {
            report.unreadable(failure);
        }
        let why = one.failure.as_ref().map(|failure| failure.message.as_str());
        told.push(json!({
            "file": file, "cgroup": one.cgroup, "outcome": one.outcome.name(), "why": why,
        }));
    }
    let worst = pass.worst();
    report.result("load", worst, json!({ "standing": told }));
    Ok(worst)
}

/// The object of a standing policy.
pub(crate) fn object_of_file(
    report: &Report,
    system: &System<'_>,
    policy: &Path,
) -> Result<Vec<u8>, Failure> {
    compiled(report, system, policy, trusted_policy(policy)?, None)
}

/// The object of a standing policy whose bytes were read; `otherwise` as in [`object_of`].
pub(crate) fn compiled(
    report: &Report,
    system: &System<'_>,
    policy: &Path,
    bytes: Vec<u8>,
    otherwise: Option<KernelView>,
) -> Result<Vec<u8>, Failure> {
    object_of(report, system, policy, bytes, otherwise)?
        .map_err(|unready| Failure::new(unready.exit, format!("{} is not compiled", policy.display())))
}

/// An object as it is, or what a policy is compiled to for the running kernel. `otherwise` is what it is compiled for where
/// the kernel asks no policy; without it, that is an error.
pub(crate) fn object_of(
    report: &Report,
    system: &System<'_>,
    file: &Path,
    bytes: Vec<u8>,
    otherwise: Option<KernelView>,
) -> Result<Result<Vec<u8>, policy::Unready>, Failure> {
    if file.extension().is_some_and(|extension| extension == "o") || Object::looks_like(&bytes) {
        return Ok(Ok(bytes));
    }
    // Before the policy: without this no policy makes sense here.
    let view = match (preflight::kernel(system), otherwise) {
        (Ok(()), _) => view_of(&system.paths.btf)?,
        (Err(_), Some(view)) => view,
        (Err(error), None) => return Err(error.into()),
    };
    let view = view.with_page_size(page::size());
    Ok(policy::compile(report, file, &bytes, &view, &oomc_settings::Settings::default())
        .map(|ready| ready.object))
}

/// A refusal of the verifier is a fault of oomc, shown at the line of the policy that the object carries.
/// The log goes to a file, for the report of the bug.
fn tell_refusal(report: &Report, object: &Object, refusal: &Refusal) -> Exit {
    let (all, log) = explain_refusal(report, object, refusal);
    report.result("load", Exit::Refused, json!({ "diagnostics": all, "verifier_log": log }));
    Exit::Refused
}

/// Shows a refusal; its diagnostics as JSON, and where the log was kept.
pub(crate) fn explain_refusal(
    report: &Report,
    object: &Object,
    refusal: &Refusal,
) -> (Vec<serde_json::Value>, Option<String>) {
    let kept = keep(refusal);
    let name = refusal.place.as_ref().map_or("the policy", |place| place.file.as_str());
    let source = Source::new(name, object.source.as_str());
    let span = refusal.place.as_ref().and_then(|place| line_span(&source, place.line));
    let note = match &kept {
        Ok(path) => format!("the verifier's log is in {}", path.display()),
        Err(error) => format!("the verifier's log could not be kept: {error}"),
    };
    let diagnostic = verifier_refused(&refusal.message, span).note(note);
    let all = tell(report, &source, &[diagnostic]);
    (all, kept.ok().map(|path| path.display().to_string()))
}

/// A line without its indent.
fn line_span(source: &Source, line: u32) -> Option<Span> {
    let before = line.checked_sub(1)? as usize;
    let start: usize = source.text.split_inclusive('\n').take(before).map(str::len).sum();
    let text = source.line(line);
    let indent = text.len() - text.trim_start().len();
    let (start, end) = (start + indent, start + text.trim_end().len());
    (start < end).then(|| Span::new(start..end))
}

fn keep(refusal: &Refusal) -> std::io::Result<PathBuf> {
    let name: String = refusal
        .policy
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_@".contains(c) { c } else { '_' })
        .collect();
    let dir = std::env::temp_dir();
    let mut tries = 0;
    loop {
        let path = dir.join(format!("oomc-{name}-{}-{tries}.log", std::process::id()));
        // A new file only: in a folder for everybody the name could already lead elsewhere.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                file.write_all(refusal.log.as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What a policy took over from the one before.
fn tell_kept(report: &Report, before: &Attached, kept: &Kept) {
    report.remark(format_args!("  in the place of {}, which `oomc rollback` attaches again", before.policy));
    for (param, value) in &kept.params {
        report.remark(format_args!("  {} stays {}", param.name, exact(param.unit, *value)));
    }
    if let Some(mode) = kept.mode {
        report.remark(format_args!("  the mode stays {}", mode.name()));
    }
    if kept.labels > 0 {
        report.remark(format_args!("  {} labels stay", kept.labels));
    }
    for Lost { what, why } in &kept.lost {
        report.warn(format_args!("{what} is not as it was set any more: {why}"));
    }
}

fn replaced_json(replaced: &Replaced) -> Value {
    let Replaced { before: Some(before), kept, .. } = replaced else { return Value::Null };
    let params: serde_json::Map<_, _> =
        kept.params.iter().map(|(param, value)| (param.name.clone(), json!(value))).collect();
    let lost: Vec<Value> =
        kept.lost.iter().map(|Lost { what, why }| json!({ "what": what, "why": why })).collect();
    json!({
        "policy": before.policy,
        "params": params,
        "mode": kept.mode.map(Mode::name),
        "labels": kept.labels,
        "lost": lost,
    })
}

fn tell_loaded(report: &Report, replaced: &Replaced) {
    let loaded = &replaced.loaded;
    tell_removed(report, &loaded.gone);
    if let Some(why) = &loaded.no_memory {
        report.warn(format_args!(
            "{} has no memory controller: the policy never runs there; {why}",
            loaded.cgroup
        ));
    }
    tell_ignored(report, &loaded.labels.ignored);
    report.remark(format_args!("{}: {} is attached", loaded.cgroup, loaded.policy));
    if let Some(before) = &replaced.before {
        tell_kept(report, before, &replaced.kept);
    }
    if loaded.labels.set > 0 {
        report.remark(format_args!("  {} labels were read from extended attributes", loaded.labels.set));
    }
    let program = loaded.program;
    report.detail(format_args!(
        "program: {} instructions, {} after the verifier, which processed {}",
        program.insns, program.xlated, program.verified
    ));
    for absent in &loaded.absent {
        report.detail(format_args!("this kernel has no `{absent}`; the policy does without"));
    }
    report.result(
        "load",
        Exit::Ok,
        json!({
            "cgroup": loaded.cgroup,
            "cgroup_id": loaded.cgroup_id,
            "policy": loaded.policy,
            "memory_controller": loaded.no_memory.is_none(),
            "program": {
                "instructions": program.insns,
                "instructions_verified": program.xlated,
                "instructions_processed": program.verified,
            },
            "absent": loaded.absent,
            "labels": loaded.labels.set,
            "labels_ignored": ignored_json(&loaded.labels.ignored),
            "gone": gone_json(&loaded.gone),
            "replaced": replaced_json(replaced),
        }),
    );
}
