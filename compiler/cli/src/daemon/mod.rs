//! `oomc run`: one policy for one cgroup ([`one`]), or with `--all` the service that keeps a machine's standing policies
//! attached.
//!
//! The service attaches them when their cgroups appear, again when a service manager made a cgroup anew, and writes each decision to
//! the journal, over reloads. [`keeper`] knows what is to be attached and when to look; [`journal`] writes;
//! [`service`] is what systemd hears and says. When it ends, policies stay attached: a restart leaves no gap.
//! On a kernel that asks no policy itself, the service asks each from here ([`engines`]); when it ends, nobody asks them. On one
//! that does, it asks their `on` blocks ([`both`]).

mod aside;
mod both;
mod engines;
mod journal;
mod keeper;
mod one;
mod service;
mod told;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use oomc_runtime::events::{self, Follow, Seen};
use oomc_runtime::outcome::Pending;
use oomc_runtime::stay::stay;
use oomc_runtime::{System, preflight, watch};

use crate::args::Run;
use crate::cmd::waiting;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;
use crate::standing::{Hands, Hook};
use both::Both;
use engines::Engines;
use journal::Journal;
use keeper::Keeper;
use service::{Heard, Service};
use told::Told;

/// Between two looks at what is attached, if nothing happens: somebody may have unloaded a policy by hand.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at files and cgroups of which nothing was heard: what is written through another mount nobody hears.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The same while somebody else reads the decisions that a policy sends.
const LOOK_OFTEN: Duration = Duration::from_millis(200);
/// After something happened to cgroups or files, so long is waited for more of it.
const SETTLE: Duration = Duration::from_millis(20);
/// Policies whose cgroup is gone that keep their records. Their maps are memory of the kernel's.
const KEEP_GONE: usize = 16;
/// What a service leaves for the next one.
const FOLDER: &str = "/run/oomc";
/// In it: only one keeps the policies of a machine.
const LOCK: &str = "lock";
/// In it: which decisions were written.
const TOLD: &str = "told";

pub(crate) fn run(report: &Report, args: &Run) -> Outcome {
    match &args.what.file {
        Some(file) => one::run(report, args, file),
        None => all(report, args),
    }
}

fn all(report: &Report, args: &Run) -> Outcome {
    let folder = &args.what.policies;
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    preflight::privilege(&system, true)?;
    told::folder(Path::new(FOLDER))?;
    let _alone = alone(&Path::new(FOLDER).join(LOCK))?;
    let mut told = Told::read(Path::new(FOLDER).join(TOLD));
    let service = Service::new()?;
    let journal = Journal::new(report)?;
    let mut follow = events::follow(system.clone(), None, false)?;
    let mut keeper = Keeper::new(report, &system, folder, &journal)?;
    let mut engines = Engines::new(report, &system, &journal, one::headroom(args)?);
    let hook = preflight::kernel(&system).is_ok();
    pass(hook, &system, &mut engines, &mut |hands| keeper.pass(hands))?;
    if !hook {
        journal.note("policies are asked before the limit, by oomc run: this kernel asks none itself");
        stay().iter().for_each(|failed| journal.failed("/", failed));
    }
    service.ready(&keeper.state());
    let (mut looked, mut read, mut pending) = (Instant::now(), Instant::now(), Pending::default());
    let mut trouble = Trouble::default();
    loop {
        // Nothing is attached where the kernel asks no policy.
        let mut told_all = Ok(());
        if hook {
            told_all = tell_all(&system, &journal, &mut follow, &mut keeper, &mut told, &mut pending);
            pending.refresh(&system, follow.policies());
        }
        let well = trouble.of(&journal, Work::Telling, told_all.and_then(|()| told.keep()));
        if !engines.look().is_empty() {
            keeper.again();
        }
        if report.flush().is_err() {
            break;
        }
        let pause = if follow.has_to_look() { LOOK_OFTEN } else { LOOK };
        let pause = [service.pause(), pending.pause(), engines.pause()]
            .into_iter()
            .flatten()
            .fold(pause, Duration::min);
        let mut of = if well { follow.descriptors() } else { Vec::new() };
        of.extend([keeper.descriptor(), service.descriptor()]);
        of.extend(engines.descriptors());
        let urgent: Vec<_> = engines.urgent().collect();
        // What could not be done now is waiting still, and would end each wait at once.
        let pause = if well { pause } else { pause.min(LOOK_OFTEN) };
        let heard = watch::wait_also(&of, &urgent, pause)?;
        engines.hear(&heard);
        service.alive();
        match service.heard()? {
            Heard::Nothing => {}
            Heard::End => break,
            Heard::Reload => {
                service.reloading();
                keeper.again();
            }
        }
        // Another engine asked a policy, and has ended.
        if !hook && looked.elapsed() >= LOOK && keeper.kept().any(|cgroup| !engines.has(cgroup)) {
            keeper.again();
        }
        let look = read.elapsed() >= LOOK_AGAIN;
        if look {
            read = Instant::now();
        }
        let due = keeper.due(look);
        if let Ok(true) = due {
            std::thread::sleep(SETTLE);
            pass(hook, &system, &mut engines, &mut |hands| keeper.pass_or_tell(hands));
            let tidied = oomc_runtime::tidy_but(&system, KEEP_GONE).map(|tidied| {
                tidied.gone.iter().for_each(|removed| journal.removed(removed));
            });
            trouble.of(&journal, Work::Tidying, tidied.map_err(Failure::from));
            service.ready(&keeper.state());
        }
        trouble.of(&journal, Work::Looking, due.map(drop));
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
        }
    }
    service.stopping();
    engines.stop()?;
    journal.note(match hook {
        true => "ends; what is attached stays attached",
        false => "ends; nobody asks these policies until it is started again",
    });
    Ok(Exit::Ok)
}

/// Writes what policies have decided since the last time, and what became of decisions.
fn tell_all<'s>(
    system: &System<'s>,
    journal: &Journal<'_>,
    follow: &mut Follow<'s>,
    keeper: &mut Keeper<'_>,
    told: &mut Told,
    pending: &mut Pending,
) -> Result<(), Failure> {
    for (of, seen) in follow.look(true)? {
        keeper.seen(&of, &seen);
        if told.is_new(&of, &seen) {
            journal.seen(system, &of, &seen);
            if let Seen::Decision(record) = &seen {
                pending.begin(system, &of, record);
            }
        }
    }
    let mut kept = Ok(());
    for (of, record, outcome) in pending.due(system) {
        kept = kept.and(follow.keep(&of, &outcome));
        journal.outcome(&of, record.number, "a second later", &outcome);
    }
    Ok(kept?)
}

/// What the service does in each round.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Telling,
    Looking,
    Tidying,
}

/// What does not work just now. It is told once and tried again: what keeps policies does not end because a machine is short of
/// memory, of watches or of space.
#[derive(Default)]
struct Trouble(Vec<(Work, String)>);

impl Trouble {
    /// Whether it worked.
    fn of(&mut self, journal: &Journal<'_>, work: Work, result: Result<(), Failure>) -> bool {
        let message = result.err().map(|failure| failure.message);
        let known = self.0.iter().position(|(of, _)| *of == work).map(|at| self.0.swap_remove(at).1);
        let Some(message) = message else { return true };
        if known.as_ref() != Some(&message) {
            journal.failed("/", &message);
        }
        self.0.push((work, message));
        false
    }
}

/// Makes a pass with whoever brings policies to cgroups on this kernel.
fn pass<'a, T>(
    hook: bool,
    system: &'a System<'a>,
    engines: &mut Engines<'a>,
    make: &mut dyn FnMut(&mut dyn Hands) -> T,
) -> T {
    if hook { make(&mut Both { hook: Hook(system), engines }) } else { make(engines) }
}

/// Refuses a second one. The lock goes with the process.
fn alone(place: &Path) -> Result<File, Failure> {
    let cannot =
        |error: std::io::Error| Failure::refused(format!("cannot lock {}: {error}", place.display()));
    let file = File::options().create(true).truncate(false).write(true).open(place).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::refused(
            "another `oomc run --all` keeps the policies of this machine already",
        )
        .help("`systemctl status oomc` shows it; `systemctl reload oomc` lets it read its files again")),
        Err(std::fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}
