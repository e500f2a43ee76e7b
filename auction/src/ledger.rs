//! Capacity accounts, one per asset: who may offer it, and how much of it is taken.
//!
//! An account exists from the admission of the asset's first live bid until its last live bid and its last lease have
//! ended. While it exists the asset is bound to one holder and, once a type with consumable fields is involved, to that
//! type. Amounts stand in the order of the type's consumable fields.
//!
//! Invariant: `reserved + new <= capacity` held, field by field, whenever something was reserved; all sums are checked.
//! Bound: one account per live bid or lease at most, and one noted release per lease that ended since the oldest close
//! that has not cleared.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_wire::{FieldBytes, Height, PublicKey, TypeId};

/// Amounts of a type's consumable fields, in schema order; empty when nothing is consumed.
pub type Amounts = Vec<u64>;

/// Capacity of one asset as claimed: the consumable type and how much of each of its consumable fields there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// The capability type.
    pub type_id: TypeId,
    /// What is claimed; where several evidences claim, the least.
    pub amounts: Amounts,
}

/// Why the ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Bound to another holder.
    #[error("asset {asset} is bound to {holder} while its bids and leases live")]
    OtherHolder {
        /// The asset.
        asset: FieldBytes,
        /// Who holds it.
        holder: PublicKey,
    },
    /// Bound to another consumable type.
    #[error("asset {asset} is bound to capability type {type_id} while its bids and leases live")]
    OtherType {
        /// The asset.
        asset: FieldBytes,
        /// The type it is accounted in.
        type_id: TypeId,
    },
    /// More than is left.
    #[error(
        "asset {asset}: consumable field {field} has {capacity}, {needed} with what is reserved"
    )]
    NoCapacity {
        /// The asset.
        asset: FieldBytes,
        /// Index among the type's consumable fields.
        field: u16,
        /// What is claimed.
        capacity: u64,
        /// Reserved plus wanted, saturating.
        needed: u64,
    },
}

/// One asset's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who may offer the asset.
    pub holder: PublicKey,
    /// The consumable type it is accounted in, once one is involved.
    pub type_id: Option<TypeId>,
    /// Taken by leases.
    pub reserved: Amounts,
    /// Live bids.
    pub bids: u32,
    /// Leases running.
    pub leases: u32,
    /// Ended leases that an auction closed before must still count: (height of the release, amounts).
    pub released: Vec<(Height, Amounts)>,
}

/// All accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger(BTreeMap<FieldBytes, Account>);

impl Ledger {
    /// An asset's account, if it has one now.
    pub fn account(&self, asset: &FieldBytes) -> Option<&Account> {
        self.0.get(asset)
    }

    /// Every account, by asset.
    pub fn accounts(&self) -> impl Iterator<Item = (&FieldBytes, &Account)> {
        self.0.iter()
    }

    /// Whether `holder` may offer the asset, accounted in `type_id`.
    ///
    /// # Errors
    /// [`LedgerError::OtherHolder`] or [`LedgerError::OtherType`].
    pub fn check_binding(
        &self,
        asset: &FieldBytes,
        holder: &PublicKey,
        type_id: Option<&TypeId>,
    ) -> Result<(), LedgerError> {
        let Some(account) = self.0.get(asset) else {
            return Ok(());
        };
        if account.holder != *holder {
            return Err(LedgerError::OtherHolder {
                asset: *asset,
                holder: account.holder,
            });
        }
        match (account.type_id, type_id) {
            (Some(bound), Some(wanted)) if bound != *wanted => Err(LedgerError::OtherType {
                asset: *asset,
                type_id: bound,
            }),
            _ => Ok(()),
        }
    }

    /// Whether `amounts` more fit within `capacity`. Releases after `since` do not count as free: capacity is judged as
    /// of an auction's close.
    ///
    /// # Errors
    /// [`LedgerError::NoCapacity`], naming the first field that falls short.
    pub fn check_capacity(
        &self,
        asset: &FieldBytes,
        amounts: &[u64],
        capacity: &[u64],
        since: Height,
    ) -> Result<(), LedgerError> {
        let account = self.0.get(asset);
        for ((field, wanted), capacity) in (0u16..).zip(amounts).zip(capacity) {
            let at = |amounts: &Amounts| amounts.get(usize::from(field)).copied().unwrap_or(0);
            let taken = account.map_or(0, |account| {
                let late = account
                    .released
                    .iter()
                    .filter(|(height, _)| *height > since);
                late.fold(at(&account.reserved), |sum, (_, amounts)| {
                    sum.saturating_add(at(amounts))
                })
            });
            let needed = taken.saturating_add(*wanted);
            if needed > *capacity {
                return Err(LedgerError::NoCapacity {
                    asset: *asset,
                    field,
                    capacity: *capacity,
                    needed,
                });
            }
        }
        Ok(())
    }

    /// Counts a live bid, binding the asset.
    pub fn add_bid(&mut self, asset: FieldBytes, holder: PublicKey, type_id: Option<TypeId>) {
        let account = self.open(asset, holder, type_id);
        account.bids = account.bids.saturating_add(1);
    }

    /// A live bid is no longer live.
    pub fn remove_bid(&mut self, asset: &FieldBytes) {
        if let Some(account) = self.0.get_mut(asset) {
            account.bids = account.bids.saturating_sub(1);
        }
        self.close_if_idle(asset);
    }

    /// Starts a lease. The caller has checked binding and capacity.
    pub fn reserve(
        &mut self,
        asset: FieldBytes,
        holder: PublicKey,
        type_id: Option<TypeId>,
        amounts: &[u64],
    ) {
        let account = self.open(asset, holder, type_id);
        account.leases = account.leases.saturating_add(1);
        if account.reserved.len() < amounts.len() {
            account.reserved.resize(amounts.len(), 0);
        }
        for (reserved, amount) in account.reserved.iter_mut().zip(amounts) {
            *reserved = reserved.saturating_add(*amount);
        }
    }

    /// Ends a lease at `height`. With `note`, auctions closed before still count it as taken until
    /// [`Ledger::forget_releases`].
    pub fn release(&mut self, asset: &FieldBytes, amounts: &[u64], height: Height, note: bool) {
        if let Some(account) = self.0.get_mut(asset) {
            account.leases = account.leases.saturating_sub(1);
            for (reserved, amount) in account.reserved.iter_mut().zip(amounts) {
                *reserved = reserved.saturating_sub(*amount);
            }
            if note && amounts.iter().any(|amount| *amount > 0) {
                account.released.push((height, amounts.to_vec()));
            }
        }
        self.close_if_idle(asset);
    }

    /// Forgets releases no uncleared auction closed before: those at or before `oldest`, the least closing height of an
    /// uncleared auction, or all of them if there is none.
    pub fn forget_releases(&mut self, oldest: Option<Height>) {
        for account in self.0.values_mut() {
            account
                .released
                .retain(|(height, _)| oldest.is_some_and(|oldest| *height > oldest));
        }
    }

    /// Whether any account notes a release.
    pub fn notes_releases(&self) -> bool {
        self.0.values().any(|account| !account.released.is_empty())
    }

    fn open(
        &mut self,
        asset: FieldBytes,
        holder: PublicKey,
        type_id: Option<TypeId>,
    ) -> &mut Account {
        let account = self.0.entry(asset).or_insert_with(|| Account {
            holder,
            type_id: None,
            reserved: Vec::new(),
            bids: 0,
            leases: 0,
            released: Vec::new(),
        });
        account.type_id = account.type_id.or(type_id);
        account
    }

    fn close_if_idle(&mut self, asset: &FieldBytes) {
        if self
            .0
            .get(asset)
            .is_some_and(|a| a.bids == 0 && a.leases == 0)
        {
            self.0.remove(asset);
        }
    }
}
