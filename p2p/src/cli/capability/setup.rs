//! `tender capability setup`.

use super::{
    KEY_ENDING, TYPE_FILE, circuit, make_directory, out,
    prover::{self, DEV_SETUP_SEED},
    waiting::during,
};
use crate::{
    agent::{bidding::random, error::Failure},
    documents::{Access, write_bytes, write_json},
};
use clap::Args;
use std::{path::PathBuf, time::Instant};
use tender_circuits::inspect::security;

#[derive(Debug, Args)]
pub(in crate::cli) struct SetupArgs {
    /// The type, as `resources/v1`
    #[arg(value_name = "NAME/vN")]
    label: String,
    /// Where to write type.json and type.pk; neither may exist yet
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Use the seed that everybody knows, as testnets do, instead of fresh randomness
    #[arg(long)]
    published_dev_seed: bool,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

impl SetupArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let circuit = circuit(&self.label)?;
        let record_path = self.output.join(TYPE_FILE);
        let key_path = record_path.with_extension(KEY_ENDING);
        if let Some(taken) = [&record_path, &key_path].into_iter().find(|p| p.exists()) {
            return Err(Failure::new(
                format!("{} exists; keys are never overwritten", taken.display()),
                "name another directory with --output",
            ));
        }
        make_directory(&self.output)?;
        let seed = if self.published_dev_seed {
            DEV_SETUP_SEED
        } else {
            random()?
        };
        let started = Instant::now();
        let (key, record) = during(&format!("setting up {}", self.label), || {
            prover::setup_from(circuit, seed)
        })?;
        let took = started.elapsed();
        let bytes = key.to_bytes();
        write_bytes(&key_path, &bytes, Access::Public)?;
        write_json(&record_path, &record, Access::Public)?;

        let who = if self.published_dev_seed {
            "the published development seed: ANYBODY can forge proofs of this type"
        } else {
            "a seed of this process, gone now: whoever saw it can forge proofs of this type"
        };
        out::note(format_args!(
            "WARNING: {}.\n  made from {who}.\n  Chains take the type only where genesis says `allow_insecure_setup`.",
            security(&record.setup)
        ));
        if self.json {
            return out::json(&serde_json::json!({
                "type": record.label(), "type_id": record.id(), "record": record_path, "proving_key": key_path,
                "proving_key_bytes": bytes.len(), "constraints": key.constraints(), "inputs": record.inputs(),
                "r1cs_hash": record.r1cs_hash, "published_dev_seed": self.published_dev_seed, "setup_ms": took.as_millis() as u64,
            }));
        }
        out::say(format_args!(
            "{}: {} constraints, {} public inputs, set up in {:.1} s",
            record.label(),
            key.constraints(),
            record.inputs(),
            took.as_secs_f32()
        ));
        out::say(format_args!("  type id      {}", record.id()));
        out::say(format_args!("  record       {}", record_path.display()));
        out::say(format_args!(
            "  proving key  {} ({} bytes)",
            key_path.display(),
            bytes.len()
        ));
        out::say(format_args!(
            "  next: tender capability prove --type {} --attributes FILE --claim FILE",
            self.output.display()
        ));
        Ok(())
    }
}
