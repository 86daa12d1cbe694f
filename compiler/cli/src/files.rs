//! Files by the names that users give them: reads, writes, and looks into folders.
//!
//! `-` is standard input where something is read, and standard output where something is written; a file of that
//! name is `./-`. Knows nothing of what the files hold.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Exit, Failure};

/// What standard input is called in messages; also the stem of a policy that comes from there.
const STDIN: &str = "stdin";

/// The largest file that is read. No policy and no object comes near.
const MAX_FILE: u64 = 64 << 20;

/// Folders inside each other that are looked into.
const DEPTH: usize = 16;

/// Whether a path means standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a file is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_dash(path) { STDIN.to_owned() } else { path.display().to_string() }
}

/// Reads a policy, an object or types of a kernel.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_at_most(path, MAX_FILE)?;
    bytes.ok_or_else(|| {
        let size = MAX_FILE >> 20;
        Failure::refused(format!("{} is larger than {size} MiB: this is no policy", name(path)))
    })
}

/// Reads a file; nothing if it is larger than `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut bytes = Vec::new();
    let read = match is_dash(path) {
        true => {
            once()?;
            io::stdin().lock().take(most + 1).read_to_end(&mut bytes).map(|size| size as u64)
        }
        false => File::open(path).and_then(|file| match file.metadata()?.len() {
            // Before it is held, where the file says so.
            size if size > most => Ok(size),
            _ => file.take(most + 1).read_to_end(&mut bytes).map(|size| size as u64),
        }),
    };
    let size = read.map_err(|error| cannot_read(path, &error))?;
    Ok((size <= most).then_some(bytes))
}

/// Standard input is empty after the first time: a second file of that name would be another one.
fn once() -> Result<(), Failure> {
    static READ: AtomicBool = AtomicBool::new(false);
    match READ.swap(true, Ordering::Relaxed) {
        false => Ok(()),
        true => Err(Failure::new(Exit::Usage, "`-` stands for standard input twice")
            .help("it can be read once; name a file for the other")),
    }
}

/// Why a file was not read.
pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::refused(format!("cannot read {}: {}", name(path), reason(error)));
    match error.kind() {
        io::ErrorKind::IsADirectory => {
            failure.help("name a file in it; `check`, `fmt` and `test` take folders, too")
        }
        _ => failure,
    }
}

/// Writes to a file beside the wanted one and renames it, so that nobody reads half a file and a full disk
/// costs nothing. What was there keeps its owner, its permissions and the links to it. What is not an ordinary
/// file (`/dev/stdout`) is written directly.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot write {}: {}", path.display(), reason(&error)));
    let unless_gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    };
    if is_dash(path) {
        let mut stdout = io::stdout().lock();
        let written = unless_gone(stdout.write_all(bytes).and_then(|()| stdout.flush()));
        return written
            .map_err(|error| Failure::refused(format!("cannot write the output: {}", reason(&error))));
    }
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return unless_gone(fs::write(path, bytes)).map_err(failed);
    }
    replace(path, before.as_ref(), bytes).map_err(failed)
}

/// Writes an ordinary file.
fn replace(path: &Path, before: Option<&fs::Metadata>, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let path = if before.is_some() { opened(path)? } else { path.to_owned() };
    let Some(name) = path.file_name() else {
        return Err(io::Error::other("it is no file name"));
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(beside);
    let keep = |before: &fs::Metadata| {
        // Only root can give a file away; others own what they write.
        let _ = chown(&beside, Some(before.uid()), Some(before.gid()));
        fs::set_permissions(&beside, before.permissions())
    };
    let write = || File::options().write(true).create_new(true).open(&beside)?.write_all(bytes);
    let result = write().and_then(|()| before.map_or(Ok(()), keep)).and_then(|()| fs::rename(&beside, &path));
    if result.is_err() {
        // Only if it was made at all.
        let _ = fs::remove_file(&beside);
    }
    result
}

/// Where a file is that can be written. A link that somebody else has put there is not followed, for root before all: who may
/// make files in a folder, /tmp for example, would say what is written over.
fn opened(path: &Path) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let link = fs::symlink_metadata(path)?;
    let asks = fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(0);
    if link.is_symlink() && link.uid() != asks && link.uid() != 0 {
        return Err(io::Error::other(format!("it is a link of user {}", link.uid())));
    }
    // The kernel says where that leads.
    let file = File::options().write(true).open(path)?;
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).or_else(|_| fs::canonicalize(path))
}

/// Bytes that are no text are not for a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Files as they are named; instead of a folder, those in it and below it that have one of the endings, in the order
/// of their paths. What is hidden is left out.
pub(crate) fn expand(named: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for path in named {
        if is_dash(path) || !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let found = expand_if_any(path, endings)?;
        if found.is_empty() {
            return Err(Failure::refused(format!("there is no policy in {}", path.display()))
                .help(format!("in a folder, files that end in .{} are meant", endings.join(" or ."))));
        }
        all.extend(found);
    }
    Ok(all)
}

/// The files of some endings in a folder, which may be none.
pub(crate) fn expand_if_any(folder: &Path, endings: &[&str]) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    below(folder, endings, DEPTH, &mut found).map_err(|error| cannot_read(folder, &error))?;
    Ok(found)
}

/// The files of some endings in a folder and below it.
fn below(folder: &Path, endings: &[&str], depth: usize, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        let ends = |ending: &&str| path.extension().is_some_and(|extension| extension == *ending);
        if kind.is_dir() && depth > 0 {
            below(&path, endings, depth - 1, found)?;
        } else if kind.is_file() && endings.iter().any(ends) {
            found.insert(path.strip_prefix("./").map(Path::to_owned).unwrap_or(path));
        }
    }
    Ok(())
}

/// As many entries of folders are looked at for somebody who waits.
const ENTRIES: usize = 20_000;

/// The files of an ending in a folder and below it, for somebody who cannot be told of an error: what cannot be read is left
/// out, and so is what lies behind the first [`ENTRIES`]. Links are not followed.
pub(crate) fn some_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), DEPTH)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > ENTRIES {
                break;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() && depth > 0 {
                folders.push((path, depth - 1));
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// An error of the system without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}

/// The object of a policy: beside it, or to standard output for one that came from standard input.
pub(crate) fn object_path(policy: &Path) -> PathBuf {
    if is_dash(policy) { policy.to_owned() } else { policy.with_extension("o") }
}
