//! `tender capability inspect`: what is this file?

use super::{out, record_path};
use crate::{
    agent::{error::Failure, prover::read_key_file},
    cli::table::{Table, amount, schema_table},
    documents::{FileError, MAX_FILE_BYTES, parse_json},
};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tender_circuits::{
    CapabilityType, ClaimSchema, ProofBytes,
    inspect::{CircuitFacts, KeyFacts, PREFIX_NAMES, TypeFacts, is_key_file},
    snarkjs::{KeyJson, ProofJson, PublicJson},
    trial::{ProofFile, PublicFile},
    types,
    verify::VerifyingKey,
};

/// Length of a bare verifying key without its inputs' points, and of one such point: see [`VerifyingKey::parse`].
const KEY_BYTES: (usize, usize) = (224, 32);

#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArgs {
    /// A type record (or the directory that `setup` wrote), proving key, verifying key, proof or public file, ours or snarkjs'
    file: PathBuf,
    /// Print what it is as JSON
    #[arg(long)]
    json: bool,
}

/// What a file turned out to be.
struct Found {
    /// In words.
    kind: &'static str,
    /// As data, `kind` aside.
    data: Value,
    /// For people, line by line.
    lines: Vec<String>,
    /// What is wrong with it, though it is what it is.
    problem: Option<String>,
}

impl InspectArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = record_path(&self.file);
        let bytes = read_key_file(&path)?.ok_or_else(|| {
            Failure::new(
                format!("{} does not exist", path.display()),
                "check the path",
            )
        })?;
        let found = recognise(&path, &bytes)?;
        if self.json {
            let mut data = found.data;
            if let Some(fields) = data.as_object_mut() {
                fields.insert("kind".into(), found.kind.into());
                fields.insert("file".into(), json!(path));
                fields.insert("problem".into(), json!(found.problem));
            }
            out::json(&data)?;
        } else {
            out::say(format_args!("{}: {}", path.display(), found.kind));
            found.lines.iter().for_each(out::say);
        }
        match found.problem {
            None => Ok(()),
            Some(problem) => Err(Failure::new(
                format!("{}: {problem}", path.display()),
                "do not use this file; get it again from where it came",
            )),
        }
    }
}

fn recognise(path: &Path, bytes: &[u8]) -> Result<Found, Failure> {
    if is_key_file(bytes) {
        let facts = KeyFacts::of(bytes);
        let facts = facts.map_err(|e| FileError::whole(path, e.to_string(), "get it again"))?;
        return Ok(proving_key(&facts));
    }
    let text = Some(bytes).filter(|b| b.len() as u64 <= MAX_FILE_BYTES);
    let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let starts_json = |text: &&str| text.trim_start().starts_with(['{', '[']);
    match text.filter(starts_json) {
        Some(text) => of_json(path, text),
        None => of_bytes(path, bytes),
    }
}

fn unknown(path: &Path, what: impl std::fmt::Display) -> Failure {
    let next = "it reads type records, proving keys, verifying keys, proofs and public inputs, this program's or snarkjs'";
    Failure::new(format!("{}: {what}", path.display()), next)
}

fn of_json(path: &Path, text: &str) -> Result<Found, Failure> {
    let value: Value = parse_json(path, text)?;
    let has = |field: &str| value.get(field).is_some();
    if has("schema") && has("vk") {
        Ok(type_record(&parse_json(path, text)?))
    } else if has("pi_a") {
        Ok(snarkjs_proof(&parse_json(path, text)?))
    } else if has("vk_alpha_1") {
        Ok(snarkjs_key(&parse_json(path, text)?))
    } else if has("registry_root") && has("ctx") {
        Ok(public(&parse_json(path, text)?))
    } else if has("proof") && has("type_id") {
        Ok(proof(&parse_json(path, text)?))
    } else if value.is_array() {
        Ok(snarkjs_public(&parse_json(path, text)?))
    } else {
        Err(unknown(path, "JSON, but no file of a capability type"))
    }
}

fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Found, Failure> {
    let (fixed, each) = KEY_BYTES;
    let points = bytes.len().checked_sub(fixed);
    if let Ok(proof) = <[u8; ProofBytes::LEN]>::try_from(bytes) {
        let problem = ProofJson::of(&ProofBytes(proof)).err();
        return Ok(Found {
            kind: "the bare bytes of a proof",
            data: json!({ "proof": ProofBytes(proof) }),
            lines: vec![line("proof", ProofBytes(proof))],
            problem: problem.map(|e| e.to_string()),
        });
    }
    match points {
        Some(points) if points > each && points.is_multiple_of(each) => {
            let inputs = points.checked_div(each).unwrap_or(0).saturating_sub(1);
            VerifyingKey::parse(bytes, inputs)
                .map(|_| Found {
                    kind: "the bare bytes of a verifying key",
                    data: json!({ "inputs": inputs, "vk_bytes": bytes.len() }),
                    lines: vec![line("public inputs", inputs), line("bytes", bytes.len())],
                    problem: None,
                })
                .map_err(|e| {
                    let what = format!("{} bytes; as a verifying key: {e}", bytes.len());
                    unknown(path, what)
                })
        }
        _ => Err(unknown(
            path,
            format!("{} bytes of no file of a capability type", bytes.len()),
        )),
    }
}

fn line(name: &str, value: impl std::fmt::Display) -> String {
    format!("  {name:<15}{value}")
}

fn data<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn type_record(record: &CapabilityType) -> Found {
    let facts = TypeFacts::of(record);
    let mut lines = vec![
        line("type", &facts.label),
        line("type id", facts.type_id),
        line("setup", facts.security),
    ];
    if let tender_circuits::Setup::Ceremony {
        transcript,
        contributions,
        beacon,
    } = &facts.setup
    {
        lines.push(line("contributions", contributions));
        lines.push(line("transcript", transcript));
        lines.push(line("beacon", beacon));
    }
    lines.push(line("public inputs", facts.inputs));
    lines.push(line("circuit", facts.r1cs_hash));
    lines.push(match (&facts.circuit, facts.circuit_matches) {
        (Some(circuit), true) => line("constraints", constraints(circuit)),
        (Some(circuit), false) => line(
            "constraints",
            format!(
                "unknown: this program's {} is another circuit, {}",
                circuit.label, circuit.r1cs_hash
            ),
        ),
        (None, _) => line(
            "constraints",
            "unknown: this program has no circuit of that name",
        ),
    });
    lines.push(line(
        "verifying key",
        format!("{} bytes, SHA-256 {}", facts.vk_bytes, facts.vk_sha256),
    ));
    lines.push(String::new());
    lines.push(
        schema_table(&record.schema)
            .to_string()
            .trim_end()
            .to_owned(),
    );
    if let Some(circuit) = facts.circuit.as_ref().filter(|_| facts.circuit_matches) {
        let mut table = Table::new(["constraints", "of"]);
        for (scope, count) in &circuit.profile {
            table.row([amount(*count as u64), scope.clone()]);
        }
        lines.push(String::new());
        lines.push(table.to_string().trim_end().to_owned());
    }
    let mut all = data(&facts);
    if let Some(fields) = all.as_object_mut() {
        fields.insert("schema".into(), data(&record.schema));
    }
    Found {
        kind: "a capability type's record",
        data: all,
        lines,
        problem: facts.problem,
    }
}

fn constraints(circuit: &CircuitFacts) -> String {
    format!(
        "{} over {} variables, as built into this program",
        amount(circuit.constraints as u64),
        amount(circuit.variables as u64)
    )
}

fn proving_key(facts: &KeyFacts) -> Found {
    Found {
        kind: "a proving key",
        data: data(facts),
        lines: vec![
            line("type id", facts.type_id),
            line("circuit", facts.r1cs_hash),
            match &facts.circuit {
                Some(circuit) => line(
                    "constraints",
                    format!("{}: {}", circuit.label, constraints(circuit)),
                ),
                None => line("constraints", "unknown: this program has no such circuit"),
            },
            line(
                "key",
                format!(
                    "{} bytes, SHA-256 {}",
                    amount(facts.payload_bytes as u64),
                    facts.payload_sha256
                ),
            ),
            line(
                "setup",
                "see the record of its type; points are checked when the key is used",
            ),
        ],
        problem: facts.problem.clone(),
    }
}

fn proof(file: &ProofFile) -> Found {
    Found {
        kind: "a proof",
        data: data(file),
        lines: vec![
            line("type", &file.label),
            line("type id", file.type_id),
            line("proof", file.proof),
        ],
        problem: ProofJson::of(&file.proof).err().map(|e| e.to_string()),
    }
}

fn public(file: &PublicFile) -> Found {
    let issuers: Vec<_> = file.issuers.iter().map(ToString::to_string).collect();
    let mut lines = vec![line("type", &file.label), line("type id", file.type_id)];
    let prefix = [
        file.registry_root.to_string(),
        file.holder.to_string(),
        file.ctx.to_string(),
        file.asset.to_string(),
        file.valid_until.to_string(),
        issuers.join(", "),
    ];
    let named = PREFIX_NAMES.iter().zip(prefix);
    lines.extend(named.map(|(name, value)| line(name, value)));
    for (field, value) in &file.claim {
        lines.push(line(field, data(value)));
    }
    let problem = schema_of(&file.label)
        .and_then(|schema| schema.claim_from_named(&file.claim).err())
        .map(|e| e.to_string());
    Found {
        kind: "the statement of a proof",
        data: data(file),
        lines,
        problem,
    }
}

fn schema_of(label: &str) -> Option<ClaimSchema> {
    let all = types::all();
    let known = all
        .iter()
        .find(|c| format!("{}/v{}", c.name(), c.version()) == label);
    known.map(|circuit| circuit.schema())
}

fn snarkjs_proof(file: &ProofJson) -> Found {
    let bytes = file.to_bytes();
    Found {
        kind: "a proof in snarkjs' layout",
        data: json!({ "proof": bytes.as_ref().ok() }),
        lines: bytes.iter().map(|bytes| line("proof", bytes)).collect(),
        problem: bytes.err().map(|e| e.to_string()),
    }
}

fn snarkjs_key(file: &KeyJson) -> Found {
    let bytes = file.to_bytes();
    let facts = bytes
        .as_ref()
        .ok()
        .map(|bytes| (bytes.len(), tender_circuits::inspect::sha256(bytes)));
    let mut lines = vec![line("public inputs", file.inputs())];
    if let Some((len, hash)) = facts {
        lines.push(line(
            "verifying key",
            format!("{len} bytes in our layout, SHA-256 {hash}"),
        ));
    }
    Found {
        kind: "a verifying key in snarkjs' layout",
        data: json!({ "inputs": file.inputs(), "vk_sha256": facts.map(|(_, hash)| hash) }),
        lines,
        problem: file.verifying_key().err().map(|e| e.to_string()),
    }
}

fn snarkjs_public(file: &PublicJson) -> Found {
    let inputs = file.inputs();
    let lines = inputs.iter().flatten().enumerate();
    Found {
        kind: "public inputs in snarkjs' layout",
        data: json!({ "inputs": inputs.as_ref().ok() }),
        lines: lines.map(|(i, x)| line(&i.to_string(), x)).collect(),
        problem: inputs.err().map(|e| e.to_string()),
    }
}
