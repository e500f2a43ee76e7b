//! How attributes become the field elements of `attributes_hash`: 32 bits per amount, 64 per mask, a whole element per exact value;
//! in schema order, first value lowest, a new element when the next value would pass [`CAPACITY`] bits. Fewer elements mean a cheaper hash; the
//! price is that every limb must be range-checked in the circuit, or one could borrow from its neighbour (THREATS T7).
#![allow(clippy::arithmetic_side_effects)] // field elements; positions below CAPACITY

use crate::{
    capability::Value,
    field::{power_of_two, to_fr_reduced},
    r1cs::Num,
    schema::{Claim, FieldValue},
};
use ark_bn254::Fr;

/// Bits of a packed element: as many as an H31 has, below the modulus whatever the bits.
pub(crate) const CAPACITY: u32 = 248;

/// Bits of an amount.
pub(crate) const AMOUNT_BITS: u32 = 32;
/// Bits of a mask.
pub(crate) const MASK_BITS: u32 = 64;

/// Places each item: `(item, shift)` lists, one per element. `None` is a whole element.
fn layout<T>(items: impl Iterator<Item = (T, Option<u32>)>) -> Vec<Vec<(T, u32)>> {
    let mut elements: Vec<Vec<(T, u32)>> = Vec::new();
    let mut used = CAPACITY;
    for (item, width) in items {
        let width = width.unwrap_or(CAPACITY);
        match elements.last_mut() {
            Some(element) if used + width <= CAPACITY => {
                element.push((item, used));
                used += width;
            }
            _ => {
                elements.push(vec![(item, 0)]);
                used = width;
            }
        }
    }
    elements
}

/// The elements of a list of values.
pub(crate) fn pack(values: &Claim) -> Vec<Fr> {
    let items = values.0.iter().map(|value| match value {
        FieldValue::Amount(a) => (Fr::from(*a), Some(AMOUNT_BITS)),
        FieldValue::Mask(m) => (Fr::from(*m), Some(MASK_BITS)),
        FieldValue::Exact(e) => (to_fr_reduced(e), None),
    });
    layout(items)
        .into_iter()
        .map(|element| element.iter().map(|(x, s)| *x * power_of_two(*s)).sum())
        .collect()
}

/// [`pack`] over variables.
pub(crate) fn pack_constrained(values: &[Value]) -> Vec<Num> {
    let items = values.iter().map(|value| match value {
        Value::Amount(n) => (n, Some(AMOUNT_BITS)),
        Value::Mask(m) => (&m.num, Some(MASK_BITS)),
        Value::Exact(n) => (n, None),
    });
    layout(items)
        .into_iter()
        .map(|element| Num::combination(element.iter().map(|(x, s)| (power_of_two(*s), *x))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_wire::FieldBytes;

    #[test]
    fn neighbours_do_not_overlap_and_whole_elements_stand_alone() {
        use FieldValue::{Amount, Exact, Mask};
        let e = FieldBytes([7; 32]);
        let packed = pack(&Claim(vec![
            Amount(u32::MAX),
            Mask(1),
            Exact(e),
            Amount(3),
            Mask(u64::MAX),
            Mask(2),
            Mask(4),
            Amount(5),
        ]));
        let two = power_of_two;
        assert_eq!(packed.len(), 4);
        assert_eq!(packed[0], Fr::from(u32::MAX) + two(32));
        assert_eq!(packed[1], to_fr_reduced(&e));
        assert_eq!(
            packed[2],
            Fr::from(3u64) + Fr::from(u64::MAX) * two(32) + two(97) + two(162)
        );
        assert_eq!(packed[3], Fr::from(5u64));
    }
}
