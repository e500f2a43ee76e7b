//! One inverse modulo p: Bernstein and Yang's division steps (2019, "safegcd"), 62 at a time on the lowest words, in the variable-time form of
//! libsecp256k1. A few times faster than the binary algorithm, and there is one in every step of every batch.
//!
//! Numbers are five signed words of 62 bits. Not constant-time: what is verified is public.

use super::field::{Integer, MODULUS};

type Words = [i64; 5];

const BITS: u32 = 62;
const WORD: u64 = u64::MAX >> 2;
const P: Words = words(MODULUS);
/// 1/p modulo 2^62.
const INVERSE: u64 = super::field::NEGATIVE_INVERSE.wrapping_neg() & WORD;

/// Sixty-two division steps: (f, g) becomes (u f + v g, q f + r g) / 2^62.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// The inverse modulo p of an integer below p; of zero, zero.
pub(super) fn invert(value: Integer) -> Integer {
    let (mut f, mut g) = (P, words(value));
    let (mut d, mut e): (Words, Words) = ([0; 5], [1, 0, 0, 0, 0]);
    let mut eta = -1;
    // At most twelve times for 256 bits: 741 steps suffice.
    while g != [0; 5] {
        let steps = divide(&mut eta, f[0] as u64, g[0] as u64);
        (d, e) = steps.apply_modulo(&d, &e);
        (f, g) = steps.apply(&f, &g);
    }
    // f is now 1 or −1 (or p, for zero), and d is the inverse times f, between −2p and p.
    integer(normalise(d, f[4] < 0))
}

const fn words(value: Integer) -> Words {
    [
        (value[0] & WORD) as i64,
        ((value[0] >> 62 | value[1] << 2) & WORD) as i64,
        ((value[1] >> 60 | value[2] << 4) & WORD) as i64,
        ((value[2] >> 58 | value[3] << 6) & WORD) as i64,
        (value[3] >> 56) as i64,
    ]
}

fn integer(words: Words) -> Integer {
    let [a, b, c, d, e] = words.map(|word| word as u64);
    [
        a | b << 62,
        b >> 2 | c << 60,
        c >> 4 | d << 58,
        d >> 6 | e << 56,
    ]
}

/// The steps that the lowest words determine.
fn divide(eta: &mut i64, f: u64, g: u64) -> Steps {
    let (mut f, mut g) = (f, g);
    let (mut u, mut v, mut q, mut r) = (1_u64, 0_u64, 0_u64, 1_u64);
    let mut left = BITS;
    loop {
        // All steps that only halve g at once.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        // Add the multiple of f that makes up to six of g's lowest bits zero: −g/f modulo 2^6.
        let bits = left.min((*eta + 1).min(6) as u32);
        let mask = u64::MAX >> (64 - bits);
        let square = f.wrapping_mul(f).wrapping_sub(2);
        let w = f.wrapping_mul(g).wrapping_mul(square) & mask;
        g = g.wrapping_add(f.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
    let [u, v, q, r] = [u, v, q, r].map(|x| x as i64);
    Steps { u, v, q, r }
}

fn product(a: i64, b: i64) -> i128 {
    i128::from(a).wrapping_mul(i128::from(b))
}

impl Steps {
    /// The new f and g. The divisions are exact.
    fn apply(&self, f: &Words, g: &Words) -> (Words, Words) {
        let (mut new_f, mut new_g) = ([0; 5], [0; 5]);
        let (mut a, mut b) = (0_i128, 0_i128);
        for i in 0..5 {
            a = a
                .wrapping_add(product(self.u, f[i]))
                .wrapping_add(product(self.v, g[i]));
            b = b
                .wrapping_add(product(self.q, f[i]))
                .wrapping_add(product(self.r, g[i]));
            if i > 0 {
                new_f[i - 1] = (a as u64 & WORD) as i64;
                new_g[i - 1] = (b as u64 & WORD) as i64;
            }
            a >>= BITS;
            b >>= BITS;
        }
        new_f[4] = a as i64;
        new_g[4] = b as i64;
        (new_f, new_g)
    }

    /// The same on d and e, modulo p: multiples of p make the divisions exact, and keep both between −2p and p.
    fn apply_modulo(&self, d: &Words, e: &Words) -> (Words, Words) {
        let (mut new_d, mut new_e) = ([0; 5], [0; 5]);
        let (sign_d, sign_e) = (d[4] >> 63, e[4] >> 63);
        let mut md = (self.u & sign_d).wrapping_add(self.v & sign_e);
        let mut me = (self.q & sign_d).wrapping_add(self.r & sign_e);
        let (mut a, mut b) = (0_i128, 0_i128);
        for i in 0..5 {
            a = a
                .wrapping_add(product(self.u, d[i]))
                .wrapping_add(product(self.v, e[i]));
            b = b
                .wrapping_add(product(self.q, d[i]))
                .wrapping_add(product(self.r, e[i]));
            if i == 0 {
                let rest = |sum: i128, m: i64| {
                    INVERSE.wrapping_mul(sum as u64).wrapping_add(m as u64) & WORD
                };
                md = md.wrapping_sub(rest(a, md) as i64);
                me = me.wrapping_sub(rest(b, me) as i64);
            }
            a = a.wrapping_add(product(P[i], md));
            b = b.wrapping_add(product(P[i], me));
            if i > 0 {
                new_d[i - 1] = (a as u64 & WORD) as i64;
                new_e[i - 1] = (b as u64 & WORD) as i64;
            }
            a >>= BITS;
            b >>= BITS;
        }
        new_d[4] = a as i64;
        new_e[4] = b as i64;
        (new_d, new_e)
    }
}

/// From between −2p and p to between 0 and p, after changing the sign if asked to.
fn normalise(value: Words, negate: bool) -> Words {
    let mut value = value;
    if value[4] < 0 {
        value = sum(value, P, 1);
    }
    if negate {
        value = sum([0; 5], value, -1);
    }
    if value[4] < 0 {
        value = sum(value, P, 1);
    }
    value
}

/// a ± b, with words of 62 bits but for the highest.
fn sum(a: Words, b: Words, sign: i64) -> Words {
    let mut out = [0; 5];
    let mut carry = 0_i64;
    for i in 0..5 {
        let word = a[i]
            .wrapping_add(b[i].wrapping_mul(sign))
            .wrapping_add(carry);
        out[i] = if i < 4 {
            (word as u64 & WORD) as i64
        } else {
            word
        };
        carry = word >> BITS;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::field::{element, integer};
    use ark_bn254::Fq;
    use ark_ff::{Field, UniformRand};

    #[test]
    fn inverses_agree_with_arkworks() {
        let mut rng = crate::keys::rng(b"inverse", &[]);
        let mut values: Vec<Fq> = (0..70).map(|i| Fq::from(2_u64).pow([4 * i])).collect();
        values.extend((1..50_u64).flat_map(|i| [Fq::from(i), -Fq::from(i)]));
        values.extend((0..2000).map(|_| Fq::rand(&mut rng)));
        for value in values {
            let expected = value.inverse().unwrap();
            assert_eq!(element(super::invert(integer(value))), expected, "{value}");
            assert_eq!(super::invert(integer(expected)), integer(value));
        }
        assert_eq!(super::invert([0; 4]), [0; 4]);
    }
}
