//! Tower, curve, decoding and the Miller loop.

use super::super::{
    coefficients::Coefficient,
    curve::{BUCKETS, Entry, Point, Points, Tables, assemble, multiply, sort, sums, terms, turn},
    decode::{Constants, Decoded, Encoded, decode},
    exponentiation::Value,
    field::{Field, element},
    miller::{Pairs, TwistPoints, miller},
    quadratic::Quadratic,
    tower::{Dodecic, Line},
};
use super::on_both_fields;
use crate::{evidence::ProofBytes, verify::single::proof_bytes};
use ark_bn254::{
    Bn254, Config, Fq, Fq2, Fq6, Fq12, Fr, G1Affine, G1Projective, G2Affine, G2Projective, g2,
};
use ark_ec::{
    AffineRepr, CurveConfig, CurveGroup, PrimeGroup,
    bn::BnConfig,
    pairing::{MillerLoopOutput, Pairing},
    short_weierstrass::SWCurveConfig,
};
use ark_ff::{AdditiveGroup, Field as _, PrimeField, UniformRand, Zero};
use ark_groth16::Proof;
use num_bigint::BigInt;
use num_integer::Integer;
use rand::RngCore;
use rand_chacha::ChaCha20Rng;

on_both_fields! {
    the_tower_agrees_with_arkworks;
    multiples_agree_with_arkworks;
    proofs_decode_as_in_arkworks;
    ordinates_on_the_axes_decode_as_in_arkworks;
    the_miller_loop_agrees_with_arkworks;
    groups_of_pairs_have_products_of_their_own;
    the_final_exponentiation_agrees_with_arkworks;
    sums_of_points_agree_with_arkworks;
    bucketed_combinations_and_tables_agree_with_arkworks;
    points_outside_the_subgroup_are_told_and_disturb_nobody;
    lanes_that_do_not_count_do_not;
}

fn rng(name: &str) -> ChaCha20Rng {
    crate::keys::rng(b"layers", &[name.as_bytes()])
}

/// What membership rests on. T + ψ³(Q) = (a + bψ)(Q) with ψ² = tψ − p, so its norm is a² + abt + b²p: a multiple of r, so every point of G2 passes, and prime to the
/// cofactor, so nothing else does.
#[test]
fn only_points_of_g2_end_where_they_should() {
    let positive = |limbs: &[u64]| {
        limbs
            .iter()
            .rev()
            .fold(BigInt::ZERO, |sum, limb| (sum << 64) + *limb)
    };
    let [p, r] = [Fq::MODULUS, Fr::MODULUS].map(|modulus| positive(&modulus.0));
    let [x, cofactor] = [Config::X, g2::Config::COFACTOR].map(positive);
    assert_eq!(&cofactor + &r, &p * 2);
    let t = &p + 1 - &r;
    let a = &x * 6 + 2 + &p - &t * &p;
    let b = 1 - &t + &t * &t - &p;
    let norm: BigInt = &a * &a + &a * &b * &t + &b * &b * &p;
    assert!(norm.is_multiple_of(&r));
    assert_eq!(norm.gcd(&cofactor), 1.into());
}

pub(super) fn g1(rng: &mut ChaCha20Rng) -> G1Affine {
    (G1Projective::generator() * Fr::rand(rng)).into_affine()
}

pub(super) fn g2(rng: &mut ChaCha20Rng) -> G2Affine {
    (G2Projective::generator() * Fr::rand(rng)).into_affine()
}

/// On the twist, outside the subgroup.
pub(super) fn stray(rng: &mut ChaCha20Rng) -> G2Affine {
    loop {
        let point = G2Affine::get_point_from_x_unchecked(Fq2::rand(rng), false);
        if let Some(point) = point.filter(|it| !it.is_in_correct_subgroup_assuming_on_curve()) {
            return point;
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
        .map(Coefficient::Random)
        .collect();
    coefficients.extend((0..12).map(|_| Coefficient::Random(u128::rand(&mut rng))));
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
    for count in [5, 24] {
        for proofs in proofs.chunks(count) {
            let encoded: Vec<Encoded> = proofs
                .iter()
                .map(|proof| Encoded::read(&proof_bytes(proof)).unwrap().encoded)
                .collect();
            let decoded = decode(&encoded, &Constants::<F>::new());
            assert_eq!(decoded.len(), proofs.len().div_ceil(F::LANES));
            for (i, proof) in proofs.iter().enumerate() {
                let (decoded, i) = (&decoded[i / F::LANES], i % F::LANES);
                assert_eq!(decoded.sound, F::ALL);
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
            None => false,
            Some(read) => {
                assert_eq!(read.fault, None);
                let decoded: Vec<Decoded<F>> = decode(&[read.encoded], &Constants::new());
                decoded[0].sound == F::ALL
            }
        };
        assert_eq!(found, expected, "{bytes:?}");
        *if expected { &mut sound } else { &mut unsound } += 1;
    }
    assert!(sound > 20 && unsound > 20, "{sound} {unsound}");
}

/// Where x³ + b on the twist is in the base field, and the complex method's first root may be minus its second.
fn ordinates_on_the_axes_decode_as_in_arkworks<F: Field>() {
    let mut rng = rng("axes");
    let (mut real, mut imaginary, mut none) = (0, 0, 0);
    while real < 3 || imaginary < 3 || none < 3 {
        // A root of 3 x0² x1 − x1³ + b1 in x0, for a random x1.
        let x1 = Fq::rand(&mut rng);
        let b = g2::Config::COEFF_B;
        let square = (x1.square() * x1 - b.c1) / (x1 * Fq::from(3_u64));
        let Some(x0) = square.sqrt() else {
            none += 1;
            continue;
        };
        let x = Fq2::new(x0, x1);
        let a = x.square() * x + b;
        assert_eq!(a.c1, Fq::ZERO);
        let point = G2Affine::get_point_from_x_unchecked(x, true).unwrap();
        *if point.y.c1 == Fq::ZERO {
            &mut real
        } else {
            &mut imaginary
        } += 1;
        let bytes = proof_bytes(&Proof {
            a: G1Affine::generator(),
            b: point,
            c: G1Affine::generator(),
        });
        let encoded = Encoded::read(&bytes).unwrap().encoded;
        let decoded: Vec<Decoded<F>> = decode(&[encoded], &Constants::new());
        assert_eq!(decoded[0].sound, F::ALL);
        assert_eq!(decoded[0].b.y.elements()[0], point.y);
    }
}

/// Whether arkworks decodes the bytes, membership aside.
fn on_curves(bytes: &ProofBytes) -> bool {
    use ark_serialize::{CanonicalDeserialize, Compress, Validate};
    Proof::<Bn254>::deserialize_with_mode(&bytes.0[..], Compress::Yes, Validate::No).is_ok()
}

pub(super) fn pack<F: Field>(pairs: &[(G1Affine, G2Affine)]) -> Vec<Pairs<F>> {
    pairs
        .chunks(F::LANES)
        .map(|pairs| {
            let at = |i: usize| *pairs.get(i).unwrap_or(&pairs[0]);
            Pairs {
                g1: Points::gather(|i| at(i).0),
                g2: TwistPoints::gather(|i| at(i).1),
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
        let [output] = miller(&[pack::<F>(&pairs)]).try_into().ok().unwrap();
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

/// Groups share the steps and nothing else.
fn groups_of_pairs_have_products_of_their_own<F: Field>() {
    let mut rng = rng("groups");
    let groups: Vec<Vec<_>> = [1, 2 * F::LANES, 0, F::LANES + 1]
        .map(|n| (0..n).map(|_| (g1(&mut rng), g2(&mut rng))).collect())
        .to_vec();
    let packed: Vec<_> = groups.iter().map(|pairs| pack::<F>(pairs)).collect();
    for (pairs, output) in groups.iter().zip(miller(&packed)) {
        assert_eq!(output.members.len(), pairs.len().div_ceil(F::LANES));
        let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let expected = Bn254::multi_pairing(a, b).0;
        let folded = output.product.fold();
        let lanes = folded.unpack();
        let again = Dodecic::<F>::pack(|lane| lanes[F::LANES - 1 - lane]);
        for lane in 0..F::LANES {
            assert_eq!(value(&folded, lane), expected, "lane {lane}");
            assert_eq!(value(&again, lane), expected, "lane {lane}");
        }
    }
}

fn the_final_exponentiation_agrees_with_arkworks<F: Field>() {
    let mut rng = rng("exponentiation");
    for round in 0..3 {
        let mut values: [Fq12; 8] = std::array::from_fn(|_| Fq12::rand(&mut rng));
        // Values of the base field and of Fq6 vanish.
        values[0] = Fq12::from(7_u64);
        values[5] = Fq12::new(Fq6::rand(&mut rng), Fq6::ZERO);
        values.rotate_left(round);
        let parts: [[Fq2; 8]; 6] = std::array::from_fn(|i| {
            values.map(|f| [f.c0.c0, f.c0.c1, f.c0.c2, f.c1.c0, f.c1.c1, f.c1.c2][i])
        });
        let [c0, c1, c2, c3, c4, c5] = parts.map(|part| Quadratic::<F>::gather(|i| part[i]));
        let value = Dodecic {
            even: [c0, c1, c2],
            odd: [c3, c4, c5],
        };
        let (found, ones) = (value.final_exponentiation().elements(), value.ones());
        for (lane, value) in values.iter().enumerate().take(F::LANES) {
            let expected = Bn254::final_exponentiation(MillerLoopOutput(*value))
                .unwrap()
                .0;
            assert_eq!(found[lane], expected, "lane {lane}");
            assert_eq!(ones >> lane & 1 == 1, expected == Fq12::ONE, "lane {lane}");
        }
        let first = Bn254::final_exponentiation(MillerLoopOutput(values[0]))
            .unwrap()
            .0;
        assert_eq!(value.is_one(), first == Fq12::ONE);
    }
}

fn affine<F: Field>(sum: Option<Point<F>>) -> G1Affine {
    sum.map_or(G1Affine::zero(), |sum| sum.affine())
}

/// Sums with equal and opposite points among them, and of none.
fn sums_of_points_agree_with_arkworks<F: Field>() {
    let mut rng = rng("sums");
    let points: Vec<G1Affine> = (0..40).map(|_| g1(&mut rng)).collect();
    let mut groups: Vec<Vec<G1Affine>> = (0..12).map(|n| points[n..2 * n].to_vec()).collect();
    groups.push(vec![points[0]; 7]);
    groups.push(vec![points[0], -points[0]]);
    groups.push(vec![
        points[0], -points[0], points[1], points[2], -points[2], points[1], points[3],
    ]);
    let lanes: Vec<Vec<Point<F>>> = groups
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|it| Points::gather(|_| *it).unpack()[0])
                .collect()
        })
        .collect();
    for negative in [false, true] {
        let found = sums(&lanes, |point| (point, negative));
        for (group, found) in groups.iter().zip(found) {
            let expected: G1Projective = group.iter().sum();
            let expected = if negative { -expected } else { expected };
            assert_eq!(affine(found), expected.into_affine());
        }
    }
}

fn bucketed_combinations_and_tables_agree_with_arkworks<F: Field>() {
    let mut rng = rng("buckets");
    let points: Vec<G1Affine> = (0..2 * F::LANES + 1).map(|_| g1(&mut rng)).collect();
    let coefficients: Vec<Coefficient> = points
        .iter()
        .map(|_| Coefficient::Random(u128::rand(&mut rng)))
        .collect();
    let vectors: Vec<Points<F>> = points
        .chunks(F::LANES)
        .map(|points| Points::gather(|i| *points.get(i).unwrap_or(&points[0])))
        .collect();
    let turned = turn(&vectors);
    let form =
        |(i, rotation, negative): Entry| (turned[i as usize].form(rotation.into()), negative);
    let mut buckets = vec![Vec::new(); BUCKETS];
    for (i, coefficient) in coefficients.iter().enumerate() {
        sort(i as u32, *coefficient, &mut buckets);
    }
    let one = u32::try_from(coefficients.len() - 1).unwrap();
    assert_eq!(Coefficient::One.scalar(), Fr::ONE);
    sort(one, Coefficient::One, &mut buckets);
    let found = assemble(&sums(&buckets, form));
    let expected: G1Projective = points
        .iter()
        .zip(&coefficients)
        .map(|(point, c)| *point * c.scalar())
        .sum();
    assert_eq!(found, expected + points[points.len() - 1]);

    let points = &points[..2];
    let tables = Tables::default();
    let multiples = tables.multiples::<F>(|| points.to_vec());
    let mut scalars = vec![
        Fr::ZERO,
        Fr::ONE,
        -Fr::ONE,
        Fr::from(32_u64),
        Fr::from(33_u64),
        Fr::from(u64::MAX),
    ];
    scalars.extend((0..6).map(|_| Fr::rand(&mut rng)));
    for scalar in scalars {
        let mut places = Vec::new();
        terms(1, scalar.into_bigint().0, &mut places);
        let found = sums(&[places], |(place, negative)| (multiples[place], negative))[0];
        assert_eq!(
            affine(found),
            (points[1] * scalar).into_affine(),
            "{scalar}"
        );
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
        let [output] = miller(&[pack::<F>(&pairs)]).try_into().ok().unwrap();
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
        let [output] = miller(&[pack::<F>(&pairs)]).try_into().ok().unwrap();
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
