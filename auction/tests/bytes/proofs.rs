//! Damaged proofs, verifying keys and public inputs at the verifier; damaged sealed parts at the opener; damaged bodies inside.

use crate::{
    example::{MAX_ENTRIES, THRESHOLD},
    registry::{Vectors, every},
};
use std::collections::BTreeMap;
use tender_auction::seal::{BidBody, OpenError, Opener, Sealed};
use tender_circuits::{ProofBytes, VerifyingKey, verify, verify::verify_inputs};
use tender_wire::{FieldBytes, decode, encode, testing};

/// T6: a proof has one form, and holds for one statement under one key. Bit by bit.
#[test]
fn no_bit_of_a_proof_its_statement_or_its_key_can_be_changed() {
    let example = Vectors::read().example();
    let key = example.record.verifying_key().unwrap();
    let (inputs, proof) = (example.statement.public_inputs(), example.proof());
    assert_eq!(verify(&key, &example.statement, &proof), Ok(()));
    let mut turn = 0;
    testing::each_flip(&proof.0, |damage, bytes| {
        turn += 1;
        if turn % every(3) == 0 {
            let damaged = ProofBytes(bytes.try_into().unwrap());
            assert!(verify_inputs(&key, &inputs, &damaged).is_err(), "{damage}");
        }
    });
    let flat: Vec<u8> = inputs.iter().flat_map(|input| input.0).collect();
    testing::each_flip(&flat, |damage, bytes| {
        turn += 1;
        if turn % every(13) == 0 {
            let (damaged, _) = bytes.as_chunks::<32>();
            let damaged: Vec<_> = damaged.iter().map(|input| FieldBytes(*input)).collect();
            assert!(verify_inputs(&key, &damaged, &proof).is_err(), "{damage}");
        }
    });
    let vk = &example.record.vk;
    testing::each(vk, |damage, bytes| {
        turn += 1;
        if turn % every(29) == 0 {
            let damaged = VerifyingKey::parse(bytes, inputs.len());
            let holds = damaged.is_ok_and(|key| verify_inputs(&key, &inputs, &proof).is_ok());
            assert!(!holds, "{damage}");
        }
    });
}

/// T16, T17, B18: no bit of a sealed part can be changed, nor what it is bound to, and it still opens.
#[test]
fn no_bit_of_a_sealed_part_can_be_changed() {
    let example = Vectors::read().example();
    let content = &example.bids[0].content;
    let keys: Vec<_> = example.members.iter().map(|(_, key, ..)| *key).collect();
    let reveals: BTreeMap<_, _> = (1u8..)
        .zip(&example.members)
        .map(|(rank, (.., reveal))| (rank, *reveal))
        .collect();
    let opener = Opener::new(&keys, THRESHOLD, &reveals).unwrap();
    let associated = content.associated(&example.chain);
    let plain = opener.open(&associated, &content.sealed).unwrap();
    testing::each(&encode(&content.sealed), |damage, bytes| {
        if let Ok(damaged) = decode::<Sealed>(bytes) {
            let opened = opener.open(&associated, &damaged).map(|_| ());
            assert_eq!(opened, Err(OpenError::Invalid), "{damage}");
        }
    });
    // What a bidder seals is its own to damage: read back, it is written in the same bytes.
    let max = usize::from(MAX_ENTRIES);
    let mut read = 0;
    testing::each(&plain, |damage, bytes| {
        if let Ok(body) = BidBody::decode(bytes, max) {
            assert_eq!(*body.encode(max).unwrap(), bytes, "{damage}");
            read += 1;
        }
    });
    assert!(read > 256, "{read}: a salt is any 32 bytes");
}
