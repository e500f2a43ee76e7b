//! Auctions of the present, from the state, and of the past, from the index.

use super::{
    Api,
    error::Failure,
    extract::{Ask, Id},
    routes::parse,
    schema,
    types::{AuctionDetail, AuctionSummary, Award, LiveBid, Phase},
};
use crate::node::{Chain, Known, Placed, Shared, ended_as, phase_of};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_auction::{
    market::{self, Auction},
    outcome::{AwardState, EntryOutcome, OutcomeRecord},
    transaction::AwardRef,
};
use tender_wire::{AuctionId, BidId, Height, PublicKey};

/// Auctions of one page.
pub(crate) const MAX_PAGE: usize = 1000;
/// Of those, read from the disk at once: each may be 64 KiB, and is told in half of one.
pub(crate) const READ_AT_ONCE: usize = 16;
pub(crate) const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    bidder: String,
}

/// Which record a certificate is wanted of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    task: Option<u32>,
    bidder: Option<String>,
    bid: Option<String>,
}

/// List the auctions
///
/// Of the present and the past, in opening order.
#[utoipa::path(get, path = "/v1/auctions", tag = "auctions",
    params(
        ("after" = Option<schema::Hex32>, Query, description = "Begin after this auction"),
        ("limit" = Option<u32>, Query, description = "At most so many; 1000 unless said otherwise"),
    ),
    responses((status = 200, body = Vec<AuctionSummary>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Ask(Page { after, limit }): Ask<Page>,
) -> Result<Json<Vec<AuctionSummary>>, Failure> {
    let after: Option<AuctionId> = after.as_deref().map(parse).transpose()?;
    let all = api.read(move |shared| {
        let chain = shared.chain();
        page(limit, after, |after, most| {
            let known = shared.archive.auctions(after.as_ref(), most)?;
            known.iter().map(|it| summary(shared, &chain, it)).collect()
        })
    });
    all.await.map(Json)
}

/// A page of auctions, read few at a time.
fn page(
    limit: Option<usize>,
    mut after: Option<AuctionId>,
    mut read: impl FnMut(Option<AuctionId>, usize) -> Result<Vec<AuctionSummary>, Failure>,
) -> Result<Vec<AuctionSummary>, Failure> {
    let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let mut all = Vec::new();
    loop {
        let most = limit.saturating_sub(all.len()).min(READ_AT_ONCE);
        let next = read(after, most)?;
        let is_end = next.len() < READ_AT_ONCE;
        all.extend(next);
        after = all.last().map(|it: &AuctionSummary| it.auction).or(after);
        if is_end {
            return Ok(all);
        }
    }
}

/// An auction
///
/// What was opened, where it is, and after clearing what became of everything.
#[utoipa::path(get, path = "/v1/auctions/{id}", tag = "auctions",
    params(("id" = schema::Hex32, Path, description = "The auction")),
    responses((status = 200, body = AuctionDetail)))]
pub(super) async fn detail(
    State(api): State<Api>,
    Id(id): Id<AuctionId>,
) -> Result<Response, Failure> {
    api.answer_large(JSON, move |shared| json(&detail_of(shared, &id)?))
        .await
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|_| Failure::internal()) // every type here has string keys
}

/// What became of a bidder's bids
///
/// The bidder's own records, in the order they were committed.
#[utoipa::path(get, path = "/v1/auctions/{id}/explain", tag = "auctions",
    params(
        ("id" = schema::Hex32, Path, description = "The auction"),
        ("bidder" = schema::Hex32, Query, description = "The bidder"),
    ),
    responses((status = 200, body = Vec<schema::OutcomeRecord>)))]
pub(super) async fn explain(
    State(api): State<Api>,
    Id(id): Id<AuctionId>,
    Ask(Whose { bidder }): Ask<Whose>,
) -> Result<Response, Failure> {
    let bidder: PublicKey = parse(&bidder)?;
    let records = api.answer_large(JSON, move |shared| {
        known(shared, &id)?;
        let is_own = |record: &OutcomeRecord| bidder_of(record) == Some(bidder);
        let records = shared.archive.records_where(&id, is_own)?;
        let records: Vec<_> = records.into_iter().map(|placed| placed.record).collect();
        json(&records)
    });
    records.await
}

/// The certificate of an outcome
///
/// The file that `tender verify` checks with nothing but the genesis file. Of a task: its first winner's entry, or its unit if nobody won.
/// Of a bidder or a bid: a win if there is one, else an assignment that came later (a runner-up's), else the first entry, else the bid as a
/// whole. At least one of the three is given.
#[utoipa::path(get, path = "/v1/auctions/{id}/certificate", tag = "auctions",
    params(
        ("id" = schema::Hex32, Path, description = "The auction"),
        ("task" = Option<u32>, Query, description = "The task, by number"),
        ("bidder" = Option<schema::Hex32>, Query, description = "The bidder"),
        ("bid" = Option<schema::Hex32>, Query, description = "The bid"),
    ),
    responses((status = 200, body = Object, description = "The certificate file, byte for byte")))]
pub(super) async fn certificate(
    State(api): State<Api>,
    Id(id): Id<AuctionId>,
    Ask(Wanted { task, bidder, bid }): Ask<Wanted>,
) -> Result<Response, Failure> {
    let bidder: Option<PublicKey> = bidder.as_deref().map(parse).transpose()?;
    let bid: Option<BidId> = bid.as_deref().map(parse).transpose()?;
    if task.is_none() && bidder.is_none() && bid.is_none() {
        return Err(Failure::bad_request(
            "say of what: task=<number>, bidder=<key> or bid=<id>",
        ));
    }
    let text = api.answer_large(JSON, move |shared| {
        known(shared, &id)?;
        let rank = |record: &OutcomeRecord| rank(record, task, bidder, bid);
        let mut best: Option<u32> = None;
        // Of each rank, the first; of the best rank, the last that is kept.
        let is_better = |record: &OutcomeRecord| match (rank(record), best) {
            (Some(found), Some(known)) if found >= known => false,
            (Some(found), _) => {
                best = Some(found);
                true
            }
            (None, _) => false,
        };
        let placed = shared.archive.records_where(&id, is_better)?.pop();
        let placed = placed.ok_or_else(|| {
            let hint = "outcomes are committed when the auction clears: see GET /v1/auctions/{id}";
            Failure::not_found(format!("auction {id} has no such outcome"), hint)
        })?;
        Ok(shared.archive.certificate(placed)?.to_json().into_bytes())
    });
    text.await.map(|answer| answer.into_response())
}

/// How well a record is the one asked for, 0 best. Of a task: its (first) winner's entry, or its unit if nobody won. Of a bidder or bid: a win
/// if there is one, else an assignment that came later (a runner-up's), else the first entry, else the bid as a whole.
fn rank(
    record: &OutcomeRecord,
    task: Option<u32>,
    bidder: Option<PublicKey>,
    bid: Option<BidId>,
) -> Option<u32> {
    let of_anyone = bidder.is_none() && bid.is_none();
    match record {
        OutcomeRecord::Entry(entry) => {
            let won = matches!(entry.outcome, EntryOutcome::Won { .. });
            let fits = task.is_none_or(|task| task == entry.task)
                && bidder.is_none_or(|bidder| bidder == entry.bidder)
                && bid.is_none_or(|bid| bid == entry.bid);
            (fits && (won || !of_anyone)).then_some(if won { 0 } else { 2 })
        }
        OutcomeRecord::Award(step) => {
            let fits = task.is_none_or(|task| task == step.award.task)
                && bidder.is_none_or(|bidder| bidder == step.bidder)
                && bid.is_none_or(|bid| bid == step.award.bid);
            (fits && !of_anyone).then_some(1)
        }
        OutcomeRecord::Bid(whole) => {
            let fits = bidder.is_none_or(|bidder| bidder == whole.bidder)
                && bid.is_none_or(|bid| bid == whole.bid);
            (fits && !of_anyone).then_some(3)
        }
        OutcomeRecord::Unit(unit) => (of_anyone && task == Some(unit.task)).then_some(4),
        OutcomeRecord::Auction(_) => None,
    }
}

fn bidder_of(record: &OutcomeRecord) -> Option<PublicKey> {
    match record {
        OutcomeRecord::Entry(r) => Some(r.bidder),
        OutcomeRecord::Bid(r) => Some(r.bidder),
        OutcomeRecord::Award(r) => Some(r.bidder),
        OutcomeRecord::Auction(_) | OutcomeRecord::Unit(_) => None,
    }
}

fn known(shared: &Shared, id: &AuctionId) -> Result<Known, Failure> {
    shared.archive.auction(id)?.ok_or_else(|| {
        let hint = "see GET /v1/auctions; this peer may still be catching up";
        Failure::not_found(format!("there is no auction {id}"), hint)
    })
}

fn summary(shared: &Shared, chain: &Chain, known: &Known) -> Result<AuctionSummary, Failure> {
    let live = chain.app.auction(&known.opened.auction);
    let phase = match live {
        Some(auction) => phase_of(auction),
        None => past_phase(shared, known)?,
    };
    Ok(AuctionSummary {
        auction: known.opened.auction,
        title: known.opened.spec.title.clone(),
        opener: known.opened.opener,
        phase,
        opened_at: known.opened_at,
        phase_ends_at: live.and_then(phase_end),
        ended_at: known.ended_at,
        tasks: u32::try_from(known.opened.spec.tasks.len()).unwrap_or(u32::MAX),
        bids: live.map_or(0, |auction| {
            u32::try_from(auction.bids.len()).unwrap_or(u32::MAX)
        }),
    })
}

/// An auction that has left the state is void or finished; one not in it yet was opened in a block just being stored.
fn past_phase(shared: &Shared, known: &Known) -> Result<Phase, Failure> {
    let Some(ended_at) = known.ended_at else {
        return Ok(Phase::Keys);
    };
    let first = shared
        .archive
        .first_record(&known.opened.auction, ended_at)?;
    Ok(match first {
        Some(OutcomeRecord::Auction(record)) if ended_as(&record.end) == Phase::Void => Phase::Void,
        _ => Phase::Finished,
    })
}

fn phase_end(auction: &Auction) -> Option<Height> {
    match auction.phase {
        market::Phase::Keys { until } | market::Phase::Reveal { until, .. } => Some(until),
        market::Phase::Bidding { closes } => Some(closes),
        market::Phase::Settled { .. } => None,
    }
}

fn detail_of(shared: &Shared, id: &AuctionId) -> Result<AuctionDetail, Failure> {
    let known = known(shared, id)?;
    let chain = shared.chain();
    let live = chain.app.auction(id);
    let records = shared.archive.records(id)?;
    let awards = match live {
        Some(auction) => live_awards(auction),
        None => past_awards(&records),
    };
    // Records are committed sorted by key, but in the order of their blocks.
    let mut outcomes: Vec<_> = records.into_iter().map(|placed| placed.record).collect();
    outcomes.sort_by_key(OutcomeRecord::key);
    let frozen = live.filter(|auction| !matches!(auction.phase, market::Phase::Keys { .. }));
    let mut live_bids: Vec<_> = live
        .into_iter()
        .flat_map(|auction| auction.bids.values())
        .map(|bid| LiveBid {
            bid: bid.id,
            bidder: bid.bidder,
            asset: bid.asset,
            sequence: bid.sequence,
        })
        .collect();
    live_bids.sort_by_key(|bid| (bid.bidder, bid.asset));
    Ok(AuctionDetail {
        summary: summary(shared, &chain, &known)?,
        committee: frozen.map(committee).unwrap_or_default(),
        threshold: frozen.and_then(|auction| u32::try_from(auction.threshold()).ok()),
        spec: known.opened.spec,
        outcomes,
        awards,
        live_bids,
    })
}

/// K in rank order, hex.
fn committee(auction: &Auction) -> Vec<String> {
    auction
        .ranked_keys()
        .iter()
        .map(|key| hex::encode(tender_wire::encode(key)))
        .collect()
}

fn live_awards(auction: &Auction) -> Vec<Award> {
    let awards = auction.awards.iter().map(|(award, row)| Award {
        task: award.task,
        bid: award.bid,
        bidder: row.bidder,
        asset: row.asset,
        payment: row.payment,
        state: row.state,
        accept_by: (row.state == AwardState::Assigned).then_some(row.accept_by),
    });
    awards.collect()
}

/// Where each assignment ended, from the records alone.
fn past_awards(records: &[Placed]) -> Vec<Award> {
    let mut assets = BTreeMap::new();
    let mut awards: BTreeMap<AwardRef, Award> = BTreeMap::new();
    for Placed { record, .. } in records {
        match record {
            OutcomeRecord::Entry(entry) => {
                assets.insert(entry.bid, entry.asset);
                if let EntryOutcome::Won { payment } = entry.outcome {
                    let key = AwardRef {
                        auction: entry.auction,
                        task: entry.task,
                        bid: entry.bid,
                    };
                    awards.insert(
                        key,
                        award(
                            &key,
                            entry.bidder,
                            entry.asset,
                            payment,
                            AwardState::Assigned,
                        ),
                    );
                }
            }
            OutcomeRecord::Award(step) => {
                if let Some(asset) = assets.get(&step.award.bid) {
                    let row = award(&step.award, step.bidder, *asset, step.payment, step.state);
                    awards.insert(step.award, row);
                }
            }
            OutcomeRecord::Auction(_) | OutcomeRecord::Bid(_) | OutcomeRecord::Unit(_) => {}
        }
    }
    awards.into_values().collect()
}

fn award(
    key: &AwardRef,
    bidder: PublicKey,
    asset: tender_wire::FieldBytes,
    payment: tender_wire::Price,
    state: AwardState,
) -> Award {
    let (task, bid) = (key.task, key.bid);
    Award {
        task,
        bid,
        bidder,
        asset,
        payment,
        state,
        accept_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P10, B22.
    #[test]
    fn a_page_holds_so_many_auctions_and_is_read_few_at_a_time() {
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            AuctionId(id)
        };
        let all: Vec<_> = (0..=MAX_PAGE)
            .map(|number| AuctionSummary {
                auction: id(number),
                title: String::new(),
                opener: PublicKey([0; 32]),
                phase: Phase::Finished,
                opened_at: Height(1),
                phase_ends_at: None,
                ended_at: None,
                tasks: 1,
                bids: 0,
            })
            .collect();
        let ask = |limit, after| {
            let read = |after: Option<AuctionId>, most: usize| {
                assert!(most <= READ_AT_ONCE);
                let first = after.map_or(0, |after| {
                    all.iter().position(|it| it.auction == after).unwrap() + 1
                });
                Ok(all.iter().skip(first).take(most).cloned().collect())
            };
            page(limit, after, read).unwrap()
        };
        for limit in [None, Some(MAX_PAGE), Some(MAX_PAGE + 1), Some(usize::MAX)] {
            assert_eq!(ask(limit, None), all[..MAX_PAGE]);
            assert_eq!(ask(limit, Some(id(0))), all[1..]);
            assert_eq!(ask(limit, Some(id(MAX_PAGE))), []);
        }
        for fewer in [0, 1, READ_AT_ONCE, READ_AT_ONCE + 1] {
            assert_eq!(ask(Some(fewer), Some(id(4))), all[5..5 + fewer]);
        }
    }
}
