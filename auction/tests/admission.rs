//! Attacks on bids, evidence and seal keys, each refused by its rule. Proofs, signatures and sealing are real.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::OnceLock;
use tender_auction::{
    bid::{Bid, BidContent},
    ledger::LedgerError,
    market::{ExecutionError, Phase, Refusal},
    scenario::{
        ISSUERS, OPENER, Plan, Scenario, VALIDATORS, amounts, attributes, class, genesis, key,
        resources_keys, seal_seed, spec, task,
    },
    seal::{CommitteeKey, CommitteeSecret, SealError},
    task::AuctionSpec,
    transaction::{Action, Change, Proposal, SealKeyTx, SealRevealTx, SignedTx, Transaction},
};
use tender_circuits::{
    CapabilityType, Credential, Evidence, IssuerIndex, IssuerMask, ProofBytes, ProofEvidence,
    asset_of,
    attacks::{forge, rerandomise},
    capability::Setup,
    placed,
    prove::ProveError,
    schema::FieldValue,
};
use tender_consensus::{application::Payload, tx::TxBytes};
use tender_wire::{AuctionId, Digest, Height, UnixTime};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 8_000), ("memory_mib", 32_000)];

/// A market with one auction in its bidding window, and an honest bid nobody has submitted.
#[derive(Clone)]
struct World {
    scenario: Scenario,
    auction: AuctionId,
    credential: Credential,
    bid: Bid,
}

fn small() -> AuctionSpec {
    spec(
        vec![class(
            "small",
            &[("cpu_milli", 2_000), ("memory_mib", 4_000)],
        )],
        vec![task("render", 0, 100, 2), task("train", 0, 500, 1)],
    )
}

fn plan(auction: AuctionId, agent: &str) -> Plan<'_> {
    Plan {
        auction,
        agent,
        machine: "m-1",
        sequence: 0,
        slots: &[(0, 2)],
        entries: &[(0, 60)],
        claim: amounts(CLAIM),
    }
}

fn world() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    let make = || {
        let mut scenario = Scenario::default();
        let credential = scenario.issue(
            0,
            "alice",
            "m-1",
            attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]),
        );
        let auction = scenario.open(small());
        let bid = scenario.bid(&plan(auction, "alice"), &credential);
        World {
            scenario,
            auction,
            credential,
            bid,
        }
    };
    WORLD.get_or_init(make).clone()
}

impl World {
    fn refusal(&self, bid: &Bid) -> Refusal {
        let refused = self
            .scenario
            .predict(&Transaction::Bid(Box::new(bid.clone())));
        refused.expect_err("the bid must be refused")
    }

    /// A bid by the credential's holder with a proof from the leaf at `index`, made with the prover's own checks left out.
    fn forged(&self, agent: &str, credential: &Credential, index: u32) -> Bid {
        let mut content = self.scenario.seal(&plan(self.auction, agent));
        let state = &self.scenario.state;
        let (key_of_type, record) = resources_keys();
        let mut evidence = ProofEvidence {
            type_id: record.id(),
            registry_root: state.good_root().unwrap().0,
            asset: credential.asset,
            issuers: IssuerMask::default().with(credential.issuer),
            claim: amounts(CLAIM),
            proof: ProofBytes([0; 128]),
        };
        let lease_end = state.auction(&self.auction).unwrap().spec.lease_end;
        let statement = content.statement_of(&state.chain(), &evidence, lease_end);
        let path = state.registry_path(index).unwrap();
        evidence.proof = forge(key_of_type, credential, &path, &statement, [6; 32]).unwrap();
        content.evidences = vec![Evidence::Proof(evidence)];
        content.sign(&state.chain(), &key(agent))
    }

    /// Has an issuer post a credential's commitment about a machine; the index of the leaf.
    fn post(&mut self, issuer: u8, credential: &Credential, machine: &str) -> u32 {
        let (commitment, asset) = (credential.commitment(), asset_of(machine));
        let action = Action::Issue { commitment, asset };
        self.scenario.act(ISSUERS[usize::from(issuer)], action);
        self.scenario.step();
        let issuer = IssuerIndex::new(issuer).unwrap();
        let leaf = placed(issuer, &asset, &commitment).unwrap();
        let (index, row) = self.scenario.state.find_leaf(&leaf).unwrap();
        assert_eq!((row.issuer, row.asset), (issuer, asset));
        index
    }

    /// Neither the prover nor, without its checks, the chain takes a proof of `credential` from the leaf at `index`.
    fn proves_nothing(&self, agent: &str, credential: &Credential, index: u32) {
        let content = self.scenario.seal(&plan(self.auction, agent));
        let refused = self
            .scenario
            .prove(&content, credential, &amounts(CLAIM))
            .unwrap_err();
        assert_eq!(refused, ProveError::NotRegistered);
        let forged = self.forged(agent, credential, index);
        assert_eq!(self.refusal(&forged).code(), "invalid_proof");
    }

    /// The honest bid with other content, signed by `agent`.
    fn altered(&self, agent: &str, change: impl FnOnce(&mut BidContent)) -> Bid {
        let mut content = self.bid.content.clone();
        change(&mut content);
        content.sign(&self.scenario.state.chain(), &key(agent))
    }
}

fn proof_of(bid: &mut BidContent) -> &mut ProofEvidence {
    match &mut bid.evidences[0] {
        Evidence::Proof(proof) => proof,
        Evidence::Attestation(_) => panic!("a proof"),
    }
}

#[test]
fn an_honest_bid_is_admitted_once() {
    let mut world = world();
    world.scenario.submit_bid(&world.bid);
    world.scenario.step();
    let auction = world.scenario.state.auction(&world.auction).unwrap();
    assert_eq!(auction.bids.len(), 1);
    let account = world
        .scenario
        .state
        .account(&world.bid.content.asset)
        .unwrap();
    assert_eq!((account.bids, account.leases), (1, 0));
    assert_eq!(world.refusal(&world.bid).code(), "duplicate");
}

#[test]
fn t1_a_proof_does_not_hold_for_a_later_sequence_or_another_auction() {
    let mut world = world();
    let later = world.altered("alice", |bid| bid.sequence = 1);
    assert_eq!(world.refusal(&later).code(), "invalid_proof");
    assert!(world.refusal(&later).is_state_independent());
    let other = world.scenario.open(small());
    let mut replayed = world.scenario.seal(&plan(other, "alice"));
    replayed.evidences = world.bid.content.evidences.clone();
    let replayed = replayed.sign(&world.scenario.state.chain(), &key("alice"));
    assert_eq!(world.refusal(&replayed).code(), "invalid_proof");
}

#[test]
fn t2_a_copied_proof_does_not_hold_for_another_bidder() {
    let world = world();
    let copied = world.altered("mallory", |bid| bid.bidder = key("mallory").public());
    assert_eq!(world.refusal(&copied).code(), "invalid_proof");
    let mut own = world.scenario.seal(&plan(world.auction, "mallory"));
    own.evidences = world.bid.content.evidences.clone();
    let own = own.sign(&world.scenario.state.chain(), &key("mallory"));
    assert_eq!(world.refusal(&own).code(), "invalid_proof");
}

#[test]
fn t3_a_rerandomised_proof_is_neither_the_bidders_nor_a_new_bid() {
    let mut world = world();
    let mut stolen = world.bid.clone();
    let proof = proof_of(&mut stolen.content);
    let other = rerandomise(&resources_keys().1, &proof.proof, [3; 32]).unwrap();
    assert_ne!(other, proof.proof);
    proof.proof = other;
    assert_eq!(
        stolen.content.id(),
        world.bid.content.id(),
        "the market's identity leaves proofs out"
    );
    assert_eq!(world.refusal(&stolen).code(), "bad_signature");
    world.scenario.submit_bid(&world.bid);
    world.scenario.step();
    assert_eq!(world.refusal(&stolen).code(), "duplicate");
    let own = world.altered("alice", |bid| proof_of(bid).proof = other);
    assert_eq!(world.refusal(&own).code(), "duplicate");
}

#[test]
fn a_forged_or_stretched_claim_is_refused() {
    let world = world();
    let more = amounts(&[("cpu_milli", 16_001)]);
    let unsupported = world
        .scenario
        .prove(&world.bid.content, &world.credential, &more)
        .unwrap_err();
    assert!(
        unsupported.to_string().contains("cpu_milli"),
        "{unsupported}"
    );
    let stretched = world.altered("alice", |bid| {
        proof_of(bid).claim = amounts(&[("cpu_milli", 9_000), ("memory_mib", 32_000)])
    });
    assert_eq!(world.refusal(&stretched).code(), "invalid_proof");
    let misshapen = world.altered("alice", |bid| {
        proof_of(bid).claim.0.pop();
    });
    assert_eq!(world.refusal(&misshapen).code(), "claim_shape");
}

#[test]
fn an_issuer_cannot_attest_in_another_issuers_name() {
    let mut world = world();
    let mut credential = world.credential.clone();
    credential.holder = key("mallory").public();
    assert_eq!(credential.issuer.value(), 0);
    let index = world.post(1, &credential, "m-1");
    world.proves_nothing("mallory", &credential, index);
    // In the poster's own name it is a credential like any other.
    credential.issuer = IssuerIndex::new(1).unwrap();
    let own = world.forged("mallory", &credential, index);
    let own = Transaction::Bid(Box::new(own));
    world.scenario.predict(&own).expect("its own attestation");
    let Transaction::Bid(mut renamed) = own else {
        panic!("a bid")
    };
    proof_of(&mut renamed.content).issuers = IssuerMask(1);
    let renamed = renamed
        .content
        .sign(&world.scenario.state.chain(), &key("mallory"));
    assert_eq!(world.refusal(&renamed).code(), "invalid_proof");
}

#[test]
fn a_credential_counts_for_the_machine_it_was_posted_about() {
    let mut world = world();
    let mut credential = world.credential.clone();
    credential.holder = key("mallory").public();
    let index = world.post(0, &credential, "m-2");
    world.proves_nothing("mallory", &credential, index);
}

#[test]
fn t9_a_revoked_credential_is_not_brought_back_by_another_issuer_or_about_another_machine() {
    let mut world = world();
    let credential = world.credential.clone();
    let state = &world.scenario.state;
    let (index, _) = state.find_leaf(&credential.leaf()).unwrap();
    world.scenario.act(ISSUERS[0], Action::Revoke { index });
    world.scenario.step();
    for (issuer, machine) in [(1, "m-1"), (0, "m-2")] {
        let index = world.post(issuer, &credential, machine);
        let state = &world.scenario.state;
        assert!(state.find_leaf(&credential.leaf()).is_none());
        world.proves_nothing("alice", &credential, index);
    }
    assert_eq!(world.refusal(&world.bid).code(), "root_too_old");
}

#[test]
fn t8_a_credential_that_expires_during_the_lease_proves_nothing() {
    let mut world = world();
    let mut late = small();
    late.lease_end = UnixTime(late.lease_end.0 + 300 * 24 * 3600);
    let auction = world.scenario.open(late.clone());
    let mut brief = world.credential.clone();
    brief.expiry = UnixTime(late.lease_end.0 - 1);
    let (commitment, asset) = (brief.commitment(), brief.asset);
    world
        .scenario
        .act(ISSUERS[0], Action::Issue { commitment, asset });
    world.scenario.step();
    let content = world.scenario.seal(&plan(auction, "alice"));
    let refused = world
        .scenario
        .prove(&content, &brief, &amounts(CLAIM))
        .unwrap_err();
    assert!(refused.to_string().contains("expires"), "{refused}");
}

/// T8: with the prover's own checks left out. Expired before the lease ends by a second, and long ago.
#[test]
fn t8_a_forged_proof_of_an_expired_credential_is_refused() {
    let mut world = world();
    let lease_end = small().lease_end;
    for expiry in [UnixTime(lease_end.0 - 1), UnixTime(1)] {
        let mut expired = world.credential.clone();
        expired.expiry = expiry;
        let index = world.post(0, &expired, "m-1");
        let forged = world.forged("alice", &expired, index);
        assert_eq!(world.refusal(&forged).code(), "invalid_proof");
    }
    let mut just = world.credential.clone();
    just.expiry = lease_end;
    let index = world.post(0, &just, "m-1");
    let sound = Transaction::Bid(Box::new(world.forged("alice", &just, index)));
    assert_eq!(world.scenario.predict(&sound), Ok(()));
}

/// T30: two types with one circuit and one key. A proof is of the type it was made for, and so is an attestation.
#[test]
fn t30_nothing_crosses_types() {
    let mut genesis = genesis();
    let mut twin = resources_keys().1.clone();
    twin.version = 2;
    genesis.types.push(twin.clone());
    let mut scenario = Scenario::new(genesis);
    let capable = attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]);
    let credential = scenario.issue(0, "alice", "m-1", capable);
    let auction = scenario.open(small());
    let bid = scenario.bid(&plan(auction, "alice"), &credential);
    let of_twin = |change: &dyn Fn(&mut BidContent)| {
        let mut content = bid.content.clone();
        change(&mut content);
        let bid = content.sign(&scenario.state.chain(), &key("alice"));
        let refused = scenario.predict(&Transaction::Bid(Box::new(bid)));
        refused.unwrap_err().code()
    };
    let renamed = of_twin(&|content| proof_of(content).type_id = twin.id());
    assert_eq!(renamed, "invalid_proof");
    let attestation = scenario.attest(0, "alice", "m-1", amounts(CLAIM), 1);
    let renamed = of_twin(&|content| {
        let mut attestation = attestation.clone();
        attestation.type_id = twin.id();
        content.evidences = vec![Evidence::Attestation(attestation)];
    });
    assert_eq!(renamed, "bad_attestation");
    assert_eq!(
        of_twin(&|content| proof_of(content).type_id.0[0] ^= 1),
        "unknown_type"
    );
}

/// T5: what genesis refuses, validators cannot vote in either.
#[test]
fn t5_a_degenerate_key_or_an_insecure_setup_is_not_registered_by_vote() {
    let vote = |scenario: &Scenario, record: CapabilityType| {
        let proposal = Proposal {
            change: Change::AddType(record),
            nonce: 1,
            expiry: Height(1_000),
        };
        let approve = Action::Approve(Box::new(proposal));
        let refused = scenario.predict(&scenario.sign(VALIDATORS[0], approve));
        refused.map_err(|refusal| refusal.to_string())
    };
    let scenario = Scenario::default();
    let mut sound = resources_keys().1.clone();
    sound.version = 2;
    assert_eq!(vote(&scenario, sound.clone()), Ok(()));
    // alpha 32, then beta, gamma and delta of 64 bytes each.
    type Damage = fn(&mut Vec<u8>);
    let degenerate: [(&str, Damage); 3] = [
        ("forged by anyone", |vk| vk.copy_within(160..224, 96)),
        ("identity", |vk| {
            vk[96..160].fill(0);
            vk[159] = 0x40;
        }),
        ("bytes", |vk| {
            vk.pop();
        }),
    ];
    for (said, change) in degenerate {
        let mut record = sound.clone();
        change(&mut record.vk);
        let refused = vote(&scenario, record).unwrap_err();
        assert!(refused.contains(said), "{refused:?} should say {said:?}");
    }
    let mut secure = genesis();
    secure.allow_insecure_setup = false;
    secure.types.clear();
    let secure = Scenario::new(secure);
    let refused = vote(&secure, sound.clone()).unwrap_err();
    assert!(refused.contains("single-party setup"), "{refused}");
    let ceremony = |contributions| Setup::Ceremony {
        transcript: Digest([1; 32]),
        contributions,
        beacon: Digest([2; 32]),
    };
    sound.setup = ceremony(0);
    assert!(
        vote(&secure, sound.clone())
            .unwrap_err()
            .contains("no contribution")
    );
    sound.setup = ceremony(1);
    assert_eq!(vote(&secure, sound), Ok(()));
}

#[test]
fn t9_a_root_from_before_a_revocation_is_refused_for_those_who_rely_on_that_issuer_alone() {
    let mut world = world();
    let other = world.scenario.issue(
        1,
        "bob",
        "m-2",
        attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]),
    );
    let bobs = Plan {
        agent: "bob",
        machine: "m-2",
        ..plan(world.auction, "bob")
    };
    let bobs = world.scenario.bid(&bobs, &other);
    let (index, _) = world
        .scenario
        .state
        .find_leaf(&world.credential.leaf())
        .unwrap();
    world.scenario.act(ISSUERS[0], Action::Revoke { index });
    world.scenario.step();
    assert_eq!(world.refusal(&world.bid).code(), "root_too_old");
    assert!(!world.refusal(&world.bid).is_state_independent());
    assert!(
        world
            .scenario
            .prove(&world.bid.content, &world.credential, &amounts(CLAIM))
            .is_err()
    );
    world
        .scenario
        .predict(&Transaction::Bid(Box::new(bobs)))
        .expect("bob relies on another issuer");
}

#[test]
fn t9_an_unknown_root_is_refused() {
    let world = world();
    let unknown = world.altered("alice", |bid| proof_of(bid).registry_root.0[31] ^= 1);
    assert_eq!(world.refusal(&unknown).code(), "unknown_root");
}

#[test]
fn t11_two_holders_of_one_asset_cannot_both_bid() {
    let mut world = world();
    let second = world.scenario.issue(
        0,
        "mallory",
        "m-1",
        attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]),
    );
    world.scenario.submit_bid(&world.bid);
    world.scenario.step();
    let rival = world.scenario.bid(&plan(world.auction, "mallory"), &second);
    assert!(matches!(
        world.refusal(&rival),
        Refusal::AssetBound { error: LedgerError::OtherHolder { holder, .. } } if holder == key("alice").public()
    ));
}

#[test]
fn t12_one_asset_attested_by_two_issuers_is_one_account() {
    let mut world = world();
    let second = world.scenario.issue(
        1,
        "alice",
        "m-1",
        attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]),
    );
    assert_eq!(second.asset, world.credential.asset);
    world.scenario.submit_bid(&world.bid);
    world.scenario.step();
    let replacement = Plan {
        sequence: 1,
        ..plan(world.auction, "alice")
    };
    let replacement = world.scenario.bid(&replacement, &second);
    world.scenario.submit_bid(&replacement);
    world.scenario.step();
    let auction = world.scenario.state.auction(&world.auction).unwrap();
    assert_eq!(
        (auction.bids.len(), auction.replaced.len()),
        (1, 1),
        "one live bid per asset, whoever attests"
    );
    assert_eq!(world.scenario.state.account(&second.asset).unwrap().bids, 1);
}

#[test]
fn only_a_later_sequence_replaces() {
    let mut world = world();
    let second = Plan {
        sequence: 1,
        ..plan(world.auction, "alice")
    };
    let second = world.scenario.bid(&second, &world.credential);
    world.scenario.submit_bid(&second);
    world.scenario.step();
    assert_eq!(world.refusal(&world.bid).code(), "not_newer");
    let far = world.altered("alice", |bid| bid.sequence = 16);
    assert_eq!(world.refusal(&far).code(), "bid_shape");
}

#[test]
fn t14_slots_beyond_the_claim_are_refused_without_overflow() {
    let world = world();
    for slots in [5, 1_024] {
        let greedy = world.altered("alice", |bid| bid.slots[0].slots = slots);
        assert!(matches!(
            world.refusal(&greedy),
            Refusal::NoCapacity {
                error: LedgerError::NoCapacity {
                    field: 0,
                    capacity: 8_000,
                    ..
                }
            }
        ));
    }
    let mut scenario = world.scenario.clone();
    let huge = class("huge", &[("cpu_milli", u64::from(u32::MAX))]);
    let auction = scenario.open(spec(vec![huge], vec![task("all", 0, 10, 1)]));
    let claim = amounts(&[("cpu_milli", u64::from(u32::MAX))]);
    let plan = Plan {
        slots: &[(0, 1_024)],
        claim: claim.clone(),
        ..plan(auction, "alice")
    };
    let bid = scenario.attested_bid(&plan, &[scenario.attest(0, "alice", "m-1", claim, 1)]);
    let refused = scenario
        .predict(&Transaction::Bid(Box::new(bid)))
        .unwrap_err();
    assert_eq!(refused.code(), "no_capacity");
}

#[test]
fn t21_a_rogue_seal_key_is_refused_and_the_honest_one_still_lands() {
    let mut scenario = Scenario::default();
    scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    scenario.step();
    let honest = scenario.duties();
    let Transaction::SealKey(victim) = &honest[0] else {
        panic!("a seal key is owed")
    };
    let rogue = VALIDATORS
        .iter()
        .find(|name| key(name).public() != victim.member)
        .unwrap();
    let chain = scenario.state.chain();
    let copied = SealKeyTx::new(
        &chain,
        &key(rogue),
        victim.auction,
        victim.key,
        victim.proof,
    );
    let identity = SealKeyTx::new(
        &chain,
        &key(rogue),
        victim.auction,
        CommitteeKey([0; 32]),
        victim.proof,
    );
    for (tx, expected) in [(copied, SealError::BadProof), (identity, SealError::BadKey)] {
        let refused = scenario.predict(&Transaction::SealKey(tx)).unwrap_err();
        assert!(
            matches!(&refused, Refusal::BadSealKey { error, .. } if *error == expected),
            "{refused}"
        );
        assert!(refused.is_state_independent());
    }
    let stranger = SealKeyTx::new(
        &chain,
        &key("stranger"),
        victim.auction,
        victim.key,
        victim.proof,
    );
    assert_eq!(
        scenario
            .predict(&Transaction::SealKey(stranger))
            .unwrap_err()
            .code(),
        "not_member"
    );
    scenario.step();
    let auction = scenario.state.auction(&victim.auction).unwrap();
    assert_eq!(auction.keys.len(), 4);
    assert_eq!(auction.threshold(), 3);
    let again = scenario.predict(&honest[0]).unwrap_err();
    assert_eq!(again.code(), "not_taking_keys");
}

#[test]
fn t23_every_window_holds_an_honest_proposer() {
    let scenario = Scenario::default();
    let shorten: [fn(&mut AuctionSpec); 4] = [
        |s| s.windows.keys = 2,
        |s| s.windows.bidding = 2,
        |s| s.windows.reveal = 2,
        |s| s.windows.accept = 2,
    ];
    for change in shorten {
        let mut spec = small();
        change(&mut spec); // f = 1, so three blocks are the least
        let refused = scenario
            .predict(&scenario.sign(OPENER, Action::OpenAuction(Box::new(spec))))
            .unwrap_err();
        assert!(
            matches!(
                refused,
                Refusal::WindowTooShort {
                    found: 2,
                    least: 3,
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[test]
fn an_auction_is_refused_by_the_rule_it_breaks() {
    let scenario = Scenario::default();
    let refusal = |change: &dyn Fn(&mut AuctionSpec)| {
        let mut spec = small();
        change(&mut spec);
        scenario
            .predict(&scenario.sign(OPENER, Action::OpenAuction(Box::new(spec))))
            .unwrap_err()
            .code()
    };
    assert_eq!(refusal(&|s| s.tasks.clear()), "auction_shape");
    assert_eq!(refusal(&|s| s.tasks[0].reserve.0 = 0), "auction_shape");
    assert_eq!(
        refusal(&|s| s.tasks[0].reserve.0 = u64::MAX),
        "auction_shape"
    );
    assert_eq!(
        refusal(&|s| s.classes[0].requirements[0].type_id.0[0] ^= 1),
        "unknown_type"
    );
    assert_eq!(
        refusal(&|s| s.classes[0].requirements[0].issuers = IssuerMask(0b1111)),
        "unknown_issuers"
    );
    assert_eq!(
        refusal(&|s| s.classes[0].requirements[0].requirement.0[0] = FieldValue::Mask(1)),
        "requirement"
    );
    assert_eq!(refusal(&|s| s.lease_end = UnixTime(0)), "lease_end");
    assert_eq!(refusal(&|s| s.lease_end = UnixTime(u64::MAX)), "lease_end");
}

#[test]
fn openers_have_a_limit_of_live_auctions() {
    let mut scenario = Scenario::default();
    for _ in 0..8 {
        scenario.act(OPENER, Action::OpenAuction(Box::new(small())));
    }
    scenario.step();
    assert_eq!(scenario.state.auctions().count(), 8);
    let ninth = scenario.sign(OPENER, Action::OpenAuction(Box::new(small())));
    assert_eq!(scenario.predict(&ninth).unwrap_err().code(), "opener_limit");
}

#[test]
fn t24_a_bid_after_the_closing_block_makes_a_block_invalid() {
    let mut world = world();
    world.scenario.step_until(&world.auction, |phase| {
        matches!(phase, Phase::Reveal { .. })
    });
    let late = Transaction::Bid(Box::new(world.bid.clone()));
    let payload = Payload {
        transactions: vec![TxBytes::new(late.to_bytes()).unwrap()],
        witnesses: Vec::new(),
    };
    let refused = world
        .scenario
        .execute(world.scenario.context(), payload)
        .err()
        .unwrap();
    assert!(matches!(
        refused,
        ExecutionError::Transaction {
            index: 0,
            refusal: Refusal::NotBidding { .. }
        }
    ));
}

#[test]
fn t20_a_reveal_before_or_in_the_closing_block_is_neither_owed_nor_accepted() {
    let mut scenario = world().scenario;
    let auction = world().auction;
    let row = scenario.state.auction(&auction).unwrap().clone();
    let opening = row.opening_block.expect("known since the block after");
    let reveal_of = |scenario: &Scenario, name: &str| {
        let (chain, seed) = (scenario.state.chain(), seal_seed(name));
        let secret = CommitteeSecret::derive(&seed, &chain, &auction, &opening);
        let rank = row.rank(&key(name).public()).unwrap();
        Transaction::SealReveal(SealRevealTx {
            auction,
            rank,
            reveal: secret.reveal(),
        })
    };
    while matches!(
        scenario.state.auction(&auction).unwrap().phase,
        Phase::Bidding { .. }
    ) {
        assert_eq!(
            scenario.duties(),
            [],
            "nothing is revealed before the closing block is committed"
        );
        let early = scenario
            .predict(&reveal_of(&scenario, VALIDATORS[0]))
            .unwrap_err();
        assert_eq!(early.code(), "not_revealing");
        scenario.step();
    }
    assert_eq!(scenario.duties().len(), 4);
    scenario
        .predict(&reveal_of(&scenario, VALIDATORS[0]))
        .expect("due now");
}

#[test]
fn t30_nothing_crosses_chains() {
    let world = world();
    let mut other = genesis();
    other.name = "another chain".into();
    let mut other = Scenario::new(other);
    assert_ne!(other.state.chain(), world.scenario.state.chain());
    let action = world
        .scenario
        .sign(OPENER, Action::OpenAuction(Box::new(small())));
    assert_eq!(world.scenario.predict(&action), Ok(()));
    let Transaction::Signed(mut signed) = action else {
        panic!()
    };
    signed.sequence = 0;
    let first = SignedTx::new(
        &world.scenario.state.chain(),
        &key(OPENER),
        0,
        signed.action.clone(),
    );
    let refused = other
        .predict(&Transaction::Signed(Box::new(first)))
        .unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
    // A bid re-signed for the other chain's auction still carries a proof of the first chain.
    let credential = other.issue(
        0,
        "alice",
        "m-1",
        attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]),
    );
    let auction = other.open(small());
    let mut content = other.seal(&plan(auction, "alice"));
    content.evidences = vec![other.prove(&content, &credential, &amounts(CLAIM)).unwrap()];
    let chain = world.scenario.state.chain();
    let foreign = content.clone().sign(&chain, &key("alice"));
    let refused = other
        .predict(&Transaction::Bid(Box::new(foreign)))
        .unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
    proof_of(&mut content).proof = proof_of(&mut world.bid.content.clone()).proof;
    let replayed = content.sign(&other.state.chain(), &key("alice"));
    let refused = other
        .predict(&Transaction::Bid(Box::new(replayed)))
        .unwrap_err();
    assert_eq!(refused.code(), "invalid_proof");
}

#[test]
fn t31_attestations_are_held_to_issuer_holder_window_serial_and_signature() {
    let mut world = world();
    let plan = plan(world.auction, "bob");
    let good = world.scenario.attest(2, "bob", "m-1", amounts(CLAIM), 77);
    let code = |scenario: &Scenario, attestation: &tender_circuits::Attestation| {
        let bid = scenario.attested_bid(&plan, std::slice::from_ref(attestation));
        scenario
            .predict(&Transaction::Bid(Box::new(bid)))
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(code(&world.scenario, &good), Ok(()));
    let chain = world.scenario.state.chain();
    let wrong_holder = world.scenario.attest(2, "alice", "m-1", amounts(CLAIM), 77);
    assert_eq!(code(&world.scenario, &wrong_holder), Err("bad_attestation"));
    let forged = good.clone().signed(&chain, &key("mallory"));
    assert_eq!(code(&world.scenario, &forged), Err("bad_attestation"));
    let mut stretched = good.clone();
    stretched.claim = amounts(&[("cpu_milli", 9_000), ("memory_mib", 32_000)]);
    assert_eq!(code(&world.scenario, &stretched), Err("bad_attestation"));
    let mut brief = good.clone();
    brief.not_after = UnixTime(world.scenario.state.time().seconds().0 + 60);
    assert_eq!(
        code(&world.scenario, &brief.signed(&chain, &key(ISSUERS[2]))),
        Err("attestation_window")
    );
    let mut nobody = good.clone();
    nobody.issuer = tender_circuits::IssuerIndex::new(9).unwrap();
    assert_eq!(
        code(&world.scenario, &nobody.signed(&chain, &key(ISSUERS[2]))),
        Err("unknown_issuers")
    );
    let revoke = Action::RevokeAttestation {
        asset: good.asset,
        serial: 77,
    };
    world.scenario.act(ISSUERS[2], revoke);
    world.scenario.step();
    assert_eq!(code(&world.scenario, &good), Err("attestation_revoked"));
}

#[test]
fn evidences_of_one_type_speak_of_one_machine_and_of_distinct_issuers() {
    let world = world();
    let plan = plan(world.auction, "bob");
    let attest = |issuer, machine, serial| {
        world
            .scenario
            .attest(issuer, "bob", machine, amounts(CLAIM), serial)
    };
    let code = |attestations: &[_]| {
        let bid = world.scenario.attested_bid(&plan, attestations);
        world
            .scenario
            .predict(&Transaction::Bid(Box::new(bid)))
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(code(&[attest(0, "m-1", 1), attest(1, "m-1", 1)]), Ok(()));
    assert_eq!(
        code(&[attest(0, "m-1", 1), attest(0, "m-1", 2)]),
        Err("overlapping_issuers")
    );
    assert_eq!(
        code(&[attest(0, "m-1", 1), attest(1, "m-2", 1)]),
        Err("mixed_assets")
    );
    assert_eq!(code(&[attest(0, "m-2", 1)]), Err("other_asset"));
    assert_eq!(code(&[]), Err("bid_shape"));
}

#[test]
fn a_bid_of_the_wrong_shape_for_the_auction_is_refused() {
    let world = world();
    let unknown_class = world.altered("alice", |bid| bid.slots[0].class = 1);
    assert_eq!(world.refusal(&unknown_class).code(), "unknown_class");
    let short = world.altered("alice", |bid| {
        bid.sealed.body.pop();
    });
    assert_eq!(world.refusal(&short).code(), "seal_shape");
    let few = world.altered("alice", |bid| {
        bid.sealed.shares.pop();
    });
    assert_eq!(world.refusal(&few).code(), "seal_shape");
    let elsewhere = world.altered("alice", |bid| bid.auction.0[0] ^= 1);
    assert_eq!(world.refusal(&elsewhere).code(), "unknown_auction");
}

/// Together as alone: each claim has its own verdict, and nothing dear is asked of a bid that fails a cheap rule.
#[test]
fn proofs_verified_together_have_each_its_own_verdict() {
    let world = world();
    let (market, state) = (&world.scenario.market, &world.scenario.state);
    let claims = |bid: &Bid| {
        let tx = Transaction::Bid(Box::new(bid.clone()));
        market.predict_but_proofs(state, &tx)
    };
    let later = world.altered("alice", |bid| bid.sequence = 1);
    let garbled = world.altered("alice", |bid| proof_of(bid).proof = ProofBytes([0xff; 128]));
    let claims: Vec<_> = [&world.bid, &later, &garbled, &world.bid]
        .into_iter()
        .flat_map(|bid| claims(bid).unwrap())
        .collect();
    let claims: Vec<_> = claims.iter().collect();
    // The second time some verdicts are remembered.
    for _ in 0..2 {
        let verdicts = market.verify_proofs(&claims).into_iter().zip(&claims);
        let codes: Vec<_> = verdicts
            .map(|(verdict, claim)| verdict.err().map(|_| claim.refused().code()))
            .collect();
        let bad = Some("invalid_proof");
        assert_eq!(codes, [None, bad, bad, None]);
    }

    let mut unsigned = later;
    unsigned.signature = world.bid.signature;
    let tx = Transaction::Bid(Box::new(unsigned));
    let refused = market.predict_but_proofs(state, &tx).unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
}
