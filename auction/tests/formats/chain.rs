//! Blocks, votes, certificates, evidence, state roots, outcomes of the example's run, certificate files, the write-ahead log.

use crate::{
    book::Book,
    example::{self, Example},
};
use std::collections::{BTreeMap, VecDeque};
use tender_auction::{
    certificate::{AssignmentCertificate, SetChange},
    market::{Auction, BlockOutcome, Market, MarketState, table::Content},
    outcome::{OutcomeRecord, outcome_root},
};
use tender_circuits::IssuerIndex;
use tender_consensus::{
    block::{Annex, Block, CommittedBlock, Header},
    certificate::CommitCertificate,
    chain::{Applied, ChainState},
    evidence::Evidence,
    kernel::{Timeout, TimeoutKind},
    tx::TxBytes,
    validators::{Validator, ValidatorSet},
    vote::{Proposal, Vote, VoteKind},
    wal::{self, WalRecord},
};
use tender_wire::{
    BlockId, ChainId, Digest, FieldBytes, Height, Power, Round, SecretKey, Tag, TimeMs, encode,
    hash, merkle,
};

/// One committed block of the run, and the state after it.
struct Step {
    block: Block,
    certificate: CommitCertificate,
    chain: ChainState<MarketState>,
    outcome: BlockOutcome,
}

/// Sections 15 to 20.
pub fn add(book: &mut Book, example: &Example) {
    let steps = run(example);
    genesis_state(book, example);
    blocks(book, &steps);
    votes(book, &steps[0]);
    evidence(book, example);
    state(book, example, &steps);
    records(book, &steps);
    certificates(book, example, &steps);
    log(book, &steps);
}

/// Builds blocks 1 to 7 with the market itself.
fn run(example: &Example) -> Vec<Step> {
    let market = Market::new(example.genesis.clone()).unwrap();
    let mut chain = ChainState::genesis(&market);
    let [opening, keys, bids, reveals] = example.transactions();
    let none = Vec::new;
    let mut steps: Vec<Step> = Vec::new();
    for transactions in [opening, keys, bids, none(), none(), reveals, none()] {
        let candidates: Vec<_> = transactions
            .iter()
            .map(|tx| TxBytes::new(tx.to_bytes()).unwrap())
            .collect();
        let last_certificate = steps.last().map(|step| step.certificate.clone());
        let annex = Annex {
            last_certificate,
            ..Annex::default()
        };
        let (
            block,
            Applied {
                chain: next,
                outcome,
            },
        ) = chain
            .build(&market, chain.earliest(), annex, &candidates)
            .unwrap()
            .unwrap();
        assert_eq!(block.transactions, candidates, "every transaction applies");
        let applied = chain.apply(&market, &block).unwrap();
        assert_eq!(applied.chain.state_root, next.state_root);
        let certificate = certify(
            &block.header,
            &chain.validators,
            &example::validators(),
            &[0, 1, 3],
        );
        chain = next;
        steps.push(Step {
            block,
            certificate,
            chain: chain.clone(),
            outcome,
        });
    }
    steps
}

/// Precommits in round 0 of the keys at these places.
fn certify(
    header: &Header,
    set: &ValidatorSet,
    keys: &[SecretKey],
    places: &[usize],
) -> CommitCertificate {
    let slot = (header.height, Round(0), VoteKind::Precommit);
    let id = header.id();
    let precommits: BTreeMap<_, _> = places
        .iter()
        .map(|place| {
            let key = &keys[*place];
            let mut signer = SecretKey::from_seed(&mut key.to_seed());
            let vote = Vote::sign(&mut signer, &header.chain, slot, Some(id)).unwrap();
            (set.index_of(&key.public()).unwrap(), vote.signature)
        })
        .collect();
    let certificate = CommitCertificate::assemble(set, (header.height, Round(0), id), &precommits);
    assert_eq!(
        certificate.verify(&header.chain, set, (header.height, id)),
        Ok(())
    );
    certificate
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

fn evidence(book: &mut Book, example: &Example) {
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
}

/// Roots before the first block.
fn genesis_state(book: &mut Book, example: &Example) {
    let market = Market::new(example.genesis.clone()).unwrap();
    book.bytes("genesis_app_root", market.initial_state().root());
    book.bytes(
        "genesis_state_root",
        ChainState::genesis(&market).state_root,
    );
}

/// The state after block 3, put together from the layouts alone.
fn state(book: &mut Book, example: &Example, steps: &[Step]) {
    let chain = &steps[2].chain;
    let app = &chain.app;
    let (bid_a, bid_b) = (&example.bids[0].content, &example.bids[1].content);
    let (issuer, opener) = (
        example::key(example::ISSUER).public(),
        example::key(example::OPENER).public(),
    );
    let table = |bytes: &[u8]| hash(Tag::Table, &[bytes]);
    let mut roots: Vec<Digest> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        book.bytes(&format!("table_{name}"), &bytes);
        let root = table(&bytes);
        book.bytes(&format!("table_{name}_root"), root);
        roots.push(root);
    };
    add("rules", encode(&(example.chain, 1_000u64, true, 1024u32)));
    add("clock", encode(&(Height(3), TimeMs(1_700_000_003_000))));
    add(
        "sequences",
        encode(&BTreeMap::from([(issuer, 1u64), (opener, 1)])),
    );
    add(
        "issuers",
        encode(&vec![("acme", issuer, 100u32, 1u32, 0u32, None::<Height>)]),
    );
    add(
        "types",
        encode(&BTreeMap::from([(("machine", 1u16), example.record.id())])),
    );
    let rows = table(&encode(&vec![(
        IssuerIndex::new(0).unwrap(),
        bid_a.asset,
        false,
    )]));
    let empty = tender_circuits::Registry::default().root();
    let recent = VecDeque::from([(empty, Height(0)), (example.registry.root(), Height(3))]);
    let revoked: BTreeMap<(FieldBytes, IssuerIndex), Height> = BTreeMap::new();
    let serials: BTreeMap<(IssuerIndex, FieldBytes, u64), Height> = BTreeMap::new();
    add(
        "credentials",
        encode(&(
            (1u32, example.registry.root(), merkle::root(&[rows])),
            (recent, revoked, serials),
        )),
    );
    let account = |bidder| {
        (
            bidder,
            Some(example.record.id()),
            Vec::<u64>::new(),
            1u32,
            0u32,
            Vec::<(Height, Vec<u64>)>::new(),
        )
    };
    add(
        "ledger",
        encode(&BTreeMap::from([
            (bid_a.asset, account(bid_a.bidder)),
            (bid_b.asset, account(bid_b.bidder)),
        ])),
    );
    let auction = app.auction(&example.auction).unwrap();
    let (core, bids) = auction_parts(auction);
    let row = hash(Tag::Table, &[&core, &bids]);
    assert_eq!(row, auction.digest());
    add("auctions", encode(&(1u64, vec![(example.auction, row)])));
    add("endings", encode(&BTreeMap::<(TimeMs, u8), u8>::new()));
    add(
        "validators",
        encode(&(app.validators(), BTreeMap::<u8, u8>::new())),
    );
    let nothing: BTreeMap<Digest, Height> = BTreeMap::new();
    add(
        "governance",
        encode(&(
            &example.genesis.openers,
            &nothing,
            &nothing,
            Vec::<u8>::new(),
        )),
    );

    let parts: Vec<&[u8]> = roots.iter().map(AsRef::as_ref).collect();
    let root = hash(Tag::State, &parts);
    assert_eq!(root, app.root(), "the layouts give the state's own root");
    book.bytes("table_credential_rows_root", rows);
    book.bytes("auction_core", core);
    book.bytes("auction_bids", bids);
    book.bytes("auction_row", row);
    book.bytes("app_root_3", root);

    let rotation = book.value("rotation_3", &chain.rotation);
    assert_eq!(rotation, encode(&vec![-1i128, -1, -1, 3]));
    let offences = book.value("offences_3", &chain.offences);
    let whole = hash(Tag::ChainState, &[root.as_ref(), &rotation, &offences]);
    assert_eq!(whole, steps[2].block.header.state_root);
    book.bytes("state_root_3", whole);
}

/// What an auction's row is hashed from.
fn auction_parts(a: &Auction) -> (Vec<u8>, Vec<u8>) {
    let spec_hash = hash(Tag::Table, &[&encode(&*a.spec)]);
    assert_eq!(spec_hash, a.spec_hash);
    let core = encode(&(
        (
            a.id,
            a.opener,
            a.order,
            a.opened,
            a.opening_block,
            spec_hash,
        ),
        (
            &a.committee.members,
            a.committee.faulty,
            &a.keys,
            a.phase,
            &a.by_asset,
            &a.replaced,
        ),
        (&a.suspended, &a.reveals, &a.awards, &a.runners_up),
    ));
    let mut bids = Vec::new();
    for (id, bid) in &a.bids {
        bids.extend(id.0);
        bids.extend(encode(&bid.admitted));
        bid.evidences
            .iter()
            .for_each(|e| bids.extend(encode(&e.fresh_at)));
    }
    (core, bids)
}

fn records(book: &mut Book, steps: &[Step]) {
    let step = &steps[6];
    let records = &step.outcome.records;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for record in records.iter() {
        let kind = match record {
            OutcomeRecord::Auction(_) => "auction",
            OutcomeRecord::Bid(_) => "bid",
            OutcomeRecord::Entry(_) => "entry",
            OutcomeRecord::Unit(_) => "unit",
            OutcomeRecord::Award(_) => "award",
        };
        let count = counts.entry(kind).or_default();
        *count += 1;
        book.wire(&format!("record_7_{kind}_{count}"), record);
        book.bytes(&format!("record_7_{kind}_{count}_leaf"), record.leaf());
    }
    assert_eq!(
        counts,
        BTreeMap::from([("auction", 1), ("entry", 3), ("unit", 2)])
    );
    assert_eq!(outcome_root(records), step.block.header.outcome_root);
    book.bytes("outcome_root_7", step.block.header.outcome_root);
    book.bytes("outcome_root_empty", steps[0].block.header.outcome_root);
}

fn certificates(book: &mut Book, example: &Example, steps: &[Step]) {
    let step = &steps[6];
    let records = &step.outcome.records;
    let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
    let assemble = |changes, header: &Header, certificate: &CommitCertificate, index: usize| {
        let (header, certificate) = (header.clone(), certificate.clone());
        let record = records[index].clone();
        let file =
            AssignmentCertificate::assemble(changes, header, certificate, &leaves, index, record);
        let file = file.unwrap();
        file.verify(&example.genesis).unwrap();
        file
    };
    let lost = records
        .iter()
        .position(|r| matches!(r, OutcomeRecord::Unit(_)))
        .unwrap();
    let file = assemble(vec![], &step.block.header, &step.certificate, lost);
    book.text("certificate", file.to_json());

    // The same record on a chain where block 3 replaced a validator; that chain exists only here.
    let mut keys = example::validators();
    let old = set(&keys);
    let certificate_3 = |next: &ValidatorSet| {
        let header = Header {
            next_validators_hash: next.hash(),
            ..steps[2].block.header.clone()
        };
        (certify(&header, &old, &keys, &[0, 1, 2]), header)
    };
    let new = {
        let mut keys = example::validators();
        keys.truncate(3);
        keys.push(example::key(5));
        set(&keys)
    };
    let (certificate, header) = certificate_3(&new);
    let change = SetChange {
        header,
        certificate,
        next: new.as_slice().to_vec(),
    };
    keys.pop();
    keys.push(example::key(5));
    let header = Header {
        validators_hash: new.hash(),
        next_validators_hash: new.hash(),
        ..step.block.header.clone()
    };
    let won = records
        .iter()
        .position(|r| matches!(r, OutcomeRecord::Entry(_)))
        .unwrap();
    let certificate = certify(&header, &new, &keys, &[1, 2, 3]);
    let file = assemble(vec![change], &header, &certificate, won);
    book.text("certificate_set_change", file.to_json());
}

fn set(keys: &[SecretKey]) -> ValidatorSet {
    let validators = keys.iter().map(|key| Validator {
        key: key.public(),
        power: Power(1),
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

fn log(book: &mut Book, steps: &[Step]) {
    let header = &steps[0].block.header;
    let chain: ChainId = header.chain;
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
