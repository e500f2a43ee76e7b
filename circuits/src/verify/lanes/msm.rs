//! Sums of multiples of fixed points, of either group: what proving is made of.
//!
//! A scalar is written in signed digits; every digit puts its point, or the point's negative, into the bucket of its absolute value; buckets are summed, and
//! the sums weighted. All additions are affine, in lanes, with one inversion for [`ADDED`] of them. Zero digits cost nothing: bits and other short
//! scalars need no path of their own.
//!
//! With [`Bases::tabled`] points are kept with their multiples by powers of the base, so that all digits share one set of buckets; without, every digit has its
//! own. Not constant-time. Scalars and digits are wiped; sums of points are not.

use super::field::{Field, Kernel, MAX_LANES, Mask, Pair, element, integer, invert, lowest};
use super::quadratic::Quadratic;
use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine, g1, g2};
use ark_ec::{
    AffineRepr as _,
    short_weierstrass::{Affine, Projective, SWCurveConfig},
};
use ark_ff::{AdditiveGroup, PrimeField};
use rayon::prelude::*;
use std::ops::Range;
use zeroize::{DefaultIsZeroes, Zeroize, Zeroizing};

/// Additions that share an inversion: as many as the caches hold.
const ADDED: usize = 1024;
/// Points that are added up together, before it is the next ones' turn.
const BLOCK: usize = 8192;
/// Bits of half the scalars' modulus: of the absolute value of a scalar.
const BITS: usize = 253;

/// Coordinates of points in lanes: the base field for G1, its quadratic extension for G2.
trait Coordinate: Copy + Send + Sync + 'static {
    /// The base field, in which is inverted.
    type Base: Field;
    /// Both coordinates of one lane's point, as they are kept in memory.
    type Point: Copy + Send + Sync + 'static;
    /// A coordinate for arkworks.
    type Ark: ark_ff::Field;

    fn gather(lane: impl Fn(usize) -> Self::Ark) -> Self;
    fn scatter(self) -> [Self::Ark; MAX_LANES];
    fn read<'a>(lane: impl Fn(usize) -> &'a Self::Point) -> [Self; 2];
    fn write(point: [Self; 2]) -> [Self::Point; MAX_LANES];
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// self − a − b.
    fn minus_two(self, a: Self, b: Self) -> Self;
    fn negated(self) -> Self;
    fn times(self, other: Self) -> Self;
    fn squared(self) -> Self;
    fn selected(self, mask: Mask, other: Self) -> Self;
    fn is_zero(self) -> Mask;
    /// What is zero where this is, and its inverse from the inverse of that.
    fn norm(self) -> Self::Base;
    fn inverse(self, of_norm: Self::Base) -> Self;
}

impl<F: Field> Coordinate for F {
    type Base = F;
    type Point = Pair;
    type Ark = Fq;

    fn gather(lane: impl Fn(usize) -> Fq) -> Self {
        super::field::gather(lane)
    }
    fn scatter(self) -> [Fq; MAX_LANES] {
        <F as Field>::scatter(self).map(element)
    }
    #[inline(always)]
    fn read<'a>(lane: impl Fn(usize) -> &'a Pair) -> [Self; 2] {
        <F as Field>::read(lane)
    }
    #[inline(always)]
    fn write(point: [Self; 2]) -> [Pair; MAX_LANES] {
        <F as Field>::write(point)
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.add(other)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.sub(other)
    }
    #[inline(always)]
    fn minus_two(self, a: Self, b: Self) -> Self {
        self.sub_two(a, b)
    }
    #[inline(always)]
    fn negated(self) -> Self {
        self.neg()
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.mul(other)
    }
    #[inline(always)]
    fn squared(self) -> Self {
        self.square()
    }
    #[inline(always)]
    fn selected(self, mask: Mask, other: Self) -> Self {
        self.select(mask, other)
    }
    #[inline(always)]
    fn is_zero(self) -> Mask {
        self.zeros()
    }
    #[inline(always)]
    fn norm(self) -> F {
        self
    }
    #[inline(always)]
    fn inverse(self, of_norm: F) -> Self {
        of_norm
    }
}

impl<F: Field> Coordinate for Quadratic<F> {
    type Base = F;
    type Point = [Pair; 2];
    type Ark = Fq2;

    fn gather(lane: impl Fn(usize) -> Fq2) -> Self {
        Quadratic {
            c0: F::gather(|i| integer(lane(i).c0)),
            c1: F::gather(|i| integer(lane(i).c1)),
        }
    }
    fn scatter(self) -> [Fq2; MAX_LANES] {
        Quadratic::scatter(&self).map(|[c0, c1]| Fq2::new(element(c0), element(c1)))
    }
    #[inline(always)]
    fn read<'a>(lane: impl Fn(usize) -> &'a [Pair; 2]) -> [Self; 2] {
        let [x0, x1] = F::read(|i| &lane(i)[0]);
        let [y0, y1] = F::read(|i| &lane(i)[1]);
        [Quadratic { c0: x0, c1: x1 }, Quadratic { c0: y0, c1: y1 }]
    }
    #[inline(always)]
    fn write([x, y]: [Self; 2]) -> [[Pair; 2]; MAX_LANES] {
        let (x, y) = (F::write([x.c0, x.c1]), F::write([y.c0, y.c1]));
        let mut out = [[x[0], y[0]]; MAX_LANES];
        for i in 1..MAX_LANES {
            out[i] = [x[i], y[i]];
        }
        out
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Quadratic::add(&self, &other)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Quadratic::sub(&self, &other)
    }
    #[inline(always)]
    fn minus_two(self, a: Self, b: Self) -> Self {
        Quadratic {
            c0: self.c0.sub_two(a.c0, b.c0),
            c1: self.c1.sub_two(a.c1, b.c1),
        }
    }
    #[inline(always)]
    fn negated(self) -> Self {
        Quadratic::neg(&self)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Quadratic::mul(&self, &other)
    }
    #[inline(always)]
    fn squared(self) -> Self {
        Quadratic::square(&self)
    }
    #[inline(always)]
    fn selected(self, mask: Mask, other: Self) -> Self {
        Quadratic::select(&self, mask, &other)
    }
    #[inline(always)]
    fn is_zero(self) -> Mask {
        self.zeros()
    }
    #[inline(always)]
    fn norm(self) -> F {
        Quadratic::norm(&self)
    }
    #[inline(always)]
    fn inverse(self, of_norm: F) -> Self {
        Quadratic::mul_base(&self.conjugate(), of_norm)
    }
}

/// A point, or its negative, by its place in a list: the lowest bit is the sign.
type Entry = u32;

/// A sum to be made, and where to put it.
#[derive(Clone, Copy, Default)]
struct Job {
    left: Entry,
    right: Entry,
    out: u32,
}

impl DefaultIsZeroes for Job {}

/// Two points to be added, in each lane.
#[derive(Clone, Copy)]
struct Addition<C: Coordinate> {
    x: [C; 2],
    y: [C; 2],
    /// Lanes where the points are equal.
    equal: Mask,
    /// Lanes where they are opposite.
    opposite: Mask,
    norm: C::Base,
    /// The product of the norms before this.
    before: C::Base,
}

impl<C: Coordinate> Addition<C> {
    /// The denominator of the slope.
    #[inline(always)]
    fn denominator(&self, one: C) -> C {
        let chord = self.x[0].minus(self.x[1]);
        if self.equal | self.opposite == 0 {
            return chord;
        }
        (chord.selected(self.equal, self.y[0].plus(self.y[0]))).selected(self.opposite, one)
    }
}

/// The points of one lane after another; lanes that are left over repeat the last.
#[inline(always)]
fn lanes<C: Coordinate>(points: &[C::Point], entry: impl Fn(usize) -> Entry) -> [C; 2] {
    let mut negative: Mask = 0;
    for lane in 0..C::Base::LANES {
        negative |= (entry(lane) as Mask & 1) << lane;
    }
    let [x, y] = C::read(|lane| &points[(entry(lane) >> 1) as usize]);
    let y = if negative == 0 {
        y
    } else {
        y.selected(negative, y.negated())
    };
    [x, y]
}

/// Reads pairs of points.
struct Load<'a, C: Coordinate> {
    points: &'a [C::Point],
    jobs: &'a [Job],
    pairs: &'a mut Vec<Addition<C>>,
    /// Whether the points of every pair are known to be equal.
    equal: bool,
    one: C::Base,
}

impl<C: Coordinate> Kernel for Load<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for jobs in self.jobs.chunks(C::Base::LANES) {
            let last = jobs.len() - 1;
            let [x0, y0] = lanes(self.points, |lane| jobs[lane.min(last)].left);
            let [x1, y1] = if self.equal {
                [x0, y0]
            } else {
                lanes(self.points, |lane| jobs[lane.min(last)].right)
            };
            self.pairs.push(Addition {
                x: [x0, x1],
                y: [y0, y1],
                equal: if self.equal {
                    lowest(C::Base::LANES)
                } else {
                    0
                },
                opposite: 0,
                norm: self.one,
                before: self.one,
            });
        }
    }
}

/// The norms of all denominators, and their product.
struct Norms<'a, C: Coordinate> {
    pairs: &'a mut [Addition<C>],
    one: C,
    product: C::Base,
}

impl<C: Coordinate> Kernel for Norms<'_, C> {
    type Output = C::Base;
    #[inline(always)]
    fn run(self) -> C::Base {
        let mut product = self.product;
        for pair in self.pairs {
            pair.norm = pair.denominator(self.one).norm();
            pair.before = product;
            product = Field::mul(product, pair.norm);
        }
        product
    }
}

/// Finds the lanes where points are equal or opposite.
struct Except<'a, C: Coordinate>(&'a mut [Addition<C>]);

impl<C: Coordinate> Kernel for Except<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for pair in self.0 {
            let same = pair.x[0].minus(pair.x[1]).is_zero();
            let equal = pair.y[0].minus(pair.y[1]).is_zero();
            pair.equal = same & equal;
            pair.opposite = same & !equal;
        }
    }
}

/// The sums, from the inverse of the product of all norms.
struct Store<'a, C: Coordinate> {
    pairs: &'a [Addition<C>],
    jobs: &'a [Job],
    out: &'a mut [C::Point],
    one: C,
    inverse: C::Base,
    /// Where there is no sum, for it is the identity.
    lost: &'a mut Vec<u32>,
}

impl<C: Coordinate> Kernel for Store<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let lanes = C::Base::LANES;
        let mut inverse = self.inverse;
        for (pair, jobs) in self.pairs.iter().zip(self.jobs.chunks(lanes)).rev() {
            let own = Field::mul(inverse, pair.before);
            inverse = Field::mul(inverse, pair.norm);
            let own = pair.denominator(self.one).inverse(own);
            let ([x0, x1], [y0, y1]) = (pair.x, pair.y);
            let mut numerator = y0.minus(y1);
            if pair.equal != 0 {
                let square = x0.squared();
                let tangent = square.plus(square).plus(square);
                numerator = numerator.selected(pair.equal, tangent);
            }
            let slope = numerator.times(own);
            let x = slope.squared().minus_two(x0, x1);
            let y = slope.times(x0.minus(x)).minus(y0);
            let sums = C::write([x, y]);
            for (lane, job) in jobs.iter().enumerate() {
                self.out[job.out as usize] = sums[lane];
                if pair.opposite >> lane & 1 == 1 {
                    self.lost.push(job.out);
                }
            }
        }
    }
}

/// Makes the sums.
fn add<C: Coordinate>(
    points: &[C::Point],
    jobs: &[Job],
    equal: bool,
    out: &mut [C::Point],
    lost: &mut Vec<u32>,
) {
    let base = C::Base::one();
    let one = C::gather(|_| ark_ff::Field::ONE);
    let mut pairs =
        Vec::<Addition<C>>::with_capacity(ADDED.min(jobs.len()).div_ceil(C::Base::LANES));
    for jobs in jobs.chunks(ADDED) {
        pairs.clear();
        C::Base::call(Load {
            points,
            jobs,
            pairs: &mut pairs,
            equal,
            one: base,
        });
        let norms = |pairs: &mut [Addition<C>]| {
            let product = base;
            C::Base::call(Norms {
                pairs,
                one,
                product,
            })
        };
        let mut product = norms(&mut pairs);
        if product.zeros() != 0 {
            C::Base::call(Except(&mut pairs));
            product = norms(&mut pairs);
        }
        C::Base::call(Store {
            pairs: &pairs,
            jobs,
            out,
            one,
            inverse: invert(product),
            lost,
        });
    }
}

/// Copies points, negated where the entry says so.
struct Move<'a, C: Coordinate> {
    points: &'a [C::Point],
    jobs: &'a [Job],
    out: &'a mut [C::Point],
}

impl<C: Coordinate> Kernel for Move<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for jobs in self.jobs.chunks(C::Base::LANES) {
            let last = jobs.len() - 1;
            let moved = C::write(lanes(self.points, |lane| jobs[lane.min(last)].left));
            for (lane, job) in jobs.iter().enumerate() {
                self.out[job.out as usize] = moved[lane];
            }
        }
    }
}

/// Adds neighbours in each of the groups that lie behind one another.
fn halve<C: Coordinate>(
    points: &[C::Point],
    entry: impl Fn(usize) -> Entry,
    sizes: &mut [u32],
) -> Vec<C::Point> {
    let Some(filler) = points.first() else {
        return Vec::new();
    };
    // Wiped, for these are digits still; so they must not grow.
    let all: usize = sizes.iter().map(|size| *size as usize).sum();
    let mut pairs = Zeroizing::new(Vec::with_capacity(all / 2));
    let mut single = Zeroizing::new(Vec::with_capacity(sizes.len()));
    let (mut first, mut out) = (0, 0);
    for size in sizes.iter_mut() {
        let end = first + *size as usize;
        while first < end {
            let job = Job {
                left: entry(first),
                right: entry((first + 1).min(end - 1)),
                out,
            };
            if first + 1 < end {
                pairs.push(job);
            } else {
                single.push(job);
            }
            first = (first + 2).min(end);
            out += 1;
        }
        *size = size.div_ceil(2);
    }
    let mut sums = vec![*filler; out as usize];
    let mut lost = Vec::new();
    add::<C>(points, &pairs, false, &mut sums, &mut lost);
    C::Base::call(Move::<C> {
        points,
        jobs: &single,
        out: &mut sums,
    });
    if !lost.is_empty() {
        without::<C>(&mut sums, sizes, lost);
    }
    sums
}

/// Leaves out the points at these places.
fn without<C: Coordinate>(points: &mut Vec<C::Point>, sizes: &mut [u32], mut lost: Vec<u32>) {
    lost.sort_unstable();
    let mut kept = Vec::with_capacity(points.len());
    let mut place = 0;
    for size in sizes {
        let before = kept.len();
        for _ in 0..*size {
            if lost.binary_search(&place).is_err() {
                kept.push(points[place as usize]);
            }
            place += 1;
        }
        *size = (kept.len() - before) as u32;
    }
    *points = kept;
}

/// Points in places of which some are empty, for the identity.
struct Places<C: Coordinate> {
    points: Vec<C::Point>,
    /// By place: the number of points in it, 0 or 1.
    filled: Vec<u32>,
}

/// The sum of each group.
fn sums<C: Coordinate>(points: &[C::Point], entries: &[Entry], sizes: &[u32]) -> Places<C> {
    let mut blocks = Vec::new();
    let (mut group, mut first, mut size) = (0, 0, 0);
    for (i, of_group) in sizes.iter().enumerate() {
        size += *of_group as usize;
        if size >= BLOCK || i + 1 == sizes.len() {
            blocks.push((group..i + 1, first..first + size));
            (group, first, size) = (i + 1, first + size, 0);
        }
    }
    let block = |(groups, range): &(Range<usize>, Range<usize>)| {
        let (mut sizes, entries) = (sizes[groups.clone()].to_vec(), &entries[range.clone()]);
        let mut points = halve::<C>(points, |i| entries[i], &mut sizes);
        while sizes.iter().any(|size| *size > 1) {
            points = halve::<C>(&points, |i| (i as Entry) << 1, &mut sizes);
        }
        (points, sizes)
    };
    let blocks: Vec<_> = blocks.par_iter().map(block).collect();
    let mut out = Places {
        points: Vec::with_capacity(blocks.iter().map(|(points, _)| points.len()).sum()),
        filled: Vec::with_capacity(sizes.len()),
    };
    for (points, filled) in blocks {
        out.points.extend(points);
        out.filled.extend(filled);
    }
    out
}

/// Rows no longer than this are weighted point by point.
const SHORT: usize = 8;

/// For each row of `length` places, a power of two: the first point, twice the second, three times the third, and so on. A row is laid out in a rectangle,
/// where a place's weight is that of its line and that of its column: so the sums of lines and of columns are two rows to be weighted, much shorter ones.
fn weigh<C, P>(places: &Places<C>, length: usize) -> Vec<Projective<P>>
where
    C: Coordinate,
    P: SWCurveConfig<BaseField = C::Ark>,
{
    if length <= SHORT {
        let points = affine::<C, P>(places);
        return points.par_chunks(length).map(running).collect();
    }
    let bits = length.trailing_zeros().div_ceil(2);
    let (columns, lines) = (1_usize << bits, length >> bits);
    let mut entries = Vec::with_capacity(2 * places.points.len());
    let mut sizes = Vec::with_capacity(places.filled.len() / length * 2 * columns);
    let mut number = 0;
    let mut numbers = Vec::with_capacity(length);
    for row in places.filled.chunks(length) {
        numbers.clear();
        numbers.extend(row.iter().map(|filled| {
            number += filled;
            (*filled == 1).then(|| (number - 1) << 1)
        }));
        // The first line weighs nothing; lines that there are not are empty.
        for line in 1..=columns {
            let before = entries.len();
            if line < lines {
                let line = &numbers[line * columns..][..columns];
                entries.extend(line.iter().flatten());
            }
            sizes.push((entries.len() - before) as u32);
        }
        for column in 0..columns {
            let before = entries.len();
            entries.extend(numbers[column..].iter().step_by(columns).flatten());
            sizes.push((entries.len() - before) as u32);
        }
    }
    let halves = weigh::<C, P>(&sums(&places.points, &entries, &sizes), columns);
    let whole = |halves: &[Projective<P>]| {
        let mut total = halves[0];
        for _ in 0..bits {
            total.double_in_place();
        }
        total + halves[1]
    };
    halves.par_chunks(2).map(whole).collect()
}

/// Points that scalars are multiplied by.
pub(crate) trait Multiples<P: SWCurveConfig>: Send + Sync {
    /// Σ scalar · point. Points without scalar count nothing.
    fn multiply(&self, scalars: &[Fr]) -> Projective<P>;
}

/// Fixed points, of which sums of multiples are wanted.
struct Bases<C: Coordinate, P: SWCurveConfig> {
    /// By point, then by power of the base; none the identity.
    points: Vec<C::Point>,
    /// For each point the number of its scalar.
    scalars: Vec<u32>,
    /// Bits of a digit.
    window: usize,
    /// Multiples kept of each point.
    copies: usize,
    /// Sets of buckets: digits that no multiple is kept for.
    rows: usize,
    curve: std::marker::PhantomData<P>,
}

/// Digits of so many bits that a scalar has.
fn digits(window: usize) -> usize {
    // One bit more for the sign.
    (BITS + 1).div_ceil(window)
}

/// The digit size with the fewest additions for so many points.
fn window(points: usize, tabled: bool) -> usize {
    let cost = |window: &usize| {
        let digits = digits(*window);
        let sets = if tabled { 1 } else { digits };
        // Every bucket is added to two sums; those of each set end in some sixty additions one by one, at several times the price.
        points * digits + sets * ((2 << (window - 1)) + 400)
    };
    (3..=16).min_by_key(cost).unwrap_or(8)
}

/// Points as they are, or with tables.
fn bases<C, P>(points: &[Affine<P>], tabled: bool) -> Box<dyn Multiples<P>>
where
    C: Coordinate,
    P: SWCurveConfig<BaseField = C::Ark, ScalarField = Fr>,
{
    if tabled {
        Box::new(Bases::<C, P>::tabled(points))
    } else {
        Box::new(Bases::<C, P>::plain(points))
    }
}

impl<C: Coordinate, P: SWCurveConfig<BaseField = C::Ark, ScalarField = Fr>> Bases<C, P> {
    /// Points as they are.
    fn plain(bases: &[Affine<P>]) -> Self {
        let mut points = Vec::with_capacity(bases.len());
        let mut scalars = Vec::with_capacity(bases.len());
        let present: Vec<u32> = (0_u32..)
            .zip(bases)
            .filter_map(|(i, base)| (!base.is_zero()).then_some(i))
            .collect();
        for chunk in present.chunks(C::Base::LANES) {
            let base = |lane: usize| &bases[chunk[lane.min(chunk.len() - 1)] as usize];
            let [x, y] = [
                C::gather(|lane| base(lane).x),
                C::gather(|lane| base(lane).y),
            ];
            points.extend(&C::Base::call(Write([x, y]))[..chunk.len()]);
            scalars.extend(chunk);
        }
        let window = window(points.len(), false);
        Bases {
            points,
            scalars,
            window,
            copies: 1,
            rows: digits(window),
            curve: std::marker::PhantomData,
        }
    }

    /// Points with tables: [`table_bytes`] of memory, and work for 253 doublings of each.
    fn tabled(bases: &[Affine<P>]) -> Self {
        let plain = Self::plain(bases);
        let window = window(plain.points.len(), true);
        let copies = digits(window);
        let multiples = |points: &[C::Point]| {
            let doubles = |out: u32| Job {
                left: out << 1,
                right: out << 1,
                out,
            };
            let jobs: Vec<Job> = (0..points.len() as u32).map(doubles).collect();
            let mut table = vec![points.to_vec()];
            let mut points = points.to_vec();
            for _ in 1..copies {
                for _ in 0..window {
                    let mut doubled = points.clone();
                    add::<C>(&points, &jobs, true, &mut doubled, &mut Vec::new());
                    points = doubled;
                }
                table.push(points.clone());
            }
            (0..points.len())
                .flat_map(|i| table.iter().map(move |points| points[i]))
                .collect::<Vec<_>>()
        };
        let chunks = plain.points.par_chunks(ADDED);
        Bases {
            points: chunks.flat_map_iter(multiples).collect(),
            window,
            copies,
            rows: 1,
            ..plain
        }
    }

    /// The entries of all buckets, and how many each has. Buckets are numbered by row, then by digit less one.
    fn sort(&self, scalars: &[Fr]) -> (Zeroizing<Vec<Entry>>, Zeroizing<Vec<u32>>) {
        let (places, half) = (digits(self.window), 1_usize << (self.window - 1));
        // By point and place: twice the bucket's number, and the sign; or no bucket.
        let mut placed = Zeroizing::new(vec![u32::MAX; self.scalars.len() * places]);
        let mut sizes = Zeroizing::new(vec![0_u32; self.rows * half]);
        for (placed, scalar) in placed.chunks_exact_mut(places).zip(&self.scalars) {
            let scalar = scalars.get(*scalar as usize).copied().unwrap_or_default();
            self.split(scalar, |place, multiple, negative| {
                let row = if self.rows == 1 { 0 } else { place % self.rows };
                let bucket = row * half + multiple - 1;
                sizes[bucket] += 1;
                placed[place] = (bucket << 1) as u32 | u32::from(negative);
            });
        }
        let mut next = Zeroizing::new(Vec::with_capacity(sizes.len()));
        let mut first = 0;
        for size in sizes.iter() {
            next.push(first);
            first += size;
        }
        let mut entries = Zeroizing::new(vec![0; first as usize]);
        for (point, placed) in placed.chunks_exact(places).enumerate() {
            for (place, bucket) in placed.iter().enumerate() {
                if *bucket == u32::MAX {
                    continue;
                }
                let copy = if self.rows == 1 {
                    place
                } else {
                    place / self.rows
                };
                let number = (point * self.copies + copy) as u32;
                let next = &mut next[(bucket >> 1) as usize];
                entries[*next as usize] = number << 1 | bucket & 1;
                *next += 1;
            }
        }
        (entries, sizes)
    }

    /// Calls back with the place, absolute value and sign of every digit that is not zero.
    fn split(&self, scalar: Fr, mut digit: impl FnMut(usize, usize, bool)) {
        let mut value = scalar.into_bigint();
        let negated = value > Fr::MODULUS_MINUS_ONE_DIV_TWO;
        if negated {
            value = (-scalar).into_bigint();
        }
        let (window, half) = (self.window, 1_usize << (self.window - 1));
        let mut carry = 0;
        for place in 0..digits(window) {
            let (limb, shift) = (place * window / 64, place * window % 64);
            let mut bits = value.0[limb] >> shift;
            if shift + window > 64 && limb < 3 {
                bits |= value.0[limb + 1] << (64 - shift);
            }
            let absolute = (bits as usize & (2 * half - 1)) + carry;
            // A digit above half the base is one less than a multiple of it.
            let below = absolute > half;
            carry = usize::from(below);
            let absolute = if below { 2 * half - absolute } else { absolute };
            if absolute > 0 {
                digit(place, absolute, below != negated);
            }
        }
        debug_assert_eq!(carry, 0);
        value.zeroize();
    }
}

impl<C, P> Multiples<P> for Bases<C, P>
where
    C: Coordinate,
    P: SWCurveConfig<BaseField = C::Ark, ScalarField = Fr>,
{
    fn multiply(&self, scalars: &[Fr]) -> Projective<P> {
        let (entries, sizes) = self.sort(scalars);
        let buckets = sums::<C>(&self.points, &entries, &sizes);
        let rows = weigh::<C, P>(&buckets, 1 << (self.window - 1));
        let mut total = Projective::ZERO;
        for row in rows.iter().rev() {
            for _ in 0..self.window {
                total.double_in_place();
            }
            total += row;
        }
        total
    }
}

/// Reads a point in each lane.
struct Read<'a, C: Coordinate>(&'a [C::Point]);

impl<C: Coordinate> Kernel for Read<'_, C> {
    type Output = [C; 2];
    #[inline(always)]
    fn run(self) -> [C; 2] {
        let last = self.0.len() - 1;
        C::read(|lane| &self.0[lane.min(last)])
    }
}

/// Writes a point from each lane.
struct Write<C: Coordinate>([C; 2]);

impl<C: Coordinate> Kernel for Write<C> {
    type Output = [C::Point; MAX_LANES];
    #[inline(always)]
    fn run(self) -> [C::Point; MAX_LANES] {
        C::write(self.0)
    }
}

/// arkworks' points; the identity in empty places.
fn affine<C: Coordinate, P: SWCurveConfig<BaseField = C::Ark>>(
    places: &Places<C>,
) -> Vec<Affine<P>> {
    let mut known = Vec::with_capacity(places.points.len());
    for points in places.points.chunks(C::Base::LANES) {
        let [x, y] = C::Base::call(Read::<C>(points)).map(C::scatter);
        let lanes = x.into_iter().zip(y).take(points.len());
        known.extend(lanes.map(|(x, y)| Affine::new_unchecked(x, y)));
    }
    let mut known = known.into_iter();
    let place = |filled: &u32| (*filled > 0).then(|| known.next()).flatten();
    let points = places.filled.iter().map(place);
    points.map(Option::unwrap_or_default).collect()
}

/// The first point, twice the second, three times the third, and so on.
fn running<P: SWCurveConfig>(points: &[Affine<P>]) -> Projective<P> {
    let (mut sum, mut total) = (Projective::<P>::ZERO, Projective::<P>::ZERO);
    for point in points.iter().rev() {
        sum += point;
        total += sum;
    }
    total
}

/// Points of G1, as they are or with tables; eight lanes wide if asked for and the processor can.
pub(crate) fn g1_multiples(
    points: &[G1Affine],
    wide: bool,
    tabled: bool,
) -> Box<dyn Multiples<g1::Config>> {
    #[cfg(target_arch = "x86_64")]
    if wide && super::has_ifma() {
        return bases::<super::ifma::Ifma, _>(points, tabled);
    }
    let _ = wide;
    bases::<super::portable::Portable, _>(points, tabled)
}

/// The same of G2.
pub(crate) fn g2_multiples(
    points: &[G2Affine],
    wide: bool,
    tabled: bool,
) -> Box<dyn Multiples<g2::Config>> {
    #[cfg(target_arch = "x86_64")]
    if wide && super::has_ifma() {
        return bases::<Quadratic<super::ifma::Ifma>, _>(points, tabled);
    }
    let _ = wide;
    bases::<Quadratic<super::portable::Portable>, _>(points, tabled)
}

/// Bytes of the tables of so many points, none of which is the identity: of G1, and of G2.
pub(crate) fn table_bytes(points: usize) -> [usize; 2] {
    let kept = points * digits(window(points, true));
    [kept * size_of::<Pair>(), kept * size_of::<[Pair; 2]>()]
}

#[cfg(test)]
mod tests {
    use super::super::portable::Portable;
    use super::*;
    use ark_ff::{Field as _, UniformRand};

    /// Points and scalars in which everything exceptional happens: identities, points that are equal or opposite, scalars that are zero, short, the
    /// largest, next to powers of two, or the same.
    fn agrees_with_arkworks<C, P>()
    where
        C: Coordinate,
        P: SWCurveConfig<BaseField = C::Ark, ScalarField = Fr>,
    {
        let mut rng = crate::keys::rng(b"msm", &[]);
        let mut points: Vec<_> = (0..20).map(|_| Affine::<P>::rand(&mut rng)).collect();
        points.extend([
            points[0],
            -points[1],
            Affine::identity(),
            points[0],
            points[2],
        ]);
        let mut scalars: Vec<Fr> = (0..15).map(|_| Fr::rand(&mut rng)).collect();
        let two = Fr::from(2u64);
        let half = two.inverse().unwrap();
        scalars.extend([0u64, 1, 1, u64::from(u32::MAX)].map(Fr::from));
        scalars.extend([
            -Fr::ONE,
            half,
            half - Fr::ONE,
            two.pow([64_u64]),
            -two.pow([253_u64]),
        ]);
        scalars[0] = scalars[1];
        scalars.push(scalars[2]);
        for count in [0, 1, 2, 9, points.len()] {
            let points = &points[..count];
            for from in 0..2 {
                let scalars: Vec<_> = scalars.iter().rev().skip(from).copied().collect();
                let terms = points.iter().zip(&scalars);
                let expected: Projective<P> = terms.map(|(point, scalar)| *point * scalar).sum();
                for tabled in [false, true] {
                    let made = bases::<C, P>(points, tabled).multiply(&scalars);
                    assert_eq!(made, expected, "{count} points, tabled {tabled}");
                }
            }
        }
        // A point and its negative.
        let pair = [points[3], -points[3]];
        for tabled in [false, true] {
            let sum = bases::<C, P>(&pair, tabled).multiply(&[scalars[5]; 2]);
            assert_eq!(sum, Projective::ZERO);
        }
    }

    #[test]
    fn sums_of_multiples_are_those_of_arkworks_whatever_points_and_scalars() {
        agrees_with_arkworks::<Portable, g1::Config>();
        agrees_with_arkworks::<Quadratic<Portable>, g2::Config>();
        #[cfg(target_arch = "x86_64")]
        if super::super::has_ifma() {
            use super::super::ifma::Ifma;
            agrees_with_arkworks::<Ifma, g1::Config>();
            agrees_with_arkworks::<Quadratic<Ifma>, g2::Config>();
        }
    }

    /// Every digit size, for scalars whose digits carry all the way.
    #[test]
    fn digits_add_up_to_the_scalar() {
        let mut rng = crate::keys::rng(b"digits", &[]);
        let half = Fr::from(Fr::MODULUS_MINUS_ONE_DIV_TWO);
        for window in 3..=16 {
            let mut bases = Bases::<Portable, g1::Config>::plain(&[]);
            bases.window = window;
            for scalar in [Fr::ZERO, Fr::ONE, -Fr::ONE, half, -half, Fr::rand(&mut rng)] {
                let mut sum = Fr::ZERO;
                bases.split(scalar, |place, absolute, negative| {
                    assert!((1..=1 << (window - 1)).contains(&absolute));
                    let power = Fr::from(2u64).pow([(place * window) as u64]);
                    let term = power * Fr::from(absolute as u64);
                    sum += if negative { -term } else { term };
                });
                assert_eq!(sum, scalar, "{window} bits");
            }
        }
    }
}
