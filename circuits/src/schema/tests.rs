//! The rule table, refusals and caps.

use super::*;
use crate::types::resources;

fn field(name: &str, rule: Rule, labels: &[&str]) -> ClaimField {
    ClaimField {
        name: name.into(),
        unit: String::new(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        rule,
    }
}

#[test]
fn the_rule_table() {
    use FieldValue::{Amount, Exact, Mask};
    let at_least = Rule::AtLeast { consumable: true };
    let exact = |n| Exact(FieldBytes::from_u64(n));
    for (rule, claim, requirement, covers) in [
        (at_least, Amount(5), Amount(5), true),
        (at_least, Amount(5), Amount(6), false),
        (at_least, Amount(u32::MAX), Amount(u32::MAX), true),
        (at_least, Amount(5), Mask(5), false),
        (Rule::HasAll, Mask(0b110), Mask(0b100), true),
        (Rule::HasAll, Mask(0b110), Mask(0b101), false),
        (Rule::HasAll, Mask(0), Mask(0), true),
        (Rule::Within, Mask(0b010), Mask(0b110), true),
        (Rule::Within, Mask(0b011), Mask(0b110), false),
        (Rule::Within, Mask(0), Mask(u64::MAX), false),
        (Rule::Equals, exact(3), exact(3), true),
        (Rule::Equals, exact(3), exact(4), false),
    ] {
        assert_eq!(
            rule.covers(&claim, &requirement),
            covers,
            "{rule:?} {claim:?} {requirement:?}"
        );
    }
}

#[test]
fn bad_schemas_are_refused_each_by_its_rule() {
    let at_least = Rule::AtLeast { consumable: false };
    let check = |fields| ClaimSchema { fields }.check();
    let one = |f| check(vec![f]);
    assert!(matches!(check(vec![]), Err(SchemaError::FieldCount(0))));
    let many = (0..17).map(|i| field(&format!("f{i}"), at_least, &[]));
    assert!(matches!(
        check(many.collect()),
        Err(SchemaError::FieldCount(17))
    ));
    for name in ["", "CPU", "a b", "ü", &"x".repeat(33)] {
        assert!(matches!(
            one(field(name, at_least, &[])),
            Err(SchemaError::FieldName { .. })
        ));
    }
    let twice = vec![field("a", at_least, &[]), field("a", at_least, &[])];
    assert!(matches!(check(twice), Err(SchemaError::DuplicateField(_))));
    let mut unit = field("a", at_least, &[]);
    unit.unit = "a\u{1b}[31m".into();
    assert!(matches!(one(unit), Err(SchemaError::Unit(_))));
    assert!(matches!(
        one(field("a", at_least, &["x"])),
        Err(SchemaError::LabelCount { .. })
    ));
    assert!(matches!(
        one(field("a", Rule::HasAll, &[])),
        Err(SchemaError::LabelCount { .. })
    ));
    for label in ["", "a b", "Any", &"x".repeat(25)] {
        assert!(matches!(
            one(field("a", Rule::Within, &[label])),
            Err(SchemaError::Label { .. })
        ));
    }
    assert!(matches!(
        one(field("a", Rule::Within, &["T4", "t4"])),
        Err(SchemaError::Label { .. })
    ));
}

#[test]
fn values_must_fit_the_schema() {
    let schema = ClaimSchema {
        fields: vec![
            field("a", Rule::AtLeast { consumable: true }, &[]),
            field("w", Rule::Within, &["x", "y"]),
            field("e", Rule::Equals, &[]),
        ],
    };
    schema.check().unwrap();
    let value = |a, w, e| schema.check_value(&Claim(vec![a, w, e]));
    use FieldValue::{Amount, Exact, Mask};
    let e = Exact(FieldBytes::from_u64(1));
    assert_eq!(value(Amount(1), Mask(1), e), Ok(()));
    assert!(matches!(
        schema.check_value(&Claim(vec![Amount(1)])),
        Err(SchemaError::ValueCount { .. })
    ));
    assert!(matches!(
        value(Mask(1), Mask(1), e),
        Err(SchemaError::Kind { .. })
    ));
    assert!(matches!(
        value(Amount(1), Mask(0), e),
        Err(SchemaError::EmptyMask { .. })
    ));
    assert!(matches!(
        value(Amount(1), Mask(4), e),
        Err(SchemaError::UnknownBits { bits: 4, .. })
    ));
    assert!(matches!(
        value(Amount(1), Mask(1), Exact(FieldBytes([0xff; 32]))),
        Err(SchemaError::NotCanonical { .. })
    ));
}

#[test]
fn the_caps_hold_the_largest_values() {
    let labels: Vec<_> = (0..MAX_LABELS).map(|i| format!("{i:0>24}")).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let fields = (0..MAX_FIELDS).map(|i| {
        let mut f = field(&format!("{i:0>32}"), Rule::HasAll, &labels);
        f.unit = "x".repeat(MAX_UNIT);
        f
    });
    let schema = ClaimSchema {
        fields: fields.collect(),
    };
    schema.check().unwrap();
    assert!(tender_wire::encode(&schema).len() <= ClaimSchema::MAX_BYTES);
    let claim = Claim(vec![FieldValue::Exact(FieldBytes([1; 32])); MAX_FIELDS]);
    assert!(tender_wire::encode(&claim).len() <= Claim::MAX_BYTES);
}

#[test]
fn resources_debits_its_five_amounts() {
    let schema = resources::schema();
    schema.check().unwrap();
    let names: Vec<_> = schema
        .consumables()
        .map(|i| schema.fields[i].name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "cpu_milli",
            "memory_mib",
            "gpu_milli",
            "disk_gib",
            "bandwidth_mbps"
        ]
    );
}
