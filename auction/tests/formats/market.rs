//! Seals, bids, transactions, governance, genesis, tie breaking, witnesses, outcomes.

use crate::{
    book::Book,
    example::{self, Example, THRESHOLD},
};
use curve25519_dalek::{RistrettoPoint, Scalar};
use hkdf::Hkdf;
use sha2::Sha256;
use tender_auction::{
    bid::EvidenceSummary,
    clearing::{PaymentRule, Witness, tie_seed},
    genesis::{Issuer, Openers},
    market::witness::AuctionWitness,
    outcome::{
        AuctionEnd, AuctionRecord, AwardRecord, AwardState, BidReason, BidRecord, EntryOutcome,
        FailReason, OutcomeKey, OutcomeRecord, UnitOutcome,
    },
    seal::Sealed,
    transaction::{Action, AwardRef, Change, Proposal, SignedTx, Transaction},
};
use tender_circuits::{Evidence, IssuerIndex};
use tender_wire::{BidId, Digest, Height, Power, Price, PublicKey, Tag, TypeId, encode, hash};

/// Sections 9 to 14.
pub fn add(book: &mut Book, example: &Example) {
    committee(book, example);
    sealing(book, example);
    bids(book, example);
    transactions(book, example);
    governance(book, example);
    genesis(book, example);
    clearing(book, example);
    outcomes(book, example);
}

/// `S(tag, parts…)`.
fn scalar(tag: Tag, parts: &[&[u8]]) -> Scalar {
    let half = |n: u8| hash(tag, &[parts, &[&[n]]].concat()).0;
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&half(0));
    wide[32..].copy_from_slice(&half(1));
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn committee(book: &mut Book, example: &Example) {
    let (member, key, proof, reveal) = example.members[0];
    let (chain, auction) = (example.chain, example.auction);
    let mut wide = [0; 64];
    let info = [chain.0, auction.0, example::OPENING_BLOCK.0].concat();
    Hkdf::<Sha256>::new(Some(&Tag::SealKey.bytes()), &[0x41; 32])
        .expand(&info, &mut wide)
        .unwrap();
    let secret = Scalar::from_bytes_mod_order_wide(&wide);
    assert_eq!(secret.to_bytes(), reveal.0);
    book.bytes("seal_hkdf_1", wide);
    book.bytes("seal_reveal_1", reveal);
    for (rank, (_, key, ..)) in (1..).zip(&example.members) {
        book.bytes(&format!("seal_key_{rank}"), key);
    }
    let about: [&[u8]; 3] = [chain.as_ref(), auction.as_ref(), member.as_ref()];
    let nonce = scalar(
        Tag::SealPokNonce,
        &[&[reveal.as_ref()], &about[..]].concat(),
    );
    let commitment = RistrettoPoint::mul_base(&nonce).compress().0;
    let challenge = scalar(
        Tag::SealPok,
        &[&about[..], &[key.as_ref(), &commitment]].concat(),
    );
    book.bytes("seal_pok_nonce_1", nonce.to_bytes());
    book.bytes("seal_pok_challenge_1", challenge.to_bytes());
    book.bytes("seal_proof_1", proof);
    assert_eq!(proof.0[..32], commitment);
    assert_eq!(proof.0[32..], (nonce + challenge * secret).to_bytes());
}

/// The formulas, written out once more, must give what the type gives.
fn sealing(book: &mut Book, example: &Example) {
    let content = &example.bids[0].content;
    let sealed = &content.sealed;
    let seed = [0xa5; 32];
    let associated = book.value("seal_associated_a", &content.associated(&example.chain));
    let keys: Vec<u8> = example
        .members
        .iter()
        .flat_map(|(_, key, ..)| key.0)
        .collect();
    let threshold = (THRESHOLD as u32).to_le_bytes();
    let context = hash(Tag::SealContext, &[&associated, &threshold, &keys]);
    book.bytes("seal_context_a", context);
    let about: [&[u8]; 2] = [context.as_ref(), &seed];
    let coefficients: Vec<_> = (0..THRESHOLD as u32)
        .map(|k| scalar(Tag::SealPoly, &[&about[..], &[&k.to_le_bytes()]].concat()))
        .collect();
    for (k, coefficient) in coefficients.iter().enumerate() {
        book.bytes(&format!("seal_coefficient_{k}"), coefficient.to_bytes());
    }
    let ephemeral = scalar(Tag::SealEphemeral, &about);
    book.bytes("seal_ephemeral", ephemeral.to_bytes());
    assert_eq!(RistrettoPoint::mul_base(&ephemeral).compress().0, sealed.u);

    let secret = Scalar::from_canonical_bytes(example.members[0].3.0).unwrap();
    let point = curve25519_dalek::ristretto::CompressedRistretto(sealed.u)
        .decompress()
        .unwrap();
    let shared = (point * secret).compress().0;
    let mask = hash(
        Tag::SealMask,
        &[context.as_ref(), &1u32.to_le_bytes(), &sealed.u, &shared],
    );
    let share: Scalar = coefficients.iter().sum(); // f(1)
    book.bytes("seal_shared_1", shared);
    book.bytes("seal_mask_1", mask);
    book.bytes("seal_share_1", share.to_bytes());
    assert_eq!(sealed.shares[0], xor(&share.to_bytes(), &mask.0));
    let mask = hash(
        Tag::SealSeed,
        &[context.as_ref(), &coefficients[0].to_bytes()],
    );
    book.bytes("seal_seed_mask", mask);
    assert_eq!(sealed.seed, xor(&seed, &mask.0));
    book.bytes("seal_body_key", hash(Tag::SealBody, &about));
    book.bytes("seal_plaintext_a", &*example.bodies[0].encode(2).unwrap());
    let bytes = book.wire::<Sealed>("sealed_a", sealed);
    assert_eq!(hash(Tag::Ciphertext, &[&bytes]), content.ciphertext_hash());
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn bids(book: &mut Book, example: &Example) {
    for (name, bid) in ["a", "b"].iter().zip(&example.bids) {
        let content = &bid.content;
        let bytes = book.value(&format!("bid_content_{name}"), content);
        let summary = EvidenceSummary::of(&content.evidences[0]);
        book.value(&format!("evidence_summary_{name}"), &summary);
        let identity = book.value(
            &format!("bid_identity_{name}"),
            &(
                (
                    content.auction,
                    content.bidder,
                    content.sequence,
                    content.asset,
                ),
                (vec![summary], &content.slots, &content.sealed),
            ),
        );
        assert_eq!(Digest::from(content.id()), hash(Tag::Bid, &[&identity]));
        book.bytes(&format!("bid_id_{name}"), content.id());
        let signed = content
            .bidder
            .verify(Tag::SignBid, &example.chain, &bytes, &bid.signature);
        assert_eq!(signed, Ok(()));
        book.bytes(&format!("bid_signature_{name}"), bid.signature);
        let tx = Transaction::Bid(Box::new(bid.clone()));
        book.wire(&format!("tx_bid_{name}"), &tx);
        book.bytes(&format!("tx_bid_{name}_hash"), tx.hash());
    }
    assert!(matches!(
        example.bids[0].content.evidences[0],
        Evidence::Proof(_)
    ));
}

fn transactions(book: &mut Book, example: &Example) {
    let award = AwardRef {
        auction: example.auction,
        task: 0,
        bid: example.bids[0].content.id(),
    };
    book.value("award_ref", &award);
    let [opening, keys, _, reveals] = example.transactions();
    book.wire("tx_seal_key", &keys[0]);
    book.bytes("tx_seal_key_hash", keys[0].hash());
    book.wire("tx_seal_reveal", &reveals[0]);
    book.bytes("tx_seal_reveal_hash", reveals[0].hash());
    book.value("auction_spec", &example.spec);
    book.bytes("auction_id", example.auction);
    book.wire("tx_open_auction", &opening[1]);
    book.bytes("tx_open_auction_hash", opening[1].hash());
    let mut action = |name: &str, signer: u8, action: Action| {
        let tx = SignedTx::new(&example.chain, &example::key(signer), 1, action);
        let mut message = encode(&(tx.signer, tx.sequence));
        message.extend(book.value(&format!("action_{name}"), &tx.action));
        let verdict = tx
            .signer
            .verify(Tag::SignTx, &example.chain, &message, &tx.signature);
        assert_eq!(verdict, Ok(()));
        book.wire(&format!("tx_{name}"), &Transaction::Signed(Box::new(tx)));
    };
    let (leaf, asset) = (example.credential.leaf(), example.credential.asset);
    action("issue", example::ISSUER, Action::Issue { leaf, asset });
    action("revoke", example::ISSUER, Action::Revoke { index: 3 });
    action(
        "revoke_attestation",
        example::ISSUER,
        Action::RevokeAttestation { asset, serial: 7 },
    );
    action("accept", example::BIDDER_A, Action::Accept(award));
    action(
        "deliver",
        example::BIDDER_A,
        Action::Deliver {
            award,
            result: Digest([0xde; 32]),
        },
    );
    action("confirm", example::OPENER, Action::Confirm(award));
    action("reject", example::OPENER, Action::Reject(award));
    let approve = Action::Approve(Box::new(proposal(Change::Unjail(example::key(1).public()))));
    action("approve", 1, approve);
    let rules = [PaymentRule::Vcg, PaymentRule::PayAsBid];
    for (name, rule) in ["payment_vcg", "payment_pay_as_bid"].iter().zip(rules) {
        book.value(name, &rule);
    }
}

fn proposal(change: Change) -> Proposal {
    Proposal {
        change,
        nonce: 5,
        expiry: Height(100),
    }
}

fn governance(book: &mut Book, example: &Example) {
    let key = example::key(1).public();
    let issuer = Issuer {
        name: "acme".into(),
        key: example::key(example::ISSUER).public(),
        quota: 100,
    };
    for (name, change) in [
        ("add_type", Change::AddType(example.record.clone())),
        ("add_issuer", Change::AddIssuer(issuer)),
        (
            "remove_issuer",
            Change::RemoveIssuer(IssuerIndex::new(2).unwrap()),
        ),
        ("set_openers", Change::SetOpeners(Openers::Any)),
        (
            "set_validator",
            Change::SetValidator {
                key,
                power: Power(1),
            },
        ),
        ("unjail", Change::Unjail(key)),
    ] {
        book.value(&format!("change_{name}"), &change);
    }
    let proposal = proposal(Change::Unjail(key));
    let bytes = book.value("proposal", &proposal);
    assert_eq!(
        hash(Tag::Action, &[example.chain.as_ref(), &bytes]),
        proposal.id(&example.chain)
    );
    book.bytes("proposal_id", proposal.id(&example.chain));
}

fn genesis(book: &mut Book, example: &Example) {
    book.value("openers_any", &Openers::Any);
    book.value("openers_list", &example.genesis.openers);
    let bytes = book.wire("genesis", &example.genesis);
    assert_eq!(hash(Tag::Genesis, &[&bytes]).0, example.chain.0);
    book.bytes("chain_id", example.chain);
    let set = example.genesis.validator_set().unwrap();
    book.value("validator_set", &set);
    book.bytes("validators_hash", set.hash());
    let text = serde_json::to_string_pretty(&example.genesis).unwrap();
    assert_eq!(
        serde_json::from_str::<tender_auction::genesis::Genesis>(&text).unwrap(),
        example.genesis
    );
    book.text("genesis", text + "\n");
}

fn clearing(book: &mut Book, example: &Example) {
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
    // A wins task 0; nobody wins task 1. Positions count in the market's bids, which are in order of their ids.
    let winner = u32::from(opened[0].0 > opened[1].0);
    let witness = Witness::V1 {
        nonce: 0,
        winners: vec![vec![winner], vec![]],
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
    use std::hash::Hasher;
    let mut sip = siphasher::sip::SipHasher24::new_with_key(&tie_key(seed, nonce));
    sip.write(&[bid.as_ref(), &task.to_le_bytes()].concat());
    (sip.finish() >> 8) + 1
}

/// Among bids equal in money the heaviest wins: the weights written out here are those the market uses.
fn ties_follow_the_weights(seed: &Digest) {
    use tender_auction::clearing::{Market, MarketBid, MarketTask, clear};
    let ids: Vec<_> = (1..=40u8).map(|n| BidId([n; 32])).collect();
    for task in 0..8 {
        let market = Market {
            tasks: vec![MarketTask {
                id: task,
                reserve: Price(10),
                quantity: 1,
            }],
            bids: ids
                .iter()
                .map(|bid_id| MarketBid {
                    bid_id: *bid_id,
                    bidder: PublicKey(bid_id.0),
                    slots: 1,
                    entries: vec![(task, Price(7))],
                })
                .collect(),
        };
        let (_, clearing) = clear(&market, seed, PaymentRule::Vcg).unwrap();
        let heaviest = ids
            .iter()
            .max_by_key(|id| weight(seed, clearing.nonce, id, task));
        assert_eq!(Some(&ids[clearing.awards[0].bid]), heaviest);
    }
}

fn outcomes(book: &mut Book, example: &Example) {
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
