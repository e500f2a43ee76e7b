//! Small batches of proofs that were edited, and claims and evidence of any bytes: every engine says what the single verifier says of each, a value has one
//! form, and what a schema admits has canonical inputs and a description that reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use tender_circuits::{
    Claim, ClaimSchema, Evidence, ProofBytes, Statement, VerifyingKey, attacks,
    field::is_canonical,
    verify::{Engine, Item, verify_inputs},
};
use tender_fuzz::{
    example::{Example, LEASE_END, schema},
    registry::Vectors,
    seeds,
};
use tender_wire::{FieldBytes, Wire, decode, encode, hex};

/// Proofs of a batch at most.
const BATCH: usize = 9;
/// Batches that the arkworks engine takes too: bad proofs are dear to it.
const ARKWORKS: usize = 4;
/// Ways to edit a proof.
const WAYS: u8 = 18;
/// Proofs of the example's statement.
const STOCK: u8 = 6;

/// Points of the twist outside G2, compressed: of the orders 10069, 5864401, their product, the cofactor's other prime factors, the cofactor, and of no
/// order in particular.
const OUTSIDE: [&str; 7] = [
    "a9f7497f7cb80804756060c2f336c4647b7b2d25a968a4f9e70492bf803df006de5137074a202f876b433d8586e337310cecc2f2ef1eb3e9b75889e66bbb1624",
    "cc45d3fd0b3f38062cda25a18d1501ac9edc91079143c94e0eac837c82f9b815fca711c05af2085102f0e213787cd76ca3696c5b03e08ac28890a0b6d0bd9898",
    "d8db2c185fe2fa1694e11e6e9bd257a64e41a4f8a99079a128ce9a3a6db0f10cf3855182440553b8411e02392c1c80db5a64d87931bc5dfeda0051260a7e128b",
    "b6f58987cd21f2e539dc825e29032b320fefe7828bdb5bbae647e7fcef686f060dec69786e4bd1981031f2497cbb1ffa1d363500bf035aa693ed983910c24997",
    "9643c5cd2c6ee066c050849793195e980951005df28f53c4d016c63ea5d24526995966619620d442dd1e01740f89208b8a0142a9da583b3612f1ff1a52bf5f01",
    "e8933dda9d742ef9e337e2ba6479cdfc0ce1cbaae1040a5e1978653050c29e0ed7162f1c9f26714cfa5b48c60ebf1ac467f2f5b46b96736ed4f6ffc1762ca9a6",
    "09d961a15ec380e562febac91e44f069c2244c1b17d8372b40023f6f7631df17f6fcf77c62c157b057d7c0ba5fef5451ac86a27a413127464675804ae5cd151e",
];
/// The base field's modulus and the scalar field's, as hexadecimal numbers.
const P: &str = "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";
const R: &str = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
/// Where A, the halves of B, and C are.
const PARTS: [std::ops::Range<usize>; 4] = [0..32, 32..64, 64..96, 96..128];

struct Room {
    example: Example,
    /// The example's key, the same with gamma and delta exchanged, and the first again.
    keys: [VerifyingKey; 3],
    inputs: Vec<FieldBytes>,
    /// All of them hold.
    proofs: Vec<ProofBytes>,
    outside: Vec<Vec<u8>>,
    engines: Vec<Engine>,
}

fn room() -> &'static Room {
    static ROOM: OnceLock<Room> = OnceLock::new();
    ROOM.get_or_init(|| {
        let example = Vectors::read().example();
        let inputs = example.statement.public_inputs();
        let vk = &example.record.vk;
        // alpha, beta, gamma, delta, inputs.
        let exchanged = [&vk[..96], &vk[160..224], &vk[96..160], &vk[224..]].concat();
        let keys = [vk, &exchanged, vk]
            .map(|bytes| VerifyingKey::parse(bytes, inputs.len()).expect("a sound key"));
        let other = |n| {
            attacks::rerandomise(&example.record, &example.proof(), [n; 32]).expect("it decodes")
        };
        Room {
            proofs: [example.proof()]
                .into_iter()
                .chain((1..STOCK).map(other))
                .collect(),
            keys,
            inputs,
            outside: OUTSIDE
                .iter()
                .map(|point| hex::decode(point).expect("hexadecimal"))
                .collect(),
            engines: Engine::ALL
                .into_iter()
                .filter(|engine| engine.is_available())
                .collect(),
            example,
        }
    })
}

/// One proof of a batch.
#[derive(Clone)]
struct Case {
    key: usize,
    inputs: Vec<FieldBytes>,
    proof: ProofBytes,
}

/// Adds a number to another, both big-endian; what does not fit is lost.
fn add(number: &mut [u8], other: &[u8]) {
    let mut carry = 0;
    for (digit, more) in number.iter_mut().zip(other).rev() {
        let sum = u16::from(*digit) + u16::from(*more) + carry;
        (*digit, carry) = (sum as u8, sum >> 8);
    }
}

/// Four bytes are an edit: of which proof, in which way, where, and with what.
fn edit(room: &Room, cases: &mut Vec<Case>, [which, how, at, value]: [u8; 4]) {
    let which = usize::from(which) % cases.len();
    let other = cases[usize::from(value) % cases.len()].clone();
    let of_stock = &room.proofs[usize::from(value) % room.proofs.len()];
    let Case { key, inputs, proof } = &mut cases[which];
    let bytes = &mut proof.0;
    let part = PARTS[usize::from(at) % 4].clone();
    let input = usize::from(at) % inputs.len().max(1);
    match how % WAYS {
        0 => bytes[usize::from(at) % 128] ^= value,
        1 => bytes[usize::from(at) % 128] = value,
        2 => bytes[part.clone()].copy_from_slice(&of_stock.0[part]),
        3 => bytes[part.end - 1] ^= value & 0xc0,
        4 => {
            bytes[part.clone()].fill(0);
            bytes[part.end - 1] = 0x40 | value;
        }
        5 => bytes[32..96].copy_from_slice(&room.outside[usize::from(value) % OUTSIDE.len()]),
        6 => *proof = *of_stock,
        7 => {
            let (left, right) = bytes.split_at_mut(96);
            left[..32].swap_with_slice(right);
        }
        8 => {
            let part = &mut bytes[part];
            part.reverse();
            add(part, &hex::decode(P).expect("hexadecimal"));
            part.reverse();
        }
        9 => {
            // −A and −B, which is as good.
            bytes[31] ^= 0x80;
            bytes[95] ^= 0x80;
        }
        10 => bytes[32..96].rotate_left(32),
        11 => {
            if let Some(input) = inputs.get_mut(input) {
                input.0[usize::from(value) / 8] ^= 1 << (value % 8);
            }
        }
        12 => {
            if let Some(input) = inputs.get_mut(input) {
                *input = FieldBytes::from_u64(value.into());
            }
        }
        13 => {
            if let Some(input) = inputs.get_mut(input) {
                add(&mut input.0, &hex::decode(R).expect("hexadecimal"));
            }
        }
        14 => inputs.insert(input, FieldBytes::from_u64(value.into())),
        15 => {
            inputs.pop();
        }
        16 => *key = usize::from(value) % room.keys.len(),
        _ => cases[which] = other,
    }
}

/// The first byte is the size of the batch, and edits follow.
fn edited(room: &Room, data: &[u8]) -> Vec<Case> {
    let Some((size, edits)) = data.split_first() else {
        return Vec::new();
    };
    let case = |n: usize| Case {
        key: 0,
        inputs: room.inputs.clone(),
        proof: room.proofs[n % room.proofs.len()],
    };
    let mut cases: Vec<Case> = (0..=usize::from(*size) % BATCH).map(case).collect();
    let (edits, _) = edits.as_chunks::<4>();
    edits
        .iter()
        .for_each(|bytes| edit(room, &mut cases, *bytes));
    cases
}

/// All engines, on these.
fn judge(room: &Room, cases: &[Case], secret: &[u8; 32]) {
    let items: Vec<Item<'_>> = cases
        .iter()
        .map(|case| Item {
            key: &room.keys[case.key],
            inputs: &case.inputs,
            proof: &case.proof,
        })
        .collect();
    let alone = |item: &Item<'_>| verify_inputs(item.key, item.inputs, item.proof);
    let expected: Vec<_> = items.iter().map(alone).collect();
    for engine in &room.engines {
        if *engine != Engine::Arkworks || cases.len() <= ARKWORKS {
            assert!(
                engine.verify(&items, secret) == expected,
                "{}: {expected:?}",
                engine.name()
            );
        }
    }
}

/// Decodes a value, which then has no other form.
fn read<T: Wire>(data: &[u8]) -> Option<T> {
    let value = decode::<T>(data).ok()?;
    assert_eq!(encode(&value), data);
    Some(value)
}

/// A claim, under a schema.
fn claimed(schema: &ClaimSchema, claim: &Claim) {
    let inputs: Vec<FieldBytes> = claim.public_inputs().collect();
    let described = schema.describe(claim);
    if schema.check().is_ok() && schema.check_value(claim).is_ok() {
        assert_eq!(inputs.len(), schema.fields.len());
        assert!(inputs.iter().all(is_canonical));
        assert_eq!(schema.covers(claim, claim), Ok(()));
        assert_eq!(described.len(), inputs.len());
        let _ = schema.line(claim);
    }
}

/// Evidence of a bid of the example: judged as the bid's statement says.
fn shown(room: &Room, evidence: &Evidence, data: &[u8]) {
    claimed(&schema(), evidence.claim());
    let Evidence::Proof(shown) = evidence else {
        return;
    };
    let (example, content) = (&room.example, &room.example.bids[0].content);
    let statement = shown.statement(
        &example.chain,
        &example.auction,
        &content.bidder,
        content.sequence,
        &content.ciphertext_hash(),
        LEASE_END,
    );
    let inputs = statement.public_inputs();
    let case = Case {
        key: 0,
        inputs,
        proof: shown.proof,
    };
    let same = statement == example.statement;
    let among_others = [case.clone(), edited(room, &[0]).remove(0), case.clone()];
    judge(room, &[case.clone()], &[data.len() as u8; 32]);
    judge(room, &among_others, &[data.len() as u8; 32]);
    let holds = verify_inputs(&room.keys[0], &case.inputs, &case.proof).is_ok();
    assert!(!holds || same, "a proof of another statement");
}

fuzz_target!(
    init: {
        let room = room();
        let evidence = &room.example.bids[0].content.evidences[0];
        let of = |pick: u8, bytes: &[u8]| [&[pick], bytes].concat();
        let edits = (0..WAYS).map(|how| of(0, &[2, 3, how, 1, 0x41, 5, how, 2, 9]));
        seeds(edits.chain([
            of(1, &[&[3], &room.proofs[1].0[..]].concat()),
            of(2, &encode(evidence)),
            of(3, &encode(evidence.claim())),
            of(4, &encode(&schema())),
        ]));
    },
    |data: &[u8]| {
        let room = room();
        let Some((pick, rest)) = data.split_first() else { return };
        match pick % 5 {
            0 => judge(room, &edited(room, rest), &[rest.len() as u8; 32]),
            // Proof bytes as they come, among honest ones.
            1 => {
                let Some((place, rest)) = rest.split_first() else { return };
                let mut cases = edited(room, &[7]);
                let place = usize::from(*place) % cases.len();
                for (case, bytes) in cases.iter_mut().skip(place).zip(rest.chunks_exact(ProofBytes::LEN)) {
                    case.proof.0.copy_from_slice(bytes);
                }
                judge(room, &cases, &[*pick; 32]);
            }
            2 => {
                if let Some(evidence) = read::<Evidence>(rest) {
                    shown(room, &evidence, rest);
                }
            }
            3 => {
                if let Some(claim) = read::<Claim>(rest) {
                    claimed(&schema(), &claim);
                    let statement = Statement { claim, ..room.example.statement.clone() };
                    let inputs = statement.public_inputs();
                    let case = Case { key: 0, inputs, proof: room.proofs[0] };
                    judge(room, &[case], &[0; 32]);
                }
            }
            _ => {
                if let Some(schema) = read::<ClaimSchema>(rest) {
                    let _ = schema.check();
                    claimed(&schema, &room.example.statement.claim);
                }
            }
        }
    }
);
