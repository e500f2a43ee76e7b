//! The field of the pairing's values, Fq12 = Fq6\[w\] / (w² − v) over Fq6 = Fq2\[v\] / (v³ − ξ), ξ = 9 + u, in lanes.

use super::{
    field::{Field, MAX_LANES},
    quadratic::{Quadratic, Wide},
};
use ark_bn254::{Fq6, Fq12};

/// c0 + c1 v + c2 v².
pub(super) type Sextic<F> = [Quadratic<F>; 3];

/// even + odd · w.
#[derive(Clone, Copy)]
pub(super) struct Dodecic<F> {
    pub(super) even: Sextic<F>,
    pub(super) odd: Sextic<F>,
}

/// A line, as a value of the Miller loop: 1 + slope · w + offset · v w.
#[derive(Clone, Copy)]
pub(super) struct Line<F> {
    pub(super) slope: Quadratic<F>,
    pub(super) offset: Quadratic<F>,
}

impl<F: Field> Dodecic<F> {
    pub(super) fn one() -> Self {
        let zero = Quadratic::zero();
        Dodecic {
            even: [Quadratic::one(), zero, zero],
            odd: [zero; 3],
        }
    }

    /// The arkworks element of each lane.
    pub(super) fn elements(&self) -> [Fq12; MAX_LANES] {
        let sextic = |parts: &Sextic<F>| {
            let [c0, c1, c2] = parts.each_ref().map(Quadratic::elements);
            std::array::from_fn::<_, MAX_LANES, _>(|i| Fq6::new(c0[i], c1[i], c2[i]))
        };
        let (even, odd) = (sextic(&self.even), sextic(&self.odd));
        std::array::from_fn(|i| Fq12::new(even[i], odd[i]))
    }

    /// (even + odd w)² = even² + odd² v + 2 even odd w, with two products for three.
    pub(super) fn square(&self) -> Self {
        let both = mul(&self.even, &self.odd);
        let shifted = mul_v(&self.odd);
        let crossed = mul(&add(&self.even, &self.odd), &add(&self.even, &shifted));
        Dodecic {
            even: sub(&sub(&crossed, &both), &mul_v(&both)),
            odd: add(&both, &both),
        }
    }

    /// The product, with three products for four.
    #[cfg(test)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let even = mul(&self.even, &other.even);
        let odd = mul(&self.odd, &other.odd);
        let crossed = mul(&add(&self.even, &self.odd), &add(&other.even, &other.odd));
        Dodecic {
            even: add(&even, &mul_v(&odd)),
            odd: sub(&sub(&crossed, &even), &odd),
        }
    }

    /// **Twice** the product with a line. Factors of the base field vanish in the final exponentiation, and twice the product is what interpolation gives
    /// without division.
    #[inline(always)]
    pub(super) fn mul_line(&mut self, line: &Line<F>) {
        let line = Evaluated::new(line);
        let (even, odd) = (line.times(&self.even), line.times(&self.odd));
        let times_two = |own: &Sextic<F>, added: [&Quadratic<F>; 3]| -> Sextic<F> {
            std::array::from_fn(|i| own[i].double_plus(added[i]))
        };
        // Products have a fourth coefficient, of v³ = ξ, and what comes from the odd half carries w² = v.
        let wrapped = odd[0].add(&odd[3].mul_xi());
        self.even = times_two(&self.even, [&odd[2].mul_xi(), &wrapped, &odd[1]]);
        let wrapped = even[0].add(&even[3].mul_xi());
        self.odd = times_two(&self.odd, [&wrapped, &even[1], &even[2]]);
    }
}

/// slope + offset · v at v = 0, 1, −1 and ∞.
struct Evaluated<F> {
    zero: Quadratic<F>,
    one: Quadratic<F>,
    minus_one: Quadratic<F>,
    infinity: Quadratic<F>,
}

impl<F: Field> Evaluated<F> {
    #[inline(always)]
    fn new(line: &Line<F>) -> Self {
        Evaluated {
            zero: line.slope,
            one: line.slope.add(&line.offset),
            minus_one: line.slope.sub(&line.offset),
            infinity: line.offset,
        }
    }

    /// Twice the four coefficients of (a0 + a1 v + a2 v²)(slope + offset v), from four products (Toom and Cook): the values at 1 and −1 are
    /// the sum and the difference of the even and the odd coefficients.
    #[inline(always)]
    fn times(&self, a: &Sextic<F>) -> [Quadratic<F>; 4] {
        let ends = a[0].add(&a[2]);
        let first = a[0].mul_wide(&self.zero);
        let last = a[2].mul_wide(&self.infinity);
        let one = ends.add(&a[1]).mul_wide(&self.one);
        let minus_one = ends.sub(&a[1]).mul_wide(&self.minus_one);
        let (twice_first, twice_last) = (first.add(first), last.add(last));
        // At most two products of Fq2, twice: eight of settled values added, four subtracted.
        [
            twice_first.reduce(),
            one.sub(minus_one).sub(twice_last).reduce(),
            one.add(minus_one).sub(twice_first).reduce(),
            twice_last.reduce(),
        ]
    }
}

fn add<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    std::array::from_fn(|i| a[i].add(&b[i]))
}

fn sub<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    std::array::from_fn(|i| a[i].sub(&b[i]))
}

/// Times v.
fn mul_v<F: Field>(a: &Sextic<F>) -> Sextic<F> {
    [a[2].mul_xi(), a[0], a[1]]
}

/// Six products for nine.
fn mul<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    let [v0, v1, v2]: [Wide<F>; 3] = std::array::from_fn(|i| a[i].mul_wide(&b[i]));
    let cross = |i: usize, j: usize| a[i].add(&a[j]).mul_wide(&b[i].add(&b[j]));
    let c12 = cross(1, 2).sub(v1).sub(v2).reduce();
    let c01 = cross(0, 1).sub(v0).sub(v1).reduce();
    [
        v0.reduce().add(&c12.mul_xi()),
        c01.add(&v2.reduce().mul_xi()),
        cross(0, 2).sub(v0).sub(v2).add(v1).reduce(),
    ]
}
