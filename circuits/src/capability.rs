//! Capability types: the record every peer keeps, and the trait a circuit author implements.
//!
//! A peer that only verifies needs the [`CapabilityType`]: schema and verifying key. A prover also needs the circuit, a [`Capability`].
//!
//! # Writing a type
//!
//! An author says what issuers attest and what holders claim. Everything else comes from the framework: witness allocation, range checks of every
//! attribute, packing and hashing, the registry path, issuer, holder, asset and expiry ([`crate::circuit`]); keys, proving and verifying; and what
//! claims mean to the market, the ledger and people who write files ([`crate::schema`]). If what is attested has the claim's shape, the schema is
//! all there is to write: [`crate::types::score`] is one in a page. This page makes a type where it has not: how much of the time a machine was
//! up, in thousandths, without saying how long it was watched.
//!
//! **1. From attributes to claim.** Two lists of fields. Issuers attest *minutes watched* and *minutes up*; a holder claims *at least so many
//! thousandths*. The rule of a claimed field says when it covers what a task requires ([`Rule`]); choose fields so that more of them is better.
//! Of attributes only the kind of value matters: an amount (32 bits), a mask (64 bits), or a field element.
//!
//! **2. From claim to native check.** [`Capability::check`] decides in plain integers whether attributes support a claim, and says in words why
//! not. Only the holder reads that.
//!
//! **3. From check to constraints.** [`Capability::constrain`] writes the same as equations over a field of about 2^254 elements. Addition and
//! multiplication by constants are free ([`Num::plus`], [`Num::minus`], [`Num::times`]); a product costs a constraint ([`Builder::product`]). There is
//! no *less than*: `a ≥ b` becomes "`a − b` has *n* bits" ([`range::bits`]), since a negative difference wraps to an enormous number. Say why *n* bits
//! are enough for honest values and too few for wrapped ones.
//!
//! ```
//! use tender_circuits::{
//!     Capability, Claim, ClaimField, ClaimSchema, FieldValue::Amount, Rule,
//!     capability::{Unsupported, Value},
//!     gadgets::range, r1cs::Builder, testing,
//! };
//!
//! struct Uptime;
//!
//! fn amounts(names: &[&str]) -> ClaimSchema {
//!     let field = |name: &&str| ClaimField {
//!         name: (*name).into(),
//!         unit: String::new(),
//!         labels: vec![],
//!         rule: Rule::AtLeast { consumable: false },
//!     };
//!     ClaimSchema { fields: names.iter().map(field).collect() }
//! }
//!
//! impl Capability for Uptime {
//!     fn name(&self) -> &str { "uptime" }
//!     fn version(&self) -> u16 { 1 }
//!     fn schema(&self) -> ClaimSchema { amounts(&["permille"]) }
//!     fn attributes(&self) -> ClaimSchema { amounts(&["watched", "up"]) }
//!
//!     fn check(&self, attributes: &Claim, claim: &Claim) -> Result<(), Unsupported> {
//!         let of = |claim: &Claim, i| u128::from(claim.amount(i).unwrap_or(0));
//!         let (watched, up, permille) = (of(attributes, 0), of(attributes, 1), of(claim, 0));
//!         let refuse = |field: &str, reason: &str| Err(Unsupported { field: field.into(), reason: reason.into() });
//!         if watched == 0 {
//!             return refuse("watched", "a machine nobody watched was up any part of the time");
//!         }
//!         if up * 1000 < permille * watched {
//!             return refuse("permille", &format!("claims {permille} ‰, was up {up} of {watched} minutes"));
//!         }
//!         Ok(())
//!     }
//!
//!     fn constrain(&self, b: &mut Builder, attributes: &[Value], claim: &[Value]) {
//!         let ([Value::Amount(watched), Value::Amount(up)], [Value::Amount(permille)]) = (attributes, claim) else {
//!             return b.refuse(); // kinds follow from the schemas, so this is unreachable
//!         };
//!         b.scope("watched", |b| range::nonzero(b, watched));
//!         b.scope("permille", |b| {
//!             let least = b.product(permille, watched);
//!             // Amounts are below 2^32, so up · 1000 < 2^42, and least < 2^64: a negative difference wraps far above 2^42.
//!             range::bits(b, &up.times(1000).minus(&least), 42);
//!         });
//!     }
//! }
//!
//! // 999 of 1000 minutes are 999 ‰ and not more: a pair that just holds.
//! let pair = (Claim(vec![Amount(1000), Amount(999)]), Claim(vec![Amount(999)]));
//! let covered = testing::laws(&Uptime, &[pair]).unwrap();
//! assert_eq!(covered.scopes, ["watched/not empty", "permille"]);
//! ```
//!
//! # Laws an author keeps
//!
//! 1. **Twin.** `check` accepts exactly the pairs of (attributes, claim) that satisfy `constrain`: a lenient check lets people start proofs that
//!    fail, a lenient constraint is a forgery.
//! 2. **Shape.** Constraints depend on the schemas, never on values: no `if` on [`Num::value`]. (Keys are made from the shape.)
//! 3. **Ranges.** Attributes come range-checked by their kind, claimed masks as bits; claimed amounts are below 2^32 because verifiers compute them from
//!    `u32`. Anything else is yours to bound: differences, sums wider than their parts, and all advice ([`Builder::advice`]), which a cheat picks.
//! 4. **Need.** Every constraint refuses something. Test it by leaving it out.
//! 5. **Names.** Write the constraints of a field inside a scope of the field's name ([`Builder::scope`]), in the order in which `check` looks:
//!    whoever cannot prove something is told that name, and the line. Nest scopes for parts.
//! 6. **Edges.** Ask what zero, the largest value and an empty mask would prove. Without its first constraint the type above would let a machine
//!    nobody watched claim anything.
//!
//! [`testing::laws`](crate::testing::laws) tests 1, 2, 4 and 5 on cases grown around pairs that just hold; it cannot choose advice as a cheat would.
//! Prove and verify a claim once, too ([`mod@crate::prove`]; [`crate::attacks`] has forged proofs to be refused).
//!
//! # From circuit to market
//!
//! 1. **Set up:** [`crate::setup`] makes the proving key and the [`CapabilityType`] from a seed. Whoever knows the seed can forge proofs: that is for
//!    development; for anything else hold a ceremony and say so in [`Setup`]. [`ProvingKey::profile`](crate::ProvingKey::profile) says where the
//!    constraints go.
//! 2. **Register:** put the record into the genesis file, or have validators approve it on a running chain (`Change::AddType`). Peers verify proofs of
//!    the type from then on; they need neither the circuit nor a new program.
//! 3. **Attest and prove:** programs of issuers and holders that know the circuit ([`crate::Circuits::with`]) make credentials and proofs of it.
//!    `examples/own_capability.rs` does all of this while four peers run.

use crate::{
    gadgets::{
        mask,
        range::{self, Bits},
    },
    packing::AMOUNT_BITS,
    r1cs::{Builder, Num},
    schema::{Claim, ClaimField, ClaimSchema, FieldValue, Rule, SchemaError},
    statement::{PREFIX_INPUTS, type_tag},
    verify::{KeyError, VerifyingKey},
};
use serde::{Deserialize, Serialize};
use tender_wire::{Digest, FieldBytes, Tag, TypeId, Wire, hash_of};

/// Longest type name, in bytes.
pub const MAX_TYPE_NAME: usize = 32;

/// A capability type: all that a verifier needs. (name, version) is unique on a chain for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityType {
    /// Name: lower-case letters, digits, `-`.
    pub name: String,
    /// Version; a changed circuit or schema is a new version.
    pub version: u16,
    /// The public fields.
    pub schema: ClaimSchema,
    /// The verifying key: see [`VerifyingKey::parse`] for the layout.
    #[serde(with = "hex_bytes")]
    pub vk: Vec<u8>,
    /// Hash of the circuit's constraint matrices, to tell a stale proving key.
    pub r1cs_hash: Digest,
    /// How the keys were made.
    pub setup: Setup,
}

/// How a type's keys were made. Whoever knows the randomness of a setup can forge proofs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Setup {
    /// By a single party. **Insecure**: for development only.
    Dev,
    /// By a ceremony: secure if one contributor was honest.
    Ceremony {
        /// Hash of the transcript.
        transcript: Digest,
        /// Number of contributions.
        contributions: u32,
        /// Final public randomness.
        beacon: Digest,
    },
}

impl Wire for CapabilityType {
    const NAME: &'static str = "capability type";
    /// The schema, at most 960 bytes of key, and small fields.
    const MAX_BYTES: usize = ClaimSchema::MAX_BYTES + 1024;
}

/// Why a capability type is refused at registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// A name that is empty, too long or badly spelt.
    #[error("a type name is 1 to {MAX_TYPE_NAME} characters of a-z, 0-9, -")]
    Name,
    /// The schema is refused.
    #[error("schema: {0}")]
    Schema(#[from] SchemaError),
    /// The verifying key is refused.
    #[error("verifying key: {0}")]
    Key(#[from] KeyError),
    /// A single-party setup where genesis does not allow it.
    #[error(
        "its keys come from a single-party setup, whose maker can forge proofs; only a genesis with `allow_insecure_setup` takes it"
    )]
    InsecureSetup,
    /// A ceremony nobody contributed to.
    #[error("its ceremony has no contribution")]
    EmptyCeremony,
}

impl CapabilityType {
    /// The type's id: hash of the whole record.
    pub fn id(&self) -> TypeId {
        hash_of(Tag::CapabilityType, self).into()
    }

    /// The tag in credential leaves: name and version only, so credentials outlive a new setup.
    pub fn type_tag(&self) -> FieldBytes {
        type_tag(&self.name, self.version)
    }

    /// `name/vN`.
    pub fn label(&self) -> String {
        format!("{}/v{}", self.name, self.version)
    }

    /// Number of public inputs.
    pub fn inputs(&self) -> usize {
        self.schema.fields.len().saturating_add(PREFIX_INPUTS)
    }

    /// The parsed verifying key.
    ///
    /// # Errors
    /// [`KeyError`] if the key is not acceptable.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::parse(&self.vk, self.inputs())
    }

    /// Checks the record as a chain must before registering it.
    ///
    /// # Errors
    /// [`TypeError`].
    pub fn check(&self, allow_insecure_setup: bool) -> Result<(), TypeError> {
        let spelt = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=MAX_TYPE_NAME).contains(&self.name.len()) || !self.name.bytes().all(spelt) {
            return Err(TypeError::Name);
        }
        self.schema.check()?;
        self.verifying_key()?;
        match self.setup {
            Setup::Dev if !allow_insecure_setup => Err(TypeError::InsecureSetup),
            Setup::Ceremony {
                contributions: 0, ..
            } => Err(TypeError::EmptyCeremony),
            _ => Ok(()),
        }
    }
}

/// A claim its attributes do not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Unsupported {
    /// The field.
    pub field: String,
    /// What is claimed and what is attested, in words. Tells the holder about its own credential: not for others' eyes.
    pub reason: String,
}

/// A value inside a circuit, range-checked by the framework.
pub enum Value {
    /// An amount, below 2^32.
    Amount(Num),
    /// A mask: 64 bits.
    Mask(Bits),
    /// Any field element.
    Exact(Num),
}

/// A circuit author's part of a capability type.
///
/// Law: [`Self::check`] accepts exactly the (attributes, claim) pairs that satisfy [`Self::constrain`]; and the constraints depend on the schemas, never
/// on values. The module's documentation writes one step by step; [`crate::testing`] tests it.
pub trait Capability: Send + Sync {
    /// The type's name.
    fn name(&self) -> &str;

    /// The type's version.
    fn version(&self) -> u16;

    /// The public fields.
    fn schema(&self) -> ClaimSchema;

    /// What an issuer attests: the shape of a credential's attributes. By default that of a claim.
    fn attributes(&self) -> ClaimSchema {
        self.schema()
    }

    /// The native twin of [`Self::constrain`]: whether the attributes support the claim. Both have passed their schemas. By default, field by
    /// field, by rule.
    ///
    /// # Errors
    /// The first field that is not supported.
    fn check(&self, attributes: &Claim, claim: &Claim) -> Result<(), Unsupported> {
        let schema = self.schema();
        if self.attributes() != schema {
            return Err(Unsupported {
                field: self.name().to_owned(),
                reason: "attributes of another shape than the claim need their own `check`".into(),
            });
        }
        let values = attributes.0.iter().zip(&claim.0);
        schema
            .fields
            .iter()
            .zip(values)
            .try_for_each(|(field, (attested, claimed))| supports(field, attested, claimed))
    }

    /// The type's own constraints, over attributes and claim in schema order. By default, field by field, by rule; if attributes have
    /// another schema than the claim, that would leave claims unproven, so nothing satisfies the default then.
    fn constrain(&self, b: &mut Builder, attributes: &[Value], claim: &[Value]) {
        let schema = self.schema();
        if self.attributes() != schema {
            return b.scope("attributes need their own `constrain`", Builder::refuse);
        }
        let values = attributes.iter().zip(claim);
        for (field, (attested, claimed)) in schema.fields.iter().zip(values) {
            b.scope(&field.name, |b| constrain(b, field, attested, claimed));
        }
    }
}

/// Whether one attested value supports one claimed value.
fn supports(
    field: &ClaimField,
    attested: &FieldValue,
    claimed: &FieldValue,
) -> Result<(), Unsupported> {
    use FieldValue::{Amount, Exact, Mask};
    let names = |mask: u64| match field.labels_of(mask).join(", ") {
        none if none.is_empty() => "nothing".into(),
        some => some,
    };
    let reason = match (field.rule, attested, claimed) {
        (Rule::AtLeast { .. }, Amount(a), Amount(c)) => {
            (c > a).then(|| format!("claims {c}, attested {a}"))
        }
        (Rule::HasAll, Mask(a), Mask(c)) => {
            (c & !a != 0).then(|| format!("claims {}, which is not attested", names(c & !a)))
        }
        (Rule::Within, Mask(a), Mask(c)) => (*a == 0 || a & !c != 0)
            .then(|| format!("claims to be within {}, attested {}", names(*c), names(*a))),
        (Rule::Equals, Exact(a), Exact(c)) => (a != c).then(|| format!("claims {c}, attested {a}")),
        _ => Some(format!("must be {}", field.rule.kind())),
    };
    match reason {
        None => Ok(()),
        Some(reason) => Err(Unsupported {
            field: field.name.clone(),
            reason,
        }),
    }
}

/// The constraints of [`supports`].
fn constrain(b: &mut Builder, field: &ClaimField, attested: &Value, claimed: &Value) {
    match (field.rule, attested, claimed) {
        (Rule::AtLeast { .. }, Value::Amount(a), Value::Amount(c)) => {
            range::at_least(b, a, c, AMOUNT_BITS);
        }
        (Rule::HasAll, Value::Mask(a), Value::Mask(c)) => {
            b.scope("claimed is attested", |b| mask::subset(b, c, a));
        }
        (Rule::Within, Value::Mask(a), Value::Mask(c)) => {
            range::nonzero(b, &a.num);
            b.scope("attested is within claimed", |b| mask::subset(b, a, c));
        }
        (Rule::Equals, Value::Exact(a), Value::Exact(c)) => b.enforce_equal(a, c),
        _ => b.refuse(), // kinds follow from the schema, so this is unreachable
    }
}

/// Bytes as hex in text formats.
mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Vec<u8>, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_str(&tender_wire::hex::encode(bytes))
        } else {
            bytes.serialize(s)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        if d.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
            tender_wire::hex::decode(text.as_ref()).map_err(D::Error::custom)
        } else {
            Vec::<u8>::deserialize(d)
        }
    }
}
