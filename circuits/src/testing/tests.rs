//! Each law, broken once.

use super::*;
use crate::{
    capability::Value,
    gadgets::range,
    r1cs::Builder,
    schema::{ClaimField, ClaimSchema, Rule},
    types::resources::{self, Resources},
};

/// `a ≥ c` of two amounts, kept or broken.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Lenient,
    NoConstraint,
    WrongName,
    Branches,
    Twice,
}

struct Faulty(Fault);

impl Capability for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        let rule = Rule::AtLeast { consumable: false };
        let (name, unit, labels) = ("level".into(), String::new(), Vec::new());
        ClaimSchema {
            fields: vec![ClaimField {
                name,
                unit,
                labels,
                rule,
            }],
        }
    }
    fn check(&self, attributes: &Claim, claim: &Claim) -> Result<(), Unsupported> {
        let allowance = u32::from(self.0 == Fault::Lenient);
        let attested = attributes.amount(0).unwrap().saturating_add(allowance);
        if claim.amount(0).unwrap() <= attested {
            return Ok(());
        }
        let (field, reason) = ("level".into(), "too high".into());
        Err(Unsupported { field, reason })
    }
    fn constrain(&self, b: &mut Builder, attributes: &[Value], claim: &[Value]) {
        let ([Value::Amount(a)], [Value::Amount(c)]) = (attributes, claim) else {
            return b.refuse();
        };
        let scope = if self.0 == Fault::WrongName {
            "height"
        } else {
            "level"
        };
        match self.0 {
            Fault::NoConstraint => {}
            Fault::Branches if c.value() == tender_wire::FieldBytes([0; 32]) => {}
            _ => b.scope(scope, |b| range::at_least(b, a, c, 32)),
        }
        if self.0 == Fault::Twice {
            b.scope("level again", |b| range::at_least(b, a, c, 32));
        }
    }
}

fn judged(fault: Fault) -> Result<Covered, Broken> {
    let level = |n| Claim(vec![FieldValue::Amount(n)]);
    laws(&Faulty(fault), &[(level(7), level(7))])
}

#[test]
fn each_broken_law_is_told() {
    let covered = judged(Fault::None).unwrap();
    assert_eq!(covered.scopes, ["level/attested covers claimed"]);
    assert!(covered.accepted >= 4 && covered.refused >= 4, "{covered:?}");

    let lenient = judged(Fault::Lenient).unwrap_err();
    assert!(
        matches!(
            &lenient,
            Broken::Twin {
                native: None,
                constraint: Some(_),
                ..
            }
        ),
        "{lenient}"
    );
    let open = judged(Fault::NoConstraint).unwrap_err();
    assert!(
        matches!(
            &open,
            Broken::Twin {
                native: Some(_),
                constraint: None,
                ..
            }
        ),
        "{open}"
    );
    let named = judged(Fault::WrongName).unwrap_err();
    assert!(
        matches!(&named, Broken::Names { scope, .. } if scope.scope.starts_with("height")),
        "{named}"
    );
    let branches = judged(Fault::Branches).unwrap_err();
    assert!(matches!(&branches, Broken::Shape(_)), "{branches}");
    let twice = judged(Fault::Twice).unwrap_err();
    assert!(matches!(&twice, Broken::Unneeded { .. }), "{twice}");

    let level = |n| Claim(vec![FieldValue::Amount(n)]);
    let holds = [(level(7), level(7)), (level(8), level(7))];
    assert_eq!(twin(&Faulty(Fault::None), &holds), Err(Broken::OneSided(2)));
    let misfit = twin(&Faulty(Fault::None), &[(Claim(vec![]), level(7))]);
    assert!(matches!(misfit, Err(Broken::Misfit(..))));
}

#[test]
fn resources_keep_the_laws() {
    let named = r#"{ "cpu_milli": 8000, "memory_mib": 4, "gpu_milli": 5, "disk_gib": 6, "bandwidth_mbps": 7, "gpu_memory_mib": 8,
        "gpu_model": "A100", "region": "uk", "skills": ["cuda", "rust"] }"#;
    let machine = resources::schema()
        .attributes_from_named(&serde_json::from_str(named).unwrap())
        .unwrap();
    let covered = laws(&Resources, &[(machine.clone(), machine)]).unwrap();
    assert_eq!(covered.scopes.len(), 6 + 2 * 2 + 1);
}
