//! What was seen, a line of JSON each in `target/bench/peers.jsonl`: a run that is broken off loses nothing.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use oomc_peers::report::Message;

use crate::build;

fn place() -> PathBuf {
    build::root().join("target/bench/peers.jsonl")
}

/// Begins anew, or goes on with what there is.
pub(super) fn begin(more: bool) -> Result<(), String> {
    let place = place();
    let cannot = |error| format!("cannot write {}: {error}", place.display());
    place.parent().map_or(Ok(()), fs::create_dir_all).map_err(cannot)?;
    let file = File::options().create(true).append(true).open(&place).map_err(cannot)?;
    if more { Ok(()) } else { file.set_len(0).map_err(cannot) }
}

/// Adds a line.
pub(super) fn keep(message: &Message) -> Result<(), String> {
    let place = place();
    let line = serde_json::to_string(message).map_err(|error| error.to_string())?;
    let file = File::options().append(true).open(&place);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(|error| format!("cannot write {}: {error}", place.display()))
}

/// All lines.
pub(super) fn read() -> Result<Vec<Message>, String> {
    let place = place();
    let text =
        fs::read_to_string(&place).map_err(|error| format!("cannot read {}: {error}", place.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", place.display())))
        .collect()
}
