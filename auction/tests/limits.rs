//! Each limit of what people open, bid and decide: as much is taken, one more is refused by its rule (THREATS B15, B18, T26).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fmt::Debug;
use tender_auction::{
    bid::{Bid, BidContent, BidShapeError, ClassSlots, EvidenceSummary, MAX_SEQUENCE},
    certificate::{self, AssignmentCertificate, MAX_SET_CHANGES, SetChange, VerifyError},
    checkpoint::{self, Headers, MAX_HEADERS},
    clearing::{
        self, ClearingError, MAX_BIDS, Market, MarketBid, MarketTask, PaymentRule, Witness,
    },
    genesis::{
        Genesis, GenesisError, GenesisValidator, Issuer, MAX_ISSUERS, MAX_OPEN_BUDGET, MAX_OPENERS,
        MAX_QUOTA, MAX_TYPES, MAX_VALIDATORS, Openers,
    },
    market::{
        MarketState, Phase, Refusal,
        admission::MAX_LEASE_SECONDS,
        governance::{MAX_OPEN_PROPOSALS, MAX_PROPOSAL_LIFE},
        phases::MAX_BLOCK_CLEARINGS,
        settle::MAX_RUNNERS_UP,
        witness::AuctionWitness,
    },
    outcome::{AuctionEnd, AuctionRecord, EntryOutcome, EntryRecord, OutcomeRecord},
    scenario::{
        ISSUERS, OPENER, Plan, START, Scenario, VALIDATORS, amounts, class, genesis, key,
        resources_keys, spec, task,
    },
    seal::{
        Associated, BidBody, BodyError, CommitteeSecret, MAX_BID_ENTRIES, MAX_COMMITTEE, SealSeed,
        Sealed, seal,
    },
    task::{
        AuctionSpec, MAX_CLASSES, MAX_ENTRIES, MAX_NAME_BYTES, MAX_PRICE, MAX_QUANTITY,
        MAX_REQUIREMENTS, MAX_SLOTS, MAX_SPEC_BYTES, MAX_TASKS, MAX_UNITS, MAX_WINDOW_BLOCKS,
        Requirement, SpecError, Task, auction_id,
    },
    transaction::{Action, Change, MAX_TX_BYTES, Proposal, SignedTx, Transaction},
};
use tender_circuits::{
    CapabilityType, Claim, ClaimField, ClaimSchema, Evidence, EvidenceKind, FieldValue, IssuerMask,
    ProofBytes, ProofEvidence, Rule, Setup, asset_of,
    capability::MAX_TYPE_NAME,
    schema::{MAX_FIELDS, MAX_LABEL, MAX_LABELS, MAX_NAME, MAX_UNIT},
};
use tender_consensus::{
    block::Header,
    certificate::{Commit, CommitCertificate},
    validators::Validator,
};
use tender_wire::{
    AuctionId, BidId, BlockId, ChainId, CodecError, Digest, FieldBytes, Height, Power, Price,
    PublicKey, Round, Signature, TypeId, UnixTime, Wire, decode, encode, merkle::MerkleProof,
};

/// Bytes up to the cap are looked at; one byte more is refused unread.
#[track_caller]
fn is_capped<T: Wire + Debug>() {
    let (name, max) = (T::NAME, T::MAX_BYTES);
    let len = max + 1;
    let looked_at = decode::<T>(&vec![0; max]).unwrap_err();
    assert!(!matches!(looked_at, CodecError::TooLong { .. }), "{name}");
    let unread = CodecError::TooLong { name, len, max };
    assert_eq!(decode::<T>(&vec![0; len]).unwrap_err(), unread);
}

#[test]
fn documents_above_their_caps_are_refused_unread() {
    is_capped::<Transaction>();
    is_capped::<Genesis>();
    is_capped::<OutcomeRecord>();
    is_capped::<Witness>();
    is_capped::<AuctionWitness>();
    is_capped::<Sealed>();
    is_capped::<MarketState>();
}

#[track_caller]
fn fits<T: Wire + PartialEq + Debug>(value: &T) {
    let bytes = encode(value);
    assert!(bytes.len() <= T::MAX_BYTES, "{}: {}", T::NAME, bytes.len());
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value), "{}", T::NAME);
}

fn largest_claim() -> Claim {
    Claim(vec![FieldValue::Exact(FieldBytes([0; 32])); MAX_FIELDS])
}

/// A record of the largest schema and key a type can have.
fn largest_type(version: u16) -> CapabilityType {
    let labels = (0..MAX_LABELS).map(|label| format!("{label:0>MAX_LABEL$}"));
    let labels: Vec<_> = labels.collect();
    let field = |index| ClaimField {
        name: format!("{index:0>MAX_NAME$}"),
        unit: "x".repeat(MAX_UNIT),
        labels: labels.clone(),
        rule: Rule::HasAll,
    };
    CapabilityType {
        name: "x".repeat(MAX_TYPE_NAME),
        version,
        schema: ClaimSchema {
            fields: (0..MAX_FIELDS).map(field).collect(),
        },
        vk: vec![0; 32 + 3 * 64 + 32 * (MAX_FIELDS + 7)],
        r1cs_hash: Digest::ZERO,
        setup: Setup::Ceremony {
            transcript: Digest::ZERO,
            contributions: u32::MAX,
            beacon: Digest::ZERO,
        },
    }
}

fn signed(action: Action) -> Transaction {
    Transaction::Signed(Box::new(SignedTx {
        signer: PublicKey([1; 32]),
        sequence: u64::MAX,
        action,
        signature: Signature([0; 64]),
    }))
}

/// A body of as many entries as there may be, sealed to as many members.
fn largest_sealed() -> Sealed {
    let chain = ChainId([1; 32]);
    let auction = AuctionId([2; 32]);
    let opening = BlockId([3; 32]);
    let keys = (0..MAX_COMMITTEE).map(|member| {
        let seed = SealSeed::from_bytes(&mut [member as u8; 32]);
        let secret = CommitteeSecret::derive(&seed, &chain, &auction, &opening);
        secret.announce(&chain, &auction, &PublicKey([1; 32])).0
    });
    let body = BidBody {
        salt: [1; 32],
        entries: (0..MAX_BID_ENTRIES as u32)
            .map(|task| (task, Price(1)))
            .collect(),
    };
    let associated = Associated {
        chain,
        auction,
        bidder: PublicKey([1; 32]),
        asset: FieldBytes([0; 32]),
        sequence: 0,
    };
    let plain = body.encode(MAX_BID_ENTRIES).unwrap();
    seal(&keys.collect::<Vec<_>>(), 67, &associated, &plain, [7; 32]).unwrap()
}

/// What keeps every limit of its parts is below the cap of the whole, and below those of what carries it.
#[test]
fn the_largest_of_everything_fits_a_transaction() {
    let proof = ProofEvidence {
        type_id: TypeId([1; 32]),
        registry_root: FieldBytes([0; 32]),
        asset: FieldBytes([0; 32]),
        issuers: IssuerMask(u64::MAX),
        claim: largest_claim(),
        proof: ProofBytes([0; 128]),
    };
    let slots = |class| ClassSlots {
        class,
        slots: MAX_SLOTS,
    };
    let content = BidContent {
        auction: AuctionId([2; 32]),
        bidder: PublicKey([1; 32]),
        sequence: MAX_SEQUENCE - 1,
        asset: FieldBytes([0; 32]),
        evidences: vec![Evidence::Proof(proof); MAX_REQUIREMENTS],
        slots: (0..MAX_CLASSES as u16).map(slots).collect(),
        sealed: largest_sealed(),
    };
    assert_eq!(content.check(), Ok(()));
    let signature = Signature([0; 64]);
    fits(&content.sealed);
    fits(&Transaction::Bid(Box::new(Bid { content, signature })));

    let approve = |change| {
        signed(Action::Approve(Box::new(Proposal {
            change,
            nonce: u64::MAX,
            expiry: Height(u64::MAX),
        })))
    };
    fits(&approve(Change::AddType(largest_type(1))));
    let openers = Openers::List(vec![PublicKey([1; 32]); MAX_OPENERS]);
    fits(&approve(Change::SetOpeners(openers)));

    let mut largest = spec(vec![class("c", &[])], vec![]);
    largest.title = "t".repeat(MAX_NAME_BYTES);
    let room = |spec: &AuctionSpec| MAX_SPEC_BYTES - encode(spec).len();
    while room(&largest) >= 128 {
        let name = "n".repeat(40);
        largest.tasks.push(task(&name, 0, MAX_PRICE.0, 1));
    }
    for at in 0..8 {
        let name = "n".repeat(40 + room(&largest).min(MAX_NAME_BYTES - 40));
        largest.tasks[at].name = name;
    }
    assert_eq!(encode(&largest).len(), MAX_SPEC_BYTES);
    assert_eq!(largest.check(), Ok(()));
    let opening = signed(Action::OpenAuction(Box::new(largest.clone())));
    assert_eq!(opening.to_bytes().len(), MAX_TX_BYTES);
    fits(&opening);
    // One byte more is told to its author, before it is signed.
    largest.tasks[9].name.push('n');
    let refused = SpecError::OutOfBounds {
        what: "the auction's size in bytes",
        found: MAX_SPEC_BYTES as u64 + 1,
        least: 1,
        most: MAX_SPEC_BYTES as u64,
    };
    assert_eq!(largest.check(), Err(refused));
}

#[test]
fn the_largest_records_and_witnesses_fit_their_caps() {
    let evidence = EvidenceSummary {
        type_id: TypeId([1; 32]),
        kind: EvidenceKind::Proof,
        registry_root: FieldBytes([0; 32]),
        asset: FieldBytes([0; 32]),
        issuers: IssuerMask(u64::MAX),
        serial: u64::MAX,
        claim: largest_claim(),
    };
    fits(&OutcomeRecord::Entry(EntryRecord {
        auction: AuctionId([1; 32]),
        task: u32::MAX,
        bid: BidId([1; 32]),
        bidder: PublicKey([1; 32]),
        asset: FieldBytes([0; 32]),
        evidences: vec![evidence; MAX_REQUIREMENTS],
        requirements: vec![(TypeId([1; 32]), largest_claim()); MAX_REQUIREMENTS],
        price: MAX_PRICE,
        reserve: MAX_PRICE,
        bonus: MAX_PRICE,
        rule: PaymentRule::Vcg,
        lease_end: UnixTime(u64::MAX),
        outcome: EntryOutcome::NotCovered {
            type_id: TypeId([1; 32]),
            field: u16::MAX,
        },
    }));
    let ended = |end| {
        let auction = AuctionId([1; 32]);
        OutcomeRecord::Auction(AuctionRecord { auction, end })
    };
    fits(&ended(AuctionEnd::NoKeys {
        missing: vec![PublicKey([1; 32]); MAX_VALIDATORS],
    }));
    fits(&ended(AuctionEnd::Cleared {
        seed: Digest::ZERO,
        nonces: vec![u32::MAX; MAX_CLASSES],
        bids: u32::MAX,
        surplus: u128::MAX,
    }));

    // Every unit served, and the tasks in as many classes as there may be.
    let full = |tasks: usize| Witness::V2 {
        nonce: u32::MAX,
        won: vec![u32::MAX; tasks * (MAX_UNITS as usize / MAX_TASKS)],
        setters: vec![u32::MAX; tasks],
    };
    fits(&full(MAX_TASKS));
    let witness = AuctionWitness {
        classes: vec![full(MAX_TASKS / MAX_CLASSES); MAX_CLASSES],
    };
    fits(&witness);
    // So the first auction due always clears, in the smallest block too.
    let half = MAX_TX_BYTES / 2;
    assert!(encode(&witness).len() <= half && AuctionWitness::MAX_BYTES <= half);
}

fn valid() -> AuctionSpec {
    spec(vec![class("c", &[])], vec![task("t", 0, 100, 1)])
}

fn tasks(count: usize, quantity: u32) -> Vec<Task> {
    vec![task("t", 0, 100, quantity); count]
}

/// Requirements of distinct types, each of as many distinct issuers.
fn requirements(count: usize, min_issuers: u8) -> Vec<Requirement> {
    let one = class("c", &[]).requirements.swap_remove(0);
    let of = |id: usize| Requirement {
        type_id: TypeId([id as u8; 32]),
        min_issuers,
        ..one.clone()
    };
    (0..count).map(of).collect()
}

type With = fn(&mut AuctionSpec, u64);

#[test]
fn an_auction_holds_so_much_and_no_more() {
    let cases: [(&str, u64, With); 13] = [
        ("the title's length", MAX_NAME_BYTES as u64, |s, n| {
            s.title = "x".repeat(n as usize)
        }),
        ("a task's name length", MAX_NAME_BYTES as u64, |s, n| {
            s.tasks[0].name = "x".repeat(n as usize)
        }),
        ("a class's name length", MAX_NAME_BYTES as u64, |s, n| {
            s.classes[0].name = "x".repeat(n as usize)
        }),
        ("the number of classes", MAX_CLASSES as u64, |s, n| {
            s.classes = vec![class("c", &[]); n as usize]
        }),
        ("the number of tasks", MAX_TASKS as u64, |s, n| {
            s.tasks = tasks(n as usize, 1)
        }),
        ("max_entries", MAX_ENTRIES.into(), |s, n| {
            s.max_entries = n as u8
        }),
        ("a window", MAX_WINDOW_BLOCKS.into(), |s, n| {
            s.windows.accept = n as u32
        }),
        ("a reserve price", MAX_PRICE.0, |s, n| {
            s.tasks[0].reserve = Price(n)
        }),
        ("a quantity", MAX_QUANTITY.into(), |s, n| {
            s.tasks[0].quantity = n as u32
        }),
        ("the number of units", MAX_UNITS.into(), |s, n| {
            s.tasks = tasks(4, MAX_QUANTITY);
            s.tasks.extend(tasks(n as usize - MAX_UNITS as usize, 1));
        }),
        (
            "the requirements of a class",
            MAX_REQUIREMENTS as u64,
            |s, n| {
                s.classes[0].requirements = requirements(n as usize, 1);
            },
        ),
        ("min_issuers", MAX_REQUIREMENTS as u64, |s, n| {
            s.classes[0].requirements = requirements(1, n as u8);
        }),
        (
            "the evidences a class needs",
            MAX_REQUIREMENTS as u64,
            |s, n| {
                s.classes[0].requirements = requirements(2, 1);
                s.classes[0].requirements[0].min_issuers = n as u8 - 1;
            },
        ),
    ];
    for (what, most, set) in cases {
        let judged = |value| {
            let mut spec = valid();
            set(&mut spec, value);
            spec.check()
        };
        assert_eq!(judged(most), Ok(()), "{what}");
        let found = most + 1;
        let refused = SpecError::OutOfBounds {
            what,
            found,
            least: 1,
            most,
        };
        assert_eq!(judged(found), Err(refused));
    }
}

#[test]
fn a_bid_holds_so_much_and_no_more() {
    let judged = |evidences: usize, sequence, classes: usize, slots| {
        let (proof, sealed) = (bare_proof(), bare_sealed());
        let slots = |class| ClassSlots { class, slots };
        let content = BidContent {
            auction: AuctionId([2; 32]),
            bidder: PublicKey([1; 32]),
            sequence,
            asset: FieldBytes([0; 32]),
            evidences: vec![proof; evidences],
            slots: (0..classes as u16).map(slots).collect(),
            sealed,
        };
        content.check()
    };
    let last = MAX_SEQUENCE - 1;
    let most = MAX_REQUIREMENTS;
    assert_eq!(judged(most, last, MAX_CLASSES, MAX_SLOTS), Ok(()));
    let evidences = Err(BidShapeError::Evidences(most + 1));
    assert_eq!(judged(most + 1, last, 1, 1), evidences);
    let sequence = Err(BidShapeError::Sequence(MAX_SEQUENCE));
    assert_eq!(judged(1, MAX_SEQUENCE, 1, 1), sequence);
    let slots = Err(BidShapeError::Slots);
    assert_eq!(judged(1, 0, 1, MAX_SLOTS + 1), slots);
    assert_eq!(judged(1, 0, MAX_CLASSES + 1, 1), slots);

    let body = |entries: usize| BidBody {
        salt: [0; 32],
        entries: (0..entries as u32).map(|task| (task, Price(1))).collect(),
    };
    assert!(body(MAX_BID_ENTRIES).encode(MAX_BID_ENTRIES).is_ok());
    let more = MAX_BID_ENTRIES + 1;
    let refused = body(more).encode(MAX_BID_ENTRIES).unwrap_err();
    let max = MAX_BID_ENTRIES;
    assert_eq!(refused, BodyError::TooMany { found: more, max });
    assert_eq!(
        body(1).encode(more).unwrap_err(),
        BodyError::MaxEntries(more)
    );
    let bytes = vec![0; BidBody::padded_bytes(more)];
    assert_eq!(
        BidBody::decode(&bytes, more),
        Err(BodyError::MaxEntries(more))
    );
}

fn bare_proof() -> Evidence {
    Evidence::Proof(ProofEvidence {
        type_id: TypeId([1; 32]),
        registry_root: FieldBytes([0; 32]),
        asset: FieldBytes([0; 32]),
        issuers: IssuerMask(1),
        claim: Claim(Vec::new()),
        proof: ProofBytes([0; 128]),
    })
}

fn bare_sealed() -> Sealed {
    Sealed {
        u: [0; 32],
        shares: Vec::new(),
        seed: [0; 32],
        body: Vec::new(),
    }
}

#[test]
fn genesis_holds_so_much_and_no_more() {
    type Set = fn(&mut Genesis, usize);
    let cases: [(&str, usize, Set); 4] = [
        ("validators", MAX_VALIDATORS, |g, n| {
            g.validators = sorted_keys(n)
                .into_iter()
                .map(|key| GenesisValidator {
                    name: "v".into(),
                    key,
                    power: Power(1),
                })
                .collect();
        }),
        ("issuers", MAX_ISSUERS, |g, n| {
            let keys = sorted_keys(n).into_iter().enumerate();
            g.issuers = keys
                .map(|(at, key)| Issuer {
                    name: format!("i{at}"),
                    key,
                    quota: 1,
                })
                .collect();
        }),
        ("openers", MAX_OPENERS, |g, n| {
            g.openers = Openers::List(sorted_keys(n))
        }),
        ("types", MAX_TYPES, |g, n| {
            let version = |version: usize| CapabilityType {
                version: version as u16,
                ..resources_keys().1.clone()
            };
            g.types = (0..n).map(version).collect();
        }),
    ];
    for (what, most, set) in cases {
        let judged = |count| {
            let mut document = genesis();
            set(&mut document, count);
            document.check()
        };
        assert_eq!(judged(most), Ok(()), "{what}");
        match judged(most + 1) {
            Err(GenesisError::Count {
                what: named,
                found,
                most: told,
                ..
            }) => {
                assert_eq!((named, found, told), (what, most + 1, most));
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let judged = |set: &dyn Fn(&mut Genesis)| {
        let mut document = genesis();
        set(&mut document);
        document.check()
    };
    assert_eq!(judged(&|g| g.issuers[0].quota = MAX_QUOTA), Ok(()));
    let refused = judged(&|g| g.issuers[0].quota = MAX_QUOTA + 1);
    assert!(matches!(refused, Err(GenesisError::Quota { .. })));
    assert_eq!(judged(&|g| g.open_budget = MAX_OPEN_BUDGET), Ok(()));
    let refused = judged(&|g| g.open_budget = MAX_OPEN_BUDGET + 1);
    assert!(matches!(refused, Err(GenesisError::OpenBudget { .. })));
    assert_eq!(judged(&|g| g.name = "n".repeat(MAX_NAME_BYTES)), Ok(()));
    let refused = judged(&|g| g.name = "n".repeat(MAX_NAME_BYTES + 1));
    assert!(matches!(refused, Err(GenesisError::Name { .. })));
}

fn sorted_keys(count: usize) -> Vec<PublicKey> {
    let mut keys: Vec<_> = (0..count).map(|n| key(&format!("k{n}")).public()).collect();
    keys.sort_unstable();
    keys
}

/// A document within the limits of each of its lists may still be too long for its reader: it is refused before a chain starts from it.
#[test]
fn a_genesis_document_fits_its_cap() {
    let mut document = genesis();
    document.types = (0..90).map(largest_type).collect();
    assert!(encode(&document).len() < Genesis::MAX_BYTES);
    let refused = document.check();
    assert!(
        matches!(refused, Err(GenesisError::Type { .. })),
        "their keys are none"
    );
    document.types = (0..130).map(largest_type).collect();
    let found = encode(&document).len();
    assert_eq!(document.check(), Err(GenesisError::TooLong { found }));
}

#[test]
fn a_market_holds_so_much_and_no_more() {
    let tasks = |count: usize| {
        let task = |id| MarketTask {
            id,
            reserve: clearing::MAX_PRICE,
            quantity: 1,
        };
        (0..count as u32).map(task).collect::<Vec<_>>()
    };
    let bids = |count: usize| {
        let bid = |n: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let bid = MarketBid {
                bid_id: BidId(id),
                bidder: PublicKey([1; 32]),
                slots: 1,
                bonus: 0,
            };
            (bid, [])
        };
        (0..count as u32).map(bid).collect::<Vec<_>>()
    };
    let made = |tasks, bids: Vec<(MarketBid, [(u32, Price); 0])>| Market::new(tasks, bids).err();
    assert_eq!(made(tasks(clearing::MAX_TASKS), bids(MAX_BIDS)), None);
    for (tasks, bids, what, max) in [
        (
            tasks(clearing::MAX_TASKS + 1),
            Vec::new(),
            "tasks",
            clearing::MAX_TASKS,
        ),
        (Vec::new(), bids(MAX_BIDS + 1), "bids", MAX_BIDS),
    ] {
        let found = max + 1;
        let refused = ClearingError::TooLarge { what, found, max };
        assert_eq!(made(tasks, bids), Some(refused));
    }
    let mut dear = tasks(1);
    dear[0].reserve.0 += 1;
    let reserve = dear[0].reserve.0;
    let refused = ClearingError::Reserve { task: 0, reserve };
    assert_eq!(made(dear, Vec::new()), Some(refused));
}

fn open(spec: AuctionSpec) -> Action {
    Action::OpenAuction(Box::new(spec))
}

#[test]
fn leases_are_so_long_and_no_longer() {
    let scenario = Scenario::default();
    let judged = |end| {
        let lease_end = UnixTime(end);
        let spec = AuctionSpec {
            lease_end,
            ..valid()
        };
        scenario.predict(&scenario.sign(OPENER, open(spec)))
    };
    let Err(Refusal::LeaseEnd { latest, .. }) = judged(u64::MAX) else {
        panic!("an endless lease");
    };
    assert!(latest.0 > START.seconds().0 + MAX_LEASE_SECONDS);
    assert_eq!(judged(latest.0), Ok(()));
    assert!(matches!(
        judged(latest.0 + 1),
        Err(Refusal::LeaseEnd { .. })
    ));
}

/// A bid of an agent for the only task, shown by an attestation.
fn bid(scenario: &Scenario, auction: AuctionId, agent: &str, price: u64) -> Bid {
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, price)],
        claim: amounts(&[("cpu_milli", 1_000)]),
    };
    let shown = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
    scenario.attested_bid(&plan, &[shown])
}

/// Opening costs a share per member and bid: the genesis' budget for it admits so many bids.
#[test]
fn an_auction_admits_as_many_bids_as_may_be_opened_and_no_more() {
    let mut document = genesis();
    document.open_budget = 2 * VALIDATORS.len() as u32;
    let mut scenario = Scenario::new(document);
    let auction = scenario.open(valid());
    for agent in ["ann", "bob"] {
        let bid = bid(&scenario, auction, agent, 10);
        scenario.submit_bid(&bid);
    }
    scenario.step();
    assert_eq!(scenario.state.auction(&auction).unwrap().bids.len(), 2);
    let third = Transaction::Bid(Box::new(bid(&scenario, auction, "eve", 10)));
    let cap = 2;
    assert_eq!(
        scenario.predict(&third),
        Err(Refusal::BidLimit { auction, cap })
    );
}

#[test]
fn so_many_auctions_clear_in_a_block_and_no_more() {
    let mut scenario = Scenario::default();
    let opener = key(OPENER).public();
    let ids: Vec<_> = (0..=MAX_BLOCK_CLEARINGS as u64)
        .map(|nonce| auction_id(&scenario.state.chain(), &opener, nonce))
        .collect();
    for _ in &ids {
        scenario.act(OPENER, open(valid()));
    }
    scenario.step();
    let last = *ids.last().unwrap();
    scenario.step_until(&last, |phase| matches!(phase, Phase::Reveal { .. }));
    let mut cleared = Vec::new();
    while scenario.state.auction(&last).is_some() {
        let before = scenario.state.auctions().count();
        scenario.step();
        cleared.push(before - scenario.state.auctions().count());
    }
    cleared.retain(|count| *count > 0);
    assert_eq!(cleared, [MAX_BLOCK_CLEARINGS, 1]);
}

#[test]
fn so_many_runners_up_are_kept_and_no_more() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(valid());
    let bids = MAX_RUNNERS_UP + 2;
    for agent in 0..bids {
        let bid = bid(
            &scenario,
            auction,
            &format!("agent-{agent}"),
            10 + agent as u64,
        );
        scenario.submit_bid(&bid);
    }
    scenario.step();
    assert_eq!(scenario.state.auction(&auction).unwrap().bids.len(), bids);
    scenario.clear(&auction);
    let settled = scenario.state.auction(&auction).unwrap();
    let waiting = &settled.runners_up[&0];
    assert_eq!(waiting.len(), MAX_RUNNERS_UP);
    let last = 10 + MAX_RUNNERS_UP as u64;
    assert_eq!(
        waiting.last().unwrap().1,
        Price(last),
        "the dearest has no place"
    );
}

#[test]
fn an_issuer_posts_its_quota_and_no_more() {
    let mut document = genesis();
    document.issuers[0].quota = 3;
    let mut scenario = Scenario::new(document);
    let issue = |n| Action::Issue {
        commitment: FieldBytes::from_u64(n),
        asset: asset_of("m"),
    };
    for n in 1..=3 {
        scenario.act(ISSUERS[0], issue(n));
    }
    scenario.step();
    let fourth = scenario.sign(ISSUERS[0], issue(4));
    let refused = scenario.predict(&fourth).unwrap_err();
    assert!(
        matches!(
            refused,
            Refusal::Quota {
                what: "leaves",
                quota: 3,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_validator_opens_so_many_proposals_and_no_more() {
    let mut scenario = Scenario::default();
    let approve = |nonce, expiry| {
        let change = Change::SetOpeners(Openers::Any);
        let expiry = Height(expiry);
        Action::Approve(Box::new(Proposal {
            change,
            nonce,
            expiry,
        }))
    };
    for nonce in 0..MAX_OPEN_PROPOSALS as u64 {
        scenario.act(VALIDATORS[0], approve(nonce, 100));
    }
    scenario.step();
    let more = scenario.sign(VALIDATORS[0], approve(99, 100));
    let refused = scenario.predict(&more).unwrap_err();
    assert!(
        matches!(
            refused,
            Refusal::ProposalLimit {
                limit: MAX_OPEN_PROPOSALS,
                ..
            }
        ),
        "{refused}"
    );
    // Another's are another's.
    let latest = scenario.state.next_clock().height.0 + MAX_PROPOSAL_LIFE;
    let judged = |expiry| scenario.predict(&scenario.sign(VALIDATORS[1], approve(99, expiry)));
    assert_eq!(judged(latest), Ok(()));
    let refused = judged(latest + 1).unwrap_err();
    assert!(
        matches!(refused, Refusal::ProposalExpiry { .. }),
        "{refused}"
    );
}

fn header(height: u64) -> Header {
    Header {
        version: 1,
        chain: genesis().chain_id(),
        height: Height(height),
        parent: BlockId::ZERO,
        time: START,
        tx_root: Digest::ZERO,
        last_certificate_hash: Digest::ZERO,
        evidence_hash: Digest::ZERO,
        witness_hash: Digest::ZERO,
        validators_hash: Digest::ZERO,
        next_validators_hash: Digest::ZERO,
        state_root: Digest::ZERO,
        outcome_root: Digest::ZERO,
    }
}

/// A certificate of the largest committees, over so many changes of the set.
fn certified(changes: usize) -> AssignmentCertificate {
    let commit = Commit {
        height: Height(1),
        round: Round(0),
        block: BlockId::ZERO,
        signers: vec![0xff; MAX_VALIDATORS.div_ceil(8)],
        signatures: vec![Signature([1; 64]); MAX_VALIDATORS],
    };
    let certificate = CommitCertificate::V1(commit);
    let validator = Validator {
        key: PublicKey([1; 32]),
        power: Power(u64::MAX),
    };
    let change = |height| SetChange {
        header: header(height),
        certificate: certificate.clone(),
        next: vec![validator; MAX_VALIDATORS],
    };
    let end = AuctionEnd::NoKeys {
        missing: Vec::new(),
    };
    AssignmentCertificate {
        format: certificate::Format::V1,
        chain: genesis().chain_id(),
        set_changes: (1..=changes as u64).map(change).collect(),
        header: header(changes as u64 + 1),
        certificate: certificate.clone(),
        path: MerkleProof {
            index: 0,
            count: 1,
            path: Vec::new(),
        },
        record: OutcomeRecord::Auction(AuctionRecord {
            auction: AuctionId([1; 32]),
            end,
        }),
    }
}

/// The most changes of the largest sets fit the file; one more change, or byte, does not hold.
#[test]
fn a_certificate_walks_through_so_many_changes_and_no_more() {
    let genesis = genesis();
    let most = certified(MAX_SET_CHANGES);
    let text = most.to_json();
    assert!(text.len() <= certificate::MAX_FILE_BYTES, "{}", text.len());
    assert_eq!(
        AssignmentCertificate::from_json(text.as_bytes()),
        Ok(most.clone())
    );
    let walked = most.verify(&genesis).unwrap_err();
    assert!(
        matches!(walked, VerifyError::WrongSet { .. }),
        "it was looked at: {walked}"
    );
    let more = certified(MAX_SET_CHANGES + 1).verify(&genesis).unwrap_err();
    assert_eq!(more, VerifyError::SetChangeOrder);

    let most = certificate::MAX_FILE_BYTES;
    let long = |len| AssignmentCertificate::from_json(&vec![b' '; len]).unwrap_err();
    assert!(matches!(long(most), VerifyError::Malformed(_)));
    let len = most + 1;
    assert_eq!(long(len), VerifyError::TooLong { len, most });
}

#[test]
fn a_headers_file_holds_so_many_and_no_more() {
    let chain = genesis().chain_id();
    let file = |count: usize| {
        let headers = (1..=count as u64).map(header).collect();
        let text = Headers::new(chain, headers).to_json();
        assert!(text.len() <= checkpoint::MAX_FILE_BYTES, "{}", text.len());
        Headers::from_json(text.as_bytes()).map(|file| file.headers.len())
    };
    assert_eq!(file(MAX_HEADERS), Ok(MAX_HEADERS));
    assert!(matches!(
        file(MAX_HEADERS + 1),
        Err(VerifyError::Malformed(_))
    ));
    let most = checkpoint::MAX_FILE_BYTES;
    let long = |len| Headers::from_json(&vec![b' '; len]).unwrap_err();
    assert!(matches!(long(most), VerifyError::Malformed(_)));
    let len = most + 1;
    assert_eq!(long(len), VerifyError::TooLong { len, most });
}
