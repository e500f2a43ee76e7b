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
    let ProveError::Unsatisfied { constraint } = refused else {
        panic!("{refused}");
    };
    assert_eq!(constraint.scope, "score/attested covers claimed");
}

/// The line of a named constraint holds it, and the other line is the author's own.
#[test]
fn a_broken_constraint_is_named_with_its_line_and_the_authors() {
    let (key, record) = setup(Arc::new(Benchmark), [3; 32]).unwrap();
    let mut credential = common::credential();
    credential.type_name = "benchmark".into();
    let weights = FieldValue::Exact(FieldBytes::from_u64(7));
    let amount = FieldValue::Amount;
    credential.attributes = Claim(vec![weights, amount(5), amount(6)]);
    let world = World::of(credential);
    let source = |line: &std::panic::Location<'_>| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap();
        let text = std::fs::read_to_string(root.join(line.file())).unwrap();
        text.lines()
            .nth(line.line() as usize - 1)
            .unwrap()
            .trim()
            .to_owned()
    };
    let broken = |claim| {
        let statement = world.statement(&record.id(), Claim(claim));
        let refused = prove(&key, &world.credential, &world.path, &statement, [1; 32]);
        let Err(ProveError::Unsupported { reason, constraint }) = refused else {
            panic!("{refused:?}");
        };
        let constraint = constraint.unwrap();
        let text = ProveError::Unsupported {
            reason,
            constraint: Some(constraint.clone()),
        }
        .to_string();
        let place = format!("{}:{}", constraint.line.file(), constraint.line.line());
        assert!(
            text.contains(&place) && text.contains(&constraint.scope),
            "{text}"
        );
        constraint
    };

    let total = broken(vec![weights, amount(12)]);
    assert_eq!(total.scope, "total/attested covers claimed");
    assert_eq!(total.line.file(), "circuits/src/gadgets/range.rs");
    assert_eq!(source(total.line), "b.enforce_equal(&sum, num);");
    let opened = total.opened.unwrap();
    assert_eq!(opened.file(), file!());
    assert_eq!(source(opened), r#"b.scope("total", |b| {"#);

    let other = broken(vec![FieldValue::Exact(FieldBytes::from_u64(8)), amount(1)]);
    assert_eq!(
        (other.scope.as_str(), other.line.file()),
        ("weights", file!())
    );
    assert!(source(other.line).contains("b.enforce_equal(measured, weights)"));
    assert_eq!(other.opened, None);
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
