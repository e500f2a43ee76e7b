//! Capability types, claims, credentials, the registry, statements, proofs, attestations.

use crate::{
    book::Book,
    example::{self, Example},
};
use tender_circuits::{
    Claim, EvidenceKind, FieldValue, MerklePath, Registry, Rule, asset_of, holder_of, placed,
    registry::DEPTH, verify,
};
use tender_wire::{Digest, FieldBytes, Tag, encode, h31, hash};

/// Sections 6 to 8.
pub fn add(book: &mut Book, example: &Example) {
    types(book, example);
    credentials(book, example);
    statements(book, example);
    attestations(book, example);
}

fn types(book: &mut Book, example: &Example) {
    let record = &example.record;
    let rules = [
        Rule::AtLeast { consumable: true },
        Rule::HasAll,
        Rule::Within,
        Rule::Equals,
    ];
    for (name, rule) in [
        "rule_at_least",
        "rule_has_all",
        "rule_within",
        "rule_equals",
    ]
    .iter()
    .zip(rules)
    {
        book.value(name, &rule);
    }
    book.wire("type_schema", &record.schema);
    book.bytes("type_vk", &record.vk);
    book.bytes("type_r1cs_hash", record.r1cs_hash);
    book.wire("type_record", record);
    book.bytes("type_id", record.id());
    assert_eq!(
        hash(Tag::CapabilityType, &[&encode(record)]),
        Digest(record.id().0)
    );
    let exact = FieldValue::Exact(FieldBytes::from_u64(0x1234));
    book.wire("claim_exact", &Claim(vec![exact]));
    book.wire("claim", &example::claim(4000, 1, 1));
}

fn credentials(book: &mut Book, example: &Example) {
    let credential = &example.credential;
    book.bytes("commitment_domain", h31(Tag::Commitment, &[]));
    book.bytes("leaf_domain", h31(Tag::Leaf, &[]));
    book.bytes("type_tag", example.record.type_tag());
    book.bytes(
        "holder_a",
        holder_of(&example::key(example::BIDDER_A).public()),
    );
    book.bytes("asset_a", asset_of("machine-a"));
    book.bytes("asset_b", asset_of("machine-b"));
    book.wire("credential", credential);
    book.bytes("credential_commitment", credential.commitment());
    book.bytes("credential_leaf", credential.leaf());
    assert_eq!(
        placed(
            credential.issuer,
            &credential.asset,
            &credential.commitment()
        ),
        Some(credential.leaf())
    );

    book.bytes("registry_empty_root", Registry::default().root());
    book.bytes("registry_root", example.registry.root());
    book.wire("registry_path", &example.path);
    assert_eq!(
        example.path.root(&credential.leaf()),
        Some(example.registry.root())
    );
    // A tree of two leaves, 1 and 2: its first sibling shows Poseidon(1, 2) by way of the third leaf's path.
    let mut registry = Registry::default();
    for n in 1..=3 {
        registry.append(&FieldBytes::from_u64(n)).unwrap();
    }
    let MerklePath { siblings, .. } = registry.path(2).unwrap();
    assert_eq!(siblings.len(), DEPTH);
    book.bytes("poseidon_0_0", empty_pair());
    book.bytes("poseidon_1_2", siblings[1]);
}

/// The empty subtree of two places, which is a sibling at level 1 of a lone leaf.
fn empty_pair() -> FieldBytes {
    let mut registry = Registry::default();
    registry.append(&FieldBytes::from_u64(1)).unwrap();
    registry.path(0).unwrap().siblings[1]
}

fn statements(book: &mut Book, example: &Example) {
    let content = &example.bids[0].content;
    book.bytes("ciphertext_hash_a", content.ciphertext_hash());
    book.bytes("ctx_a", example.statement.ctx);
    let parts: [&[u8]; 7] = [
        example.chain.as_ref(),
        &example.record.id().0,
        example.auction.as_ref(),
        content.bidder.as_ref(),
        content.asset.as_ref(),
        &content.sequence.to_le_bytes(),
        &content.ciphertext_hash().0,
    ];
    assert_eq!(example.statement.ctx, h31(Tag::Context, &parts));
    let inputs = example.statement.public_inputs();
    book.bytes(
        "public_inputs_a",
        inputs.iter().map(|i| i.0).collect::<Vec<_>>().concat(),
    );
    book.bytes("proof_a", example.proof());
    let key = example.record.verifying_key().unwrap();
    assert_eq!(verify(&key, &example.statement, &example.proof()), Ok(()));
    book.bytes(
        "verdict_key_a",
        example
            .statement
            .verdict_key(&example.record.id(), &example.proof()),
    );

    // The proof of one statement is none of another, and none of its other encodings is accepted.
    let mut proof = example.proof();
    proof.0[31] ^= 0x80;
    assert!(verify(&key, &example.statement, &proof).is_err());
    book.refused("refuse_proof_sign", proof.0.to_vec());
    let mut proof = example.proof();
    proof.0[31] |= 0x40;
    assert!(verify(&key, &example.statement, &proof).is_err());
    book.refused("refuse_proof_infinity", proof.0.to_vec());
}

fn attestations(book: &mut Book, example: &Example) {
    let attestation = &example.attestation;
    let bytes = book.wire("attestation", attestation);
    let message = &bytes[..bytes.len() - 64];
    book.bytes("attestation_message", message);
    let issuer = example::key(example::ISSUER).public();
    let signed = issuer.verify(
        Tag::SignAttestation,
        &example.chain,
        message,
        &attestation.signature,
    );
    assert_eq!(signed, Ok(()));
    book.value("evidence_kind_proof", &EvidenceKind::Proof);
    book.value("evidence_kind_attestation", &EvidenceKind::Attestation);
    for (name, bid) in ["evidence_a", "evidence_b"].iter().zip(&example.bids) {
        book.wire(name, &bid.content.evidences[0]);
    }
}
