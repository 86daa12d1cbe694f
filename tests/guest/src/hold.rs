//! Stops a process between what it has decided and what it does: before it takes hold of another one.
//!
//! By ptrace(2), from a thread of its own, because only the thread that has begun to trace may go on with it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long it may take until it is stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is stopped, or will be.
pub(crate) struct Hold {
    held: Receiver<Result<(), String>>,
    go: Sender<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl Hold {
    /// From now on it is stopped when it calls pidfd_open(2).
    pub(crate) fn begin(pid: Pid) -> Result<Self, String> {
        let (begun, has_begun) = mpsc::channel();
        let (say, held) = mpsc::channel();
        let (go, goes_on) = mpsc::channel();
        let thread = thread::spawn(move || {
            let failed = |error| format!("cannot trace {pid}: {error}");
            let seized = ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD)
                .and_then(|()| ptrace::interrupt(pid))
                .map_err(failed);
            let traces = seized.is_ok();
            // Nobody listens any more when this fails: then it is let go below.
            let _ = begun.send(seized);
            if !traces {
                return Ok(());
            }
            let _ = say.send(until_it_opens(pid).map_err(failed));
            let _ = goes_on.recv();
            ptrace::detach(pid, None).map_err(failed)
        });
        match has_begun.recv() {
            Ok(begun) => begun.map(|()| Self { held, go, thread }),
            Err(_) => Err("the tracer has ended".to_owned()),
        }
    }

    /// Waits until it is stopped.
    pub(crate) fn held(&self) -> Result<(), String> {
        match self.held.recv_timeout(PATIENCE) {
            Ok(held) => held,
            Err(RecvTimeoutError::Timeout) => Err("it takes hold of nobody".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("the tracer has ended".to_owned()),
        }
    }

    /// Lets it go on.
    pub(crate) fn end(self) -> Result<(), String> {
        let _ = self.go.send(());
        self.thread.join().map_err(|_| "the tracer panicked".to_owned())?
    }
}

/// Lets it run from one call of the system to the next, until it is about to open a process.
fn until_it_opens(pid: Pid) -> nix::Result<()> {
    loop {
        let signal = match waitpid(pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(_) => {
                let registers = ptrace::getregs(pid)?;
                if registers.orig_rax == libc::SYS_pidfd_open.cast_unsigned() {
                    return Ok(());
                }
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Err(nix::Error::ESRCH),
            _ => None,
        };
        ptrace::syscall(pid, signal)?;
    }
}
