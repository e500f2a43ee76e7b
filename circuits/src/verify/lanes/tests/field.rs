//! The base field and its quadratic extension.

use super::super::{
    field::{Field, Integer, Kernel, MAX_LANES, MODULUS, WIDE_MINUS, WIDE_PLUS, gather, invert},
    quadratic::Quadratic,
};
use super::on_both_fields;
use ark_bn254::{Fq, Fq2};
use ark_ff::{AdditiveGroup, Field as _, PrimeField, UniformRand};
use rand_chacha::ChaCha20Rng;

on_both_fields! {
    integers_go_in_and_come_out;
    every_operation_agrees_with_arkworks;
    long_chains_of_operations_stay_in_bounds;
    wide_sums_reduce_up_to_their_stated_bounds;
    masks_are_lane_by_lane;
    quadratic_operations_agree_with_arkworks;
}

fn rng(name: &str) -> ChaCha20Rng {
    crate::keys::rng(b"lanes", &[name.as_bytes()])
}

/// 0, 1, 2, their negatives, the ends and middles of limbs of both widths, and halves of p.
fn boundaries() -> Vec<Fq> {
    let mut out: Vec<Fq> = [0_u64, 1, 2, 3, 9].map(Fq::from).to_vec();
    for bits in [51, 52, 53, 63, 64, 65, 104, 128, 156, 192, 208, 253] {
        let power = Fq::from(2_u64).pow([bits]);
        out.extend([power - Fq::ONE, power, power + Fq::ONE]);
    }
    out.push(Fq::from_bigint(Fq::MODULUS_MINUS_ONE_DIV_TWO).unwrap());
    let negatives: Vec<Fq> = out.iter().map(|x| -*x).collect();
    out.extend(negatives);
    // All ones below the modulus, and values whose Montgomery forms are the extremes.
    out.push(element([u64::MAX, u64::MAX, u64::MAX, MODULUS[3] - 1]));
    let r = [256, 260].map(|bits| Fq::from(2_u64).pow([bits]).inverse().unwrap());
    out.extend(r.into_iter().flat_map(|r| [r, -r]));
    out
}

fn element(integer: Integer) -> Fq {
    Fq::from_bigint(ark_ff::BigInt(integer)).unwrap()
}

/// Operands for every lane: each pair of boundaries meets in some lane, then random ones.
fn operands() -> Vec<[Fq; 8]> {
    let mut rng = rng("operands");
    let edge = boundaries();
    let mut out: Vec<[Fq; 8]> = edge
        .iter()
        .enumerate()
        .map(|(i, _)| std::array::from_fn(|lane| edge[(i + 7 * lane) % edge.len()]))
        .collect();
    out.extend((0..40).map(|_| std::array::from_fn(|_| Fq::rand(&mut rng))));
    out
}

fn put<F: Field>(values: &[Fq; 8]) -> F {
    gather(|lane| values[lane])
}

fn got<F: Field>(value: F) -> [Fq; MAX_LANES] {
    value.scatter().map(element)
}

/// Runs a function with the processor's features on.
pub(super) struct With<T, R>(pub(super) T, pub(super) fn(T) -> R);
impl<T, R> Kernel for With<T, R> {
    type Output = R;
    #[inline(always)]
    fn run(self) -> R {
        self.1(self.0)
    }
}

fn compare<F: Field>(what: &str, found: F, expected: impl Fn(usize) -> Fq) {
    let found = got(found);
    for lane in 0..F::LANES {
        assert_eq!(found[lane], expected(lane), "{what}, lane {lane}");
    }
}

fn integers_go_in_and_come_out<F: Field>() {
    for values in operands() {
        compare("itself", put::<F>(&values), |i| values[i]);
    }
    compare("zero", F::zero(), |_| Fq::ZERO);
    compare("one", F::one(), |_| Fq::ONE);
}

fn every_operation_agrees_with_arkworks<F: Field>() {
    let operands = operands();
    for (i, x) in operands.iter().enumerate() {
        for y in [&operands[i], &operands[(i * 5 + 3) % operands.len()]] {
            let (a, b) = (put::<F>(x), put::<F>(y));
            let results = F::call(With((a, b), |(a, b)| {
                [
                    a.add(b),
                    a.sub(b),
                    a.neg(),
                    a.double(),
                    a.double_plus(b),
                    a.nine_plus(b),
                    a.nine_minus(b),
                    a.mul(b),
                    a.square(),
                    a.add_loose(b).mul(a.sub_loose(b)),
                    a.sub_loose(b).square(),
                ]
            }));
            let nine = Fq::from(9_u64);
            let expected = |i: usize| {
                let (a, b) = (x[i], y[i]);
                [
                    a + b,
                    a - b,
                    -a,
                    a.double(),
                    a.double() + b,
                    nine * a + b,
                    nine * a - b,
                    a * b,
                    a.square(),
                    (a + b) * (a - b),
                    (a - b).square(),
                ]
            };
            for (k, result) in results.into_iter().enumerate() {
                compare(&format!("operation {k}"), result, |lane| expected(lane)[k]);
            }
        }
        let x = x.map(|x| if x == Fq::ZERO { Fq::ONE } else { x });
        compare("inverse", invert(put::<F>(&x)), |i| x[i].inverse().unwrap());
    }
}

/// Without a product in between that would bring values down.
fn long_chains_of_operations_stay_in_bounds<F: Field>() {
    for x in operands() {
        let (mut a, mut b) = (put::<F>(&x), put::<F>(&x).neg());
        let (mut c, mut d) = (x, x.map(|x| -x));
        for i in 0..60 {
            (a, b) = F::call(With((a, b, i), |(a, b, i)| match i % 5 {
                0 => (a.sub(b), a.add(b)),
                1 => (a.nine_minus(b), b.neg()),
                2 => (a.double_plus(b), a.sub(b)),
                3 => (a.nine_plus(b), b.double()),
                _ => (b, a.neg()),
            }));
            for lane in 0..8 {
                let (x, y) = (c[lane], d[lane]);
                let nine = Fq::from(9_u64);
                (c[lane], d[lane]) = match i % 5 {
                    0 => (x - y, x + y),
                    1 => (nine * x - y, -y),
                    2 => (x.double() + y, x - y),
                    3 => (nine * x + y, y.double()),
                    _ => (y, -x),
                };
            }
        }
        compare("chain", a.mul(b), |i| c[i] * d[i]);
    }
}

fn wide_sums_reduce_up_to_their_stated_bounds<F: Field>() {
    // The largest settled values there are: sums and negatives of values next to p and 0.
    let large = [
        Fq::ZERO,
        -Fq::ONE,
        -Fq::from(2_u64),
        Fq::ONE,
        Fq::ZERO,
        -Fq::ONE,
        Fq::ZERO,
        -Fq::ONE,
    ];
    let zero = F::zero();
    for x in [large, boundaries()[..8].try_into().unwrap()] {
        let a = put::<F>(&x);
        for (plus, minus) in [
            (WIDE_PLUS, 0),
            (0, WIDE_MINUS),
            (WIDE_PLUS, WIDE_MINUS),
            (1, WIDE_MINUS),
            (1, 1),
        ] {
            let sum = F::call(With((a, zero, plus, minus), |(a, zero, plus, minus)| {
                let a = zero.sub(a.neg());
                let zero = zero.neg();
                let mut sum = zero.mul_wide(zero);
                sum = F::wide_sub(sum, sum);
                let (b, product) = (a.neg(), a.mul_wide(a.neg()));
                for _ in 0..plus {
                    sum = F::wide_add(sum, product);
                }
                for _ in 0..minus {
                    sum = F::wide_sub(sum, b.square_wide());
                }
                F::reduce(sum)
            }));
            compare("sum", sum, |i| {
                -x[i].square() * Fq::from((plus + minus) as u64)
            });
        }
    }
}

fn masks_are_lane_by_lane<F: Field>() {
    let mut rng = rng("masks");
    let x: [Fq; 8] = std::array::from_fn(|_| Fq::rand(&mut rng));
    for mask in 0..=255_u8 {
        let picked = put::<F>(&x).select(mask, F::zero());
        assert_eq!(picked.zeros(), mask & F::ALL);
        compare("select", picked, |i| {
            if mask >> i & 1 == 1 { Fq::ZERO } else { x[i] }
        });
        assert_eq!(picked.equals(put(&x)), !mask & F::ALL);
    }
    // Zero in all its forms.
    let zero = F::zero();
    for value in [
        zero,
        zero.neg(),
        zero.neg().neg(),
        zero.neg().add(zero.neg()),
        put::<F>(&x).sub(put(&x)),
    ] {
        assert_eq!(value.zeros(), F::ALL);
        compare("zero", value.mul(put(&x)), |_| Fq::ZERO);
    }
}

fn quadratic_operations_agree_with_arkworks<F: Field>() {
    let operands = operands();
    for (i, x) in operands.iter().enumerate() {
        let y = &operands[(i * 11 + 5) % operands.len()];
        let a = |i: usize| Fq2::new(x[i], y[i]);
        let b = |i: usize| Fq2::new(y[(i + 3) % 8], x[i]);
        let (u, v) = (Quadratic::<F>::gather(a), Quadratic::<F>::gather(b));
        let xi = Fq2::new(Fq::from(9_u64), Fq::ONE);
        let results: [(_, &dyn Fn(usize) -> Fq2); 9] = [
            (u.mul(&v), &|i| a(i) * b(i)),
            (u.square(), &|i| a(i).square()),
            (u.mul_xi(), &|i| a(i) * xi),
            (u.add(&v), &|i| a(i) + b(i)),
            (u.sub(&v), &|i| a(i) - b(i)),
            (u.neg(), &|i| -a(i)),
            (u.conjugate(), &|i| Fq2::new(a(i).c0, -a(i).c1)),
            (u.double_plus(&v), &|i| a(i).double() + b(i)),
            (
                u.mul_wide(&v)
                    .add(u.mul_wide(&u))
                    .sub(v.mul_wide(&v))
                    .reduce(),
                &|i| a(i) * b(i) + a(i).square() - b(i).square(),
            ),
        ];
        for (k, (found, expected)) in results.iter().enumerate() {
            let found = found.elements();
            for lane in 0..F::LANES {
                assert_eq!(found[lane], expected(lane), "operation {k}, lane {lane}");
            }
        }
        compare("norm", u.norm(), |i| x[i].square() + y[i].square());
    }
}
