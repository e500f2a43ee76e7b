//! The final exponentiation in lanes: which values of the Miller loop stand for 1.
//!
//! The exponent is that of arkworks, 2x (6x² + 3x + 1) (p¹² − 1) / r (Fuentes-Castañeda, Knapp and Rodríguez-Henríquez 2011). After the easy part values lie
//! in the cyclotomic subgroup, where the inverse is the conjugate and squares are cheap (Granger and Scott 2010).

use super::{
    field::{Field, Kernel, Mask, invert},
    portable::Portable,
    quadratic::Quadratic,
    tower::{Dodecic, Sextic},
};
use ark_bn254::{Config, Fq2, Fq6, Fq12};
use ark_ec::bn::BnConfig;
use ark_ff::Field as _;

impl<F: Field> Dodecic<F> {
    /// The lanes whose final exponentiation is 1; no lane may be zero.
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

    /// Whether the first lane's final exponentiation is 1. One value alone is sooner done one lane wide: products that wait for each other do not fill lanes.
    pub(super) fn is_one(&self) -> bool {
        let part = |part: &Quadratic<F>| Quadratic {
            c0: Portable::splat(part.c0.first()),
            c1: Portable::splat(part.c1.first()),
        };
        let first = Dodecic::<Portable> {
            even: self.even.each_ref().map(part),
            odd: self.odd.each_ref().map(part),
        };
        first.ones() == Portable::ALL
    }

    /// The final exponentiation of every lane; no lane may be zero.
    pub(super) fn final_exponentiation(&self) -> Self {
        let maps = Frobenius::new();
        // The easy part: to the power (p⁶ − 1)(p² + 1).
        let r = self.conjugate().mul(&self.inverse());
        let r = maps.apply(2, &r).mul(&r);
        let y0 = r.power_of_minus_x();
        let y1 = y0.cyclotomic_square(1);
        let y3 = y1.cyclotomic_square(1).mul(&y1);
        let y4 = y3.power_of_minus_x();
        let y6 = y4.cyclotomic_square(1).power_of_minus_x();
        let y8 = y6.conjugate().mul(&y4).mul(&y3.conjugate());
        let y9 = y8.mul(&y1);
        let y11 = y8.mul(&y4).mul(&r);
        let y13 = maps.apply(1, &y9).mul(&y11);
        let y14 = maps.apply(2, &y8).mul(&y13);
        maps.apply(3, &r.conjugate().mul(&y9)).mul(&y14)
    }

    /// To the power −x, of a value in the cyclotomic subgroup: x in signed digits, odd ones up to 3, with two zeros at least between any.
    fn power_of_minus_x(&self) -> Self {
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
        let cube = self.cyclotomic_square(1).mul(self);
        let power = |digit: i128| match digit {
            1 => *self,
            3 => cube,
            -1 => self.conjugate(),
            _ => cube.conjugate(),
        };
        let mut digits = digits.into_iter().rev();
        let (mut out, mut pending) = (power(digits.next().unwrap_or(1)), 0);
        for digit in digits {
            pending += 1;
            if digit != 0 {
                out = out.cyclotomic_square(pending).mul(&power(digit));
                pending = 0;
            }
        }
        out.cyclotomic_square(pending).conjugate()
    }

    /// So many squarings of a value in the cyclotomic subgroup.
    fn cyclotomic_square(&self, times: usize) -> Self {
        let mut out = *self;
        for _ in 0..times {
            out = F::call(CyclotomicSquare(&out));
        }
        out
    }

    pub(super) fn conjugate(&self) -> Self {
        Dodecic {
            even: self.even,
            odd: self.odd.map(|part| part.neg()),
        }
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

/// The maps f ↦ f^(p^k), k = 1, 2, 3: conjugate every coefficient if k is odd, and multiply it by a constant.
struct Frobenius<F>([[Sextic<F>; 2]; 3]);

impl<F: Field> Frobenius<F> {
    fn new() -> Self {
        // The constants are what arkworks makes of the basis.
        let unit = |i: usize| {
            let part = |j: usize| if i == j { Fq2::ONE } else { Fq2::default() };
            Fq6::new(part(0), part(1), part(2))
        };
        let constant = |k: usize, half: usize, i: usize| {
            let zero = Fq6::default();
            let mut value = if half == 0 {
                Fq12::new(unit(i), zero)
            } else {
                Fq12::new(zero, unit(i))
            };
            value.frobenius_map_in_place(k);
            let half = if half == 0 { value.c0 } else { value.c1 };
            Quadratic::splat([half.c0, half.c1, half.c2][i])
        };
        let constants = |k: usize| [0, 1].map(|half| [0, 1, 2].map(|i| constant(k, half, i)));
        Frobenius([1, 2, 3].map(constants))
    }

    fn apply(&self, k: usize, value: &Dodecic<F>) -> Dodecic<F> {
        let half = |parts: &Sextic<F>, constants: &Sextic<F>| {
            std::array::from_fn(|i| {
                let part = if k % 2 == 1 {
                    parts[i].conjugate()
                } else {
                    parts[i]
                };
                part.mul(&constants[i])
            })
        };
        let [even, odd] = &self.0[k - 1];
        Dodecic {
            even: half(&value.even, even),
            odd: half(&value.odd, odd),
        }
    }
}
