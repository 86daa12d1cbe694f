//! A forest: many small cgroups with processes below one, for counting what a decision costs.
//!
//! Takes a place and a [`Shape`]; the same shape is the same forest in every boot. Sizes, names, `oom_score_adj` and
//! labels follow from a process's number by a fixed hash, so that neither the first nor the last one met is the best.
//! One process of the forest grows when it is told to and shrinks again: that is the event. Knows no policy.
//!
//! Runs as a process of its own with one thread, because each process of the forest is a fork of it: thousands of
//! programs started one by one would take minutes.

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use oomc_vm::script::Shape;

use crate::{map, tree};

const PAGE: usize = 4096;
/// What a page of page tables covers.
const REACH: usize = 2 << 20;
/// Pages that the growing process takes. The first of them is one too many.
const GROWTH: usize = 4;
/// Where the forest's own process runs: outside of the place.
const ASIDE: &str = "/aside";
/// What everything inherits that has no label of its own.
const TIER: u64 = 100;

/// A forest that stands, as its user sees it.
pub(crate) struct Forest {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
    place: String,
    shape: Shape,
}

impl Forest {
    /// Lets one grow; returns when it stands.
    pub(crate) fn grow(place: &str, shape: &Shape) -> Result<Forest, String> {
        let mut child = Command::new("/init")
            .args(["forest", place])
            .args(
                [shape.cgroups, shape.processes, shape.threads, shape.groups]
                    .map(|number| number.to_string()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the forest: {error}"))?;
        let input = child.stdin.take().ok_or("the forest has no input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("the forest has no output")?);
        let mut forest = Forest { child, input, answers, place: place.to_owned(), shape: *shape };
        forest.answer()?;
        Ok(forest)
    }

    /// One process of it grows by a few pages, and gives them back.
    pub(crate) fn event(&mut self) -> Result<(), String> {
        writeln!(self.input, "event").map_err(|error| format!("cannot speak to the forest: {error}"))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<(), String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| format!("cannot hear the forest: {error}"))?;
        if line.trim() == "ok" { Ok(()) } else { Err(format!("the forest failed: {line}")) }
    }
}

impl Forest {
    /// Its numbers in one word.
    pub(crate) fn shape(&self) -> String {
        let Shape { cgroups, processes, threads, .. } = self.shape;
        format!("{cgroups}x{processes}x{threads}")
    }

    /// How many processes it has.
    pub(crate) fn processes(&self) -> u32 {
        self.shape.cgroups * self.shape.processes
    }

    /// Ends all of its processes and removes what they ran in.
    pub(crate) fn fell(mut self) -> Result<(), String> {
        drop(self.input);
        self.child.wait().map_err(|error| format!("cannot wait for the forest: {error}"))?;
        tree::remove_below(&self.place)
    }
}

/// Makes the forest, says `ok`, and after that once for each event.
pub(crate) fn run(place: &str, numbers: [&str; 4]) -> Result<(), String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is no number"));
    let [cgroups, processes, threads, groups] = numbers;
    let shape = Shape {
        cgroups: number(cgroups)?,
        processes: number(processes)?,
        threads: number(threads)?,
        groups: number(groups)?,
    };
    tree::make(ASIDE, false)?;
    tree::write(ASIDE, "cgroup.procs", "0")?;
    tree::set_label(place, TIER)?;
    let levels = levels(&shape);
    let total = shape.cgroups * shape.processes;
    let mut growing = None;
    for at in 0..shape.cgroups {
        let leaf = leaf(place, &shape, at);
        tree::make(&leaf, false)?;
        let hash = mix(0x1abe1 + u64::from(at));
        if hash.is_multiple_of(2) {
            let tiers = [0, 10, 60, 150, 250];
            tree::set_label(&leaf, tiers.get((hash / 2 % 5) as usize).copied().unwrap_or(TIER))?;
        }
        for process in 0..shape.processes {
            let number = at * shape.processes + process;
            let level = levels.get(number as usize).copied().unwrap_or(0);
            let tree = Tree { number, level, base: base(total), threads: shape.threads, cgroup: &leaf };
            let control = plant(&tree, number == total / 3)?;
            growing = control.or(growing);
        }
    }
    let mut growing = growing.ok_or("a forest without processes")?;
    say("ok")?;
    for line in io::stdin().lock().lines() {
        line.map_err(|error| format!("cannot read: {error}"))?;
        growing.0.write_all(b"g").map_err(|error| format!("the growing process is gone: {error}"))?;
        hear(&mut growing.1)?;
        // What the kernel has charged in advance for the growing one goes back when another cgroup is charged.
        map::take_and_give_back(PAGE)?;
        say("ok")?;
    }
    tree::write(place, "cgroup.kill", "1")?;
    map::wait_for_children();
    Ok(())
}

fn say(text: &str) -> Result<(), String> {
    crate::run::line(text)
}

fn hear(pipe: &mut PipeReader) -> Result<(), String> {
    let mut byte = [0];
    pipe.read_exact(&mut byte).map_err(|error| format!("a process of the forest is gone: {error}"))?;
    match byte {
        [b'+'] => Ok(()),
        _ => Err("a process of the forest failed".to_owned()),
    }
}

/// The path of a leaf: below the place, or in groups of so many below it.
fn leaf(place: &str, shape: &Shape, at: u32) -> String {
    match shape.groups {
        0 => format!("{place}/c{at}"),
        groups => format!("{place}/s{}/c{at}", at / groups),
    }
}

/// One process to be.
struct Tree<'a> {
    number: u32,
    level: u32,
    base: usize,
    threads: u32,
    cgroup: &'a str,
}

/// Starts a process and waits until it is what it should be. The growing one can be told to grow.
fn plant(tree: &Tree<'_>, grows: bool) -> Result<Option<(PipeWriter, PipeReader)>, String> {
    let pipe = || io::pipe().map_err(|error| format!("cannot make a pipe: {error}"));
    let (mut ready, mut tell) = pipe()?;
    let (order, control) = pipe()?;
    if map::fork_alone()? {
        drop((ready, control));
        let done = tree.live(&mut tell, order, grows);
        // The host reads the kernel's console when a forest fails.
        if let Err(error) = done {
            let _ = fs::write("/dev/kmsg", format!("<3>forest: {error}"));
            let _ = tell.write_all(b"-");
        }
        std::process::exit(1);
    }
    drop((tell, order));
    hear(&mut ready)?;
    Ok(grows.then_some((control, ready)))
}

impl Tree<'_> {
    /// The life of the process.
    fn live(&self, tell: &mut PipeWriter, mut order: PipeReader, grows: bool) -> Result<(), String> {
        let hash = mix(u64::from(self.number));
        let says = |what: &str, error: io::Error| format!("{what}: {error}");
        tree::write(self.cgroup, "cgroup.procs", "0")?;
        let adj = match hash % 16 {
            0 => -1000,
            1..=4 => 200,
            5 => 500,
            _ => 0,
        };
        fs::write("/proc/self/oom_score_adj", adj.to_string())
            .map_err(|error| says("oom_score_adj", error))?;
        let name = match (hash >> 8) % 16 {
            0 => "sshd".to_owned(),
            1..=5 => format!("batch-{}", self.number),
            _ => format!("worker-{}", self.number),
        };
        fs::write("/proc/self/comm", name).map_err(|error| says("comm", error))?;
        for _ in 1..self.threads {
            let park = || loop {
                thread::park();
            };
            thread::Builder::new().stack_size(64 << 10).spawn(park).map_err(|error| says("thread", error))?;
        }
        let held = vec![1u8; self.base * PAGE];
        // Reading maps the kernel's page of zeros: a page of page tables is all that this costs, and it is counted at
        // once and exactly, unlike pages of memory.
        let sparse = vec![0u8; self.level as usize * REACH];
        let seen: u32 = sparse.iter().step_by(REACH).map(|byte| u32::from(*byte)).sum();
        if (hash >> 16) % 4 == 1 {
            let pages = 16 * ((hash >> 24) % 8) as usize;
            let path = format!("/ram/{}", std::process::id());
            fs::write(&path, vec![1u8; pages * PAGE]).map_err(|error| says(&path, error))?;
        }
        tell.write_all(b"+").map_err(|error| says("ready", error))?;
        if !grows {
            loop {
                thread::park();
            }
        }
        let mut byte = [0];
        while order.read_exact(&mut byte).is_ok() {
            map::take_and_give_back(GROWTH * PAGE)?;
            tell.write_all(b"+").map_err(|error| says("grown", error))?;
        }
        drop((held, seen));
        Ok(())
    }
}

/// Pages of memory that each process has at least. The counts of a process are exact to 32 pages only; and a small
/// forest must be large enough for a limit of which 1 % is more than the growth.
fn base(total: u32) -> usize {
    if total <= 256 { 256 } else { 32 }
}

/// How far above the base each process is, by its number: up to 256 all differ, above some are equal.
fn levels(shape: &Shape) -> Vec<u32> {
    let total = shape.cgroups * shape.processes;
    let mut order: Vec<u32> = (0..total).collect();
    order.sort_by_key(|number| mix(0x5e1ec7 + u64::from(*number)));
    let classes = if total <= 256 { total } else { 128 };
    let mut levels = vec![0; total as usize];
    for (rank, number) in order.iter().enumerate() {
        if let Some(level) = levels.get_mut(*number as usize) {
            *level = 1 + (rank as u64 * u64::from(classes) / u64::from(total)) as u32;
        }
    }
    levels
}

/// A hash of a number (the last step of splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
