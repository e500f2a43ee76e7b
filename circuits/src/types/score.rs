//! `score/v1`: how well a machine did on a named suite. An evaluator attests the score; the holder shows "at least *s* on suite *X*".
//!
//! ```json
//! { "serial": "DGX-A100-0417", "type": "score/v1", "attributes": { "suite": "mlperf-inference-5.1", "score": 8720 } }
//! ```
//!
//! All schema, like [`super::resources`]. The suite stands on chain as the hash of its name ([`crate::names::exact`]); the name says all that makes
//! two scores comparable, its version and unit included, and more is better. Nothing is used up: a score serves any number of tasks.

use crate::{
    capability::Capability,
    schema::{ClaimField, ClaimSchema, Rule},
};

/// The circuit of `score/v1`.
pub struct Score;

impl Capability for Score {
    fn name(&self) -> &str {
        "score"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        schema()
    }
}

/// The public fields of `score/v1`.
pub fn schema() -> ClaimSchema {
    let field = |name: &str, unit: &str, rule| ClaimField {
        name: name.into(),
        unit: unit.into(),
        labels: Vec::new(),
        rule,
    };
    let points = Rule::AtLeast { consumable: false };
    ClaimSchema {
        fields: vec![
            field("suite", "", Rule::Equals),
            field("score", "points", points),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{names, testing};

    #[test]
    fn a_score_counts_on_its_own_suite_and_up_to_what_was_reached() {
        let attested = |json| {
            let named = serde_json::from_str(json).unwrap();
            schema().attributes_from_named(&named).unwrap()
        };
        let reached = attested(r#"{ "suite": "MMLU-Pro", "score": 700 }"#);
        let less = attested(r#"{ "suite": "mmlu-pro", "score": 650 }"#);
        let covered = testing::laws(
            &Score,
            &[(reached.clone(), less), (reached.clone(), reached)],
        );
        assert_eq!(
            covered.unwrap().scopes,
            ["suite", "score/attested covers claimed"]
        );
    }

    #[test]
    fn the_suite_must_be_named_and_nothing_is_used_up() {
        let missing = schema().claim_from_named(&Default::default());
        assert!(
            matches!(missing, Err(names::NameError::Missing { field, .. }) if field == "suite")
        );
        assert!(!schema().has_consumables());
    }
}
