//! Every type of the lower four crates that is decoded from bytes, with encodings to damage. A fuzzer uses it too.

use crate::{
    example::{self, Example, Made},
    run,
};
use tender_auction::{
    clearing::Witness,
    genesis::{Genesis, Openers},
    market::{Market, MarketState, witness::AuctionWitness},
    outcome::OutcomeRecord,
    seal::Sealed,
    transaction::{self as governance, Action, Change, SignedTx, Transaction},
};
use tender_circuits::{
    Attestation, CapabilityType, Claim, ClaimSchema, Credential, Evidence, IssuerIndex, MerklePath,
    ProofBytes,
};
use tender_consensus::{
    block::{Block, CommittedBlock, CompactBlock, Header},
    certificate::CommitCertificate,
    evidence::Evidence as Offence,
    message::{Bundle, Message, Proposed, Request, Response},
    vote::{Proposal, Vote, VoteKind},
    wal::WalRecord,
};
use tender_wire::{CodecError, Digest, Height, Power, Round, TxHash, Wire, decode, encode, hex};

/// A decoded type.
pub struct Kind {
    /// Its crate's folder and its name there.
    pub name: (&'static str, &'static str),
    /// The codec's own cap.
    pub max_bytes: usize,
    /// Reads bytes and writes what was read.
    pub again: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
    /// Encodings, one of each variant that is decoded by itself.
    pub examples: Vec<Vec<u8>>,
    /// Bytes of memory that reading may take for each of the input's.
    pub growth: u64,
    /// Every so many damages are tried: more than 1 where reading is slow.
    pub stride: usize,
}

fn kind<T: Wire>(
    folder: &'static str,
    name: &'static str,
    examples: impl IntoIterator<Item = Vec<u8>>,
) -> Kind {
    Kind {
        name: (folder, name),
        max_bytes: T::MAX_BYTES,
        again: |bytes| decode::<T>(bytes).map(|value| encode(&value)),
        examples: examples.into_iter().collect(),
        growth: 4, // items as large as on the wire, in a vector that has just been doubled
        stride: 1,
    }
}

/// Every so many damages of something slow; all of them if `TENDER_EVERY` is set, which takes some minutes.
pub fn every(usual: usize) -> usize {
    match std::env::var_os("TENDER_EVERY") {
        Some(_) => 1,
        None => usual,
    }
}

/// The bytes and texts that `fixtures/vectors.json` keeps.
pub struct Vectors(serde_json::Value);

impl Vectors {
    pub fn read() -> Self {
        let text = include_str!("../../../fixtures/vectors.json");
        Vectors(serde_json::from_str(text).unwrap())
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.0["vectors"][name].as_str();
        hex::decode(text.unwrap_or_else(|| panic!("no vector {name}"))).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        self.0["texts"][name].as_str().unwrap().into()
    }

    /// The worked example, around the setup and the proof that are kept.
    pub fn example(&self) -> Example {
        let made = Made {
            vk: self.bytes("type_vk"),
            r1cs_hash: Digest(self.bytes("type_r1cs_hash").try_into().unwrap()),
            proof: ProofBytes(self.bytes("proof_a").try_into().unwrap()),
        };
        Example::new(Some(made), false)
    }
}

/// Every kind. The worked example and its seven blocks are executed for it.
pub fn kinds() -> Vec<Kind> {
    let vectors = Vectors::read();
    let example = vectors.example();
    let steps = run::run(&example);
    let v = |names: &[&str]| names.iter().map(|n| vectors.bytes(n)).collect::<Vec<_>>();

    let (chain, block) = (example.chain, &steps[2].block);
    let committed = CommittedBlock {
        block: steps[6].block.clone(),
        certificate: steps[6].certificate.clone(),
    };
    let slot = (Height(3), Round(0));
    let proposal = |pol| {
        let place = (slot.0, slot.1, pol);
        Proposal::sign(&mut example::key(1), &chain, place, block.id()).unwrap()
    };
    let vote = |of| {
        let place = (slot.0, slot.1, VoteKind::Prevote);
        Vote::sign(&mut example::key(1), &chain, place, of).unwrap()
    };
    let offence: Offence = decode(&vectors.bytes("evidence_votes")).unwrap();
    let proposed = |pol, block| {
        let proposal = proposal(pol);
        Message::Proposal(Box::new(Proposed { proposal, block }))
    };
    let messages = [
        proposed(None, None),
        proposed(Some(Round(0)), Some(steps[1].block.to_compact())),
        Message::Vote(Box::new(vote(None))),
        Message::Vote(Box::new(vote(Some(block.id())))),
        Message::Evidence(offence),
    ];
    let hashes: Vec<TxHash> = block.transactions.iter().map(|tx| tx.hash()).collect();
    let requests = [
        Request::Block(block.id()),
        Request::Transactions(vec![]),
        Request::Transactions(hashes),
        Request::Votes(Height(3)),
        Request::Blocks(Height(1)),
    ];
    let bundle = Bundle {
        tip: Height(2),
        proposals: vec![proposal(None)],
        votes: vec![vote(None)],
    };
    let responses = [
        Response::Block(None),
        Response::Block(Some(Box::new(steps[1].block.to_compact()))),
        Response::Transactions(steps[5].block.transactions.clone()),
        Response::Votes(Bundle::default()),
        Response::Votes(bundle),
        Response::Blocks(vec![]),
        Response::Blocks(vec![committed]),
    ];
    let approve = |change| {
        let proposal = governance::Proposal {
            change,
            nonce: 1,
            expiry: Height(9),
        };
        let action = Action::Approve(Box::new(proposal));
        let tx = SignedTx::new(&chain, &example::key(1), 0, action);
        Transaction::Signed(Box::new(tx)).to_bytes()
    };
    let changes = [
        Change::AddType(example.record.clone()),
        Change::AddIssuer(example.genesis.issuers[0].clone()),
        Change::RemoveIssuer(IssuerIndex::new(0).unwrap()),
        Change::SetOpeners(example.genesis.openers.clone()),
        Change::SetOpeners(Openers::Any),
        Change::SetValidator {
            key: example::key(1).public(),
            power: Power(0),
        },
    ];
    let blocks = [5, 6].map(|at| encode(&steps[at].block));
    // At first nothing; then live bids, committee keys, a ledger and a leaf; at last an assignment.
    let market = Market::new(example.genesis.clone()).unwrap();
    let states = [
        market.initial_state(),
        &steps[2].chain.app,
        &steps[6].chain.app,
    ]
    .map(encode);
    vec![
        kind::<Header>("consensus", "Header", v(&["header_1"])),
        kind::<Block>("consensus", "Block", blocks.clone()),
        kind::<CompactBlock>("consensus", "CompactBlock", v(&["compact_block_3"])),
        kind::<CommittedBlock>("consensus", "CommittedBlock", v(&["committed_block_7"])),
        kind::<CommitCertificate>("consensus", "CommitCertificate", v(&["certificate_6"])),
        kind::<Offence>(
            "consensus",
            "Evidence",
            v(&["evidence_votes", "evidence_proposals"]),
        ),
        kind::<Message>("consensus", "Message", messages.iter().map(encode)),
        kind::<Request>("consensus", "Request", requests.iter().map(encode)),
        kind::<Response>("consensus", "Response", responses.iter().map(encode)),
        kind::<WalRecord>(
            "consensus",
            "WalRecord",
            v(&[
                "wal_start",
                "wal_begin",
                "wal_proposal",
                "wal_vote",
                "wal_judged",
                "wal_built",
                "wal_timeout",
                "wal_signed_proposal",
                "wal_signed_vote",
            ])
            .into_iter()
            .chain([encode(&WalRecord::Block(Box::new(steps[6].block.clone())))]),
        ),
        kind::<CapabilityType>("circuits", "CapabilityType", v(&["type_record"])),
        kind::<ClaimSchema>("circuits", "ClaimSchema", v(&["type_schema"])),
        kind::<Claim>("circuits", "Claim", v(&["claim", "claim_exact"])),
        kind::<Credential>("circuits", "Credential", v(&["credential"])),
        kind::<MerklePath>("circuits", "MerklePath", v(&["registry_path"])),
        kind::<Attestation>("circuits", "Attestation", v(&["attestation"])),
        kind::<Evidence>("circuits", "Evidence", v(&["evidence_a", "evidence_b"])),
        kind::<Transaction>(
            "auction",
            "Transaction",
            v(&[
                "tx_bid_a",
                "tx_bid_b",
                "tx_seal_key",
                "tx_seal_reveal",
                "tx_open_auction",
                "tx_issue",
                "tx_revoke",
                "tx_revoke_attestation",
                "tx_accept",
                "tx_deliver",
                "tx_confirm",
                "tx_reject",
                "tx_approve",
            ])
            .into_iter()
            .chain(changes.map(approve)),
        ),
        kind::<Sealed>("auction", "Sealed", v(&["sealed_a"])),
        Kind {
            growth: 7, // an operator's own file, whose lists `Genesis::check` counts
            ..kind::<Genesis>("auction", "Genesis", v(&["genesis"]))
        },
        kind::<OutcomeRecord>(
            "auction",
            "OutcomeRecord",
            v(&[
                "record_auction_no_keys",
                "record_bid_seal_invalid",
                "record_7_auction_1",
                "record_7_entry_1",
                "record_7_unit_1",
                "record_award_accepted",
            ]),
        ),
        Kind {
            growth: 6, // only ever read inside the next, which is small
            ..kind::<Witness>("auction", "Witness", v(&["class_witness"]))
        },
        kind::<AuctionWitness>("auction", "AuctionWitness", v(&["auction_witness"])),
        Kind {
            stride: every(61), // it builds a registry, half a millisecond of hashing
            ..kind::<MarketState>("auction", "MarketState", states)
        },
    ]
}
