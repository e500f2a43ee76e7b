//! How a bid comes about: from prices by name to a sealed, proven, signed transaction.
//!
//! ```text
//!  BidFile ─plan─▶ entries, slots, what to claim with which credential ─seal─▶ ciphertext ─prove, sign─▶ Bid ─submit─▶ block
//!                                                                                      └── again under a fresh root ──┘
//! ```
//!
//! Proofs are bound to the ciphertext, so sealing comes first; a registry root that went stale between proving and the block costs one
//! more proof, not a new bid.

mod plan;

pub use plan::{Plan, Show, attested_claim, can_cover};

use super::{actor::Actor, error::Failure, prover::Prover};
use crate::{
    api::types::{AuctionDetail, Phase},
    documents::{
        bid::BidFile,
        credential::{Content, CredentialFile},
        error::Problem,
        names::Names,
    },
};
use tender_auction::{
    bid::{Bid, BidContent, MAX_SEQUENCE},
    seal::{Associated, BidBody, CommitteeKey, seal},
    transaction::Transaction,
};
use tender_circuits::{Evidence, EvidenceKind, MerklePath, ProofBytes, ProofEvidence, prove};
use tender_wire::{BidId, Height};

/// How often a bid is proven anew because its root went stale meanwhile.
pub(crate) const ATTEMPTS: usize = 4;

/// An agent that bids.
pub struct Bidder<'a> {
    /// Its key and peer.
    pub actor: &'a Actor,
    /// Its proving keys.
    pub prover: &'a Prover,
    /// What it is attested for.
    pub credentials: &'a [CredentialFile],
    /// Names of the chain.
    pub names: &'a Names,
}

/// A bid that is in a block.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The bid.
    pub bid: Box<Bid>,
    /// Its id.
    pub id: BidId,
    /// Its block.
    pub height: Height,
    /// How often its proofs were made.
    pub attempts: usize,
}

impl Bidder<'_> {
    /// Plans, seals, proves, submits, and waits for the block.
    ///
    /// # Errors
    /// [`Failure`]: a problem of the bid, the prover's refusal, or the peer's.
    pub fn bid(&self, auction: &AuctionDetail, file: &BidFile) -> Result<Placed, Failure> {
        let plan = self.plan(auction, file).map_err(problem)?;
        self.place(auction, &plan)
    }

    /// Seals, proves and submits a plan, again under a fresh root where the first went stale.
    ///
    /// # Errors
    /// [`Failure`], as for [`Self::bid`].
    pub fn place(&self, auction: &AuctionDetail, plan: &Plan) -> Result<Placed, Failure> {
        let mut draft = self.seal(auction, plan)?;
        let mut attempts = 0usize;
        loop {
            attempts = attempts.saturating_add(1);
            let bid = self.prove(auction, plan, &mut draft)?;
            let sent = self
                .actor
                .client
                .submit(&Transaction::Bid(Box::new(bid.clone())));
            match sent.and_then(|hash| self.actor.client.wait_committed(&hash)) {
                Ok(height) => {
                    return Ok(Placed {
                        id: bid.content.id(),
                        bid: Box::new(bid),
                        height,
                        attempts,
                    });
                }
                Err(failure) if is_stale(&failure) && attempts < ATTEMPTS => {}
                Err(failure) if failure.is_code("attestation_revoked") => {
                    return Err(self.revoked(plan, failure));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn revoked(&self, plan: &Plan, failure: Failure) -> Failure {
        let mut shown = plan
            .shows
            .iter()
            .filter_map(|show| self.credentials.get(show.credential));
        let shown = shown.find(|file| file.kind() == EvidenceKind::Attestation);
        let issuer = shown.map_or("an issuer", |file| file.issuer.as_str());
        let what = format!(
            "what {issuer} attested of {} is revoked: {}",
            plan.machine, failure.what
        );
        Failure {
            what,
            next: self.ask_issuer(issuer, 90),
            ..failure
        }
    }

    /// What to ask an issuer for, as the issuer types it.
    fn ask_issuer(&self, issuer: &str, days: u64) -> String {
        format!(
            "ask {issuer} to attest the machine, and put the file it gives you into this home's credentials directory; the issuer types\n    \
            `tender issuer attest machine.json --holder {} --days {days} --output credential.json --home ISSUER_HOME --api {}`",
            self.actor.key.public(),
            self.actor.client.url()
        )
    }

    /// The bid with its sealed part, without evidences.
    ///
    /// # Errors
    /// [`Failure`] if the auction takes no bids now, or randomness is not to be had.
    pub fn seal(&self, auction: &AuctionDetail, plan: &Plan) -> Result<BidContent, Failure> {
        let summary = &auction.summary;
        if summary.phase != Phase::Bidding {
            let what = format!(
                "auction {} takes no bids: {}",
                summary.auction.short(),
                crate::cli::auction::phase(summary.phase)
            );
            let next = match summary.phase {
                Phase::Keys => {
                    "try again in a moment: bidding starts when the validators have posted their seal keys"
                }
                _ => "`tender auction list` shows which are open",
            };
            return Err(Failure::new(what, next));
        }
        let (keys, threshold) = committee(auction)?;
        let first = plan
            .shows
            .first()
            .and_then(|show| self.credentials.get(show.credential));
        let asset = first
            .map(CredentialFile::asset)
            .ok_or_else(|| Failure::new("the bid shows nothing", "have a machine attested"))?;
        let bidder = self.actor.key.public();
        let live = auction
            .live_bids
            .iter()
            .find(|b| b.asset == asset && b.bidder == bidder);
        let sequence = live.map_or(0, |b| b.sequence.saturating_add(1));
        if sequence >= MAX_SEQUENCE {
            return Err(Failure::new(
                format!("{} was bid with {sequence} times already", plan.machine),
                "the last bid stands",
            ));
        }
        let body = BidBody {
            salt: random()?,
            entries: plan.entries.clone(),
        };
        let body = body
            .encode(usize::from(auction.spec.max_entries))
            .map_err(|e| Failure::new(e.to_string(), "price fewer tasks"))?;
        let associated = Associated {
            chain: self.actor.chain,
            auction: summary.auction,
            bidder,
            asset,
            sequence,
        };
        let sealed = seal(&keys, threshold, &associated, &body, random()?)
            .map_err(|e| Failure::new(e.to_string(), "please report this"))?;
        Ok(BidContent {
            auction: summary.auction,
            bidder,
            sequence,
            asset,
            evidences: Vec::new(),
            slots: plan.slots.clone(),
            sealed,
        })
    }

    /// Makes the evidences under the newest root, and signs.
    ///
    /// # Errors
    /// [`Failure`] if the prover refuses, naming the constraint, or a credential is not in the registry.
    pub fn prove(
        &self,
        auction: &AuctionDetail,
        plan: &Plan,
        content: &mut BidContent,
    ) -> Result<Bid, Failure> {
        content.evidences.clear();
        for show in &plan.shows {
            let evidence = self.evidence(auction, show, content)?;
            content.evidences.push(evidence);
        }
        Ok(content.clone().sign(&self.actor.chain, &self.actor.key))
    }

    fn evidence(
        &self,
        auction: &AuctionDetail,
        show: &Show,
        content: &BidContent,
    ) -> Result<Evidence, Failure> {
        let file = self
            .credentials
            .get(show.credential)
            .ok_or_else(|| Failure::new("no such credential", ""))?;
        let credential = match &file.content {
            Content::Attestation(attestation) => {
                return Ok(Evidence::Attestation(attestation.clone()));
            }
            Content::Credential { credential, .. } => credential,
        };
        let record = self
            .names
            .type_of(&file.type_id)
            .ok_or_else(|| Failure::new("no such type on this chain", ""))?;
        let found = self.actor.client.leaf(&credential.leaf()).map_err(|failure| {
            let what = format!(
                "the credential of {} by {} is not in the registry: the issuer revoked it, or its block is not here yet ({})",
                file.serial, file.issuer, failure.what
            );
            Failure { what, next: self.ask_issuer(&file.issuer, 90), ..failure }
        })?;
        let path = MerklePath {
            index: found.index,
            siblings: found.siblings,
        };
        let mut evidence = ProofEvidence {
            type_id: file.type_id,
            registry_root: found.root,
            asset: credential.asset,
            issuers: show.issuers,
            claim: show.claim.clone(),
            proof: ProofBytes([0; 128]),
        };
        let statement = evidence.statement(
            &self.actor.chain,
            &content.auction,
            &content.bidder,
            content.sequence,
            &content.ciphertext_hash(),
            auction.spec.lease_end,
        );
        let key = self.prover.key(record)?;
        evidence.proof = prove(&key, credential, &path, &statement, random()?).map_err(|e| {
            Failure::new(
                format!("the prover refuses: {e}"),
                "claim no more than is attested: `tender bid --help`",
            )
        })?;
        Ok(Evidence::Proof(evidence))
    }
}

fn committee(auction: &AuctionDetail) -> Result<(Vec<CommitteeKey>, usize), Failure> {
    let broken = |what: &str| {
        Failure::new(
            format!("the peer's answer {what}"),
            "check that it runs the same version",
        )
    };
    let keys = auction
        .committee
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>();
    let keys =
        keys.map_err(|e: tender_wire::ParseIdError| broken(&format!("names a bad seal key: {e}")))?;
    let threshold = auction.threshold.and_then(|t| usize::try_from(t).ok());
    Ok((keys, threshold.ok_or_else(|| broken("names no threshold"))?))
}

fn is_stale(failure: &Failure) -> bool {
    failure.is_code("unknown_root") || failure.is_code("root_too_old")
}

fn problem(problem: Problem) -> Failure {
    let Problem {
        field,
        problem,
        next,
    } = problem;
    Failure::new(format!("bid: {field}: {problem}"), next)
}

/// Fresh randomness from the operating system.
///
/// # Errors
/// [`Failure`] if it has none.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| {
        Failure::new(
            format!("the system gives no randomness: {e}"),
            "try again; nothing was signed",
        )
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::testing::{actor, attested, auction, fine, names, peer, refused},
        api::types::{Submitted, TxStatus},
    };
    use std::{
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };
    use tender_wire::TxHash;

    #[test]
    fn a_bid_is_proven_so_often_and_then_the_peers_reason_is_told() {
        let (scenario, auction) = auction();
        let (names, prover) = (names(), Prover::in_home(Path::new("")));
        let credentials = [attested(&scenario, "ann", "box")];
        let file = serde_json::json!({ "prices": { "work": 10 } });
        let file: BidFile = serde_json::from_value(file).unwrap();
        // The registry moves on so often while the bid is made.
        for stale in 0..=ATTEMPTS {
            let sent = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&sent);
            let client = peer(move |what| match what {
                "post /v1/transactions" => match counted.fetch_add(1, Ordering::SeqCst) {
                    before if before < stale => refused("root_too_old"),
                    _ => fine(&Submitted {
                        tx_hash: TxHash([1; 32]),
                    }),
                },
                "get /v1/auctions" => fine(&[(); 0]),
                _ => fine(&TxStatus::Committed { height: Height(9) }),
            });
            let bidder = Bidder {
                actor: &actor("ann", client),
                prover: &prover,
                credentials: &credentials,
                names: &names,
            };
            let done = bidder.bid(&auction, &file);
            assert_eq!(sent.load(Ordering::SeqCst), ATTEMPTS.min(stale + 1));
            match done {
                Ok(placed) => assert!(placed.attempts == stale + 1 && stale < ATTEMPTS),
                Err(failure) => assert!(failure.is_code("root_too_old") && stale == ATTEMPTS),
            }
        }
    }
}
