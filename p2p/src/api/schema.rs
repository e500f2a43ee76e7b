//! How the JSON of the lower crates looks, for the API's own description: those crates know nothing of OpenAPI.
//!
//! None of these is ever built. Tests hold what a peer really answers against them, so they cannot drift from the types they describe.

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// 32 bytes as 64 lower-case hex digits: a hash, a key, an id.
#[derive(Debug, ToSchema)]
#[schema(
    pattern = "^[0-9a-f]{64}$",
    example = "5fcc2b7500000000000000000000000000000000000000000000000000000000"
)]
pub struct Hex32(pub String);

/// A value of a public field.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FieldValue {
    /// For `at_least`.
    Amount(u32),
    /// For `has_all` and `within`: a set of labels, bit by bit.
    Mask(u64),
    /// For `equals`.
    Exact(Hex32),
}

/// A value as people write it.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum NamedValue {
    /// An amount.
    Number(u64),
    /// One label, `any`, or 64 hex digits.
    Text(String),
    /// Labels.
    List(Vec<String>),
}

/// Values by field name: `{ "cpu_milli": 8000, "region": "eu-west", "skills": ["cuda", "docker"] }`.
#[derive(Debug, ToSchema)]
pub struct Named(pub BTreeMap<String, NamedValue>);

/// An authority whose attestations the chain knows.
#[derive(Debug, ToSchema)]
pub struct Issuer {
    /// For people; unique.
    pub name: String,
    /// Signs leaves, revocations and attestations.
    pub key: Hex32,
    /// Leaves it may post in all.
    pub quota: u32,
}

/// A capability type: a circuit as every peer knows it.
#[derive(Debug, ToSchema)]
pub struct CapabilityType {
    /// Its name.
    pub name: String,
    /// Its version; a changed circuit or schema is a new version.
    pub version: u16,
    /// The public fields.
    pub schema: ClaimSchema,
    /// The verifying key, hex.
    pub vk: String,
    /// Hash of the circuit's constraint matrices.
    pub r1cs_hash: Hex32,
    /// How the keys were made.
    pub setup: Setup,
}

/// How a type's keys were made. Whoever knows the randomness of a setup can forge proofs.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Setup {
    /// By a single party. Insecure: for development only.
    Dev,
    /// By a ceremony: secure if one contributor was honest.
    Ceremony {
        /// Hash of the transcript.
        transcript: Hex32,
        /// Number of contributions.
        contributions: u32,
        /// Final public randomness.
        beacon: Hex32,
    },
}

/// The public fields of a capability type, in order.
#[derive(Debug, ToSchema)]
pub struct ClaimSchema {
    /// The fields.
    pub fields: Vec<ClaimField>,
}

/// One public field.
#[derive(Debug, ToSchema)]
pub struct ClaimField {
    /// Its name.
    pub name: String,
    /// Unit of an amount, for people; may be empty.
    pub unit: String,
    /// Names of a mask's bits, from bit 0; empty for other rules.
    pub labels: Vec<String>,
    /// How a claim covers a requirement.
    pub rule: Rule,
}

/// How a claimed value covers a required one.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Rule {
    /// An amount: at least the required one.
    AtLeast {
        /// Whether an assignment uses the amount up or only needs it.
        consumable: bool,
    },
    /// A mask: has every required bit.
    HasAll,
    /// A mask: not empty, and no bit outside the accepted ones.
    Within,
    /// Exactly the required value.
    Equals,
}

/// A batch of tasks to be allocated together, as the chain has it.
#[derive(Debug, ToSchema)]
pub struct AuctionSpec {
    /// For people.
    pub title: String,
    /// Requirement classes.
    pub classes: Vec<Class>,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How winners are paid.
    pub payment: PaymentRule,
    /// Phase lengths.
    pub windows: Windows,
    /// When every lease ends, unix seconds.
    pub lease_end: u64,
    /// Most entries of one bid.
    pub max_entries: u8,
}

/// What an agent must be attested for to serve the tasks of a class.
#[derive(Debug, ToSchema)]
pub struct Class {
    /// For people.
    pub name: String,
    /// All of them must be shown.
    pub requirements: Vec<Requirement>,
    /// What more than that is worth to the opener.
    pub bonuses: Vec<Bonus>,
}

/// What showing more than is required is worth, for every unit served.
#[derive(Debug, ToSchema)]
pub struct Bonus {
    /// One of the types that the class requires.
    pub type_id: Hex32,
    /// What must be claimed to earn it, in the order of the type's fields.
    pub claim: Vec<FieldValue>,
    /// In smallest units.
    pub amount: u64,
}

/// One capability requirement of a class.
#[derive(Debug, ToSchema)]
pub struct Requirement {
    /// The capability type.
    pub type_id: Hex32,
    /// Values in the order of the type's fields.
    pub requirement: Vec<FieldValue>,
    /// Accepted issuers, bit by bit.
    pub issuers: u64,
    /// Accepted kinds of evidence.
    pub kinds: AcceptedKinds,
    /// How many different issuers must vouch.
    pub min_issuers: u8,
}

/// Which kinds of evidence a requirement accepts.
#[derive(Debug, ToSchema)]
pub struct AcceptedKinds {
    /// Zero-knowledge proofs.
    pub proof: bool,
    /// Signed attestations.
    pub attestation: bool,
}

/// One kind of job, `quantity` times.
#[derive(Debug, ToSchema)]
pub struct Task {
    /// For people.
    pub name: String,
    /// Position of its class.
    pub class: u16,
    /// Most the opener pays per unit, in smallest units.
    pub reserve: u64,
    /// Units wanted.
    pub quantity: u32,
    /// Hash of the job's description.
    pub spec: Hex32,
}

/// Phase lengths in blocks, each counted from the end of the phase before.
#[derive(Debug, ToSchema)]
pub struct Windows {
    /// At most this long for committee members to post seal keys.
    pub keys: u32,
    /// Bidding.
    pub bidding: u32,
    /// At most this long for reveals.
    pub reveal: u32,
    /// How long winners have to accept.
    pub accept: u32,
}

/// How winners are paid.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum PaymentRule {
    /// Price plus the bidder's marginal contribution to total surplus.
    Vcg,
    /// The price.
    PayAsBid,
}

/// One outcome, as committed.
#[derive(Debug, ToSchema)]
pub enum OutcomeRecord {
    /// How the auction ended.
    Auction(AuctionRecord),
    /// A bid that is out as a whole.
    Bid(BidRecord),
    /// How an entry of an opened bid ended.
    Entry(EntryRecord),
    /// What became of a unit of a task.
    Unit(UnitRecord),
    /// A step in an assignment's life.
    Award(AwardRecord),
}

/// How an auction ended.
#[derive(Debug, ToSchema)]
pub struct AuctionRecord {
    /// The auction.
    pub auction: Hex32,
    /// Its end.
    pub end: AuctionEnd,
}

/// How an auction can end.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AuctionEnd {
    /// With an assignment.
    Cleared {
        /// Hash over every opened bid's id and salt.
        seed: Hex32,
        /// Least nonce with a unique optimum, per class.
        nonces: Vec<u32>,
        /// Bids that were live at the close.
        bids: u32,
        /// Sum over the classes of reserve minus price, in smallest units; may exceed 64 bits.
        surplus: u128,
    },
    /// Void: too few seal keys.
    NoKeys {
        /// Members who posted none.
        missing: Vec<Hex32>,
    },
    /// Void: too few reveals.
    NoReveals {
        /// Members who withheld.
        withheld: Vec<Hex32>,
    },
}

/// A bid that is out as a whole.
#[derive(Debug, ToSchema)]
pub struct BidRecord {
    /// The auction.
    pub auction: Hex32,
    /// The bid.
    pub bid: Hex32,
    /// Whose.
    pub bidder: Hex32,
    /// The machine.
    pub asset: Hex32,
    /// Why.
    pub reason: BidReason,
}

/// Why a whole bid is out.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum BidReason {
    /// Its sealed part does not open to a proper body.
    SealInvalid,
    /// Its evidence was revoked before the close.
    Suspended,
    /// Its machine has less left than it offers.
    NoCapacity,
    /// A later bid with the same machine stands.
    Replaced {
        /// The bid that replaced it.
        by: Hex32,
    },
    /// It names no task.
    NoEntries,
    /// The auction is void.
    AuctionVoid,
}

/// One entry of a bid that opened: everything a certificate must show.
#[derive(Debug, ToSchema)]
pub struct EntryRecord {
    /// The auction.
    pub auction: Hex32,
    /// The task.
    pub task: u32,
    /// The bid.
    pub bid: Hex32,
    /// Whose.
    pub bidder: Hex32,
    /// The machine.
    pub asset: Hex32,
    /// What was shown.
    pub evidences: Vec<EvidenceSummary>,
    /// What the task's class requires: type and values.
    pub requirements: Vec<(Hex32, Vec<FieldValue>)>,
    /// Price asked.
    pub price: u64,
    /// The task's reserve price.
    pub reserve: u64,
    /// What its bid earns in the task's class beyond it.
    pub bonus: u64,
    /// How winners are paid.
    pub rule: PaymentRule,
    /// When the lease ends, unix seconds.
    pub lease_end: u64,
    /// How the entry ended.
    pub outcome: EntryOutcome,
}

/// What a certificate repeats of an evidence: the claim, not the proof.
#[derive(Debug, ToSchema)]
pub struct EvidenceSummary {
    /// Its capability type.
    pub type_id: Hex32,
    /// Proof or attestation.
    pub kind: EvidenceKind,
    /// Registry root it was proven against; zero for an attestation.
    pub registry_root: Hex32,
    /// The machine.
    pub asset: Hex32,
    /// Who vouches: one of these, bit by bit.
    pub issuers: u64,
    /// The issuer's serial number of an attestation; zero for a proof.
    pub serial: u64,
    /// What is claimed, in the order of the type's fields.
    pub claim: Vec<FieldValue>,
}

/// The kinds of evidence.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A zero-knowledge proof.
    Proof,
    /// An issuer's signature.
    Attestation,
}

/// How a bid entry can end.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EntryOutcome {
    /// It won.
    Won {
        /// What the winner is paid.
        payment: u64,
    },
    /// Others were better.
    Outbid {
        /// The task's lowest-weight winner.
        by: Hex32,
    },
    /// The bid's slots went to its other entries.
    SlotsUsed,
    /// It asked more than the reserve price.
    AboveReserve,
    /// What is claimed does not cover what is required.
    NotCovered {
        /// The capability type.
        type_id: Hex32,
        /// Index of the first field that falls short.
        field: u16,
    },
    /// The bid shows nothing acceptable of a required type.
    NotEvidenced {
        /// The capability type.
        type_id: Hex32,
    },
    /// The bid offers no slot in the task's class.
    NoSlots,
    /// The auction has no such task.
    UnknownTask,
}

/// One unit of a task.
#[derive(Debug, ToSchema)]
pub struct UnitRecord {
    /// The auction.
    pub auction: Hex32,
    /// The task.
    pub task: u32,
    /// The unit, from 0.
    pub unit: u32,
    /// What became of it.
    pub outcome: UnitOutcome,
}

/// How a task unit can end.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum UnitOutcome {
    /// Assigned.
    Filled {
        /// The winning bid.
        bid: Hex32,
        /// What it is paid.
        payment: u64,
        /// What a unit of the task goes for.
        price: u64,
        /// The bid that sets the payment, if one alone does.
        set_by: Option<Hex32>,
        /// First runner-up, if any.
        runner_up: Option<Hex32>,
    },
    /// Nobody bid who is attested for it.
    NoCoveringBid,
    /// Every bid asked more than the reserve price.
    AboveReserve,
    /// More units than slots.
    NoCapacity,
    /// The auction is void.
    AuctionVoid,
}

/// A step in an assignment's life.
#[derive(Debug, ToSchema)]
pub struct AwardRecord {
    /// The assignment.
    pub award: AwardRef,
    /// The winner.
    pub bidder: Hex32,
    /// What it is paid.
    pub payment: u64,
    /// The state reached.
    pub state: AwardState,
}

/// An assignment.
#[derive(Debug, ToSchema)]
pub struct AwardRef {
    /// The auction.
    pub auction: Hex32,
    /// The task.
    pub task: u32,
    /// The winning bid.
    pub bid: Hex32,
}

/// States of an assignment.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AwardState {
    /// To be accepted.
    Assigned,
    /// Accepted by the winner.
    Accepted,
    /// Delivered by the winner.
    Delivered {
        /// The result's hash.
        result: Hex32,
    },
    /// Confirmed by the opener.
    Confirmed,
    /// Rejected by the opener.
    Rejected,
    /// It came to nothing.
    Failed(FailReason),
    /// Not accepted, or not delivered, in time.
    Expired,
}

/// Why an assignment failed.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FailReason {
    /// Its evidence was revoked.
    Suspended,
}
