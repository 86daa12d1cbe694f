//! Work on many functions by several threads, in their order.
//!
//! Gives the same as one thread would: each item is worked on alone, and the answers stand in the order of the items.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// Fewer functions are done sooner than threads are started.
const MANY: usize = 16;

/// Divides the items among the processors, if they are many, and gives what each part has answered.
pub(crate) fn in_parts<T: Send, R: Send>(items: &mut [T], work: impl Fn(&mut [T]) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    if items.len() < MANY || processors == 1 {
        return vec![work(items)];
    }
    let size = items.len().div_ceil(processors);
    thread::scope(|scope| {
        let parts: Vec<_> = items.chunks_mut(size).map(|part| scope.spawn(|| work(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
