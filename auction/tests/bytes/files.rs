//! Damaged files: the JSON that people hand each other. Whatever is still read means what it says: written again it is read again as the same.

use crate::{
    registry::{Vectors, every},
    run,
};
use allocation_counter::measure;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tender_auction::{
    certificate::AssignmentCertificate,
    checkpoint::Headers,
    transaction::{Change, Proposal},
};
use tender_circuits::{
    ProofBytes,
    snarkjs::{KeyJson, ProofJson, PublicJson},
};
use tender_wire::{Height, testing};

/// A file's kind: its name, one of it, and how it is read and written again.
pub struct File {
    pub name: &'static str,
    pub text: String,
    pub again: fn(&[u8]) -> Result<String, String>,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn plain<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<String, String> {
    let value: T = serde_json::from_slice(bytes).map_err(said)?;
    serde_json::to_string(&value).map_err(said)
}

fn file<T: Serialize + DeserializeOwned>(name: &'static str, value: &T) -> File {
    File {
        name,
        text: serde_json::to_string(value).unwrap(),
        again: plain::<T>,
    }
}

/// Every file that the lower four crates read.
pub fn files() -> Vec<File> {
    let vectors = Vectors::read();
    let example = vectors.example();
    let steps = run::run(&example);
    let inputs = example.statement.public_inputs();
    let proposal = Proposal {
        change: Change::AddType(example.record.clone()),
        nonce: 5,
        expiry: Height(100),
    };
    let headers = steps.iter().take(2).map(|step| step.block.header.clone());
    let headers = Headers::new(example.chain, headers.collect());
    let key = KeyJson::of(&example.record.verifying_key().unwrap());
    let certificate = |name, text: &str| File {
        name,
        text: vectors.text(text),
        again: |bytes| {
            let read = AssignmentCertificate::from_json(bytes).map_err(said)?;
            Ok(read.to_json())
        },
    };
    vec![
        file("genesis", &example.genesis),
        file("capability type", &example.record),
        file("claim schema", &example.record.schema),
        file("credential", &example.credential),
        file("attestation", &example.attestation),
        file("registry path", &example.path),
        file("proposal", &proposal),
        certificate("certificate", "certificate"),
        certificate("certificate through a set change", "certificate_set_change"),
        File {
            name: "headers",
            text: headers.to_json(),
            again: |bytes| Ok(Headers::from_json(bytes).map_err(said)?.to_json()),
        },
        File {
            name: "snarkjs key",
            text: serde_json::to_string(&key).unwrap(),
            again: |bytes| {
                let read: KeyJson = serde_json::from_slice(bytes).map_err(said)?;
                let key = read.verifying_key().map_err(said)?;
                serde_json::to_string(&KeyJson::of(&key)).map_err(said)
            },
        },
        File {
            name: "snarkjs proof",
            text: serde_json::to_string(&ProofJson::of(&example.proof()).unwrap()).unwrap(),
            again: |bytes| {
                let read: ProofJson = serde_json::from_slice(bytes).map_err(said)?;
                let proof: ProofBytes = read.to_bytes().map_err(said)?;
                serde_json::to_string(&ProofJson::of(&proof).map_err(said)?).map_err(said)
            },
        },
        File {
            name: "snarkjs public inputs",
            text: serde_json::to_string(&PublicJson::of(&inputs).unwrap()).unwrap(),
            again: |bytes| {
                let read: PublicJson = serde_json::from_slice(bytes).map_err(said)?;
                let inputs = read.inputs().map_err(said)?;
                serde_json::to_string(&PublicJson::of(&inputs).map_err(said)?).map_err(said)
            },
        },
    ]
}

/// Reads a damaged file, in memory of a few times its size. What is read is the same when it is written and read again.
fn check(file: &File, bytes: &[u8], why: &dyn Fn() -> String) -> Result<String, String> {
    let mut read = None;
    let used = measure(|| read = Some((file.again)(bytes))).bytes_max;
    let room = (64 << 10) + 16 * bytes.len() as u64;
    assert!(used <= room, "{}: {}: {used} bytes", file.name, why());
    let read = read.unwrap();
    if let Ok(text) = &read {
        let again = (file.again)(text.as_bytes());
        assert_eq!(again.as_ref(), Ok(text), "{}: {}", file.name, why());
    }
    read
}

/// B18: every truncation and every flipped bit of every file.
#[test]
fn a_damaged_file_is_refused_or_means_what_it_says() {
    for file in files() {
        let text = file.text.as_bytes();
        assert!(check(&file, text, &String::new).is_ok(), "{}", file.name);
        for len in 0..text.trim_ascii_end().len() {
            let cut = check(&file, &text[..len], &|| format!("cut to {len}"));
            assert!(cut.is_err(), "{}: cut to {len}", file.name);
        }
        let stride = match file.name {
            "snarkjs key" => every(11), // points are checked for their subgroups
            _ => 1,
        };
        let (mut turn, mut refused) = (0, 0);
        testing::each_flip(text, |damage, bytes| {
            turn += 1;
            if turn % stride != 0 {
                return;
            }
            refused += usize::from(check(&file, bytes, &|| damage.to_string()).is_err());
        });
        assert!(refused * stride > text.len(), "{}: {refused}", file.name);
    }
}

/// D: no field unknown, none twice, no number but the integers that are meant, no nesting that runs a stack over.
#[test]
fn a_file_has_one_reading() {
    let mut numbers = 0;
    for file in files() {
        let whole: Value = serde_json::from_str(&file.text).unwrap();
        let refuse = |text: String| {
            let short: String = text.chars().take(80).collect();
            let read = check(&file, text.as_bytes(), &|| short.clone());
            assert!(read.is_err(), "{}: {short}", file.name);
            assert!(read.unwrap_err().len() < 400 + text.len());
        };
        let inside = file.text.trim().strip_prefix('{');
        for (name, value) in whole.as_object().into_iter().flatten() {
            refuse(format!("{{\"{name}\": {value}, {}", inside.unwrap()));
        }
        if let Some(inside) = inside {
            refuse(format!("{{\"one_more\": 1, {inside}"));
        }
        let mut at = 0;
        for (digits, _) in file.text.match_indices(|c: char| c.is_ascii_digit()) {
            let alone = file.text[..digits].ends_with([':', ' ', '[', ',']) && digits >= at;
            let len = file.text[digits..]
                .find(|c: char| !c.is_ascii_digit())
                .unwrap();
            if !alone || file.text[..digits].matches('"').count() % 2 == 1 {
                continue;
            }
            at = digits + len;
            numbers += 1;
            for other in [
                "-1",
                "1.0",
                "1e3",
                "18446744073709551616",
                "1e999",
                "null",
                "\"1\"",
                "[1]",
                "{}",
                "true",
            ] {
                refuse(format!(
                    "{}{other}{}",
                    &file.text[..digits],
                    &file.text[at..]
                ));
            }
        }
        for open in ["[", "{\"a\":", "[[{\"format\":"] {
            refuse(open.repeat(100_000));
        }
    }
    assert!(numbers > 50, "{numbers}");
}

/// B12, B14, B18: a certificate is good as it was written, and no other way.
#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    let vectors = Vectors::read();
    let example = vectors.example();
    for name in ["certificate", "certificate_set_change"] {
        let text = vectors.text(name);
        let verdict = |bytes: &[u8]| {
            let read = AssignmentCertificate::from_json(bytes)?;
            read.verify(&example.genesis).map(|_| ())
        };
        assert_eq!(verdict(text.as_bytes()), Ok(()));
        testing::each_flip(text.as_bytes(), |damage, bytes| {
            assert!(verdict(bytes).is_err(), "{name}: {damage}");
        });
    }
}
