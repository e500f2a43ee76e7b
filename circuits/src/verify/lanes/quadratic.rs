//! The quadratic extension Fq2 = Fq\[u\] / (u² + 1), in lanes.

#[cfg(test)]
use super::field::element;
use super::field::{Field, Integer, Kernel, MAX_LANES, Mask, Places, Shuffle, integer};
use ark_bn254::Fq2;

/// c0 + c1 · u.
#[derive(Clone, Copy)]
pub(super) struct Quadratic<F> {
    pub(super) c0: F,
    pub(super) c1: F,
}

/// A sum of products of [`Quadratic`] values, not reduced: see [`Field::Wide`] for how much fits.
#[derive(Clone, Copy)]
pub(super) struct Wide<F: Field> {
    c0: F::Wide,
    c1: F::Wide,
}

/// Product, as a function of its own: this many instructions are better not repeated.
struct Mul<'a, F>(&'a Quadratic<F>, &'a Quadratic<F>);
struct MulWide<'a, F>(&'a Quadratic<F>, &'a Quadratic<F>);
struct Square<'a, F>(&'a Quadratic<F>);

impl<F: Field> Kernel for Mul<'_, F> {
    type Output = Quadratic<F>;
    #[inline(always)]
    fn run(self) -> Quadratic<F> {
        karatsuba(self.0, self.1).reduce()
    }
}

impl<F: Field> Kernel for MulWide<'_, F> {
    type Output = Wide<F>;
    #[inline(always)]
    fn run(self) -> Wide<F> {
        karatsuba(self.0, self.1)
    }
}

impl<F: Field> Kernel for Square<'_, F> {
    type Output = Quadratic<F>;
    /// (c0 + c1)(c0 − c1) + 2 c0 c1 u.
    #[inline(always)]
    fn run(self) -> Quadratic<F> {
        let Quadratic { c0, c1 } = *self.0;
        Quadratic {
            c0: c0.add_loose(c1).mul(c0.sub_loose(c1)),
            c1: c0.add_loose(c0).mul(c1),
        }
    }
}

/// Three products for four: c1 is (a0 + a1)(b0 + b1) less the other two.
#[inline(always)]
fn karatsuba<F: Field>(a: &Quadratic<F>, b: &Quadratic<F>) -> Wide<F> {
    let first = a.c0.mul_wide(b.c0);
    let second = a.c1.mul_wide(b.c1);
    let both = a.c0.add_loose(a.c1).mul_wide(b.c0.add_loose(b.c1));
    Wide {
        c0: F::wide_sub(first, second),
        c1: F::wide_sub(F::wide_sub(both, first), second),
    }
}

/// A settled value, and the sum of its coefficients: a factor of [`sum_of_products`].
#[derive(Clone, Copy)]
pub(super) struct Factor<F> {
    c0: F,
    c1: F,
    sum: F,
}

impl<F: Shuffle> Factor<F> {
    #[inline(always)]
    pub(super) fn new(value: &Quadratic<F>) -> Self {
        Factor {
            c0: value.c0,
            c1: value.c1,
            sum: value.c0.add_loose(value.c1),
        }
    }

    /// [`Shuffle::shuffle`].
    #[inline(always)]
    pub(super) fn shuffle(&self, places: Places) -> Self {
        Factor {
            c0: self.c0.shuffle(places),
            c1: self.c1.shuffle(places),
            sum: self.sum.shuffle(places),
        }
    }

    /// [`Shuffle::pick`].
    #[inline(always)]
    pub(super) fn pick(&self, other: &Self, places: Places) -> Self {
        Factor {
            c0: self.c0.pick(other.c0, places),
            c1: self.c1.pick(other.c1, places),
            sum: self.sum.pick(other.sum, places),
        }
    }

    /// [`Shuffle::everywhere`].
    #[inline(always)]
    pub(super) fn everywhere(&self, lane: usize) -> Self {
        Factor {
            c0: self.c0.everywhere(lane),
            c1: self.c1.everywhere(lane),
            sum: self.sum.everywhere(lane),
        }
    }
}

/// The sum of products, six at most, by three sums of products of the base field for four: to be [reduced](Wide::reduce_grown), c0 being between −96p² and 96p²,
/// and c1 below 192p².
#[inline(always)]
pub(super) fn sum_of_products<F: Shuffle, const N: usize>(terms: &[[Factor<F>; 2]; N]) -> Wide<F> {
    let mut parts = [[[terms[0][0].c0; 2]; N]; 3];
    for i in 0..N {
        let [a, b] = &terms[i];
        parts[0][i] = [a.c0, b.c0];
        parts[1][i] = [a.c1, b.c1];
        parts[2][i] = [a.sum, b.sum];
    }
    let first = F::sum_of_products(&parts[0]);
    let second = F::sum_of_products(&parts[1]);
    let both = F::sum_of_products(&parts[2]);
    Wide {
        c0: F::wide_sub(first, second),
        c1: F::wide_sub(F::wide_sub(both, first), second),
    }
}

impl<F: Field> Wide<F> {
    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        Wide {
            c0: F::wide_add(self.c0, other.c0),
            c1: F::wide_add(self.c1, other.c1),
        }
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        Wide {
            c0: F::wide_sub(self.c0, other.c0),
            c1: F::wide_sub(self.c1, other.c1),
        }
    }

    /// [`Field::reduce_grown`].
    #[inline(always)]
    pub(super) fn reduce_grown(self) -> Quadratic<F> {
        Quadratic {
            c0: F::reduce_grown(self.c0),
            c1: F::reduce_grown(self.c1),
        }
    }

    /// [`Field::reduce_grown_and_double`].
    #[inline(always)]
    pub(super) fn reduce_grown_and_double(self, value: &Quadratic<F>) -> Quadratic<F> {
        Quadratic {
            c0: F::reduce_grown_and_double(self.c0, value.c0),
            c1: F::reduce_grown_and_double(self.c1, value.c1),
        }
    }

    /// [`Field::reduce_far_and_double`].
    #[inline(always)]
    pub(super) fn reduce_far_and_double(self, value: &Quadratic<F>) -> Quadratic<F> {
        Quadratic {
            c0: F::reduce_far_and_double(self.c0, value.c0),
            c1: F::reduce_far_and_double(self.c1, value.c1),
        }
    }

    /// Times ξ.
    #[inline(always)]
    pub(super) fn mul_xi(self) -> Self {
        Wide {
            c0: F::wide_sub(F::wide_nine(self.c0), self.c1),
            c1: F::wide_add(F::wide_nine(self.c1), self.c0),
        }
    }

    #[inline(always)]
    pub(super) fn reduce(self) -> Quadratic<F> {
        Quadratic {
            c0: F::reduce(self.c0),
            c1: F::reduce(self.c1),
        }
    }
}

impl<F: Field> Quadratic<F> {
    pub(super) fn zero() -> Self {
        let c0 = F::zero();
        Quadratic { c0, c1: c0 }
    }

    pub(super) fn one() -> Self {
        Quadratic {
            c0: F::one(),
            c1: F::zero(),
        }
    }

    /// A value from one arkworks element per lane.
    pub(super) fn gather(lane: impl Fn(usize) -> Fq2) -> Self {
        Quadratic {
            c0: F::gather(|i| integer(lane(i).c0)),
            c1: F::gather(|i| integer(lane(i).c1)),
        }
    }

    pub(super) fn splat(value: Fq2) -> Self {
        Self::gather(|_| value)
    }

    /// The integers of each lane.
    pub(super) fn scatter(&self) -> [[Integer; 2]; MAX_LANES] {
        let (c0, c1) = (self.c0.scatter(), self.c1.scatter());
        std::array::from_fn(|i| [c0[i], c1[i]])
    }

    /// The arkworks element of each lane.
    #[cfg(test)]
    pub(super) fn elements(&self) -> [Fq2; MAX_LANES] {
        self.scatter()
            .map(|[c0, c1]| Fq2::new(element(c0), element(c1)))
    }

    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        Quadratic {
            c0: self.c0.add(other.c0),
            c1: self.c1.add(other.c1),
        }
    }

    #[inline(always)]
    pub(super) fn sub(&self, other: &Self) -> Self {
        Quadratic {
            c0: self.c0.sub(other.c0),
            c1: self.c1.sub(other.c1),
        }
    }

    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    /// 2 · self + other.
    #[inline(always)]
    pub(super) fn double_plus(&self, other: &Self) -> Self {
        Quadratic {
            c0: self.c0.double_plus(other.c0),
            c1: self.c1.double_plus(other.c1),
        }
    }

    /// self − a − b.
    #[inline(always)]
    pub(super) fn sub_two(&self, a: &Self, b: &Self) -> Self {
        Quadratic {
            c0: self.c0.sub_two(a.c0, b.c0),
            c1: self.c1.sub_two(a.c1, b.c1),
        }
    }

    /// [`Field::evaluate`].
    #[inline(always)]
    pub(super) fn evaluate([a, b]: [&Self; 2]) -> [Self; 2] {
        let [plus0, minus0] = F::evaluate([a.c0, b.c0]);
        let [plus1, minus1] = F::evaluate([a.c1, b.c1]);
        [
            Quadratic {
                c0: plus0,
                c1: plus1,
            },
            Quadratic {
                c0: minus0,
                c1: minus1,
            },
        ]
    }

    /// [`Field::evaluate_three`].
    #[inline(always)]
    pub(super) fn evaluate_three([a, b, c]: [&Self; 3]) -> [Self; 2] {
        let [plus0, minus0] = F::evaluate_three([a.c0, b.c0, c.c0]);
        let [plus1, minus1] = F::evaluate_three([a.c1, b.c1, c.c1]);
        [
            Quadratic {
                c0: plus0,
                c1: plus1,
            },
            Quadratic {
                c0: minus0,
                c1: minus1,
            },
        ]
    }

    #[inline(always)]
    pub(super) fn neg(&self) -> Self {
        Quadratic {
            c0: self.c0.neg(),
            c1: self.c1.neg(),
        }
    }

    #[inline(always)]
    pub(super) fn conjugate(&self) -> Self {
        Quadratic {
            c0: self.c0,
            c1: self.c1.neg(),
        }
    }

    /// Times ξ = 9 + u, the constant of the tower.
    #[inline(always)]
    pub(super) fn mul_xi(&self) -> Self {
        Quadratic {
            c0: self.c0.nine_minus(self.c1),
            c1: self.c1.nine_plus(self.c0),
        }
    }

    #[inline(always)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        F::call(Mul(self, other))
    }

    #[inline(always)]
    pub(super) fn mul_wide(&self, other: &Self) -> Wide<F> {
        F::call(MulWide(self, other))
    }

    #[inline(always)]
    pub(super) fn square(&self) -> Self {
        F::call(Square(self))
    }

    #[inline(always)]
    pub(super) fn mul_base(&self, factor: F) -> Self {
        Quadratic {
            c0: self.c0.mul(factor),
            c1: self.c1.mul(factor),
        }
    }

    /// c0² + c1²: zero only for zero, for −1 is no square.
    #[inline(always)]
    pub(super) fn norm(&self) -> F {
        F::reduce(F::wide_add(self.c0.square_wide(), self.c1.square_wide()))
    }

    #[inline(always)]
    pub(super) fn select(&self, mask: Mask, other: &Self) -> Self {
        Quadratic {
            c0: self.c0.select(mask, other.c0),
            c1: self.c1.select(mask, other.c1),
        }
    }

    /// [`Shuffle::shuffle`].
    #[inline(always)]
    pub(super) fn shuffle(&self, places: Places) -> Self
    where
        F: Shuffle,
    {
        Quadratic {
            c0: self.c0.shuffle(places),
            c1: self.c1.shuffle(places),
        }
    }

    #[inline(always)]
    pub(super) fn zeros(&self) -> Mask {
        self.c0.zeros() & self.c1.zeros()
    }

    #[inline(always)]
    pub(super) fn equals(&self, other: &Self) -> Mask {
        self.sub(other).zeros()
    }
}
