//! What travels: evidence, attestations, credentials. THREATS T6, T30, T31; and golden vectors of every hashed layout.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use ark_bn254::Fr;
use ark_ff::PrimeField;
use common::{AUCTION, CHAIN, CIPHERTEXT, LEASE_END, agent, claim, credential};
use light_poseidon::{Poseidon, PoseidonHasher};
use tender_circuits::{
    Attestation, Credential, Evidence, EvidenceKind, IssuerIndex, IssuerMask, ProofBytes,
    ProofEvidence, asset_of, attestation::AttestationError, context, holder_of, placed, resources,
    statement::type_tag,
};
use tender_wire::{
    ChainId, FieldBytes, SecretKey, Signature, SignatureError, TypeId, UnixTime, Wire, decode,
    encode,
};

const TYPE: TypeId = TypeId([4; 32]);

fn issuer_key() -> SecretKey {
    SecretKey::from_seed(&mut [77; 32])
}

fn attestation() -> Attestation {
    Attestation {
        issuer: IssuerIndex::new(2).unwrap(),
        holder: agent(1),
        asset: asset_of("serial 0001"),
        type_id: TYPE,
        claim: claim(r#"{"cpu_milli": 500}"#),
        not_before: UnixTime(100),
        not_after: LEASE_END,
        serial: 9,
        signature: Signature([0; 64]),
    }
    .signed(&CHAIN, &issuer_key())
}

fn proof_evidence() -> ProofEvidence {
    ProofEvidence {
        type_id: TYPE,
        registry_root: FieldBytes::from_u64(11),
        asset: asset_of("serial 0001"),
        issuers: IssuerMask(0b1000),
        claim: claim(r#"{"cpu_milli": 500, "skills": ["cuda"]}"#),
        proof: ProofBytes([5; 128]),
    }
}

fn verify(a: &Attestation) -> Result<(), AttestationError> {
    let key = issuer_key().public();
    let window = (UnixTime(100), LEASE_END);
    a.verify(&CHAIN, &key, &resources::schema(), &agent(1), window)
}

#[test]
fn a_signed_attestation_verifies() {
    assert_eq!(verify(&attestation()), Ok(()));
}

/// T31, and T30 for the chain: nothing in an attestation can be changed.
#[test]
fn every_field_of_an_attestation_is_signed() {
    let bad = |change: &dyn Fn(&mut Attestation)| {
        let mut a = attestation();
        change(&mut a);
        verify(&a)
    };
    let forged = Err(AttestationError::Signature {
        issuer: IssuerIndex::new(2).unwrap(),
        source: SignatureError::BadSignature,
    });
    assert_eq!(bad(&|a| a.asset = asset_of("serial 0002")), forged);
    assert_eq!(bad(&|a| a.type_id = TypeId([9; 32])), forged);
    assert_eq!(bad(&|a| a.claim = claim(r#"{"cpu_milli": 501}"#)), forged);
    assert_eq!(bad(&|a| a.not_before = UnixTime(99)), forged);
    assert_eq!(bad(&|a| a.not_after = UnixTime(LEASE_END.0 + 1)), forged);
    assert_eq!(bad(&|a| a.serial = 10), forged);
    assert_eq!(bad(&|a| a.signature.0[0] ^= 1), forged);
    assert!(matches!(
        bad(&|a| a.issuer = IssuerIndex::new(3).unwrap()),
        Err(AttestationError::Signature { .. })
    ));
    assert!(matches!(
        bad(&|a| a.holder = agent(2)),
        Err(AttestationError::WrongHolder { .. })
    ));
    assert!(matches!(
        bad(&|a| a.not_after = UnixTime(LEASE_END.0 - 1)),
        Err(AttestationError::Window { .. })
    ));
    assert!(matches!(
        bad(&|a| a.not_before = UnixTime(101)),
        Err(AttestationError::Window { .. })
    ));
    assert!(matches!(
        bad(&|a| {
            a.claim.0.pop();
        }),
        Err(AttestationError::Claim(_))
    ));
    assert_eq!(
        bad(&|a| a.asset = FieldBytes([0xff; 32])),
        Err(AttestationError::Asset)
    );
    let other_chain = attestation().signed(&ChainId([8; 32]), &issuer_key());
    assert_eq!(verify(&other_chain), forged);
}

#[test]
fn evidence_travels_in_both_forms() {
    let both = [
        (
            Evidence::Proof(proof_evidence()),
            EvidenceKind::Proof,
            IssuerMask(8),
        ),
        (
            Evidence::Attestation(attestation()),
            EvidenceKind::Attestation,
            IssuerMask(4),
        ),
    ];
    for (evidence, kind, issuers) in both {
        let bytes = encode(&evidence);
        assert!(bytes.len() <= Evidence::MAX_BYTES);
        assert_eq!(decode::<Evidence>(&bytes).unwrap(), evidence);
        assert!(decode::<Evidence>(&[&bytes[..], &[0]].concat()).is_err());
        let json = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), evidence);
        assert_eq!((evidence.kind(), evidence.issuers()), (kind, issuers));
        assert_eq!(
            (evidence.type_id(), evidence.asset()),
            (&TYPE, &asset_of("serial 0001"))
        );
    }
}

#[test]
fn credentials_travel_and_do_not_tell_their_secrets_to_logs() {
    let credential = credential();
    assert_eq!(
        decode::<Credential>(&encode(&credential)).unwrap(),
        credential
    );
    let json = serde_json::to_string(&credential).unwrap();
    assert_eq!(
        serde_json::from_str::<Credential>(&json).unwrap(),
        credential
    );
    let shown = format!("{credential:?}");
    assert!(!shown.contains(&credential.salt.to_string()) && !shown.contains("32000"));
    assert!(shown.contains("resources"));
}

#[test]
fn salts_differ_with_the_content_and_the_seed() {
    let a = credential().salted(&[1; 32]);
    let mut b = credential();
    b.expiry = UnixTime(b.expiry.0 + 1);
    assert_ne!(a.salt, b.salted(&[1; 32]).salt);
    assert_ne!(a.salt, credential().salted(&[2; 32]).salt);
    assert_eq!(a.salt, credential().salted(&[1; 32]).salt);
}

/// Computed apart, with Python's hashlib from the layouts in the documentation.
#[test]
fn golden_hashes() {
    let hex = |bytes: FieldBytes| bytes.to_string();
    let bidder = agent(1);
    let asset = asset_of("serial 0001");
    assert_eq!(
        hex(asset),
        "0054c349df3e076b4580ccbf32fe417bb25f02fe11015e138559a8bb7a747fde"
    );
    assert_eq!(
        hex(type_tag("resources", 1)),
        "00c6f68cdb63e9a5da8d91bdb150ad5e5802d8905c074ab327ed5341e7cd3c11"
    );
    assert_eq!(
        hex(holder_of(&bidder)),
        "000203945b232854fe4573290bc728037324f49ea608ab333eb5954e83460dae"
    );
    let ctx = context(&CHAIN, &TYPE, &AUCTION, &bidder, &asset, 7, &CIPHERTEXT);
    assert_eq!(
        hex(ctx),
        "0063c99c28a6f7cf190602ba17d460af00d7ebec055e9fecda52d48834db3838"
    );
}

/// The leaf, put together here from its definition and the reference Poseidon.
#[test]
fn golden_leaf() {
    let fr = |bytes: FieldBytes| Fr::from_be_bytes_mod_order(&bytes.0);
    let poseidon = |items: &[Fr]| {
        Poseidon::<Fr>::new_circom(items.len())
            .unwrap()
            .hash(items)
            .unwrap()
    };
    let credential = credential();
    let two = |n: u32| (0..n).fold(Fr::from(1u64), |x, _| x + x);
    let amounts = [32_000u64, 131_072, 8_000, 4_000, 10_000, 81_920];
    let amounts: Fr = amounts
        .iter()
        .zip(0..)
        .map(|(a, i)| Fr::from(*a) * two(32 * i))
        .sum();
    let (a100, eu_west, skills) = (1u64 << 9, 1u64 << 5, 1u64 | 1 << 2 | 1 << 16);
    let masks = Fr::from(a100) + Fr::from(eu_west) * two(64) + Fr::from(skills) * two(128);
    let domain = |hex: &str| fr(hex.parse().unwrap());
    let commitment = poseidon(&[
        domain("002f72395284cb4009b6d263c4f430065ca576209f01772f928f0b9a92a7fcda"),
        fr(type_tag("resources", 1)),
        fr(holder_of(&agent(1))),
        poseidon(&[amounts, masks]),
        Fr::from(1_900_086_400u64),
        fr(credential.salt),
    ]);
    assert_eq!(fr(credential.commitment()), commitment);
    let asset = asset_of("serial 0001");
    let leaf = poseidon(&[
        domain("005c10d1256108845be172e285d55372c374a177803d273e0d617b387f794ef9"),
        Fr::from(3u64),
        fr(asset),
        commitment,
    ]);
    assert_eq!(fr(credential.leaf()), leaf);
    let posted = credential.commitment();
    let by = |issuer| placed(IssuerIndex::new(issuer).unwrap(), &asset, &posted);
    assert_eq!(by(3), Some(credential.leaf()));
    assert_ne!(by(2), by(3), "another issuer's posting is another leaf");
    assert_eq!(
        credential.leaf().to_string(),
        "06228d98b19659fb7c5190e1e8f9e0d24db1c23b8c5a7da57bccabd9adf43fb1"
    );
}

#[test]
fn only_field_elements_are_placed() {
    let (issuer, one) = (IssuerIndex::new(0).unwrap(), FieldBytes::from_u64(1));
    let outside = FieldBytes([0xff; 32]);
    assert_eq!(placed(issuer, &outside, &one), None);
    assert_eq!(placed(issuer, &one, &outside), None);
    assert_ne!(
        placed(issuer, &asset_of("serial 0002"), &one),
        placed(issuer, &asset_of("serial 0001"), &one)
    );
}

#[test]
fn golden_public_inputs() {
    let evidence = proof_evidence();
    let statement = evidence.statement(&CHAIN, &AUCTION, &agent(1), 7, &CIPHERTEXT, LEASE_END);
    let small = |n: u64| format!("{n:064x}");
    let any_model = (1 << 25) - 1;
    let expected = [
        small(11),
        "000203945b232854fe4573290bc728037324f49ea608ab333eb5954e83460dae".into(),
        "0063c99c28a6f7cf190602ba17d460af00d7ebec055e9fecda52d48834db3838".into(),
        "0054c349df3e076b4580ccbf32fe417bb25f02fe11015e138559a8bb7a747fde".into(),
        small(1_900_000_000),
        small(8),
        small(500),
        small(0),
        small(0),
        small(0),
        small(0),
        small(0),
        small(any_model),
        small(0xffff),
        small(1),
    ];
    let inputs: Vec<_> = statement
        .public_inputs()
        .iter()
        .map(FieldBytes::to_string)
        .collect();
    assert_eq!(inputs, expected);
    let key = statement.verdict_key(&TYPE, &evidence.proof);
    assert_ne!(key, statement.verdict_key(&TYPE, &ProofBytes([6; 128])));
    assert_ne!(
        key,
        statement.verdict_key(&TypeId([5; 32]), &evidence.proof)
    );
}
