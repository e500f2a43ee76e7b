//! One honest validator among three that say anything to it, properly signed or not, answer its questions as they like, and crash it: it signs nothing
//! twice, across restarts, and stops for no reason but theirs. (With three of four in wrong hands anything may be decided; the simulator watches the slots.)
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use tender_consensus::{
    block::{Annex, Block, CommittedBlock},
    certificate::CommitCertificate,
    engine::HaltReason,
    evidence::Evidence,
    message::{Bundle, Message, Proposed, Request, Response},
    sim::{
        Sim, SimConfig,
        keys::{test_keys, test_validators},
        toy::{Toy, toy_tx},
    },
    vote::{Proposal, Vote, VoteKind},
};
use tender_fuzz::{registry::kinds, seeds};
use tender_wire::{BlockId, Digest, Height, Round, decode};

const ME: usize = 0;

#[derive(Arbitrary, Clone, Debug)]
enum Op {
    Run(u16),
    Transaction(u8),
    Vote {
        who: u8,
        ahead: u8,
        round: u8,
        precommit: bool,
        block: u8,
    },
    Propose {
        who: u8,
        ahead: u8,
        round: u8,
        pol: Option<u8>,
        block: u8,
        with: bool,
    },
    Everyone {
        round: u8,
        precommit: bool,
        block: u8,
    },
    Offence {
        who: u8,
        round: u8,
        a: u8,
        b: u8,
    },
    Body(u8),
    Transactions(u8),
    Votes {
        tip: u8,
        who: u8,
        round: u8,
        block: u8,
    },
    Range {
        block: u8,
        claimed: u8,
        signers: u8,
        foreign: bool,
    },
    Message(Vec<u8>),
    Answer(u8, Vec<u8>),
    Crash,
    Restart,
}

struct World {
    sim: Sim,
    toy: Toy,
    blocks: BTreeMap<(Height, u8), Block>,
}

impl World {
    fn new() -> Self {
        let config = SimConfig::default();
        let toy = Toy {
            validators: test_validators(&config.powers),
            params: config.params.clone(),
            endless: config.endless,
        };
        let mut sim = Sim::new(config);
        sim.partition(&[]);
        sim.run_for(1);
        (1..4).for_each(|node| sim.crash(node));
        World {
            sim,
            toy,
            blocks: BTreeMap::new(),
        }
    }

    fn height(&self, ahead: u8) -> Height {
        let now = self
            .sim
            .engine(ME)
            .map_or(Height(1), |engine| engine.height());
        Height((now.0 + u64::from(ahead % 4)).saturating_sub(1))
    }

    /// Two good blocks, one whose state is wrong, one early and one of another chain; of the height in progress.
    fn block(&mut self, pick: u8) -> Option<Block> {
        let pick = pick % 5;
        let chain = self.sim.chain(ME)?;
        let key = (chain.height.next(), pick);
        if let Some(block) = self.blocks.get(&key) {
            return Some(block.clone());
        }
        let annex = Annex {
            last_certificate: self.sim.blocks(ME).last().map(|c| c.certificate.clone()),
            ..Annex::default()
        };
        let (mut block, _) = chain
            .build(
                &self.toy,
                chain.earliest(),
                annex,
                &[toy_tx(&format!("{pick}"))],
            )
            .ok()??;
        match pick {
            2 => block.header.state_root = Digest([9; 32]),
            3 => block.header.time.0 -= 100,
            4 => block.header.chain.0[0] ^= 1,
            _ => {}
        }
        self.blocks.insert(key, block.clone());
        Some(block)
    }

    fn id(&mut self, pick: u8) -> Option<BlockId> {
        match pick % 7 {
            6 => None,
            5 => Some(BlockId([7; 32])),
            pick => self.block(pick).map(|block| block.id()),
        }
    }

    fn chain_id(&self) -> tender_wire::ChainId {
        tender_wire::ChainId(self.toy.validators.hash().0)
    }

    fn vote(&mut self, who: u8, height: Height, round: u8, kind: VoteKind, block: u8) -> Vote {
        let id = self.id(block);
        let mut key = test_keys(4).swap_remove(usize::from(1 + who % 3));
        Vote::sign(
            &mut key,
            &self.chain_id(),
            (height, Round(u32::from(round % 8)), kind),
            id,
        )
        .expect("a key signs")
    }

    fn apply(&mut self, op: Op) {
        let kind = |precommit| {
            if precommit {
                VoteKind::Precommit
            } else {
                VoteKind::Prevote
            }
        };
        match op {
            Op::Run(ms) => self.sim.run_for(u64::from(ms % 3000)),
            Op::Transaction(n) => self.sim.submit(ME, toy_tx(&format!("{}", n % 5))),
            Op::Vote {
                who,
                ahead,
                round,
                precommit,
                block,
            } => {
                let vote = self.vote(who, self.height(ahead), round, kind(precommit), block);
                self.sim.inject(ME, Message::Vote(Box::new(vote)));
            }
            Op::Everyone {
                round,
                precommit,
                block,
            } => {
                for who in 0..3 {
                    let vote = self.vote(who, self.height(1), round, kind(precommit), block);
                    self.sim.inject(ME, Message::Vote(Box::new(vote)));
                }
            }
            Op::Propose {
                who,
                ahead,
                round,
                pol,
                block,
                with,
            } => {
                let Some(body) = self.block(block) else {
                    return;
                };
                let mut key = test_keys(4).swap_remove(usize::from(1 + who % 3));
                let slot = (
                    self.height(ahead),
                    Round(u32::from(round % 8)),
                    pol.map(|p| Round(u32::from(p % 8))),
                );
                let proposal = Proposal::sign(&mut key, &self.chain_id(), slot, body.id())
                    .expect("a key signs");
                let block = with.then(|| body.to_compact());
                self.sim.inject(
                    ME,
                    Message::Proposal(Box::new(Proposed { proposal, block })),
                );
            }
            Op::Offence { who, round, a, b } => {
                let height = self.height(1);
                let pair =
                    [a, b].map(|block| self.vote(who, height, round, VoteKind::Prevote, block));
                let [a, b] = pair;
                self.sim
                    .inject(ME, Message::Evidence(Evidence::votes(a, b)));
            }
            Op::Body(pick) => {
                let Some(block) = self.block(pick) else {
                    return;
                };
                let answer = Response::Block(Some(Box::new(block.to_compact())));
                self.sim
                    .inject_response(ME, Request::Block(block.id()), answer);
            }
            Op::Transactions(pick) => {
                let Some(block) = self.block(pick) else {
                    return;
                };
                let hashes = block.transactions.iter().map(|tx| tx.hash()).collect();
                self.sim.inject_response(
                    ME,
                    Request::Transactions(hashes),
                    Response::Transactions(block.transactions),
                );
            }
            Op::Votes {
                tip,
                who,
                round,
                block,
            } => {
                let height = self.height(1);
                let votes = vec![self.vote(who, height, round, VoteKind::Precommit, block)];
                let bundle = Bundle {
                    tip: Height(u64::from(tip)),
                    proposals: vec![],
                    votes,
                };
                self.sim
                    .inject_response(ME, Request::Votes(height), Response::Votes(bundle));
            }
            Op::Range {
                block,
                claimed,
                signers,
                foreign,
            } => {
                let Some(body) = self.block(block) else {
                    return;
                };
                let (height, id) = (body.header.height, body.id());
                let mut precommits = BTreeMap::new();
                for who in (0..3usize).filter(|who| signers >> who & 1 == 1) {
                    let mut key = test_keys(4).swap_remove(usize::from(1 + who));
                    let slot = (height, Round(0), VoteKind::Precommit);
                    let of = if foreign { BlockId([3; 32]) } else { id };
                    let vote = Vote::sign(&mut key, &self.chain_id(), slot, Some(of))
                        .expect("a key signs");
                    let index = self
                        .toy
                        .validators
                        .index_of(&vote.validator)
                        .expect("a validator");
                    precommits.insert(index, vote.signature);
                }
                let certificate = CommitCertificate::assemble(
                    &self.toy.validators,
                    (height, Round(0), id),
                    &precommits,
                );
                let start = Height(height.0 + u64::from(claimed % 3) - u64::from(claimed % 2));
                let blocks = vec![CommittedBlock {
                    block: body,
                    certificate,
                }];
                self.sim
                    .inject_response(ME, Request::Blocks(start), Response::Blocks(blocks));
            }
            Op::Message(bytes) => {
                if let Ok(message) = decode(&bytes) {
                    self.sim.inject(ME, message);
                }
            }
            Op::Answer(pick, bytes) => {
                let Ok(response) = decode(&bytes) else { return };
                let request = match pick % 4 {
                    0 => Request::Block(self.id(pick).unwrap_or(BlockId::ZERO)),
                    1 => Request::Transactions(vec![]),
                    2 => Request::Votes(self.height(pick / 4)),
                    _ => Request::Blocks(self.height(pick / 4)),
                };
                self.sim.inject_response(ME, request, response);
            }
            Op::Crash => self.sim.crash(ME),
            Op::Restart => {
                if self.sim.engine(ME).is_none() {
                    self.sim.restart(ME);
                    self.sim.run_for(1);
                }
            }
        }
    }
}

fuzz_target!(
    init: {
        let wanted = [("consensus", "Message"), ("consensus", "Response")];
        let kinds = kinds();
        let of = kinds.iter().filter(|kind| wanted.contains(&kind.name));
        seeds(of.flat_map(|kind| kind.examples.clone()));
    },
    |data: &[u8]| {
        let Ok(ops) = <Vec<Op>>::arbitrary_take_rest(Unstructured::new(data)) else { return };
        let mut world = World::new();
        for op in ops.into_iter().take(60) {
            world.apply(op);
        }
        let allowed = match world.sim.halted(ME) {
            None | Some(HaltReason::Fork { .. } | HaltReason::DecidedInvalid { .. }) => true,
            Some(_) => false,
        };
        assert!(allowed, "{:?}", world.sim.halted(ME));
    }
);
