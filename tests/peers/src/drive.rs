//! Carries out the plan of a run, and tells each trial over the second serial port.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use oomc_peers::plan::{Cell, Killer};
use oomc_peers::report::Message;

use crate::{killer, trial};

const PLAN: &str = "/peers/plan.json";
const PORT: &str = "/dev/ttyS1";

/// Makes all trials and ends the machine.
pub(crate) fn run() -> Result<(), String> {
    let mut port =
        File::options().write(true).open(PORT).map_err(|error| format!("cannot open {PORT}: {error}"))?;
    let result = all(&mut port);
    if let Err(error) = &result {
        // The reader of the port sees that no last word came; the console has the reason.
        let _ = fs::write("/dev/console", format!("peers: {error}\n"));
    }
    let _ = killer::systemctl(&["reboot", "--force", "--force"]);
    result
}

fn all(port: &mut File) -> Result<(), String> {
    // Nobody but the killers that are tried may be in the way.
    fs::write("/proc/self/oom_score_adj", "-1000").map_err(|error| format!("oom_score_adj: {error}"))?;
    let plan = fs::read_to_string(PLAN).map_err(|error| format!("cannot read {PLAN}: {error}"))?;
    let plan: Vec<Cell> = serde_json::from_str(&plan).map_err(|error| format!("{PLAN}: {error}"))?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    send(port, &Message::Ready { kernel, versions: versions() })?;
    for cell in plan {
        send(port, &Message::Begun(cell))?;
        let message = match trial::run(&cell) {
            Ok(seen) => Message::Ended(cell, Box::new(seen)),
            Err(why) => Message::Failed(cell, why),
        };
        send(port, &message)?;
    }
    send(port, &Message::End)
}

/// The packages' versions; oomc says its own.
fn versions() -> Vec<(String, String)> {
    Killer::ALL
        .into_iter()
        .filter_map(|one| {
            one.unit()?;
            let version = match one {
                Killer::Oomc => {
                    killer::run(Command::new("/peers/configurations/oomc/usr/bin/oomc").arg("--version"))
                        .ok()?
                }
                _ => killer::run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", one.name()]))
                    .ok()?,
            };
            Some((one.name().to_owned(), version.trim().to_owned()))
        })
        .collect()
}

fn send(port: &mut File, message: &Message) -> Result<(), String> {
    let mut line = serde_json::to_string(message).map_err(|error| error.to_string())?;
    line.push('\n');
    port.write_all(line.as_bytes()).map_err(|error| format!("cannot write to {PORT}: {error}"))
}
