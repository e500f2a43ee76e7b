//! The auction file: what an opener writes.
//!
//! ```json
//! { "title": "a night of GPU jobs", "payment": "vcg", "bidding_seconds": 600, "lease_seconds": 28800,
//!   "classes": { "inference": { "requires": [ { "type": "resources/v1",
//!       "needs": { "gpu_milli": 250, "gpu_memory_mib": 16000, "skills": ["cuda"] } } ],
//!       "bonuses": [ { "type": "resources/v1", "shows": { "skills": ["cuda", "docker"] }, "amount": 50 } ] } },
//!   "tasks": [ { "name": "chat-7b", "class": "inference", "reserve": 900, "quantity": 2, "spec": { "image": "…" } } ] }
//! ```
//!
//! Windows are seconds here and blocks on chain: the chain counts blocks of at least `block_interval`.

use super::{
    error::{Located as _, Problem},
    names::{Named, Names, requirement},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_auction::{
    clearing::PaymentRule,
    task::{AcceptedKinds, AuctionSpec, Bonus, Class, MAX_ENTRIES, Requirement, Task, Windows},
};
use tender_wire::{Price, Tag, UnixTime, hash};
use utoipa::ToSchema;

/// An auction as its opener writes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuctionFile {
    /// For people.
    pub title: String,
    /// How winners are paid; `vcg` unless said otherwise.
    #[serde(default)]
    pub payment: Payment,
    /// At most this long for validators to post seal keys.
    #[serde(default = "keys_seconds")]
    pub keys_seconds: u32,
    /// How long sealed bids are accepted.
    pub bidding_seconds: u32,
    /// At most this long for validators to reveal.
    #[serde(default = "reveal_seconds")]
    pub reveal_seconds: u32,
    /// How long winners have to accept.
    #[serde(default = "accept_seconds")]
    pub accept_seconds: u32,
    /// How long winners serve, counted from the last moment to accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
    /// Or the moment the lease ends, in unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_end: Option<u64>,
    /// Most tasks one bid can name; the number of tasks (at most 64) unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u8>,
    /// Requirement classes by name.
    pub classes: BTreeMap<String, ClassFile>,
    /// The tasks.
    pub tasks: Vec<TaskFile>,
}

/// How winners are paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// What their bid is worth to the market: truth-telling is best.
    #[default]
    Vcg,
    /// What they asked.
    PayAsBid,
}

/// A requirement class.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassFile {
    /// One to four requirements, all of which must be shown.
    pub requires: Vec<RequirementFile>,
    /// What showing more than that is worth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bonuses: Vec<BonusFile>,
}

/// What a bid that shows more than is required is worth beyond the reserve, for every unit.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BonusFile {
    /// One of the types required.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What must be claimed to earn it, by field name.
    #[schema(value_type = crate::api::schema::Named)]
    pub shows: Named,
    /// In smallest units.
    pub amount: u64,
}

/// One requirement.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementFile {
    /// Capability type, as `resources/v1`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Values by field name; what is left out is not required.
    #[serde(default)]
    #[schema(value_type = crate::api::schema::Named)]
    pub needs: Named,
    /// Issuers accepted, by name; all unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuers: Option<Vec<String>>,
    /// Kinds of evidence accepted; proofs alone unless said otherwise.
    #[serde(default = "proof_alone")]
    pub evidence: Vec<Kind>,
    /// How many different issuers must vouch.
    #[serde(default = "one")]
    pub distinct_issuers: u8,
}

/// A kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A zero-knowledge proof.
    Proof,
    /// An issuer's signed attestation, in plain.
    Attestation,
}

/// One task.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    /// Unique in the auction.
    pub name: String,
    /// Name of its class.
    pub class: String,
    /// Most the opener pays per unit, in smallest units.
    pub reserve: u64,
    /// Units wanted.
    #[serde(default = "one_unit")]
    pub quantity: u32,
    /// The job itself, in any form; its hash goes on chain.
    #[serde(default)]
    pub spec: serde_json::Value,
}

fn keys_seconds() -> u32 {
    10
}
fn reveal_seconds() -> u32 {
    30
}
fn accept_seconds() -> u32 {
    600
}
fn proof_alone() -> Vec<Kind> {
    vec![Kind::Proof]
}
fn one() -> u8 {
    1
}
fn one_unit() -> u32 {
    1
}

/// What of the chain an auction file is read against.
pub struct Opening<'a> {
    /// Types and issuers.
    pub names: &'a Names,
    /// Least distance of blocks, in milliseconds.
    pub block_interval_ms: u64,
    /// The time at which it is opened.
    pub now: UnixTime,
}

impl AuctionFile {
    /// The specification as the chain takes it.
    ///
    /// # Errors
    /// The first [`Problem`], with its field.
    pub fn spec(&self, opening: &Opening<'_>) -> Result<AuctionSpec, Problem> {
        let mut classes = Vec::new();
        for (name, class) in &self.classes {
            let field = format!("classes.{name}.requires");
            let requirements = class.requires.iter().enumerate();
            let requirements =
                requirements.map(|(i, r)| r.resolve(opening.names).at(format!("{field}[{i}]")));
            let bonuses = class.bonuses.iter().enumerate().map(|(i, bonus)| {
                let field = format!("classes.{name}.bonuses[{i}]");
                bonus.resolve(opening.names).at(field)
            });
            classes.push(Class {
                name: name.clone(),
                requirements: requirements.collect::<Result<_, _>>()?,
                bonuses: bonuses.collect::<Result<_, _>>()?,
            });
        }
        let tasks = self.tasks.iter().enumerate();
        let tasks = tasks.map(|(i, task)| self.task(i, task).at(format!("tasks[{i}]")));
        let spec = AuctionSpec {
            title: self.title.clone(),
            tasks: tasks.collect::<Result<_, _>>()?,
            payment: match self.payment {
                Payment::Vcg => PaymentRule::Vcg,
                Payment::PayAsBid => PaymentRule::PayAsBid,
            },
            windows: self.windows(opening.block_interval_ms),
            lease_end: self.lease_end(opening.now)?,
            max_entries: self.max_entries.unwrap_or_else(|| {
                u8::try_from(self.tasks.len())
                    .unwrap_or(MAX_ENTRIES)
                    .clamp(1, MAX_ENTRIES)
            }),
            classes,
        };
        spec.check().map_err(|e| {
            Problem::new(
                "auction",
                e.to_string(),
                "correct the file; nothing was sent",
            )
        })?;
        Ok(spec)
    }

    fn task(&self, index: usize, task: &TaskFile) -> Result<Task, Problem> {
        if self.tasks.iter().take(index).any(|t| t.name == task.name) {
            let next = "give every task its own name (use quantity for several units of one job)";
            return Err(Problem::new(
                "name",
                format!("`{}` is taken by an earlier task", task.name),
                next,
            ));
        }
        let class = self.classes.keys().position(|name| *name == task.class);
        let class = class.and_then(|c| u16::try_from(c).ok()).ok_or_else(|| {
            let known: Vec<_> = self.classes.keys().map(String::as_str).collect();
            let next = format!("use one of: {}, or add the class", known.join(", "));
            Problem::new("class", format!("no class is named `{}`", task.class), next)
        })?;
        // serde_json keeps objects sorted by key, so equal jobs have equal hashes however they are written
        let job = serde_json::to_vec(&task.spec).unwrap_or_default();
        Ok(Task {
            name: task.name.clone(),
            class,
            reserve: Price(task.reserve),
            quantity: task.quantity,
            spec: hash(Tag::TaskSpec, &[&job]),
        })
    }

    fn windows(&self, block_interval_ms: u64) -> Windows {
        let blocks = |seconds: u32| {
            let blocks = u64::from(seconds)
                .saturating_mul(1000)
                .div_ceil(block_interval_ms.max(1));
            u32::try_from(blocks).unwrap_or(u32::MAX)
        };
        Windows {
            keys: blocks(self.keys_seconds),
            bidding: blocks(self.bidding_seconds),
            reveal: blocks(self.reveal_seconds),
            accept: blocks(self.accept_seconds),
        }
    }

    fn lease_end(&self, now: UnixTime) -> Result<UnixTime, Problem> {
        match (self.lease_seconds, self.lease_end) {
            (Some(seconds), None) => {
                let windows = [
                    self.keys_seconds,
                    self.bidding_seconds,
                    self.reveal_seconds,
                    self.accept_seconds,
                ];
                let before: u64 = windows
                    .iter()
                    .map(|s| u64::from(*s))
                    .fold(0, u64::saturating_add);
                Ok(UnixTime(
                    now.0.saturating_add(before).saturating_add(seconds),
                ))
            }
            (None, Some(end)) if end > now.0 => Ok(UnixTime(end)),
            (None, Some(end)) => {
                let problem = format!("{end} is in the past (now is {})", now.0);
                Err(Problem::new(
                    "lease_end",
                    problem,
                    "give a later moment, or lease_seconds",
                ))
            }
            (lease, _) => {
                let problem = if lease.is_some() {
                    "stands beside lease_end"
                } else {
                    "is missing, and so is lease_end"
                };
                Err(Problem::new(
                    "lease_seconds",
                    problem,
                    "give exactly one of the two",
                ))
            }
        }
    }
}

impl BonusFile {
    fn resolve(&self, names: &Names) -> Result<Bonus, Problem> {
        let record = names.type_named(&self.type_name).at("type")?;
        Ok(Bonus {
            type_id: record.id(),
            claim: requirement(record, &self.shows).at("shows")?,
            amount: Price(self.amount),
        })
    }
}

impl RequirementFile {
    fn resolve(&self, names: &Names) -> Result<Requirement, Problem> {
        let record = names.type_named(&self.type_name).at("type")?;
        Ok(Requirement {
            type_id: record.id(),
            requirement: requirement(record, &self.needs).at("needs")?,
            issuers: names.issuer_mask(self.issuers.as_deref()).at("issuers")?,
            kinds: AcceptedKinds {
                proof: self.evidence.contains(&Kind::Proof),
                attestation: self.evidence.contains(&Kind::Attestation),
            },
            min_issuers: self.distinct_issuers,
        })
    }
}
