//! What a bid file comes to on an auction: which machine, how many slots, and what to claim with which credential.
//!
//! Invariant: nothing is claimed that the priced classes and the machine's running assignments do not need, unless the bid file says so.

use super::Bidder;
use crate::{
    api::types::{AuctionDetail, Phase},
    cli::words::task_of,
    documents::{
        bid::BidFile,
        credential::{Content, CredentialFile},
        error::Problem,
        names::{Named, Names, requirement},
    },
};
use std::collections::{BTreeMap, BTreeSet};
use tender_auction::{
    bid::ClassSlots,
    task::{AuctionSpec, Bonus, Class, MAX_REQUIREMENTS, Requirement},
};
use tender_circuits::{Claim, ClaimSchema, EvidenceKind, FieldValue, IssuerMask, Rule};
use tender_wire::{FieldBytes, Price, TypeId, UnixTime};

/// What a bid will say, before it is sealed and proven.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Task and price.
    pub entries: Vec<(u32, Price)>,
    /// Units per class.
    pub slots: Vec<ClassSlots>,
    /// Serial number of the machine.
    pub machine: String,
    /// What is claimed, with which credential, hidden among which issuers.
    pub shows: Vec<Show>,
    /// What that earns beyond the reserves, by class.
    pub bonuses: BTreeMap<u16, Price>,
    /// What will probably lose, and why.
    pub warnings: Vec<String>,
}

/// One evidence to make.
#[derive(Clone, Debug)]
pub struct Show {
    /// Position among the bidder's credentials.
    pub credential: usize,
    /// What to claim.
    pub claim: Claim,
    /// Issuers among which the own one hides.
    pub issuers: IssuerMask,
}

impl Bidder<'_> {
    /// What a bid file comes to on this auction.
    ///
    /// # Errors
    /// A [`Problem`] with its field.
    pub fn plan(&self, auction: &AuctionDetail, file: &BidFile) -> Result<Plan, Problem> {
        let spec = &auction.spec;
        let entries = file.entries(spec)?;
        let machine = self.machine(file)?;
        let held: Vec<_> = self
            .credentials
            .iter()
            .enumerate()
            .filter(|(_, c)| c.serial == machine)
            .collect();
        let priced = priced_classes(spec, &entries);
        let slots = self.slots(spec, file, &held, &priced)?;
        let mut shows = Vec::new();
        let mut warnings = Vec::new();
        let types = types_of(&priced);
        self.check_claimed(file, &types)?;
        for type_id in types {
            let mut needs = Needs::of(&slots, &priced, &type_id);
            if let Some((_, credential)) = held.first() {
                needs.reserved = self.reserved(&type_id, &credential.asset());
            }
            let chosen = needs.choose(&held, spec.lease_end, &mut warnings, self.names);
            let alone = chosen.len() == 1;
            for index in chosen {
                shows.push(self.show(index, &needs, file, alone)?);
            }
        }
        if shows.is_empty() {
            if let Some(problem) = self.run_out(&held, spec.lease_end) {
                return Err(problem);
            }
            let problem = format!(
                "nothing attested of {machine} is acceptable to the priced classes: {}",
                warnings.join("; ")
            );
            return Err(Problem::new(
                "prices",
                problem,
                "ask an issuer they accept to attest the machine",
            ));
        }
        if shows.len() > MAX_REQUIREMENTS {
            let problem = format!(
                "the priced classes need {} evidences, a bid carries {MAX_REQUIREMENTS}",
                shows.len()
            );
            return Err(Problem::new(
                "prices",
                problem,
                "price fewer classes in one bid",
            ));
        }
        let bonuses = priced.iter().map(|(index, class)| {
            let earned = class
                .bonuses
                .iter()
                .filter(|bonus| self.earns(&shows, bonus));
            let sum = earned.fold(0u64, |sum, bonus| sum.saturating_add(bonus.amount.0));
            (*index, Price(sum))
        });
        Ok(Plan {
            bonuses: bonuses.collect(),
            entries,
            slots,
            machine,
            shows,
            warnings,
        })
    }

    /// Whether something shown covers what a bonus is for.
    fn earns(&self, shows: &[Show], bonus: &Bonus) -> bool {
        shows.iter().any(|show| {
            let credential = self.credentials.get(show.credential);
            let record = credential
                .filter(|c| c.type_id == bonus.type_id)
                .and_then(|c| self.names.type_of(&c.type_id));
            record.is_some_and(|r| r.schema.covers(&show.claim, &bonus.claim).is_ok())
        })
    }

    /// Says so where all that is attested runs out before the lease does.
    fn run_out(&self, held: &[(usize, &CredentialFile)], lease_end: UnixTime) -> Option<Problem> {
        let (_, latest) = held.iter().max_by_key(|(_, c)| c.expiry())?;
        if latest.expiry() >= lease_end {
            return None;
        }
        let now = crate::cli::auction::now();
        let days = lease_end.0.saturating_sub(now.0).div_ceil(86_400);
        let kind = match latest.kind() {
            EvidenceKind::Proof => "credential",
            EvidenceKind::Attestation => "attestation",
        };
        let when = if latest.expiry() < now {
            "has run out".to_owned()
        } else {
            let hours = latest.expiry().0.saturating_sub(now.0).div_ceil(3600);
            format!("runs out within {hours} h")
        };
        let problem = format!(
            "the {kind} of {} by {} {when} (at {}), before the lease ends (at {lease_end}, in seconds since 1970)",
            latest.serial,
            latest.issuer,
            latest.expiry()
        );
        let next = self.ask_issuer(&latest.issuer, days.saturating_add(1));
        Some(Problem::new("machine", problem, next))
    }

    fn machine(&self, file: &BidFile) -> Result<String, Problem> {
        let serials: BTreeSet<_> = self.credentials.iter().map(|c| c.serial.as_str()).collect();
        let known = serials.iter().copied().collect::<Vec<_>>().join(", ");
        match (&file.machine, serials.len()) {
            (_, 0) => Err(Problem::new(
                "machine",
                "this home holds no credential",
                self.ask_issuer("an issuer", 90),
            )),
            (Some(named), _) if serials.contains(named.as_str()) => Ok(named.clone()),
            (Some(named), _) => Err(Problem::new(
                "machine",
                format!("no credential is for `{named}`"),
                format!("use one of: {known}"),
            )),
            (None, 1) => Ok(known),
            (None, n) => Err(Problem::new(
                "machine",
                format!("this home holds credentials for {n} machines"),
                format!("name one of: {known}"),
            )),
        }
    }

    /// Written slots, or for a single priced class as many as fit and as there are tasks priced.
    fn slots(
        &self,
        spec: &AuctionSpec,
        file: &BidFile,
        held: &[(usize, &CredentialFile)],
        priced: &BTreeMap<u16, &Class>,
    ) -> Result<Vec<ClassSlots>, Problem> {
        let written = file.slots(spec)?;
        let idle = written.iter().find(|s| !priced.contains_key(&s.class));
        if let Some(idle) = idle {
            let name = spec.classes.get(usize::from(idle.class));
            let name = name.map_or("?", |class| class.name.as_str());
            return Err(Problem::new(
                format!("slots.{name}"),
                "offers slots for tasks that have no price",
                "price one of the class's tasks, or leave the class out",
            ));
        }
        if !written.is_empty() {
            return Ok(written);
        }
        let (Some((index, class)), 1) = (priced.iter().next(), priced.len()) else {
            let classes: Vec<_> = priced
                .values()
                .map(|c| format!("\"{}\": 1", c.name))
                .collect();
            let next = format!(
                "say how the machine is shared, as \"slots\": {{ {} }}",
                classes.join(", ")
            );
            return Err(Problem::new(
                "slots",
                format!("prices name {} classes", priced.len()),
                next,
            ));
        };
        let mut fits = u32::try_from(file.prices.len()).unwrap_or(u32::MAX);
        for need in &class.requirements {
            for (_, credential) in held.iter().filter(|(_, c)| c.type_id == need.type_id) {
                fits = fits.min(self.units(credential, need).unwrap_or(fits));
            }
        }
        Ok(vec![ClassSlots {
            class: *index,
            slots: fits.max(1),
        }])
    }

    /// Units of a requirement that an attested machine can serve beside its running assignments; `None` if nothing limits them.
    fn units(&self, credential: &CredentialFile, need: &Requirement) -> Option<u32> {
        let record = self.names.type_of(&need.type_id)?;
        let attested = attested_claim(credential);
        let reserved = self.reserved(&need.type_id, &credential.asset());
        let per_field = record.schema.consumables().filter_map(|field| {
            let each = need.requirement.amount(field).filter(|each| *each > 0)?;
            let taken = reserved.get(field).copied().unwrap_or(0);
            attested
                .amount(field)?
                .saturating_sub(taken)
                .checked_div(each)
        });
        per_field.min()
    }

    /// What running assignments use up of a machine, by field. A peer that does not say is no obstacle: the ledger will.
    pub fn reserved(&self, type_id: &TypeId, asset: &FieldBytes) -> Vec<u32> {
        let client = &self.actor.client;
        let cleared = client.auctions().unwrap_or_default().into_iter();
        let cleared = cleared.filter(|it| it.phase == Phase::Cleared);
        let details = cleared.filter_map(|it| client.auction(&it.auction).ok());
        let mut sum: Vec<u32> = Vec::new();
        for detail in details {
            for award in detail
                .awards
                .iter()
                .filter(|a| a.asset == *asset && a.state.is_running())
            {
                let class = task_of(&detail.spec, award.task)
                    .and_then(|task| detail.spec.classes.get(usize::from(task.class)));
                let needs = class.into_iter().flat_map(|c| &c.requirements);
                for need in needs.filter(|need| need.type_id == *type_id) {
                    sum.resize(need.requirement.0.len().max(sum.len()), 0);
                    for (index, total) in sum.iter_mut().enumerate() {
                        *total = total.saturating_add(need.requirement.amount(index).unwrap_or(0));
                    }
                }
            }
        }
        sum
    }

    /// Whether every field that the bid file claims belongs to a type the priced classes ask for.
    fn check_claimed(&self, file: &BidFile, types: &BTreeSet<TypeId>) -> Result<(), Problem> {
        let records = types.iter().filter_map(|id| self.names.type_of(id));
        let fields = records.flat_map(|record| &record.schema.fields);
        let known: Vec<_> = fields.map(|field| field.name.as_str()).collect();
        let mut claimed = file.claim.iter().flat_map(|named| named.keys());
        match claimed.find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Problem::new(
                format!("claim.{name}"),
                "is no field of a type that the priced classes ask for",
                format!("known fields: {}", known.join(", ")),
            )),
        }
    }

    /// What to show of one credential. The bid file's claim goes to the types that have its fields; `alone` if nothing else of this type
    /// is shown.
    fn show(
        &self,
        index: usize,
        needs: &Needs<'_>,
        file: &BidFile,
        alone: bool,
    ) -> Result<Show, Problem> {
        let unknown = || {
            Problem::new(
                "machine",
                "is attested for a type the chain does not know",
                "ask the issuer",
            )
        };
        let credential = self.credentials.get(index).ok_or_else(unknown)?;
        let record = self
            .names
            .type_of(&credential.type_id)
            .ok_or_else(unknown)?;
        let claimed = file.claim.iter().flatten();
        let claimed: Named = claimed
            .filter(|(name, _)| record.schema.field(name).is_some())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let claim = match &credential.content {
            Content::Attestation(attestation) => attestation.claim.clone(),
            Content::Credential { .. } if !claimed.is_empty() => requirement(record, &claimed)
                .map_err(|p| Problem {
                    field: format!("claim.{}", p.field),
                    ..p
                })?,
            Content::Credential { credential, .. } => {
                let same = self.names.attribute_schema(record) == record.schema;
                let held = self.credentials.get(index);
                let earned = needs.bonuses.iter().copied().filter(|bonus| {
                    held.is_some_and(|held| can_claim(self.names, held, &bonus.claim))
                });
                let earned: Vec<_> = earned.collect();
                needs.claim(
                    &record.schema,
                    same.then_some(&credential.attributes),
                    &earned,
                )
            }
        };
        let own = credential.issuer_mask();
        let issuers = if file.hide_issuer && needs.distinct <= 1 && alone {
            // Evidence names no de-listed issuer; two evidences of a type name no issuer twice.
            let listed: IssuerMask = self.names.issuers.iter().map(|(i, _)| *i).collect();
            IssuerMask((needs.accepted.0 & listed.0) | own.0)
        } else {
            own
        };
        Ok(Show {
            credential: index,
            claim,
            issuers,
        })
    }
}

/// What the priced classes need of one type.
struct Needs<'a> {
    type_id: TypeId,
    /// Class name, its requirement, units offered.
    classes: Vec<(&'a str, &'a Requirement, u32)>,
    /// What more than that they reward.
    bonuses: Vec<&'a Bonus>,
    /// Issuers that every one of them accepts.
    accepted: IssuerMask,
    /// Most distinct issuers any of them wants.
    distinct: u8,
    /// What running assignments of earlier auctions use up of the machine, by field.
    reserved: Vec<u32>,
}

impl<'a> Needs<'a> {
    fn of(slots: &[ClassSlots], priced: &BTreeMap<u16, &'a Class>, type_id: &TypeId) -> Self {
        let mut classes = Vec::new();
        for (index, class) in priced {
            let units = slots
                .iter()
                .find(|s| s.class == *index)
                .map_or(0, |s| s.slots);
            let needs = class.requirements.iter().filter(|r| r.type_id == *type_id);
            classes.extend(needs.map(|need| (class.name.as_str(), need, units)));
        }
        let bonuses = priced.values().flat_map(|class| &class.bonuses);
        Needs {
            type_id: *type_id,
            accepted: IssuerMask(
                classes
                    .iter()
                    .fold(u64::MAX, |mask, (_, need, _)| mask & need.issuers.0),
            ),
            distinct: classes
                .iter()
                .map(|(_, need, _)| need.min_issuers)
                .max()
                .unwrap_or(1),
            reserved: Vec::new(),
            bonuses: bonuses.filter(|b| b.type_id == *type_id).collect(),
            classes,
        }
    }

    /// The fewest credentials that satisfy as many of the classes as can be, by position; a warning for each that cannot. One that covers
    /// what a class needs goes before one that does not.
    fn choose(
        &self,
        held: &[(usize, &CredentialFile)],
        lease_end: UnixTime,
        warnings: &mut Vec<String>,
        names: &Names,
    ) -> Vec<usize> {
        let mut chosen: Vec<(usize, &CredentialFile)> = Vec::new();
        for (class, need, _) in &self.classes {
            let acceptable = |c: &CredentialFile| {
                c.type_id == self.type_id
                    && c.expiry() >= lease_end
                    && need.kinds.accepts(c.kind())
                    && need.issuers.contains(c.issuer_index())
            };
            let mut have = 0usize;
            for covering in [true, false] {
                let fits =
                    |c: &CredentialFile| acceptable(c) && (!covering || can_cover(names, c, need));
                have = chosen.iter().filter(|(_, c)| fits(c)).count();
                for (index, credential) in held.iter().filter(|(_, c)| fits(c)) {
                    let fresh = chosen
                        .iter()
                        .all(|(_, c)| c.issuer_index() != credential.issuer_index());
                    if have < usize::from(need.min_issuers) && fresh {
                        chosen.push((*index, credential));
                        have = have.saturating_add(1);
                    }
                }
            }
            if have < usize::from(need.min_issuers) {
                let issuers = names.issuers_in(need.issuers).join(", ");
                let kinds = if need.kinds.attestation {
                    "proof or attestation"
                } else {
                    "proof"
                };
                warnings.push(format!(
                    "class {class} wants {kinds} by {} of {issuers}, valid until {lease_end}; this home has {have}",
                    need.min_issuers
                ));
            }
        }
        chosen.into_iter().map(|(index, _)| index).collect()
    }

    /// The least that covers the classes' needs: sums of what is used up (by running assignments too), maxima of the rest, and what earns the
    /// bonuses `earned`. As far as it is attested, where that has the claim's shape; else the prover says whether it supports as much.
    fn claim(&self, schema: &ClaimSchema, attested: Option<&Claim>, earned: &[&Bonus]) -> Claim {
        let values = schema.fields.iter().enumerate().map(|(index, field)| {
            let known = attested.and_then(|claim| claim.0.get(index)).copied();
            let attested = known.unwrap_or(match field.rule {
                Rule::AtLeast { .. } => FieldValue::Amount(u32::MAX),
                Rule::HasAll => FieldValue::Mask(u64::MAX),
                Rule::Within => FieldValue::Mask(0),
                Rule::Equals => {
                    let all = self.classes.iter();
                    let mut values = all.filter_map(|(_, need, _)| need.requirement.0.get(index));
                    let first = values.next().copied();
                    first.unwrap_or(FieldValue::Exact(FieldBytes([0; 32])))
                }
            });
            let needed = || {
                self.classes
                    .iter()
                    .filter_map(|(_, need, units)| Some((need.requirement.0.get(index)?, *units)))
            };
            let rewarded = || earned.iter().filter_map(|bonus| bonus.claim.0.get(index));
            let wanted = || needed().map(|(value, _)| value).chain(rewarded());
            match (field.rule, attested) {
                (Rule::AtLeast { consumable }, FieldValue::Amount(most)) => {
                    let amounts = needed().map(|(value, units)| match value {
                        FieldValue::Amount(each) if consumable => each.saturating_mul(units),
                        FieldValue::Amount(each) => *each,
                        _ => 0,
                    });
                    let least = if consumable {
                        let before = self.reserved.get(index).copied().unwrap_or(0);
                        amounts.fold(before, u32::saturating_add)
                    } else {
                        amounts.max().unwrap_or(0)
                    };
                    let rewarded = rewarded().filter_map(amount).max().unwrap_or(0);
                    FieldValue::Amount(least.max(rewarded).min(most))
                }
                (Rule::HasAll, FieldValue::Mask(most)) => {
                    FieldValue::Mask(masks(wanted()).fold(0, |all, m| all | m) & most)
                }
                (Rule::Within, FieldValue::Mask(actual)) => {
                    // the widest set every class accepts, if the machine is in it; else where it is
                    let widest = masks(wanted()).fold(field.labelled_bits(), |all, m| all & m);
                    FieldValue::Mask(if actual & !widest == 0 {
                        widest
                    } else {
                        actual
                    })
                }
                _ => attested,
            }
        });
        Claim(values.collect())
    }
}

fn masks<'v>(values: impl Iterator<Item = &'v FieldValue>) -> impl Iterator<Item = u64> {
    values.filter_map(|value| match value {
        FieldValue::Mask(mask) => Some(*mask),
        _ => None,
    })
}

fn amount(value: &FieldValue) -> Option<u32> {
    match value {
        FieldValue::Amount(amount) => Some(*amount),
        _ => None,
    }
}

fn priced_classes<'s>(spec: &'s AuctionSpec, entries: &[(u32, Price)]) -> BTreeMap<u16, &'s Class> {
    let tasks = entries.iter().filter_map(|(task, _)| task_of(spec, *task));
    tasks
        .filter_map(|task| Some((task.class, spec.classes.get(usize::from(task.class))?)))
        .collect()
}

fn types_of(priced: &BTreeMap<u16, &Class>) -> BTreeSet<TypeId> {
    priced
        .values()
        .flat_map(|class| class.requirements.iter().map(|r| r.type_id))
        .collect()
}

/// Whether a credential or attestation is good for what a class needs; yes, where only the prover could tell.
pub fn can_cover(names: &Names, file: &CredentialFile, need: &Requirement) -> bool {
    can_claim(names, file, &need.requirement)
}

/// Whether it is good for a claim; yes, where only the prover could tell.
fn can_claim(names: &Names, file: &CredentialFile, wanted: &Claim) -> bool {
    let Some(record) = names.type_of(&file.type_id) else {
        return false;
    };
    match &file.content {
        Content::Attestation(attestation) => {
            let covered = record.schema.covers(&attestation.claim, wanted);
            covered.is_ok()
        }
        Content::Credential { credential, .. } => {
            let circuit = names.circuits.find(&record.name, record.version);
            circuit.is_none_or(|circuit| {
                let supported = circuit.check(&credential.attributes, wanted);
                supported.is_ok()
            })
        }
    }
}

/// The attested values of a credential or attestation.
pub fn attested_claim(file: &CredentialFile) -> &Claim {
    match &file.content {
        Content::Credential { credential, .. } => &credential.attributes,
        Content::Attestation(attestation) => &attestation.claim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_auction::task::AcceptedKinds;
    use tender_circuits::resources;

    fn claim(json: &str) -> Claim {
        let named = serde_json::from_str(json).unwrap();
        resources::schema().claim_from_named(&named).unwrap()
    }

    fn requirement(json: &str) -> Requirement {
        Requirement {
            type_id: TypeId([1; 32]),
            requirement: claim(json),
            issuers: IssuerMask(0b11),
            kinds: AcceptedKinds {
                proof: true,
                attestation: false,
            },
            min_issuers: 1,
        }
    }

    /// What is claimed of an attested machine for these (requirement, units) and amounts reserved by running assignments.
    fn claimed(
        attested: &str,
        needs: &[(&str, u32)],
        rewarded: &[&str],
        reserved: Vec<u32>,
    ) -> String {
        let bonuses = rewarded.iter().map(|json| Bonus {
            type_id: TypeId([1; 32]),
            claim: claim(json),
            amount: Price(1),
        });
        let bonuses: Vec<_> = bonuses.collect();
        let earned: Vec<_> = bonuses.iter().collect();
        let requirements: Vec<_> = needs.iter().map(|(json, _)| requirement(json)).collect();
        let classes = requirements.iter().zip(needs);
        let needs = Needs {
            type_id: TypeId([1; 32]),
            classes: classes
                .map(|(need, (_, units))| ("class", need, *units))
                .collect(),
            accepted: IssuerMask(0b11),
            distinct: 1,
            reserved,
            bonuses: Vec::new(),
        };
        let schema = resources::schema();
        schema.line(&needs.claim(&schema, Some(&claim(attested)), &earned))
    }

    #[test]
    fn no_more_is_claimed_than_needed_and_no_more_than_is_attested() {
        let machine = r#"{ "cpu_milli": 64000, "gpu_milli": 4000, "gpu_memory_mib": 46068, "gpu_model": "L40S",
            "region": "eu-west", "skills": ["cuda", "docker", "fp8"] }"#;
        let slice =
            r#"{ "cpu_milli": 2000, "gpu_milli": 250, "gpu_memory_mib": 14000, "skills": "cuda" }"#;
        let eu = r#"{ "gpu_milli": 500, "gpu_memory_mib": 40000, "region": ["eu-west", "eu-north"], "skills": "docker" }"#;
        for (needs, reserved, line) in [
            // used-up amounts add up by units, the rest is the larger; what nobody asks for stays hidden
            (
                vec![(slice, 4), (eu, 2)],
                vec![],
                "cpu_milli 8000 mCPU, gpu_milli 2000 mGPU, gpu_memory_mib 40000 MiB per GPU, region eu-west+eu-north, skills cuda+docker",
            ),
            // running assignments are part of what must be covered
            (
                vec![(slice, 1)],
                vec![1000, 0, 500],
                "cpu_milli 3000 mCPU, gpu_milli 750 mGPU, gpu_memory_mib 14000 MiB per GPU, skills cuda",
            ),
            // never above what is attested, even where the need is
            (
                vec![(slice, 100)],
                vec![],
                "cpu_milli 64000 mCPU, gpu_milli 4000 mGPU, gpu_memory_mib 14000 MiB per GPU, skills cuda",
            ),
            // a machine outside the accepted set says where it is, and will lose
            (
                vec![(r#"{ "region": "japan" }"#, 1)],
                vec![],
                "region eu-west",
            ),
        ] {
            assert_eq!(claimed(machine, &needs, &[], reserved), line);
        }
        // what is rewarded is claimed too: skills together, amounts once however many units are served
        let rewarded = [
            r#"{ "skills": ["docker"] }"#,
            r#"{ "gpu_memory_mib": 20000 }"#,
            r#"{ "cpu_milli": 30000 }"#,
        ];
        assert_eq!(
            claimed(machine, &[(slice, 4)], &rewarded, vec![]),
            "cpu_milli 30000 mCPU, gpu_milli 1000 mGPU, gpu_memory_mib 20000 MiB per GPU, skills cuda+docker"
        );
    }
}
