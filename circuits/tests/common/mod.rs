//! One setup per test binary, and a registered machine to prove things about.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use tender_circuits::{
    Attestation, CapabilityType, Claim, Credential, IssuerIndex, IssuerMask, MerklePath,
    NamedValue, ProofBytes, ProofEvidence, ProvingKey, Registry, Statement, asset_of, context,
    holder_of, resources, setup,
};
use tender_wire::{
    AuctionId, ChainId, Digest, FieldBytes, PublicKey, SecretKey, Signature, TypeId, UnixTime,
};

pub const CHAIN: ChainId = ChainId([1; 32]);
pub const AUCTION: AuctionId = AuctionId([2; 32]);
pub const CIPHERTEXT: Digest = Digest([3; 32]);
pub const LEASE_END: UnixTime = UnixTime(1_900_000_000);

pub fn keys() -> &'static (ProvingKey, CapabilityType) {
    static KEYS: OnceLock<(ProvingKey, CapabilityType)> = OnceLock::new();
    KEYS.get_or_init(|| setup(Arc::new(resources::Resources), [7; 32]).unwrap())
}

pub fn agent(n: u8) -> PublicKey {
    SecretKey::from_seed(&mut [n; 32]).public()
}

pub fn named(json: &str) -> BTreeMap<String, NamedValue> {
    serde_json::from_str(json).unwrap()
}

pub fn claim(json: &str) -> Claim {
    resources::schema().claim_from_named(&named(json)).unwrap()
}

/// A machine attested by issuer 3 to agent 1, registered among others.
pub struct World {
    pub credential: Credential,
    pub registry: Registry,
    pub path: MerklePath,
}

pub fn credential() -> Credential {
    Credential {
        type_name: "resources".into(),
        version: 1,
        issuer: IssuerIndex::new(3).unwrap(),
        holder: agent(1),
        asset: asset_of("serial 0001"),
        attributes: resources::schema()
            .attributes_from_named(&named(
                r#"{"cpu_milli": 32000, "memory_mib": 131072, "gpu_milli": 8000, "disk_gib": 4000,
                    "bandwidth_mbps": 10000, "gpu_memory_mib": 81920, "gpu_model": "A100",
                    "region": "eu-west", "skills": ["cuda", "docker", "nvlink"]}"#,
            ))
            .unwrap(),
        expiry: UnixTime(LEASE_END.0 + 86_400),
        salt: FieldBytes([0; 32]),
    }
    .salted(&[9; 32])
}

impl World {
    pub fn of(credential: Credential) -> World {
        let mut registry = Registry::default();
        for i in 0..5 {
            registry.append(&FieldBytes::from_u64(1000 + i)).unwrap();
        }
        let index = registry.append(&credential.leaf()).unwrap();
        registry.append(&FieldBytes::from_u64(2000)).unwrap();
        World {
            path: registry.path(index).unwrap(),
            registry,
            credential,
        }
    }

    pub fn statement(&self, type_id: &TypeId, claim: Claim) -> Statement {
        Statement {
            registry_root: self.registry.root(),
            holder: holder_of(&self.credential.holder),
            ctx: ctx(type_id, &AUCTION, &self.credential.holder, 0, &CIPHERTEXT),
            asset: self.credential.asset,
            valid_until: LEASE_END,
            issuers: IssuerMask::default()
                .with(self.credential.issuer)
                .with(IssuerIndex::new(40).unwrap()),
            claim,
        }
    }
}

pub fn ctx(
    type_id: &TypeId,
    auction: &AuctionId,
    bidder: &PublicKey,
    sequence: u32,
    ciphertext: &Digest,
) -> FieldBytes {
    let asset = asset_of("serial 0001");
    context(
        &CHAIN, type_id, auction, bidder, &asset, sequence, ciphertext,
    )
}

/// What can be shown of a claim, in form: the signature and the proof are none.
pub fn evidences(claim: &Claim) -> (ProofEvidence, Attestation) {
    let (type_id, asset) = (TypeId([4; 32]), asset_of("serial 0001"));
    let proof = ProofEvidence {
        type_id,
        registry_root: FieldBytes::from_u64(11),
        asset,
        issuers: IssuerMask(u64::MAX),
        claim: claim.clone(),
        proof: ProofBytes([5; 128]),
    };
    let attestation = Attestation {
        issuer: IssuerIndex::new(63).unwrap(),
        holder: agent(1),
        asset,
        type_id,
        claim: claim.clone(),
        not_before: UnixTime(0),
        not_after: LEASE_END,
        serial: u64::MAX,
        signature: Signature([0; 64]),
    };
    (proof, attestation)
}
