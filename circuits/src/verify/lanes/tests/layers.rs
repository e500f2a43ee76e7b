//! Tower, curve, decoding and the Miller loop.

use super::super::{
    coefficients::Coefficient,
    curve::{Points, multiply},
    decode::{Encoded, Undecoded, decode},
    field::{Field, element},
    miller::{Pairs, TwistPoints, miller},
    quadratic::Quadratic,
    tower::{Dodecic, Line},
};
use super::on_both_fields;
use crate::{evidence::ProofBytes, verify::single::proof_bytes};
use ark_bn254::{Bn254, Fq2, Fq6, Fq12, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{
    AffineRepr, CurveGroup, PrimeGroup,
    pairing::{MillerLoopOutput, Pairing},
};
use ark_ff::{AdditiveGroup, Field as _, UniformRand, Zero};
use ark_groth16::Proof;
use rand::RngCore;
use rand_chacha::ChaCha20Rng;

on_both_fields! {
    the_tower_agrees_with_arkworks;
    multiples_agree_with_arkworks;
    proofs_decode_as_in_arkworks;
    the_miller_loop_agrees_with_arkworks;
    points_outside_the_subgroup_are_told_and_disturb_nobody;
    lanes_that_do_not_count_do_not;
}

fn rng(name: &str) -> ChaCha20Rng {
    crate::keys::rng(b"layers", &[name.as_bytes()])
}

fn g1(rng: &mut ChaCha20Rng) -> G1Affine {
    (G1Projective::generator() * Fr::rand(rng)).into_affine()
}

fn g2(rng: &mut ChaCha20Rng) -> G2Affine {
    (G2Projective::generator() * Fr::rand(rng)).into_affine()
}

/// On the twist, outside the subgroup.
pub(super) fn stray(rng: &mut ChaCha20Rng) -> G2Affine {
    loop {
        if let Some(point) = G2Affine::get_point_from_x_unchecked(Fq2::rand(rng), false) {
            if !point.is_in_correct_subgroup_assuming_on_curve() {
                return point;
            }
        }
    }
}

fn the_tower_agrees_with_arkworks<F: Field>() {
    let mut rng = rng("tower");
    for round in 0..20 {
        let mut value = || {
            let mut parts = [[Fq2::ZERO; 8]; 6];
            for lane in parts.iter_mut().flatten() {
                // Sparse and extreme values too.
                *lane = match rng.next_u32() % 6 * u32::from(round < 10) {
                    1 => Fq2::ZERO,
                    2 => -Fq2::ONE,
                    _ => Fq2::rand(&mut rng),
                };
            }
            parts
        };
        let (a, b) = (value(), value());
        let put = |parts: &[[Fq2; 8]; 6]| {
            let [c0, c1, c2, c3, c4, c5] = parts.map(|part| Quadratic::<F>::gather(|i| part[i]));
            Dodecic {
                even: [c0, c1, c2],
                odd: [c3, c4, c5],
            }
        };
        let of = |parts: &[[Fq2; 8]; 6], i: usize| {
            let c = parts.map(|part| part[i]);
            Fq12::new(Fq6::new(c[0], c[1], c[2]), Fq6::new(c[3], c[4], c[5]))
        };
        let square = put(&a).square().elements();
        let product = put(&a).mul(&put(&b)).elements();
        let mut lined = put(&a);
        lined.mul_line(&Line {
            slope: Quadratic::gather(|i| b[0][i]),
            offset: Quadratic::gather(|i| b[1][i]),
        });
        let lined = lined.elements();
        for i in 0..F::LANES {
            assert_eq!(square[i], of(&a, i).square(), "square, lane {i}");
            assert_eq!(product[i], of(&a, i) * of(&b, i), "product, lane {i}");
            let line = Fq12::new(Fq6::ONE, Fq6::new(b[0][i], b[1][i], Fq2::ZERO));
            assert_eq!(lined[i], (of(&a, i) * line).double(), "line, lane {i}");
        }
    }
}

fn multiples_agree_with_arkworks<F: Field>() {
    let mut rng = rng("multiples");
    let mut coefficients: Vec<Coefficient> = [0, 1, u128::MAX, 1 << 127, 0x1111 << 64]
        .into_iter()
        .chain((0..16).map(|digit| digit * (u128::MAX / 15)))
        .map(Coefficient)
        .collect();
    coefficients.extend((0..12).map(|_| Coefficient(u128::rand(&mut rng))));
    let points: Vec<G1Affine> = coefficients.iter().map(|_| g1(&mut rng)).collect();
    let vectors: Vec<Points<F>> = points
        .chunks(F::LANES)
        .map(|points| Points::gather(|i| *points.get(i).unwrap_or(&points[0])))
        .collect();
    let found = multiply(&vectors, &coefficients);
    for (i, (point, coefficient)) in points.iter().zip(&coefficients).enumerate() {
        let vector = &found[i / F::LANES];
        let [x, y] = [vector.x, vector.y].map(|x| element(x.scatter()[i % F::LANES]));
        let expected = (*point * coefficient.scalar()).into_affine();
        assert_eq!((x, y), (expected.x, expected.y), "{i}");
    }
}

fn proofs_decode_as_in_arkworks<F: Field>() {
    let mut rng = rng("decode");
    let proofs: Vec<Proof<Bn254>> = (0..24)
        .map(|_| Proof {
            a: g1(&mut rng),
            b: g2(&mut rng),
            c: g1(&mut rng),
        })
        .collect();
    for proofs in proofs.chunks(5) {
        for proofs in proofs.chunks(F::LANES) {
            let encoded: Vec<Encoded> = proofs
                .iter()
                .map(|proof| Encoded::read(&proof_bytes(proof)).unwrap())
                .collect();
            let decoded = decode::<F>(&encoded).unwrap();
            assert_eq!(decoded.sound, F::ALL);
            for (i, proof) in proofs.iter().enumerate() {
                let [ax, ay, cx, cy] = [decoded.a.x, decoded.a.y, decoded.c.x, decoded.c.y]
                    .map(|x| element(x.scatter()[i]));
                assert_eq!(
                    (ax, ay, cx, cy),
                    (proof.a.x, proof.a.y, proof.c.x, proof.c.y)
                );
                let [bx, by] = [decoded.b.x, decoded.b.y].map(|x| x.elements()[i]);
                assert_eq!((bx, by), (proof.b.x, proof.b.y));
            }
        }
    }
    // Random bytes: on a curve or not, as arkworks says.
    let (mut sound, mut unsound) = (0, 0);
    for _ in 0..200 {
        let mut bytes = proof_bytes(&proofs[0]);
        let part = [0..32, 32..96, 96..128][rng.next_u32() as usize % 3].clone();
        rng.fill_bytes(&mut bytes.0[part.clone()]);
        bytes.0[part.end - 1] &= 0xbf;
        bytes.0[31] &= 0x9f;
        let expected = on_curves(&bytes);
        let found = match Encoded::read(&bytes) {
            Err(error) => {
                assert_eq!(error, Undecoded::Malformed);
                false
            }
            Ok(encoded) => {
                let decoded = decode::<F>(&[encoded]).unwrap();
                assert_eq!(decoded.odd, 0);
                decoded.sound == F::ALL
            }
        };
        assert_eq!(found, expected, "{bytes:?}");
        *if expected { &mut sound } else { &mut unsound } += 1;
    }
    assert!(sound > 20 && unsound > 20, "{sound} {unsound}");
}

/// Whether arkworks decodes the bytes, membership aside.
fn on_curves(bytes: &ProofBytes) -> bool {
    use ark_serialize::{CanonicalDeserialize, Compress, Validate};
    Proof::<Bn254>::deserialize_with_mode(&bytes.0[..], Compress::Yes, Validate::No).is_ok()
}

fn pack<F: Field>(pairs: &[(G1Affine, G2Affine)]) -> Vec<Pairs<F>> {
    pairs
        .chunks(F::LANES)
        .map(|pairs| {
            let at = |i: usize| *pairs.get(i).unwrap_or(&pairs[0]);
            Pairs {
                g1: Points::gather(|i| at(i).0),
                g2: TwistPoints {
                    x: Quadratic::gather(|i| at(i).1.x),
                    y: Quadratic::gather(|i| at(i).1.y),
                },
                live: super::super::field::lowest(pairs.len()),
            }
        })
        .collect()
}

/// The pairing's value of a product of Miller loops.
fn value<F: Field>(product: &Dodecic<F>, lane: usize) -> Fq12 {
    Bn254::final_exponentiation(MillerLoopOutput(product.elements()[lane]))
        .unwrap()
        .0
}

fn the_miller_loop_agrees_with_arkworks<F: Field>() {
    let mut rng = rng("miller");
    for vectors in [1, 2, 5] {
        let pairs: Vec<_> = (0..vectors * F::LANES)
            .map(|_| (g1(&mut rng), g2(&mut rng)))
            .collect();
        let output = miller(&pack::<F>(&pairs));
        assert!(output.members.iter().all(|members| *members == F::ALL));
        for lane in 0..F::LANES {
            let (a, b): (Vec<_>, Vec<_>) =
                pairs.iter().skip(lane).step_by(F::LANES).copied().unzip();
            assert_eq!(
                value(&output.product, lane),
                Bn254::multi_pairing(a, b).0,
                "lane {lane}"
            );
        }
    }
}

/// Whatever their order, 10069 included, which divides the cofactor: of such a point, and of one of order 2 or 3 were there any, multiples repeat
/// within the loop, and steps are exceptional.
fn points_outside_the_subgroup_are_told_and_disturb_nobody<F: Field>() {
    let mut rng = rng("subgroup");
    for round in 0..12 {
        let mut pairs: Vec<_> = (0..3 * F::LANES)
            .map(|_| (g1(&mut rng), g2(&mut rng)))
            .collect();
        let bad = rng.next_u32() as usize % pairs.len();
        pairs[bad].1 = match round % 3 {
            0 => stray(&mut rng),
            1 => (stray(&mut rng) + g2(&mut rng)).into_affine(),
            _ => small(&mut rng),
        };
        let output = miller(&pack::<F>(&pairs));
        for (i, _) in pairs.iter().enumerate() {
            let member = output.members[i / F::LANES] >> (i % F::LANES) & 1 == 1;
            assert_eq!(member, i != bad, "{i}, round {round}");
        }
        for lane in (0..F::LANES).filter(|lane| *lane != bad % F::LANES) {
            let (a, b): (Vec<_>, Vec<_>) =
                pairs.iter().skip(lane).step_by(F::LANES).copied().unzip();
            assert_eq!(
                value(&output.product, lane),
                Bn254::multi_pairing(a, b).0,
                "lane {lane}"
            );
        }
    }
}

/// A point of the twist of order 10069.
pub(super) fn small(rng: &mut ChaCha20Rng) -> G2Affine {
    /// The number of points of the twist, divided by 10069.
    const FACTOR: [u64; 8] = [
        0x1dbbfa43015f1659,
        0x88a0ba9334d5d06e,
        0xc616fa58e5b72d72,
        0x8ec12d22f6541370,
        0x85dd3e299a8fab26,
        0xf2ec8020adba71a1,
        0xb0cfb56a567ea5a2,
        0x00003b89d84c6eaa,
    ];
    loop {
        let point = stray(rng).mul_bigint(FACTOR);
        if !point.is_zero() {
            assert!(point.mul_bigint([10069]).is_zero());
            return point.into_affine();
        }
    }
}

fn lanes_that_do_not_count_do_not<F: Field>() {
    if F::LANES == 1 {
        return;
    }
    let mut rng = rng("idle");
    for count in 1..2 * F::LANES {
        let pairs: Vec<_> = (0..count).map(|_| (g1(&mut rng), g2(&mut rng))).collect();
        let output = miller(&pack::<F>(&pairs));
        for lane in 0..F::LANES {
            let (a, b): (Vec<_>, Vec<_>) =
                pairs.iter().skip(lane).step_by(F::LANES).copied().unzip();
            assert_eq!(
                value(&output.product, lane),
                Bn254::multi_pairing(a, b).0,
                "lane {lane}"
            );
        }
    }
}
