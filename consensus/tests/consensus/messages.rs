//! What the door lets in: bounds, replays, strangers, floods (THREATS B8, B11, B15).

use tender_consensus::{
    engine::{MAX_NEXT_MESSAGES, Refusal, Verdict},
    evidence::Evidence,
    kernel::{MAX_FUTURE_ROUNDS, MAX_ROUND_AHEAD},
    message::{Bundle, Message, Proposed, Request, Response},
    sim::{Sim, SimConfig, keys::test_keys},
    tx::TxBytes,
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, ChainId, Height, Round, SecretKey};

const ME: usize = 0;
const BLOCK: BlockId = BlockId([5; 32]);

/// Node 0, alone with what a test tells it, at height 3.
fn alone() -> Sim {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.height(ME) >= 2));
    sim.partition(&[]);
    sim.run_for(1);
    sim
}

fn key(n: usize) -> SecretKey {
    test_keys(4).swap_remove(n)
}

fn chain(sim: &Sim) -> ChainId {
    sim.chain(ME).unwrap().chain
}

fn height(sim: &Sim) -> Height {
    sim.engine(ME).unwrap().height()
}

fn vote_by(
    sim: &Sim,
    mut key: SecretKey,
    height: Height,
    round: u32,
    block: Option<BlockId>,
) -> Vote {
    let slot = (height, Round(round), VoteKind::Prevote);
    Vote::sign(&mut key, &chain(sim), slot, block).unwrap()
}

fn tell(sim: &mut Sim, vote: Vote) -> Verdict {
    sim.inject(ME, Message::Vote(Box::new(vote))).unwrap()
}

fn proposal(sim: &Sim, who: usize, round: u32, pol: Option<u32>) -> Message {
    let slot = (height(sim), Round(round), pol.map(Round));
    let proposal =
        Proposal::sign(&mut key(who), &chain(sim), slot, BlockId([who as u8; 32])).unwrap();
    Message::Proposal(Box::new(Proposed {
        proposal,
        block: None,
    }))
}

#[test]
fn a_vote_counts_once_and_its_copy_is_a_duplicate() {
    let mut sim = alone();
    let vote = vote_by(&sim, key(1), height(&sim), 2, None);
    assert_eq!(tell(&mut sim, vote.clone()), Verdict::Accept);
    assert_eq!(tell(&mut sim, vote), Verdict::Ignore(Refusal::Duplicate));
}

/// B11: another chain, height, round, kind or signer under the same signature.
#[test]
fn a_replayed_signature_fits_nowhere_else() {
    let mut sim = alone();
    let h = height(&sim);
    let good = vote_by(&sim, key(1), h, 2, Some(BLOCK));
    let foreign = Vote::sign(
        &mut key(1),
        &ChainId([9; 32]),
        (h, Round(2), VoteKind::Prevote),
        None,
    );
    let bad = Verdict::Reject(Refusal::BadSignature);
    assert_eq!(tell(&mut sim, foreign.unwrap()), bad);
    let changes: [fn(&mut Vote); 5] = [
        |v| v.round = Round(3),
        |v| v.kind = VoteKind::Precommit,
        |v| v.block = None,
        |v| v.validator = key(2).public(),
        |v| v.signature.0[5] ^= 1,
    ];
    for change in changes {
        let mut replayed = good.clone();
        change(&mut replayed);
        assert_eq!(tell(&mut sim, replayed), bad);
    }
    let mut next = good.clone();
    next.height = h.next();
    assert_eq!(tell(&mut sim, next), bad);
    let mut old = good;
    old.height = Height(1);
    assert!(matches!(
        tell(&mut sim, old),
        Verdict::Ignore(Refusal::OldHeight { .. })
    ));
}

#[test]
fn strangers_are_ignored_before_their_signature_is_looked_at() {
    let mut sim = alone();
    let stranger = test_keys(40)
        .into_iter()
        .find(|k| (0..4).all(|i| key(i).public() != k.public()));
    let mut vote = vote_by(&sim, stranger.unwrap(), height(&sim), 0, None);
    vote.signature.0 = [0; 64];
    assert_eq!(
        tell(&mut sim, vote),
        Verdict::Ignore(Refusal::NotAValidator)
    );
}

/// B8: rounds ahead, per sender; one sender's flood leaves the others' room.
#[test]
fn a_flood_of_future_rounds_is_capped_per_sender() {
    let mut sim = alone();
    let h = height(&sim);
    let mut taken = 0;
    for round in 1..200 {
        let vote = vote_by(&sim, key(1), h, round, None);
        match tell(&mut sim, vote) {
            Verdict::Accept => taken += 1,
            other => assert_eq!(other, Verdict::Ignore(Refusal::FutureRound)),
        }
    }
    assert!(taken <= MAX_FUTURE_ROUNDS + 1, "{taken}");
    for who in 1..4 {
        let far = proposal(&sim, who, MAX_ROUND_AHEAD * 2, None);
        let refused = Some(Verdict::Ignore(Refusal::FutureRound));
        assert_eq!(sim.inject(ME, far), refused);
    }
    let near = vote_by(&sim, key(2), h, 1, None);
    assert_eq!(tell(&mut sim, near), Verdict::Accept);
}

/// B8: the next height is kept, within a cap; later ones are not.
#[test]
fn a_flood_of_future_heights_is_capped_per_sender() {
    let mut sim = alone();
    let h = height(&sim);
    let mut taken = 0;
    for round in 0..100 {
        let vote = vote_by(&sim, key(1), h.next(), round, None);
        taken += usize::from(tell(&mut sim, vote) == Verdict::Accept);
        let vote = vote_by(&sim, key(1), h.next().next(), round, None);
        assert!(matches!(
            tell(&mut sim, vote),
            Verdict::Ignore(Refusal::FutureHeight { .. })
        ));
    }
    assert_eq!(taken, MAX_NEXT_MESSAGES);
}

#[test]
fn only_the_proposer_of_a_round_may_propose() {
    let mut sim = alone();
    let proposer = (0..4).find(|who| {
        let message = proposal(&sim, *who, 7, None);
        *who != ME && sim.inject(ME, message) == Some(Verdict::Accept)
    });
    let proposer = proposer.unwrap_or(ME);
    for who in (1..4).filter(|w| *w != proposer) {
        let message = proposal(&sim, who, 7, None);
        assert_eq!(
            sim.inject(ME, message),
            Some(Verdict::Ignore(Refusal::NotTheProposer))
        );
    }
    let message = proposal(&sim, 1, 7, Some(7));
    assert_eq!(
        sim.inject(ME, message),
        Some(Verdict::Reject(Refusal::BadPolRound))
    );
}

/// What a peer a height behind accepts and passes on, a peer at that height must not hold against it.
#[test]
fn a_peer_a_height_behind_is_not_blamed_for_what_it_passes_on() {
    let mut behind = alone();
    let mut ahead = alone();
    let (h, chain) = (height(&behind), chain(&behind));
    ahead.heal();
    assert!(ahead.run_until(60_000, |s| height(s) == h.next()));
    let say = |who: usize, pol: Option<u32>| {
        let slot = (h.next(), Round(1), pol.map(Round));
        let block = BlockId([who as u8; 32]);
        let proposal = Proposal::sign(&mut key(who), &chain, slot, block).unwrap();
        Message::Proposal(Box::new(Proposed {
            proposal,
            block: None,
        }))
    };
    let messages: Vec<Message> = (1..4)
        .flat_map(|who| [None, Some(0), Some(1)].map(|pol| say(who, pol)))
        .collect();
    let mut out_of_turn = 0;
    for message in messages {
        if behind.inject(ME, message.clone()) == Some(Verdict::Accept) {
            let verdict = ahead.inject(ME, message).unwrap();
            assert!(!matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
            out_of_turn += usize::from(verdict == Verdict::Ignore(Refusal::NotTheProposer));
        }
    }
    assert!(out_of_turn > 0, "something out of turn was passed on");
    let ill = say(1, Some(1));
    let bad = Some(Verdict::Reject(Refusal::BadPolRound));
    assert_eq!(behind.inject(ME, ill), bad);
}

#[test]
fn a_block_that_is_not_the_proposed_one_is_its_senders_fault() {
    let mut sim = alone();
    let block = sim.blocks(ME)[0].block.to_compact();
    // Validator 1 proposes in round 3 of height 3.
    let Message::Proposal(mut proposed) = proposal(&sim, 1, 3, None) else {
        panic!()
    };
    proposed.block = Some(block.clone());
    let verdict = sim.inject(ME, Message::Proposal(proposed.clone()));
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::WrongBlock)));
    proposed.proposal.block = block.header.id();
    proposed.block.as_mut().unwrap().annex.witnesses.clear();
    let verdict = sim.inject(ME, Message::Proposal(proposed));
    assert!(matches!(verdict, Some(Verdict::Reject(Refusal::Body(_)))));
}

#[test]
fn two_votes_of_one_slot_become_evidence_once() {
    let mut sim = alone();
    let h = height(&sim);
    for (block, expected) in [
        (None, Verdict::Accept),
        (Some(BLOCK), Verdict::Accept),
        (
            Some(BlockId([6; 32])),
            Verdict::Ignore(Refusal::KnownOffender),
        ),
    ] {
        let vote = vote_by(&sim, key(1), h, 3, block);
        assert_eq!(tell(&mut sim, vote), expected);
    }
    let pair = Evidence::votes(
        vote_by(&sim, key(1), h, 3, None),
        vote_by(&sim, key(1), h, 3, Some(BLOCK)),
    );
    assert_eq!(
        sim.inject(ME, Message::Evidence(pair)),
        Some(Verdict::Ignore(Refusal::Duplicate))
    );
}

#[test]
fn evidence_is_verified_before_it_is_kept() {
    let mut sim = alone();
    let h = height(&sim);
    let pair = |sim: &Sim, height| {
        let votes = (
            vote_by(sim, key(2), height, 0, None),
            vote_by(sim, key(2), height, 0, Some(BLOCK)),
        );
        Evidence::votes(votes.0, votes.1)
    };
    let mut forged = pair(&sim, h);
    if let Evidence::Votes(a, _) = &mut forged {
        a.signature.0[0] ^= 1;
    }
    assert!(matches!(
        sim.inject(ME, Message::Evidence(forged)),
        Some(Verdict::Reject(Refusal::Evidence(_)))
    ));
    let early = pair(&sim, Height(999));
    assert!(matches!(
        sim.inject(ME, Message::Evidence(early)),
        Some(Verdict::Ignore(Refusal::StaleEvidence(_)))
    ));
    let good = pair(&sim, h);
    assert_eq!(
        sim.inject(ME, Message::Evidence(good)),
        Some(Verdict::Accept)
    );
}

#[test]
fn a_body_nobody_asked_for_is_its_senders_fault() {
    let mut sim = alone();
    let body = TxBytes::new(vec![1, 2, 3]).unwrap();
    let request = Request::Transactions(vec![TxBytes::new(vec![9]).unwrap().hash()]);
    let verdict = sim.inject_response(ME, request, Response::Transactions(vec![body]));
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::WrongTransaction)));
    let block = sim.blocks(ME)[0].block.to_compact();
    let verdict = sim.inject_response(
        ME,
        Request::Block(BLOCK),
        Response::Block(Some(Box::new(block))),
    );
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::WrongAnswer)));
}

/// A bundle is many messages through the same door: the good ones count, one bad one names its sender.
#[test]
fn a_bundle_with_a_forgery_counts_what_is_good_and_names_its_sender() {
    let mut sim = alone();
    let h = height(&sim);
    let good = vote_by(&sim, key(1), h, 2, None);
    let mut bad = vote_by(&sim, key(2), h, 2, None);
    bad.block = Some(BLOCK);
    let votes = vec![bad, good.clone()];
    let bundle = Bundle {
        tip: Height(0),
        proposals: Vec::new(),
        votes,
    };
    let verdict = sim.inject_response(ME, Request::Votes(h), Response::Votes(bundle));
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::BadSignature)));
    assert_eq!(tell(&mut sim, good), Verdict::Ignore(Refusal::Duplicate));
    let elsewhere = vote_by(&sim, key(1), h.next(), 0, None);
    let bundle = Bundle {
        tip: Height(0),
        proposals: Vec::new(),
        votes: vec![elsewhere],
    };
    let verdict = sim.inject_response(ME, Request::Votes(h), Response::Votes(bundle));
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::WrongAnswer)));
}
