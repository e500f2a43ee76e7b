//! One machine under two holders, two types or in two auctions, and issuers who vouch together: what a machine is bound to, and who counts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tender_auction::{
    bid::{Bid, BidContent},
    ledger::LedgerError,
    market::{ExecutionError, Refusal},
    outcome::{BidReason, EntryOutcome, OutcomeRecord},
    scenario::{
        ISSUERS, OPENER, Plan, Scenario, amounts, attributes, class, genesis, key, resources_keys,
        spec, task,
    },
    task::{AuctionSpec, auction_id},
    transaction::{Action, AwardRef, Transaction},
};
use tender_circuits::{
    Attestation, CapabilityType, Claim, Credential, Evidence, FieldValue, IssuerMask, ProofBytes,
    ProofEvidence, asset_of, prove::prove,
};
use tender_consensus::{
    application::{Application, Payload},
    tx::TxBytes,
};
use tender_wire::{AuctionId, BidId, Digest, Price, TypeId};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];

/// A class of 3000 mCPU, a unit of each of two tasks.
fn small() -> AuctionSpec {
    let tasks = vec![task("render", 0, 100, 1), task("train", 0, 100, 1)];
    spec(vec![class("small", &[("cpu_milli", 3_000)])], tasks)
}

/// `resources` again under another version: a second type that is used up.
fn second() -> CapabilityType {
    CapabilityType {
        version: 2,
        ..resources_keys().1.clone()
    }
}

/// Two auctions in their bidding window.
fn two_auctions() -> (Scenario, [AuctionId; 2]) {
    let mut genesis = genesis();
    genesis.types.push(second());
    let mut scenario = Scenario::new(genesis);
    let opener = key(OPENER).public();
    let chain = scenario.state.chain();
    let ids = [0, 1].map(|nonce| auction_id(&chain, &opener, nonce));
    for _ in ids {
        scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    }
    scenario.step();
    scenario.step();
    (scenario, ids)
}

fn plan<'a>(auction: AuctionId, agent: &'a str, machine: &'a str) -> Plan<'a> {
    Plan {
        auction,
        agent,
        machine,
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 50)],
        claim: amounts(CLAIM),
    }
}

fn attest(scenario: &Scenario, plan: &Plan<'_>, issuer: u8, type_id: TypeId) -> Attestation {
    let attestation = scenario.attest(issuer, plan.agent, plan.machine, plan.claim.clone(), 1);
    let attestation = Attestation {
        type_id,
        ..attestation
    };
    attestation.signed(&scenario.state.chain(), &key(ISSUERS[usize::from(issuer)]))
}

/// A bid with one attestation of a type.
fn bid_of(scenario: &Scenario, plan: &Plan<'_>, issuer: u8, type_id: TypeId) -> Bid {
    scenario.attested_bid(plan, &[attest(scenario, plan, issuer, type_id)])
}

fn bid(scenario: &Scenario, auction: AuctionId, agent: &str, machine: &str) -> Bid {
    let first = resources_keys().1.id();
    bid_of(scenario, &plan(auction, agent, machine), 0, first)
}

fn wrapped(bid: &Bid) -> Transaction {
    Transaction::Bid(Box::new(bid.clone()))
}

/// A block of just these bids.
fn executed(scenario: &Scenario, bids: &[&Bid]) -> Result<(), ExecutionError> {
    let transactions = bids.iter().map(|bid| TxBytes::new(wrapped(bid).to_bytes()));
    let payload = Payload {
        transactions: transactions.collect::<Result<_, _>>().unwrap(),
        witnesses: vec![],
    };
    scenario.execute(scenario.context(), payload).map(|_| ())
}

/// The rule the second of two bids in one block breaks.
fn second_refused(scenario: &Scenario, first: &Bid, second: &Bid) -> LedgerError {
    for alone in [first, second] {
        assert_eq!(
            scenario.predict(&wrapped(alone)),
            Ok(()),
            "each alone may enter"
        );
    }
    match executed(scenario, &[first, second]) {
        Err(ExecutionError::Transaction {
            index: 1,
            refusal: Refusal::AssetBound { error },
        }) => error,
        other => panic!("{other:?}"),
    }
}

fn entry(scenario: &Scenario, bid: BidId) -> EntryOutcome {
    let found = scenario.records().find_map(|record| match record {
        OutcomeRecord::Entry(entry) if entry.bid == bid => Some(entry.outcome.clone()),
        _ => None,
    });
    found.unwrap()
}

/// T11: two holders attested for one asset, in one block, in one auction and in two. Whoever comes first binds it; a proposer leaves the other
/// out, and a block with both is invalid.
#[test]
fn t11_of_two_holders_of_one_asset_in_one_block_the_first_binds_it() {
    let (scenario, [first, other]) = two_auctions();
    let alice = bid(&scenario, first, "alice", "m-1");
    for auction in [first, other] {
        let mallory = bid(&scenario, auction, "mallory", "m-1");
        for (one, two) in [(&alice, &mallory), (&mallory, &alice)] {
            let LedgerError::OtherHolder { holder, .. } = second_refused(&scenario, one, two)
            else {
                panic!("another holder")
            };
            assert_eq!(holder, one.content.bidder);
            let pool = [one, two].map(|bid| TxBytes::new(wrapped(bid).to_bytes()).unwrap());
            let (state, context) = (&scenario.state, scenario.context());
            let proposed = scenario.market.propose(state, &context, &pool);
            assert_eq!(proposed.transactions, [pool[0].clone()]);
        }
    }
}

/// T11: across blocks and auctions, for as long as the first holder's bids and leases live and no longer.
#[test]
fn t11_an_asset_is_free_for_another_holder_only_after_the_last_bid_and_lease() {
    let (mut scenario, [first, other]) = two_auctions();
    let alice = bid(&scenario, first, "alice", "m-1");
    let again = bid(&scenario, other, "alice", "m-1");
    let mallory = bid(&scenario, other, "mallory", "m-1");
    let refused = |scenario: &Scenario, bid: &Bid| {
        let refused = scenario.predict(&wrapped(bid));
        refused.map_err(|refusal| refusal.code())
    };
    scenario.submit_bid(&alice);
    scenario.step();
    assert_eq!(refused(&scenario, &mallory), Err("asset_bound"));
    scenario.submit_bid(&again);
    scenario.step();
    assert_eq!(scenario.state.account(&asset_of("m-1")).unwrap().bids, 2);
    assert_eq!(refused(&scenario, &mallory), Err("asset_bound"));
    // Room for one lease: the first auction's. It binds when no bid lives any more.
    scenario.clear(&first);
    let award = accepted(&mut scenario, &alice);
    scenario.clear(&other);
    let third = scenario.open(small());
    let account = scenario.state.account(&asset_of("m-1")).unwrap();
    assert_eq!((account.bids, account.leases), (0, 1));
    let mallory = bid(&scenario, third, "mallory", "m-1");
    assert_eq!(refused(&scenario, &mallory), Err("asset_bound"));
    finish(&mut scenario, award);
    assert_eq!(refused(&scenario, &mallory), Ok(()));
}

/// The first task's assignment, which its winner takes on.
fn accepted(scenario: &mut Scenario, winner: &Bid) -> AwardRef {
    let award = AwardRef {
        auction: winner.content.auction,
        task: 0,
        bid: winner.content.id(),
    };
    scenario.act("alice", Action::Accept(award));
    scenario.step();
    award
}

/// Ends the assignment and gives back what it held.
fn finish(scenario: &mut Scenario, award: AwardRef) {
    let result = Digest([4; 32]);
    scenario.act("alice", Action::Deliver { award, result });
    scenario.act(OPENER, Action::Confirm(award));
    scenario.step();
    scenario.step();
}

/// T12: two issuers, one asset, two auctions: one account, and no more than the machine has.
#[test]
fn t12_two_issuers_do_not_make_a_machine_twice_as_large() {
    let (mut scenario, ids) = two_auctions();
    let first = resources_keys().1.id();
    let bids = [(0, ids[0]), (1, ids[1])].map(|(issuer, auction)| {
        let bid = bid_of(&scenario, &plan(auction, "alice", "m-1"), issuer, first);
        scenario.submit_bid(&bid);
        bid.content.id()
    });
    scenario.step();
    assert_eq!(scenario.state.account(&asset_of("m-1")).unwrap().bids, 2);
    ids.iter().for_each(|auction| scenario.clear(auction));
    assert!(matches!(
        entry(&scenario, bids[0]),
        EntryOutcome::Won { .. }
    ));
    let out = scenario.records().find_map(|record| match record {
        OutcomeRecord::Bid(record) if record.bid == bids[1] => Some(record.reason.clone()),
        _ => None,
    });
    assert_eq!(out, Some(BidReason::NoCapacity));
}

/// T12: one asset under two types that are each used up: in one block, in two auctions, and by a replacement.
#[test]
fn an_asset_is_accounted_in_one_type_at_a_time() {
    let (mut scenario, [first, other]) = two_auctions();
    let types = [resources_keys().1.id(), second().id()];
    let of = |scenario: &Scenario, auction, type_id, sequence| {
        let plan = Plan {
            sequence,
            ..plan(auction, "alice", "m-1")
        };
        bid_of(scenario, &plan, 0, type_id)
    };
    let one = of(&scenario, first, types[0], 0);
    for two in [
        of(&scenario, first, types[1], 1),
        of(&scenario, other, types[1], 0),
    ] {
        let error = second_refused(&scenario, &one, &two);
        assert!(
            matches!(error, LedgerError::OtherType { type_id, .. } if type_id == types[0]),
            "{error}"
        );
    }
    scenario.submit_bid(&one);
    scenario.step();
    let replacement = of(&scenario, first, types[1], 1);
    let refused = scenario.predict(&wrapped(&replacement)).unwrap_err();
    assert_eq!(refused.code(), "asset_bound");
    // Both at once neither.
    let plan = plan(other, "alice", "m-1");
    let both = types.map(|type_id| attest(&scenario, &plan, 0, type_id));
    let both = scenario.attested_bid(&plan, &both);
    let refused = scenario.predict(&wrapped(&both)).unwrap_err();
    assert_eq!(refused.code(), "two_consumables");
}

/// T14: what a lease holds is not there for another bid, to the unit, and is again once it is given back.
#[test]
fn t14_a_bid_for_more_than_leases_leave_is_refused_until_they_end() {
    let (mut scenario, [first, other]) = two_auctions();
    let winner = bid(&scenario, first, "alice", "m-1");
    scenario.submit_bid(&winner);
    scenario.clear(&first);
    let award = accepted(&mut scenario, &winner);
    scenario.clear(&other);
    let third = scenario.open(AuctionSpec {
        classes: vec![
            class("rest", &[("cpu_milli", 1_000)]),
            class("more", &[("cpu_milli", 1_001)]),
        ],
        ..small()
    });
    let code = |scenario: &Scenario, slots| {
        let plan = Plan {
            slots,
            ..plan(third, "alice", "m-1")
        };
        let bid = bid_of(scenario, &plan, 0, resources_keys().1.id());
        scenario.predict(&wrapped(&bid)).map_err(|r| r.code())
    };
    // 3000 of 4000 are leased.
    let account = scenario.state.account(&asset_of("m-1"));
    assert_eq!(account.map(|account| account.reserved[0]), Some(3_000));
    assert_eq!(code(&scenario, &[(0, 1)]), Ok(()));
    assert_eq!(code(&scenario, &[(1, 1)]), Err("no_capacity"));
    assert_eq!(code(&scenario, &[(0, 2)]), Err("no_capacity"));
    finish(&mut scenario, award);
    assert_eq!(code(&scenario, &[(1, 1)]), Ok(()));
    assert_eq!(code(&scenario, &[(0, 4)]), Ok(()));
}

/// A bid whose proofs name these issuers, each made from the credential given.
fn proven(scenario: &Scenario, plan: &Plan<'_>, shown: &[(&Credential, u64)]) -> Bid {
    let mut content = scenario.seal(plan);
    for (credential, issuers) in shown {
        let evidence = prove_among(scenario, &content, plan, credential, *issuers);
        content.evidences.push(evidence);
    }
    content.sign(&scenario.state.chain(), &key(plan.agent))
}

/// A proof that the credential's issuer is one of these.
fn prove_among(
    scenario: &Scenario,
    content: &BidContent,
    plan: &Plan<'_>,
    credential: &Credential,
    issuers: u64,
) -> Evidence {
    let state = &scenario.state;
    let (index, _) = state.find_leaf(&credential.leaf()).unwrap();
    let mut evidence = ProofEvidence {
        type_id: resources_keys().1.id(),
        registry_root: state.good_root().unwrap().0,
        asset: credential.asset,
        issuers: IssuerMask(issuers),
        claim: plan.claim.clone(),
        proof: ProofBytes([0; 128]),
    };
    let lease_end = state.auction(&content.auction).unwrap().spec.lease_end;
    let statement = content.statement_of(&state.chain(), &evidence, lease_end);
    let path = state.registry_path(index).unwrap();
    evidence.proof = prove(&resources_keys().0, credential, &path, &statement, [5; 32]).unwrap();
    Evidence::Proof(evidence)
}

/// Who vouches is hidden among issuers; two evidences count as two issuers only if they cannot be one.
#[test]
fn issuers_behind_several_evidences_are_all_different() {
    let mut scenario = Scenario::default();
    let [zero, two] = [0, 2].map(|i| scenario.issue(i, "alice", "m-1", attributes(CLAIM)));
    let mut careful = small();
    careful.classes[0].requirements[0].min_issuers = 2;
    let auction = scenario.open(careful);
    let plan = plan(auction, "alice", "m-1");

    // One content, so one proof of each leaf and mask serves every bid.
    let content = scenario.seal(&plan);
    let prove = |credential, mask| prove_among(&scenario, &content, &plan, credential, mask);
    let [alone, pair, other_pair] = [0b001, 0b011, 0b101].map(|mask| prove(&zero, mask));
    let met = prove(&two, 0b110);
    let bid = |evidences: &[&Evidence]| {
        let mut content = content.clone();
        content.evidences = evidences.iter().copied().cloned().collect();
        content.sign(&scenario.state.chain(), &key("alice"))
    };
    // One leaf twice, under masks that meet in the issuer; and two leaves under masks that meet in a third.
    for evidences in [
        [&alone, &alone],
        [&alone, &pair],
        [&pair, &other_pair],
        [&pair, &met],
    ] {
        let refused = scenario.predict(&wrapped(&bid(&evidences))).unwrap_err();
        assert_eq!(refused.code(), "overlapping_issuers");
        assert!(refused.is_state_independent());
        for evidence in evidences {
            let alone = bid(&[evidence]);
            assert_eq!(
                scenario.predict(&wrapped(&alone)),
                Ok(()),
                "sound by itself"
            );
        }
    }
    // A proof and an attestation of one issuer.
    let same = attest(&scenario, &plan, 0, resources_keys().1.id());
    let mixed = bid(&[&alone, &Evidence::Attestation(same)]);
    let refused = scenario.predict(&wrapped(&mixed)).unwrap_err();
    assert_eq!(refused.code(), "overlapping_issuers");

    // One evidence that names two is one issuer. Two under masks that do not meet are two.
    let wide = bid(&[&prove(&zero, 0b111)]);
    let apart = Plan {
        machine: "m-1",
        sequence: 1,
        ..plan.clone()
    };
    let apart = proven(&scenario, &apart, &[(&zero, 0b011), (&two, 0b100)]);
    let type_id = resources_keys().1.id();
    for (bid, expected) in [
        (wide, EntryOutcome::NotEvidenced { type_id }),
        (
            apart,
            EntryOutcome::Won {
                payment: Price(100),
            },
        ),
    ] {
        let mut scenario = scenario.clone();
        scenario.submit_bid(&bid);
        scenario.step();
        scenario.clear(&auction);
        assert_eq!(entry(&scenario, bid.content.id()), expected);
    }
}

/// A claim to be within no region, or of no GPU model, would be within whatever is required.
#[test]
fn a_claim_to_be_within_nothing_is_refused() {
    let mut scenario = Scenario::default();
    let credential = scenario.issue(0, "alice", "m-1", attributes(CLAIM));
    let auction = scenario.open(small());
    for field in [6, 7] {
        let nowhere = |claim: &mut Claim| claim.0[field] = FieldValue::Mask(0);
        let mut plan = plan(auction, "alice", "m-1");
        // The proof would not verify either; it is not even looked at.
        let mut content = scenario.bid(&plan, &credential).content;
        let Evidence::Proof(proof) = &mut content.evidences[0] else {
            panic!("a proof")
        };
        nowhere(&mut proof.claim);
        let by_proof = content.sign(&scenario.state.chain(), &key("alice"));
        nowhere(&mut plan.claim);
        let by_attestation = bid_of(&scenario, &plan, 0, resources_keys().1.id());
        for bid in [by_proof, by_attestation] {
            let refused = scenario.predict(&wrapped(&bid)).unwrap_err();
            assert_eq!(refused.code(), "claim_shape", "{refused}");
            assert!(refused.is_state_independent());
        }
        // Nor can an auction require it.
        let mut unmeetable = small();
        nowhere(&mut unmeetable.classes[0].requirements[0].requirement);
        let open = scenario.sign(OPENER, Action::OpenAuction(Box::new(unmeetable)));
        let refused = scenario.predict(&open).unwrap_err();
        assert_eq!(refused.code(), "requirement");
    }
}
