//! Bodies come and go; a verdict lasts as long as its body. One engine, and everything it is told.

use std::sync::Arc;
use tender_consensus::{
    block::{Annex, Block},
    chain::ChainState,
    engine::{Effect, Engine, Input, MAX_BODIES, Peer},
    message::{Message, Proposed, Request, Response},
    sim::{
        SimConfig, SimPool,
        keys::{test_keys, test_validators},
        toy::{TOY_GENESIS_TIME, Toy},
    },
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, ChainId, Height, Round, TimeMs};

const NOW: TimeMs = TimeMs(TOY_GENESIS_TIME.0 + 10_000);
const ME: usize = 3;
const HEIGHT: Height = Height(1);

struct Bench {
    engine: Engine<Toy>,
    chain: ChainId,
    /// Blocks asked for, and votes published, since last looked at.
    asked: Vec<BlockId>,
    voted: Vec<Vote>,
}

impl Bench {
    fn new() -> (Self, Vec<Block>) {
        let config = SimConfig::default();
        let app = Arc::new(Toy {
            validators: test_validators(&config.powers),
            params: config.params,
            endless: true,
        });
        let genesis = ChainState::genesis(&*app);
        let build = |n: u64| {
            let time = TimeMs(NOW.0 - 1 - n); // what the engine builds itself has this very moment
            let built = genesis.build(&*app, time, Annex::default(), &[]);
            built.unwrap().unwrap().0
        };
        let blocks = (0..=2 * MAX_BODIES as u64).map(build).collect();
        let chain = genesis.chain;
        let signer = Box::new(test_keys(4).swap_remove(ME));
        let pool = Arc::new(SimPool::default());
        let (engine, effects) =
            Engine::start(app, genesis, None, Some(signer), pool, Vec::new(), NOW).unwrap();
        let mut bench = Bench {
            engine,
            chain,
            asked: Vec::new(),
            voted: Vec::new(),
        };
        bench.carry_out(effects);
        (bench, blocks)
    }

    fn carry_out(&mut self, effects: Vec<Effect<Toy>>) {
        for effect in effects {
            match effect {
                Effect::Persist(batch) => {
                    let output = self.engine.step(NOW, Input::Persisted(batch));
                    self.carry_out(output.effects);
                }
                Effect::Ask {
                    request: Request::Block(id),
                    ..
                } => self.asked.push(id),
                Effect::Send(message) => {
                    if let Message::Vote(vote) = message.into_inner() {
                        self.voted.push(*vote);
                    }
                }
                Effect::Halt(reason) => panic!("{reason}"),
                _ => {}
            }
        }
    }

    fn step(&mut self, input: Input) {
        let output = self.engine.step(NOW, input);
        self.carry_out(output.effects);
    }

    fn hear(&mut self, message: Message) {
        let from = Peer(7);
        self.step(Input::Gossip { from, message });
    }

    /// In round `r` validator `r % 4` proposes.
    fn proposed(&mut self, round: u32, pol: Option<u32>, block: &Block, pushed: bool) {
        let mut key = test_keys(4).swap_remove(round as usize % 4);
        let slot = (HEIGHT, Round(round), pol.map(Round));
        let proposal = Proposal::sign(&mut key, &self.chain, slot, block.id()).unwrap();
        let block = pushed.then(|| block.to_compact());
        self.hear(Message::Proposal(Box::new(Proposed { proposal, block })));
    }

    fn prevoted(&mut self, who: usize, round: u32, block: Option<BlockId>) {
        let mut key = test_keys(4).swap_remove(who);
        let slot = (HEIGHT, Round(round), VoteKind::Prevote);
        let vote = Vote::sign(&mut key, &self.chain, slot, block).unwrap();
        self.hear(Message::Vote(Box::new(vote)));
    }

    fn prevote_of(&self, round: u32) -> Option<Option<BlockId>> {
        let mine = |v: &&Vote| (v.round, v.kind) == (Round(round), VoteKind::Prevote);
        self.voted.iter().find(mine).map(|v| v.block)
    }
}

/// Many rounds of valid blocks later the first is proposed again, with its polka. Its body had to go, and its verdict with it: it is fetched and
/// executed again before anything is said for it. Otherwise a block could be decided that nobody can show.
#[test]
fn a_block_whose_body_had_to_go_is_not_voted_for_before_it_is_back() {
    let (mut bench, blocks) = Bench::new();
    let first = &blocks[0];
    bench.proposed(0, None, first, true);
    assert_eq!(bench.prevote_of(0), Some(Some(first.id())));
    let rounds = 4 * (MAX_BODIES as u32 / 2); // enough, and validator 0's turn again
    for round in 1..rounds {
        bench.prevoted(1, round, None);
        bench.prevoted(2, round, None); // more than a third is there: follow
        if round as usize % 4 != ME {
            let block = &blocks[round as usize];
            bench.proposed(round, None, block, true);
            assert_eq!(bench.prevote_of(round), Some(Some(block.id())));
        }
    }
    bench.prevoted(1, rounds, None);
    bench.prevoted(2, rounds, None);
    assert_eq!(bench.engine.round().0, Round(rounds));

    bench.asked.clear();
    bench.proposed(rounds, Some(0), first, false);
    for who in 0..3 {
        bench.prevoted(who, 0, Some(first.id()));
    }
    assert_eq!(bench.prevote_of(rounds), None, "not without the body");
    assert_eq!(bench.asked, [first.id()]);
    bench.step(Input::Response {
        from: Peer(7),
        request: Request::Block(first.id()),
        response: Response::Block(Some(Box::new(first.to_compact()))),
    });
    assert_eq!(bench.prevote_of(rounds), Some(Some(first.id())));
}
