//! Places in the node's queues. A gossip message holds one from being handed over until it is judged or dropped, so that one peer that floods
//! fills its own places and not the queue: others' votes are still heard (THREATS B8, B19).
//!
//! Bound: [`PER_PEER`] of one peer; [`OF_STRANGERS`] of all that are not reserved, the rest of the queue being kept for those that are.

use super::EVENT_QUEUE;
use std::sync::Arc;

/// Messages of one peer not yet judged.
pub(crate) const PER_PEER: usize = 128;
/// Messages of strangers not yet judged.
pub(crate) const OF_STRANGERS: usize = EVENT_QUEUE / 4 * 3;

/// One message's place; free again when dropped.
#[derive(Debug)]
pub struct Place {
    _of_peer: Arc<()>,
    _of_strangers: Option<Arc<()>>,
}

/// Gives out places that are taken from one share.
#[derive(Debug, Default)]
pub(super) struct Share(Arc<()>);

impl Share {
    fn taken(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }

    /// A place of the peer whose share this is, and of the strangers' if it is one.
    pub(super) fn place(&self, strangers: Option<&Share>) -> Option<Place> {
        let free = self.taken() < PER_PEER && strangers.is_none_or(|s| s.taken() < OF_STRANGERS);
        free.then(|| Place {
            _of_peer: Arc::clone(&self.0),
            _of_strangers: strangers.map(|s| Arc::clone(&s.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b8_one_peer_and_all_strangers_hold_so_many_places_and_no_more() {
        let (strangers, friend) = (Share::default(), Share::default());
        let some: Vec<_> = (0..20).map(|_| Share::default()).collect();
        let mut held = Vec::new();
        for share in &some {
            let places = (0..1000).filter_map(|_| share.place(Some(&strangers)));
            held.push(places.collect::<Vec<_>>());
        }
        assert_eq!(held[0].len(), PER_PEER);
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), OF_STRANGERS);
        assert!(friend.place(None).is_some());
        held.remove(0);
        assert!(some[0].place(Some(&strangers)).is_some());
        assert!(
            some[1].place(Some(&strangers)).is_none(),
            "its own are taken"
        );
    }
}
