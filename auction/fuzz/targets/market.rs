//! Any sequence of transactions, well-formed and broken, honest and not, and of blocks by honest and Byzantine proposers, on a small real market with real
//! proofs: nothing panics; what a proposer builds executes; what is admitted is what was predicted; records are sorted, unique and within
//! reserves; the state is read back as it was written; another peer that remembers nothing comes to the same roots.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use tender_auction::{
    bid::{Bid, ClassSlots},
    genesis::{Issuer, Openers},
    market::{Draft, Market, MarketState, Phase},
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome, outcome_root},
    scenario::{
        ISSUERS, OPENER, Plan, START, Scenario, VALIDATORS, amounts, attributes, class, key, spec,
        task,
    },
    seal::{BidBody, seal},
    task::{AuctionSpec, Windows},
    transaction::{Action, AwardRef, Change, Proposal, SealKeyTx, SignedTx, Transaction},
};
use tender_circuits::{Credential, Evidence, IssuerIndex, asset_of};
use tender_consensus::{
    application::{Application as _, Payload},
    evidence::Evidence as Equivocation,
    tx::TxBytes,
    vote::{Vote, VoteKind},
};
use tender_fuzz::{registry::Vectors, seeds};
use tender_wire::{
    AuctionId, BidId, BlockId, Digest, FieldBytes, Height, Power, Price, Round, TimeMs, UnixTime,
    decode, encode, hash,
};

const AGENTS: [&str; 4] = ["alice", "bob", "carol", OPENER];
const MACHINES: [&str; 3] = ["m-0", "m-1", "m-2"];

#[derive(Arbitrary, Clone, Debug)]
enum Op {
    Step {
        later: u32,
    },
    Open {
        windows: [u8; 4],
        reserve: u64,
        quantity: u16,
        tasks: u8,
        entries: u8,
        lease: u32,
        vcg: bool,
        issuers: u64,
        minimum: u8,
    },
    Bid {
        auction: u8,
        agent: u8,
        machine: u8,
        issuer: u8,
        sequence: u8,
        slots: Vec<(u8, u16)>,
        entries: Vec<(u8, u32)>,
        claim: u16,
        serial: u8,
        junk: Option<Vec<u8>>,
        twice: bool,
    },
    Proven {
        which: u8,
    },
    Issue {
        issuer: u8,
        commitment: u64,
        machine: u8,
    },
    Revoke {
        issuer: u8,
        index: u8,
    },
    RevokeAttestation {
        issuer: u8,
        machine: u8,
        serial: u8,
    },
    Award {
        who: u8,
        what: u8,
        which: u8,
        other: Option<u8>,
    },
    Approve {
        who: u8,
        all: bool,
        change: u8,
        value: u8,
        nonce: u8,
        expiry: u8,
    },
    Silent {
        who: u8,
    },
    Offence {
        who: u8,
        height: u8,
    },
    Again {
        which: u8,
    },
    Damaged {
        which: u8,
        at: u16,
        change: u8,
        sign: bool,
    },
    Raw(Vec<u8>),
    Block {
        picks: Vec<u8>,
        witnesses: Vec<Vec<u8>>,
        later: u32,
    },
}

struct Base {
    scenario: Scenario,
    auction: AuctionId,
    proven: Vec<Bid>,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut scenario = Scenario::default();
        let has = attributes(&[("cpu_milli", 16_000), ("memory_mib", 64_000)]);
        let credentials: [Credential; 2] = [("alice", "m-0"), ("bob", "m-1")]
            .map(|(agent, machine)| scenario.issue(0, agent, machine, has.clone()));
        let auction = scenario.open(spec(
            vec![
                class("small", &[("cpu_milli", 2_000)]),
                class("large", &[("cpu_milli", 8_000)]),
            ],
            vec![task("render", 0, 100, 2), task("train", 1, 500, 1)],
        ));
        let bid = |agent, machine, sequence, price, credential| {
            let plan = Plan {
                auction,
                agent,
                machine,
                sequence,
                slots: &[(0, 2), (1, 1)],
                entries: &[(0, price), (1, 4 * price)],
                claim: amounts(&[("cpu_milli", 12_000)]),
            };
            scenario.bid(&plan, credential)
        };
        let proven = vec![
            bid("alice", "m-0", 0, 60, &credentials[0]),
            bid("alice", "m-0", 1, 50, &credentials[0]),
            bid("bob", "m-1", 0, 60, &credentials[1]),
        ];
        Base {
            scenario,
            auction,
            proven,
        }
    })
}

struct World {
    scenario: Scenario,
    auctions: Vec<AuctionId>,
    said: Vec<Transaction>,
    evidence: Vec<Equivocation>,
}

fn pick<T: Clone>(of: &[T], n: u8) -> Option<T> {
    of.get(usize::from(n) % of.len().max(1)).cloned()
}

impl World {
    fn submit(&mut self, tx: Transaction) {
        let _ = self.scenario.predict(&tx);
        if tx.to_bytes().len() <= tender_auction::transaction::MAX_TX_BYTES {
            self.scenario.submit(&tx);
            self.said.push(tx);
        }
    }

    fn act(&mut self, who: &str, action: Action) {
        let tx = self.scenario.sign(who, action);
        self.submit(tx);
    }

    fn step(&mut self, later: u32) {
        let mut context = self.scenario.context();
        context.time = TimeMs(context.time.0 + u64::from(later));
        context.evidence = std::mem::take(&mut self.evidence);
        context.evidence.sort_by_key(Equivocation::offence);
        context.evidence.dedup_by_key(|piece| piece.offence());
        let set = self.scenario.state.validators().clone();
        context
            .evidence
            .retain(|piece| set.index_of(&piece.offence().validator).is_some());
        // The scenario panics if what is proposed does not execute.
        if context.evidence.is_empty() {
            self.scenario.step_at(context.time);
        } else {
            self.scenario.step_with(context.evidence);
        }
        let block = self.scenario.blocks.last().expect("just made");
        // What the committee posted can be posted again, and damaged.
        let posted = block
            .payload
            .transactions
            .iter()
            .filter_map(|tx| Transaction::from_bytes(tx.bytes()).ok());
        let posted =
            posted.filter(|tx| matches!(tx, Transaction::SealKey(_) | Transaction::SealReveal(_)));
        self.said.extend(posted.take(1));
        let records = &block.executed.outcome.records;
        assert!(records.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        assert_eq!(outcome_root(records), block.executed.outcome_root);
        for record in records.iter() {
            match record {
                OutcomeRecord::Entry(entry) => {
                    if let EntryOutcome::Won { payment } = entry.outcome {
                        assert!(
                            entry.price <= payment && payment <= entry.reserve,
                            "{entry:?}"
                        );
                    }
                }
                OutcomeRecord::Unit(unit) => {
                    if let UnitOutcome::Filled { payment, .. } = unit.outcome {
                        assert!(payment >= Price(1));
                    }
                }
                _ => {}
            }
        }
    }

    fn awards(&self) -> Vec<AwardRef> {
        self.scenario
            .state
            .awards()
            .map(|award| award.award)
            .collect()
    }

    fn bid(&mut self, op: Op) -> Option<()> {
        let Op::Bid {
            auction,
            agent,
            machine,
            issuer,
            sequence,
            slots,
            entries,
            claim,
            serial,
            junk,
            twice,
        } = op
        else {
            return None;
        };
        let id = pick(&self.auctions, auction)?;
        let chain = self.scenario.state.chain();
        let auction = self.scenario.state.auction(&id)?;
        let (agent, machine) = (pick(&AGENTS, agent)?, pick(&MACHINES, machine)?);
        let mut slots: Vec<_> = slots
            .iter()
            .take(4)
            .map(|(class, slots)| ClassSlots {
                class: u16::from(*class % 4),
                slots: u32::from(*slots),
            })
            .collect();
        slots.sort_by_key(|slot| slot.class);
        slots.dedup_by_key(|slot| slot.class);
        let mut entries: Vec<_> = entries
            .iter()
            .take(8)
            .map(|(task, price)| (u32::from(*task % 6), Price(u64::from(*price % 600))))
            .collect();
        entries.sort_by_key(|entry| entry.0);
        entries.dedup_by_key(|entry| entry.0);
        let draft = Draft {
            bidder: key(agent).public(),
            asset: asset_of(machine),
            sequence: u32::from(sequence % 20),
            slots,
        };
        let body = BidBody {
            salt: [serial; 32],
            entries,
        };
        let seed = hash(tender_wire::Tag::Seed, &[&[serial, sequence, claim as u8]]).0;
        let mut content = auction.seal(&chain, draft, &body, seed).ok()?;
        if let Some(mut junk) = junk {
            let size = BidBody::padded_bytes(auction.spec.max_entries.into());
            junk.resize(size, 0);
            let sealed = seal(
                &auction.ranked_keys(),
                auction.threshold(),
                &content.associated(&chain),
                &junk,
                seed,
            );
            content.sealed = sealed.ok()?;
        }
        let claim = amounts(&[("cpu_milli", u64::from(claim))]);
        let issuers = if twice {
            vec![issuer, issuer.wrapping_add(1)]
        } else {
            vec![issuer]
        };
        content.evidences = issuers
            .into_iter()
            .map(|issuer| {
                let attested = self.scenario.attest(
                    issuer % 3,
                    agent,
                    machine,
                    claim.clone(),
                    u64::from(serial % 4),
                );
                Evidence::Attestation(attested)
            })
            .collect();
        let bid = content.sign(&chain, &key(agent));
        self.submit(Transaction::Bid(Box::new(bid)));
        Some(())
    }

    fn apply(&mut self, op: Op) -> Option<()> {
        match op {
            Op::Step { later } => self.step(later % 5_000_000),
            Op::Open {
                windows,
                reserve,
                quantity,
                tasks,
                entries,
                lease,
                vcg,
                issuers,
                minimum,
            } => {
                let [keys, bidding, reveal, accept] = windows.map(|blocks| u32::from(blocks % 9));
                let list = (0..tasks % 5).map(|n| {
                    task(
                        &format!("t{n}"),
                        u16::from(n % 2),
                        reserve % (1 << 52),
                        u32::from(quantity % 6),
                    )
                });
                let mut opened = AuctionSpec {
                    windows: Windows {
                        keys,
                        bidding,
                        reveal,
                        accept,
                    },
                    lease_end: UnixTime(START.seconds().0 + u64::from(lease % 40_000)),
                    max_entries: entries % 70,
                    ..spec(
                        vec![
                            class("a", &[("cpu_milli", 1_000)]),
                            class("b", &[("cpu_milli", 4_000)]),
                        ],
                        list.collect(),
                    )
                };
                if !vcg {
                    opened.payment = tender_auction::clearing::PaymentRule::PayAsBid;
                }
                for class in &mut opened.classes {
                    for requirement in &mut class.requirements {
                        requirement.issuers.0 = if issuers & 8 == 0 { 7 } else { issuers };
                        requirement.min_issuers = if minimum % 4 == 0 { 2 } else { 1 };
                    }
                }
                let chain = self.scenario.state.chain();
                let tx = self
                    .scenario
                    .sign(OPENER, Action::OpenAuction(Box::new(opened)));
                if let Transaction::Signed(signed) = &tx {
                    self.auctions.push(tender_auction::task::auction_id(
                        &chain,
                        &signed.signer,
                        signed.sequence,
                    ));
                }
                self.submit(tx);
            }
            op @ Op::Bid { .. } => return self.bid(op),
            Op::Proven { which } => {
                let bid = pick(&base().proven, which)?;
                self.submit(Transaction::Bid(Box::new(bid)));
            }
            Op::Issue {
                issuer,
                commitment,
                machine,
            } => {
                let (commitment, asset) = (
                    FieldBytes::from_u64(commitment),
                    asset_of(pick(&MACHINES, machine)?),
                );
                self.act(pick(&ISSUERS, issuer)?, Action::Issue { commitment, asset });
            }
            Op::Revoke { issuer, index } => self.act(
                pick(&ISSUERS, issuer)?,
                Action::Revoke {
                    index: u32::from(index % 6),
                },
            ),
            Op::RevokeAttestation {
                issuer,
                machine,
                serial,
            } => {
                let asset = asset_of(pick(&MACHINES, machine)?);
                self.act(
                    pick(&ISSUERS, issuer)?,
                    Action::RevokeAttestation {
                        asset,
                        serial: u64::from(serial % 4),
                    },
                );
            }
            Op::Award {
                who,
                what,
                which,
                other,
            } => {
                let mut award = pick(&self.awards(), which)?;
                if let Some(other) = other {
                    (award.task, award.bid) = (u32::from(other), BidId([other; 32]));
                }
                let action = match what % 4 {
                    0 => Action::Accept(award),
                    1 => Action::Deliver {
                        award,
                        result: Digest([what; 32]),
                    },
                    2 => Action::Confirm(award),
                    _ => Action::Reject(award),
                };
                let winner = self
                    .scenario
                    .state
                    .awards()
                    .find(|row| row.award == award)
                    .map(|row| row.bidder);
                let winner = AGENTS
                    .into_iter()
                    .find(|name| Some(key(name).public()) == winner);
                let who = match who % 4 {
                    0 => pick(&AGENTS, who / 4)?,
                    _ if what % 4 < 2 => winner?,
                    _ => OPENER,
                };
                self.act(who, action);
            }
            Op::Approve {
                who,
                all,
                change,
                value,
                nonce,
                expiry,
            } => {
                let someone = key(pick(
                    &[
                        "new",
                        VALIDATORS[0],
                        VALIDATORS[1],
                        VALIDATORS[2],
                        ISSUERS[1],
                    ],
                    value,
                )?)
                .public();
                let change = match change % 6 {
                    0 => Change::AddIssuer(Issuer {
                        name: format!("issuer {value}"),
                        key: someone,
                        quota: u32::from(value),
                    }),
                    1 => Change::RemoveIssuer(IssuerIndex::new(value % 4).ok()?),
                    2 => Change::SetOpeners(if value & 1 == 0 {
                        Openers::Any
                    } else {
                        Openers::List(vec![someone])
                    }),
                    3 => Change::SetValidator {
                        key: someone,
                        power: Power(u64::from(value % 12)),
                    },
                    4 => Change::Unjail(someone),
                    _ => Change::AddType(tender_auction::scenario::resources_keys().1.clone()),
                };
                let proposal = Proposal {
                    change,
                    nonce: u64::from(nonce % 3),
                    expiry: Height(self.scenario.state.height().0 + u64::from(expiry % 8)),
                };
                for (n, name) in VALIDATORS.into_iter().enumerate() {
                    if all || n == usize::from(who % 4) {
                        self.act(name, Action::Approve(Box::new(proposal.clone())));
                    }
                }
            }
            Op::Silent { who } => {
                let name = pick(&VALIDATORS, who)?;
                if !self.scenario.silent.remove(name) {
                    self.scenario.silent.insert(name);
                }
            }
            Op::Offence { who, height } => {
                let chain = self.scenario.state.chain();
                let slot = (Height(u64::from(height % 4)), Round(0), VoteKind::Prevote);
                let vote =
                    |block| Vote::sign(&mut key(pick(&VALIDATORS, who)?), &chain, slot, block).ok();
                self.evidence.push(Equivocation::votes(
                    vote(None)?,
                    vote(Some(BlockId([1; 32])))?,
                ));
            }
            Op::Again { which } => {
                let tx = pick(&self.said, which)?;
                self.submit(tx);
            }
            Op::Damaged {
                which,
                at,
                change,
                sign,
            } => {
                let mut bytes = pick(&self.said, which)?.to_bytes();
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= change;
                let tx = Transaction::from_bytes(&bytes).ok()?;
                assert_eq!(tx.to_bytes(), bytes);
                let tx = if sign {
                    signed_again(&self.scenario.state, tx)?
                } else {
                    tx
                };
                self.submit(tx);
            }
            Op::Raw(bytes) => self.submit(Transaction::from_bytes(&bytes).ok()?),
            Op::Block {
                picks,
                witnesses,
                later,
            } => {
                let mut context = self.scenario.context();
                context.time = TimeMs(context.time.0 + u64::from(later));
                let txs = picks.iter().take(8).filter_map(|n| pick(&self.said, *n));
                let transactions: Vec<_> = txs
                    .filter_map(|tx| TxBytes::new(tx.to_bytes()).ok())
                    .collect();
                let market = &self.scenario.market;
                let honest = market.propose(&self.scenario.state, &context, &transactions);
                let payload = Payload {
                    transactions,
                    witnesses,
                };
                let executed = market.execute(&self.scenario.state, &context, &payload);
                // Whatever a proposer makes up executes only as an honest one's would.
                let same = honest.transactions.len() == payload.transactions.len()
                    && honest.witnesses == payload.witnesses;
                assert!(executed.is_err() || same);
            }
        }
        Some(())
    }
}

fn signed_again(state: &MarketState, tx: Transaction) -> Option<Transaction> {
    let chain = state.chain();
    let names = AGENTS.iter().chain(&ISSUERS).chain(&VALIDATORS);
    let key_of = |public| {
        names
            .clone()
            .map(|name| key(name))
            .find(|key| key.public() == public)
    };
    Some(match tx {
        Transaction::Bid(bid) => {
            let key = key_of(bid.content.bidder)?;
            Transaction::Bid(Box::new(bid.content.sign(&chain, &key)))
        }
        Transaction::SealKey(tx) => {
            let key = key_of(tx.member)?;
            Transaction::SealKey(SealKeyTx::new(&chain, &key, tx.auction, tx.key, tx.proof))
        }
        Transaction::Signed(tx) => {
            let key = key_of(tx.signer)?;
            Transaction::Signed(Box::new(SignedTx::new(
                &chain,
                &key,
                tx.sequence,
                tx.action,
            )))
        }
        reveal @ Transaction::SealReveal(_) => reveal,
    })
}

fuzz_target!(
    init: {
        base();
        let vectors = Vectors::read();
        seeds(["tx_bid_a", "tx_open_auction", "tx_seal_key", "tx_approve"].map(|name| vectors.bytes(name)));
    },
    |data: &[u8]| {
        let Ok((replay, ops)) = <(bool, Vec<Op>)>::arbitrary_take_rest(Unstructured::new(data)) else { return };
        let base = base();
        let mut world = World {
            scenario: base.scenario.clone(),
            auctions: vec![base.auction],
            said: base.proven.iter().map(|bid| Transaction::Bid(Box::new(bid.clone()))).collect(),
            evidence: Vec::new(),
        };
        for op in ops.into_iter().take(40) {
            let _ = world.apply(op);
        }
        // Windows run out, and what was decided is seen through.
        for _ in 0..6 {
            world.step(0);
        }
        let state = &world.scenario.state;
        let read: MarketState = decode(&encode(state)).expect("a state is read as it was written");
        assert_eq!(read.root(), state.root());
        for auction in state.auctions() {
            assert!(!matches!(auction.phase, Phase::Bidding { closes } if closes <= state.height()));
        }
        if replay {
            let market = Market::new(world.scenario.market.genesis().clone()).expect("it was sound");
            for block in &world.scenario.blocks {
                let again = market.execute(&block.parent, &block.context, &block.payload).expect("it executed before");
                assert_eq!(again.state_root, block.executed.state_root);
                assert_eq!(again.outcome_root, block.executed.outcome_root);
            }
        }
    }
);
