//! What is proven in a benchmark: real credentials of real circuits, each proof of a statement of its own.
//!
//! Keys follow from the run's seed: nothing here is secret, and nothing leaves the process.

use super::{Failure, progress::Progress};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tender_circuits::{
    Capability, Claim, ClaimField, ClaimSchema, Credential, FieldValue, IssuerIndex, IssuerMask,
    MerklePath, ProofBytes, ProvingKey, Registry, Rule, Statement, asset_of, context, holder_of,
    prove,
    prove::{Assigned, ProveError},
    setup, verify,
    verify::Engine,
};
use tender_wire::{
    AuctionId, ChainId, Digest, FieldBytes, PublicKey, SecretKey, Tag, UnixTime, hash,
};

/// Amount attested and claimed in every amount of a sample.
const AMOUNT: u32 = 1000;
/// When samples expire, and until when they are claimed to hold.
const EXPIRY: UnixTime = UnixTime(4_000_000_000);

/// A derived seed: one purpose, one run.
pub(super) fn derive(seed: &[u8; 32], purpose: &str, number: u64) -> [u8; 32] {
    hash(
        Tag::Seed,
        &[b"bench", seed, purpose.as_bytes(), &number.to_le_bytes()],
    )
    .0
}

/// A circuit with as many public amounts as asked for: to see what a public input costs.
pub(super) struct Amounts {
    name: String,
    fields: usize,
}

impl Amounts {
    pub(super) fn new(fields: usize) -> Self {
        Amounts {
            name: format!("amounts-{fields}"),
            fields,
        }
    }
}

impl Capability for Amounts {
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        let field = |index: usize| ClaimField {
            name: format!("amount_{index}"),
            unit: String::new(),
            labels: Vec::new(),
            rule: Rule::AtLeast { consumable: false },
        };
        ClaimSchema {
            fields: (0..self.fields).map(field).collect(),
        }
    }
}

/// A proof with its public inputs.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) inputs: Vec<FieldBytes>,
    pub(super) proof: ProofBytes,
}

/// A type set up for this run, and a credential to prove from.
pub(super) struct Subject {
    pub(super) key: Arc<ProvingKey>,
    pub(super) setup_time: Duration,
    credential: Credential,
    path: MerklePath,
    root: FieldBytes,
    claim: Claim,
    holder: PublicKey,
    seed: [u8; 32],
}

impl Subject {
    /// Sets a circuit up and has a sample machine attested for it.
    ///
    /// # Errors
    /// [`Failure`] if the circuit cannot be set up or has no sample.
    pub(super) fn set_up(capability: Arc<dyn Capability>, seed: [u8; 32]) -> Result<Self, Failure> {
        let began = Instant::now();
        let attributes = sample_of(&capability.attributes());
        let claim = sample_of(&capability.schema());
        let (key, _) = setup(capability.clone(), seed)
            .map_err(|e| Failure::new(e.to_string(), "please report this"))?;
        let setup_time = began.elapsed();
        Self::with_key(Arc::new(key), attributes, claim, setup_time, seed)
    }

    /// A sample for a key made elsewhere.
    ///
    /// # Errors
    /// [`Failure`], as for [`Self::set_up`].
    pub(super) fn of(key: Arc<ProvingKey>, capability: &dyn Capability) -> Result<Self, Failure> {
        let attributes = sample_of(&capability.attributes());
        let claim = sample_of(&capability.schema());
        Self::with_key(key, attributes, claim, Duration::ZERO, [0; 32])
    }

    fn with_key(
        key: Arc<ProvingKey>,
        attributes: Claim,
        claim: Claim,
        setup_time: Duration,
        seed: [u8; 32],
    ) -> Result<Self, Failure> {
        let record = key.capability_type();
        let unusable = |what: String| {
            let label = record.label();
            Failure::new(
                format!("no sample of {label} can be made: {what}"),
                "please report this",
            )
        };
        let holder = SecretKey::from_seed(&mut derive(&seed, "holder", 0)).public();
        let issuer = IssuerIndex::new(0).map_err(|e| unusable(e.to_string()))?;
        let credential = Credential {
            type_name: record.name.clone(),
            version: record.version,
            issuer,
            holder,
            asset: asset_of("bench"),
            attributes,
            expiry: EXPIRY,
            salt: FieldBytes([0; 32]),
        }
        .salted(&derive(&seed, "salt", 0));
        let mut registry = Registry::default();
        let index = registry.append(&credential.leaf()).ok();
        let path = index.and_then(|index| registry.path(index));
        Ok(Subject {
            path: path.ok_or_else(|| unusable("the registry is full".into()))?,
            root: registry.root(),
            key,
            setup_time,
            credential,
            claim,
            holder,
            seed,
        })
    }

    /// `name/vN`.
    pub(super) fn label(&self) -> String {
        self.key.capability_type().label()
    }

    /// Public inputs of its statements.
    pub(super) fn inputs(&self) -> usize {
        self.key.verifying_key().inputs()
    }

    /// The statement of this number: another bid, hence another `ctx`, for each.
    fn statement(&self, number: u64) -> Statement {
        let ciphertext = Digest(derive(&self.seed, "ciphertext", number));
        Statement {
            registry_root: self.root,
            holder: holder_of(&self.holder),
            ctx: context(
                &ChainId([1; 32]),
                &self.key.type_id(),
                &AuctionId([2; 32]),
                &self.holder,
                &self.credential.asset,
                0,
                &ciphertext,
            ),
            asset: self.credential.asset,
            valid_until: EXPIRY,
            issuers: IssuerMask(0b111),
            claim: self.claim.clone(),
        }
    }

    /// Proves the statement of this number.
    ///
    /// # Errors
    /// [`Failure`] with the prover's reason.
    pub(super) fn prove(&self, number: u64) -> Result<Sample, Failure> {
        let statement = self.statement(number);
        let seed = derive(&self.seed, "proof", number);
        let proof = prove(&self.key, &self.credential, &self.path, &statement, seed);
        Ok(Sample {
            inputs: statement.public_inputs(),
            proof: proof.map_err(|e| self.failure(&e))?,
        })
    }

    /// What [`Self::prove`] does, with an engine and with or without the key's tables: how long all of it took, and how long the proof alone.
    ///
    /// # Errors
    /// [`Failure`] with the prover's reason.
    pub(super) fn time(
        &self,
        number: u64,
        engine: Engine,
        tables: bool,
    ) -> Result<[Duration; 2], Failure> {
        let statement = self.statement(number);
        let seed = derive(&self.seed, "proof", number);
        let began = Instant::now();
        let assigned = Assigned::new(&self.key, &self.credential, &self.path, &statement, seed)
            .map_err(|e| self.failure(&e))?;
        let assigning = began.elapsed();
        let proof = assigned.create(engine, tables);
        let created = began.elapsed();
        verify(
            self.key.verifying_key(),
            &statement,
            &proof.map_err(|e| self.failure(&e))?,
        )
        .map_err(|e| self.failure(&ProveError::SelfCheck(e)))?;
        Ok([began.elapsed(), created.saturating_sub(assigning)])
    }

    fn failure(&self, error: &ProveError) -> Failure {
        Failure::new(format!("{}: {error}", self.label()), "please report this")
    }

    /// Proofs of the first statements, made on every core.
    ///
    /// # Errors
    /// [`Failure`], as for [`Self::prove`].
    pub(super) fn prove_many(
        &self,
        count: usize,
        progress: &Progress,
    ) -> Result<Vec<Sample>, Failure> {
        let one = |number: usize| {
            let sample = self.prove(number as u64);
            progress.step();
            sample
        };
        (0..count).into_par_iter().map(one).collect()
    }
}

/// Values of a schema that support themselves: attested and claimed alike.
fn sample_of(schema: &ClaimSchema) -> Claim {
    let value = |field: &ClaimField| match field.rule {
        Rule::AtLeast { .. } => FieldValue::Amount(AMOUNT),
        Rule::Within => FieldValue::Mask(1),
        Rule::HasAll => FieldValue::Mask(field.labelled_bits()),
        Rule::Equals => FieldValue::Exact(FieldBytes::from_u64(u64::from(AMOUNT))),
    };
    Claim(schema.fields.iter().map(value).collect())
}
