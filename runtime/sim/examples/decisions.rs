//! How fast decisions are simulated: `cargo run --release -p oomc-sim --example decisions`, or `cargo xtask bench`.
//!
//! One policy, asked again and again on trees of several sizes, in turn, so that all see the same computer. A
//! decision looks at every process of the tree several times: for a victim in flight, for the best candidate, and
//! for those that the record tells besides.

use std::process::ExitCode;
use std::time::Instant;

use oomc_abi::resolve::KernelView;
use oomc_object::Object;
use oomc_sim::machine::{Amounts, Cgroup, Event, Machine, PAGE, Process};
use oomc_sim::{Attached, Kernel, Policy, Simulation};

const POLICY: &str = "mode audit kill largest process in subtree";

/// Cgroups and processes.
const TREES: [(usize, usize); 3] = [(100, 1_000), (1_000, 10_000), (10_000, 100_000)];

/// Rounds in which each tree has its turn.
const ROUNDS: usize = 11;

/// A candidate costs at most this many times in the largest tree what it costs in the smallest.
const GROWTH_GOAL: f64 = 1.25;

/// Every hundredth cgroup is a limited one below the root, the others are its leaves.
fn tree(cgroups: usize, processes: usize) -> Machine {
    let mut machine = Machine { memory: 1 << 32, now: 1 << 50, ..Machine::default() };
    machine.cgroups.push(Cgroup { id: 1, serial: 1, ..Cgroup::default() });
    for number in 1..=cgroups {
        let (id, serial) = (100 + number as i64, 1 + number as i64);
        let parent = if number % 100 == 1 { 0 } else { number - 1 - (number - 2) % 100 };
        let own = Amounts { charged: 1000, anon: 1000 * PAGE, ..Amounts::default() };
        let name = format!("c{number}");
        machine.cgroups.push(Cgroup { name, parent: Some(parent), id, serial, own, ..Cgroup::default() });
    }
    for number in 0..processes {
        let leaf = 2 + number * 7 % (cgroups - 1);
        // In no order of size.
        let anon = (number * 7_919 % 65_521) as i64;
        let pid = 2 + number as i64;
        let comm = format!("p{number}");
        machine.processes.push(Process {
            cgroup: leaf,
            pid,
            comm,
            anon,
            threads: 1,
            start: pid,
            ..Process::default()
        });
    }
    machine
}

fn measure() -> Result<String, Box<dyn std::error::Error>> {
    let kernel = Kernel::new(KernelView::embedded())?;
    let compiled = oomc_compiler::compile(&oomc_compiler::Source::new("bench.oom", POLICY), kernel.view());
    let policy =
        Policy::new(&kernel, &Object::parse(&compiled.object.ok_or("the policy does not compile")?)?)?;
    let event = Event { total: 1 << 32, ..Event::default() };
    let mut rows = Vec::new();
    for (cgroups, processes) in TREES {
        let machine = tree(cgroups, processes);
        let attached = Attached::new(&policy, &machine, 0);
        let simulation = Simulation::new(&kernel, machine)?;
        // As many decisions in a round that each tree takes about the same time.
        rows.push((cgroups, processes, 100_000 / processes, simulation, attached, Vec::new(), 0));
    }
    for round in 0..=ROUNDS {
        for (_, processes, decisions, simulation, attached, times, instructions) in &mut rows {
            let start = Instant::now();
            for _ in 0..*decisions {
                let run = simulation.ask(attached, &event)?;
                if run.answer != 0 || attached.records().last().map(|record| record.victim) == Some(0) {
                    return Err("the policy has chosen nobody".into());
                }
                *instructions = run.instructions;
            }
            // The first round is not counted.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() / *decisions as f64 / *processes as f64);
            }
        }
    }
    let mut text = format!(
        "`{POLICY}`; medians of {ROUNDS} rounds in turn.\n\n{:>9}{:>11}{:>14}{:>20}{:>20}{:>20}\n",
        "cgroups", "processes", "decisions/s", "ns per candidate", "instr. per cand.", "bytes per process"
    );
    let mut first = None;
    let mut growth = 0.0;
    for (cgroups, processes, _, simulation, _, times, instructions) in &mut rows {
        times.sort_by(f64::total_cmp);
        let time = times.get(times.len() / 2).copied().unwrap_or_default();
        growth = time / *first.get_or_insert(time);
        let count = *processes as f64;
        text.push_str(&format!(
            "{cgroups:>9}{processes:>11}{:>14.1}{:>20.0}{:>20.0}{:>20.0}\n",
            1.0 / (time * count),
            time * 1e9,
            *instructions as f64 / count,
            simulation.bytes_of_processes() as f64 / count,
        ));
    }
    let verdict = if growth <= GROWTH_GOAL { "met" } else { "NOT met" };
    text.push_str(&format!(
        "a candidate in the largest tree to one in the smallest: {growth:.3}   ≤ {GROWTH_GOAL:.2}  {verdict}"
    ));
    Ok(text)
}

#[expect(clippy::print_stdout, reason = "this is a program")]
fn main() -> ExitCode {
    match measure() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
