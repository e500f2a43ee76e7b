//! What each layer of the engines costs, arkworks beside: `cargo bench -p tender-circuits --bench layers`, and a word after `--` for the layers with that word in
//! their names. On one core: `RAYON_NUM_THREADS=1 taskset -c 0 …`. A run works on as many elements as its throughput says.

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
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::{hint::black_box, time::Duration};
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

fn bench(c: &mut Criterion) {
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
    let mut measure = |layer: &str, engine: &str, elements: usize, run: &dyn Fn()| {
        let mut group = c.benchmark_group(layer);
        group.throughput(Throughput::Elements(elements as u64));
        group.bench_function(engine, |b| b.iter(run));
    };
    for (layer, elements, run) in arkworks(&cases) {
        measure(layer, "arkworks", elements, &run);
    }
    for engine in Engine::ALL.into_iter().filter(|it| it.is_available()) {
        for layer in layers(engine, &pairs, &proofs) {
            measure(layer.name, engine.name(), layer.elements, &layer.run);
        }
        let batch = || drop(black_box(engine.verify(&items, &[1; 32])));
        measure("whole batch", engine.name(), COUNT, &batch);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = bench
}
criterion_main!(benches);
