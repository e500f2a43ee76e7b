//! What each layer of the engines costs, arkworks beside: `cargo bench -p tender-circuits --bench layers`, and a word after `--` for the layers with that word in
//! their names. On one core: `RAYON_NUM_THREADS=1 taskset -c 0 …`.
//!
//! Every engine has its turn in every round, so that whatever else the machine does falls on all. Printed are the least and the median time of an element.

#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

use ark_bn254::{Bn254, Fq, Fq2, Fq12, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{
    CurveGroup, PrimeGroup,
    pairing::{MillerLoopOutput, Pairing},
};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use ark_groth16::Proof;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tender_circuits::{
    ProofBytes,
    verify::{Engine, Item, VerifyingKey, layers::layers},
};
use tender_wire::FieldBytes;

/// Public inputs of `resources/v1`.
const INPUTS: usize = 15;
/// Proofs, and pairs.
const COUNT: usize = 256;

fn bytes(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut out = Vec::new();
    value
        .serialize_compressed(&mut out)
        .expect("memory takes it");
    out
}

fn g1(scalar: Fr) -> G1Affine {
    (G1Projective::generator() * scalar).into_affine()
}

fn g2(scalar: Fr) -> G2Affine {
    (G2Projective::generator() * scalar).into_affine()
}

/// Public inputs and their proof.
type Case = (Vec<FieldBytes>, Proof<Bn254>);
/// A layer's name, how many elements a run works on, and the run.
type Layer = (&'static str, usize, Box<dyn Fn()>);

/// A key whose trapdoor is known, and proofs under it: they cost what any others do.
fn cases(rng: &mut ChaCha20Rng) -> (VerifyingKey, Vec<Case>) {
    let [alpha, beta, gamma, delta] = [0; 4].map(|_| Fr::rand(rng));
    let abc: Vec<Fr> = (0..=INPUTS).map(|_| Fr::rand(rng)).collect();
    let mut key = bytes(&g1(alpha));
    for scalar in [beta, gamma, delta] {
        key.extend(bytes(&g2(scalar)));
    }
    for scalar in &abc {
        key.extend(bytes(&g1(*scalar)));
    }
    let key = VerifyingKey::parse(&key, INPUTS).expect("a sound key");
    let case = |_| {
        let inputs: Vec<Fr> = (0..INPUTS).map(|_| Fr::rand(rng)).collect();
        let l = (abc.iter().skip(1).zip(&inputs)).fold(abc[0], |sum, (a, x)| sum + *a * x);
        let [a, b] = [0; 2].map(|_| Fr::rand(rng));
        let proof = Proof {
            a: g1(a),
            b: g2(b),
            c: g1((a * b - alpha * beta - l * gamma) / delta),
        };
        let canonical = |x: &Fr| {
            let bytes = x.into_bigint().to_bytes_be();
            FieldBytes(bytes.try_into().expect("32 bytes"))
        };
        (inputs.iter().map(canonical).collect(), proof)
    };
    (key, (0..COUNT).map(case).collect())
}

/// The same layers in arkworks, under their names in [`layers`].
fn arkworks(cases: &[Case]) -> Vec<Layer> {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (x, q, f) = (
        Fq::rand(&mut rng),
        Fq2::rand(&mut rng),
        Fq12::rand(&mut rng),
    );
    let (a, b): (Vec<G1Affine>, Vec<G2Affine>) = cases.iter().map(|(_, it)| (it.a, it.b)).unzip();
    let sum = a.clone();
    let proofs: Vec<Vec<u8>> = cases.iter().map(|(_, proof)| bytes(proof)).collect();
    vec![
        (
            "field multiplication",
            1,
            Box::new(move || {
                black_box(black_box(x) * x);
            }),
        ),
        (
            "quadratic multiplication",
            1,
            Box::new(move || {
                black_box(black_box(q) * q);
            }),
        ),
        (
            "tower squaring",
            1,
            Box::new(move || {
                black_box(black_box(f).square());
            }),
        ),
        (
            "tower multiplication",
            1,
            Box::new(move || {
                black_box(black_box(f) * f);
            }),
        ),
        (
            "final exponentiation",
            1,
            Box::new(move || {
                black_box(Bn254::final_exponentiation(MillerLoopOutput(black_box(f))));
            }),
        ),
        (
            "curve addition",
            COUNT,
            Box::new(move || {
                let _ = black_box(black_box(&sum).iter().sum::<G1Projective>());
            }),
        ),
        (
            "Miller loop",
            COUNT,
            Box::new(move || {
                let _ = black_box(Bn254::multi_miller_loop(&a, &b));
            }),
        ),
        (
            "decoding",
            COUNT,
            Box::new(move || {
                for proof in black_box(&proofs) {
                    let _ = black_box(Proof::<Bn254>::deserialize_compressed(proof.as_slice()));
                }
            }),
        ),
    ]
}

/// Times a layer of an engine is measured.
const ROUNDS: usize = 15;
/// How long each time at least, in as many runs as that takes.
const ENOUGH: Duration = Duration::from_millis(5);

/// A layer of an engine, and how long an element took, each time.
struct Subject<'a> {
    layer: &'a str,
    engine: &'a str,
    elements: usize,
    run: Box<dyn Fn() + 'a>,
    nanoseconds: Vec<f64>,
}

impl Subject<'_> {
    fn measure(&mut self) {
        let (began, mut runs) = (Instant::now(), 0);
        while began.elapsed() < ENOUGH {
            (self.run)();
            runs += 1;
        }
        let elements = (runs * self.elements) as f64;
        self.nanoseconds
            .push(began.elapsed().as_nanos() as f64 / elements);
    }
}

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let (key, cases) = cases(&mut ChaCha20Rng::seed_from_u64(1));
    let proofs: Vec<ProofBytes> = (cases.iter())
        .map(|(_, proof)| ProofBytes(bytes(proof).try_into().expect("128 bytes")))
        .collect();
    let items: Vec<Item<'_>> = (cases.iter().zip(&proofs))
        .map(|((inputs, _), proof)| Item {
            key: &key,
            inputs,
            proof,
        })
        .collect();
    let pairs: Vec<_> = cases.iter().map(|(_, proof)| (proof.a, proof.b)).collect();
    let mut subjects = Vec::new();
    let mut add = |layer, engine, elements, run| {
        subjects.push(Subject {
            layer,
            engine,
            elements,
            run,
            nanoseconds: Vec::new(),
        });
    };
    for (layer, elements, run) in arkworks(&cases) {
        add(layer, "arkworks", elements, run);
    }
    for engine in Engine::ALL.into_iter().filter(|it| it.is_available()) {
        for layer in layers(engine, &pairs, &proofs) {
            add(layer.name, engine.name(), layer.elements, layer.run);
        }
        let items = &items;
        let batch = move || drop(black_box(engine.verify(items, &[1; 32])));
        add("whole batch", engine.name(), COUNT, Box::new(batch));
    }
    subjects.retain(|it| asked.is_empty() || asked.iter().any(|word| it.layer.contains(word)));
    subjects.sort_by_key(|subject| subject.layer);
    for _ in 0..ROUNDS {
        subjects.iter_mut().for_each(Subject::measure);
    }
    println!(
        "{:<26} {:<10} {:>14} {:>14}",
        "layer", "engine", "least ns", "median ns"
    );
    for subject in &mut subjects {
        subject.nanoseconds.sort_by(f64::total_cmp);
        let [least, median] = [0, ROUNDS / 2].map(|i| subject.nanoseconds[i]);
        println!(
            "{:<26} {:<10} {least:>14.1} {median:>14.1}",
            subject.layer, subject.engine
        );
    }
}
