//! A capability type written outside this crate: what is attested (scores per run) is not what is claimed (the weights and a
//! total). THREATS T7 once more: the framework range-checks attributes that the author never does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{CHAIN, World, agent};
use std::sync::Arc;
use tender_circuits::{
    Capability, Claim, ClaimField, ClaimSchema, Credential, FieldValue, IssuerIndex, Rule,
    asset_of, attacks,
    capability::{Unsupported, Value},
    gadgets::range,
    prove::{ProveError, prove},
    r1cs::{Builder, Num},
    setup, verify,
};
use tender_wire::{FieldBytes, UnixTime};

/// Two benchmark runs of a model; the claim is their sum, without saying either.
struct Benchmark;

fn field(name: &str, rule: Rule) -> ClaimField {
    ClaimField {
        name: name.into(),
        unit: String::new(),
        labels: vec![],
        rule,
    }
}

const SCORE: Rule = Rule::AtLeast { consumable: false };

impl Capability for Benchmark {
    fn name(&self) -> &str {
        "benchmark"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        ClaimSchema {
            fields: vec![field("weights", Rule::Equals), field("total", SCORE)],
        }
    }
    fn attributes(&self) -> ClaimSchema {
        ClaimSchema {
            fields: vec![
                field("weights", Rule::Equals),
                field("first", SCORE),
                field("second", SCORE),
            ],
        }
    }
    fn check(&self, attributes: &Claim, claim: &Claim) -> Result<(), Unsupported> {
        let fail = |field: &str, reason: String| {
            let field = field.into();
            Err(Unsupported { field, reason })
        };
        let sum = |i| u64::from(attributes.amount(i).unwrap_or(0));
        let (attested, claimed) = (sum(1) + sum(2), u64::from(claim.amount(1).unwrap_or(0)));
        if attributes.0.first() != claim.0.first() {
            return fail("weights", "another model was measured".into());
        }
        if claimed > attested {
            return fail("total", format!("claims {claimed}, attested {attested}"));
        }
        Ok(())
    }
    fn constrain(&self, b: &mut Builder, attributes: &[Value], claim: &[Value]) {
        let [
            Value::Exact(measured),
            Value::Amount(first),
            Value::Amount(second),
        ] = attributes
        else {
            return;
        };
        let [Value::Exact(weights), Value::Amount(total)] = claim else {
            return;
        };
        b.scope("weights", |b| b.enforce_equal(measured, weights));
        b.scope("total", |b| {
            range::at_least(b, &first.plus(second), total, 33)
        });
        let _: Num = first.times(2); // linear operations are free
    }
}

#[test]
fn a_type_of_ones_own_from_setup_to_verification() {
    let (key, record) = setup(Arc::new(Benchmark), [3; 32]).unwrap();
    assert_eq!(record.check(true), Ok(()));
    let weights = FieldValue::Exact(tender_wire::h31(
        tender_wire::Tag::EqualsField,
        &[b"weights"],
    ));
    let amount = FieldValue::Amount;
    let world = World::of(
        Credential {
            type_name: "benchmark".into(),
            version: 1,
            issuer: IssuerIndex::new(0).unwrap(),
            holder: agent(1),
            asset: asset_of("serial 0001"),
            attributes: Claim(vec![weights, amount(u32::MAX), amount(70)]),
            expiry: UnixTime(u64::MAX),
            salt: FieldBytes([0; 32]),
        }
        .salted(CHAIN.as_bytes()),
    );
    let about = |w, total| world.statement(&record.id(), Claim(vec![w, amount(total)]));
    let attempt = |s| prove(&key, &world.credential, &world.path, s, [1; 32]);

    let honest = about(weights, u32::MAX);
    let proof = attempt(&honest).unwrap();
    assert_eq!(verify(key.verifying_key(), &honest, &proof), Ok(()));

    let other = about(FieldValue::Exact(FieldBytes::from_u64(1)), 5);
    let refused = attempt(&other).unwrap_err();
    assert!(
        matches!(&refused, ProveError::Unsupported { reason, .. } if reason.field == "weights"),
        "{refused}"
    );
    let forged = attacks::forge(&key, &world.credential, &world.path, &other, [1; 32]).unwrap();
    assert!(verify(key.verifying_key(), &other, &forged).is_err());
}

/// A twin that says yes to everything: the constraints still stop the proof, by name.
#[test]
fn a_lenient_twin_is_caught_by_the_constraints() {
    struct Lenient;
    impl Capability for Lenient {
        fn name(&self) -> &str {
            "lenient"
        }
        fn version(&self) -> u16 {
            1
        }
        fn schema(&self) -> ClaimSchema {
            ClaimSchema {
                fields: vec![field("score", SCORE)],
            }
        }
        fn check(&self, _: &Claim, _: &Claim) -> Result<(), Unsupported> {
            Ok(())
        }
    }
    let (key, record) = setup(Arc::new(Lenient), [3; 32]).unwrap();
    let mut credential = common::credential();
    credential.type_name = "lenient".into();
    credential.attributes = Claim(vec![FieldValue::Amount(5)]);
    let world = World::of(credential);
    let statement = world.statement(&record.id(), Claim(vec![FieldValue::Amount(6)]));
    let refused = prove(&key, &world.credential, &world.path, &statement, [1; 32]).unwrap_err();
    let constraint = "score/attested covers claimed".to_owned();
    assert_eq!(refused, ProveError::Unsatisfied { constraint });
}

/// Attributes of one shape, claims of another, and the defaults kept: claims would go unproven, so nothing can be proven.
#[test]
fn forgetting_to_constrain_a_differing_claim_proves_nothing() {
    struct Forgetful;
    impl Capability for Forgetful {
        fn name(&self) -> &str {
            "forgetful"
        }
        fn version(&self) -> u16 {
            1
        }
        fn schema(&self) -> ClaimSchema {
            ClaimSchema {
                fields: vec![field("first", SCORE), field("second", SCORE)],
            }
        }
        fn attributes(&self) -> ClaimSchema {
            ClaimSchema {
                fields: vec![field("first", SCORE)],
            }
        }
    }
    let (key, record) = setup(Arc::new(Forgetful), [3; 32]).unwrap();
    let mut credential = common::credential();
    credential.type_name = "forgetful".into();
    credential.attributes = Claim(vec![FieldValue::Amount(5)]);
    let world = World::of(credential);
    let claim = Claim(vec![FieldValue::Amount(5), FieldValue::Amount(u32::MAX)]);
    let statement = world.statement(&record.id(), claim);
    let refused = prove(&key, &world.credential, &world.path, &statement, [1; 32]);
    assert!(matches!(refused, Err(ProveError::Unsupported { .. })));
    let forged = attacks::forge(&key, &world.credential, &world.path, &statement, [1; 32]).unwrap();
    assert!(verify(key.verifying_key(), &statement, &forged).is_err());
}
