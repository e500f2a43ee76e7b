//! The real market under simulated consensus, and a proposer that lies at each of its turns: every honest validator's own execution refuses the
//! block, for the rule it breaks, and the next round's proposer decides the height.
//!
//! Four validators take turns in order, so the liar, validator 3, proposes at every fourth height. Auctions open eight heights apart and clear eight
//! heights later, at its turns; at the turns in between one of them takes bids.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tender_auction::{
    clearing::Witness,
    genesis::{Genesis, GenesisValidator},
    market::{
        ExecutionError, Market, MarketState, Phase, ProofClaim, ProofVerifier, Refusal,
        RememberingVerifier, duties, execute::MAX_BLOCK_BIDS, witness::AuctionWitness,
    },
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome, outcome_root},
    scenario::{
        ISSUERS, OPENER, Plan, START, Scenario, amounts, attributes, class, genesis, key,
        resources_keys, spec, task,
    },
    seal::{Reveal, SealSeed},
    transaction::{Action, SealRevealTx, Transaction},
};
use tender_circuits::{Credential, Evidence, IssuerMask, asset_of, verify::VerifyError};
use tender_consensus::{
    application::{Application, Payload},
    block::{Block, CompactBlock},
    chain::{BlockError, ChainState},
    sim::{
        Sim, SimConfig,
        byzantine::{Forged, Forger, refit},
        keys::test_keys,
    },
    tx::TxBytes,
};
use tender_wire::{AuctionId, FieldBytes, Height, Power, Price, Round, TxHash, decode, encode};

const LIAR: usize = 3;
const LIARS_TURN: u64 = 4;
const AUCTIONS_APART: u64 = 8;
const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];

/// What makes a lie of an honest block.
type Change = Box<dyn FnMut(&mut CompactBlock)>;
/// The lie to tell at a height.
type Next = Rc<RefCell<Option<(Height, Change)>>>;

fn validators() -> Genesis {
    let validator = |(n, key): (usize, tender_wire::SecretKey)| GenesisValidator {
        name: format!("validator-{n}"),
        key: key.public(),
        power: Power(10),
    };
    Genesis {
        validators: test_keys(4)
            .into_iter()
            .enumerate()
            .map(validator)
            .collect(),
        ..genesis()
    }
}

/// Four validators, their market, and everybody else's hands.
struct Town {
    sim: Sim<Market>,
    /// Writes bids and actions against the committed state.
    scenario: Scenario,
    known: BTreeMap<TxHash, TxBytes>,
    next: Next,
    forged: Forged,
    /// What was told at which height, and how it must be refused.
    told: BTreeMap<Height, (&'static str, &'static str)>,
    auctions: Vec<AuctionId>,
    credential: Option<Credential>,
    serial: u64,
}

impl Town {
    fn new() -> Self {
        let market = Arc::new(Market::new(validators()).unwrap());
        let config = SimConfig {
            powers: vec![10; 4],
            ..SimConfig::default()
        };
        let mut sim = Sim::with_application(Arc::clone(&market), config, START);
        let next = Next::default();
        let due = Rc::clone(&next);
        let (forger, forged) = Forger::new(move |block: &mut CompactBlock| {
            let now = |(height, _): &mut (Height, Change)| *height == block.header.height;
            let lie = due.borrow_mut().take_if(now);
            if let Some((_, mut change)) = lie {
                change(block);
                refit(block);
            }
        });
        sim.corrupt(LIAR, forger);
        sim.run_for(1);
        Town {
            sim,
            scenario: Scenario::new(validators()),
            known: BTreeMap::new(),
            next,
            forged,
            told: BTreeMap::new(),
            auctions: Vec::new(),
            credential: None,
            serial: 0,
        }
    }

    fn state(&self) -> &MarketState {
        &self.scenario.state
    }

    fn submit(&mut self, tx: &Transaction) -> TxHash {
        let bytes = TxBytes::new(tx.to_bytes()).unwrap();
        self.known.insert(bytes.hash(), bytes.clone());
        self.sim.submit(0, bytes.clone());
        bytes.hash()
    }

    fn act(&mut self, signer: &str, action: Action) -> TxHash {
        let tx = self.scenario.sign(signer, action);
        self.scenario.submit(&tx); // so that the signer's next one has the next number
        self.submit(&tx)
    }

    /// The next height: what is due is submitted, `prepare` may plan a lie, the block is decided everywhere.
    fn advance(&mut self, prepare: impl FnOnce(&mut Town, Height)) {
        let chain = self.sim.chain(0).unwrap().clone();
        self.scenario = Scenario::new(validators());
        self.scenario.state = chain.app.clone();
        self.scenario.tip = chain.tip;
        let height = chain.height.next();
        for (n, member) in test_keys(4).iter().enumerate() {
            let seed = SealSeed::from_bytes(&mut [n as u8 + 1; 32]);
            for tx in duties(&chain.app, chain.tip, member, &seed) {
                self.submit(&tx);
            }
        }
        prepare(self, height);
        let decided = self.sim.run_until(60_000, |s| s.all_at(height.0));
        assert!(decided, "{height} is not decided; told {:?}", self.told);
    }

    fn tell(
        &mut self,
        height: Height,
        name: &'static str,
        refused: &'static str,
        change: impl FnMut(&mut CompactBlock) + 'static,
    ) {
        self.told.insert(height, (name, refused));
        *self.next.borrow_mut() = Some((height, Box::new(change)));
    }

    /// A lie that adds a transaction which everybody has and nobody honest proposes.
    fn add(&mut self, height: Height, name: &'static str, refused: &'static str, tx: &Transaction) {
        let hash = self.submit(tx);
        self.tell(height, name, refused, move |block| {
            block.transactions.push(hash)
        });
    }

    fn open(&mut self) {
        let mut spec = spec(
            vec![class("a", &[("cpu_milli", 1_000)])],
            vec![task("x", 0, 100, 1), task("y", 0, 90, 1)],
        );
        spec.windows.bidding = 5;
        self.act(OPENER, Action::OpenAuction(Box::new(spec)));
    }

    fn plan(&self, agent: &'static str) -> Plan<'static> {
        Plan {
            auction: *self.auctions.last().unwrap(),
            agent,
            machine: agent,
            sequence: 0,
            slots: &[(0, 1)],
            entries: &[(0, 50), (1, 40)],
            claim: amounts(CLAIM),
        }
    }

    fn attested(&mut self, agent: &'static str) -> Transaction {
        self.serial += 1;
        let plan = self.plan(agent);
        let attestation = self
            .scenario
            .attest(0, agent, agent, plan.claim.clone(), self.serial);
        let bid = self.scenario.attested_bid(&plan, &[attestation]);
        Transaction::Bid(Box::new(bid))
    }

    /// What a market that has seen nothing says to a lie.
    fn judge(&self, lie: &CompactBlock) -> BlockError {
        self.judged_by(&Market::new(validators()).unwrap(), lie)
    }

    fn judged_by(&self, market: &Market, lie: &CompactBlock) -> BlockError {
        let mut chain = ChainState::genesis(market);
        for committed in &self.sim.blocks(0)[..lie.header.height.0 as usize - 1] {
            chain = chain.apply(market, &committed.block).unwrap().chain;
        }
        let block = Block {
            header: lie.header.clone(),
            transactions: lie
                .transactions
                .iter()
                .map(|h| self.known[h].clone())
                .collect(),
            annex: lie.annex.clone(),
        };
        chain.apply(market, &block).map(|_| ()).unwrap_err()
    }
}

/// Its name, what the refusal says, and how it is told.
type ClearingLie = (&'static str, &'static str, fn(&mut CompactBlock));

/// Lies told where an auction clears.
fn clearing_lies() -> VecDeque<ClearingLie> {
    fn edit(block: &mut CompactBlock, change: impl FnOnce(&mut Vec<Witness>)) {
        let mut witness: AuctionWitness = decode(&block.annex.witnesses[0]).unwrap();
        change(&mut witness.classes);
        block.annex.witnesses[0] = encode(&witness);
    }
    fn edit_lists(block: &mut CompactBlock, change: impl FnOnce(&mut Vec<u32>, &mut Vec<u32>)) {
        edit(block, |classes| match &mut classes[0] {
            Witness::V2 { won, setters, .. } => change(won, setters),
            Witness::V1 { .. } => panic!("form 2"),
        });
    }
    VecDeque::from([
        (
            "no witness",
            "clears in this block without a witness",
            (|b| b.annex.witnesses.clear()) as fn(&mut CompactBlock),
        ),
        ("a witness too many", "1 witnesses more than", |b| {
            b.annex.witnesses.push(b.annex.witnesses[0].clone());
        }),
        ("no bytes of a witness", "clearing witnesses", |b| {
            b.annex.witnesses[0] = vec![0; 3];
        }),
        ("another tie break", "class 0", |b| {
            edit(b, |classes| {
                let Witness::V2 { nonce, .. } = &mut classes[0] else {
                    panic!("form 2");
                };
                *nonce += 1;
            });
        }),
        // Three bids with two entries each, equal in money: whoever wins, the other way round is worth as much.
        ("another optimum", "class 0", |b| {
            edit_lists(b, |won, _| {
                won.iter_mut().for_each(|entry| *entry ^= 1);
                won.sort_unstable();
            });
        }),
        ("the other end of the prices", "class 0", |b| {
            edit_lists(b, |_, setters| setters.clear());
        }),
        ("prices in a circle", "its price follows from itself", |b| {
            edit_lists(b, |won, setters| {
                *setters = won.iter().map(|entry| entry ^ 1).collect();
            });
        }),
        ("a unit kept back", "class 0", |b| {
            edit_lists(b, |won, _| won.truncate(1));
        }),
        (
            "a witness of an earlier build",
            "a witness of form 1",
            |b| {
                edit(b, |classes| {
                    classes[0] = Witness::V1 {
                        nonce: 0,
                        winners: vec![vec![0], vec![1]],
                    };
                });
            },
        ),
        ("a class left out", "0 classes, the auction has 1", |b| {
            edit(b, Vec::clear);
        }),
    ])
}

/// Claims the outcomes of a block in which everybody is paid one more.
fn overpay(town: &Town, chain: ChainState<MarketState>) -> impl FnMut(&mut CompactBlock) + 'static {
    let (market, known) = (Arc::clone(&town.scenario.market), town.known.clone());
    move |block| {
        let payload = Payload {
            transactions: block
                .transactions
                .iter()
                .map(|h| known[h].clone())
                .collect(),
            witnesses: block.annex.witnesses.clone(),
        };
        let context = chain.context(block.header.time, Vec::new());
        let executed = market.execute(&chain.app, &context, &payload).unwrap();
        let mut records = executed.outcome.records.to_vec();
        assert_eq!(outcome_root(&records), block.header.outcome_root);
        let paid = records.iter_mut().filter_map(payment).map(|payment| {
            *payment = Price(payment.0 + 1);
        });
        assert!(paid.count() > 0, "somebody is paid");
        block.header.outcome_root = outcome_root(&records);
    }
}

fn payment(record: &mut OutcomeRecord) -> Option<&mut Price> {
    match record {
        OutcomeRecord::Entry(entry) => match &mut entry.outcome {
            EntryOutcome::Won { payment } => Some(payment),
            _ => None,
        },
        OutcomeRecord::Unit(unit) => match &mut unit.outcome {
            UnitOutcome::Filled { payment, .. } => Some(payment),
            _ => None,
        },
        OutcomeRecord::Award(award) => Some(&mut award.payment),
        _ => None,
    }
}

/// The transactions of honest peers at this height, and the bids of an auction that has just begun to take them.
fn live(town: &mut Town, height: Height) {
    town.act(ISSUERS[2], issue(1_000 + height.0)); // something at every height
    if height == Height(1) {
        let attributes = attributes(CLAIM);
        // The credential as the scenario makes it; its leaf goes on chain here.
        let mut aside = town.scenario.clone();
        let credential = aside.issue(0, "proven", "proven", attributes);
        let action = Action::Issue {
            commitment: credential.commitment(),
            asset: credential.asset,
        };
        town.act(ISSUERS[0], action);
        town.credential = Some(credential);
    }
    let known: Vec<AuctionId> = town.state().auctions().map(|a| a.id).collect();
    for id in known {
        if town.auctions.contains(&id) {
            continue;
        }
        let bidding = matches!(
            town.state().auction(&id).unwrap().phase,
            Phase::Bidding { .. }
        );
        if bidding {
            town.auctions.push(id);
            for agent in ["p", "q", "r"] {
                let bid = town.attested(agent);
                town.submit(&bid);
            }
        }
    }
    let turn = height.0 % AUCTIONS_APART == LIARS_TURN;
    if turn && town.auctions.len() < clearing_lies().len() + 3 {
        town.open();
    }
}

/// Lies told while an auction takes bids: transactions that do not apply.
fn poison(town: &mut Town, height: Height, turn: usize) {
    match turn {
        0 => {
            let plan = town.plan("proven");
            let credential = town.credential.clone().unwrap();
            let good = town.scenario.bid(&plan, &credential);
            let mut content = good.content;
            let Evidence::Proof(evidence) = &mut content.evidences[0] else {
                panic!()
            };
            // A real proof, of another statement.
            evidence.claim = amounts(&[("cpu_milli", 3_999)]);
            let bid = content.sign(&town.state().chain(), &key("proven"));
            let tx = Transaction::Bid(Box::new(bid));
            town.add(
                height,
                "an invalid proof",
                "does not verify for this bid",
                &tx,
            );
        }
        1 => {
            let chain = town.sim.blocks(0);
            let mine = |tx: &&TxBytes| {
                matches!(Transaction::from_bytes(tx.bytes()), Ok(Transaction::Bid(_)))
            };
            let bid = chain
                .iter()
                .rev()
                .flat_map(|b| &b.block.transactions)
                .find(mine);
            let tx = Transaction::from_bytes(bid.unwrap().bytes()).unwrap();
            town.add(height, "a bid twice", "is a duplicate", &tx);
        }
        2 => {
            let reveal = SealRevealTx {
                auction: *town.auctions.last().unwrap(),
                rank: 1,
                reveal: Reveal([7; 32]),
            };
            let tx = Transaction::SealReveal(reveal);
            town.add(
                height,
                "a reveal before the close",
                "does not take reveals",
                &tx,
            );
        }
        3 => {
            let mut elsewhere = validators();
            elsewhere.name = "another chain".into();
            let tx = Scenario::new(elsewhere).sign(ISSUERS[1], issue(1));
            town.add(height, "another chain's action", "does not verify", &tx);
        }
        4 => {
            let (first, second) = (
                town.act(ISSUERS[1], issue(2)),
                town.act(ISSUERS[1], issue(3)),
            );
            town.tell(
                height,
                "actions out of order",
                "the next sequence number is",
                move |block| {
                    let at = |hash| block.transactions.iter().position(|h| *h == hash).unwrap();
                    let (first, second) = (at(first), at(second));
                    block.transactions.swap(first, second);
                },
            );
        }
        5 => town.tell(height, "another state", "state_root", |block| {
            block.header.state_root.0[9] ^= 1;
        }),
        6 => {
            let junk = TxBytes::new(vec![9; 40]).unwrap();
            town.known.insert(junk.hash(), junk.clone());
            town.sim.submit(0, junk.clone());
            town.tell(height, "junk", "malformed transaction", move |block| {
                block.transactions.push(junk.hash());
            });
        }
        _ => {}
    }
}

fn issue(n: u64) -> Action {
    Action::Issue {
        commitment: FieldBytes::from_u64(n),
        asset: asset_of("anything"),
    }
}

/// B5, B6, B7, T1, T20, T24, T27, T30: invalid proof, wrong clearing, wrong payment, wrong or missing witness, late, early, repeated and misplaced
/// transactions.
#[test]
fn every_lie_of_a_proposer_is_refused_by_the_market_and_the_next_block_is_right() {
    let mut town = Town::new();
    let mut clearing = clearing_lies();
    let (mut poisoned, mut late) = (0, None);
    for _ in 1..=AUCTIONS_APART * (clearing.len() as u64 + 3) {
        town.advance(|town, height| {
            live(town, height);
            if height.0 % LIARS_TURN != 0 {
                return;
            }
            let chain = town.sim.chain(0).unwrap().clone();
            let context = chain.context(chain.earliest(), Vec::new());
            let pool: Vec<TxBytes> = town.known.values().cloned().collect();
            let market = Arc::clone(&town.scenario.market);
            let clears = !market
                .propose(&chain.app, &context, &pool)
                .witnesses
                .is_empty();
            let bidding = |id| {
                let auction = town.state().auction(id);
                auction.is_some_and(|a| matches!(a.phase, Phase::Bidding { .. }))
            };
            let takes_bids = town.auctions.last().is_some_and(bidding);
            if takes_bids {
                late = Some(town.attested("late"));
                poison(town, height, poisoned);
                poisoned += 1;
            } else if !clears {
            } else if let Some((name, refused, change)) = clearing.pop_front() {
                town.tell(height, name, refused, change);
            } else if let Some(bid) = late.take() {
                town.add(height, "a late bid", "does not take bids", &bid);
            } else {
                let lie = overpay(town, chain);
                town.tell(height, "another payment", "outcome_root", lie);
            }
        });
    }

    let lies = town.forged.all();
    assert_eq!(lies.len(), town.told.len(), "{:?}", town.told);
    let names: Vec<_> = town.told.values().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), 19, "{names:?}");
    for lie in &lies {
        let height = lie.header.height;
        let (name, refused) = town.told[&height];
        let decided = &town.sim.blocks(0)[height.0 as usize - 1];
        assert_ne!(decided.block.id(), lie.header.id(), "{name}");
        assert_eq!(decided.certificate.round(), Round(1), "{name}");
        let error = town.judge(lie).to_string();
        assert!(error.contains(refused), "{name}: {error}");
    }
    assert!(
        town.sim.rejections().is_empty(),
        "{:?}",
        town.sim.rejections()
    );
    // What was lied about came out right: every auction cleared, and paid what the market says.
    let wins = town.scenario.state.awards().count();
    assert!(wins > 0 && (0..4).all(|n| town.sim.halted(n).is_none()));
}

/// The real verifier, counting the proofs it is asked about.
#[derive(Default)]
struct Counting {
    real: RememberingVerifier,
    proofs: AtomicUsize,
}

impl ProofVerifier for Counting {
    fn verify(&self, claim: &ProofClaim) -> Result<(), VerifyError> {
        self.proofs.fetch_add(1, Ordering::Relaxed);
        self.real.verify(claim)
    }

    fn verify_all(&self, claims: &[&ProofClaim]) -> Vec<Result<(), VerifyError>> {
        self.proofs.fetch_add(claims.len(), Ordering::Relaxed);
        self.real.verify_all(claims)
    }

    fn together(&self) -> usize {
        self.real.together()
    }
}

/// L2, T27, B5: a block of as many bids as it may hold, with as many proofs as they may show, all of them bad. It costs a validator a few of
/// them, the verdict names the first, whoever judges and whatever it has seen before; and the height is decided a round later.
#[test]
fn a_block_full_of_bad_proofs_costs_a_few_of_them_and_one_round() {
    let mut town = Town::new();
    let mut full = None;
    while full.is_none() || town.sim.height(0) < full.unwrap() {
        town.advance(|town, height| {
            if town.auctions.is_empty() {
                live(town, height);
            } else if full.is_none() && height.0 % LIARS_TURN == 0 {
                full = Some(height.0);
                fill_with_bad_proofs(town, height);
            }
        });
    }
    let lies = town.forged.all();
    let lie = &lies[0];
    let height = lie.header.height;
    assert_eq!((lies.len(), Some(height.0)), (1, full));
    let decided = &town.sim.blocks(0)[height.0 as usize - 1];
    assert_eq!(decided.certificate.round(), Round(1));
    assert_ne!(decided.block.id(), lie.header.id());

    let is_bad = |hash: &TxHash| {
        let Ok(Transaction::Bid(bid)) = Transaction::from_bytes(town.known[hash].bytes()) else {
            return false;
        };
        bid.content.evidences.len() == ISSUERS.len()
    };
    let bad = lie.transactions.iter().filter(|hash| is_bad(hash)).count();
    assert_eq!(bad, MAX_BLOCK_BIDS);
    let first = lie.transactions.iter().position(is_bad).unwrap();
    let verifier = Arc::new(Counting::default());
    let judge: Arc<dyn ProofVerifier> = Arc::clone(&verifier) as _;
    let market = Market::with_verifier(validators(), judge).unwrap();
    for _ in 0..2 {
        let before = verifier.proofs.load(Ordering::Relaxed);
        let error = town.judged_by(&market, lie);
        let type_id = resources_keys().1.id();
        let refusal = Refusal::InvalidProof { type_id };
        let named = ExecutionError::Transaction {
            index: first,
            refusal,
        };
        assert_eq!(error, BlockError::Execution(named.to_string()));
        let cost = verifier.proofs.load(Ordering::Relaxed) - before;
        assert!(cost <= verifier.together() + 1, "{cost} proofs");
    }
    assert!((0..4).all(|n| town.sim.halted(n).is_none()));
}

/// Bids that differ in their asset, each showing the same proof of something else once for every issuer. Only the liar has them: nobody else's
/// pool takes bids whose proofs are bad.
fn fill_with_bad_proofs(town: &mut Town, height: Height) {
    let plan = town.plan("proven");
    let credential = town.credential.clone().unwrap();
    let model = town.scenario.bid(&plan, &credential).content;
    let (chain, signer) = (town.state().chain(), key("proven"));
    (0..LIAR).for_each(|honest| town.sim.deafen(honest));
    let mut hashes = Vec::new();
    for n in 0..MAX_BLOCK_BIDS {
        let mut content = model.clone();
        content.asset = asset_of(&format!("machine {n}"));
        let Evidence::Proof(mut proof) = model.evidences[0].clone() else {
            panic!("a proof")
        };
        proof.asset = content.asset;
        let shown = (0..ISSUERS.len()).map(|issuer| {
            proof.issuers = IssuerMask(1 << issuer);
            Evidence::Proof(proof.clone())
        });
        content.evidences = shown.collect();
        let tx = Transaction::Bid(Box::new(content.sign(&chain, &signer)));
        let tx = TxBytes::new(tx.to_bytes()).unwrap();
        hashes.push(tx.hash());
        town.known.insert(tx.hash(), tx.clone());
        town.sim.submit(LIAR, tx);
    }
    town.tell(height, "bad proofs", "does not verify", move |block| {
        block.transactions.extend(&hashes);
    });
}
