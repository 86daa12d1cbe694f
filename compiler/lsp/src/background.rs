//! Work that nobody waits for: code is made of a policy once its author pauses, and tried, on a thread of its own.
//!
//! A job is about one state of a policy. A newer state takes the place of an older one that waits, and one that is
//! being worked on is given up before its next stage: its result would be about a text that is not there any more.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use oomc_compiler::diag::Diagnostic;

use crate::analysis::Analysis;
use crate::tried::{self, Lens, Machine};

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
    pub(crate) machine: Option<Arc<Machine>>,
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

/// What there is to do, by policy.
#[derive(Default)]
struct Queue {
    /// The states that results are wanted of.
    wanted: BTreeMap<String, u64>,
    /// The newest job of each policy: an older one holds a whole analysis that nobody needs.
    waiting: BTreeMap<String, Job>,
    /// How many jobs have come.
    came: u64,
    /// Nobody wants anything any more.
    over: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, job: &Job) -> bool {
        self.queue().wanted.get(&job.key) == Some(&job.state)
    }

    /// The jobs that wait once no other has come for as long as an author pauses; none: it is over.
    fn next(&self) -> Option<BTreeMap<String, Job>> {
        let mut queue = self.queue();
        while queue.waiting.is_empty() && !queue.over {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            let came = queue.came;
            let waited =
                self.news.wait_timeout_while(queue, PAUSE, |queue| queue.came == came && !queue.over);
            let (now, paused) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = now;
            if queue.over {
                return None;
            }
            if paused.timed_out() {
                return Some(take(&mut queue.waiting));
            }
        }
    }
}

/// The thread, as the server sees it. It ends with this value.
pub(crate) struct Background {
    shared: Arc<Shared>,
}

impl Background {
    /// Starts the thread; `tell` takes what is done.
    pub(crate) fn start(tell: impl Fn(Done) + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            while let Some(jobs) = of_thread.next() {
                for job in jobs.into_values() {
                    done(job, &of_thread).into_iter().for_each(&tell);
                }
            }
        });
        Self { shared }
    }

    /// Wants a job done; older states of the same policy are given up.
    pub(crate) fn want(&self, job: Job) {
        let mut queue = self.shared.queue();
        queue.wanted.insert(job.key.clone(), job.state);
        queue.waiting.insert(job.key.clone(), job);
        queue.came += 1;
        self.shared.news.notify_all();
    }

    /// Wants nothing more of a policy.
    pub(crate) fn forget(&self, key: &str) {
        let mut queue = self.shared.queue();
        queue.wanted.remove(key);
        queue.waiting.remove(key);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.news.notify_all();
    }
}

/// Does a job; nothing comes of it if nobody wants its result any more.
fn done(job: Job, shared: &Shared) -> Option<Done> {
    let checked = job.analysis.checked().filter(|_| shared.wants(&job))?;
    let is_wanted = || shared.wants(&job);
    let compiled = checked.compile_while(&is_wanted)?;
    let machine = job.machine.as_deref();
    let tried = compiled.object.map(|object| tried::lenses(checked, &object, machine, &is_wanted));
    let lenses = tried.unwrap_or_else(|| Some(Vec::new()))?;
    Some(Done { key: job.key, state: job.state, policy: compiled.diagnostics, lenses })
}
