//! Classes that need capacity and a score: real proofs of both types in one bid.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tender_auction::{
    bid::Bid,
    outcome::{EntryOutcome, OutcomeRecord},
    scenario::{
        Plan, Scenario, amounts, attributes, class, genesis, key, points, resources_keys,
        score_keys, spec, task,
    },
    task::{AcceptedKinds, AuctionSpec, Bonus, Class, Requirement, SpecError},
};
use tender_circuits::{Claim, Credential, IssuerMask};
use tender_wire::{AuctionId, Price};

const SUITE: &str = "mlperf-inference-5.1";

fn scored(suite: &str, least: u64) -> Requirement {
    Requirement {
        type_id: score_keys().1.id(),
        requirement: points(suite, least),
        issuers: IssuerMask(0b100),
        kinds: AcceptedKinds {
            proof: true,
            attestation: false,
        },
        min_issuers: 1,
    }
}

fn scenario() -> Scenario {
    let mut genesis = genesis();
    genesis.types.push(score_keys().1.clone());
    Scenario::new(genesis)
}

/// A bid of all slots that shows proofs of these claims.
fn bid(
    scenario: &Scenario,
    auction: AuctionId,
    agent: &str,
    entries: &[(u32, u64)],
    shows: &[(&Credential, Claim)],
) -> Bid {
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 2)],
        entries,
        claim: shows[0].1.clone(),
    };
    let mut content = scenario.seal(&plan);
    content.evidences = shows
        .iter()
        .map(|(credential, claim)| scenario.prove(&content, credential, claim).unwrap())
        .collect();
    content.sign(&scenario.state.chain(), &key(agent))
}

fn outcomes(scenario: &Scenario, agent: &str) -> Vec<EntryOutcome> {
    let entries = scenario.records().filter_map(|record| match record {
        OutcomeRecord::Entry(entry) if entry.bidder == key(agent).public() => Some(entry),
        _ => None,
    });
    entries.map(|entry| entry.outcome.clone()).collect()
}

#[test]
fn capacity_and_a_score_win_together_what_neither_wins_alone() {
    let mut scenario = scenario();
    let score = &score_keys().1;
    let cpus = |n| attributes(&[("cpu_milli", n)]);
    let machine = |scenario: &mut Scenario, agent| scenario.issue(0, agent, agent, cpus(8_000));
    let evaluated = |scenario: &mut Scenario, agent, suite, reached| {
        scenario.issue_of(score, 2, agent, agent, points(suite, reached))
    };
    let [ann, bob, cara, dan] = ["ann", "bob", "cara", "dan"].map(|a| machine(&mut scenario, a));
    let ann_scored = evaluated(&mut scenario, "ann", SUITE, 812);
    let cara_scored = evaluated(&mut scenario, "cara", SUITE, 650);
    let dan_scored = evaluated(&mut scenario, "dan", "another suite", 990);

    let mut ranked = class("ranked", &[("cpu_milli", 4_000)]);
    ranked.requirements.push(scored(SUITE, 700));
    let tasks = vec![task("serve", 0, 1_000, 1), task("label", 0, 1_000, 1)];
    let auction = scenario.open(spec(vec![ranked], tasks));
    let capacity = || amounts(&[("cpu_milli", 8_000)]);
    let bids = [
        bid(
            &scenario,
            auction,
            "ann",
            &[(0, 600), (1, 700)],
            &[(&ann, capacity()), (&ann_scored, points(SUITE, 700))],
        ),
        bid(&scenario, auction, "bob", &[(0, 1)], &[(&bob, capacity())]),
        bid(
            &scenario,
            auction,
            "cara",
            &[(0, 1)],
            &[(&cara, capacity()), (&cara_scored, points(SUITE, 650))],
        ),
        bid(
            &scenario,
            auction,
            "dan",
            &[(0, 1)],
            &[
                (&dan_scored, points("another suite", 990)),
                (&dan, capacity()),
            ],
        ),
    ];
    // More than was reached cannot be proven.
    let over = scenario.prove(&bids[2].content, &cara_scored, &points(SUITE, 700));
    assert!(
        over.unwrap_err()
            .to_string()
            .starts_with("score: claims 700, attested 650")
    );
    for bid in &bids {
        scenario.submit_bid(bid);
    }
    scenario.step();
    scenario.clear(&auction);

    let payment = Price(1_000);
    assert_eq!(
        outcomes(&scenario, "ann"),
        vec![EntryOutcome::Won { payment }; 2]
    );
    let type_id = score.id();
    assert_eq!(
        outcomes(&scenario, "bob"),
        [EntryOutcome::NotEvidenced { type_id }]
    );
    assert_eq!(
        outcomes(&scenario, "cara"),
        [EntryOutcome::NotCovered { type_id, field: 1 }]
    );
    assert_eq!(
        outcomes(&scenario, "dan"),
        [EntryOutcome::NotCovered { type_id, field: 0 }]
    );
    // The ledger is debited in the type that is used up, and in no other.
    let account = scenario.state.account(&ann.asset).unwrap();
    assert_eq!(account.type_id, Some(resources_keys().1.id()));
}

#[test]
fn a_score_alone_limits_no_slots() {
    let mut scenario = scenario();
    let reached = scenario.issue_of(&score_keys().1, 2, "ann", "ann", points(SUITE, 812));
    let ranked = Class {
        name: "ranked".into(),
        requirements: vec![scored(SUITE, 700)],
        bonuses: Vec::new(),
    };
    let tasks = vec![task("serve", 0, 1_000, 1), task("label", 0, 1_000, 1)];
    let auction = scenario.open(spec(vec![ranked], tasks));
    let shows = [(&reached, points(SUITE, 812))];
    let bid = bid(&scenario, auction, "ann", &[(0, 600), (1, 700)], &shows);
    scenario.submit_bid(&bid);
    scenario.step();
    scenario.clear(&auction);
    let payment = Price(1_000);
    assert_eq!(
        outcomes(&scenario, "ann"),
        vec![EntryOutcome::Won { payment }; 2]
    );
}

/// A class that requires a score of 700, and rewards more of it.
fn rewarding(bonuses: &[(u64, u64)]) -> Class {
    let bonuses = bonuses.iter().map(|&(score, amount)| Bonus {
        type_id: score_keys().1.id(),
        claim: points(SUITE, score),
        amount: Price(amount),
    });
    Class {
        name: "ranked".into(),
        requirements: vec![scored(SUITE, 700)],
        bonuses: bonuses.collect(),
    }
}

#[test]
fn a_higher_score_wins_over_a_lower_price_by_its_bonus_and_may_be_paid_it() {
    let mut scenario = scenario();
    let type_id = &score_keys().1;
    let scores = [("ann", 812), ("bob", 790), ("cara", 950), ("dan", 700)];
    let credentials = scores
        .map(|(agent, score)| scenario.issue_of(type_id, 2, agent, agent, points(SUITE, score)));
    let tasks = vec![task("serve", 0, 1_000, 1), task("label", 0, 1_000, 1)];
    let class = rewarding(&[(800, 250), (900, 50)]);
    let auction = scenario.open(spec(vec![class], tasks));
    let entries: [&[(u32, u64)]; 4] = [
        &[(0, 900)],             // and 250: worth 350
        &[(0, 750)],             // and nothing: worth 250
        &[(1, 1_200)],           // and 300: worth 100
        &[(0, 990), (1, 1_001)], // worth 10; above what it may ask
    ];
    for (((agent, score), credential), entries) in scores.iter().zip(&credentials).zip(entries) {
        let shows = [(credential, points(SUITE, *score))];
        scenario.submit_bid(&bid(&scenario, auction, agent, entries, &shows));
    }
    scenario.step();
    scenario.clear(&auction);

    let won = |payment| EntryOutcome::Won {
        payment: Price(payment),
    };
    // As much as bob asks, and by how much it is better than bob beside the price.
    assert_eq!(outcomes(&scenario, "ann"), [won(750 + 250)]);
    let [EntryOutcome::Outbid { .. }] = outcomes(&scenario, "bob")[..] else {
        panic!("{:?}", outcomes(&scenario, "bob"));
    };
    assert_eq!(outcomes(&scenario, "cara"), [won(1_000 + 300)]);
    assert_eq!(outcomes(&scenario, "dan")[1], EntryOutcome::AboveReserve);
    let mut bonuses: Vec<_> = scenario
        .records()
        .filter_map(|record| match record {
            OutcomeRecord::Entry(entry) => Some((entry.task, entry.price.0, entry.bonus.0)),
            _ => None,
        })
        .collect();
    bonuses.sort_unstable();
    let expected = [
        (0, 750, 0),
        (0, 900, 250),
        (0, 990, 0),
        (1, 1_001, 0),
        (1, 1_200, 300),
    ];
    assert_eq!(bonuses, expected);
}

#[test]
fn bonuses_are_few_bounded_and_for_what_is_required() {
    let check = |class: Class| {
        let spec: AuctionSpec = spec(vec![class], vec![task("serve", 0, 1_000, 1)]);
        spec.check()
    };
    check(rewarding(&[(800, 1); 8])).unwrap();
    check(rewarding(&[(800, 1_000_000_000_000_000)])).unwrap();
    for class in [
        rewarding(&[(800, 1); 9]),
        rewarding(&[(800, 0)]),
        rewarding(&[(800, 1_000_000_000_000_001)]),
        rewarding(&[(800, 1_000_000_000_000_000), (900, 1)]),
    ] {
        let refused = check(class).unwrap_err();
        assert!(
            matches!(refused, SpecError::OutOfBounds { .. }),
            "{refused}"
        );
    }
    let mut other = rewarding(&[(800, 1)]);
    other.bonuses[0].type_id = resources_keys().1.id();
    assert_eq!(check(other), Err(SpecError::UnrequiredBonus { class: 0 }));
}
