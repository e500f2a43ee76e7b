//! Proposers that lie, each in its own way: nil prevotes from every honest validator, and a right block in the next round.

use tender_consensus::{
    block::{Block, BodyError, CompactBlock},
    certificate::CommitCertificate,
    chain::{BlockError, ChainState},
    engine::{Refusal, Verdict},
    evidence::Evidence,
    sim::{
        Sim, SimConfig,
        byzantine::{Forger, ProposalEquivocator, refit},
        keys::{test_keys, test_validators},
        toy::{Toy, toy_tx},
    },
    tx::TxBytes,
    vote::{Vote, VoteKind},
};
use tender_wire::{BlockId, Digest, Height, Round, TimeMs, TxHash};

/// Validator 2 proposes height 3, the first with a parent and a parent's certificate worth lying about.
const LIAR: usize = 2;
const HEIGHT: u64 = 3;
const INVALID: &str = "!does not apply";

/// What a lie must be refused with: by [`ChainState::apply`], or at the door.
enum Expected {
    Block(fn(&BlockError) -> bool),
    Door(fn(&Refusal) -> bool),
    /// The block is valid; only its moment is wrong, or its body never comes.
    Nothing,
}
use Expected::{Block as Judged, Door, Nothing};

type Lie = (&'static str, fn(&mut CompactBlock), Expected);

fn commit(block: &mut CompactBlock, change: impl FnOnce(&mut Vec<u8>, &mut Height)) {
    if let Some(CommitCertificate::V1(commit)) = &mut block.annex.last_certificate {
        let mut first = commit.signatures[0].0.to_vec();
        change(&mut first, &mut commit.height);
        commit.signatures[0].0.copy_from_slice(&first);
    }
    refit(block);
}

fn evidence_of(block: &CompactBlock, height: u64, signer: usize) -> Evidence {
    let sign = |named| {
        let slot = (Height(height), Round(0), VoteKind::Prevote);
        let mut key = test_keys(4).swap_remove(signer);
        Vote::sign(&mut key, &block.header.chain, slot, named).unwrap()
    };
    Evidence::votes(sign(None), sign(Some(BlockId([7; 32]))))
}

fn accuse(block: &mut CompactBlock, evidence: Vec<Evidence>) {
    block.annex.evidence = evidence;
    refit(block);
}

fn lies() -> Vec<Lie> {
    let field = |name: &'static str| -> fn(&BlockError) -> bool {
        match name {
            "version" => |e| *e == BlockError::Field("version"),
            "chain" => |e| *e == BlockError::Field("chain"),
            "height" => |e| *e == BlockError::Field("height"),
            "parent" => |e| *e == BlockError::Field("parent"),
            _ => |e| *e == BlockError::Field("validators_hash"),
        }
    };
    vec![
        (
            "version",
            |b| b.header.version = 9,
            Judged(field("version")),
        ),
        (
            "chain",
            |b| b.header.chain.0[0] ^= 1,
            Judged(field("chain")),
        ),
        (
            "height",
            |b| b.header.height = Height(9),
            Judged(field("height")),
        ),
        (
            "wrong parent",
            |b| b.header.parent = BlockId([1; 32]),
            Judged(field("parent")),
        ),
        (
            "wrong set",
            |b| b.header.validators_hash.0[0] ^= 1,
            Judged(field("validators")),
        ),
        (
            "wrong next set",
            |b| b.header.next_validators_hash.0[0] ^= 1,
            Judged(|e| *e == BlockError::WrongRoot("next_validators_hash")),
        ),
        (
            "wrong state root",
            |b| b.header.state_root = Digest([6; 32]),
            Judged(|e| *e == BlockError::WrongRoot("state_root")),
        ),
        (
            "wrong outcome root",
            |b| b.header.outcome_root = Digest([6; 32]),
            Judged(|e| *e == BlockError::WrongRoot("outcome_root")),
        ),
        (
            "before the block interval has passed",
            |b| b.header.time = TimeMs(b.header.time.0 - 150),
            Judged(|e| matches!(e, BlockError::TooEarly { .. })),
        ),
        (
            "ahead of every clock",
            |b| b.header.time.0 += 5_000,
            Nothing,
        ),
        (
            "wrong tx_root",
            |b| b.header.tx_root.0[0] ^= 1,
            Door(|r| matches!(r, Refusal::Body(BodyError::Mismatch("transactions")))),
        ),
        (
            "a certificate under another hash",
            |b| b.header.last_certificate_hash.0[0] ^= 1,
            Door(|r| matches!(r, Refusal::Body(BodyError::Mismatch(_)))),
        ),
        (
            "evidence under another hash",
            |b| b.header.evidence_hash.0[0] ^= 1,
            Door(|r| matches!(r, Refusal::Body(BodyError::Mismatch(_)))),
        ),
        (
            "more witnesses than any chain allows",
            |b| {
                b.annex.witnesses = vec![Vec::new(); 65];
                refit(b);
            },
            Door(|r| matches!(r, Refusal::Body(BodyError::TooMany { .. }))),
        ),
        (
            "a transaction that does not apply",
            |b| {
                b.transactions.push(toy_tx(INVALID).hash());
                refit(b);
            },
            Judged(|e| matches!(e, BlockError::Execution(_))),
        ),
        (
            "a transaction nobody has",
            |b| {
                b.transactions.push(toy_tx("+ nobody has this").hash());
                refit(b);
            },
            Nothing,
        ),
        (
            "no certificate of the parent",
            |b| {
                b.annex.last_certificate = None;
                refit(b);
            },
            Judged(|e| *e == BlockError::CertificatePresence),
        ),
        (
            "a bad signature in it",
            |b| commit(b, |signature, _| signature[3] ^= 1),
            Judged(|e| matches!(e, BlockError::Certificate(_))),
        ),
        (
            "a certificate of another height",
            |b| commit(b, |_, height| *height = Height(1)),
            Judged(|e| matches!(e, BlockError::Certificate(_))),
        ),
        (
            "a certificate without a quorum",
            |b| {
                if let Some(CommitCertificate::V1(commit)) = &mut b.annex.last_certificate {
                    commit.signers[0] &= commit.signers[0].wrapping_neg();
                    commit.signatures.truncate(1);
                }
                refit(b);
            },
            Judged(|e| matches!(e, BlockError::Certificate(_))),
        ),
        (
            "forged evidence",
            |b| {
                let mut forged = evidence_of(b, 2, 0);
                if let Evidence::Votes(_, second) = &mut forged {
                    second.signature.0[0] ^= 1;
                }
                accuse(b, vec![forged]);
            },
            Judged(|e| matches!(e, BlockError::Evidence(_))),
        ),
        (
            "evidence from the future",
            |b| accuse(b, vec![evidence_of(b, 4, 0)]),
            Judged(|e| matches!(e, BlockError::EvidencePlace { .. })),
        ),
        (
            "evidence twice",
            |b| accuse(b, vec![evidence_of(b, 2, 0), evidence_of(b, 2, 0)]),
            Judged(|e| matches!(e, BlockError::EvidencePlace { .. })),
        ),
        (
            // True and new, but then the header must claim the state that counts it.
            "evidence without its consequence",
            |b| accuse(b, vec![evidence_of(b, 2, 0)]),
            Judged(|e| *e == BlockError::WrongRoot("state_root")),
        ),
    ]
}

/// B5, B6, B7, T24, T27; tendermint #3003 (invalid proposal → nil → next round): each lie is refused for its own reason, no honest validator prevotes it, and the
/// next round's proposer decides the height.
#[test]
fn every_wrong_block_gets_nil_prevotes_and_a_right_one_next() {
    for (seed, (name, change, expected)) in lies().into_iter().enumerate() {
        let config = SimConfig {
            seed: seed as u64,
            ..SimConfig::default()
        };
        let mut sim = Sim::new(config.clone());
        sim.record();
        sim.submit(0, toy_tx(INVALID)); // everybody has it, nobody honest proposes it
        let mut lied = false;
        let (forger, forged) = Forger::new(move |block: &mut CompactBlock| {
            if block.header.height == Height(HEIGHT) && !lied {
                lied = true;
                change(block);
            }
        });
        sim.corrupt(LIAR, forger);
        assert!(sim.run_until(60_000, |s| s.all_at(HEIGHT + 2)), "{name}");

        let lie = forged.all();
        assert_eq!(lie.len(), 1, "{name}");
        let decided = &sim.blocks(0)[HEIGHT as usize - 1];
        assert_eq!(decided.certificate.round(), Round(1), "{name}");
        assert_ne!(decided.block.id(), lie[0].header.id(), "{name}");
        let liar = test_keys(4).swap_remove(LIAR).public();
        let mut honest = sim.votes_heard();
        honest.retain(|v| {
            (v.height, v.round, v.kind) == (Height(HEIGHT), Round(0), VoteKind::Prevote)
                && v.validator != liar
        });
        assert!(!honest.is_empty(), "{name}");
        assert!(
            honest.iter().all(|v| v.block.is_none()),
            "{name}: {honest:?}"
        );

        match expected {
            Judged(fits) => {
                let error = judge(&config, &sim, &lie[0]).err();
                assert!(error.as_ref().is_some_and(fits), "{name}: {error:?}");
                assert!(sim.rejections().is_empty(), "{name}");
            }
            Door(fits) => {
                let named = |(_, of, verdict): &(usize, usize, Verdict)| {
                    *of == LIAR && matches!(verdict, Verdict::Reject(refusal) if fits(refusal))
                };
                let refused = sim.rejections().iter().filter(|r| named(r)).count();
                assert_eq!(refused, 3, "{name}: {:?}", sim.rejections());
            }
            Nothing => assert!(sim.rejections().is_empty(), "{name}"),
        }
        assert!((0..4).all(|n| sim.halted(n).is_none()), "{name}");
    }
}

/// What the chain says to a proposed block.
fn judge(config: &SimConfig, sim: &Sim, lie: &CompactBlock) -> Result<(), BlockError> {
    let app = Toy {
        validators: test_validators(&config.powers),
        params: config.params.clone(),
        endless: config.endless,
    };
    let mut chain = ChainState::genesis(&app);
    for committed in &sim.blocks(0)[..HEIGHT as usize - 1] {
        chain = chain.apply(&app, &committed.block).unwrap().chain;
    }
    let known = [toy_tx(INVALID)];
    let body = |hash: &TxHash| known.iter().find(|tx| tx.hash() == *hash).cloned();
    let block = Block {
        header: lie.header.clone(),
        transactions: lie.transactions.iter().filter_map(body).collect(),
        annex: lie.annex.clone(),
    };
    chain.apply(&app, &block).map(|_| ())
}

/// P8: a chain at rest for a minute, then a block that claims the earliest time it could have: too far behind for its first round, and no
/// secret way to predate.
#[test]
fn a_block_predated_by_a_minute_gets_nil_prevotes() {
    let mut sim = Sim::new(SimConfig {
        endless: false,
        ..SimConfig::default()
    });
    let mut lied = false;
    let (forger, forged) = Forger::new(move |block: &mut CompactBlock| {
        if !lied {
            lied = true;
            block.header.time.0 -= 55_000;
        }
    });
    sim.corrupt(0, forger);
    sim.run_for(60_000);
    sim.submit(1, toy_tx("wake"));
    assert!(sim.run_until(20_000, |s| s.all_at(1)));
    let first = &sim.blocks(1)[0];
    assert_eq!(forged.all().len(), 1);
    assert_ne!(first.block.id(), forged.all()[0].header.id());
    assert_eq!(first.certificate.round(), Round(1));
}

/// B10: a proposer that leaves out a transaction delays it by its own turn: with f such proposers it is in within f + 1 heights.
#[test]
fn a_censored_transaction_is_in_within_f_plus_one_heights() {
    for (validators, censors) in [(4, vec![1]), (4, vec![3]), (7, vec![0, 1]), (7, vec![2, 3])] {
        let faulty = (validators - 1) / 3;
        for at in 0..4 {
            let mut sim = Sim::new(SimConfig {
                seed: at,
                powers: vec![1; validators],
                ..SimConfig::default()
            });
            for censor in &censors {
                sim.deafen(*censor);
            }
            sim.run_for(1);
            assert!(sim.run_until(60_000, |s| s.height(0) >= at));
            let tx = toy_tx("please");
            let known_at = sim.engine(0).unwrap().height().0;
            sim.submit(0, tx.clone());
            let has = |s: &Sim| height_of(s, &tx);
            assert!(sim.run_until(60_000, |s| has(s).is_some()));
            // The block of this very moment may be on its way already.
            let waited = has(&sim).unwrap() - known_at;
            assert!(waited <= faulty as u64 + 1, "{censors:?} at {at}: {waited}");
        }
    }
}

fn height_of(sim: &Sim, tx: &TxBytes) -> Option<u64> {
    let mut blocks = sim.blocks(0).iter();
    let found = blocks.find(|b| b.block.transactions.contains(tx))?;
    Some(found.block.header.height.0)
}

/// B1, tendermint #2583: a proposer shows another block to each half; those who were shown the losing one lock and commit the winning one in the
/// same round, for the rules ask for votes and the body, not for the proposal.
#[test]
fn a_polka_for_the_block_not_shown_here_is_followed_in_its_round() {
    for seed in 0..5 {
        let mut sim = Sim::new(SimConfig {
            seed,
            powers: vec![1, 1, 6, 1], // the liar and node 2, who sees the same block, are a quorum
            relay: true,
            ..SimConfig::default()
        });
        sim.record();
        // Somewhere among the first heights the liar's turn comes.
        sim.corrupt(0, ProposalEquivocator);
        assert!(sim.run_until(60_000, |s| s.all_at(12)), "seed {seed}");
        let blocks = sim.blocks(1).iter();
        let offended: Vec<Height> = blocks
            .clone()
            .flat_map(|b| &b.block.annex.evidence)
            .map(|e| e.offence().height)
            .collect();
        assert!(!offended.is_empty(), "seed {seed}");
        for height in offended {
            let decided = &sim.blocks(1)[height.0 as usize - 1];
            assert_eq!(decided.certificate.round(), Round(0), "seed {seed}");
        }
    }
}

/// A block that f+1 honest validators are locked on when the network breaks for half a minute is the block decided when it comes back.
#[test]
fn a_block_locked_before_a_partition_commits_after_it() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            seed,
            delay_ms: (5, 60),
            ..SimConfig::default()
        });
        let height = 3 + seed % 4;
        let locked = |s: &Sim| -> Vec<BlockId> {
            let here = (0..4).filter(|n| s.height(*n) + 1 == height);
            here.filter_map(|n| Some(s.engine(n)?.locked()?.1))
                .collect()
        };
        let undecided = |s: &Sim| (0..4).all(|n| s.height(n) < height);
        let caught = sim.run_until(60_000, |s| locked(s).len() >= 2 && undecided(s));
        assert!(caught, "seed {seed}");
        let block = locked(&sim)[0];
        sim.partition(&[]);
        sim.run_for(30_000);
        assert!(undecided(&sim), "seed {seed}: nobody decides alone");
        sim.heal();
        assert!(sim.run_until(60_000, |s| s.all_at(height)), "seed {seed}");
        for node in 0..4 {
            let decided = sim.blocks(node)[height as usize - 1].block.id();
            assert_eq!(decided, block, "seed {seed}, node {node}");
        }
    }
}
