//! From a snapshot to the model that policies are simulated on.
//!
//! The kernel's files say what a cgroup has with everything below it; the model wants each cgroup's own share. The
//! files are not read at one moment, and counters lag: a share that would be negative is 0.

use std::collections::HashMap;

use oomc_sim::machine::{self, Amounts, Life, Machine, PAGE, Unknown};

use crate::schema::{Cgroup, Pressure, Process, Snapshot, Windows};

/// The schema that first told of the machine's swap, of parents and of pid namespaces.
const SINCE_SWAP: u32 = 2;

impl Snapshot {
    /// Bytes in a page of the machine.
    #[must_use]
    pub fn page(&self) -> i64 {
        self.page_size.unwrap_or(PAGE)
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let places: HashMap<&str, usize> =
            self.cgroups.iter().enumerate().map(|(at, one)| (one.path.as_str(), at)).collect();
        let place = |path: &str| places.get(path).copied();
        let mut order: Vec<usize> = (0..self.cgroups.len()).collect();
        order.sort_by_key(|at| self.cgroups.get(*at).map(|one| one.id));
        let mut serials = vec![0; self.cgroups.len()];
        for (serial, at) in (1..).zip(order) {
            if let Some(place) = serials.get_mut(at) {
                *place = serial;
            }
        }
        let cgroups = self.cgroups.iter().zip(serials);
        let page = self.page();
        let mut machine = Machine {
            page,
            memory: self.memory / page,
            swap: self.swap / page,
            swap_free: self.swap_free / page,
            no_swapping: self.no_swapping,
            unknown: Unknown { swap: self.schema < SINCE_SWAP, parents: self.schema < SINCE_SWAP },
            now: self.now,
            cgroups: cgroups
                .map(|(one, serial)| cgroup(one, one.parent.as_deref().and_then(place), serial, page))
                .collect(),
            processes: self
                .processes
                .iter()
                .map(|one| process(one, place(&one.cgroup).unwrap_or(0), page))
                .collect(),
        };
        // What is below is taken away from whoever stands above, from the end on.
        let totals: Vec<Amounts> = self.cgroups.iter().map(|one| amounts(one, page)).collect();
        for (at, total) in totals.iter().enumerate().skip(1) {
            let bare = self.cgroups.get(at).is_some_and(|one| !one.controller);
            let above = machine.ancestors(at).skip(1).find(|above| !machine.cgroup(*above).bare);
            if let Some(own) = above.filter(|_| !bare).and_then(|above| machine.cgroups.get_mut(above)) {
                own.own.add(total, -1);
            }
        }
        for one in &mut machine.cgroups {
            one.own.at_least_nothing();
        }
        machine
    }
}

fn cgroup(one: &Cgroup, parent: Option<usize>, serial: i64, page: i64) -> machine::Cgroup {
    let pages = |bytes: i64| bytes / page;
    let name = one.path.rsplit('/').next().unwrap_or_default();
    machine::Cgroup {
        name: name.to_owned(),
        parent,
        id: one.id,
        serial,
        bare: parent.is_some() && !one.controller,
        group: one.oom_group,
        max: one.max.map(pages),
        high: one.high.map(pages),
        low: pages(one.low.unwrap_or(0)),
        min: pages(one.min.unwrap_or(0)),
        swap_max: one.swap_max.map(pages),
        own: amounts(one, page),
        pressure: one.pressure.map(pressure),
        ..machine::Cgroup::default()
    }
}

/// With everything below.
fn amounts(one: &Cgroup, page: i64) -> Amounts {
    let mut amounts = Amounts {
        charged: one.current.unwrap_or(0) / page,
        swapped: one.swap.unwrap_or(0) / page,
        ..Amounts::default()
    };
    for (row, value) in one.amounts() {
        *amounts.get_mut(row.amount) = value;
    }
    amounts
}

/// Percent with eleven bits of fraction, as the kernel keeps it: the file shows hundredths, rounded down.
fn pressure(of: Pressure) -> [[i64; 3]; 2] {
    let windows =
        |of: Windows| [of.avg10, of.avg60, of.avg300].map(|percent| (percent * 2048.0).ceil() as i64);
    [windows(of.some), windows(of.full)]
}

fn process(one: &Process, cgroup: usize, page: i64) -> machine::Process {
    let pages = |bytes: i64| bytes / page;
    machine::Process {
        cgroup,
        pid: one.pid,
        comm: one.comm.clone(),
        uid: one.uid,
        adj: one.oom_score_adj,
        anon: pages(one.anon),
        file: pages(one.file),
        shmem: pages(one.shmem),
        swap: pages(one.swap),
        pgtables: one.page_tables,
        threads: one.threads.max(1),
        start: one.start,
        kernel: one.kernel_thread,
        // With threads left, only its leader is gone.
        leader_gone: one.exiting && one.threads > 1,
        parent: one.parent,
        ns_pids: one.ns_pids.clone(),
        // Who chose a victim stands in no file.
        life: match (one.exiting && one.threads <= 1, one.killed) {
            (true, _) => Life::Gone { chosen: false, reaped: true },
            (false, true) => Life::Dying { chosen: false, reaped: false },
            (false, false) => Life::Lives,
        },
        ..machine::Process::default()
    }
}
