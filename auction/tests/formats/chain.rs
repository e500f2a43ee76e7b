//! Blocks, proposals, votes, evidence, the write-ahead log.

use crate::{
    book::Book,
    example::{self, Example},
    run::Step,
};
use tender_consensus::{
    block::{Annex, CommittedBlock},
    evidence::Evidence,
    kernel::{Timeout, TimeoutKind},
    vote::{Proposal, Vote, VoteKind},
    wal::{self, WalRecord},
};
use tender_wire::{BlockId, Height, Round, Tag, encode, hash, merkle};

/// Sections 16, 17 and 20.
pub fn add(book: &mut Book, example: &Example, steps: &[Step]) {
    blocks(book, steps);
    votes(book, &steps[0]);
    let evidence = evidence(book, example);
    log(book, &steps[0], evidence);
}

fn blocks(book: &mut Book, steps: &[Step]) {
    let (first, bids, last) = (&steps[0], &steps[2], &steps[6]);
    book.wire("header_1", &first.block.header);
    book.bytes("block_id_1", first.block.id());
    book.bytes("evidence_hash_empty", first.block.header.evidence_hash);
    book.bytes("witness_hash_empty", first.block.header.witness_hash);
    book.bytes("tx_root_empty", last.block.header.tx_root);
    book.bytes("tx_root_3", bids.block.header.tx_root);
    let leaves: Vec<_> = bids
        .block
        .transactions
        .iter()
        .map(|t| merkle::leaf(t.hash().as_ref()))
        .collect();
    assert_eq!(merkle::root(&leaves), bids.block.header.tx_root);
    book.wire("compact_block_3", &bids.block.to_compact());
    book.wire("block_3", &bids.block);
    book.wire("header_7", &last.block.header);
    book.bytes("block_id_7", last.block.id());
    book.bytes("witness_hash_7", last.block.header.witness_hash);
    book.value("witnesses_7", &last.block.annex.witnesses);
    book.wire("block_7", &last.block);
    let certificate = book.wire("certificate_6", &steps[5].certificate);
    assert_eq!(
        hash(Tag::Certificate, &[&certificate]),
        last.block.header.last_certificate_hash
    );
    book.bytes(
        "certificate_6_hash",
        last.block.header.last_certificate_hash,
    );
    let committed = CommittedBlock {
        block: last.block.clone(),
        certificate: last.certificate.clone(),
    };
    book.wire("committed_block_7", &committed);
}

fn votes(book: &mut Book, step: &Step) {
    let chain = step.block.header.chain;
    let block = step.block.id();
    let (height, round) = (Height(1), Round(2));
    let mut signer = example::key(1);
    let proposal = |pol_round| {
        Proposal::sign(
            &mut example::key(1),
            &chain,
            (height, round, pol_round),
            block,
        )
        .unwrap()
    };
    book.value("proposal_body", &(height, round, None::<Round>, block));
    book.bytes(
        "proposal_digest",
        hash(
            Tag::SignProposal,
            &[
                chain.as_ref(),
                &encode(&(height, round, None::<Round>, block)),
            ],
        ),
    );
    book.value("proposal_message", &proposal(None));
    book.value("proposal_body_pol", &(height, round, Some(Round(1)), block));
    book.value("proposal_message_pol", &proposal(Some(Round(1))));
    for (name, kind, of) in [
        ("prevote", VoteKind::Prevote, Some(block)),
        ("prevote_nil", VoteKind::Prevote, None),
        ("precommit", VoteKind::Precommit, Some(block)),
    ] {
        let body = book.value(&format!("{name}_body"), &(height, round, of));
        book.bytes(
            &format!("{name}_digest"),
            hash(kind.tag(), &[chain.as_ref(), &body]),
        );
        let vote = Vote::sign(&mut signer, &chain, (height, round, kind), of).unwrap();
        assert_eq!(vote.verify(&chain), Ok(()));
        book.value(&format!("{name}_message"), &vote);
    }
}

fn evidence(book: &mut Book, example: &Example) -> Evidence {
    let chain = example.chain;
    let vote = |block| {
        let slot = (Height(4), Round(0), VoteKind::Prevote);
        Vote::sign(&mut example::key(2), &chain, slot, block).unwrap()
    };
    let proposal = |block| {
        Proposal::sign(
            &mut example::key(2),
            &chain,
            (Height(4), Round(0), None),
            block,
        )
        .unwrap()
    };
    let votes = Evidence::votes(vote(Some(BlockId([1; 32]))), vote(None));
    let proposals = Evidence::proposals(proposal(BlockId([2; 32])), proposal(BlockId([1; 32])));
    for (name, piece) in [
        ("evidence_votes", &votes),
        ("evidence_proposals", &proposals),
    ] {
        assert_eq!(piece.verify(&chain), Ok(()));
        book.wire(name, piece);
    }
    let annex = Annex {
        evidence: vec![votes.clone()],
        ..Annex::default()
    };
    book.bytes("evidence_hash", annex.evidence_hash());
    book.value("offence", &votes.offence());
    votes
}

fn log(book: &mut Book, step: &Step, evidence: Evidence) {
    let header = &step.block.header;
    let chain = header.chain;
    let start = WalRecord::Start {
        chain,
        height: Height(1),
        parent: BlockId::ZERO,
    };
    let mut vote_signer = example::key(1);
    let slot = (Height(1), Round(0), VoteKind::Prevote);
    let vote = Vote::sign(&mut vote_signer, &chain, slot, Some(header.id())).unwrap();
    let proposal = Proposal::sign(
        &mut example::key(1),
        &chain,
        (Height(1), Round(0), None),
        header.id(),
    );
    let proposal = proposal.unwrap();
    let timeout = Timeout {
        round: Round(1),
        kind: TimeoutKind::Propose,
    };
    for (name, record) in [
        ("start", start.clone()),
        ("begin", WalRecord::Begin),
        (
            "proposal",
            WalRecord::Proposal {
                proposal: proposal.clone(),
                timely: true,
            },
        ),
        ("vote", WalRecord::Vote(vote.clone())),
        (
            "judged",
            WalRecord::Judged {
                block: header.id(),
                valid: true,
            },
        ),
        (
            "built",
            WalRecord::Built {
                round: Round(0),
                block: header.id(),
            },
        ),
        ("timeout", WalRecord::Timeout(timeout)),
        ("signed_proposal", WalRecord::SignedProposal(proposal)),
        ("signed_vote", WalRecord::SignedVote(vote)),
        ("evidence", WalRecord::Evidence(evidence)),
        ("forgotten", WalRecord::Forgotten(header.id())),
    ] {
        book.wire(&format!("wal_{name}"), &record);
    }
    let frame = wal::frame(&start);
    assert_eq!(wal::scan(&frame).unwrap().records, [start]);
    book.bytes("wal_frame", &frame);
    let mut damaged = frame;
    damaged[20] ^= 1;
    assert!(wal::scan(&damaged).is_err());
    book.refused("refuse_wal_frame", damaged);
}
