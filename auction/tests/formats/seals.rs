//! The committee's keys and a sealed bid, step by step: the formulas written out once more must give what the types give.

use crate::{
    book::Book,
    example::{self, Example, THRESHOLD},
};
use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use hkdf::Hkdf;
use sha2::Sha256;
use tender_auction::seal::Sealed;
use tender_wire::{Tag, hash};

/// Section 9.
pub fn add(book: &mut Book, example: &Example) {
    committee(book, example);
    sealing(book, example);
}

/// `S(tag, parts…)`.
fn scalar(tag: Tag, parts: &[&[u8]]) -> Scalar {
    let half = |n: u8| hash(tag, &[parts, &[&[n]]].concat()).0;
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&half(0));
    wide[32..].copy_from_slice(&half(1));
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn committee(book: &mut Book, example: &Example) {
    let (member, key, proof, reveal) = example.members[0];
    let (chain, auction) = (example.chain, example.auction);
    let mut wide = [0; 64];
    let info = [chain.0, auction.0, example::OPENING_BLOCK.0].concat();
    Hkdf::<Sha256>::new(Some(&Tag::SealKey.bytes()), &[0x41; 32])
        .expand(&info, &mut wide)
        .unwrap();
    let secret = Scalar::from_bytes_mod_order_wide(&wide);
    assert_eq!(secret.to_bytes(), reveal.0);
    book.bytes("seal_hkdf_1", wide);
    book.bytes("seal_reveal_1", reveal);
    for (rank, (_, key, ..)) in (1..).zip(&example.members) {
        book.bytes(&format!("seal_key_{rank}"), key);
    }
    let about: [&[u8]; 3] = [chain.as_ref(), auction.as_ref(), member.as_ref()];
    let nonce = scalar(
        Tag::SealPokNonce,
        &[&[reveal.as_ref()], &about[..]].concat(),
    );
    let commitment = RistrettoPoint::mul_base(&nonce).compress().0;
    let challenge = scalar(
        Tag::SealPok,
        &[&about[..], &[key.as_ref(), &commitment]].concat(),
    );
    book.bytes("seal_pok_nonce_1", nonce.to_bytes());
    book.bytes("seal_pok_challenge_1", challenge.to_bytes());
    book.bytes("seal_proof_1", proof);
    assert_eq!(proof.0[..32], commitment);
    assert_eq!(proof.0[32..], (nonce + challenge * secret).to_bytes());
}

/// The formulas, written out once more, must give what the type gives.
fn sealing(book: &mut Book, example: &Example) {
    let content = &example.bids[0].content;
    let sealed = &content.sealed;
    let seed = [0xa5; 32];
    let associated = book.value("seal_associated_a", &content.associated(&example.chain));
    let keys: Vec<u8> = example
        .members
        .iter()
        .flat_map(|(_, key, ..)| key.0)
        .collect();
    let threshold = (THRESHOLD as u32).to_le_bytes();
    let context = hash(Tag::SealContext, &[&associated, &threshold, &keys]);
    book.bytes("seal_context_a", context);
    let about: [&[u8]; 2] = [context.as_ref(), &seed];
    let coefficients: Vec<_> = (0..THRESHOLD as u32)
        .map(|k| scalar(Tag::SealPoly, &[&about[..], &[&k.to_le_bytes()]].concat()))
        .collect();
    for (k, coefficient) in coefficients.iter().enumerate() {
        book.bytes(&format!("seal_coefficient_{k}"), coefficient.to_bytes());
    }
    let ephemeral = scalar(Tag::SealEphemeral, &about);
    book.bytes("seal_ephemeral", ephemeral.to_bytes());
    assert_eq!(RistrettoPoint::mul_base(&ephemeral).compress().0, sealed.u);

    let secret = Scalar::from_canonical_bytes(example.members[0].3.0).unwrap();
    let point = CompressedRistretto(sealed.u).decompress().unwrap();
    let shared = (point * secret).compress().0;
    let mask = hash(
        Tag::SealMask,
        &[context.as_ref(), &1u32.to_le_bytes(), &sealed.u, &shared],
    );
    let share: Scalar = coefficients.iter().sum(); // f(1)
    book.bytes("seal_shared_1", shared);
    book.bytes("seal_mask_1", mask);
    book.bytes("seal_share_1", share.to_bytes());
    assert_eq!(sealed.shares[0], xor(&share.to_bytes(), &mask.0));
    let mask = hash(
        Tag::SealSeed,
        &[context.as_ref(), &coefficients[0].to_bytes()],
    );
    book.bytes("seal_seed_mask", mask);
    assert_eq!(sealed.seed, xor(&seed, &mask.0));
    book.bytes("seal_body_key", hash(Tag::SealBody, &about));
    book.bytes("seal_plaintext_a", &*example.bodies[0].encode(2).unwrap());
    let bytes = book.wire::<Sealed>("sealed_a", sealed);
    assert_eq!(hash(Tag::Ciphertext, &[&bytes]), content.ciphertext_hash());
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}
