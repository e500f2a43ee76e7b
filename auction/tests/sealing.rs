//! The committee on chain: withheld reveals, changed validators, auctions opened again, keys that are copied. Sealing is real.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{collections::BTreeMap, sync::Arc};
use tender_auction::{
    bid::Bid,
    certificate::{AssignmentCertificate, SetChange, VerifyError},
    market::{ExecutionError, Market, Phase, Refusal, duties},
    outcome::{AuctionEnd, BidReason, EntryOutcome, OutcomeRecord},
    scenario::{
        OPENER, Plan, Scenario, VALIDATORS, amounts, class, genesis, key, seal_seed, spec, task,
    },
    seal::{CommitteeSecret, SealError},
    task::{AuctionSpec, auction_id},
    transaction::{Action, Change, Proposal, SealKeyTx, SealRevealTx, Transaction},
};
use tender_consensus::{
    application::{Application, Payload},
    block::{HEADER_VERSION, Header},
    certificate::CommitCertificate,
    tx::TxBytes,
    validators::ValidatorSet,
    vote::{Vote, VoteKind},
};
use tender_wire::{AuctionId, BidId, BlockId, Digest, Height, Power, Price, PublicKey, Round};

const FIFTH: &str = "fifth";

fn small() -> AuctionSpec {
    let tasks = vec![task("render", 0, 100, 1), task("train", 0, 500, 1)];
    spec(vec![class("small", &[("cpu_milli", 1_000)])], tasks)
}

fn sealed(scenario: &Scenario, auction: AuctionId, agent: &str, price: u64) -> Bid {
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, price), (1, price)],
        claim: amounts(&[("cpu_milli", 4_000)]),
    };
    let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
    scenario.attested_bid(&plan, &[attestation])
}

fn submit(scenario: &mut Scenario, auction: AuctionId, agent: &str, price: u64) -> BidId {
    let bid = sealed(scenario, auction, agent, price);
    scenario.submit_bid(&bid);
    bid.content.id()
}

/// Opens auctions in one block and waits until they take bids.
fn open<const N: usize>(scenario: &mut Scenario) -> [AuctionId; N] {
    let (chain, opener) = (scenario.state.chain(), key(OPENER).public());
    let first = scenario.state.next_sequence(&opener);
    let ids = std::array::from_fn(|i| auction_id(&chain, &opener, first + i as u64));
    for _ in 0..N {
        scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    }
    scenario.step();
    scenario.step_until(&ids[0], |phase| !matches!(phase, Phase::Keys { .. }));
    ids
}

/// Steps to the closing block; the members then owe their reveals.
fn close(scenario: &mut Scenario, auction: &AuctionId) -> Vec<Transaction> {
    scenario.step_until(auction, |phase| matches!(phase, Phase::Reveal { .. }));
    scenario.duties()
}

fn of_auction(tx: &Transaction, auction: &AuctionId) -> bool {
    matches!(tx, Transaction::SealReveal(reveal) if reveal.auction == *auction)
}

fn end(scenario: &Scenario, auction: &AuctionId) -> (Height, AuctionEnd) {
    let found = scenario.blocks.iter().find_map(|block| {
        let mut records = block.executed.outcome.records.iter();
        records.find_map(|record| match record {
            OutcomeRecord::Auction(record) if record.auction == *auction => {
                Some((block.context.height, record.end.clone()))
            }
            _ => None,
        })
    });
    found.unwrap()
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

/// A block of just these transactions.
fn executed(scenario: &Scenario, transactions: &[Transaction]) -> Result<(), (usize, Refusal)> {
    let transactions = transactions.iter().map(|tx| TxBytes::new(tx.to_bytes()));
    let payload = Payload {
        transactions: transactions.collect::<Result<_, _>>().unwrap(),
        witnesses: vec![],
    };
    match scenario.execute(scenario.context(), payload) {
        Ok(_) => Ok(()),
        Err(ExecutionError::Transaction { index, refusal }) => Err((index, refusal)),
        Err(other) => panic!("{other}"),
    }
}

/// T17, T18: whichever t or more reveal, in whatever order and over however many blocks: the same openings, of honest bids and of mauled ones.
#[test]
fn t17_every_order_and_subset_of_enough_reveals_gives_one_outcome() {
    let mut scenario = Scenario::default();
    let [auction] = open(&mut scenario);
    submit(&mut scenario, auction, "ann", 40);
    submit(&mut scenario, auction, "bob", 60);
    let mut cheats = Vec::new();
    for (agent, share) in [
        ("cheat-0", 0),
        ("cheat-1", 1),
        ("cheat-2", 2),
        ("cheat-3", 3),
    ] {
        let mut content = sealed(&scenario, auction, agent, 1).content;
        content.sealed.shares[share][5] ^= 1;
        let mauled = content.sign(&scenario.state.chain(), &key(agent));
        cheats.push(mauled.content.id());
        scenario.submit_bid(&mauled);
    }
    let reveals = close(&mut scenario, &auction);
    assert_eq!(reveals.len(), 4);
    scenario.silent.extend(VALIDATORS);

    let mut outcomes = Vec::new();
    for absent in [None, Some(0), Some(1), Some(2), Some(3)] {
        let mut some: Vec<_> = reveals.iter().collect();
        if let Some(absent) = absent {
            some.remove(absent);
        }
        for turn in 0..some.len() {
            some.rotate_left(turn);
            let mut scenario = scenario.clone();
            scenario.market = Arc::new(Market::new(genesis()).unwrap()); // nothing is open yet
            for (place, reveal) in some.iter().enumerate() {
                scenario.submit(reveal);
                if place % (turn + 1) == 0 {
                    scenario.step();
                }
            }
            scenario.clear(&auction);
            let cleared = scenario.blocks.last().unwrap().executed.clone();
            assert!(matches!(
                end(&scenario, &auction).1,
                AuctionEnd::Cleared { bids: 6, .. }
            ));
            for cheat in &cheats {
                assert_eq!(whole(&scenario, *cheat), Some(BidReason::SealInvalid));
            }
            outcomes.push((cleared.outcome_root, cleared.outcome.records));
        }
    }
    assert_eq!(outcomes.len(), 4 + 4 * 3);
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
}

/// T18: beyond f the auction is void at its deadline and not before, with the withholders named in a record a stranger can check; one that
/// closed with it has its reveals, waits, and clears; the next runs as ever.
#[test]
fn t18_withholders_are_named_at_the_deadline_and_the_next_auctions_proceed() {
    let mut scenario = Scenario::default();
    let [first, second] = open(&mut scenario);
    let lost = submit(&mut scenario, first, "ann", 40);
    let kept = submit(&mut scenario, second, "bob", 40);
    let reveals = close(&mut scenario, &first);
    let Phase::Reveal { until, .. } = scenario.state.auction(&first).unwrap().phase else {
        panic!("closed")
    };
    // f + 1 = 2 withhold for the first: two reveals are one too few.
    let mut due: Vec<_> = reveals.iter().filter(|tx| of_auction(tx, &first)).collect();
    let named = scenario.state.auction(&first).unwrap();
    let named: Vec<PublicKey> = named.keys.keys().skip(2).copied().collect();
    due.retain(|tx| matches!(tx, Transaction::SealReveal(reveal) if reveal.rank <= 2));
    assert_eq!(due.len(), 2);
    due.extend(reveals.iter().filter(|tx| of_auction(tx, &second)));
    scenario.silent.extend(VALIDATORS);
    due.iter().for_each(|tx| scenario.submit(tx));
    scenario.step();
    while scenario.state.height().next() < until {
        scenario.step();
        assert!(
            scenario.state.auction(&first).is_some(),
            "its time is not over"
        );
        assert!(
            scenario.state.auction(&second).unwrap().is_live(),
            "in order"
        );
    }
    scenario.step();
    let withheld = AuctionEnd::NoReveals { withheld: named };
    assert_eq!(end(&scenario, &first), (until, withheld.clone()));
    assert_eq!(whole(&scenario, lost), Some(BidReason::AuctionVoid));
    let (height, cleared) = end(&scenario, &second);
    assert_eq!(height, until, "nothing is in its way any more");
    assert!(matches!(cleared, AuctionEnd::Cleared { bids: 1, .. }));
    let payment = Price(500);
    assert_eq!(entries(&scenario, kept)[&1], EntryOutcome::Won { payment });

    let certificate = certificate(
        &scenario,
        &VALIDATORS,
        |record| matches!(record, OutcomeRecord::Auction(record) if record.auction == first),
    );
    let read = AssignmentCertificate::from_json(certificate.to_json().as_bytes()).unwrap();
    let genesis = genesis();
    let proven = read.verify(&genesis).unwrap();
    let OutcomeRecord::Auction(record) = proven.record else {
        panic!("how the auction ended")
    };
    assert_eq!(record.end, withheld);

    scenario.silent.clear();
    let [third] = open(&mut scenario);
    submit(&mut scenario, third, "ann", 40);
    scenario.clear(&third);
    assert!(matches!(
        end(&scenario, &third).1,
        AuctionEnd::Cleared { bids: 1, .. }
    ));
}

/// The committee of an auction is pinned: who leaves the set still owes its reveal, and it counts; who joins owes none. What the auction decides
/// is proven from genesis across the changes.
#[test]
fn a_changed_validator_set_changes_nothing_for_an_auction_that_is_open() {
    let mut scenario = Scenario::default();
    let [auction] = open(&mut scenario);
    let before = scenario.state.auction(&auction).unwrap().clone();
    let bid = submit(&mut scenario, auction, "ann", 40);
    let leaver = VALIDATORS[3];
    for (nonce, name, power) in [(1, FIFTH, 10), (2, leaver, 0)] {
        let change = Change::SetValidator {
            key: key(name).public(),
            power: Power(power),
        };
        let proposal = Proposal {
            change,
            nonce,
            expiry: Height(1_000),
        };
        for validator in &VALIDATORS {
            scenario.act(validator, Action::Approve(Box::new(proposal.clone())));
        }
        scenario.step();
    }
    let now = [VALIDATORS[0], VALIDATORS[1], VALIDATORS[2], FIFTH];
    let mut members = now.map(|name| key(name).public());
    members.sort_unstable();
    let set = scenario.state.validators();
    assert!(set.as_slice().iter().map(|v| v.key).eq(members));
    assert!(matches!(
        scenario.state.auction(&auction).unwrap().phase,
        Phase::Bidding { .. }
    ));
    // One opened now is sealed by the set as it is now.
    scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    scenario.step();
    let newest = scenario.state.auctions().last().unwrap();
    assert_eq!(newest.committee.members, members);

    // Of the old members one is silent and one has left: the one that left is needed.
    scenario.silent.insert(VALIDATORS[0]);
    let due = close(&mut scenario, &auction);
    let due: Vec<_> = due.iter().filter(|tx| of_auction(tx, &auction)).collect();
    assert_eq!(due.len(), 3);
    let tip = scenario.tip;
    let newcomer = duties(&scenario.state, tip, &key(FIFTH), &seal_seed(FIFTH));
    assert!(!newcomer.iter().any(|tx| of_auction(tx, &auction)));
    let row = scenario.state.auction(&auction).unwrap();
    assert_eq!(
        (&row.committee, &row.keys),
        (&before.committee, &before.keys)
    );
    assert_eq!((row.keys.len(), row.threshold()), (4, 3));
    scenario.clear(&auction);
    assert!(
        matches!(entries(&scenario, bid)[&0], EntryOutcome::Won { .. })
            || matches!(entries(&scenario, bid)[&1], EntryOutcome::Won { .. })
    );

    let won = |record: &OutcomeRecord| {
        matches!(record, OutcomeRecord::Entry(entry)
            if entry.bid == bid && matches!(entry.outcome, EntryOutcome::Won { .. }))
    };
    // Signed by the newcomer, and not by who left.
    let certificate = certificate(&scenario, &[VALIDATORS[0], VALIDATORS[1], FIFTH], won);
    assert_eq!(certificate.set_changes.len(), 2);
    let genesis = genesis();
    assert!(won(certificate.verify(&genesis).unwrap().record));
    let mut skipped = certificate.clone();
    skipped.set_changes.pop();
    assert!(matches!(
        skipped.verify(&genesis),
        Err(VerifyError::WrongSet { .. })
    ));
}

/// Who signs in [`certificate`], once the set has them all.
const EVERYBODY: [&str; 5] = [
    VALIDATORS[0],
    VALIDATORS[1],
    VALIDATORS[2],
    VALIDATORS[3],
    FIFTH,
];

/// The certificate of a record, over headers made of the scenario's blocks; `signers` commit the block of the record, every validator the
/// others.
fn certificate(
    scenario: &Scenario,
    signers: &[&str],
    wanted: impl Fn(&OutcomeRecord) -> bool,
) -> AssignmentCertificate {
    let mut changes = Vec::new();
    let mut parent = BlockId::ZERO;
    for block in &scenario.blocks {
        let set = &block.context.validators;
        let next = ValidatorSet::new(block.executed.next_validators.clone()).unwrap();
        let header = Header {
            version: HEADER_VERSION,
            chain: block.context.chain,
            height: block.context.height,
            parent,
            time: block.context.time,
            tx_root: Digest::ZERO,
            last_certificate_hash: Digest::ZERO,
            evidence_hash: Digest::ZERO,
            witness_hash: Digest::ZERO,
            validators_hash: set.hash(),
            next_validators_hash: next.hash(),
            state_root: block.executed.state_root,
            outcome_root: block.executed.outcome_root,
        };
        parent = header.id();
        let records = &block.executed.outcome.records;
        if let Some(index) = records.iter().position(&wanted) {
            let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
            let record = records[index].clone();
            let commit = commit(&header, set, signers);
            let made =
                AssignmentCertificate::assemble(changes, header, commit, &leaves, index, record);
            return made.unwrap();
        }
        if next != **set {
            changes.push(SetChange {
                certificate: commit(&header, set, &EVERYBODY),
                header,
                next: next.as_slice().to_vec(),
            });
        }
    }
    panic!("no such record")
}

fn commit(header: &Header, set: &ValidatorSet, signers: &[&str]) -> CommitCertificate {
    let slot = (header.height, Round(0), VoteKind::Precommit);
    let votes = signers.iter().filter_map(|name| {
        let mut signer = key(name);
        let index = set.index_of(&signer.public())?;
        let vote = Vote::sign(&mut signer, &header.chain, slot, Some(header.id())).unwrap();
        Some((index, vote.signature))
    });
    CommitCertificate::assemble(
        set,
        (header.height, Round(0), header.id()),
        &votes.collect(),
    )
}

/// An auction opened again after being void has keys of its own: those of the first, its reveals (which are public), and bids sealed to it are
/// worth nothing.
#[test]
fn an_auction_opened_again_after_being_void_takes_no_old_key_reveal_or_bid() {
    let mut scenario = Scenario::default();
    scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    scenario.step();
    let old_keys = scenario.duties();
    let first = scenario.state.auctions().next().unwrap().id;
    scenario.step();
    let before = scenario.state.auction(&first).unwrap().clone();
    let stale = sealed(&scenario, first, "ann", 1);
    let old_reveals = close(&mut scenario, &first);
    scenario.silent.extend(&VALIDATORS[..2]);
    scenario.step_until(&first, |_| false);
    assert!(matches!(
        end(&scenario, &first).1,
        AuctionEnd::NoReveals { .. }
    ));
    scenario.silent.clear();

    scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    scenario.step();
    let again = scenario.state.auctions().next().unwrap().id;
    assert_ne!(again, first);
    let chain = scenario.state.chain();
    for tx in old_keys.iter().chain(&old_reveals) {
        let refused = scenario.predict(tx).unwrap_err();
        assert_eq!(refused.code(), "unknown_auction");
    }
    for name in VALIDATORS {
        let tx = old_keys.iter().find_map(|tx| match tx {
            Transaction::SealKey(tx) if tx.member == key(name).public() => Some(tx),
            _ => None,
        });
        let SealKeyTx {
            key: old, proof, ..
        } = *tx.unwrap();
        let mut moved = tx.unwrap().clone();
        moved.auction = again;
        let refused = scenario.predict(&Transaction::SealKey(moved)).unwrap_err();
        assert_eq!(refused.code(), "bad_signature");
        let signed = SealKeyTx::new(&chain, &key(name), again, old, proof);
        let refused = scenario.predict(&Transaction::SealKey(signed)).unwrap_err();
        assert!(matches!(
            refused,
            Refusal::BadSealKey {
                error: SealError::BadProof,
                ..
            }
        ));
    }
    scenario.step();
    let now = scenario.state.auction(&again).unwrap().clone();
    assert!(
        now.keys
            .iter()
            .all(|(member, key)| before.keys[member] != *key)
    );

    // A bid sealed to the first auction's keys has the right shape, and opens to nothing.
    let mut content = sealed(&scenario, again, "ann", 1).content;
    content.sealed = stale.content.sealed;
    let stale = content.sign(&chain, &key("ann"));
    scenario.submit_bid(&stale);
    let honest = submit(&mut scenario, again, "bob", 40);
    close(&mut scenario, &again);
    for tx in &old_reveals {
        let Transaction::SealReveal(old) = tx else {
            panic!("a reveal")
        };
        for rank in 1..=4 {
            let moved = SealRevealTx {
                auction: again,
                rank,
                reveal: old.reveal,
            };
            let refused = scenario
                .predict(&Transaction::SealReveal(moved))
                .unwrap_err();
            assert_eq!(refused.code(), "bad_reveal");
        }
    }
    scenario.clear(&again);
    assert_eq!(
        whole(&scenario, stale.content.id()),
        Some(BidReason::SealInvalid)
    );
    assert!(matches!(
        entries(&scenario, honest)[&1],
        EntryOutcome::Won { .. }
    ));
}

/// T21: a copied `E_i`, whichever of the two comes first, in one block and in two: the copy never lands, the honest keys of both do.
#[test]
fn t21_the_honest_key_lands_whether_the_copy_came_before_it_or_after() {
    let mut scenario = Scenario::default();
    scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    scenario.step();
    let honest = scenario.duties();
    let Transaction::SealKey(victim) = &honest[0] else {
        panic!("a seal key")
    };
    let rogue = VALIDATORS
        .iter()
        .find(|name| key(name).public() != victim.member);
    let rogue = key(rogue.unwrap());
    let chain = scenario.state.chain();
    // With the victim's proof, and with a proof of another secret.
    let secret =
        CommitteeSecret::derive(&seal_seed("rogue"), &chain, &victim.auction, &scenario.tip);
    let (_, own) = secret.announce(&chain, &victim.auction, &rogue.public());
    for proof in [victim.proof, own] {
        let copy = SealKeyTx::new(&chain, &rogue, victim.auction, victim.key, proof);
        let copy = Transaction::SealKey(copy);
        for order in [[&copy, &honest[0]], [&honest[0], &copy]] {
            let (place, refusal) = executed(&scenario, &order.map(Clone::clone)).unwrap_err();
            assert_eq!((order[place], refusal.code()), (&copy, "bad_seal_key"));
            let pool = [order[0], order[1], &honest[1], &honest[2], &honest[3]];
            let pool = pool.map(|tx| TxBytes::new(tx.to_bytes()).unwrap());
            let block = scenario
                .market
                .propose(&scenario.state, &scenario.context(), &pool);
            let taken = block
                .transactions
                .iter()
                .map(|tx| Transaction::from_bytes(tx.bytes()));
            let taken: Vec<_> = taken.collect::<Result<_, _>>().unwrap();
            assert_eq!(taken.len(), 4);
            assert!(honest.iter().all(|key| taken.contains(key)));
        }
        // In the block after the victim's own.
        let mut later = scenario.clone();
        later.silent.extend(VALIDATORS);
        later.submit(&honest[0]);
        later.step();
        assert_eq!(later.predict(&copy).unwrap_err().code(), "bad_seal_key");
        later.silent.clear();
        later.step();
        let row = later.state.auction(&victim.auction).unwrap();
        assert_eq!((row.keys.len(), row.keys[&victim.member]), (4, victim.key));
    }
}

/// T20: secrets that leak before the closing block is final: no block takes them, the closing block itself included; the next one does.
#[test]
fn t20_a_block_with_a_reveal_up_to_the_closing_one_is_invalid() {
    let mut scenario = Scenario::default();
    let [auction] = open(&mut scenario);
    let row = scenario.state.auction(&auction).unwrap().clone();
    let reveal = |name: &str| {
        let opening = row.opening_block.unwrap();
        let chain = scenario.state.chain();
        let secret = CommitteeSecret::derive(&seal_seed(name), &chain, &auction, &opening);
        Transaction::SealReveal(SealRevealTx {
            auction,
            rank: row.rank(&key(name).public()).unwrap(),
            reveal: secret.reveal(),
        })
    };
    let reveals = VALIDATORS.map(reveal);
    let Phase::Bidding { closes } = row.phase else {
        panic!("bidding")
    };
    scenario.silent.extend(VALIDATORS);
    while scenario.state.height() < closes {
        let (place, refusal) = executed(&scenario, &reveals).unwrap_err();
        assert_eq!((place, refusal.code()), (0, "not_revealing"));
        let pool = reveals
            .clone()
            .map(|tx| TxBytes::new(tx.to_bytes()).unwrap());
        let (state, context) = (&scenario.state, scenario.context());
        let block = scenario.market.propose(state, &context, &pool);
        assert_eq!(block.transactions, []);
        scenario.step();
    }
    assert_eq!(executed(&scenario, &reveals), Ok(()));
}
