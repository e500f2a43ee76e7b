//! `tender capability export`.

use super::{PROOF_FILE, PUBLIC_FILE, make_directory, out, read_record, record_path};
use crate::{
    agent::error::Failure,
    documents::{Access, FileError, read_json, write_json},
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tender_circuits::{
    snarkjs::{KeyJson, ProofJson, PublicJson},
    trial::{ProofFile, PublicFile},
};

/// Name of a verifying key's file, as snarkjs calls it.
pub(super) const KEY_FILE: &str = "verification_key.json";

#[derive(Debug, Args)]
#[command(
    after_help = "Check the result with `npx snarkjs groth16 verify verification_key.json public.json proof.json`, or without npm with \
    `tender capability verify --snarkjs DIR`."
)]
pub(in crate::cli) struct ExportArgs {
    /// For whom
    #[arg(long, value_enum, default_value_t = Format::Snarkjs)]
    format: Format,
    /// The type: its record, or the directory that `setup` wrote
    #[arg(long = "type", value_name = "PATH")]
    record: PathBuf,
    #[command(flatten)]
    place: super::ProofPlace,
    /// Export the verifying key alone
    #[arg(long, conflicts_with_all = ["proof", "public"])]
    key_only: bool,
    /// Where to write verification_key.json, proof.json and public.json; none of them may exist yet
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// Layouts of other verifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// snarkjs 0.7, and everything that reads its files
    Snarkjs,
}

impl ExportArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Format::Snarkjs = self.format;
        let record_path = record_path(&self.record);
        let record = read_record(&record_path)?;
        let key = record.verifying_key().map_err(|e| {
            FileError::whole(&record_path, e.to_string(), "get the type's record again")
        })?;
        let [key_path, proof_path, public_path] =
            [KEY_FILE, PROOF_FILE, PUBLIC_FILE].map(|name| self.output.join(name));
        let taken = |path: &&PathBuf| path.exists();
        if let Some(taken) = [&key_path, &proof_path, &public_path]
            .into_iter()
            .find(taken)
        {
            return Err(Failure::new(
                format!("{} exists; nothing is overwritten", taken.display()),
                "name another directory with --output",
            ));
        }
        let pair = if self.key_only {
            None
        } else {
            let (proof_from, public_from) = (&self.place.proof, &self.place.public);
            let proof: ProofFile = read_json(proof_from)?;
            let public: PublicFile = read_json(public_from)?;
            let broken = |path: &PathBuf, e: String| {
                FileError::whole(path, e, "make it again with `tender capability prove`")
            };
            for (path, id) in [(proof_from, proof.type_id), (public_from, public.type_id)] {
                if id != record.id() {
                    let e = format!("is of type {id}, the record is {}", record.id());
                    return Err(broken(path, e).into());
                }
            }
            let statement = public.statement(&record);
            let statement = statement.map_err(|e| broken(public_from, e.to_string()))?;
            let inputs = PublicJson::of(&statement.public_inputs());
            let inputs = inputs.map_err(|e| broken(public_from, e.to_string()))?;
            let proof = ProofJson::of(&proof.proof);
            Some((
                proof.map_err(|e| broken(proof_from, e.to_string()))?,
                inputs,
            ))
        };
        make_directory(&self.output)?;
        write_json(&key_path, &KeyJson::of(&key), Access::Public)?;
        out::say(format_args!("  key     {}", key_path.display()));
        if let Some((proof, inputs)) = pair {
            write_json(&proof_path, &proof, Access::Public)?;
            write_json(&public_path, &inputs, Access::Public)?;
            out::say(format_args!("  proof   {}", proof_path.display()));
            out::say(format_args!("  public  {}", public_path.display()));
            out::say(format_args!(
                "  next: npx snarkjs groth16 verify {} {} {}",
                key_path.display(),
                public_path.display(),
                proof_path.display()
            ));
        }
        Ok(())
    }
}
