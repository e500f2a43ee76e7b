//! Verdicts: those of the single verifier, whatever is in the batch.

use super::super::super::{
    batch::tests::{Case, cases, items, moved, singly, spoil},
    engine::Engine,
    single::{parse_proof, proof_bytes},
};
use ark_bn254::Fr;
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
        let mut cases = cases(seed, &keys);
        if !cases.is_empty() {
            for (at, how) in spoilt {
                let at = at.index(cases.len());
                spoil(&mut cases, at, how);
            }
        }
        agree(&cases, &secret);
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
fn points_outside_the_subgroup_are_named() {
    let mut rng = crate::keys::rng(b"engine", &[]);
    let mut cases = cases(6, &[2; 12]);
    for (at, small) in [(3, false), (9, true)] {
        let mut proof = parse_proof(&cases[at].proof).unwrap();
        proof.b = if small {
            super::layers::small(&mut rng)
        } else {
            super::layers::stray(&mut rng)
        };
        cases[at].proof = proof_bytes(&proof);
    }
    cases[5].proof = moved(&cases[5].proof, Fr::from(1_u64));
    agree(&cases, &[2; 32]);
}
