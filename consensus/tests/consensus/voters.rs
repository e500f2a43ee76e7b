//! Validators that vote wrongly, messages that come at the wrong time, and what is kept of it.

use std::collections::BTreeSet;
use tender_consensus::{
    accountability::culprits,
    engine::{HaltReason, Refusal, Verdict},
    evidence::Evidence,
    message::{Message, Proposed, Request, Response},
    sim::{
        Rng, Sim, SimConfig,
        byzantine::{Mutator, Puppet, VoteEquivocator},
        keys::{test_keys, test_validators},
        toy::toy_tx,
    },
    validators::ValidatorSet,
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, ChainId, Height, PublicKey, Round};

fn public(n: usize, of: usize) -> PublicKey {
    test_keys(of).swap_remove(n).public()
}

fn sign(
    sim: &Sim,
    (who, of): (usize, usize),
    slot: (Height, Round, VoteKind),
    block: Option<BlockId>,
) -> Vote {
    let chain = sim.chain(0).unwrap().chain;
    Vote::sign(&mut test_keys(of).swap_remove(who), &chain, slot, block).unwrap()
}

fn pair(sim: &Sim, who: usize, height: u64) -> Evidence {
    let slot = (Height(height), Round(0), VoteKind::Prevote);
    let vote = |block| sign(sim, (who, 5), slot, block);
    Evidence::votes(vote(None), vote(Some(BlockId([8; 32]))))
}

fn five(seed: u64) -> SimConfig {
    SimConfig {
        seed,
        powers: vec![1; 5],
        ..SimConfig::default()
    }
}

fn committed(sim: &Sim) -> Vec<Evidence> {
    let blocks = sim.blocks(0).iter();
    blocks
        .flat_map(|b| b.block.annex.evidence.clone())
        .collect()
}

const A: BlockId = BlockId([0xaa; 32]);
const B: BlockId = BlockId([0xbb; 32]);

/// B1, B2: each kind of double signature, heard by one validator alone, ends as evidence on chain and a jailed culprit.
#[test]
fn every_kind_of_equivocation_ends_in_a_block_and_in_jail() {
    use VoteKind::{Precommit, Prevote};
    let votes = [
        (Prevote, None, Some(A)),
        (Prevote, Some(A), Some(B)),
        (Precommit, None, Some(A)),
        (Precommit, Some(B), Some(A)),
    ];
    let culprit = 4;
    for case in 0..=votes.len() {
        let mut sim = Sim::new(five(case as u64));
        sim.corrupt(culprit, Puppet);
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        let (height, chain) = (sim.engine(0).unwrap().height(), sim.chain(0).unwrap().chain);
        let messages: Vec<Message> = match votes.get(case) {
            Some((kind, one, other)) => {
                // A round nobody is in yet: nothing of the culprit's is there already.
                let slot = (height, Round(3), *kind);
                let vote = |block| Message::Vote(Box::new(sign(&sim, (culprit, 5), slot, block)));
                vec![vote(*one), vote(*other)]
            }
            None => {
                let turn = (0..8).find_map(|round| {
                    let message = |block| propose(&chain, culprit, height, round, block);
                    let first = message(A);
                    let taken = sim.inject(0, first) == Some(Verdict::Accept);
                    taken.then(|| message(B))
                });
                vec![turn.expect("its turn comes within five rounds")]
            }
        };
        for message in messages {
            assert_eq!(sim.inject(0, message), Some(Verdict::Accept), "case {case}");
        }
        assert!(sim.run_until(60_000, |s| s.all_at(height.0 + 4)));
        let evidence = committed(&sim);
        assert_eq!(evidence.len(), 1, "case {case}");
        assert_eq!(evidence[0].offence().validator, public(culprit, 5));
        let proposals = matches!(evidence[0], Evidence::Proposals(..));
        assert_eq!(proposals, case == votes.len());
        assert_eq!(sim.chain(0).unwrap().validators.len(), 4, "jailed");
    }
}

fn propose(chain: &ChainId, who: usize, height: Height, round: u32, block: BlockId) -> Message {
    let slot = (height, Round(round), None);
    let mut key = test_keys(5).swap_remove(who);
    let proposal = Proposal::sign(&mut key, chain, slot, block).unwrap();
    let block = None;
    Message::Proposal(Box::new(Proposed { proposal, block }))
}

/// B2: the second vote comes when the height is over: against the certificate, against what was heard of the tip, and of a height some blocks ago.
#[test]
fn equivocation_is_noticed_after_its_height_is_over() {
    let culprit = 4;
    for back in [0, 1, 5, 20] {
        let mut sim = Sim::new(five(back));
        sim.corrupt(culprit, Puppet);
        assert!(sim.run_until(60_000, |s| s.all_at(24)));
        sim.partition(&[]);
        sim.run_for(1);
        let tip = sim.height(0);
        // The latest height, so far back, whose certificate names the culprit.
        let height = (1..=tip - back).rev().find(|h| {
            let b = &sim.blocks(0)[*h as usize - 1];
            let set = test_validators(&[1; 5]);
            let signers = b.certificate.precommits(&set).unwrap();
            signers
                .iter()
                .any(|(index, _)| usize::from(index.0) == culprit)
        });
        let height = Height(height.unwrap());
        let round = sim.blocks(0)[height.0 as usize - 1].certificate.round();
        let slot = (height, round, VoteKind::Precommit);
        let second = sign(&sim, (culprit, 5), slot, None);
        let mut forged = second.clone();
        forged.signature.0[7] ^= 1;
        let tell = |sim: &mut Sim, vote| sim.inject(0, Message::Vote(Box::new(vote)));
        let bad = Some(Verdict::Reject(Refusal::BadSignature));
        assert_eq!(tell(&mut sim, forged), bad, "{back} back");
        assert_eq!(tell(&mut sim, second.clone()), Some(Verdict::Accept));
        assert!(matches!(
            tell(&mut sim, second),
            Some(Verdict::Ignore(Refusal::Duplicate))
        ));
        sim.heal();
        assert!(sim.run_until(60_000, |s| s.all_at(tip + 12)), "{back} back");
        let offences: Vec<_> = committed(&sim).iter().map(Evidence::offence).collect();
        assert_eq!(offences.len(), 1, "{back} back");
        assert_eq!(offences[0].height, height);
        assert_eq!(sim.chain(0).unwrap().validators.len(), 4);
    }
}

/// B2: a prevote or proposal for the tip, contradicting one heard before it was decided.
#[test]
fn equivocation_at_the_tip_is_noticed_in_any_slot() {
    let culprit = 4;
    let mut sim = Sim::new(five(1));
    sim.corrupt(culprit, Puppet);
    sim.record();
    assert!(sim.run_until(60_000, |s| s.all_at(6)));
    sim.partition(&[]);
    sim.run_for(1);
    let tip = Height(sim.height(0));
    let wanted = (tip, VoteKind::Prevote, public(culprit, 5));
    let heard = sim
        .delivered()
        .iter()
        .find_map(|heard| match &heard.message {
            Message::Vote(v) if (v.height, v.kind, v.validator) == wanted => {
                (heard.to == 0).then(|| (**v).clone())
            }
            _ => None,
        });
    let first = heard.expect("the culprit prevoted at the tip");
    let second = sign(&sim, (culprit, 5), (tip, first.round, first.kind), Some(A));
    let verdict = sim.inject(0, Message::Vote(Box::new(second)));
    assert_eq!(verdict, Some(Verdict::Accept));
    sim.heal();
    assert!(sim.run_until(60_000, |s| s.all_at(tip.0 + 8)));
    assert_eq!(committed(&sim)[0].offence().validator, public(culprit, 5));
}

/// Replays of what was delivered, in any order and number, change nothing at all: not one message more is sent, every block is the same at the same
/// moment. THREATS section C: replayed prevotes.
#[test]
fn replayed_messages_change_nothing() {
    for seed in 0..8 {
        let config = SimConfig {
            seed,
            loss_percent: 5 * (seed % 3),
            relay: seed % 2 == 0,
            ..SimConfig::default()
        };
        let run = |noise: bool| {
            let mut sim = Sim::new(config.clone());
            let mut rng = Rng::new(seed);
            sim.record();
            while sim.elapsed_ms() < 8_000 {
                sim.run_for(1 + rng.below(60));
                for _ in 0..rng.below(12) {
                    let known = sim.delivered().len() as u64;
                    let at = rng.below(known) as usize;
                    let Some(old) = sim.delivered().get(at).cloned() else {
                        continue;
                    };
                    if noise && old.accepted {
                        let verdict = sim.inject(old.to, old.message);
                        assert_ne!(verdict, Some(Verdict::Accept), "seed {seed}");
                        assert!(!matches!(verdict, Some(Verdict::Reject(_))), "{verdict:?}");
                    }
                }
            }
            (sim.trace(), sim.height(0))
        };
        let quiet = run(false);
        assert!(quiet.1 > 4, "seed {seed}");
        assert_eq!(run(true), quiet, "seed {seed}");
    }
}

/// B8, B11: votes of heights past, rounds to come and distant heights, by a validator that otherwise does as it should: the same blocks, at the same
/// moments, and not one message more.
#[test]
fn votes_of_other_rounds_and_past_heights_change_nothing() {
    for seed in 0..6 {
        let config = SimConfig {
            seed,
            ..SimConfig::default()
        };
        let run = |noise: bool| {
            let mut sim = Sim::new(config.clone());
            sim.corrupt(3, Puppet);
            let mut rng = Rng::new(seed);
            while sim.elapsed_ms() < 6_000 {
                sim.run_for(1 + rng.below(60));
                let to = rng.below(3) as usize;
                let at = sim.engine(to).unwrap().height().0;
                let (height, round) = match rng.below(3) {
                    0 => (Height(at), Round(2 + rng.below(4_000) as u32)),
                    1 => (Height(at + 1), Round(2 + rng.below(9) as u32)),
                    _ => (Height(1 + rng.below(at)), Round(1 + rng.below(9) as u32)),
                };
                let kind = [VoteKind::Prevote, VoteKind::Precommit][rng.below(2) as usize];
                let block = [None, Some(A)][rng.below(2) as usize];
                // One vote per slot: this is about time, not about equivocation.
                let fresh = Round(round.0 * 4 + u32::from(block.is_some()));
                if noise {
                    let vote = sign(&sim, (3, 4), (height, fresh, kind), block);
                    let verdict = sim.inject(to, Message::Vote(Box::new(vote)));
                    assert!(!matches!(verdict, Some(Verdict::Reject(_))), "{verdict:?}");
                }
            }
            (sim.trace(), sim.height(0))
        };
        let quiet = run(false);
        assert!(quiet.1 > 10, "seed {seed}");
        assert_eq!(run(true), quiet, "seed {seed}");
    }
}

/// A copy of a genuine vote of the next height must not take its author's room there.
#[test]
fn copies_of_a_vote_of_the_next_height_take_no_room() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(2)));
    sim.partition(&[]);
    sim.run_for(1);
    let next = sim.engine(0).unwrap().height().next();
    let vote = |round, sim: &Sim| sign(sim, (1, 4), (next, Round(round), VoteKind::Prevote), None);
    let tell = |sim: &mut Sim, vote: &Vote| sim.inject(0, Message::Vote(Box::new(vote.clone())));
    let first = vote(0, &sim);
    assert_eq!(tell(&mut sim, &first), Some(Verdict::Accept));
    for _ in 0..20 {
        let copy = Some(Verdict::Ignore(Refusal::Duplicate));
        assert_eq!(tell(&mut sim, &first), copy);
    }
    let second = vote(1, &sim);
    assert_eq!(tell(&mut sim, &second), Some(Verdict::Accept));
}

/// B3: a validator that forgets its lock, again and again, is one of the f that do not matter.
#[test]
fn a_validator_that_forgets_its_lock_is_harmless() {
    let mut forgotten = 0;
    for seed in 0..6 {
        let mut sim = Sim::new(SimConfig {
            seed,
            loss_percent: 15,
            delay_ms: (1, 150),
            relay: seed % 2 == 0,
            ..SimConfig::default()
        });
        sim.corrupt(3, Puppet);
        let mut rng = Rng::new(seed);
        for _ in 0..40 {
            let is_locked = |s: &Sim| s.engine(3).is_some_and(|e| e.locked().is_some());
            if sim.run_until(3_000, is_locked) {
                sim.run_for(rng.below(30));
                forgotten += 1;
                sim.forget(3);
                sim.run_for(1);
            }
        }
        let height = sim.height(0);
        assert!(
            sim.run_until(100_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
    }
    // A few times each: then a certificate shows it a precommit it has forgotten, and its own engine halts it.
    assert!(forgotten > 6, "{forgotten}");
}

/// B3, B21: a validator whose messages are all slightly wrong, differently for everyone.
#[test]
fn a_validator_of_small_mutations_is_harmless() {
    for seed in 0..15 {
        let mut sim = Sim::new(SimConfig {
            seed,
            loss_percent: 5 * (seed % 4),
            relay: seed % 2 == 0,
            ..SimConfig::default()
        });
        sim.corrupt(seed as usize % 4, Mutator::new(seed));
        assert!(sim.run_until(200_000, |s| s.all_at(8)), "seed {seed}");
        let unfair = sim.rejections().iter().find(|r| r.1 != seed as usize % 4);
        assert!(unfair.is_none(), "seed {seed}: {unfair:?}");
    }
}

/// Heard by one validator while it is cut off, then a crash: the evidence is in its vote log, and comes to the chain when it is back.
#[test]
fn evidence_survives_a_restart() {
    for crashes in 1..4 {
        let mut sim = Sim::new(five(crashes));
        assert!(sim.run_until(60_000, |s| s.all_at(3)));
        sim.partition(&[]);
        sim.run_for(1_500); // what was under way is over
        let heard = pair(&sim, 4, 2);
        let verdict = sim.inject(0, Message::Evidence(heard.clone()));
        assert_eq!(verdict, Some(Verdict::Accept));
        // It is written with the next signature; alone it begins a height, so there is one.
        assert!(sim.run_until(5_000, |s| logged(s, &heard)), "never written");
        for _ in 0..crashes {
            sim.crash(0);
            sim.restart(0);
            sim.run_for(50);
        }
        let again = sim.inject(0, Message::Evidence(heard.clone()));
        assert_eq!(again, Some(Verdict::Ignore(Refusal::Duplicate)));
        // The next heights keep it too, until it is counted.
        sim.partition(&[&[1, 2, 3, 4]]);
        let tip = sim.height(1);
        assert!(sim.run_until(60_000, |s| s.height(1) > tip + 2));
        sim.heal();
        assert!(sim.run_until(60_000, |s| !committed(s).is_empty()));
        assert_eq!(committed(&sim), [heard]);
    }
}

fn logged(sim: &Sim, evidence: &Evidence) -> bool {
    use tender_consensus::wal::{WalRecord, scan};
    let records = scan(sim.vote_log(0)).unwrap().records;
    records.contains(&WalRecord::Evidence(evidence.clone()))
}

/// Evidence older than `evidence_age` is neither kept, nor counted, nor carried along.
#[test]
fn evidence_expires() {
    let mut config = five(0);
    config.params.evidence_age = 5;
    let mut sim = Sim::new(config);
    assert!(sim.run_until(60_000, |s| s.all_at(3)));
    sim.partition(&[&[1, 2, 3, 4]]);
    sim.run_for(1);
    let old = pair(&sim, 4, 1);
    let verdict = sim.inject(0, Message::Evidence(old.clone()));
    assert_eq!(verdict, Some(Verdict::Accept));
    assert!(sim.run_until(60_000, |s| s.height(1) >= 12));
    sim.heal();
    assert!(sim.run_until(60_000, |s| s.all_at(20)));
    assert_eq!(committed(&sim), [], "its time was over");
    assert_eq!(sim.chain(0).unwrap().validators.len(), 5);
    let stale = sim.inject(0, Message::Evidence(old));
    let refusal = Refusal::StaleEvidence("too old");
    assert_eq!(stale, Some(Verdict::Ignore(refusal)));
}

/// One offender's many offences take one place: nobody's evidence is crowded out.
#[test]
fn a_flood_of_ones_own_offences_crowds_out_nobody() {
    let mut sim = Sim::new(five(0));
    assert!(sim.run_until(60_000, |s| s.all_at(60)));
    sim.partition(&[]);
    sim.run_for(1);
    let mut kept = 0;
    for height in 1..=60 {
        let evidence = pair(&sim, 3, height);
        match sim.inject(0, Message::Evidence(evidence)) {
            Some(Verdict::Accept) => kept += 1,
            other => assert_eq!(other, Some(Verdict::Ignore(Refusal::KnownOffender))),
        }
    }
    assert_eq!(kept, 1);
    let another = pair(&sim, 4, 7);
    let verdict = sim.inject(0, Message::Evidence(another));
    assert_eq!(verdict, Some(Verdict::Accept));
}

/// An offender that cannot be jailed (four must stay) does not keep an idle chain busy: its first offence is news, the others ride along with
/// transactions.
#[test]
fn an_unjailable_offender_cannot_keep_an_idle_chain_busy() {
    let mut sim = Sim::new(SimConfig {
        endless: false,
        relay: true,
        ..SimConfig::default()
    });
    sim.corrupt(3, VoteEquivocator);
    sim.submit(0, toy_tx("begin"));
    sim.run_for(600_000);
    let idle = sim.height(0);
    assert!(idle <= 3, "{idle} blocks of one validator's offences");
    assert!(!committed(&sim).is_empty());
    sim.submit(0, toy_tx("go on"));
    assert!(sim.run_until(60_000, |s| s.all_at(idle + 1)));
}

/// B23: with f + 1 of four in two places at once, both sides of a partition decide. The certificates and the votes heard name exactly those two,
/// and a peer shown the other certificate halts with their names.
#[test]
fn a_fork_by_more_than_f_names_its_culprits() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            seed,
            twins: vec![0, 1],
            loss_percent: 5 * (seed % 3),
            ..SimConfig::default()
        });
        sim.allow_forks();
        sim.record();
        sim.partition(&[&[0, 1, 2], &[4, 5, 3]]);
        sim.submit(2, toy_tx("here"));
        sim.submit(3, toy_tx("there"));
        assert!(sim.run_until(200_000, |s| s.all_at(1)), "seed {seed}");
        assert!(sim.forks().contains(&Height(1)), "seed {seed}");
        let chain = sim.chain(2).unwrap().chain;
        let set = test_validators(&[1; 4]);
        let (ours, theirs) = (sim.blocks(2)[0].clone(), sim.blocks(3)[0].clone());
        let certificates = [&ours.certificate, &theirs.certificate];
        let votes: Vec<Vote> = sim.votes_heard().into_iter().collect();
        let named = culprits(&chain, &set, certificates, &votes).unwrap();
        assert_eq!(named, both(), "seed {seed}");
        assert!(more_than_a_third(&set, &named));

        let request = Request::Blocks(Height(1));
        sim.inject_response(2, request, Response::Blocks(vec![theirs]));
        match sim.halted(2) {
            Some(HaltReason::Fork {
                height, culprits, ..
            }) => {
                assert_eq!(*height, Height(1));
                assert!(culprits.is_superset(&both()) || ours.certificate.round() != Round(0));
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

fn both() -> BTreeSet<PublicKey> {
    [public(0, 4), public(1, 4)].into()
}

fn more_than_a_third(set: &ValidatorSet, named: &BTreeSet<PublicKey>) -> bool {
    let of = |key| set.at(set.index_of(key).unwrap()).unwrap().power.0;
    let power: u64 = named.iter().map(of).sum();
    3 * u128::from(power) > set.total()
}

/// Twins: f validators run twice, all five (or nine) processes in every kind of partition: nobody forks, and when it heals it goes on.
#[test]
fn f_validators_in_two_places_never_fork() {
    for seed in 0..16 {
        let (powers, twins) = if seed % 4 == 3 {
            (vec![1; 7], vec![0, 4])
        } else {
            (vec![1; 4], vec![seed as usize % 4])
        };
        let nodes = powers.len() + twins.len();
        let mut sim = Sim::new(SimConfig {
            seed,
            powers,
            twins,
            loss_percent: 3 * (seed % 4),
            ..SimConfig::default()
        });
        let mut rng = Rng::new(seed);
        for _ in 0..25 {
            let mut groups = vec![Vec::new(); 1 + rng.below(3) as usize];
            for node in 0..nodes {
                let group = rng.below(groups.len() as u64) as usize;
                groups[group].push(node);
            }
            let groups: Vec<&[usize]> = groups.iter().map(Vec::as_slice).collect();
            sim.partition(&groups);
            sim.run_for(100 + rng.below(1_500));
        }
        sim.heal();
        let honest = (0..nodes).filter(|n| sim.is_honest(*n));
        let height = honest.map(|n| sim.height(n)).max().unwrap();
        assert!(
            sim.run_until(200_000, |s| s.all_at(height + 2)),
            "seed {seed}"
        );
        let halted = (0..nodes).find(|n| sim.is_honest(*n) && sim.halted(*n).is_some());
        assert_eq!(halted, None, "seed {seed}");
    }
}
