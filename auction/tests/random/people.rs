//! What people send: mostly sound for the state they see, often too late, repeated, or wrong.

use crate::bytes;
use std::collections::BTreeMap;
use tender_auction::{
    bid::BidContent,
    clearing::PaymentRule,
    genesis::{Genesis, Issuer, Openers},
    market::Phase,
    outcome::AwardState,
    scenario::{
        self, ISSUERS, Plan, START, Scenario, VALIDATORS, amounts, attributes, class, key, points,
        resources_keys, score_keys, spec, task,
    },
    seal::Reveal,
    task::{AcceptedKinds, AuctionSpec, Class, Requirement},
    transaction::{Action, AwardRef, Change, Proposal, SealRevealTx, SignedTx, Transaction},
};
use tender_circuits::{
    Attestation, CapabilityType, Claim, Credential, Evidence, IssuerIndex, IssuerMask, asset_of,
};
use tender_consensus::{sim::Rng, tx::TxBytes};
use tender_wire::{AuctionId, BidId, Digest, FieldBytes, Height, Power, PublicKey, UnixTime};

const AGENTS: [&str; 5] = ["ann", "bob", "cara", "dan", "eve"];
const MACHINES: [&str; 5] = ["m-0", "m-1", "m-2", "m-3", "m-4"];
const OPENERS: [&str; 2] = ["owner-0", "owner-1"];
const FIFTH: &str = "validator-4";
const SUITE: &str = "suite";

/// `resources` again under another version: a second type that is used up.
pub fn second() -> CapabilityType {
    CapabilityType {
        version: 2,
        ..resources_keys().1.clone()
    }
}

pub fn genesis(small_blocks: bool) -> Genesis {
    let mut genesis = scenario::genesis();
    genesis.types.extend([second(), score_keys().1.clone()]);
    if small_blocks {
        genesis.consensus.max_block_bytes = 64 << 10;
        genesis.consensus.max_block_txs = 6;
    }
    genesis
}

/// Everybody.
pub struct People {
    rng: Rng,
    /// What honestly sealed bids hold; `None` for those sealed by cheats.
    pub entries: BTreeMap<BidId, Option<Vec<(u32, u64)>>>,
    /// Sent in blocks before, to be sent again.
    sent: Vec<TxBytes>,
    credentials: Vec<(Credential, &'static str, &'static str)>,
    proofs: usize,
    serial: u64,
    nonce: u64,
}

impl People {
    pub fn new(seed: u64) -> Self {
        People {
            rng: Rng::new(seed),
            entries: BTreeMap::new(),
            sent: Vec::new(),
            credentials: Vec::new(),
            proofs: 1, // a third of a second
            serial: 0,
            nonce: 0,
        }
    }

    /// Candidates for the next block, in any order.
    pub fn pool(&mut self, scenario: &Scenario) -> Vec<TxBytes> {
        let mut pool: Vec<_> = scenario.duties();
        pool.retain(|_| self.rng.chance(85));
        for _ in 0..self.rng.below(14) {
            let some = self.act(scenario, &pool);
            pool.extend(some);
        }
        let mut pool: Vec<_> = pool.iter().map(bytes).collect();
        for _ in 0..self.rng.below(3) {
            if !self.sent.is_empty() {
                let again = self.pick(self.sent.len());
                pool.push(self.sent[again].clone());
            }
        }
        for i in (1..pool.len()).rev() {
            let j = self.pick(i + 1);
            pool.swap(i, j);
        }
        self.sent.extend_from_slice(&pool);
        pool
    }

    fn act(&mut self, scenario: &Scenario, pool: &[Transaction]) -> Vec<Transaction> {
        let live = scenario.state.auctions().filter(|a| a.is_live()).count();
        match self.rng.below(100) {
            0..6 if live < 4 => {
                let (opener, spec) = (self.of(&OPENERS), self.spec(scenario));
                vec![self.sign(scenario, pool, opener, Action::OpenAuction(Box::new(spec)))]
            }
            6..65 => self.bid(scenario).into_iter().collect(),
            65..73 => vec![self.attestor(scenario, pool)],
            73..90 => self.awarded(scenario, pool).into_iter().collect(),
            90..94 => self.govern(scenario, pool),
            _ => vec![self.reveal(scenario)],
        }
    }

    fn sign(
        &mut self,
        scenario: &Scenario,
        pool: &[Transaction],
        signer: &str,
        action: Action,
    ) -> Transaction {
        let public = key(signer).public();
        let waiting = pool
            .iter()
            .filter(|tx| matches!(tx, Transaction::Signed(tx) if tx.signer == public));
        let mut sequence = scenario.state.next_sequence(&public) + waiting.count() as u64;
        if self.rng.chance(4) {
            sequence = sequence.wrapping_sub(1);
        }
        let chain = scenario.state.chain();
        let mut tx = SignedTx::new(&chain, &key(signer), sequence, action);
        if self.rng.chance(2) {
            tx.signature.0[40] ^= 4;
        }
        Transaction::Signed(Box::new(tx))
    }

    fn spec(&mut self, scenario: &Scenario) -> AuctionSpec {
        let mut classes: Vec<Class> = Vec::new();
        for _ in 0..1 + self.rng.below(2) {
            classes.push(self.class());
        }
        let mut tasks = Vec::new();
        for _ in 0..1 + self.rng.below(4) {
            let class = self.pick(classes.len()) as u16;
            let (reserve, quantity) = (60 + self.rng.below(60), 1 + self.rng.below(3));
            tasks.push(task("a task", class, reserve, quantity as u32));
        }
        let mut spec = spec(classes, tasks);
        spec.max_entries = 1 + self.rng.below(4) as u8;
        let windows = &mut spec.windows;
        let all = [&mut windows.keys, &mut windows.reveal, &mut windows.accept];
        all.into_iter()
            .for_each(|window| *window = 3 + self.rng.below(3) as u32);
        windows.bidding = 4 + self.rng.below(7) as u32;
        if self.rng.chance(50) {
            spec.payment = PaymentRule::PayAsBid;
        }
        let from = scenario.state.time().seconds().0.max(START.seconds().0);
        spec.lease_end = UnixTime(from + 60 + self.rng.below(1_800));
        spec
    }

    fn class(&mut self) -> Class {
        let needed = [("cpu_milli", 1_000 * (1 + self.rng.below(3)))];
        let mut class = class("a class", &needed);
        let first = &mut class.requirements[0];
        if self.rng.chance(20) {
            first.type_id = second().id();
        }
        if self.rng.chance(15) {
            first.min_issuers = 2;
        }
        if self.rng.chance(25) {
            first.issuers = IssuerMask(0b011);
        }
        if self.rng.chance(25) {
            class.requirements.push(Requirement {
                type_id: score_keys().1.id(),
                requirement: points(SUITE, 500),
                issuers: IssuerMask(0b111),
                kinds: AcceptedKinds {
                    proof: false,
                    attestation: true,
                },
                min_issuers: 1,
            });
        }
        class
    }

    fn bid(&mut self, scenario: &Scenario) -> Option<Transaction> {
        let open = scenario.state.auctions();
        let open: Vec<_> = open
            .filter(|auction| matches!(auction.phase, Phase::Bidding { .. }))
            .collect();
        let auction = *open.get(self.pick(open.len()))?;
        let who = self.pick(AGENTS.len());
        let (agent, mut machine) = (AGENTS[who], MACHINES[who]);
        if self.rng.chance(10) {
            machine = self.of(&MACHINES);
        }
        let mut slots = Vec::new();
        for class in 0..auction.spec.classes.len() as u16 + u16::from(self.rng.chance(4)) {
            if self.rng.chance(75) {
                slots.push((class, 1 + self.rng.below(2) as u32));
            }
        }
        if slots.is_empty() && self.rng.chance(80) {
            slots.push((0, 1));
        }
        let live = auction.by_asset.get(&asset_of(machine));
        let live = live.map_or(0, |live| auction.bids[live].sequence + 1);
        let sequence = if self.rng.chance(80) {
            live
        } else {
            self.rng.below(4) as u32
        };
        let mut entries = Vec::new();
        for task in 0..auction.spec.tasks.len() as u32 + u32::from(self.rng.chance(10)) {
            if entries.len() < auction.spec.max_entries.into() && self.rng.chance(60) {
                entries.push((task, 1 + self.rng.below(125)));
            }
        }
        let cpus = 1_000 * (1 + self.rng.below(12));
        let plan = Plan {
            auction: auction.id,
            agent,
            machine,
            sequence,
            slots: &slots,
            entries: &entries,
            claim: amounts(&[("cpu_milli", cpus)]),
        };
        let mut content = scenario.seal(&plan);
        let mut honest = true;
        if self.rng.chance(10) {
            honest = false;
            let other = auction.bids.values().next().map(|bid| bid.sealed.clone());
            content.sealed = match other.filter(|other| *other != content.sealed) {
                Some(copied) => copied,
                None => {
                    let plain = vec![0xff; 33 + 12 * usize::from(auction.spec.max_entries)];
                    let chain = scenario.state.chain();
                    let sealed = auction.seal_plain(&chain, plan.draft(), &plain, [1; 32]);
                    sealed.unwrap().sealed
                }
            };
        }
        self.show(scenario, &plan, &mut content);
        let signer = if self.rng.chance(2) { "eve" } else { agent };
        let mut bid = content.sign(&scenario.state.chain(), &key(signer));
        let id = bid.content.id();
        self.entries.insert(id, honest.then_some(entries));
        if self.rng.chance(3) {
            bid.signature.0[9] ^= 1;
        }
        Some(Transaction::Bid(Box::new(bid)))
    }

    /// Evidence for a bid: attestations, and a proof now and then.
    fn show(&mut self, scenario: &Scenario, plan: &Plan<'_>, content: &mut BidContent) {
        let mine = |(credential, agent, machine): &&(Credential, &str, &str)| {
            (*agent, *machine) == (plan.agent, plan.machine)
                && scenario.state.find_leaf(&credential.leaf()).is_some()
        };
        let credential = self.credentials.iter().find(mine);
        if let Some((credential, ..)) = credential.filter(|_| self.proofs > 0) {
            self.proofs -= 1;
            let proof = scenario.prove(content, credential, &plan.claim);
            content.evidences.push(proof.expect("attested to more"));
            return;
        }
        let auction = scenario.state.auction(&plan.auction).unwrap();
        let mut type_id = auction.spec.classes[0].requirements[0].type_id;
        if self.rng.chance(10) {
            type_id = second().id();
        }
        let first = self.rng.below(3) as u8;
        let mut shown = vec![(first, type_id, plan.claim.clone())];
        if self.rng.chance(40) {
            let issuer = (first + 1 + u8::from(self.rng.chance(10)) * 2) % 3;
            shown.push((issuer, type_id, plan.claim.clone()));
        }
        if self.rng.chance(60) {
            let reached = 400 + 200 * self.rng.below(3);
            shown.push((first, score_keys().1.id(), points(SUITE, reached)));
        }
        for (issuer, type_id, claim) in shown {
            self.serial = self.rng.below(12);
            let attestation = Attestation {
                type_id,
                ..scenario.attest(issuer, plan.agent, plan.machine, claim, self.serial)
            };
            let issuer = key(ISSUERS[usize::from(issuer)]);
            let signed = attestation.signed(&scenario.state.chain(), &issuer);
            content.evidences.push(Evidence::Attestation(signed));
        }
    }

    fn attestor(&mut self, scenario: &Scenario, pool: &[Transaction]) -> Transaction {
        let issuer = self.pick(ISSUERS.len());
        let (agent, machine) = (self.of(&AGENTS), self.of(&MACHINES));
        let action = match self.rng.below(3) {
            0 => {
                let credential = Credential {
                    type_name: "resources".into(),
                    version: 1,
                    issuer: IssuerIndex::new(issuer as u8).unwrap(),
                    holder: key(agent).public(),
                    asset: asset_of(machine),
                    attributes: attributes(&[("cpu_milli", 12_000)]),
                    expiry: scenario::EXPIRY,
                    salt: FieldBytes([0; 32]),
                }
                .salted(&[3; 32]);
                let (commitment, asset) = (credential.commitment(), credential.asset);
                self.credentials.push((credential, agent, machine));
                Action::Issue { commitment, asset }
            }
            1 => Action::Revoke {
                index: self.rng.below(u64::from(scenario.state.leaf_count()) + 1) as u32,
            },
            _ => Action::RevokeAttestation {
                asset: asset_of(machine),
                serial: self.rng.below(12),
            },
        };
        self.sign(scenario, pool, ISSUERS[issuer], action)
    }

    /// A party of an assignment does what is next, or something else.
    fn awarded(&mut self, scenario: &Scenario, pool: &[Transaction]) -> Option<Transaction> {
        let awards: Vec<_> = scenario.state.awards().collect();
        let row = awards.get(self.pick(awards.len()))?;
        let award = row.award;
        let name_of = |public: &PublicKey| {
            let names = AGENTS.iter().chain(&OPENERS);
            names.copied().find(|name| key(name).public() == *public)
        };
        let owner = scenario.state.auction(&award.auction)?.opener;
        let (winner, owner) = (name_of(&row.bidder)?, name_of(&owner)?);
        let result = Digest([7; 32]);
        let choice = match (row.state, self.rng.below(6)) {
            (_, 0) => self.rng.below(4),
            (AwardState::Assigned, _) => 0,
            (AwardState::Accepted, _) => 1,
            _ => 2 + self.rng.below(2),
        };
        let (signer, action) = match choice {
            0 => (winner, Action::Accept(award)),
            1 => (winner, Action::Deliver { award, result }),
            2 => (owner, Action::Confirm(award)),
            _ => (owner, Action::Reject(award)),
        };
        let signer = if self.rng.chance(4) { "eve" } else { signer };
        let action = if self.rng.chance(3) {
            let bid = BidId([9; 32]);
            Action::Accept(AwardRef { bid, ..award })
        } else {
            action
        };
        Some(self.sign(scenario, pool, signer, action))
    }

    /// Validators vote for a change, enough of them or not.
    fn govern(&mut self, scenario: &Scenario, pool: &[Transaction]) -> Vec<Transaction> {
        self.nonce += 1;
        let validator = |name: &str, power| Change::SetValidator {
            key: key(name).public(),
            power: Power(power),
        };
        let someone = self.of(&VALIDATORS);
        let change = match self.rng.below(12) {
            0..3 => validator(FIFTH, 10),
            3 => validator(FIFTH, 0),
            4 => validator(someone, 0),
            5 => validator(someone, 10),
            6 => Change::Unjail(key(someone).public()),
            7 => Change::SetOpeners(Openers::List(vec![key(OPENERS[0]).public()])),
            8 => Change::SetOpeners(Openers::Any),
            9 if self.rng.chance(40) => Change::RemoveIssuer(IssuerIndex::new(2).unwrap()),
            10 => Change::AddIssuer(Issuer {
                name: "fourth".into(),
                key: key("fourth").public(),
                quota: 5,
            }),
            _ => Change::AddType(resources_keys().1.clone()),
        };
        let expiry = Height(scenario.state.height().0 + 1 + self.rng.below(20));
        let proposal = Proposal {
            change,
            nonce: self.nonce,
            expiry,
        };
        let mut voters = VALIDATORS.to_vec();
        voters.retain(|_| self.rng.chance(85));
        let approve = |name: &&str| {
            let action = Action::Approve(Box::new(proposal.clone()));
            self.sign(scenario, pool, name, action)
        };
        voters.iter().map(approve).collect()
    }

    fn reveal(&mut self, scenario: &Scenario) -> Transaction {
        let all: Vec<AuctionId> = scenario
            .state
            .auctions()
            .map(|auction| auction.id)
            .collect();
        let auction = all.get(self.pick(all.len())).copied();
        Transaction::SealReveal(SealRevealTx {
            auction: auction.unwrap_or(AuctionId([1; 32])),
            rank: self.rng.below(6) as u8,
            reveal: Reveal([self.rng.below(9) as u8; 32]),
        })
    }

    fn pick(&mut self, len: usize) -> usize {
        self.rng.below(len as u64) as usize
    }

    fn of(&mut self, names: &[&'static str]) -> &'static str {
        names[self.pick(names.len())]
    }
}

/// What a claim gives of what is used up.
pub fn used_up(claim: &Claim) -> Vec<u64> {
    let schema = &resources_keys().1.schema;
    let amounts = schema.consumables().map(|i| claim.amount(i).unwrap_or(0));
    amounts.map(u64::from).collect()
}
