//! substrate-bn, which many chains verify with.

use crate::{Key, Proof};
use substrate_bn::{AffineG1, AffineG2, Fq, Fq2, Fr, G1, G2, Gt, Group, pairing_batch};

pub const NAME: &str = "substrate-bn 0.6";
pub const ABOUT: &str = "Rust, one proof at a time; from coordinates; checks curves, the subgroup of B and inputs";

pub struct Prepared {
    alpha: G1,
    g2: [G2; 3],
    ic: Vec<G1>,
}

fn g1(point: &[[u8; 32]; 2]) -> Option<G1> {
    let [x, y] = [Fq::from_slice(&point[0]).ok()?, Fq::from_slice(&point[1]).ok()?];
    Some(AffineG1::new(x, y).ok()?.into())
}

fn g2(point: &[[u8; 32]; 4]) -> Option<G2> {
    let at = |i: usize| Fq::from_slice(&point[i]).ok();
    let (x, y) = (Fq2::new(at(0)?, at(1)?), Fq2::new(at(2)?, at(3)?));
    Some(AffineG2::new(x, y).ok()?.into())
}

impl Prepared {
    pub fn new(key: &Key) -> Self {
        Prepared {
            alpha: -g1(&key.alpha).unwrap(),
            g2: key.g2.map(|point| g2(&point).unwrap()),
            ic: key.ic.iter().map(|point| g1(point).unwrap()).collect(),
        }
    }

    pub fn encode<'a>(&self, proof: &'a Proof) -> &'a Proof {
        proof
    }

    pub fn verify(&self, proof: &Proof) -> bool {
        self.holds(proof).unwrap_or(false)
    }

    fn holds(&self, proof: &Proof) -> Option<bool> {
        let (a, b, c) = (g1(&proof.a)?, g2(&proof.b)?, g1(&proof.c)?);
        let mut l = self.ic[0];
        for (input, point) in proof.inputs.iter().zip(&self.ic[1..]) {
            l = l + *point * Fr::from_slice(input).ok()?;
        }
        let [beta, gamma, delta] = self.g2;
        Some(pairing_batch(&[(a, b), (self.alpha, beta), (-l, gamma), (-c, delta)]) == Gt::one())
    }
}
