//! The final exponentiation in lanes: which values of the Miller loop stand for 1.
//!
//! The exponent is that of arkworks, 2x (6x² + 3x + 1) (p¹² − 1) / r (Fuentes-Castañeda, Knapp and Rodríguez-Henríquez 2011). After the easy part values lie
//! in the cyclotomic subgroup, where the inverse is the conjugate and squares are cheap (Granger and Scott 2010).

use super::{
    field::{Field, Kernel, Mask, invert},
    quadratic::Quadratic,
    tower::{Dodecic, Sextic},
};
use ark_bn254::{Config, Fq2, Fq6, Fq12};
use ark_ec::bn::BnConfig;
use ark_ff::{AdditiveGroup as _, Field as _};
use std::sync::OnceLock;

/// A value of the Miller loop, or eight of them, in whatever form: what the final exponentiation needs of it.
pub(super) trait Value: Copy {
    fn times(&self, other: &Self) -> Self;
    /// The inverse; of zero, zero.
    fn inverse(&self) -> Self;
    /// To the power p⁶: the inverse, in the cyclotomic subgroup.
    fn conjugate(&self) -> Self;
    /// To the power p^k, k from 1 to 3.
    fn frobenius(&self, k: usize) -> Self;
    /// So many squarings, in the cyclotomic subgroup.
    fn cyclotomic_square(&self, times: usize) -> Self;

    /// The final exponentiation.
    fn final_exponentiation(&self) -> Self {
        // The easy part: to the power (p⁶ − 1)(p² + 1).
        let r = self.conjugate().times(&self.inverse());
        let r = r.frobenius(2).times(&r);
        let y0 = power_of_minus_x(&r);
        let y1 = y0.cyclotomic_square(1);
        let y3 = y1.cyclotomic_square(1).times(&y1);
        let y4 = power_of_minus_x(&y3);
        let y6 = power_of_minus_x(&y4.cyclotomic_square(1));
        let y8 = y6.conjugate().times(&y4).times(&y3.conjugate());
        let y9 = y8.times(&y1);
        let y11 = y8.times(&y4).times(&r);
        let y13 = y9.frobenius(1).times(&y11);
        let y14 = y8.frobenius(2).times(&y13);
        r.conjugate().times(&y9).frobenius(3).times(&y14)
    }
}

/// To the power −x, of a value in the cyclotomic subgroup: x in signed digits, odd ones up to 3, with two zeros at least between any.
fn power_of_minus_x<V: Value>(value: &V) -> V {
    let (mut digits, mut x) = (Vec::new(), i128::from(Config::X[0]));
    while x > 0 {
        let digit = match x & 7 {
            odd @ (1 | 3) => odd,
            odd @ (5 | 7) => odd - 8,
            _ => 0,
        };
        digits.push(digit);
        x = (x - digit) / 2;
    }
    let cube = value.cyclotomic_square(1).times(value);
    let power = |digit: i128| match digit {
        1 => *value,
        3 => cube,
        -1 => value.conjugate(),
        _ => cube.conjugate(),
    };
    let mut digits = digits.into_iter().rev();
    let (mut out, mut pending) = (power(digits.next().unwrap_or(1)), 0);
    for digit in digits {
        pending += 1;
        if digit != 0 {
            out = out.cyclotomic_square(pending).times(&power(digit));
            pending = 0;
        }
    }
    out.cyclotomic_square(pending).conjugate()
}

impl<F: Field> Dodecic<F> {
    /// The lanes whose final exponentiation is 1; no lane may be zero.
    #[cfg(test)]
    pub(super) fn ones(&self) -> Mask {
        self.final_exponentiation().is_unit()
    }

    /// The lanes that are 1.
    pub(super) fn is_unit(&self) -> Mask {
        let mut ones = self.even[0].equals(&Quadratic::one());
        for part in self.even.iter().skip(1).chain(&self.odd) {
            ones &= part.zeros();
        }
        ones
    }

    /// Whether the first lane's final exponentiation is 1.
    pub(super) fn is_one(&self) -> bool {
        F::is_one(self)
    }
}

impl<F: Field> Value for Dodecic<F> {
    fn times(&self, other: &Self) -> Self {
        self.mul(other)
    }

    /// (even − odd w) / (even² − odd² v).
    fn inverse(&self) -> Self {
        let square = self.conjugate().mul(self);
        let norm = invert_sextic(&square.even);
        let zero = Quadratic::zero();
        let norm = Dodecic {
            even: norm,
            odd: [zero; 3],
        };
        self.conjugate().mul(&norm)
    }

    fn conjugate(&self) -> Self {
        Dodecic {
            even: self.even,
            odd: self.odd.map(|part| part.neg()),
        }
    }

    fn frobenius(&self, k: usize) -> Self {
        let part = |part: Quadratic<F>, power: usize| {
            let part = if k % 2 == 1 { part.conjugate() } else { part };
            part.mul(&Quadratic::splat(frobenius()[k][power]))
        };
        let [a, b, c] = self.even;
        let [d, e, f] = self.odd;
        Dodecic {
            even: [part(a, 0), part(b, 2), part(c, 4)],
            odd: [part(d, 1), part(e, 3), part(f, 5)],
        }
    }

    fn cyclotomic_square(&self, times: usize) -> Self {
        let mut out = *self;
        for _ in 0..times {
            out = F::call(CyclotomicSquare(&out));
        }
        out
    }
}

/// The inverse in Fq6, by the norm to Fq2.
fn invert_sextic<F: Field>(a: &Sextic<F>) -> Sextic<F> {
    let [a0, a1, a2] = a;
    let t0 = a0.square().sub(&a1.mul(a2).mul_xi());
    let t1 = a2.square().mul_xi().sub(&a0.mul(a1));
    let t2 = a1.square().sub(&a0.mul(a2));
    let norm = a2.mul(&t1).add(&a1.mul(&t2)).mul_xi().add(&a0.mul(&t0));
    let inverse = norm.conjugate().mul_base(invert(norm.norm()));
    [t0.mul(&inverse), t1.mul(&inverse), t2.mul(&inverse)]
}

struct CyclotomicSquare<'a, F>(&'a Dodecic<F>);

impl<F: Field> Kernel for CyclotomicSquare<'_, F> {
    type Output = Dodecic<F>;
    /// Three squares in Fq4, of which the coefficients are pairs.
    #[inline(always)]
    fn run(self) -> Dodecic<F> {
        let Dodecic {
            even: [z0, z4, z3],
            odd: [z2, z1, z5],
        } = self.0;
        let (t0, t1) = square_quartic(z0, z1);
        let (t2, t3) = square_quartic(z2, z3);
        let (t4, t5) = square_quartic(z4, z5);
        let t5 = t5.mul_xi();
        // 3t ∓ 2z.
        Dodecic {
            even: [
                t0.sub(z0).double_plus(&t0),
                t2.sub(z4).double_plus(&t2),
                t4.sub(z3).double_plus(&t4),
            ],
            odd: [
                t5.add(z2).double_plus(&t5),
                t1.add(z1).double_plus(&t1),
                t3.add(z5).double_plus(&t3),
            ],
        }
    }
}

/// (a + b y)² with y² = ξ.
#[inline(always)]
fn square_quartic<F: Field>(a: &Quadratic<F>, b: &Quadratic<F>) -> (Quadratic<F>, Quadratic<F>) {
    let product = a.mul(b);
    let crossed = a.add(b).mul(&b.mul_xi().add(a));
    (
        crossed.sub(&product).sub(&product.mul_xi()),
        product.double(),
    )
}

/// The maps f ↦ f^(p^k), k < 5, conjugate every coefficient of a power of w if k is odd, and multiply it by a constant: by [k] and [power].
pub(super) fn frobenius() -> &'static [[Fq2; 6]; 5] {
    static CONSTANTS: OnceLock<[[Fq2; 6]; 5]> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let w = Fq12::new(Fq6::ZERO, Fq6::ONE);
        let mut constants = [[Fq2::ONE; 6]; 5];
        for (k, constants) in constants.iter_mut().enumerate() {
            // That of w is what arkworks makes of it.
            let mut image = w;
            image.frobenius_map_in_place(k);
            for power in 1..6 {
                constants[power] = constants[power - 1] * image.c1.c0;
            }
        }
        constants
    })
}
