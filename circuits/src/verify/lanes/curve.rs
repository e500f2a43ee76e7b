//! G1 in lanes: affine points, added and doubled many at a time with one inversion.

use super::{
    coefficients::{Coefficient, Digit, beta},
    field::{Field, Kernel, Mask, gather, invert},
};
use ark_bn254::G1Affine;

/// A point in each lane, none the identity.
#[derive(Clone, Copy)]
pub(super) struct Points<F> {
    pub(super) x: F,
    pub(super) y: F,
}

impl<F: Field> Points<F> {
    /// A value from one arkworks point, not the identity, per lane.
    pub(super) fn gather(lane: impl Fn(usize) -> G1Affine) -> Self {
        Points {
            x: gather(|i| lane(i).x),
            y: gather(|i| lane(i).y),
        }
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        Points {
            x: self.x.select(mask, other.x),
            y: self.y.select(mask, other.y),
        }
    }
}

/// A point to which others are added.
#[derive(Clone, Copy)]
struct Sum<F> {
    point: Points<F>,
    addend: Points<F>,
    /// Lanes where nothing is added.
    idle: Mask,
    denominator: F,
    /// The product of the denominators before this.
    before: F,
}

#[derive(Clone, Copy)]
enum Step {
    Double,
    Add,
}

/// Denominators of all slopes, and their product.
struct Denominators<'a, F> {
    sums: &'a mut [Sum<F>],
    step: Step,
    one: F,
}

impl<F: Field> Kernel for Denominators<'_, F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        let mut product = self.one;
        for sum in self.sums {
            let denominator = match self.step {
                Step::Double => sum.point.y.double(),
                Step::Add => sum.point.x.sub(sum.addend.x).select(sum.idle, self.one),
            };
            sum.denominator = denominator;
            sum.before = product;
            product = product.mul(denominator);
        }
        product
    }
}

/// The new points, from the inverse of the product of all denominators.
struct Advance<'a, F> {
    sums: &'a mut [Sum<F>],
    step: Step,
    inverse: F,
}

impl<F: Field> Kernel for Advance<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let mut inverse = self.inverse;
        for sum in self.sums.iter_mut().rev() {
            let own = inverse.mul(sum.before);
            inverse = inverse.mul(sum.denominator);
            let Points { x, y } = sum.point;
            let (numerator, other) = match self.step {
                Step::Double => {
                    let square = x.square();
                    (square.double_plus(square), x)
                }
                Step::Add => (y.sub(sum.addend.y), sum.addend.x),
            };
            let slope = numerator.mul(own);
            let new_x = slope.square().sub(x).sub(other);
            let new_y = slope.mul(x.sub(new_x)).sub(y);
            let new = Points { x: new_x, y: new_y };
            sum.point = match self.step {
                Step::Double => new,
                Step::Add => new.select(sum.idle, sum.point),
            };
        }
    }
}

fn advance<F: Field>(sums: &mut [Sum<F>], step: Step) {
    let product = F::call(Denominators {
        sums,
        step,
        one: F::one(),
    });
    F::call(Advance {
        sums,
        step,
        inverse: invert(product),
    });
}

/// The multiples of a point by the digits: [representative][rotation], and the ordinate of each representative.
struct Multiples<F> {
    x: [[F; 3]; 3],
    y: [F; 3],
}

impl<F: Field> Multiples<F> {
    fn set(&mut self, representative: usize, point: &Points<F>, beta: &[F; 2]) {
        self.x[representative] = [point.x, point.x.mul(beta[0]), point.x.mul(beta[1])];
        self.y[representative] = point.y;
    }
}

/// The multiple of a digit in each lane, and the lanes with digit zero.
struct Pick<'a, F> {
    multiples: &'a [Multiples<F>],
    digits: &'a [[Option<Digit>; 8]],
    sums: &'a mut [Sum<F>],
}

impl<F: Field> Kernel for Pick<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((sum, multiples), digits) in self.sums.iter_mut().zip(self.multiples).zip(self.digits)
        {
            let (mut idle, mut negative) = (0, 0);
            let (mut representative, mut rotation) = ([0; 3], [0; 3]);
            for (lane, digit) in digits.iter().enumerate().take(F::LANES) {
                let bit: Mask = 1 << lane;
                match digit {
                    None => idle |= bit,
                    Some(digit) => {
                        representative[digit.representative] |= bit;
                        rotation[digit.rotation] |= bit;
                        negative |= if digit.negative { bit } else { 0 };
                    }
                }
            }
            let (mut x, mut y) = (multiples.x[0][0], multiples.y[0]);
            for i in 0..3 {
                for j in 0..3 {
                    x = x.select(representative[i] & rotation[j], multiples.x[i][j]);
                }
                y = y.select(representative[i], multiples.y[i]);
            }
            y = y.select(negative, y.neg());
            sum.addend = Points { x, y };
            sum.idle = idle;
        }
    }
}

/// Multiplies each lane of each of the points by its coefficient. Lanes beyond the coefficients given are multiplied by something.
pub(super) fn multiply<F: Field>(
    points: &[Points<F>],
    coefficients: &[Coefficient],
) -> Vec<Points<F>> {
    let beta = beta().map(F::splat);
    let mut sums: Vec<Sum<F>> = points
        .iter()
        .map(|point| Sum {
            point: *point,
            addend: Points {
                x: point.x.mul(beta[0]),
                y: point.y.neg(),
            },
            idle: 0,
            denominator: point.x,
            before: point.x,
        })
        .collect();
    let mut multiples: Vec<Multiples<F>> = points
        .iter()
        .map(|point| Multiples {
            x: [[point.x; 3]; 3],
            y: [point.y; 3],
        })
        .collect();
    // The representatives 1, 1 − ω and 2.
    for (i, step) in [(0, None), (1, Some(Step::Add)), (2, Some(Step::Double))] {
        if let Some(step) = step {
            advance(&mut sums, step);
        }
        for ((sum, multiples), point) in sums.iter_mut().zip(&mut multiples).zip(points) {
            multiples.set(i, &sum.point, &beta);
            sum.point = *point;
        }
    }
    let digits = transpose::<F>(coefficients, points.len());
    for digits in digits.chunks(points.len()) {
        advance(&mut sums, Step::Double);
        advance(&mut sums, Step::Double);
        F::call(Pick {
            multiples: &multiples,
            digits,
            sums: &mut sums,
        });
        advance(&mut sums, Step::Add);
    }
    sums.iter().map(|sum| sum.point).collect()
}

/// Digits by place, highest first, then by vector, then by lane.
fn transpose<F: Field>(coefficients: &[Coefficient], vectors: usize) -> Vec<[Option<Digit>; 8]> {
    let mut out = vec![[None; 8]; super::coefficients::DIGITS * vectors];
    for (i, coefficient) in coefficients.iter().enumerate() {
        let (vector, lane) = (i / F::LANES, i % F::LANES);
        for (place, digit) in coefficient.digits().enumerate() {
            if let Some(slot) = out.get_mut(place * vectors + vector) {
                slot[lane] = digit;
            }
        }
    }
    out
}
