//! One element of Fq12 across eight lanes.

use super::super::{
    across::Across,
    exponentiation::Value,
    field::{Field, Places, Shuffle, element},
    has_ifma,
    ifma::Ifma,
    quadratic::{Factor, Quadratic, sum_of_products},
    tower::Dodecic,
};
use super::field::With;
use ark_bn254::{Bn254, Fq, Fq2, Fq6, Fq12};
use ark_ec::pairing::{MillerLoopOutput, Pairing};
use ark_ff::{AdditiveGroup, Field as _, UniformRand};
use rand::RngCore;
use rand_chacha::ChaCha20Rng;

fn rng(name: &str) -> ChaCha20Rng {
    crate::keys::rng(b"across", &[name.as_bytes()])
}

/// Whether there is anything to test, which is said if there is not.
fn skipped() -> bool {
    if !has_ifma() {
        eprintln!("skipped: no AVX-512 IFMA here");
    }
    !has_ifma()
}

/// The element, in its lane of a value that has others in the other lanes.
fn across(element: Fq12) -> Across<Ifma> {
    let part = |part: Fq2| Quadratic::gather(|lane| part + Fq2::from(lane as u64));
    let half = |half: Fq6| [part(half.c0), part(half.c1), part(half.c2)];
    Across::first(&Dodecic {
        even: half(element.c0),
        odd: half(element.c1),
    })
}

/// Elements whose coefficients are 0, −1 and random, and random ones.
fn elements(rng: &mut ChaCha20Rng) -> Vec<Fq12> {
    let mut element = |wild: bool| {
        let mut part = || match rng.next_u32() % 6 * u32::from(wild) {
            1 => Fq2::ZERO,
            2 => -Fq2::ONE,
            3 => Fq2::new(-Fq::ONE, Fq::ZERO),
            4 => Fq2::new(Fq::ZERO, -Fq::ONE),
            _ => Fq2::rand(rng),
        };
        let mut half = || Fq6::new(part(), part(), part());
        Fq12::new(half(), half())
    };
    let mut out = vec![Fq12::ZERO, Fq12::ONE, -Fq12::ONE];
    out.extend((0..40).map(|i| element(i < 30)));
    out
}

#[test]
fn elements_change_places() {
    if skipped() {
        return;
    }
    let mut rng = rng("places");
    let [a, b]: [[Fq; 8]; 2] = std::array::from_fn(|_| std::array::from_fn(|_| Fq::rand(&mut rng)));
    let put = |values: &[Fq; 8]| super::super::field::gather::<Ifma>(|lane| values[lane]);
    for _ in 0..20 {
        let places: Places = std::array::from_fn(|_| u64::from(rng.next_u32() % 16));
        let picked = Ifma::call(With((put(&a), put(&b), places), |(a, b, places)| {
            [a.pick(b, places), a.shuffle(places.map(|place| place % 8))]
        }));
        let [picked, shuffled] = picked.map(|value| value.scatter().map(element));
        for (lane, place) in places.into_iter().enumerate() {
            let place = place as usize;
            assert_eq!(picked[lane], [a, b].concat()[place], "lane {lane}");
            assert_eq!(shuffled[lane], a[place % 8], "lane {lane}");
        }
    }
}

/// Of the largest values there are, too: 4p for 0.
#[test]
fn sums_of_products_stay_in_bounds() {
    if skipped() {
        return;
    }
    let mut rng = rng("sums");
    let largest = Ifma::zero().neg();
    let largest = Quadratic {
        c0: largest,
        c1: largest,
    };
    let values: [Fq2; 6] = std::array::from_fn(|_| -Fq2::from(rng.next_u32()));
    let mut terms = values.map(|value| [Quadratic::splat(value), Quadratic::splat(value)]);
    for i in 0..=6 {
        let found = Ifma::call(With(terms, |terms| {
            let terms = terms.map(|term| term.map(|value| Factor::new(&value)));
            sum_of_products(&terms).reduce_grown()
        }));
        let expected: Fq2 = values[i..].iter().map(|value| value.square()).sum();
        assert!(found.elements().iter().all(|found| *found == expected));
        if let Some(term) = terms.get_mut(i) {
            *term = [largest; 2];
        }
    }
    // A root of −1 and such make the first coefficient as small as it gets.
    for terms in [
        [[Quadratic {
            c1: Ifma::zero(),
            ..largest
        }; 2]; 6],
        [[Quadratic {
            c0: Ifma::zero(),
            ..largest
        }; 2]; 6],
    ] {
        let found = Ifma::call(With(terms, |terms| {
            let terms = terms.map(|term| term.map(|value| Factor::new(&value)));
            sum_of_products(&terms).reduce_grown()
        }));
        assert!(found.elements().iter().all(|found| *found == Fq2::ZERO));
    }
}

#[test]
fn the_ring_agrees_with_arkworks() {
    if skipped() {
        return;
    }
    let mut rng = rng("ring");
    let elements = elements(&mut rng);
    for (i, a) in elements.iter().enumerate() {
        let b = &elements[(7 * i + 3) % elements.len()];
        let (u, v) = (across(*a), across(*b));
        assert_eq!(u.element(), *a);
        assert_eq!(u.times(&v).element(), *a * b);
        assert_eq!(u.inverse().element(), a.inverse().unwrap_or_default());
        for k in 0..5 {
            let mut expected = *a;
            expected.frobenius_map_in_place(k);
            assert_eq!(u.frobenius(k).element(), expected, "{k}");
        }
        let mut expected = *a;
        expected.conjugate_in_place();
        assert_eq!(u.conjugate().element(), expected);
        assert_eq!(u.is_one(), *a == Fq12::ONE);
    }
}

#[test]
fn one_is_told_from_all_others() {
    if skipped() {
        return;
    }
    assert!(across(Fq12::ONE).is_one());
    for i in 0..12 {
        let mut coefficients = [Fq::ZERO; 12];
        coefficients[i] = Fq::ONE;
        let other = Fq12::from_base_prime_field_elems(coefficients).unwrap();
        assert_eq!(across(other).is_one(), i == 0);
        assert!(!across(Fq12::ONE + other).is_one());
    }
}

#[test]
fn the_final_exponentiation_agrees_with_arkworks() {
    if skipped() {
        return;
    }
    let mut rng = rng("exponentiation");
    let elements = elements(&mut rng);
    for a in elements.into_iter().filter(|a| *a != Fq12::ZERO) {
        let expected = Bn254::final_exponentiation(MillerLoopOutput(a)).unwrap().0;
        let found = across(a).final_exponentiation();
        assert_eq!(found.element(), expected);
        assert_eq!(found.is_one(), expected == Fq12::ONE);
        for times in 0..4 {
            let expected = expected.pow([1_u64 << times]);
            assert_eq!(found.cyclotomic_square(times).element(), expected);
        }
    }
    assert!(!across(Fq12::ZERO).final_exponentiation().is_one());
}
