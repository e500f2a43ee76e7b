//! Asking, seen from one engine: nobody's silence or ignorance decides how often others are asked.

use std::sync::Arc;
use tender_consensus::{
    chain::ChainState,
    engine::{Effect, Engine, Input, Peer, Refusal, Verdict},
    message::{Bundle, Message, Proposed, Request, Response},
    sim::{
        SimConfig, SimPool,
        keys::{test_keys, test_validators},
        toy::Toy,
    },
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, Height, Round, TimeMs};

const NOW: TimeMs = TimeMs(1_700_000_100_000);
const BLOCKS: Request = Request::Blocks(Height(1));

type Asks = Vec<(Request, Vec<Peer>)>;

/// A follower at genesis.
fn follower() -> Engine<Toy> {
    let config = SimConfig::default();
    let app = Arc::new(Toy {
        validators: test_validators(&config.powers),
        params: config.params,
        endless: true,
    });
    let chain = ChainState::genesis(&*app);
    let pool = Arc::new(SimPool::default());
    let (engine, _) = Engine::start(app, chain, None, None, pool, Vec::new(), NOW).unwrap();
    engine
}

fn step(engine: &mut Engine<Toy>, input: Input) -> (Verdict, Asks) {
    let output = engine.step(NOW, input);
    let ask = |effect| match effect {
        Effect::Ask { request, prefer } => Some((request, prefer)),
        _ => None,
    };
    (
        output.verdict,
        output.effects.into_iter().filter_map(ask).collect(),
    )
}

fn answer(
    engine: &mut Engine<Toy>,
    from: u64,
    request: Request,
    response: Response,
) -> (Verdict, Asks) {
    let from = Peer(from);
    let input = Input::Response {
        from,
        request,
        response,
    };
    step(engine, input)
}

fn claim(engine: &mut Engine<Toy>, from: u64, tip: u64) {
    let bundle = Bundle {
        tip: Height(tip),
        ..Bundle::default()
    };
    let request = Request::Votes(Height(1));
    let (verdict, _) = answer(engine, from, request, Response::Votes(bundle));
    assert_eq!(verdict, Verdict::Accept);
}

/// The peers asked first for blocks in so many ticks without an answer.
fn first_asked(engine: &mut Engine<Toy>, ticks: usize) -> Vec<u64> {
    let mut first = Vec::new();
    for _ in 0..ticks {
        let (_, asks) = step(engine, Input::Tick);
        let blocks = asks.into_iter().filter(|(request, _)| *request == BLOCKS);
        first.extend(blocks.filter_map(|(_, prefer)| prefer.first().map(|peer| peer.0)));
    }
    first
}

#[test]
fn silent_claimants_do_not_hold_up_block_sync() {
    let mut engine = follower();
    first_asked(&mut engine, 1);
    claim(&mut engine, 1, u64::MAX);
    claim(&mut engine, 2, u64::MAX);
    claim(&mut engine, 3, 5);
    assert_eq!(first_asked(&mut engine, 10), [1, 2, 3]);
    claim(&mut engine, 3, 5);
    assert_eq!(first_asked(&mut engine, 10), [3], "heard again");
}

/// Being asked does not clear a claim: who then has nothing to show is still named.
#[test]
fn a_claimant_is_held_to_its_claim_after_it_was_asked() {
    let mut engine = follower();
    claim(&mut engine, 1, 9);
    assert_eq!(first_asked(&mut engine, 2).last(), Some(&1));
    let (verdict, _) = answer(&mut engine, 1, BLOCKS, Response::Blocks(Vec::new()));
    let claimed = Height(9);
    assert_eq!(verdict, Verdict::Reject(Refusal::FalseHeight { claimed }));
}

fn gossip(engine: &mut Engine<Toy>, from: u64, message: Message) -> Asks {
    let from = Peer(from);
    let (verdict, asks) = step(engine, Input::Gossip { from, message });
    assert_eq!(verdict, Verdict::Accept);
    asks
}

/// At height 1 validator `n` proposes in round `n`.
fn made_up(engine: &Engine<Toy>, round: u32) -> (BlockId, Message) {
    let mut key = test_keys(4).swap_remove(round as usize);
    let block = BlockId([round as u8 + 1; 32]);
    let slot = (Height(1), Round(round), None);
    let proposal = Proposal::sign(&mut key, &engine.chain().chain, slot, block).unwrap();
    let unpushed = Proposed {
        proposal,
        block: None,
    };
    (block, Message::Proposal(Box::new(unpushed)))
}

fn nothing(engine: &mut Engine<Toy>, from: u64, block: BlockId) -> Asks {
    let (verdict, asks) = answer(engine, from, Request::Block(block), Response::Block(None));
    assert_eq!(verdict, Verdict::Accept);
    asks
}

#[test]
fn a_made_up_proposal_causes_no_storm_of_asks() {
    let mut engine = follower();
    let (block, proposal) = made_up(&engine, 0);
    let asks = gossip(&mut engine, 1, proposal);
    assert_eq!(asks, [(Request::Block(block), vec![Peer(1)])]);
    for guessed in 5..9 {
        assert_eq!(nothing(&mut engine, guessed, block), []);
    }
    assert_eq!(nothing(&mut engine, 1, block), [], "nobody else to ask");
    for round in 1..4 {
        let (_, proposal) = made_up(&engine, round);
        assert_eq!(gossip(&mut engine, 1, proposal), [], "of a later round");
    }
}

#[test]
fn one_block_nobody_has_does_not_repeat_the_asks_for_another() {
    let mut engine = follower();
    let (made_up, proposal) = made_up(&engine, 0);
    gossip(&mut engine, 1, proposal);
    let voted = BlockId([9; 32]);
    let mut asks = Vec::new();
    for who in [0, 1, 2] {
        let mut key = test_keys(4).swap_remove(who);
        let slot = (Height(1), Round(0), VoteKind::Prevote);
        let vote = Vote::sign(&mut key, &engine.chain().chain, slot, Some(voted)).unwrap();
        asks.extend(gossip(
            &mut engine,
            who as u64,
            Message::Vote(Box::new(vote)),
        ));
    }
    let sources = [0, 1, 2].map(Peer).to_vec();
    assert_eq!(asks, [(Request::Block(voted), sources)]);
    assert_eq!(nothing(&mut engine, 1, made_up), []);
    let left = [0, 2].map(Peer).to_vec();
    let again = nothing(&mut engine, 1, voted);
    assert_eq!(again, [(Request::Block(voted), left)], "others at once");
}
