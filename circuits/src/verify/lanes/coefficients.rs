//! Coefficients of the linear combination that are cheap to multiply by.
//!
//! G1 has an endomorphism φ(x, y) = (βx, y) that costs one product, and acts as a cube root of unity ω: so multiples by Eisenstein integers a + bω are at hand.
//! A coefficient is 4^32 + Σ d_i 4^i, i < 32, with digits d_i out of sixteen Eisenstein integers that differ modulo 4: 128 random bits give 2^128 distinct
//! coefficients, each in 64 doublings and 32 additions. They are distinct modulo r too, for a difference has a norm far below r.
//!
//! The leading 1 lets a multiplication start from the point itself. Then no addition on the way is exceptional: a multiple met is k with |k| ≥ 1, so
//! |4k| ≥ 4 exceeds |d| ≤ 2, and 4k = ±d modulo r would take a norm of r. From the second digit on |k| ≥ 2, so |2k| ≥ 4 exceeds it too, and 4k + d may be
//! reached as (2k + d) + 2k.

use super::field::Integer;
use ark_bn254::{Fq, Fr};
use ark_ec::scalar_mul::glv::GLVConfig;
use ark_ff::{AdditiveGroup, PrimeField};

/// Digits below the leading one.
pub(super) const DIGITS: usize = 32;

/// A digit is zero, or one of three representatives times a unit: six times 1, six times 1 − ω, and 2 times three, for 2 ≡ −2 modulo 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digit {
    /// 1, 1 − ω or 2.
    pub(super) representative: usize,
    /// The power of ω.
    pub(super) rotation: usize,
    pub(super) negative: bool,
}

/// A coefficient: that of 128 random bits, or 1, for a combination of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coefficient {
    Random(u128),
    One,
}

impl Coefficient {
    /// Whether there is a digit above the others, which is 1.
    pub(super) fn leads(self) -> bool {
        matches!(self, Coefficient::Random(_))
    }

    /// The digits below the leading one, the highest first; `None` is zero.
    pub(super) fn digits(self) -> impl Iterator<Item = Option<Digit>> {
        let bits = match self {
            Coefficient::Random(bits) => bits,
            Coefficient::One => 1,
        };
        (0..DIGITS)
            .rev()
            .map(move |i| TABLE[(bits >> (4 * i)) as usize & 15])
    }

    /// The scalar it multiplies by.
    pub(super) fn scalar(self) -> Fr {
        // Real part and part of ω: both below 4^33.
        let (mut a, mut b) = (i128::from(self.leads()), 0_i128);
        for digit in self.digits() {
            let (c, d) = digit.map_or((0, 0), Digit::coordinates);
            (a, b) = (4 * a + c, 4 * b + d);
        }
        signed(a) + signed(b) * ark_bn254::g1::Config::LAMBDA
    }
}

fn signed(value: i128) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// The sixteen digits.
const TABLE: [Option<Digit>; 16] = {
    let mut table = [None; 16];
    let mut i = 1;
    while i < 16 {
        table[i] = Some(Digit {
            representative: (i - 1) / 6,
            rotation: (i - 1) % 3,
            negative: (i - 1) % 6 >= 3,
        });
        i += 1;
    }
    table
};

/// The representatives, turned by the powers of ω: a and b of a + bω.
const COORDINATES: [[(i128, i128); 3]; 3] = {
    let mut table = [[(1, 0); 3], [(1, -1); 3], [(2, 0); 3]];
    let mut i = 0;
    while i < 3 {
        let mut j = 1;
        while j < 3 {
            // (a + bω) ω, with ω² = −1 − ω.
            let (a, b) = table[i][j - 1];
            table[i][j] = (-b, a - b);
            j += 1;
        }
        i += 1;
    }
    table
};

impl Digit {
    /// a and b of a + bω.
    fn coordinates(self) -> (i128, i128) {
        let (a, b) = COORDINATES[self.representative][self.rotation];
        if self.negative { (-a, -b) } else { (a, b) }
    }
}

/// β, and its square.
pub(super) fn beta() -> [Integer; 2] {
    let beta: Fq = ark_bn254::g1::Config::ENDO_COEFFS
        .first()
        .copied()
        .unwrap_or(Fq::ZERO);
    [beta, beta * beta].map(|element| element.into_bigint().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_sixteen_digits_differ_modulo_four() {
        let residues: BTreeSet<_> = (0..16)
            .map(|i| TABLE[i].map_or((0, 0), Digit::coordinates))
            .map(|(a, b)| (a.rem_euclid(4), b.rem_euclid(4)))
            .collect();
        assert_eq!(residues.len(), 16);
    }
}
