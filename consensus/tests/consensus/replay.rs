//! Starting from a vote log that does not fit: halt, and say why (THREATS P4, P7).

use std::sync::Arc;
use tender_consensus::{
    chain::ChainState,
    engine::{Effect, Engine, HaltReason, Input},
    message::Message,
    sim::{
        SimConfig, SimPool,
        keys::{test_keys, test_validators},
        toy::Toy,
    },
    vote::{Vote, VoteKind},
    wal::{self, WalRecord},
};
use tender_wire::{BlockId, Round, TimeMs};

const NOW: TimeMs = TimeMs(1_700_000_100_000);

fn app() -> Arc<Toy> {
    let config = SimConfig::default();
    Arc::new(Toy {
        validators: test_validators(&config.powers),
        params: config.params,
        endless: true,
    })
}

fn start(log: Vec<WalRecord>) -> Result<(Engine<Toy>, Vec<Effect<Toy>>), HaltReason> {
    let app = app();
    let chain = ChainState::genesis(&*app);
    let signer = Box::new(test_keys(4).swap_remove(0));
    Engine::start(
        app,
        chain,
        None,
        Some(signer),
        Arc::new(SimPool::default()),
        log,
        NOW,
    )
}

fn sent(effects: &[Effect<Toy>]) -> Vec<Message> {
    let message = |e: &Effect<Toy>| match e {
        Effect::Send(durable) => Some(durable.value().clone()),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

/// Runs validator 0 (the first proposer) to its proposal and prevote; gives its log and what it published.
fn proposed() -> (Vec<WalRecord>, Vec<Message>) {
    let (mut engine, effects) = start(Vec::new()).unwrap();
    assert!(
        sent(&effects).is_empty(),
        "nothing leaves before it is durable"
    );
    let mut log = Vec::new();
    let mut published = Vec::new();
    for effect in effects {
        if let Effect::Persist(batch) = effect {
            log.extend(batch.records().to_vec());
            published.extend(sent(&engine.step(NOW, Input::Persisted(batch)).effects));
        }
    }
    assert_eq!(published.len(), 2, "a proposal and a prevote");
    (log, published)
}

fn reason(log: Vec<WalRecord>) -> HaltReason {
    start(log).map(|_| ()).unwrap_err()
}

#[test]
fn a_whole_log_publishes_the_same_messages_again() {
    let (log, published) = proposed();
    let (engine, effects) = start(log).unwrap();
    assert_eq!(sent(&effects), published);
    assert!(
        !effects.iter().any(|e| matches!(e, Effect::Persist(_))),
        "nothing new is signed"
    );
    assert_eq!(engine.round().0, Round(0));
}

#[test]
fn a_log_cut_anywhere_never_publishes_anything_else() {
    let (log, published) = proposed();
    let bytes: Vec<u8> = log.iter().flat_map(wal::frame).collect();
    for cut in (0..bytes.len()).step_by(7) {
        let records = wal::scan(&bytes[..cut]).unwrap().records;
        let has_block = records.iter().any(|r| matches!(r, WalRecord::Block(_)));
        let has_built = records.iter().any(|r| matches!(r, WalRecord::Built { .. }));
        let (mut engine, effects) = start(records).unwrap();
        let mut messages = sent(&effects);
        for effect in effects {
            if let Effect::Persist(batch) = effect {
                messages.extend(sent(&engine.step(NOW, Input::Persisted(batch)).effects));
            }
        }
        assert_eq!(messages.len(), 2, "cut at {cut}");
        if has_built {
            assert_eq!(
                messages, published,
                "cut at {cut}, block logged: {has_block}"
            );
        }
    }
}

#[test]
fn a_signature_the_kernel_would_not_make_halts() {
    let (mut log, _) = proposed();
    let chain = ChainState::genesis(&*app()).chain;
    let mut key = test_keys(4).swap_remove(0);
    let slot = (tender_wire::Height(1), Round(0), VoteKind::Precommit);
    log.push(WalRecord::SignedVote(
        Vote::sign(&mut key, &chain, slot, None).unwrap(),
    ));
    assert!(matches!(reason(log), HaltReason::ReplayDivergence(_)));
}

#[test]
fn a_different_signature_than_the_kernel_makes_halts() {
    let (log, _) = proposed();
    let other = log
        .into_iter()
        .map(|record| match record {
            WalRecord::SignedVote(mut vote) => {
                vote.block = Some(BlockId([3; 32]));
                WalRecord::SignedVote(vote)
            }
            record => record,
        })
        .collect();
    assert!(matches!(reason(other), HaltReason::OwnEquivocation { .. }));
}

#[test]
fn a_log_that_lost_a_signature_in_the_middle_halts() {
    let (mut log, _) = proposed();
    log.retain(|r| !matches!(r, WalRecord::SignedVote(_)));
    let timeout = tender_consensus::kernel::Timeout {
        round: Round(0),
        kind: tender_consensus::kernel::TimeoutKind::Propose,
    };
    log.push(WalRecord::Timeout(timeout));
    assert!(matches!(reason(log), HaltReason::ReplayDivergence(_)));
}

#[test]
fn a_log_of_another_chain_or_without_a_beginning_halts() {
    let (mut log, _) = proposed();
    assert!(matches!(
        reason(log[1..].to_vec()),
        HaltReason::ReplayDivergence(_)
    ));
    if let WalRecord::Start { chain, .. } = &mut log[0] {
        chain.0[0] ^= 1;
    }
    assert!(matches!(reason(log), HaltReason::ForeignLog(_)));
}
