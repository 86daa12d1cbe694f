//! `oomc run FILE --cgroup PATH`: one policy, attached where the kernel asks policies, and asked from here where it does
//! not.

use std::path::Path;
use std::time::Duration;

use oomc_abi::fields::Measure;
use oomc_compiler::{KernelView, value};
use oomc_runtime::engine::{DEFAULT_HEADROOM, Engine, Rules, Start};
use oomc_runtime::events::{self, Seen};
use oomc_runtime::stay::stay;
use oomc_runtime::{Object, System, Target, preflight, watch};
use serde_json::json;

use super::engines::{begun, followed, stop, tell, watching};
use super::journal::Journal;
use super::service::{Heard, Service};
use super::{FOLDER, LOOK, told};
use crate::args::Run;
use crate::cmd::load::object_of;
use crate::cmd::waiting;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{name, read};
use crate::report::Report;

pub(super) fn run(report: &Report, args: &Run, file: &Path) -> Outcome {
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    let target = args.what.place.target();
    // The object fits a kernel without the hook as well, whatever it is compiled for.
    let reference = Some(KernelView::embedded());
    let bytes = match object_of(report, &system, file, read(file)?, reference)? {
        Ok(object) => object,
        Err(unready) => {
            report.result("run", unready.exit, json!({ "diagnostics": unready.diagnostics }));
            return Ok(unready.exit);
        }
    };
    let object =
        Object::parse(&bytes).map_err(|error| Failure::refused(format!("{}: {error}", name(file))))?;
    let settings = oomc_runtime::Settings {
        mode: args.what.settings.mode.map(Into::into),
        params: args.what.settings.set.clone(),
        literal: &value::read,
        foreign: args.what.foreign,
    };
    let service = Service::new()?;
    let journal = Journal::new(report)?;
    let headroom = headroom(args)?;
    preflight::privilege(&system, true)?;
    told::folder(Path::new(FOLDER))?;
    let hook = preflight::kernel(&system).is_ok();
    let rules = if hook { Rules::Blocks } else { Rules::All };
    let start = Start { rules, headroom, folder: Path::new(FOLDER) };
    let engine = || Engine::start(system.clone(), &object, &target, &settings, &start);
    let watches = !hook || !object.meta.declared().blocks.is_empty();
    let engine = watches.then(engine).transpose()?;
    if let Some(engine) = &engine {
        begun(report, engine, &journal);
        stay().iter().for_each(|failed| journal.failed(engine.cgroup(), failed));
    }
    let engine = match engine {
        Some(engine) if !hook => return asked(report, engine, &service, &journal),
        engine => engine,
    };
    let loaded = oomc_runtime::load_with(&system, &object, &target, &settings)?;
    service.ready(&format!("{} is attached to {}", loaded.policy, loaded.cgroup));
    hooked(report, &system, &target, engine, &service, &journal)
}

/// How far below a limit a cgroup is about to run out.
pub(super) fn headroom(args: &Run) -> Result<u64, Failure> {
    let Some(text) = &args.headroom else { return Ok(DEFAULT_HEADROOM) };
    let wrong = |why: String| Failure::new(Exit::Usage, format!("--headroom {text}: {why}"));
    match value::read(text).map_err(wrong)? {
        (Measure::Bytes, bytes) if bytes > 0 => Ok(bytes.cast_unsigned()),
        _ => Err(wrong("it is bytes such as `8MiB`".to_owned())),
    }
}

/// The kernel asks the rules outside of `on` blocks: the policy is attached, followed, detached. The others are asked from
/// here, if there are any.
fn hooked(
    report: &Report,
    system: &System<'_>,
    target: &Target,
    mut engine: Option<Engine<'_>>,
    service: &Service,
    journal: &Journal<'_>,
) -> Outcome {
    let mut follow = events::follow(system.clone(), Some(target), false)?;
    let watching = engine.as_ref().map(|engine| watching(engine, journal));
    loop {
        if let (Some(engine), Some(of)) = (&mut engine, &watching) {
            engine.look()?.iter().for_each(|happened| tell(journal, of, happened));
        }
        for (of, seen) in follow.look(true)? {
            journal.seen(system, &of, &seen);
            // Somebody else has unloaded it, or the cgroup is gone.
            if seen == Seen::Detached {
                return engine.map_or(Ok(()), |engine| stop(engine, journal)).map(|()| Exit::Ok);
            }
        }
        if report.flush().is_err() {
            break;
        }
        let mut of = follow.descriptors();
        of.push(service.descriptor());
        of.extend(engine.as_ref().map(Engine::descriptor));
        let urgent: Vec<_> = engine.iter().flat_map(Engine::urgent).collect();
        let pauses = [service.pause(), engine.as_ref().map(Engine::pause)];
        let pause = pauses.into_iter().flatten().fold(LOOK, Duration::min);
        let heard = watch::wait_also(&of, &urgent, pause)?;
        if let Some(engine) = &mut engine {
            engine.hear(&heard);
        }
        service.alive();
        if service.heard()? == Heard::End {
            break;
        }
    }
    service.stopping();
    if let Some(engine) = engine {
        stop(engine, journal)?;
    }
    oomc_runtime::unload(system, Some(target))?;
    Ok(Exit::Ok)
}

/// Nobody asks but this.
fn asked(report: &Report, mut engine: Engine<'_>, service: &Service, journal: &Journal<'_>) -> Outcome {
    let of = followed(&engine);
    journal.note(&format!(
        "{}: {} is asked before the limit, by oomc run: this kernel asks no policy itself",
        of.cgroup, of.policy
    ));
    let of = watching(&engine, journal);
    let mut ready = false;
    let ended = loop {
        match engine.look() {
            Ok(all) => all.iter().for_each(|happened| tell(journal, &of, happened)),
            Err(error) => break Err(error.into()),
        }
        if !std::mem::replace(&mut ready, true) {
            service.ready(&format!("{} is asked for {}, before the limit", of.policy, of.cgroup));
        }
        if report.flush().is_err() {
            break Ok(Exit::Ok);
        }
        let pause = service.pause().map_or(engine.pause(), |pulse| pulse.min(engine.pause()));
        let urgent: Vec<_> = engine.urgent().collect();
        let heard = watch::wait_also(&[engine.descriptor(), service.descriptor()], &urgent, pause)?;
        engine.hear(&heard);
        service.alive();
        match service.heard() {
            Ok(Heard::End) => break Ok(Exit::Ok),
            Ok(_) => {}
            Err(failure) => break Err(failure),
        }
    };
    service.stopping();
    match ended {
        Ok(_) => stop(engine, journal)?,
        // Its records may tell why.
        Err(_) => engine.abandon()?,
    }
    ended
}
