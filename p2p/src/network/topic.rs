//! What is gossiped and what the protocols are called on the wire.
//!
//! Invariant: every topic and protocol name carries the chain, so peers of different chains have no protocol in common
//! (THREATS T30, B11). Names are for finding each other; what is signed binds the full chain id.

use crate::metrics::TopicLabel;
use libp2p::{StreamProtocol, gossipsub::IdentTopic, gossipsub::TopicHash};
use tender_consensus::{evidence::Evidence, message::Message, params::MAX_TX_BYTES};
use tender_wire::{ChainId, Wire};

/// Largest status message: a height, an id, and room for a validator's proof of identity.
pub(crate) const MAX_STATUS_BYTES: usize = 2 << 10;

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Transactions.
    Tx,
    /// Votes and proposals.
    Vote,
    /// Evidence of equivocation.
    Evidence,
    /// What a peer is and how far it has come.
    Status,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 4] = [Topic::Tx, Topic::Vote, Topic::Evidence, Topic::Status];

    /// Largest message in bytes. Larger things travel by request.
    pub const fn max_bytes(self) -> usize {
        match self {
            // With a length before it, should the node send one.
            Topic::Tx => MAX_TX_BYTES + 8,
            Topic::Vote => Message::MAX_BYTES,
            // A variant index before it.
            Topic::Evidence => Evidence::MAX_BYTES + 4,
            Topic::Status => MAX_STATUS_BYTES,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Topic::Tx => "tx",
            Topic::Vote => "vote",
            Topic::Evidence => "evidence",
            Topic::Status => "status",
        }
    }

    pub(super) const fn label(self) -> TopicLabel {
        match self {
            Topic::Tx => TopicLabel::Tx,
            Topic::Vote => TopicLabel::Vote,
            Topic::Evidence => TopicLabel::Evidence,
            Topic::Status => TopicLabel::Status,
        }
    }
}

/// The names of one chain.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(chain: &ChainId) -> Self {
        Names {
            prefix: format!("/tender/{}", chain.short()),
        }
    }

    pub(super) fn topic(&self, topic: Topic) -> IdentTopic {
        IdentTopic::new(format!("{}/{}/2", self.prefix, topic.name()))
    }

    pub(super) fn parse_topic(&self, hash: &TopicHash) -> Option<Topic> {
        Topic::ALL
            .into_iter()
            .find(|topic| self.topic(*topic).hash() == *hash)
    }

    /// gossipsub appends its version.
    pub(super) fn gossip_prefix(&self) -> String {
        format!("{}/meshsub", self.prefix)
    }

    pub(super) fn kad(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/kad/1", self.prefix))
    }

    pub(super) fn request(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/request/1", self.prefix))
    }

    /// What identify says of us; a peer that says otherwise is of another chain or version.
    pub(super) fn identify(&self) -> String {
        format!("{}/2", self.prefix)
    }
}
