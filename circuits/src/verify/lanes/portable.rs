//! One lane of four 64-bit limbs: for every machine.
//!
//! Montgomery form with R = 2^256, as in arkworks. Settled values are below p, loose ones below 2p, wide ones below pR (5.29 p², so that a product of two
//! loose values fits; sums wrap around modulo pR). So one conditional subtraction ends every operation.

use super::{
    curve::{Point, Tables},
    exponentiation::Value,
    field::{Field, Integer, Kernel, MAX_LANES, MODULUS, Mask, NEGATIVE_INVERSE, Pair},
    tower::Dodecic,
};
use ark_bn254::FqConfig;
use ark_ff::MontConfig;
use std::sync::OnceLock;

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable([u64; 4]);

/// R² modulo p.
const R2: [u64; 4] = <FqConfig as MontConfig<4>>::R2.0;

#[inline(always)]
fn add_carry(a: u64, b: u64, carry: &mut u64) -> u64 {
    let (first, one) = a.overflowing_add(b);
    let (second, two) = first.overflowing_add(*carry);
    *carry = u64::from(one | two);
    second
}

#[inline(always)]
fn sub_borrow(a: u64, b: u64, borrow: &mut u64) -> u64 {
    let (first, one) = a.overflowing_sub(b);
    let (second, two) = first.overflowing_sub(*borrow);
    *borrow = u64::from(one | two);
    second
}

/// a + b · c + carry, which fits in two limbs: no operation here wraps, but checks that it does not would cost as much as itself.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, carry: &mut u64) -> u64 {
    let product = u128::from(b).wrapping_mul(u128::from(c));
    let sum = product
        .wrapping_add(u128::from(a))
        .wrapping_add(u128::from(*carry));
    *carry = (sum >> 64) as u64;
    sum as u64
}

/// The sum modulo 2^256, and the carry.
#[inline(always)]
fn sum(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], u64) {
    let mut carry = 0;
    let limbs = std::array::from_fn(|i| add_carry(a[i], b[i], &mut carry));
    (limbs, carry)
}

/// The difference modulo 2^256, and the borrow.
#[inline(always)]
fn difference(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], u64) {
    let mut borrow = 0;
    let limbs = std::array::from_fn(|i| sub_borrow(a[i], b[i], &mut borrow));
    (limbs, borrow)
}

/// From below 2p to below p.
#[inline(always)]
fn settle(a: [u64; 4]) -> [u64; 4] {
    let (less, borrow) = difference(a, MODULUS);
    checked(if borrow == 0 { less } else { a })
}

/// In debug builds, asserts that a value is below p; or that a wide one is below pR, of its upper half.
#[inline(always)]
fn checked(limbs: [u64; 4]) -> [u64; 4] {
    debug_assert_eq!(difference(limbs, MODULUS).1, 1, "{limbs:x?}");
    limbs
}

/// p in the limbs if the bit is set, else zero.
#[inline(always)]
fn modulus_if(bit: u64) -> [u64; 4] {
    MODULUS.map(|limb| limb & bit.wrapping_neg())
}

#[inline(always)]
fn halves(wide: [u64; 8]) -> ([u64; 4], [u64; 4]) {
    let [a, b, c, d, e, f, g, h] = wide;
    ([a, b, c, d], [e, f, g, h])
}

#[inline(always)]
fn join(low: [u64; 4], high: [u64; 4]) -> [u64; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (low, high);
    [a, b, c, d, e, f, g, h]
}

impl Field for Portable {
    const LANES: usize = 1;
    type Wide = [u64; 8];
    type Element = Portable;

    #[inline(never)]
    fn call<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }

    #[inline(always)]
    fn gather(lane: impl Fn(usize) -> Integer) -> Self {
        Portable(lane(0)).mul(Portable(R2))
    }

    #[inline(always)]
    fn scatter(self) -> [Integer; MAX_LANES] {
        let mut out = [[0; 4]; MAX_LANES];
        out[0] = Self::reduce(join(self.0, [0; 4])).0;
        out
    }

    #[inline(always)]
    fn pack(lane: impl Fn(usize) -> Portable) -> Self {
        lane(0)
    }

    #[inline(always)]
    fn unpack(self) -> [Portable; MAX_LANES] {
        [self; MAX_LANES]
    }

    fn kept(tables: &Tables) -> &OnceLock<Vec<Point<Self>>> {
        &tables.portable
    }

    fn is_one(value: &Dodecic<Self>) -> bool {
        value.final_exponentiation().is_unit() == Self::ALL
    }

    #[inline(always)]
    fn read<'a>(lane: impl Fn(usize) -> &'a Pair) -> [Self; 2] {
        let (low, high) = halves(lane(0).0);
        [Portable(low), Portable(high)]
    }

    #[inline(always)]
    fn write([low, high]: [Self; 2]) -> [Pair; MAX_LANES] {
        [Pair(join(low.0, high.0)); MAX_LANES]
    }

    #[inline(always)]
    fn exchange(self, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Portable(settle(sum(self.0, other.0).0))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (less, borrow) = difference(self.0, other.0);
        Portable(checked(sum(less, modulus_if(borrow)).0))
    }

    #[inline(always)]
    fn neg(self) -> Self {
        Portable([0; 4]).sub(self)
    }

    #[inline(always)]
    fn nine_plus(self, other: Self) -> Self {
        self.double().double().double().add(self.add(other))
    }

    #[inline(always)]
    fn nine_minus(self, other: Self) -> Self {
        self.double().double().double().add(self.sub(other))
    }

    #[inline(always)]
    fn add_loose(self, other: Self) -> Self {
        Portable(sum(self.0, other.0).0)
    }

    #[inline(always)]
    fn sub_loose(self, other: Self) -> Self {
        let (less, _) = difference(MODULUS, other.0);
        Portable(sum(self.0, less).0)
    }

    #[inline(always)]
    fn evaluate([a0, a1]: [Self; 2]) -> [Self; 2] {
        [a0.add(a1), a0.sub(a1)]
    }

    #[inline(always)]
    fn evaluate_three([a0, a1, a2]: [Self; 3]) -> [Self; 2] {
        Self::evaluate([a0.add(a2), a1])
    }

    #[inline(always)]
    fn reduce_grown(wide: [u64; 8]) -> Self {
        Self::reduce(wide)
    }

    #[inline(always)]
    fn mul_wide(self, other: Self) -> [u64; 8] {
        let mut wide = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                wide[i + j] = multiply_add(wide[i + j], self.0[i], other.0[j], &mut carry);
            }
            wide[i + 4] = carry;
        }
        checked(halves(wide).1);
        wide
    }

    #[inline(always)]
    fn square_wide(self) -> [u64; 8] {
        let a = self.0;
        let mut wide = [0; 8];
        // Twice the products of different limbs …
        for i in 0..3 {
            let mut carry = 0;
            for j in i + 1..4 {
                wide[i + j] = multiply_add(wide[i + j], a[i], a[j], &mut carry);
            }
            wide[i + 4] = carry;
        }
        for i in (1..8).rev() {
            wide[i] = wide[i] << 1 | wide[i - 1] >> 63;
        }
        // … and the squares.
        let mut carry = 0;
        for i in 0..4 {
            wide[2 * i] = multiply_add(wide[2 * i], a[i], a[i], &mut carry);
            wide[2 * i + 1] = add_carry(wide[2 * i + 1], 0, &mut carry);
        }
        checked(halves(wide).1);
        wide
    }

    #[inline(always)]
    fn wide_add(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        let ((a_low, a_high), (b_low, b_high)) = (halves(a), halves(b));
        let mut carry = 0;
        let low = std::array::from_fn(|i| add_carry(a_low[i], b_low[i], &mut carry));
        // Below 2p, for both are below pR.
        let high = std::array::from_fn(|i| add_carry(a_high[i], b_high[i], &mut carry));
        join(low, settle(high))
    }

    #[inline(always)]
    fn wide_sub(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        let ((a_low, a_high), (b_low, b_high)) = (halves(a), halves(b));
        let mut borrow = 0;
        let low = std::array::from_fn(|i| sub_borrow(a_low[i], b_low[i], &mut borrow));
        let high = std::array::from_fn(|i| sub_borrow(a_high[i], b_high[i], &mut borrow));
        join(low, checked(sum(high, modulus_if(borrow)).0))
    }

    #[inline(always)]
    fn reduce(mut wide: [u64; 8]) -> Self {
        let mut above = 0;
        for i in 0..4 {
            let factor = wide[i].wrapping_mul(NEGATIVE_INVERSE);
            let mut carry = 0;
            for j in 0..4 {
                wide[i + j] = multiply_add(wide[i + j], factor, MODULUS[j], &mut carry);
            }
            wide[i + 4] = add_carry(wide[i + 4], carry, &mut above);
        }
        // Below (pR + pR) / R = 2p, which is below 2^256: nothing was carried out.
        debug_assert_eq!(above, 0);
        Portable(settle(halves(wide).1))
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        if mask & 1 == 1 { other } else { self }
    }

    #[inline(always)]
    fn zeros(self) -> Mask {
        u8::from(self.0 == [0; 4])
    }
}
