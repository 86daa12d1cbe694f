//! Work that nobody waits for: code is made of a policy once its author pauses, and tried, on a thread of its own.
//!
//! A job is about one state of a policy. A newer state takes the place of an older one that waits, and one that is
//! being worked on is given up before its next stage: its result would be about a text that is not there any more.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use oomc_compiler::diag::Diagnostic;

use crate::analysis::Analysis;
use crate::tried::{self, Lens, Recorded};

/// How long an author pauses before code is made.
const PAUSE: Duration = Duration::from_millis(100);

/// A policy to make code of.
pub(crate) struct Job {
    /// Which policy.
    pub(crate) key: String,
    /// Which state of it.
    pub(crate) state: u64,
    pub(crate) analysis: Arc<Analysis>,
    /// On which its rules are tried.
    pub(crate) machine: Option<Arc<Recorded>>,
}

/// What came of a job.
pub(crate) struct Done {
    pub(crate) key: String,
    pub(crate) state: u64,
    /// All that is to be said of the policy.
    pub(crate) policy: Vec<Diagnostic>,
    /// What its tests and rules do.
    pub(crate) lenses: Vec<Lens>,
}

/// The states that results are wanted of, by policy.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<BTreeMap<String, u64>>>);

impl Wanted {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, u64>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn wants(&self, job: &Job) -> bool {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(&job.key) == Some(&job.state)
    }
}

/// The thread, as the server sees it.
pub(crate) struct Background {
    jobs: Sender<Job>,
    wanted: Wanted,
}

impl Background {
    /// Starts the thread; `tell` takes what is done.
    pub(crate) fn start(tell: impl Fn(Done) + Send + 'static) -> Self {
        let (jobs, queue) = channel();
        let wanted = Wanted::default();
        let of_thread = wanted.clone();
        thread::spawn(move || work(&queue, &of_thread, &tell));
        Self { jobs, wanted }
    }

    /// Wants a job done; older states of the same policy are given up.
    pub(crate) fn want(&self, job: Job) {
        self.wanted.change(|states| _ = states.insert(job.key.clone(), job.state));
        // The thread ends with the server, not before.
        _ = self.jobs.send(job);
    }

    /// Wants nothing more of a policy.
    pub(crate) fn forget(&self, key: &str) {
        self.wanted.change(|states| _ = states.remove(key));
    }
}

fn work(queue: &Receiver<Job>, wanted: &Wanted, tell: &dyn Fn(Done)) {
    let mut waiting: Vec<Job> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            queue.recv_timeout(PAUSE)
        };
        match next {
            Ok(job) => waiting.push(job),
            Err(RecvTimeoutError::Timeout) => {
                for job in waiting.drain(..) {
                    done(job, wanted).into_iter().for_each(tell);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Does a job; nothing comes of it if nobody wants its result any more.
fn done(job: Job, wanted: &Wanted) -> Option<Done> {
    let checked = job.analysis.checked().filter(|_| wanted.wants(&job))?;
    let is_wanted = || wanted.wants(&job);
    let compiled = checked.compile_while(&is_wanted)?;
    let machine = job.machine.as_deref();
    let tried = compiled.object.map(|object| tried::lenses(checked, &object, machine, &is_wanted));
    let lenses = tried.unwrap_or_else(|| Some(Vec::new()))?;
    Some(Done { key: job.key, state: job.state, policy: compiled.diagnostics, lenses })
}
