//! The ways to change several proofs at once.

use crate::{
    kinds::{KINDS, Needs, Way, way},
    stock::{
        Case, Honest, SYNTHETIC, Stock,
        Truth::{Either, Fails, Holds},
        field_bytes, g1, g2, turned,
    },
};
use Needs::{Inputs, Nothing};
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::CurveGroup;
use ark_ff::UniformRand;
use rand::Rng;
use rand_chacha::ChaCha20Rng;

/// The same proof, or others of its key, for as many as are asked.
pub fn several<'a>(
    stock: &'a Stock,
    honest: &'a Honest,
    n: usize,
    rng: &mut ChaCha20Rng,
) -> Vec<&'a Honest> {
    let same: bool = rng.r#gen();
    (0..n)
        .map(|_| {
            if same {
                honest
            } else {
                stock.pick(&[honest.key], rng)
            }
        })
        .collect()
}

/// Proofs whose C are moved by these.
pub fn moved(honest: &[&Honest], by: &[G1Affine]) -> Vec<Case> {
    let case = |(honest, by): (&&Honest, &G1Affine)| {
        honest.points(|proof| proof.c = (proof.c + by).into_affine())
    };
    honest.iter().zip(by).map(case).collect()
}

pub const PLOTS: &[Way<Vec<Case>>] = &[
    way(
        "several: the same, whatever it is",
        Either,
        Nothing,
        |stock, honest, rng| {
            let case = if rng.r#gen() {
                let kind = &KINDS[rng.gen_range(0..KINDS.len())];
                (kind.make)(stock, stock.suitable(kind.needs, &[honest.key], rng), rng)
            } else {
                honest.case()
            };
            vec![case; rng.gen_range(2..12)]
        },
    ),
    way(
        "several: false C that cancel",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let by = g1(Fr::rand(rng));
            moved(&several(stock, honest, 2, rng), &[by, -by])
        },
    ),
    way(
        "several: three false C that cancel",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let [x, y] = std::array::from_fn(|_| g1(Fr::rand(rng)));
            moved(
                &several(stock, honest, 3, rng),
                &[x, y, -(x + y).into_affine()],
            )
        },
    ),
    way(
        "several: false C, turned, that cancel",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let by = g1(Fr::rand(rng));
            moved(
                &several(stock, honest, 3, rng),
                &[by, turned(by), turned(turned(by))],
            )
        },
    ),
    way(
        "several: false C in the ratio of two digits",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let by = g1(Fr::rand(rng));
            let double = (by + by).into_affine();
            let difference = (by - turned(by)).into_affine();
            let other =
                [double, -double, difference, -difference, -turned(by)][rng.gen_range(0..5)];
            moved(&several(stock, honest, 2, rng), &[by, other])
        },
    ),
    way(
        "several: false A that cancel",
        Fails,
        Nothing,
        |_, honest, rng| {
            let by = g1(Fr::rand(rng));
            let with = |by: G1Affine| honest.points(|proof| proof.a = (proof.a + by).into_affine());
            vec![with(by), with(-by)]
        },
    ),
    way(
        "several: false B that cancel",
        Fails,
        Nothing,
        |_, honest, rng| {
            let by = g2(Fr::rand(rng));
            let with = |by: G2Affine| honest.points(|proof| proof.b = (proof.b + by).into_affine());
            vec![with(by), with(-by)]
        },
    ),
    way(
        "several: false inputs that cancel",
        Fails,
        Inputs(1),
        |stock, honest, rng| {
            let (at, by) = (rng.gen_range(0..honest.inputs.len()), Fr::rand(rng));
            let both = several(stock, honest, 2, rng);
            let with = |(honest, by): (&&Honest, Fr)| {
                honest.inputs(|inputs| inputs[at] = field_bytes(&(honest.inputs[at] + by)))
            };
            both.iter().zip([by, -by]).map(with).collect()
        },
    ),
    way(
        "several: parts outside G2 that cancel",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let by = stock.outside(rng);
            let with = |(honest, by): (&&Honest, G2Affine)| {
                honest.points(|proof| proof.b = (proof.b + by).into_affine())
            };
            several(stock, honest, 2, rng)
                .iter()
                .zip([by, -by])
                .map(with)
                .collect()
        },
    ),
    way(
        "several: parts outside G2 that cancel, A alike",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let [x, y] = std::array::from_fn(|_| stock.outside(rng));
            let parts = [x, y, (-(x + y)).into_affine()];
            let with =
                |by: &G2Affine| honest.points(|proof| proof.b = (proof.b + by).into_affine());
            let outside = parts
                .iter()
                .filter(|it| !it.is_in_correct_subgroup_assuming_on_curve());
            outside.map(with).collect()
        },
    ),
    way(
        "several: C exchanged",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let other = stock.another(honest, rng);
            vec![
                honest.points(|proof| proof.c = other.proof.c),
                other.points(|proof| proof.c = honest.proof.c),
            ]
        },
    ),
    way(
        "several: keys exchanged",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let key = (honest.key + rng.gen_range(1..=SYNTHETIC.len())) % (SYNTHETIC.len() + 1);
            let other = stock.pick(&[key], rng);
            vec![
                Case {
                    key,
                    ..honest.case()
                },
                Case {
                    key: honest.key,
                    ..other.case()
                },
            ]
        },
    ),
    way(
        "several: randomised again, of one statement",
        Holds,
        Nothing,
        |stock, honest, rng| {
            let key = stock.key(honest);
            (0..rng.gen_range(2..9))
                .map(|_| honest.rerandomised(key, rng).case())
                .collect()
        },
    ),
    way(
        "several: made with C equal or opposite",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let (key, c) = (stock.key(honest), Fr::rand(rng));
            let mut one = || {
                let c = if rng.r#gen() { c } else { -c };
                key.made_for_c(honest.key, honest.inputs.clone(), Fr::rand(rng), c)
                    .case()
            };
            (0..6).map(|_| one()).collect()
        },
    ),
    way(
        "several: made with A or B equal or opposite",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let (key, fixed, of_a) = (stock.key(honest), Fr::rand(rng), rng.r#gen());
            let mut one = || {
                let (fixed, other) = (if rng.r#gen() { fixed } else { -fixed }, Fr::rand(rng));
                let (a, b) = if of_a { (fixed, other) } else { (other, fixed) };
                key.made(honest.key, honest.inputs.clone(), a, b).case()
            };
            (0..6).map(|_| one()).collect()
        },
    ),
];
