//! Claims as people write them: fields and mask bits by name, never by position or bit.
//!
//! ```json
//! { "cpu_milli": 8000, "gpu_model": ["A100", "H100"], "region": "eu-west", "skills": ["cuda", "docker"] }
//! ```
//!
//! A field left out asks (or claims) nothing: `at_least` 0, `has_all` no labels, `within` any label. `equals` has no such value and must
//! be given, as the name of the thing or as its 64 hex digits; attested attributes must also say every `within` field. Names are matched without
//! regard to letter case. The name behind an `equals` value is not on chain, so it is printed in hex.

use crate::schema::{Claim, ClaimField, ClaimSchema, FieldValue, Rule, SchemaError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_wire::{FieldBytes, Tag, h31};

/// Word for "every label" of a mask.
pub const ANY: &str = "any";
/// Longest name under `equals`, in bytes: shorter than 64 hex digits, so that a mistyped hash is not taken for a name.
pub const MAX_EXACT_NAME: usize = 48;

/// The `equals` value of a name: H31 of its lower-case form. `None` unless it is 1 to [`MAX_EXACT_NAME`] printable ASCII characters
/// without space at the ends.
pub fn exact(name: &str) -> Option<FieldBytes> {
    let plain = (1..=MAX_EXACT_NAME).contains(&name.len())
        && name.trim() == name
        && name.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    plain.then(|| h31(Tag::EqualsField, &[name.to_ascii_lowercase().as_bytes()]))
}

/// A value as written: a number, one label (or a name or hex for `equals`), or a list of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamedValue {
    /// An amount.
    Number(u64),
    /// One label, `any`, a name, or 64 hex digits.
    Text(String),
    /// Labels.
    List(Vec<String>),
}

/// Why names and values are not a claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No field of that name.
    #[error("no field is named `{name}`; known fields: {known}")]
    UnknownField {
        /// The name, cut to 64 characters.
        name: String,
        /// The schema's field names.
        known: String,
    },
    /// No label of that name.
    #[error("{field}: no label `{label}`; known labels: {known}")]
    UnknownLabel {
        /// The field.
        field: String,
        /// The label, cut to 64 characters.
        label: String,
        /// The field's labels.
        known: String,
    },
    /// A value of the wrong form.
    #[error("{field}: expected {expected}")]
    Form {
        /// The field.
        field: String,
        /// What to write instead.
        expected: &'static str,
    },
    /// A field that has no default.
    #[error("{field}: must be given ({expected})")]
    Missing {
        /// The field.
        field: String,
        /// What to write.
        expected: &'static str,
    },
    /// The value is well-formed but refused by the schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl ClaimSchema {
    /// A claim or requirement from names.
    ///
    /// # Errors
    /// [`NameError`], listing the known names.
    pub fn claim_from_named(
        &self,
        named: &BTreeMap<String, NamedValue>,
    ) -> Result<Claim, NameError> {
        self.parse_named(named, |field| match field.rule {
            Rule::AtLeast { .. } => Some(FieldValue::Amount(0)),
            Rule::HasAll => Some(FieldValue::Mask(0)),
            Rule::Within => Some(FieldValue::Mask(field.labelled_bits())),
            Rule::Equals => None,
        })
    }

    /// Attested attributes from names: as a claim, but `within` fields must be given too.
    ///
    /// # Errors
    /// [`NameError`], listing the known names.
    pub fn attributes_from_named(
        &self,
        named: &BTreeMap<String, NamedValue>,
    ) -> Result<Claim, NameError> {
        self.parse_named(named, |field| match field.rule {
            Rule::AtLeast { .. } => Some(FieldValue::Amount(0)),
            Rule::HasAll => Some(FieldValue::Mask(0)),
            Rule::Within | Rule::Equals => None,
        })
    }

    fn parse_named(
        &self,
        named: &BTreeMap<String, NamedValue>,
        default: impl Fn(&ClaimField) -> Option<FieldValue>,
    ) -> Result<Claim, NameError> {
        if let Some(name) = named.keys().find(|name| self.field(name).is_none()) {
            let known: Vec<_> = self.fields.iter().map(|f| f.name.as_str()).collect();
            return Err(NameError::UnknownField {
                name: cut(name),
                known: known.join(", "),
            });
        }
        let value = |field: &ClaimField| match named.get(&field.name) {
            Some(written) => field.parse(written),
            None => default(field).ok_or_else(|| NameError::Missing {
                field: field.name.clone(),
                expected: form(field.rule),
            }),
        };
        let claim = Claim(self.fields.iter().map(value).collect::<Result<_, _>>()?);
        self.check_value(&claim)?;
        Ok(claim)
    }

    /// A claim by names, every field given; masks as lists of labels, `any` for all of them under `within`.
    pub fn describe(&self, claim: &Claim) -> BTreeMap<String, NamedValue> {
        let pairs = self.fields.iter().zip(&claim.0);
        pairs
            .map(|(field, value)| (field.name.clone(), field.describe(value)))
            .collect()
    }

    /// A claim as one line for people, without the fields that say nothing: `cpu_milli 8000 mCPU, region eu-west`.
    pub fn line(&self, claim: &Claim) -> String {
        let parts = self.fields.iter().zip(&claim.0).filter_map(|(f, value)| {
            let says_nothing = match value {
                FieldValue::Amount(a) => *a == 0,
                FieldValue::Mask(m) if f.rule == Rule::Within => *m == f.labelled_bits(),
                FieldValue::Mask(m) => *m == 0,
                FieldValue::Exact(_) => false,
            };
            let text = match f.describe(value) {
                NamedValue::Number(n) => format!("{n} {}", f.unit),
                NamedValue::Text(t) => t,
                NamedValue::List(l) => l.join("+"),
            };
            (!says_nothing).then(|| format!("{} {}", f.name, text.trim_end()))
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            "nothing in particular".into()
        } else {
            parts.join(", ")
        }
    }
}

impl ClaimField {
    fn parse(&self, written: &NamedValue) -> Result<FieldValue, NameError> {
        let wrong = || NameError::Form {
            field: self.name.clone(),
            expected: form(self.rule),
        };
        match (self.rule, written) {
            (Rule::AtLeast { .. }, NamedValue::Number(n)) => u32::try_from(*n)
                .map(FieldValue::Amount)
                .map_err(|_| wrong()),
            (Rule::Within, NamedValue::Text(t)) if t.eq_ignore_ascii_case(ANY) => {
                Ok(FieldValue::Mask(self.labelled_bits()))
            }
            (Rule::HasAll | Rule::Within, NamedValue::Text(t)) => self.bit(t).map(FieldValue::Mask),
            (Rule::HasAll | Rule::Within, NamedValue::List(list)) => list
                .iter()
                .try_fold(0, |mask, label| Ok(mask | self.bit(label)?))
                .map(FieldValue::Mask),
            (Rule::Equals, NamedValue::Text(t)) => t
                .parse::<FieldBytes>()
                .ok()
                .or_else(|| exact(t))
                .map(FieldValue::Exact)
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn bit(&self, label: &str) -> Result<u64, NameError> {
        let found = self
            .labels
            .iter()
            .zip(0u32..64)
            .find(|(known, _)| known.eq_ignore_ascii_case(label));
        match found {
            Some((_, i)) => Ok(1u64.wrapping_shl(i)),
            None => Err(NameError::UnknownLabel {
                field: self.name.clone(),
                label: cut(label),
                known: self.labels.join(", "),
            }),
        }
    }

    /// The labels of a mask's bits, in order.
    pub fn labels_of(&self, mask: u64) -> Vec<String> {
        let set = |(_, i): &(&String, u32)| mask.wrapping_shr(*i) & 1 == 1;
        let labels = self.labels.iter().zip(0u32..64).filter(set);
        labels.map(|(label, _)| label.clone()).collect()
    }

    pub(crate) fn describe(&self, value: &FieldValue) -> NamedValue {
        match value {
            FieldValue::Amount(a) => NamedValue::Number(u64::from(*a)),
            FieldValue::Mask(m) if self.rule == Rule::Within && *m == self.labelled_bits() => {
                NamedValue::Text(ANY.into())
            }
            FieldValue::Mask(m) => NamedValue::List(self.labels_of(*m)),
            FieldValue::Exact(e) => NamedValue::Text(e.to_string()),
        }
    }
}

fn form(rule: Rule) -> &'static str {
    match rule {
        Rule::AtLeast { .. } => "a whole number from 0 to 4294967295",
        Rule::HasAll => "a label or a list of labels",
        Rule::Within => "a label, a list of labels, or `any`",
        Rule::Equals => "a name of 1 to 48 printable ASCII characters, or 64 lower-case hex digits",
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::resources;

    fn parse(json: &str) -> Result<Claim, NameError> {
        resources::schema().claim_from_named(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn names_round_trip_and_defaults_ask_nothing() {
        let schema = resources::schema();
        let claim = parse(
            r#"{"cpu_milli": 8000, "gpu_model": ["a100", "H100"], "region": "eu-west", "skills": "cuda"}"#,
        )
        .unwrap();
        assert_eq!(
            schema.claim_from_named(&schema.describe(&claim)).unwrap(),
            claim
        );
        assert_eq!(
            schema.line(&claim),
            "cpu_milli 8000 mCPU, gpu_model A100+H100, region eu-west, skills cuda"
        );
        let nothing = parse("{}").unwrap();
        assert_eq!(schema.covers(&claim, &nothing), Ok(()));
        assert_eq!(schema.line(&nothing), "nothing in particular");
        assert_eq!(parse(r#"{"region": "ANY"}"#).unwrap(), nothing);
        assert_eq!(
            serde_json::to_value(schema.describe(&nothing)).unwrap()["region"],
            "any"
        );
    }

    #[test]
    fn what_must_be_equal_is_written_by_name_or_in_hex() {
        let schema = crate::types::score::schema();
        let parse = |json: &str| schema.claim_from_named(&serde_json::from_str(json).unwrap());
        let claim = parse(r#"{"suite": "MMLU-Pro", "score": 700}"#).unwrap();
        assert_eq!(
            parse(r#"{"suite": "mmlu-pro", "score": 700}"#),
            Ok(claim.clone())
        );
        assert_eq!(
            schema.claim_from_named(&schema.describe(&claim)),
            Ok(claim.clone())
        );
        let other = parse(r#"{"suite": "mmlu", "score": 700}"#).unwrap();
        assert_eq!(schema.covers(&claim, &other).unwrap_err().name, "suite");
        let mistyped = "0".repeat(63);
        for bad in ["", " mmlu", "mmlu\\n", "é", &mistyped] {
            let text = parse(&format!(r#"{{"suite": "{bad}"}}"#))
                .unwrap_err()
                .to_string();
            assert!(text.contains("suite: expected a name"), "{bad:?}: {text}");
        }
    }

    #[test]
    fn errors_name_the_field_and_list_what_is_known() {
        let text = |json| parse(json).unwrap_err().to_string();
        assert!(text(r#"{"cpus": 1}"#).contains("`cpus`; known fields: cpu_milli, memory_mib"));
        assert!(
            text(r#"{"gpu_model": ["B9000"]}"#)
                .contains("no label `B9000`; known labels: none, P100")
        );
        assert!(
            text(r#"{"cpu_milli": 4294967296}"#).contains("cpu_milli: expected a whole number")
        );
        assert!(text(r#"{"cpu_milli": "many"}"#).contains("cpu_milli: expected a whole number"));
        assert!(text(r#"{"region": []}"#).contains("region: at least one"));
        let missing = resources::schema().attributes_from_named(&BTreeMap::new());
        assert!(matches!(missing, Err(NameError::Missing { field, .. }) if field == "gpu_model"));
    }
}
