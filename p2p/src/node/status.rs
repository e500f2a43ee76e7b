//! How far a peer says it is. Said to neighbours on every block and every few seconds; never forwarded, so the
//! connection vouches for who says it, and believed only as a hint whom to ask.
//!
//! Layout, 48 bytes: height `u64`, tip\[32\], beat `u64` (milliseconds since the epoch: makes each message new to gossip).

use serde::{Deserialize, Serialize};
use tender_wire::{BlockId, Height, Wire};

/// The message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusMessage {
    /// Height of the speaker's tip.
    pub(super) height: Height,
    /// Id of its tip.
    pub(super) tip: BlockId,
    /// When it was said.
    pub(super) beat: u64,
}

impl Wire for StatusMessage {
    const NAME: &'static str = "status";
    const MAX_BYTES: usize = 48;
}
