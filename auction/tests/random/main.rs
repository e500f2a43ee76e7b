//! Random markets: people send transactions of every kind in any order, sound ones and wrong ones, over several auctions at once. Every
//! block a peer proposes executes, here and on a peer that remembers nothing, and after each block the books balance.
//!
//! A few seeds always; more with `TENDER_MARKETS=0..500 cargo test -p tender-auction --test random`, and one with `7..8`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod books;
mod people;

use books::Books;
use people::People;
use tender_auction::{
    market::{Market, MarketState},
    scenario::{Block, Scenario, VALIDATORS, key},
};
use tender_consensus::{
    application::{Application, BlockContext, Payload},
    evidence::Evidence,
    sim::Rng,
    tx::TxBytes,
    vote::{Vote, VoteKind},
};
use tender_wire::{BlockId, Height, Round, TimeMs, decode, encode};

/// Blocks in which people act.
const BLOCKS: usize = 70;

#[test]
fn whatever_people_send_blocks_execute_and_the_books_balance() {
    let text = std::env::var("TENDER_MARKETS").unwrap_or_else(|_| "0..6".into());
    let (from, to) = text.split_once("..").expect("a range like 0..6");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        println!("market {seed}");
        run(seed);
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let genesis = people::genesis(rng.chance(30));
    let stranger = Market::new(genesis.clone()).unwrap();
    let mut scenario = Scenario::new(genesis);
    let mut people = People::new(rng.bits());
    let mut books = Books::default();
    for _ in 0..BLOCKS {
        if rng.chance(15) {
            let mut absent = VALIDATORS.to_vec();
            absent.retain(|_| rng.chance(15));
            scenario.silent = absent.into_iter().collect();
        }
        if rng.chance(70) {
            scenario.market.prepare(&scenario.state);
        }
        let mut context = scenario.context();
        if rng.chance(4) {
            context.time = TimeMs(context.time.0 + rng.below(900_000));
        }
        if rng.chance(4) {
            context.evidence = vec![equivocation(&scenario, &mut rng)];
        }
        let pool = people.pool(&scenario);
        let block = next(&scenario, &stranger, context, &pool, &mut rng);
        books.enter(&block, &people);
        scenario.commit(block);
    }
    end(&mut scenario, &mut books, &people, &stranger, &mut rng);
}

/// Nobody sends anything any more and the committee does its duty: everything comes to an end.
fn end(
    scenario: &mut Scenario,
    books: &mut Books,
    people: &People,
    stranger: &Market,
    rng: &mut Rng,
) {
    scenario.silent.clear();
    for last in [40, 3] {
        for _ in 0..last {
            let pool: Vec<_> = scenario.duties().iter().map(bytes).collect();
            let mut context = scenario.context();
            if last == 3 {
                context.time = TimeMs(context.time.0 + 24 * 3_600_000); // no lease is longer
            }
            let block = next(scenario, stranger, context, &pool, rng);
            books.enter(&block, people);
            scenario.commit(block);
        }
        assert!(!scenario.state.needs_block());
    }
    assert_eq!(scenario.state.auctions().count(), 0);
    assert_eq!(scenario.state.accounts().count(), 0);
}

/// A block a proposer makes of the pool, executed as every peer would, by one that was there and by one that starts from what is stored.
fn next(
    scenario: &Scenario,
    stranger: &Market,
    context: BlockContext,
    pool: &[TxBytes],
    rng: &mut Rng,
) -> Block {
    let payload = scenario.market.propose(&scenario.state, &context, pool);
    let transactions = payload.transactions.iter().map(|tx| tx.bytes().len());
    let witnesses = payload.witnesses.iter().map(Vec::len);
    assert!(
        transactions.chain(witnesses).sum::<usize>() <= context.params.max_block_bytes as usize
    );
    assert!(payload.transactions.len() <= context.params.max_block_txs as usize);

    let block = scenario
        .execute(context.clone(), payload.clone())
        .expect("what is proposed executes");
    let stored: MarketState = decode(&encode(&scenario.state)).unwrap();
    assert_eq!(stored.root(), scenario.state.root());
    let again = stranger.execute(&stored, &context, &payload).unwrap();
    assert_eq!(again.state_root, block.executed.state_root);
    assert_eq!(again.outcome_root, block.executed.outcome_root);
    assert_eq!(again.outcome, block.executed.outcome);
    assert_eq!(again.next_validators, block.executed.next_validators);
    assert_eq!(again.needs_block, block.executed.needs_block);
    assert!(again.state == block.executed.state);

    // Another block of the same things may or may not execute; it must not panic, nor leave a trace.
    let other = tampered(&payload, pool, rng);
    let _ = stranger.execute(&stored, &context, &other);
    assert_eq!(stored.root(), scenario.state.root());
    block
}

fn tampered(payload: &Payload, pool: &[TxBytes], rng: &mut Rng) -> Payload {
    let mut other = payload.clone();
    let place = |rng: &mut Rng, len: usize| rng.below(len as u64) as usize;
    let transactions = &mut other.transactions;
    match rng.below(5) {
        0 if !transactions.is_empty() => {
            let (a, b) = (
                place(rng, transactions.len()),
                place(rng, transactions.len()),
            );
            transactions.swap(a, b);
        }
        1 if !transactions.is_empty() => {
            transactions.remove(place(rng, transactions.len()));
        }
        2 if !pool.is_empty() => {
            let tx = pool[place(rng, pool.len())].clone();
            let at = place(rng, transactions.len() + 1);
            transactions.insert(at, tx);
        }
        3 if !other.witnesses.is_empty() => {
            let witness = &mut other.witnesses[0];
            let at = place(rng, witness.len());
            witness[at] ^= 1 << rng.below(8);
        }
        _ => other.witnesses.push(vec![0; 8]),
    }
    other
}

/// Two votes of a validator for one slot.
fn equivocation(scenario: &Scenario, rng: &mut Rng) -> Evidence {
    let chain = scenario.state.chain();
    let name = VALIDATORS[rng.below(4) as usize];
    let height = scenario.state.height();
    let vote = |block: u8| {
        let slot = (Height(height.0.max(1)), Round(0), VoteKind::Prevote);
        Vote::sign(&mut key(name), &chain, slot, Some(BlockId([block; 32]))).unwrap()
    };
    Evidence::votes(vote(1), vote(2))
}

fn bytes(tx: &tender_auction::transaction::Transaction) -> TxBytes {
    TxBytes::new(tx.to_bytes()).expect("within the cap")
}
