//! What is written is read back as it was; every deviation is refused by name.

use super::*;
use crate::{resources::Resources, setup};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

fn key() -> &'static (VerifyingKey, Vec<u8>) {
    static KEY: OnceLock<(VerifyingKey, Vec<u8>)> = OnceLock::new();
    KEY.get_or_init(|| {
        let (key, record) = setup(Arc::new(Resources), [5; 32]).unwrap();
        (key.verifying_key().clone(), record.vk)
    })
}

/// Three points that are a proof in form.
fn proof() -> ProofBytes {
    let inner = key().0.inner();
    proof_bytes(&ark_groth16::Proof {
        a: inner.alpha_g1,
        b: inner.delta_g2,
        c: inner.alpha_g1,
    })
}

fn text<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

fn read_key(json: &Value) -> Result<VerifyingKey, String> {
    let key: KeyJson = serde_json::from_value(json.clone()).map_err(|e| e.to_string())?;
    key.verifying_key().map_err(|e| e.to_string())
}

fn read_proof(json: &Value) -> Result<ProofBytes, String> {
    let proof: ProofJson = serde_json::from_value(json.clone()).map_err(|e| e.to_string())?;
    proof.to_bytes().map_err(|e| e.to_string())
}

#[test]
fn a_key_a_proof_and_inputs_come_back_as_they_were() {
    let json = KeyJson::of(&key().0);
    assert_eq!(json.to_bytes().unwrap(), key().1);
    assert_eq!(json.inputs(), 15);
    assert_eq!(read_key(&text(&json)).unwrap().inputs(), 15);
    assert_eq!(
        read_proof(&text(&ProofJson::of(&proof()).unwrap())),
        Ok(proof())
    );
    let largest = from_minus_one();
    let inputs = vec![
        FieldBytes::from_u64(0),
        FieldBytes::from_u64(u64::MAX),
        largest,
    ];
    let json = PublicJson::of(&inputs).unwrap();
    assert_eq!(
        text(&json),
        json!([
            "0",
            "18446744073709551615",
            "21888242871839275222246405745257275088548364400416034343698204186575808495616"
        ])
    );
    assert_eq!(json.inputs().unwrap(), inputs);
}

/// The scalar modulus less one.
fn from_minus_one() -> FieldBytes {
    crate::field::from_fr(&-ark_bn254::Fr::from(1u64))
}

#[test]
fn a_number_has_one_form_and_is_below_its_modulus() {
    let modulus = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
    let two_to_256 =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for (number, says) in [
        (json!(modulus), "not below the field's modulus"),
        (json!(two_to_256), "not below the field's modulus"),
        (
            json!("9".repeat(MAX_DIGITS)),
            "not below the field's modulus",
        ),
        (json!("9".repeat(MAX_DIGITS + 1)), "decimal digits"),
        (json!("01"), "decimal digits"),
        (json!(""), "decimal digits"),
        (json!("-1"), "decimal digits"),
        (json!("0x10"), "decimal digits"),
        (json!(" 1"), "decimal digits"),
        (json!(1), "expected a string"),
    ] {
        let read = serde_json::from_value::<PublicJson>(json!([number]));
        let read = read.map_err(|e| e.to_string());
        let read = read.and_then(|p| p.inputs().map_err(|e| e.to_string()));
        let refused = read.unwrap_err();
        assert!(refused.contains(says), "{number}: {refused}");
    }
    // coordinates lie in the other field, whose modulus is larger
    assert!(PublicJson::of(&[FieldBytes([0xff; 32])]).is_err());
}

#[test]
fn every_deviation_of_a_proof_is_refused_by_name() {
    let good = text(&ProofJson::of(&proof()).unwrap());
    let q = "21888242871839275222246405745257275088696311157297823662689037894645226208583";
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/protocol", json!("plonk"), "unknown variant `plonk`"),
        ("/curve", json!("bls12381"), "unknown variant `bls12381`"),
        ("/pi_a/0", json!("1"), "pi_a is not an affine point"),
        ("/pi_a/0", json!(q), "pi_a: the number is not below"),
        ("/pi_a/2", json!("2"), "pi_a is not an affine point"),
        ("/pi_c/2", json!("0"), "pi_c is the identity"),
        ("/pi_a", json!(["1", "2"]), "invalid length 2"),
        ("/pi_b/0", json!(["1", "2"]), "pi_b is not an affine point"),
        ("/pi_b/2", json!(["1", "1"]), "pi_b is not an affine point"),
        ("/pi_b/2", json!(["0", "0"]), "pi_b is the identity"),
    ];
    for (at, value, says) in cases {
        let mut json = good.clone();
        *json.pointer_mut(at).unwrap() = value;
        let refused = read_proof(&json).unwrap_err();
        assert!(refused.contains(says), "{at}: {refused}");
    }
    let mut more = good.clone();
    more["note"] = json!("1");
    assert!(read_proof(&more).unwrap_err().contains("unknown field"));
    // (1, 2) is on the curve, so it is another proof, not a malformed one
    let mut other = good;
    *other.pointer_mut("/pi_a").unwrap() = json!(["1", "2", "1"]);
    assert_ne!(read_proof(&other).unwrap(), proof());
}

/// A G2 point on the twist, outside the subgroup: an attacker's favourite.
#[test]
fn a_point_outside_the_subgroup_is_refused() {
    use ark_bn254::{Fq, Fq2, G2Affine};
    let stray = (1u64..).find_map(|x| {
        let x = Fq2::new(Fq::from(x), Fq::from(1u64));
        G2Affine::get_point_from_x_unchecked(x, false)
            .filter(|p| !p.is_in_correct_subgroup_assuming_on_curve())
    });
    let mut json = text(&ProofJson::of(&proof()).unwrap());
    json["pi_b"] = text(&g2(&stray.unwrap()));
    let refused = read_proof(&json).unwrap_err();
    assert!(refused.contains("pi_b is not an affine point"), "{refused}");
}

#[test]
fn every_deviation_of_a_key_is_refused_by_name() {
    let good = text(&KeyJson::of(&key().0));
    let delta = good["vk_delta_2"].clone();
    let points = good["IC"].as_array().unwrap().clone();
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/nPublic", json!(14), "nPublic is 14 with 16 points"),
        ("/nPublic", json!(0), "nPublic is 0"),
        ("/nPublic", json!(4_294_967_296u64), "invalid value"),
        ("/IC", json!(points[..15]), "nPublic is 15 with 15 points"),
        (
            "/vk_gamma_2",
            delta,
            "gamma and delta are equal or opposite",
        ),
        (
            "/vk_alphabeta_12/1/2/0",
            json!("7"),
            "vk_alphabeta_12 is not the pairing",
        ),
        (
            "/vk_alpha_1",
            points[0].clone(),
            "vk_alphabeta_12 is not the pairing",
        ),
        (
            "/IC/3/0",
            json!("1"),
            "a point of IC is not an affine point",
        ),
    ];
    for (at, value, says) in cases {
        let mut json = good.clone();
        *json.pointer_mut(at).unwrap() = value;
        let refused = read_key(&json).unwrap_err();
        assert!(refused.contains(says), "{at}: {refused}");
    }
}
