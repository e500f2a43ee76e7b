//! Many proofs at once: a random linear combination of their pairing equations.
//!
//! Write an equation as `D_i = 1` with `D_i = e(A_i, B_i) / (e(alpha, beta) e(L_i, gamma) e(C_i, delta))`. For coefficients `r_i` nobody could
//! foresee, `Π D_i^{r_i} = 1` while some `D_i ≠ 1` has probability 2^-128 (Bellare, Garay, Rabin 1998), for each `D_i` has prime order: that is
//! what the exact subgroup check of every point is for, and it is made for every point by itself. The product folds to
//!
//! ```text
//! Π e(r_i A_i, B_i) · Π per key  e(-Σr · alpha, beta) · e(Σ r_i L_i, -gamma) · e(Σ r_i C_i, -delta)  =  1
//! ```
//!
//! with one final exponentiation and n + 3 × keys Miller loops in place of n and 3 n. Keys are told apart by their bytes, so any mix may share a batch.
//!
//! **Coefficients** come after everything they multiply: ChaCha20 seeded with SHA-256 over digests of each key, inputs and proof of the whole batch, so no proof can be
//! made for its coefficient; and with a secret of the caller, so that nobody can even compute them.
//!
//! **Verdicts** equal those of the single verifier: decoding is the same code, and only the single verifier says no. A batch that
//! fails is halved. If k of n are bad that takes about 2 k log2(n/k) smaller tests; they may cost [`RETESTS`] terms for each proof, and what is
//! unsettled then is verified one by one. A hostile batch costs at most about twice what its proofs cost one by one.

#![allow(clippy::arithmetic_side_effects)] // of fields and groups, where there is no overflow; counts are checked

use super::{
    VerifyError,
    single::{Parsed, VerifyingKey},
    spread::spread,
};
use crate::{evidence::ProofBytes, keys::rng};
use ark_bn254::{Bn254, Fq12, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{
    AffineRepr, CurveGroup, VariableBaseMSM,
    bn::G2Prepared,
    pairing::{MillerLoopOutput, Pairing, PairingOutput},
};
use ark_ff::{AdditiveGroup, Field, Zero};
use rand::RngCore;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};
use tender_wire::FieldBytes;

/// Terms that tests may cost for each proof of a batch before the rest is verified one by one: a batch with a bad proof or few is settled
/// within it, and it costs less than one verification.
pub const RETESTS: usize = 4;
/// What each key costs a test, in terms, as measured: three preparations and Miller loops, and sums of few points, which are dear.
const KEY_COST: usize = 16;
/// Pairs whose Miller loops are prepared together: bounds memory, at about 20 KiB a pair.
pub const MILLER_WINDOW: usize = 64;

/// What is said of a proof.
pub type Verdict = Result<(), VerifyError>;

/// One proof to check.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a VerifyingKey,
    /// The statement, as public inputs.
    pub inputs: &'a [FieldBytes],
    /// The proof.
    pub proof: &'a ProofBytes,
}

/// A decoded proof in the combination.
struct Term<'a> {
    /// Where its verdict goes.
    place: usize,
    key: &'a VerifyingKey,
    parsed: Parsed,
    weight: u128,
    /// `weight` · A.
    a: G1Affine,
}

/// One verdict for each item, in order: always what [`verify_inputs`](super::verify_inputs) says of it alone.
pub(super) fn linear_combination(items: &[Item<'_>], secret: &[u8; 32]) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(items.len());
    let mut terms = Vec::with_capacity(items.len());
    for (place, (item, weight)) in items.iter().zip(weights(items, secret)).enumerate() {
        match Parsed::parse(item.key, item.inputs, item.proof) {
            Ok(parsed) => {
                verdicts.push(Ok(()));
                terms.push(Term {
                    place,
                    key: item.key,
                    parsed,
                    weight,
                    a: G1Affine::zero(),
                });
            }
            Err(error) => verdicts.push(Err(error)),
        }
    }
    // A single proof needs no coefficient.
    if terms.len() > 1 {
        weigh(&mut terms);
    }
    for (index, error) in settle(terms.as_slice()) {
        let place = terms.get(index).map_or(usize::MAX, |term| term.place);
        if let Some(verdict) = verdicts.get_mut(place) {
            *verdict = Err(error);
        }
    }
    verdicts
}

/// The coefficients: 128 bits each, none of them zero. They follow from the digests of all items, which threads share out among themselves, and the secret.
pub(super) fn weights(items: &[Item<'_>], secret: &[u8; 32]) -> Vec<u128> {
    let digests = spread(items, |items| items.iter().map(digest).collect::<Vec<_>>()).concat();
    let count = (items.len() as u64).to_le_bytes();
    let parts: [&[u8]; 3] = [secret, &count, digests.as_flattened()];
    let mut rng = rng(b"batch verification", &parts);
    let weight = |_| {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        u128::from_le_bytes(bytes).max(1)
    };
    items.iter().map(weight).collect()
}

/// Of everything that the item's coefficient multiplies. A key and a proof have one length each, so what is between them is unambiguous.
fn digest(item: &Item<'_>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(item.key.fingerprint());
    for input in item.inputs {
        hasher.update(input.as_ref());
    }
    hasher.update(item.proof.as_ref());
    hasher.finalize().into()
}

/// Low and high half.
fn halves(weight: u128) -> [u64; 2] {
    let low = weight & u128::from(u64::MAX);
    [low as u64, (weight >> 64) as u64]
}

/// Multiplies every A by its coefficient.
fn weigh(terms: &mut [Term<'_>]) {
    let weighed: Vec<G1Projective> = terms
        .iter()
        .map(|term| term.parsed.proof.a.mul_bigint(halves(term.weight)))
        .collect();
    for (term, a) in terms
        .iter_mut()
        .zip(G1Projective::normalize_batch(&weighed))
    {
        term.a = a;
    }
}

/// Terms that can be tested together or alone.
pub(super) trait Combination {
    /// Number of terms.
    fn len(&self) -> usize;
    /// Number of keys in a part.
    fn keys(&self, part: Range<usize>) -> usize;
    /// Whether the combination of a part holds.
    fn holds(&self, part: Range<usize>) -> bool;
    /// What the single verifier says of a term.
    fn alone(&self, index: usize) -> Verdict;
}

/// The terms that do not hold.
pub(super) fn settle<C: Combination + ?Sized>(terms: &C) -> Vec<(usize, VerifyError)> {
    let mut refused = Vec::new();
    let mut allowed = terms.len().saturating_mul(RETESTS);
    // `None`: not worth a test.
    let mut test = |part: &Range<usize>| {
        // What testing a part costs, in terms.
        let keys = terms.keys(part.clone()).saturating_mul(KEY_COST);
        let left = allowed.checked_sub(part.len().saturating_add(keys))?;
        (part.len() > 1).then(|| {
            allowed = left;
            terms.holds(part.clone())
        })
    };
    // Parts still to settle, and whether a part is known to fail: if one half of a failing part holds, the other half fails.
    let mut open = vec![(0..terms.len(), false)];
    while let Some((part, fails)) = open.pop() {
        let holds = if fails && part.len() > 1 {
            Some(false)
        } else {
            test(&part)
        };
        match holds {
            Some(true) => {}
            Some(false) => {
                let middle = part.start.midpoint(part.end);
                let (left, right) = (part.start..middle, middle..part.end);
                match test(&left) {
                    Some(true) => open.push((right, true)),
                    Some(false) => open.extend([(right, false), (left, true)]),
                    None => open.extend([(right, false), (left, false)]),
                }
            }
            None => refused.extend(part.filter_map(|index| {
                let error = terms.alone(index).err()?;
                Some((index, error))
            })),
        }
    }
    refused
}

impl Combination for [Term<'_>] {
    fn len(&self) -> usize {
        <[Term<'_>]>::len(self)
    }

    fn keys(&self, part: Range<usize>) -> usize {
        let part = self.get(part).unwrap_or_default();
        let keys: BTreeSet<_> = part.iter().map(|term| term.key.fingerprint()).collect();
        keys.len()
    }

    fn holds(&self, part: Range<usize>) -> bool {
        all_hold(self.get(part).unwrap_or_default())
    }

    fn alone(&self, index: usize) -> Verdict {
        self.get(index)
            .map_or(Ok(()), |term| term.parsed.holds(term.key))
    }
}

/// What the terms of one key add up to.
struct Fold<'a> {
    key: &'a VerifyingKey,
    weights: Fr,
    /// Weighted sum of each input.
    inputs: Vec<Fr>,
    c: Vec<G1Affine>,
    low: Vec<u64>,
    high: Vec<u64>,
}

/// Whether the combination of the terms holds.
fn all_hold(terms: &[Term<'_>]) -> bool {
    let mut folds: BTreeMap<&[u8; 32], Fold<'_>> = BTreeMap::new();
    for term in terms {
        folds
            .entry(term.key.fingerprint())
            .or_insert_with(|| Fold::new(term.key))
            .add(term);
    }
    let mut pairs: Vec<(G1Affine, G2Prepared<ark_bn254::Config>)> = Vec::new();
    let mut product = Fq12::ONE;
    for fold in folds.values() {
        pairs.extend(fold.pairs());
        if pairs.len() >= MILLER_WINDOW {
            product *= miller(&mut pairs);
        }
    }
    for term in terms {
        let b: G2Affine = term.parsed.proof.b;
        pairs.push((term.a, b.into()));
        if pairs.len() >= MILLER_WINDOW {
            product *= miller(&mut pairs);
        }
    }
    product *= miller(&mut pairs);
    let output: Option<PairingOutput<Bn254>> =
        Bn254::final_exponentiation(MillerLoopOutput(product));
    output.is_some_and(|output| output.is_zero())
}

/// The product of the pairs' Miller loops, which are used up.
fn miller(pairs: &mut Vec<(G1Affine, G2Prepared<ark_bn254::Config>)>) -> Fq12 {
    let (a, b): (Vec<_>, Vec<_>) = pairs.drain(..).unzip();
    Bn254::multi_miller_loop(a, b).0
}

impl<'a> Fold<'a> {
    fn new(key: &'a VerifyingKey) -> Self {
        Fold {
            key,
            weights: Fr::ZERO,
            inputs: vec![Fr::ZERO; key.inputs()],
            c: Vec::new(),
            low: Vec::new(),
            high: Vec::new(),
        }
    }

    fn add(&mut self, term: &Term<'_>) {
        let weight = Fr::from(term.weight);
        self.weights += weight;
        for (sum, input) in self.inputs.iter_mut().zip(&term.parsed.inputs) {
            *sum += weight * input;
        }
        let [low, high] = halves(term.weight);
        self.c.push(term.parsed.proof.c);
        self.low.push(low);
        self.high.push(high);
    }

    /// The key's three pairs.
    fn pairs(&self) -> [(G1Affine, G2Prepared<ark_bn254::Config>); 3] {
        let (key, prepared) = (self.key.inner(), self.key.prepared());
        let alpha = key.alpha_g1 * -self.weights;
        let scalars: Vec<Fr> = [self.weights].iter().chain(&self.inputs).copied().collect();
        let l = G1Projective::msm_unchecked(&key.gamma_abc_g1, &scalars);
        let mut c = G1Projective::msm_u64(&self.c, &self.high);
        for _ in 0..u64::BITS {
            c.double_in_place();
        }
        c += G1Projective::msm_u64(&self.c, &self.low);
        [
            (alpha.into_affine(), key.beta_g2.into()),
            (l.into_affine(), prepared.gamma_g2_neg_pc.clone()),
            (c.into_affine(), prepared.delta_g2_neg_pc.clone()),
        ]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        field::from_fr,
        verify::{
            single::{key_bytes, proof_bytes},
            verify_inputs,
        },
    };
    use ark_bn254::G2Projective;
    use ark_ec::PrimeGroup;
    use ark_ff::UniformRand;
    use ark_groth16::Proof;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use std::sync::OnceLock;

    /// A key whose trapdoor is known, so that proofs of any inputs cost nothing.
    pub(in crate::verify) struct Trapdoor {
        key: VerifyingKey,
        bytes: Vec<u8>,
        alpha_beta: Fr,
        gamma: Fr,
        delta: Fr,
        abc: Vec<Fr>,
    }

    #[derive(Clone)]
    pub(in crate::verify) struct Case {
        pub(in crate::verify) key: VerifyingKey,
        pub(in crate::verify) inputs: Vec<FieldBytes>,
        pub(in crate::verify) proof: ProofBytes,
    }

    fn g1(scalar: Fr) -> G1Affine {
        (G1Projective::generator() * scalar).into_affine()
    }

    fn g2(scalar: Fr) -> G2Affine {
        (G2Projective::generator() * scalar).into_affine()
    }

    impl Trapdoor {
        pub(in crate::verify) fn new(inputs: usize, rng: &mut ChaCha20Rng) -> Self {
            let [alpha, beta, gamma, delta] = std::array::from_fn(|_| Fr::rand(rng));
            let abc: Vec<Fr> = (0..=inputs).map(|_| Fr::rand(rng)).collect();
            let bytes = key_bytes(&ark_groth16::VerifyingKey {
                alpha_g1: g1(alpha),
                beta_g2: g2(beta),
                gamma_g2: g2(gamma),
                delta_g2: g2(delta),
                gamma_abc_g1: abc.iter().map(|x| g1(*x)).collect(),
            });
            Trapdoor {
                key: VerifyingKey::parse(&bytes, inputs).unwrap(),
                bytes,
                alpha_beta: alpha * beta,
                gamma,
                delta,
                abc,
            }
        }

        /// A proof of random inputs, under an instance of the key of its own.
        pub(in crate::verify) fn case(&self, rng: &mut ChaCha20Rng) -> Case {
            let inputs: Vec<Fr> = self.abc.iter().skip(1).map(|_| Fr::rand(rng)).collect();
            let l = (self.abc.iter().skip(1).zip(&inputs))
                .fold(self.abc[0], |sum, (point, input)| sum + *point * input);
            let [a, b] = std::array::from_fn(|_| Fr::rand(rng));
            let c = (a * b - self.alpha_beta - l * self.gamma) / self.delta;
            let proof = Proof {
                a: g1(a),
                b: g2(b),
                c: g1(c),
            };
            Case {
                key: VerifyingKey::parse(&self.bytes, inputs.len()).unwrap(),
                inputs: inputs.iter().map(from_fr).collect(),
                proof: proof_bytes(&proof),
            }
        }
    }

    fn trapdoors() -> &'static [Trapdoor] {
        static KEYS: OnceLock<Vec<Trapdoor>> = OnceLock::new();
        KEYS.get_or_init(|| {
            let mut rng = rng(b"trapdoors", &[]);
            [0, 1, 3, 3].map(|n| Trapdoor::new(n, &mut rng)).into()
        })
    }

    pub(in crate::verify) fn cases(seed: u64, keys: &[usize]) -> Vec<Case> {
        let mut rng = rng(b"cases", &[&seed.to_le_bytes()]);
        let case = |k: &usize| trapdoors()[k % trapdoors().len()].case(&mut rng);
        keys.iter().map(case).collect()
    }

    pub(in crate::verify) fn items(cases: &[Case]) -> Vec<Item<'_>> {
        cases
            .iter()
            .map(|case| Item {
                key: &case.key,
                inputs: &case.inputs,
                proof: &case.proof,
            })
            .collect()
    }

    pub(in crate::verify) fn singly(cases: &[Case]) -> Vec<Result<(), VerifyError>> {
        let verdict = |case: &Case| verify_inputs(&case.key, &case.inputs, &case.proof);
        cases.iter().map(verdict).collect()
    }

    fn batch(cases: &[Case]) -> Vec<Result<(), VerifyError>> {
        linear_combination(&items(cases), &[7; 32])
    }

    /// C moved by a multiple of the generator; bytes that are no proof (any more) stay as they are.
    pub(in crate::verify) fn moved(proof: &ProofBytes, by: Fr) -> ProofBytes {
        let Ok(mut proof) = crate::verify::single::parse_proof(proof) else {
            return *proof;
        };
        proof.c = (proof.c + g1(by)).into_affine();
        proof_bytes(&proof)
    }

    /// Breaks a case in one of the ways there are.
    pub(in crate::verify) fn spoil(cases: &mut [Case], at: usize, how: usize) {
        let other = (at + 1) % cases.len();
        match how {
            0 => cases[at].proof = moved(&cases[at].proof, Fr::from(5u64)),
            1 => match cases[at].inputs.last_mut() {
                Some(input) => *input = FieldBytes::from_u64(77),
                None => cases[at].proof.0[0] ^= 1,
            },
            2 => (cases[at].proof, cases[other].proof) = (cases[other].proof, cases[at].proof),
            3 => cases[at].proof.0[..32].fill(0xff),
            4 => cases[at].inputs.push(FieldBytes::from_u64(1)),
            5 => match cases[at].inputs.first_mut() {
                Some(input) => *input = FieldBytes([0xff; 32]),
                None => cases[at].proof.0[127] ^= 0x80,
            },
            6 => cases[at].key = cases[other].key.clone(),
            // The identity as C.
            7 => {
                cases[at].proof.0[96..].fill(0);
                cases[at].proof.0[127] = 0x40;
            }
            _ => cases[at].proof.0[40] ^= 4,
        }
    }

    /// [`cases`], of which some are spoilt, perhaps several times.
    pub(in crate::verify) fn spoilt_cases(
        seed: u64,
        keys: &[usize],
        spoilt: &[(prop::sample::Index, usize)],
    ) -> Vec<Case> {
        let mut cases = cases(seed, keys);
        if !cases.is_empty() {
            for (at, how) in spoilt {
                let at = at.index(cases.len());
                spoil(&mut cases, at, *how);
            }
        }
        cases
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever is in a batch, each verdict is that of the proof alone.
        #[test]
        fn verdicts_are_those_of_the_single_verifier(
            seed: u64,
            keys in prop::collection::vec(0usize..4, 0..24),
            spoilt in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9), 0..6),
            secret: [u8; 32],
        ) {
            let cases = spoilt_cases(seed, &keys, &spoilt);
            prop_assert_eq!(linear_combination(&items(&cases), &secret), singly(&cases));
        }
    }

    #[test]
    fn every_way_to_spoil_a_proof_is_found_and_named() {
        for how in 0..9 {
            let mut cases = cases(3, &[2, 3, 0, 1, 2, 3, 2]);
            spoil(&mut cases, 4, how);
            let verdicts = batch(&cases);
            assert_eq!(verdicts, singly(&cases), "way {how}");
            assert!(verdicts[4].is_err(), "way {how}");
            assert!(verdicts[..4].iter().all(Result::is_ok), "way {how}");
        }
    }

    #[test]
    fn none_one_and_the_same_proof_often() {
        assert_eq!(batch(&[]), []);
        let one = cases(1, &[2]);
        assert_eq!(batch(&one), [Ok(())]);
        let item = items(&one)[0];
        assert_eq!(linear_combination(&[item; 9], &[0; 32]), vec![Ok(()); 9]);
        let bad = Item {
            proof: &moved(&one[0].proof, Fr::from(1u64)),
            ..item
        };
        let verdicts = linear_combination(&[item, bad, bad, item], &[0; 32]);
        let invalid = || Err(VerifyError::Invalid);
        assert_eq!(verdicts, [Ok(()), invalid(), invalid(), Ok(())]);
    }

    /// Two false proofs whose errors cancel: their plain product passes, the combination does not.
    #[test]
    fn errors_that_cancel_are_refused() {
        let mut cases = cases(5, &[2, 2, 2, 2, 2]);
        let x = Fr::from(123_456_789u64);
        cases[1].proof = moved(&cases[1].proof, x);
        cases[3].proof = moved(&cases[3].proof, -x);

        let items = items(&cases);
        let mut terms: Vec<Term<'_>> = (items.iter().enumerate())
            .map(|(place, item)| Term {
                place,
                key: item.key,
                parsed: Parsed::parse(item.key, item.inputs, item.proof).unwrap(),
                weight: 1,
                a: G1Affine::zero(),
            })
            .collect();
        weigh(&mut terms);
        assert!(all_hold(&terms), "with equal coefficients they pass");

        let invalid = || Err(VerifyError::Invalid);
        let expected = [Ok(()), invalid(), Ok(()), invalid(), Ok(())];
        assert_eq!(batch(&cases), expected);
    }

    /// A combination is only sound in groups of prime order, so a point outside is no term of it.
    #[test]
    fn a_point_outside_the_subgroup_is_refused_in_company_too() {
        let mut cases = cases(6, &[2, 2, 2]);
        let stray = (1u64..)
            .find_map(|x| {
                let x = ark_bn254::Fq2::new(ark_bn254::Fq::from(x), ark_bn254::Fq::from(1u64));
                G2Affine::get_point_from_x_unchecked(x, false)
            })
            .unwrap();
        assert!(!stray.is_in_correct_subgroup_assuming_on_curve());
        for point in [stray, (stray + g2(Fr::from(3u64))).into_affine()] {
            let mut proof = crate::verify::single::parse_proof(&cases[0].proof).unwrap();
            proof.b = point;
            cases[1].proof = proof_bytes(&proof);
            let malformed = Err(VerifyError::ProofMalformed);
            assert_eq!(batch(&cases), [Ok(()), malformed, Ok(())]);
        }
    }

    /// Coefficients follow from every byte of the batch, from the order, and from the secret.
    #[test]
    fn coefficients_depend_on_everything() {
        let mut cases = cases(7, &[2, 3, 2]);
        let first = weights(&items(&cases), &[7; 32]);
        assert!(first.iter().all(|weight| *weight > u128::from(u64::MAX)));
        assert_eq!(first, weights(&items(&cases), &[7; 32]));
        let mut seen = vec![first[0]];
        seen.push(weights(&items(&cases), &[8; 32])[0]);
        seen.push(weights(&items(&cases)[..2], &[7; 32])[0]);
        cases[2].proof.0[127] ^= 1;
        seen.push(weights(&items(&cases), &[7; 32])[0]);
        cases[1].inputs[0].0[31] ^= 1;
        seen.push(weights(&items(&cases), &[7; 32])[0]);
        cases[0].key = trapdoors()[3].key.clone();
        seen.push(weights(&items(&cases), &[7; 32])[0]);
        cases.swap(0, 1);
        seen.push(weights(&items(&cases), &[7; 32])[0]);
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
    }

    /// However many are bad, and wherever.
    /// Terms, and three pairs of their key, fill a window exactly, or leave one for the next.
    #[test]
    fn one_pair_more_than_a_window_is_judged_in_the_next() {
        for count in MILLER_WINDOW - 4..=MILLER_WINDOW + 1 {
            let mut cases = cases(11, &vec![0; count]);
            assert!(batch(&cases).iter().all(Result::is_ok), "{count}");
            cases[count - 1].proof = moved(&cases[count - 1].proof, Fr::from(3u64));
            let refused = batch(&cases).iter().filter(|it| it.is_err()).count();
            assert_eq!(refused, 1, "{count}");
        }
    }

    #[test]
    fn large_batches_with_few_and_with_many_bad_proofs() {
        let keys: Vec<usize> = (0..150).collect();
        for every in [1, 2, 7, 149] {
            let mut cases = cases(8, &keys);
            for at in (0..cases.len()).step_by(every) {
                cases[at].proof = moved(&cases[at].proof, Fr::from(at as u64 + 1));
            }
            let verdicts = batch(&cases);
            for (at, verdict) in verdicts.iter().enumerate() {
                assert_eq!(verdict.is_err(), at % every == 0, "{at}, every {every}th");
            }
        }
    }
}
