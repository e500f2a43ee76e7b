//! Each limit of what crosses the wire and of what is kept of it: as much is taken, one more is not (THREATS B8, B13, B15).

use std::{fmt::Debug, sync::Arc};
use tender_consensus::{
    block::{Annex, Block, BodyError, CommittedBlock, CompactBlock, Header, tx_root},
    certificate::{Commit, CommitCertificate},
    chain::ChainState,
    engine::{
        Effect, Engine, Input, MAX_BODIES, MAX_CLAIMS, MAX_POOLED_EVIDENCE, MAX_SOURCES, Peer,
        Refusal, TimeoutKind, TxPool, Verdict,
    },
    evidence::Evidence,
    message::{
        Bundle, MAX_BUNDLE_MESSAGES, MAX_PUSHED_BLOCK_BYTES, MAX_RANGE_BLOCKS, Message, Proposed,
        Request, Response,
    },
    params::{
        MAX_BLOCK_BYTES, MAX_BLOCK_EVIDENCE, MAX_BLOCK_INTERVAL_MS, MAX_BLOCK_TXS,
        MAX_EVIDENCE_AGE, MAX_TIMEOUT_MS, MAX_TX_BYTES, MAX_WITNESSES, Params,
    },
    signer::Signer,
    sim::{
        Sim, SimConfig,
        keys::{test_keys, test_validators},
        toy::{Toy, toy_tx},
    },
    tx::{TxBytes, TxTooLong},
    validators::{MAX_VALIDATORS, ValidatorSet, ValidatorSetError},
    vote::{Proposal, Vote, VoteKind},
    wal::{MAX_FRAME_BYTES, WalError, WalRecord, frame, scan},
};
use tender_wire::{
    BlockId, ChainId, CodecError, Digest, Height, Round, Signature, Tag, TimeMs, TxHash, Wire,
    decode, encode, hash,
    merkle::{MAX_DEPTH, MerkleProof},
};

const NOW: TimeMs = TimeMs(1_700_000_100_000);
const CHAIN: ChainId = ChainId([1; 32]);

/// Bytes up to the cap are looked at; one byte more is refused unread.
#[track_caller]
fn is_capped<T: Wire + Debug>() {
    let (name, max) = (T::NAME, T::MAX_BYTES);
    let len = max + 1;
    let looked_at = decode::<T>(&vec![0xff; max]).unwrap_err();
    assert!(!matches!(looked_at, CodecError::TooLong { .. }), "{name}");
    let unread = CodecError::TooLong { name, len, max };
    assert_eq!(decode::<T>(&vec![0xff; len]).unwrap_err(), unread);
}

#[test]
fn messages_above_their_caps_are_refused_unread() {
    is_capped::<Header>();
    is_capped::<Block>();
    is_capped::<CompactBlock>();
    is_capped::<CommittedBlock>();
    is_capped::<CommitCertificate>();
    is_capped::<Evidence>();
    is_capped::<Message>();
    is_capped::<Request>();
    is_capped::<Response>();
    is_capped::<WalRecord>();
}

fn vote(height: u64, who: usize, block: Option<BlockId>) -> Vote {
    let slot = (Height(height), Round(u32::MAX), VoteKind::Prevote);
    Vote::sign(&mut test_keys(4)[who], &CHAIN, slot, block).unwrap()
}

fn proposal() -> Proposal {
    let slot = (Height(1), Round(u32::MAX), Some(Round(7)));
    Proposal::sign(&mut test_keys(1)[0], &CHAIN, slot, BlockId([7; 32])).unwrap()
}

/// Everything a body may hold beside its transactions.
fn largest_annex() -> Annex {
    let commit = Commit {
        height: Height(1),
        round: Round(0),
        block: BlockId([1; 32]),
        signers: vec![0xff; MAX_VALIDATORS / 8],
        signatures: vec![Signature([1; 64]); MAX_VALIDATORS],
    };
    let evidence = Evidence::proposals(proposal(), {
        let slot = (Height(1), Round(u32::MAX), Some(Round(8)));
        Proposal::sign(&mut test_keys(1)[0], &CHAIN, slot, BlockId([7; 32])).unwrap()
    });
    Annex {
        last_certificate: Some(CommitCertificate::V1(commit)),
        evidence: vec![evidence; MAX_BLOCK_EVIDENCE],
        witnesses: vec![Vec::new(); MAX_WITNESSES],
    }
}

/// The header of a body.
fn fitted(transactions: impl IntoIterator<Item = TxHash>, annex: &Annex) -> Header {
    Header {
        version: 1,
        chain: CHAIN,
        height: Height(1),
        parent: BlockId::ZERO,
        time: NOW,
        tx_root: tx_root(transactions),
        last_certificate_hash: annex.last_certificate_hash(),
        evidence_hash: annex.evidence_hash(),
        witness_hash: annex.witness_hash(),
        validators_hash: Digest::ZERO,
        next_validators_hash: Digest::ZERO,
        state_root: Digest::ZERO,
        outcome_root: Digest::ZERO,
    }
}

fn block(transactions: Vec<TxBytes>, annex: Annex) -> Block {
    Block {
        header: fitted(transactions.iter().map(TxBytes::hash), &annex),
        transactions,
        annex,
    }
}

fn transactions(count: usize, bytes: usize) -> Vec<TxBytes> {
    let transaction = |i: usize| {
        let mut content = vec![0; bytes];
        content[bytes - 8..].copy_from_slice(&i.to_le_bytes());
        TxBytes::new(content).unwrap()
    };
    (0..count).map(transaction).collect()
}

/// What keeps every limit of its parts is below the cap of the whole, and below those of everything that carries it.
#[test]
fn the_largest_of_everything_fits_what_carries_it() {
    #[track_caller]
    fn fits<T: Wire + PartialEq + Debug>(value: &T) {
        let bytes = encode(value);
        assert!(bytes.len() <= T::MAX_BYTES, "{}: {}", T::NAME, bytes.len());
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value), "{}", T::NAME);
    }
    let annex = largest_annex();
    let certificate = annex.last_certificate.clone().unwrap();
    fits(&certificate);
    fits(&annex.evidence[0]);
    fits(&Evidence::votes(
        vote(1, 0, None),
        vote(1, 0, Some(BlockId([2; 32]))),
    ));

    let many = transactions(MAX_BLOCK_TXS, MAX_BLOCK_BYTES / MAX_BLOCK_TXS);
    let full = block(many, annex.clone());
    assert_eq!(full.payload_bytes(), MAX_BLOCK_BYTES);
    full.check_body().unwrap();
    fits(&full);
    fits(&WalRecord::Block(Box::new(full.clone())));
    let committed = CommittedBlock {
        block: full.clone(),
        certificate,
    };
    fits(&committed);
    fits(&Response::Blocks(vec![committed]));
    fits(&Response::Transactions(full.transactions.clone()));
    let hashes = full.transactions.iter().map(TxBytes::hash);
    fits(&Request::Transactions(hashes.collect()));

    // Witnesses alone may fill a block, with every transaction empty beside them.
    let mut annex = annex;
    annex.witnesses = vec![vec![7; MAX_BLOCK_BYTES / MAX_WITNESSES]; MAX_WITNESSES];
    let compact = CompactBlock {
        header: fitted(vec![TxHash([7; 32]); MAX_BLOCK_TXS], &annex),
        transactions: vec![TxHash([7; 32]); MAX_BLOCK_TXS],
        annex,
    };
    compact.check_body().unwrap();
    fits(&compact);
    fits(&Response::Block(Some(Box::new(compact))));

    let bundle = Bundle {
        tip: Height(0),
        proposals: vec![proposal(); MAX_BUNDLE_MESSAGES],
        votes: Vec::new(),
    };
    fits(&Response::Votes(bundle));
    let bundle = Bundle {
        tip: Height(0),
        proposals: Vec::new(),
        votes: vec![vote(1, 0, Some(BlockId([2; 32]))); MAX_BUNDLE_MESSAGES],
    };
    fits(&Response::Votes(bundle));
    let mut pushed = block(Vec::new(), Annex::default()).to_compact();
    let room = MAX_PUSHED_BLOCK_BYTES - encode(&pushed).len() - 8;
    pushed.annex.witnesses.push(vec![7; room]);
    assert_eq!(encode(&pushed).len(), MAX_PUSHED_BLOCK_BYTES);
    fits(&Message::Proposal(Box::new(Proposed {
        proposal: proposal(),
        block: Some(pushed),
    })));
}

#[test]
fn a_transaction_fills_its_cap_and_no_more() {
    let full = TxBytes::new(vec![7; MAX_TX_BYTES]).unwrap();
    assert_eq!(full.bytes().len(), MAX_TX_BYTES);
    let len = MAX_TX_BYTES + 1;
    assert_eq!(TxBytes::new(vec![7; len]), Err(TxTooLong { len }));
    // Nor on the wire.
    let answer = |len: usize| {
        let mut bytes = encode(&Response::Transactions(vec![]));
        bytes[4..12].copy_from_slice(&1u64.to_le_bytes());
        bytes.extend((len as u64).to_le_bytes());
        bytes.extend(vec![7; len]);
        decode::<Response>(&bytes)
    };
    assert_eq!(answer(MAX_TX_BYTES), Ok(Response::Transactions(vec![full])));
    assert!(matches!(answer(len), Err(CodecError::Malformed { .. })));
}

#[test]
fn a_body_holds_so_much_and_no_more() {
    let judged = |txs: usize, evidence: usize, witnesses: usize| {
        let piece = largest_annex().evidence.swap_remove(0);
        let annex = Annex {
            last_certificate: None,
            evidence: vec![piece; evidence],
            witnesses: vec![Vec::new(); witnesses],
        };
        let block = block(transactions(txs, 8), annex);
        assert_eq!(block.check_body(), block.to_compact().check_body());
        block.check_body()
    };
    let (txs, evidence, witnesses) = (MAX_BLOCK_TXS, MAX_BLOCK_EVIDENCE, MAX_WITNESSES);
    assert_eq!(judged(txs, evidence, witnesses), Ok(()));
    for (refused, what, max) in [
        (judged(txs + 1, 0, 0), "transactions", txs),
        (judged(0, evidence + 1, 0), "pieces of evidence", evidence),
        (judged(0, 0, witnesses + 1), "witnesses", witnesses),
    ] {
        let found = max + 1;
        assert_eq!(refused, Err(BodyError::TooMany { what, found, max }));
    }
}

#[test]
fn parameters_have_bounds() {
    type Set = fn(&mut Params, u64);
    let (interval, timeout) = (MAX_BLOCK_INTERVAL_MS, MAX_TIMEOUT_MS);
    let (bytes, txs) = (MAX_BLOCK_BYTES as u64, MAX_BLOCK_TXS as u64);
    let cases: [(&str, Set, u64, u64); 9] = [
        (
            "block_interval_ms",
            |p, v| p.block_interval_ms = v,
            1,
            interval,
        ),
        (
            "propose_timeout_ms",
            |p, v| p.propose_timeout_ms = v,
            1,
            timeout,
        ),
        ("vote_timeout_ms", |p, v| p.vote_timeout_ms = v, 1, timeout),
        (
            "timeout_delta_ms",
            |p, v| p.timeout_delta_ms = v,
            1,
            timeout,
        ),
        (
            "max_clock_ahead_ms",
            |p, v| p.max_clock_ahead_ms = v,
            1,
            timeout,
        ),
        (
            "max_clock_behind_ms",
            |p, v| p.max_clock_behind_ms = v,
            1,
            timeout,
        ),
        (
            "evidence_age",
            |p, v| p.evidence_age = v,
            1,
            MAX_EVIDENCE_AGE,
        ),
        (
            "max_block_bytes",
            |p, v| p.max_block_bytes = v as u32,
            MAX_TX_BYTES as u64,
            bytes,
        ),
        ("max_block_txs", |p, v| p.max_block_txs = v as u32, 1, txs),
    ];
    for (name, set, min, max) in cases {
        let judged = |value| {
            let mut params = Params::default();
            set(&mut params, value);
            params.check()
        };
        assert_eq!((judged(min), judged(max)), (Ok(()), Ok(())), "{name}");
        for value in [min - 1, max + 1] {
            let refused = judged(value).unwrap_err();
            assert_eq!((refused.name, refused.value), (name, value));
        }
    }
}

#[test]
fn a_path_has_so_many_siblings_and_no_more() {
    let (leaf, sibling) = (Digest([1; 32]), Digest([2; 32]));
    let of = |siblings: usize| {
        let up = |at: Digest, _| hash(Tag::MerkleNode, &[at.as_ref(), sibling.as_ref()]);
        let count = u32::MAX;
        let top = (0..siblings).fold(leaf, up);
        let sealed = [&u64::from(count).to_le_bytes()[..], top.as_ref()];
        let root = hash(Tag::MerkleRoot, &sealed);
        let path = vec![sibling; siblings];
        let index = 0;
        MerkleProof { index, count, path }.verifies(&leaf, &root)
    };
    assert!(of(MAX_DEPTH) && !of(MAX_DEPTH + 1));
}

/// P4: a length that no record has is damage, whatever its checksum says, and is never allocated.
#[test]
fn a_frame_that_claims_more_than_a_record_is_damage() {
    let claiming = |len: usize| {
        let mut bytes = frame(&WalRecord::Begin);
        bytes[4..8].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
        let sum = crc32fast::hash(&bytes[..8]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        scan(&bytes)
    };
    let torn = claiming(MAX_FRAME_BYTES).unwrap();
    assert_eq!((torn.records.len(), torn.valid_len), (0, 0));
    let what = "frame length";
    let damaged = WalError::Damaged { offset: 0, what };
    assert_eq!(claiming(MAX_FRAME_BYTES + 1), Err(damaged));
}

#[test]
fn a_set_has_so_many_members_and_no_more() {
    let full = test_validators(&[1; MAX_VALIDATORS]);
    assert_eq!(full.len(), MAX_VALIDATORS);
    let more = test_keys(MAX_VALIDATORS + 1).into_iter().map(|key| {
        let mut validator = full.as_slice()[0];
        validator.key = key.public();
        validator
    });
    let refused = ValidatorSet::new(more.collect());
    assert!(
        matches!(refused, Err(ValidatorSetError::TooMany { .. })),
        "{refused:?}"
    );
}

struct Pool(Vec<TxBytes>);

impl TxPool for Pool {
    fn candidates(&self, _: usize, _: usize) -> Vec<TxBytes> {
        self.0.clone()
    }
    fn transaction(&self, hash: &TxHash) -> Option<TxBytes> {
        self.0.iter().find(|it| it.hash() == *hash).cloned()
    }
}

/// A peer at genesis, among so many validators.
fn engine(
    validators: usize,
    params: Params,
    signer: Option<Box<dyn Signer>>,
    pool: Vec<TxBytes>,
) -> (Engine<Toy>, Vec<Effect<Toy>>) {
    let app = Arc::new(Toy {
        validators: test_validators(&vec![1; validators]),
        params,
        endless: true,
    });
    let chain = ChainState::genesis(&*app);
    let pool = Arc::new(Pool(pool));
    Engine::start(app, chain, None, signer, pool, Vec::new(), NOW).unwrap()
}

fn follower(validators: usize) -> Engine<Toy> {
    engine(validators, SimConfig::default().params, None, Vec::new()).0
}

fn hear(engine: &mut Engine<Toy>, from: u64, message: Message) -> (Verdict, Vec<Effect<Toy>>) {
    let from = Peer(from);
    let output = engine.step(NOW, Input::Gossip { from, message });
    (output.verdict, output.effects)
}

fn answered(engine: &mut Engine<Toy>, from: u64, request: Request, response: Response) -> Verdict {
    let from = Peer(from);
    let input = Input::Response {
        from,
        request,
        response,
    };
    engine.step(NOW, input).verdict
}

fn asks(effects: Vec<Effect<Toy>>) -> Vec<(Request, Vec<Peer>)> {
    let ask = |effect| match effect {
        Effect::Ask { request, prefer } => Some((request, prefer)),
        _ => None,
    };
    effects.into_iter().filter_map(ask).collect()
}

fn prevote(
    engine: &Engine<Toy>,
    validators: usize,
    who: usize,
    round: u32,
    block: Option<BlockId>,
) -> Message {
    let mut key = test_keys(validators).swap_remove(who);
    let slot = (Height(1), Round(round), VoteKind::Prevote);
    let vote = Vote::sign(&mut key, &engine.chain().chain, slot, block);
    Message::Vote(Box::new(vote.unwrap()))
}

/// The proposal that a lone validator with these transactions makes.
fn proposed(pool: Vec<TxBytes>) -> Proposed {
    let params = Params {
        max_block_txs: MAX_BLOCK_TXS as u32,
        ..SimConfig::default().params
    };
    let key = Box::new(test_keys(1).swap_remove(0));
    let (mut engine, mut effects) = engine(1, params, Some(key), pool);
    for _ in 0..10 {
        let mut next = engine.step(NOW, Input::Work).effects;
        for effect in effects {
            match effect {
                Effect::Send(message) => match message.into_inner() {
                    Message::Proposal(proposed) => return *proposed,
                    _ => continue,
                },
                Effect::Persist(batch) => {
                    next.extend(engine.step(NOW, Input::Persisted(batch)).effects)
                }
                Effect::Schedule { timeout, .. } if timeout.kind == TimeoutKind::Interval => {
                    next.extend(engine.step(NOW, Input::Timeout(timeout)).effects);
                }
                _ => {}
            }
        }
        effects = next;
    }
    panic!("nothing proposed");
}

/// A compact block names a transaction in 32 bytes.
#[test]
fn a_large_block_is_asked_for_not_pushed() {
    let pushed = |count: usize| proposed(transactions(count, 9)).block;
    let one = encode(&pushed(1).unwrap()).len();
    let most = 1 + (MAX_PUSHED_BLOCK_BYTES - one) / 32;
    let largest = encode(&pushed(most).unwrap()).len();
    assert!(largest <= MAX_PUSHED_BLOCK_BYTES && largest + 32 > MAX_PUSHED_BLOCK_BYTES);
    assert_eq!(pushed(most + 1), None);
}

/// B13: an answer of too many parts is its sender's fault, before any part is looked at.
#[test]
fn answers_hold_so_much_and_no_more() {
    let mut listener = follower(4);
    let Message::Vote(vote) = prevote(&listener, 4, 1, 0, None) else {
        unreachable!()
    };
    let height = Height(1);
    let votes = |count| {
        Response::Votes(Bundle {
            tip: Height(0),
            proposals: Vec::new(),
            votes: vec![(*vote).clone(); count],
        })
    };
    let request = || Request::Votes(height);
    let full = answered(&mut listener, 1, request(), votes(MAX_BUNDLE_MESSAGES));
    assert_eq!(full, Verdict::Accept);
    let more = answered(&mut listener, 1, request(), votes(MAX_BUNDLE_MESSAGES + 1));
    assert_eq!(more, Verdict::Reject(Refusal::WrongAnswer));

    let mut sim = Sim::new(SimConfig::default());
    sim.submit(0, toy_tx("+9"));
    let blocks = MAX_RANGE_BLOCKS + 1;
    assert!(sim.run_until(600_000, |sim| sim.height(0) >= blocks as u64));
    let range = |count| Response::Blocks(sim.blocks(0)[..count].to_vec());
    let request = || Request::Blocks(height);
    let more = answered(&mut listener, 1, request(), range(blocks));
    assert_eq!(more, Verdict::Reject(Refusal::BrokenRange));
    let full = answered(&mut listener, 1, request(), range(MAX_RANGE_BLOCKS));
    assert_eq!(full, Verdict::Accept);
}

#[test]
fn so_many_peers_are_remembered_for_a_block_and_no_more() {
    let validators = MAX_SOURCES + 2;
    let mut listener = follower(validators);
    let block = BlockId([9; 32]);
    for who in 0..validators {
        let message = prevote(&listener, validators, who, 0, Some(block));
        assert_eq!(hear(&mut listener, who as u64, message).0, Verdict::Accept);
    }
    let asked = asks(listener.step(NOW, Input::Tick).effects);
    let (_, sources) = asked
        .into_iter()
        .find(|(it, _)| *it == Request::Block(block))
        .unwrap();
    assert_eq!(sources.len(), MAX_SOURCES);
}

/// B4: of more proposed blocks than are kept, the oldest that no rule needs any more goes.
#[test]
fn so_many_bodies_are_kept_and_no_more() {
    let validators = 4;
    let mut listener = follower(validators);
    let mut keys = test_keys(validators);
    let mut told: Vec<BlockId> = Vec::new();
    for round in 0..=MAX_BODIES as u32 {
        let annex = Annex {
            witnesses: vec![round.to_le_bytes().to_vec()],
            ..Annex::default()
        };
        let block = block(Vec::new(), annex).to_compact();
        let id = block.header.id();
        let slot = (Height(1), Round(round), None);
        let chain = listener.chain().chain;
        let mut propose = |key: &mut tender_wire::SecretKey| {
            let proposal = Proposal::sign(key, &chain, slot, id).unwrap();
            let block = Some(block.clone());
            let message = Message::Proposal(Box::new(Proposed { proposal, block }));
            hear(&mut listener, 1, message).0 == Verdict::Accept
        };
        assert_eq!(
            keys.iter_mut()
                .map(&mut propose)
                .filter(|took| *took)
                .count(),
            1
        );
        told.push(id);
        let kept = |id: &&BlockId| {
            let answer = listener.answer(&Request::Block(**id));
            matches!(answer, Some(Response::Block(Some(_))))
        };
        let kept: Vec<_> = told.iter().filter(kept).collect();
        assert_eq!(kept.len(), told.len().min(MAX_BODIES));
        assert_eq!(kept.last(), Some(&&id), "the newest is");
    }
    let oldest = listener.answer(&Request::Block(told[0]));
    assert_eq!(oldest, Some(Response::Block(None)));
}

/// B2: evidence is bounded, and who meets a full pool is not to blame.
#[test]
fn so_many_offences_are_kept_and_no_more() {
    let validators = MAX_POOLED_EVIDENCE + 1;
    let mut listener = follower(validators);
    let mut keys = test_keys(validators);
    let chain = listener.chain().chain;
    let mut verdicts = keys.iter_mut().map(|key| {
        let slot = (Height(1), Round(0), VoteKind::Prevote);
        let mut sign = |block| Vote::sign(key, &chain, slot, block).unwrap();
        let pair = Evidence::votes(sign(None), sign(Some(BlockId([2; 32]))));
        hear(&mut listener, 1, Message::Evidence(pair)).0
    });
    for _ in 0..MAX_POOLED_EVIDENCE {
        assert_eq!(verdicts.next(), Some(Verdict::Accept));
    }
    assert_eq!(verdicts.next(), Some(Verdict::Ignore(Refusal::PoolFull)));
}

#[test]
fn so_many_claims_are_remembered_and_no_more() {
    for (claimants, remembered) in [(MAX_CLAIMS, MAX_CLAIMS), (MAX_CLAIMS + 1, MAX_CLAIMS)] {
        let mut listener = follower(4);
        for peer in 0..claimants as u64 {
            let bundle = Bundle {
                tip: Height(9),
                ..Bundle::default()
            };
            let request = Request::Votes(Height(1));
            let verdict = answered(&mut listener, peer, request, Response::Votes(bundle));
            assert_eq!(verdict, Verdict::Accept);
        }
        // Asked on the strength of a claim: each claimant once.
        let ticks = (0..claimants + 2).flat_map(|_| asks(listener.step(NOW, Input::Tick).effects));
        let blocks = ticks.filter(|(request, _)| *request == Request::Blocks(Height(1)));
        assert_eq!(blocks.count(), remembered);
    }
}

/// Timeouts grow with the round, and no further than a minute.
#[test]
fn timeouts_grow_to_their_cap_and_stay() {
    let params = Params {
        propose_timeout_ms: MAX_TIMEOUT_MS - 2,
        timeout_delta_ms: 1,
        ..SimConfig::default().params
    };
    let (mut listener, _) = engine(4, params, None, Vec::new());
    let mut waits = Vec::new();
    for round in 1..=3 {
        for who in [1, 2] {
            let message = prevote(&listener, 4, who, round, None);
            let effects = hear(&mut listener, 1, message).1;
            waits.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Schedule { after_ms, .. } => Some(after_ms),
                _ => None,
            }));
        }
    }
    assert_eq!(waits, [MAX_TIMEOUT_MS - 1, MAX_TIMEOUT_MS, MAX_TIMEOUT_MS]);
}
