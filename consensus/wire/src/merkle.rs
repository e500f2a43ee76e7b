//! Binary Merkle trees over ordered lists.
//!
//! `leaf = H(MerkleLeaf, data)`, `node = H(MerkleNode, left, right)`, `root = H(MerkleRoot, count_u64_le, top)`. An odd node at the end of a
//! level moves up unchanged (no duplication, CVE-2012-2459); the count in the root fixes the shape, so a proof has
//! exactly one valid form. The empty list has `top` = 32 zero bytes.

use crate::{Digest, Tag, hash};
use serde::{Deserialize, Serialize};

/// Longest accepted path: a list of 2^32 leaves.
pub const MAX_DEPTH: usize = 32;

/// Path of one leaf to the root of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves in the list.
    pub count: u32,
    /// Siblings from the leaf's level upwards; levels at which the node moves up unchanged have none.
    pub path: Vec<Digest>,
}

/// Hash of a leaf's data.
pub fn leaf(data: &[u8]) -> Digest {
    hash(Tag::MerkleLeaf, &[data])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    hash(Tag::MerkleNode, &[left.as_ref(), right.as_ref()])
}

fn seal(count: u64, top: &Digest) -> Digest {
    hash(Tag::MerkleRoot, &[&count.to_le_bytes(), top.as_ref()])
}

/// Root over leaf hashes (see [`leaf`]), in order.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    seal(leaves.len() as u64, level.first().unwrap_or(&Digest::ZERO))
}

/// Proof for the leaf at `index`, or `None` if there is none.
pub fn prove(leaves: &[Digest], index: usize) -> Option<MerkleProof> {
    leaves.get(index)?;
    let mut proof = MerkleProof {
        index: u32::try_from(index).ok()?,
        count: u32::try_from(leaves.len()).ok()?,
        path: Vec::new(),
    };
    let (mut level, mut at) = (leaves.to_vec(), index);
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            proof.path.push(*sibling);
        }
        level = parents(&level);
        at >>= 1;
    }
    Some(proof)
}

impl MerkleProof {
    /// Whether the leaf with this hash stands at `index` of a list with this root.
    pub fn verifies(&self, leaf: &Digest, root: &Digest) -> bool {
        if self.index >= self.count || self.path.len() > MAX_DEPTH {
            return false;
        }
        let (mut at, mut width) = (self.index, self.count);
        let mut siblings = self.path.iter();
        let mut top = *leaf;
        while width > 1 {
            let lonely = at & 1 == 0 && at == width.saturating_sub(1);
            if !lonely {
                let Some(sibling) = siblings.next() else {
                    return false;
                };
                top = if at & 1 == 0 {
                    node(&top, sibling)
                } else {
                    node(sibling, &top)
                };
            }
            at >>= 1;
            width = width.div_ceil(2);
        }
        siblings.next().is_none() && seal(u64::from(self.count), &top) == *root
    }
}

fn parents(level: &[Digest]) -> Vec<Digest> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [odd] => *odd,
            _ => Digest::ZERO, // chunks(2) yields one or two
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_small_list_proves_and_nothing_else_does() {
        for n in 0..20u8 {
            let leaves: Vec<_> = (0..n).map(|i| leaf(&[i])).collect();
            let top = root(&leaves);
            assert_eq!(prove(&leaves, usize::from(n)), None);
            for (i, l) in leaves.iter().enumerate() {
                let proof = prove(&leaves, i).unwrap();
                assert!(proof.verifies(l, &top));
                assert!(!proof.verifies(&leaf(b"other"), &top));
                for bad in [
                    MerkleProof {
                        index: proof.index ^ 1,
                        ..proof.clone()
                    },
                    MerkleProof {
                        count: proof.count + 1,
                        ..proof.clone()
                    },
                    MerkleProof {
                        path: proof.path.iter().copied().chain([top]).collect(),
                        ..proof.clone()
                    },
                ] {
                    assert!(!bad.verifies(l, &top), "n={n} i={i} {bad:?}");
                }
            }
        }
    }

    #[test]
    fn lists_of_different_length_never_share_a_root() {
        let leaves: Vec<_> = (0..9u8).map(|i| leaf(&[i])).collect();
        let roots: std::collections::BTreeSet<_> = (0..=9).map(|n| root(&leaves[..n])).collect();
        assert_eq!(roots.len(), 10);
    }
}
