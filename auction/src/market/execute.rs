//! Executing a block: what is due at its start, its transactions in order, what is due at its end.
//!
//! ```text
//! begin    opening ids · lease ends, accept deadlines · releases in (time, id) order · runners-up · jail
//! apply    every transaction applies, or the block is invalid
//! end      governance · registry root · committees · phases: freeze, close, void, clear · suspensions · finished auctions leave
//! ```
//!
//! Invariant: a pure function of (state, context, transactions, witnesses). The same code runs for a proposer, which solves
//! clearings and keeps the witnesses, and for everybody else, who checks them ([`super::witness`]). The end is in [`super::phases`].

use super::{
    Market,
    admission::{check_seal_key, check_seal_reveal, check_signed},
    auction::{AdmittedBid, Auction, Committee, Phase, ReplacedBid},
    event::Event,
    refusal::Refusal,
    state::{Clock, MarketState},
    table::{Table, whole},
    witness::WitnessError,
};
use crate::{
    outcome::{OutcomeKey, OutcomeRecord},
    task::{AuctionSpec, auction_id},
    transaction::{Action, SignedTx, Transaction},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tender_consensus::application::BlockContext;
use tender_wire::{AuctionId, Height, PublicKey};

/// Bids in one block: bounds verification, where nothing was verified at gossip time, to 1024 proofs, of about a millisecond even one by one (THREATS T26).
pub const MAX_BLOCK_BIDS: usize = 256;
/// Why a payload does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// A transaction that does not apply where it stands.
    #[error("transaction {index}: {refusal}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// The rule it breaks.
        refusal: Refusal,
    },
    /// Too many bids.
    #[error("more than {MAX_BLOCK_BIDS} bids in one block")]
    TooManyBids,
    /// A clearing witness that is missing, wrong or left over.
    #[error("clearing witnesses: {0}")]
    Witness(#[from] WitnessError),
}

/// A block being executed.
pub(crate) struct Run<'a> {
    pub(crate) market: &'a Market,
    pub(crate) state: MarketState,
    /// Height and time of the block.
    pub(crate) at: Clock,
    pub(crate) records: BTreeMap<OutcomeKey, OutcomeRecord>,
    pub(crate) events: Vec<Event>,
    /// Whether evidence of running assignments may have fallen.
    pub(crate) doubt: bool,
    bids: usize,
    /// Bytes that clearing witnesses may take of this block.
    pub(crate) witness_cap: usize,
    /// Whether this block put validators out of the set.
    pub(crate) jailed: bool,
}

impl<'a> Run<'a> {
    /// Starts a block on top of `parent`.
    pub(crate) fn begin(market: &'a Market, parent: &MarketState, context: &BlockContext) -> Self {
        let at = Clock {
            height: context.height,
            time: context.time,
        };
        let mut run = Run {
            market,
            state: parent.clone(),
            at,
            records: BTreeMap::new(),
            events: Vec::new(),
            doubt: false,
            bids: 0,
            witness_cap: (context.params.max_block_bytes as usize) / 2,
            jailed: false,
        };
        run.name_opening_blocks(context);
        run.end_leases();
        let vacancies = run.expire_unaccepted();
        run.release_endings();
        run.assign_runners_up(vacancies);
        let culprits = context
            .evidence
            .iter()
            .map(|evidence| evidence.offence().validator);
        run.jailed = run.state.jail(culprits);
        run.state.clock = at;
        run
    }

    /// Auctions opened in the parent learn its id, which did not exist when it was executed.
    fn name_opening_blocks(&mut self, context: &BlockContext) {
        for id in self.auctions_where(|auction| auction.opening_block.is_none()) {
            self.edit(&id, |auction| auction.opening_block = Some(context.parent));
        }
    }

    /// Applies one transaction, or leaves the state as it was.
    pub(crate) fn apply(&mut self, tx: &Transaction) -> Result<(), Refusal> {
        match tx {
            Transaction::Bid(bid) => {
                let admitted = self.market.admit_bid(&self.state, self.at, bid)?;
                self.bids = self.bids.saturating_add(1);
                self.enter_bid(bid.content.auction, admitted);
            }
            Transaction::SealKey(tx) => {
                check_seal_key(&self.state, self.at, tx)?;
                self.edit(&tx.auction, |auction| {
                    auction.keys.insert(tx.member, tx.key);
                });
                self.events.push(Event::SealKeyPosted {
                    auction: tx.auction,
                    member: tx.member,
                });
            }
            Transaction::SealReveal(tx) => {
                check_seal_reveal(&self.state, self.at, tx)?;
                self.edit(&tx.auction, |auction| {
                    auction.reveals.insert(tx.rank, tx.reveal);
                });
                self.report_reveal(&tx.auction, tx.rank);
            }
            Transaction::Signed(tx) => {
                check_signed(&self.state, self.at, tx, self.market.signatures())?;
                let next = tx.sequence.saturating_add(1);
                self.state.sequences.edit().0.insert(tx.signer, next);
                self.act(tx);
            }
        }
        Ok(())
    }

    /// Whether another bid fits the block.
    pub(crate) fn takes_bids(&self) -> bool {
        self.bids < MAX_BLOCK_BIDS
    }

    /// Whether the block holds more bids than it may.
    pub(crate) fn has_too_many_bids(&self) -> bool {
        self.bids > MAX_BLOCK_BIDS
    }

    fn enter_bid(&mut self, auction_id: AuctionId, bid: AdmittedBid) {
        let consumable = bid.consumable();
        let (id, asset, bidder) = (bid.id, bid.asset, bid.bidder);
        let mut replaces = None;
        self.edit(&auction_id, |auction| {
            if let Some(old) = auction.by_asset.insert(asset, id) {
                auction.bids.remove(&old);
                auction.replaced.insert(
                    old,
                    ReplacedBid {
                        bidder,
                        asset,
                        by: id,
                    },
                );
                replaces = Some(old);
            }
            auction.bids.insert(id, Arc::new(bid));
        });
        let ledger = self.state.ledger.edit();
        ledger.add_bid(asset, bidder, consumable);
        if replaces.is_some() {
            ledger.remove_bid(&asset);
        }
        self.events.push(Event::BidAdmitted {
            auction: auction_id,
            bid: id,
            bidder,
            asset,
            replaces,
        });
    }

    fn report_reveal(&mut self, id: &AuctionId, rank: u8) {
        let Some(auction) = self.state.auction(id) else {
            return;
        };
        let member = auction
            .keys
            .keys()
            .nth(usize::from(rank).saturating_sub(1))
            .copied();
        if let Some(member) = member {
            let reveals = auction.reveals.len();
            self.events.push(Event::Revealed {
                auction: *id,
                member,
                reveals,
            });
        }
    }

    fn act(&mut self, tx: &SignedTx) {
        match &tx.action {
            Action::OpenAuction(spec) => self.open_auction(tx.signer, tx.sequence, spec),
            Action::Issue { .. } | Action::Revoke { .. } | Action::RevokeAttestation { .. } => {
                self.act_as_issuer(&tx.signer, &tx.action);
            }
            Action::Approve(proposal) => {
                self.state.approve(tx.signer, proposal);
                let proposal = proposal.id(&self.state.chain());
                self.events.push(Event::Approved {
                    proposal,
                    validator: tx.signer,
                });
            }
            Action::Accept(_) | Action::Deliver { .. } | Action::Confirm(_) | Action::Reject(_) => {
                self.move_award(&tx.action);
            }
        }
    }

    fn open_auction(&mut self, opener: PublicKey, nonce: u64, spec: &AuctionSpec) {
        let id = auction_id(&self.state.chain(), &opener, nonce);
        let auctions = self.state.auctions.edit();
        let order = auctions.opened;
        auctions.opened = order.saturating_add(1);
        let auction = Auction {
            id,
            opener,
            order,
            opened: self.at.height,
            opening_block: None,
            spec_hash: whole(spec),
            spec: Arc::new(spec.clone()),
            committee: Committee::default(), // the set after this block: see `seat_committees`
            keys: BTreeMap::new(),
            phase: Phase::Keys {
                until: after(self.at.height, spec.windows.keys),
            },
            bids: BTreeMap::new(),
            by_asset: BTreeMap::new(),
            replaced: BTreeMap::new(),
            suspended: BTreeSet::new(),
            reveals: BTreeMap::new(),
            awards: BTreeMap::new(),
            runners_up: BTreeMap::new(),
        };
        auctions.by_id.insert(id, Table::new(auction));
        self.events.push(Event::AuctionOpened {
            auction: id,
            opener,
        });
    }

    fn act_as_issuer(&mut self, signer: &PublicKey, action: &Action) {
        let Some((issuer, _)) = self.state.issuers.listed(signer) else {
            return;
        };
        let height = self.at.height;
        let row = usize::from(issuer.value());
        match action {
            Action::Issue { commitment, asset } => {
                let credentials = self.state.credentials.edit();
                if let Ok(index) = credentials.issue(issuer, commitment, *asset) {
                    self.events.push(Event::LeafIssued {
                        issuer,
                        index,
                        asset: *asset,
                    });
                }
                if let Some(row) = self.state.issuers.edit().0.get_mut(row) {
                    row.posted = row.posted.saturating_add(1);
                }
            }
            Action::Revoke { index } => {
                let asset = self.state.credentials.row(*index).map(|row| row.asset);
                self.state.credentials.edit().revoke(*index, height);
                self.doubt = true;
                if let Some(asset) = asset {
                    self.events.push(Event::LeafRevoked {
                        issuer,
                        index: *index,
                        asset,
                    });
                }
            }
            Action::RevokeAttestation { asset, serial } => {
                let (asset, serial) = (*asset, *serial);
                self.state
                    .credentials
                    .edit()
                    .revoke_serial(issuer, asset, serial, height);
                if let Some(row) = self.state.issuers.edit().0.get_mut(row) {
                    row.revoked_serials = row.revoked_serials.saturating_add(1);
                }
                self.doubt = true;
                self.events.push(Event::AttestationRevoked {
                    issuer,
                    asset,
                    serial,
                });
            }
            _ => {}
        }
    }

    pub(crate) fn edit(&mut self, id: &AuctionId, change: impl FnOnce(&mut Auction)) {
        if let Some(auction) = self.state.auctions.edit().by_id.get_mut(id) {
            change(auction.edit());
        }
    }

    /// Ids of the auctions that fit, in opening order.
    pub(crate) fn auctions_where(&self, fits: impl Fn(&Auction) -> bool) -> Vec<AuctionId> {
        self.state
            .auctions()
            .filter(|auction| fits(auction))
            .map(|auction| auction.id)
            .collect()
    }

    pub(crate) fn record(&mut self, record: OutcomeRecord) {
        self.records.insert(record.key(), record);
    }
}

/// The last block of a window that starts after `height`.
pub(crate) fn after(height: Height, blocks: u32) -> Height {
    Height(height.0.saturating_add(blocks.into()))
}
