//! What an opener puts up: classes, tasks, windows and the payment rule.
//!
//! An [`AuctionSpec`] is pure data from a stranger: [`AuctionSpec::check`] holds every rule that needs no chain
//! state; the market adds the contextual ones (known types, known issuers, open auctions per opener).

use crate::clearing::PaymentRule;
use serde::{Deserialize, Serialize};
use tender_circuits::{Claim, EvidenceKind, IssuerMask};
use tender_consensus::params::MAX_TX_BYTES;
use tender_wire::{
    AuctionId, ChainId, Digest, Price, PublicKey, Tag, TypeId, UnixTime, encode, hash,
    text::is_plain,
};

/// Longest encoding of an auction, in bytes: what a transaction holds beside its signer, number, signature and two variants. Nobody reaches
/// all the other limits within it: 1024 tasks fit under names of nine bytes, 550 under the longest.
pub const MAX_SPEC_BYTES: usize = MAX_TX_BYTES - 112;
/// Most classes of one auction: each is a market of its own to clear.
pub const MAX_CLASSES: usize = 64;
/// Most tasks of one auction: bounds the outcome records of one block.
pub const MAX_TASKS: usize = 1024;
/// Most units of one task.
pub const MAX_QUANTITY: u32 = 1024;
/// Most units over all tasks of one auction: each unit is an outcome record.
pub const MAX_UNITS: u32 = 4096;
/// Most requirements of one class, and evidences of one bid.
pub const MAX_REQUIREMENTS: usize = 4;
/// Most bonuses of one class.
pub const MAX_BONUSES: usize = 8;
/// Most (task, price) entries of one bid: the sealed body is padded to the auction's own maximum.
pub const MAX_ENTRIES: u8 = 64;
/// Most slots a bid offers in one class.
pub const MAX_SLOTS: u32 = 1024;
/// Highest reserve price, in smallest units: sums of 2^20 of them fit u128 and i128 with room to spare.
pub const MAX_PRICE: Price = Price(1_000_000_000_000_000);
/// Longest title or name, in bytes. All of them are plain text ([`tender_wire::text`]): agents print them.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest window, in blocks: a week of seconds. A live auction holds one of few places.
pub const MAX_WINDOW_BLOCKS: u32 = 604_800;

/// A batch of tasks to be allocated together: the content of an `OpenAuction` transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuctionSpec {
    /// For people.
    pub title: String,
    /// Requirement classes; each clears as its own market.
    pub classes: Vec<Class>,
    /// The tasks; a task's id is its position.
    pub tasks: Vec<Task>,
    /// How winners are paid.
    pub payment: PaymentRule,
    /// Phase lengths, in blocks.
    pub windows: Windows,
    /// Until when winners must serve: credentials must be valid until then.
    pub lease_end: UnixTime,
    /// Entries a sealed bid is padded to, 1..=[`MAX_ENTRIES`].
    pub max_entries: u8,
}

/// What an agent must be attested for to serve the tasks of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// For people.
    pub name: String,
    /// 1..=[`MAX_REQUIREMENTS`], distinct types.
    pub requirements: Vec<Requirement>,
    /// What more than is required is worth to the opener, at most [`MAX_BONUSES`]; together at most [`MAX_PRICE`].
    pub bonuses: Vec<Bonus>,
}

/// What showing more than is required is worth, for every unit served: a skill beyond those needed, or a higher score. In the clearing it counts for a
/// bid as a lower price would, so that the opener may pay a bidder up to the reserve *and* the bonuses it has earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bonus {
    /// One of the types that the class requires. Evidence counts here if it does there: by its kind, its issuers, and how many they are.
    pub type_id: TypeId,
    /// What must be claimed to earn it, field by field, as the type's schema rules it.
    pub claim: Claim,
    /// In smallest units, 1..=[`MAX_PRICE`].
    pub amount: Price,
}

/// One capability requirement of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The capability type that must be shown.
    pub type_id: TypeId,
    /// The least that must be claimed, field by field, as the type's schema rules it.
    pub requirement: Claim,
    /// Issuers accepted; an evidence's mask must lie within.
    pub issuers: IssuerMask,
    /// Evidence kinds accepted.
    pub kinds: AcceptedKinds,
    /// Evidences with pairwise disjoint issuer masks needed, 1..=[`MAX_REQUIREMENTS`].
    pub min_issuers: u8,
}

/// Which kinds of evidence a requirement accepts; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedKinds {
    /// Zero-knowledge proofs.
    pub proof: bool,
    /// Signed attestations, in plain.
    pub attestation: bool,
}

impl AcceptedKinds {
    /// Whether evidence of this kind is accepted.
    pub fn accepts(self, kind: EvidenceKind) -> bool {
        match kind {
            EvidenceKind::Proof => self.proof,
            EvidenceKind::Attestation => self.attestation,
        }
    }
}

/// One kind of job, `quantity` times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// For people.
    pub name: String,
    /// Index into [`AuctionSpec::classes`].
    pub class: u16,
    /// Highest payment per unit the opener accepts, 1..=[`MAX_PRICE`].
    pub reserve: Price,
    /// Units wanted, 1..=[`MAX_QUANTITY`].
    pub quantity: u32,
    /// Commitment to the job itself (image, input, …), which Tender does not interpret.
    pub spec: Digest,
}

/// Phase lengths in blocks, counted from the end of the phase before. Each is at least f + 2, so that
/// at least one honest proposer falls into each (THREATS T23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// For committee members to post seal keys; ends early when all have.
    pub keys: u32,
    /// For sealed bids; its last block is the closing block.
    pub bidding: u32,
    /// For reveals, after the closing block.
    pub reveal: u32,
    /// For winners to accept, after the clearing block.
    pub accept: u32,
}

/// Why an auction specification is refused, whatever the state of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A count or number outside its bounds.
    #[error("{what} is {found}, must be {least}..={most}")]
    OutOfBounds {
        /// The quantity.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// A name or title that a terminal would not only draw.
    #[error("{what} holds control or invisible characters")]
    NotPlain {
        /// Which.
        what: &'static str,
    },
    /// A task names a class that is not there.
    #[error("task {task} names class {class}, there are {classes}")]
    NoSuchClass {
        /// The task.
        task: u32,
        /// The class it names.
        class: u16,
        /// Classes there are.
        classes: u16,
    },
    /// A class lists one type twice.
    #[error("class {class} lists a capability type twice")]
    RepeatedType {
        /// The class.
        class: u16,
    },
    /// A bonus for a type that the class does not require.
    #[error("class {class}: a bonus is for a capability type that the class does not require")]
    UnrequiredBonus {
        /// The class.
        class: u16,
    },
    /// A requirement no evidence can meet: no issuer, or no kind, accepted.
    #[error("class {class}: a requirement accepts no issuer or no kind of evidence")]
    Unmeetable {
        /// The class.
        class: u16,
    },
}

impl AuctionSpec {
    /// Units wanted, over all tasks.
    pub fn units(&self) -> usize {
        let quantities = self.tasks.iter().map(|task| task.quantity as usize);
        quantities.fold(0, usize::saturating_add)
    }

    /// The rules that need no chain state.
    ///
    /// # Errors
    /// The first rule broken, as a [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        named("the title", "the title's length", &self.title)?;
        within(
            "the number of classes",
            self.classes.len() as u64,
            1,
            MAX_CLASSES as u64,
        )?;
        within(
            "the number of tasks",
            self.tasks.len() as u64,
            1,
            MAX_TASKS as u64,
        )?;
        within(
            "max_entries",
            self.max_entries.into(),
            1,
            MAX_ENTRIES.into(),
        )?;
        for window in [
            self.windows.keys,
            self.windows.bidding,
            self.windows.reveal,
            self.windows.accept,
        ] {
            within("a window", window.into(), 1, MAX_WINDOW_BLOCKS.into())?;
        }
        for (class, index) in self.classes.iter().zip(0u16..) {
            class.check(index)?;
        }
        let mut units = 0u64;
        for (task, index) in self.tasks.iter().zip(0u32..) {
            named("a task's name", "a task's name length", &task.name)?;
            within("a reserve price", task.reserve.0, 1, MAX_PRICE.0)?;
            within("a quantity", task.quantity.into(), 1, MAX_QUANTITY.into())?;
            units = units.saturating_add(task.quantity.into());
            if usize::from(task.class) >= self.classes.len() {
                return Err(SpecError::NoSuchClass {
                    task: index,
                    class: task.class,
                    classes: u16::try_from(self.classes.len()).unwrap_or(u16::MAX),
                });
            }
        }
        within("the number of units", units, 1, MAX_UNITS.into())?;
        let bytes = encode(self).len() as u64;
        within(
            "the auction's size in bytes",
            bytes,
            1,
            MAX_SPEC_BYTES as u64,
        )
    }
}

impl Class {
    fn check(&self, index: u16) -> Result<(), SpecError> {
        named("a class's name", "a class's name length", &self.name)?;
        let count = self.requirements.len() as u64;
        within(
            "the requirements of a class",
            count,
            1,
            MAX_REQUIREMENTS as u64,
        )?;
        let mut evidences = 0u64;
        for (at, requirement) in self.requirements.iter().enumerate() {
            let least = u64::from(requirement.min_issuers);
            within("min_issuers", least, 1, MAX_REQUIREMENTS as u64)?;
            evidences = evidences.saturating_add(least);
            let kinds = requirement.kinds;
            if requirement.issuers.0 == 0 || !(kinds.proof || kinds.attestation) {
                return Err(SpecError::Unmeetable { class: index });
            }
            if self
                .requirements
                .iter()
                .skip(at.saturating_add(1))
                .any(|r| r.type_id == requirement.type_id)
            {
                return Err(SpecError::RepeatedType { class: index });
            }
        }
        within(
            "the evidences a class needs",
            evidences,
            1,
            MAX_REQUIREMENTS as u64,
        )?;
        self.check_bonuses(index)
    }

    fn check_bonuses(&self, index: u16) -> Result<(), SpecError> {
        let count = self.bonuses.len() as u64;
        within("the bonuses of a class", count, 0, MAX_BONUSES as u64)?;
        let mut sum = 0u64;
        for bonus in &self.bonuses {
            within("a bonus", bonus.amount.0, 1, MAX_PRICE.0)?;
            sum = sum.saturating_add(bonus.amount.0);
            if self.requirement_of(&bonus.type_id).is_none() {
                return Err(SpecError::UnrequiredBonus { class: index });
            }
        }
        within("the sum of a class's bonuses", sum, 0, MAX_PRICE.0)
    }

    /// What is required of a type, if anything is.
    pub fn requirement_of(&self, type_id: &TypeId) -> Option<&Requirement> {
        self.requirements.iter().find(|r| r.type_id == *type_id)
    }
}

fn named(what: &'static str, length: &'static str, text: &str) -> Result<(), SpecError> {
    within(length, text.len() as u64, 1, MAX_NAME_BYTES as u64)?;
    if text.chars().all(is_plain) {
        Ok(())
    } else {
        Err(SpecError::NotPlain { what })
    }
}

fn within(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), SpecError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(SpecError::OutOfBounds {
            what,
            found,
            least,
            most,
        })
    }
}

/// `auction_id = H(tag, chain, opener, nonce)`; the nonce is the opening transaction's sequence number.
pub fn auction_id(chain: &ChainId, opener: &PublicKey, nonce: u64) -> AuctionId {
    hash(
        Tag::Auction,
        &[chain.as_ref(), opener.as_ref(), &nonce.to_le_bytes()],
    )
    .into()
}
