//! A queue in which sources take turns: whoever sends much waits behind itself, not in front of others.
//!
//! Bounds: so many items in all, and of one source. Order within a source is kept.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

/// The queue.
pub(super) struct Turns<S, T> {
    waiting: BTreeMap<S, VecDeque<T>>,
    len: usize,
    last: Option<S>,
    most: usize,
    most_of_one: usize,
}

impl<S: Ord + Copy, T> Turns<S, T> {
    /// An empty queue with its bounds.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Turns {
            waiting: BTreeMap::new(),
            len: 0,
            last: None,
            most,
            most_of_one,
        }
    }

    /// Queues an item, or gives it back if there is no room.
    pub(super) fn push(&mut self, source: S, item: T) -> Result<(), T> {
        let of_one = self.waiting.get(&source).map_or(0, VecDeque::len);
        if self.len >= self.most || of_one >= self.most_of_one {
            return Err(item);
        }
        self.waiting.entry(source).or_default().push_back(item);
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Keeps only items that fit.
    pub(super) fn retain(&mut self, fits: impl Fn(&T) -> bool) {
        for items in self.waiting.values_mut() {
            items.retain(&fits);
        }
        self.waiting.retain(|_, items| !items.is_empty());
        self.len = self.waiting.values().map(VecDeque::len).sum();
    }

    /// Items waiting.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The oldest item of the next source in turn among those that may be served.
    pub(super) fn pop(&mut self, may: impl Fn(&S) -> bool) -> Option<T> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.waiting.range((after, Bound::Unbounded));
        let mut in_turn = later.chain(self.waiting.iter()).map(|(source, _)| *source);
        let source = in_turn.find(may)?;
        let items = self.waiting.get_mut(&source)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.waiting.remove(&source);
        }
        self.last = Some(source);
        self.len = self.len.saturating_sub(1);
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L1, T26: a flood delays its own source only.
    #[test]
    fn sources_take_turns_and_keep_their_order() {
        let mut turns = Turns::new(100, 10);
        for i in 0..5 {
            turns.push('a', ('a', i)).unwrap();
        }
        turns.push('c', ('c', 0)).unwrap();
        turns.push('b', ('b', 0)).unwrap();
        assert_eq!(turns.pop(|_| true), Some(('a', 0)));
        turns.push('b', ('b', 1)).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| turns.pop(|_| true)).collect();
        let expected = [
            ('b', 0),
            ('c', 0),
            ('a', 1),
            ('b', 1),
            ('a', 2),
            ('a', 3),
            ('a', 4),
        ];
        assert_eq!(rest, expected);
        assert!(turns.waiting.is_empty() && turns.len == 0);
    }

    /// Who may not be served now keeps place and order.
    #[test]
    fn some_sources_may_be_passed_over() {
        let mut turns = Turns::new(100, 10);
        for i in 0..3 {
            turns.push('a', ('a', i)).unwrap();
            turns.push('b', ('b', i)).unwrap();
        }
        let popped: Vec<_> = std::iter::from_fn(|| turns.pop(|source| *source != 'a')).collect();
        assert_eq!(popped, [('b', 0), ('b', 1), ('b', 2)]);
        assert_eq!((turns.len(), turns.pop(|_| true)), (3, Some(('a', 0))));
    }

    #[test]
    fn what_is_withdrawn_leaves_its_room() {
        let mut turns = Turns::new(3, 2);
        for (source, item) in [('a', 1), ('a', 2), ('b', 3)] {
            turns.push(source, item).unwrap();
        }
        turns.retain(|item| *item == 2);
        assert_eq!((turns.len(), turns.push('b', 4)), (1, Ok(())));
        assert_eq!(turns.pop(|_| true), Some(2));
        assert_eq!(turns.pop(|_| true), Some(4));
        assert_eq!(turns.pop(|_| true), None);
    }

    #[test]
    fn bounds_hold_and_room_comes_back() {
        let mut turns = Turns::new(3, 2);
        assert_eq!(turns.push(1, 'x'), Ok(()));
        assert_eq!(turns.push(1, 'x'), Ok(()));
        assert_eq!(turns.push(1, 'y'), Err('y'), "of one source");
        assert_eq!(turns.push(2, 'x'), Ok(()));
        assert_eq!(turns.push(3, 'y'), Err('y'), "in all");
        turns.pop(|_| true);
        assert_eq!(turns.push(3, 'y'), Ok(()));
    }
}
