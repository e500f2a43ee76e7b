//! From the close to the outcome records: suspension, withheld and bad reveals, capacity, reasons, payments. Bids here show signed
//! attestations (same ledger, same rules, no proving), except where registry roots are the point.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use tender_auction::{
    bid::Bid,
    clearing::PaymentRule,
    market::{Phase, Refusal},
    outcome::{
        AuctionEnd, AwardState, BidReason, EntryOutcome, FailReason, OutcomeRecord, UnitOutcome,
        outcome_root,
    },
    scenario::{ISSUERS, Plan, Scenario, VALIDATORS, amounts, attributes, class, key, spec, task},
    seal::{BidBody, Reveal},
    task::AuctionSpec,
    transaction::{Action, SealRevealTx, Transaction},
};
use tender_circuits::{IssuerMask, asset_of};
use tender_wire::{AuctionId, BidId, Price};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000), ("memory_mib", 8_000)];

fn small() -> AuctionSpec {
    spec(
        vec![class(
            "small",
            &[("cpu_milli", 2_000), ("memory_mib", 4_000)],
        )],
        vec![task("render", 0, 100, 1), task("train", 0, 500, 2)],
    )
}

fn plan<'a>(auction: AuctionId, agent: &'a str, entries: &'a [(u32, u64)]) -> Plan<'a> {
    // An agent's machine bears its name.
    Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 1)],
        entries,
        claim: amounts(CLAIM),
    }
}

/// A bid with one attestation by issuer 0.
fn attested(scenario: &Scenario, plan: &Plan<'_>) -> Bid {
    let attestation = scenario.attest(0, plan.agent, plan.machine, plan.claim.clone(), 1);
    scenario.attested_bid(plan, &[attestation])
}

fn submit(
    scenario: &mut Scenario,
    auction: AuctionId,
    agent: &str,
    entries: &[(u32, u64)],
) -> BidId {
    let bid = attested(scenario, &plan(auction, agent, entries));
    scenario.submit_bid(&bid);
    bid.content.id()
}

fn entries(scenario: &Scenario, bid: BidId) -> BTreeMap<u32, EntryOutcome> {
    let entries = scenario.records().filter_map(|record| match record {
        OutcomeRecord::Entry(entry) if entry.bid == bid => {
            Some((entry.task, entry.outcome.clone()))
        }
        _ => None,
    });
    entries.collect()
}

fn whole(scenario: &Scenario, bid: BidId) -> Option<BidReason> {
    scenario.records().find_map(|record| match record {
        OutcomeRecord::Bid(record) if record.bid == bid => Some(record.reason.clone()),
        _ => None,
    })
}

fn end(scenario: &Scenario, auction: AuctionId) -> AuctionEnd {
    let found = scenario.records().find_map(|record| match record {
        OutcomeRecord::Auction(record) if record.auction == auction => Some(record.end.clone()),
        _ => None,
    });
    found.expect("the auction ended")
}

fn units(scenario: &Scenario, auction: AuctionId) -> BTreeMap<(u32, u32), UnitOutcome> {
    let units = scenario.records().filter_map(|record| match record {
        OutcomeRecord::Unit(unit) if unit.auction == auction => {
            Some(((unit.task, unit.unit), unit.outcome.clone()))
        }
        _ => None,
    });
    units.collect()
}

#[test]
fn winners_losers_units_and_reservations() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let cheap = submit(&mut scenario, auction, "cheap", &[(0, 40)]);
    let dear = submit(&mut scenario, auction, "dear", &[(0, 70)]);
    let greedy = submit(
        &mut scenario,
        auction,
        "greedy",
        &[(0, 101), (1, 300), (9, 5)],
    );
    scenario.clear(&auction);
    assert_eq!(
        entries(&scenario, cheap),
        BTreeMap::from([(0, EntryOutcome::Won { payment: Price(70) })])
    );
    assert_eq!(
        entries(&scenario, dear),
        BTreeMap::from([(0, EntryOutcome::Outbid { by: cheap })])
    );
    assert_eq!(
        entries(&scenario, greedy),
        BTreeMap::from([
            (0, EntryOutcome::AboveReserve),
            (
                1,
                EntryOutcome::Won {
                    payment: Price(500)
                }
            ),
            (9, EntryOutcome::UnknownTask),
        ])
    );
    assert_eq!(
        units(&scenario, auction),
        BTreeMap::from([
            (
                (0, 0),
                UnitOutcome::Filled {
                    bid: cheap,
                    payment: Price(70),
                    price: Price(70),
                    set_by: Some(dear),
                    runner_up: Some(dear)
                }
            ),
            (
                (1, 0),
                UnitOutcome::Filled {
                    bid: greedy,
                    payment: Price(500),
                    price: Price(500),
                    set_by: None,
                    runner_up: None
                }
            ),
            ((1, 1), UnitOutcome::NoCoveringBid),
        ])
    );
    let account = scenario.state.account(&asset_of("cheap")).unwrap();
    assert_eq!(
        (account.bids, account.leases, account.reserved[0]),
        (0, 1, 2_000)
    );
    assert!(
        scenario.state.account(&asset_of("dear")).is_none(),
        "a loser's machine is free again"
    );
    for block in &scenario.blocks {
        let records = &block.executed.outcome.records;
        assert!(
            records.windows(2).all(|pair| pair[0].key() < pair[1].key()),
            "sorted and unique"
        );
        assert_eq!(outcome_root(records), block.executed.outcome_root);
    }
}

#[test]
fn pay_as_bid_pays_the_price() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(AuctionSpec {
        payment: PaymentRule::PayAsBid,
        ..small()
    });
    let cheap = submit(&mut scenario, auction, "cheap", &[(0, 40)]);
    submit(&mut scenario, auction, "dear", &[(0, 70)]);
    scenario.clear(&auction);
    assert_eq!(
        entries(&scenario, cheap)[&0],
        EntryOutcome::Won { payment: Price(40) }
    );
}

#[test]
fn every_entry_that_cannot_compete_says_why() {
    let mut scenario = Scenario::default();
    let mut both = class("both", &[("cpu_milli", 1_000)]);
    both.requirements[0].min_issuers = 2;
    let mut one = class("one", &[("cpu_milli", 1_000)]);
    one.requirements[0].issuers = IssuerMask(0b100);
    let large = class("large", &[("cpu_milli", 1_000), ("gpu_memory_mib", 40_000)]);
    let tasks = vec![
        task("two vouch", 0, 100, 1),
        task("one vouches", 1, 100, 1),
        task("large", 2, 100, 1),
    ];
    let auction = scenario.open(spec(vec![both, one, large], tasks));
    let slots = &[(0, 1), (1, 1), (2, 1)];
    let wants: &[(u32, u64)] = &[(0, 10), (1, 10), (2, 10)];
    let alone = Plan {
        slots,
        ..plan(auction, "alone", wants)
    };
    let alone = attested(&scenario, &alone);
    let paired = Plan {
        slots: &[(0, 1)],
        ..plan(auction, "paired", wants)
    };
    let attestations = [0, 2].map(|issuer| {
        scenario.attest(
            issuer,
            paired.agent,
            paired.machine,
            paired.claim.clone(),
            1,
        )
    });
    let paired = scenario.attested_bid(&paired, &attestations);
    for bid in [&alone, &paired] {
        scenario.submit_bid(bid);
    }
    scenario.clear(&auction);
    let type_id = *alone.content.evidences[0].type_id();
    assert_eq!(
        entries(&scenario, alone.content.id()),
        BTreeMap::from([
            (0, EntryOutcome::NotEvidenced { type_id }),
            (1, EntryOutcome::NotEvidenced { type_id }),
            (2, EntryOutcome::NotCovered { type_id, field: 5 }),
        ])
    );
    assert_eq!(
        entries(&scenario, paired.content.id()),
        BTreeMap::from([
            (
                0,
                EntryOutcome::Won {
                    payment: Price(100)
                }
            ),
            (1, EntryOutcome::NoSlots),
            (2, EntryOutcome::NoSlots),
        ])
    );
}

#[test]
fn two_proofs_by_distinct_issuers_meet_a_class_that_two_must_vouch_for() {
    let mut scenario = Scenario::default();
    let [first, second] =
        [0, 1].map(|issuer| scenario.issue(issuer, "agent", "agent", attributes(CLAIM)));
    let mut both = class("both", &[("cpu_milli", 1_000)]);
    both.requirements[0].min_issuers = 2;
    both.requirements[0].kinds.attestation = false;
    let auction = scenario.open(spec(vec![both], vec![task("careful", 0, 100, 1)]));
    let plan = plan(auction, "agent", &[(0, 60)]);
    let mut content = scenario.seal(&plan);
    for credential in [&first, &second] {
        let evidence = scenario.prove(&content, credential, &plan.claim).unwrap();
        content.evidences.push(evidence);
    }
    let bid = content.sign(&scenario.state.chain(), &key("agent"));
    scenario.submit_bid(&bid);
    scenario.clear(&auction);
    assert_eq!(
        entries(&scenario, bid.content.id())[&0],
        EntryOutcome::Won {
            payment: Price(100)
        }
    );
}

#[test]
fn t10_evidence_revoked_at_or_before_the_close_suspends_the_bid() {
    let mut scenario = Scenario::default();
    let credential = scenario.issue(1, "proven", "proven", attributes(CLAIM));
    let auction = scenario.open(small());
    let proven = scenario.bid(&plan(auction, "proven", &[(0, 10)]), &credential);
    scenario.submit_bid(&proven);
    let attested = submit(&mut scenario, auction, "attested", &[(0, 20)]);
    let other = submit(&mut scenario, auction, "other", &[(0, 30)]);
    scenario.step();
    let closes = match scenario.state.auction(&auction).unwrap().phase {
        Phase::Bidding { closes } => closes,
        phase => panic!("{phase:?}"),
    };
    while scenario.state.height().next() < closes {
        scenario.step();
    }
    // Both revocations stand in the closing block itself.
    let (index, _) = scenario.state.find_leaf(&credential.leaf()).unwrap();
    scenario.act(ISSUERS[1], Action::Revoke { index });
    scenario.act(
        ISSUERS[0],
        Action::RevokeAttestation {
            asset: asset_of("attested"),
            serial: 1,
        },
    );
    scenario.step();
    assert!(matches!(
        scenario.state.auction(&auction).unwrap().phase,
        Phase::Reveal { .. }
    ));
    scenario.clear(&auction);
    assert_eq!(
        whole(&scenario, proven.content.id()),
        Some(BidReason::Suspended)
    );
    assert_eq!(whole(&scenario, attested), Some(BidReason::Suspended));
    assert_eq!(
        entries(&scenario, other)[&0],
        EntryOutcome::Won {
            payment: Price(100)
        }
    );
}

#[test]
fn t10_evidence_revoked_after_the_close_fails_the_win_and_frees_the_machine() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let won = submit(&mut scenario, auction, "won", &[(0, 10)]);
    let next = submit(&mut scenario, auction, "next", &[(0, 20)]);
    scenario.step_until(&auction, |phase| matches!(phase, Phase::Reveal { .. }));
    scenario.act(
        ISSUERS[0],
        Action::RevokeAttestation {
            asset: asset_of("won"),
            serial: 1,
        },
    );
    scenario.clear(&auction);
    assert_eq!(
        entries(&scenario, won)[&0],
        EntryOutcome::Won { payment: Price(20) },
        "never a withdrawal"
    );
    assert_eq!(
        entries(&scenario, next)[&0],
        EntryOutcome::Outbid { by: won }
    );
    let failed = scenario.records().find_map(|record| match record {
        OutcomeRecord::Award(record) if record.award.bid == won => Some(record.state),
        _ => None,
    });
    assert_eq!(failed, Some(AwardState::Failed(FailReason::Suspended)));
    scenario.step();
    assert!(scenario.state.account(&asset_of("won")).is_none());
}

#[test]
fn t13_of_two_auctions_closing_together_the_second_finds_the_capacity_gone() {
    let mut scenario = Scenario::default();
    let opener = key("opener").public();
    let chain = scenario.state.chain();
    let ids = [0, 1].map(|nonce| tender_auction::task::auction_id(&chain, &opener, nonce));
    for _ in ids {
        scenario.act("opener", Action::OpenAuction(Box::new(small())));
    }
    scenario.step_until(&ids[0], |_| true);
    scenario.step();
    scenario.step_until(&ids[0], |phase| matches!(phase, Phase::Bidding { .. }));
    // The machine has room for one unit.
    let claim = amounts(&[("cpu_milli", 2_000), ("memory_mib", 4_000)]);
    let bids = ids.map(|auction| {
        attested(
            &scenario,
            &Plan {
                claim: claim.clone(),
                ..plan(auction, "one", &[(0, 50)])
            },
        )
    });
    for bid in &bids {
        scenario.submit_bid(bid);
    }
    scenario.step();
    assert_eq!(
        scenario.state.account(&asset_of("one")).unwrap().bids,
        2,
        "live bids reserve nothing"
    );
    scenario.clear(&ids[0]);
    scenario.clear(&ids[1]);
    assert!(matches!(
        entries(&scenario, bids[0].content.id())[&0],
        EntryOutcome::Won { .. }
    ));
    assert_eq!(
        whole(&scenario, bids[1].content.id()),
        Some(BidReason::NoCapacity)
    );
    assert_eq!(units(&scenario, ids[1])[&(0, 0)], UnitOutcome::NoCapacity);
    let account = scenario.state.account(&asset_of("one")).unwrap();
    assert_eq!(
        (account.bids, account.leases, account.reserved[0]),
        (0, 1, 2_000)
    );
}

#[test]
fn t15_prices_out_of_range_void_the_bid_and_nothing_wraps() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let body = |price: u64| {
        let salted = BidBody {
            salt: [1; 32],
            entries: vec![(0, Price(1))],
        };
        let mut plain = salted.encode(8).unwrap().to_vec();
        plain[37..45].copy_from_slice(&price.to_le_bytes()); // salt[32], count u8, task u32, then the price
        plain
    };
    let mut bids = Vec::new();
    for (agent, price) in [
        ("zero", 0),
        ("wrap", u64::MAX),
        ("over", 1_000_000_000_000_001),
    ] {
        let plan = plan(auction, agent, &[]);
        let row = scenario.state.auction(&auction).unwrap();
        let mut content = row
            .seal_plain(&scenario.state.chain(), plan.draft(), &body(price), [2; 32])
            .unwrap();
        let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
        content.evidences = vec![tender_circuits::Evidence::Attestation(attestation)];
        let bid = content.sign(&scenario.state.chain(), &key(agent));
        scenario.submit_bid(&bid);
        bids.push(bid.content.id());
    }
    let empty = submit(&mut scenario, auction, "empty", &[]);
    scenario.clear(&auction);
    for bid in bids {
        assert_eq!(whole(&scenario, bid), Some(BidReason::SealInvalid));
    }
    assert_eq!(whole(&scenario, empty), Some(BidReason::NoEntries));
}

#[test]
fn t16_a_ciphertext_copied_under_another_identity_does_not_open() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let victim = attested(&scenario, &plan(auction, "victim", &[(0, 30)]));
    let mut mirror = attested(&scenario, &plan(auction, "mirror", &[(0, 30)])).content;
    mirror.sealed = victim.content.sealed.clone();
    let mirror = mirror.sign(&scenario.state.chain(), &key("mirror"));
    scenario.submit_bid(&victim);
    scenario.submit_bid(&mirror);
    scenario.clear(&auction);
    assert_eq!(
        whole(&scenario, mirror.content.id()),
        Some(BidReason::SealInvalid)
    );
    assert!(matches!(
        entries(&scenario, victim.content.id())[&0],
        EntryOutcome::Won { .. }
    ));
}

#[test]
fn t18_f_members_that_withhold_change_nothing() {
    let mut outcomes = Vec::new();
    for silent in [None, Some(0), Some(3)] {
        let mut scenario = Scenario::default();
        let auction = scenario.open(small());
        let bid = submit(&mut scenario, auction, "agent", &[(0, 10)]);
        scenario.step();
        scenario
            .silent
            .extend(silent.map(|index: usize| VALIDATORS[index]));
        scenario.clear(&auction);
        outcomes.push((entries(&scenario, bid), end(&scenario, auction)));
    }
    assert!(
        outcomes.windows(2).all(|pair| pair[0] == pair[1]),
        "whoever reveals, the outcome is the same"
    );
}

#[test]
fn t18_more_than_f_that_withhold_void_the_auction_are_named_and_nothing_stays_bound() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let bid = submit(&mut scenario, auction, "agent", &[(0, 10)]);
    scenario.step();
    assert_eq!(scenario.state.account(&asset_of("agent")).unwrap().bids, 1);
    scenario.silent.extend(&VALIDATORS[..2]);
    scenario.clear(&auction);
    assert!(scenario.state.auction(&auction).is_none());
    let AuctionEnd::NoReveals { mut withheld } = end(&scenario, auction) else {
        panic!("void")
    };
    withheld.sort_unstable();
    let mut expected: Vec<_> = VALIDATORS[..2]
        .iter()
        .map(|name| key(name).public())
        .collect();
    expected.sort_unstable();
    assert_eq!(withheld, expected);
    assert_eq!(whole(&scenario, bid), Some(BidReason::AuctionVoid));
    assert!(
        units(&scenario, auction)
            .values()
            .all(|unit| *unit == UnitOutcome::AuctionVoid)
    );
    assert!(
        scenario.state.account(&asset_of("agent")).is_none(),
        "the machine is free"
    );
    assert!(!scenario.state.needs_block());
}

#[test]
fn too_few_seal_keys_void_the_auction_and_name_the_missing() {
    let mut scenario = Scenario::default();
    scenario.silent.extend(&VALIDATORS[..2]);
    let auction =
        tender_auction::task::auction_id(&scenario.state.chain(), &key("opener").public(), 0);
    scenario.act("opener", Action::OpenAuction(Box::new(small())));
    scenario.step();
    scenario.step_until(&auction, |phase| !matches!(phase, Phase::Keys { .. }));
    let AuctionEnd::NoKeys { missing } = end(&scenario, auction) else {
        panic!("void")
    };
    assert_eq!(missing.len(), 2);
    assert_eq!(units(&scenario, auction).len(), 3);
}

#[test]
fn n_minus_f_seal_keys_suffice_at_the_end_of_the_window() {
    let mut scenario = Scenario::default();
    scenario.silent.insert(VALIDATORS[2]);
    let auction = scenario.open(small());
    let row = scenario.state.auction(&auction).unwrap();
    assert_eq!((row.keys.len(), row.threshold()), (3, 2));
    let bid = submit(&mut scenario, auction, "agent", &[(0, 10)]);
    scenario.clear(&auction);
    assert!(matches!(
        entries(&scenario, bid)[&0],
        EntryOutcome::Won { .. }
    ));
}

#[test]
fn t19_a_reveal_that_is_not_the_secret_is_refused() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    scenario.step_until(&auction, |phase| matches!(phase, Phase::Reveal { .. }));
    let due = scenario.duties();
    let Transaction::SealReveal(honest) = &due[0] else {
        panic!("a reveal is owed")
    };
    let refusal = |rank: u8, reveal: Reveal| {
        let tx = Transaction::SealReveal(SealRevealTx {
            auction,
            rank,
            reveal,
        });
        scenario.predict(&tx).unwrap_err()
    };
    let other = honest.rank % 4 + 1;
    assert!(matches!(
        refusal(other, honest.reveal),
        Refusal::BadReveal { .. }
    ));
    assert!(refusal(other, honest.reveal).is_state_independent());
    assert!(matches!(
        refusal(honest.rank, Reveal([0xff; 32])),
        Refusal::BadReveal { .. }
    ));
    assert!(matches!(
        refusal(honest.rank, Reveal([0; 32])),
        Refusal::BadReveal { .. }
    ));
    assert!(matches!(
        refusal(0, honest.reveal),
        Refusal::UnknownRank { .. }
    ));
    assert!(matches!(
        refusal(5, honest.reveal),
        Refusal::UnknownRank { .. }
    ));
}

#[test]
fn t25_every_salt_that_opened_moves_the_tie_breaking_seed() {
    // The last bid asks more than the reserve and competes for nothing, yet its salt counts.
    let seed_with = |loser: Option<u64>| {
        let mut scenario = Scenario::default();
        let auction = scenario.open(small());
        submit(&mut scenario, auction, "first", &[(0, 10)]);
        if let Some(price) = loser {
            submit(&mut scenario, auction, "loser", &[(0, price)]);
        }
        scenario.clear(&auction);
        match end(&scenario, auction) {
            AuctionEnd::Cleared { seed, .. } => seed,
            end => panic!("{end:?}"),
        }
    };
    // The scenario's salts follow from the entries, so another price is another salt.
    let seeds = [seed_with(None), seed_with(Some(101)), seed_with(Some(102))];
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds[0] != seeds[2]);
    assert_eq!(seeds[1], seed_with(Some(101)));
}

#[test]
fn a_replaced_bid_is_recorded_and_does_not_compete() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let first = submit(&mut scenario, auction, "agent", &[(0, 10)]);
    scenario.step();
    let second = attested(
        &scenario,
        &Plan {
            sequence: 1,
            ..plan(auction, "agent", &[(1, 400)])
        },
    );
    scenario.submit_bid(&second);
    scenario.clear(&auction);
    let by = second.content.id();
    assert_eq!(whole(&scenario, first), Some(BidReason::Replaced { by }));
    assert_eq!(
        units(&scenario, auction)[&(0, 0)],
        UnitOutcome::NoCoveringBid
    );
    assert!(matches!(
        entries(&scenario, by)[&1],
        EntryOutcome::Won { .. }
    ));
}

#[test]
fn an_auction_without_bids_clears_empty_and_leaves() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    scenario.clear(&auction);
    assert!(matches!(
        end(&scenario, auction),
        AuctionEnd::Cleared {
            bids: 0,
            surplus: 0,
            ..
        }
    ));
    assert!(scenario.state.auction(&auction).is_none());
}
