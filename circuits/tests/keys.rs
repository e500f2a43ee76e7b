//! Proving-key files and type records. THREATS T5, T32.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{World, claim, credential, keys};
use std::sync::{Arc, OnceLock};
use tender_circuits::{
    Capability, CapabilityType, ClaimSchema, ProvingKey, Setup,
    capability::TypeError,
    keys::{HEADER_BYTES, ProvingKeyError},
    prove, resources,
    schema::SchemaError,
    verify,
};
use tender_wire::{Digest, TypeId, decode, encode};

fn file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| keys().0.to_bytes())
}

fn parse(bytes: &[u8]) -> Result<ProvingKey, ProvingKeyError> {
    ProvingKey::parse(bytes, Arc::new(resources::Resources), &keys().1)
}

#[test]
fn a_key_read_back_proves() {
    let key = parse(file()).unwrap();
    assert_eq!(key.to_bytes(), file());
    let world = World::of(credential());
    let statement = world.statement(&key.type_id(), claim(r#"{"gpu_milli": 8000}"#));
    let proof = prove(&key, &world.credential, &world.path, &statement, [1; 32]).unwrap();
    assert_eq!(verify(keys().0.verifying_key(), &statement, &proof), Ok(()));
}

#[test]
fn a_key_of_another_type_is_refused_by_name() {
    let mut bytes = file().to_vec();
    bytes[10] ^= 1;
    let refused = parse(&bytes).unwrap_err();
    let expected = keys().0.type_id();
    let mut found = expected.0;
    found[0] ^= 1;
    let found = TypeId(found);
    assert_eq!(refused, ProvingKeyError::WrongType { expected, found });
    assert!(refused.to_string().contains("this proving key is for type"));
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let err = |bytes: &[u8]| parse(bytes).unwrap_err();
    assert_eq!(err(b""), ProvingKeyError::NotAKeyFile);
    assert_eq!(
        err(&file()[..HEADER_BYTES - 1]),
        ProvingKeyError::NotAKeyFile
    );
    let flipped = |at: usize| {
        let mut bytes = file().to_vec();
        bytes[at] ^= 1;
        err(&bytes)
    };
    assert_eq!(flipped(0), ProvingKeyError::NotAKeyFile);
    assert_eq!(flipped(8), ProvingKeyError::NotAKeyFile);
    assert!(matches!(flipped(42), ProvingKeyError::WrongCircuit { .. }));
    assert!(matches!(flipped(74), ProvingKeyError::Length { .. }));
    assert_eq!(flipped(82), ProvingKeyError::Checksum);
    assert_eq!(flipped(HEADER_BYTES), ProvingKeyError::Checksum);
    assert_eq!(flipped(file().len() - 1), ProvingKeyError::Checksum);
    let short = &file()[..file().len() - 1];
    assert!(matches!(err(short), ProvingKeyError::Length { .. }));
    let long = [file(), &[0]].concat();
    assert!(matches!(err(&long), ProvingKeyError::Length { .. }));
}

/// The checksum is no authenticity: with a fitting one, the points and the verifying key are still checked.
#[test]
fn a_rewritten_payload_with_a_fitting_checksum_is_refused() {
    let resealed = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = file().to_vec();
        change(&mut bytes[HEADER_BYTES..]);
        let sum: [u8; 32] = {
            use sha2::Digest as _;
            sha2::Sha256::digest(&bytes[HEADER_BYTES..]).into()
        };
        bytes[82..HEADER_BYTES].copy_from_slice(&sum);
        parse(&bytes).unwrap_err()
    };
    assert_eq!(resealed(&|p| p[0] ^= 1), ProvingKeyError::Malformed);
    let inputs_len = 64 + 3 * 128;
    assert_eq!(
        resealed(&|p| p[inputs_len] ^= 1),
        ProvingKeyError::Malformed
    );
    assert_eq!(
        resealed(&|p| p[inputs_len + 7] = 0xff),
        ProvingKeyError::Malformed
    );
    // Another valid point in the verifying key: swap alpha for the first input's point.
    let swap = |p: &mut [u8]| p.copy_within(inputs_len + 8..inputs_len + 72, 0);
    assert_eq!(resealed(&swap), ProvingKeyError::WrongVerifyingKey);
}

#[test]
fn a_circuit_other_than_the_registered_one_is_refused() {
    struct Narrower;
    impl Capability for Narrower {
        fn name(&self) -> &str {
            "resources"
        }
        fn version(&self) -> u16 {
            1
        }
        fn schema(&self) -> ClaimSchema {
            let mut schema = resources::schema();
            schema.fields.pop();
            schema
        }
    }
    let refused = ProvingKey::parse(file(), Arc::new(Narrower), &keys().1).unwrap_err();
    assert!(
        matches!(refused, ProvingKeyError::WrongCircuit { .. }),
        "{refused}"
    );
}

#[test]
fn type_records_are_checked_rule_by_rule() {
    let record = &keys().1;
    let with = |change: &dyn Fn(&mut CapabilityType)| {
        let mut changed = record.clone();
        change(&mut changed);
        assert_ne!(changed.id(), record.id(), "the id covers the whole record");
        changed.check(true)
    };
    assert_eq!(record.check(true), Ok(()));
    assert_eq!(record.check(false), Err(TypeError::InsecureSetup));
    for name in ["", "Res", "a b", &"x".repeat(33)] {
        assert_eq!(with(&|t| t.name = name.to_owned()), Err(TypeError::Name));
    }
    assert!(matches!(
        with(&|t| {
            t.schema.fields.pop();
        }),
        Err(TypeError::Key(_))
    ));
    assert!(matches!(
        with(&|t| t.schema.fields.clear()),
        Err(TypeError::Schema(SchemaError::FieldCount(0)))
    ));
    assert!(matches!(with(&|t| t.vk[0] ^= 1), Err(TypeError::Key(_))));
    let ceremony = |contributions| Setup::Ceremony {
        transcript: Digest([1; 32]),
        contributions,
        beacon: Digest([2; 32]),
    };
    assert_eq!(
        with(&|t| t.setup = ceremony(0)),
        Err(TypeError::EmptyCeremony)
    );
    assert_eq!(with(&|t| t.setup = ceremony(1)), Ok(()));
}

#[test]
fn type_records_travel() {
    let record = &keys().1;
    assert_eq!(decode::<CapabilityType>(&encode(record)).unwrap(), *record);
    let json = serde_json::to_string(record).unwrap();
    assert_eq!(
        serde_json::from_str::<CapabilityType>(&json).unwrap(),
        *record
    );
    assert!(json.contains(r#""vk":""#), "keys are hex in JSON");
}

/// Fixes the circuit: whoever changes a constraint of `resources/v1` makes a new version.
#[test]
fn golden_circuit() {
    assert_eq!(
        keys().1.r1cs_hash.to_string(),
        "022e6ea056ba50f73763aa4e5f25f6de72b892b87356e8f39d16653fe7eaa2f8"
    );
    assert_eq!(keys().0.constraints(), 6_905);
    let profile = keys().0.profile();
    assert_eq!(profile.iter().map(|(_, n)| n).sum::<usize>(), 6_905);
    assert_eq!(profile[0].0, "registry", "{profile:?}");
}
