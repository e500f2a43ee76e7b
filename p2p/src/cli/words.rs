//! Outcomes as sentences. The enums themselves are documented in `tender_auction::outcome`; this is how people read them.

use super::table::amount;
use crate::{api::types::AuctionDetail, documents::names::Names};
use std::cmp::Reverse;
use tender_auction::{
    outcome::{
        AuctionEnd, AwardState, BidReason, BidRecord, EntryOutcome, EntryRecord, FailReason,
        OutcomeRecord, UnitOutcome,
    },
    task::{AuctionSpec, Task},
};
use tender_circuits::{Claim, NamedValue};
use tender_wire::{BidId, PublicKey};

/// Names an auction's outcomes can be read with.
pub struct Reader<'a> {
    /// Types and issuers.
    pub names: &'a Names,
    /// The auction.
    pub auction: &'a AuctionDetail,
    /// What to call a bidder; the start of its key unless known better.
    pub call: &'a dyn Fn(&PublicKey) -> String,
}

/// What a bidder is called when nothing better is known.
pub fn by_key(key: &PublicKey) -> String {
    key.short()
}

/// A task's name, or its number.
pub fn task_name(spec: &AuctionSpec, task: u32) -> String {
    task_of(spec, task).map_or_else(|| format!("task {task}"), |t| t.name.clone())
}

/// The task of that index.
pub fn task_of(spec: &AuctionSpec, task: u32) -> Option<&Task> {
    spec.tasks.get(usize::try_from(task).ok()?)
}

/// The most that an entry may ask, in words.
pub fn most(entry: &EntryRecord) -> String {
    let reserve = amount(entry.reserve.0);
    match entry.bonus.0 {
        0 => format!("the reserve of {reserve}"),
        bonus => format!(
            "the reserve of {reserve} and its bonus of {}",
            amount(bonus)
        ),
    }
}

impl Reader<'_> {
    /// A task's name.
    pub fn task(&self, task: u32) -> String {
        task_name(&self.auction.spec, task)
    }

    /// Who stands behind a bid.
    pub fn bidder(&self, bid: &BidId) -> String {
        let key = self
            .auction
            .outcomes
            .iter()
            .find_map(|record| match record {
                OutcomeRecord::Entry(entry) if entry.bid == *bid => Some(entry.bidder),
                OutcomeRecord::Bid(record) if record.bid == *bid => Some(record.bidder),
                _ => None,
            });
        key.map_or_else(|| format!("bid {}", bid.short()), |key| (self.call)(&key))
    }

    /// How the units of a task ended.
    fn units(&self, task: u32) -> impl Iterator<Item = &UnitOutcome> {
        let units = self.auction.outcomes.iter();
        units.filter_map(move |record| match record {
            OutcomeRecord::Unit(unit) if unit.task == task => Some(&unit.outcome),
            _ => None,
        })
    }

    /// The entries of a task that competed, best first: winners, then those that stand next in line, by what they would leave of reserve and bonus.
    pub fn ranking(&self, task: u32) -> Vec<(u128, &EntryRecord)> {
        let next = self.units(task).find_map(|unit| match unit {
            UnitOutcome::Filled { runner_up, .. } => *runner_up,
            _ => None,
        });
        let entries = self.auction.outcomes.iter();
        let mut ranked: Vec<_> = entries
            .filter_map(|record| match record {
                OutcomeRecord::Entry(entry) if entry.task == task => Some(entry),
                _ => None,
            })
            .filter_map(|entry| {
                let rank = match entry.outcome {
                    EntryOutcome::Won { .. } => 0,
                    EntryOutcome::Outbid { .. } | EntryOutcome::SlotsUsed => 1,
                    _ => return None,
                };
                let worth = u128::from(entry.reserve.0).saturating_add(entry.bonus.0.into());
                let surplus = worth.saturating_sub(entry.price.0.into());
                let is_next = next == Some(entry.bid);
                Some(((rank, Reverse(surplus), !is_next, entry.bid), entry))
            })
            .collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        let ranked = ranked.into_iter();
        ranked
            .map(|((_, Reverse(surplus), ..), entry)| (surplus, entry))
            .collect()
    }

    /// How an entry ended.
    pub fn entry(&self, entry: &EntryRecord) -> String {
        match &entry.outcome {
            EntryOutcome::Won { payment } => {
                let (paid, asked) = (amount(payment.0), amount(entry.price.0));
                let bonus = match entry.bonus.0 {
                    0 => String::new(),
                    bonus => format!(", with a bonus of {}", amount(bonus)),
                };
                let set_by = self.units(entry.task).find_map(|unit| match unit {
                    UnitOutcome::Filled { bid, set_by, .. } if *bid == entry.bid => *set_by,
                    _ => None,
                });
                let set_by = set_by.map_or_else(String::new, |by| {
                    format!("; {}, who would be next, sets it", self.bidder(&by))
                });
                format!("won: paid {paid} for asking {asked}{bonus}{set_by}")
            }
            EntryOutcome::Outbid { by } => {
                let price = self.units(entry.task).find_map(|unit| match unit {
                    UnitOutcome::Filled { price, .. } => Some(price.0),
                    _ => None,
                });
                let price =
                    price.map_or_else(String::new, |p| format!("; a unit goes for {}", amount(p)));
                format!("outbid by {}{price}", self.bidder(by))
            }
            EntryOutcome::SlotsUsed => "its slots earn more on other tasks".into(),
            EntryOutcome::AboveReserve => {
                format!("asked {}, above {}", amount(entry.price.0), most(entry))
            }
            EntryOutcome::NotCovered { type_id, field } => self.not_covered(entry, type_id, *field),
            EntryOutcome::NotEvidenced { type_id } => format!(
                "nothing acceptable shows {}: the class wants {}",
                self.names.type_label(type_id),
                self.wanted(entry.task, type_id),
            ),
            EntryOutcome::NoSlots => "offers no slot in the task's class".into(),
            EntryOutcome::UnknownTask => "the auction has no such task".into(),
        }
    }

    /// How a whole bid ended that has no entries to speak of.
    pub fn bid(&self, record: &BidRecord) -> String {
        match &record.reason {
            BidReason::SealInvalid => "the sealed part does not open to a well-formed bid".into(),
            BidReason::Suspended => "what it relied on was revoked by the close".into(),
            BidReason::NoCapacity => {
                "its machine's capacity is reserved by an earlier auction".into()
            }
            BidReason::Replaced { by } => format!("replaced by its bidder with bid {}", by.short()),
            BidReason::NoEntries => "it opened to no prices".into(),
            BidReason::AuctionVoid => "the auction is void".into(),
        }
    }

    /// How a task unit ended.
    pub fn unit(&self, outcome: &UnitOutcome) -> String {
        match outcome {
            UnitOutcome::Filled {
                bid,
                payment,
                set_by,
                ..
            } => {
                let by = set_by.map_or_else(String::new, |by| {
                    format!(", which {} sets", self.bidder(&by))
                });
                format!(
                    "filled by {} for {}{by}",
                    self.bidder(bid),
                    amount(payment.0)
                )
            }
            UnitOutcome::NoCoveringBid => "unfilled: nobody bid who is attested for it".into(),
            UnitOutcome::AboveReserve => "unfilled: every bid asked more than the reserve".into(),
            UnitOutcome::NoCapacity => {
                "unfilled: those who could serve it have no slot left".into()
            }
            UnitOutcome::AuctionVoid => "unfilled: the auction is void".into(),
        }
    }

    fn not_covered(
        &self,
        entry: &EntryRecord,
        type_id: &tender_wire::TypeId,
        field: u16,
    ) -> String {
        let index = usize::from(field);
        let schema = self.names.type_of(type_id).map(|t| &t.schema);
        let Some(definition) = schema.and_then(|s| s.fields.get(index)) else {
            return format!(
                "field {field} of {} does not cover the requirement",
                self.names.type_label(type_id)
            );
        };
        let shown = entry.evidences.iter().find(|e| e.type_id == *type_id);
        let value =
            |claim: &Claim| schema.and_then(|s| s.describe(claim).get(&definition.name).map(text));
        let shown = shown.and_then(|e| value(&e.claim));
        let needed = entry.requirements.iter().find(|(id, _)| id == type_id);
        let needed = needed.and_then(|(_, claim)| value(claim));
        format!(
            "not covered: {} shows {}, the task needs {}",
            definition.name,
            shown.unwrap_or_else(|| "nothing".into()),
            needed.unwrap_or_else(|| "more".into()),
        )
    }

    fn wanted(&self, task: u32, type_id: &tender_wire::TypeId) -> String {
        let spec = &self.auction.spec;
        let class = task_of(spec, task).and_then(|t| spec.classes.get(usize::from(t.class)));
        let Some(need) = class.and_then(|c| c.requirements.iter().find(|r| r.type_id == *type_id))
        else {
            return "other evidence".into();
        };
        let kinds = match (need.kinds.proof, need.kinds.attestation) {
            (true, true) => "proofs or attestations",
            (false, true) => "attestations",
            _ => "proofs",
        };
        let issuers = self.names.issuers_in(need.issuers).join(", ");
        format!("{kinds} by {} of {issuers}", need.min_issuers)
    }
}

/// A value by name, on one line.
pub fn text(value: &NamedValue) -> String {
    match value {
        NamedValue::Number(n) => amount(*n),
        NamedValue::Text(t) => t.clone(),
        NamedValue::List(l) if l.is_empty() => "nothing".into(),
        NamedValue::List(l) => l.join("+"),
    }
}

/// A sentence with its long identifiers cut to eight digits, for tables.
pub fn shorten(sentence: &str) -> String {
    let is_id = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut out = String::new();
    for part in sentence.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let tail = part.get(word.len()..).unwrap_or_default();
        out.push_str(if is_id(word) {
            word.get(..8).unwrap_or(word)
        } else {
            word
        });
        out.push_str(tail);
    }
    out
}

/// How an auction ended.
pub fn auction_end(end: &AuctionEnd) -> String {
    match end {
        AuctionEnd::Cleared { bids, surplus, .. } => {
            format!("cleared: {bids} live bids, total surplus {surplus}")
        }
        AuctionEnd::NoKeys { missing } => {
            format!("void: {} validators posted no seal key", missing.len())
        }
        AuctionEnd::NoReveals { withheld } => {
            format!("void: {} validators withheld their reveal", withheld.len())
        }
    }
}

/// Where an assignment stands.
pub fn award(state: &AwardState) -> String {
    match state {
        AwardState::Assigned => "assigned, not yet accepted".into(),
        AwardState::Accepted => "accepted".into(),
        AwardState::Delivered { result } => format!("delivered, result {}", result.short()),
        AwardState::Confirmed => "confirmed".into(),
        AwardState::Rejected => "rejected by the opener".into(),
        AwardState::Failed(FailReason::Suspended) => "failed: what it relied on was revoked".into(),
        AwardState::Expired => "expired".into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn identifiers_are_cut_and_nothing_else_is() {
        let id = "ab".repeat(32);
        let said = format!("asset {id}: field 0 has {id}, 12345 (of {id}) deadbeef");
        let short = "asset abababab: field 0 has abababab, 12345 (of abababab) deadbeef";
        assert_eq!(super::shorten(&said), short);
    }
}
