//! `carbon/v1`: how clean a machine's power is. An auditor attests the grid's grams of CO2 per kWh and how much more power the site draws than its
//! machines (PUE, in percent); the holder shows "my machine saves at least *s* grams against a kWh from coal", and neither number.
//!
//! All of a capability type that is written outside Tender: attributes of another shape than the claim, hence its own check and constraints.

use tender_circuits::{
    Capability, Claim, ClaimField, ClaimSchema, Rule,
    capability::{Unsupported, Value},
    gadgets::range,
    r1cs::{Builder, Num},
};

/// Grams of CO2 per kWh from coal.
const COAL: u32 = 1000;
/// Bits of `COAL · 100`, the most that can be left over.
const LEFT_BITS: u32 = 17;

/// The circuit of `carbon/v1`.
pub struct Carbon;

fn amount(name: &str, unit: &str) -> ClaimField {
    ClaimField {
        name: name.into(),
        unit: unit.into(),
        labels: Vec::new(),
        rule: Rule::AtLeast { consumable: false },
    }
}

impl Capability for Carbon {
    fn name(&self) -> &str {
        "carbon"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        ClaimSchema {
            fields: vec![amount("saves", "g CO2/kWh")],
        }
    }
    fn attributes(&self) -> ClaimSchema {
        ClaimSchema {
            fields: vec![amount("grid", "g CO2/kWh"), amount("pue", "%")],
        }
    }

    /// grid · pue ≤ (COAL − saves) · 100
    fn check(&self, attributes: &Claim, claim: &Claim) -> Result<(), Unsupported> {
        let of = |claim: &Claim, i| u64::from(claim.amount(i).unwrap_or(0));
        let emitted = of(attributes, 0).saturating_mul(of(attributes, 1));
        let allowed = u64::from(COAL).checked_sub(of(claim, 0));
        match allowed.map(|grams| grams.saturating_mul(100)) {
            Some(allowed) if emitted <= allowed => Ok(()),
            _ => Err(Unsupported {
                field: "saves".into(),
                reason: format!(
                    "claims {} g, attested are {} g per kWh used",
                    of(claim, 0),
                    emitted.div_ceil(100)
                ),
            }),
        }
    }

    /// What is left over has 17 bits. `emitted` is below 2^64 and `saves` below 2^32, so a negative rest wraps to more than 250.
    fn constrain(&self, b: &mut Builder, attributes: &[Value], claim: &[Value]) {
        let ([Value::Amount(grid), Value::Amount(pue)], [Value::Amount(saves)]) =
            (attributes, claim)
        else {
            return b.refuse(); // kinds follow from the schemas
        };
        b.scope("saves", |b| {
            let emitted = b.product(grid, pue);
            let allowed = Num::from_u64(COAL.into()).minus(saves).times(100);
            range::bits(b, &allowed.minus(&emitted), LEFT_BITS);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_circuits::{FieldValue::Amount, testing};

    #[test]
    fn carbon_keeps_the_laws_of_a_capability_type() {
        // 300 g at a PUE of 1.2 are 360 g: 640 g less than coal, and not a gram more.
        let pair = (
            Claim(vec![Amount(300), Amount(120)]),
            Claim(vec![Amount(640)]),
        );
        let covered = testing::laws(&Carbon, &[pair]).unwrap();
        assert_eq!(covered.scopes, ["saves"]);
    }
}
