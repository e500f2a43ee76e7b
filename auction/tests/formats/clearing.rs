//! Tie breaking and witnesses.

use crate::{book::Book, example::Example};
use std::hash::Hasher as _;
use tender_auction::{
    clearing::{Market, MarketBid, MarketTask, PaymentRule, Witness, clear, tie_seed},
    market::witness::AuctionWitness,
};
use tender_wire::{BidId, Digest, Price, PublicKey, Tag, hash};

/// Section 14.
pub fn add(book: &mut Book, example: &Example) {
    let opened = example.bids.iter().zip(&example.bodies);
    let opened: Vec<_> = opened
        .map(|(bid, body)| (bid.content.id(), body.salt))
        .collect();
    let seed = tie_seed(&example.auction, &opened);
    let mut sorted: Vec<_> = opened
        .iter()
        .map(|(id, salt)| [id.0, *salt].concat())
        .collect();
    sorted.sort();
    let parts = [&[example.auction.0.to_vec()][..], &sorted].concat();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    assert_eq!(seed, hash(Tag::TieSeed, &parts));
    book.bytes("tie_seed", seed);
    book.bytes("tie_key_0", tie_key(&seed, 0));
    book.bytes(
        "tie_weight_a_0",
        weight(&seed, 0, &opened[0].0, 0).to_le_bytes(),
    );
    book.bytes(
        "tie_weight_b_0",
        weight(&seed, 0, &opened[1].0, 0).to_le_bytes(),
    );
    ties_follow_the_weights(&seed);
    // A wins task 0 for 600, and B's 700 sets its price. The market's bids are in order of their ids, one entry each.
    let winner = u32::from(opened[0].0 > opened[1].0);
    let witness = Witness::V2 {
        nonce: 0,
        won: vec![winner],
        setters: vec![1 - winner],
    };
    book.wire("class_witness", &witness);
    book.wire(
        "auction_witness",
        &AuctionWitness {
            classes: vec![witness],
        },
    );
}

fn tie_key(seed: &Digest, nonce: u32) -> [u8; 16] {
    let digest = hash(Tag::TieKey, &[seed.as_ref(), &nonce.to_le_bytes()]);
    std::array::from_fn(|i| digest.0[i])
}

fn weight(seed: &Digest, nonce: u32, bid: &BidId, task: u32) -> u64 {
    let mut sip = siphasher::sip::SipHasher24::new_with_key(&tie_key(seed, nonce));
    sip.write(&[bid.as_ref(), &task.to_le_bytes()].concat());
    (sip.finish() >> 8) + 1
}

/// Among bids equal in money the heaviest wins: the weights written out here are those the market uses.
fn ties_follow_the_weights(seed: &Digest) {
    let ids: Vec<_> = (1..=40u8).map(|n| BidId([n; 32])).collect();
    for task in 0..8 {
        let tasks = vec![MarketTask {
            id: task,
            reserve: Price(10),
            quantity: 1,
        }];
        let bid = |bid_id: &BidId| MarketBid {
            bid_id: *bid_id,
            bidder: PublicKey(bid_id.0),
            slots: 1,
            bonus: 0,
        };
        let bids = ids.iter().map(|id| (bid(id), [(task, Price(7))]));
        let market = Market::new(tasks, bids).unwrap();
        let (_, clearing) = clear(&market, seed, PaymentRule::Vcg).unwrap();
        let heaviest = ids
            .iter()
            .max_by_key(|id| weight(seed, clearing.nonce, id, task));
        assert_eq!(Some(&ids[clearing.awards[0].bid]), heaviest);
    }
}
