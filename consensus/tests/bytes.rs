//! Damaged messages, answers and certificates at the engine's door: nothing of them is believed, nothing halts, and the honest original still
//! counts afterwards (THREATS B12, B14, B18).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use tender_consensus::{
    block::CommittedBlock,
    certificate::CommitCertificate,
    engine::Verdict,
    evidence::Evidence,
    message::{Bundle, Message, Proposed, Request, Response},
    sim::{Sim, SimConfig, keys::test_keys, toy::toy_tx},
    vote::{Proposal, Vote, VoteKind},
    wal,
};
use tender_wire::{BlockId, Height, Round, SecretKey, decode, encode, testing};

const ME: usize = 0;

fn key(n: usize) -> SecretKey {
    test_keys(4).swap_remove(n)
}

/// Node 0 at some height, alone with what a test tells it.
fn alone() -> Sim {
    let mut sim = Sim::new(SimConfig::default());
    for n in 0..3 {
        sim.submit(ME, toy_tx(&format!("{n}")));
    }
    assert!(sim.run_until(60_000, |s| s.height(ME) >= 2));
    sim.partition(&[]);
    sim.run_for(1);
    sim
}

fn height(sim: &Sim) -> Height {
    sim.engine(ME).unwrap().height()
}

fn chain(sim: &Sim) -> tender_wire::ChainId {
    sim.chain(ME).unwrap().chain
}

fn vote(sim: &Sim, who: usize, round: u32, kind: VoteKind, block: Option<BlockId>) -> Vote {
    let slot = (height(sim), Round(round), kind);
    Vote::sign(&mut key(who), &chain(sim), slot, block).unwrap()
}

fn proposal(sim: &Sim, who: usize, round: u32, block: BlockId) -> Proposal {
    let slot = (height(sim), Round(round), None);
    Proposal::sign(&mut key(who), &chain(sim), slot, block).unwrap()
}

/// One of each kind of gossip, each good and new to node 0.
fn messages(sim: &Sim) -> Vec<Message> {
    let tip = sim.blocks(ME).last().unwrap().block.clone();
    let mut next = tip.to_compact();
    next.header.height = height(sim);
    let id = next.header.id();
    // Whose turn it is, node 0 says: the others are only ignored.
    let proposer = |round| {
        (1..4).find(|who| {
            let proposal = proposal(sim, *who, round, id);
            let block = None;
            let message = Message::Proposal(Box::new(Proposed { proposal, block }));
            let mut sim = alone();
            sim.inject(ME, message) == Some(Verdict::Accept)
        })
    };
    let (round, who) = (0..8).find_map(|r| Some((r, proposer(r)?))).unwrap();
    let offence = Evidence::votes(
        vote(sim, 3, 0, VoteKind::Precommit, Some(id)),
        vote(sim, 3, 0, VoteKind::Precommit, None),
    );
    vec![
        Message::Proposal(Box::new(Proposed {
            proposal: proposal(sim, who, round, id),
            block: Some(next),
        })),
        Message::Vote(Box::new(vote(sim, 1, 0, VoteKind::Prevote, Some(id)))),
        Message::Vote(Box::new(vote(sim, 2, 1, VoteKind::Precommit, None))),
        Message::Evidence(offence),
    ]
}

/// B11, B18: a message with any bit changed is no message of anybody's.
#[test]
fn a_damaged_message_is_never_accepted_and_the_original_still_is() {
    let mut sim = alone();
    for message in messages(&sim) {
        let mut judged = 0;
        testing::each(&encode(&message), |damage, bytes| {
            if let Ok(damaged) = decode::<Message>(bytes) {
                let verdict = sim.inject(ME, damaged).unwrap();
                assert_ne!(verdict, Verdict::Accept, "{message:?}: {damage}");
                judged += 1;
            }
        });
        assert!(judged > 500, "{judged}");
        assert_eq!(sim.halted(ME), None);
        let verdict = sim.inject(ME, message.clone());
        assert_eq!(verdict, Some(Verdict::Accept), "{message:?}");
    }
}

/// B13, B18: what a peer answers is held to the question, bit by bit; a damaged range moves no tip.
#[test]
fn a_damaged_answer_changes_nothing() {
    let mut ahead = Sim::new(SimConfig::default());
    for n in 0..4 {
        ahead.submit(ME, toy_tx(&format!("{n}")));
    }
    assert!(ahead.run_until(60_000, |s| s.height(ME) >= 1));
    let late = 3;
    ahead.partition(&[&[0, 1, 2], &[late]]);
    let tip = ahead.height(late);
    for n in 4..9 {
        ahead.submit(ME, toy_tx(&format!("{n}")));
    }
    assert!(ahead.run_until(200_000, |s| s.height(ME) >= tip + 2));
    ahead.partition(&[]);
    ahead.run_for(1);
    let next = Height(ahead.height(late) + 1);
    let blocks: Vec<CommittedBlock> = ahead.blocks(ME)[next.0 as usize - 1..].to_vec();
    let request = Request::Blocks(next);
    let good = Response::Blocks(vec![blocks[0].clone()]);
    let before = ahead.chain(late).unwrap().tip;
    let mut judged = 0;
    testing::each(&encode(&good), |damage, bytes| {
        if let Ok(damaged) = decode::<Response>(bytes) {
            let verdict = ahead.inject_response(late, request.clone(), damaged);
            assert_ne!(verdict, Some(Verdict::Accept), "{damage}");
            judged += 1;
        }
    });
    assert!(judged > 500, "{judged}");
    assert_eq!(ahead.halted(late), None);
    assert_eq!(ahead.chain(late).unwrap().tip, before);
    let verdict = ahead.inject_response(late, request, good);
    assert_eq!(verdict, Some(Verdict::Accept));
    assert_eq!(ahead.chain(late).unwrap().tip, blocks[0].block.id());

    // Of votes in progress, none is kept that its validator did not sign. (Who passes on a stranger's is not blamed.)
    let vote = vote(&ahead, 1, 0, VoteKind::Prevote, None);
    let bundle = Bundle {
        tip: Height(0),
        proposals: vec![],
        votes: vec![vote],
    };
    let request = Request::Votes(height(&ahead));
    let known = |sim: &Sim| sim.engine(ME).unwrap().answer(&request);
    let (before, good) = (known(&ahead), Response::Votes(bundle));
    let mut judged = 0;
    testing::each(&encode(&good), |damage, bytes| {
        let Ok(damaged @ Response::Votes(Bundle { tip: Height(0), .. })) = decode(bytes) else {
            return; // another tip is a claim, and costs one question
        };
        ahead.inject_response(ME, request.clone(), damaged);
        assert_eq!(known(&ahead), before, "{damage}");
        judged += 1;
    });
    assert!(judged > 500, "{judged}");
    assert_eq!(ahead.halted(ME), None);
    ahead.inject_response(ME, request.clone(), good);
    assert_ne!(known(&ahead), before);
}

/// B12, B14: no bit of a commit certificate can be changed: not of its bitmap, its count, its slot, its signatures.
#[test]
fn no_bit_of_a_commit_certificate_can_be_changed() {
    let sim = alone();
    let CommittedBlock { block, certificate } = &sim.blocks(ME)[0];
    let chain = sim.chain(ME).unwrap();
    let at = (block.header.height, block.id());
    let verdict = |c: &CommitCertificate| c.verify(&chain.chain, &chain.validators, at);
    assert_eq!(verdict(certificate), Ok(()));
    testing::each(&encode(certificate), |damage, bytes| {
        if let Ok(damaged) = decode::<CommitCertificate>(bytes) {
            assert!(verdict(&damaged).is_err(), "{damage}");
        }
    });
}

/// P4, B18: the vote log of a height, with any damage: cut where an append broke off, or refused. Never shorter without saying so.
#[test]
fn a_damaged_vote_log_is_cut_at_a_frame_or_refused() {
    let sim = alone();
    let log = sim.vote_log(ME);
    let whole = wal::scan(log).unwrap();
    assert_eq!(whole.valid_len, log.len());
    testing::each(log, |damage, bytes| match (damage, wal::scan(bytes)) {
        (testing::Damage::Cut(len), Ok(scan)) => {
            assert!(scan.valid_len <= len);
            assert_eq!(scan.records, whole.records[..scan.records.len()]);
        }
        (testing::Damage::Longer(0), Ok(scan)) => assert_eq!(scan, whole),
        (_, scan) => assert!(scan.is_err(), "{damage}"),
    });
}
