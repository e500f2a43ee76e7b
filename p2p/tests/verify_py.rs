//! `examples/verify.py` against the certificates of the fixtures and of `FORMATS.md`: a verifier in another language, written from the document.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{
    python::{python, verify_py},
    ran, run,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A block of `FORMATS.md` that is a file.
fn block(name: &str) -> String {
    let document = fs::read_to_string(fixtures().join("FORMATS.md")).unwrap();
    let rest = document.split(&format!("```json {name}\n")).nth(1).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn certificates_hold_in_another_language_and_no_changed_byte_does() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let real = fixtures().join("certificates/genesis.json");
    let example = write("genesis.json", block("genesis").as_bytes());
    let read = |name: &str| fs::read(fixtures().join("certificates").join(name)).unwrap();
    let set_change = block("certificate_set_change").into_bytes();
    for (name, bytes, genesis, says) in [
        ("winner", read("winner.json"), &real, "\"won\""),
        ("loser", read("loser.json"), &real, "\"outbid\""),
        (
            "unit",
            block("certificate").into_bytes(),
            &example,
            "\"filled\"",
        ),
        ("set change", set_change, &example, "\"won\""),
    ] {
        let path = write("certificate.json", &bytes);
        let said = verify_py(python, &path, genesis).ok();
        assert!(
            said.starts_with("holds: ") && said.contains(says),
            "{name}: {said}"
        );
        run(&format!(
            "verify {} --genesis {}",
            path.display(),
            genesis.display()
        ))
        .ok();
        let other = if genesis == &real { &example } else { &real };
        verify_py(python, &path, other).fails(3, &["does not hold", "the genesis file is chain"]);
        // A prime step, so that hex, numbers, names, quotes and white space all get their turn.
        for at in (0..bytes.len()).step_by(601) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let bad = write("bad.json", &bad);
            verify_py(python, &bad, genesis).fails(3, &["does not hold"]);
        }
        for bad in [
            &bytes[..bytes.len() - 1],
            &[bytes.as_slice(), b" "].concat(),
            b"",
            b"[[[[",
        ] {
            let bad = write("bad.json", bad);
            verify_py(python, &bad, genesis).fails(3, &["does not hold"]);
        }
    }
    let nowhere = dir.path().join("nowhere.json");
    verify_py(python, &nowhere, &real).fails(1, &["nowhere.json"]);
    verify_py(python, &real, &nowhere).fails(1, &["nowhere.json"]);
    let no_genesis = fixtures().join("vectors.json");
    verify_py(python, &real, &no_genesis).fails(1, &["members"]);
}

/// What OpenSSL takes and strict verification does not: checked by hand in the script, as `FORMATS.md` says.
#[test]
fn signatures_are_checked_strictly_in_another_language() {
    let Some(python) = python() else { return };
    let script = r#"
import json, sys
sys.path.insert(0, sys.argv[1])
import verify
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
file = json.load(open(sys.argv[2]))
good, bad = ({k: bytes.fromhex(v) for k, v in file[name].items()} for name in ("vectors", "refused"))
def holds(key, signature):
    return verify.signature_holds(key, "sign/tx", b"\x09" * 32, b"message", signature)
assert holds(good["sign_public"], good["sign_signature"])
assert not holds(good["sign_public"], bad["sign_malleable"])
assert verify.is_strong_point((3).to_bytes(32, "little"))
assert not verify.is_strong_point(bad["sign_wide_key"])
identity = bad["sign_weak_key"]
forged = identity + bytes(32)
Ed25519PublicKey.from_public_bytes(identity).verify(forged, b"anything")  # the library alone would take it
assert not holds(identity, forged)
assert not holds(good["sign_public"], forged)
small = ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
assert not any(verify.is_strong_point(bytes.fromhex(point)) for point in small)
"#;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    ran(Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", script])
        .arg(examples)
        .arg(fixtures().join("vectors.json")))
    .ok();
}
