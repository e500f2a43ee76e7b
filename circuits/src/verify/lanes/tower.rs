//! The field of the pairing's values, Fq12 = Fq6\[w\] / (w² − v) over Fq6 = Fq2\[v\] / (v³ − ξ), ξ = 9 + u, in lanes.

use super::{
    field::{Field, Kernel, MAX_LANES, pack, unpack},
    quadratic::{Quadratic, Wide},
};
#[cfg(test)]
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
    #[cfg(test)]
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
        F::call(Square(self))
    }

    /// The product, with three products for four.
    pub(super) fn mul(&self, other: &Self) -> Self {
        F::call(Mul(self, other))
    }

    /// In every lane, the product of all lanes.
    pub(super) fn fold(&self) -> Self {
        let mut out = *self;
        let mut distance = 1;
        while distance < F::LANES {
            let exchange = |part: &Quadratic<F>| F::call(Exchange(part, distance));
            let neighbours = Dodecic {
                even: out.even.each_ref().map(exchange),
                odd: out.odd.each_ref().map(exchange),
            };
            out = out.mul(&neighbours);
            distance *= 2;
        }
        out
    }

    /// A value from that of each lane.
    pub(super) fn pack(lane: impl Fn(usize) -> DodecicLane<F>) -> Self {
        let part = |i: usize| Quadratic {
            c0: pack(|l| lane(l).0[2 * i]),
            c1: pack(|l| lane(l).0[2 * i + 1]),
        };
        Dodecic {
            even: [part(0), part(1), part(2)],
            odd: [part(3), part(4), part(5)],
        }
    }

    /// The value of each lane.
    pub(super) fn unpack(&self) -> [DodecicLane<F>; MAX_LANES] {
        let [a, b, c] = self
            .even
            .each_ref()
            .map(|part| [unpack(part.c0), unpack(part.c1)]);
        let [d, e, f] = self
            .odd
            .each_ref()
            .map(|part| [unpack(part.c0), unpack(part.c1)]);
        let parts = [a, b, c, d, e, f];
        std::array::from_fn(|lane| DodecicLane(std::array::from_fn(|i| parts[i / 2][i % 2][lane])))
    }
}

/// One value, as a lane holds it.
pub(super) struct DodecicLane<F: Field>([F::Element; 12]);

impl<F: Field> Clone for DodecicLane<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Field> Copy for DodecicLane<F> {}

/// Every lane's neighbour.
struct Exchange<'a, F>(&'a Quadratic<F>, usize);

impl<F: Field> Kernel for Exchange<'_, F> {
    type Output = Quadratic<F>;
    #[inline(always)]
    fn run(self) -> Quadratic<F> {
        Quadratic {
            c0: self.0.c0.exchange(self.1),
            c1: self.0.c1.exchange(self.1),
        }
    }
}

/// The product, as a function of its own.
struct Mul<'a, F>(&'a Dodecic<F>, &'a Dodecic<F>);

impl<F: Field> Kernel for Mul<'_, F> {
    type Output = Dodecic<F>;
    #[inline(always)]
    fn run(self) -> Dodecic<F> {
        self.0.mul_here(self.1)
    }
}

/// The square, as a function of its own.
struct Square<'a, F>(&'a Dodecic<F>);

impl<F: Field> Kernel for Square<'_, F> {
    type Output = Dodecic<F>;
    #[inline(always)]
    fn run(self) -> Dodecic<F> {
        self.0.square_here()
    }
}

impl<F: Field> Dodecic<F> {
    #[inline(always)]
    fn square_here(&self) -> Self {
        let both = mul(&self.even, &self.odd);
        let shifted = mul_v(&self.odd);
        let crossed = mul(&add(&self.even, &self.odd), &add(&self.even, &shifted));
        Dodecic {
            even: sub(&sub(&crossed, &both), &mul_v(&both)),
            odd: add(&both, &both),
        }
    }

    #[inline(always)]
    fn mul_here(&self, other: &Self) -> Self {
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
        // Products have a fourth coefficient, of v³ = ξ, and what comes from the odd half carries w² = v.
        self.even[0] = self.even[0].double_plus(&odd[2].reduce_grown().mul_xi());
        self.even[1] = odd[0]
            .add(odd[3].mul_xi())
            .reduce_far_and_double(&self.even[1]);
        self.even[2] = odd[1].reduce_grown_and_double(&self.even[2]);
        self.odd[0] = even[0]
            .add(even[3].mul_xi())
            .reduce_far_and_double(&self.odd[0]);
        self.odd[1] = even[1].reduce_grown_and_double(&self.odd[1]);
        self.odd[2] = even[2].reduce_grown_and_double(&self.odd[2]);
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
        let [one, minus_one] = Quadratic::evaluate([&line.slope, &line.offset]);
        Evaluated {
            zero: line.slope,
            one,
            minus_one,
            infinity: line.offset,
        }
    }

    /// Twice the four coefficients of (a0 + a1 v + a2 v²)(slope + offset v), from four products (Toom and Cook): the values at 1 and −1 are
    /// the sum and the difference of the even and the odd coefficients.
    #[inline(always)]
    fn times(&self, a: &Sextic<F>) -> [Wide<F>; 4] {
        let [one, minus_one] = Quadratic::evaluate_three([&a[0], &a[1], &a[2]]);
        let first = a[0].mul_wide(&self.zero);
        let last = a[2].mul_wide(&self.infinity);
        let one = one.mul_wide(&self.one);
        let minus_one = minus_one.mul_wide(&self.minus_one);
        let (twice_first, twice_last) = (first.add(first), last.add(last));
        [
            twice_first,
            one.sub(minus_one).sub(twice_last),
            one.add(minus_one).sub(twice_first),
            twice_last,
        ]
    }
}

#[inline(always)]
fn add<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    [a[0].add(&b[0]), a[1].add(&b[1]), a[2].add(&b[2])]
}

#[inline(always)]
fn sub<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    [a[0].sub(&b[0]), a[1].sub(&b[1]), a[2].sub(&b[2])]
}

/// Times v.
#[inline(always)]
fn mul_v<F: Field>(a: &Sextic<F>) -> Sextic<F> {
    [a[2].mul_xi(), a[0], a[1]]
}

/// Six products for nine.
#[inline(always)]
fn mul<F: Field>(a: &Sextic<F>, b: &Sextic<F>) -> Sextic<F> {
    let v0 = a[0].mul_wide(&b[0]);
    let v1 = a[1].mul_wide(&b[1]);
    let v2 = a[2].mul_wide(&b[2]);
    let c12 = a[1]
        .add(&a[2])
        .mul_wide(&b[1].add(&b[2]))
        .sub(v1)
        .sub(v2)
        .reduce();
    let c01 = a[0]
        .add(&a[1])
        .mul_wide(&b[0].add(&b[1]))
        .sub(v0)
        .sub(v1)
        .reduce();
    let c02 = a[0].add(&a[2]).mul_wide(&b[0].add(&b[2])).sub(v0).sub(v2);
    [
        v0.reduce().add(&c12.mul_xi()),
        c01.add(&v2.reduce().mul_xi()),
        c02.add(v1).reduce(),
    ]
}
