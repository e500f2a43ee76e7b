//! What validators change by vote: types, issuers, openers, validators.
//!
//! A proposal passes at the end of the block in which the validators that approve it hold more than two thirds of the
//! *current* power, once. Proposals that pass in one block take effect in order of their ids. Changes of the validator set queue
//! up: at most one per height, and none at a height that jails. The set is never empty and always balanced (see
//! [`super::sealing`]). A change that has become impossible by the time it passes is dropped.
//!
//! Bounds: [`MAX_OPEN_PROPOSALS`] per validator, [`MAX_PROPOSAL_LIFE`].

use super::{
    refusal::Refusal, registry::IssuerRow, sealing::is_balanced, state::MarketState,
    table::hashed_whole,
};
use crate::{
    genesis::{self, Issuer, MAX_ISSUERS, MAX_TYPES, MAX_VALIDATORS, Openers},
    transaction::{Change, Proposal},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tender_circuits::CapabilityType;
use tender_consensus::validators::{Validator, ValidatorSet};
use tender_wire::{Digest, Height, Power, PublicKey};

/// Proposals one validator may have opened that are neither passed nor expired.
pub const MAX_OPEN_PROPOSALS: usize = 16;
/// Farthest expiry of a proposal, in blocks: bounds how long its id is remembered.
pub const MAX_PROPOSAL_LIFE: u64 = 1_000_000;
/// Changes of the validator set that have passed and wait for their height.
pub const MAX_WAITING: usize = 64;
/// Least validators that jailing leaves: below four, no fault is tolerated.
pub const LEAST_AFTER_JAIL: usize = 4;

/// The validator set, and who is out of it for an offence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// Decides the next block.
    pub set: ValidatorSet,
    /// Jailed keys with their former power.
    pub jailed: BTreeMap<PublicKey, Power>,
}

/// Proposals, and the rule on openers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    /// Who may open auctions.
    pub openers: Openers,
    /// Neither passed nor expired, by id.
    pub open: BTreeMap<Digest, OpenProposal>,
    /// Passed ones, until they expire: a proposal passes once.
    pub passed: BTreeMap<Digest, Height>,
    /// Passed changes of the validator set, in order.
    pub waiting: VecDeque<Change>,
}

/// A proposal with its approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// Who approved first.
    pub opened_by: PublicKey,
    /// Who approves.
    pub approvals: BTreeSet<PublicKey>,
}

hashed_whole!(Validators, Governance);

impl MarketState {
    /// Whether `signer` may approve this proposal in the block at `height`.
    pub(crate) fn check_approval(
        &self,
        signer: &PublicKey,
        proposal: &Proposal,
        height: Height,
    ) -> Result<(), Refusal> {
        if self.validators.set.index_of(signer).is_none() {
            return Err(Refusal::NotValidator { signer: *signer });
        }
        let latest = Height(height.0.saturating_add(MAX_PROPOSAL_LIFE));
        if !(height..=latest).contains(&proposal.expiry) {
            return Err(Refusal::ProposalExpiry {
                expiry: proposal.expiry,
                height,
                latest,
            });
        }
        let id = proposal.id(&self.rules.chain);
        let open = self.governance.open.get(&id);
        let approved = open.is_some_and(|open| open.approvals.contains(signer));
        if approved || self.governance.passed.contains_key(&id) {
            return Err(Refusal::AlreadyApproved { proposal: id });
        }
        let mine = self
            .governance
            .open
            .values()
            .filter(|open| open.opened_by == *signer);
        if open.is_none() && mine.count() >= MAX_OPEN_PROPOSALS {
            return Err(Refusal::ProposalLimit {
                signer: *signer,
                limit: MAX_OPEN_PROPOSALS,
            });
        }
        self.check_change(&proposal.change)
            .map_err(|why| Refusal::Change { why })
    }

    pub(crate) fn approve(&mut self, signer: PublicKey, proposal: &Proposal) {
        let id = proposal.id(&self.rules.chain);
        let open = self
            .governance
            .edit()
            .open
            .entry(id)
            .or_insert_with(|| OpenProposal {
                proposal: proposal.clone(),
                opened_by: signer,
                approvals: BTreeSet::new(),
            });
        open.approvals.insert(signer);
    }

    /// Whether a change could be made now; if not, why, in words.
    fn check_change(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::AddType(record) => self.check_type(record),
            Change::AddIssuer(issuer) => self.check_issuer(issuer),
            Change::RemoveIssuer(index) => match self.issuers.at(*index) {
                Some(row) if row.delisted.is_none() => Ok(()),
                _ => Err(format!("issuer {index} is not listed")),
            },
            Change::SetOpeners(openers) => {
                genesis::check_openers(openers).map_err(|e| e.to_string())
            }
            Change::SetValidator { .. } | Change::Unjail(_) => self.next_set(change).map(|_| ()),
        }
    }

    fn check_type(&self, record: &CapabilityType) -> Result<(), String> {
        if self.types.by_id.len() >= MAX_TYPES {
            return Err(format!("the chain has {MAX_TYPES} types, the most allowed"));
        }
        if self
            .types
            .by_name
            .contains_key(&(record.name.clone(), record.version))
        {
            return Err(format!("type {}/v{} exists", record.name, record.version));
        }
        genesis::check_type(record, self.rules.allow_insecure_setup).map_err(|e| e.to_string())
    }

    fn check_issuer(&self, issuer: &Issuer) -> Result<(), String> {
        if self.issuers.0.len() >= MAX_ISSUERS {
            return Err(format!(
                "the chain has had {MAX_ISSUERS} issuers, the most allowed"
            ));
        }
        if self
            .issuers
            .0
            .iter()
            .any(|row| row.name == issuer.name || row.key == issuer.key)
        {
            return Err(format!(
                "the name {} or its key is or was an issuer's",
                issuer.name
            ));
        }
        genesis::check_issuer(issuer).map_err(|e| e.to_string())
    }

    /// The validator set after a change of it, and the power a jailed key gets back.
    fn next_set(&self, change: &Change) -> Result<ValidatorSet, String> {
        let Validators { set, jailed } = &*self.validators;
        let (key, power) = match change {
            Change::SetValidator { key, power }
                if jailed.contains_key(key) && *power != Power(0) =>
            {
                return Err(format!("validator {key} is jailed: unjail or remove it"));
            }
            Change::SetValidator { key, power } => (*key, *power),
            Change::Unjail(key) => match jailed.get(key) {
                Some(power) => (*key, *power),
                None => return Err(format!("validator {key} is not jailed")),
            },
            _ => return Ok(set.clone()),
        };
        if power == Power(0) && jailed.contains_key(&key) {
            return Ok(set.clone()); // leaves the list of jailed keys
        }
        if power == Power(0) && set.index_of(&key).is_none() {
            return Err(format!("{key} is not a validator"));
        }
        let others = set.as_slice().iter().filter(|v| v.key != key).copied();
        let changed = (power != Power(0)).then_some(Validator { key, power });
        let next = ValidatorSet::new(others.chain(changed).collect()).map_err(|e| e.to_string())?;
        if next.len() > MAX_VALIDATORS {
            return Err(format!("at most {MAX_VALIDATORS} validators are accepted"));
        }
        if !is_balanced(&next) {
            return Err("so many validators with so little power break n >= 3f + 1".into());
        }
        Ok(next)
    }

    /// Jails validators that equivocated, unless too few would be left. Returns whether the set changed.
    pub(crate) fn jail(&mut self, culprits: impl Iterator<Item = PublicKey>) -> bool {
        let mut changed = false;
        for key in culprits {
            let set = &self.validators.set;
            let Some(power) = set.index_of(&key).and_then(|i| set.at(i)).map(|v| v.power) else {
                continue;
            };
            let others = set.as_slice().iter().filter(|v| v.key != key).copied();
            match ValidatorSet::new(others.collect()) {
                Ok(next) if next.len() >= LEAST_AFTER_JAIL && is_balanced(&next) => {
                    let validators = self.validators.edit();
                    validators.set = next;
                    validators.jailed.insert(key, power);
                    changed = true;
                }
                _ => {}
            }
        }
        changed
    }

    /// Passes, applies and expires proposals at the end of a block. `set_changed`: this height has changed the set already.
    pub(crate) fn govern(&mut self, height: Height, set_changed: bool) {
        let passing: Vec<_> = self
            .governance
            .open
            .iter()
            .filter(|(_, open)| {
                self.validators
                    .set
                    .is_quorum(self.power_of(&open.approvals))
            })
            .map(|(id, open)| (*id, open.proposal.clone()))
            .collect();
        for (id, proposal) in passing {
            let governance = self.governance.edit();
            governance.open.remove(&id);
            governance.passed.insert(id, proposal.expiry);
            if self.check_change(&proposal.change).is_ok() {
                self.apply_change(proposal.change, height);
            }
        }
        if !set_changed {
            self.change_set();
        }
        let governance = &*self.governance;
        let stale = governance
            .open
            .values()
            .any(|open| open.proposal.expiry <= height)
            || governance.passed.values().any(|expiry| *expiry <= height);
        if stale {
            let governance = self.governance.edit();
            governance
                .open
                .retain(|_, open| open.proposal.expiry > height);
            governance.passed.retain(|_, expiry| *expiry > height);
        }
    }

    fn power_of(&self, approvals: &BTreeSet<PublicKey>) -> u128 {
        let set = self.validators.set.as_slice().iter();
        let power = set
            .filter(|v| approvals.contains(&v.key))
            .map(|v| u128::from(v.power.0));
        power.fold(0, u128::saturating_add)
    }

    pub(crate) fn apply_change(&mut self, change: Change, height: Height) {
        match change {
            Change::AddType(record) => self.add_type(record),
            Change::AddIssuer(issuer) => self.add_issuer(issuer),
            Change::RemoveIssuer(index) => {
                if let Some(row) = self.issuers.edit().0.get_mut(usize::from(index.value())) {
                    row.delisted = Some(height);
                }
                self.credentials.edit().delist(index, height);
            }
            Change::SetOpeners(openers) => self.governance.edit().openers = openers,
            Change::SetValidator { .. } | Change::Unjail(_) => {
                let waiting = &mut self.governance.edit().waiting;
                if waiting.len() < MAX_WAITING {
                    waiting.push_back(change);
                }
            }
        }
    }

    /// Applies the first waiting change of the set that is still possible.
    fn change_set(&mut self) {
        while let Some(change) = self.governance.waiting.front().cloned() {
            self.governance.edit().waiting.pop_front();
            let Ok(next) = self.next_set(&change) else {
                continue;
            };
            let validators = self.validators.edit();
            validators.set = next;
            if let Change::SetValidator { key, .. } | Change::Unjail(key) = change {
                validators.jailed.remove(&key);
            }
            return;
        }
    }

    /// Registers a type that passed its checks.
    pub(crate) fn add_type(&mut self, record: CapabilityType) {
        let types = self.types.edit();
        let id = record.id();
        types
            .by_name
            .insert((record.name.clone(), record.version), id);
        types.by_id.insert(id, Arc::new(record));
    }

    /// Admits an issuer that passed its checks, at the next index.
    pub(crate) fn add_issuer(&mut self, issuer: Issuer) {
        self.issuers.edit().0.push(IssuerRow {
            name: issuer.name,
            key: issuer.key,
            quota: issuer.quota,
            posted: 0,
            revoked_serials: 0,
            delisted: None,
        });
    }
}
