//! Files that root believes: what stands in them is loaded into the kernel.
//!
//! A file, and the folder that it is in, belong to root or to whoever asks, and nobody else may write to them.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::exit::Failure;

/// The largest file of standing policies.
const MAX: u64 = 64 << 10;

/// The largest policy or object.
const MAX_POLICY: u64 = 64 << 20;

/// Others than the owner may write.
const WRITABLE: u32 = 0o022;

/// Reads a file that nobody else can have written.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let cannot = |error: std::io::Error| Failure::refused(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(cannot)?;
    believed(path, &file.metadata().map_err(cannot)?)?;
    let mut bytes = Vec::new();
    (&mut file).take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(Failure::refused(format!("{} is larger than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// Reads a policy or an object that a file of standing policies names. Whoever may write to its folder can put another one
/// there.
pub(crate) fn policy(path: &Path) -> Result<Vec<u8>, Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let data = std::fs::metadata(folder)
        .map_err(|error| Failure::refused(format!("cannot look at {}: {error}", folder.display())))?;
    believed(folder, &data)?;
    read(path, MAX_POLICY)
}

/// Reads a file of standing policies.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path, MAX)?)
        .map_err(|_| Failure::refused(format!("{} is no UTF-8 text", path.display())))
}

/// Refuses what somebody else may change.
pub(crate) fn believed(path: &Path, data: &Metadata) -> Result<(), Failure> {
    let refused =
        |why: String, help: String| Err(Failure::refused(format!("{} {why}", path.display())).help(help));
    // Where that cannot be read, root alone is believed.
    let asks = std::fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(0);
    if data.uid() != 0 && data.uid() != asks {
        let help = format!("chown root {}", path.display());
        return refused(format!("belongs to user {}, and what it says is done as root", data.uid()), help);
    }
    if data.permissions().mode() & WRITABLE != 0 {
        let help = format!("chmod go-w {}", path.display());
        return refused("can be written by others than its owner".to_owned(), help);
    }
    Ok(())
}
