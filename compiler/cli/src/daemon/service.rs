//! What systemd hears of the service, and what it says by signals. Without systemd nobody hears it.

use std::cell::Cell;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::aside::Aside;
use crate::exit::Failure;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// SIGTERM, SIGINT.
    End,
    /// SIGHUP: read the files again.
    Reload,
}

/// The connection to whoever started this.
pub(super) struct Service {
    end: UnixStream,
    reload: UnixStream,
    /// Half of what the watchdog waits.
    pulse: Option<Duration>,
    /// When the watchdog heard of this last.
    told: Cell<Instant>,
    /// Nobody can be told that nobody can be told: then the watchdog ends this, as it should.
    systemd: Aside<State>,
}

/// What systemd hears.
enum State {
    Ready(String),
    Reloading,
    Stopping,
    Watchdog,
}

impl Service {
    pub(super) fn new() -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::refused(format!("cannot take signals: {error}"));
        let (end, end_of) = UnixStream::pair().map_err(cannot)?;
        let (reload, reload_of) = UnixStream::pair().map_err(cannot)?;
        for end in [&end, &reload] {
            end.set_nonblocking(true).map_err(cannot)?;
        }
        pipe::register(SIGINT, end_of.try_clone().map_err(cannot)?).map_err(cannot)?;
        pipe::register(SIGTERM, end_of).map_err(cannot)?;
        pipe::register(SIGHUP, reload_of).map_err(cannot)?;
        let pulse = sd_notify::watchdog_enabled().map(|longest| longest / 2);
        let systemd = Aside::new("systemd", |state: State| drop(state.tell())).map_err(cannot)?;
        Ok(Self { end, reload, pulse, told: Cell::new(Instant::now()), systemd })
    }

    /// Can be read when the service is to end. A reload is heard with the next look.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// How long to wait at most.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.pulse.map(|pulse| pulse.saturating_sub(self.told.get().elapsed()))
    }

    pub(super) fn heard(&self) -> Result<Heard, Failure> {
        let said = |mut stream: &UnixStream| match stream.read(&mut [0; 64]) {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(Failure::refused(format!("cannot take signals: {error}"))),
        };
        if said(&self.end)? {
            return Ok(Heard::End);
        }
        Ok(if said(&self.reload)? { Heard::Reload } else { Heard::Nothing })
    }

    /// It works; `state` is for a reader of `systemctl status`.
    pub(super) fn ready(&self, state: &str) {
        self.systemd.say(State::Ready(state.to_owned()));
    }

    pub(super) fn reloading(&self) {
        self.systemd.say(State::Reloading);
    }

    pub(super) fn stopping(&self) {
        self.systemd.say(State::Stopping);
    }

    /// It still goes round.
    pub(super) fn alive(&self) {
        if self.pulse.is_some_and(|pulse| self.told.get().elapsed() >= pulse) {
            self.systemd.say(State::Watchdog);
            self.told.set(Instant::now());
        }
    }
}

impl State {
    fn tell(&self) -> std::io::Result<()> {
        match self {
            Self::Ready(state) => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(state)]),
            // systemd wants the time with it; without a clock it gets neither.
            Self::Reloading => {
                sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])
            }
            Self::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Self::Watchdog => sd_notify::notify(&[NotifyState::Watchdog]),
        }
    }
}
