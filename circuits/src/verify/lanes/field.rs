//! The base field, in lanes: the seam between the engine and the processor.
//!
//! A [`Field`] value holds [`Field::LANES`] elements of the BN254 base field, one per lane, and every operation acts on all lanes alike. Everything
//! above this file is written once over the trait and knows neither limbs nor instructions.
//!
//! # Bounds
//!
//! Values are kept below small multiples of p instead of being reduced after every operation. There are three kinds, and each implementation says what
//! its bounds are:
//!
//! - **settled**: what every operation returns unless it says otherwise, and takes as operand;
//! - **loose**: what [`add_loose`](Field::add_loose) and [`sub_loose`](Field::sub_loose) return: a factor of a product and nothing else;
//! - **wide** ([`Field::Wide`]): a sum of products on its way to [`reduce`](Field::reduce). Counting a product of settled values as 1, of a loose and a
//!   settled one as 2, of two loose ones as 4: what is added may come to [`WIDE_PLUS`], what is subtracted to [`WIDE_MINUS`].

use super::{
    curve::{Point, Tables},
    tower::Dodecic,
};
use ark_bn254::{Fq, FqConfig};
use ark_ff::{BigInt, MontConfig, PrimeField as _};
use std::{marker::PhantomData, sync::OnceLock};

// The two bounds are what tests try, and what comments of callers count up to.
/// Products of settled values that may be added up in one wide value.
#[cfg(test)]
pub(super) const WIDE_PLUS: usize = 8;
/// Products of settled values that may be subtracted from one wide value.
#[cfg(test)]
pub(super) const WIDE_MINUS: usize = 4;
/// The most lanes an implementation has.
pub(super) const MAX_LANES: usize = 8;
/// For each lane the place of an element: a lane of one value, or of a second one from [`MAX_LANES`] on.
pub(super) type Places = [u64; MAX_LANES];
/// An element as an integer below p, least limb first.
pub(super) type Integer = [u64; 4];
/// Two elements of one lane, settled, as they are kept in memory: a cache line, and of no meaning elsewhere.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Pair(pub(super) [u64; 8]);
/// One bit per lane, the first lane lowest.
pub(super) type Mask = u8;

/// The modulus.
pub(super) const MODULUS: Integer = <FqConfig as MontConfig<4>>::MODULUS.0;
/// -1/p modulo 2^64.
pub(super) const NEGATIVE_INVERSE: u64 = <FqConfig as MontConfig<4>>::INV;

/// Work to be done with the processor's features switched on: a function whose arguments are its fields.
///
/// `run` should be `#[inline(always)]`, and so should whatever it calls over a [`Field`], except through [`Field::call`].
pub(super) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Elements of the base field in lanes.
pub(super) trait Field: Copy + Send + Sync + 'static {
    /// Elements in one value.
    const LANES: usize;
    /// The mask of all lanes.
    const ALL: Mask = (0xff_u16 >> (MAX_LANES - Self::LANES)) as Mask;
    /// A sum of products, not reduced.
    type Wide: Copy;
    /// What one lane holds.
    type Element: Copy + Send + Sync + 'static;

    /// Runs a kernel as a function of its own.
    fn call<K: Kernel>(kernel: K) -> K::Output;

    /// A value from the integer, below p, of each lane.
    fn gather(lane: impl Fn(usize) -> Integer) -> Self;
    /// The integer, below p, of each lane; zero for lanes there are none of.
    fn scatter(self) -> [Integer; MAX_LANES];
    /// A value from the element of each lane. Within a [`Kernel`]; elsewhere see [`pack`].
    fn pack(lane: impl Fn(usize) -> Self::Element) -> Self;
    /// The element of each lane, repeated for lanes there are none of. Within a [`Kernel`]; elsewhere see [`unpack`].
    fn unpack(self) -> [Self::Element; MAX_LANES];
    /// Where tables keep multiples as lanes of this field hold them.
    fn kept(tables: &Tables) -> &OnceLock<Vec<Point<Self>>>;
    /// Whether the final exponentiation of the first lane's value, which is not zero, is 1.
    fn is_one(value: &Dodecic<Self>) -> bool;
    /// Two values from what [`write`](Field::write) gave for each lane.
    fn read<'a>(lane: impl Fn(usize) -> &'a Pair) -> [Self; 2];
    /// Two values, as each lane is kept in memory.
    fn write(values: [Self; 2]) -> [Pair; MAX_LANES];
    /// The integer, below p, of the first lane.
    fn first(self) -> Integer {
        self.scatter()[0]
    }
    /// Every lane's neighbour: the lane whose number differs in one bit, of this value.
    fn exchange(self, distance: usize) -> Self;
    /// The same integer in every lane.
    fn splat(integer: Integer) -> Self {
        Self::gather(|_| integer)
    }

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn neg(self) -> Self;
    /// 9 · self + other.
    fn nine_plus(self, other: Self) -> Self;
    /// 9 · self − other.
    fn nine_minus(self, other: Self) -> Self;

    fn add_loose(self, other: Self) -> Self;
    fn sub_loose(self, other: Self) -> Self;

    /// a0 + a1 and a0 − a1, and a0 + a1 + a2 and a0 − a1 + a2: a polynomial at 1 and −1. Factors of the one product of [`reduce_grown`](Field::reduce_grown),
    /// and of nothing else.
    fn evaluate(a: [Self; 2]) -> [Self; 2];
    fn evaluate_three(a: [Self; 3]) -> [Self; 2];
    /// Reduces the sum or the difference of two products of Fq2 of a value of [`evaluate_three`](Field::evaluate_three) and one of
    /// [`evaluate`](Field::evaluate) each, less twice a product of settled values.
    fn reduce_grown(wide: Self::Wide) -> Self;

    /// [`reduce_grown`](Field::reduce_grown), and twice a settled value added.
    #[inline(always)]
    fn reduce_grown_and_double(wide: Self::Wide, value: Self) -> Self {
        Self::reduce_grown(wide).add(value.double())
    }
    /// Reduces a coefficient of 2a + 2ξb, a and b products of Fq2 of settled values, and adds twice a settled value.
    #[inline(always)]
    fn reduce_far_and_double(wide: Self::Wide, value: Self) -> Self {
        Self::reduce(wide).add(value.double())
    }
    /// 9 · a.
    #[inline(always)]
    fn wide_nine(a: Self::Wide) -> Self::Wide {
        let two = Self::wide_add(a, a);
        let four = Self::wide_add(two, two);
        Self::wide_add(Self::wide_add(four, four), a)
    }

    /// The product of two settled or loose values.
    fn mul_wide(self, other: Self) -> Self::Wide;
    fn square_wide(self) -> Self::Wide;
    fn wide_add(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn wide_sub(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn reduce(wide: Self::Wide) -> Self;

    /// `other` in the lanes of the mask, `self` elsewhere.
    fn select(self, mask: Mask, other: Self) -> Self;
    /// The lanes that are zero modulo p.
    fn zeros(self) -> Mask;

    #[inline(always)]
    fn double(self) -> Self {
        self.add(self)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::reduce(self.mul_wide(other))
    }
    #[inline(always)]
    fn square(self) -> Self {
        Self::reduce(self.square_wide())
    }
    /// 2 · self + other.
    #[inline(always)]
    fn double_plus(self, other: Self) -> Self {
        self.double().add(other)
    }
    /// self − a − b.
    #[inline(always)]
    fn sub_two(self, a: Self, b: Self) -> Self {
        self.sub(a).sub(b)
    }
    fn zero() -> Self {
        Self::splat([0; 4])
    }
    fn one() -> Self {
        Self::splat([1, 0, 0, 0])
    }
    /// The lanes where two values are equal modulo p.
    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        self.sub(other).zeros()
    }
}

/// The integer of an arkworks element.
pub(super) fn integer(element: Fq) -> Integer {
    element.into_bigint().0
}

/// A field of [`MAX_LANES`] lanes, whose elements can change places: so that one value alone can fill the lanes. Functions are for use within a [`Kernel`].
pub(super) trait Shuffle: Field {
    /// In each lane the element at its place in this value.
    fn shuffle(self, places: Places) -> Self;
    /// In each lane the element at its place in either of two values.
    fn pick(self, other: Self, places: Places) -> Self;
    /// In every lane the element of one.
    fn everywhere(self, lane: usize) -> Self;
    /// The sum of products, six of settled values at most.
    fn sum_of_products<const N: usize>(terms: &[[Self; 2]; N]) -> Self::Wide;
}

/// The arkworks element of an integer below p.
pub(super) fn element(integer: Integer) -> Fq {
    Fq::from_bigint(BigInt(integer)).unwrap_or_default()
}

/// A value from one arkworks element per lane.
pub(super) fn gather<F: Field>(lane: impl Fn(usize) -> Fq) -> F {
    F::gather(|i| integer(lane(i)))
}

/// [`Field::pack`], as a function of its own.
pub(super) fn pack<F: Field>(lane: impl Fn(usize) -> F::Element) -> F {
    F::call(Pack(lane, PhantomData))
}

struct Pack<L, F>(L, PhantomData<F>);

impl<F: Field, L: Fn(usize) -> F::Element> Kernel for Pack<L, F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        F::pack(self.0)
    }
}

/// [`Field::unpack`], as a function of its own.
pub(super) fn unpack<F: Field>(value: F) -> [F::Element; MAX_LANES] {
    F::call(Unpack(value))
}

struct Unpack<F>(F);

impl<F: Field> Kernel for Unpack<F> {
    type Output = [F::Element; MAX_LANES];
    #[inline(always)]
    fn run(self) -> [F::Element; MAX_LANES] {
        self.0.unpack()
    }
}

/// The lowest `n` lanes.
pub(super) fn lowest(n: usize) -> Mask {
    if n >= MAX_LANES {
        Mask::MAX
    } else {
        (1_u8 << n) - 1
    }
}

/// Inverts every lane, none of which may be zero: one inversion, of their product.
pub(super) fn invert<F: Field>(value: F) -> F {
    F::call(Inverse(value))
}

struct Inverse<F>(F);

impl<F: Field> Kernel for Inverse<F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        // The product of a growing block of lanes around each lane, and of all others in the block.
        let (mut product, mut others) = (self.0, None);
        let mut distance = 1;
        while distance < F::LANES {
            let neighbours = product.exchange(distance);
            product = product.mul(neighbours);
            others = Some(match others {
                None => neighbours,
                Some(others) => neighbours.mul(others),
            });
            distance *= 2;
        }
        let inverse = F::splat(super::inverse::invert(product.first()));
        match others {
            None => inverse,
            Some(others) => inverse.mul(others),
        }
    }
}
