//! Counts what a decision costs: attaches an object to the root of a forest, lets the forest run into its limit, and
//! reads how long the kernel says that the program ran. On a machine whose clock counts instructions that is a
//! number of instructions.
//!
//! The decision is counted without its kill: the object's calls of the kill kfunc answer that they have killed and do
//! nothing ([`libbpf::Kills`]). So nobody dies and the next object finds the forest as this one did. The event ends because
//! a second policy, on the parent, is asked next and raises the limit.

use std::collections::BTreeMap;

use crate::forest::Forest;
use crate::libbpf::{self, Kills, Loaded};
use crate::tree;

/// Raises the limit: `tests/bench/relief.bpf.c`.
const RELIEF: &str = "relief.o";
/// Events per object. Now and then one is longer than the others, because the clock's interrupt came in between; in a
/// large forest it comes in between always, and more events tell nothing more.
const EVENTS: usize = 3;
const LARGE: u32 = 500;
/// Growths that do not become an event, because the kernel finds something to reclaim: names of files that the processes
/// have opened while they started.
const RECLAIMS: usize = 30;
/// What the parent may have beyond what it has: enough for the growing process, too little for a policy that only raises
/// a limit by at least one hundredth.
const ROOM: u64 = 16 * 4096;

/// Objects that were counted, loaded once each.
#[derive(Default)]
pub(crate) struct Counter {
    loaded: BTreeMap<String, Loaded>,
}

impl Counter {
    /// Gives the nanoseconds of each event.
    pub(crate) fn count(&mut self, file: &str, place: &str, forest: &mut Forest) -> Result<Vec<u64>, String> {
        let (parent, _) = place.rsplit_once('/').ok_or("a place without a parent")?;
        self.load(RELIEF, Kills::Real)?;
        self.load(file, Kills::Pretended)?;
        let find = |name| self.loaded.get(name).ok_or_else(|| format!("{name} is not loaded"));
        let (relief, policy) = (find(RELIEF)?, find(file)?);
        let _counting = libbpf::count_runs()?;
        let _relief = relief.attach(&tree::folder(parent))?;
        let _policy = policy.attach(&tree::folder(place))?;
        let (mut all, mut idle) = (Vec::new(), 0);
        let events = if forest.processes() < LARGE { EVENTS } else { 1 };
        while all.len() < events {
            fill(parent, place)?;
            let before = policy.ran()?;
            forest.event()?;
            let after = policy.ran()?;
            match (after.0 - before.0, after.1 - before.1) {
                (1, nanoseconds) => all.push(nanoseconds),
                (0, _) if idle < RECLAIMS => idle += 1,
                (times, _) => return Err(format!("{file} was asked {times} times instead of once")),
            }
        }
        for cgroup in [place, parent] {
            tree::write(cgroup, "memory.max", "max")?;
        }
        Ok(all)
    }

    fn load(&mut self, file: &str, kills: Kills) -> Result<(), String> {
        if !self.loaded.contains_key(file) {
            self.loaded.insert(file.to_owned(), Loaded::new(file, kills)?);
        }
        Ok(())
    }
}

/// Lets the place be full and the parent nearly so. Reading the statistics brings them up to date: what a policy has to
/// gather is then the same for each.
fn fill(parent: &str, place: &str) -> Result<(), String> {
    tree::write(parent, "memory.max", "max")?;
    let used = |cgroup: &str| {
        let text = tree::read(cgroup, "memory.current")?;
        text.trim().parse::<u64>().map_err(|_| format!("`{text}` is no number"))
    };
    tree::write(place, "memory.max", &used(place)?.to_string())?;
    tree::write(parent, "memory.max", &(used(parent)? + ROOM).to_string())?;
    tree::read(parent, "memory.stat").map(drop)
}
