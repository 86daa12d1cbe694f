//! Engines of this process: one for each cgroup whose policy is asked from here, and what they tell.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use oomc_abi::amount::exact;
use oomc_abi::fields::Measure;
use oomc_runtime::engine::{Engine, Happened, Rules, Start};
use oomc_runtime::events::{Followed, Seen};
use oomc_runtime::stay::{meanwhile, stay};
use oomc_runtime::{AskedBy, Decider, Object, Settings, System, cgroup};

use super::FOLDER;
use super::journal::Journal;
use crate::cmd::label::tell_ignored;
use crate::exit::Failure;
use crate::report::Report;
use crate::standing::{Hands, target};

/// All engines of a service, by the paths of their cgroups.
pub(super) struct Engines<'a> {
    report: &'a Report,
    system: &'a System<'a>,
    journal: &'a Journal<'a>,
    headroom: u64,
    all: BTreeMap<String, One<'a>>,
}

struct One<'a> {
    engine: Engine<'a>,
    of: Followed,
}

impl<'a> Engines<'a> {
    pub(super) fn new(
        report: &'a Report,
        system: &'a System<'a>,
        journal: &'a Journal<'a>,
        headroom: u64,
    ) -> Self {
        Self { report, system, journal, headroom, all: BTreeMap::new() }
    }

    /// Lets each look, and tells what has happened. Gives the cgroups whose engine has ended: they are gone, or the kernel
    /// refuses what never fails.
    pub(super) fn look(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        for (cgroup, one) in &mut self.all {
            match one.engine.look() {
                Ok(all) => all.iter().for_each(|happened| tell(self.journal, &one.of, happened)),
                Err(error) => {
                    self.journal.changed(cgroup, &format!("{cgroup}: asked no more: {error}"));
                    ended.push(cgroup.clone());
                }
            }
        }
        for cgroup in &ended {
            if let Some(one) = self.all.remove(cgroup) {
                self.abandon(one);
            }
        }
        ended
    }

    /// Leaves an engine's records: they may tell why its cgroup has gone.
    fn abandon(&self, one: One<'a>) {
        if let Err(error) = one.engine.abandon() {
            self.journal.failed(&one.of.cgroup, &error.to_string());
        }
    }

    /// Whether the policy of a cgroup is asked from here.
    pub(super) fn has(&self, cgroup: &str) -> bool {
        self.all.contains_key(cgroup)
    }

    /// Can be read when something has happened to one of them.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.values().map(|one| one.engine.descriptor())
    }

    /// Have something urgent to say when the kernel's own triggers fire.
    pub(super) fn urgent(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.values().flat_map(|one| one.engine.urgent())
    }

    /// Which of [`Self::urgent`] have said something, in their order.
    pub(super) fn hear(&mut self, mut urgent: &[bool]) {
        for one in self.all.values_mut() {
            let (its, others) = urgent.split_at(one.engine.urgent().count().min(urgent.len()));
            one.engine.hear(its);
            urgent = others;
        }
    }

    /// How long to wait at most before the next look; none: there is no engine.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.all.values().map(|one| one.engine.pause()).min()
    }

    /// Ends all of them.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        std::mem::take(&mut self.all).into_values().try_for_each(|one| stop(one.engine, self.journal))
    }
}

impl Engines<'_> {
    /// Starts one, which asks these rules.
    pub(super) fn start(
        &mut self,
        object: &Object,
        cgroup: &str,
        settings: &Settings<'_>,
        rules: Rules,
    ) -> Result<(), Failure> {
        let start = Start { rules, headroom: self.headroom, folder: Path::new(FOLDER) };
        let engine =
            meanwhile(|| Engine::start(self.system.clone(), object, &target(cgroup), settings, &start));
        // What cannot be done was told when the service began.
        let _ = stay();
        let engine = engine?;
        begun(self.report, &engine, self.journal);
        let of = watching(&engine, self.journal);
        self.all.insert(cgroup.to_owned(), One { engine, of });
        Ok(())
    }

    /// Whether the kernel takes the program that is asked: what the verifier refuses leaves the policy that is there.
    pub(super) fn try_out(&self, object: &Object, settings: &Settings<'_>) -> Result<(), Failure> {
        let accepted = meanwhile(|| Decider::load(self.system, object, settings).map(drop));
        let _ = stay();
        Ok(accepted?)
    }
}

impl Hands for Engines<'_> {
    fn asked_by(&self) -> AskedBy {
        AskedBy::Engine
    }

    fn bring(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        self.start(object, cgroup, settings, Rules::All)
    }

    fn exchange(&mut self, object: &Object, cgroup: &str, settings: &Settings<'_>) -> Result<(), Failure> {
        self.try_out(object, settings)?;
        self.take_away(cgroup)?;
        self.bring(object, cgroup, settings)
    }

    fn take_away(&mut self, cgroup: &str) -> Result<bool, Failure> {
        let Some(one) = self.all.remove(cgroup) else { return Ok(false) };
        // A pass over the files may see that a cgroup has gone before its engine does.
        if !cgroup::mount(self.system)?.place().join(cgroup.trim_start_matches('/')).is_dir() {
            self.journal.changed(cgroup, &format!("{cgroup}: asked no more: the cgroup is gone"));
            self.abandon(one);
            return Ok(false);
        }
        stop(one.engine, self.journal).map(|()| true)
    }
}

/// Says what was found at the start.
pub(super) fn begun(report: &Report, engine: &Engine<'_>, journal: &Journal<'_>) {
    tell_ignored(report, &engine.begun().labels.ignored);
    engine.begun().gone.iter().for_each(|gone| journal.removed(gone));
}

/// Says what is watched.
pub(super) fn watching(engine: &Engine<'_>, journal: &Journal<'_>) -> Followed {
    let of = followed(engine);
    for block in engine.watched() {
        journal.note(&format!("{}: {} watches {}", of.cgroup, of.policy, block.told()));
    }
    of
}

pub(super) fn followed(engine: &Engine<'_>) -> Followed {
    let decider = engine.decider();
    let (cgroup, policy) = (engine.cgroup().to_owned(), decider.policy().to_owned());
    Followed { cgroup, policy, link: 0, load: 0, declared: decider.declared().clone() }
}

/// Ends an engine, and says what stays.
pub(super) fn stop(engine: Engine<'_>, journal: &Journal<'_>) -> Result<(), Failure> {
    let cgroup = engine.cgroup().to_owned();
    engine.stop()?.iter().for_each(|left| journal.failed(&cgroup, &left.to_string()));
    Ok(())
}

/// Writes down what an engine has seen or done.
pub(super) fn tell(journal: &Journal<'_>, of: &Followed, happened: &Happened) {
    let bytes = |bytes: u64| exact(Measure::Bytes, i64::try_from(bytes).unwrap_or(i64::MAX));
    let system = System::running();
    match happened {
        Happened::Decision(record) => journal.seen(&system, of, &Seen::Decision(record.clone())),
        Happened::Became(outcome) => journal.outcome(of, outcome.number, "then", outcome),
        Happened::KernelKilled { cgroup, killed } => {
            let text = format!("{cgroup}: the kernel's own killer has killed {killed}: the limit was met");
            journal.failed(cgroup, &text);
        }
        Happened::High { cgroup, high } => {
            journal.changed(cgroup, &format!("{cgroup}: memory.high is {} now", bytes(*high)));
        }
        Happened::Lower { cgroup } => {
            let text = format!(
                "{cgroup}: memory.high is lower than the headroom, and stays: what meets it is slowed down before the \
                 policy is asked"
            );
            journal.changed(cgroup, &text);
        }
        Happened::NoLimit => {
            let text = format!(
                "neither {0} nor a cgroup below it has a memory.max: no rule outside of `on` is asked",
                of.cgroup
            );
            journal.failed(&of.cgroup, &text);
        }
        Happened::Failed(why) => journal.failed(&of.cgroup, why),
    }
}
