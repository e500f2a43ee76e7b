//! Groth16's prover: from an assignment to the three points, the same that arkworks' prover computes, for less.
//!
//! | | |
//! |---|---|
//! | rows | come with the assignment ([`Factors`]): no matrix is multiplied |
//! | [`quotient`] | six transforms where there were seven |
//! | sums of multiples | `verify::lanes::msm`: affine additions in lanes; scalars that are bits cost one at most |
//! | [`Tables`] | multiples of a key's points, for who proves often |
//!
//! Bounds: tables take at most [`TABLE_BYTES`], and a key that would need more has none; without tables [`CHUNK`] points are summed at a time.
//! Not constant-time, as arkworks' is not. The assignment, its rows, the quotient, scalars and their digits are wiped.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // field elements and points; arrays of two

mod quotient;
#[cfg(test)]
mod tests;

use crate::{
    keys::sizes,
    r1cs::{Assignment, Factors, Shape},
    verify::{
        Engine,
        lanes::{self, Multiples},
    },
};
use ark_bn254::{Bn254, Fr, g1, g2};
use ark_ec::{
    AffineRepr as _, CurveGroup,
    short_weierstrass::{Affine, Projective, SWCurveConfig},
};
use ark_ff::{AdditiveGroup, Field};
use ark_groth16::{Groth16, Proof};
use quotient::Domain;
use rayon::join;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// Most memory that the tables of one key may take.
pub(crate) const TABLE_BYTES: usize = 256 << 20;
/// Points that are summed at a time without tables.
const CHUNK: usize = 1 << 15;

type Key = ark_groth16::ProvingKey<Bn254>;

/// What is computed once for a key, when it is first wanted.
#[derive(Default)]
pub(crate) struct Prepared {
    domain: OnceLock<Option<Domain>>,
    ifma: OnceLock<Option<Tables>>,
    portable: OnceLock<Option<Tables>>,
}

impl Prepared {
    fn tables(&self, engine: Engine) -> &OnceLock<Option<Tables>> {
        match engine {
            Engine::Ifma => &self.ifma,
            _ => &self.portable,
        }
    }

    /// Makes the tables for an engine, unless they would be too large or it uses none. Returns their size in bytes.
    pub(crate) fn prepare(&self, key: &Key, engine: Engine) -> usize {
        if !is_ours(engine) {
            return 0;
        }
        let kept = self.tables(engine);
        // Made outside of the lock: who waits for it may be one of the threads that make them.
        if kept.get().is_none() {
            let _ = kept.set(Tables::new(key, engine, TABLE_BYTES));
        }
        let tables = kept.get().and_then(Option::as_ref);
        tables.map_or(0, |tables| tables.bytes)
    }
}

fn is_ours(engine: Engine) -> bool {
    matches!(engine, Engine::Ifma | Engine::Portable)
}

/// Multiples of the points of a key.
struct Tables {
    a: Box<dyn Multiples<g1::Config>>,
    b_g1: Box<dyn Multiples<g1::Config>>,
    b_g2: Box<dyn Multiples<g2::Config>>,
    c: Box<dyn Multiples<g1::Config>>,
    bytes: usize,
}

impl Tables {
    /// The tables, unless they would take more than `most` bytes.
    fn new(key: &Key, engine: Engine, most: usize) -> Option<Tables> {
        let [a, b_g1, c] = [
            a(key).collect(),
            b_g1(key).collect(),
            c(key).collect::<Vec<_>>(),
        ];
        let b_g2: Vec<_> = b_g2(key).collect();
        let wide = engine == Engine::Ifma;
        let [_, of_b_g2] = lanes::table_bytes(present(&b_g2));
        let of_g1 = [&a, &b_g1, &c].map(|points| lanes::table_bytes(present(points))[0]);
        let bytes = of_g1.iter().sum::<usize>() + of_b_g2;
        if bytes > most {
            return None;
        }
        Some(Tables {
            a: lanes::g1_multiples(&a, wide, true),
            b_g1: lanes::g1_multiples(&b_g1, wide, true),
            b_g2: lanes::g2_multiples(&b_g2, wide, true),
            c: lanes::g1_multiples(&c, wide, true),
            bytes,
        })
    }
}

/// Points that are not the identity.
fn present<P: SWCurveConfig>(points: &[Affine<P>]) -> usize {
    points.iter().filter(|point| !point.is_zero()).count()
}

// The points of each sum, in the order of its scalars below.

fn a(key: &Key) -> impl Iterator<Item = Affine<g1::Config>> {
    let fixed = [key.vk.alpha_g1, key.delta_g1];
    key.a_query.iter().copied().chain(fixed)
}

fn b_g1(key: &Key) -> impl Iterator<Item = Affine<g1::Config>> {
    let fixed = [key.beta_g1, key.delta_g1];
    key.b_g1_query.iter().copied().chain(fixed)
}

fn b_g2(key: &Key) -> impl Iterator<Item = Affine<g2::Config>> {
    let fixed = [key.vk.beta_g2, key.vk.delta_g2];
    key.b_g2_query.iter().copied().chain(fixed)
}

fn c(key: &Key) -> impl Iterator<Item = Affine<g1::Config>> {
    let points = key.l_query.iter().chain(&key.h_query).copied();
    points.chain([key.delta_g1])
}

/// The proof of an assignment with randomness `r` and `s`, with tables if asked for and there are some. A false assignment has one too, which no verifier accepts.
pub(crate) fn create(
    key: &Key,
    prepared: &Prepared,
    (engine, tables): (Engine, bool),
    shape: &Shape,
    (z, factors): (&Assignment, &Factors),
    [r, s]: [Fr; 2],
) -> Result<Proof<Bn254>, String> {
    let (inputs, _, _) = sizes(shape);
    if !is_ours(engine) {
        let (matrices, rows) = (&shape.matrices, shape.constraints());
        return Groth16::<Bn254>::create_proof_with_reduction_and_matrices(
            key, r, s, matrices, inputs, rows, &z.0,
        )
        .map_err(|e| e.to_string());
    }
    let domain = prepared
        .domain
        .get_or_init(|| Domain::new(shape.constraints() + inputs));
    let domain = domain.as_ref().ok_or("the circuit is too large")?;
    let kept = || prepared.tables(engine).get().and_then(Option::as_ref);
    let tables = if tables { kept() } else { None };
    let wide = engine == Engine::Ifma;
    let g1 = |points: &[Affine<g1::Config>]| lanes::g1_multiples(points, wide, false);
    let g2 = |points: &[Affine<g2::Config>]| lanes::g2_multiples(points, wide, false);

    let with = |last: Fr| {
        let mut scalars = Zeroizing::new(Vec::with_capacity(z.0.len() + 2));
        scalars.extend_from_slice(&z.0);
        scalars.extend([Fr::ONE, last]);
        scalars
    };
    let in_c = || {
        let mut rows = Zeroizing::new(Vec::with_capacity(factors.a.len() + inputs));
        rows.extend_from_slice(&factors.a);
        rows.extend(z.0.iter().take(inputs));
        let quotient = domain.quotient(&rows, &factors.b);
        let quotient = quotient
            .split_last()
            .map_or(&[][..], |(_, quotient)| quotient);
        let mut scalars = Zeroizing::new(Vec::with_capacity(z.0.len() + quotient.len() + 1));
        scalars.extend(z.0.iter().skip(inputs));
        scalars.extend_from_slice(quotient);
        scalars.push(-(r * s));
        match tables {
            Some(tables) => tables.c.multiply(&scalars),
            None => sum(c(key), &scalars, g1),
        }
    };
    let in_a = || match tables {
        Some(tables) => tables.a.multiply(&with(r)),
        None => sum(a(key), &with(r), g1),
    };
    let in_b_g1 = || match tables {
        Some(tables) => tables.b_g1.multiply(&with(s)),
        None => sum(b_g1(key), &with(s), g1),
    };
    let in_b_g2 = || match tables {
        Some(tables) => tables.b_g2.multiply(&with(s)),
        None => sum(b_g2(key), &with(s), g2),
    };
    let (rest, ((a, b_g1), b)) = join(in_c, || {
        let (b, (a, b_g1)) = join(in_b_g2, || join(in_a, in_b_g1));
        ((a, b_g1), b)
    });
    let c = a * s + b_g1 * r + rest;
    Ok(Proof {
        a: a.into_affine(),
        b: b.into_affine(),
        c: c.into_affine(),
    })
}

/// Σ scalar · point, in pieces.
fn sum<P: SWCurveConfig>(
    mut points: impl Iterator<Item = Affine<P>>,
    scalars: &[Fr],
    multiples: impl Fn(&[Affine<P>]) -> Box<dyn Multiples<P>>,
) -> Projective<P> {
    let mut total = Projective::ZERO;
    for scalars in scalars.chunks(CHUNK) {
        let points: Vec<_> = points.by_ref().take(scalars.len()).collect();
        total += multiples(&points).multiply(scalars);
    }
    total
}
