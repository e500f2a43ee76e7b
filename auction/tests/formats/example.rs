//! The worked example: one small chain, one auction, two bids; every input fixed.
//!
//! Two machines of one type compete for a task. Bidder A shows a proof, bidder B an attestation. Block 1 opens, 2 holds the seal
//! keys, 3 the bids, 5 closes, 6 holds three reveals of four, 7 clears.

use std::sync::Arc;
use tender_auction::{
    bid::{Bid, BidContent, ClassSlots},
    clearing::PaymentRule,
    genesis::{Genesis, GenesisValidator, Issuer, Openers, VERSION},
    seal::{
        Associated, BidBody, CommitteeKey, CommitteeSecret, KeyProof, Reveal, SealSeed, Sealed,
        seal,
    },
    task::{AcceptedKinds, AuctionSpec, Class, Requirement, Task, Windows, auction_id},
    transaction::{Action, SealKeyTx, SealRevealTx, SignedTx, Transaction},
};
use tender_circuits::{
    Attestation, Capability, CapabilityType, Claim, ClaimField, ClaimSchema, Credential, Evidence,
    FieldValue, IssuerIndex, IssuerMask, MerklePath, ProofBytes, ProofEvidence, Registry, Rule,
    Setup, Statement, asset_of, prove, setup, verify,
};
use tender_consensus::params::Params;
use tender_wire::{
    AuctionId, BlockId, ChainId, Digest, FieldBytes, Power, Price, PublicKey, SecretKey, Signature,
    Tag, TimeMs, UnixTime, hash,
};

pub const ISSUER: u8 = 0x11;
pub const OPENER: u8 = 0x21;
pub const BIDDER_A: u8 = 0x31;
pub const BIDDER_B: u8 = 0x32;
/// Reveals needed: four keys, one of which may be faulty.
pub const THRESHOLD: usize = 3;
/// Entries a body is padded to.
pub const MAX_ENTRIES: u8 = 2;
/// Until when winners must serve.
pub const LEASE_END: UnixTime = UnixTime(1_700_086_400);
/// The committee's secrets are derived for this opening block. (Real members take the block that opened the auction.)
pub const OPENING_BLOCK: BlockId = BlockId([0x77; 32]);

/// The key whose seed is 32 bytes of `n`.
pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&mut [n; 32])
}

/// The validators' keys, seeds 1 to 4, in the order of their public keys.
pub fn validators() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=4).map(key).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// The circuit behind the example's type.
struct Machine;

impl Capability for Machine {
    fn name(&self) -> &str {
        "machine"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        schema()
    }
}

/// Three fields: an amount, a `within` mask, a `has_all` mask.
pub fn schema() -> ClaimSchema {
    let field = |name: &str, unit: &str, labels: &[&str], rule| ClaimField {
        name: name.into(),
        unit: unit.into(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        rule,
    };
    ClaimSchema {
        fields: vec![
            field("gpu_milli", "mGPU", &[], Rule::AtLeast { consumable: true }),
            field("region", "", &["eu", "us"], Rule::Within),
            field("skills", "", &["cuda", "docker"], Rule::HasAll),
        ],
    }
}

/// A value of [`schema`].
pub fn claim(gpu_milli: u32, region: u64, skills: u64) -> Claim {
    use FieldValue::{Amount, Mask};
    Claim(vec![Amount(gpu_milli), Mask(region), Mask(skills)])
}

/// What a setup and a prover made once and the document keeps.
pub struct Made {
    pub vk: Vec<u8>,
    pub r1cs_hash: Digest,
    pub proof: ProofBytes,
}

/// The example's values, up to the transactions.
pub struct Example {
    pub record: CapabilityType,
    pub genesis: Genesis,
    pub chain: ChainId,
    pub spec: AuctionSpec,
    pub auction: AuctionId,
    pub credential: Credential,
    pub registry: Registry,
    pub path: MerklePath,
    pub members: Vec<(PublicKey, CommitteeKey, KeyProof, Reveal)>,
    pub statement: Statement,
    pub attestation: Attestation,
    pub bodies: [BidBody; 2],
    pub bids: [Bid; 2],
}

impl Example {
    /// The example around a kept setup and proof; if they do not fit it any more, and `remake` allows it, around new ones.
    pub fn new(kept: Option<Made>, remake: bool) -> Self {
        if let Some(made) = kept {
            let example = Example::around(record(made.vk, made.r1cs_hash), made.proof);
            if example.proof_verifies() {
                return example;
            }
        }
        assert!(
            remake,
            "the kept proof does not verify: the statement's layout changed (see the head of this test)"
        );
        let (proving, record) = setup(Arc::new(Machine), [7; 32]).unwrap();
        let draft = Example::around(record.clone(), ProofBytes([0; 128]));
        let proof = prove(
            &proving,
            &draft.credential,
            &draft.path,
            &draft.statement,
            [8; 32],
        );
        let example = Example::around(record, proof.unwrap());
        assert!(example.proof_verifies());
        example
    }

    fn proof_verifies(&self) -> bool {
        let Ok(key) = self.record.verifying_key() else {
            return false;
        };
        verify(&key, &self.statement, &self.proof()).is_ok()
    }

    /// Bidder A's proof.
    pub fn proof(&self) -> ProofBytes {
        match self.bids[0].content.evidences.first() {
            Some(Evidence::Proof(evidence)) => evidence.proof,
            _ => unreachable!("bidder A shows a proof"),
        }
    }

    fn around(record: CapabilityType, proof: ProofBytes) -> Self {
        let genesis = genesis(&record);
        let chain = genesis.chain_id();
        let spec = spec(&record);
        let auction = auction_id(&chain, &key(OPENER).public(), 0);
        let credential = Credential {
            type_name: record.name.clone(),
            version: record.version,
            issuer: IssuerIndex::new(0).unwrap(),
            holder: key(BIDDER_A).public(),
            asset: asset_of("machine-a"),
            attributes: claim(8000, 1, 3),
            expiry: UnixTime(1_800_000_000),
            salt: FieldBytes([0; 32]),
        }
        .salted(&[5; 32]);
        let mut registry = Registry::default();
        registry.append(&credential.leaf()).unwrap();
        let path = registry.path(0).unwrap();
        let members = members(&chain, &auction);
        let bodies = [
            BidBody {
                salt: [0xaa; 32],
                entries: vec![(0, Price(600)), (1, Price(600))],
            },
            BidBody {
                salt: [0xbb; 32],
                entries: vec![(0, Price(700))],
            },
        ];
        let mut a = ProofEvidence {
            type_id: record.id(),
            registry_root: registry.root(),
            asset: credential.asset,
            issuers: IssuerMask(1),
            claim: claim(4000, 1, 1),
            proof,
        };
        let sealed = |n, asset, body: &BidBody, seed| {
            sealed(&members, associated(chain, auction, n, asset), body, seed)
        };
        let mut content_a = BidContent {
            auction,
            bidder: key(BIDDER_A).public(),
            sequence: 0,
            asset: a.asset,
            evidences: vec![],
            slots: vec![ClassSlots { class: 0, slots: 1 }],
            sealed: sealed(BIDDER_A, a.asset, &bodies[0], [0xa5; 32]),
        };
        let ciphertext = content_a.ciphertext_hash();
        let statement = a.statement(
            &chain,
            &auction,
            &content_a.bidder,
            0,
            &ciphertext,
            LEASE_END,
        );
        a.proof = proof;
        content_a.evidences.push(Evidence::Proof(a));

        let asset_b = asset_of("machine-b");
        let attestation = Attestation {
            issuer: IssuerIndex::new(0).unwrap(),
            holder: key(BIDDER_B).public(),
            asset: asset_b,
            type_id: record.id(),
            claim: claim(4000, 2, 1),
            not_before: UnixTime(1_690_000_000),
            not_after: UnixTime(1_800_000_000),
            serial: 7,
            signature: Signature([0; 64]),
        }
        .signed(&chain, &key(ISSUER));
        let content_b = BidContent {
            bidder: key(BIDDER_B).public(),
            asset: asset_b,
            evidences: vec![Evidence::Attestation(attestation.clone())],
            sealed: sealed(BIDDER_B, asset_b, &bodies[1], [0xb5; 32]),
            ..content_a.clone()
        };
        Example {
            bids: [
                content_a.sign(&chain, &key(BIDDER_A)),
                content_b.sign(&chain, &key(BIDDER_B)),
            ],
            record,
            genesis,
            chain,
            spec,
            auction,
            credential,
            registry,
            path,
            members,
            statement,
            attestation,
            bodies,
        }
    }

    /// Transactions of blocks 1, 2, 3 and 6.
    pub fn transactions(&self) -> [Vec<Transaction>; 4] {
        let signed = |n, action| {
            Transaction::Signed(Box::new(SignedTx::new(&self.chain, &key(n), 0, action)))
        };
        let issue = Action::Issue {
            commitment: self.credential.commitment(),
            asset: self.credential.asset,
        };
        let open = Action::OpenAuction(Box::new(self.spec.clone()));
        let keys = validators().into_iter().zip(&self.members);
        let keys = keys.map(|(signer, (_, sealing, proof, _))| {
            let tx = SealKeyTx::new(&self.chain, &signer, self.auction, *sealing, *proof);
            Transaction::SealKey(tx)
        });
        let reveals = (1u8..).zip(&self.members).take(THRESHOLD);
        let reveals = reveals.map(|(rank, (.., reveal))| {
            Transaction::SealReveal(SealRevealTx {
                auction: self.auction,
                rank,
                reveal: *reveal,
            })
        });
        let bids = self
            .bids
            .iter()
            .map(|bid| Transaction::Bid(Box::new(bid.clone())));
        [
            vec![signed(ISSUER, issue), signed(OPENER, open)],
            keys.collect(),
            bids.collect(),
            reveals.collect(),
        ]
    }
}

fn record(vk: Vec<u8>, r1cs_hash: Digest) -> CapabilityType {
    CapabilityType {
        name: "machine".into(),
        version: 1,
        schema: schema(),
        vk,
        r1cs_hash,
        setup: Setup::Dev,
    }
}

fn genesis(record: &CapabilityType) -> Genesis {
    let validators = validators().into_iter().zip(["ann", "bob", "cid", "dot"]);
    let validators = validators.map(|(key, name)| GenesisValidator {
        name: name.into(),
        key: key.public(),
        power: Power(1),
    });
    let genesis = Genesis {
        version: VERSION,
        name: "example".into(),
        time: TimeMs(1_700_000_000_000),
        consensus: Params::default(),
        allow_insecure_setup: true,
        validators: validators.collect(),
        issuers: vec![Issuer {
            name: "acme".into(),
            key: key(ISSUER).public(),
            quota: 100,
        }],
        openers: Openers::List(vec![key(OPENER).public()]),
        types: vec![record.clone()],
        open_budget: 1024,
    };
    genesis.check().unwrap();
    genesis
}

fn spec(record: &CapabilityType) -> AuctionSpec {
    let task = |name: &str, reserve| Task {
        name: name.into(),
        class: 0,
        reserve: Price(reserve),
        quantity: 1,
        spec: hash(Tag::TaskSpec, &[name.as_bytes()]),
    };
    let requirement = Requirement {
        type_id: record.id(),
        requirement: claim(4000, 3, 1),
        issuers: IssuerMask(1),
        kinds: AcceptedKinds {
            proof: true,
            attestation: true,
        },
        min_issuers: 1,
    };
    let spec = AuctionSpec {
        title: "night".into(),
        classes: vec![Class {
            name: "gpu".into(),
            requirements: vec![requirement],
            bonuses: Vec::new(),
        }],
        tasks: vec![task("train", 1000), task("serve", 500)],
        payment: PaymentRule::Vcg,
        windows: Windows {
            keys: 3,
            bidding: 3,
            reveal: 3,
            accept: 3,
        },
        lease_end: LEASE_END,
        max_entries: MAX_ENTRIES,
    };
    spec.check().unwrap();
    spec
}

/// Member, key, proof and reveal of each validator, in rank order. Seal seeds are 32 bytes of 0x41, 0x42, 0x43, 0x44.
fn members(
    chain: &ChainId,
    auction: &AuctionId,
) -> Vec<(PublicKey, CommitteeKey, KeyProof, Reveal)> {
    let seeds = (0x41u8..).map(|n| SealSeed::from_bytes(&mut [n; 32]));
    let members = validators().into_iter().zip(seeds);
    members
        .map(|(member, seed)| {
            let secret = CommitteeSecret::derive(&seed, chain, auction, &OPENING_BLOCK);
            let (sealing, proof) = secret.announce(chain, auction, &member.public());
            (member.public(), sealing, proof, secret.reveal())
        })
        .collect()
}

fn associated(chain: ChainId, auction: AuctionId, bidder: u8, asset: FieldBytes) -> Associated {
    Associated {
        chain,
        auction,
        bidder: key(bidder).public(),
        asset,
        sequence: 0,
    }
}

fn sealed(
    members: &[(PublicKey, CommitteeKey, KeyProof, Reveal)],
    associated: Associated,
    body: &BidBody,
    seed: [u8; 32],
) -> Sealed {
    let keys: Vec<_> = members.iter().map(|(_, sealing, ..)| *sealing).collect();
    let plain = body.encode(MAX_ENTRIES.into()).unwrap();
    seal(&keys, THRESHOLD, &associated, &plain, seed).unwrap()
}
