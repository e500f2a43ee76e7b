//! The optimal ate Miller loop over many pairs at once, and G2 membership along with it.
//!
//! Every pair (P, Q) walks T from Q to [6x+2]Q + ψ(Q) − ψ²(Q) in affine coordinates, and every line it draws is multiplied into one accumulator per lane, so
//! that the accumulator is squared once per step for all pairs. What makes it cheap:
//!
//! - **One inversion per step** for all pairs (Montgomery's trick), and only of the norms of the denominators, in the base field.
//! - **Lines with leading coefficient 1.** A line through T with slope λ is, at P, yP − λ xP w + (λ xT − yT) v w. A factor of the base field
//!   vanishes in the final exponentiation, so it may be divided by yP; and Q may be moved to the isomorphic curve (x, y) ↦ (k²x, k³y) with k = −xP/yP, after which
//!   the line is 1 + λ w + s (λ xT − yT) v w with s = 1 / (k³ yP). No product for the second term. ψ commutes with the move, for k is in the base field.
//! - **Membership read off the end.** On G2, ψ is multiplication by p, and [6x+2] + p − p² + p³ ≡ 0 mod r, so T ends at −ψ³(Q). For a point of the twist outside
//!   G2 it does not: ψ satisfies ψ² − tψ + p = 0 on all of the twist, so T + ψ³(Q) is a fixed endomorphism of Q, and the greatest common divisor of its norm
//!   and the cofactor is 1 (a test computes it).
//!
//! A step is exceptional where its denominator is zero. It never is for a point of G2, for all multiples met are below r and distinct up to sign; so such a lane
//! is no member, its denominator is replaced, and the others do not notice.

use super::{
    curve::Points,
    field::{Field, Kernel, Mask, invert, pack, unpack},
    quadratic::Quadratic,
    tower::{Dodecic, Line},
};
use ark_bn254::{Config, Fq2, G2Affine};
use ark_ec::bn::BnConfig;

/// Points of the twist in affine coordinates.
#[derive(Clone, Copy)]
pub(super) struct TwistPoints<F> {
    pub(super) x: Quadratic<F>,
    pub(super) y: Quadratic<F>,
}

/// One point of the twist, as a lane holds it.
pub(super) struct TwistPoint<F: Field> {
    x: [F::Element; 2],
    y: [F::Element; 2],
}

impl<F: Field> Clone for TwistPoint<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Field> Copy for TwistPoint<F> {}

impl<F: Field> TwistPoints<F> {
    /// A value from one arkworks point, not the identity, per lane.
    pub(super) fn gather(lane: impl Fn(usize) -> G2Affine) -> Self {
        TwistPoints {
            x: Quadratic::gather(|i| lane(i).x),
            y: Quadratic::gather(|i| lane(i).y),
        }
    }

    pub(super) fn pack(lane: impl Fn(usize) -> TwistPoint<F>) -> Self {
        TwistPoints {
            x: Quadratic {
                c0: pack(|i| lane(i).x[0]),
                c1: pack(|i| lane(i).x[1]),
            },
            y: Quadratic {
                c0: pack(|i| lane(i).y[0]),
                c1: pack(|i| lane(i).y[1]),
            },
        }
    }

    pub(super) fn unpack(&self) -> [TwistPoint<F>; 8] {
        let parts = [self.x.c0, self.x.c1, self.y.c0, self.y.c1].map(unpack);
        std::array::from_fn(|i| TwistPoint {
            x: [parts[0][i], parts[1][i]],
            y: [parts[2][i], parts[3][i]],
        })
    }
}

/// A pair in each lane.
pub(super) struct Pairs<F> {
    pub(super) g1: Points<F>,
    pub(super) g2: TwistPoints<F>,
    /// The lanes that count. The others must hold points too.
    pub(super) live: Mask,
}

/// Walks of pairs through the loop.
struct Walk<F> {
    t: TwistPoints<F>,
    /// What is added to T, up to sign.
    q: TwistPoints<F>,
    /// Which product its lines go into.
    group: usize,
    /// s of the module's essay.
    scale: F,
    live: Mask,
    exceptional: Mask,
    /// The norm of the denominator, and the product of the norms before it.
    norm: F,
    before: F,
}

/// What happens to every T.
#[derive(Clone, Copy)]
enum Step {
    Double,
    Add,
    Subtract,
}

/// What a Miller loop gives.
pub(super) struct Output<F> {
    /// In each lane the product of the group's values, up to factors of the base field.
    pub(super) product: Dodecic<F>,
    /// For each of the group's pairs, the lanes whose second point is in G2.
    pub(super) members: Vec<Mask>,
}

/// ψ, the twist's endomorphism: conjugate, and multiply by constants.
struct Psi<F> {
    x: Quadratic<F>,
    y: Quadratic<F>,
}

impl<F: Field> Psi<F> {
    fn new() -> Self {
        let [x, y]: [Fq2; 2] = [Config::TWIST_MUL_BY_Q_X, Config::TWIST_MUL_BY_Q_Y];
        Psi {
            x: Quadratic::splat(x),
            y: Quadratic::splat(y),
        }
    }

    #[inline(always)]
    fn of(&self, point: &TwistPoints<F>) -> TwistPoints<F> {
        TwistPoints {
            x: point.x.conjugate().mul(&self.x),
            y: point.y.conjugate().mul(&self.y),
        }
    }
}

/// ψ of what every walk adds.
struct Turn<'a, F> {
    walks: &'a mut [Walk<F>],
    psi: &'a Psi<F>,
}

impl<F: Field> Kernel for Turn<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for walk in self.walks {
            walk.q = self.psi.of(&walk.q);
        }
    }
}

/// The lanes where a walk ended at −ψ(q), q being ψ²(Q) by then.
struct Ends<'a, F> {
    walk: &'a Walk<F>,
    psi: &'a Psi<F>,
}

impl<F: Field> Kernel for Ends<'_, F> {
    type Output = Mask;
    #[inline(always)]
    fn run(self) -> Mask {
        let cubed = self.psi.of(&self.walk.q);
        let opposite = self.walk.t.x.equals(&cubed.x) & self.walk.t.y.add(&cubed.y).zeros();
        opposite & !self.walk.exceptional
    }
}

/// The Miller loops of groups of pairs, with a product for each group, and none of the points the identity.
pub(super) fn miller<F: Field>(groups: &[Vec<Pairs<F>>]) -> Vec<Output<F>> {
    let mut walks = start(groups);
    let mut products = vec![Dodecic::one(); groups.len()];
    for (i, digit) in Config::ATE_LOOP_COUNT.iter().rev().enumerate().skip(1) {
        if i > 1 {
            for product in &mut products {
                *product = product.square();
            }
        }
        step(&mut walks, &mut products, Step::Double);
        match digit {
            1 => step(&mut walks, &mut products, Step::Add),
            -1 => step(&mut walks, &mut products, Step::Subtract),
            _ => {}
        }
    }
    let psi = &Psi::new();
    for next in [Step::Add, Step::Subtract] {
        let walks = &mut walks;
        F::call(Turn { walks, psi });
        step(walks, &mut products, next);
    }
    let output = |product| Output {
        product,
        members: Vec::new(),
    };
    let mut outputs: Vec<Output<F>> = products.into_iter().map(output).collect();
    for walk in &walks {
        let members = F::call(Ends { walk, psi });
        if let Some(output) = outputs.get_mut(walk.group) {
            output.members.push(members);
        }
    }
    outputs
}

/// Moves every pair to its curve.
fn start<F: Field>(groups: &[Vec<Pairs<F>>]) -> Vec<Walk<F>> {
    let pairs = || {
        (groups.iter().enumerate()).flat_map(|(i, group)| group.iter().map(move |pair| (i, pair)))
    };
    let one = F::one();
    // The products xy, of which all inverses follow from that of their product.
    let mut product = one;
    let mut before = Vec::new();
    for (_, pair) in pairs() {
        before.push(product);
        product = F::call(Extend(product, &pair.g1));
    }
    let mut inverse = invert(product);
    let mut walks = Vec::with_capacity(before.len());
    let mut backwards: Vec<_> = pairs().zip(before).collect();
    while let Some(((group, pair), before)) = backwards.pop() {
        let (walk, next) = F::call(Move {
            group,
            pair,
            before,
            inverse,
        });
        walks.push(walk);
        inverse = next;
    }
    walks.reverse();
    walks
}

/// A product, times both coordinates.
struct Extend<'a, F>(F, &'a Points<F>);

impl<F: Field> Kernel for Extend<'_, F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        self.0.mul(self.1.x.mul(self.1.y))
    }
}

/// Moves a pair, given the product of all coordinates before it, and the inverse of that product times its own.
struct Move<'a, F> {
    group: usize,
    pair: &'a Pairs<F>,
    before: F,
    inverse: F,
}

impl<F: Field> Kernel for Move<'_, F> {
    type Output = (Walk<F>, F);
    #[inline(always)]
    fn run(self) -> (Walk<F>, F) {
        let Points { x, y } = self.pair.g1;
        let inverse = self.inverse.mul(self.before);
        // k = −x/y, 1/k = −y/x, and 1/y.
        let k = x.square().mul(inverse).neg();
        let k_inverse = y.square().mul(inverse).neg();
        let y_inverse = x.mul(inverse);
        let k2 = k.square();
        let q = TwistPoints {
            x: self.pair.g2.x.mul_base(k2),
            y: self.pair.g2.y.mul_base(k2.mul(k)),
        };
        let walk = Walk {
            t: q,
            q,
            group: self.group,
            scale: k_inverse.square().mul(k_inverse).mul(y_inverse),
            live: self.pair.live,
            exceptional: 0,
            norm: y_inverse,
            before: y_inverse,
        };
        (walk, self.inverse.mul(x.mul(y)))
    }
}

/// One step of every walk.
fn step<F: Field>(walks: &mut [Walk<F>], products: &mut [Dodecic<F>], step: Step) {
    let one = F::one();
    let mut norms = F::call(Norms { walks, step, one });
    if norms.zeros() != 0 {
        norms = except(walks, one);
    }
    F::call(Advance {
        walks,
        step,
        inverse: invert(norms),
        products,
    });
}

/// Replaces the norms that are zero, and multiplies them again.
#[cold]
fn except<F: Field>(walks: &mut [Walk<F>], one: F) -> F {
    let mut product = one;
    for walk in walks {
        let zeros = walk.norm.zeros();
        walk.exceptional |= zeros;
        walk.norm = walk.norm.select(zeros, one);
        walk.before = product;
        product = product.mul(walk.norm);
    }
    product
}

impl<F: Field> Walk<F> {
    /// What the slope is divided by.
    #[inline(always)]
    fn denominator(&self, step: Step) -> Quadratic<F> {
        match step {
            Step::Double => self.t.y.double(),
            Step::Add | Step::Subtract => self.t.x.sub(&self.q.x),
        }
    }

    #[inline(always)]
    fn numerator(&self, step: Step) -> Quadratic<F> {
        match step {
            Step::Double => {
                let square = self.t.x.square();
                square.double_plus(&square)
            }
            Step::Add => self.t.y.sub(&self.q.y),
            Step::Subtract => self.t.y.add(&self.q.y),
        }
    }

    /// The line, as its lanes that count have it; in others, 1.
    #[inline(always)]
    fn line(&self, slope: &Quadratic<F>, offset: &Quadratic<F>) -> Line<F> {
        if self.live == F::ALL {
            return Line {
                slope: *slope,
                offset: *offset,
            };
        }
        let none = Quadratic {
            c0: slope.c0.sub(slope.c0),
            c1: slope.c0.sub(slope.c0),
        };
        Line {
            slope: none.select(self.live, slope),
            offset: none.select(self.live, offset),
        }
    }
}

/// The norms of all denominators, and their product.
struct Norms<'a, F> {
    walks: &'a mut [Walk<F>],
    step: Step,
    one: F,
}

impl<F: Field> Kernel for Norms<'_, F> {
    type Output = F;
    #[inline(always)]
    fn run(self) -> F {
        let mut product = self.one;
        for walk in self.walks {
            walk.norm = walk.denominator(self.step).norm();
            walk.before = product;
            product = product.mul(walk.norm);
        }
        product
    }
}

/// Slopes, new points and lines, from the inverse of the product of all norms.
struct Advance<'a, F> {
    walks: &'a mut [Walk<F>],
    step: Step,
    inverse: F,
    products: &'a mut [Dodecic<F>],
}

impl<F: Field> Kernel for Advance<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (mut inverse, step, products) = (self.inverse, self.step, self.products);
        let (first, pairs) = self.walks.as_rchunks_mut::<2>();
        for pair in pairs.iter_mut().rev() {
            inverse = advance(pair, inverse, step, products);
        }
        if let [walk] = first {
            advance(std::array::from_mut(walk), inverse, step, products);
        }
    }
}

/// Moves each T along its line, and multiplies the line into the product of its group. Walks that wait for nothing of each other go along together, for a product
/// takes longer than the processor looks ahead. Takes and gives the inverse of the product of all norms up to and before these.
#[inline(always)]
fn advance<F: Field, const N: usize>(
    walks: &mut [Walk<F>; N],
    mut inverse: F,
    step: Step,
    products: &mut [Dodecic<F>],
) -> F {
    let mut slopes = [walks[0].t.x; N];
    for i in (0..N).rev() {
        let own = inverse.mul(walks[i].before);
        inverse = inverse.mul(walks[i].norm);
        slopes[i] = walks[i].denominator(step).conjugate().mul_base(own);
    }
    for i in 0..N {
        slopes[i] = walks[i].numerator(step).mul(&slopes[i]);
    }
    let (mut abscissae, mut offsets) = (slopes, slopes);
    for i in 0..N {
        let TwistPoints { x, y } = &walks[i].t;
        abscissae[i] = slopes[i].square();
        offsets[i] = slopes[i].mul(x).sub(y);
    }
    for i in 0..N {
        let x = walks[i].t.x;
        let other = match step {
            Step::Double => x,
            Step::Add | Step::Subtract => walks[i].q.x,
        };
        walks[i].t.x = abscissae[i].sub_two(&x, &other);
    }
    for i in 0..N {
        walks[i].t.y = offsets[i].sub(&slopes[i].mul(&walks[i].t.x));
        offsets[i] = offsets[i].mul_base(walks[i].scale);
    }
    for i in 0..N {
        let line = walks[i].line(&slopes[i], &offsets[i]);
        products[walks[i].group].mul_line(&line);
    }
    inverse
}
