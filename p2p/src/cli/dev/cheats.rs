//! What a cheat tries, and the reason each attempt is refused with.
//!
//! | cheat | stopped by |
//! |---|---|
//! | claims more than is attested | the prover; a forged proof, by every peer's verifier |
//! | copies another agent's proof | the statement names bidder and bid |
//! | replays its old bid | a bid is taken once |
//! | re-randomises its accepted proof | a bid's identity leaves its proofs out |
//! | bids one machine under two identities | the ledger binds the machine to its first bidder |

use super::{
    stage::{Player, Stage},
    timeline::{Timeline, Topic},
};
use crate::{
    api::types::AuctionDetail,
    cli::{
        bidding::{Bidder, Placed, random},
        client::Client,
        error::Failure,
        words::shorten,
    },
    documents::{
        bid::BidFile,
        credential::{Content, CredentialFile},
    },
};
use serde::Serialize;
use tender_auction::{
    bid::{Bid, BidContent},
    transaction::Transaction,
};
use tender_circuits::{
    CapabilityType, Claim, Evidence, FieldValue, MerklePath, ProofEvidence, attacks,
};

/// How much more than attested the cheat claims.
const EXAGGERATION: u32 = 8;

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// What was tried.
    pub cheat: &'static str,
    /// By whom.
    pub by: String,
    /// Who refused it: the prover, or how many of how many peers.
    pub refused_by: String,
    /// The reason's machine-readable code.
    pub code: String,
    /// The reason in words.
    pub reason: String,
}

/// The cheat's view of the play.
pub struct Cheater<'a> {
    /// The network.
    pub stage: &'a Stage,
    /// The auction, open for bids.
    pub auction: &'a AuctionDetail,
    /// Who cheats.
    pub player: &'a Player,
    /// What it is attested for.
    pub credentials: &'a [CredentialFile],
    /// What it would bid honestly.
    pub bid: &'a BidFile,
    /// Where it is told.
    pub timeline: &'a Timeline,
}

impl Cheater<'_> {
    fn bidder(&self) -> Bidder<'_> {
        Bidder {
            actor: &self.player.actor,
            prover: &self.player.prover,
            credentials: self.credentials,
            names: &self.stage.names,
        }
    }

    /// Claims eight times the GPUs it has: asks the prover, then forges a proof and sends it to every peer.
    ///
    /// # Errors
    /// [`Failure`] if something other than the cheat goes wrong.
    pub fn claim_more(&self) -> Result<Vec<Attempt>, Failure> {
        let mut plan = self
            .bidder()
            .plan(self.auction, self.bid)
            .map_err(|p| Failure::new(p.problem, p.next))?;
        for show in &mut plan.shows {
            let Some(file) = self.credentials.get(show.credential) else {
                continue;
            };
            let gpus = self
                .record(file)?
                .schema
                .field("gpu_milli")
                .map(|(index, _)| index);
            if let Some(value) = gpus.and_then(|index| show.claim.0.get_mut(index))
                && let FieldValue::Amount(amount) = value
            {
                *amount = amount.saturating_mul(EXAGGERATION);
            }
        }
        let mut content = self.bidder().seal(self.auction, &plan)?;
        let refusal = match self.bidder().prove(self.auction, &plan, &mut content) {
            Err(failure) => failure,
            Ok(_) => return Err(got_through("a claim of more than is attested")),
        };
        let asked = self.tell(
            "claims 8x the GPUs it is attested for",
            "its own prover".into(),
            "unsupported",
            refusal.what,
        );
        let forged = self.forge(
            &plan
                .shows
                .first()
                .map(|s| s.claim.clone())
                .unwrap_or(Claim(Vec::new())),
            content,
        )?;
        let sent = self.to_every_peer("forges a proof of that claim", &forged)?;
        Ok(vec![asked, sent])
    }

    /// A bid whose proof was made with every check left out.
    fn forge(&self, claim: &Claim, mut content: BidContent) -> Result<Bid, Failure> {
        let (file, credential) = self.own_credential()?;
        let record = self.record(file)?;
        let found = self.player.actor.client.leaf(&credential.leaf())?;
        let path = MerklePath {
            index: found.index,
            siblings: found.siblings,
        };
        let mut evidence = ProofEvidence {
            type_id: file.type_id,
            registry_root: found.root,
            asset: credential.asset,
            issuers: file.issuer_mask(),
            claim: claim.clone(),
            proof: tender_circuits::ProofBytes([0; 128]),
        };
        let actor = &self.player.actor;
        let statement = evidence.statement(
            &actor.chain,
            &content.auction,
            &content.bidder,
            content.sequence,
            &content.ciphertext_hash(),
            self.auction.spec.lease_end,
        );
        let key = self.player.prover.key(record)?;
        evidence.proof = attacks::forge(&key, credential, &path, &statement, random()?)
            .map_err(|e| Failure::new(e.to_string(), "please report this"))?;
        content.evidences = vec![Evidence::Proof(evidence)];
        Ok(content.sign(&actor.chain, &actor.key))
    }

    /// Puts another agent's proof, seen in gossip, under its own bid.
    ///
    /// # Errors
    /// [`Failure`] if something other than the cheat goes wrong.
    pub fn copy_proof(&self, seen: &Bid) -> Result<Attempt, Failure> {
        let plan = self
            .bidder()
            .plan(self.auction, self.bid)
            .map_err(|p| Failure::new(p.problem, p.next))?;
        let mut content = self.bidder().seal(self.auction, &plan)?;
        let copied = seen
            .content
            .evidences
            .iter()
            .find_map(|evidence| match evidence {
                Evidence::Proof(proof) => Some(proof.clone()),
                Evidence::Attestation(_) => None,
            });
        let mut copied = copied
            .ok_or_else(|| Failure::new("there is no proof to copy", "see fixtures/prices.json"))?;
        copied.asset = content.asset;
        content.evidences = vec![Evidence::Proof(copied)];
        let actor = &self.player.actor;
        self.to_every_peer(
            "copies another agent's proof",
            &content.sign(&actor.chain, &actor.key),
        )
    }

    /// Sends a bid again that it has replaced since.
    ///
    /// # Errors
    /// [`Failure`] if something other than the cheat goes wrong.
    pub fn replay(&self, old: &Placed) -> Result<Attempt, Failure> {
        self.to_every_peer("replays its old bid", &old.bid)
    }

    /// Makes another valid proof of its accepted one, and sends the bid as if it were new.
    ///
    /// # Errors
    /// [`Failure`] if something other than the cheat goes wrong.
    pub fn rerandomise(&self, live: &Placed) -> Result<Attempt, Failure> {
        let mut content = live.bid.content.clone();
        for evidence in &mut content.evidences {
            if let Evidence::Proof(proof) = evidence {
                let record = self.stage.names.type_of(&proof.type_id);
                let record =
                    record.ok_or_else(|| Failure::new("an unknown type", "please report this"))?;
                proof.proof = attacks::rerandomise(record, &proof.proof, random()?)
                    .map_err(|e| Failure::new(e.to_string(), "please report this"))?;
            }
        }
        let actor = &self.player.actor;
        self.to_every_peer(
            "re-randomises its accepted proof",
            &content.sign(&actor.chain, &actor.key),
        )
    }

    /// Bids a machine that another identity bids with already.
    ///
    /// # Errors
    /// [`Failure`] if something other than the cheat goes wrong.
    pub fn second_identity(&self) -> Result<Attempt, Failure> {
        let plan = self
            .bidder()
            .plan(self.auction, self.bid)
            .map_err(|p| Failure::new(p.problem, p.next))?;
        let mut content = self.bidder().seal(self.auction, &plan)?;
        let bid = self.bidder().prove(self.auction, &plan, &mut content)?;
        self.to_every_peer("bids the same machine under a second identity", &bid)
    }

    /// Sends a bid to every peer of the network; all must refuse it.
    fn to_every_peer(&self, cheat: &'static str, bid: &Bid) -> Result<Attempt, Failure> {
        let transaction = Transaction::Bid(Box::new(bid.clone()));
        let refuse = |client: &Client| match client.submit(&transaction) {
            Err(failure) if failure.code.is_some() && !failure.is_code("unreachable") => {
                Ok(failure)
            }
            Err(failure) => Err(failure),
            Ok(_) => Err(got_through(cheat)),
        };
        let refusals = self
            .stage
            .clients()
            .map(refuse)
            .collect::<Result<Vec<_>, _>>()?;
        let first = refusals
            .first()
            .ok_or_else(|| Failure::new("there are no peers", ""))?;
        let code = first.code.clone().unwrap_or_default();
        Ok(self.tell(
            cheat,
            format!("{} of {0} peers", refusals.len()),
            &code,
            first.what.clone(),
        ))
    }

    fn tell(&self, cheat: &'static str, refused_by: String, code: &str, reason: String) -> Attempt {
        let reason = shorten(
            reason
                .strip_prefix(&format!("refused ({code}): "))
                .unwrap_or(&reason),
        );
        let by = self.player.name.clone();
        self.timeline.say(
            Topic::Cheat,
            format_args!("{by} {cheat}: refused by {refused_by}: {reason}"),
        );
        Attempt {
            cheat,
            by,
            refused_by,
            code: code.to_owned(),
            reason,
        }
    }

    fn own_credential(&self) -> Result<(&CredentialFile, &tender_circuits::Credential), Failure> {
        let found = self
            .credentials
            .iter()
            .find_map(|file| match &file.content {
                Content::Credential { credential, .. } => Some((file, credential)),
                Content::Attestation(_) => None,
            });
        found.ok_or_else(|| {
            Failure::new(
                "the cheat holds no credential",
                "see fixtures/machines.json",
            )
        })
    }

    fn record(&self, file: &CredentialFile) -> Result<&CapabilityType, Failure> {
        let found = self.stage.names.type_of(&file.type_id);
        found.ok_or_else(|| Failure::new("an unknown type", "please report this"))
    }
}

/// A cheat that was not refused: the one thing that must not happen.
fn got_through(what: &str) -> Failure {
    Failure::new(
        format!("NOT REFUSED: {what}"),
        "this is a security bug: please report it as SECURITY.md says",
    )
}
