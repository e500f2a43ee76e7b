//! Membership in the registry tree: Poseidon up from a leaf, left or right by a secret bit per level.

use super::range::boolean;
use crate::{
    poseidon,
    r1cs::{Builder, Num},
};
use ark_bn254::Fr;

/// The root above `leaf`, given `(sibling, side)` from the leaf's level upwards; side 1 means the node is the right child.
pub(crate) fn root(b: &mut Builder, leaf: &Num, path: &[(Fr, Fr)]) -> Num {
    path.iter().fold(leaf.clone(), |node, (sibling, side)| {
        let sibling = b.witness(*sibling);
        let side = b.witness(*side);
        b.scope("side is a bit", |b| {
            #[cfg(test)]
            if b.deletion().is_some() {
                return;
            }
            boolean(b, &side);
        });
        let swap = b.product(&sibling.minus(&node), &side);
        let (left, right) = (node.plus(&swap), sibling.minus(&swap));
        poseidon::hash_constrained(b, [&left, &right])
    })
}
