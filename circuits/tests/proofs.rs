//! Proofs of `resources/v1`, true and false. THREATS T1, T2, T3, T4, T6, T8, T14, T32.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{AUCTION, CIPHERTEXT, LEASE_END, World, agent, claim, credential, ctx, keys};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};
use tender_circuits::{
    FieldValue, IssuerMask, ProofBytes, Statement, attacks, holder_of,
    prove::{ProveError, prove},
    verify::{VerifyError, VerifyingKey, verify, verify_inputs},
};
use tender_wire::{AuctionId, Digest, FieldBytes, TypeId, UnixTime};

const CLAIM: &str = r#"{"cpu_milli": 16000, "memory_mib": 131072, "gpu_milli": 2000,
    "gpu_model": ["A100", "H100"], "region": ["eu-west", "uk"], "skills": ["cuda"]}"#;

/// An honest proof, made once.
fn honest() -> &'static (Statement, ProofBytes) {
    static HONEST: OnceLock<(Statement, ProofBytes)> = OnceLock::new();
    HONEST.get_or_init(|| {
        let world = World::of(credential());
        let statement = world.statement(&keys().0.type_id(), claim(CLAIM));
        let proof = prove(
            &keys().0,
            &world.credential,
            &world.path,
            &statement,
            [1; 32],
        )
        .unwrap();
        (statement, proof)
    })
}

fn key() -> &'static VerifyingKey {
    keys().0.verifying_key()
}

/// The statement, changed.
fn changed(change: impl FnOnce(&mut Statement)) -> Statement {
    let mut statement = honest().0.clone();
    change(&mut statement);
    statement
}

#[test]
fn an_honest_proof_verifies_with_the_record_alone() {
    let (statement, proof) = honest();
    let record = &keys().1;
    assert_eq!(record.check(true), Ok(()));
    let key = record.verifying_key().unwrap();
    assert_eq!(key.inputs(), statement.public_inputs().len());
    assert_eq!(verify(&key, statement, proof), Ok(()));
}

#[test]
fn the_same_seed_gives_the_same_proof_and_another_another() {
    let (statement, proof) = honest();
    let world = World::of(credential());
    let again = |seed| prove(&keys().0, &world.credential, &world.path, statement, seed).unwrap();
    assert_eq!(again([1; 32]), *proof);
    assert_ne!(again([2; 32]), *proof);
}

/// T1, T2, T30: whatever a bid is about is in `ctx` or `holder`.
#[test]
fn a_proof_moved_to_another_bid_is_refused() {
    let proof = &honest().1;
    let id = keys().0.type_id();
    let (me, thief) = (agent(1), agent(2));
    let moves: [(&str, Statement); 5] = [
        (
            "another auction",
            changed(|s| s.ctx = ctx(&id, &AuctionId([9; 32]), &me, 0, &CIPHERTEXT)),
        ),
        (
            "a later sequence",
            changed(|s| s.ctx = ctx(&id, &AUCTION, &me, 1, &CIPHERTEXT)),
        ),
        (
            "another ciphertext",
            changed(|s| s.ctx = ctx(&id, &AUCTION, &me, 0, &Digest([9; 32]))),
        ),
        (
            "another type",
            changed(|s| s.ctx = ctx(&TypeId([9; 32]), &AUCTION, &me, 0, &CIPHERTEXT)),
        ),
        (
            "another bidder",
            changed(|s| {
                s.holder = holder_of(&thief);
                s.ctx = ctx(&id, &AUCTION, &thief, 0, &CIPHERTEXT);
            }),
        ),
    ];
    for (what, statement) in moves {
        assert_eq!(
            verify(key(), &statement, proof),
            Err(VerifyError::Invalid),
            "{what}"
        );
    }
}

#[test]
fn every_public_input_is_bound() {
    let (statement, proof) = honest();
    let inputs = statement.public_inputs();
    assert_eq!(verify_inputs(key(), &inputs, proof), Ok(()));
    for i in 0..inputs.len() {
        let mut tampered = inputs.clone();
        tampered[i].0[31] ^= 1;
        assert_eq!(
            verify_inputs(key(), &tampered, proof),
            Err(VerifyError::Invalid),
            "input {i}"
        );
    }
}

/// T4: ark-groth16 itself says `true` to the first of these.
#[test]
fn extra_and_missing_inputs_are_refused() {
    let (statement, proof) = honest();
    let inputs = statement.public_inputs();
    let mut extra = inputs.clone();
    extra.push(FieldBytes::from_u64(77));
    for wrong in [&extra[..], &inputs[..inputs.len() - 1], &[]] {
        assert_eq!(
            verify_inputs(key(), wrong, proof),
            Err(VerifyError::InputCount {
                expected: inputs.len(),
                found: wrong.len()
            })
        );
    }
}

/// T6: an input plus the modulus means the same to a careless verifier.
#[test]
fn an_input_above_the_modulus_is_refused() {
    let (statement, proof) = honest();
    let mut inputs = statement.public_inputs();
    let modulus = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
    let modulus: FieldBytes = modulus.parse().unwrap();
    let mut carry = 0u16;
    for (x, m) in inputs[5].0.iter_mut().zip(modulus.0).rev() {
        carry += u16::from(*x) + u16::from(m);
        *x = carry as u8;
        carry >>= 8;
    }
    assert_eq!(
        verify_inputs(key(), &inputs, proof),
        Err(VerifyError::InputNotCanonical { index: 5 })
    );
}

/// T6: every single-bit change of the bytes, and the encodings of the identity.
#[test]
fn damaged_proof_bytes_are_refused() {
    let (statement, proof) = honest();
    for bit in (0..1024).step_by(7) {
        let mut bytes = proof.0;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verify(key(), statement, &ProofBytes(bytes)).is_err(),
            "bit {bit}"
        );
    }
    let refused = |at: usize, len: usize, flags: u8, junk: u8| {
        let mut bytes = proof.0;
        bytes[at..at + len].fill(junk);
        bytes[at + len - 1] = flags;
        verify(key(), statement, &ProofBytes(bytes)).unwrap_err()
    };
    for (at, len) in [(0, 32), (32, 64), (96, 32)] {
        assert_eq!(refused(at, len, 0x40, 0), VerifyError::ProofIdentity);
        let junk = refused(at, len, 0x40, 1);
        assert!(
            matches!(
                junk,
                VerifyError::ProofNotCanonical | VerifyError::ProofMalformed
            ),
            "{junk}"
        );
    }
}

#[test]
fn proof_bytes_have_exactly_128() {
    let json = serde_json::to_string(&honest().1).unwrap();
    assert_eq!(json.len(), 2 + 256);
    let hex = json.trim_matches('"');
    for wrong in [format!("\"00{hex}\""), format!("\"{}\"", &hex[2..])] {
        assert!(serde_json::from_str::<ProofBytes>(&wrong).is_err());
    }
}

/// T3: it verifies, which is why a bid's identity leaves the proof out.
#[test]
fn a_rerandomised_proof_is_another_valid_proof() {
    let (statement, proof) = honest();
    let other = attacks::rerandomise(&keys().1, proof, [5; 32]).unwrap();
    assert_ne!(other, *proof);
    assert_eq!(verify(key(), statement, &other), Ok(()));
}

/// T8, T14 and the rest: each false statement is refused by the prover in words, and its forgery by the verifier.
#[test]
fn false_statements_are_refused_in_words_and_their_forgeries_by_every_peer() {
    let world = World::of(credential());
    let revoked = {
        let mut registry = world.registry.clone();
        registry.zero(world.path.index).unwrap();
        registry.root()
    };
    let set = |i: usize, v| move |s: &mut Statement| s.claim.0[i] = v;
    let amount = FieldValue::Amount;
    let cases: Vec<(Statement, &str)> = vec![
        (
            changed(set(0, amount(64000))),
            "cpu_milli: claims 64000, attested 32000 (constraint `cpu_milli/",
        ),
        (
            changed(set(1, amount(131_073))),
            "memory_mib: claims 131073, attested 131072",
        ),
        (
            changed(set(5, amount(u32::MAX))),
            "gpu_memory_mib: claims 4294967295, attested 81920",
        ),
        (
            changed(|s| s.claim = claim(r#"{"gpu_model": "H100"}"#)),
            "gpu_model: claims to be within H100, attested A100",
        ),
        (
            changed(|s| s.claim = claim(r#"{"region": ["uk", "japan"]}"#)),
            "region: claims to be within uk, japan, attested eu-west",
        ),
        (
            changed(|s| s.claim = claim(r#"{"skills": ["cuda", "rocm"]}"#)),
            "skills: claims rocm, which is not attested",
        ),
        (
            changed(|s| s.valid_until = UnixTime(LEASE_END.0 + 86_401)),
            "expires at 1900086400, before the lease ends at 1900086401",
        ),
        (
            changed(|s| s.issuers = IssuerMask(!(1 << 3))),
            "issuer 3 attested this credential",
        ),
        (changed(|s| s.registry_root = revoked), "revoked"),
        (changed(|s| s.holder = holder_of(&agent(2))), "another key"),
        (
            changed(|s| s.asset = tender_circuits::asset_of("serial 0002")),
            "another asset",
        ),
    ];
    for (statement, words) in cases {
        let refused = prove(
            &keys().0,
            &world.credential,
            &world.path,
            &statement,
            [1; 32],
        );
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(words), "{said:?} should say {words:?}");
        let forged = attacks::forge(
            &keys().0,
            &world.credential,
            &world.path,
            &statement,
            [1; 32],
        );
        assert_eq!(
            verify(key(), &statement, &forged.unwrap()),
            Err(VerifyError::Invalid),
            "{words}"
        );
    }
}

/// An issuer that attests a machine to be of no model and in no region: the empty set is within every claim, so such a credential would prove any.
#[test]
fn what_is_attested_to_be_nowhere_is_within_no_claim() {
    for (field, name) in [(6, "gpu_model"), (7, "region")] {
        let mut nowhere = credential();
        nowhere.attributes.0[field] = FieldValue::Mask(0);
        let world = World::of(nowhere.salted(&[9; 32]));
        let statement = world.statement(&keys().0.type_id(), claim(CLAIM));
        let (key_of_type, credential, path) = (&keys().0, &world.credential, &world.path);
        let refused = prove(key_of_type, credential, path, &statement, [1; 32]).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
        let everywhere = changed(|s| {
            *s = statement.clone();
            s.claim.0[field] = FieldValue::Mask(u64::MAX);
        });
        let empty = changed(|s| {
            *s = statement.clone();
            s.claim.0[field] = FieldValue::Mask(0);
        });
        for statement in [statement, everywhere, empty] {
            let forged = attacks::forge(key_of_type, credential, path, &statement, [1; 32]);
            let verdict = verify(key(), &statement, &forged.unwrap());
            assert_eq!(verdict, Err(VerifyError::Invalid), "{name}");
        }
    }
}

#[test]
fn a_credential_of_another_type_is_refused() {
    let mut other = credential();
    other.version = 2;
    let world = World::of(other);
    let refused = prove(
        &keys().0,
        &world.credential,
        &world.path,
        &honest().0,
        [1; 32],
    );
    assert!(matches!(refused, Err(ProveError::Credential(_))));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("is for resources/v2, not for resources/v1")
    );
}

#[test]
fn a_path_of_the_wrong_length_neither_proves_nor_panics() {
    let world = World::of(credential());
    let mut short = world.path.clone();
    let last = short.siblings.pop().unwrap();
    let mut long = world.path.clone();
    long.siblings.push(last);
    for path in [short, long] {
        let args = (&keys().0, &world.credential, &path, &honest().0);
        assert_eq!(
            prove(args.0, args.1, args.2, args.3, [1; 32]),
            Err(ProveError::NotRegistered)
        );
        assert_eq!(
            attacks::forge(args.0, args.1, args.2, args.3, [1; 32]),
            Err(ProveError::Misfit)
        );
    }
}

/// arkworks' gadget library opens a span around every operation and formats its operands. A peer that logs at `info` must not get to see a
/// witness, so proving opens none.
#[test]
fn proving_opens_no_tracing_span() {
    struct Counter(Arc<AtomicUsize>);
    impl tracing::Subscriber for Counter {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            self.0.fetch_add(1, Ordering::Relaxed);
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let honest = &honest().0; // made (with the keys) before counting starts
    let seen = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(Counter(seen.clone()), || {
        tracing::info!("the counter counts");
        let world = World::of(credential());
        prove(&keys().0, &world.credential, &world.path, honest, [4; 32]).unwrap();
    });
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}
