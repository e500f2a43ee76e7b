//! What to bid for with one machine: the classes it is attested for, the tasks whose reserve is worth their price, and how the machine
//! is shared among them.
//!
//! Rules, in this order:
//!
//! 1. A class is served if, for each of its requirements, enough distinct issuers attest at least what it needs in an accepted kind of
//!    evidence that lasts until the lease ends.
//! 2. A task is worth bidding for if its class's price is at most its reserve.
//! 3. A bid shows one type with consumable fields and at most [`MAX_REQUIREMENTS`] evidences; dearer classes go first, others are left out.
//! 4. Slots are dealt one by one, dearest class first, round after round, until what running assignments leave of the machine is used up
//!    or no task is without a slot.
//! 5. Where more tasks are worth it than a bid has entries, those with the largest surplus (reserve − price) are taken.
//!
//! Nothing here reads a clock or the network.

use crate::{
    agent::bidding::{attested_claim, can_cover},
    documents::{
        bid::BidFile,
        credential::{Content, CredentialFile},
        names::Names,
        prices::PriceFile,
    },
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use tender_auction::task::{AuctionSpec, Class, MAX_REQUIREMENTS, MAX_SLOTS, Requirement};
use tender_circuits::Claim;
use tender_wire::{Price, TypeId};

/// Reasons told of a machine that bids for nothing.
pub(crate) const MAX_REASONS: usize = 4;

/// One machine before one auction.
pub(super) struct Offer<'a> {
    pub(super) spec: &'a AuctionSpec,
    pub(super) names: &'a Names,
    pub(super) prices: &'a PriceFile,
    /// Its credentials, as [`best_first`] orders them; never empty.
    pub(super) held: &'a [CredentialFile],
    /// What running assignments use up of it, by type and field.
    pub(super) reserved: &'a dyn Fn(&TypeId) -> Vec<u32>,
}

/// A class worth bidding for.
struct Candidate<'a> {
    class: &'a Class,
    price: Price,
    /// Surplus and index of each task.
    tasks: Vec<(u64, u32)>,
    slots: u32,
}

/// A machine's credentials, the most useful first, one of each type, issuer and kind: a machine may have been attested anew.
pub(super) fn best_first(
    mut held: Vec<CredentialFile>,
    spec: &AuctionSpec,
    names: &Names,
) -> Vec<CredentialFile> {
    let needs = || spec.classes.iter().flat_map(|class| &class.requirements);
    let use_of = |file: &CredentialFile| {
        let served =
            needs().filter(|need| acceptable(file, need, spec) && covers(file, need, names));
        (Reverse(served.count()), Reverse(file.expiry()))
    };
    held.sort_by_cached_key(use_of);
    let mut seen = BTreeSet::new();
    held.retain(|file| {
        let is_proof = matches!(file.content, Content::Credential { .. });
        seen.insert((file.type_id, file.issuer_index(), is_proof))
    });
    held
}

impl Offer<'_> {
    /// The bid to make, or why there is none.
    pub(super) fn bid(&self, serial: &str, hide_issuer: bool) -> Result<BidFile, String> {
        let mut why = Vec::new();
        let mut candidates = self.candidates(&mut why);
        candidates.sort_by_key(|it| Reverse(it.price));
        self.keep_what_one_bid_can_show(&mut candidates, &mut why);
        self.deal_slots(&mut candidates, serial, &mut why);
        candidates.retain(|it| it.slots > 0);
        keep_the_best(&mut candidates, usize::from(self.spec.max_entries));
        if candidates.is_empty() {
            let more = why.len().saturating_sub(MAX_REASONS);
            why.truncate(MAX_REASONS);
            if more > 0 {
                why.push(format!("and {more} more"));
            }
            return Err(why.join("; "));
        }
        let slots = candidates
            .iter()
            .map(|it| (it.class.name.clone(), it.slots));
        let slots = slots.collect();
        let mut prices = BTreeMap::new();
        for it in &candidates {
            let tasks = it
                .tasks
                .iter()
                .filter_map(|(_, task)| self.task_name(*task));
            prices.extend(tasks.map(|name| (name, it.price.0)));
        }
        Ok(BidFile {
            machine: Some(serial.to_owned()),
            slots,
            prices,
            claim: None,
            hide_issuer,
        })
    }

    fn candidates(&self, why: &mut Vec<String>) -> Vec<Candidate<'_>> {
        let mut found = Vec::new();
        let mut names = BTreeSet::new();
        for (class, index) in self.spec.classes.iter().zip(0u16..) {
            // A bid file goes by name: of several with one name, the first is meant.
            if !names.insert(&class.name) {
                continue;
            }
            match self.candidate(class, index) {
                Ok(candidate) => found.push(candidate),
                Err(reason) => why.push(format!("class {}: {reason}", super::plain(&class.name))),
            }
        }
        found
    }

    fn candidate<'s>(&'s self, class: &'s Class, index: u16) -> Result<Candidate<'s>, String> {
        for need in &class.requirements {
            self.serves(need)?;
        }
        let claim_of = |type_id: &TypeId| {
            let file = self.held.iter().find(|c| c.type_id == *type_id)?;
            in_claims_shape(file, self.names)
        };
        let price = self
            .prices
            .price(self.names, class, claim_of)
            .map_err(|e| e.to_string())?;
        let mut seen = BTreeSet::new();
        let mut reserves = Vec::new();
        for (task, number) in self.spec.tasks.iter().zip(0u32..) {
            if seen.insert(&task.name) && task.class == index {
                reserves.push((task.reserve, number));
            }
        }
        let surplus =
            |(reserve, task): &(Price, u32)| Some((reserve.0.checked_sub(price.0)?, *task));
        let tasks: Vec<_> = reserves.iter().filter_map(surplus).collect();
        match reserves.iter().max() {
            None => Err("has no tasks".into()),
            Some((highest, _)) if tasks.is_empty() => Err(format!(
                "the price here is {price}, the highest reserve {highest}"
            )),
            Some(_) => Ok(Candidate {
                class,
                price,
                tasks,
                slots: 0,
            }),
        }
    }

    /// Whether enough issuers attest what a requirement needs; if not, what is missing.
    fn serves(&self, need: &Requirement) -> Result<(), String> {
        let label = self.names.type_label(&need.type_id);
        let accepted = || {
            let held = self.held.iter();
            held.filter(|file| acceptable(file, need, self.spec))
        };
        let covering = accepted().filter(|file| covers(file, need, self.names));
        let issuers: BTreeSet<_> = covering.map(CredentialFile::issuer_index).collect();
        if issuers.len() >= usize::from(need.min_issuers) {
            return Ok(());
        }
        let short = accepted().find_map(|file| {
            let record = self.names.type_of(&file.type_id)?;
            let claim = in_claims_shape(file, self.names)?;
            let covered = record.schema.covers(claim, &need.requirement);
            covered.err().map(|field| field.name)
        });
        Err(match short {
            Some(field) => format!("{field} of {label} is not attested as it needs"),
            None => format!(
                "wants {label} attested by {} of {}, until the lease ends; this machine has {}",
                need.min_issuers,
                self.names.issuers_in(need.issuers).join(", "),
                issuers.len()
            ),
        })
    }

    fn keep_what_one_bid_can_show(
        &self,
        candidates: &mut Vec<Candidate<'_>>,
        why: &mut Vec<String>,
    ) {
        let mut consumable: Option<TypeId> = None;
        let mut shown: BTreeMap<TypeId, u8> = BTreeMap::new();
        candidates.retain(|it| {
            let own = it.class.requirements.iter();
            let own = own
                .map(|need| need.type_id)
                .find(|id| self.is_consumable(id));
            let mut with = shown.clone();
            for need in &it.class.requirements {
                let most = with.entry(need.type_id).or_default();
                *most = (*most).max(need.min_issuers);
            }
            let evidences: usize = with.values().map(|n| usize::from(*n)).sum();
            let clash = own.is_some() && consumable.is_some() && own != consumable;
            if clash || evidences > MAX_REQUIREMENTS {
                let name = super::plain(&it.class.name);
                why.push(format!("class {name}: one bid cannot show that too"));
                return false;
            }
            shown = with;
            consumable = consumable.or(own);
            true
        });
    }

    fn deal_slots(&self, candidates: &mut [Candidate<'_>], serial: &str, why: &mut Vec<String>) {
        let mut left: BTreeMap<TypeId, BTreeMap<usize, u32>> = BTreeMap::new();
        for it in candidates.iter() {
            for need in &it.class.requirements {
                left.entry(need.type_id)
                    .or_insert_with(|| self.left(&need.type_id));
            }
        }
        loop {
            let mut dealt = false;
            for it in candidates.iter_mut() {
                let tasks = u32::try_from(it.tasks.len()).unwrap_or(u32::MAX);
                if it.slots < tasks.min(MAX_SLOTS) && take(&mut left, it.class) {
                    it.slots = it.slots.saturating_add(1);
                    dealt = true;
                }
            }
            if !dealt {
                break;
            }
        }
        if candidates.iter().any(|it| it.slots == 0) {
            why.push(format!("{serial} is in use by running assignments"));
        }
    }

    /// What is left of the machine, by consumable field: the least that any of its credentials shows, less what runs.
    fn left(&self, type_id: &TypeId) -> BTreeMap<usize, u32> {
        let Some(record) = self.names.type_of(type_id) else {
            return BTreeMap::new();
        };
        if !record.schema.has_consumables() {
            return BTreeMap::new();
        }
        let reserved = (self.reserved)(type_id);
        let of_type = || {
            let held = self.held.iter().filter(|file| file.type_id == *type_id);
            held.filter_map(|file| in_claims_shape(file, self.names))
        };
        let field = |index: usize| {
            let attested = of_type().filter_map(|claim| claim.amount(index)).min();
            let used = reserved.get(index).copied().unwrap_or(0);
            // Where it cannot be read off, the prover says how much is attested.
            (index, attested.unwrap_or(u32::MAX).saturating_sub(used))
        };
        record.schema.consumables().map(field).collect()
    }

    fn is_consumable(&self, type_id: &TypeId) -> bool {
        let record = self.names.type_of(type_id);
        record.is_some_and(|record| record.schema.has_consumables())
    }

    fn task_name(&self, task: u32) -> Option<String> {
        let task = self.spec.tasks.get(usize::try_from(task).ok()?)?;
        Some(task.name.clone())
    }
}

/// Takes one unit of a class out of what is left; false, and nothing is taken, if it does not fit.
fn take(left: &mut BTreeMap<TypeId, BTreeMap<usize, u32>>, class: &Class) -> bool {
    let mut after = left.clone();
    for need in &class.requirements {
        for (index, amount) in after.entry(need.type_id).or_default().iter_mut() {
            let each = need.requirement.amount(*index).unwrap_or(0);
            match amount.checked_sub(each) {
                Some(rest) => *amount = rest,
                None => return false,
            }
        }
    }
    *left = after;
    true
}

/// Cuts the tasks down to the entries of one bid, largest surplus first, and slots down to tasks.
fn keep_the_best(candidates: &mut Vec<Candidate<'_>>, entries: usize) {
    let all = candidates.iter().flat_map(|it| it.tasks.iter().copied());
    let mut all: Vec<_> = all
        .map(|(surplus, task)| (Reverse(surplus), task))
        .collect();
    all.sort_unstable();
    let kept: BTreeSet<u32> = all.iter().take(entries).map(|(_, task)| *task).collect();
    for it in candidates.iter_mut() {
        it.tasks.retain(|(_, task)| kept.contains(task));
        it.slots = it
            .slots
            .min(u32::try_from(it.tasks.len()).unwrap_or(u32::MAX));
    }
    candidates.retain(|it| it.slots > 0);
}

fn acceptable(file: &CredentialFile, need: &Requirement, spec: &AuctionSpec) -> bool {
    file.type_id == need.type_id
        && file.expiry() >= spec.lease_end
        && need.kinds.accepts(file.kind())
        && need.issuers.contains(file.issuer_index())
}

/// Whether this program can show what a requirement needs with a credential.
fn covers(file: &CredentialFile, need: &Requirement, names: &Names) -> bool {
    let provable = match (&file.content, names.type_of(&file.type_id)) {
        (Content::Attestation(_), _) => true,
        (_, None) => false,
        (_, Some(record)) => names.circuits.find(&record.name, record.version).is_some(),
    };
    provable && can_cover(names, file, need)
}

/// What is attested, by the claim's fields; `None` where it has another shape.
fn in_claims_shape<'f>(file: &'f CredentialFile, names: &Names) -> Option<&'f Claim> {
    let record = names.type_of(&file.type_id)?;
    let same = match &file.content {
        Content::Attestation(_) => true,
        Content::Credential { .. } => names.attribute_schema(record) == record.schema,
    };
    same.then(|| attested_claim(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::auction::{AuctionFile, Opening};
    use serde_json::json;
    use tender_auction::genesis::Issuer;
    use tender_circuits::{CapabilityType, Circuits, Credential, IssuerIndex, Setup, resources};
    use tender_wire::{ChainId, Digest, FieldBytes, PublicKey, UnixTime};

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn names() -> Names {
        let record = CapabilityType {
            name: "resources".into(),
            version: 1,
            schema: resources::schema(),
            vk: Vec::new(),
            r1cs_hash: Digest::ZERO,
            setup: Setup::Dev,
        };
        let issuer = Issuer {
            name: "acme".into(),
            key: PublicKey([1; 32]),
            quota: 9,
        };
        Names {
            types: vec![record],
            issuers: vec![(IssuerIndex::new(0).unwrap(), issuer)],
            circuits: Circuits::default(),
        }
    }

    /// Three small tasks and a big one.
    fn spec(names: &Names) -> AuctionSpec {
        let class = |cpu: u32| json!({ "requires": [{ "type": "resources/v1", "needs": { "cpu_milli": cpu, "skills": "docker" } }] });
        let small = |name: &str, reserve: u64| json!({ "name": name, "class": "small", "reserve": reserve });
        let file = json!({
            "title": "work", "bidding_seconds": 10, "lease_seconds": 3600,
            "classes": { "small": class(4000), "big": class(8000) },
            "tasks": [small("one", 500), small("two", 450), small("three", 400), small("cheap", 399),
                { "name": "huge", "class": "big", "reserve": 2000 }],
        });
        let file: AuctionFile = serde_json::from_value(file).unwrap();
        let opening = Opening {
            names,
            block_interval_ms: 1000,
            now: NOW,
        };
        file.spec(&opening).unwrap()
    }

    fn box_of(names: &Names, skill: &str, expiry: u64) -> CredentialFile {
        let attributes =
            json!({ "cpu_milli": 16000, "gpu_model": "none", "region": "uk", "skills": skill });
        let attributes = serde_json::from_value(attributes).unwrap();
        let credential = Credential {
            type_name: "resources".into(),
            version: 1,
            issuer: IssuerIndex::new(0).unwrap(),
            holder: PublicKey([2; 32]),
            asset: FieldBytes([0; 32]),
            attributes: resources::schema()
                .attributes_from_named(&attributes)
                .unwrap(),
            expiry: UnixTime(NOW.0 + expiry),
            salt: FieldBytes([0; 32]),
        };
        CredentialFile {
            chain: ChainId([0; 32]),
            type_id: names.types[0].id(),
            issuer: "acme".into(),
            serial: "box".into(),
            about: None,
            content: Content::Credential { credential },
        }
    }

    /// Slots and prices offered; small tasks cost 400, big ones 700.
    fn offered(spec: &AuctionSpec, held: &[CredentialFile], used: u32) -> Result<String, String> {
        let names = names();
        let per_unit = json!({ "cpu_milli": { "price": 75, "per": 1000 } });
        let prices = json!({ "base": 100, "types": { "resources/v1": { "per_unit": per_unit } } });
        let offer = Offer {
            spec,
            names: &names,
            prices: &serde_json::from_value(prices).unwrap(),
            held,
            reserved: &|_| vec![used],
        };
        let bid = offer.bid("box", false)?;
        Ok(format!("{:?} {:?}", bid.slots, bid.prices))
    }

    #[test]
    fn a_machine_is_shared_dearest_class_first_by_what_running_assignments_leave() {
        let names = names();
        let spec = spec(&names);
        let held = [box_of(&names, "docker", 90_000)];
        for (used, wanted) in [
            (
                0,
                r#"{"big": 1, "small": 2} {"huge": 700, "one": 400, "three": 400, "two": 400}"#,
            ),
            (
                1,
                r#"{"big": 1, "small": 1} {"huge": 700, "one": 400, "three": 400, "two": 400}"#,
            ),
            (8000, r#"{"big": 1} {"huge": 700}"#),
            (
                8001,
                r#"{"small": 1} {"one": 400, "three": 400, "two": 400}"#,
            ),
        ] {
            assert_eq!(
                offered(&spec, &held, used).unwrap(),
                wanted,
                "{used} in use"
            );
        }
        let said = offered(&spec, &held, 12_001).unwrap_err();
        assert!(
            said.contains("box is in use by running assignments"),
            "{said}"
        );
    }

    #[test]
    fn the_largest_surpluses_fill_a_short_bid() {
        let names = names();
        let mut spec = spec(&names);
        spec.max_entries = 2;
        let held = [box_of(&names, "docker", 90_000)];
        let wanted = r#"{"big": 1, "small": 1} {"huge": 700, "one": 400}"#;
        assert_eq!(offered(&spec, &held, 0).unwrap(), wanted);
    }

    #[test]
    fn what_keeps_a_machine_from_bidding_is_told() {
        let names = names();
        let mut spec = spec(&names);
        for (skill, expiry, says) in [
            (
                "python",
                90_000,
                "skills of resources/v1 is not attested as it needs",
            ),
            (
                "docker",
                10,
                "attested by 1 of acme, until the lease ends; this machine has 0",
            ),
        ] {
            let said = offered(&spec, &[box_of(&names, skill, expiry)], 0).unwrap_err();
            assert!(
                said.contains("class small: ") && said.contains(says),
                "{said}"
            );
        }
        spec.tasks
            .iter_mut()
            .for_each(|task| task.reserve = Price(399));
        let said = offered(&spec, &[box_of(&names, "docker", 90_000)], 0).unwrap_err();
        let says = "class small: the price here is 400, the highest reserve 399";
        assert!(said.contains(says), "{said}");
    }

    #[test]
    fn so_many_reasons_are_told_and_the_others_counted() {
        let names = names();
        let mut spec = spec(&names);
        let class = spec.classes[0].clone();
        let mut told = |classes: usize| {
            let named = |n| Class {
                name: format!("class-{n}"),
                ..class.clone()
            };
            spec.classes = (0..classes).map(named).collect();
            offered(&spec, &[box_of(&names, "python", 90_000)], 0).unwrap_err()
        };
        let reasons = |said: &str| said.matches("is not attested as it needs").count();
        let all = told(MAX_REASONS);
        assert_eq!(reasons(&all), MAX_REASONS);
        assert!(!all.contains("more"), "{all}");
        let cut = told(MAX_REASONS + 1);
        assert_eq!(reasons(&cut), MAX_REASONS);
        assert!(cut.ends_with("and 1 more"), "{cut}");
    }

    #[test]
    fn of_two_credentials_of_one_issuer_the_one_that_serves_more_is_used() {
        let names = names();
        let spec = spec(&names);
        let old = box_of(&names, "python", 99_000);
        let new = box_of(&names, "docker", 90_000);
        let held = best_first(vec![old, new.clone()], &spec, &names);
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].expiry(), new.expiry());
        assert!(offered(&spec, &held, 0).is_ok());
    }
}
