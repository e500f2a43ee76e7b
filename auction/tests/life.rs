//! What happens after clearing: acceptance, runners-up, delivery, lease ends; and what validators decide about themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use tender_auction::{
    bid::Bid,
    genesis::{Issuer, Openers},
    market::{Phase, state::MAX_LIVE_PER_OPENER},
    outcome::{AwardState, BidReason, OutcomeRecord},
    scenario::{
        ISSUERS, OPENER, Plan, START, Scenario, VALIDATORS, amounts, attributes, class, genesis,
        key, spec, task,
    },
    task::AuctionSpec,
    transaction::{Action, AwardRef, Change, Proposal, Transaction},
};
use tender_circuits::{Evidence, IssuerIndex, IssuerMask, asset_of};
use tender_consensus::{
    evidence::Evidence as Equivocation,
    vote::{Vote, VoteKind},
};
use tender_wire::{AuctionId, BlockId, Digest, Height, Power, Price, Round, TimeMs};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];

fn small() -> AuctionSpec {
    spec(
        vec![class("small", &[("cpu_milli", 3_000)])],
        vec![task("render", 0, 100, 1)],
    )
}

fn attested(scenario: &Scenario, auction: AuctionId, agent: &str, price: u64) -> Bid {
    attested_for(scenario, auction, agent, &[(0, price)])
}

fn attested_for(
    scenario: &Scenario,
    auction: AuctionId,
    agent: &str,
    entries: &[(u32, u64)],
) -> Bid {
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 1)],
        entries,
        claim: amounts(CLAIM),
    };
    let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
    scenario.attested_bid(&plan, &[attestation])
}

/// A cleared auction with one unit: (scenario, winner's award, runner-up's award if it comes to that).
fn cleared() -> (Scenario, AwardRef, AwardRef) {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let bids = [("winner", 40), ("second", 60)]
        .map(|(agent, price)| attested(&scenario, auction, agent, price));
    for bid in &bids {
        scenario.submit_bid(bid);
    }
    scenario.clear(&auction);
    let [winner, second] = bids.map(|bid| AwardRef {
        auction,
        task: 0,
        bid: bid.content.id(),
    });
    (scenario, winner, second)
}

fn states(scenario: &Scenario, award: AwardRef) -> Vec<AwardState> {
    let steps = scenario.records().filter_map(|record| match record {
        OutcomeRecord::Award(record) if record.award == award => Some(record.state),
        _ => None,
    });
    steps.collect()
}

fn code(scenario: &Scenario, signer: &str, action: Action) -> &'static str {
    scenario
        .predict(&scenario.sign(signer, action))
        .unwrap_err()
        .code()
}

#[test]
fn accept_deliver_confirm_then_the_machine_is_free() {
    let (mut scenario, award, _) = cleared();
    let deliver = || Action::Deliver {
        award,
        result: Digest([4; 32]),
    };
    assert_eq!(code(&scenario, "winner", deliver()), "wrong_state");
    assert_eq!(
        code(&scenario, "second", Action::Accept(award)),
        "not_party"
    );
    assert_eq!(
        code(&scenario, OPENER, Action::Confirm(award)),
        "wrong_state"
    );
    scenario.act("winner", Action::Accept(award));
    scenario.step();
    assert_eq!(
        code(&scenario, "winner", Action::Accept(award)),
        "wrong_state"
    );
    scenario.act("winner", deliver());
    scenario.step();
    assert_eq!(
        code(&scenario, "winner", Action::Confirm(award)),
        "not_party"
    );
    scenario.act(OPENER, Action::Confirm(award));
    scenario.step();
    assert_eq!(
        states(&scenario, award),
        [
            AwardState::Accepted,
            AwardState::Delivered {
                result: Digest([4; 32])
            },
            AwardState::Confirmed
        ]
    );
    assert!(
        scenario.state.account(&asset_of("winner")).is_some(),
        "released at the start of the next block"
    );
    scenario.step();
    assert!(scenario.state.account(&asset_of("winner")).is_none());
    assert!(
        scenario.state.auction(&award.auction).is_none(),
        "a finished auction leaves the state"
    );
    assert_eq!(
        code(&scenario, OPENER, Action::Confirm(award)),
        "unknown_award"
    );
}

#[test]
fn accept_and_deliver_in_one_block_leave_one_record() {
    let (mut scenario, award, _) = cleared();
    scenario.act("winner", Action::Accept(award));
    scenario.act(
        "winner",
        Action::Deliver {
            award,
            result: Digest([4; 32]),
        },
    );
    scenario.step();
    assert_eq!(
        states(&scenario, award),
        [AwardState::Delivered {
            result: Digest([4; 32])
        }]
    );
    scenario.act(OPENER, Action::Reject(award));
    scenario.step();
    assert_eq!(states(&scenario, award)[1], AwardState::Rejected);
}

#[test]
fn without_acceptance_the_runner_up_is_assigned_at_its_own_price() {
    let (mut scenario, award, second) = cleared();
    assert!(
        scenario.state.needs_block(),
        "the accept window runs on blocks"
    );
    let deadline = scenario.state.auction(&award.auction).unwrap().awards[&award].accept_by;
    while scenario.state.height() < deadline {
        assert_eq!(states(&scenario, award), []);
        scenario.step();
    }
    assert_eq!(
        code(&scenario, "winner", Action::Accept(award)),
        "wrong_state"
    );
    scenario.step();
    assert_eq!(states(&scenario, award), [AwardState::Expired]);
    assert_eq!(states(&scenario, second), [AwardState::Assigned]);
    assert!(scenario.state.account(&asset_of("winner")).is_none());
    let row = &scenario.state.auction(&award.auction).unwrap().awards[&second];
    assert_eq!(row.payment, Price(60));
    assert_eq!(
        scenario
            .state
            .account(&asset_of("second"))
            .unwrap()
            .reserved[0],
        3_000
    );
    scenario.act("second", Action::Accept(second));
    scenario.step();
    assert_eq!(
        states(&scenario, second),
        [AwardState::Assigned, AwardState::Accepted]
    );
    assert!(
        !scenario.state.needs_block(),
        "leases keep no clock running"
    );
}

#[test]
fn a_runner_up_whose_evidence_fell_is_passed_over() {
    let (mut scenario, award, second) = cleared();
    scenario.act(
        ISSUERS[0],
        Action::RevokeAttestation {
            asset: asset_of("second"),
            serial: 1,
        },
    );
    for _ in 0..6 {
        scenario.step();
    }
    assert_eq!(states(&scenario, award), [AwardState::Expired]);
    assert_eq!(
        states(&scenario, second),
        [],
        "its evidence no longer stands"
    );
    assert!(scenario.state.auction(&award.auction).is_none());
}

/// One machine is first runner-up of two tasks that fall vacant together: it takes one, is passed over for the other, and is
/// still in line for it once it is free.
#[test]
fn a_runner_up_passed_over_while_busy_keeps_its_rank() {
    let mut scenario = Scenario::default();
    let tasks = vec![task("a", 0, 1_000, 1), task("b", 0, 1_000, 1)];
    let auction = scenario.open(spec(vec![class("small", &[("cpu_milli", 3_000)])], tasks));
    let [_, _, busy, last] = [
        ("first-a", vec![(0, 100)]),
        ("first-b", vec![(1, 100)]),
        ("busy", vec![(0, 500), (1, 400)]),
        ("last", vec![(1, 600)]),
    ]
    .map(|(agent, entries)| {
        let bid = attested_for(&scenario, auction, agent, &entries);
        scenario.submit_bid(&bid);
        bid.content.id()
    });
    scenario.clear(&auction);
    let award = |task, bid| AwardRef { auction, task, bid };
    let wait = |scenario: &mut Scenario, award, state| {
        for _ in 0..20 {
            if states(scenario, award).last() == Some(&state) {
                return;
            }
            scenario.step();
        }
        panic!("{award:?} is not {state:?}: {:?}", states(scenario, award));
    };
    wait(&mut scenario, award(0, busy), AwardState::Assigned);
    assert_eq!(states(&scenario, award(1, busy)), [], "no room for both");
    assert_eq!(states(&scenario, award(1, last)), [AwardState::Assigned]);
    let result = Digest([1; 32]);
    let done = award(0, busy);
    scenario.act("busy", Action::Accept(done));
    scenario.act(
        "busy",
        Action::Deliver {
            award: done,
            result,
        },
    );
    scenario.step();
    scenario.act(OPENER, Action::Confirm(done));
    wait(&mut scenario, award(1, last), AwardState::Expired);
    wait(&mut scenario, award(1, busy), AwardState::Assigned);
}

#[test]
fn a_lease_that_ends_by_block_time_expires_what_is_running() {
    let (mut scenario, award, second) = cleared();
    scenario.act("winner", Action::Accept(award));
    scenario.step();
    let lease_end = TimeMs(START.0 + 3_600_000);
    scenario.step_at(TimeMs(lease_end.0 - 1));
    assert!(scenario.state.account(&asset_of("winner")).is_some());
    scenario.step_at(lease_end);
    assert_eq!(
        states(&scenario, award),
        [AwardState::Accepted, AwardState::Expired]
    );
    assert_eq!(
        states(&scenario, second),
        [],
        "no runner-up for a lease that is over"
    );
    assert!(scenario.state.account(&asset_of("winner")).is_none());
}

#[test]
fn releases_after_the_close_do_not_count_for_the_auction_that_closed() {
    let mut scenario = Scenario::default();
    let (chain, opener) = (scenario.state.chain(), key(OPENER).public());
    let [first, second] =
        [0, 1].map(|nonce| tender_auction::task::auction_id(&chain, &opener, nonce));
    for _ in 0..2 {
        scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    }
    scenario.step();
    scenario.step_until(&second, |phase| matches!(phase, Phase::Bidding { .. }));
    // The machine has room for one unit of 3000.
    let bids = [first, second].map(|auction| attested(&scenario, auction, "one", 10));
    bids.iter().for_each(|bid| scenario.submit_bid(bid));
    scenario.step_until(&second, |phase| matches!(phase, Phase::Reveal { .. }));
    // The first auction opens, clears, and its work is done before the second opens.
    let reveals = scenario.duties();
    scenario.silent.extend(VALIDATORS);
    for tx in &reveals {
        if matches!(tx, Transaction::SealReveal(reveal) if reveal.auction == first) {
            scenario.submit(tx);
        }
    }
    scenario.step();
    scenario.clear(&first);
    let award = AwardRef {
        auction: first,
        task: 0,
        bid: bids[0].content.id(),
    };
    scenario.act("one", Action::Accept(award));
    scenario.act(
        "one",
        Action::Deliver {
            award,
            result: Digest([4; 32]),
        },
    );
    scenario.act(OPENER, Action::Confirm(award));
    scenario.silent.clear();
    scenario.step();
    scenario.step();
    let late = scenario.records().find_map(|record| match record {
        OutcomeRecord::Bid(record) if record.bid == bids[1].content.id() => {
            Some(record.reason.clone())
        }
        _ => None,
    });
    assert_eq!(
        late,
        Some(BidReason::NoCapacity),
        "the release came after the close"
    );
    assert!(scenario.state.account(&asset_of("one")).is_none());
    assert!(scenario.state.auctions().next().is_none());
}

fn approve(scenario: &mut Scenario, names: &[&str], change: &Change, nonce: u64) {
    let proposal = Proposal {
        change: change.clone(),
        nonce,
        expiry: Height(10_000),
    };
    for name in names {
        scenario.act(name, Action::Approve(Box::new(proposal.clone())));
    }
    scenario.step();
}

#[test]
fn more_than_two_thirds_pass_a_proposal_once() {
    let mut scenario = Scenario::default();
    let issuer = Issuer {
        name: "fourth".into(),
        key: key("fourth").public(),
        quota: 5,
    };
    let change = Change::AddIssuer(issuer);
    approve(&mut scenario, &VALIDATORS[..2], &change, 1);
    assert_eq!(scenario.state.issuers().count(), 3);
    approve(&mut scenario, &VALIDATORS[2..3], &change, 1);
    assert_eq!(scenario.state.issuers().count(), 4);
    let again = Proposal {
        change,
        nonce: 1,
        expiry: Height(10_000),
    };
    assert_eq!(
        code(
            &scenario,
            VALIDATORS[3],
            Action::Approve(Box::new(again.clone()))
        ),
        "already_approved"
    );
    assert_eq!(
        code(&scenario, "stranger", Action::Approve(Box::new(again))),
        "not_validator"
    );
}

#[test]
fn an_impossible_change_is_refused_with_its_reason() {
    let scenario = Scenario::default();
    let change = |change: Change| {
        let proposal = Proposal {
            change,
            nonce: 0,
            expiry: Height(10_000),
        };
        let refused =
            scenario.predict(&scenario.sign(VALIDATORS[0], Action::Approve(Box::new(proposal))));
        refused.unwrap_err().to_string()
    };
    let record = scenario.market.genesis().types[0].clone();
    assert!(change(Change::AddType(record)).contains("exists"));
    let weak = Issuer {
        name: "weak".into(),
        key: tender_wire::PublicKey([0; 32]),
        quota: 5,
    };
    assert!(change(Change::AddIssuer(weak)).contains("weak"));
    let heavy = Change::SetValidator {
        key: key("heavy").public(),
        power: Power(1_000_000),
    };
    assert!(change(heavy).contains("3f + 1"));
    assert!(change(Change::Unjail(key(VALIDATORS[1]).public())).contains("not jailed"));
    assert!(change(Change::RemoveIssuer(IssuerIndex::new(7).unwrap())).contains("not listed"));
}

#[test]
fn at_most_one_set_change_per_height() {
    let mut scenario = Scenario::default();
    for (name, nonce) in [("fifth", 1), ("sixth", 2)] {
        let proposal = Proposal {
            change: Change::SetValidator {
                key: key(name).public(),
                power: Power(10),
            },
            nonce,
            expiry: Height(10_000),
        };
        for validator in &VALIDATORS[..3] {
            scenario.act(validator, Action::Approve(Box::new(proposal.clone())));
        }
    }
    scenario.step();
    assert_eq!(scenario.state.validators().len(), 5);
    scenario.step();
    assert_eq!(scenario.state.validators().len(), 6);
}

#[test]
fn delisting_an_issuer_zeroes_its_leaves_and_suspends_who_relied_on_it() {
    let mut scenario = Scenario::default();
    let credential = scenario.issue(0, "alice", "alice", attributes(CLAIM));
    let kept = scenario.issue(1, "bob", "bob", attributes(CLAIM));
    let before = scenario.state.good_root().unwrap();
    let change = Change::RemoveIssuer(IssuerIndex::new(0).unwrap());
    approve(&mut scenario, &VALIDATORS[..3], &change, 1);
    assert!(scenario.state.find_leaf(&credential.leaf()).is_none());
    assert!(scenario.state.find_leaf(&kept.leaf()).is_some());
    assert_ne!(scenario.state.good_root().unwrap(), before);
    let leaf = Action::Issue {
        commitment: credential.commitment(),
        asset: credential.asset,
    };
    assert_eq!(code(&scenario, ISSUERS[0], leaf), "not_issuer");
    let auction = scenario.open(small());
    let verdict = |bid: Bid| {
        let refused = scenario.predict(&Transaction::Bid(Box::new(bid)));
        refused.map_err(|refusal| refusal.code())
    };
    let bid = attested(&scenario, auction, "alice", 10);
    assert_eq!(verdict(bid), Err("issuer_not_listed"));
    // Nor may a proof hide among de-listed issuers.
    let plan = Plan {
        auction,
        agent: "bob",
        machine: "bob",
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 10)],
        claim: amounts(CLAIM),
    };
    let bid = scenario.bid(&plan, &kept);
    assert_eq!(verdict(bid.clone()), Ok(()));
    let mut content = bid.content;
    let Evidence::Proof(proof) = &mut content.evidences[0] else {
        panic!("a proof")
    };
    proof.issuers = IssuerMask(0b11);
    let hidden = content.sign(&scenario.state.chain(), &key("bob"));
    assert_eq!(verdict(hidden), Err("issuer_not_listed"));
}

fn equivocation(scenario: &Scenario, name: &str, height: u64) -> Equivocation {
    let chain = scenario.state.chain();
    let vote = |block: u8| {
        let slot = (Height(height), Round(0), VoteKind::Prevote);
        Vote::sign(&mut key(name), &chain, slot, Some(BlockId([block; 32]))).unwrap()
    };
    Equivocation::votes(vote(1), vote(2))
}

#[test]
fn an_equivocator_is_jailed_unless_fewer_than_four_are_left_and_comes_back_by_vote() {
    let mut scenario = Scenario::default();
    let culprit = VALIDATORS[0];
    scenario.step();
    let evidence = equivocation(&scenario, culprit, 1);
    scenario.step_with(vec![evidence.clone()]);
    assert_eq!(
        scenario.state.validators().len(),
        4,
        "three validators tolerate nothing"
    );

    let fifth = Change::SetValidator {
        key: key("fifth").public(),
        power: Power(10),
    };
    approve(&mut scenario, &VALIDATORS[..3], &fifth, 1);
    assert_eq!(scenario.state.validators().len(), 5);
    scenario.step_with(vec![evidence]);
    assert_eq!(scenario.state.validators().len(), 4);
    assert!(
        scenario
            .state
            .validators()
            .index_of(&key(culprit).public())
            .is_none()
    );
    assert_eq!(
        scenario.state.jailed().collect::<Vec<_>>(),
        [(&key(culprit).public(), &Power(10))]
    );

    approve(
        &mut scenario,
        &VALIDATORS[1..],
        &Change::Unjail(key(culprit).public()),
        2,
    );
    assert_eq!(scenario.state.validators().len(), 5);
    assert_eq!(scenario.state.jailed().count(), 0);
}

#[test]
fn openers_can_be_listed() {
    let mut genesis = genesis();
    genesis.openers = Openers::List(vec![key(OPENER).public()]);
    let scenario = Scenario::new(genesis);
    let open = || Action::OpenAuction(Box::new(small()));
    assert_eq!(scenario.predict(&scenario.sign(OPENER, open())), Ok(()));
    assert_eq!(code(&scenario, "stranger", open()), "not_opener");
}

/// One opener can hold only so many of the chain's places for auctions, and says which.
#[test]
fn an_opener_with_as_many_live_auctions_as_allowed_opens_no_more() {
    let mut scenario = Scenario::default();
    let open = || Action::OpenAuction(Box::new(small()));
    for _ in 0..MAX_LIVE_PER_OPENER {
        scenario.act(OPENER, open());
    }
    scenario.step();
    assert_eq!(code(&scenario, OPENER, open()), "opener_limit");
    assert_eq!(scenario.predict(&scenario.sign("other", open())), Ok(()));
}
