//! `tender capability`: a circuit developer's tools, on files alone. No peer, no chain.
//!
//! ```text
//!  setup ──▶ DIR/type.json, DIR/type.pk ──prove──▶ proof.json, public.json ──▶ verify
//!                                                            └──export──▶ snarkjs' JSON ──▶ verify --snarkjs, any snarkjs
//!  circom circuit, snarkjs key ──import──▶ DIR/type.json
//! ```

mod export;
pub(crate) mod import;
mod inspect;
mod prove;
mod setup;
mod table;
mod verify;
mod waiting;

use super::{error::Failure, out, prover};
use crate::documents::{FileError, read_json};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use tender_circuits::{Capability, CapabilityType, types};

/// Name of a type's record in the directory that `setup` writes.
const TYPE_FILE: &str = "type.json";
/// Ending of the proving key that stands beside a record.
const KEY_ENDING: &str = "pk";
/// Name of a proof's file.
const PROOF_FILE: &str = "proof.json";
/// Name of its statement's file.
const PUBLIC_FILE: &str = "public.json";

#[derive(Debug, Subcommand)]
pub(super) enum CapabilityCommand {
    /// Make the keys of a built-in type alone (INSECURE: for development): DIR/type.json and DIR/type.pk
    Setup(setup::SetupArgs),
    /// Prove a claim from attributes, without a chain; a false claim is refused with the constraint it breaks, by file and line
    #[command(
        after_help = "The files name fields as `tender capability inspect DIR/type.json` lists them:\n  \
        attributes  { \"cpu_milli\": 64000, \"gpu_model\": \"A100\", \"region\": \"eu-west\", \"skills\": [\"cuda\"] }\n  \
        claim       { \"cpu_milli\": 8000, \"skills\": [\"cuda\"] }\n\n\
        The credential is made up and stands alone in a registry of its own: such a proof serves in no auction."
    )]
    Prove(prove::ProveArgs),
    /// Verify a proof strictly; exits 3 if it does not hold
    Verify(verify::VerifyArgs),
    /// Say what a file is: type record, proving key, verifying key, proof or public inputs
    Inspect(inspect::InspectArgs),
    /// Write a key, a proof and its inputs for another verifier
    Export(export::ExportArgs),
    /// Make a type's record of a circom circuit with snarkjs' verifying key
    Import(import::ImportArgs),
    /// Measure every built-in type on this machine, now
    Table(table::TableArgs),
}

impl CapabilityCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            CapabilityCommand::Setup(args) => args.run(),
            CapabilityCommand::Prove(args) => args.run(),
            CapabilityCommand::Verify(args) => args.run(),
            CapabilityCommand::Inspect(args) => args.run(),
            CapabilityCommand::Export(args) => args.run(),
            CapabilityCommand::Import(args) => args.run(),
            CapabilityCommand::Table(args) => args.run(),
        }
    }
}

/// A proof and what it states.
#[derive(Args, Clone, Debug)]
struct ProofPlace {
    /// The proof, as `tender capability prove` writes it
    #[arg(long, value_name = "FILE", default_value = PROOF_FILE)]
    proof: PathBuf,
    /// What it states
    #[arg(long, value_name = "FILE", default_value = PUBLIC_FILE)]
    public: PathBuf,
}

/// A type's record: the file, or the directory that `setup` wrote.
fn record_path(given: &Path) -> PathBuf {
    if given.is_dir() {
        given.join(TYPE_FILE)
    } else {
        given.to_path_buf()
    }
}

/// Reads a record that a chain with `allow_insecure_setup` would take.
fn read_record(path: &Path) -> Result<CapabilityType, Failure> {
    let record: CapabilityType = read_json(path)?;
    record.check(true).map_err(|e| {
        let next = "get the type's record from its author again, or run `tender capability setup`";
        FileError::whole(path, e.to_string(), next)
    })?;
    Ok(record)
}

/// The built-in circuit of a label.
fn circuit(label: &str) -> Result<std::sync::Arc<dyn Capability>, Failure> {
    let named = types::all()
        .into_iter()
        .find(|c| format!("{}/v{}", c.name(), c.version()) == label);
    named.ok_or_else(|| {
        let all = types::all();
        let known: Vec<_> = all
            .iter()
            .map(|c| format!("{}/v{}", c.name(), c.version()))
            .collect();
        Failure::usage(
            format!("this program has no circuit for `{label}`"),
            format!("use one of: {}", known.join(", ")),
        )
    })
}

/// Makes a directory, parents included.
fn make_directory(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|e| {
        Failure::new(
            format!("{}: cannot be made: {e}", path.display()),
            "check that the place is yours",
        )
    })
}
