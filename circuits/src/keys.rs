//! Proving keys: made by a setup, kept in a file, checked when loaded.
//!
//! ```text
//!  offset  bytes  what
//!       0      8  "TENDERPK"
//!       8      2  version of this layout, 1
//!      10     32  type id
//!      42     32  r1cs hash
//!      74      8  length of the payload
//!      82     32  SHA-256 of the payload
//!     114      …  payload: arkworks' uncompressed proving key
//! ```
//!
//! Integers are little-endian. Loading checks, in this order: header, type id, circuit hash, exact length, payload hash, every point,
//! the sizes of every list, canonical form, and that the verifying key inside is the type's. A
//! wrong key could otherwise yield proofs that leak the witness. Bound: the payload's length follows from the circuit.

use crate::{
    capability::{Capability, CapabilityType, Setup},
    circuit,
    prover::Prepared,
    r1cs::{MAX_CONSTRAINTS, Shape},
    verify::{Engine, KeyError, VerifyingKey, single::key_bytes},
};
use ark_bn254::Bn254;
use ark_groth16::Groth16;
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;
use tender_wire::{Digest, Tag, TypeId, hash};

pub(crate) const MAGIC: &[u8; 8] = b"TENDERPK";
const VERSION: u16 = 1;
/// Length of the header in bytes.
pub const HEADER_BYTES: usize = 114;

/// Why a setup failed or a key file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvingKeyError {
    /// Not a proving key file, or one of another layout version.
    #[error("not a proving key file of layout version {VERSION}")]
    NotAKeyFile,
    /// The key of another type (or another setup of the same type).
    #[error(
        "this proving key is for type {found}, not {expected}: run the setup for this type or fetch its key"
    )]
    WrongType {
        /// The type at hand.
        expected: TypeId,
        /// The file's.
        found: TypeId,
    },
    /// The circuit in this program is not the one the type was registered with.
    #[error("{label}: this program's circuit ({built}) is not the registered one ({registered})")]
    WrongCircuit {
        /// `name/vN` of the type.
        label: String,
        /// Hash of the program's circuit.
        built: Digest,
        /// The hash in the type's record, or in the key file.
        registered: Digest,
    },
    /// The payload is not as long as this circuit's key is.
    #[error("the key is {found} bytes long, this circuit's is {expected}")]
    Length {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The payload does not hash to what the header says: the file is damaged.
    #[error("the key file is damaged: its payload does not match its checksum")]
    Checksum,
    /// The payload is not a canonical proving key of this circuit.
    #[error("the payload is not a proving key of this circuit")]
    Malformed,
    /// The verifying key inside is not the type's.
    #[error("the verifying key inside is not the type's")]
    WrongVerifyingKey,
    /// The type's verifying key is refused.
    #[error("verifying key: {0}")]
    VerifyingKey(#[from] KeyError),
    /// The circuit is too large to set up.
    #[error("the circuit has {0} constraints, at most {MAX_CONSTRAINTS} are supported")]
    TooLarge(usize),
    /// arkworks could not make the keys.
    #[error("the setup failed: {0}")]
    Setup(String),
}

/// A proving key with its circuit and type. Large: share it behind an `Arc`.
pub struct ProvingKey {
    pub(crate) capability: Arc<dyn Capability>,
    pub(crate) record: CapabilityType,
    pub(crate) shape: Shape,
    pub(crate) verifying: VerifyingKey,
    pub(crate) inner: ark_groth16::ProvingKey<Bn254>,
    pub(crate) prepared: Prepared,
}

impl std::fmt::Debug for ProvingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvingKey")
            .field("type", &self.record.label())
            .field("constraints", &self.constraints())
            .finish_non_exhaustive()
    }
}

/// Makes the keys of a capability by a single party: **insecure**, whoever knows `seed` can forge. Takes about a second of all cores
/// for 7,000 constraints.
///
/// # Errors
/// [`ProvingKeyError::TooLarge`] or [`ProvingKeyError::Setup`].
pub fn setup(
    capability: Arc<dyn Capability>,
    seed: [u8; 32],
) -> Result<(ProvingKey, CapabilityType), ProvingKeyError> {
    let shape = circuit::shape(&*capability);
    if shape.constraints() > MAX_CONSTRAINTS {
        return Err(ProvingKeyError::TooLarge(shape.constraints()));
    }
    let mut rng = rng(b"dev setup", &[&seed]);
    let inner = Groth16::<Bn254>::generate_random_parameters_with_reduction(&shape, &mut rng)
        .map_err(|e| ProvingKeyError::Setup(e.to_string()))?;
    let record = CapabilityType {
        name: capability.name().to_owned(),
        version: capability.version(),
        schema: capability.schema(),
        vk: key_bytes(&inner.vk),
        r1cs_hash: shape.hash(),
        setup: Setup::Dev,
    };
    let key = ProvingKey {
        verifying: record.verifying_key()?,
        capability,
        record: record.clone(),
        shape,
        inner,
        prepared: Prepared::default(),
    };
    Ok((key, record))
}

/// A generator for one purpose, from secret parts.
pub(crate) fn rng(purpose: &[u8], parts: &[&[u8]]) -> ChaCha20Rng {
    let parts: Vec<&[u8]> = [purpose].into_iter().chain(parts.iter().copied()).collect();
    ChaCha20Rng::from_seed(hash(Tag::Seed, &parts).0)
}

impl ProvingKey {
    /// The key file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let payload = payload(&self.inner);
        let mut out = Vec::with_capacity(payload.len().saturating_add(HEADER_BYTES));
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.record.id().0);
        out.extend(self.record.r1cs_hash.0);
        out.extend((payload.len() as u64).to_le_bytes());
        out.extend(checksum(&payload));
        out.extend(payload);
        out
    }

    /// Reads a key file for a registered type, with the circuit that proves it.
    ///
    /// # Errors
    /// [`ProvingKeyError`]: the first check that fails.
    pub fn parse(
        bytes: &[u8],
        capability: Arc<dyn Capability>,
        record: &CapabilityType,
    ) -> Result<Self, ProvingKeyError> {
        let header = Header::parse(bytes)?;
        if header.type_id != record.id() {
            return Err(ProvingKeyError::WrongType {
                expected: record.id(),
                found: header.type_id,
            });
        }
        let shape = circuit::shape(&*capability);
        let built = shape.hash();
        for registered in [record.r1cs_hash, header.r1cs_hash] {
            if registered != built {
                return Err(ProvingKeyError::WrongCircuit {
                    label: record.label(),
                    built,
                    registered,
                });
            }
        }
        let expected = payload_bytes(&shape);
        let found = header.payload.len();
        if found != expected || header.length != expected as u64 {
            return Err(ProvingKeyError::Length { expected, found });
        }
        if checksum(header.payload) != header.checksum {
            return Err(ProvingKeyError::Checksum);
        }
        let inner = ark_groth16::ProvingKey::<Bn254>::deserialize_uncompressed(header.payload)
            .map_err(|_| ProvingKeyError::Malformed)?;
        if !has_sizes(&inner, &shape) || payload(&inner) != header.payload {
            return Err(ProvingKeyError::Malformed);
        }
        if key_bytes(&inner.vk) != record.vk {
            return Err(ProvingKeyError::WrongVerifyingKey);
        }
        Ok(ProvingKey {
            verifying: record.verifying_key()?,
            capability,
            record: record.clone(),
            shape,
            inner,
            prepared: Prepared::default(),
        })
    }

    /// Makes tables of the key's points for an engine, if it has none yet: proving takes some three quarters of the time then. For who makes
    /// dozens of proofs, for it takes as long as ten. Returns the bytes taken, 41 MB for `resources/v1`: 0 where an engine uses no tables, and
    /// where they would take more than 256 MiB.
    pub fn prepare(&self, engine: Engine) -> usize {
        self.prepared.prepare(&self.inner, engine)
    }

    /// The type's record.
    pub fn capability_type(&self) -> &CapabilityType {
        &self.record
    }

    /// The type's id.
    pub fn type_id(&self) -> TypeId {
        self.record.id()
    }

    /// The verifying key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Shape of the attributes that credentials of this type carry.
    pub fn attributes(&self) -> crate::schema::ClaimSchema {
        self.capability.attributes()
    }

    /// Constraints of the circuit.
    pub fn constraints(&self) -> usize {
        self.shape.constraints()
    }

    /// Constraints per outermost scope, largest first: where a circuit's cost is.
    pub fn profile(&self) -> Vec<(String, usize)> {
        self.shape.profile()
    }
}

/// A key file, taken apart.
pub(crate) struct Header<'a> {
    pub(crate) type_id: TypeId,
    pub(crate) r1cs_hash: Digest,
    pub(crate) length: u64,
    pub(crate) checksum: [u8; 32],
    pub(crate) payload: &'a [u8],
}

impl<'a> Header<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ProvingKeyError> {
        fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], ProvingKeyError> {
            let (head, tail) = rest
                .split_first_chunk()
                .ok_or(ProvingKeyError::NotAKeyFile)?;
            *rest = tail;
            Ok(head)
        }
        let mut rest = bytes;
        if take(&mut rest)? != MAGIC || u16::from_le_bytes(*take(&mut rest)?) != VERSION {
            return Err(ProvingKeyError::NotAKeyFile);
        }
        Ok(Header {
            type_id: TypeId(*take(&mut rest)?),
            r1cs_hash: Digest(*take(&mut rest)?),
            length: u64::from_le_bytes(*take(&mut rest)?),
            checksum: *take(&mut rest)?,
            payload: rest,
        })
    }
}

fn payload(key: &ark_groth16::ProvingKey<Bn254>) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.uncompressed_size());
    let _ = key.serialize_uncompressed(&mut out); // writing to memory does not fail
    out
}

pub(crate) fn checksum(payload: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(payload).into()
}

/// `(inputs with the constant one, variables, points of the quotient)`.
pub(crate) fn sizes(shape: &Shape) -> (usize, usize, usize) {
    let inputs = shape.inputs.saturating_add(1);
    let rows = shape.constraints().saturating_add(inputs);
    let domain = Radix2EvaluationDomain::<ark_bn254::Fr>::compute_size_of_domain(rows);
    let quotient = domain.unwrap_or(0).saturating_sub(1);
    (inputs, shape.variables, quotient)
}

fn has_sizes(key: &ark_groth16::ProvingKey<Bn254>, shape: &Shape) -> bool {
    let (inputs, variables, quotient) = sizes(shape);
    key.vk.gamma_abc_g1.len() == inputs
        && key.a_query.len() == variables
        && key.b_g1_query.len() == variables
        && key.b_g2_query.len() == variables
        && key.h_query.len() == quotient
        && key.l_query.len() == variables.saturating_sub(inputs)
}

/// Length of the uncompressed key of a circuit: 64 bytes per G1 point, 128 per G2 point, 8 per list.
pub(crate) fn payload_bytes(shape: &Shape) -> usize {
    let (inputs, variables, quotient) = sizes(shape);
    let g1 = [
        3,
        inputs,
        variables,
        variables,
        quotient,
        variables.saturating_sub(inputs),
    ];
    let g2 = variables.saturating_add(3);
    g1.iter()
        .map(|n| n.saturating_mul(64))
        .fold(g2.saturating_mul(128), usize::saturating_add)
        .saturating_add(6 * 8)
}
