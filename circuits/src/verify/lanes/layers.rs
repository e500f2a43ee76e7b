//! The layers one by one, as benchmarks run them.

use super::{
    curve::{Point, sums},
    decode::{Constants, Encoded, decode},
    exponentiation::Value,
    field::{Field, Kernel, gather},
    miller::{Pairs, TwistPoints, miller},
    quadratic::Quadratic,
    tower::{Dodecic, Line},
};
use crate::{evidence::ProofBytes, verify::layers::Layer};
use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ff::Field as _;
use std::hint::black_box;

/// Operations of the lower layers in one run, each waiting for the one before.
const TIMES: usize = 64;

/// Products that wait for each other.
struct Products<F>(F);

impl<F: Field> Kernel for Products<F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        let mut out = self.0;
        for _ in 0..TIMES {
            out = out.mul(self.0);
        }
        out
    }
}

/// A layer that is run so many times in every lane.
fn layer<F: Field>(name: &'static str, times: usize, run: impl Fn() + 'static) -> Layer {
    Layer {
        name,
        elements: times * F::LANES,
        run: Box::new(run),
    }
}

/// Every layer over this field, given pairs, of which none has an identity, and proofs.
pub(in crate::verify) fn layers<F: Field>(
    pairs: &[(G1Affine, G2Affine)],
    proofs: &[ProofBytes],
) -> Vec<Layer> {
    let seven = Fq::from(7_u64).inverse().unwrap_or_default();
    let element: F = gather(|lane| seven.pow([lane as u64 + 2]));
    let quadratic = Quadratic::<F>::splat(Fq2::new(seven, seven.square()));
    let parts = [quadratic, quadratic.square(), quadratic];
    let value = Dodecic {
        even: parts,
        odd: parts,
    };
    let line = Line {
        slope: quadratic,
        offset: quadratic.square(),
    };
    let groups: Vec<Vec<Pairs<F>>> = vec![
        (pairs.chunks_exact(F::LANES))
            .map(|pairs| Pairs {
                g1: super::curve::Points::gather(|lane| pairs[lane].0),
                g2: TwistPoints::gather(|lane| pairs[lane].1),
                live: F::ALL,
            })
            .collect(),
    ];
    let points: Vec<Vec<Point<F>>> = (pairs.windows(2))
        .map(|pairs| pairs.iter().map(|(g1, _)| Point::new(*g1)).collect())
        .collect();
    let encoded: Vec<Encoded> = (proofs.iter())
        .filter_map(|proof| Some(Encoded::read(proof)?.encoded))
        .collect();
    let mut out = vec![
        layer::<F>("field multiplication", TIMES, move || {
            black_box(F::call(Products(black_box(element))));
        }),
        layer::<F>("quadratic multiplication", TIMES, move || {
            let mut product = black_box(quadratic);
            for _ in 0..TIMES {
                product = product.mul(&quadratic);
            }
            black_box(product);
        }),
        layer::<F>("tower squaring", 1, move || {
            black_box(black_box(&value).square());
        }),
        layer::<F>("tower multiplication", 1, move || {
            black_box(black_box(&value).mul(&value));
        }),
        layer::<F>("multiplication by a line", 1, move || {
            black_box(F::call(ByLine(black_box(value), line)));
        }),
        layer::<F>("final exponentiation", 1, move || {
            black_box(black_box(&value).final_exponentiation());
        }),
        Layer {
            name: "final exponentiation of one",
            elements: 1,
            run: Box::new(move || {
                black_box(black_box(&value).is_one());
            }),
        },
    ];
    let (additions, pairs, proofs) = (points.len(), pairs.len(), encoded.len());
    let constants = Constants::<F>::new();
    out.extend([
        Layer {
            name: "curve addition",
            elements: additions,
            run: Box::new(move || {
                black_box(sums(black_box(&points), |point| (point, false)));
            }),
        },
        Layer {
            name: "Miller loop",
            elements: pairs / F::LANES * F::LANES,
            run: Box::new(move || {
                black_box(miller(black_box(&groups)));
            }),
        },
        Layer {
            name: "decoding",
            elements: proofs,
            run: Box::new(move || {
                black_box(decode(black_box(&encoded), &constants));
            }),
        },
    ]);
    out
}

/// The product with a line.
struct ByLine<F>(Dodecic<F>, Line<F>);

impl<F: Field> Kernel for ByLine<F> {
    type Output = Dodecic<F>;
    #[inline(always)]
    fn run(mut self) -> Dodecic<F> {
        self.0.mul_line(&self.1);
        self.0
    }
}
