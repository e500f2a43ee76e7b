//! Proof bytes to points, in lanes: the square roots that compressed points need, all at once.
//!
//! What this decodes is what arkworks decodes, with the same verdict. G2 membership is not checked here: the Miller loop tells.

use super::{
    curve::Points,
    field::{Field, Integer, Kernel, MODULUS, Mask, integer},
    miller::TwistPoints,
    quadratic::Quadratic,
};
use crate::{evidence::ProofBytes, verify::VerifyError};
use ark_bn254::{g1, g2};
use ark_ec::short_weierstrass::SWCurveConfig;
use ark_ff::PrimeField;
use std::sync::OnceLock;

/// Bit of the last byte of a point: the ordinate is the greater of the two.
const GREATER: u8 = 0x80;
/// Bit of the last byte of a point: the identity.
const IDENTITY: u8 = 0x40;

/// A proof as three abscissae and the sign of each ordinate.
#[derive(Clone, Copy)]
pub(super) struct Encoded {
    a: Integer,
    b: [Integer; 2],
    c: Integer,
    greater: [bool; 3],
}

/// What is known of a proof from its bytes alone, its points' ordinates aside.
pub(super) struct Read {
    pub(super) encoded: Encoded,
    /// What is wrong with it if all the points in it are points of their groups. What it encodes as the identity is replaced by some point, so that
    /// it costs what others do.
    pub(super) fault: Option<VerifyError>,
}

impl Encoded {
    /// Splits the bytes: flags, and coordinates below p. `None` if they are no points.
    pub(super) fn read(bytes: &ProofBytes) -> Option<Read> {
        let mut parts = [[0; 32]; 4];
        for (part, chunk) in parts.iter_mut().zip(bytes.0.chunks_exact(32)) {
            part.copy_from_slice(chunk);
        }
        let [mut a, b0, mut b1, mut c] = parts;
        let mut identity = [false; 3];
        let mut greater = [false; 3];
        for (i, last) in [&mut a[31], &mut b1[31], &mut c[31]]
            .into_iter()
            .enumerate()
        {
            (identity[i], greater[i]) = (*last & IDENTITY != 0, *last & GREATER != 0);
            if identity[i] && greater[i] {
                return None;
            }
            *last &= !(IDENTITY | GREATER);
        }
        let mut encoded = Encoded {
            a: coordinate(a)?,
            b: [coordinate(b0)?, coordinate(b1)?],
            c: coordinate(c)?,
            greater,
        };
        if identity == [false; 3] {
            let fault = None;
            return Some(Read { encoded, fault });
        }
        let junk = identity[0] && encoded.a != [0; 4]
            || identity[1] && encoded.b != [[0; 4]; 2]
            || identity[2] && encoded.c != [0; 4];
        let fault = Some(if junk {
            VerifyError::ProofNotCanonical
        } else {
            VerifyError::ProofIdentity
        });
        let (g1, g2) = (
            g1::G1_GENERATOR_X,
            [g2::G2_GENERATOR_X_C0, g2::G2_GENERATOR_X_C1],
        );
        if identity[0] {
            encoded.a = integer(g1);
        }
        if identity[1] {
            encoded.b = g2.map(integer);
        }
        if identity[2] {
            encoded.c = integer(g1);
        }
        Some(Read { encoded, fault })
    }
}

/// A little-endian integer below p.
fn coordinate(bytes: [u8; 32]) -> Option<Integer> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_le_bytes(chunk.try_into().ok()?);
    }
    let below = limbs.iter().rev().lt(MODULUS.iter().rev());
    below.then_some(limbs)
}

/// Decoded proofs, one per lane.
pub(super) struct Decoded<F> {
    pub(super) a: Points<F>,
    pub(super) b: TwistPoints<F>,
    pub(super) c: Points<F>,
    /// Lanes with three points on their curves. The other lanes hold nothing of use.
    pub(super) sound: Mask,
}

/// Finds the ordinates of proofs. The last lanes repeat a proof if there is none for them.
pub(super) fn decode<F: Field>(proofs: &[Encoded], constants: &Constants<F>) -> Vec<Decoded<F>> {
    let mut out = Vec::with_capacity(proofs.len().div_ceil(F::LANES));
    // Two by two, so that neither waits for its own last product.
    for proofs in proofs.chunks(2 * F::LANES) {
        let vectors: Vec<&[Encoded]> = proofs.chunks(F::LANES).collect();
        let x = |i: usize| abscissae::<F>(vectors[i]);
        if vectors.len() == 2 {
            let x = [x(0), x(1)];
            let (y, square) = F::call(TwistRoots { x: &x, constants });
            for i in 0..2 {
                out.push(finish(vectors[i], constants, x[i], (y[i], square[i])));
            }
        } else {
            let x = [x(0)];
            let ([y], [square]) = F::call(TwistRoots { x: &x, constants });
            out.push(finish(vectors[0], constants, x[0], (y, square)));
        }
    }
    out
}

/// The proof in a lane.
fn of(proofs: &[Encoded], lane: usize) -> &Encoded {
    proofs.get(lane).unwrap_or(&proofs[0])
}

fn abscissae<F: Field>(proofs: &[Encoded]) -> Quadratic<F> {
    Quadratic {
        c0: F::gather(|i| of(proofs, i).b[0]),
        c1: F::gather(|i| of(proofs, i).b[1]),
    }
}

/// The points, given the abscissae of B, and its ordinates up to sign where they exist.
fn finish<F: Field>(
    proofs: &[Encoded],
    constants: &Constants<F>,
    bx: Quadratic<F>,
    (by, twist): (Quadratic<F>, Mask),
) -> Decoded<F> {
    let of = |lane: usize| of(proofs, lane);
    let ax = F::gather(|i| of(i).a);
    let cx = F::gather(|i| of(i).c);
    let (mut y, squares) = F::call(Roots {
        x: [ax, cx],
        constants,
    });
    for (y, place) in y.iter_mut().zip([0, 2]) {
        let found = y.scatter();
        let wrong = mask::<F>(|i| is_greater(&found[i]) != of(i).greater[place]);
        *y = y.select(wrong, y.neg());
    }
    let found = by.scatter();
    let wrong = mask::<F>(|i| {
        let [c0, c1] = &found[i];
        let greater = if *c1 == [0; 4] {
            is_greater(c0)
        } else {
            is_greater(c1)
        };
        greater != of(i).greater[1]
    });
    let [ay, cy] = y;
    Decoded {
        a: Points { x: ax, y: ay },
        b: TwistPoints {
            x: bx,
            y: by.select(wrong, &by.neg()),
        },
        c: Points { x: cx, y: cy },
        sound: squares & twist,
    }
}

fn mask<F: Field>(bit: impl Fn(usize) -> bool) -> Mask {
    (0..F::LANES).fold(0, |mask, i| mask | Mask::from(bit(i)) << i)
}

/// Whether an integer is above (p − 1) / 2, so that its negative is below.
fn is_greater(y: &Integer) -> bool {
    let half = ark_bn254::Fq::MODULUS_MINUS_ONE_DIV_TWO.0;
    half.iter().rev().lt(y.iter().rev())
}

/// Numbers the roots need, in every lane.
pub(super) struct Constants<F> {
    one: F,
    half: F,
    /// b of y² = x³ + b.
    b: F,
    twist_b: Quadratic<F>,
    power: &'static [(u32, usize)],
}

impl<F: Field> Constants<F> {
    pub(super) fn new() -> Self {
        // 1/2 is (p + 1) / 2.
        let half = ark_bn254::Fq::MODULUS_MINUS_ONE_DIV_TWO.0;
        Constants {
            one: F::one(),
            half: F::call(Sum(F::splat(half), F::one())),
            b: super::field::gather(|_| g1::Config::COEFF_B),
            twist_b: Quadratic::splat(g2::Config::COEFF_B),
            power: windows(),
        }
    }
}

/// The sum of two values.
struct Sum<F>(F, F);

impl<F: Field> Kernel for Sum<F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        self.0.add(self.1)
    }
}

/// The exponent (p − 3) / 4 in windows of five bits, the highest first: so many squarings, then the odd power 2i + 1.
fn windows() -> &'static [(u32, usize)] {
    static WINDOWS: OnceLock<Vec<(u32, usize)>> = OnceLock::new();
    WINDOWS.get_or_init(|| {
        let bit = |i: usize| {
            // p ends in binary …11, so (p − 3) / 4 is p shifted.
            let i = i + 2;
            MODULUS
                .get(i / 64)
                .is_some_and(|limb| limb >> (i % 64) & 1 == 1)
        };
        let (mut out, mut pending, mut i) = (Vec::new(), 0, 254);
        while i > 0 {
            if !bit(i - 1) {
                pending += 1;
                i -= 1;
                continue;
            }
            let mut end = i.saturating_sub(5);
            while !bit(end) {
                end += 1;
            }
            let value = (end..i)
                .rev()
                .fold(0, |value, j| value << 1 | usize::from(bit(j)));
            out.push((pending + (i - end) as u32, value / 2));
            pending = 0;
            i = end;
        }
        if pending > 0 {
            out.push((pending, NO_POWER));
        }
        out
    })
}

/// In place of an odd power: none.
const NO_POWER: usize = usize::MAX;

/// Each value to the power (p − 3) / 4: for a square, the inverse of its square root.
#[inline(always)]
fn power<F: Field, const N: usize>(values: [F; N], constants: &Constants<F>) -> [F; N] {
    let mut squares = values;
    for square in &mut squares {
        *square = square.square();
    }
    let mut odd = [values; 16];
    for i in 1..16 {
        for j in 0..N {
            odd[i][j] = odd[i - 1][j].mul(squares[j]);
        }
    }
    let mut out = [constants.one; N];
    for (squarings, power) in constants.power {
        for _ in 0..*squarings {
            for value in &mut out {
                *value = value.square();
            }
        }
        if let Some(power) = odd.get(*power) {
            for j in 0..N {
                out[j] = out[j].mul(power[j]);
            }
        }
    }
    out
}

/// Ordinates on G1, and the lanes where both exist.
struct Roots<'a, F> {
    x: [F; 2],
    constants: &'a Constants<F>,
}

impl<F: Field> Kernel for Roots<'_, F> {
    type Output = ([F; 2], Mask);
    #[inline(always)]
    fn run(self) -> ([F; 2], Mask) {
        let mut squares = self.x;
        for square in &mut squares {
            *square = square.square().mul(*square).add(self.constants.b);
        }
        let mut roots = power(squares, self.constants);
        let mut sound = F::ALL;
        for (root, square) in roots.iter_mut().zip(&squares) {
            *root = root.mul(*square);
            sound &= root.square().equals(*square);
        }
        (roots, sound)
    }
}

/// Ordinates on the twist, and the lanes where they exist.
struct TwistRoots<'a, F, const N: usize> {
    x: &'a [Quadratic<F>; N],
    constants: &'a Constants<F>,
}

impl<F: Field, const N: usize> Kernel for TwistRoots<'_, F, N> {
    type Output = ([Quadratic<F>; N], [Mask; N]);
    /// The complex method: for a = a0 + a1 u with norm n, one of δ = (a0 ± √n) / 2 is a square or minus one, and the root is √δ + a1 / (2√δ) u. With
    /// t = δ^((p − 3)/4) and r = tδ, r² is δ or −δ. In the first case 1/r = t; in the second 1/r = −t, and the root is a1/(2r) + ru. Where a1 = 0, δ is a0.
    #[inline(always)]
    fn run(self) -> ([Quadratic<F>; N], [Mask; N]) {
        let (mut a, mut roots) = (*self.x, *self.x);
        let mut deltas = [self.constants.one; N];
        for i in 0..N {
            a[i] = a[i].square().mul(&a[i]).add(&self.constants.twist_b);
            deltas[i] = a[i].norm();
        }
        let powers = power(deltas, self.constants);
        for i in 0..N {
            let root = powers[i].mul(deltas[i]);
            let delta = root.add(a[i].c0).mul(self.constants.half);
            deltas[i] = delta.select(a[i].c1.zeros(), a[i].c0);
        }
        let powers = power(deltas, self.constants);
        let mut squares = [0; N];
        for i in 0..N {
            let r = powers[i].mul(deltas[i]);
            let other = a[i].c1.mul(self.constants.half).mul(powers[i]);
            let first = r.square().equals(deltas[i]);
            roots[i] = Quadratic {
                c0: other.neg().select(first, r),
                c1: r.select(first, other),
            };
            squares[i] = roots[i].square().equals(&a[i]);
        }
        (roots, squares)
    }
}
