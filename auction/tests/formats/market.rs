//! Bids, transactions, governance, genesis.

use crate::{
    book::Book,
    example::{self, Example},
};
use tender_auction::{
    bid::EvidenceSummary,
    clearing::PaymentRule,
    genesis::{Genesis, Issuer, Openers},
    transaction::{Action, AwardRef, Change, Proposal, SignedTx, Transaction},
};
use tender_circuits::{Evidence, IssuerIndex};
use tender_wire::{Digest, Height, Power, Tag, encode, hash};

/// Sections 10 to 13.
pub fn add(book: &mut Book, example: &Example) {
    bids(book, example);
    transactions(book, example);
    governance(book, example);
    genesis(book, example);
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
    let (commitment, asset) = (example.credential.commitment(), example.credential.asset);
    action(
        "issue",
        example::ISSUER,
        Action::Issue { commitment, asset },
    );
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
        serde_json::from_str::<Genesis>(&text).unwrap(),
        example.genesis
    );
    book.text("genesis", text + "\n");
}
