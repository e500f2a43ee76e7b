//! `tender capability verify`.

use super::{PROOF_FILE, PUBLIC_FILE, out, read_record, record_path};
use crate::{
    agent::error::Failure,
    documents::{parse_json, read_json, read_text},
};
use clap::Args;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use tender_circuits::{
    inspect::security,
    snarkjs::{KeyJson, ProofJson, PublicJson},
    trial::{ProofFile, PublicFile},
    verify::{verify, verify_inputs},
};

#[derive(Debug, Args)]
#[command(
    after_help = "Exits 0 if the proof holds, 3 if it does not: also where proof or public inputs are malformed. The record (or snarkjs' \
    verification key) is what you trust: take it from the chain's genesis file or from its author, not from whoever proves."
)]
pub(in crate::cli) struct VerifyArgs {
    /// The type: its record, or the directory that `setup` wrote
    #[arg(
        long = "type",
        value_name = "PATH",
        required_unless_present = "snarkjs"
    )]
    record: Option<PathBuf>,
    #[command(flatten)]
    place: super::ProofPlace,
    /// Verify snarkjs' files instead: a directory with verification_key.json, proof.json and public.json
    #[arg(long, value_name = "DIR", conflicts_with_all = ["record", "proof", "public"])]
    snarkjs: Option<PathBuf>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Verdict {
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proves: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<&'static str>,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (proves, security) = match (&self.snarkjs, &self.record) {
            (Some(directory), _) => (snarkjs(directory)?, None),
            (None, Some(record)) => {
                let record = read_record(&record_path(record))?;
                let texts = (
                    read_text(&self.place.proof)?,
                    read_text(&self.place.public)?,
                );
                let check = || -> Result<String, String> {
                    let proof: ProofFile = parsed(&self.place.proof, &texts.0)?;
                    let public: PublicFile = parsed(&self.place.public, &texts.1)?;
                    for (what, id) in [("proof", proof.type_id), ("statement", public.type_id)] {
                        if id != record.id() {
                            return Err(format!("the {what} is of type {id}, not {}", record.id()));
                        }
                    }
                    let statement = public.statement(&record).map_err(|e| e.to_string())?;
                    let key = record.verifying_key().map_err(|e| e.to_string())?;
                    verify(&key, &statement, &proof.proof).map_err(|e| e.to_string())?;
                    Ok(format!(
                        "{}: attested for at least: {}",
                        record.label(),
                        record.schema.line(&statement.claim)
                    ))
                };
                (check(), Some(security(&record.setup)))
            }
            (None, None) => return Err(Failure::usage("no type is named", "give --type PATH")),
        };
        let reason = proves.as_ref().err().cloned();
        let verdict = Verdict {
            verified: proves.is_ok(),
            security: security.filter(|_| proves.is_ok()),
            proves: proves.ok(),
            reason,
        };
        if self.json {
            out::json(&verdict)?;
        } else if let Some(proves) = &verdict.proves {
            out::say(format_args!("holds: {proves}"));
            if let Some(security) = verdict.security {
                out::say(format_args!("  setup  {security}"));
            }
        }
        match verdict.reason {
            None => Ok(()),
            Some(reason) => Err(Failure::refused(
                format!("does not hold: {reason}"),
                "do not rely on it; ask for the proof again",
            )),
        }
    }
}

/// A file's content; what is wrong with it is a reason to say no, not a failure.
fn parsed<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, String> {
    parse_json(path, text).map_err(|e| {
        let at = e
            .line
            .map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        format!("{}{at}: {}", path.display(), e.problem)
    })
}

/// The verdict on snarkjs' files. The key is the reader's, so a bad one is a failure.
fn snarkjs(directory: &Path) -> Result<Result<String, String>, Failure> {
    let key_path = directory.join(super::export::KEY_FILE);
    let key: KeyJson = read_json(&key_path)?;
    let key = key.verifying_key().map_err(|e| {
        Failure::new(
            format!("{}: {e}", key_path.display()),
            "export it again, or get it from somebody you trust",
        )
    })?;
    let (proof_path, public_path) = (directory.join(PROOF_FILE), directory.join(PUBLIC_FILE));
    let (proof, public) = (read_text(&proof_path)?, read_text(&public_path)?);
    let check = || -> Result<String, String> {
        let proof: ProofJson = parsed(&proof_path, &proof)?;
        let public: PublicJson = parsed(&public_path, &public)?;
        let proof = proof.to_bytes().map_err(|e| e.to_string())?;
        let inputs = public.inputs().map_err(|e| e.to_string())?;
        verify_inputs(&key, &inputs, &proof).map_err(|e| e.to_string())?;
        Ok(format!("a proof of {} public inputs", inputs.len()))
    };
    Ok(check())
}
