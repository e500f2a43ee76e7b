//! Admission of bids: the road from a [`Bid`] anybody may send to an [`AdmittedBid`], which only this module makes.
//!
//! Order: shape, auction and window, identity, sealed shape, signature, evidence without cryptography, ledger, attestations, proofs.
//! Whether evidence *covers* a class is not judged here but for each entry at clearing; a bid may serve one class and not another.

use super::{
    Market,
    admission::Signatures,
    auction::{AdmittedBid, AdmittedEvidence, Auction, Phase},
    cache::Cache,
    execute::MAX_BLOCK_BIDS,
    refusal::Refusal,
    state::{Clock, MarketState},
    verifier::ProofClaim,
};
use crate::{
    bid::{Bid, BidContent, ClassSlots, EvidenceSummary},
    ledger::{Amounts, Capacity},
    seal::BidBody,
    task::{AuctionSpec, auction_id},
    transaction::{Action, Transaction},
};
use std::{collections::BTreeMap, sync::Arc};
use tender_circuits::{
    Attestation, CapabilityType, Claim, ClaimSchema, Evidence, IssuerMask, ProofEvidence,
    verify::VerifyError,
};
use tender_consensus::tx::TxBytes;
use tender_wire::{
    AuctionId, BidId, ChainId, Digest, FieldBytes, Height, Tag, TypeId, UnixTime, hash_of,
};

/// A bid that may enter if all its proofs verify.
pub(super) struct ExaminedBid {
    bid: AdmittedBid,
    pub(super) proofs: Vec<ProofClaim>,
}

impl Market {
    /// The bid as the market keeps it, if it may enter.
    pub(crate) fn admit_bid(
        &self,
        state: &MarketState,
        at: Clock,
        bid: &Bid,
    ) -> Result<AdmittedBid, Refusal> {
        let ExaminedBid { bid, proofs } = examine_bid(state, at, bid, self.signatures())?;
        for claim in &proofs {
            self.verifier.verify(claim).map_err(|_| claim.refused())?;
        }
        Ok(bid)
    }

    /// Signatures that are to be verified, unless they are remembered.
    pub(super) fn signatures(&self) -> Signatures<'_> {
        Signatures::ToVerify(&self.signatures)
    }

    /// Verifies proofs together; one verdict for each, in order: [`ProofClaim::refused`] is how a bid is refused for a bad one. Good verdicts are
    /// remembered.
    pub fn verify_proofs(&self, claims: &[&ProofClaim]) -> Vec<Result<(), VerifyError>> {
        self.verifier.verify_all(claims)
    }

    /// Verifies the proofs of a block's bids together, before it is executed on top of `state`. What is good is remembered; what is not,
    /// execution finds, so after the first bad one nothing more is verified. Only bids that could enter cost anything: a proposer cannot buy
    /// pairings with bids nobody signed.
    pub(crate) fn verify_ahead<E>(
        &self,
        state: &MarketState,
        at: Clock,
        transactions: &[Result<Transaction, E>],
    ) {
        if transactions.iter().any(Result::is_err) {
            return; // the block is invalid
        }
        let bids = transactions.iter().filter_map(|tx| match tx {
            Ok(Transaction::Bid(bid)) => Some(bid),
            _ => None,
        });
        let examined = bids.take(MAX_BLOCK_BIDS);
        let examined =
            examined.filter_map(|bid| examine_bid(state, at, bid, self.signatures()).ok());
        let claims: Vec<_> = examined.flat_map(|bid| bid.proofs).collect();
        let mut parts = claims.chunks(self.verifier.together());
        let _ = parts.all(|part| self.all_good(part));
    }

    /// Verifies the proofs of the blocks that are to be executed next on top of `state`, those of many blocks together. Nothing is decided by it: what is
    /// good is remembered, and each block is judged afterwards as strictly as it would be alone. What a proof must prove follows from its bid and from when
    /// the auction's leases end, so auctions that these blocks open themselves are known too. Ends at the first bid that no block can hold, unsigned or with a bad
    /// proof.
    pub fn verify_range(&self, state: &MarketState, blocks: &[&[TxBytes]]) {
        let chain = state.chain();
        let mut opened: BTreeMap<AuctionId, UnixTime> = BTreeMap::new();
        let mut claims: Vec<ProofClaim> = Vec::new();
        for tx in blocks.iter().flat_map(|transactions| transactions.iter()) {
            let bid = match Transaction::from_bytes(tx.bytes()) {
                Ok(Transaction::Bid(bid)) => bid,
                Ok(Transaction::Signed(tx)) => {
                    if let Action::OpenAuction(spec) = &tx.action {
                        opened.insert(auction_id(&chain, &tx.signer, tx.sequence), spec.lease_end);
                    }
                    continue;
                }
                Ok(_) => continue,
                Err(_) => return,
            };
            let id = &bid.content.auction;
            let known = state.auctions.by_id.get(id).map(|it| it.spec.lease_end);
            let Some(lease_end) = known.or_else(|| opened.get(id).copied()) else {
                continue;
            };
            if bid.content.check().is_err() || !is_signed(&self.signatures, &chain, &bid) {
                return;
            }
            let proofs = bid.content.evidences.iter().filter_map(|it| match it {
                Evidence::Proof(proof) => claim_of(state, lease_end, &bid.content, proof).ok(),
                Evidence::Attestation(_) => None,
            });
            claims.extend(proofs);
            if claims.len() >= self.verifier.together() {
                if !self.all_good(&claims) {
                    return;
                }
                claims.clear();
            }
        }
        self.all_good(&claims);
    }

    /// Verifies claims together, and says whether all are good.
    fn all_good(&self, claims: &[ProofClaim]) -> bool {
        let claims: Vec<_> = claims.iter().collect();
        self.verifier.verify_all(&claims).iter().all(Result::is_ok)
    }
}

impl ProofClaim {
    /// How a bid is refused whose proof does not prove this.
    pub fn refused(&self) -> Refusal {
        Refusal::InvalidProof {
            type_id: self.type_id,
        }
    }
}

/// Whether a bid carries its bidder's signature. Remembers those that do: a signature is verified once, and not again in every block its bid is tried in.
fn is_signed(known: &Cache<Digest, ()>, chain: &ChainId, bid: &Bid) -> bool {
    let memory = hash_of(Tag::Verdict, bid);
    if known.known(&memory).is_some() {
        return true;
    }
    let signed = bid.verify_signature(chain).is_ok();
    if signed {
        known.remember(memory, ());
    }
    signed
}

/// Everything about a bid but its proofs.
pub(super) fn examine_bid(
    state: &MarketState,
    at: Clock,
    bid: &Bid,
    signatures: Signatures<'_>,
) -> Result<ExaminedBid, Refusal> {
    let content = &bid.content;
    content
        .check()
        .map_err(|error| Refusal::BidShape { error })?;
    let auction = state.auction_or_refuse(&content.auction)?;
    match auction.phase {
        Phase::Bidding { closes } if at.height <= closes => {}
        _ => {
            return Err(Refusal::NotBidding {
                auction: auction.id,
                height: at.height,
            });
        }
    }
    let id = content.id();
    check_identity(state, auction, content, id)?;
    check_sealed(auction, content)?;
    if let Signatures::ToVerify(known) = signatures
        && !is_signed(known, &state.chain(), bid)
    {
        return Err(Refusal::BadSignature {
            signer: content.bidder,
        });
    }

    let capacity = check_evidence(state, content)?;
    let consumable = capacity.as_ref().map(|capacity| &capacity.type_id);
    state
        .ledger
        .check_binding(&content.asset, &content.bidder, consumable)?;
    if let Some(Capacity { type_id, amounts }) = &capacity {
        let demand = state.demand(&auction.spec, &content.slots, type_id);
        // Live bids reserve nothing; every release so far counts.
        state
            .ledger
            .check_capacity(&content.asset, &demand, amounts, Height(u64::MAX))?;
    }
    let mut proofs = Vec::new();
    let mut evidences = Vec::with_capacity(content.evidences.len());
    for evidence in &content.evidences {
        let fresh_at = match evidence {
            Evidence::Proof(proof) => {
                proofs.push(claim_of(state, auction.spec.lease_end, content, proof)?);
                state.fresh_root(proof)?
            }
            Evidence::Attestation(attestation) => {
                if matches!(signatures, Signatures::ToVerify(_)) {
                    let record = state.type_or_refuse(&attestation.type_id)?;
                    verify_attestation(state, at, auction, content, &record.schema, attestation)?;
                }
                at.height
            }
        };
        evidences.push(AdmittedEvidence {
            summary: EvidenceSummary::of(evidence),
            fresh_at,
        });
    }
    let bid = AdmittedBid {
        id,
        bidder: content.bidder,
        sequence: content.sequence,
        asset: content.asset,
        evidences,
        slots: content.slots.clone(),
        sealed: content.sealed.clone(),
        capacity,
        admitted: at.height,
    };
    Ok(ExaminedBid { bid, proofs })
}

/// What a proof of a bid must prove in an auction whose leases end then.
fn claim_of(
    state: &MarketState,
    lease_end: UnixTime,
    bid: &BidContent,
    proof: &ProofEvidence,
) -> Result<ProofClaim, Refusal> {
    let type_id = proof.type_id;
    let record = state.types.by_id.get(&type_id);
    Ok(ProofClaim {
        type_id,
        record: Arc::clone(record.ok_or(Refusal::UnknownType { type_id })?),
        statement: bid.statement_of(&state.chain(), proof, lease_end),
        proof: proof.proof,
    })
}

/// One live bid per asset; a replacement comes from its bidder with a higher sequence; nothing enters twice.
fn check_identity(
    state: &MarketState,
    auction: &Auction,
    bid: &BidContent,
    id: BidId,
) -> Result<(), Refusal> {
    if auction.bids.contains_key(&id) || auction.replaced.contains_key(&id) {
        return Err(Refusal::Duplicate { bid: id });
    }
    let live = auction
        .by_asset
        .get(&bid.asset)
        .and_then(|live| auction.bids.get(live));
    if let Some(live) = live
        && live.bidder == bid.bidder
        && live.sequence >= bid.sequence
    {
        return Err(Refusal::NotNewer {
            live: live.id,
            sequence: live.sequence,
        });
    }
    let cap = auction.bid_cap(state.rules.open_budget);
    if auction.admitted() >= cap {
        return Err(Refusal::BidLimit {
            auction: auction.id,
            cap,
        });
    }
    Ok(())
}

fn check_sealed(auction: &Auction, bid: &BidContent) -> Result<(), Refusal> {
    let classes = auction.spec.classes.len();
    if let Some(slots) = bid
        .slots
        .iter()
        .find(|slots| usize::from(slots.class) >= classes)
    {
        return Err(Refusal::UnknownClass {
            auction: auction.id,
            class: slots.class,
        });
    }
    let (keys, entries) = (auction.keys.len(), auction.spec.max_entries);
    if !bid.sealed.fits(keys, BidBody::padded_bytes(entries.into())) {
        return Err(Refusal::SealShape {
            auction: auction.id,
            keys,
            entries,
        });
    }
    Ok(())
}

/// Everything about the evidences but their cryptography. Returns the capacity they claim together.
fn check_evidence(state: &MarketState, bid: &BidContent) -> Result<Option<Capacity>, Refusal> {
    let mut shown: BTreeMap<TypeId, (FieldBytes, IssuerMask)> = BTreeMap::new();
    let mut capacity: Option<Capacity> = None;
    for evidence in &bid.evidences {
        let type_id = *evidence.type_id();
        let record = state.type_or_refuse(&type_id)?;
        record
            .schema
            .check_value(evidence.claim())
            .map_err(|error| Refusal::ClaimShape { type_id, error })?;
        let issuers = evidence.issuers();
        if issuers.is_empty() {
            return Err(Refusal::NoIssuers { type_id });
        }
        state.check_issuers(issuers)?;
        state.check_listed(issuers)?;
        match shown.get_mut(&type_id) {
            Some((asset, _)) if *asset != *evidence.asset() => {
                return Err(Refusal::MixedAssets { type_id });
            }
            // Distinct evidences must mean distinct issuers.
            Some((_, before)) if before.0 & issuers.0 != 0 => {
                return Err(Refusal::OverlappingIssuers { type_id });
            }
            Some((_, before)) => before.0 |= issuers.0,
            None => {
                shown.insert(type_id, (*evidence.asset(), issuers));
            }
        }
        match evidence {
            Evidence::Proof(proof) => state.fresh_root(proof).map(|_| ())?,
            Evidence::Attestation(attestation) => check_attestation(state, attestation)?,
        }
        if record.schema.has_consumables() {
            add_capacity(&mut capacity, bid, &record.schema, evidence)?;
        }
    }
    if !shown.values().any(|(asset, _)| *asset == bid.asset) {
        return Err(Refusal::AssetNotShown { asset: bid.asset });
    }
    Ok(capacity)
}

/// Several issuers vouching for one machine: what all of them vouch for.
fn add_capacity(
    capacity: &mut Option<Capacity>,
    bid: &BidContent,
    schema: &ClaimSchema,
    evidence: &Evidence,
) -> Result<(), Refusal> {
    if *evidence.asset() != bid.asset {
        return Err(Refusal::OtherAsset {
            expected: bid.asset,
            found: *evidence.asset(),
        });
    }
    let amounts = amounts_of(schema, evidence.claim());
    let type_id = *evidence.type_id();
    match capacity {
        None => *capacity = Some(Capacity { type_id, amounts }),
        Some(known) if known.type_id != type_id => {
            return Err(Refusal::TwoConsumables {
                first: known.type_id,
                second: type_id,
            });
        }
        Some(known) => {
            for (least, amount) in known.amounts.iter_mut().zip(amounts) {
                *least = amount.min(*least);
            }
        }
    }
    Ok(())
}

fn check_attestation(state: &MarketState, attestation: &Attestation) -> Result<(), Refusal> {
    let Attestation {
        issuer,
        serial,
        asset,
        ..
    } = attestation;
    match state.credentials.serial_revoked(*issuer, asset, *serial) {
        Some(_) => Err(Refusal::AttestationRevoked {
            issuer: *issuer,
            serial: *serial,
        }),
        None => Ok(()),
    }
}

fn verify_attestation(
    state: &MarketState,
    at: Clock,
    auction: &Auction,
    bid: &BidContent,
    schema: &ClaimSchema,
    attestation: &Attestation,
) -> Result<(), Refusal> {
    let issuer = attestation.issuer;
    let row = state
        .issuers
        .at(issuer)
        .ok_or(Refusal::IssuerNotListed { issuer })?;
    let window = (at.time.seconds(), auction.spec.lease_end);
    attestation.verify(&state.chain(), &row.key, schema, &bid.bidder, window)?;
    Ok(())
}

/// The amounts the ledger debits, of a claim or requirement.
pub(crate) fn amounts_of(schema: &ClaimSchema, claim: &Claim) -> Amounts {
    schema
        .consumables()
        .map(|index| claim.amount(index).unwrap_or(0).into())
        .collect()
}

impl MarketState {
    pub(crate) fn type_or_refuse(&self, type_id: &TypeId) -> Result<&CapabilityType, Refusal> {
        let record = self.types.by_id.get(type_id).map(|record| &**record);
        record.ok_or(Refusal::UnknownType { type_id: *type_id })
    }

    /// Whether the chain has had all these issuers. In a requirement de-listed ones do no harm: nothing new is shown in their name.
    pub(crate) fn check_issuers(&self, issuers: IssuerMask) -> Result<(), Refusal> {
        if issuers.is_subset_of(self.issuers.mask()) {
            return Ok(());
        }
        Err(Refusal::UnknownIssuers {
            mask: issuers.0,
            known: self.issuers.0.len(),
        })
    }

    /// Whether all these issuers are on the list now, as evidence demands.
    fn check_listed(&self, issuers: IssuerMask) -> Result<(), Refusal> {
        let listed = |issuer| {
            let row = self.issuers.at(issuer);
            row.is_some_and(|row| row.delisted.is_none())
        };
        match issuers.iter().find(|issuer| !listed(*issuer)) {
            Some(issuer) => Err(Refusal::IssuerNotListed { issuer }),
            None => Ok(()),
        }
    }

    /// The root rule: the latest block known to end with the proof's root, if that is good.
    pub(crate) fn fresh_root(&self, proof: &ProofEvidence) -> Result<Height, Refusal> {
        let root = proof.registry_root;
        let height = self
            .credentials
            .root_height(&root)
            .ok_or(Refusal::UnknownRoot { root })?;
        for issuer in proof.issuers.iter() {
            match self
                .credentials
                .last_revocation(&self.issuers, issuer, &proof.asset)
            {
                Some(revoked) if revoked > height => {
                    return Err(Refusal::RootTooOld {
                        asset: proof.asset,
                        issuer,
                        revoked,
                    });
                }
                _ => {}
            }
        }
        Ok(height)
    }

    /// Whether admitted evidence still stands: nothing it may rest on was revoked since.
    pub(crate) fn stands(&self, evidence: &AdmittedEvidence) -> bool {
        use tender_circuits::EvidenceKind;
        let EvidenceSummary {
            kind,
            registry_root,
            asset,
            issuers,
            serial,
            ..
        } = &evidence.summary;
        match kind {
            EvidenceKind::Proof => {
                let revocations = issuers.iter().map(|issuer| {
                    self.credentials
                        .last_revocation(&self.issuers, issuer, asset)
                });
                let revoked = revocations.max().flatten();
                // Rarely more than this: the recent roots are many, and so is the evidence.
                revoked <= Some(evidence.fresh_at)
                    || revoked <= self.credentials.root_height(registry_root)
            }
            EvidenceKind::Attestation => issuers.iter().all(|issuer| {
                self.issuers
                    .at(issuer)
                    .is_some_and(|row| row.delisted.is_none())
                    && self
                        .credentials
                        .serial_revoked(issuer, asset, *serial)
                        .is_none()
            }),
        }
    }

    /// What one unit of a class takes of a consumable type.
    pub(crate) fn unit_of(&self, spec: &AuctionSpec, class: u16, type_id: &TypeId) -> Amounts {
        let requirement = spec
            .classes
            .get(usize::from(class))
            .and_then(|class| class.requirement_of(type_id));
        match (requirement, self.types.by_id.get(type_id)) {
            (Some(requirement), Some(record)) => {
                amounts_of(&record.schema, &requirement.requirement)
            }
            _ => Vec::new(),
        }
    }

    /// What all slots of a bid together take of its consumable type. At most 16 x 1024 x 2^32: no overflow.
    pub(crate) fn demand(
        &self,
        spec: &AuctionSpec,
        slots: &[ClassSlots],
        type_id: &TypeId,
    ) -> Amounts {
        let mut demand = Amounts::new();
        for ClassSlots { class, slots } in slots {
            let unit = self.unit_of(spec, *class, type_id);
            if demand.len() < unit.len() {
                demand.resize(unit.len(), 0);
            }
            for (sum, amount) in demand.iter_mut().zip(unit) {
                *sum = sum.saturating_add(amount.saturating_mul((*slots).into()));
            }
        }
        demand
    }
}
