//! mcl, in C++ and assembly.

use crate::{Key, Proof};
use mcl_rust::{CurveType, Fr, G1, G2, GT, final_exp, init};

pub const NAME: &str = "mcl 3 (mcl_rust 1.2)";
pub const ABOUT: &str = "C++ and assembly, one proof at a time; from its own compressed bytes; checks curves, the subgroup of B and inputs";

unsafe extern "C" {
    fn mclBn_millerLoopVec(z: *mut GT, x: *const G1, y: *const G2, n: usize);
    fn mclBnG2_isValidOrder(x: *const G2) -> i32;
    fn mclBnFr_setBigEndianMod(x: *mut Fr, bytes: *const u8, n: usize) -> i32;
}

pub struct Prepared {
    alpha: G1,
    g2: [G2; 3],
    ic: Vec<G1>,
}

/// A proof in mcl's own bytes, and its inputs.
pub struct Encoded {
    a: Vec<u8>,
    b: Vec<u8>,
    c: Vec<u8>,
    inputs: Vec<[u8; 32]>,
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn g1(point: &[[u8; 32]; 2]) -> G1 {
    G1::from_str(&format!("1 {} {}", hex(&point[0]), hex(&point[1])), 16).expect("a point")
}

fn g2(point: &[[u8; 32]; 4]) -> G2 {
    let [x0, x1, y0, y1] = point.map(|it| hex(&it));
    G2::from_str(&format!("1 {x0} {x1} {y0} {y1}"), 16).expect("a point")
}

impl Prepared {
    pub fn new(key: &Key) -> Self {
        assert!(init(CurveType::SNARK));
        let mut alpha = G1::zero();
        G1::neg(&mut alpha, &g1(&key.alpha));
        Prepared {
            alpha,
            g2: key.g2.map(|point| g2(&point)),
            ic: key.ic.iter().map(g1).collect(),
        }
    }

    pub fn encode(&self, proof: &Proof) -> Encoded {
        Encoded {
            a: g1(&proof.a).serialize(),
            b: g2(&proof.b).serialize(),
            c: g1(&proof.c).serialize(),
            inputs: proof.inputs.clone(),
        }
    }

    pub fn verify(&self, proof: &Encoded) -> bool {
        let (mut a, mut b, mut c) = (G1::zero(), G2::zero(), G1::zero());
        if !(a.deserialize(&proof.a) && b.deserialize(&proof.b) && c.deserialize(&proof.c)) {
            return false;
        }
        if unsafe { mclBnG2_isValidOrder(&b) } != 1 {
            return false;
        }
        let mut inputs = Vec::with_capacity(proof.inputs.len());
        for bytes in &proof.inputs {
            let mut input = Fr::zero();
            let mut little = *bytes;
            little.reverse();
            if unsafe { mclBnFr_setBigEndianMod(&mut input, bytes.as_ptr(), 32) } != 0
                || input.serialize() != little
            {
                return false;
            }
            inputs.push(input);
        }
        let mut sum = G1::zero();
        G1::mul_vec(&mut sum, &self.ic[1..], &inputs);
        let mut l = G1::zero();
        G1::add(&mut l, &sum, &self.ic[0]);
        let (mut minus_l, mut minus_c) = (G1::zero(), G1::zero());
        G1::neg(&mut minus_l, &l);
        G1::neg(&mut minus_c, &c);
        let x = [a, self.alpha.clone(), minus_l, minus_c];
        let y = [b, self.g2[0].clone(), self.g2[1].clone(), self.g2[2].clone()];
        let (mut product, mut output) = (GT::zero(), GT::zero());
        unsafe { mclBn_millerLoopVec(&mut product, x.as_ptr(), y.as_ptr(), x.len()) };
        final_exp(&mut output, &product);
        output.is_one()
    }
}
