//! The tenants of a trial: a unit of systemd with its own cgroup, and below it a cgroup for each tenant.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::killer::systemctl;

/// The unit, and its cgroup.
const UNIT: &str = "tenants.service";
pub(crate) const PLACE: &str = "/sys/fs/cgroup/bench.slice/tenants.service";
/// Where the program has the tenants' names.
const NAMES: &str = "/run/peers";
/// How long a tenant may take until it has what it begins with.
const PATIENCE: Duration = Duration::from_secs(120);

/// All of them; they end with the value.
pub(crate) struct Tenants {
    idle: Vec<Child>,
}

/// A tenant's process.
pub(crate) struct Tenant {
    pub(crate) child: Child,
    pub(crate) place: PathBuf,
    lines: Receiver<String>,
}

impl Tenants {
    /// Makes the unit anew: its cgroup has no history.
    pub(crate) fn new() -> Result<Self, String> {
        systemctl(&["restart", UNIT])?;
        // The unit's process makes room below when it has started.
        let until = Instant::now() + PATIENCE;
        let control = format!("{PLACE}/cgroup.subtree_control");
        while !fs::read_to_string(&control).unwrap_or_default().contains("memory") {
            if Instant::now() > until {
                return Err("the unit of the tenants does not start".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { idle: Vec::new() })
    }

    /// Starts so many that do nothing.
    pub(crate) fn rest(&mut self, count: u32) -> Result<(), String> {
        for at in 0..count {
            let place = make(&format!("idle-{at}"))?;
            let mut command = named("idle", "rest", &place)?;
            let child = command.stdout(Stdio::null()).spawn().map_err(|error| format!("idle: {error}"))?;
            self.idle.push(child);
        }
        Ok(())
    }

    /// Makes the cgroup of a tenant.
    pub(crate) fn place(name: &str) -> Result<PathBuf, String> {
        make(name)
    }

    /// Starts the process of a tenant, a group of its own, by the tenant's name.
    pub(crate) fn start(name: &str, place: &Path, face: &str, args: &[String]) -> Result<Tenant, String> {
        let mut child = named(name, face, place)?
            .args(args)
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let output = child.stdout.take().ok_or("a tenant has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Tenant { child, place: place.to_owned(), lines })
    }

    /// Whether one of those that do nothing is gone.
    pub(crate) fn lost(&mut self) -> bool {
        self.idle.iter_mut().any(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        // What is left when the unit has ended keeps the next one from starting, and that is told.
        let _ = fs::write(format!("{PLACE}/cgroup.kill"), "1");
        self.idle.iter_mut().for_each(|child| {
            let _ = child.wait();
        });
        let until = Instant::now() + PATIENCE;
        while Path::new(PLACE).is_dir() && Instant::now() < until {
            for entry in fs::read_dir(PLACE).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            let _ = systemctl(&["stop", UNIT]);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Tenant {
    /// Waits until it has what it begins with.
    pub(crate) fn ready(&self) -> Result<(), String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the tenant {} did not begin", self.place.display())),
        }
    }

    /// Whether it has said something since.
    pub(crate) fn has_spoken(&self) -> bool {
        self.lines.try_recv().is_ok()
    }

    /// Whether its process has ended.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// A cgroup below the unit's.
fn make(name: &str) -> Result<PathBuf, String> {
    let place = Path::new(PLACE).join(name);
    fs::create_dir(&place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    Ok(place)
}

/// The program by the name of a tenant.
fn named(name: &str, face: &str, place: &Path) -> Result<Command, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let link = Path::new(NAMES).join(name);
    if !link.exists() {
        fs::create_dir_all(NAMES)
            .and_then(|()| symlink(own, &link))
            .map_err(|error| format!("cannot make {}: {error}", link.display()))?;
    }
    let mut command = Command::new(link);
    command.arg(face).arg(place).stdin(Stdio::null());
    Ok(command)
}
