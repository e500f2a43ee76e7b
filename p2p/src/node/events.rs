//! What a committed block looks like on a timeline: a line for the block and one for every auction that entered a phase.

use super::shared::Chain;
use crate::api::types::{Event, Phase};
use std::collections::BTreeMap;
use tender_auction::{
    market::{self, Auction, event::BlockOutcome},
    outcome::{AuctionEnd, OutcomeRecord},
    transaction::{Action, Transaction},
};
use tender_consensus::{block::Block, certificate::CommitCertificate};
use tender_wire::AuctionId;

/// The events of a block, in order. The same on every peer.
pub(super) fn of(
    before: &Chain,
    after: &Chain,
    block: &Block,
    certificate: &CommitCertificate,
    outcome: &BlockOutcome,
) -> Vec<Event> {
    let height = block.header.height;
    let mut events = vec![of_block(block, certificate)];
    let (then, now) = (phases(before), phases(after));
    let mut entered = |auction: AuctionId, phase| {
        let index = u32::try_from(events.len()).unwrap_or(u32::MAX);
        events.push(Event::Auction {
            auction,
            phase,
            height,
            index,
        })
    };
    for record in outcome.records.iter() {
        if let OutcomeRecord::Auction(record) = record {
            entered(record.auction, ended_as(&record.end));
        }
    }
    for (auction, phase) in &now {
        if then.get(auction) != Some(phase) && *phase != Phase::Cleared {
            entered(*auction, *phase);
        }
    }
    for (auction, phase) in &then {
        if *phase == Phase::Cleared && !now.contains_key(auction) {
            entered(*auction, Phase::Finished);
        }
    }
    events
}

/// The block itself.
pub(super) fn of_block(block: &Block, certificate: &CommitCertificate) -> Event {
    Event::Block {
        height: block.header.height,
        block_id: block.id(),
        round: certificate.round(),
        summary: summary(block),
        transactions: u32::try_from(block.transactions.len()).unwrap_or(u32::MAX),
    }
}

/// Where a live auction is in its life.
pub fn phase_of(auction: &Auction) -> Phase {
    match auction.phase {
        market::Phase::Keys { .. } => Phase::Keys,
        market::Phase::Bidding { .. } => Phase::Bidding,
        market::Phase::Reveal { opened: None, .. } => Phase::Reveal,
        market::Phase::Reveal {
            opened: Some(_), ..
        } => Phase::Clearing,
        market::Phase::Settled { .. } if auction.awards.values().any(|a| a.state.is_running()) => {
            Phase::Cleared
        }
        market::Phase::Settled { .. } => Phase::Finished,
    }
}

/// What an auction's own record says of its end.
pub fn ended_as(end: &AuctionEnd) -> Phase {
    match end {
        AuctionEnd::Cleared { .. } => Phase::Cleared,
        AuctionEnd::NoKeys { .. } | AuctionEnd::NoReveals { .. } => Phase::Void,
    }
}

fn phases(chain: &Chain) -> BTreeMap<AuctionId, Phase> {
    chain
        .app
        .auctions()
        .map(|auction| (auction.id, phase_of(auction)))
        .collect()
}

/// "3 bids, 1 reveal".
fn summary(block: &Block) -> String {
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for tx in &block.transactions {
        let kind =
            Transaction::from_bytes(tx.bytes()).map_or((99, "unreadable"), |tx| kind_of(&tx));
        let count = counts.entry(kind).or_default();
        *count = count.saturating_add(1);
    }
    let parts: Vec<_> = counts
        .into_iter()
        .map(|((_, kind), count)| match count {
            1 => format!("1 {kind}"),
            n => format!("{n} {kind}s"),
        })
        .collect();
    parts.join(", ")
}

fn kind_of(tx: &Transaction) -> (usize, &'static str) {
    match tx {
        Transaction::Bid(_) => (0, "bid"),
        Transaction::SealKey(_) => (1, "seal key"),
        Transaction::SealReveal(_) => (2, "reveal"),
        Transaction::Signed(tx) => match tx.action {
            Action::OpenAuction(_) => (3, "auction"),
            Action::Issue { .. } => (4, "credential"),
            Action::Revoke { .. } | Action::RevokeAttestation { .. } => (5, "revocation"),
            Action::Accept(_) => (6, "acceptance"),
            Action::Deliver { .. } => (7, "result"),
            Action::Confirm(_) => (8, "confirmation"),
            Action::Reject(_) => (9, "rejection"),
            Action::Approve(_) => (10, "approval"),
        },
    }
}
