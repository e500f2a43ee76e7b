//! `tender capability import`: a circuit written elsewhere becomes a capability type.

use super::{TYPE_FILE, make_directory, out};
use crate::{
    agent::error::Failure,
    documents::{Access, FileError, read_json, write_json},
};
use clap::Args;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use tender_circuits::{
    CapabilityType, ClaimSchema, Setup, inspect::security, snarkjs::KeyJson,
    statement::PREFIX_INPUTS,
};
use tender_wire::Digest;

/// Largest circuit or transcript hashed, in bytes.
pub(crate) const MAX_HASHED_BYTES: u64 = 4 << 30;

#[derive(Debug, Args)]
#[command(
    after_help = "The circuit's public inputs must be, in this order: registry_root, holder, ctx, asset, valid_until, issuers, then the claim's fields in \
    schema order; every one of them constrained. That they mean what they are called is between the circuit's author and whoever registers the \
    type: no program can check it. The schema file is the `schema` of a type record: see `tender capability inspect --json`.\n\n\
    Without --transcript the keys count as made by one party (INSECURE)."
)]
pub(in crate::cli) struct ImportArgs {
    /// The verifying key, as `snarkjs zkey export verificationkey` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The claim's fields, as JSON
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The circuit's constraints (circom's .r1cs), of which the record keeps the SHA-256
    #[arg(long, value_name = "FILE")]
    r1cs: PathBuf,
    /// The type's name
    #[arg(long)]
    name: String,
    /// The type's version
    #[arg(long, value_name = "N", default_value_t = 1)]
    type_version: u16,
    /// The ceremony's transcript, of which the record keeps the SHA-256
    #[arg(long, value_name = "FILE", requires_all = ["contributions", "beacon"])]
    transcript: Option<PathBuf>,
    /// Contributions to the ceremony
    #[arg(long, value_name = "N", requires = "transcript")]
    contributions: Option<u32>,
    /// The ceremony's final public randomness
    #[arg(long, value_name = "HEX", requires = "transcript")]
    beacon: Option<Digest>,
    /// Where to write type.json, which must not exist yet
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

impl ImportArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = self.output.join(TYPE_FILE);
        if path.exists() {
            return Err(Failure::new(
                format!("{} exists; nothing is overwritten", path.display()),
                "name another directory with --output",
            ));
        }
        let key: KeyJson = read_json(&self.key)?;
        let vk = key.to_bytes().map_err(|e| {
            FileError::whole(
                &self.key,
                e.to_string(),
                "export it again from the circuit's .zkey",
            )
        })?;
        let schema: ClaimSchema = read_json(&self.schema)?;
        let inputs = schema.fields.len().saturating_add(PREFIX_INPUTS);
        if key.inputs() != inputs {
            let what = format!(
                "the key takes {} public inputs; {PREFIX_INPUTS} of every type and the schema's {} fields are {inputs}",
                key.inputs(),
                schema.fields.len()
            );
            return Err(Failure::new(what, "see `tender capability import --help`"));
        }
        let setup = match (&self.transcript, self.contributions, self.beacon) {
            (Some(transcript), Some(contributions), Some(beacon)) => Setup::Ceremony {
                transcript: sha256_of(transcript)?,
                contributions,
                beacon,
            },
            _ => Setup::Dev,
        };
        let record = CapabilityType {
            name: self.name,
            version: self.type_version,
            schema,
            vk,
            r1cs_hash: sha256_of(&self.r1cs)?,
            setup,
        };
        record
            .check(true)
            .map_err(|e| Failure::new(e.to_string(), "correct it; nothing was written"))?;
        make_directory(&self.output)?;
        write_json(&path, &record, Access::Public)?;
        out::say(format_args!("{}: {} public inputs", record.label(), inputs));
        out::say(format_args!("  type id  {}", record.id()));
        out::say(format_args!("  record   {}", path.display()));
        out::say(format_args!("  setup    {}", security(&record.setup)));
        Ok(())
    }
}

/// SHA-256 of a file.
fn sha256_of(path: &Path) -> Result<Digest, FileError> {
    sha256_within(path, MAX_HASHED_BYTES)
}

/// SHA-256 of a file of at most so many bytes, read piece by piece.
fn sha256_within(path: &Path, most: u64) -> Result<Digest, FileError> {
    let fail = |problem: String| FileError::whole(path, problem, "check the path");
    let too_large = || fail(format!("is larger than {most} bytes"));
    let file = File::open(path).map_err(|e| fail(format!("cannot be opened: {e}")))?;
    if file.metadata().is_ok_and(|data| data.len() > most) {
        return Err(too_large());
    }
    let mut rest = file.take(most.saturating_add(1));
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut total = 0u64;
    loop {
        let read = rest
            .read(&mut piece)
            .map_err(|e| fail(format!("cannot be read: {e}")))?;
        if read == 0 {
            break;
        }
        total = total.saturating_add(read as u64);
        hasher.update(piece.get(..read).unwrap_or_default());
    }
    if total > most {
        return Err(too_large());
    }
    Ok(Digest(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_so_far_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circuit.r1cs");
        let file = File::create(&path).unwrap();
        file.set_len(100_000).unwrap();
        let whole = Digest(Sha256::digest(vec![0; 100_000]).into());
        assert_eq!(sha256_within(&path, 100_000), Ok(whole));
        assert_eq!(sha256_of(&path), Ok(whole));
        // Endless ones do not say so before they are read.
        for (path, most) in [(&*path, 99_999), (Path::new("/dev/zero"), 100_000)] {
            let refused = sha256_within(path, most).unwrap_err();
            assert!(refused.problem.contains("larger"), "{refused}");
        }
        file.set_len(MAX_HASHED_BYTES + 1).unwrap();
        let refused = sha256_of(&path).unwrap_err();
        assert!(
            refused.problem.contains("larger than 4294967296"),
            "{refused}"
        );
    }
}
