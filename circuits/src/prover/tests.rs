use super::*;
use crate::{
    Registry, asset_of,
    circuit::{Witness, assignment},
    credential::Credential,
    holder_of,
    issuer::{IssuerIndex, IssuerMask},
    keys::{ProvingKey, rng, setup},
    resources::Resources,
    schema::{Claim, FieldValue},
    statement::Statement,
};
use ark_ff::UniformRand;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tender_wire::{FieldBytes, PublicKey, UnixTime};

fn key() -> &'static ProvingKey {
    static KEY: OnceLock<ProvingKey> = OnceLock::new();
    KEY.get_or_init(|| setup(Arc::new(Resources), [1; 32]).unwrap().0)
}

/// Values of a true statement, another for every number.
fn values(key: &ProvingKey, number: u64) -> (Assignment, Factors) {
    let masks = [FieldValue::Mask(1); 3];
    let claim: Vec<_> = [FieldValue::Amount(number as u32); 6]
        .into_iter()
        .chain(masks)
        .collect();
    let credential = Credential {
        type_name: "resources".into(),
        version: 1,
        issuer: IssuerIndex::new(3).unwrap(),
        holder: PublicKey([7; 32]),
        asset: asset_of("m"),
        attributes: Claim(claim.clone()),
        expiry: UnixTime(10),
        salt: FieldBytes::from_u64(number),
    };
    let mut registry = Registry::default();
    let index = registry.append(&credential.leaf()).unwrap();
    let statement = Statement {
        registry_root: registry.root(),
        holder: holder_of(&credential.holder),
        ctx: FieldBytes::from_u64(number),
        asset: credential.asset,
        valid_until: UnixTime(10),
        issuers: IssuerMask(0b1000),
        claim: Claim(claim),
    };
    let witness = Witness::new(&credential, &registry.path(index).unwrap());
    assignment(&Resources, &statement.public_inputs(), &witness, &key.shape)
}

fn engines() -> impl Iterator<Item = Engine> {
    [Engine::Portable, Engine::Ifma]
        .into_iter()
        .filter(|engine| engine.is_available())
}

fn proof(
    key: &ProvingKey,
    prepared: &Prepared,
    engine: (Engine, bool),
    values: &(Assignment, Factors),
    random: [Fr; 2],
) -> Proof<Bn254> {
    create(
        &key.inner,
        prepared,
        engine,
        &key.shape,
        (&values.0, &values.1),
        random,
    )
    .unwrap()
}

#[test]
fn proofs_are_those_of_arkworks_with_and_without_tables() {
    let key = key();
    let mut rng = rng(b"prover", &[]);
    let prepared = Prepared::default();
    for (number, random) in [
        (1, [Fr::rand(&mut rng), Fr::rand(&mut rng)]),
        (u64::from(u32::MAX), [Fr::ZERO; 2]),
    ] {
        let values = values(key, number);
        assert_eq!(values.1.violated, None);
        let expected = proof(key, &prepared, (Engine::Arkworks, true), &values, random);
        for engine in engines() {
            assert!(prepared.prepare(&key.inner, engine) > 0);
            for tables in [false, true] {
                let made = proof(key, &prepared, (engine, tables), &values, random);
                assert!(expected == made, "{}, tables {tables}", engine.name());
            }
        }
    }
}

/// Large keys have no tables; without them, points are summed in pieces.
#[test]
fn what_would_take_too_much_memory_is_summed_in_pieces() {
    let key = key();
    for engine in engines() {
        assert!(Tables::new(&key.inner, engine, 1 << 20).is_none());
    }
    assert_eq!(key.prepare(Engine::Arkworks), 0);
    let few = &key.inner.l_query[..100];
    let count = CHUNK + 3;
    let scalars: Vec<_> = (0..count as u64).map(|i| -Fr::from(i % 5)).collect();
    let mut totals = vec![Fr::ZERO; few.len()];
    for (i, scalar) in scalars.iter().enumerate() {
        totals[i % few.len()] += scalar;
    }
    let expected: Projective<g1::Config> = few.iter().zip(totals).map(|(p, s)| *p * s).sum();
    let points = few.iter().copied().cycle().take(count);
    let wide = Engine::Ifma.is_available();
    let multiples = |points: &[_]| lanes::g1_multiples(points, wide, false);
    assert_eq!(sum(points, &scalars, multiples), expected);
}

/// What a proof costs: run it in release.
///
/// ```text
/// RAYON_NUM_THREADS=1 cargo test --release -p tender-circuits --lib provers_side_by_side -- --ignored --nocapture
/// ```
#[test]
#[ignore = "measures"]
fn provers_side_by_side() {
    let key = key();
    println!(
        "{} constraints, {} variables",
        key.shape.constraints(),
        key.shape.variables
    );
    let identities = |points: &[Affine<g1::Config>]| {
        points
            .iter()
            .filter(|p| ark_ec::AffineRepr::is_zero(*p))
            .count()
    };
    println!(
        "identities: a {}, b {}, l {}",
        identities(&key.inner.a_query),
        identities(&key.inner.b_g1_query),
        identities(&key.inner.l_query)
    );
    let random = [
        Fr::from(123_456_789u64).inverse().unwrap(),
        Fr::from(987_654_321u64).inverse().unwrap(),
    ];
    let tabled = Prepared::default();
    for engine in engines() {
        let began = Instant::now();
        let bytes = tabled.prepare(&key.inner, engine);
        println!(
            "{}: tables of {bytes} bytes in {:?}",
            engine.name(),
            began.elapsed()
        );
    }
    let mut best = std::collections::BTreeMap::new();
    for number in 0..8 {
        let mut time = |what: String, run: &mut dyn FnMut()| {
            let began = Instant::now();
            run();
            let took = began.elapsed().as_secs_f64() * 1e3;
            let best = best.entry(what).or_insert(took);
            *best = took.min(*best);
        };
        let mut made = None;
        time("values".into(), &mut || made = Some(values(key, number)));
        let values = made.unwrap();
        let domain = Domain::new(key.shape.constraints() + 16).unwrap();
        time("quotient".into(), &mut || {
            drop(domain.quotient(&values.1.a, &values.1.b))
        });
        for engine in [Engine::Arkworks].into_iter().chain(engines()) {
            time(engine.name().into(), &mut || {
                proof(key, &key.prepared, (engine, false), &values, random);
            });
            time(format!("{} tables", engine.name()), &mut || {
                proof(key, &tabled, (engine, true), &values, random);
            });
        }
        for engine in engines() {
            let tables = tabled.tables(engine).get().unwrap().as_ref().unwrap();
            let mut scalars = values.0.0.clone();
            time(format!("{} a", engine.name()), &mut || {
                let _ = tables.a.multiply(&scalars);
            });
            time(format!("{} b1", engine.name()), &mut || {
                let _ = tables.b_g1.multiply(&scalars);
            });
            time(format!("{} b2", engine.name()), &mut || {
                let _ = tables.b_g2.multiply(&scalars);
            });
            scalars.extend_from_slice(&values.1.a);
            time(format!("{} c", engine.name()), &mut || {
                let _ = tables.c.multiply(&scalars);
            });
        }
    }
    for (what, ms) in best {
        println!("{what:>20} {ms:8.2} ms");
    }
}
