//! The bid file: what an agent offers with one machine, before it is sealed.
//!
//! ```json
//! { "machine": "DGX-A100-0417", "slots": { "training": 1 }, "prices": { "llm-pretrain": 61000 } }
//! ```

use super::{error::Problem, names::Named};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_auction::{bid::ClassSlots, task::AuctionSpec};
use tender_wire::Price;

/// A bid as its agent writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidFile {
    /// Serial number of the machine bid with; may be left out by an agent with only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Units of each class it can serve at once; as many as it can where prices name a single class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, u32>,
    /// Price asked per task.
    pub prices: BTreeMap<String, u64>,
    /// What to claim, by field name; no more than the classes and slots need unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Named>,
    /// Hide which issuer vouches among all that the classes accept. (Any of them revoking the machine then suspends the bid.)
    #[serde(default)]
    pub hide_issuer: bool,
}

impl BidFile {
    /// The sealed entries: task index and price, sorted.
    ///
    /// # Errors
    /// A [`Problem`] for a task the auction does not have, or too many.
    pub fn entries(&self, spec: &AuctionSpec) -> Result<Vec<(u32, Price)>, Problem> {
        let mut entries = Vec::new();
        for (name, price) in &self.prices {
            let task = spec.tasks.iter().position(|task| task.name == *name);
            let task = task.and_then(|t| u32::try_from(t).ok()).ok_or_else(|| {
                let known: Vec<_> = spec.tasks.iter().map(|t| t.name.as_str()).collect();
                let next = format!("use some of: {}", known.join(", "));
                Problem::new(
                    format!("prices.{name}"),
                    "the auction has no such task",
                    next,
                )
            })?;
            if *price == 0 {
                return Err(Problem::new(
                    format!("prices.{name}"),
                    "is 0",
                    "ask at least 1",
                ));
            }
            entries.push((task, Price(*price)));
        }
        entries.sort_unstable();
        if entries.is_empty() || entries.len() > usize::from(spec.max_entries) {
            let problem = format!("name {} tasks", entries.len());
            return Err(Problem::new(
                "prices",
                problem,
                format!("price 1 to {} tasks", spec.max_entries),
            ));
        }
        Ok(entries)
    }

    /// The slots that are written, by class index, sorted; empty if none are.
    ///
    /// # Errors
    /// A [`Problem`] for a class the auction does not have, or zero slots.
    pub fn slots(&self, spec: &AuctionSpec) -> Result<Vec<ClassSlots>, Problem> {
        let mut slots = Vec::new();
        for (name, count) in &self.slots {
            let class = spec.classes.iter().position(|class| class.name == *name);
            let class = class.and_then(|c| u16::try_from(c).ok()).ok_or_else(|| {
                let known: Vec<_> = spec.classes.iter().map(|c| c.name.as_str()).collect();
                let next = format!("use some of: {}", known.join(", "));
                Problem::new(
                    format!("slots.{name}"),
                    "the auction has no such class",
                    next,
                )
            })?;
            if *count == 0 {
                let next = "offer at least one, or leave the class out";
                return Err(Problem::new(format!("slots.{name}"), "is 0", next));
            }
            slots.push(ClassSlots {
                class,
                slots: *count,
            });
        }
        slots.sort_unstable_by_key(|s| s.class);
        Ok(slots)
    }
}
