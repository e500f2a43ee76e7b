//! Proving keys: read from the home directory, or made there once for types with a development setup.
//!
//! A development setup is deterministic from [`DEV_SETUP_SEED`], which everybody knows: whoever likes can forge proofs of such a
//! type. That is what `allow_insecure_setup` in genesis says, and why only development chains say it.

use super::error::Failure;
use crate::cli::out;
use crate::documents::{Access, write_bytes};
use crate::files::read_within;
use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tender_circuits::{Capability, CapabilityType, Circuits, ProvingKey, Setup, setup};
use tender_wire::TypeId;

/// Randomness of every development setup. Published, hence insecure.
pub const DEV_SETUP_SEED: [u8; 32] = *b"tender dev setup: NOT A SECRET!!";
/// Directory of proving keys in a home.
const DIRECTORY: &str = "proving-keys";
/// Largest key file read, in bytes: a hundred times that of `resources/v1`.
pub(crate) const MAX_KEY_FILE_BYTES: u64 = 512 << 20;

/// The proving keys of one holder, loaded when first needed.
#[derive(Debug)]
pub struct Prover {
    directory: PathBuf,
    circuits: Circuits,
    loaded: Mutex<BTreeMap<TypeId, Arc<ProvingKey>>>,
}

impl Prover {
    /// The keys kept in a home directory.
    pub fn in_home(home: &Path) -> Self {
        Prover {
            directory: home.join(DIRECTORY),
            circuits: Circuits::default(),
            loaded: Mutex::default(),
        }
    }

    /// A prover that starts with a key made elsewhere in this process.
    #[must_use]
    pub fn with(self, key: Arc<ProvingKey>) -> Self {
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.type_id(), key);
        self
    }

    /// A prover that knows one more circuit.
    #[must_use]
    pub fn knowing(mut self, circuit: Arc<dyn Capability>) -> Self {
        self.circuits = self.circuits.with(circuit);
        self
    }

    /// The proving key of a type.
    ///
    /// # Errors
    /// [`Failure`] if there is none and none can be made, or the file is damaged.
    pub fn key(&self, record: &CapabilityType) -> Result<Arc<ProvingKey>, Failure> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = loaded.get(&record.id()) {
            return Ok(key.clone());
        }
        let key = Arc::new(self.load(record)?);
        loaded.insert(record.id(), key.clone());
        Ok(key)
    }

    fn load(&self, record: &CapabilityType) -> Result<ProvingKey, Failure> {
        let circuit = self.circuits.find(&record.name, record.version).ok_or_else(|| {
            let what = format!("this program has no circuit for {}", record.label());
            Failure::new(
                what,
                "use a program that has it (`Prover::knowing`); verifying needs none, proving does",
            )
        })?;
        let path = self.directory.join(format!("{}.pk", record.id()));
        match read_key_file(&path)? {
            Some(bytes) => ProvingKey::parse(&bytes, circuit, record).map_err(|e| {
                Failure::new(
                    format!("{}: {e}", path.display()),
                    "delete the file; it will be made or fetched again",
                )
            }),
            None if record.setup == Setup::Dev => make(circuit, record, &path),
            None => {
                let what = format!(
                    "there is no proving key for {} ({})",
                    record.label(),
                    record.id().short()
                );
                let next = format!(
                    "fetch the ceremony's proving key and put it at {}",
                    path.display()
                );
                Err(Failure::new(what, next))
            }
        }
    }
}

/// The bytes of a key file; `None` if there is none.
///
/// # Errors
/// [`Failure`] if it cannot be read, or is larger than any key.
pub(crate) fn read_key_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let fail = |e: Error, next| Err(Failure::new(format!("{}: {e}", path.display()), next));
    match read_within(path, MAX_KEY_FILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == ErrorKind::FileTooLarge => fail(
            e,
            "it is no proving key: delete it; it will be made or fetched again",
        ),
        Err(e) => fail(e, "check that you may read it"),
    }
}

fn make(
    circuit: Arc<dyn Capability>,
    record: &CapabilityType,
    path: &Path,
) -> Result<ProvingKey, Failure> {
    let started = Instant::now();
    out::note(format_args!(
        "making the development proving key of {} (insecure, once per home) …",
        record.label()
    ));
    let (key, made) = dev_setup(circuit)?;
    if made != *record {
        let what = format!(
            "the chain's {} was not made from the published development seed",
            record.label()
        );
        let next = format!(
            "ask whoever wrote the genesis file for its proving key and put it at {}",
            path.display()
        );
        return Err(Failure::new(what, next));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|e| {
            Failure::new(
                format!("{}: {e}", directory.display()),
                "check that the home is yours",
            )
        })?;
    }
    write_bytes(path, &key.to_bytes(), Access::Public)?;
    out::note(format_args!(
        "… done in {:.1} s, kept in {}",
        started.elapsed().as_secs_f32(),
        path.display()
    ));
    Ok(key)
}

/// The development setup of a circuit.
///
/// # Errors
/// [`Failure`] if the circuit cannot be set up.
pub fn dev_setup(circuit: Arc<dyn Capability>) -> Result<(ProvingKey, CapabilityType), Failure> {
    setup_from(circuit, DEV_SETUP_SEED)
}

/// A single party's setup from a seed: whoever knows it can forge.
///
/// # Errors
/// [`Failure`] if the circuit cannot be set up.
pub fn setup_from(
    circuit: Arc<dyn Capability>,
    seed: [u8; 32],
) -> Result<(ProvingKey, CapabilityType), Failure> {
    setup(circuit, seed).map_err(|e| Failure::new(e.to_string(), "please report this"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proving_key_is_so_long_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("type.pk");
        assert_eq!(read_key_file(&path), Ok(None));
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(read_key_file(&path), Ok(Some(vec![0; 1 << 20])));
        file.set_len(MAX_KEY_FILE_BYTES + 1).unwrap();
        let refused = read_key_file(&path).unwrap_err();
        assert!(refused.what.contains("larger than 536870912"), "{refused}");
    }
}
