//! Every transaction the market knows. Bytes are decoded here and nowhere else.
//!
//! Bids, seal keys and reveals stand alone (each has its own replay rule); everything else is an [`Action`] of a signer and
//! carries that signer's next sequence number.

use crate::bid::Bid;
use crate::genesis::{Issuer, Openers};
use crate::seal::{CommitteeKey, KeyProof, Reveal};
use crate::task::AuctionSpec;
use serde::{Deserialize, Serialize};
use tender_circuits::{CapabilityType, IssuerIndex};
use tender_wire::{
    AuctionId, BidId, ChainId, CodecError, Digest, FieldBytes, Height, Power, PublicKey, SecretKey,
    Signature, SignatureError, Tag, TxHash, Wire, decode, encode, hash,
};

/// Largest transaction, in bytes: what consensus carries. A bid with four evidences sealed to 100 keys is about 7 KiB, an auction of
/// 400 tasks with the longest names about 48 KiB.
pub use tender_consensus::params::MAX_TX_BYTES;

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transaction {
    /// A sealed bid.
    Bid(Box<Bid>),
    /// A committee member's one-time key for an auction.
    SealKey(SealKeyTx),
    /// A committee member's one-time secret, after the close. Proves itself; accepted from anyone.
    SealReveal(SealRevealTx),
    /// Anything else, signed and numbered.
    Signed(Box<SignedTx>),
}

impl Wire for Transaction {
    const NAME: &'static str = "transaction";
    const MAX_BYTES: usize = MAX_TX_BYTES;
}

/// Announces `E_i` for one auction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealKeyTx {
    /// The auction.
    pub auction: AuctionId,
    /// The committee member's consensus key.
    pub member: PublicKey,
    /// `E_i = e_i·G`.
    pub key: CommitteeKey,
    /// Proof of knowledge of `e_i`.
    pub proof: KeyProof,
    /// By the member ([`Tag::SignSealKey`]), over the fields above.
    pub signature: Signature,
}

/// Reveals `e_i` for one auction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRevealTx {
    /// The auction.
    pub auction: AuctionId,
    /// Rank of the member's key among the frozen ones, from 1.
    pub rank: u8,
    /// `e_i`.
    pub reveal: Reveal,
}

/// An action of a signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTx {
    /// Who acts.
    pub signer: PublicKey,
    /// The signer's next sequence number, from 0.
    pub sequence: u64,
    /// What is done.
    pub action: Action,
    /// By the signer ([`Tag::SignTx`]), over the fields above.
    pub signature: Signature,
}

/// What a signer can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Opens an auction (genesis `openers`). Its id comes from the signer and this sequence number.
    OpenAuction(Box<AuctionSpec>),
    /// Posts a credential to the registry (issuers). The chain makes the leaf, with the signer's index and the asset in it.
    Issue {
        /// Poseidon commitment to the credential.
        commitment: FieldBytes,
        /// The machine it speaks of.
        asset: FieldBytes,
    },
    /// Zeroes a leaf the signer posted (issuers).
    Revoke {
        /// The leaf's index in the registry.
        index: u32,
    },
    /// Revokes a signed attestation by its serial number (issuers).
    RevokeAttestation {
        /// The machine it speaks of.
        asset: FieldBytes,
        /// The attestation's serial number.
        serial: u64,
    },
    /// Takes on an assignment (the winner, by the deadline).
    Accept(AwardRef),
    /// Hands over the result (the winner).
    Deliver {
        /// Which assignment.
        award: AwardRef,
        /// Hash of the result.
        result: Digest,
    },
    /// Accepts the result (the opener).
    Confirm(AwardRef),
    /// Refuses the result (the opener).
    Reject(AwardRef),
    /// Votes for a governance proposal (validators).
    Approve(Box<Proposal>),
}

/// An assignment: a bid serves at most one unit of a task, so this names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwardRef {
    /// The auction.
    pub auction: AuctionId,
    /// The task.
    pub task: u32,
    /// The winning bid.
    pub bid: BidId,
}

/// A governance proposal. Validators approve the identical proposal; more than 2/3 of current power passes it, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What changes.
    pub change: Change,
    /// Tells apart two proposals of the same change.
    pub nonce: u64,
    /// Last height at which it can pass.
    pub expiry: Height,
}

/// What governance can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Registers a capability type; (name, version) is unique for ever.
    AddType(CapabilityType),
    /// Admits an issuer at the next free index; indices are never reused.
    AddIssuer(Issuer),
    /// De-lists an issuer: its leaves are zeroed and every older registry root becomes bad.
    RemoveIssuer(IssuerIndex),
    /// Replaces the rule on who may open auctions.
    SetOpeners(Openers),
    /// Sets a validator's power; zero removes it.
    SetValidator {
        /// The validator's consensus key.
        key: PublicKey,
        /// New power.
        power: Power,
    },
    /// Lets a jailed validator back in with its former power.
    Unjail(PublicKey),
}

impl Proposal {
    /// What validators approve: the hash of the proposal on this chain.
    pub fn id(&self, chain: &ChainId) -> Digest {
        hash(Tag::Action, &[chain.as_ref(), &encode(self)])
    }
}

impl SignedTx {
    /// Signs an action.
    pub fn new(chain: &ChainId, key: &SecretKey, sequence: u64, action: Action) -> Self {
        let signer = key.public();
        let signature = key.sign(Tag::SignTx, chain, &encode(&(signer, sequence, &action)));
        SignedTx {
            signer,
            sequence,
            action,
            signature,
        }
    }

    /// Checks the signer's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, chain: &ChainId) -> Result<(), SignatureError> {
        let message = encode(&(self.signer, self.sequence, &self.action));
        self.signer
            .verify(Tag::SignTx, chain, &message, &self.signature)
    }
}

impl SealKeyTx {
    /// Signs an announcement.
    pub fn new(
        chain: &ChainId,
        signer: &SecretKey,
        auction: AuctionId,
        key: CommitteeKey,
        proof: KeyProof,
    ) -> Self {
        let member = signer.public();
        let signature = signer.sign(
            Tag::SignSealKey,
            chain,
            &encode(&(auction, member, key, proof)),
        );
        SealKeyTx {
            auction,
            member,
            key,
            proof,
            signature,
        }
    }

    /// Checks the member's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, chain: &ChainId) -> Result<(), SignatureError> {
        let message = encode(&(self.auction, self.member, self.key, self.proof));
        self.member
            .verify(Tag::SignSealKey, chain, &message, &self.signature)
    }
}

impl Transaction {
    /// What kind it is, in snake_case: for counts and timelines.
    pub fn kind(&self) -> &'static str {
        match self {
            Transaction::Bid(_) => "bid",
            Transaction::SealKey(_) => "seal_key",
            Transaction::SealReveal(_) => "seal_reveal",
            Transaction::Signed(tx) => match &tx.action {
                Action::OpenAuction(_) => "open_auction",
                Action::Issue { .. } => "issue",
                Action::Revoke { .. } => "revoke",
                Action::RevokeAttestation { .. } => "revoke_attestation",
                Action::Accept(_) => "accept",
                Action::Deliver { .. } => "deliver",
                Action::Confirm(_) => "confirm",
                Action::Reject(_) => "reject",
                Action::Approve(_) => "approve",
            },
        }
    }

    /// The transaction these bytes denote.
    ///
    /// # Errors
    /// [`CodecError`] unless the bytes are its canonical encoding within [`MAX_TX_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes)
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// `tx_hash`: over the full canonical bytes.
    pub fn hash(&self) -> TxHash {
        hash(Tag::Tx, &[&self.to_bytes()]).into()
    }
}
