//! What a type record, a proving key file or a circuit is, as data: for people and tools who look at one.
//!
//! Nothing here decides anything: a chain checks a record with [`CapabilityType::check`], a prover loads a key with [`crate::ProvingKey::parse`].
//! Key files are judged by header, length and checksum alone; their points are not decoded.

use crate::{
    capability::{Capability, CapabilityType, Setup},
    circuit::shape,
    keys::{Header, ProvingKeyError, checksum, payload_bytes},
    r1cs::Shape,
    statement::PREFIX_INPUTS,
    types,
};
use serde::Serialize;
use std::sync::Arc;
use tender_wire::{Digest, TypeId};

/// Names of the public inputs before the claim, in order.
pub const PREFIX_NAMES: [&str; PREFIX_INPUTS] = [
    "registry_root",
    "holder",
    "ctx",
    "asset",
    "valid_until",
    "issuers",
];

/// A circuit of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitFacts {
    /// `name/vN`.
    pub label: String,
    /// Hash of its constraint matrices.
    pub r1cs_hash: Digest,
    /// Constraints.
    pub constraints: usize,
    /// Variables, the constant one and public inputs included.
    pub variables: usize,
    /// Public inputs.
    pub inputs: usize,
    /// Constraints by outermost scope, largest first: where its cost is.
    pub profile: Vec<(String, usize)>,
}

/// A capability type's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeFacts {
    /// `name/vN`.
    pub label: String,
    /// Its id: hash of the whole record.
    pub type_id: TypeId,
    /// Public inputs.
    pub inputs: usize,
    /// Hash of the circuit its keys were made for.
    pub r1cs_hash: Digest,
    /// SHA-256 of the verifying key.
    pub vk_sha256: Digest,
    /// Length of the verifying key in bytes.
    pub vk_bytes: usize,
    /// How its keys were made.
    pub setup: Setup,
    /// What that means for whoever relies on a proof.
    pub security: &'static str,
    /// Why a chain would refuse the record even where insecure setups are allowed.
    pub problem: Option<String>,
    /// This program's circuit of that name and version.
    pub circuit: Option<CircuitFacts>,
    /// Whether that is the circuit the keys were made for.
    pub circuit_matches: bool,
}

/// A proving key file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// The type it belongs to.
    pub type_id: TypeId,
    /// Hash of the circuit it was made for.
    pub r1cs_hash: Digest,
    /// Length of the key itself in bytes.
    pub payload_bytes: usize,
    /// SHA-256 of the key, as the header states it.
    pub payload_sha256: Digest,
    /// What is wrong with the file.
    pub problem: Option<String>,
    /// This program's circuit with that hash.
    pub circuit: Option<CircuitFacts>,
}

impl CircuitFacts {
    /// The facts of a circuit; writes all its constraints down once.
    pub fn of(circuit: &dyn Capability) -> Self {
        CircuitFacts::of_shape(circuit, &shape(circuit))
    }

    fn of_shape(circuit: &dyn Capability, shape: &Shape) -> Self {
        CircuitFacts {
            label: label(circuit),
            r1cs_hash: shape.hash(),
            constraints: shape.constraints(),
            variables: shape.variables,
            inputs: shape.inputs,
            profile: shape.profile(),
        }
    }
}

fn label(circuit: &dyn Capability) -> String {
    format!("{}/v{}", circuit.name(), circuit.version())
}

/// What a setup means for whoever relies on a proof.
pub fn security(setup: &Setup) -> &'static str {
    match setup {
        Setup::Dev => {
            "INSECURE: made by one party, who can forge proofs of anything; for development only"
        }
        Setup::Ceremony { .. } => {
            "a ceremony: sound if one contributor was honest and the transcript checks"
        }
    }
}

impl TypeFacts {
    /// The facts of a record.
    pub fn of(record: &CapabilityType) -> Self {
        let circuit = types::find(&record.name, record.version);
        let circuit = circuit.map(|circuit| CircuitFacts::of(&*circuit));
        TypeFacts {
            label: record.label(),
            type_id: record.id(),
            inputs: record.inputs(),
            r1cs_hash: record.r1cs_hash,
            vk_sha256: sha256(&record.vk),
            vk_bytes: record.vk.len(),
            security: security(&record.setup),
            setup: record.setup.clone(),
            problem: record.check(true).err().map(|e| e.to_string()),
            circuit_matches: circuit
                .as_ref()
                .is_some_and(|c| c.r1cs_hash == record.r1cs_hash),
            circuit,
        }
    }
}

impl KeyFacts {
    /// The facts of a proving key file.
    ///
    /// # Errors
    /// [`ProvingKeyError::NotAKeyFile`].
    pub fn of(bytes: &[u8]) -> Result<Self, ProvingKeyError> {
        let header = Header::parse(bytes)?;
        let built = |circuit: Arc<dyn Capability>| {
            let shape = shape(&*circuit);
            let facts = CircuitFacts::of_shape(&*circuit, &shape);
            (facts.r1cs_hash == header.r1cs_hash).then(|| (facts, payload_bytes(&shape)))
        };
        let known = types::all().into_iter().find_map(built);
        let found = header.payload.len();
        let expected = match &known {
            Some((_, expected)) => *expected,
            None => usize::try_from(header.length).unwrap_or(usize::MAX),
        };
        let problem = if found != expected || header.length != found as u64 {
            Some(ProvingKeyError::Length { expected, found })
        } else if checksum(header.payload) != header.checksum {
            Some(ProvingKeyError::Checksum)
        } else {
            None
        };
        Ok(KeyFacts {
            type_id: header.type_id,
            r1cs_hash: header.r1cs_hash,
            payload_bytes: found,
            payload_sha256: Digest(header.checksum),
            problem: problem.map(|p| p.to_string()),
            circuit: known.map(|(facts, _)| facts),
        })
    }
}

/// SHA-256 of a key's bytes, as [`TypeFacts`] gives it.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(checksum(bytes))
}

/// Whether the bytes begin as a proving key file does.
pub fn is_key_file(bytes: &[u8]) -> bool {
    bytes.starts_with(crate::keys::MAGIC)
}
