//! Waiting: for cgroups that come and go, for files that change, for decisions.
//!
//! A [`Watch`] says that something happened in a directory, not what: whoever waits looks for himself, because events are
//! lost when too many come. Knows nothing of policies.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Bytes for events that are read at once; one with the longest name needs 272.
const EVENTS: usize = 4096;

/// What has happened since somebody asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Anything at all.
    pub any: bool,
    /// A directory came or went, one of the files that are named was written, or nobody knows, because events were lost.
    pub tree: bool,
}

/// Directories that are watched.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Without descriptors, or above `fs.inotify.max_user_instances`.
    pub fn new() -> Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| failed("inotify_init1", "inotify", error))?;
        Ok(Self { inotify })
    }

    /// Watches what comes into a directory, leaves it, or is written in it. One that is watched already stays so; one that
    /// is gone, or is no directory, is left out.
    ///
    /// # Errors
    /// Above `fs.inotify.max_user_watches`.
    pub fn directory(&self, place: &Path) -> Result<()> {
        let what = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        match inotify::add_watch(&self.inotify, place, what) {
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(failed("inotify_add_watch", &place.display().to_string(), error)),
        }
    }

    /// Watches what the kernel or somebody else writes to a file: of cgroups, that an event was counted.
    ///
    /// # Errors
    /// Above `fs.inotify.max_user_watches`.
    pub fn file(&self, place: &Path) -> Result<()> {
        match inotify::add_watch(&self.inotify, place, WatchFlags::MODIFY | WatchFlags::DONT_FOLLOW) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("inotify_add_watch", &place.display().to_string(), error)),
        }
    }

    /// Whether anything happened since the last time.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub fn happened(&self) -> Result<bool> {
        self.changes(&[]).map(|changes| changes.any)
    }

    /// What happened since the last time; `files` are names of files in the directories that are watched.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub fn changes(&self, files: &[&str]) -> Result<Changes> {
        let whole = ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT;
        let mut space = [MaybeUninit::uninit(); EVENTS];
        let mut events = inotify::Reader::new(&self.inotify, &mut space);
        let mut changes = Changes::default();
        loop {
            match events.next() {
                Ok(event) => {
                    changes.any = true;
                    let what = event.events();
                    // That attributes of a directory have changed is no change of the tree.
                    let moved = what.contains(ReadFlags::ISDIR) && !what.contains(ReadFlags::ATTRIB);
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    let named = name.is_some_and(|name| files.contains(&name));
                    changes.tree |= moved || named || what.intersects(whole);
                }
                Err(Errno::WOULDBLOCK) => return Ok(changes),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed("read", "inotify", error)),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn failed(call: &'static str, object: &str, error: Errno) -> Error {
    Error::Call { call, object: object.to_owned(), source: io::Error::from(error) }
}

/// Waits until one of these can be read, or for so long; a signal ends it, too.
///
/// # Errors
/// When the kernel refuses.
pub fn wait(of: &[BorrowedFd<'_>], at_most: Duration) -> Result<()> {
    wait_also(of, &[], at_most).map(drop)
}

/// As [`wait`], or until one of the `urgent` has something urgent to say, as the kernel's triggers of pressure do. Gives
/// which of them have: the kernel says it once.
///
/// # Errors
/// When the kernel refuses.
pub fn wait_also(of: &[BorrowedFd<'_>], urgent: &[BorrowedFd<'_>], at_most: Duration) -> Result<Vec<bool>> {
    let readable = of.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
    let urgent = urgent.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::PRI));
    let mut all: Vec<PollFd<'_>> = readable.chain(urgent).collect();
    let too_long = |_| Error::Unexpected("a wait is longer than the kernel counts".to_owned());
    let at_most = Timespec::try_from(at_most).map_err(too_long)?;
    match poll(&mut all, Some(&at_most)) {
        Ok(_) => Ok(all.iter().skip(of.len()).map(|fd| fd.revents().contains(PollFlags::PRI)).collect()),
        Err(Errno::INTR) => Ok(Vec::new()),
        Err(error) => Err(failed("ppoll", "what is waited for", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_changes_the_tree_is_told_from_what_is_written_in_it() {
        let place = std::env::temp_dir().join(format!("oomc-watch-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a folder");
        let watch = Watch::new().expect("inotify");
        watch.directory(&place).expect("a watch");
        let of = |any, tree| Changes { any, tree };
        let after = |change: &dyn Fn() -> io::Result<()>| {
            change().expect("a change");
            watch.changes(&["memory.max"]).expect("an answer")
        };
        assert_eq!(after(&|| Ok(())), of(false, false));
        assert_eq!(after(&|| fs::write(place.join("memory.high"), "1")), of(true, false));
        assert_eq!(after(&|| fs::write(place.join("memory.max"), "1")), of(true, true));
        assert_eq!(after(&|| fs::create_dir(place.join("web"))), of(true, true));
        assert_eq!(
            after(&|| fs::write(place.join("web/memory.max"), "1")),
            of(false, false),
            "nobody watches it"
        );
        assert_eq!(after(&|| fs::remove_dir_all(place.join("web"))), of(true, true));
        assert_eq!(after(&|| fs::remove_dir_all(&place)), of(true, true), "it is gone itself");
    }
}
