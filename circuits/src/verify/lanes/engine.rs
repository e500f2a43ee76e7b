//! Proofs to verdicts.

use super::{
    coefficients::Coefficient,
    curve::{Points, multiply},
    decode::{Encoded, Undecoded, decode},
    field::{Field, Mask, element, lowest},
    miller::{Pairs, TwistPoints, miller},
};
use crate::{
    field::to_fr,
    verify::{
        VerifyError,
        batch::{Combination, Item, Verdict, settle, weights},
        single::{self, VerifyingKey},
    },
};
use ark_bn254::{Bn254, Fq2, Fq12, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{
    AffineRepr, CurveGroup, VariableBaseMSM,
    pairing::{MillerLoopOutput, Pairing},
};
use ark_ff::{AdditiveGroup, Field as _, Zero};
use std::{collections::BTreeMap, ops::Range};

/// Proofs whose points are multiplied together: as many as the caches hold.
const MULTIPLIED: usize = 1024;
/// Pairs of one Miller loop.
const WALKED: usize = 1024;

/// A proof in the combination.
struct Term<'a> {
    /// Where its verdict goes.
    place: usize,
    key: &'a VerifyingKey,
    inputs: Vec<Fr>,
    scalar: Fr,
    /// A times the coefficient.
    a: G1Affine,
    b: G2Affine,
    /// C times the coefficient.
    c: G1Affine,
}

/// Verdicts for proofs of any keys, each what the single verifier says.
pub(super) fn verify<F: Field>(items: &[Item<'_>], secret: &[u8; 32]) -> Vec<Verdict> {
    let mut verdicts = vec![Ok(()); items.len()];
    let mut say = |place: usize, verdict: Verdict| {
        if let Some(slot) = verdicts.get_mut(place) {
            *slot = verdict;
        }
    };
    let mut read = Vec::with_capacity(items.len());
    for (place, (item, weight)) in items.iter().zip(weights(items, secret)).enumerate() {
        match Read::new(place, item, Coefficient(weight)) {
            Ok(term) => read.push(term),
            Err(Undecidable::Refused(error)) => say(place, Err(error)),
            Err(Undecidable::Odd) => say(place, alone(item)),
        }
    }
    let mut terms = Vec::with_capacity(read.len());
    for block in read.chunks(MULTIPLIED) {
        let (sound, faults) = weigh::<F>(block);
        terms.extend(sound);
        for (place, fault) in faults {
            match (fault, items.get(place)) {
                (Undecoded::Odd, Some(item)) => say(place, alone(item)),
                _ => say(place, Err(VerifyError::ProofMalformed)),
            }
        }
    }
    let outcome = combine::<F>(&terms);
    if outcome.strangers.is_empty() && outcome.holds {
        return verdicts;
    }
    for index in &outcome.strangers {
        if let Some(term) = terms.get(*index) {
            say(term.place, Err(VerifyError::ProofMalformed));
        }
    }
    let mut index = 0;
    terms.retain(|_| {
        index += 1;
        outcome.strangers.binary_search(&(index - 1)).is_err()
    });
    let combination = Terms::<F> {
        terms: &terms,
        lanes: std::marker::PhantomData,
    };
    for (index, error) in settle(&combination) {
        if let Some(term) = terms.get(index) {
            say(term.place, Err(error));
        }
    }
    verdicts
}

/// What the single verifier says.
fn alone(item: &Item<'_>) -> Verdict {
    single::verify(item.key, item.inputs, item.proof)
}

/// A proof whose points' ordinates are not known yet.
struct Read<'a> {
    place: usize,
    key: &'a VerifyingKey,
    inputs: Vec<Fr>,
    coefficient: Coefficient,
    encoded: Encoded,
}

enum Undecidable {
    Refused(VerifyError),
    Odd,
}

impl<'a> Read<'a> {
    fn new(place: usize, item: &Item<'a>, coefficient: Coefficient) -> Result<Self, Undecidable> {
        let expected = item.key.inputs();
        if item.inputs.len() != expected {
            let found = item.inputs.len();
            return Err(Undecidable::Refused(VerifyError::InputCount {
                expected,
                found,
            }));
        }
        let inputs = (item.inputs.iter().enumerate())
            .map(|(index, input)| {
                to_fr(input).ok_or(Undecidable::Refused(VerifyError::InputNotCanonical {
                    index,
                }))
            })
            .collect::<Result<_, _>>()?;
        let encoded = Encoded::read(item.proof).map_err(|error| match error {
            Undecoded::Malformed => Undecidable::Refused(VerifyError::ProofMalformed),
            Undecoded::Odd => Undecidable::Odd,
        })?;
        Ok(Read {
            place,
            key: item.key,
            inputs,
            coefficient,
            encoded,
        })
    }
}

/// Decodes, and multiplies A and C by the coefficients.
fn weigh<'a, F: Field>(block: &[Read<'a>]) -> (Vec<Term<'a>>, Vec<(usize, Undecoded)>) {
    let mut faults = Vec::new();
    let mut sound = Vec::with_capacity(block.len());
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    for proofs in block.chunks(F::LANES) {
        let encoded: Vec<Encoded> = proofs.iter().map(|proof| proof.encoded).collect();
        let Some(decoded) = decode::<F>(&encoded) else {
            continue;
        };
        let (ax, ay) = (decoded.a.x.scatter(), decoded.a.y.scatter());
        let (cx, cy) = (decoded.c.x.scatter(), decoded.c.y.scatter());
        let (bx, by) = (decoded.b.x.elements(), decoded.b.y.elements());
        for (lane, proof) in proofs.iter().enumerate() {
            let bit: Mask = 1 << lane;
            if decoded.sound & bit == 0 {
                let odd = decoded.odd & bit != 0;
                faults.push((
                    proof.place,
                    if odd {
                        Undecoded::Odd
                    } else {
                        Undecoded::Malformed
                    },
                ));
                continue;
            }
            sound.push(proof);
            a.push(G1Affine::new_unchecked(
                element(ax[lane]),
                element(ay[lane]),
            ));
            c.push(G1Affine::new_unchecked(
                element(cx[lane]),
                element(cy[lane]),
            ));
            b.push(G2Affine::new_unchecked(bx[lane], by[lane]));
        }
    }
    let coefficients: Vec<Coefficient> = sound.iter().map(|proof| proof.coefficient).collect();
    let a = weighed::<F>(&a, &coefficients);
    let c = weighed::<F>(&c, &coefficients);
    let terms = sound
        .iter()
        .zip(a)
        .zip(b)
        .zip(c)
        .map(|(((proof, a), b), c)| Term {
            place: proof.place,
            key: proof.key,
            inputs: proof.inputs.clone(),
            scalar: proof.coefficient.scalar(),
            a,
            b,
            c,
        });
    (terms.collect(), faults)
}

/// Each point times its coefficient.
fn weighed<F: Field>(points: &[G1Affine], coefficients: &[Coefficient]) -> Vec<G1Affine> {
    let vectors: Vec<Points<F>> = points.chunks(F::LANES).map(pack).collect();
    if vectors.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(points.len());
    for vector in multiply(&vectors, coefficients) {
        let (x, y) = (vector.x.scatter(), vector.y.scatter());
        let point = |lane: usize| G1Affine::new_unchecked(element(x[lane]), element(y[lane]));
        out.extend((0..F::LANES).map(point));
    }
    out.truncate(points.len());
    out
}

/// Points in lanes; the first is repeated if they are fewer.
fn pack<F: Field>(points: &[G1Affine]) -> Points<F> {
    Points::gather(|lane| at(points, lane))
}

fn at<T: Copy + Default>(points: &[T], lane: usize) -> T {
    points
        .get(lane)
        .or(points.first())
        .copied()
        .unwrap_or_default()
}

/// What a combination says.
struct Outcome {
    holds: bool,
    /// Terms whose B is not in G2, ascending. Where there are any, nothing else is known.
    strangers: Vec<usize>,
}

/// Whether the linear combination of the terms holds.
fn combine<F: Field>(terms: &[Term<'_>]) -> Outcome {
    let mut pairs: Vec<(G1Affine, G2Affine)> = terms.iter().map(|term| (term.a, term.b)).collect();
    let mut folds: BTreeMap<&[u8; 32], Fold<'_>> = BTreeMap::new();
    for term in terms {
        folds
            .entry(term.key.fingerprint())
            .or_insert_with(|| Fold::new(term.key))
            .add(term);
    }
    for fold in folds.values() {
        pairs.extend(fold.pairs().into_iter().filter(|(g1, _)| !g1.is_zero()));
    }
    let mut product = Fq12::ONE;
    let mut strangers = Vec::new();
    for (block, pairs) in pairs.chunks(WALKED).enumerate() {
        let vectors: Vec<Pairs<F>> = pairs.chunks(F::LANES).map(pack_pairs).collect();
        let output = miller(&vectors);
        for (i, members) in output.members.iter().enumerate() {
            let first = block * WALKED + i * F::LANES;
            let outside = |lane: &usize| members >> lane & 1 == 0 && first + lane < terms.len();
            strangers.extend((0..F::LANES).filter(outside).map(|lane| first + lane));
        }
        for value in output.product.elements().iter().take(F::LANES) {
            product *= value;
        }
    }
    let output = Bn254::final_exponentiation(MillerLoopOutput(product));
    Outcome {
        holds: output.is_some_and(|output| output.is_zero()),
        strangers,
    }
}

fn pack_pairs<F: Field>(pairs: &[(G1Affine, G2Affine)]) -> Pairs<F> {
    let pair = |lane| at(pairs, lane);
    let x: [Fq2; 8] = std::array::from_fn(|lane| pair(lane).1.x);
    let y: [Fq2; 8] = std::array::from_fn(|lane| pair(lane).1.y);
    Pairs {
        g1: Points::gather(|lane| pair(lane).0),
        g2: TwistPoints {
            x: super::quadratic::Quadratic::gather(|lane| x[lane]),
            y: super::quadratic::Quadratic::gather(|lane| y[lane]),
        },
        live: lowest(pairs.len()),
    }
}

/// What the terms of one key add up to.
struct Fold<'a> {
    key: &'a VerifyingKey,
    scalars: Vec<Fr>,
    c: G1Projective,
}

impl<'a> Fold<'a> {
    fn new(key: &'a VerifyingKey) -> Self {
        Fold {
            key,
            scalars: vec![Fr::ZERO; key.inputs() + 1],
            c: G1Projective::zero(),
        }
    }

    fn add(&mut self, term: &Term<'_>) {
        let inputs = [Fr::ONE].into_iter().chain(term.inputs.iter().copied());
        for (sum, input) in self.scalars.iter_mut().zip(inputs) {
            *sum += term.scalar * input;
        }
        self.c += term.c;
    }

    /// The key's three pairs.
    fn pairs(&self) -> [(G1Affine, G2Affine); 3] {
        let key = self.key.inner();
        let weights = self.scalars.first().copied().unwrap_or_default();
        let alpha = key.alpha_g1 * -weights;
        let inputs = G1Projective::msm_unchecked(&key.gamma_abc_g1, &self.scalars);
        [
            (alpha.into_affine(), key.beta_g2),
            ((-inputs).into_affine(), key.gamma_g2),
            ((-self.c).into_affine(), key.delta_g2),
        ]
    }
}

struct Terms<'a, F> {
    terms: &'a [Term<'a>],
    lanes: std::marker::PhantomData<F>,
}

impl<F: Field> Combination for Terms<'_, F> {
    fn len(&self) -> usize {
        self.terms.len()
    }

    fn keys(&self, part: Range<usize>) -> usize {
        let keys = self.terms.get(part).unwrap_or_default();
        let keys: std::collections::BTreeSet<_> =
            keys.iter().map(|term| term.key.fingerprint()).collect();
        keys.len()
    }

    fn holds(&self, part: Range<usize>) -> bool {
        combine::<F>(self.terms.get(part).unwrap_or_default()).holds
    }

    /// The combination of one term holds exactly if the term does, for its coefficient is not zero modulo the groups' order.
    fn alone(&self, index: usize) -> Verdict {
        let holds = self.holds(index..index + 1);
        if holds {
            Ok(())
        } else {
            Err(VerifyError::Invalid)
        }
    }
}
