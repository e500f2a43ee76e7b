//! Whether a transaction applies to a state: structural rules first, then contextual ones, the dear ones (signatures, proofs) last.
//!
//! The same rules judge in execution, where they are final, and in the mempool, where they predict. Nothing here changes state.
//! Bids are judged in [`super::bids`].

use super::{
    Market,
    auction::{Auction, Phase},
    bids::examine_bid,
    cache::Cache,
    refusal::Refusal,
    registry::MAX_REVOKED_SERIALS,
    sealing::faulty,
    state::{
        Clock, MAX_LIVE, MAX_LIVE_PER_OPENER, MAX_SETTLED, MAX_SETTLED_PER_OPENER, MAX_SIGNERS,
        MAX_UNITS_IN_ALL, MAX_UNITS_PER_OPENER, MarketState,
    },
    verifier::ProofClaim,
};
use crate::{
    genesis::Openers,
    outcome::AwardState,
    seal::{SealError, check_key, check_reveal},
    task::AuctionSpec,
    transaction::{Action, AwardRef, SealKeyTx, SealRevealTx, SignedTx, Transaction},
};
use tender_circuits::{field::is_canonical, registry::CAPACITY};
use tender_wire::{AuctionId, Digest, FieldBytes, PublicKey, UnixTime};

/// What is known of a transaction's signatures. They rest on nothing that changes: issuers keep their index and key for ever.
#[derive(Clone, Copy)]
pub(super) enum Signatures<'a> {
    /// Unless it is a bid remembered here.
    ToVerify(&'a Cache<Digest, ()>),
    Verified,
}

/// Longest time from the end of an auction's windows to the end of its leases: bounds how long a reservation is kept.
pub const MAX_LEASE_SECONDS: u64 = 366 * 24 * 3600;

impl Market {
    /// Whether `tx` applies to `state` in a block at `at`.
    ///
    /// # Errors
    /// [`Refusal`], the first rule broken, cheapest rules first.
    pub fn check(&self, state: &MarketState, at: Clock, tx: &Transaction) -> Result<(), Refusal> {
        match tx {
            Transaction::Bid(bid) => self.admit_bid(state, at, bid).map(|_| ()),
            Transaction::SealKey(key) => check_seal_key(state, at, key),
            Transaction::SealReveal(reveal) => check_seal_reveal(state, at, reveal),
            Transaction::Signed(signed) => check_signed(state, at, signed, self.signatures()),
        }
    }

    /// [`Market::check`] in the earliest block that can follow `state`: what the mempool predicts with.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn predict(&self, state: &MarketState, tx: &Transaction) -> Result<(), Refusal> {
        self.check(state, state.next_clock(), tx)
    }

    /// [`Market::predict`] but for proofs, which are dear: returns those that must yet verify ([`Market::verify_proofs`]).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn predict_but_proofs(
        &self,
        state: &MarketState,
        tx: &Transaction,
    ) -> Result<Vec<ProofClaim>, Refusal> {
        let at = state.next_clock();
        match tx {
            Transaction::Bid(bid) => Ok(examine_bid(state, at, bid, self.signatures())?.proofs),
            _ => self.check(state, at, tx).map(|()| Vec::new()),
        }
    }

    /// [`Market::predict`] of a transaction found to apply before, now that the chain has gone on: all but signatures and proofs, which do
    /// not change. A pool of thousands is judged so after every block.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn predict_again(&self, state: &MarketState, tx: &Transaction) -> Result<(), Refusal> {
        let at = state.next_clock();
        match tx {
            Transaction::Bid(bid) => examine_bid(state, at, bid, Signatures::Verified).map(drop),
            Transaction::Signed(signed) => check_signed(state, at, signed, Signatures::Verified),
            _ => self.check(state, at, tx),
        }
    }
}

impl MarketState {
    pub(crate) fn auction_or_refuse(&self, id: &AuctionId) -> Result<&Auction, Refusal> {
        let auction = self.auctions.by_id.get(id).map(|auction| &**auction);
        auction.ok_or(Refusal::UnknownAuction { auction: *id })
    }
}

pub(super) fn check_seal_key(
    state: &MarketState,
    at: Clock,
    tx: &SealKeyTx,
) -> Result<(), Refusal> {
    let auction = state.auction_or_refuse(&tx.auction)?;
    match auction.phase {
        Phase::Keys { until } if at.height > auction.opened && at.height <= until => {}
        _ => {
            return Err(Refusal::NotTakingKeys {
                auction: tx.auction,
                height: at.height,
            });
        }
    }
    if auction.committee.members.binary_search(&tx.member).is_err() {
        return Err(Refusal::NotMember {
            auction: tx.auction,
            member: tx.member,
        });
    }
    if auction.keys.contains_key(&tx.member) {
        return Err(Refusal::KeyPosted {
            auction: tx.auction,
            member: tx.member,
        });
    }
    let chain = state.chain();
    tx.verify_signature(&chain)
        .map_err(|_| Refusal::BadSignature { signer: tx.member })?;
    check_key(&chain, &tx.auction, &tx.member, &tx.key, &tx.proof).map_err(|error: SealError| {
        Refusal::BadSealKey {
            member: tx.member,
            error,
        }
    })
}

pub(super) fn check_seal_reveal(
    state: &MarketState,
    at: Clock,
    tx: &SealRevealTx,
) -> Result<(), Refusal> {
    let (auction_id, rank) = (tx.auction, tx.rank);
    let auction = state.auction_or_refuse(&auction_id)?;
    match auction.phase {
        Phase::Reveal { until, .. } if at.height <= until => {}
        _ => {
            return Err(Refusal::NotRevealing {
                auction: auction_id,
                height: at.height,
            });
        }
    }
    let key = auction.key_at(rank).ok_or(Refusal::UnknownRank {
        auction: auction_id,
        rank,
    })?;
    if auction.reveals.contains_key(&rank) {
        return Err(Refusal::AlreadyRevealed {
            auction: auction_id,
            rank,
        });
    }
    check_reveal(key, &tx.reveal).map_err(|_| Refusal::BadReveal {
        auction: auction_id,
        rank,
    })
}

pub(super) fn check_signed(
    state: &MarketState,
    at: Clock,
    tx: &SignedTx,
    signatures: Signatures<'_>,
) -> Result<(), Refusal> {
    if let Action::OpenAuction(spec) = &tx.action {
        spec.check().map_err(|error| Refusal::Spec { error })?;
    }
    let expected = state.next_sequence(&tx.signer);
    if tx.sequence != expected {
        return Err(Refusal::Sequence {
            signer: tx.signer,
            expected,
            found: tx.sequence,
        });
    }
    if expected == 0 && state.sequences.0.len() >= MAX_SIGNERS {
        return Err(Refusal::TooManySigners { max: MAX_SIGNERS });
    }
    check_action(state, at, &tx.signer, &tx.action)?;
    if matches!(signatures, Signatures::ToVerify(_)) {
        tx.verify_signature(&state.chain())
            .map_err(|_| Refusal::BadSignature { signer: tx.signer })?;
    }
    match &tx.action {
        // After the signature: parsing a verifying key is work only validators may ask for.
        Action::Approve(proposal) => state.check_approval(&tx.signer, proposal, at.height),
        _ => Ok(()),
    }
}

fn check_action(
    state: &MarketState,
    at: Clock,
    signer: &PublicKey,
    action: &Action,
) -> Result<(), Refusal> {
    match action {
        Action::OpenAuction(spec) => check_open(state, at, signer, spec),
        Action::Issue { commitment, asset } => check_issue(state, signer, commitment, asset),
        Action::Revoke { index } => check_revoke(state, signer, *index),
        Action::RevokeAttestation { asset, serial } => {
            check_revoke_attestation(state, signer, asset, *serial)
        }
        Action::Accept(award) => {
            let (auction, _) = check_award(state, signer, award, Party::Winner, |s| {
                s == AwardState::Assigned
            })?;
            let by = auction.awards.get(award).map(|a| a.accept_by);
            if by.is_some_and(|by| at.height > by) {
                return Err(Refusal::WrongState {
                    state: AwardState::Expired,
                });
            }
            Ok(())
        }
        Action::Deliver { award, .. } => check_award(state, signer, award, Party::Winner, |s| {
            s == AwardState::Accepted
        })
        .map(|_| ()),
        Action::Confirm(award) | Action::Reject(award) => {
            let delivered = |s| matches!(s, AwardState::Delivered { .. });
            check_award(state, signer, award, Party::Opener, delivered).map(|_| ())
        }
        Action::Approve(_) => match state.validators.set.index_of(signer) {
            Some(_) => Ok(()),
            None => Err(Refusal::NotValidator { signer: *signer }),
        },
    }
}

fn check_open(
    state: &MarketState,
    at: Clock,
    signer: &PublicKey,
    spec: &AuctionSpec,
) -> Result<(), Refusal> {
    if let Openers::List(keys) = &state.governance.openers
        && keys.binary_search(signer).is_err()
    {
        return Err(Refusal::NotOpener { signer: *signer });
    }
    let all = || state.auctions.by_id.values();
    let live = all().filter(|auction| auction.is_live());
    let mine = |live| {
        let mine = all().filter(|auction| auction.opener == *signer && auction.is_live() == live);
        mine.count()
    };
    for (what, found, limit) in [
        ("live", mine(true), MAX_LIVE_PER_OPENER),
        ("settled", mine(false), MAX_SETTLED_PER_OPENER),
    ] {
        if found >= limit {
            return Err(Refusal::OpenerLimit {
                opener: *signer,
                what,
                limit,
            });
        }
    }
    if live.count() >= MAX_LIVE {
        return Err(Refusal::AuctionLimit {
            what: "live",
            limit: MAX_LIVE,
        });
    }
    if all().filter(|auction| !auction.is_live()).count() >= MAX_SETTLED {
        return Err(Refusal::AuctionLimit {
            what: "settled",
            limit: MAX_SETTLED,
        });
    }
    let units = |auctions: &mut dyn Iterator<Item = &Auction>| {
        let wanted = auctions.map(|auction| auction.spec.units());
        wanted.fold(spec.units(), usize::saturating_add)
    };
    let rows = || all().map(|auction| &**auction);
    for (whose, found, limit) in [
        (
            "this opener's",
            units(&mut rows().filter(|auction| auction.opener == *signer)),
            MAX_UNITS_PER_OPENER,
        ),
        ("all", units(&mut rows()), MAX_UNITS_IN_ALL),
    ] {
        if found > limit {
            return Err(Refusal::UnitLimit {
                whose,
                found,
                limit,
            });
        }
    }
    check_windows(state, at, spec)?;
    for (class, index) in spec.classes.iter().zip(0u16..) {
        for requirement in &class.requirements {
            let type_id = requirement.type_id;
            let record = state
                .types
                .by_id
                .get(&type_id)
                .ok_or(Refusal::UnknownType { type_id })?;
            record
                .schema
                .check_value(&requirement.requirement)
                .map_err(|error| Refusal::Requirement {
                    class: index,
                    type_id,
                    error,
                })?;
            state.check_issuers(requirement.issuers)?;
        }
        for bonus in &class.bonuses {
            let type_id = bonus.type_id;
            let record = state.types.by_id.get(&type_id);
            let record = record.ok_or(Refusal::UnknownType { type_id })?;
            record
                .schema
                .check_value(&bonus.claim)
                .map_err(|error| Refusal::Requirement {
                    class: index,
                    type_id,
                    error,
                })?;
        }
    }
    Ok(())
}

fn check_windows(state: &MarketState, at: Clock, spec: &AuctionSpec) -> Result<(), Refusal> {
    let windows = &spec.windows;
    let least = u32::from(faulty(&state.validators.set)).saturating_add(2);
    let mut blocks = 0u64;
    for (window, found) in [
        ("keys", windows.keys),
        ("bidding", windows.bidding),
        ("reveal", windows.reveal),
        ("accept", windows.accept),
    ] {
        if found < least {
            return Err(Refusal::WindowTooShort {
                window,
                found,
                least,
            });
        }
        blocks = blocks.saturating_add(found.into());
    }
    let last = blocks
        .saturating_mul(state.rules.block_interval_ms)
        .saturating_add(at.time.0);
    let earliest = UnixTime((last / 1000).saturating_add(1));
    let latest = UnixTime(earliest.0.saturating_add(MAX_LEASE_SECONDS));
    if !(earliest..=latest).contains(&spec.lease_end) {
        return Err(Refusal::LeaseEnd {
            found: spec.lease_end,
            earliest,
            latest,
        });
    }
    Ok(())
}

fn check_issue(
    state: &MarketState,
    signer: &PublicKey,
    commitment: &FieldBytes,
    asset: &FieldBytes,
) -> Result<(), Refusal> {
    let (issuer, row) = state
        .issuers
        .listed(signer)
        .ok_or(Refusal::NotIssuer { signer: *signer })?;
    if row.posted >= row.quota {
        return Err(Refusal::Quota {
            issuer,
            what: "leaves",
            quota: row.quota,
        });
    }
    for (what, value) in [("commitment", commitment), ("asset", asset)] {
        if value.0 == [0; 32] || !is_canonical(value) {
            return Err(Refusal::NotAnElement { what });
        }
    }
    if state.credentials.tree().len() >= CAPACITY {
        return Err(Refusal::RegistryFull);
    }
    Ok(())
}

fn check_revoke(state: &MarketState, signer: &PublicKey, index: u32) -> Result<(), Refusal> {
    let (issuer, _) = state
        .issuers
        .listed(signer)
        .ok_or(Refusal::NotIssuer { signer: *signer })?;
    match state.credentials.row(index) {
        None => Err(Refusal::UnknownLeaf { index }),
        Some(row) if row.issuer != issuer => Err(Refusal::NotYourLeaf { index }),
        Some(row) if row.revoked => Err(Refusal::LeafRevoked { index }),
        Some(_) => Ok(()),
    }
}

fn check_revoke_attestation(
    state: &MarketState,
    signer: &PublicKey,
    asset: &FieldBytes,
    serial: u64,
) -> Result<(), Refusal> {
    let (issuer, row) = state
        .issuers
        .listed(signer)
        .ok_or(Refusal::NotIssuer { signer: *signer })?;
    if row.revoked_serials >= MAX_REVOKED_SERIALS {
        return Err(Refusal::Quota {
            issuer,
            what: "revoked attestations",
            quota: MAX_REVOKED_SERIALS,
        });
    }
    match state.credentials.serial_revoked(issuer, asset, serial) {
        Some(_) => Err(Refusal::AttestationRevoked { issuer, serial }),
        None => Ok(()),
    }
}

enum Party {
    Winner,
    Opener,
}

fn check_award<'a>(
    state: &'a MarketState,
    signer: &PublicKey,
    award: &AwardRef,
    party: Party,
    fits: impl Fn(AwardState) -> bool,
) -> Result<(&'a Auction, AwardState), Refusal> {
    let unknown = Refusal::UnknownAward { award: *award };
    let Some(auction) = state.auctions.by_id.get(&award.auction) else {
        return Err(unknown);
    };
    let Some(row) = auction.awards.get(award) else {
        return Err(unknown);
    };
    let expected = match party {
        Party::Winner => row.bidder,
        Party::Opener => auction.opener,
    };
    if *signer != expected {
        return Err(Refusal::NotParty {
            signer: *signer,
            expected,
        });
    }
    if !fits(row.state) {
        return Err(Refusal::WrongState { state: row.state });
    }
    Ok((auction, row.state))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::{
        scenario::{OPENER, Scenario, class, key, spec, task},
        task::MAX_UNITS,
    };
    use tender_wire::Height;

    /// As many as its live auctions can want, and as many for all; cleared ones count, and one opener's are not another's.
    #[test]
    fn auctions_that_are_not_over_want_so_many_units_and_no_more() {
        let tasks = (0..64).map(|_| task("a task", 0, 100, MAX_UNITS / 64));
        let largest = spec(
            vec![class("small", &[("cpu_milli", 1_000)])],
            tasks.collect(),
        );
        let mut scenario = Scenario::default();
        let id = scenario.open(largest.clone());
        let mut state = scenario.state;
        let row = state.auctions.edit().by_id.remove(&id).unwrap();
        let cleared = |state: &mut MarketState, n: usize, opener: &PublicKey| {
            for _ in 0..n {
                let mut row = row.clone();
                let auction = row.edit();
                auction.opener = *opener;
                auction.phase = Phase::Settled { cleared: Height(9) };
                let auctions = state.auctions.edit();
                auction.id.0[..8].copy_from_slice(&auctions.opened.to_be_bytes());
                auctions.opened += 1;
                auctions.by_id.insert(auction.id, row);
            }
        };
        let (mine, other) = (key(OPENER).public(), key("other").public());
        let open = |state: &MarketState, opener: &PublicKey| {
            let found = check_open(state, state.next_clock(), opener, &largest);
            found.map_err(|refusal| match refusal {
                Refusal::UnitLimit { limit, .. } => limit,
                other => panic!("{other}"),
            })
        };
        let units = MAX_UNITS as usize;
        cleared(&mut state, MAX_UNITS_PER_OPENER / units - 1, &mine);
        assert_eq!(open(&state, &mine), Ok(()));
        cleared(&mut state, 1, &mine);
        assert_eq!(open(&state, &mine), Err(MAX_UNITS_PER_OPENER));
        assert_eq!(open(&state, &other), Ok(()));
        let most = MAX_UNITS_IN_ALL / units;
        for i in state.auctions.by_id.len()..most {
            assert_eq!(open(&state, &other), Ok(()), "{i} of {most}");
            cleared(&mut state, 1, &key(&i.to_string()).public());
        }
        assert_eq!(open(&state, &other), Err(MAX_UNITS_IN_ALL));
    }
}
