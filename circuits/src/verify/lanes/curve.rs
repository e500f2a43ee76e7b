//! G1 in lanes: affine points, added and doubled many at a time with one inversion.

use super::{
    coefficients::{Coefficient, DIGITS, Digit, beta},
    field::{Field, Integer, Kernel, Mask, element, gather, invert},
};
use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::AdditiveGroup;

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

/// One point, not the identity, as a lane holds it.
pub(super) struct Point<F: Field> {
    pub(super) x: F::Element,
    pub(super) y: F::Element,
}

impl<F: Field> Clone for Point<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Field> Copy for Point<F> {}

impl<F: Field> Points<F> {
    #[inline(always)]
    pub(super) fn pack(lane: impl Fn(usize) -> Point<F>) -> Self {
        Points {
            x: F::pack(|i| lane(i).x),
            y: F::pack(|i| lane(i).y),
        }
    }

    pub(super) fn unpack(&self) -> [Point<F>; 8] {
        let (x, y) = (self.x.unpack(), self.y.unpack());
        std::array::from_fn(|i| Point { x: x[i], y: y[i] })
    }
}

impl<F: Field> Point<F> {
    fn affine(&self) -> G1Affine {
        let points = Points::<F>::pack(|_| *self);
        let [x, y] = [points.x, points.y].map(|x| element(x.first()));
        G1Affine::new_unchecked(x, y)
    }
}

/// A point to which others are added.
#[derive(Clone, Copy)]
struct Sum<F> {
    point: Points<F>,
    addend: Points<F>,
    /// Lanes where nothing is added.
    idle: Mask,
    /// Lanes where the point is added to itself.
    equal: Mask,
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
                Step::Add if sum.idle | sum.equal == 0 => sum.point.x.sub(sum.addend.x),
                Step::Add => (sum.point.x.sub(sum.addend.x))
                    .select(sum.equal, sum.point.y.double())
                    .select(sum.idle, self.one),
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
                Step::Add if sum.equal == 0 => (y.sub(sum.addend.y), sum.addend.x),
                Step::Add => {
                    let square = x.square();
                    let tangent = square.double_plus(square);
                    let chord = y.sub(sum.addend.y);
                    (chord.select(sum.equal, tangent), sum.addend.x)
                }
            };
            let slope = numerator.mul(own);
            let new_x = slope.square().sub_two(x, other);
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
    let one = F::one();
    let product = F::call(Denominators { sums, step, one });
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
    fn set(&mut self, representative: usize, point: &Points<F>, beta: [F; 2]) {
        let (x, [y, _]) = F::call(Turn { point, beta });
        self.x[representative] = x;
        self.y[representative] = y;
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
    if points.is_empty() {
        return Vec::new();
    }
    let beta = beta().map(F::splat);
    let mut sums: Vec<Sum<F>> = points
        .iter()
        .map(|point| {
            let (x, y) = F::call(Turn { point, beta });
            Points { x: x[1], y: y[1] }
        })
        .zip(points)
        .map(|(addend, point)| Sum {
            point: *point,
            addend,
            idle: 0,
            equal: 0,
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
            multiples.set(i, &sum.point, beta);
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

/// Additions prepared together: as many as the caches hold.
const ADDED: usize = 512;

/// The sums of so many pairs of points; `None` is the identity.
fn add_pairs<F: Field>(
    count: usize,
    left: impl Fn(usize) -> Point<F>,
    right: impl Fn(usize) -> Point<F>,
) -> Vec<Option<Point<F>>> {
    let one = F::one();
    let mut out = Vec::with_capacity(count);
    let mut sums: Vec<Sum<F>> = Vec::with_capacity(ADDED.min(count).div_ceil(F::LANES));
    for start in (0..count).step_by(ADDED) {
        let end = count.min(start + ADDED);
        sums.clear();
        for first in (start..end).step_by(F::LANES) {
            // Lanes left over repeat the last pair.
            let place = |lane: usize| (first + lane).min(end - 1);
            sums.push(Sum {
                point: Points::pack(|lane| left(place(lane))),
                addend: Points::pack(|lane| right(place(lane))),
                idle: 0,
                equal: 0,
                denominator: one,
                before: one,
            });
        }
        let step = Step::Add;
        let mut product = F::call(Denominators {
            sums: &mut sums,
            step,
            one,
        });
        if product.zeros() != 0 {
            for sum in &mut sums {
                F::call(Except(sum));
            }
            product = F::call(Denominators {
                sums: &mut sums,
                step,
                one,
            });
        }
        let inverse = invert(product);
        F::call(Advance {
            sums: &mut sums,
            step,
            inverse,
        });
        for (first, sum) in (start..end).step_by(F::LANES).zip(&sums) {
            let points = sum.point.unpack();
            for (lane, point) in points
                .into_iter()
                .enumerate()
                .take(F::LANES.min(end - first))
            {
                // What is left out here is a sum of opposite points.
                out.push((sum.idle >> lane & 1 == 0).then_some(point));
            }
        }
    }
    out
}

/// Finds the lanes where points are equal or opposite.
struct Except<'a, F>(&'a mut Sum<F>);

impl<F: Field> Kernel for Except<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Sum { point, addend, .. } = *self.0;
        let same = self.0.denominator.zeros();
        let equal = point.y.equals(addend.y);
        self.0.equal = same & equal;
        self.0.idle = same & !equal;
    }
}

/// The sum of each group of points, halving all groups at a time; the identity for an empty one.
pub(super) fn sums<F: Field, E: Copy>(
    groups: &[Vec<E>],
    point: impl Fn(E) -> Point<F>,
) -> Vec<G1Affine> {
    // The first halving reads the points where they are.
    let mut sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let flat: Vec<E> = groups.concat();
    let mut points = halve(&mut sizes, |i| point(flat[i]));
    while sizes.iter().any(|size| *size > 1) {
        points = halve(&mut sizes, |i| points[i]);
    }
    let mut points = points.iter();
    let sum = |size: usize| {
        let sum = points.by_ref().take(size).next();
        sum.map_or(G1Affine::identity(), Point::affine)
    };
    sizes.into_iter().map(sum).collect()
}

/// Adds neighbours in each group of points that lie behind one another.
fn halve<F: Field>(sizes: &mut [usize], point: impl Fn(usize) -> Point<F>) -> Vec<Point<F>> {
    let mut first = 0;
    let mut left = Vec::new();
    for size in sizes.iter() {
        left.extend((first..first + size - size % 2).step_by(2));
        first += size;
    }
    let sums = add_pairs(left.len(), |i| point(left[i]), |i| point(left[i] + 1));
    let mut sums = sums.iter();
    let mut out = Vec::with_capacity(left.len() + sizes.len());
    let mut first = 0;
    for size in sizes {
        let before = out.len();
        out.extend(sums.by_ref().take(*size / 2).flatten());
        if *size % 2 == 1 {
            out.push(point(first + *size - 1));
        }
        first += *size;
        *size = out.len() - before;
    }
    out
}

/// A point in the forms in which a coefficient's digits use it: turned by the powers of the endomorphism, and negated.
pub(super) struct Turned<F: Field> {
    x: [F::Element; 3],
    y: [F::Element; 2],
}

impl<F: Field> Turned<F> {
    pub(super) fn form(&self, rotation: usize, negative: bool) -> Point<F> {
        Point {
            x: self.x[rotation],
            y: self.y[usize::from(negative)],
        }
    }
}

/// Turns each lane of each of the points.
pub(super) fn turn<F: Field>(points: &[Points<F>]) -> Vec<Turned<F>> {
    let beta = beta().map(F::splat);
    let mut out = Vec::with_capacity(points.len() * F::LANES);
    for point in points {
        let (x, y) = F::call(Turn { point, beta });
        let (x, y) = (x.map(F::unpack), y.map(F::unpack));
        out.extend((0..F::LANES).map(|lane| Turned {
            x: [x[0][lane], x[1][lane], x[2][lane]],
            y: [y[0][lane], y[1][lane]],
        }));
    }
    out
}

struct Turn<'a, F> {
    point: &'a Points<F>,
    beta: [F; 2],
}

impl<F: Field> Kernel for Turn<'_, F> {
    type Output = ([F; 3], [F; 2]);
    #[inline(always)]
    fn run(self) -> ([F; 3], [F; 2]) {
        let Points { x, y } = *self.point;
        ([x, x.mul(self.beta[0]), x.mul(self.beta[1])], [y, y.neg()])
    }
}

/// Groups whose sums make up a combination of points: three for every digit, and one for the leading digit of all.
pub(super) const BUCKETS: usize = 3 * DIGITS + 1;

/// Which form of which point goes into which of the groups of a combination.
pub(super) type Entry = (u32, u8, bool);

/// Sorts a point's digits into the groups: a digit is a representative, which has its group, turned, which a point can be instead.
pub(super) fn sort(point: u32, coefficient: Coefficient, buckets: &mut [Vec<Entry>]) {
    for (place, digit) in coefficient.digits().enumerate() {
        if let Some(digit) = digit {
            buckets[3 * place + digit.representative].push((
                point,
                digit.rotation as u8,
                digit.negative,
            ));
        }
    }
    if coefficient.leads() {
        buckets[3 * DIGITS].push((point, 0, false));
    }
}

/// The combination of points from the sums of its groups.
pub(super) fn assemble(sums: &[G1Affine]) -> G1Projective {
    let beta: Fq = element(beta()[0]);
    let mut total = sums
        .last()
        .map_or(G1Projective::ZERO, |leading| leading.into_group());
    for digit in sums.chunks_exact(3) {
        total.double_in_place();
        total.double_in_place();
        // Representatives 1, 1 − ω and 2.
        let mut turned = -digit[1];
        turned.x *= beta;
        total += digit[0];
        total += digit[1];
        total += turned;
        total += digit[2];
        total += digit[2];
    }
    total
}

/// Bits of a digit of a fixed base's scalar.
const WINDOW: usize = 6;
/// Digits of a scalar of 254 bits, with room for a carry.
const WINDOWS: usize = 43;
/// Multiples kept for each digit: digits are between −31 and 32.
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// Multiples of fixed points: 86 KiB for each.
pub(in crate::verify) struct Tables {
    /// By point, window and multiple: the coordinates.
    multiples: Vec<[Integer; 2]>,
}

impl Tables {
    /// Makes the tables of points none of which is the identity.
    pub(super) fn new<F: Field>(points: &[G1Affine]) -> Self {
        let mut bases = Vec::with_capacity(points.len() * WINDOWS);
        for point in points {
            let mut base = point.into_group();
            for _ in 0..WINDOWS {
                bases.push(base);
                for _ in 0..WINDOW {
                    base.double_in_place();
                }
            }
        }
        let bases = G1Projective::normalize_batch(&bases);
        let mut sums: Vec<Sum<F>> = bases
            .chunks(F::LANES)
            .map(|bases| {
                let point = Points::gather(|lane| *bases.get(lane).unwrap_or(&bases[0]));
                Sum {
                    point,
                    addend: point,
                    idle: 0,
                    equal: 0,
                    denominator: point.x,
                    before: point.x,
                }
            })
            .collect();
        let mut multiples = vec![[[0; 4]; 2]; bases.len() * MULTIPLES];
        for i in 0..MULTIPLES {
            match i {
                0 => {}
                1 => advance(&mut sums, Step::Double),
                _ => advance(&mut sums, Step::Add),
            }
            for (bases, sum) in sums.iter().enumerate() {
                let (x, y) = (sum.point.x.scatter(), sum.point.y.scatter());
                for lane in 0..F::LANES {
                    let base = bases * F::LANES + lane;
                    if let Some(multiple) = multiples.get_mut(base * MULTIPLES + i) {
                        *multiple = [x[lane], y[lane]];
                    }
                }
            }
        }
        Tables { multiples }
    }

    /// The points that add up to a point of the table times a scalar.
    pub(super) fn terms(&self, point: usize, scalar: Integer, out: &mut Vec<(usize, bool)>) {
        let mut carry = 0;
        for window in 0..WINDOWS {
            let bit = window * WINDOW;
            let (limb, shift) = (bit / 64, bit % 64);
            let mut digit = scalar[limb] >> shift;
            if shift > 64 - WINDOW && limb < 3 {
                digit |= scalar[limb + 1] << (64 - shift);
            }
            let digit = (digit as usize & (2 * MULTIPLES - 1)) + carry;
            // A digit above 32 is one less than a multiple of 64.
            let negative = digit > MULTIPLES;
            carry = usize::from(negative);
            let multiple = if negative {
                2 * MULTIPLES - digit
            } else {
                digit
            };
            if multiple > 0 {
                out.push((
                    (point * WINDOWS + window) * MULTIPLES + multiple - 1,
                    negative,
                ));
            }
        }
        debug_assert_eq!(carry, 0);
    }

    /// The points of terms.
    pub(super) fn points<F: Field>(&self, terms: &[(usize, bool)]) -> Vec<Point<F>> {
        let at = |i: usize| {
            terms
                .get(i)
                .or(terms.first())
                .map_or([[0; 4]; 2], |term| self.multiples[term.0])
        };
        let mut out = Vec::with_capacity(terms.len());
        for (first, chunk) in terms
            .chunks(F::LANES)
            .enumerate()
            .map(|(i, chunk)| (i * F::LANES, chunk))
        {
            let y = F::gather(|i| at(first + i)[1]);
            let negative = (chunk.iter().enumerate())
                .fold(0, |mask, (i, term)| mask | Mask::from(term.1) << i);
            let points = Points {
                x: F::gather(|i| at(first + i)[0]),
                y: y.select(negative, y.neg()),
            };
            out.extend(points.unpack().into_iter().take(chunk.len()));
        }
        out
    }
}
