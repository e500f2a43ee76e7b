//! G1 in lanes: affine points, added and doubled many at a time with one inversion.

#[cfg(target_arch = "x86_64")]
use super::ifma::Ifma;
use super::{
    coefficients::{Coefficient, DIGITS, Digit, beta},
    field::{Field, Integer, Kernel, Mask, element, gather, invert, pack, unpack},
    portable::Portable,
};
use ark_bn254::{G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::AdditiveGroup;
use std::{collections::BTreeSet, sync::OnceLock};

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
    pub(super) fn pack(lane: impl Fn(usize) -> Point<F>) -> Self {
        Points {
            x: pack(|i| lane(i).x),
            y: pack(|i| lane(i).y),
        }
    }

    pub(super) fn negative(&self) -> Self {
        Points {
            x: self.x,
            y: F::call(Negate(self.y)),
        }
    }

    pub(super) fn unpack(&self) -> [Point<F>; 8] {
        let (x, y) = (unpack(self.x), unpack(self.y));
        std::array::from_fn(|i| Point { x: x[i], y: y[i] })
    }
}

impl<F: Field> Point<F> {
    pub(super) fn new(point: G1Affine) -> Self {
        Points::gather(|_| point).unpack()[0]
    }

    pub(super) fn affine(&self) -> G1Affine {
        let points = Points::<F>::pack(|_| *self);
        let [x, y] = [points.x, points.y].map(|x| element(x.first()));
        G1Affine::new_unchecked(x, y)
    }
}

/// Points in lanes; the first is repeated if the last are fewer.
pub(super) fn vectors<F: Field>(points: &[Point<F>]) -> Vec<Points<F>> {
    let vector = |points: &[Point<F>]| Points::pack(|lane| *points.get(lane).unwrap_or(&points[0]));
    points.chunks(F::LANES).map(vector).collect()
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
    /// The first half of doubling and adding, (P + Q) + P: the slope and the abscissa of P + Q, in place of the addend. Its ordinate is not needed
    /// (Eisenträger, Lauter and Montgomery 2003).
    Meet,
    /// The second half; where nothing is added, P is doubled.
    Return,
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
                Step::Add | Step::Meet if sum.idle | sum.equal == 0 => {
                    sum.point.x.sub(sum.addend.x)
                }
                Step::Return if sum.idle == 0 => sum.addend.x.sub(sum.point.x),
                Step::Return => {
                    (sum.addend.x.sub(sum.point.x)).select(sum.idle, sum.point.y.double())
                }
                Step::Add | Step::Meet => (sum.point.x.sub(sum.addend.x))
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
            if let Step::Meet = self.step {
                let slope = y.sub(sum.addend.y).mul(own);
                let meeting = slope.square().sub_two(x, sum.addend.x);
                sum.addend = Points {
                    x: meeting,
                    y: slope,
                };
                continue;
            }
            if let Step::Return = self.step {
                let mut slope = y.double().mul(own).add(sum.addend.y).neg();
                let mut other = sum.addend.x;
                if sum.idle != 0 {
                    let square = x.square();
                    let tangent = square.double_plus(square).mul(own);
                    slope = slope.select(sum.idle, tangent);
                    other = other.select(sum.idle, x);
                }
                let new_x = slope.square().sub_two(x, other);
                let new_y = slope.mul(x.sub(new_x)).sub(y);
                sum.point = Points { x: new_x, y: new_y };
                continue;
            }
            let (numerator, other) = match self.step {
                Step::Double => {
                    let square = x.square();
                    (square.double_plus(square), x)
                }
                Step::Add if sum.equal == 0 => (y.sub(sum.addend.y), sum.addend.x),
                _ => {
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
                _ => new.select(sum.idle, sum.point),
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
        self.x[representative] = F::call(Turn { point, beta });
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
    if points.is_empty() {
        return Vec::new();
    }
    let beta = beta().map(F::splat);
    let mut sums: Vec<Sum<F>> = points
        .iter()
        .map(|point| {
            let x = F::call(Turn { point, beta });
            Points {
                x: x[1],
                ..point.negative()
            }
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
    for (place, digits) in digits.chunks(points.len()).enumerate() {
        advance(&mut sums, Step::Double);
        // At first the multiple 2 met can be a digit; from then on none is below 4.
        if place == 0 {
            advance(&mut sums, Step::Double);
        }
        F::call(Pick {
            multiples: &multiples,
            digits,
            sums: &mut sums,
        });
        if place == 0 {
            advance(&mut sums, Step::Add);
        } else {
            advance(&mut sums, Step::Meet);
            advance(&mut sums, Step::Return);
        }
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

/// A point, and whether its negative is meant.
type Signed<F> = (Point<F>, bool);

/// The sums of so many pairs of points, and which of them are the identity, whatever stands in their place.
fn add_pairs<F: Field>(
    count: usize,
    left: impl Fn(usize) -> Signed<F>,
    right: impl Fn(usize) -> Signed<F>,
) -> (Vec<Point<F>>, BTreeSet<usize>) {
    let one = F::one();
    let (mut out, mut identities) = (Vec::with_capacity(count), BTreeSet::new());
    let mut sums: Vec<Sum<F>> = Vec::with_capacity(ADDED.min(count).div_ceil(F::LANES));
    for start in (0..count).step_by(ADDED) {
        let end = count.min(start + ADDED);
        sums.clear();
        F::call(Load {
            sums: &mut sums,
            places: (start, end),
            left: &left,
            right: &right,
            one,
        });
        let step = Step::Add;
        let mut product = F::call(Denominators {
            sums: &mut sums,
            step,
            one,
        });
        if product.zeros() != 0 {
            for (i, sum) in sums.iter_mut().enumerate() {
                F::call(Except(sum));
                let first = start + i * F::LANES;
                let lanes = (0..F::LANES).filter(|lane| sum.idle >> lane & 1 == 1);
                identities.extend(lanes.map(|lane| first + lane).filter(|place| *place < end));
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
        F::call(Store {
            sums: &sums,
            out: &mut out,
        });
        // Lanes left over repeated the last pair.
        out.truncate(end);
    }
    (out, identities)
}

/// Brings pairs into lanes.
struct Load<'a, F, L, R> {
    sums: &'a mut Vec<Sum<F>>,
    /// From the first to before the second.
    places: (usize, usize),
    left: &'a L,
    right: &'a R,
    one: F,
}

impl<F: Field, L: Fn(usize) -> Signed<F>, R: Fn(usize) -> Signed<F>> Kernel for Load<'_, F, L, R> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (start, end) = self.places;
        for first in (start..end).step_by(F::LANES) {
            let place = |lane: usize| (first + lane).min(end - 1);
            self.sums.push(Sum {
                point: signed(|lane| (self.left)(place(lane))),
                addend: signed(|lane| (self.right)(place(lane))),
                idle: 0,
                equal: 0,
                denominator: self.one,
                before: self.one,
            });
        }
    }
}

#[inline(always)]
fn signed<F: Field>(point: impl Fn(usize) -> Signed<F>) -> Points<F> {
    let x = F::pack(|lane| point(lane).0.x);
    let y = F::pack(|lane| point(lane).0.y);
    let mut negative: Mask = 0;
    for lane in 0..F::LANES {
        negative |= Mask::from(point(lane).1) << lane;
    }
    if negative == 0 {
        return Points { x, y };
    }
    let y = y.select(negative, y.neg());
    Points { x, y }
}

/// Takes points out of lanes.
struct Store<'a, F: Field> {
    sums: &'a [Sum<F>],
    out: &'a mut Vec<Point<F>>,
}

impl<F: Field> Kernel for Store<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for sum in self.sums {
            let (x, y) = (sum.point.x.unpack(), sum.point.y.unpack());
            for lane in 0..F::LANES {
                self.out.push(Point {
                    x: x[lane],
                    y: y[lane],
                });
            }
        }
    }
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

/// The sum of each group of points, halving all groups at a time; `None` is the identity, as for an empty group.
pub(super) fn sums<F: Field, E: Copy>(
    groups: &[Vec<E>],
    point: impl Fn(E) -> Signed<F>,
) -> Vec<Option<Point<F>>> {
    // The first halving reads the points where they are.
    let mut sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let flat: Vec<E> = groups.concat();
    let mut points = halve(&mut sizes, |i| point(flat[i]));
    while sizes.iter().any(|size| *size > 1) {
        points = halve(&mut sizes, |i| (points[i], false));
    }
    let mut points = points.into_iter();
    let sum = |size: usize| points.by_ref().take(size).next();
    sizes.into_iter().map(sum).collect()
}

/// Adds neighbours in each group of points that lie behind one another.
fn halve<F: Field>(sizes: &mut [usize], point: impl Fn(usize) -> Signed<F>) -> Vec<Point<F>> {
    let mut first = 0;
    let mut left = Vec::new();
    for size in sizes.iter() {
        left.extend((first..first + size - size % 2).step_by(2));
        first += size;
    }
    let (sums, identities) = add_pairs(left.len(), |i| point(left[i]), |i| point(left[i] + 1));
    let mut sums =
        (sums.into_iter().enumerate()).map(|(i, sum)| (!identities.contains(&i)).then_some(sum));
    let mut out = Vec::with_capacity(left.len() + sizes.len());
    let mut first = 0;
    for size in sizes {
        let before = out.len();
        out.extend(sums.by_ref().take(*size / 2).flatten());
        if *size % 2 == 1 {
            let (last, negative) = point(first + *size - 1);
            let negate = |last| Points::<F>::pack(|_| last).negative().unpack()[0];
            out.push(if negative { negate(last) } else { last });
        }
        first += *size;
        *size = out.len() - before;
    }
    out
}

/// The negative.
struct Negate<F>(F);

impl<F: Field> Kernel for Negate<F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        self.0.neg()
    }
}

/// A point in the forms in which a coefficient's digits use it: turned by the powers of the endomorphism.
pub(super) struct Turned<F: Field> {
    x: [F::Element; 3],
    y: F::Element,
}

impl<F: Field> Turned<F> {
    pub(super) fn form(&self, rotation: usize) -> Point<F> {
        Point {
            x: self.x[rotation],
            y: self.y,
        }
    }
}

/// Turns each lane of each of the points.
pub(super) fn turn<F: Field>(points: &[Points<F>]) -> Vec<Turned<F>> {
    let beta = beta().map(F::splat);
    let mut out = Vec::with_capacity(points.len() * F::LANES);
    for point in points {
        let x = F::call(Turn { point, beta });
        let (x, y) = (x.map(unpack), unpack(point.y));
        out.extend((0..F::LANES).map(|lane| Turned {
            x: [x[0][lane], x[1][lane], x[2][lane]],
            y: y[lane],
        }));
    }
    out
}

struct Turn<'a, F> {
    point: &'a Points<F>,
    beta: [F; 2],
}

impl<F: Field> Kernel for Turn<'_, F> {
    type Output = [F; 3];
    #[inline(always)]
    fn run(self) -> [F; 3] {
        let x = self.point.x;
        [x, x.mul(self.beta[0]), x.mul(self.beta[1])]
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
pub(super) fn assemble<F: Field>(buckets: &[Option<Point<F>>]) -> G1Projective {
    let places = || (0..buckets.len() as u32).zip(buckets);
    let present: Vec<(u32, Point<F>)> =
        places().filter_map(|(i, sum)| Some((i, (*sum)?))).collect();
    let points: Vec<Point<F>> = present.iter().map(|(_, point)| *point).collect();
    let turned = turn(&vectors(&points));
    // What each bucket adds to its digit's sum, by its representative: 1, 1 − ω and 2.
    let mut digits: Vec<Vec<Entry>> = vec![Vec::new(); DIGITS + 1];
    for (at, (i, _)) in (0..).zip(&present) {
        let (digit, representative) = (*i as usize / 3, i % 3);
        digits[digit].push((at, 0, false));
        match representative {
            1 => digits[digit].push((at, 1, true)),
            2 => digits[digit].push((at, 0, false)),
            _ => {}
        }
    }
    let form =
        |(i, rotation, negative): Entry| (turned[i as usize].form(rotation.into()), negative);
    let mut sums = sums(&digits, form).into_iter().rev();
    // The highest is that of the leading digit.
    let affine = |sum: Option<Option<Point<F>>>| {
        let sum = sum.flatten();
        sum.map_or(G1Affine::identity(), |sum| sum.affine())
    };
    let mut total = affine(sums.next()).into_group();
    for digit in sums.rev() {
        total.double_in_place();
        total.double_in_place();
        total += affine(Some(digit));
    }
    total
}

/// Bits of a digit of a fixed base's scalar.
const WINDOW: usize = 6;
/// Digits of a scalar of 254 bits, with room for a carry.
const WINDOWS: usize = 43;
/// Multiples kept for each digit: digits are between −31 and 32.
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// Multiples of fixed points, none of them the identity, for each engine that asked for them: by point, window and multiple. In eight lanes 172 KiB for each point.
#[derive(Default)]
pub(in crate::verify) struct Tables {
    pub(super) portable: OnceLock<Vec<Point<Portable>>>,
    #[cfg(target_arch = "x86_64")]
    pub(super) ifma: OnceLock<Vec<Point<Ifma>>>,
}

impl Tables {
    /// The multiples, which are made the first time they are asked for.
    pub(super) fn multiples<F: Field>(
        &self,
        points: impl FnOnce() -> Vec<G1Affine>,
    ) -> &[Point<F>] {
        F::kept(self).get_or_init(|| multiples(&points()))
    }
}

fn multiples<F: Field>(points: &[G1Affine]) -> Vec<Point<F>> {
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
    let mut by_multiple: Vec<Vec<Point<F>>> = Vec::with_capacity(MULTIPLES);
    for i in 0..MULTIPLES {
        match i {
            0 => {}
            1 => advance(&mut sums, Step::Double),
            _ => advance(&mut sums, Step::Add),
        }
        let mut out = Vec::with_capacity(sums.len() * F::LANES);
        F::call(Store {
            sums: &sums,
            out: &mut out,
        });
        by_multiple.push(out);
    }
    (0..bases.len())
        .flat_map(|base| by_multiple.iter().map(move |points| points[base]))
        .collect()
}

/// Which multiples, and which of them negative, add up to a point of the table times a scalar.
pub(super) fn terms(point: usize, scalar: Integer, out: &mut Vec<(usize, bool)>) {
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
            let place = (point * WINDOWS + window) * MULTIPLES + multiple - 1;
            out.push((place, negative));
        }
    }
    debug_assert_eq!(carry, 0);
}
