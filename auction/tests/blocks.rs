//! Blocks: what is proposed executes, what is tampered with does not, and the same blocks give the same roots everywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use tender_auction::{
    clearing::Witness,
    market::{
        ExecutionError, Market, MarketState, Phase, execute::MAX_BLOCK_BIDS,
        witness::AuctionWitness,
    },
    scenario::{ISSUERS, OPENER, Plan, Scenario, amounts, attributes, class, genesis, spec, task},
    task::AuctionSpec,
    transaction::{Action, AwardRef, SealRevealTx, Transaction},
};
use tender_circuits::asset_of;
use tender_consensus::{
    application::{Application, Payload},
    tx::TxBytes,
};
use tender_wire::{AuctionId, BidId, Digest, FieldBytes, decode, encode};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];

fn small() -> AuctionSpec {
    let classes = vec![
        class("a", &[("cpu_milli", 1_000)]),
        class("b", &[("cpu_milli", 2_000)]),
    ];
    spec(
        classes,
        vec![
            task("x", 0, 100, 2),
            task("y", 0, 90, 1),
            task("z", 1, 80, 1),
        ],
    )
}

fn attested(
    scenario: &Scenario,
    auction: AuctionId,
    agent: &str,
    entries: &[(u32, u64)],
) -> Transaction {
    let slots = &[(0, 1), (1, 1)];
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots,
        entries,
        claim: amounts(CLAIM),
    };
    let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
    Transaction::Bid(Box::new(scenario.attested_bid(&plan, &[attestation])))
}

/// A whole auction with a proof among its bids; stops before the block that clears it.
fn about_to_clear() -> (Scenario, AuctionId) {
    let mut scenario = Scenario::default();
    let credential = scenario.issue(0, "proven", "proven", attributes(CLAIM));
    let auction = scenario.open(small());
    let plan = Plan {
        auction,
        agent: "proven",
        machine: "proven",
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 50), (1, 40)],
        claim: amounts(CLAIM),
    };
    let proven = scenario.bid(&plan, &credential);
    scenario.submit_bid(&proven);
    for (agent, entries) in [
        ("p", [(0, 50), (2, 60)]),
        ("q", [(0, 50), (2, 60)]),
        ("r", [(1, 40), (2, 60)]),
    ] {
        let bid = attested(&scenario, auction, agent, &entries);
        scenario.submit(&bid);
    }
    scenario.step_until(&auction, |phase| {
        matches!(
            phase,
            Phase::Reveal {
                opened: Some(_),
                ..
            }
        )
    });
    (scenario, auction)
}

/// What makes a wrong witness of a right one: its nonce, entries that win, entries that set prices.
type Change = dyn Fn(&mut u32, &mut Vec<u32>, &mut Vec<u32>);

#[test]
fn b6_a_block_with_a_wrong_clearing_does_not_execute() {
    let (scenario, _) = about_to_clear();
    let context = scenario.context();
    let honest = scenario.market.propose(&scenario.state, &context, &[]);
    scenario
        .execute(context.clone(), honest.clone())
        .expect("what is proposed executes");
    let refused = |witnesses: Vec<Vec<u8>>| {
        let payload = Payload {
            witnesses,
            ..honest.clone()
        };
        let refused = scenario
            .execute(context.clone(), payload)
            .err()
            .expect("must be refused");
        assert!(matches!(refused, ExecutionError::Witness(_)), "{refused}");
    };
    refused(vec![]);
    refused([honest.witnesses.clone(), honest.witnesses.clone()].concat());
    refused(vec![vec![0; 3]]);
    let altered = |change: &Change| {
        let mut witness: AuctionWitness = decode(&honest.witnesses[0]).unwrap();
        let Witness::V2 {
            nonce,
            won,
            setters,
        } = &mut witness.classes[0]
        else {
            panic!("form 2");
        };
        change(nonce, won, setters);
        vec![encode(&witness)]
    };
    refused(altered(&|nonce, _, _| *nonce += 1));
    refused(altered(&|_, won, _| won.truncate(won.len() - 1)));
    refused(altered(&|_, won, _| won.reverse()));
    refused(altered(&|_, _, setters| {
        setters.truncate(setters.len() - 1)
    }));
    refused(altered(&|_, _, setters| setters.push(u32::MAX)));
    refused(altered(&|_, won, setters| std::mem::swap(won, setters)));
    let mut fewer: AuctionWitness = decode(&honest.witnesses[0]).unwrap();
    fewer.classes.pop();
    refused(vec![encode(&fewer)]);

    // An earlier build's, and that is said.
    let mut old: AuctionWitness = decode(&honest.witnesses[0]).unwrap();
    for class in &mut old.classes {
        *class = Witness::V1 {
            nonce: 0,
            winners: vec![vec![0], vec![]],
        };
    }
    let payload = Payload {
        witnesses: vec![encode(&old)],
        ..honest.clone()
    };
    let error = scenario.execute(context.clone(), payload).err().unwrap();
    assert_eq!(
        error.to_string(),
        "clearing witnesses: class 0: a witness of form 1, this build reads form 2: a chain made by an earlier build is checked by that build"
    );

    // Nor on a peer that has not cleared this market before, and after refusing it takes the right one.
    let fresh = Market::new(genesis()).unwrap();
    let wrong = Payload {
        witnesses: altered(&|_, won, _| won.truncate(won.len() - 1)),
        ..honest.clone()
    };
    let refused = fresh.execute(&scenario.state, &context, &wrong).err();
    assert!(matches!(refused, Some(ExecutionError::Witness(_))));
    let executed = fresh.execute(&scenario.state, &context, &honest).unwrap();
    let here = scenario.execute(context, honest).unwrap().executed;
    assert_eq!(executed.state_root, here.state_root);
}

#[test]
fn every_transaction_applies_in_order_or_the_block_is_invalid() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let bid = attested(&scenario, auction, "p", &[(0, 50)]);
    let bytes = TxBytes::new(bid.to_bytes()).unwrap();
    let twice = Payload {
        transactions: vec![bytes.clone(), bytes],
        witnesses: vec![],
    };
    assert!(matches!(
        scenario.execute(scenario.context(), twice).err().unwrap(),
        ExecutionError::Transaction { index: 1, .. }
    ));
    let junk = Payload {
        transactions: vec![TxBytes::new(vec![9; 40]).unwrap()],
        witnesses: vec![],
    };
    assert!(matches!(
        scenario.execute(scenario.context(), junk).err().unwrap(),
        ExecutionError::Transaction { index: 0, .. }
    ));
}

#[test]
fn the_same_blocks_give_the_same_roots_on_a_market_that_remembers_nothing() {
    let (mut scenario, auction) = about_to_clear();
    scenario.clear(&auction);
    let fresh = Market::new(genesis()).unwrap();
    let mut state = fresh.initial_state().clone();
    for block in &scenario.blocks {
        assert_eq!(state.root(), block.parent.root());
        // Once from the running state and once from its snapshot: what is hashed is what is stored.
        let snapshot: MarketState = decode(&encode(&state)).unwrap();
        assert_eq!(snapshot.root(), state.root());
        let executed = fresh
            .execute(&snapshot, &block.context, &block.payload)
            .unwrap();
        assert_eq!(executed.state_root, block.executed.state_root);
        assert_eq!(executed.outcome_root, block.executed.outcome_root);
        assert_eq!(executed.outcome, block.executed.outcome);
        state = executed.state;
    }
    assert_eq!(state, scenario.state);
}

#[test]
fn a_mempool_in_any_order_gives_a_block_that_executes() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let mut pool = Vec::new();
    for agent in ["p", "q", "r"] {
        pool.push(attested(&scenario, auction, agent, &[(0, 50)]));
    }
    for serial in 0..4u8 {
        let commitment = FieldBytes::from_u64(u64::from(serial) + 1);
        let action = Action::Issue {
            commitment,
            asset: asset_of("p"),
        };
        let tx = scenario.sign(ISSUERS[0], action);
        scenario.submit(&tx); // so that the next one takes the next sequence number
        pool.push(tx);
    }
    let bytes: Vec<_> = pool
        .iter()
        .map(|tx| TxBytes::new(tx.to_bytes()).unwrap())
        .collect();
    let mut counter = 7u64;
    for _ in 0..20 {
        let mut shuffled = bytes.clone();
        for i in (1..shuffled.len()).rev() {
            counter = counter
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(i, (counter >> 33) as usize % (i + 1));
        }
        let payload = scenario
            .market
            .propose(&scenario.state, &scenario.context(), &shuffled);
        assert_eq!(
            payload.transactions.len(),
            bytes.len(),
            "everything applies, whatever order it came in"
        );
        scenario
            .execute(scenario.context(), payload)
            .expect("what is proposed executes");
    }
}

#[test]
fn t26_a_block_holds_so_many_bids_and_no_more() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    let bids: Vec<_> = (0..=MAX_BLOCK_BIDS)
        .map(|i| attested(&scenario, auction, &format!("agent-{i}"), &[(0, 50)]))
        .map(|bid| TxBytes::new(bid.to_bytes()).unwrap())
        .collect();
    let proposed = scenario
        .market
        .propose(&scenario.state, &scenario.context(), &bids);
    assert_eq!(proposed.transactions.len(), MAX_BLOCK_BIDS);
    scenario
        .execute(scenario.context(), proposed)
        .expect("what is proposed executes");
    let all = Payload {
        transactions: bids,
        witnesses: vec![],
    };
    let refused = scenario.execute(scenario.context(), all).err().unwrap();
    assert_eq!(refused, ExecutionError::TooManyBids);
}

#[test]
fn small_blocks_leave_room_for_keys_and_reveals() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small());
    scenario.step_until(&auction, |phase| matches!(phase, Phase::Reveal { .. }));
    let mut pool = Vec::new();
    for serial in 0..16u8 {
        let commitment = FieldBytes::from_u64(u64::from(serial) + 1);
        let action = Action::Issue {
            commitment,
            asset: asset_of("p"),
        };
        let tx = scenario.sign(ISSUERS[0], action);
        scenario.submit(&tx);
        pool.push(TxBytes::new(tx.to_bytes()).unwrap());
    }
    pool.extend(
        scenario
            .duties()
            .iter()
            .map(|tx| TxBytes::new(tx.to_bytes()).unwrap()),
    );
    let mut context = scenario.context();
    let mut params = (*context.params).clone();
    params.max_block_txs = 8;
    context.params = Arc::new(params);
    let payload = scenario.market.propose(&scenario.state, &context, &pool);
    let reveals = payload
        .transactions
        .iter()
        .map(|tx| Transaction::from_bytes(tx.bytes()).unwrap());
    assert_eq!(
        reveals
            .filter(|tx| matches!(tx, Transaction::SealReveal(_)))
            .count(),
        4
    );
    assert_eq!(
        payload.transactions.len(),
        7,
        "an eighth is kept free of everything else"
    );
}

/// Where an eighth of a block is less than a transaction, nothing is kept free, or nothing would ever be put into one.
#[test]
fn blocks_of_a_few_transactions_take_everything_in_the_end() {
    for most in 1..9 {
        let mut genesis = genesis();
        genesis.consensus.max_block_txs = most;
        let mut scenario = Scenario::new(genesis);
        let mut spec = small();
        spec.windows.keys = 8;
        spec.windows.reveal = 8;
        let auction = scenario.open(spec);
        let bid = attested(&scenario, auction, "p", &[(0, 50)]);
        assert_eq!(scenario.predict(&bid), Ok(()));
        scenario.submit(&bid);
        scenario.step();
        assert_eq!(scenario.state.auction(&auction).unwrap().bids.len(), 1);
        scenario.clear(&auction);
        assert_eq!(
            scenario.state.awards().count(),
            1,
            "{most} transactions a block"
        );
    }
}

/// Well-formed transactions of every kind, most of them wrong for the state they meet: nothing panics, nothing half-applies.
#[test]
fn random_transactions_never_panic_and_what_is_proposed_always_executes() {
    let mut counter = 1u64;
    let mut random = |below: u64| {
        counter = counter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (counter >> 33) % below
    };
    let names = ["p", "q", "r", OPENER, ISSUERS[0], ISSUERS[1], "validator-0"];
    for _ in 0..6 {
        let mut scenario = Scenario::default();
        let mut auction = None;
        for _ in 0..60 {
            let known: Option<AuctionId> =
                scenario.state.auctions().map(|a| a.id).last().or(auction);
            auction = known;
            let id = known.unwrap_or(AuctionId([1; 32]));
            let award = match scenario.state.awards().next() {
                Some(award) if random(4) > 0 => award.award,
                _ => AwardRef {
                    auction: id,
                    task: random(4) as u32,
                    bid: BidId([2; 32]),
                },
            };
            let name = names[random(names.len() as u64) as usize];
            let number = random(4) as u32;
            let action = match random(9) {
                0 if scenario.state.auctions().count() < 3 => {
                    Action::OpenAuction(Box::new(small()))
                }
                1 => Action::Issue {
                    commitment: FieldBytes::from_u64(u64::from(number)),
                    asset: asset_of(name),
                },
                2 => Action::Revoke { index: number },
                3 => Action::RevokeAttestation {
                    asset: asset_of(name),
                    serial: u64::from(number),
                },
                4 => Action::Accept(award),
                5 => Action::Deliver {
                    award,
                    result: Digest([1; 32]),
                },
                6 => Action::Confirm(award),
                7 => Action::Reject(award),
                _ => Action::OpenAuction(Box::new(AuctionSpec {
                    tasks: vec![],
                    ..small()
                })),
            };
            let tx = scenario.sign(name, action);
            if random(2) == 0 || scenario.predict(&tx).is_ok() {
                scenario.submit(&tx);
            }
            let bidding = known
                .and_then(|id| scenario.state.auction(&id))
                .is_some_and(|a| matches!(a.phase, Phase::Bidding { .. }));
            if bidding {
                let bid = attested(&scenario, id, name, &[(random(5) as u32, random(120) + 1)]);
                scenario.submit(&bid);
                let mut bytes = bid.to_bytes();
                let at = random(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random(8);
                if let Ok(tx) = Transaction::from_bytes(&bytes) {
                    assert!(scenario.predict(&tx).is_err(), "a flipped bit never passes");
                    scenario.submit(&tx);
                }
            }
            let reveal = tender_auction::seal::Reveal([random(250) as u8; 32]);
            scenario.submit(&Transaction::SealReveal(SealRevealTx {
                auction: id,
                rank: random(6) as u8,
                reveal,
            }));
            scenario.silent.clear();
            if random(5) == 0 {
                scenario.silent.insert("validator-1");
                scenario.silent.insert("validator-2");
            }
            scenario.step(); // panics if the proposal does not execute
        }
    }
}
