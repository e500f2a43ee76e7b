//! A whole market in memory, without network or consensus: for tests, examples and demonstrations.
//!
//! Keys, credentials, proofs, sealing and execution are real; only agreement is left out: [`Scenario::step`] proposes a block, executes
//! it as every peer would, and goes on. Everybody's keys follow from their names ([`key`]), and the proving keys from a fixed seed:
//! **nothing here is secret**.
//!
//! ```text
//!  attest / issue ──▶ open ──▶ step … ──▶ bid (seal, prove, sign) ──▶ submit ──▶ step … ──▶ outcome records
//! ```

// A scenario is written by its author: what fails here is a mistake in it, and stopping there is the point.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use crate::{
    bid::{Bid, BidContent, ClassSlots},
    genesis::{Genesis, GenesisValidator, Issuer, Openers, VERSION},
    market::{BlockOutcome, Draft, ExecutionError, Market, MarketState, Phase, Refusal, duties},
    outcome::OutcomeRecord,
    seal::{BidBody, SealSeed},
    task::{AcceptedKinds, AuctionSpec, Class, Requirement, Task, Windows, auction_id},
    transaction::{Action, SignedTx, Transaction},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use tender_circuits::ProofBytes;
use tender_circuits::{
    Attestation, CapabilityType, Claim, Credential, Evidence, IssuerIndex, IssuerMask, NamedValue,
    ProofEvidence, ProvingKey, asset_of,
    prove::{ProveError, prove},
    resources, score, setup,
};
use tender_consensus::{
    application::{Application, BlockContext, Executed, Payload},
    evidence::Evidence as Equivocation,
    params::Params,
    tx::TxBytes,
};
use tender_wire::{
    AuctionId, BlockId, Digest, FieldBytes, Power, Price, SecretKey, Signature, Tag, TimeMs,
    UnixTime, hash,
};

/// Time of block 0 in every scenario: 2026-01-01.
pub const START: TimeMs = TimeMs(1_767_225_600_000);
/// Credentials and attestations of a scenario hold until then: ten years later.
pub const EXPIRY: UnixTime = UnixTime(2_082_758_400);
/// Names of the validators.
pub const VALIDATORS: [&str; 4] = ["validator-0", "validator-1", "validator-2", "validator-3"];
/// Names of the issuers, by index.
pub const ISSUERS: [&str; 3] = ["issuer-0", "issuer-1", "issuer-2"];
/// Who opens auctions.
pub const OPENER: &str = "opener";

/// The key of a name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&mut hash(Tag::Seed, &[b"scenario key", name.as_bytes()]).0)
}

/// The seal seed of a name.
pub fn seal_seed(name: &str) -> SealSeed {
    SealSeed::from_bytes(&mut hash(Tag::Seed, &[b"scenario seal", name.as_bytes()]).0)
}

/// Proving key and record of `resources/v1`, made once per process (about a second).
pub fn resources_keys() -> &'static (ProvingKey, CapabilityType) {
    static KEYS: OnceLock<(ProvingKey, CapabilityType)> = OnceLock::new();
    KEYS.get_or_init(|| {
        setup(Arc::new(resources::Resources), [7; 32]).expect("resources/v1 sets up")
    })
}

/// Proving key and record of `score/v1`, made once per process.
pub fn score_keys() -> &'static (ProvingKey, CapabilityType) {
    static KEYS: OnceLock<(ProvingKey, CapabilityType)> = OnceLock::new();
    KEYS.get_or_init(|| setup(Arc::new(score::Score), [7; 32]).expect("score/v1 sets up"))
}

/// A claim, requirement or attributes of `score/v1`.
pub fn points(suite: &str, points: u64) -> Claim {
    let named = [
        ("suite".to_owned(), NamedValue::Text(suite.to_owned())),
        ("score".to_owned(), NamedValue::Number(points)),
    ];
    score::schema()
        .claim_from_named(&named.into())
        .expect("a suite and a score")
}

/// A claim (or requirement) of `resources/v1` with these amounts, asking nothing else.
pub fn amounts(named: &[(&str, u64)]) -> Claim {
    let named: BTreeMap<_, _> = named
        .iter()
        .map(|(name, n)| ((*name).to_owned(), NamedValue::Number(*n)))
        .collect();
    resources::schema()
        .claim_from_named(&named)
        .expect("known fields")
}

/// Attested attributes of `resources/v1`: these amounts, an A100 in eu-west.
pub fn attributes(named: &[(&str, u64)]) -> Claim {
    let mut named: BTreeMap<_, _> = named
        .iter()
        .map(|(name, n)| ((*name).to_owned(), NamedValue::Number(*n)))
        .collect();
    for (name, label) in [("gpu_model", "A100"), ("region", "eu-west")] {
        named.insert(name.to_owned(), NamedValue::Text(label.to_owned()));
    }
    resources::schema()
        .attributes_from_named(&named)
        .expect("known fields")
}

/// Four validators of equal power, three issuers, anyone opens, `resources/v1` with its insecure setup.
pub fn genesis() -> Genesis {
    let mut validators: Vec<_> = VALIDATORS
        .iter()
        .map(|name| GenesisValidator {
            name: (*name).to_owned(),
            key: key(name).public(),
            power: Power(10),
        })
        .collect();
    validators.sort_by_key(|validator| validator.key);
    Genesis {
        version: VERSION,
        name: "scenario".into(),
        time: START,
        consensus: Params::default(),
        allow_insecure_setup: true,
        validators,
        issuers: ISSUERS
            .iter()
            .map(|name| Issuer {
                name: (*name).to_owned(),
                key: key(name).public(),
                quota: 1_000,
            })
            .collect(),
        openers: Openers::Any,
        types: vec![resources_keys().1.clone()],
        open_budget: 65_536,
    }
}

/// A class that requires these amounts of `resources/v1`, from any issuer, by either kind of evidence.
pub fn class(name: &str, required: &[(&str, u64)]) -> Class {
    Class {
        name: name.into(),
        requirements: vec![Requirement {
            type_id: resources_keys().1.id(),
            requirement: amounts(required),
            issuers: IssuerMask(0b111),
            kinds: AcceptedKinds {
                proof: true,
                attestation: true,
            },
            min_issuers: 1,
        }],
        bonuses: Vec::new(),
    }
}

/// A task of a class.
pub fn task(name: &str, class: u16, reserve: u64, quantity: u32) -> Task {
    let spec = hash(Tag::TaskSpec, &[name.as_bytes()]);
    Task {
        name: name.into(),
        class,
        reserve: Price(reserve),
        quantity,
        spec,
    }
}

/// An auction with short windows, whose leases end an hour after the start.
pub fn spec(classes: Vec<Class>, tasks: Vec<Task>) -> AuctionSpec {
    AuctionSpec {
        title: "a scenario".into(),
        classes,
        tasks,
        payment: crate::clearing::PaymentRule::Vcg,
        windows: Windows {
            keys: 4,
            bidding: 5,
            reveal: 4,
            accept: 4,
        },
        lease_end: UnixTime(START.seconds().0.saturating_add(3600)),
        max_entries: 8,
    }
}

/// A block that was executed.
#[derive(Clone)]
pub struct Block {
    /// State before it.
    pub parent: MarketState,
    /// What it was executed in.
    pub context: BlockContext,
    /// Transactions and witnesses.
    pub payload: Payload,
    /// What it brought about.
    pub executed: Executed<MarketState, BlockOutcome>,
}

/// A market, its committed state, and what waits for the next block.
#[derive(Clone)]
pub struct Scenario {
    /// The market.
    pub market: Arc<Market>,
    /// Committed state.
    pub state: MarketState,
    /// Id of the last block.
    pub tip: BlockId,
    /// Blocks so far.
    pub blocks: Vec<Block>,
    /// Validators that post neither keys nor reveals.
    pub silent: BTreeSet<&'static str>,
    pool: Vec<TxBytes>,
}

/// What an agent bids, and shows for it.
#[derive(Clone)]
pub struct Plan<'a> {
    /// The auction.
    pub auction: AuctionId,
    /// The agent's name.
    pub agent: &'a str,
    /// The machine's serial.
    pub machine: &'a str,
    /// Rank among the agent's bids for the machine in this auction.
    pub sequence: u32,
    /// (class, slots), sorted.
    pub slots: &'a [(u16, u32)],
    /// (task, price), sorted.
    pub entries: &'a [(u32, u64)],
    /// What is claimed.
    pub claim: Claim,
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario::new(genesis())
    }
}

impl Scenario {
    /// The scenario of a genesis document.
    pub fn new(genesis: Genesis) -> Self {
        let market = Market::new(genesis).expect("the genesis is sound");
        Scenario {
            state: market.initial_state().clone(),
            market: Arc::new(market),
            tip: BlockId::ZERO,
            blocks: Vec::new(),
            silent: BTreeSet::new(),
            pool: Vec::new(),
        }
    }

    /// Whether a transaction would apply in the next block.
    ///
    /// # Errors
    /// [`Refusal`], if it would not.
    pub fn predict(&self, tx: &Transaction) -> Result<(), Refusal> {
        self.market.predict(&self.state, tx)
    }

    /// Puts a transaction among the candidates for the next block, whatever it is.
    pub fn submit(&mut self, tx: &Transaction) {
        self.pool
            .push(TxBytes::new(tx.to_bytes()).expect("within the cap"));
    }

    /// Signs an action with the next sequence number its signer has not used.
    pub fn sign(&self, signer: &str, action: Action) -> Transaction {
        let key = key(signer);
        let public = key.public();
        let decoded = self
            .pool
            .iter()
            .filter_map(|tx| Transaction::from_bytes(tx.bytes()).ok());
        let waiting = decoded
            .filter(|tx| matches!(tx, Transaction::Signed(tx) if tx.signer == public))
            .count();
        let sequence = self
            .state
            .next_sequence(&public)
            .saturating_add(waiting as u64);
        Transaction::Signed(Box::new(SignedTx::new(
            &self.state.chain(),
            &key,
            sequence,
            action,
        )))
    }

    /// Submits an action of a signer.
    pub fn act(&mut self, signer: &str, action: Action) {
        let tx = self.sign(signer, action);
        self.submit(&tx);
    }

    /// What the next block is executed in.
    pub fn context(&self) -> BlockContext {
        let next = self.state.next_clock();
        BlockContext {
            chain: self.state.chain(),
            height: next.height,
            time: next.time,
            parent: self.tip,
            evidence: Vec::new(),
            validators: Arc::new(self.state.validators().clone()),
            params: Arc::new(self.market.genesis().consensus.clone()),
        }
    }

    /// The next block, with what the members owe and everything submitted that applies.
    pub fn step(&mut self) -> &BlockOutcome {
        self.step_in(self.context())
    }

    /// [`Scenario::step`] with evidence against validators.
    pub fn step_with(&mut self, evidence: Vec<Equivocation>) -> &BlockOutcome {
        let mut context = self.context();
        context.evidence = evidence;
        self.step_in(context)
    }

    /// [`Scenario::step`] at a later time than the earliest.
    pub fn step_at(&mut self, time: TimeMs) -> &BlockOutcome {
        let mut context = self.context();
        context.time = time;
        self.step_in(context)
    }

    fn step_in(&mut self, context: BlockContext) -> &BlockOutcome {
        self.market.prepare(&self.state);
        for tx in self.duties() {
            self.submit(&tx);
        }
        let payload = self.market.propose(&self.state, &context, &self.pool);
        let block = self
            .execute(context, payload)
            .expect("what is proposed executes");
        self.pool.clear();
        self.commit(block)
    }

    /// Keys and reveals that members owe and are willing to post.
    pub fn duties(&self) -> Vec<Transaction> {
        let willing = VALIDATORS
            .iter()
            .filter(|name| !self.silent.contains(*name));
        willing
            .flat_map(|name| duties(&self.state, self.tip, &key(name), &seal_seed(name)))
            .collect()
    }

    /// Executes a payload as every peer would, without committing it.
    ///
    /// # Errors
    /// [`ExecutionError`].
    pub fn execute(
        &self,
        context: BlockContext,
        payload: Payload,
    ) -> Result<Block, ExecutionError> {
        let executed = self.market.execute(&self.state, &context, &payload)?;
        Ok(Block {
            parent: self.state.clone(),
            context,
            payload,
            executed,
        })
    }

    /// Goes on from a block that was executed.
    pub fn commit(&mut self, block: Block) -> &BlockOutcome {
        let root: Digest = block.executed.state_root;
        // Not a real block id: there is no header here. Unique, and bound to the history through the state root.
        let height = block.context.height.0.to_le_bytes();
        self.tip = hash(Tag::Block, &[self.tip.as_ref(), root.as_ref(), &height]).into();
        self.state = block.executed.state.clone();
        self.blocks.push(block);
        &self.blocks.last().expect("just pushed").executed.outcome
    }

    /// Steps until the auction is in a phase that fits, or gone; at most 64 blocks.
    pub fn step_until(&mut self, auction: &AuctionId, fits: impl Fn(&Phase) -> bool) {
        for _ in 0..64 {
            match self.state.auction(auction) {
                Some(auction) if !fits(&auction.phase) => {
                    self.step();
                }
                _ => return,
            }
        }
        panic!("auction {auction} never got there");
    }

    /// Opens an auction and steps until its bidding window runs.
    pub fn open(&mut self, spec: AuctionSpec) -> AuctionId {
        let opener = key(OPENER).public();
        let id = auction_id(
            &self.state.chain(),
            &opener,
            self.state.next_sequence(&opener),
        );
        self.act(OPENER, Action::OpenAuction(Box::new(spec)));
        self.step();
        assert!(self.state.auction(&id).is_some(), "the auction was refused");
        self.step_until(&id, |phase| !matches!(phase, Phase::Keys { .. }));
        id
    }

    /// Steps until the auction has cleared or is gone.
    pub fn clear(&mut self, auction: &AuctionId) {
        self.step_until(auction, |phase| matches!(phase, Phase::Settled { .. }));
    }

    /// Every outcome record so far, in order of blocks.
    pub fn records(&self) -> impl Iterator<Item = &OutcomeRecord> {
        self.blocks
            .iter()
            .flat_map(|block| block.executed.outcome.records.iter())
    }

    /// Puts a credential on chain: the issuer at `issuer` attests these attributes of a machine to an agent.
    pub fn issue(
        &mut self,
        issuer: u8,
        agent: &str,
        machine: &str,
        attributes: Claim,
    ) -> Credential {
        self.issue_of(&resources_keys().1, issuer, agent, machine, attributes)
    }

    /// [`Scenario::issue`], of any type.
    pub fn issue_of(
        &mut self,
        record: &CapabilityType,
        issuer: u8,
        agent: &str,
        machine: &str,
        attributes: Claim,
    ) -> Credential {
        let credential = Credential {
            type_name: record.name.clone(),
            version: record.version,
            issuer: IssuerIndex::new(issuer).expect("below 64"),
            holder: key(agent).public(),
            asset: asset_of(machine),
            attributes,
            expiry: EXPIRY,
            salt: FieldBytes([0; 32]),
        }
        .salted(&[9; 32]);
        let (commitment, asset) = (credential.commitment(), credential.asset);
        self.act(
            ISSUERS.get(usize::from(issuer)).expect("an issuer"),
            Action::Issue { commitment, asset },
        );
        self.step();
        credential
    }

    /// A signed attestation of a claim.
    pub fn attest(
        &self,
        issuer: u8,
        agent: &str,
        machine: &str,
        claim: Claim,
        serial: u64,
    ) -> Attestation {
        let name = ISSUERS.get(usize::from(issuer)).expect("an issuer");
        Attestation {
            issuer: IssuerIndex::new(issuer).expect("below 64"),
            holder: key(agent).public(),
            asset: asset_of(machine),
            type_id: resources_keys().1.id(),
            claim,
            not_before: UnixTime(0),
            not_after: EXPIRY,
            serial,
            signature: Signature([0; 64]),
        }
        .signed(&self.state.chain(), &key(name))
    }

    /// A bid's content with its sealed part, without evidence. The salt and the seed follow from the plan.
    pub fn seal(&self, plan: &Plan<'_>) -> BidContent {
        let label = tender_wire::encode(&(
            plan.auction,
            plan.agent,
            plan.machine,
            plan.sequence,
            plan.entries,
        ));
        let body = BidBody {
            salt: hash(Tag::Seed, &[b"scenario salt", &label]).0,
            entries: plan
                .entries
                .iter()
                .map(|(task, price)| (*task, Price(*price)))
                .collect(),
        };
        let auction = self.state.auction(&plan.auction).expect("an auction");
        let seed = hash(Tag::Seed, &[b"scenario bid", &label]).0;
        auction
            .seal(&self.state.chain(), plan.draft(), &body, seed)
            .expect("the plan can be sealed")
    }

    /// A proof for this content, from a credential under the current root, in the name of its issuer alone.
    ///
    /// # Errors
    /// [`ProveError`] if the credential does not support the claim.
    pub fn prove(
        &self,
        content: &BidContent,
        credential: &Credential,
        claim: &Claim,
    ) -> Result<Evidence, ProveError> {
        let (leaf, _) = self
            .state
            .find_leaf(&credential.leaf())
            .ok_or(ProveError::NotRegistered)?;
        let path = self
            .state
            .registry_path(leaf)
            .ok_or(ProveError::NotRegistered)?;
        let auction = self.state.auction(&content.auction).expect("an auction");
        let (root, _) = self.state.good_root().expect("there is a root");
        let (key, record) = match credential.type_name.as_str() {
            "score" => score_keys(),
            _ => resources_keys(),
        };
        let mut evidence = ProofEvidence {
            type_id: record.id(),
            registry_root: root,
            asset: credential.asset,
            issuers: IssuerMask::default().with(credential.issuer),
            claim: claim.clone(),
            proof: ProofBytes([0; 128]),
        };
        let statement =
            content.statement_of(&self.state.chain(), &evidence, auction.spec.lease_end);
        evidence.proof = prove(key, credential, &path, &statement, [5; 32])?;
        Ok(Evidence::Proof(evidence))
    }

    /// A signed bid that shows one proof.
    pub fn bid(&self, plan: &Plan<'_>, credential: &Credential) -> Bid {
        let mut content = self.seal(plan);
        content.evidences = vec![
            self.prove(&content, credential, &plan.claim)
                .expect("the claim is attested"),
        ];
        content.sign(&self.state.chain(), &key(plan.agent))
    }

    /// A signed bid that shows attestations.
    pub fn attested_bid(&self, plan: &Plan<'_>, attestations: &[Attestation]) -> Bid {
        let mut content = self.seal(plan);
        content.evidences = attestations
            .iter()
            .cloned()
            .map(Evidence::Attestation)
            .collect();
        content.sign(&self.state.chain(), &key(plan.agent))
    }

    /// Submits a bid.
    pub fn submit_bid(&mut self, bid: &Bid) {
        self.submit(&Transaction::Bid(Box::new(bid.clone())));
    }
}

impl Plan<'_> {
    /// The public part.
    pub fn draft(&self) -> Draft {
        Draft {
            bidder: key(self.agent).public(),
            asset: asset_of(self.machine),
            sequence: self.sequence,
            slots: self
                .slots
                .iter()
                .map(|(class, slots)| ClassSlots {
                    class: *class,
                    slots: *slots,
                })
                .collect(),
        }
    }
}
