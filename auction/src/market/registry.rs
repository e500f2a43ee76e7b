//! Credentials on chain: the leaf tree, who posted which leaf, recent roots and revocations.
//!
//! **Root rule.** A registry root is good if it is among the last [`MAX_ROOTS`] distinct end-of-block roots and, for every
//! issuer that may stand behind the evidence, not older than that issuer's last revocation for the asset. So no issuer can
//! stop those who do not rely on it. A root that stayed the same over several blocks is as young as the last of them.
//!
//! **Leaves** are made here, of the poster's index, the asset and the posted commitment: so the issuer a proof shows is the one whose
//! revocations and de-listing are looked up, for the asset they are looked up by.
//!
//! Bounds: 2^20 leaves, an issuer's quota of leaves, [`MAX_REVOKED_SERIALS`] per issuer.

use super::table::{Content, Table, hashed_whole, whole};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tender_circuits::{IssuerIndex, IssuerMask, Registry, placed, registry::RegistryError};
use tender_wire::{Digest, FieldBytes, Height, PublicKey, merkle};

/// Distinct end-of-block roots remembered: at one change a second, 17 minutes in which a proof stays usable.
pub const MAX_ROOTS: usize = 1024;
/// Attestations one issuer can revoke: bounds the table.
pub const MAX_REVOKED_SERIALS: u32 = 1 << 16;
/// Leaves per hashed chunk: one block touches few chunks.
const CHUNK: usize = 1024;

/// An issuer, listed or not. Its index is its position and never reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerRow {
    /// For people.
    pub name: String,
    /// Signs leaves, revocations and attestations.
    pub key: PublicKey,
    /// Leaves it may post in all.
    pub quota: u32,
    /// Leaves posted.
    pub posted: u32,
    /// Attestations revoked.
    pub revoked_serials: u32,
    /// When it was taken off the list, if it was.
    pub delisted: Option<Height>,
}

/// All issuers the chain ever had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuers(pub Vec<IssuerRow>);

hashed_whole!(Issuers);

/// Who posted a leaf, about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafRow {
    /// The issuer.
    pub issuer: IssuerIndex,
    /// The machine.
    pub asset: FieldBytes,
    /// Whether the leaf is zeroed.
    pub revoked: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rows(Vec<LeafRow>);

hashed_whole!(Rows);

/// The registry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    tree: Registry,
    rows: Vec<Table<Rows>>,
    /// Distinct end-of-block roots, oldest first, each with the last block that ended with it.
    roots: VecDeque<(FieldBytes, Height)>,
    revoked_at: Table<BTreeMap<(FieldBytes, IssuerIndex), Height>>,
    revoked_serials: Table<BTreeMap<(IssuerIndex, FieldBytes, u64), Height>>,
}

impl Content for Credentials {
    fn digest(&self) -> Digest {
        let rows: Vec<_> = self.rows.iter().map(Table::root).collect();
        whole(&(
            (self.tree.len(), self.tree.root(), merkle::root(&rows)),
            (&self.roots, &self.revoked_at, &self.revoked_serials),
        ))
    }
}

impl Issuers {
    /// The issuer at an index.
    pub fn at(&self, index: IssuerIndex) -> Option<&IssuerRow> {
        self.0.get(usize::from(index.value()))
    }

    /// Index and row of the listed issuer with this key.
    pub fn listed(&self, key: &PublicKey) -> Option<(IssuerIndex, &IssuerRow)> {
        let mut rows = (0u8..).map(IssuerIndex::new).zip(&self.0);
        rows.find_map(|(index, row)| {
            (row.key == *key && row.delisted.is_none()).then_some((index.ok()?, row))
        })
    }

    /// Every issuer the chain ever had.
    pub fn mask(&self) -> IssuerMask {
        (0u8..)
            .zip(&self.0)
            .filter_map(|(index, _)| IssuerIndex::new(index).ok())
            .collect()
    }
}

impl Credentials {
    /// A registry without leaves, whose root stands from genesis on.
    pub fn genesis() -> Self {
        let mut credentials = Credentials::default();
        credentials.end_block(Height(0));
        credentials
    }

    /// The tree.
    pub fn tree(&self) -> &Registry {
        &self.tree
    }

    /// Who posted the leaf at `index`.
    pub fn row(&self, index: u32) -> Option<&LeafRow> {
        let index = index as usize;
        self.rows
            .get(index.checked_div(CHUNK)?)?
            .0
            .get(index.checked_rem(CHUNK)?)
    }

    /// Every leaf posted, with who posted it.
    pub fn leaves(&self) -> impl Iterator<Item = (u32, &LeafRow)> {
        (0u32..).zip(self.rows.iter().flat_map(|rows| &rows.0))
    }

    /// Appends the leaf of a commitment `issuer` posts about a machine.
    pub(crate) fn issue(
        &mut self,
        issuer: IssuerIndex,
        commitment: &FieldBytes,
        asset: FieldBytes,
    ) -> Result<u32, RegistryError> {
        let leaf = placed(issuer, &asset, commitment).ok_or(RegistryError::NotCanonical)?;
        let index = self.tree.append(&leaf)?;
        let row = LeafRow {
            issuer,
            asset,
            revoked: false,
        };
        match self.rows.last_mut() {
            Some(rows) if rows.0.len() < CHUNK => rows.edit().0.push(row),
            _ => self.rows.push(Table::new(Rows(vec![row]))),
        }
        Ok(index)
    }

    /// Zeroes a leaf. Everything proven of that asset by that issuer under older roots is in doubt.
    pub(crate) fn revoke(&mut self, index: u32, height: Height) {
        self.revoke_all(&BTreeSet::from([index]), height);
    }

    fn revoke_all(&mut self, places: &BTreeSet<u32>, height: Height) {
        for index in places {
            let at = *index as usize;
            let rows = at
                .checked_div(CHUNK)
                .and_then(|chunk| self.rows.get_mut(chunk));
            let row = rows.and_then(|rows| rows.edit().0.get_mut(at.checked_rem(CHUNK)?));
            if let Some(row) = row {
                row.revoked = true;
                let revoked = (row.asset, row.issuer);
                self.revoked_at.edit().insert(revoked, height);
            }
        }
        self.tree.zero_all(places);
    }

    /// Zeroes every leaf of an issuer and forgets every root. Bounded by its quota.
    pub(crate) fn delist(&mut self, issuer: IssuerIndex, height: Height) {
        let mine = self
            .leaves()
            .filter(|(_, row)| row.issuer == issuer && !row.revoked);
        let mine = mine.map(|(index, _)| index).collect();
        self.revoke_all(&mine, height);
        self.roots.clear();
    }

    pub(crate) fn revoke_serial(
        &mut self,
        issuer: IssuerIndex,
        asset: FieldBytes,
        serial: u64,
        height: Height,
    ) {
        self.revoked_serials
            .edit()
            .entry((issuer, asset, serial))
            .or_insert(height);
    }

    /// When an attestation was revoked, if it was.
    pub fn serial_revoked(
        &self,
        issuer: IssuerIndex,
        asset: &FieldBytes,
        serial: u64,
    ) -> Option<Height> {
        self.revoked_serials.get(&(issuer, *asset, serial)).copied()
    }

    /// Remembers the root this block ends with.
    pub(crate) fn end_block(&mut self, height: Height) {
        let root = self.tree.root();
        match self.roots.back_mut() {
            Some((last, at)) if *last == root => *at = height,
            _ => self.roots.push_back((root, height)),
        }
        while self.roots.len() > MAX_ROOTS {
            self.roots.pop_front();
        }
    }

    /// The latest block that ended with this root, if it is remembered.
    pub fn root_height(&self, root: &FieldBytes) -> Option<Height> {
        let found = self.roots.iter().rev().find(|(known, _)| known == root);
        found.map(|(_, height)| *height)
    }

    /// The root proofs should be made under now, and the block that ended with it.
    pub fn good_root(&self) -> Option<(FieldBytes, Height)> {
        self.roots.back().copied()
    }

    /// Last revocation of what `issuer` attested of `asset`, its de-listing included.
    pub fn last_revocation(
        &self,
        issuers: &Issuers,
        issuer: IssuerIndex,
        asset: &FieldBytes,
    ) -> Option<Height> {
        let leaf = self.revoked_at.get(&(*asset, issuer)).copied();
        let delisted = issuers.at(issuer).and_then(|row| row.delisted);
        leaf.max(delisted)
    }
}
