//! A process that holds memory. It does what its standard input says, a command a line, and
//! answers each with one line; when the input ends, so does it.
//!
//! Memory is taken a mebibyte at a time and touched at once, so that an OOM falls into the middle
//! of a command and not before it.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::map;

const CHUNK: usize = 1 << 20;

/// What a page of page tables covers.
const REACH: usize = 2 << 20;

/// Everything the process holds on to.
#[derive(Default)]
struct Held {
    chunks: Vec<Vec<u8>>,
    files: u32,
}

pub(crate) fn run() -> Result<(), String> {
    let mut held = Held::default();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("cannot read a command: {error}"))?;
        let answer = match obey(&mut held, &line) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error,
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{answer}")
            .and_then(|()| output.flush())
            .map_err(|error| format!("cannot answer: {error}"))?;
        if line == "leave" {
            drop(output);
            map::end_this_thread();
        }
    }
    Ok(())
}

fn obey(held: &mut Held, line: &str) -> Result<(), String> {
    let (command, value) = line.split_once(' ').unwrap_or((line, ""));
    let size = || value.parse::<usize>().map_err(|_| format!("`{value}` is no number"));
    match command {
        "deaf" => {
            let mut term = SigSet::empty();
            term.add(Signal::SIGTERM);
            term.thread_block().map_err(|error| format!("deaf: {error}"))?;
        }
        "comm" => fs::write("/proc/self/comm", value).map_err(|error| format!("comm: {error}"))?,
        "anon" => {
            let mut left = size()?;
            while left > 0 {
                let now = left.min(CHUNK);
                held.chunks.push(vec![1; now]);
                left -= now;
            }
        }
        // Zeroed memory of this size is address space alone until somebody writes there. It is asked for in parts: the
        // kernel refuses more at once than the machine has.
        "sparse" => {
            for _ in 0..size()? {
                let mut chunk = vec![0; REACH];
                chunk.iter_mut().step_by(REACH).for_each(|byte| *byte = 1);
                held.chunks.push(chunk);
            }
        }
        "file" => file(held, "/ram", size()?)?,
        "shmem" => file(held, "/tmp", size()?)?,
        "threads" => {
            for _ in 0..size()? {
                thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(|| {
                        loop {
                            thread::park();
                        }
                    })
                    .map_err(|error| format!("threads: {error}"))?;
            }
        }
        "leave" => {}
        other => return Err(format!("`{other}` is no command")),
    }
    Ok(())
}

/// Writes a file into this folder and maps it.
fn file(held: &mut Held, folder: &str, size: usize) -> Result<(), String> {
    held.files += 1;
    let path = PathBuf::from(folder).join(format!("{}.{}", process::id(), held.files));
    let says = |error: io::Error| format!("{}: {error}", path.display());
    let mut file =
        File::options().create(true).truncate(true).write(true).read(true).open(&path).map_err(says)?;
    let chunk = vec![1; CHUNK];
    let mut left = size;
    while left > 0 {
        let now = left.min(CHUNK);
        file.write_all(chunk.get(..now).unwrap_or_default()).map_err(says)?;
        left -= now;
    }
    map::touch(&file, size)
}
