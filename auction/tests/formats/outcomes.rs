//! Every variant of every outcome, the records of the example's clearing block, certificate files.

use crate::{
    book::Book,
    example::{self, Example},
    run::{Step, certify},
};
use std::collections::BTreeMap;
use tender_auction::{
    certificate::{AssignmentCertificate, SetChange},
    outcome::{
        AuctionEnd, AuctionRecord, AwardRecord, AwardState, BidReason, BidRecord, EntryOutcome,
        FailReason, OutcomeKey, OutcomeRecord, UnitOutcome, outcome_root,
    },
    transaction::AwardRef,
};
use tender_consensus::{
    block::Header,
    certificate::CommitCertificate,
    validators::{Validator, ValidatorSet},
};
use tender_wire::{BidId, Digest, Power, Price, SecretKey, TypeId};

/// Sections 15 and 19.
pub fn add(book: &mut Book, example: &Example, steps: &[Step]) {
    variants(book, example);
    records(book, steps);
    certificates(book, example, steps);
}

fn variants(book: &mut Book, example: &Example) {
    let auction = example.auction;
    let bid = example.bids[0].content.id();
    let award = AwardRef {
        auction,
        task: 0,
        bid,
    };
    for (name, key) in [
        ("auction", OutcomeKey::Auction(auction)),
        ("bid", OutcomeKey::Bid(auction, bid)),
        ("entry", OutcomeKey::Entry(auction, bid, 1)),
        ("unit", OutcomeKey::Unit(auction, 0, 1)),
        ("award", OutcomeKey::Award(award)),
    ] {
        book.value(&format!("outcome_key_{name}"), &key);
    }
    let void = OutcomeRecord::Auction(AuctionRecord {
        auction,
        end: AuctionEnd::NoKeys {
            missing: vec![example::key(1).public()],
        },
    });
    book.wire("record_auction_no_keys", &void);
    let void = AuctionEnd::NoReveals {
        withheld: vec![example::key(1).public()],
    };
    book.value("auction_end_no_reveals", &void);
    let out = OutcomeRecord::Bid(BidRecord {
        auction,
        bid,
        bidder: example::key(example::BIDDER_A).public(),
        asset: example.credential.asset,
        reason: BidReason::SealInvalid,
    });
    book.wire("record_bid_seal_invalid", &out);
    let by = BidId([0xb1; 32]);
    for (name, reason) in [
        ("suspended", BidReason::Suspended),
        ("no_capacity", BidReason::NoCapacity),
        ("replaced", BidReason::Replaced { by }),
        ("no_entries", BidReason::NoEntries),
        ("auction_void", BidReason::AuctionVoid),
    ] {
        book.value(&format!("bid_reason_{name}"), &reason);
    }
    let type_id = TypeId([0xc1; 32]);
    for (name, outcome) in [
        (
            "won",
            EntryOutcome::Won {
                payment: Price(700),
            },
        ),
        ("outbid", EntryOutcome::Outbid { by }),
        ("slots_used", EntryOutcome::SlotsUsed),
        ("above_reserve", EntryOutcome::AboveReserve),
        (
            "not_covered",
            EntryOutcome::NotCovered { type_id, field: 2 },
        ),
        ("not_evidenced", EntryOutcome::NotEvidenced { type_id }),
        ("no_slots", EntryOutcome::NoSlots),
        ("unknown_task", EntryOutcome::UnknownTask),
    ] {
        book.value(&format!("entry_outcome_{name}"), &outcome);
    }
    for (name, outcome) in [
        (
            "filled",
            UnitOutcome::Filled {
                bid: by,
                payment: Price(700),
                price: Price(700),
                set_by: Some(by),
                runner_up: None,
            },
        ),
        ("no_covering_bid", UnitOutcome::NoCoveringBid),
        ("above_reserve", UnitOutcome::AboveReserve),
        ("no_capacity", UnitOutcome::NoCapacity),
        ("auction_void", UnitOutcome::AuctionVoid),
    ] {
        book.value(&format!("unit_outcome_{name}"), &outcome);
    }
    let record = |state| AwardRecord {
        award,
        bidder: example::key(example::BIDDER_A).public(),
        payment: Price(700),
        state,
    };
    book.wire(
        "record_award_accepted",
        &OutcomeRecord::Award(record(AwardState::Accepted)),
    );
    for (name, state) in [
        ("assigned", AwardState::Assigned),
        (
            "delivered",
            AwardState::Delivered {
                result: Digest([0xde; 32]),
            },
        ),
        ("confirmed", AwardState::Confirmed),
        ("rejected", AwardState::Rejected),
        (
            "failed_suspended",
            AwardState::Failed(FailReason::Suspended),
        ),
        ("expired", AwardState::Expired),
    ] {
        book.value(&format!("award_state_{name}"), &state);
    }
}

fn records(book: &mut Book, steps: &[Step]) {
    let step = &steps[6];
    let records = &step.outcome.records;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for record in records.iter() {
        let kind = match record {
            OutcomeRecord::Auction(_) => "auction",
            OutcomeRecord::Bid(_) => "bid",
            OutcomeRecord::Entry(_) => "entry",
            OutcomeRecord::Unit(_) => "unit",
            OutcomeRecord::Award(_) => "award",
        };
        let count = counts.entry(kind).or_default();
        *count += 1;
        book.wire(&format!("record_7_{kind}_{count}"), record);
        book.bytes(&format!("record_7_{kind}_{count}_leaf"), record.leaf());
    }
    assert_eq!(
        counts,
        BTreeMap::from([("auction", 1), ("entry", 3), ("unit", 2)])
    );
    assert_eq!(outcome_root(records), step.block.header.outcome_root);
    book.bytes("outcome_root_7", step.block.header.outcome_root);
    book.bytes("outcome_root_empty", steps[0].block.header.outcome_root);
}

fn certificates(book: &mut Book, example: &Example, steps: &[Step]) {
    let step = &steps[6];
    let records = &step.outcome.records;
    let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
    let assemble = |changes, header: &Header, certificate: &CommitCertificate, index: usize| {
        let (header, certificate) = (header.clone(), certificate.clone());
        let record = records[index].clone();
        let file =
            AssignmentCertificate::assemble(changes, header, certificate, &leaves, index, record);
        let file = file.unwrap();
        file.verify(&example.genesis).unwrap();
        file
    };
    let unit = records
        .iter()
        .position(|r| matches!(r, OutcomeRecord::Unit(_)))
        .unwrap();
    let file = assemble(vec![], &step.block.header, &step.certificate, unit);
    book.text("certificate", file.to_json());

    // The first entry on an imagined chain, where block 3 replaces the last validator by key 05.
    let (old_keys, mut new_keys) = (example::validators(), example::validators());
    *new_keys.last_mut().unwrap() = example::key(5);
    let (old, new) = (set(&old_keys), set(&new_keys));
    let change = Header {
        next_validators_hash: new.hash(),
        ..steps[2].block.header.clone()
    };
    let change = SetChange {
        certificate: certify(&change, &old, &old_keys, &[0, 1, 2]),
        header: change,
        next: new.as_slice().to_vec(),
    };
    let header = Header {
        validators_hash: new.hash(),
        next_validators_hash: new.hash(),
        ..step.block.header.clone()
    };
    let entry = records
        .iter()
        .position(|r| matches!(r, OutcomeRecord::Entry(_)))
        .unwrap();
    let certificate = certify(&header, &new, &new_keys, &[1, 2, 3]);
    let file = assemble(vec![change], &header, &certificate, entry);
    book.text("certificate_set_change", file.to_json());
}

fn set(keys: &[SecretKey]) -> ValidatorSet {
    let validators = keys.iter().map(|key| Validator {
        key: key.public(),
        power: Power(1),
    });
    ValidatorSet::new(validators.collect()).unwrap()
}
