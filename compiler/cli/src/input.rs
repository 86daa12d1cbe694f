//! Files that a command reads and writes. An error keeps what was tried, on which file, and the cause.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use oomc_compiler::KernelView;

/// The largest policy that is read. Positions in a text are 32 bits; no policy comes near.
const MAX_SOURCE: u64 = 64 << 20;

/// The bytes of a policy.
pub(crate) fn read_source(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_SOURCE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(format!("{} is larger than {} MiB: this is no policy", path.display(), MAX_SOURCE >> 20));
    }
    Ok(bytes)
}

/// The kernel to check against.
pub(crate) fn kernel(btf: Option<&Path>) -> Result<KernelView, String> {
    let Some(path) = btf else { return Ok(KernelView::embedded()) };
    let bytes = fs::read(path).map_err(|error| format!("cannot read the BTF {}: {error}", path.display()))?;
    KernelView::from_btf(&bytes).map_err(|error| format!("{} is no BTF of a kernel: {error}", path.display()))
}

/// Writes a file whole or not at all: a reader never sees half an object.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    // A device or a pipe, such as /dev/stdout, cannot be replaced.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, bytes).map_err(failed);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        // What was begun is of no use; that it cannot be removed changes nothing for the caller.
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}
