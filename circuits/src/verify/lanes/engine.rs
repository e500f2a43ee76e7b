//! Proofs to verdicts.
//!
//! Every stage but the last is shared out over rayon's threads.

use super::{
    coefficients::Coefficient,
    curve::{
        BUCKETS, Entry, Point, Points, Turned, assemble, multiply, sort, sums, terms, turn, vectors,
    },
    decode::{Constants, Encoded, decode},
    exponentiation::Value,
    field::{Field, Mask},
    miller::{Pairs, TwistPoint, TwistPoints, miller},
    tower::{Dodecic, DodecicLane},
};
use crate::verify::{
    VerifyError,
    batch::{Item, Verdict, weights},
    single::VerifyingKey,
    spread::{TOGETHER, share, spread},
    stages::{Stage, Stages},
};
use ark_bn254::{Fr, FrConfig, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, MontConfig, PrimeField};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tender_wire::FieldBytes;

/// Proofs with a product of their own in the first test, so that a test that fails is followed by one of each such chunk, at little cost.
const CHUNK: usize = 256;
/// Batches up to this size multiply every C by its coefficient, as they do A: buckets are for many.
const FEW: usize = 48;

/// A proof that decodes.
struct Term<'a, F: Field> {
    /// Where its verdict goes.
    place: usize,
    key: &'a VerifyingKey,
    /// As [`raw`] makes them.
    inputs: Vec<Fr>,
    /// What is wrong with it in any case, if B is in G2. Then it is no term of the combination.
    fault: Option<VerifyError>,
    coefficient: Coefficient,
    /// A times the coefficient.
    a: Point<F>,
    b: TwistPoint<F>,
    /// −C.
    c: Turned<F>,
    /// −C times the coefficient, in a batch of few.
    weighted_c: Option<Point<F>>,
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
    stages.time(Stage::Transcript, || {
        let weights = weights(items, secret);
        let items: Vec<_> = items.iter().zip(weights).enumerate().collect();
        let terms = spread(&items, |items| {
            (items.iter())
                .map(|(place, (item, weight))| {
                    Read::new(*place, item, Coefficient::Random(*weight))
                })
                .collect::<Vec<_>>()
        });
        for (place, term) in terms.into_iter().flatten().enumerate() {
            match term {
                Ok(term) => read.push(term),
                Err(error) => say(place, Err(error)),
            }
        }
    });
    // The combination of one holds if it does, whatever its coefficient.
    if let [one] = read.as_mut_slice() {
        one.coefficient = Coefficient::One;
    }
    // A key's proofs next to each other: a test costs three pairs for each key in it.
    read.sort_by_key(|read| read.key.fingerprint());
    let few = read.len() <= FEW;
    let blocks = spread(&read, |block| weigh::<F>(block, few, stages));
    let mut terms = Vec::with_capacity(read.len());
    for (sound, malformed) in blocks {
        terms.extend(sound);
        for place in malformed {
            say(place, Err(VerifyError::ProofMalformed));
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
    let pair = |(g1, g2): &(G1Affine, G2Affine)| Pair {
        g1: Point::new(*g1),
        g2: TwistPoints::gather(|_| *g2).unpack()[0],
        counts: true,
    };
    let pairs: Vec<Pair<F>> = pairs.iter().map(pair).collect();
    let groups = |pairs: &[Pair<F>]| -> Vec<Vec<Pairs<F>>> {
        let group = |pairs: &[Pair<F>]| pairs.chunks(F::LANES).map(pack).collect();
        pairs.chunks(CHUNK).map(group).collect()
    };
    let blocks: Vec<_> = pairs.chunks(share(pairs.len())).map(groups).collect();
    let began = Instant::now();
    let outputs: Vec<_> = match blocks.as_slice() {
        [groups] => vec![miller(groups)],
        blocks => blocks.par_iter().map(|groups| miller(groups)).collect(),
    };
    let taken = began.elapsed();
    std::hint::black_box(outputs);
    taken
}

/// A proof whose points' ordinates are not known yet.
struct Read<'a> {
    place: usize,
    key: &'a VerifyingKey,
    /// As [`raw`] makes them.
    inputs: Vec<Fr>,
    coefficient: Coefficient,
    encoded: Encoded,
    fault: Option<VerifyError>,
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

impl<'a> Read<'a> {
    fn new(place: usize, item: &Item<'a>, coefficient: Coefficient) -> Result<Self, VerifyError> {
        let (expected, found) = (item.key.inputs(), item.inputs.len());
        if found != expected {
            return Err(VerifyError::InputCount { expected, found });
        }
        let inputs = (item.inputs.iter().enumerate())
            .map(|(index, input)| raw(input).ok_or(VerifyError::InputNotCanonical { index }))
            .collect::<Result<_, _>>()?;
        let read = Encoded::read(item.proof).ok_or(VerifyError::ProofMalformed)?;
        Ok(Read {
            place,
            key: item.key,
            inputs,
            coefficient,
            encoded: read.encoded,
            fault: read.fault,
        })
    }
}

/// Decodes, and multiplies A by the coefficients. The second list is of places of proofs with points that are not on their curves.
fn weigh<'a, F: Field>(
    block: &[Read<'a>],
    few: bool,
    stages: &Stages,
) -> (Vec<Term<'a, F>>, Vec<usize>) {
    let mut malformed = Vec::new();
    let mut sound = Vec::with_capacity(block.len());
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    stages.time(Stage::Decoding, || {
        let encoded: Vec<Encoded> = block.iter().map(|proof| proof.encoded).collect();
        let decoded = decode(&encoded, &Constants::<F>::new());
        for (proofs, decoded) in block.chunks(F::LANES).zip(decoded) {
            let points = (
                decoded.a.unpack(),
                decoded.b.unpack(),
                decoded.c.negative().unpack(),
            );
            for (lane, proof) in proofs.iter().enumerate() {
                if decoded.sound >> lane & 1 == 0 {
                    malformed.push(proof.place);
                    continue;
                }
                sound.push(proof);
                a.push(points.0[lane]);
                b.push(points.1[lane]);
                c.push(points.2[lane]);
            }
        }
    });
    let coefficients: Vec<Coefficient> = sound.iter().map(|proof| proof.coefficient).collect();
    let (a, weighted_c) = stages.time(Stage::Weighting, || {
        if few {
            let mut both = weighted(&[&a, &c], &coefficients).into_iter();
            let a = both.by_ref().take(a.len()).collect();
            (a, both.map(Some).collect())
        } else {
            (weighted(&[&a], &coefficients), vec![None; a.len()])
        }
    });
    let c = stages.time(Stage::Sums, || turn(&vectors(&c)));
    let terms = sound
        .iter()
        .zip(a)
        .zip(b)
        .zip(c.into_iter().zip(weighted_c))
        .map(|(((proof, a), b), (c, weighted_c))| Term {
            place: proof.place,
            key: proof.key,
            inputs: proof.inputs.clone(),
            fault: proof.fault.clone(),
            coefficient: proof.coefficient,
            a,
            b,
            c,
            weighted_c,
        });
    (terms.collect(), malformed)
}

/// The points of each list times their coefficients, one list after the other.
fn weighted<F: Field>(lists: &[&[Point<F>]], coefficients: &[Coefficient]) -> Vec<Point<F>> {
    if coefficients == [Coefficient::One] {
        return lists.concat();
    }
    let (points, coefficients) = (lists.concat(), coefficients.repeat(lists.len()));
    let weighted = multiply(&vectors(&points), &coefficients);
    let mut out: Vec<Point<F>> = (weighted.iter())
        .flat_map(|points| points.unpack().into_iter().take(F::LANES))
        .collect();
    out.truncate(points.len());
    out
}

struct Pair<F: Field> {
    g1: Point<F>,
    g2: TwistPoint<F>,
    /// Whether it is a factor of the product; if not, it is only asked whether the second point is in G2.
    counts: bool,
}

impl<F: Field> Clone for Pair<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Field> Copy for Pair<F> {}

impl<F: Field> Term<'_, F> {
    fn pair(&self) -> Pair<F> {
        Pair {
            g1: self.a,
            g2: self.b,
            counts: self.fault.is_none(),
        }
    }
}

/// Those of the terms that are refused.
///
/// One test says whether all hold. If it fails, every chunk is tested with the product it has already, then every lane of chunks that fail. What is in lanes
/// that fail is then searched with a value for each term. A chunk with a term outside G2 starts over without it, and has no such term then. So whatever the
/// proofs are, each is in so many tests at most.
fn judge<F: Field>(
    terms: &[Term<'_, F>],
    members: &[usize],
    stages: &Stages,
) -> Vec<(usize, VerifyError)> {
    if members.is_empty() {
        return Vec::new();
    }
    let (holds, chunks) = test_all(terms, members, stages);
    let mut refused: Vec<(usize, VerifyError)> = (members.iter())
        .filter_map(|i| Some((*i, terms[*i].fault.clone()?)))
        .collect();
    if !holds || chunks.iter().any(|chunk| !chunk.strangers.is_empty()) {
        let strangers: BTreeSet<usize> = (chunks.iter())
            .flat_map(|chunk| chunk.strangers.iter().copied())
            .collect();
        refused.retain(|(i, _)| !strangers.contains(i));
        let outside = |i: &usize| (*i, VerifyError::ProofMalformed);
        refused.extend(strangers.iter().map(outside));
        refused.extend(stages.time(Stage::Retests, || resolve(terms, &chunks)));
    }
    refused
}

/// What the first test leaves behind of a chunk.
struct Chunk<F: Field> {
    members: Vec<usize>,
    /// In each lane the product of the Miller loops of every so-manieth member; `None` if other pairs are in it. Where there are strangers, it is of no use.
    product: Option<Dodecic<F>>,
    /// Terms whose B is not in G2.
    strangers: Vec<usize>,
}

/// Whether the combination of all these terms holds, and their chunks.
fn test_all<F: Field>(
    terms: &[Term<'_, F>],
    members: &[usize],
    stages: &Stages,
) -> (bool, Vec<Chunk<F>>) {
    let fixed = fixed_pairs(terms, &[members], &BTreeMap::new(), stages)
        .pop()
        .unwrap_or_default();
    // The fixed pairs fill up the lanes of an only chunk.
    let alone = members.len() <= CHUNK;
    let outputs = spread(members, |part| {
        stages.time(Stage::MillerLoops, || {
            let pair = |i: &usize| terms[*i].pair();
            let mut groups: Vec<Vec<Pair<F>>> = (part.chunks(CHUNK))
                .map(|members| members.iter().map(pair).collect())
                .collect();
            if part.first() == members.first() {
                if alone && let Some(only) = groups.last_mut() {
                    only.extend(&fixed);
                } else {
                    groups.push(fixed.clone());
                }
            }
            let packed: Vec<Vec<Pairs<F>>> = (groups.iter())
                .map(|pairs| pairs.chunks(F::LANES).map(pack).collect())
                .collect();
            miller(&packed)
        })
    });
    let mut total = Dodecic::one();
    let mut chunks = Vec::new();
    for (members, outputs) in members.chunks(share(members.len())).zip(outputs) {
        let mut parts = members.chunks(CHUNK);
        for output in outputs {
            total = stages.time(Stage::Tail, || total.mul(&output.product));
            let Some(members) = parts.next() else {
                continue;
            };
            let outside = |n: usize| output.members[n / F::LANES] >> (n % F::LANES) & 1 == 0;
            let strangers = members.iter().enumerate().filter(|(n, _)| outside(*n));
            chunks.push(Chunk {
                members: members.to_vec(),
                product: (!alone).then_some(output.product),
                strangers: strangers.map(|(_, i)| *i).collect(),
            });
        }
    }
    let holds = stages.time(Stage::Tail, || total.fold().is_one());
    (holds, chunks)
}

/// The members of a test that failed, and its value.
struct Node<F: Field> {
    members: Vec<usize>,
    value: DodecicLane<F>,
}

/// Those of the terms that are refused though they are in G2, after a test of all that failed or met strangers.
fn resolve<F: Field>(terms: &[Term<'_, F>], chunks: &[Chunk<F>]) -> Vec<(usize, VerifyError)> {
    let honest = |i: &usize| terms[*i].fault.is_none();
    let (mut again, mut nodes, mut products) = (Vec::new(), Vec::new(), Vec::new());
    let mut whole = Vec::new();
    for chunk in chunks {
        let members = chunk.members.iter().copied();
        if !chunk.strangers.is_empty() {
            again.extend(members.filter(|i| honest(i) && !chunk.strangers.contains(i)));
        } else if let Some(product) = &chunk.product {
            nodes.push(chunk);
            products.push(product);
        } else {
            whole.extend(members.filter(honest));
        }
    }
    let mut refused = if again.is_empty() {
        Vec::new()
    } else {
        judge(terms, &again, &Stages::untimed())
    };
    // Chunks that fail …
    let folded: Vec<DodecicLane<F>> = products.iter().map(|it| it.fold().unpack()[0]).collect();
    let members = |chunk: &&Chunk<F>| chunk.members.iter().copied().filter(honest).collect();
    let tests: Vec<Vec<usize>> = nodes.iter().map(members).collect();
    let tested = test(terms, &tests, &folded, &BTreeMap::new());
    // … and their lanes that do.
    let (mut tests, mut lanes) = (Vec::new(), Vec::new());
    for ((chunk, product), tested) in nodes.iter().zip(&products).zip(&tested) {
        if tested.is_none() {
            continue;
        }
        for (lane, product) in product.unpack().into_iter().enumerate().take(F::LANES) {
            let members = chunk.members.iter().copied().skip(lane).step_by(F::LANES);
            tests.push(members.filter(honest).collect());
            lanes.push(product);
        }
    }
    let weighted_c = weigh_c(terms, tests.iter().flatten().chain(&whole));
    let tested = test(terms, &tests, &lanes, &weighted_c);
    let mut blocks: Vec<Vec<Node<F>>> = vec![Vec::new()];
    let mut count = 0;
    for node in failing(tests, tested) {
        count += node.members.len();
        if count > TOGETHER {
            blocks.push(Vec::new());
            count = node.members.len();
        }
        if let Some(block) = blocks.last_mut() {
            block.push(node);
        }
    }
    let searched: Vec<Vec<usize>> = (blocks.into_par_iter())
        .map(|nodes| {
            let members = nodes.iter().flat_map(|node| &node.members);
            Search::new(terms, &weighted_c, members).narrow(nodes)
        })
        .collect();
    let mut false_: Vec<usize> = searched.concat();
    if let [one] = whole.as_slice()
        && chunks.iter().all(|chunk| chunk.strangers.is_empty())
    {
        // The test of all was of this one.
        false_.push(*one);
    } else if !whole.is_empty() {
        let search = Search::new(terms, &weighted_c, &whole);
        let parts = halves(&whole, F::LANES.max(2));
        let values = search.test(&parts);
        false_.extend(search.narrow(failing(parts, values)));
    }
    refused.extend(false_.into_iter().map(|i| (i, VerifyError::Invalid)));
    refused
}

/// The tests that failed.
fn failing<F: Field>(tests: Vec<Vec<usize>>, values: Vec<Option<DodecicLane<F>>>) -> Vec<Node<F>> {
    let node = |(members, value): (_, Option<_>)| {
        let value = value?;
        Some(Node { members, value })
    };
    tests.into_iter().zip(values).filter_map(node).collect()
}

/// So many parts of a list, about equal, and none of them empty.
fn halves(members: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let size = members.len().div_ceil(parts).max(1);
    members.chunks(size).map(<[usize]>::to_vec).collect()
}

/// The values of tests whose products of Miller loops are known, but for the fixed pairs; `None` for 1, which says that the members hold. A test in each lane.
fn test<F: Field>(
    terms: &[Term<'_, F>],
    tests: &[Vec<usize>],
    products: &[DodecicLane<F>],
    weighted_c: &BTreeMap<usize, Point<F>>,
) -> Vec<Option<DodecicLane<F>>> {
    if tests.is_empty() {
        return Vec::new();
    }
    let members: Vec<&[usize]> = tests.iter().map(Vec::as_slice).collect();
    let fixed = fixed_pairs(terms, &members, weighted_c, &Stages::untimed());
    let packed: Vec<Vec<Pairs<F>>> = fixed.chunks(F::LANES).map(pack_lanes).collect();
    let mut out = Vec::with_capacity(tests.len());
    for (output, products) in miller(&packed).into_iter().zip(products.chunks(F::LANES)) {
        let known = Dodecic::pack(|lane| *products.get(lane).unwrap_or(&products[0]));
        let value = output.product.mul(&known).final_exponentiation();
        out.extend(failures(&value).into_iter().take(products.len()));
    }
    out
}

/// The lanes that are not 1.
fn failures<F: Field>(value: &Dodecic<F>) -> Vec<Option<DodecicLane<F>>> {
    let holds = value.is_unit();
    let lane = |(lane, value)| (holds >> lane & 1 == 0).then_some(value);
    value.unpack().into_iter().enumerate().map(lane).collect()
}

/// Terms that are searched for those that do not hold.
struct Search<'a, 'b, F: Field> {
    terms: &'a [Term<'b, F>],
    weighted_c: &'a BTreeMap<usize, Point<F>>,
    /// Their Miller loops, each by itself.
    values: BTreeMap<usize, DodecicLane<F>>,
}

impl<'a, 'b, F: Field> Search<'a, 'b, F> {
    fn new<'c>(
        terms: &'a [Term<'b, F>],
        weighted_c: &'a BTreeMap<usize, Point<F>>,
        members: impl IntoIterator<Item = &'c usize>,
    ) -> Self {
        let members: Vec<usize> = members.into_iter().copied().collect();
        let values = spread(&members, |members| {
            let pairs: Vec<Pair<F>> = members.iter().map(|i| terms[*i].pair()).collect();
            let groups: Vec<_> = (pairs.chunks(F::LANES))
                .map(|pairs| vec![pack(pairs)])
                .collect();
            let lanes = (miller(&groups).into_iter())
                .flat_map(|output| output.product.unpack().into_iter().take(F::LANES));
            members.iter().copied().zip(lanes).collect::<Vec<_>>()
        });
        Search {
            terms,
            weighted_c,
            values: values.into_iter().flatten().collect(),
        }
    }

    /// The members of tests that failed which do not hold.
    ///
    /// Each set is halved again and again, or split in more parts while there are fewer sets than lanes. A set's value is the product of those of its parts, so
    /// the last part's follows from the others'. The test of one is no matter of chance: its pairing's value to the power of a coefficient that is not zero
    /// modulo the groups' prime order.
    fn narrow(&self, mut nodes: Vec<Node<F>>) -> Vec<usize> {
        let mut found = Vec::new();
        while !nodes.is_empty() {
            let mut parts = 2;
            while nodes.len() * (2 * parts - 1) <= F::LANES {
                parts *= 2;
            }
            let (mut tests, mut open) = (Vec::new(), Vec::new());
            for node in nodes {
                if let [one] = node.members.as_slice() {
                    found.push(*one);
                    continue;
                }
                let mut parts = halves(&node.members, parts);
                let last = parts.pop().unwrap_or_default();
                open.push((parts.len(), last, node.value));
                tests.extend(parts);
            }
            let mut values = self.test(&tests).into_iter();
            let mut tests = tests.into_iter();
            nodes = Vec::new();
            for (count, last, mut rest) in open {
                for (members, value) in tests.by_ref().zip(values.by_ref()).take(count) {
                    if let Some(value) = value {
                        rest = quotient(&rest, &value);
                        nodes.push(Node { members, value });
                    }
                }
                if let Some(value) = failures(&Dodecic::pack(|_| rest))[0] {
                    nodes.push(Node {
                        members: last,
                        value,
                    });
                }
            }
        }
        found
    }

    fn test(&self, tests: &[Vec<usize>]) -> Vec<Option<DodecicLane<F>>> {
        let product = |tests: &[Vec<usize>]| {
            let most = tests.iter().map(Vec::len).max().unwrap_or(0);
            let one = Dodecic::one().unpack()[0];
            let mut product = Dodecic::one();
            for i in 0..most {
                let factor = |lane: usize| self.values.get(tests.get(lane)?.get(i)?).copied();
                product = product.mul(&Dodecic::pack(|lane| factor(lane).unwrap_or(one)));
            }
            product.unpack().into_iter().take(tests.len())
        };
        let products: Vec<_> = tests.chunks(F::LANES).flat_map(product).collect();
        test(self.terms, tests, &products, self.weighted_c)
    }
}

/// The quotient of two values of tests, whose inverses are their conjugates.
fn quotient<F: Field>(a: &DodecicLane<F>, b: &DodecicLane<F>) -> DodecicLane<F> {
    let [a, b] = [a, b].map(|value| Dodecic::pack(|_| *value));
    a.mul(&b.conjugate()).unpack()[0]
}

fn pack<F: Field>(pairs: &[Pair<F>]) -> Pairs<F> {
    let pair = |lane: usize| pairs.get(lane).unwrap_or(&pairs[0]);
    Pairs {
        g1: Points::pack(|lane| pair(lane).g1),
        g2: TwistPoints::pack(|lane| pair(lane).g2),
        live: (pairs.iter().enumerate()).fold(0, |mask, (lane, pair)| {
            mask | Mask::from(pair.counts) << lane
        }),
    }
}

/// The pairs of each lane, of which lanes may have different numbers.
fn pack_lanes<F: Field>(lanes: &[Vec<Pair<F>>]) -> Vec<Pairs<F>> {
    let most = lanes.iter().map(Vec::len).max().unwrap_or(0);
    let vector = |i: usize| {
        let any = *lanes.iter().find_map(|pairs| pairs.get(i))?;
        let pair = |lane: usize| lanes.get(lane).and_then(|pairs| pairs.get(i)).copied();
        let live = |lane: usize| Mask::from(pair(lane).is_some_and(|pair| pair.counts)) << lane;
        Some(Pairs {
            g1: Points::pack(|lane| pair(lane).unwrap_or(any).g1),
            g2: TwistPoints::pack(|lane| pair(lane).unwrap_or(any).g2),
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

/// For each of the tests three pairs for every key in it: all that is not A and B.
fn fixed_pairs<F: Field>(
    terms: &[Term<'_, F>],
    tests: &[&[usize]],
    weighted_c: &BTreeMap<usize, Point<F>>,
    stages: &Stages,
) -> Vec<Vec<Pair<F>>> {
    let (folds, tabled) = stages.time(Stage::Inputs, || {
        let folds: Vec<Vec<Fold<'_>>> = tests.iter().map(|test| Fold::of(terms, test)).collect();
        let tabled: Vec<_> = folds
            .iter()
            .flatten()
            .flat_map(Fold::fixed_base::<F>)
            .collect();
        (folds, tabled)
    });
    let mut tabled = tabled.into_iter();
    let mut c = stages.time(Stage::Sums, || {
        let folds: Vec<&Fold<'_>> = folds.iter().flatten().collect();
        sums_of_c(terms, &folds, weighted_c).into_iter()
    });
    let mut pairs = |fold: &Fold<'_>| -> Vec<Pair<F>> {
        let key = fold.key.inner();
        let g1 = [tabled.next(), tabled.next(), c.next()].map(Option::flatten);
        let pair = |(g1, g2): (Option<Point<F>>, G2Affine)| {
            Some(Pair {
                g1: g1?,
                g2: TwistPoints::gather(|_| g2).unpack()[0],
                counts: true,
            })
        };
        (g1.into_iter()
            .zip([key.beta_g2, key.gamma_g2, key.delta_g2]))
        .filter_map(pair)
        .collect()
    };
    folds
        .iter()
        .map(|test| test.iter().flat_map(&mut pairs).collect())
        .collect()
}

/// Every −C times its coefficient, where that is not known.
fn weigh_c<'a, F: Field>(
    terms: &[Term<'_, F>],
    members: impl IntoIterator<Item = &'a usize>,
) -> BTreeMap<usize, Point<F>> {
    let unknown = |i: &usize| terms[*i].weighted_c.is_none();
    let members: Vec<usize> = members.into_iter().copied().filter(unknown).collect();
    let weighted = spread(&members, |members| {
        let c: Vec<Point<F>> = members.iter().map(|i| terms[*i].c.form(0)).collect();
        let coefficients: Vec<_> = members.iter().map(|i| terms[*i].coefficient).collect();
        weighted(&[&c], &coefficients)
    });
    members
        .into_iter()
        .zip(weighted.into_iter().flatten())
        .collect()
}

/// For each of the folds the combination of all −C: summed, where every one is known multiplied by its coefficient, and else by buckets.
fn sums_of_c<F: Field>(
    terms: &[Term<'_, F>],
    folds: &[&Fold<'_>],
    weighted_c: &BTreeMap<usize, Point<F>>,
) -> Vec<Option<Point<F>>> {
    let known = |i: &usize| terms[*i].weighted_c.or_else(|| weighted_c.get(i).copied());
    let groups: Vec<Option<Vec<Point<F>>>> = (folds.iter())
        .map(|fold| fold.members.iter().map(known).collect())
        .collect();
    let whole: Vec<Vec<Point<F>>> = groups.iter().flatten().cloned().collect();
    let mut whole = sums(&whole, |point| (point, false)).into_iter();
    let sum = |(group, fold): (&Option<_>, &&Fold<'_>)| match group {
        Some(_) => whole.next().flatten(),
        None => bucketed(terms, &fold.members),
    };
    groups.iter().zip(folds).map(sum).collect()
}

fn bucketed<F: Field>(terms: &[Term<'_, F>], members: &[usize]) -> Option<Point<F>> {
    let mut buckets = vec![Vec::new(); BUCKETS];
    for i in members {
        sort(*i as u32, terms[*i].coefficient, &mut buckets);
    }
    let form = |(i, rotation, negative): Entry| {
        let point = terms[i as usize].c.form(rotation.into());
        (point, negative)
    };
    // As many buckets at a time as the caches hold.
    let some = BUCKETS.div_ceil(members.len().div_ceil(CHUNK)).max(1);
    let summed: Vec<_> = if members.len() <= share(members.len()) {
        (buckets.chunks(some))
            .flat_map(|buckets| sums(buckets, form))
            .collect()
    } else {
        (buckets.par_chunks(some))
            .flat_map_iter(|buckets| sums(buckets, form))
            .collect()
    };
    let sum = assemble(&summed).into_affine();
    (!sum.is_zero()).then(|| Point::new(sum))
}

impl<'a> Fold<'a> {
    /// The terms of a test, by key.
    fn of<F: Field>(terms: &[Term<'a, F>], test: &[usize]) -> Vec<Self> {
        let parts = spread(test, |part| Fold::of_part(terms, part));
        let mut folds: BTreeMap<&[u8; 32], Fold<'a>> = BTreeMap::new();
        for part in parts.into_iter().flatten() {
            let Some(fold) = folds.get_mut(part.key.fingerprint()) else {
                folds.insert(part.key.fingerprint(), part);
                continue;
            };
            for (sum, scalar) in fold.scalars.iter_mut().zip(part.scalars) {
                *sum += scalar;
            }
            fold.members.extend(part.members);
        }
        folds.into_values().collect()
    }

    fn of_part<F: Field>(terms: &[Term<'a, F>], test: &[usize]) -> Vec<Self> {
        let mut folds: BTreeMap<&[u8; 32], Fold<'a>> = BTreeMap::new();
        for i in test.iter().filter(|i| terms[**i].fault.is_none()) {
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

    /// The multiple of alpha, and the combination of the inputs' points.
    fn fixed_base<F: Field>(&self) -> [Option<Point<F>>; 2] {
        let multiples = self.key.tables().multiples::<F>(|| {
            let key = self.key.inner();
            let inputs = key.gamma_abc_g1.iter().copied();
            [key.alpha_g1].into_iter().chain(inputs).collect()
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
                terms(0, scalar, &mut alpha);
            }
            terms(i + 1, scalar, &mut inputs);
        }
        let sums = sums(&[alpha, inputs], |(place, negative)| {
            (multiples[place], negative)
        });
        [sums[0], sums[1]]
    }
}
