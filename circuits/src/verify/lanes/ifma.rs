//! Eight lanes of five 52-bit limbs, on AVX-512 IFMA: one instruction multiplies 52-bit limbs in eight lanes and adds the low or the high half of the
//! product to an accumulator.
//!
//! Montgomery form with R = 2^260, so Rp = 84.6 p². **Bounds**, with P = 4p:
//!
//! | | value | limbs |
//! |---|---|---|
//! | settled | 0 ≤ a ≤ 4p | 0 ≤ limb < 2^52 |
//! | loose | 0 ≤ a ≤ 8p; up to three times as much within a product of the extension | the same |
//! | wide | −Rp ≤ a < 7Rp/4: five products of settled values subtracted, nine added | signed, below 2^62 in magnitude |
//!
//! A limb of a product is at most five low and five high halves, below 2^55.4; so a wide value may be made of eighty products in any signs before a limb
//! overflows, which [`WIDE_PLUS`](super::field::WIDE_PLUS) and its kin keep far from. Values that grew are settled by a table of multiples of p indexed by their highest bits.
//!
//! **Safety.** The intrinsics are sound on a processor that has the instructions. Every function here that makes an [`Ifma`] from nothing
//! ([`gather`](Field::gather), [`read`](Field::read)) and [`call`](Field::call), which switches them on, asserts that it has; every other takes an [`Ifma`], or a [`Lane`] of one, which
//! therefore was made on such a processor. No pointer is dereferenced: vectors and arrays are transmuted, and have the same size and no invalid bit patterns.

#![allow(unsafe_code)]

use super::{
    across::Across,
    curve::{Point, Tables},
    exponentiation::Value,
    field::{
        Field, Integer, Kernel, MAX_LANES, MODULUS, Mask, NEGATIVE_INVERSE, Pair, Places, Shuffle,
    },
    tower::Dodecic,
};
use std::{arch::x86_64::*, sync::OnceLock};

type V = __m512i;

/// Eight elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ifma([V; 5]);

/// The limbs of one lane, as a vector in memory: only ever taken out of an [`Ifma`].
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Lane([u64; 8]);

const BITS: u32 = 52;
const LIMB: u64 = (1 << BITS) - 1;
/// p in limbs.
const P: [u64; 5] = split(MODULUS);
/// −1/p modulo 2^52.
const FACTOR: u64 = NEGATIVE_INVERSE & LIMB;
/// (FACTOR · p + 1) / 2^52.
const SHIFTED: [u64; 5] = shifted();
/// R² modulo p, which brings an integer into Montgomery form.
const R2: [u64; 5] = power_of_two(520);
/// The step of the table, as a shift of the highest limb: 2^(4·52 + 47) = 2.65p.
const TABLE_SHIFT: u32 = 47;
/// For each value of the highest limb's highest bits, the greatest multiple of p that no value with those bits is below.
const TABLE: [[[u64; 8]; 2]; 5] = table();

/// For each distance, every lane's neighbour.
const NEIGHBOURS: [[u64; 8]; 5] = neighbours();

/// Whether this processor has the instructions, and the system saves the registers.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

const fn split(l: [u64; 4]) -> [u64; 5] {
    [
        l[0] & LIMB,
        (l[0] >> 52 | l[1] << 12) & LIMB,
        (l[1] >> 40 | l[2] << 24) & LIMB,
        (l[2] >> 28 | l[3] << 36) & LIMB,
        l[3] >> 16,
    ]
}

const fn join(l: [u64; 5]) -> [u64; 4] {
    [
        l[0] | l[1] << 52,
        l[1] >> 12 | l[2] << 40,
        l[2] >> 24 | l[3] << 28,
        l[3] >> 36 | l[4] << 16,
    ]
}

/// a − b in limbs, and whether it is negative.
const fn minus(a: [u64; 5], b: [u64; 5]) -> ([u64; 5], bool) {
    let mut out = [0; 5];
    let mut borrow = 0;
    let mut i = 0;
    while i < 5 {
        let limb = a[i].wrapping_sub(b[i]).wrapping_sub(borrow);
        borrow = limb >> 63;
        out[i] = limb & LIMB;
        i += 1;
    }
    (out, borrow == 1)
}

/// k · p in limbs, k below 2^6.
const fn times(k: u64) -> [u64; 5] {
    let mut out = [0; 5];
    let mut carry = 0;
    let mut i = 0;
    while i < 5 {
        let limb = P[i] as u128 * k as u128 + carry;
        out[i] = limb as u64 & LIMB;
        carry = limb >> BITS;
        i += 1;
    }
    out
}

const fn shifted() -> [u64; 5] {
    const { assert!(FACTOR < 1 << (BITS - 2), "what reduction adds is below p/4") }
    let mut out = [0; 5];
    let mut carry = 1;
    let mut i = 0;
    while i < 5 {
        let limb = P[i] as u128 * FACTOR as u128 + carry;
        if i > 0 {
            out[i - 1] = limb as u64 & LIMB;
        }
        carry = limb >> BITS;
        i += 1;
    }
    out[4] = carry as u64;
    out
}

/// 2^exponent modulo p.
const fn power_of_two(exponent: u32) -> [u64; 5] {
    let mut out = [1, 0, 0, 0, 0];
    let mut i = 0;
    while i < exponent {
        let mut doubled = [0; 5];
        let mut carry = 0;
        let mut j = 0;
        while j < 5 {
            let limb = out[j] << 1 | carry;
            doubled[j] = limb & LIMB;
            carry = limb >> BITS;
            j += 1;
        }
        let (less, negative) = minus(doubled, P);
        out = if negative { doubled } else { less };
        i += 1;
    }
    out
}

const fn neighbours() -> [[u64; 8]; 5] {
    let mut out = [[0; 8]; 5];
    let mut i = 0;
    while i < 5 * 8 {
        out[i / 8][i % 8] = ((i % 8) ^ (i / 8)) as u64;
        i += 1;
    }
    out
}

const fn table() -> [[[u64; 8]; 2]; 5] {
    let mut out = [[[0; 8]; 2]; 5];
    let mut bits = 0;
    while bits < 16 {
        // A limb may be short of carries from below, or have some too many: leave room for sixteen.
        let least = (bits << TABLE_SHIFT) - if bits == 0 { 0 } else { 16 };
        let value = [0, 0, 0, 0, least];
        let mut k = 0;
        let mut multiple = [0; 5];
        loop {
            let next = times(k + 1);
            if minus(value, next).1 {
                break;
            }
            multiple = next;
            k += 1;
        }
        let mut i = 0;
        while i < 5 {
            out[i][bits as usize / 8][bits as usize % 8] = multiple[i];
            i += 1;
        }
        bits += 1;
    }
    out
}

#[inline(always)]
fn load(values: [u64; 8]) -> V {
    // SAFETY: both are 64 bytes, and every bit pattern is valid for both.
    unsafe { std::mem::transmute::<[u64; 8], V>(values) }
}

#[inline(always)]
fn store(value: V) -> [u64; 8] {
    // SAFETY: as for `load`.
    unsafe { std::mem::transmute::<V, [u64; 8]>(value) }
}

/// Wraps intrinsics on vectors as safe functions of this module.
macro_rules! instructions {
    ($($name:ident$(<$bits:ident>)?($($argument:ident: $type:ty),*) -> $output:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name$(<const $bits: u32>)?($($argument: $type),*) -> $output {
            // SAFETY: registers in, registers out; see the module for why the processor has the instruction.
            unsafe { $body }
        }
    )*};
}

instructions! {
    splat(x: u64) -> V = _mm512_set1_epi64(x as i64);
    add(a: V, b: V) -> V = _mm512_add_epi64(a, b);
    sub(a: V, b: V) -> V = _mm512_sub_epi64(a, b);
    and(a: V, b: V) -> V = _mm512_and_si512(a, b);
    or(a: V, b: V) -> V = _mm512_or_si512(a, b);
    left<BY>(a: V) -> V = _mm512_slli_epi64::<BY>(a);
    right<BY>(a: V) -> V = _mm512_srli_epi64::<BY>(a);
    low(c: V, a: V, b: V) -> V = _mm512_madd52lo_epu64(c, a, b);
    high(c: V, a: V, b: V) -> V = _mm512_madd52hi_epu64(c, a, b);
    shift_limb(a: V) -> V = _mm512_srai_epi64::<BITS>(a);
    twice(a: V) -> V = _mm512_slli_epi64::<1>(a);
    times_eight(a: V) -> V = _mm512_slli_epi64::<3>(a);
    table_index(a: V) -> V = _mm512_srli_epi64::<TABLE_SHIFT>(a);
    pick(index: V, first: V, second: V) -> V = _mm512_permutex2var_epi64(first, index, second);
    blend(mask: u8, a: V, b: V) -> V = _mm512_mask_blend_epi64(mask, a, b);
    permute(index: V, a: V) -> V = _mm512_permutexvar_epi64(index, a);
    evens(a: V, b: V) -> V = _mm512_unpacklo_epi64(a, b);
    odds(a: V, b: V) -> V = _mm512_unpackhi_epi64(a, b);
    even_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0x88>(a, b);
    odd_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0xdd>(a, b);
    equal(a: V, b: V) -> u8 = _mm512_cmpeq_epi64_mask(a, b);
}

/// Rows to columns, of eight by eight words: pairs of words, then pairs of pairs, then halves change places.
#[inline(always)]
fn transpose(rows: [V; 8]) -> [V; 8] {
    let mut out = [splat(0); 8];
    for odd in 0..2 {
        let mut pairs = [splat(0); 4];
        for i in 0..4 {
            let (a, b) = (rows[2 * i], rows[2 * i + 1]);
            pairs[i] = if odd == 0 { evens(a, b) } else { odds(a, b) };
        }
        for i in 0..2 {
            let (first, second) = if i == 0 {
                (
                    even_pairs(pairs[0], pairs[1]),
                    even_pairs(pairs[2], pairs[3]),
                )
            } else {
                (odd_pairs(pairs[0], pairs[1]), odd_pairs(pairs[2], pairs[3]))
            };
            out[2 * i + odd] = even_pairs(first, second);
            out[2 * i + odd + 4] = odd_pairs(first, second);
        }
    }
    out
}

/// An array of the expression for every limb. Arrays of vectors are built and read like this and not by closures and iterators, which are functions of their
/// own without the processor's features: an instruction that is not inlined costs a call.
macro_rules! limbs {
    ($i:ident => $limb:expr) => {{
        [
            {
                const $i: usize = 0;
                $limb
            },
            {
                const $i: usize = 1;
                $limb
            },
            {
                const $i: usize = 2;
                $limb
            },
            {
                const $i: usize = 3;
                $limb
            },
            {
                const $i: usize = 4;
                $limb
            },
        ]
    }};
}

/// From four limbs of 64 bits to five of 52.
#[inline(always)]
fn widen([a, b, c, d]: [V; 4]) -> Ifma {
    let mask = splat(LIMB);
    Ifma([
        and(a, mask),
        and(or(right::<52>(a), left::<12>(b)), mask),
        and(or(right::<40>(b), left::<24>(c)), mask),
        and(or(right::<28>(c), left::<36>(d)), mask),
        right::<16>(d),
    ])
}

/// The other way round.
#[inline(always)]
fn narrow(Ifma([a, b, c, d, e]): Ifma) -> [V; 4] {
    [
        or(a, left::<52>(b)),
        or(right::<12>(b), left::<40>(c)),
        or(right::<24>(c), left::<28>(d)),
        or(right::<36>(d), left::<16>(e)),
    ]
}

/// Makes limbs 52 bits wide; the highest keeps what is above.
#[inline(always)]
fn carry(mut limbs: [V; 5]) -> [V; 5] {
    let mask = splat(LIMB);
    for i in 0..4 {
        limbs[i + 1] = add(limbs[i + 1], shift_limb(limbs[i]));
        limbs[i] = and(limbs[i], mask);
    }
    limbs
}

/// From 0 ≤ a < 21p in signed limbs that are a few carries off, to a value below 2.65p + p < 4p.
#[inline(always)]
fn settle(limbs: [V; 5]) -> Ifma {
    let index = table_index(limbs[4]);
    let limbs = limbs!(I => sub(limbs[I], permute(index, load(TABLE[I][0]))));
    checked(carry(limbs), 4)
}

/// The same from 0 ≤ a < 42p.
#[inline(always)]
fn settle_far(limbs: [V; 5]) -> Ifma {
    let index = table_index(limbs[4]);
    let limbs = limbs!(I => sub(limbs[I], pick(index, load(TABLE[I][0]), load(TABLE[I][1]))));
    checked(carry(limbs), 4)
}

/// Montgomery's reduction, limb by limb, to a/R plus less than 5p/4 in signed limbs.
///
/// The first four limbs are cleared by multiples of FACTOR · p = 2^52 · SHIFTED − 1, of which the limb itself says how many: so that one limb waits for another
/// for a single product. They add less than FACTOR/2^52 · p, which is below p/4. The fifth needs a product to know its multiple of p. With the low half of
/// that it is divisible by 2^52, so what it carries is the limb divided by 2^52 and rounded up, and that half need not be computed.
#[inline(always)]
fn montgomery(mut wide: [V; 10]) -> [V; 5] {
    let shifted = limbs!(I => splat(SHIFTED[I]));
    for i in 0..4 {
        let limb = wide[i];
        for j in 0..5 {
            wide[i + j + 1] = low(wide[i + j + 1], limb, shifted[j]);
        }
        wide[i + 1] = add(wide[i + 1], shift_limb(limb));
        for j in 0..5 {
            wide[i + j + 2] = high(wide[i + j + 2], limb, shifted[j]);
        }
    }
    let p = multiple::<1>();
    let factor = low(splat(0), wide[4], splat(FACTOR));
    wide[5] = add(wide[5], shift_limb(add(wide[4], splat(LIMB))));
    for j in 1..5 {
        wide[j + 4] = low(wide[j + 4], factor, p[j]);
    }
    for j in 0..5 {
        wide[j + 5] = high(wide[j + 5], factor, p[j]);
    }
    limbs!(I => wide[I + 5])
}

/// k · p in every lane.
#[inline(always)]
fn multiple<const K: u64>() -> [V; 5] {
    limbs!(I => splat(const { times(K)[I] }))
}

/// In debug builds, asserts that no lane is above `bound` · p and its limbs are below 2^52.
#[inline(always)]
fn checked(limbs: [V; 5], bound: u64) -> Ifma {
    if cfg!(debug_assertions) {
        check(&limbs!(I => store(limbs[I])), bound);
    }
    Ifma(limbs)
}

#[inline(never)]
fn check(lanes: &[[u64; 8]; 5], bound: u64) {
    for lane in 0..8 {
        let value = lanes.map(|limb| limb[lane]);
        assert!(value.iter().all(|limb| *limb <= LIMB), "{value:x?}");
        assert!(!minus(times(bound), value).1, "{value:x?} above {bound} p");
    }
}

/// The function in which the processor's features are on, so that everything inlined into it may use them.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn featured<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

impl Field for Ifma {
    const LANES: usize = 8;
    type Wide = [V; 10];
    type Element = Lane;

    #[inline(always)]
    fn call<K: Kernel>(kernel: K) -> K::Output {
        assert!(available());
        // SAFETY: just asserted.
        unsafe { featured(kernel) }
    }

    fn gather(lane: impl Fn(usize) -> Integer) -> Self {
        struct Enter([[u64; 8]; 5]);
        impl Kernel for Enter {
            type Output = Ifma;
            #[inline(always)]
            fn run(self) -> Ifma {
                Ifma(limbs!(I => load(self.0[I]))).mul(Ifma(limbs!(I => splat(R2[I]))))
            }
        }
        let mut limbs = [[0; 8]; 5];
        for i in 0..8 {
            for (limb, value) in limbs.iter_mut().zip(split(lane(i))) {
                limb[i] = value;
            }
        }
        Self::call(Enter(limbs))
    }

    fn scatter(self) -> [Integer; MAX_LANES] {
        struct Leave(Ifma);
        impl Kernel for Leave {
            type Output = [[u64; 8]; 5];
            /// The product with 1 is below 4p / R + p plus what reduction adds.
            #[inline(always)]
            fn run(self) -> [[u64; 8]; 5] {
                let one = Ifma([splat(1), splat(0), splat(0), splat(0), splat(0)]);
                let out = self.0.mul(one).0;
                limbs!(I => store(out[I]))
            }
        }
        let limbs = Self::call(Leave(self));
        std::array::from_fn(|i| {
            let mut value = limbs.map(|limb| limb[i]);
            loop {
                let (less, negative) = minus(value, P);
                if negative {
                    return join(value);
                }
                value = less;
            }
        })
    }

    #[inline(always)]
    fn pack(lane: impl Fn(usize) -> Lane) -> Self {
        let mut rows = [splat(0); 8];
        for i in 0..8 {
            rows[i] = load(lane(i).0);
        }
        let columns = transpose(rows);
        Ifma(limbs!(I => columns[I]))
    }

    #[inline(always)]
    fn unpack(self) -> [Lane; MAX_LANES] {
        let mut columns = [splat(0); 8];
        #[allow(clippy::manual_memcpy)] // stays in registers
        for i in 0..5 {
            columns[i] = self.0[i];
        }
        let rows = transpose(columns);
        let mut lanes = [Lane([0; 8]); MAX_LANES];
        for i in 0..8 {
            lanes[i] = Lane(store(rows[i]));
        }
        lanes
    }

    fn kept(tables: &Tables) -> &OnceLock<Vec<Point<Self>>> {
        &tables.ifma
    }

    fn is_one(value: &Dodecic<Self>) -> bool {
        Across::first(value).final_exponentiation().is_one()
    }

    /// A settled value is below 2^256: four limbs of 64 bits.
    #[inline(always)]
    fn read<'a>(lane: impl Fn(usize) -> &'a Pair) -> [Self; 2] {
        assert!(available());
        let mut rows = [splat(0); 8];
        for i in 0..8 {
            rows[i] = load(lane(i).0);
        }
        let [a, b, c, d, e, f, g, h] = transpose(rows);
        [widen([a, b, c, d]), widen([e, f, g, h])]
    }

    #[inline(always)]
    fn write([first, second]: [Self; 2]) -> [Pair; MAX_LANES] {
        let ([a, b, c, d], [e, f, g, h]) = (narrow(first), narrow(second));
        let rows = transpose([a, b, c, d, e, f, g, h]);
        let mut out = [Pair([0; 8]); 8];
        for i in 0..8 {
            out[i] = Pair(store(rows[i]));
        }
        out
    }

    #[inline(always)]
    fn exchange(self, distance: usize) -> Self {
        let index = load(NEIGHBOURS[distance]);
        Ifma(limbs!(I => permute(index, self.0[I])))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        settle(limbs!(I => add(self.0[I], other.0[I])))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let p = multiple::<4>();
        settle(limbs!(I => add(sub(self.0[I], other.0[I]), p[I])))
    }

    #[inline(always)]
    fn neg(self) -> Self {
        let p = multiple::<4>();
        checked(carry(limbs!(I => sub(p[I], self.0[I]))), 4)
    }

    /// Below 40p.
    #[inline(always)]
    fn nine_plus(self, other: Self) -> Self {
        settle_far(limbs!(I => add(add(times_eight(self.0[I]), self.0[I]), other.0[I])))
    }

    /// Above 0 and below 40p.
    #[inline(always)]
    fn nine_minus(self, other: Self) -> Self {
        let p = multiple::<4>();
        settle_far(limbs!(I => {
            let nine = add(times_eight(self.0[I]), self.0[I]);
            add(sub(nine, other.0[I]), p[I])
        }))
    }

    #[inline(always)]
    fn double_plus(self, other: Self) -> Self {
        settle(limbs!(I => add(twice(self.0[I]), other.0[I])))
    }

    #[inline(always)]
    fn sub_two(self, a: Self, b: Self) -> Self {
        let p = multiple::<8>();
        settle(limbs!(I => sub(add(self.0[I], p[I]), add(a.0[I], b.0[I]))))
    }

    #[inline(always)]
    fn evaluate([a0, a1]: [Self; 2]) -> [Self; 2] {
        let p = multiple::<4>();
        [
            checked(carry(limbs!(I => add(a0.0[I], a1.0[I]))), 8),
            checked(carry(limbs!(I => add(sub(a0.0[I], a1.0[I]), p[I]))), 8),
        ]
    }

    #[inline(always)]
    fn evaluate_three([a0, a1, a2]: [Self; 3]) -> [Self; 2] {
        let p = multiple::<4>();
        let ends = limbs!(I => add(a0.0[I], a2.0[I]));
        [
            checked(carry(limbs!(I => add(ends[I], a1.0[I]))), 12),
            checked(carry(limbs!(I => add(sub(ends[I], a1.0[I]), p[I]))), 12),
        ]
    }

    /// With factors up to 12p and 8p, a product of Fq2 is between −96p² and 96p² in its first coefficient, and below 192p² in its second; less 64p², or less
    /// another such product and 64p². So the sum is between −3.1 Rp and 4.6 Rp, and its reduction, with 4p added, between 0 and 10p.
    #[inline(always)]
    fn reduce_grown(wide: [V; 10]) -> Self {
        let (high, p) = (montgomery(wide), multiple::<4>());
        settle(limbs!(I => add(high[I], p[I])))
    }

    /// Below 18p.
    #[inline(always)]
    fn reduce_grown_and_double(wide: [V; 10], value: Self) -> Self {
        let (high, p) = (montgomery(wide), multiple::<4>());
        settle(limbs!(I => add(add(high[I], p[I]), twice(value.0[I]))))
    }

    /// A product of settled values is between −16p² and 16p² in its first coefficient, and between 0 and 32p² in its second. So twice one and twice ξ times another
    /// are between −384p² and 320p², and between −32p² and 672p²: within −4.6 Rp and 8 Rp. With 5p added, between 0 and 15p; with twice the value, below 23p.
    #[inline(always)]
    fn reduce_far_and_double(wide: [V; 10], value: Self) -> Self {
        let (high, p) = (montgomery(wide), multiple::<5>());
        settle_far(limbs!(I => add(add(high[I], p[I]), twice(value.0[I]))))
    }

    #[inline(always)]
    fn wide_nine(mut a: [V; 10]) -> [V; 10] {
        for i in 0..10 {
            a[i] = add(times_eight(a[i]), a[i]);
        }
        a
    }

    #[inline(always)]
    fn add_loose(self, other: Self) -> Self {
        checked(carry(limbs!(I => add(self.0[I], other.0[I]))), 24)
    }

    #[inline(always)]
    fn sub_loose(self, other: Self) -> Self {
        let p = multiple::<4>();
        let limbs = limbs!(I => add(sub(self.0[I], other.0[I]), p[I]));
        checked(carry(limbs), 8)
    }

    #[inline(always)]
    fn mul_wide(self, other: Self) -> [V; 10] {
        let mut wide = [splat(0); 10];
        for i in 0..5 {
            for j in 0..5 {
                wide[i + j] = low(wide[i + j], self.0[j], other.0[i]);
            }
            for j in 0..5 {
                wide[i + j + 1] = high(wide[i + j + 1], self.0[j], other.0[i]);
            }
        }
        wide
    }

    /// Fifteen products of limbs for twenty-five.
    #[inline(always)]
    fn square_wide(self) -> [V; 10] {
        let mut wide = [splat(0); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                wide[i + j] = low(wide[i + j], self.0[i], self.0[j]);
                wide[i + j + 1] = high(wide[i + j + 1], self.0[i], self.0[j]);
            }
        }
        for i in 0..5 {
            wide[2 * i] = low(twice(wide[2 * i]), self.0[i], self.0[i]);
            wide[2 * i + 1] = high(twice(wide[2 * i + 1]), self.0[i], self.0[i]);
        }
        wide
    }

    #[inline(always)]
    fn wide_add(mut a: [V; 10], b: [V; 10]) -> [V; 10] {
        for i in 0..10 {
            a[i] = add(a[i], b[i]);
        }
        a
    }

    #[inline(always)]
    fn wide_sub(mut a: [V; 10], b: [V; 10]) -> [V; 10] {
        for i in 0..10 {
            a[i] = sub(a[i], b[i]);
        }
        a
    }

    /// The result of [`montgomery`] is between −p and 3p; p is added.
    #[inline(always)]
    fn reduce(wide: [V; 10]) -> Self {
        let (high, p) = (montgomery(wide), multiple::<1>());
        checked(carry(limbs!(I => add(high[I], p[I]))), 4)
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        Ifma(limbs!(I => blend(mask, self.0[I], other.0[I])))
    }

    /// One of the multiples of p that a settled value may be.
    #[inline(always)]
    fn zeros(self) -> Mask {
        self.is(multiple::<0>())
            | self.is(multiple::<1>())
            | self.is(multiple::<2>())
            | self.is(multiple::<3>())
            | self.is(multiple::<4>())
    }
}

impl Shuffle for Ifma {
    #[inline(always)]
    fn shuffle(self, places: Places) -> Self {
        let places = load(places);
        Ifma(limbs!(I => permute(places, self.0[I])))
    }

    #[inline(always)]
    fn pick(self, other: Self, places: Places) -> Self {
        let places = load(places);
        Ifma(limbs!(I => pick(places, self.0[I], other.0[I])))
    }

    /// By way of memory, which is read into all lanes at no cost.
    #[inline(always)]
    fn everywhere(self, lane: usize) -> Self {
        Ifma(limbs!(I => splat(store(self.0[I])[lane])))
    }

    /// Low and high halves apart, so that half as many wait for each other.
    #[inline(always)]
    fn sum_of_products<const N: usize>(terms: &[[Self; 2]; N]) -> [V; 10] {
        let (mut lows, mut highs) = ([splat(0); 9], [splat(0); 9]);
        for [a, b] in terms {
            for i in 0..5 {
                for j in 0..5 {
                    lows[i + j] = low(lows[i + j], a.0[j], b.0[i]);
                    highs[i + j] = high(highs[i + j], a.0[j], b.0[i]);
                }
            }
        }
        let mut wide = [splat(0); 10];
        wide[0] = lows[0];
        wide[9] = highs[8];
        for i in 1..9 {
            wide[i] = add(lows[i], highs[i - 1]);
        }
        wide
    }
}

impl Ifma {
    /// The lanes with just these limbs.
    #[inline(always)]
    fn is(self, limbs: [V; 5]) -> Mask {
        let [a, b, c, d, e] = limbs!(I => equal(self.0[I], limbs[I]));
        a & b & c & d & e
    }
}
