//! Each limit of capability types, claims, keys and numbers: as much is taken, one more is refused by its rule.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::keys;
use std::{fmt::Debug, sync::Arc};
use tender_circuits::{
    Attestation, Capability, CapabilityType, Claim, ClaimField, ClaimSchema, Credential, Evidence,
    FieldValue, MerklePath, Rule, Setup,
    capability::{MAX_TYPE_NAME, TypeError},
    issuer::IssuerIndex,
    keys::ProvingKeyError,
    names::MAX_EXACT_NAME,
    r1cs::{Builder, MAX_CONSTRAINTS, Num},
    registry::DEPTH,
    schema::{MAX_FIELDS, MAX_LABEL, MAX_LABELS, MAX_NAME, MAX_UNIT, SchemaError},
    score, setup,
    snarkjs::{KeyJson, MAX_INPUTS},
};
use tender_wire::{CodecError, Digest, FieldBytes, Wire, decode, encode};

/// Bytes up to the cap are looked at, and refused for what they are; one byte more is refused unread.
#[track_caller]
fn is_capped<T: Wire + Debug>() {
    let (name, max) = (T::NAME, T::MAX_BYTES);
    let len = max + 1;
    let looked_at = decode::<T>(&vec![0xff; max]).unwrap_err();
    assert!(!matches!(looked_at, CodecError::TooLong { .. }), "{name}");
    let unread = CodecError::TooLong { name, len, max };
    assert_eq!(decode::<T>(&vec![0xff; len]).unwrap_err(), unread);
}

#[test]
fn records_above_their_caps_are_refused_unread() {
    is_capped::<CapabilityType>();
    is_capped::<ClaimSchema>();
    is_capped::<Claim>();
    is_capped::<Credential>();
    is_capped::<Attestation>();
    is_capped::<Evidence>();
    is_capped::<MerklePath>();
}

/// A schema of the largest fields there are.
fn largest_schema() -> ClaimSchema {
    let labels = (0..MAX_LABELS).map(|label| format!("{label:0>MAX_LABEL$}"));
    let labels: Vec<_> = labels.collect();
    let field = |index| ClaimField {
        name: format!("{index:0>MAX_NAME$}"),
        unit: "x".repeat(MAX_UNIT),
        labels: labels.clone(),
        rule: Rule::HasAll,
    };
    ClaimSchema {
        fields: (0..MAX_FIELDS).map(field).collect(),
    }
}

/// What keeps every limit of its parts is below the cap of the whole.
#[test]
fn the_largest_records_fit_their_caps() {
    #[track_caller]
    fn fits<T: Wire + PartialEq + Debug>(value: &T) {
        let bytes = encode(value);
        assert!(bytes.len() <= T::MAX_BYTES, "{}: {}", T::NAME, bytes.len());
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    }
    let schema = largest_schema();
    assert_eq!(schema.check(), Ok(()));
    let claim = Claim(vec![FieldValue::Exact(FieldBytes([0; 32])); MAX_FIELDS]);
    let mut credential = common::credential();
    credential.type_name = "x".repeat(MAX_TYPE_NAME);
    credential.attributes = claim.clone();
    fits(&claim);
    fits(&schema);
    fits(&credential);
    fits(&CapabilityType {
        name: "x".repeat(MAX_TYPE_NAME),
        schema,
        vk: vec![0; 32 + 3 * 64 + 32 * (MAX_INPUTS + 1)],
        setup: Setup::Ceremony {
            transcript: Digest([1; 32]),
            contributions: u32::MAX,
            beacon: Digest([2; 32]),
        },
        ..keys().1.clone()
    });
    fits(&MerklePath {
        index: u32::MAX,
        siblings: vec![FieldBytes([0; 32]); DEPTH],
    });
    let (proof, attestation) = common::evidences(&claim);
    fits(&attestation);
    fits(&Evidence::Attestation(attestation));
    fits(&Evidence::Proof(proof));
}

/// T6: names are plain and short, lists end.
#[test]
fn schemas_hold_so_much_and_no_more() {
    let plain = |index: usize| ClaimField {
        name: format!("f{index}"),
        unit: String::new(),
        labels: Vec::new(),
        rule: Rule::AtLeast { consumable: false },
    };
    let mask = |labels: usize, length: usize| ClaimField {
        labels: (0..labels).map(|it| format!("{it:0>length$}")).collect(),
        rule: Rule::HasAll,
        ..plain(0)
    };
    let refused = |fields: Vec<ClaimField>| ClaimSchema { fields }.check().err();
    let named = |length| ClaimField {
        name: "n".repeat(length),
        ..plain(0)
    };
    let measured = |length| ClaimField {
        unit: "u".repeat(length),
        ..plain(0)
    };
    let fields = |count| (0..count).map(plain).collect();
    assert_eq!(refused(fields(MAX_FIELDS)), None);
    let found = MAX_FIELDS + 1;
    assert_eq!(refused(fields(found)), Some(SchemaError::FieldCount(found)));
    assert_eq!(refused(vec![named(MAX_NAME)]), None);
    let refusal = refused(vec![named(MAX_NAME + 1)]);
    assert!(matches!(refusal, Some(SchemaError::FieldName { .. })));
    assert_eq!(refused(vec![measured(MAX_UNIT)]), None);
    let refusal = refused(vec![measured(MAX_UNIT + 1)]);
    assert!(matches!(refusal, Some(SchemaError::Unit(_))));
    assert_eq!(refused(vec![mask(MAX_LABELS, 2)]), None);
    let refusal = refused(vec![mask(MAX_LABELS + 1, 2)]);
    assert!(matches!(refusal, Some(SchemaError::LabelCount { .. })));
    assert_eq!(refused(vec![mask(1, MAX_LABEL)]), None);
    let refusal = refused(vec![mask(1, MAX_LABEL + 1)]);
    assert!(matches!(refusal, Some(SchemaError::Label { .. })));

    let record = |length| CapabilityType {
        name: "x".repeat(length),
        ..keys().1.clone()
    };
    assert_eq!(record(MAX_TYPE_NAME).check(true), Ok(()));
    let refused = record(MAX_TYPE_NAME + 1).check(true);
    assert_eq!(refused, Err(TypeError::Name));
}

#[test]
fn a_name_for_a_hash_is_so_long_and_no_longer() {
    let parse = |length: usize| {
        let json = serde_json::json!({ "suite": "s".repeat(length) });
        score::schema().claim_from_named(&serde_json::from_value(json).unwrap())
    };
    assert!(parse(MAX_EXACT_NAME).is_ok());
    let refused = parse(MAX_EXACT_NAME + 1).unwrap_err().to_string();
    assert!(refused.contains("suite: expected a name"), "{refused}");
}

/// T4: a key of as many inputs as a type can have is read, one of more is not.
#[test]
fn a_foreign_key_has_so_many_inputs_and_no_more() {
    let mut json = serde_json::to_value(KeyJson::of(keys().0.verifying_key())).unwrap();
    let point = json["IC"][1].clone();
    let mut read = |inputs: usize| {
        json["nPublic"] = inputs.into();
        let points = json["IC"].as_array_mut().unwrap();
        points.resize(inputs + 1, point.clone());
        let key: KeyJson = serde_json::from_value(json.clone()).unwrap();
        key.verifying_key().map_err(|error| error.to_string())
    };
    assert_eq!(read(MAX_INPUTS).unwrap().inputs(), MAX_INPUTS);
    let refused = read(MAX_INPUTS + 1).unwrap_err();
    assert!(refused.contains("a key has 1 to 22 inputs"), "{refused}");
}

/// A type whose circuit has so many constraints beside those of every circuit.
struct Endless(usize);

impl Capability for Endless {
    fn name(&self) -> &str {
        "endless"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        ClaimSchema {
            fields: vec![ClaimField {
                name: "f".into(),
                unit: String::new(),
                labels: Vec::new(),
                rule: Rule::AtLeast { consumable: false },
            }],
        }
    }
    fn constrain(
        &self,
        b: &mut Builder,
        _: &[tender_circuits::capability::Value],
        _: &[tender_circuits::capability::Value],
    ) {
        let one = Num::from_u64(1);
        (0..self.0).for_each(|_| b.enforce_equal(&one, &one));
    }
}

/// The circuit of one constraint too many is counted and refused, before any key is made. Keys of the largest circuit take minutes.
#[test]
fn a_circuit_of_one_constraint_too_many_gets_no_keys() {
    let refused = |own| match setup(Arc::new(Endless(own)), [1; 32]) {
        Err(ProvingKeyError::TooLarge(constraints)) => Some(constraints),
        _ => None,
    };
    let others = refused(MAX_CONSTRAINTS).unwrap() - MAX_CONSTRAINTS;
    let own = MAX_CONSTRAINTS - others;
    assert_eq!(refused(own + 1), Some(MAX_CONSTRAINTS + 1));
}

#[test]
fn there_are_so_many_issuers_and_no_more() {
    let last = tender_circuits::issuer::MAX_ISSUERS - 1;
    assert_eq!(IssuerIndex::new(last).map(u8::from), Ok(last));
    assert!(IssuerIndex::new(last + 1).is_err());
}
