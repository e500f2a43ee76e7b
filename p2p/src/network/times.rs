//! How long things may take, in one place, so that tests can take shorter times than peers do.

use super::{
    REQUEST_TIMEOUT,
    gossip::{DUPLICATE_MEMORY, HEARTBEAT},
    task::IDENTIFY_DEADLINE,
    transport::{IDLE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT},
};
use std::time::Duration;

/// Each is the constant of its name, but in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) request: Duration,
    pub(super) identify: Duration,
    pub(super) idle: Duration,
    pub(super) ping_interval: Duration,
    pub(super) ping: Duration,
    pub(super) heartbeat: Duration,
    pub(super) duplicates: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            request: REQUEST_TIMEOUT,
            identify: IDENTIFY_DEADLINE,
            idle: IDLE_TIMEOUT,
            ping_interval: PING_INTERVAL,
            ping: PING_TIMEOUT,
            heartbeat: HEARTBEAT,
            duplicates: DUPLICATE_MEMORY,
        }
    }
}
