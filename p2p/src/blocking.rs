//! Work that blocks its thread (the disk, a proof): so much of it at once, the rest waits for its turn.

use std::sync::Arc;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// The places of one kind of such work. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Blocking(Arc<Semaphore>);

impl Blocking {
    /// So many places.
    pub(crate) fn new(places: usize) -> Self {
        Blocking(Arc::new(Semaphore::new(places)))
    }

    /// Does the work on a thread that may block, as soon as there is a place; `None` if it panicked. The work holds its place, and goes on when
    /// nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.0).acquire_owned().await; // never closed
        let done = spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api, node::courier};
    use futures::FutureExt as _;
    use std::sync::mpsc::sync_channel;

    /// P10, B22: whoever asks for much that blocks waits behind itself, not consensus behind it; who leaves does not free a place before its
    /// work has ended.
    #[tokio::test]
    async fn so_much_blocks_at_once_and_one_more_waits_for_its_turn() {
        for most in [api::MAX_READS, courier::MAX_READS, api::jobs::MAX_AT_ONCE] {
            let blocking = Blocking::new(most);
            let mut held = Vec::new();
            for _ in 0..most {
                let (release, gate) = sync_channel::<()>(1);
                // Begun, and left by whoever asked.
                assert!(blocking.run(move || gate.recv()).now_or_never().is_none());
                held.push(release);
            }
            assert_eq!(blocking.0.available_permits(), 0);
            let mut next = Box::pin(blocking.run(|| 7));
            assert!((&mut next).now_or_never().is_none());
            held.pop();
            assert_eq!(next.await, Some(7));
        }
    }
}
