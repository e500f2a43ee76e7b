//! halo2curves' bn256, with its assembly.

use crate::{Key, Proof};
use halo2curves::{
    CurveAffine,
    bn256::{Bn256, Fq, Fq2, Fr, G1, G1Affine, G2Affine, Gt},
    ff::PrimeField,
    group::{
        Curve, Group,
        cofactor::{CofactorCurveAffine, CofactorGroup},
    },
    msm::msm_serial,
    pairing::{MillerLoopResult, MultiMillerLoop},
};

pub const NAME: &str = "halo2curves 0.10 (asm)";
pub const ABOUT: &str = "Rust with assembly for this processor, one proof at a time; from coordinates; checks curves, the subgroup of B and inputs";

pub struct Prepared {
    alpha: G1Affine,
    g2: [G2Affine; 3],
    ic: Vec<G1Affine>,
}

fn fq(bytes: &[u8; 32]) -> Option<Fq> {
    let mut bytes = *bytes;
    bytes.reverse();
    Fq::from_repr(bytes.into()).into()
}

fn g1(point: &[[u8; 32]; 2]) -> Option<G1Affine> {
    G1Affine::from_xy(fq(&point[0])?, fq(&point[1])?).into()
}

fn g2(point: &[[u8; 32]; 4]) -> Option<G2Affine> {
    let x = Fq2::new(fq(&point[0])?, fq(&point[1])?);
    let y = Fq2::new(fq(&point[2])?, fq(&point[3])?);
    let point: Option<G2Affine> = G2Affine::from_xy(x, y).into();
    point.filter(|point| bool::from(point.to_curve().is_torsion_free()))
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
        let input = |bytes: &[u8; 32]| -> Option<Fr> {
            let mut bytes = *bytes;
            bytes.reverse();
            Fr::from_repr(bytes.into()).into()
        };
        let inputs: Vec<Fr> = proof.inputs.iter().map(input).collect::<Option<_>>()?;
        let mut l: G1 = self.ic[0].to_curve();
        let mut sum = G1::identity();
        msm_serial(&inputs, &self.ic[1..], &mut sum);
        l += sum;
        let [beta, gamma, delta] = &self.g2;
        let terms = [(&a, &b), (&self.alpha, beta), (&(-l).to_affine(), gamma), (&-c, delta)];
        let product = Bn256::multi_miller_loop(&terms).final_exponentiation();
        Some(product == Gt::identity())
    }
}
