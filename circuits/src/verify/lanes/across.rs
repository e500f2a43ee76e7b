//! One element of Fq12 across all lanes, for values of which there is but one: products that wait for each other do not fill lanes, but the coefficients of a
//! single product do.
//!
//! An element is Σ a_k w^k, k < 6, w⁶ = ξ, with a_k of Fq2 in lane k. Every operation is a sum of products, lane by lane, of coefficients that changed places,
//! and one reduction. A coefficient that passes w⁶ on its way comes times ξ.
//!
//! What the last two lanes hold is of no meaning, and stays settled.

use super::{
    exponentiation::{Value, frobenius},
    field::{Kernel, MAX_LANES, Mask, Places, Shuffle},
    quadratic::{Factor, Quadratic, sum_of_products},
    tower::Dodecic,
};
#[cfg(test)]
use ark_bn254::{Fq6, Fq12};

/// Coefficients of an element.
const COEFFICIENTS: usize = 6;
/// The lanes of the odd powers of w.
const ODD: Mask = 0b10_1010;

/// The element.
#[derive(Clone, Copy)]
pub(super) struct Across<F>(Quadratic<F>);

/// Lane k has a_{k − by}, times ξ where that passes w⁶, from values a and ξa.
const fn rotation(by: usize) -> Places {
    let mut places = [0; MAX_LANES];
    let mut k = 0;
    while k < COEFFICIENTS {
        places[k] = if k >= by {
            (k - by) as u64
        } else {
            (MAX_LANES + k + COEFFICIENTS - by) as u64
        };
        k += 1;
    }
    places
}

/// As [`rotation`], of places written out: those from 10 on are of ξa.
const fn places(of: [u64; COEFFICIENTS]) -> Places {
    let mut places = [0; MAX_LANES];
    let mut k = 0;
    while k < COEFFICIENTS {
        places[k] = if of[k] < 10 {
            of[k]
        } else {
            of[k] - 10 + MAX_LANES as u64
        };
        k += 1;
    }
    places
}

impl<F: Shuffle> Across<F> {
    /// The element of the first lane.
    pub(super) fn first(value: &Dodecic<F>) -> Self {
        F::call(First(value))
    }

    /// The arkworks element.
    #[cfg(test)]
    pub(super) fn element(&self) -> Fq12 {
        let [a0, a1, a2, a3, a4, a5, ..] = self.0.elements();
        Fq12::new(Fq6::new(a0, a2, a4), Fq6::new(a1, a3, a5))
    }

    pub(super) fn is_one(&self) -> bool {
        let one = Quadratic::one();
        F::call(IsOne(&self.0, &one))
    }
}

impl<F: Shuffle> Value for Across<F> {
    fn times(&self, other: &Self) -> Self {
        F::call(Mul(self, other))
    }

    /// So many squarings of an element of the cyclotomic subgroup.
    fn cyclotomic_square(&self, times: usize) -> Self {
        F::call(CyclotomicSquare(self, times))
    }

    /// To the power p⁶: the inverse, in the cyclotomic subgroup.
    fn conjugate(&self) -> Self {
        F::call(Conjugate(self))
    }

    /// To the power p^k, k < 5: every coefficient conjugated if k is odd, and multiplied by a constant.
    fn frobenius(&self, k: usize) -> Self {
        let constants = &frobenius()[k];
        let constants = Quadratic::gather(|lane| constants.get(lane).copied().unwrap_or_default());
        F::call(Frobenius(self, &constants, k))
    }

    /// The inverse, of which there is one unless the element is zero; then zero. With n the norm to Fq6, which is fixed by p⁶, and n·m its norm to Fq2, m
    /// being n to the power p² + p⁴: the conjugate times m over n·m.
    fn inverse(&self) -> Self {
        let conjugate = self.conjugate();
        let norm = self.times(&conjugate);
        let others = norm.frobenius(2).times(&norm.frobenius(4));
        let norm = norm.times(&others);
        F::call(Divide(&conjugate.times(&others), &norm.0))
    }
}

struct First<'a, F>(&'a Dodecic<F>);

impl<F: Shuffle> Kernel for First<'_, F> {
    type Output = Across<F>;
    #[inline(always)]
    fn run(self) -> Across<F> {
        let Dodecic { even, odd } = self.0;
        let mut out = even[0].shuffle([0; MAX_LANES]);
        for k in 1..COEFFICIENTS {
            let part = if k % 2 == 0 {
                &even[k / 2]
            } else {
                &odd[k / 2]
            };
            out = out.select(1 << k, &part.shuffle([0; MAX_LANES]));
        }
        Across(out)
    }
}

struct Mul<'a, F>(&'a Across<F>, &'a Across<F>);

impl<F: Shuffle> Kernel for Mul<'_, F> {
    type Output = Across<F>;
    /// c_k = Σ_j a_{k−j} b_j.
    #[inline(always)]
    fn run(self) -> Across<F> {
        let [a, turned] = factors(&self.0.0);
        let b = Factor::new(&self.1.0);
        let terms = [
            [a, b.everywhere(0)],
            [a.pick(&turned, const { rotation(1) }), b.everywhere(1)],
            [a.pick(&turned, const { rotation(2) }), b.everywhere(2)],
            [a.pick(&turned, const { rotation(3) }), b.everywhere(3)],
            [a.pick(&turned, const { rotation(4) }), b.everywhere(4)],
            [a.pick(&turned, const { rotation(5) }), b.everywhere(5)],
        ];
        Across(sum_of_products(&terms).reduce_grown())
    }
}

/// a and ξa.
#[inline(always)]
fn factors<F: Shuffle>(a: &Quadratic<F>) -> [Factor<F>; 2] {
    [Factor::new(a), Factor::new(&a.mul_xi())]
}

struct CyclotomicSquare<'a, F>(&'a Across<F>, usize);

impl<F: Shuffle> Kernel for CyclotomicSquare<'_, F> {
    type Output = Across<F>;
    /// Granger and Scott: with the squares (x + y w³)² of the pairs x = a_i, y = a_{i+3}, which are x² + ξy² and 2xy, the square's even coefficients are
    /// 3(x² + ξy²) − 2a_k, and its odd ones 3 · 2xy + 2a_k, the first of these times ξ.
    #[inline(always)]
    fn run(self) -> Across<F> {
        let mut a = self.0.0;
        for _ in 0..self.1 {
            let signed = a.neg().select(ODD, &a);
            let [x, turned] = factors(&a);
            let square = sum_of_products(&[
                [
                    x.pick(&turned, const { places([0, 15, 1, 0, 2, 1]) }),
                    x.shuffle(const { places([0, 2, 1, 3, 2, 4]) }),
                ],
                [
                    x.pick(&turned, const { places([13, 15, 14, 0, 15, 1]) }),
                    x.shuffle(const { places([3, 2, 4, 3, 5, 4]) }),
                ],
            ]);
            a = square
                .add(square)
                .add(square)
                .reduce_grown_and_double(&signed);
        }
        Across(a)
    }
}

struct Conjugate<'a, F>(&'a Across<F>);

impl<F: Shuffle> Kernel for Conjugate<'_, F> {
    type Output = Across<F>;
    #[inline(always)]
    fn run(self) -> Across<F> {
        let a = &self.0.0;
        Across(a.select(ODD, &a.neg()))
    }
}

struct Frobenius<'a, F>(&'a Across<F>, &'a Quadratic<F>, usize);

impl<F: Shuffle> Kernel for Frobenius<'_, F> {
    type Output = Across<F>;
    #[inline(always)]
    fn run(self) -> Across<F> {
        let Frobenius(Across(a), constants, k) = self;
        let a = if k % 2 == 1 { a.conjugate() } else { *a };
        Across(a.mul(constants))
    }
}

/// An element over one of Fq2 in the first lane.
struct Divide<'a, F>(&'a Across<F>, &'a Quadratic<F>);

impl<F: Shuffle> Kernel for Divide<'_, F> {
    type Output = Across<F>;
    #[inline(always)]
    fn run(self) -> Across<F> {
        let divisor = self.1.shuffle([0; MAX_LANES]);
        let norm = F::splat(super::inverse::invert(divisor.norm().first()));
        let inverse = divisor.conjugate().mul_base(norm);
        Across(self.0.0.mul(&inverse))
    }
}

struct IsOne<'a, F>(&'a Quadratic<F>, &'a Quadratic<F>);

impl<F: Shuffle> Kernel for IsOne<'_, F> {
    type Output = bool;
    #[inline(always)]
    fn run(self) -> bool {
        let IsOne(value, one) = self;
        let lanes = (1 << COEFFICIENTS) - 1;
        (value.equals(one) & 1 | value.zeros() & !1) & lanes == lanes
    }
}
