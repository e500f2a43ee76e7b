//! Proofs that hold, and what is mixed into them.

use crate::{
    common::{self, World, claim, credential, keys},
    kinds::{KINDS, Needs},
    plots::PLOTS,
};
use ark_bn254::{Bn254, Fq2, Fr, G1Affine, G1Projective, G2Affine, G2Projective, g1, g2};
use ark_ec::{AffineRepr, CurveConfig, CurveGroup, PrimeGroup, scalar_mul::glv::GLVConfig};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use ark_groth16::Proof;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use num_bigint::BigUint;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha20Rng;
use tender_circuits::{
    ProofBytes, prove,
    verify::{VerifyingKey, verify_inputs},
};
use tender_wire::FieldBytes;

/// What proofs are called that nothing was done to.
pub const UNTOUCHED: &str = "untouched";

/// What is known of a case's verdict by the way it was made.
#[derive(Clone, Copy, Debug)]
pub enum Truth {
    Holds,
    Fails,
    Either,
}
use Truth::{Fails, Holds};

/// Something to verify.
#[derive(Clone)]
pub struct Case {
    /// Its place in the stock.
    pub key: usize,
    pub inputs: Vec<FieldBytes>,
    pub proof: ProofBytes,
    pub label: &'static str,
    pub truth: Truth,
}

/// A proof that holds.
#[derive(Clone)]
pub struct Honest {
    pub key: usize,
    pub inputs: Vec<Fr>,
    pub proof: Proof<Bn254>,
}

/// A key, with its points; and their logarithms where they are known.
pub struct Key {
    pub key: VerifyingKey,
    pub bytes: Vec<u8>,
    pub alpha: G1Affine,
    /// beta, gamma, delta.
    pub g2: [G2Affine; 3],
    pub abc: Vec<G1Affine>,
    pub trapdoor: Option<Trapdoor>,
}

#[derive(Clone)]
pub struct Trapdoor {
    pub alpha: Fr,
    /// beta, gamma, delta.
    pub g2: [Fr; 3],
    pub abc: Vec<Fr>,
}

/// What mutations are made from.
pub struct Stock {
    /// Synthetic keys, the real one, and all of them once more, parsed from the same bytes.
    pub keys: Vec<Key>,
    pub honest: Vec<Honest>,
    /// Points of the twist of orders that divide the cofactor, the smallest first; the last of the order of the whole cofactor.
    pub small: Vec<G2Affine>,
}

/// Public inputs of the synthetic keys.
pub const SYNTHETIC: [usize; 5] = [0, 1, 3, 3, 16];
/// Proofs of each key.
pub const OF_EACH: usize = 12;
/// Prime factors of the number of points of the twist, divided by r.
pub const FACTORS: [&str; 4] = [
    "10069",
    "5864401",
    "1875725156269",
    "197620364512881247228717050342013327560683201906968909",
];

impl Stock {
    pub fn new(seed: u64, statements: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut keys: Vec<Key> = SYNTHETIC
            .iter()
            .map(|n| Key::synthetic(*n, &mut rng))
            .collect();
        let mut honest: Vec<Honest> = (0..keys.len())
            .flat_map(|key| (0..OF_EACH).map(move |_| key))
            .map(|key| keys[key].honest(key, &mut rng))
            .collect();
        let record = &common::keys().1;
        let inputs = record.verifying_key().unwrap().inputs();
        keys.push(Key::read(record.vk.clone(), inputs));
        let key = keys.len() - 1;
        let real: Vec<Honest> = (0..statements).map(|n| real(key, n)).collect();
        honest.extend((0..OF_EACH).map(|n| match real.get(n) {
            Some(real) => real.clone(),
            None => real[n % statements].rerandomised(&keys[key], &mut rng),
        }));
        let again: Vec<Key> = keys.iter().map(Key::again).collect();
        keys.extend(again);
        let stock = Stock {
            keys,
            honest,
            small: small(&mut rng),
        };
        for honest in &stock.honest {
            let case = honest.case();
            let verdict = verify_inputs(&stock.keys[case.key].key, &case.inputs, &case.proof);
            assert_eq!(verdict, Ok(()));
        }
        stock
    }

    pub fn key(&self, honest: &Honest) -> &Key {
        &self.keys[honest.key]
    }

    /// One that holds, of one of these keys.
    pub fn pick(&self, keys: &[usize], rng: &mut ChaCha20Rng) -> &Honest {
        let key = keys[rng.gen_range(0..keys.len())];
        &self.honest[key * OF_EACH + rng.gen_range(0..OF_EACH)]
    }

    /// Another proof of the same key.
    pub fn another(&self, honest: &Honest, rng: &mut ChaCha20Rng) -> &Honest {
        loop {
            let other = self.pick(&[honest.key], rng);
            if other.proof != honest.proof {
                return other;
            }
        }
    }

    pub fn small(&self, rng: &mut ChaCha20Rng) -> G2Affine {
        self.small[rng.gen_range(0..self.small.len())]
    }

    /// A point of the twist that is not in G2, of whatever order, perhaps next to nothing of it.
    pub fn outside(&self, rng: &mut ChaCha20Rng) -> G2Affine {
        match rng.gen_range(0..3) {
            0 => stray(rng),
            1 => -self.small(rng),
            _ => self.small(rng),
        }
    }

    /// Proofs of which some, or all, are mutated: in one way whose turn it is, and in others by chance.
    pub fn batch(&self, turn: usize, rng: &mut ChaCha20Rng) -> Vec<Case> {
        let size = match rng.gen_range(0..200) {
            0 => [256, 257, 511, 513, 1024, 1025, 1040][rng.gen_range(0..7)],
            1..=19 => 8 * rng.gen_range(7..=17) + rng.gen_range(0..3) - 1,
            20..=29 => rng.gen_range(1..7),
            _ => 8 * rng.gen_range(1..=6) + rng.gen_range(0..3) - 1,
        };
        // The real one, any one, some, or all of them.
        let mut keys: Vec<usize> = (0..=SYNTHETIC.len()).collect();
        keys.rotate_right(1);
        match rng.gen_range(0..8) {
            0..=2 => keys.truncate(1),
            3 => keys = vec![rng.gen_range(0..=SYNTHETIC.len())],
            4..=6 => {
                keys.shuffle(rng);
                keys.truncate(rng.gen_range(2..=3));
            }
            _ => {}
        }
        let keys = keys.as_slice();
        let mut cases: Vec<Case> = (0..size).map(|_| self.pick(keys, rng).case()).collect();
        let (share, all_false) = match rng.gen_range(0..8) {
            0 => (0, false),
            1 => (1, false),
            2 => (rng.gen_range(0..=size / 8 + 1), false),
            3 => (size / 2, false),
            4 => (size, false),
            5 => (size - 1, true),
            _ => (size, true),
        };
        let mut places: Vec<usize> = (0..size).collect();
        places.shuffle(rng);
        places.truncate(share);
        let mut turn = Some(turn);
        while !places.is_empty() {
            let way = turn.take().unwrap_or_else(|| rng.r#gen());
            let changed = if places.len() > 1 && rng.gen_range(0..4) == 0 {
                let plot = &PLOTS[way % PLOTS.len()];
                let honest = self.suitable(plot.needs, keys, rng);
                let cases = (plot.make)(self, honest, rng);
                let named = |case| Case {
                    label: plot.name,
                    truth: plot.truth,
                    ..case
                };
                cases.into_iter().map(named).collect()
            } else {
                let kind = &KINDS[way % KINDS.len()];
                let honest = self.suitable(kind.needs, keys, rng);
                vec![Case {
                    label: kind.name,
                    truth: kind.truth,
                    ..(kind.make)(self, honest, rng)
                }]
            };
            let of = changed
                .iter()
                .filter(|case| !all_false || matches!(case.truth, Fails));
            for case in of {
                if let Some(place) = places.pop() {
                    cases[place] = case.clone();
                }
            }
        }
        cases
    }

    pub fn suitable(&self, needs: Needs, keys: &[usize], rng: &mut ChaCha20Rng) -> &Honest {
        let suits = |key: &usize| match needs {
            Needs::Nothing => true,
            Needs::Inputs(n) => self.keys[*key].key.inputs() >= n,
            Needs::Trapdoor(n) => {
                self.keys[*key].trapdoor.is_some() && self.keys[*key].key.inputs() >= n
            }
        };
        let own: Vec<usize> = keys.iter().copied().filter(suits).collect();
        let any: Vec<usize> = (0..SYNTHETIC.len() + 1).filter(suits).collect();
        self.pick(if own.is_empty() { &any } else { &own }, rng)
    }
}

/// A proof that the prover of `resources/v1` made.
pub fn real(key: usize, n: usize) -> Honest {
    let claims = [
        r#"{"cpu_milli": 16000, "memory_mib": 131072, "gpu_milli": 2000, "gpu_model": ["A100", "H100"], "region": ["eu-west", "uk"], "skills": ["cuda"]}"#,
        r#"{"cpu_milli": 32000}"#,
        r#"{"disk_gib": 4000, "bandwidth_mbps": 1}"#,
        r#"{"skills": ["cuda", "docker", "nvlink"], "gpu_memory_mib": 81920}"#,
    ];
    let world = World::of(credential());
    let statement = world.statement(&keys().0.type_id(), claim(claims[n]));
    let proof = prove(
        &keys().0,
        &world.credential,
        &world.path,
        &statement,
        [n as u8; 32],
    )
    .unwrap();
    Honest {
        key,
        inputs: statement
            .public_inputs()
            .iter()
            .map(|input| Fr::from_be_bytes_mod_order(&input.0))
            .collect(),
        proof: Proof::deserialize_compressed(&proof.0[..]).unwrap(),
    }
}

pub fn g1(scalar: Fr) -> G1Affine {
    (G1Projective::generator() * scalar).into_affine()
}

pub fn g2(scalar: Fr) -> G2Affine {
    (G2Projective::generator() * scalar).into_affine()
}

/// A multiple by a cube root of unity.
pub fn turned(mut point: G1Affine) -> G1Affine {
    point.x *= g1::Config::ENDO_COEFFS[0];
    point
}

/// A point of the twist outside G2.
pub fn stray(rng: &mut ChaCha20Rng) -> G2Affine {
    loop {
        let point = G2Affine::get_point_from_x_unchecked(Fq2::rand(rng), rng.r#gen());
        if let Some(point) = point.filter(|it| !it.is_in_correct_subgroup_assuming_on_curve()) {
            return point;
        }
    }
}

/// Points of the orders of [`FACTORS`], of the product of the first two, and of the whole cofactor.
pub fn small(rng: &mut ChaCha20Rng) -> Vec<G2Affine> {
    let integer = |limbs: &[u64]| {
        limbs
            .iter()
            .rev()
            .fold(BigUint::ZERO, |sum, limb| (sum << 64) + *limb)
    };
    let (cofactor, r) = (integer(g2::Config::COFACTOR), integer(&Fr::MODULUS.0));
    let primes: Vec<BigUint> = FACTORS.iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(primes.iter().product::<BigUint>(), cofactor);
    let mut orders = primes.clone();
    orders.extend([&primes[0] * &primes[1], cofactor.clone()]);
    let multiple =
        |point: G2Affine, by: &BigUint| point.mul_bigint(by.to_u64_digits()).into_affine();
    let of_order = |order: &BigUint| loop {
        let point = multiple(stray(rng), &(&r * &cofactor / order));
        let exact = (primes
            .iter()
            .filter(|prime| (order % *prime) == BigUint::ZERO))
        .all(|prime| !multiple(point, &(order / prime)).is_zero());
        if exact {
            assert!(multiple(point, order).is_zero());
            return point;
        }
    };
    orders.iter().map(of_order).collect()
}

impl Key {
    pub fn synthetic(inputs: usize, rng: &mut ChaCha20Rng) -> Self {
        let trapdoor = Trapdoor {
            alpha: Fr::rand(rng),
            g2: std::array::from_fn(|_| Fr::rand(rng)),
            abc: (0..=inputs).map(|_| Fr::rand(rng)).collect(),
        };
        let mut bytes = Vec::new();
        g1(trapdoor.alpha).serialize_compressed(&mut bytes).unwrap();
        for scalar in trapdoor.g2 {
            g2(scalar).serialize_compressed(&mut bytes).unwrap();
        }
        for scalar in &trapdoor.abc {
            g1(*scalar).serialize_compressed(&mut bytes).unwrap();
        }
        Key {
            trapdoor: Some(trapdoor),
            ..Key::read(bytes, inputs)
        }
    }

    pub fn read(bytes: Vec<u8>, inputs: usize) -> Self {
        let mut rest = bytes.as_slice();
        let alpha = G1Affine::deserialize_compressed(&mut rest).unwrap();
        let g2 = std::array::from_fn(|_| G2Affine::deserialize_compressed(&mut rest).unwrap());
        let abc = (0..=inputs)
            .map(|_| G1Affine::deserialize_compressed(&mut rest).unwrap())
            .collect();
        Key {
            key: VerifyingKey::parse(&bytes, inputs).unwrap(),
            bytes,
            alpha,
            g2,
            abc,
            trapdoor: None,
        }
    }

    pub fn again(&self) -> Self {
        Key {
            trapdoor: self.trapdoor.clone(),
            ..Key::read(self.bytes.clone(), self.key.inputs())
        }
    }

    pub fn honest(&self, key: usize, rng: &mut ChaCha20Rng) -> Honest {
        let inputs: Vec<Fr> = (0..self.key.inputs()).map(|_| Fr::rand(rng)).collect();
        let [a, b] = std::array::from_fn(|_| Fr::rand(rng));
        self.made(key, inputs, a, b)
    }

    pub fn trapdoor(&self) -> &Trapdoor {
        self.trapdoor.as_ref().unwrap()
    }

    /// The proof with A and B of these logarithms.
    pub fn made(&self, key: usize, inputs: Vec<Fr>, a: Fr, b: Fr) -> Honest {
        let c = (a * b - self.trapdoor().fixed(&inputs)) / self.trapdoor().g2[2];
        let proof = Proof {
            a: g1(a),
            b: g2(b),
            c: g1(c),
        };
        Honest { key, inputs, proof }
    }

    /// The proof with B and C of these logarithms.
    pub fn made_for_c(&self, key: usize, inputs: Vec<Fr>, b: Fr, c: Fr) -> Honest {
        let a = (c * self.trapdoor().g2[2] + self.trapdoor().fixed(&inputs)) / b;
        let proof = Proof {
            a: g1(a),
            b: g2(b),
            c: g1(c),
        };
        Honest { key, inputs, proof }
    }
}

impl Trapdoor {
    /// The logarithm of the inputs' point.
    pub fn l(&self, inputs: &[Fr]) -> Fr {
        let terms = self.abc.iter().skip(1).zip(inputs);
        terms.fold(self.abc[0], |sum, (point, input)| sum + *point * input)
    }

    /// alpha beta + L gamma.
    pub fn fixed(&self, inputs: &[Fr]) -> Fr {
        let [beta, gamma, _] = self.g2;
        self.alpha * beta + self.l(inputs) * gamma
    }
}

pub fn proof_bytes(proof: &Proof<Bn254>) -> ProofBytes {
    let mut out = ProofBytes([0; 128]);
    proof.serialize_compressed(&mut out.0[..]).unwrap();
    out
}

pub fn field_bytes(input: &Fr) -> FieldBytes {
    FieldBytes(input.into_bigint().to_bytes_be().try_into().unwrap())
}

impl Honest {
    pub fn case(&self) -> Case {
        Case {
            key: self.key,
            inputs: self.inputs.iter().map(field_bytes).collect(),
            proof: proof_bytes(&self.proof),
            label: UNTOUCHED,
            truth: Holds,
        }
    }

    /// With other points.
    pub fn points(&self, change: impl FnOnce(&mut Proof<Bn254>)) -> Case {
        let mut honest = self.clone();
        change(&mut honest.proof);
        honest.case()
    }

    /// With other proof bytes.
    pub fn bytes(&self, change: impl FnOnce(&mut [u8; 128])) -> Case {
        let mut case = self.case();
        change(&mut case.proof.0);
        case
    }

    /// With other inputs.
    pub fn inputs(&self, change: impl FnOnce(&mut Vec<FieldBytes>)) -> Case {
        let mut case = self.case();
        change(&mut case.inputs);
        case
    }

    /// Another proof of the same statement.
    pub fn rerandomised(&self, key: &Key, rng: &mut ChaCha20Rng) -> Honest {
        let [r, s] = std::array::from_fn(|_| Fr::rand(rng));
        let Proof { a, b, c } = &self.proof;
        let proof = Proof {
            a: (*a * r.inverse().unwrap()).into_affine(),
            b: (*b * r + key.g2[2] * (r * s)).into_affine(),
            c: (*a * s + c).into_affine(),
        };
        Honest {
            proof,
            ..self.clone()
        }
    }
}
