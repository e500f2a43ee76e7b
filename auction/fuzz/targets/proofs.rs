//! Proofs, verifying keys and public inputs of any bytes: a verdict for each, and yes for none but the proof that was made, on its statement,
//! under its key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use tender_circuits::{ProofBytes, VerifyingKey, verify::verify_inputs};
use tender_fuzz::{registry::Vectors, seeds};
use tender_wire::FieldBytes;

struct Room {
    key: VerifyingKey,
    vk: Vec<u8>,
    inputs: Vec<FieldBytes>,
    proof: ProofBytes,
}

fn room() -> &'static Room {
    static ROOM: OnceLock<Room> = OnceLock::new();
    ROOM.get_or_init(|| {
        let example = Vectors::read().example();
        Room {
            key: example.record.verifying_key().expect("a sound key"),
            vk: example.record.vk.clone(),
            inputs: example.statement.public_inputs(),
            proof: example.proof(),
        }
    })
}

fuzz_target!(
    init: {
        let room = room();
        let inputs: Vec<u8> = room.inputs.iter().flat_map(|input| input.0).collect();
        let of = |pick: u8, bytes: &[u8]| [&[pick], bytes].concat();
        seeds([of(0, &room.proof.0), of(1, &inputs), of(2, &room.vk)]);
    },
    |data: &[u8]| {
        let room = room();
        let Some((pick, bytes)) = data.split_first() else { return };
        match pick % 3 {
            0 => {
                let Ok(proof) = bytes.try_into().map(ProofBytes) else { return };
                let verdict = verify_inputs(&room.key, &room.inputs, &proof);
                assert_eq!(verdict.is_ok(), proof == room.proof);
            }
            1 => {
                let (chunks, _) = bytes.as_chunks::<32>();
                let inputs: Vec<_> = chunks.iter().map(|chunk| FieldBytes(*chunk)).collect();
                let verdict = verify_inputs(&room.key, &inputs, &room.proof);
                assert_eq!(verdict.is_ok(), inputs == room.inputs);
            }
            _ => {
                if let Ok(key) = VerifyingKey::parse(bytes, room.inputs.len()) {
                    let verdict = verify_inputs(&key, &room.inputs, &room.proof);
                    assert_eq!(verdict.is_ok(), bytes == room.vk);
                }
            }
        }
    }
);
