//! Claim schemas: what the public fields of a capability type are, and when a claim covers a task's requirement.
//!
//! A schema is data, part of the type's record: a peer compares claims of a type whose circuit it has never seen.
//! A [`Claim`] is a list of values in schema order; requirements and attested attributes have the same shape.
//!
//! | rule | claim `c` covers requirement `r` when |
//! |---|---|
//! | `at_least` | c ≥ r |
//! | `has_all` | r ⊆ c |
//! | `within` | c ≠ 0 and c ⊆ r |
//! | `equals` | c = r |
//!
//! Bounds: [`MAX_FIELDS`], [`MAX_LABELS`], and the lengths below; names are plain ASCII, so they print and log safely.

use crate::field::is_canonical;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tender_wire::{FieldBytes, Wire};

/// Most fields of a claim: each is one public input, and verification time grows with them.
pub const MAX_FIELDS: usize = 16;
/// Most labels of a mask: its bits.
pub const MAX_LABELS: usize = 64;
/// Longest field name, in bytes: it is printed in tables and error messages.
pub const MAX_NAME: usize = 32;
/// Longest unit, in bytes.
pub const MAX_UNIT: usize = 16;
/// Longest label, in bytes.
pub const MAX_LABEL: usize = 24;

/// The public fields of a capability type, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimSchema {
    /// 1 to [`MAX_FIELDS`] fields.
    pub fields: Vec<ClaimField>,
}

/// One public field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimField {
    /// Name, unique in the schema: lower-case letters, digits, `_`.
    pub name: String,
    /// Unit of an amount, for people; may be empty.
    pub unit: String,
    /// Names of a mask's bits, from bit 0; empty for other rules.
    pub labels: Vec<String>,
    /// How a claim covers a requirement.
    pub rule: Rule,
}

/// How a claimed value covers a required one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// An amount (u32): at least the required one.
    AtLeast {
        /// Whether an assignment uses the amount up (the ledger debits it) or only needs it.
        consumable: bool,
    },
    /// A mask (u64): has every required bit.
    HasAll,
    /// A mask (u64): not empty, and no bit outside the accepted ones.
    Within,
    /// A field element: exactly the required one.
    Equals,
}

/// A value of a public field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// For `at_least`.
    Amount(u32),
    /// For `has_all` and `within`.
    Mask(u64),
    /// For `equals`: a canonical field element, usually an H31.
    Exact(FieldBytes),
}

/// Values in schema order: a claim, a requirement, or attested attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(pub Vec<FieldValue>);

impl Wire for ClaimSchema {
    const NAME: &'static str = "claim schema";
    /// 16 fields with 64 labels of 24 bytes each, their lengths, names and units.
    const MAX_BYTES: usize = 40 * 1024;
}

impl Wire for Claim {
    const NAME: &'static str = "claim";
    /// 16 values of at most 36 bytes, and their count.
    const MAX_BYTES: usize = 600;
}

/// Why a schema, or a value under it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No field, or more than [`MAX_FIELDS`].
    #[error("a schema has 1 to {MAX_FIELDS} fields, this one {0}")]
    FieldCount(usize),
    /// A name that is empty, too long, or has other characters than a-z, 0-9, `_`.
    #[error(
        "field {index}: a name is 1 to {MAX_NAME} characters of a-z, 0-9, _; this is not: {name:?}"
    )]
    FieldName {
        /// Position.
        index: usize,
        /// The name, cut.
        name: String,
    },
    /// Two fields of one name.
    #[error("two fields are named {0}")]
    DuplicateField(String),
    /// A unit too long or not printable ASCII.
    #[error("{0}: a unit is at most {MAX_UNIT} printable ASCII characters")]
    Unit(String),
    /// Labels on a field that is no mask, or none (or too many) on a mask.
    #[error("{name}: a mask has 1 to {MAX_LABELS} labels and other fields none, this has {found}")]
    LabelCount {
        /// The field.
        name: String,
        /// Labels found.
        found: usize,
    },
    /// A label that is empty, too long, badly spelt, reserved (`any`) or given twice (letter case aside).
    #[error(
        "{name}: label {label:?} is not usable: labels are distinct, 1 to {MAX_LABEL} characters of a-z, A-Z, 0-9, . _ + -, and not `any`"
    )]
    Label {
        /// The field.
        name: String,
        /// The label, cut.
        label: String,
    },
    /// A claim with another number of values than the schema has fields.
    #[error("{expected} values expected, {found} found")]
    ValueCount {
        /// Fields of the schema.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A value of another kind than its rule wants.
    #[error("{name}: the value must be {expected}")]
    Kind {
        /// The field.
        name: String,
        /// The kind wanted.
        expected: &'static str,
    },
    /// An empty mask under `within`: it would say that the thing is nowhere.
    #[error("{name}: at least one of the labels must be given")]
    EmptyMask {
        /// The field.
        name: String,
    },
    /// Bits without a label.
    #[error("{name}: bits {bits:#x} have no label in this version of the type")]
    UnknownBits {
        /// The field.
        name: String,
        /// The offending bits.
        bits: u64,
    },
    /// A field element at or above the modulus.
    #[error("{name}: the value is not a canonical field element")]
    NotCanonical {
        /// The field.
        name: String,
    },
}

/// The first field in which a claim does not cover a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: the claim does not cover the requirement")]
pub struct CoverageError {
    /// Position in the schema.
    pub index: u8,
    /// The field's name.
    pub name: String,
}

impl ClaimField {
    /// The bits that have a label.
    pub fn labelled_bits(&self) -> u64 {
        match self.labels.len() {
            n @ 0..64 => (1u64 << n).wrapping_sub(1),
            _ => u64::MAX,
        }
    }

    fn is_mask(&self) -> bool {
        matches!(self.rule, Rule::HasAll | Rule::Within)
    }

    fn check(&self, index: usize) -> Result<(), SchemaError> {
        let name = || self.name.chars().take(MAX_NAME).collect::<String>();
        let spelt = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(spelt) {
            return Err(SchemaError::FieldName {
                index,
                name: name(),
            });
        }
        let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
        if self.unit.len() > MAX_UNIT || !self.unit.bytes().all(printable) {
            return Err(SchemaError::Unit(name()));
        }
        let found = self.labels.len();
        if found > MAX_LABELS || self.is_mask() != (found > 0) {
            return Err(SchemaError::LabelCount {
                name: name(),
                found,
            });
        }
        let spelt = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
        let mut seen = BTreeSet::new();
        for label in &self.labels {
            let plain = (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(spelt);
            let key = label.to_ascii_lowercase();
            if !plain || key == crate::names::ANY || !seen.insert(key) {
                return Err(SchemaError::Label {
                    name: name(),
                    label: label.chars().take(MAX_LABEL).collect(),
                });
            }
        }
        Ok(())
    }

    fn check_value(&self, value: &FieldValue) -> Result<(), SchemaError> {
        let name = || self.name.clone();
        match (self.rule, value) {
            (Rule::AtLeast { .. }, FieldValue::Amount(_)) => Ok(()),
            (Rule::HasAll | Rule::Within, FieldValue::Mask(mask)) => {
                let bits = mask & !self.labelled_bits();
                if bits != 0 {
                    return Err(SchemaError::UnknownBits { name: name(), bits });
                }
                if self.rule == Rule::Within && *mask == 0 {
                    return Err(SchemaError::EmptyMask { name: name() });
                }
                Ok(())
            }
            (Rule::Equals, FieldValue::Exact(bytes)) if is_canonical(bytes) => Ok(()),
            (Rule::Equals, FieldValue::Exact(_)) => Err(SchemaError::NotCanonical { name: name() }),
            _ => Err(SchemaError::Kind {
                name: name(),
                expected: self.rule.kind(),
            }),
        }
    }
}

impl Rule {
    /// The kind of value the rule compares, in words.
    pub fn kind(self) -> &'static str {
        match self {
            Rule::AtLeast { .. } => "an amount",
            Rule::HasAll | Rule::Within => "a mask",
            Rule::Equals => "a field element",
        }
    }

    /// Whether a claimed value covers a required one. False if the kinds do not match.
    pub fn covers(self, claim: &FieldValue, requirement: &FieldValue) -> bool {
        match (self, claim, requirement) {
            (Rule::AtLeast { .. }, FieldValue::Amount(c), FieldValue::Amount(r)) => c >= r,
            (Rule::HasAll, FieldValue::Mask(c), FieldValue::Mask(r)) => r & !c == 0,
            (Rule::Within, FieldValue::Mask(c), FieldValue::Mask(r)) => *c != 0 && c & !r == 0,
            (Rule::Equals, FieldValue::Exact(c), FieldValue::Exact(r)) => c == r,
            _ => false,
        }
    }
}

impl ClaimSchema {
    /// Checks the schema itself.
    ///
    /// # Errors
    /// The first rule of [`SchemaError`] it breaks.
    pub fn check(&self) -> Result<(), SchemaError> {
        if !(1..=MAX_FIELDS).contains(&self.fields.len()) {
            return Err(SchemaError::FieldCount(self.fields.len()));
        }
        let mut names = BTreeSet::new();
        for (index, field) in self.fields.iter().enumerate() {
            field.check(index)?;
            if !names.insert(&field.name) {
                return Err(SchemaError::DuplicateField(field.name.clone()));
            }
        }
        Ok(())
    }

    /// Checks that a claim (or requirement, or attributes) is a value of this schema: one value per field, of the rule's kind,
    /// masks within the labels and not empty under `within`, field elements canonical.
    ///
    /// # Errors
    /// The first rule of [`SchemaError`] it breaks.
    pub fn check_value(&self, claim: &Claim) -> Result<(), SchemaError> {
        if claim.0.len() != self.fields.len() {
            return Err(SchemaError::ValueCount {
                expected: self.fields.len(),
                found: claim.0.len(),
            });
        }
        self.fields
            .iter()
            .zip(&claim.0)
            .try_for_each(|(field, value)| field.check_value(value))
    }

    /// Whether a claim covers a requirement, field by field. Both must have passed [`Self::check_value`]; a missing value covers
    /// nothing.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn covers(&self, claim: &Claim, requirement: &Claim) -> Result<(), CoverageError> {
        for (index, field) in self.fields.iter().enumerate() {
            let covered = claim
                .0
                .get(index)
                .zip(requirement.0.get(index))
                .is_some_and(|(c, r)| field.rule.covers(c, r));
            if !covered {
                return Err(CoverageError {
                    index: u8::try_from(index).unwrap_or(u8::MAX),
                    name: field.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Positions of the fields the ledger debits, in order.
    pub fn consumables(&self) -> impl Iterator<Item = usize> + '_ {
        self.fields
            .iter()
            .enumerate()
            .filter(|(_, f)| matches!(f.rule, Rule::AtLeast { consumable: true }))
            .map(|(i, _)| i)
    }

    /// Whether any field is debited.
    pub fn has_consumables(&self) -> bool {
        self.consumables().next().is_some()
    }

    /// Position and definition of a field.
    pub fn field(&self, name: &str) -> Option<(usize, &ClaimField)> {
        self.fields.iter().enumerate().find(|(_, f)| f.name == name)
    }
}

impl Claim {
    /// The values as field elements, one each, in order: the type's part of the public inputs.
    pub fn public_inputs(&self) -> impl Iterator<Item = FieldBytes> + '_ {
        self.0.iter().map(|value| match value {
            FieldValue::Amount(a) => FieldBytes::from_u64(u64::from(*a)),
            FieldValue::Mask(m) => FieldBytes::from_u64(*m),
            FieldValue::Exact(e) => *e,
        })
    }

    /// The amount at a position; `None` if there is none.
    pub fn amount(&self, index: usize) -> Option<u32> {
        match self.0.get(index) {
            Some(FieldValue::Amount(a)) => Some(*a),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
