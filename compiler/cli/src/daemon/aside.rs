//! Says things to others without waiting for them.
//!
//! The journal and systemd are processes like any other: where memory is short they may not read what is sent to them, and
//! a sender waits (`net.unix.max_dgram_qlen` datagrams fit, 10 by default in the kernel). The one who decides whom to kill must not wait for
//! them. So a thread sends, and a queue of fixed length is between; what does not fit is left out and counted.
//!
//! Knows nothing of what is said.

use std::cell::Cell;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Things that wait for being said.
const QUEUE: usize = 256;
/// At the end, what waits gets so long to be said.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A thread that says things, and the queue to it.
pub(super) struct Aside<T> {
    queue: Option<SyncSender<T>>,
    /// Is closed when the thread has ended.
    ended: Receiver<()>,
    lost: Cell<u64>,
}

impl<T: Send + 'static> Aside<T> {
    /// `say` may wait as long as it likes.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn new(name: &str, mut say: impl FnMut(T) + Send + 'static) -> io::Result<Self> {
        let (queue, heard) = sync_channel(QUEUE);
        let (end, ended) = sync_channel::<()>(0);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _end = end;
            heard.iter().for_each(&mut say);
        })?;
        Ok(Self { queue: Some(queue), ended, lost: Cell::new(0) })
    }

    /// Puts something into the queue, or counts it as lost.
    pub(super) fn say(&self, what: T) {
        if !self.queued(what) {
            self.lost.set(self.lost.get() + 1);
        }
    }

    /// Says how many were left out, if any were, and forgets them when that is in the queue.
    pub(super) fn say_lost(&self, what: impl FnOnce(u64) -> T) {
        let lost = self.lost.get();
        if lost > 0 && self.queued(what(lost)) {
            self.lost.set(0);
        }
    }

    fn queued(&self, what: T) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.try_send(what).is_ok())
    }
}

impl<T> Drop for Aside<T> {
    fn drop(&mut self) {
        self.queue = None;
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_does_not_read_is_not_waited_for() {
        let (let_go, held) = channel::<()>();
        let (said, heard) = channel();
        let aside = Aside::new("test", move |what: usize| {
            let _ = held.recv();
            let _ = said.send(what);
        })
        .expect("a thread");
        // One is being said; the queue is full behind it.
        let all = 2 * QUEUE;
        (0..all).for_each(|what| aside.say(what));
        let lost = aside.lost.get();
        let left = all - usize::try_from(lost).expect("a few");
        assert!(left == QUEUE || left == QUEUE + 1, "{left}");
        aside.say_lost(|_| usize::MAX);
        assert_eq!(aside.lost.get(), lost, "nobody was told yet");
        drop(let_go);
        let mut first: Vec<usize> = heard.iter().take(left).collect();
        aside.say_lost(|lost| usize::try_from(lost).expect("a few"));
        assert_eq!(aside.lost.get(), 0, "told once");
        drop(aside);
        first.extend(heard.iter());
        let told = first.pop();
        assert_eq!(told.and_then(|told| u64::try_from(told).ok()), Some(lost));
        assert!(first.len() == left && first.is_sorted(), "what waited is said, in its order");
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (_let_go, held) = channel::<()>();
        let aside = Aside::new("test", move |()| {
            let _ = held.recv();
        })
        .expect("a thread");
        aside.say(());
        let begun = std::time::Instant::now();
        drop(aside);
        assert!(begun.elapsed() < 10 * LAST_WORDS);
    }
}
