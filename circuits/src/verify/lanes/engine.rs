//! Proofs to verdicts.

use super::{
    coefficients::Coefficient,
    curve::{BUCKETS, Entry, Point, Points, Tables, Turned, assemble, multiply, sort, sums, turn},
    decode::{Constants, Encoded, Undecoded, decode},
    field::{Field, Mask, lowest},
    miller::{Pairs, TwistPoint, TwistPoints, miller},
    tower::{Dodecic, DodecicLane},
};
use crate::verify::{
    VerifyError,
    batch::{Item, Verdict, weights},
    single::{self, VerifyingKey},
    stages::{Stage, Stages},
};
use ark_bn254::{Fr, FrConfig, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, MontConfig, PrimeField};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tender_wire::FieldBytes;

/// Proofs whose points are multiplied together, and pairs that walk together: as many as the caches hold.
const TOGETHER: usize = 1024;
/// Proofs with a product of their own in the first test, so that a test that fails is followed by one of each such chunk, at little cost.
const CHUNK: usize = 256;
/// Proofs in the smaller groups that chunks that fail are split into.
const GROUP: usize = 8;

/// A proof in the combination.
struct Term<'a, F: Field> {
    /// Where its verdict goes.
    place: usize,
    key: &'a VerifyingKey,
    /// As [`raw`] makes them.
    inputs: Vec<Fr>,
    coefficient: Coefficient,
    /// A times the coefficient.
    a: Point<F>,
    b: TwistPoint<F>,
    c: Turned<F>,
}

/// Verdicts for proofs of any keys, each what the single verifier says.
pub(super) fn verify<F: Field>(
    items: &[Item<'_>],
    secret: &[u8; 32],
    stages: &Stages,
) -> Vec<Verdict> {
    let mut verdicts = vec![Ok(()); items.len()];
    let mut say = |place: usize, verdict: Verdict| {
        if let Some(slot) = verdicts.get_mut(place) {
            *slot = verdict;
        }
    };
    let mut read = Vec::with_capacity(items.len());
    let transcript = || {
        let weights = weights(items, secret);
        for (place, (item, weight)) in items.iter().zip(weights).enumerate() {
            match Read::new(place, item, Coefficient::Random(weight)) {
                Ok(term) => read.push(term),
                Err(Undecidable::Refused(error)) => say(place, Err(error)),
                Err(Undecidable::Odd) => say(place, alone(item)),
            }
        }
    };
    stages.time(Stage::Transcript, transcript);
    // The combination of one holds if it does, whatever its coefficient.
    if let [one] = read.as_mut_slice() {
        one.coefficient = Coefficient::One;
    }
    // A key's proofs next to each other: a test costs three pairs for each key in it.
    read.sort_by_key(|read| read.key.fingerprint());
    let mut terms = Vec::with_capacity(read.len());
    for block in read.chunks(TOGETHER) {
        let (sound, faults) = weigh::<F>(block, stages);
        terms.extend(sound);
        for (place, fault) in faults {
            match (fault, items.get(place)) {
                (Undecoded::Odd, Some(item)) => say(place, alone(item)),
                _ => say(place, Err(VerifyError::ProofMalformed)),
            }
        }
    }
    let all: Vec<usize> = (0..terms.len()).collect();
    for (i, error) in judge(&terms, &all, stages) {
        say(terms[i].place, Err(error));
    }
    verdicts
}

/// How long the Miller loops of pairs take, none of whose points is the identity.
pub(super) fn miller_loops<F: Field>(pairs: &[(G1Affine, G2Affine)]) -> Duration {
    let point = |(g1, g2): &(G1Affine, G2Affine)| {
        (
            Points::gather(|_| *g1).unpack()[0],
            TwistPoints::gather(|_| *g2).unpack()[0],
        )
    };
    let pairs: Vec<Pair<F>> = pairs.iter().map(point).collect();
    let groups = |pairs: &[Pair<F>]| -> Vec<Vec<Pairs<F>>> {
        let group = |pairs: &[Pair<F>]| pairs.chunks(F::LANES).map(pack).collect();
        pairs.chunks(CHUNK).map(group).collect()
    };
    let blocks: Vec<_> = pairs.chunks(TOGETHER).map(groups).collect();
    let began = Instant::now();
    for groups in &blocks {
        let _ = std::hint::black_box(miller(groups));
    }
    began.elapsed()
}

/// What the single verifier says.
fn alone(item: &Item<'_>) -> Verdict {
    single::verify(item.key, item.inputs, item.proof)
}

/// A proof whose points' ordinates are not known yet.
struct Read<'a> {
    place: usize,
    key: &'a VerifyingKey,
    /// As [`raw`] makes them.
    inputs: Vec<Fr>,
    coefficient: Coefficient,
    encoded: Encoded,
}

/// An input divided by 2^256: its limbs taken for those of Montgomery form, which saves a product for each. `None` if it is not canonical.
fn raw(input: &FieldBytes) -> Option<Fr> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(input.0.chunks_exact(8)) {
        *limb = u64::from_be_bytes(chunk.try_into().ok()?);
    }
    let below = limbs.iter().rev().lt(Fr::MODULUS.0.iter().rev());
    below.then_some(Fr::new_unchecked(BigInt(limbs)))
}

/// 2^256, which undoes [`raw`].
fn undo_raw() -> Fr {
    Fr::new_unchecked(<FrConfig as MontConfig<4>>::R2)
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
                raw(input).ok_or(Undecidable::Refused(VerifyError::InputNotCanonical {
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

/// Decodes, and multiplies A by the coefficients.
fn weigh<'a, F: Field>(
    block: &[Read<'a>],
    stages: &Stages,
) -> (Vec<Term<'a, F>>, Vec<(usize, Undecoded)>) {
    let mut faults = Vec::new();
    let mut sound = Vec::with_capacity(block.len());
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let constants = Constants::<F>::new();
    let decoding = || {
        for proofs in block.chunks(F::LANES) {
            let encoded: Vec<Encoded> = proofs.iter().map(|proof| proof.encoded).collect();
            let Some(decoded) = decode(&encoded, &constants) else {
                continue;
            };
            let points = (decoded.a.unpack(), decoded.b.unpack(), decoded.c.unpack());
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
                a.push(points.0[lane]);
                b.push(points.1[lane]);
                c.push(points.2[lane]);
            }
        }
    };
    stages.time(Stage::Decoding, decoding);
    let coefficients: Vec<Coefficient> = sound.iter().map(|proof| proof.coefficient).collect();
    let a = stages.time(Stage::Weighting, || weighed(&a, &coefficients));
    let c = turn(&vectors(&c));
    let terms = sound
        .iter()
        .zip(a)
        .zip(b)
        .zip(c)
        .map(|(((proof, a), b), c)| Term {
            place: proof.place,
            key: proof.key,
            inputs: proof.inputs.clone(),
            coefficient: proof.coefficient,
            a,
            b,
            c,
        });
    (terms.collect(), faults)
}

/// Each point times its coefficient.
fn weighed<F: Field>(points: &[Point<F>], coefficients: &[Coefficient]) -> Vec<Point<F>> {
    if coefficients == [Coefficient::One] {
        return points.to_vec();
    }
    let weighed = multiply(&vectors(points), coefficients);
    let mut out: Vec<Point<F>> = (weighed.iter())
        .flat_map(|points| points.unpack().into_iter().take(F::LANES))
        .collect();
    out.truncate(points.len());
    out
}

/// Points in lanes; the first is repeated if the last are fewer.
fn vectors<F: Field>(points: &[Point<F>]) -> Vec<Points<F>> {
    let vector = |points: &[Point<F>]| Points::pack(|lane| *points.get(lane).unwrap_or(&points[0]));
    points.chunks(F::LANES).map(vector).collect()
}

type Pair<F> = (Point<F>, TwistPoint<F>);

/// Those of the terms that are refused.
///
/// One test says whether all hold. If it fails, every chunk is tested with the product it has already; then what is in chunks that fail, in groups of
/// eight, a group in each lane; then what is in groups that fail, one by one in the lanes. A test of one is no matter of chance: its pairing's value to
/// the power of a coefficient that is not zero modulo the groups' prime order. A chunk with a term outside G2 starts over without it, and has no such term
/// then. So whatever the proofs are, each is in five tests at most.
fn judge<F: Field>(
    terms: &[Term<'_, F>],
    members: &[usize],
    stages: &Stages,
) -> Vec<(usize, VerifyError)> {
    let (holds, chunks) = test_all(terms, members, stages);
    if holds && chunks.iter().all(|chunk| chunk.strangers.is_empty()) {
        return Vec::new();
    }
    stages.time(Stage::Retests, || resolve(terms, members, &chunks))
}

/// Those of the terms that are refused, after a test of all that failed.
fn resolve<F: Field>(
    terms: &[Term<'_, F>],
    members: &[usize],
    chunks: &[Chunk<F>],
) -> Vec<(usize, VerifyError)> {
    let strangers: BTreeSet<usize> = chunks
        .iter()
        .flat_map(|chunk| chunk.strangers.iter().copied())
        .collect();
    let (mut suspects, mut spoilt) = (Vec::new(), Vec::new());
    let (mut tests, mut products) = (Vec::new(), Vec::new());
    for (chunk, members) in chunks.iter().zip(members.chunks(CHUNK)) {
        if !chunk.strangers.is_empty() {
            spoilt.extend(members.iter().filter(|i| !strangers.contains(i)));
        } else if chunks.len() > 1 {
            tests.push(members);
            products.push(chunk.product);
        } else {
            suspects.extend(members);
        }
    }
    suspects.extend(failing(terms, &tests, Some(&products), None));
    let mut refused: Vec<(usize, VerifyError)> = judge_suspects(terms, suspects);
    let outside = |i: &usize| (*i, VerifyError::ProofMalformed);
    refused.extend(strangers.iter().map(outside));
    if !spoilt.is_empty() {
        refused.extend(judge(terms, &spoilt, &Stages::untimed()));
    }
    refused
}

/// The same for terms of which some do not hold, and all are in G2.
fn judge_suspects<F: Field>(
    terms: &[Term<'_, F>],
    mut suspects: Vec<usize>,
) -> Vec<(usize, VerifyError)> {
    // Sums are small here, so their terms are multiplied by their coefficients once for all.
    let c = suspects.iter().map(|i| terms[*i].c.form(0, false));
    let coefficients: Vec<Coefficient> = suspects.iter().map(|i| terms[*i].coefficient).collect();
    let c = weighed(&c.collect::<Vec<_>>(), &coefficients);
    let c: BTreeMap<usize, Point<F>> = suspects.iter().copied().zip(c).collect();
    for size in [GROUP, 1] {
        let groups: Vec<&[usize]> = suspects.chunks(size).collect();
        suspects = failing(terms, &groups, None, Some(&c));
    }
    let invalid = |i| (i, VerifyError::Invalid);
    suspects.into_iter().map(invalid).collect()
}

/// What the first test leaves behind of a chunk.
struct Chunk<F: Field> {
    /// The product of its terms' Miller loops.
    product: DodecicLane<F>,
    /// Terms whose B is not in G2. Where there are any, the product is of no use.
    strangers: Vec<usize>,
}

/// Whether the combination of all these terms holds, and their chunks.
fn test_all<F: Field>(
    terms: &[Term<'_, F>],
    members: &[usize],
    stages: &Stages,
) -> (bool, Vec<Chunk<F>>) {
    let pair = |i: &usize| (terms[*i].a, terms[*i].b);
    let pairs: Vec<Pair<F>> = members.iter().map(pair).collect();
    let mut fixed = fixed_pairs(terms, &[members], None, stages)
        .pop()
        .unwrap_or_default();
    let mut total = Dodecic::one();
    let mut chunks = Vec::new();
    for (block, pairs) in pairs.chunks(TOGETHER).enumerate() {
        let mut groups: Vec<Vec<Pair<F>>> = pairs.chunks(CHUNK).map(<[_]>::to_vec).collect();
        let count = groups.len();
        // The fixed pairs fill up the lanes of an only chunk, whose product is of no other use.
        if members.len() <= CHUNK {
            groups[0].append(&mut fixed);
        } else if !fixed.is_empty() {
            groups.push(std::mem::take(&mut fixed));
        }
        let packed: Vec<Vec<Pairs<F>>> = groups
            .iter()
            .map(|pairs| pairs.chunks(F::LANES).map(pack).collect())
            .collect();
        let outputs = stages.time(Stage::MillerLoops, || miller(&packed));
        for (i, output) in outputs.into_iter().enumerate() {
            let product = stages.time(Stage::Tail, || output.product.fold());
            total = total.mul(&product);
            if i < count {
                let members = members
                    .iter()
                    .skip(block * TOGETHER + i * CHUNK)
                    .take(CHUNK);
                let outside = |n: usize| output.members[n / F::LANES] >> (n % F::LANES) & 1 == 0;
                let strangers = members.enumerate().filter(|(n, _)| outside(*n));
                chunks.push(Chunk {
                    product: product.unpack()[0],
                    strangers: strangers.map(|(_, i)| *i).collect(),
                });
            }
        }
    }
    (stages.time(Stage::Tail, || total.is_one()), chunks)
}

/// The members of those tests that fail, a test in each lane. The products of the tests' Miller loops may be known already.
fn failing<F: Field>(
    terms: &[Term<'_, F>],
    tests: &[&[usize]],
    products: Option<&[DodecicLane<F>]>,
    weighed: Option<&BTreeMap<usize, Point<F>>>,
) -> Vec<usize> {
    let mut out = Vec::new();
    for (block, tests) in tests.chunks(TOGETHER / GROUP).enumerate() {
        let mut pairs = fixed_pairs(terms, tests, weighed, &Stages::untimed());
        if products.is_none() {
            for (pairs, test) in pairs.iter_mut().zip(tests) {
                pairs.extend(test.iter().map(|i| (terms[*i].a, terms[*i].b)));
            }
        }
        let packed: Vec<Vec<Pairs<F>>> = pairs.chunks(F::LANES).map(pack_lanes).collect();
        for (i, output) in miller(&packed).into_iter().enumerate() {
            let mut product = output.product;
            let first = i * F::LANES;
            if let Some(known) = products {
                let known = &known[block * (TOGETHER / GROUP)..];
                let place = |lane: usize| (first + lane).min(tests.len() - 1);
                product = product.mul(&Dodecic::pack(|lane| known[place(lane)]));
            }
            let holds = product.ones();
            let tests = tests.iter().skip(first).take(F::LANES).enumerate();
            let failed = tests.filter(|(lane, _)| holds >> lane & 1 == 0);
            out.extend(failed.flat_map(|(_, test)| test.iter().copied()));
        }
    }
    out
}

fn pack<F: Field>(pairs: &[Pair<F>]) -> Pairs<F> {
    let pair = |lane: usize| pairs.get(lane).unwrap_or(&pairs[0]);
    Pairs {
        g1: Points::pack(|lane| pair(lane).0),
        g2: TwistPoints::pack(|lane| pair(lane).1),
        live: lowest(pairs.len()),
    }
}

/// The pairs of each lane, of which lanes may have different numbers.
fn pack_lanes<F: Field>(lanes: &[Vec<Pair<F>>]) -> Vec<Pairs<F>> {
    let most = lanes.iter().map(Vec::len).max().unwrap_or(0);
    let vector = |i: usize| {
        let any = *lanes.iter().find_map(|pairs| pairs.get(i))?;
        let pair = |lane: usize| lanes.get(lane).and_then(|pairs| pairs.get(i)).copied();
        let live = |lane: usize| Mask::from(pair(lane).is_some()) << lane;
        Some(Pairs {
            g1: Points::pack(|lane| pair(lane).unwrap_or(any).0),
            g2: TwistPoints::pack(|lane| pair(lane).unwrap_or(any).1),
            live: (0..F::LANES).fold(0, |mask, lane| mask | live(lane)),
        })
    };
    (0..most).filter_map(vector).collect()
}

/// What the terms of one key add up to.
struct Fold<'a> {
    key: &'a VerifyingKey,
    /// Minus the sum of the coefficients, and minus the weighted sum of each input as [`raw`] makes it.
    scalars: Vec<Fr>,
    members: Vec<usize>,
}

/// For each of the tests three pairs for every key in it: all that is not A and B. If the C are given multiplied by their coefficients, they are only summed.
fn fixed_pairs<F: Field>(
    terms: &[Term<'_, F>],
    tests: &[&[usize]],
    weighed: Option<&BTreeMap<usize, Point<F>>>,
    stages: &Stages,
) -> Vec<Vec<Pair<F>>> {
    let (folds, tabled) = stages.time(Stage::Inputs, || {
        let folds: Vec<Vec<Fold<'_>>> = tests.iter().map(|test| Fold::of(terms, test)).collect();
        let tabled: Vec<_> = (folds.iter().flatten())
            .flat_map(Fold::fixed_base::<F>)
            .collect();
        (folds, sums(&tabled, |point| point))
    });
    let mut tabled = tabled.into_iter();
    let mut c: Vec<G1Affine> = stages.time(Stage::Sums, || {
        let folds = folds.iter().flatten();
        match weighed {
            None => {
                let buckets: Vec<_> = folds.flat_map(|fold| fold.buckets(terms)).collect();
                let sums = sums(&buckets, |entry| form(terms, entry));
                let sums: Vec<_> = sums.chunks(BUCKETS).map(assemble).collect();
                G1Projective::normalize_batch(&sums)
            }
            Some(weighed) => {
                let whole = |fold: &Fold<'_>| {
                    let entry = |i: &usize| (*i as u32, 0, false);
                    fold.members.iter().map(entry).collect()
                };
                let groups: Vec<Vec<Entry>> = folds.map(whole).collect();
                sums(&groups, |(i, _, _)| weighed[&(i as usize)])
            }
        }
    });
    c.reverse();
    let mut pairs = |fold: &Fold<'_>| -> Vec<Pair<F>> {
        let key = fold.key.inner();
        let g1 = [tabled.next(), tabled.next(), c.pop().map(|c| -c)];
        let pair = |(g1, g2): (Option<G1Affine>, G2Affine)| {
            let g1 = g1.filter(|g1| !g1.is_zero())?;
            Some((
                Points::gather(|_| g1).unpack()[0],
                TwistPoints::gather(|_| g2).unpack()[0],
            ))
        };
        g1.into_iter()
            .zip([key.beta_g2, key.gamma_g2, key.delta_g2])
            .filter_map(pair)
            .collect()
    };
    folds
        .iter()
        .map(|test| test.iter().flat_map(&mut pairs).collect())
        .collect()
}

impl<'a> Fold<'a> {
    /// The terms of a test, by key.
    fn of<F: Field>(terms: &[Term<'a, F>], test: &[usize]) -> Vec<Self> {
        let mut folds: BTreeMap<&[u8; 32], Fold<'a>> = BTreeMap::new();
        for i in test {
            let term = &terms[*i];
            let fold = folds.entry(term.key.fingerprint()).or_insert_with(|| Fold {
                key: term.key,
                scalars: vec![Fr::ZERO; term.key.inputs() + 1],
                members: Vec::new(),
            });
            let scalar = term.coefficient.scalar();
            if let Some((weights, inputs)) = fold.scalars.split_first_mut() {
                *weights -= scalar;
                for (sum, input) in inputs.iter_mut().zip(&term.inputs) {
                    *sum -= scalar * input;
                }
            }
            fold.members.push(*i);
        }
        folds.into_values().collect()
    }

    /// The groups of the combination of all C.
    fn buckets<F: Field>(&self, terms: &[Term<'_, F>]) -> Vec<Vec<Entry>> {
        let mut buckets = vec![Vec::new(); BUCKETS];
        for i in &self.members {
            sort(*i as u32, terms[*i].coefficient, &mut buckets);
        }
        buckets
    }
}

/// The form of a term's C that an entry asks for.
fn form<F: Field>(terms: &[Term<'_, F>], (i, rotation, negative): Entry) -> Point<F> {
    terms[i as usize].c.form(rotation.into(), negative)
}

impl Fold<'_> {
    /// What adds up to the multiple of alpha, and what to the combination of the inputs' points.
    fn fixed_base<F: Field>(&self) -> [Vec<Point<F>>; 2] {
        let tables = self.key.tables(|key| {
            let points: Vec<G1Affine> = [key.alpha_g1]
                .into_iter()
                .chain(key.gamma_abc_g1.iter().copied())
                .collect();
            Tables::new::<F>(&points)
        });
        let (mut alpha, mut inputs) = (Vec::new(), Vec::new());
        for (i, scalar) in self.scalars.iter().enumerate() {
            let scalar = if i == 0 {
                *scalar
            } else {
                *scalar * undo_raw()
            };
            let scalar = scalar.into_bigint().0;
            if i == 0 {
                tables.terms(0, scalar, &mut alpha);
            }
            tables.terms(i + 1, scalar, &mut inputs);
        }
        [tables.points(&alpha), tables.points(&inputs)]
    }
}
