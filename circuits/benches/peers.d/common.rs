//! What the peers in Rust have in common: the task is read, proofs are timed one by one, the answer is printed.

mod peer;

use serde_json::{Value, json};
use std::time::Instant;

/// How often every proof is timed.
const ROUNDS: usize = 9;

/// A proof: its bytes and those of its inputs, and the coordinates of its points, 32 bytes each, the highest first.
pub struct Proof {
    #[allow(dead_code)]
    pub bytes: Vec<u8>,
    pub inputs: Vec<[u8; 32]>,
    #[allow(dead_code)]
    pub a: [[u8; 32]; 2],
    /// x.c0, x.c1, y.c0, y.c1.
    #[allow(dead_code)]
    pub b: [[u8; 32]; 4],
    #[allow(dead_code)]
    pub c: [[u8; 32]; 2],
}

/// A verifying key: its bytes, or the coordinates of its points.
pub struct Key {
    #[allow(dead_code)]
    pub bytes: Vec<u8>,
    #[allow(dead_code)]
    pub alpha: [[u8; 32]; 2],
    /// beta, gamma, delta.
    #[allow(dead_code)]
    pub g2: [[[u8; 32]; 4]; 3],
    #[allow(dead_code)]
    pub ic: Vec<[[u8; 32]; 2]>,
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

/// A decimal number as 32 bytes.
fn number(value: &Value) -> [u8; 32] {
    let mut out = [0u8; 32];
    for digit in value.as_str().expect("a number").bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in out.iter_mut().rev() {
            let next = u32::from(*byte) * 10 + carry;
            *byte = next as u8;
            carry = next >> 8;
        }
        assert_eq!(carry, 0);
    }
    out
}

fn g1(value: &Value) -> [[u8; 32]; 2] {
    [number(&value[0]), number(&value[1])]
}

fn g2(value: &Value) -> [[u8; 32]; 4] {
    [
        number(&value[0][0]),
        number(&value[0][1]),
        number(&value[1][0]),
        number(&value[1][1]),
    ]
}

fn main() {
    let file = std::env::args().nth(1).expect("the file of proofs");
    let task: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let key = &task["key"];
    let ic = key["IC"].as_array().unwrap().iter().map(g1).collect();
    let key = peer::Prepared::new(&Key {
        bytes: bytes(&task["key_bytes"]),
        alpha: g1(&key["vk_alpha_1"]),
        g2: ["vk_beta_2", "vk_gamma_2", "vk_delta_2"].map(|name| g2(&key[name])),
        ic,
    });
    let proofs: Vec<Proof> = (task["proofs"].as_array().unwrap().iter())
        .map(|it| Proof {
            bytes: bytes(&it["proof_bytes"]),
            inputs: (it["input_bytes"].as_array().unwrap().iter())
                .map(|it| bytes(it).try_into().unwrap())
                .collect(),
            a: g1(&it["proof"]["pi_a"]),
            b: g2(&it["proof"]["pi_b"]),
            c: g1(&it["proof"]["pi_c"]),
        })
        .collect();
    let encoded: Vec<_> = proofs.iter().map(|proof| key.encode(proof)).collect();
    let verdicts: Vec<bool> = encoded.iter().map(|it| key.verify(it)).collect();
    let mut us = Vec::new();
    for _ in 0..ROUNDS {
        for (proof, expected) in encoded.iter().zip(&verdicts) {
            let began = Instant::now();
            let verdict = key.verify(proof);
            let took = began.elapsed().as_secs_f64() * 1e6;
            assert_eq!(verdict, *expected);
            if verdict {
                us.push(took);
            }
        }
    }
    println!(
        "{}",
        json!({ "peer": peer::NAME, "about": peer::ABOUT, "verdicts": verdicts, "us": us })
    );
}
