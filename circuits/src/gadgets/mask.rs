//! Bit masks: subset, and looking one bit up by a secret index.

use super::range::Bits;
use crate::r1cs::{Builder, Num};

/// Constrains every bit of `inner` to be set in `outer`.
pub fn subset(b: &mut Builder, inner: &Bits, outer: &Bits) {
    let zero = Num::from_u64(0);
    for (i, o) in inner.bits.iter().zip(&outer.bits) {
        let absent = Num::from_u64(1).minus(o);
        b.enforce_product(i, &absent, &zero);
    }
}

/// The bit of `mask` at `index`: a tree of selections, one constraint each. The mask has 2^(bits of index) bits.
pub fn lookup(b: &mut Builder, mask: &Bits, index: &Bits) -> Num {
    let mut level = mask.bits.clone();
    for bit in &index.bits {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [low, high] => {
                    let step = b.product(&high.minus(low), bit);
                    low.plus(&step)
                }
                odd => odd.first().cloned().unwrap_or_else(|| Num::from_u64(0)),
            })
            .collect();
    }
    level.first().cloned().unwrap_or_else(|| Num::from_u64(0))
}
