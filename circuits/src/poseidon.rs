//! Poseidon over the BN254 scalar field, compatible with circomlib: x^5, 8 full rounds, the constants of `light-poseidon` 0.5,
//! state `[0, inputs…]`, output the first element. Native and as constraints, side by side.
//!
//! Arity separates the uses: tree nodes hash 2 elements, leaves 8 (and start with a domain constant). Bound: 1 to [`MAX_INPUTS`]
//! inputs per permutation; [`hash_list`] chains longer lists, whose length the capability type fixes.
#![allow(clippy::arithmetic_side_effects)] // field elements, and indices within the parameters' own width

use crate::r1cs::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use light_poseidon::{PoseidonParameters, parameters::bn254_x5::get_poseidon_parameters};
use std::sync::OnceLock;

/// Most inputs of one permutation for which `light-poseidon` carries constants.
pub(crate) const MAX_INPUTS: usize = 12;

/// What a permutation of one width is made of.
struct Parameters {
    rounds: PoseidonParameters<Fr>,
    /// Of the matrix's first coefficient: none of it is zero.
    inverse: Fr,
}

/// The parameters for `inputs` inputs, parsed once: parsing costs more than a hash.
#[allow(clippy::expect_used, clippy::indexing_slicing)] // 1..=MAX_INPUTS by construction of every caller
fn parameters(inputs: usize) -> &'static Parameters {
    static CACHE: [OnceLock<Parameters>; MAX_INPUTS + 1] =
        [const { OnceLock::new() }; MAX_INPUTS + 1];
    debug_assert!((1..=MAX_INPUTS).contains(&inputs));
    CACHE[inputs].get_or_init(|| {
        let rounds = get_poseidon_parameters::<Fr>(inputs as u8 + 1)
            .expect("constants exist for this width");
        let inverse = rounds.mds[0][0].inverse().expect("no zero in the matrix");
        Parameters { rounds, inverse }
    })
}

fn is_full(p: &PoseidonParameters<Fr>, round: usize) -> bool {
    let half = p.full_rounds / 2;
    round < half || round >= half + p.partial_rounds
}

/// Poseidon of a fixed number of elements (1 to [`MAX_INPUTS`]).
pub(crate) fn hash<const N: usize>(inputs: [Fr; N]) -> Fr {
    const { assert!(N >= 1 && N <= MAX_INPUTS) };
    permute(&inputs)
}

fn permute(inputs: &[Fr]) -> Fr {
    let p = &parameters(inputs.len()).rounds;
    let mut state = vec![Fr::ZERO];
    state.extend_from_slice(inputs);
    let mut next = state.clone();
    for (round, constants) in p.ark.chunks(p.width).enumerate() {
        for (x, c) in state.iter_mut().zip(constants) {
            *x += c;
        }
        let boxes = if is_full(p, round) { p.width } else { 1 };
        for x in state.iter_mut().take(boxes) {
            *x *= x.square().square();
        }
        for (out, row) in next.iter_mut().zip(&p.mds) {
            *out = row.iter().zip(&state).map(|(m, x)| *m * x).sum();
        }
        std::mem::swap(&mut state, &mut next);
    }
    state.first().copied().unwrap_or_default()
}

/// Poseidon of a list of fixed length: one permutation up to [`MAX_INPUTS`] elements, else each further chunk is absorbed
/// behind the running hash.
pub(crate) fn hash_list(items: &[Fr]) -> Fr {
    let (head, tail) = items.split_at(items.len().min(MAX_INPUTS));
    tail.chunks(MAX_INPUTS - 1)
        .fold(permute(head), |h, chunk| permute(&[&[h], chunk].concat()))
}

/// [`hash`] as constraints: three for every S-box of something that varies.
pub(crate) fn hash_constrained<const N: usize>(b: &mut Builder, inputs: [&Num; N]) -> Num {
    const { assert!(N >= 1 && N <= MAX_INPUTS) };
    permute_constrained(b, inputs.into_iter().cloned().collect())
}

/// [`hash_list`] as constraints.
pub(crate) fn hash_list_constrained(b: &mut Builder, items: &[Num]) -> Num {
    let (head, tail) = items.split_at(items.len().min(MAX_INPUTS));
    let first = permute_constrained(b, head.to_vec());
    tail.chunks(MAX_INPUTS - 1).fold(first, |h, chunk| {
        permute_constrained(b, [&[h], chunk].concat())
    })
}

fn permute_constrained(b: &mut Builder, inputs: Vec<Num>) -> Num {
    let Parameters { rounds: p, inverse } = parameters(inputs.len());
    let mut state = vec![Num::constant(Fr::ZERO)];
    state.extend(inputs);
    for (round, constants) in p.ark.chunks(p.width).enumerate() {
        for (x, c) in state.iter_mut().zip(constants) {
            x.add_constant(*c);
        }
        let mut rows = p.mds.iter();
        let mut next = Vec::with_capacity(p.width);
        if is_full(p, round) {
            state.iter_mut().for_each(|x| *x = s_box(b, x));
        } else if is_full(p, round + 1) {
            state.iter_mut().take(1).for_each(|x| *x = s_box(b, x));
        } else if let (Some(row), [x, others @ ..]) = (rows.next(), state.as_mut_slice()) {
            next.push(s_box_and_row(b, x, others, row, inverse));
        }
        next.extend(rows.map(|row| Num::combination(row.iter().copied().zip(&state))));
        state = next;
    }
    state.swap_remove(0)
}

/// Square and cube of a number.
fn powers(b: &mut Builder, x: &Num) -> [Num; 2] {
    let square = b.product(x, x);
    let cube = b.product(&square, x);
    [square, cube]
}

/// The fifth power. Of what it multiplies only the number itself stands on both sides: a key has fewer points then.
fn s_box(b: &mut Builder, x: &Num) -> Num {
    if x.is_constant() {
        return Num::constant(x.value * x.value.square().square());
    }
    let [square, cube] = powers(b, x);
    b.product(&square, &cube)
}

/// Puts the fifth power of a partial round's first element in its place, and gives the first element after the round: `row` times all of them. That is the
/// variable, and the power a combination of it and the others: what the next S-box multiplies has one term then, and not one for every round before.
fn s_box_and_row(b: &mut Builder, x: &mut Num, others: &[Num], row: &[Fr], inverse: &Fr) -> Num {
    let [square, cube] = powers(b, x);
    let others = Num::combination(row.iter().skip(1).copied().zip(others));
    let first = row.first().copied().unwrap_or_default();
    let next = b.witness(first * square.value * cube.value + others.value);
    *x = Num::combination([(*inverse, &next), (-*inverse, &others)]);
    b.enforce_product(&square, &cube, x);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use light_poseidon::{Poseidon, PoseidonHasher};
    use std::str::FromStr;

    /// Vectors published with circomlibjs (`test/poseidon.js`) and iden3's Go implementation.
    #[test]
    fn published_circomlib_vectors() {
        let n = |v: &[u64]| hash_list(&v.iter().map(|x| Fr::from(*x)).collect::<Vec<_>>());
        for (inputs, expected) in [
            (
                &[1u64][..],
                "18586133768512220936620570745912940619677854269274689475585506675881198879027",
            ),
            (
                &[1, 2],
                "7853200120776062878684798364095072458815029376092732009249414926327459813530",
            ),
            (
                &[1, 2, 0, 0, 0],
                "1018317224307729531995786483840663576608797660851238720571059489595066344487",
            ),
            (
                &[1, 2, 3, 4, 5, 6],
                "20400040500897583745843009878988256314335038853985262692600694741116813247201",
            ),
        ] {
            assert_eq!(n(inputs), Fr::from_str(expected).unwrap(), "{inputs:?}");
        }
    }

    #[test]
    fn equals_light_poseidon_at_every_width() {
        for n in 1..=MAX_INPUTS {
            let items: Vec<_> = (0..n as u64).map(|i| Fr::from(i * i + 5)).collect();
            let reference = Poseidon::<Fr>::new_circom(n).unwrap().hash(&items).unwrap();
            assert_eq!(hash_list(&items), reference, "{n} inputs");
        }
    }

    #[test]
    fn constraints_compute_the_native_hash() {
        for n in [1usize, 2, 8, 12, 13, 16] {
            let items: Vec<_> = (0..n as u64).map(|i| Fr::from(i + 3)).collect();
            let mut b = Builder::recording();
            let nums: Vec<_> = items.iter().map(|x| b.witness(*x)).collect();
            let out = hash_list_constrained(&mut b, &nums);
            assert_eq!(out.value, hash_list(&items), "{n} inputs");
            let (shape, assignment) = b.finish();
            assert_eq!(shape.unsatisfied(&assignment), None);
        }
    }
}
