//! Own messages that nobody could be sent yet.
//!
//! A peer that starts first publishes to no one. What it says is kept for [`MAX_AGE`] and tried again when a peer subscribes.
//! Bound: [`MAX_MESSAGES`] and [`MAX_BYTES`]; the oldest go first.

use super::topic::Topic;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Older messages have lost their meaning: rounds have passed, and status was said again.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(10);
/// Messages kept.
pub(crate) const MAX_MESSAGES: usize = 256;
/// Bytes kept.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// When it was first said, and what.
type Waiting = (Instant, Topic, Vec<u8>);

/// The waiting messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Outbox {
    /// Keeps a message; returns the topics of those that had to go.
    pub(super) fn keep(&mut self, now: Instant, topic: Topic, data: Vec<u8>) -> Vec<Topic> {
        self.bytes = self.bytes.saturating_add(data.len());
        self.waiting.push_back((now, topic, data));
        let mut dropped = Vec::new();
        while self.waiting.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            dropped.extend(self.pop().map(|(_, topic, _)| topic));
        }
        dropped
    }

    /// Takes out everything, to be tried again; what is too old is dropped, its topics returned.
    pub(super) fn take(&mut self, now: Instant) -> (Vec<Waiting>, Vec<Topic>) {
        let (mut retry, mut dropped) = (Vec::new(), Vec::new());
        while let Some((since, topic, data)) = self.pop() {
            if now.saturating_duration_since(since) > MAX_AGE {
                dropped.push(topic);
            } else {
                retry.push((since, topic, data));
            }
        }
        (retry, dropped)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn pop(&mut self) -> Option<Waiting> {
        let message = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(message.2.len());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_count_bytes_and_age() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for _ in 0..MAX_MESSAGES {
            assert!(outbox.keep(now, Topic::Vote, vec![0; 10]).is_empty());
        }
        assert_eq!(outbox.keep(now, Topic::Tx, vec![0; 10]), [Topic::Vote]);
        let dropped = outbox.keep(now, Topic::Tx, vec![0; MAX_BYTES]);
        assert_eq!(dropped.len(), MAX_MESSAGES);
        let (retry, dropped) = outbox.take(now + MAX_AGE);
        assert_eq!((retry.len(), dropped.len()), (1, 0));
        assert!(outbox.is_empty() && outbox.bytes == 0);
        outbox.keep(now, Topic::Tx, vec![1]);
        let (retry, dropped) = outbox.take(now + MAX_AGE + Duration::from_millis(1));
        assert_eq!((retry.len(), dropped), (0, vec![Topic::Tx]));
    }
}
