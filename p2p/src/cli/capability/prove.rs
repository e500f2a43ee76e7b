//! `tender capability prove`.

use super::{
    KEY_ENDING, PROOF_FILE, PUBLIC_FILE, circuit, make_directory, out, prover::read_key_file,
    read_record, record_path, waiting::during,
};
use crate::{
    agent::{bidding::random, error::Failure},
    documents::{Access, FileError, names::Named, read_json, write_json},
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tender_circuits::{
    CapabilityType, IssuerIndex, ProvingKey, Setup,
    inspect::security,
    names::NameError,
    prove::{ProveError, prove, violated},
    trial::{ProofFile, PublicFile, Staged, Trial},
};
use tender_wire::UnixTime;

#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArgs {
    /// The type: its record, or the directory that `setup` wrote
    #[arg(long = "type", value_name = "PATH")]
    record: PathBuf,
    /// The proving key, if it does not stand beside the record
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What the machine would be attested for, as JSON by field name
    #[arg(long, value_name = "FILE")]
    attributes: PathBuf,
    /// What is claimed of it, as JSON by field name
    #[arg(long, value_name = "FILE")]
    claim: PathBuf,
    /// Where to write proof.json and public.json
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// The machine's serial number
    #[arg(long, default_value = "trial")]
    serial: String,
    /// Index of the issuer that would attest
    #[arg(long, value_name = "INDEX", default_value = "0", value_parser = index)]
    issuer: IssuerIndex,
    /// Indices of the issuers that the statement names; the attesting one alone if none is given
    #[arg(long, value_name = "INDICES", value_delimiter = ',', value_parser = index)]
    issuers: Vec<IssuerIndex>,
    /// The credential's last second, in unix time
    #[arg(long, value_name = "SECONDS", default_value_t = 2_000_000_000)]
    expiry: u64,
    /// The lease's end that the statement names, in unix time
    #[arg(long, value_name = "SECONDS", default_value_t = 1_900_000_000)]
    valid_until: u64,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

fn index(text: &str) -> Result<IssuerIndex, String> {
    let number: u8 = text.parse().map_err(|e| format!("{e}"))?;
    IssuerIndex::new(number).map_err(|e| e.to_string())
}

impl ProveArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = record_path(&self.record);
        let record = read_record(&path)?;
        let label = record.label();
        let reading = format!("reading and checking the proving key of {label}");
        let key = during(&reading, || self.key(&path, &record))?;
        let named: Named = read_json(&self.attributes)?;
        let attributes = key.attributes().attributes_from_named(&named);
        let named: Named = read_json(&self.claim)?;
        let claim = record.schema.claim_from_named(&named);
        let known = |file: &Path| {
            let (file, record) = (file.to_path_buf(), path.display().to_string());
            move |e: NameError| {
                let next = format!("`tender capability inspect {record}` lists every field");
                FileError::whole(&file, e.to_string(), next)
            }
        };
        let trial = Trial {
            attributes: attributes.map_err(known(&self.attributes))?,
            claim: claim.map_err(known(&self.claim))?,
            serial: self.serial.clone(),
            issuer: self.issuer,
            issuers: if self.issuers.is_empty() {
                [self.issuer].into_iter().collect()
            } else {
                self.issuers.iter().copied().collect()
            },
            expiry: UnixTime(self.expiry),
            valid_until: UnixTime(self.valid_until),
        };
        let staged = trial
            .stage(&record, &random()?)
            .map_err(|e| Failure::new(e.to_string(), "try again"))?;
        let started = Instant::now();
        let seed = random()?;
        let proving = format!("proving {label}, {} constraints", key.constraints());
        let proof = during(&proving, || {
            let Staged {
                credential,
                path,
                statement,
            } = &staged;
            prove(&key, credential, path, statement, seed)
        })
        .map_err(|e| refusal(&key, &staged, e))?;
        let took = started.elapsed();

        make_directory(&self.output)?;
        let (proof_path, public_path) =
            (self.output.join(PROOF_FILE), self.output.join(PUBLIC_FILE));
        let file = ProofFile {
            label: record.label(),
            type_id: record.id(),
            proof,
        };
        write_json(&proof_path, &file, Access::Public)?;
        let public = PublicFile::of(&record, &staged.statement);
        write_json(&public_path, &public, Access::Public)?;
        if self.json {
            return out::json(&serde_json::json!({
                "type": record.label(), "type_id": record.id(), "proof": proof_path, "public": public_path,
                "claim": public.claim, "prove_ms": took.as_millis() as u64,
            }));
        }
        out::say(format_args!(
            "proved {}: {} ({:.2} s)",
            record.label(),
            record.schema.line(&staged.statement.claim),
            took.as_secs_f32()
        ));
        out::say(format_args!("  proof   {}", proof_path.display()));
        out::say(format_args!("  public  {}", public_path.display()));
        if record.setup == Setup::Dev {
            out::say(format_args!("  setup   {}", security(&record.setup)));
        }
        out::say(format_args!(
            "  next: tender capability verify --type {} --proof {} --public {}",
            self.record.display(),
            proof_path.display(),
            public_path.display()
        ));
        Ok(())
    }

    fn key(&self, record_path: &Path, record: &CapabilityType) -> Result<ProvingKey, Failure> {
        let circuit = circuit(&record.label())?;
        let beside = record_path.with_extension(KEY_ENDING);
        let path = self.key.as_ref().unwrap_or(&beside);
        let bytes = read_key_file(path)?.ok_or_else(|| {
            Failure::new(
                format!("{} does not exist", path.display()),
                "name the type's proving key with --key, or run `tender capability setup`",
            )
        })?;
        ProvingKey::parse(&bytes, circuit, record).map_err(|e| {
            Failure::new(
                format!("{}: {e}", path.display()),
                "get the key that belongs to this record, or run `tender capability setup` anew",
            )
        })
    }
}

/// The prover's refusal, with the constraint it comes from wherever there is one.
fn refusal(key: &ProvingKey, staged: &Staged, error: ProveError) -> Failure {
    let mut what = format!("the prover refuses: {error}");
    let named = matches!(
        error,
        ProveError::Unsupported { .. } | ProveError::Unsatisfied { .. }
    );
    if !named
        && let Some(constraint) = violated(key, &staged.credential, &staged.path, &staged.statement)
    {
        what = format!("{what} (constraint {constraint})");
    }
    Failure::new(
        what,
        "claim no more than the attributes support; nothing was written",
    )
}
