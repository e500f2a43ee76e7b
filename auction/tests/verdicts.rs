//! A proof is verified once: when its bid arrives, or with those of many blocks before they are executed. Executing them only looks verdicts up, and no verdict is
//! another for it, whichever engine gives them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};
use tender_auction::{
    bid::Bid,
    market::{Market, MarketState, ProofClaim, ProofVerifier, RememberingVerifier},
    scenario::{Plan, Scenario, amounts, attributes, class, genesis, key, spec, task},
    transaction::Transaction,
};
use tender_circuits::{
    Evidence, ProofBytes,
    verify::{Engine, VerifyError},
};
use tender_consensus::{
    application::{Application, Payload},
    tx::TxBytes,
};

const AGENTS: [&str; 3] = ["ann", "ben", "cho"];

/// The real verifier, counting how often its engine has something to do.
struct Counting {
    real: RememberingVerifier,
    batches: AtomicUsize,
}

impl Counting {
    fn count<T>(&self, ask: impl FnOnce() -> T) -> T {
        let before = self.real.verified();
        let answer = ask();
        if self.real.verified() > before {
            self.batches.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Proofs verified, and in how many batches.
    fn cost(&self) -> (u64, usize) {
        (self.real.verified(), self.batches.load(Ordering::Relaxed))
    }
}

impl ProofVerifier for Counting {
    fn verify(&self, claim: &ProofClaim) -> Result<(), VerifyError> {
        self.count(|| self.real.verify(claim))
    }

    fn verify_all(&self, claims: &[&ProofClaim]) -> Vec<Result<(), VerifyError>> {
        self.count(|| self.real.verify_all(claims))
    }

    fn together(&self) -> usize {
        self.real.together()
    }
}

fn engines() -> impl Iterator<Item = Engine> {
    Engine::ALL.into_iter().filter(|it| it.is_available())
}

/// A market that has seen nothing, and its verifier.
fn newcomer(engine: Engine) -> (Market, Arc<Counting>) {
    let verifier = Arc::new(Counting {
        real: RememberingVerifier::new(engine, [7; 32]),
        batches: AtomicUsize::new(0),
    });
    let judge: Arc<dyn ProofVerifier> = Arc::clone(&verifier) as _;
    (Market::with_verifier(genesis(), judge).unwrap(), verifier)
}

/// A history from the first block on, in which two auctions are opened one after the other and every agent bids in each.
fn history() -> &'static (Scenario, Vec<Bid>) {
    static HISTORY: OnceLock<(Scenario, Vec<Bid>)> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let mut scenario = Scenario::default();
        let attested = attributes(&[("cpu_milli", 8_000)]);
        let credentials: Vec<_> = (AGENTS.iter())
            .map(|agent| scenario.issue(0, agent, agent, attested.clone()))
            .collect();
        let mut bids = Vec::new();
        for _ in 0..2 {
            let auction = scenario.open(spec(
                vec![class("small", &[("cpu_milli", 1_000)])],
                vec![task("a", 0, 100, 1)],
            ));
            for (agent, credential) in AGENTS.iter().zip(&credentials) {
                let plan = Plan {
                    auction,
                    agent,
                    machine: agent,
                    sequence: 0,
                    slots: &[(0, 1)],
                    entries: &[(0, 10)],
                    claim: amounts(&[("cpu_milli", 1_000)]),
                };
                let bid = scenario.bid(&plan, credential);
                scenario.submit_bid(&bid);
                bids.push(bid);
            }
            scenario.step();
        }
        let held: usize = scenario.blocks.iter().map(bids_of).sum();
        assert_eq!(held, bids.len(), "every bid is in a block");
        (scenario, bids)
    })
}

fn is_bid(tx: &TxBytes) -> bool {
    matches!(Transaction::from_bytes(tx.bytes()), Ok(Transaction::Bid(_)))
}

fn bids_of(block: &tender_auction::scenario::Block) -> usize {
    let transactions = block.payload.transactions.iter();
    transactions.filter(|tx| is_bid(tx)).count()
}

/// T26: whatever came by gossip or through the API costs the block that holds it a lookup; what did not is verified in one batch.
#[test]
fn a_block_of_admitted_bids_costs_no_pairing_and_one_of_unseen_bids_costs_one_batch() {
    let (scenario, _) = history();
    let block = scenario.blocks.iter().find(|it| bids_of(it) > 0).unwrap();
    let execute = |market: &Market| {
        let executed = market.execute(&block.parent, &block.context, &block.payload);
        assert_eq!(executed.unwrap().state_root, block.executed.state_root);
    };
    for engine in engines() {
        let (market, verifier) = newcomer(engine);
        let bids = block.payload.transactions.iter().filter(|tx| is_bid(tx));
        let claims: Vec<_> = bids
            .flat_map(|tx| {
                let tx = Transaction::from_bytes(tx.bytes()).unwrap();
                market.predict_but_proofs(&block.parent, &tx).unwrap()
            })
            .collect();
        let claims: Vec<_> = claims.iter().collect();
        assert!(market.verify_proofs(&claims).iter().all(Result::is_ok));
        let admitted = verifier.cost();
        assert_eq!(admitted, (AGENTS.len() as u64, 1), "{engine:?}");
        for _ in 0..2 {
            execute(&market);
            assert_eq!(verifier.cost(), admitted, "{engine:?}: only looked up");
        }

        let (market, verifier) = newcomer(engine);
        execute(&market);
        let unseen = (AGENTS.len() as u64, 1);
        assert_eq!(verifier.cost(), unseen, "{engine:?}: in one batch");
    }
}

/// Executes blocks one after the other; gives the state after them, or what was wrong with the first that does not hold.
fn execute_all(market: &Market, payloads: &[Payload]) -> Result<MarketState, String> {
    let (scenario, _) = history();
    let mut state = market.initial_state().clone();
    for (block, payload) in scenario.blocks.iter().zip(payloads) {
        let executed = market.execute(&state, &block.context, payload);
        let executed = executed.map_err(|e| format!("{}: {e}", block.context.height))?;
        state = executed.state;
    }
    Ok(state)
}

fn foresee(market: &Market, payloads: &[Payload]) {
    let bodies: Vec<_> = payloads.iter().map(|it| &it.transactions[..]).collect();
    market.foresee(market.initial_state(), &bodies);
}

/// Of auctions that the range itself opens, too.
#[test]
fn the_proofs_of_a_range_of_blocks_are_verified_together_and_then_only_looked_up() {
    let (scenario, bids) = history();
    let payloads: Vec<_> = scenario
        .blocks
        .iter()
        .map(|it| it.payload.clone())
        .collect();
    for engine in engines() {
        let (market, verifier) = newcomer(engine);
        foresee(&market, &payloads);
        let together = (bids.len() as u64, 1);
        assert_eq!(verifier.cost(), together, "{engine:?}");
        let state = execute_all(&market, &payloads).unwrap();
        assert_eq!(state.root(), scenario.state.root());
        assert_eq!(verifier.cost(), together, "{engine:?}");
    }
}

/// T27: what was foreseen is believed of good proofs only; the block and the bid of a bad one are named as by a peer that foresaw nothing.
#[test]
fn a_bad_proof_in_a_range_is_named_as_if_its_block_came_alone() {
    let (scenario, bids) = history();
    let honest: Vec<_> = scenario
        .blocks
        .iter()
        .map(|it| it.payload.clone())
        .collect();
    let other = bids[0].content.evidences[0].clone();
    let Evidence::Proof(other) = other else {
        panic!("a proof")
    };
    for (place, proof) in [(1, ProofBytes([0xff; 128])), (bids.len() - 1, other.proof)] {
        let bad = &bids[place];
        let mut content = bad.content.clone();
        let Evidence::Proof(evidence) = &mut content.evidences[0] else {
            panic!("a proof")
        };
        evidence.proof = proof;
        let signed = content.sign(&scenario.state.chain(), &key(AGENTS[place % AGENTS.len()]));
        let as_tx = |bid: &Bid| {
            let tx = Transaction::Bid(Box::new(bid.clone()));
            TxBytes::new(tx.to_bytes()).unwrap()
        };
        let (was, is) = (as_tx(bad), as_tx(&signed));
        let mut payloads = honest.clone();
        let slots = payloads.iter_mut().flat_map(|it| &mut it.transactions);
        let changed = slots.filter(|tx| **tx == was).map(|tx| *tx = is.clone());
        assert_eq!(changed.count(), 1);

        let (alone, _) = newcomer(Engine::Naive);
        let expected = execute_all(&alone, &payloads).err().unwrap();
        assert!(expected.contains("does not verify"), "{expected}");
        for engine in engines() {
            let (market, _) = newcomer(engine);
            foresee(&market, &payloads);
            let named = execute_all(&market, &payloads).err();
            assert_eq!(named.as_ref(), Some(&expected), "{engine:?}");
        }
    }
}
