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
    /// Ended leases that an auction closed before must still count: (height of the release, amounts), by height.
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
                let released = account.released.iter().rev(); // noted in order of height
                let late = released.take_while(|(height, _)| *height > since);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ASSET: FieldBytes = FieldBytes([1; 32]);
    const HOLDER: PublicKey = PublicKey([2; 32]);
    const TYPE: TypeId = TypeId([3; 32]);
    const NOW: Height = Height(u64::MAX);

    #[test]
    fn an_asset_is_bound_to_holder_and_type_until_its_last_bid_and_lease() {
        let mut ledger = Ledger::default();
        let (other, other_type) = (PublicKey([9; 32]), TypeId([9; 32]));
        ledger.add_bid(ASSET, HOLDER, None);
        ledger.add_bid(ASSET, HOLDER, Some(TYPE));
        assert_eq!(ledger.check_binding(&ASSET, &HOLDER, Some(&TYPE)), Ok(()));
        assert!(matches!(
            ledger.check_binding(&ASSET, &other, None),
            Err(LedgerError::OtherHolder { .. })
        ));
        let wrong = ledger.check_binding(&ASSET, &HOLDER, Some(&other_type));
        assert!(matches!(wrong, Err(LedgerError::OtherType { .. })));
        ledger.reserve(ASSET, HOLDER, Some(TYPE), &[5]);
        ledger.remove_bid(&ASSET);
        ledger.remove_bid(&ASSET);
        assert!(
            ledger.check_binding(&ASSET, &other, None).is_err(),
            "a lease binds too"
        );
        ledger.release(&ASSET, &[5], Height(7), false);
        assert_eq!(
            ledger.check_binding(&ASSET, &other, Some(&other_type)),
            Ok(())
        );
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn a_noted_release_counts_for_auctions_that_closed_before_it() {
        let mut ledger = Ledger::default();
        ledger.add_bid(ASSET, HOLDER, Some(TYPE));
        ledger.reserve(ASSET, HOLDER, Some(TYPE), &[8]);
        ledger.release(&ASSET, &[8], Height(20), true);
        let fits =
            |ledger: &Ledger, since| ledger.check_capacity(&ASSET, &[3], &[10], since).is_ok();
        assert!(
            !fits(&ledger, Height(19)),
            "closed at 19: the release at 20 came too late"
        );
        assert!(fits(&ledger, Height(20)) && fits(&ledger, NOW));
        ledger.forget_releases(Some(Height(19)));
        assert!(ledger.notes_releases());
        ledger.forget_releases(Some(Height(20)));
        assert!(!ledger.notes_releases() && fits(&ledger, Height(0)));
    }

    #[test]
    fn sums_at_the_edge_of_u64_are_refused_not_wrapped() {
        let mut ledger = Ledger::default();
        ledger.reserve(ASSET, HOLDER, Some(TYPE), &[u64::MAX]);
        let refused = ledger.check_capacity(&ASSET, &[1], &[u64::MAX - 1], NOW);
        assert!(matches!(
            refused,
            Err(LedgerError::NoCapacity {
                needed: u64::MAX,
                ..
            })
        ));
    }

    proptest! {
        /// Reserving only what fits never takes more than there is, and releasing everything leaves nothing.
        #[test]
        fn what_is_reserved_never_exceeds_the_capacity(
            wants in proptest::collection::vec((0u64..50, 0u64..50, any::<bool>()), 1..60),
        ) {
            let capacity = [100, 60];
            let mut ledger = Ledger::default();
            let mut leases: Vec<[u64; 2]> = Vec::new();
            for (a, b, release) in wants {
                if release && let Some(amounts) = leases.pop() {
                    ledger.release(&ASSET, &amounts, Height(1), false);
                } else if ledger.check_capacity(&ASSET, &[a, b], &capacity, NOW).is_ok() {
                    ledger.reserve(ASSET, HOLDER, Some(TYPE), &[a, b]);
                    leases.push([a, b]);
                }
                let expected = leases.iter().fold([0, 0], |sum, lease| [sum[0] + lease[0], sum[1] + lease[1]]);
                let reserved = ledger.account(&ASSET).map_or(vec![0, 0], |account| account.reserved.clone());
                prop_assert_eq!(&reserved[..], &expected[..]);
                prop_assert!(reserved.iter().zip(capacity).all(|(taken, capacity)| *taken <= capacity));
            }
            for amounts in leases {
                ledger.release(&ASSET, &amounts, Height(1), false);
            }
            prop_assert_eq!(ledger, Ledger::default());
        }
    }
}
