//! The service of oomc, and what stands in for systemd around it: the sockets of the journal and of notifications.
//!
//! What the service sends is shown as lines: `KEY=value` of an entry of the journal one after the other, and
//! `notify: READY=1`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hold::Hold;

const JOURNAL: &str = "/run/systemd/journal/socket";
const NOTIFY: &str = "/run/systemd/notify";
const ERRORS: &str = "/run/service.err";
/// The largest entry: a decision with its document.
const ENTRY: usize = 256 << 10;
/// How long the service may take until it is ready: a kernel that is emulated on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is watched while nothing happens.
const CALM: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(50);
/// Microseconds that the watchdog waits.
const WATCHDOG: &str = "2000000";

pub(crate) struct Service {
    child: Child,
    by_systemd: bool,
    journal: UnixDatagram,
    notify: UnixDatagram,
    /// What it has told systemd while it was waited for.
    heard: String,
    hold: Option<Hold>,
}

impl Service {
    /// Starts it as systemd does, or as somebody at a terminal.
    pub(crate) fn start(args: &[String], by_systemd: bool) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot start the service: {error}");
        let journal = socket(JOURNAL).map_err(cannot)?;
        let notify = socket(NOTIFY).map_err(cannot)?;
        let errors = File::create(ERRORS).map_err(cannot)?;
        let data = errors.metadata().map_err(cannot)?;
        let mut oomc = Command::new("/bin/oomc");
        oomc.arg("run").args(args).stdin(Stdio::null());
        if by_systemd {
            oomc.env("NOTIFY_SOCKET", NOTIFY)
                .env("WATCHDOG_USEC", WATCHDOG)
                .env("JOURNAL_STREAM", format!("{}:{}", data.dev(), data.ino()))
                .stdout(Stdio::null());
        } else {
            oomc.stdout(errors.try_clone().map_err(cannot)?);
        }
        let child = oomc.stderr(errors).spawn().map_err(cannot)?;
        // What the first process of the machine has is nothing that a service is started with.
        fs::write(format!("/proc/{}/oom_score_adj", child.id()), "0").map_err(cannot)?;
        Ok(Self { child, by_systemd, journal, notify, heard: String::new(), hold: None })
    }

    /// What it has sent since the last time, and what it has complained.
    pub(crate) fn said(&mut self) -> Result<String, String> {
        let mut all = std::mem::take(&mut self.heard);
        let mut buffer = vec![0; ENTRY];
        for (socket, is_entry) in [(&self.notify, false), (&self.journal, true)] {
            loop {
                let len = match socket.recv(&mut buffer) {
                    Ok(len) => len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(format!("cannot read what the service says: {error}")),
                };
                let message = buffer.get(..len).unwrap_or_default();
                match is_entry {
                    true => all.push_str(&fields(message)?),
                    false => {
                        String::from_utf8_lossy(message)
                            .lines()
                            .for_each(|line| all.push_str(&format!("notify: {line}\n")));
                    }
                }
            }
        }
        all.push_str(&fs::read_to_string(ERRORS).unwrap_or_default());
        if self.by_systemd {
            all.push_str(&self.state());
        }
        Ok(all)
    }

    /// Waits until it has told systemd that it is ready.
    pub(crate) fn ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let mut buffer = vec![0; ENTRY];
        while Instant::now() < until {
            match self.notify.recv(&mut buffer) {
                Ok(len) => {
                    let message = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default()).into_owned();
                    let ready = message.lines().any(|line| line == "READY=1");
                    message.lines().for_each(|line| self.heard.push_str(&format!("notify: {line}\n")));
                    if ready {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(SOON),
                Err(error) => return Err(format!("cannot read what the service says: {error}")),
            }
        }
        Err(format!("the service is not ready after {} s:\n{}", PATIENCE.as_secs(), self.said()?))
    }

    /// Watches it while nothing happens: whether it reads at most so often.
    pub(crate) fn calm(&self, most: u64) -> Result<(), String> {
        let reads = || -> Option<u64> {
            let io = self.file("io")?;
            io.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
        };
        let none = "the service has ended, or its reads are not counted";
        let before = reads().ok_or(none)?;
        thread::sleep(CALM);
        let count = reads().ok_or(none)?.saturating_sub(before);
        if count <= most {
            return Ok(());
        }
        Err(format!(
            "the service has read {count} times in {} s, and not {most} times at most",
            CALM.as_secs()
        ))
    }

    /// Its resident memory in KiB; none: it has ended.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = self.file("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// One of its files in /proc.
    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).ok()
    }

    /// How safe it is where memory is short; nothing, when it has ended.
    fn state(&self) -> String {
        let file = |name: &str| self.file(name);
        let (Some(adj), Some(status)) = (file("oom_score_adj"), file("status")) else { return String::new() };
        let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("").trim();
        let locked = if of("VmLck:") == "0 kB" { "may be swapped out" } else { "stays in memory" };
        let resident = of("VmRSS:");
        format!("process: oom_score_adj {}, {locked}, resident {resident}\n", adj.trim())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        kill(self.pid()?, signal).map_err(|error| format!("cannot signal the service: {error}"))
    }

    pub(crate) fn pid(&self) -> Result<Pid, String> {
        i32::try_from(self.child.id()).map(Pid::from_raw).map_err(|error| error.to_string())
    }

    /// From now on it is stopped when it takes hold of a victim.
    pub(crate) fn hold(&mut self) -> Result<(), String> {
        self.hold = Some(Hold::begin(self.pid()?)?);
        Ok(())
    }

    /// Waits until it is stopped.
    pub(crate) fn held(&self) -> Result<(), String> {
        self.hold.as_ref().ok_or("nobody holds the service")?.held()
    }

    /// Lets it go on.
    pub(crate) fn go(&mut self) -> Result<(), String> {
        self.hold.take().ok_or("nobody holds the service")?.end()
    }

    pub(crate) fn wait(&mut self) -> Result<ExitStatus, String> {
        self.child.wait().map_err(|error| format!("cannot wait for the service: {error}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A case that failed leaves it running; one that ended has waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket(place: &str) -> io::Result<UnixDatagram> {
    let folder = std::path::Path::new(place).parent().unwrap_or(std::path::Path::new("/"));
    fs::create_dir_all(folder)?;
    let _ = fs::remove_file(place);
    let socket = UnixDatagram::bind(place)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An entry in the journal's own protocol: `KEY=value`, or `KEY`, the value's length in eight bytes, the value.
fn fields(mut entry: &[u8]) -> Result<String, String> {
    let mut all = String::new();
    while !entry.is_empty() {
        let cut = || "an entry of the journal is cut off".to_owned();
        let end = entry.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let (line, rest) = entry.split_at(end);
        let rest = rest.get(1..).ok_or_else(cut)?;
        if line.contains(&b'=') {
            all.push_str(&format!("{}\n", String::from_utf8_lossy(line)));
            entry = rest;
            continue;
        }
        let (len, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut())?;
        let value = rest.get(..len).ok_or_else(cut)?;
        all.push_str(&format!("{}={}\n", String::from_utf8_lossy(line), String::from_utf8_lossy(value)));
        entry = rest.get(len + 1..).ok_or_else(cut)?;
    }
    Ok(all)
}
