//! Writes the archive from which the kernel fills its first file system: the "newc" format of
//! `Documentation/driver-api/early-userspace/buffer-format.rst` (Linux 6.12).
//!
//! Times, owners and device numbers are zero, so that equal files make equal archives.

use std::collections::BTreeSet;

/// An archive that is being written.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

impl Archive {
    /// Adds a file, readable and executable for everybody, with the folders above it. `path` has
    /// no leading slash.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        let mut at = 0;
        while let Some(next) = path.get(at..).and_then(|rest| rest.find('/')) {
            at += next;
            self.folder(path.get(..at).unwrap_or_default());
            at += 1;
        }
        self.entry(path, PROGRAM, content);
    }

    /// Adds an empty folder.
    pub fn folder(&mut self, path: &str) {
        if self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER, &[]);
        }
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        // magic ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize chksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_their_files_and_once() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"text");
        archive.file("a/b/d", b"");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes).replace('\0', "|");
        let names: Vec<&str> =
            text.split("070701").skip(1).map(|entry| entry.get(104..).unwrap_or_default()).collect();
        assert_eq!(names.len(), 5 + 1 - 1, "{text}");
        assert!(names.first().is_some_and(|name| name.starts_with("a|")), "{names:?}");
        assert!(bytes.len().is_multiple_of(4));
    }
}
