//! Block validity, one rule at a time, on real chains.

use tender_consensus::{
    application::Application,
    block::{Annex, Block, BodyError},
    certificate::CommitCertificate,
    chain::{BlockError, ChainState},
    evidence::Evidence,
    sim::{
        Sim, SimConfig,
        keys::{test_keys, test_validators},
        toy::{Toy, ToyState, toy_tx},
    },
    vote::{Vote, VoteKind},
};
use tender_wire::{BlockId, Digest, Height, Round, TimeMs, decode, encode};

fn toy(endless: bool) -> Toy {
    let config = SimConfig::default();
    Toy {
        validators: test_validators(&config.powers),
        params: config.params,
        endless,
    }
}

/// A chain at height 3, and the block that came next.
fn next() -> (Toy, ChainState<ToyState>, Block) {
    let mut sim = Sim::new(SimConfig::default());
    sim.submit(0, toy_tx("one"));
    assert!(sim.run_until(60_000, |s| s.height(0) >= 4));
    let app = toy(true);
    let mut chain = ChainState::genesis(&app);
    for committed in &sim.blocks(0)[..3] {
        chain = chain.apply(&app, &committed.block).unwrap().chain;
    }
    (app, chain, sim.blocks(0)[3].block.clone())
}

/// The block with a changed annex, its header fitted to it.
fn refit(mut block: Block) -> Block {
    block.header.tx_root =
        tender_consensus::block::tx_root(block.transactions.iter().map(|t| t.hash()));
    block.header.last_certificate_hash = block.annex.last_certificate_hash();
    block.header.evidence_hash = block.annex.evidence_hash();
    block.header.witness_hash = block.annex.witness_hash();
    block
}

#[test]
fn every_header_field_is_checked() {
    let (app, chain, block) = next();
    assert!(chain.apply(&app, &block).is_ok());
    type Change = (&'static str, fn(&mut Block));
    let changes: [Change; 12] = [
        ("version", |b| b.header.version = 2),
        ("chain", |b| b.header.chain.0[0] ^= 1),
        ("height", |b| b.header.height = Height(5)),
        ("parent", |b| b.header.parent = BlockId::ZERO),
        ("time", |b| b.header.time = TimeMs(0)),
        ("tx_root", |b| b.header.tx_root.0[0] ^= 1),
        ("last_certificate", |b| {
            b.header.last_certificate_hash = Digest::ZERO
        }),
        ("evidence", |b| b.header.evidence_hash = Digest::ZERO),
        ("witness", |b| b.header.witness_hash = Digest::ZERO),
        ("validators", |b| b.header.validators_hash.0[0] ^= 1),
        ("next_validators", |b| {
            b.header.next_validators_hash.0[0] ^= 1
        }),
        ("state_root", |b| b.header.state_root.0[0] ^= 1),
    ];
    for (name, change) in changes {
        let mut bad = block.clone();
        change(&mut bad);
        assert!(chain.apply(&app, &bad).is_err(), "{name}");
    }
    let mut bad = block;
    bad.header.outcome_root.0[0] ^= 1;
    assert_eq!(
        chain.apply(&app, &bad).unwrap_err(),
        BlockError::WrongRoot("outcome_root")
    );
}

#[test]
fn a_block_too_soon_after_its_parent_is_invalid() {
    let (app, chain, mut block) = next();
    block.header.time = TimeMs(chain.earliest().0 - 1);
    assert!(matches!(
        chain.apply(&app, &block),
        Err(BlockError::TooEarly { .. })
    ));
    block.header.time = chain.earliest();
    assert!(chain.apply(&app, &block).is_ok());
}

#[test]
fn the_parents_certificate_must_be_there_and_hold() {
    let (app, chain, block) = next();
    let with = |certificate| {
        let mut block = block.clone();
        block.annex.last_certificate = certificate;
        chain.apply(&app, &refit(block)).unwrap_err()
    };
    assert_eq!(with(None), BlockError::CertificatePresence);
    let CommitCertificate::V1(mut commit) = block.annex.last_certificate.clone().unwrap();
    commit.signatures[0].0[3] ^= 1;
    assert!(matches!(
        with(Some(CommitCertificate::V1(commit))),
        BlockError::Certificate(_)
    ));
}

#[test]
fn evidence_in_a_block_is_ordered_new_recent_and_true() {
    let (app, chain, block) = next();
    let vote = |who: usize, height, block| {
        let slot = (Height(height), Round(0), VoteKind::Prevote);
        Vote::sign(
            &mut test_keys(4).swap_remove(who),
            &chain.chain,
            slot,
            block,
        )
        .unwrap()
    };
    let pair = |who, height| {
        Evidence::votes(
            vote(who, height, None),
            vote(who, height, Some(BlockId::ZERO)),
        )
    };
    let with = |evidence: Vec<Evidence>| {
        let mut block = block.clone();
        block.annex.evidence = evidence;
        chain.apply(&app, &refit(block)).map(|_| ())
    };
    let place = |result: Result<(), BlockError>| match result {
        Err(BlockError::EvidencePlace { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    // Right evidence changes the counted offences, hence the root the header must claim.
    assert_eq!(
        with(vec![pair(0, 3)]),
        Err(BlockError::WrongRoot("state_root"))
    );
    assert_eq!(place(with(vec![pair(1, 3), pair(0, 3)])), "out of order");
    assert_eq!(place(with(vec![pair(0, 3), pair(0, 3)])), "out of order");
    assert_eq!(place(with(vec![pair(0, 9)])), "from a later height");
    let mut forged = pair(0, 3);
    if let Evidence::Votes(a, _) = &mut forged {
        a.signature.0[0] ^= 1;
    }
    assert!(matches!(with(vec![forged]), Err(BlockError::Evidence(_))));
    // Built in, it is counted; built in again, it is not new.
    let annex = Annex {
        evidence: vec![pair(0, 3)],
        ..block.annex.clone()
    };
    let (built, applied) = chain
        .build(&app, block.header.time, annex, &[])
        .unwrap()
        .unwrap();
    assert_eq!(
        chain.apply(&app, &built).unwrap().chain.state_root,
        applied.chain.state_root
    );
    assert!(applied.chain.admits_offence(&pair(0, 3).offence()).is_err());
    assert!(
        applied.chain.admits_offence(&pair(0, 2).offence()).is_ok(),
        "another height, another offence"
    );
}

#[test]
fn an_empty_block_is_invalid_unless_one_is_due() {
    let app = toy(false);
    let chain = ChainState::genesis(&app);
    assert!(
        chain
            .build(&app, TimeMs(0), Annex::default(), &[])
            .unwrap()
            .is_none()
    );
    let (block, _) = chain
        .build(&app, TimeMs(0), Annex::default(), &[toy_tx("a")])
        .unwrap()
        .unwrap();
    let mut empty = block.clone();
    empty.transactions.clear();
    assert_eq!(
        chain.apply(&app, &refit(empty)).unwrap_err(),
        BlockError::Empty
    );
    assert!(chain.apply(&app, &block).is_ok());
    assert_eq!(
        block.header.time,
        chain.earliest(),
        "never before the interval"
    );
}

#[test]
fn a_transaction_that_does_not_apply_spoils_the_block() {
    let app = toy(false);
    let chain = ChainState::genesis(&app);
    let (mut block, _) = chain
        .build(&app, TimeMs(0), Annex::default(), &[toy_tx("a")])
        .unwrap()
        .unwrap();
    block.transactions.push(toy_tx("!b"));
    assert!(matches!(
        chain.apply(&app, &refit(block)),
        Err(BlockError::Execution(_))
    ));
}

#[test]
fn parameters_cap_a_block() {
    let mut app = toy(false);
    app.params.max_block_txs = 2;
    let chain = ChainState::genesis(&app);
    let txs: Vec<_> = (0..3).map(|i| toy_tx(&format!("t{i}"))).collect();
    let error = chain
        .build(&app, TimeMs(0), Annex::default(), &txs)
        .unwrap_err();
    assert!(matches!(
        error,
        BlockError::TooLarge {
            what: "transactions",
            found: 3,
            max: 2
        }
    ));
    let (mut block, _) = chain
        .build(&app, TimeMs(0), Annex::default(), &txs[..2])
        .unwrap()
        .unwrap();
    block.annex.witnesses = vec![Vec::new(); 65];
    let error = chain.apply(&app, &block).unwrap_err();
    assert!(matches!(
        error,
        BlockError::Body(BodyError::TooMany {
            what: "witnesses",
            ..
        })
    ));
}

/// Blocks survive the codec, in full and compact form, and both have the id of the header.
#[test]
fn blocks_have_one_encoding() {
    let (_, _, block) = next();
    assert_eq!(encode(&block.header).len(), 338);
    assert_eq!(decode::<Block>(&encode(&block)).unwrap(), block);
    let compact = block.to_compact();
    let again = decode::<tender_consensus::block::CompactBlock>(&encode(&compact)).unwrap();
    assert_eq!(again, compact);
    assert!(again.check_body().is_ok() && again.header.id() == block.id());
}

#[test]
fn a_set_change_carries_priorities_over() {
    let app = toy(true);
    let chain = ChainState::genesis(&app);
    assert_eq!(
        chain.rotation,
        tender_consensus::proposer::Rotation::new(&app.genesis().validators)
    );
}
