//! Work on many things, shared out over rayon's threads.

use rayon::prelude::*;

/// Things that are worked on together, at most: as many as the caches hold.
pub(super) const TOGETHER: usize = 1024;
/// The same at least, as long as there are as many: fewer would share too little.
const APART: usize = 64;
/// What shares are multiples of: the lanes of the widest engine.
const EVEN: usize = 8;

/// How many of so many things a thread works on together.
pub(super) fn share(count: usize) -> usize {
    count
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(EVEN)
        .clamp(APART, TOGETHER)
}

/// Does the work for each share of the things, in order. What is one share is done in this thread.
pub(super) fn spread<T: Sync, U: Send>(
    things: &[T],
    work: impl Fn(&[T]) -> U + Send + Sync,
) -> Vec<U> {
    let share = share(things.len());
    if things.len() <= share {
        vec![work(things)]
    } else {
        things.par_chunks(share).map(work).collect()
    }
}
