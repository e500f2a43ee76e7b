//! Every JSON file that the lower four crates read, with one of each to damage. A fuzzer uses it too.

use crate::{registry::Vectors, run};
use serde::{Serialize, de::DeserializeOwned};
use tender_auction::{
    certificate::AssignmentCertificate,
    checkpoint::Headers,
    transaction::{Change, Proposal},
};
use tender_circuits::{
    ProofBytes,
    snarkjs::{KeyJson, ProofJson, PublicJson},
};
use tender_wire::Height;

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
