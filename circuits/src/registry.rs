//! The registry: an append-only Poseidon tree of credential leaves, depth [`DEPTH`].
//!
//! Issuing appends a leaf; revoking sets it to zero, which no credential hashes to. Empty places are zero too, so an
//! empty subtree of each height has one known hash. The tree is persistent: nodes are shared, a clone costs one
//! reference, a change copies one path. It lives in a state that is cloned for every block.
//!
//! Bounds: 2^20 leaves; an update is [`DEPTH`] hashes (about half a millisecond), of many leaves at once fewer each.

use crate::{
    field::{from_fr, to_fr},
    poseidon,
};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};
use tender_wire::{FieldBytes, Wire};

/// Height of the tree: room for about a million credentials, and the depth the circuits are built for.
pub const DEPTH: usize = 20;
/// Leaves of a full tree.
pub const CAPACITY: u32 = 1 << DEPTH;

/// Why the registry refuses a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// All 2^20 places are taken.
    #[error("the registry is full ({CAPACITY} leaves)")]
    Full,
    /// The leaf is not below the field modulus.
    #[error("the leaf is not a canonical field element")]
    NotCanonical,
    /// Zero is the mark of an empty or revoked place.
    #[error("zero is not a leaf")]
    ZeroLeaf,
    /// No leaf was ever appended there.
    #[error("the registry has no leaf {index} (it has {len})")]
    NoSuchLeaf {
        /// The index asked for.
        index: u32,
        /// Leaves appended.
        len: u32,
    },
}

/// The tree. Cloning it is cheap. Serialised as its leaves in order.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<FieldBytes>", into = "Vec<FieldBytes>")]
pub struct Registry {
    top: Link,
    len: u32,
}

/// A subtree; `None` is an empty one.
type Link = Option<Arc<Node>>;

struct Node {
    hash: Fr,
    /// Unused at the leaves.
    children: [Link; 2],
}

/// The way from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerklePath {
    /// The leaf's place.
    pub index: u32,
    /// [`DEPTH`] siblings, from the leaf's level upwards.
    pub siblings: Vec<FieldBytes>,
}

impl Wire for MerklePath {
    const NAME: &'static str = "registry path";
    /// An index, a count, 20 siblings.
    const MAX_BYTES: usize = 12 + 32 * DEPTH;
}

impl MerklePath {
    /// The root this path leads to from `leaf`; `None` if it is malformed (wrong length, index or encoding).
    pub fn root(&self, leaf: &FieldBytes) -> Option<FieldBytes> {
        if self.siblings.len() != DEPTH || self.index >= CAPACITY {
            return None;
        }
        let mut node = to_fr(leaf)?;
        for (level, sibling) in self.siblings.iter().enumerate() {
            let sibling = to_fr(sibling)?;
            node = match side(self.index, level) {
                0 => poseidon::hash([node, sibling]),
                _ => poseidon::hash([sibling, node]),
            };
        }
        Some(from_fr(&node))
    }
}

/// Whether the node above place `index` at `level` is a left (0) or right (1) child.
pub(crate) fn side(index: u32, level: usize) -> u32 {
    index.wrapping_shr(level as u32) & 1
}

/// Hash of an empty subtree of height `level`.
fn empty(level: usize) -> Fr {
    static EMPTY: OnceLock<Vec<Fr>> = OnceLock::new();
    let all = EMPTY.get_or_init(|| {
        std::iter::successors(Some(Fr::ZERO), |x| Some(poseidon::hash([*x, *x])))
            .take(DEPTH.saturating_add(1))
            .collect()
    });
    all.get(level).copied().unwrap_or_default()
}

fn hash_of(link: &Link, level: usize) -> Fr {
    link.as_ref().map_or_else(|| empty(level), |node| node.hash)
}

fn parent(children: [Link; 2], below: usize) -> Link {
    let [left, right] = &children;
    let hash = poseidon::hash([hash_of(left, below), hash_of(right, below)]);
    Some(Arc::new(Node { hash, children }))
}

/// The subtree of height `level` with the leaves at these places, all of it and ascending, set to `leaf`. Each node is hashed once.
fn set(link: &Link, level: usize, places: &[u32], leaf: Fr) -> Link {
    if places.is_empty() {
        return link.clone();
    }
    let Some(below) = level.checked_sub(1) else {
        let children = [None, None];
        return Some(Arc::new(Node {
            hash: leaf,
            children,
        }));
    };
    let [left, right] = link
        .as_ref()
        .map_or([None, None], |node| node.children.clone());
    let (lefts, rights) = places.split_at(places.partition_point(|i| side(*i, below) == 0));
    let children = [
        set(&left, below, lefts, leaf),
        set(&right, below, rights, leaf),
    ];
    parent(children, below)
}

/// The subtree of height `level` over its first leaves.
fn build(leaves: &[Fr], level: usize) -> Link {
    let Some(below) = level.checked_sub(1) else {
        let children = [None, None];
        return leaves.first().map(|leaf| {
            Arc::new(Node {
                hash: *leaf,
                children,
            })
        });
    };
    if leaves.is_empty() {
        return None;
    }
    let (left, right) = leaves.split_at(leaves.len().min(1 << below));
    parent([build(left, below), build(right, below)], below)
}

impl Registry {
    /// A registry of these leaves (zero for revoked ones), as [`Self::leaves`] lists them.
    ///
    /// # Errors
    /// [`RegistryError::Full`], [`RegistryError::NotCanonical`].
    pub fn from_leaves(leaves: &[FieldBytes]) -> Result<Self, RegistryError> {
        let len = u32::try_from(leaves.len())
            .ok()
            .filter(|len| *len <= CAPACITY)
            .ok_or(RegistryError::Full)?;
        let leaves: Option<Vec<_>> = leaves.iter().map(to_fr).collect();
        let leaves = leaves.ok_or(RegistryError::NotCanonical)?;
        Ok(Registry {
            top: build(&leaves, DEPTH),
            len,
        })
    }

    /// Appends a leaf and returns its index.
    ///
    /// # Errors
    /// [`RegistryError`] if it is zero or not canonical, or the tree is full.
    pub fn append(&mut self, leaf: &FieldBytes) -> Result<u32, RegistryError> {
        let value = to_fr(leaf).ok_or(RegistryError::NotCanonical)?;
        if value == Fr::ZERO {
            return Err(RegistryError::ZeroLeaf);
        }
        let index = self.len;
        if index >= CAPACITY {
            return Err(RegistryError::Full);
        }
        self.top = set(&self.top, DEPTH, &[index], value);
        self.len = index.saturating_add(1);
        Ok(index)
    }

    /// Revokes a leaf: sets it to zero. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchLeaf`].
    pub fn zero(&mut self, index: u32) -> Result<(), RegistryError> {
        if index >= self.len {
            return Err(RegistryError::NoSuchLeaf {
                index,
                len: self.len,
            });
        }
        self.top = set(&self.top, DEPTH, &[index], Fr::ZERO);
        Ok(())
    }

    /// [`Self::zero`] of many leaves; places where none was appended are passed over.
    pub fn zero_all(&mut self, places: &BTreeSet<u32>) {
        let places: Vec<_> = places.range(..self.len).copied().collect();
        self.top = set(&self.top, DEPTH, &places, Fr::ZERO);
    }

    /// Leaves ever appended, revoked ones included.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no leaf was ever appended.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The root.
    pub fn root(&self) -> FieldBytes {
        from_fr(&hash_of(&self.top, DEPTH))
    }

    /// The leaf at `index` (zero if revoked); `None` if none was appended there.
    pub fn leaf(&self, index: u32) -> Option<FieldBytes> {
        self.walk(index).map(|(leaf, _)| from_fr(&leaf))
    }

    /// The path of the leaf at `index`; `None` if none was appended there.
    pub fn path(&self, index: u32) -> Option<MerklePath> {
        let (_, siblings) = self.walk(index)?;
        let siblings = siblings.iter().rev().map(from_fr).collect();
        Some(MerklePath { index, siblings })
    }

    /// Every leaf, in order.
    pub fn leaves(&self) -> Vec<FieldBytes> {
        (0..self.len).filter_map(|i| self.leaf(i)).collect()
    }

    /// The leaf and its siblings from the top down.
    fn walk(&self, index: u32) -> Option<(Fr, Vec<Fr>)> {
        if index >= self.len {
            return None;
        }
        let mut at = &self.top;
        let mut siblings = Vec::with_capacity(DEPTH);
        for level in (0..DEPTH).rev() {
            let [left, right] = &at.as_ref()?.children;
            let (next, sibling) = match side(index, level) {
                0 => (left, right),
                _ => (right, left),
            };
            siblings.push(hash_of(sibling, level));
            at = next;
        }
        Some((at.as_ref()?.hash, siblings))
    }
}

impl TryFrom<Vec<FieldBytes>> for Registry {
    type Error = RegistryError;
    fn try_from(leaves: Vec<FieldBytes>) -> Result<Self, RegistryError> {
        Registry::from_leaves(&leaves)
    }
}

impl From<Registry> for Vec<FieldBytes> {
    fn from(registry: Registry) -> Self {
        registry.leaves()
    }
}

impl PartialEq for Registry {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.root() == other.root()
    }
}
impl Eq for Registry {}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("len", &self.len)
            .field("root", &self.root())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(i: u32) -> FieldBytes {
        FieldBytes::from_u64(u64::from(i) + 1)
    }

    #[test]
    fn every_leaf_has_a_path_to_the_root_and_building_equals_appending() {
        let mut registry = Registry::default();
        for i in 0..11 {
            assert_eq!(registry.append(&leaf(i)), Ok(i));
        }
        registry.zero(4).unwrap();
        for i in 0..11 {
            let at = registry.leaf(i).unwrap();
            assert_eq!(at, if i == 4 { FieldBytes([0; 32]) } else { leaf(i) });
            let path = registry.path(i).unwrap();
            assert_eq!(path.root(&at), Some(registry.root()));
            assert_ne!(path.root(&leaf(i + 1)), Some(registry.root()));
        }
        assert_eq!(registry.path(11), None);
        assert_eq!(Registry::from_leaves(&registry.leaves()).unwrap(), registry);
        let bytes = tender_wire::encode(&registry.path(3).unwrap());
        assert!(tender_wire::decode::<MerklePath>(&bytes).is_ok());
    }

    #[test]
    fn a_clone_does_not_follow_later_changes() {
        let mut registry = Registry::default();
        let before = registry.root();
        registry.append(&leaf(0)).unwrap();
        let snapshot = registry.clone();
        registry.zero(0).unwrap();
        assert_eq!(snapshot.leaf(0), Some(leaf(0)));
        assert_eq!(registry.root(), before, "a zeroed tree is an empty tree");
        assert_ne!(registry, snapshot);
    }

    #[test]
    fn many_leaves_zeroed_at_once_are_as_zeroed_one_by_one() {
        let mut registry = Registry::default();
        for i in 0..37 {
            registry.append(&leaf(i)).unwrap();
        }
        for places in [
            vec![],
            vec![0],
            vec![36, 37, 90_000],
            (3..30).step_by(3).collect(),
        ] {
            let places: BTreeSet<u32> = places.into_iter().collect();
            let (mut together, mut singly) = (registry.clone(), registry.clone());
            together.zero_all(&places);
            for place in &places {
                let _ = singly.zero(*place);
            }
            assert_eq!(together.leaves(), singly.leaves());
            assert_eq!(together.root(), singly.root());
        }
    }

    #[test]
    fn refusals() {
        let mut registry = Registry::default();
        assert_eq!(
            registry.append(&FieldBytes([0xff; 32])),
            Err(RegistryError::NotCanonical)
        );
        assert_eq!(
            registry.append(&FieldBytes([0; 32])),
            Err(RegistryError::ZeroLeaf)
        );
        assert_eq!(
            registry.zero(0),
            Err(RegistryError::NoSuchLeaf { index: 0, len: 0 })
        );
        registry.len = CAPACITY - 1;
        assert_eq!(registry.append(&leaf(1)), Ok(CAPACITY - 1));
        assert_eq!(registry.append(&leaf(1)), Err(RegistryError::Full));
    }

    /// An empty tree of depth 20 over circomlib's Poseidon: the value every circom implementation with zero leaves shares.
    #[test]
    fn the_empty_root_is_the_published_one() {
        use std::str::FromStr;
        assert_eq!(
            to_fr(&Registry::default().root()).unwrap(),
            Fr::from_str(
                "15019797232609675441998260052101280400536945603062888308240081994073687793470"
            )
            .unwrap()
        );
    }
}
