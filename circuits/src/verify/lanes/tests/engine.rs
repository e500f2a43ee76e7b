//! Verdicts: those of the single verifier, whatever is in the batch.

use super::super::super::{
    VerifyError,
    batch::{
        Item,
        tests::{Case, cases, items, moved, singly, spoil, spoilt_cases},
    },
    engine::{Engine, EngineError},
    single::{parse_proof, proof_bytes},
};
use crate::evidence::ProofBytes;
use ark_bn254::{Fr, G2Affine};
use proptest::prelude::*;

fn engines() -> impl Iterator<Item = Engine> {
    Engine::ALL
        .into_iter()
        .filter(|engine| engine.is_available())
}

fn agree(cases: &[Case], secret: &[u8; 32]) {
    let expected = singly(cases);
    for engine in engines() {
        assert_eq!(engine.verify(&items(cases), secret), expected, "{engine:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_engine_says_what_the_single_verifier_says(
        seed: u64,
        keys in prop::collection::vec(0usize..4, 0..20),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9), 0..6),
        secret: [u8; 32],
    ) {
        agree(&spoilt_cases(seed, &keys, &spoilt), &secret);
    }
}

#[test]
fn batches_around_multiples_of_eight() {
    for n in [0, 1, 2, 7, 8, 9, 15, 16, 17] {
        let mut cases = cases(n, &vec![2; n as usize]);
        agree(&cases, &[1; 32]);
        if let Some(last) = cases.len().checked_sub(1) {
            cases[last].proof = moved(&cases[last].proof, Fr::from(3_u64));
            agree(&cases, &[1; 32]);
        }
    }
}

#[test]
fn every_proof_bad_or_all_but_one() {
    for good in [None, Some(0), Some(13), Some(18)] {
        let mut cases = cases(
            4,
            &[0, 1, 2, 3, 2, 3, 2, 1, 0, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3],
        );
        for (at, case) in cases
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| Some(*at) != good)
        {
            case.proof = moved(&case.proof, Fr::from(at as u64 + 1));
        }
        agree(&cases, &[1; 32]);
    }
}

/// Nothing is left of such a batch for the combination.
#[test]
fn batches_of_bytes_that_are_no_proofs() {
    for how in [3, 4, 7, 8] {
        let mut cases = cases(12, &[2; 9]);
        for at in 0..cases.len() {
            spoil(&mut cases, at, how);
        }
        agree(&cases, &[8; 32]);
    }
    let mut cases = cases(12, &[2; 9]);
    let mut rng = crate::keys::rng(b"strangers", &[]);
    for case in &mut cases {
        case.proof = outside(&case.proof, super::layers::stray(&mut rng));
    }
    agree(&cases, &[8; 32]);
}

/// Of one proof, and of proofs with one C: equal and opposite points meet in every sum.
#[test]
fn duplicates_are_judged_like_others() {
    let one = cases(9, &[2]);
    let mut cases: Vec<Case> = (0..40).flat_map(|_| cases(9, &[2])).collect();
    agree(&cases, &[3; 32]);
    for at in [3, 4, 30] {
        cases[at].proof = moved(&one[0].proof, Fr::from(1_u64));
    }
    agree(&cases, &[3; 32]);
}

/// Two false proofs whose errors cancel in a plain product.
#[test]
fn errors_that_cancel_are_refused() {
    let mut cases = cases(5, &[2; 9]);
    let x = Fr::from(123_456_789_u64);
    cases[1].proof = moved(&cases[1].proof, x);
    cases[3].proof = moved(&cases[3].proof, -x);
    agree(&cases, &[4; 32]);
}

#[test]
fn points_outside_the_subgroup_are_named() {
    let mut rng = crate::keys::rng(b"engine", &[]);
    let mut cases = cases(6, &[2; 12]);
    cases[3].proof = outside(&cases[3].proof, super::layers::stray(&mut rng));
    cases[9].proof = outside(&cases[9].proof, super::layers::small(&mut rng));
    cases[5].proof = moved(&cases[5].proof, Fr::from(1_u64));
    agree(&cases, &[2; 32]);
}

/// The proof with another B.
fn outside(proof: &ProofBytes, b: G2Affine) -> ProofBytes {
    let mut proof = parse_proof(proof).unwrap();
    proof.b = b;
    proof_bytes(&proof)
}

/// A batch in parts, one for each thread: strangers in the first, and in the second one proof that holds, or does not, among identities.
#[test]
fn verdicts_do_not_depend_on_the_number_of_threads() {
    let mut rng = crate::keys::rng(b"threads", &[]);
    let mut cases = cases(14, &[2; 130]);
    cases[3].proof = outside(&cases[3].proof, super::layers::stray(&mut rng));
    for at in (64..130).filter(|at| *at != 100) {
        spoil(&mut cases, at, 7);
    }
    for moves in [0_u64, 1] {
        cases[100].proof = moved(&cases[100].proof, Fr::from(moves));
        let expected = singly(&cases);
        assert_eq!(expected[100].is_ok(), moves == 0);
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let found = (pool.build().unwrap()).install(|| {
                engines()
                    .map(|engine| engine.verify(&items(&cases), &[9; 32]))
                    .collect::<Vec<_>>()
            });
            for (engine, found) in engines().zip(found) {
                assert!(found == expected, "{engine:?}, {threads} threads");
            }
        }
    }
}

/// Chunks that hold, that fail and that have a stranger, in one batch, and more pairs than walk together.
#[test]
fn bad_proofs_are_found_in_chunks_groups_and_alone() {
    let mut rng = crate::keys::rng(b"chunks", &[]);
    let some = cases(10, &[2; 40]);
    let stray = super::layers::stray(&mut rng);
    let (outside, false_) = (
        outside(&some[1].proof, stray),
        moved(&some[2].proof, Fr::from(9_u64)),
    );
    for (count, strangers, bad) in [
        (257, vec![], vec![256]),
        (600, vec![], vec![0, 1, 599]),
        (600, vec![300], vec![10, 11, 301, 555]),
        (600, vec![0, 255, 599], vec![]),
        (1030, vec![1027], vec![1029, 3]),
    ] {
        let items: Vec<Item<'_>> = (0..count)
            .map(|i| match i {
                i if strangers.contains(&i) => Item {
                    proof: &outside,
                    ..items(&some)[1]
                },
                i if bad.contains(&i) => Item {
                    proof: &false_,
                    ..items(&some)[2]
                },
                i => items(&some)[i % some.len()],
            })
            .collect();
        let expected: Vec<_> = (0..count)
            .map(|i| match i {
                i if strangers.contains(&i) => Err(VerifyError::ProofMalformed),
                i if bad.contains(&i) => Err(VerifyError::Invalid),
                _ => Ok(()),
            })
            .collect();
        for engine in [Engine::Portable, Engine::Ifma] {
            assert!(
                engine.verify(&items, &[5; 32]) == expected,
                "{count}, {engine:?}"
            );
        }
    }
}

#[test]
fn engines_have_names_and_no_stand_ins() {
    for engine in Engine::ALL {
        match engine.name().parse::<Engine>() {
            Ok(named) => assert_eq!(named, engine),
            Err(error) => {
                assert!(!engine.is_available());
                assert_eq!(error, EngineError::Unavailable(engine.name()));
            }
        }
    }
    let unknown = "fast".parse::<Engine>();
    assert_eq!(unknown, Err(EngineError::Unknown("fast".to_owned())));
    assert!(Engine::fastest().is_available());
}
