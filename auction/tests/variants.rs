//! Look-alikes of one bid: another signature, another proof, another sender. Nothing is remembered under a bid's id before its signature
//! verifies, so none of them keeps the real one out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::OnceLock;
use tender_auction::{
    bid::Bid,
    market::{ExecutionError, Market, Refusal},
    scenario::{
        Plan, Scenario, amounts, attributes, class, genesis, key, resources_keys, spec, task,
    },
    transaction::Transaction,
};
use tender_circuits::{Evidence, ProofBytes, ProofEvidence, attacks::rerandomise};
use tender_consensus::{
    application::{Application, Payload},
    tx::TxBytes,
};
use tender_wire::{AuctionId, PublicKey, Signature, Tag, encode};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];

/// An auction in its bidding window and an honest bid.
fn world() -> (Scenario, AuctionId, Bid) {
    static WORLD: OnceLock<(Scenario, AuctionId, Bid)> = OnceLock::new();
    let made = WORLD.get_or_init(|| {
        let mut scenario = Scenario::default();
        let credential = scenario.issue(0, "alice", "m-1", attributes(CLAIM));
        let tasks = vec![task("render", 0, 100, 1)];
        let auction = scenario.open(spec(vec![class("small", &[("cpu_milli", 1_000)])], tasks));
        let bid = scenario.bid(&plan(auction, "alice"), &credential);
        (scenario, auction, bid)
    });
    made.clone()
}

fn plan(auction: AuctionId, agent: &str) -> Plan<'_> {
    Plan {
        auction,
        agent,
        machine: "m-1",
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 50)],
        claim: amounts(CLAIM),
    }
}

fn proof(bid: &mut Bid) -> &mut ProofEvidence {
    match &mut bid.content.evidences[0] {
        Evidence::Proof(proof) => proof,
        Evidence::Attestation(_) => panic!("a proof"),
    }
}

/// The bid with another proof, signed by its bidder all the same.
fn with_proof(bid: &Bid, bytes: ProofBytes) -> Bid {
    let mut other = bid.clone();
    proof(&mut other).proof = bytes;
    let (scenario, ..) = world();
    other.content.sign(&scenario.state.chain(), &key("alice"))
}

fn wrapped(bid: &Bid) -> Transaction {
    Transaction::Bid(Box::new(bid.clone()))
}

fn code(market: &Market, scenario: &Scenario, bid: &Bid) -> Result<(), &'static str> {
    let refused = market.predict(&scenario.state, &wrapped(bid));
    refused.map_err(|refusal| refusal.code())
}

fn payload(bids: &[&Bid]) -> Payload {
    let transactions = bids.iter().map(|bid| TxBytes::new(wrapped(bid).to_bytes()));
    Payload {
        transactions: transactions.collect::<Result<_, _>>().unwrap(),
        witnesses: vec![],
    }
}

/// What a proposer on a market makes of these bids in this order.
fn proposed(market: &Market, scenario: &Scenario, bids: &[&Bid]) -> Payload {
    let candidates = payload(bids).transactions;
    market.propose(&scenario.state, &scenario.context(), &candidates)
}

fn refused(market: &Market, scenario: &Scenario, bids: &[&Bid]) -> (usize, &'static str) {
    let executed = market.execute(&scenario.state, &scenario.context(), &payload(bids));
    match executed.err() {
        Some(ExecutionError::Transaction { index, refusal }) => (index, refusal.code()),
        other => panic!("{other:?}"),
    }
}

/// T3: every bit of the signature flipped, sent first, again and again: the real bid still lands, in the same block and in the next.
#[test]
fn a_flipped_signature_bit_sent_first_does_not_keep_the_real_bid_out() {
    let (mut scenario, auction, bid) = world();
    let flipped: Vec<Bid> = (0..512)
        .map(|bit| {
            let mut flipped = bid.clone();
            flipped.signature.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(flipped.content.id(), bid.content.id());
            assert_ne!(wrapped(&flipped).hash(), wrapped(&bid).hash());
            flipped
        })
        .collect();
    for flipped in &flipped {
        let refused = scenario.predict(&wrapped(flipped)).unwrap_err();
        assert!(matches!(refused, Refusal::BadSignature { .. }), "{refused}");
        assert!(refused.is_state_independent());
    }
    let market = &scenario.market;
    let tried: Vec<&Bid> = flipped.iter().step_by(41).chain([&bid]).collect();
    let block = proposed(market, &scenario, &tried);
    assert_eq!(block, payload(&[&bid]), "the others take no place in it");
    assert_eq!(refused(market, &scenario, &tried), (0, "bad_signature"));
    tried.iter().for_each(|bid| scenario.submit_bid(bid));
    scenario.step();
    let row = scenario.state.auction(&auction).unwrap();
    assert_eq!(row.bids.keys().collect::<Vec<_>>(), [&bid.content.id()]);
}

/// Two variants signed by their bidder, one with a proof of nothing, each sent to another peer first: the good one lands on both.
#[test]
fn a_bad_proofs_verdict_does_not_poison_the_good_variant() {
    let (mut scenario, auction, good) = world();
    let garbled = with_proof(&good, ProofBytes([0xff; 128]));
    let mut moved = proof(&mut good.clone()).proof;
    moved.0[..32].reverse();
    let moved = with_proof(&good, moved);
    for bad in [garbled, moved] {
        assert_eq!(bad.content.id(), good.content.id(), "one bid to the market");
        for order in [[&bad, &good], [&good, &bad]] {
            let peer = Market::new(genesis()).unwrap(); // remembers nothing yet
            for bid in order {
                let expected = if *bid == good {
                    Ok(())
                } else {
                    Err("invalid_proof")
                };
                assert_eq!(code(&peer, &scenario, bid), expected);
                assert_eq!(code(&peer, &scenario, bid), expected, "and again");
            }
            // Together, as a mempool verifies them.
            let claims = order.map(|bid| {
                let claims = peer.predict_but_proofs(&scenario.state, &wrapped(bid));
                claims.unwrap().remove(0)
            });
            let verdicts = peer.verify_proofs(&[&claims[0], &claims[1]]);
            let expected = order.map(|bid| *bid == good);
            assert_eq!(
                verdicts.iter().map(Result::is_ok).collect::<Vec<_>>(),
                expected
            );
            assert_eq!(proposed(&peer, &scenario, &order), payload(&[&good]));
        }
    }
    scenario.submit_bid(&good);
    scenario.step();
    assert_eq!(scenario.state.auction(&auction).unwrap().bids.len(), 1);
}

/// T3: both variants in one block. With a bad proof among them the block is invalid, wherever it stands; of two good ones the first counts and
/// the second makes the block invalid as a duplicate.
#[test]
fn two_variants_in_one_block_are_well_defined() {
    let (scenario, _, good) = world();
    let bad = with_proof(&good, ProofBytes([0xff; 128]));
    let bytes = proof(&mut good.clone()).proof;
    let other = rerandomise(&resources_keys().1, &bytes, [3; 32]).unwrap();
    let other = with_proof(&good, other);
    assert_ne!(other, good);
    for market in [&*scenario.market, &Market::new(genesis()).unwrap()] {
        for (block, verdict) in [
            ([&bad, &good], (0, "invalid_proof")),
            ([&good, &bad], (1, "duplicate")),
            ([&good, &other], (1, "duplicate")),
            ([&other, &good], (1, "duplicate")),
            ([&good, &good], (1, "duplicate")),
        ] {
            assert_eq!(refused(market, &scenario, &block), verdict);
            let first = block.into_iter().find(|bid| **bid != bad).unwrap();
            assert_eq!(proposed(market, &scenario, &block), payload(&[first]));
        }
    }
    // Whichever landed, the chain is in one state but for nothing: the market's identity leaves proofs out.
    let root = |bid: &Bid| {
        let executed = scenario.execute(scenario.context(), payload(&[bid]));
        executed.unwrap().executed.state_root
    };
    assert_eq!(root(&good), root(&other));
}

/// T28: the identity as a bidder's key and a signature every lenient verifier accepts for every message.
#[test]
fn t28_a_weak_key_signs_for_nobody() {
    let (scenario, auction, bid) = world();
    let mut identity = [0; 32];
    identity[0] = 1;
    // R is the identity, s is zero: s·B = R + k·A whatever k is.
    let mut signature = [0; 64];
    signature[0] = 1;
    let mut content = bid.content;
    content.bidder = PublicKey(identity);
    assert_eq!(content.auction, auction);
    let weak = Bid {
        content,
        signature: Signature(signature),
    };
    let message = encode(&weak.content);
    let chain = scenario.state.chain();
    let verdict = weak
        .content
        .bidder
        .verify(Tag::SignBid, &chain, &message, &weak.signature);
    assert!(verdict.is_err());
    assert_eq!(
        code(&scenario.market, &scenario, &weak),
        Err("bad_signature")
    );
}
