//! Why a transaction does not apply: one variant per rule, with the ids that were judged.
//!
//! [`Refusal::is_state_independent`] decides between gossip *Reject* (whoever sent this is faulty) and *Ignore* (peers a block
//! apart may honestly disagree).

use crate::{
    bid::BidShapeError, ledger::LedgerError, outcome::AwardState, seal::SealError, task::SpecError,
    transaction::AwardRef,
};
use tender_circuits::{IssuerIndex, attestation::AttestationError, schema::SchemaError};
use tender_wire::{
    AuctionId, BidId, CodecError, Digest, FieldBytes, Height, PublicKey, TypeId, UnixTime,
};

/// Declares the variants with their codes and whether they hold whatever the state.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])* #[error($($message:tt)*)] $name:ident $({ $($field:ident: $type:ty),* $(,)? })? = $code:literal, $judged:ident;)*) => {
        /// Why a transaction does not apply.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs)] // the fields are the ids and numbers the message names
        pub enum Refusal {
            $($(#[doc = $doc])* #[error($($message)*)] $name $({ $($field: $type),* })?,)*
        }

        impl Refusal {
            /// The rule, as a stable snake_case word.
            pub fn code(&self) -> &'static str {
                match self { $(refusals!(@pattern $name $({ $($field),* })?) => $code,)* }
            }

            /// Whether every peer refuses these bytes whatever it has seen of the chain.
            pub fn is_state_independent(&self) -> bool {
                match self { $(refusals!(@pattern $name $({ $($field),* })?) => refusals!(@judged $judged),)* }
            }
        }
    };
    (@pattern $name:ident) => { Refusal::$name };
    (@pattern $name:ident { $($field:ident),* }) => { Refusal::$name { .. } };
    (@judged always) => { true };
    (@judged here) => { false };
}

refusals! {
    // Structure.
    /// Not the canonical bytes of a transaction.
    #[error("malformed transaction: {error}")]
    Malformed { error: CodecError } = "malformed", always;
    /// A bid that no state admits.
    #[error("malformed bid: {error}")]
    BidShape { error: BidShapeError } = "bid_shape", always;
    /// An auction that no state admits.
    #[error("malformed auction: {error}")]
    Spec { error: SpecError } = "auction_shape", always;
    /// The signature does not verify.
    #[error("the signature of {signer} does not verify")]
    BadSignature { signer: PublicKey } = "bad_signature", always;

    // Signed actions.
    /// Not the signer's next sequence number.
    #[error("{signer}: the next sequence number is {expected}, not {found}")]
    Sequence { signer: PublicKey, expected: u64, found: u64 } = "sequence", here;
    /// The table of sequence numbers is full.
    #[error("the chain remembers {max} signers and takes no new one")]
    TooManySigners { max: usize } = "too_many_signers", here;
    /// Only openers open auctions.
    #[error("{signer} may not open auctions on this chain")]
    NotOpener { signer: PublicKey } = "not_opener", here;
    /// Only listed issuers post and revoke.
    #[error("{signer} is not a listed issuer")]
    NotIssuer { signer: PublicKey } = "not_issuer", here;
    /// Only validators govern.
    #[error("{signer} is not a validator")]
    NotValidator { signer: PublicKey } = "not_validator", here;

    // Opening.
    /// A requirement of a type the chain does not know, or evidence of it.
    #[error("capability type {type_id} is not registered")]
    UnknownType { type_id: TypeId } = "unknown_type", here;
    /// A requirement that is no value of its type.
    #[error("class {class}: the requirement of type {type_id} is not one: {error}")]
    Requirement { class: u16, type_id: TypeId, error: SchemaError } = "requirement", here;
    /// Issuers the chain does not have.
    #[error("issuers {mask:#x}: the chain has only {known}")]
    UnknownIssuers { mask: u64, known: usize } = "unknown_issuers", here;
    /// A window in which every proposer could be faulty.
    #[error("the {window} window is {found} blocks, at least {least} give an honest proposer a turn")]
    WindowTooShort { window: &'static str, found: u32, least: u32 } = "window_too_short", here;
    /// A lease that ends before the auction can, or too late.
    #[error("the lease ends at {found}, must end within {earliest}..={latest}")]
    LeaseEnd { found: UnixTime, earliest: UnixTime, latest: UnixTime } = "lease_end", here;
    /// Too many auctions of this opener.
    #[error("{opener} has {limit} {what} auctions, the most allowed")]
    OpenerLimit { opener: PublicKey, what: &'static str, limit: usize } = "opener_limit", here;
    /// Too many units in auctions that are not over.
    #[error("with this one, {whose} auctions that are not over want {found} units, at most {limit} are allowed")]
    UnitLimit { whose: &'static str, found: usize, limit: usize } = "unit_limit", here;
    /// Too many auctions.
    #[error("there are {limit} {what} auctions, the most allowed")]
    AuctionLimit { what: &'static str, limit: usize } = "auction_limit", here;

    // Bids.
    /// No such auction, or it is over.
    #[error("auction {auction} is not open")]
    UnknownAuction { auction: AuctionId } = "unknown_auction", here;
    /// Outside the bidding window.
    #[error("auction {auction} does not take bids in block {height}")]
    NotBidding { auction: AuctionId, height: Height } = "not_bidding", here;
    /// This bid is or was live.
    #[error("bid {bid} is a duplicate")]
    Duplicate { bid: BidId } = "duplicate", here;
    /// A replacement that does not come after the live bid.
    #[error("bid {live} of this asset has sequence {sequence}; a replacement needs a higher one")]
    NotNewer { live: BidId, sequence: u32 } = "not_newer", here;
    /// The opening budget is used up.
    #[error("auction {auction} admits {cap} bids in all")]
    BidLimit { auction: AuctionId, cap: usize } = "bid_limit", here;
    /// Sealed to another number of keys, or another size.
    #[error("auction {auction}: the sealed part must hold {keys} shares and be padded for {entries} entries")]
    SealShape { auction: AuctionId, keys: usize, entries: u8 } = "seal_shape", here;
    /// Slots in a class that is not there.
    #[error("auction {auction} has no class {class}")]
    UnknownClass { auction: AuctionId, class: u16 } = "unknown_class", here;
    /// No evidence speaks of the bid's asset.
    #[error("no evidence speaks of the bid's asset {asset}")]
    AssetNotShown { asset: FieldBytes } = "asset_not_shown", here;
    /// Several evidences of one type for different assets.
    #[error("evidences of type {type_id} speak of different assets")]
    MixedAssets { type_id: TypeId } = "mixed_assets", always;
    /// Several evidences of one type that one issuer could stand behind.
    #[error("evidences of type {type_id} share issuers")]
    OverlappingIssuers { type_id: TypeId } = "overlapping_issuers", always;
    /// Two types with consumable fields.
    #[error("types {first} and {second} both have consumable fields; a bid shows at most one such type")]
    TwoConsumables { first: TypeId, second: TypeId } = "two_consumables", here;
    /// Consumable capacity of another machine.
    #[error("the consumable capacity shown is of asset {found}, the bid is for {expected}")]
    OtherAsset { expected: FieldBytes, found: FieldBytes } = "other_asset", here;
    /// A claim that is no value of its type.
    #[error("the claim of type {type_id} is not one: {error}")]
    ClaimShape { type_id: TypeId, error: SchemaError } = "claim_shape", always;
    /// Evidence nobody vouches for.
    #[error("evidence of type {type_id} names no issuer")]
    NoIssuers { type_id: TypeId } = "no_issuers", always;
    /// Not one of the last registry roots.
    #[error("registry root {root} is not among the recent ones")]
    UnknownRoot { root: FieldBytes } = "unknown_root", here;
    /// A root from before a revocation it may hide.
    #[error("issuer {issuer} revoked at block {revoked} what it attested of asset {asset}; the registry root is older")]
    RootTooOld { asset: FieldBytes, issuer: IssuerIndex, revoked: Height } = "root_too_old", here;
    /// The proof does not verify for its statement.
    #[error("the proof of type {type_id} does not verify for this bid")]
    InvalidProof { type_id: TypeId } = "invalid_proof", always;
    /// Evidence in the name of somebody who is not (any more) an issuer.
    #[error("issuer {issuer} of the evidence is not listed")]
    IssuerNotListed { issuer: IssuerIndex } = "issuer_not_listed", here;
    /// An attestation that is not one: another holder's, not of its type, not signed by its issuer.
    #[error("the attestation does not hold: {error}")]
    BadAttestation { error: AttestationError } = "bad_attestation", always;
    /// An attestation that does not cover the lease.
    #[error("the attestation does not cover the lease: {error}")]
    AttestationWindow { error: AttestationError } = "attestation_window", here;
    /// A revoked attestation.
    #[error("issuer {issuer} has revoked attestation {serial}")]
    AttestationRevoked { issuer: IssuerIndex, serial: u64 } = "attestation_revoked", here;
    /// The ledger refuses.
    #[error("{error}")]
    AssetBound { error: LedgerError } = "asset_bound", here;
    /// The ledger has not that much left.
    #[error("{error}")]
    NoCapacity { error: LedgerError } = "no_capacity", here;

    // Seal keys and reveals.
    /// Not a member of the committee.
    #[error("{member} is not in the committee of auction {auction}")]
    NotMember { auction: AuctionId, member: PublicKey } = "not_member", here;
    /// Outside the key window.
    #[error("auction {auction} does not take seal keys in block {height}")]
    NotTakingKeys { auction: AuctionId, height: Height } = "not_taking_keys", here;
    /// The member has posted its key.
    #[error("{member} has posted its key for auction {auction}")]
    KeyPosted { auction: AuctionId, member: PublicKey } = "key_posted", here;
    /// No key, or no knowledge of its secret.
    #[error("the seal key of {member} is refused: {error}")]
    BadSealKey { member: PublicKey, error: SealError } = "bad_seal_key", always;
    /// Outside the reveal window.
    #[error("auction {auction} does not take reveals in block {height}")]
    NotRevealing { auction: AuctionId, height: Height } = "not_revealing", here;
    /// No key of that rank.
    #[error("auction {auction} has no seal key of rank {rank}")]
    UnknownRank { auction: AuctionId, rank: u8 } = "unknown_rank", here;
    /// That secret is revealed.
    #[error("the secret of rank {rank} of auction {auction} is revealed already")]
    AlreadyRevealed { auction: AuctionId, rank: u8 } = "already_revealed", here;
    /// Not the secret of the key.
    #[error("this is not the secret of rank {rank} of auction {auction}")]
    BadReveal { auction: AuctionId, rank: u8 } = "bad_reveal", always;

    // Registry.
    /// The issuer has posted as much as it may.
    #[error("issuer {issuer} has used up its quota of {quota} {what}")]
    Quota { issuer: IssuerIndex, what: &'static str, quota: u32 } = "quota", here;
    /// A leaf or asset that is not a canonical field element, or zero.
    #[error("the {what} must be a non-zero canonical field element")]
    NotAnElement { what: &'static str } = "not_an_element", always;
    /// The tree is full.
    #[error("the registry is full")]
    RegistryFull = "registry_full", here;
    /// No such leaf.
    #[error("the registry has no leaf {index}")]
    UnknownLeaf { index: u32 } = "unknown_leaf", here;
    /// Somebody else's leaf.
    #[error("leaf {index} was posted by another issuer")]
    NotYourLeaf { index: u32 } = "not_your_leaf", here;
    /// Revoked before.
    #[error("leaf {index} is revoked already")]
    LeafRevoked { index: u32 } = "leaf_revoked", here;

    // Life of an assignment.
    /// No such assignment.
    #[error("there is no assignment of task {task} of auction {auction} to bid {bid}", task = .award.task, auction = .award.auction, bid = .award.bid)]
    UnknownAward { award: AwardRef } = "unknown_award", here;
    /// Only the winner or the opener may do this.
    #[error("{signer} may not do this to the assignment, {expected} may")]
    NotParty { signer: PublicKey, expected: PublicKey } = "not_party", here;
    /// The assignment is not in the state for this.
    #[error("the assignment is {state:?}")]
    WrongState { state: AwardState } = "wrong_state", here;

    // Governance.
    /// A proposal past, or too far ahead.
    #[error("the proposal expires at {expiry}, must be within {height}..={latest}")]
    ProposalExpiry { expiry: Height, height: Height, latest: Height } = "proposal_expiry", here;
    /// Approved or passed before.
    #[error("proposal {proposal} is approved by this validator, or has passed")]
    AlreadyApproved { proposal: Digest } = "already_approved", here;
    /// Too many open proposals.
    #[error("{signer} has {limit} open proposals, the most allowed")]
    ProposalLimit { signer: PublicKey, limit: usize } = "proposal_limit", here;
    /// A change that cannot be made now.
    #[error("the change is not possible: {why}")]
    Change { why: String } = "change", here;
}

impl From<AttestationError> for Refusal {
    fn from(error: AttestationError) -> Self {
        match error {
            AttestationError::Window { .. } => Refusal::AttestationWindow { error },
            _ => Refusal::BadAttestation { error },
        }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoCapacity { .. } => Refusal::NoCapacity { error },
            _ => Refusal::AssetBound { error },
        }
    }
}
