//! Proof bytes to points, in lanes: the square roots that compressed points need, all at once.
//!
//! What this decodes is what arkworks decodes, with the same verdict. G2 membership is not checked here: the Miller loop tells.

use super::{
    curve::Points,
    field::{Field, Integer, Kernel, MODULUS, Mask},
    miller::TwistPoints,
    quadratic::Quadratic,
};
use crate::evidence::ProofBytes;
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

/// What becomes of bytes that are not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// No point.
    Malformed,
    /// Rare enough to be left to the single verifier: an identity, or an abscissa on which the square root used here may fail.
    Odd,
}

impl Encoded {
    /// Splits the bytes: flags, and coordinates below p.
    pub(super) fn read(bytes: &ProofBytes) -> Result<Self, Undecoded> {
        let mut parts = [[0; 32]; 4];
        for (part, chunk) in parts.iter_mut().zip(bytes.0.chunks_exact(32)) {
            part.copy_from_slice(chunk);
        }
        let [mut a, b0, mut b1, mut c] = parts;
        let mut greater = [false; 3];
        for (last, greater) in [&mut a[31], &mut b1[31], &mut c[31]]
            .into_iter()
            .zip(&mut greater)
        {
            if *last & IDENTITY != 0 {
                return Err(Undecoded::Odd);
            }
            *greater = *last & GREATER != 0;
            *last &= !GREATER;
        }
        Ok(Encoded {
            a: coordinate(a)?,
            b: [coordinate(b0)?, coordinate(b1)?],
            c: coordinate(c)?,
            greater,
        })
    }
}

/// A little-endian integer below p.
fn coordinate(bytes: [u8; 32]) -> Result<Integer, Undecoded> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_le_bytes(chunk.try_into().map_err(|_| Undecoded::Malformed)?);
    }
    let below = limbs.iter().rev().lt(MODULUS.iter().rev());
    below.then_some(limbs).ok_or(Undecoded::Malformed)
}

/// Decoded proofs, one per lane.
pub(super) struct Decoded<F> {
    pub(super) a: Points<F>,
    pub(super) b: TwistPoints<F>,
    pub(super) c: Points<F>,
    /// Lanes with three points on their curves. The other lanes hold nothing of use.
    pub(super) sound: Mask,
    /// Lanes that are not sound, but might have been had the square root been another.
    pub(super) odd: Mask,
}

/// Finds the ordinates of as many proofs as there are lanes; the last is repeated if they are fewer.
pub(super) fn decode<F: Field>(proofs: &[Encoded], constants: &Constants<F>) -> Option<Decoded<F>> {
    let last = proofs.last()?;
    let of = |lane: usize| proofs.get(lane).unwrap_or(last);
    let ax = F::gather(|i| of(i).a);
    let cx = F::gather(|i| of(i).c);
    let bx = Quadratic {
        c0: F::gather(|i| of(i).b[0]),
        c1: F::gather(|i| of(i).b[1]),
    };
    let (mut y, squares) = F::call(Roots {
        x: [ax, cx],
        constants,
    });
    for (y, place) in y.iter_mut().zip([0, 2]) {
        let found = y.scatter();
        let wrong = mask::<F>(|i| is_greater(&found[i]) != of(i).greater[place]);
        *y = y.select(wrong, y.neg());
    }
    let (by, twist) = F::call(TwistRoot { x: &bx, constants });
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
    Some(Decoded {
        a: Points { x: ax, y: ay },
        b: TwistPoints {
            x: bx,
            y: by.select(wrong, &by.neg()),
        },
        c: Points { x: cx, y: cy },
        sound: squares & twist.square,
        odd: squares & !twist.square & twist.odd,
    })
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

/// Ordinates on the twist.
struct TwistRoot<'a, F> {
    x: &'a Quadratic<F>,
    constants: &'a Constants<F>,
}

struct TwistFound {
    /// Lanes where the ordinate exists.
    square: Mask,
    /// Lanes where it might, had the method not divided by zero.
    odd: Mask,
}

impl<F: Field> Kernel for TwistRoot<'_, F> {
    type Output = (Quadratic<F>, TwistFound);
    /// The complex method: for a = a0 + a1 u with norm n, one of δ = (a0 ± √n) / 2 is a square, and the root is √δ + a1 / (2√δ) u. With
    /// t = δ^((p − 3)/4) and r = tδ, r² is δ or −δ. In the first case 1/r = t; in the second 1/r = −t, and the root is a1/(2r) + ru.
    #[inline(always)]
    fn run(self) -> (Quadratic<F>, TwistFound) {
        let a = self.x.square().mul(self.x).add(&self.constants.twist_b);
        let norm = a.norm();
        let [t] = power([norm], self.constants);
        let delta = t.mul(norm).add(a.c0).mul(self.constants.half);
        let [t] = power([delta], self.constants);
        let r = t.mul(delta);
        let other = a.c1.mul(self.constants.half).mul(t);
        let first = r.square().equals(delta);
        let root = Quadratic {
            c0: other.neg().select(first, r),
            c1: r.select(first, other),
        };
        let found = TwistFound {
            square: root.square().equals(&a),
            odd: a.c1.zeros(),
        };
        (root, found)
    }
}
