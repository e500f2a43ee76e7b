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
use std::sync::{Arc, OnceLock};
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
