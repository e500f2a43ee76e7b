//! A bounded memory of results that are expensive to find again. It never changes a result: a miss is computed anew.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// First in, first out.
pub struct Cache<K, V> {
    rows: Mutex<Rows<K, V>>,
    most: usize,
}

struct Rows<K, V> {
    by_key: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Ord + Clone, V: Clone> Cache<K, V> {
    /// Remembers at most this many results.
    pub fn new(most: usize) -> Self {
        let rows = Rows {
            by_key: BTreeMap::new(),
            order: VecDeque::new(),
        };
        Cache {
            rows: Mutex::new(rows),
            most,
        }
    }

    /// What was found before.
    pub fn known(&self, key: &K) -> Option<V> {
        self.lock().by_key.get(key).cloned()
    }

    /// Remembers, forgetting the oldest if there is no room.
    pub fn remember(&self, key: K, value: V) {
        let mut rows = self.lock();
        if rows.by_key.insert(key.clone(), value).is_none() {
            rows.order.push_back(key);
        }
        while rows.order.len() > self.most {
            if let Some(oldest) = rows.order.pop_front() {
                rows.by_key.remove(&oldest);
            }
        }
    }

    // A panic elsewhere cannot leave a row half written, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Rows<K, V>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_the_bound_holds() {
        let cache = Cache::new(2);
        for i in [1, 2, 2, 3] {
            cache.remember(i, i * 10);
        }
        assert_eq!(
            [1, 2, 3].map(|i| cache.known(&i)),
            [None, Some(20), Some(30)]
        );
    }
}
