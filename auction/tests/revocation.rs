//! Evidence that falls: when, how, and what becomes of the bid and of the win (THREATS T10, T31).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::OnceLock;
use tender_auction::{
    bid::Bid,
    market::Phase,
    outcome::{AwardState, BidReason, EntryOutcome, FailReason, OutcomeRecord},
    scenario::{ISSUERS, Plan, Scenario, VALIDATORS, amounts, attributes, class, key, spec, task},
    transaction::{Action, AwardRef, Change, Proposal},
};
use tender_circuits::{Credential, IssuerIndex, asset_of};
use tender_wire::{AuctionId, BidId, Height, Price};

const CLAIM: &[(&str, u64)] = &[("cpu_milli", 4_000)];
const SERIAL: u64 = 1;

/// How evidence falls. Issuer 1 vouches for all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Leaf,
    Attestation,
    /// Of a proof, by taking its issuer off the list.
    DelistedProof,
    /// Of an attestation.
    DelistedAttestation,
}

const EVERY_WAY: [How; 4] = [
    How::Leaf,
    How::Attestation,
    How::DelistedProof,
    How::DelistedAttestation,
];

/// A market in its bidding window, where "proven" and "attested" have bid on a task of their own, and "other" on both.
#[derive(Clone)]
struct World {
    scenario: Scenario,
    auction: AuctionId,
    credential: Credential,
    proven: BidId,
    attested: BidId,
    other: BidId,
}

fn plan<'a>(auction: AuctionId, agent: &'a str, entries: &'a [(u32, u64)]) -> Plan<'a> {
    Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, 2)],
        entries,
        claim: amounts(CLAIM),
    }
}

fn attested(scenario: &Scenario, issuer: u8, plan: &Plan<'_>) -> Bid {
    let attestation = scenario.attest(issuer, plan.agent, plan.machine, plan.claim.clone(), SERIAL);
    scenario.attested_bid(plan, &[attestation])
}

fn world() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    let make = || {
        let mut scenario = Scenario::default();
        let credential = scenario.issue(1, "proven", "proven", attributes(CLAIM));
        let classes = vec![class("small", &[("cpu_milli", 1_000)])];
        let tasks = vec![task("a", 0, 100, 1), task("b", 0, 100, 1)];
        let auction = scenario.open(spec(classes, tasks));
        let proven = scenario.bid(&plan(auction, "proven", &[(0, 10)]), &credential);
        let second = attested(&scenario, 1, &plan(auction, "attested", &[(1, 10)]));
        let other = attested(&scenario, 0, &plan(auction, "other", &[(0, 30), (1, 30)]));
        for bid in [&proven, &second, &other] {
            scenario.submit_bid(bid);
        }
        scenario.step();
        let [proven, attested, other] = [proven, second, other].map(|bid| bid.content.id());
        World {
            scenario,
            auction,
            credential,
            proven,
            attested,
            other,
        }
    };
    WORLD.get_or_init(make).clone()
}

impl World {
    /// The bid that falls, and its award if it wins.
    fn fallen(&self, how: How) -> AwardRef {
        let (task, bid) = match how {
            How::Leaf | How::DelistedProof => (0, self.proven),
            How::Attestation | How::DelistedAttestation => (1, self.attested),
        };
        AwardRef {
            auction: self.auction,
            task,
            bid,
        }
    }

    /// Puts among the next block's transactions what makes the evidence fall.
    fn fell(&mut self, how: How) {
        let scenario = &mut self.scenario;
        match how {
            How::Leaf => {
                let (index, _) = scenario.state.find_leaf(&self.credential.leaf()).unwrap();
                scenario.act(ISSUERS[1], Action::Revoke { index });
            }
            How::Attestation => {
                let asset = asset_of("attested");
                let serial = SERIAL;
                scenario.act(ISSUERS[1], Action::RevokeAttestation { asset, serial });
            }
            How::DelistedProof | How::DelistedAttestation => {
                let proposal = Proposal {
                    change: Change::RemoveIssuer(IssuerIndex::new(1).unwrap()),
                    nonce: 1,
                    expiry: Height(1_000),
                };
                for name in VALIDATORS {
                    scenario.act(name, Action::Approve(Box::new(proposal.clone())));
                }
            }
        }
    }

    /// Steps until the next block is the closing block.
    fn until_the_close(&mut self) {
        let Phase::Bidding { closes } = self.scenario.state.auction(&self.auction).unwrap().phase
        else {
            panic!("bidding")
        };
        while self.scenario.state.height().next() < closes {
            self.scenario.step();
        }
    }

    fn entry(&self, bid: BidId, task: u32) -> Option<EntryOutcome> {
        self.scenario.records().find_map(|record| match record {
            OutcomeRecord::Entry(entry) if (entry.bid, entry.task) == (bid, task) => {
                Some(entry.outcome.clone())
            }
            _ => None,
        })
    }

    fn whole(&self, bid: BidId) -> Option<BidReason> {
        self.scenario.records().find_map(|record| match record {
            OutcomeRecord::Bid(record) if record.bid == bid => Some(record.reason.clone()),
            _ => None,
        })
    }

    fn states(&self, award: AwardRef) -> Vec<AwardState> {
        let steps = self.scenario.records().filter_map(|record| match record {
            OutcomeRecord::Award(record) if record.award == award => Some(record.state),
            _ => None,
        });
        steps.collect()
    }
}

/// T10, T31: before the closing block and in it: `Suspended`, and the next best wins at what the market is worth without the fallen bid.
#[test]
fn t10_evidence_that_falls_before_or_in_the_closing_block_suspends_the_bid() {
    for how in EVERY_WAY {
        for blocks_before in [2, 0] {
            let mut world = world();
            let award = world.fallen(how);
            if blocks_before == 0 {
                world.until_the_close();
            }
            world.fell(how);
            world.scenario.step();
            let auction = world.auction;
            let closed = world.scenario.state.auction(&auction).unwrap().closed_at();
            assert_eq!(closed.is_some(), blocks_before == 0);
            world.scenario.clear(&auction);
            assert_eq!(
                world.whole(award.bid),
                Some(BidReason::Suspended),
                "{how:?}"
            );
            assert_eq!(world.entry(award.bid, award.task), None);
            let payment = Price(100);
            let won = Some(EntryOutcome::Won { payment });
            assert_eq!(world.entry(world.other, award.task), won);
            assert_eq!(world.states(award), []);
            let asset = match how {
                How::Leaf | How::DelistedProof => "proven",
                How::Attestation | How::DelistedAttestation => "attested",
            };
            assert!(world.scenario.state.account(&asset_of(asset)).is_none());
        }
    }
}

/// T10, T31: from the block after the closing one on: the win stands and fails, whatever has become of it meanwhile; nobody else is moved up, and
/// the machine is free.
#[test]
fn t10_evidence_that_falls_after_the_closing_block_fails_the_win() {
    for how in EVERY_WAY {
        for when in ["after the close", "after clearing", "after accepting"] {
            let mut world = world();
            let award = world.fallen(how);
            world.until_the_close();
            world.scenario.step();
            let mut expected = Vec::new();
            if when != "after the close" {
                world.scenario.clear(&award.auction);
            }
            if when == "after accepting" {
                let winner = if award.task == 0 {
                    "proven"
                } else {
                    "attested"
                };
                world.scenario.act(winner, Action::Accept(award));
                world.scenario.step();
                expected.push(AwardState::Accepted);
            }
            world.fell(how);
            world.scenario.step();
            world.scenario.clear(&award.auction);
            let payment = Price(30);
            let won = Some(EntryOutcome::Won { payment });
            assert_eq!(world.entry(award.bid, award.task), won, "{how:?}, {when}");
            let by = award.bid;
            let outbid = Some(EntryOutcome::Outbid { by });
            assert_eq!(world.entry(world.other, award.task), outbid);
            expected.push(AwardState::Failed(FailReason::Suspended));
            assert_eq!(world.states(award), expected, "{how:?}, {when}");
            world.scenario.step();
            let winner = if award.task == 0 {
                "proven"
            } else {
                "attested"
            };
            assert!(world.scenario.state.account(&asset_of(winner)).is_none());
            let bid = world.other;
            assert_eq!(world.states(AwardRef { bid, ..award }), []);
        }
    }
}

/// A revocation takes away one leaf, not the agent: whoever holds another valid one bids again under a fresh root and is not suspended.
#[test]
fn a_new_bid_under_a_fresh_root_saves_who_has_other_evidence() {
    let mut world = world();
    world.fell(How::Leaf);
    world.scenario.step();
    let second = world
        .scenario
        .issue(2, "proven", "proven", attributes(CLAIM));
    let again = Plan {
        sequence: 1,
        ..plan(world.auction, "proven", &[(0, 20)])
    };
    let again = world.scenario.bid(&again, &second);
    world.scenario.submit_bid(&again);
    let auction = world.auction;
    world.scenario.clear(&auction);
    let by = again.content.id();
    assert_eq!(world.whole(world.proven), Some(BidReason::Replaced { by }));
    assert!(matches!(world.entry(by, 0), Some(EntryOutcome::Won { .. })));
    let award = AwardRef {
        bid: by,
        ..world.fallen(How::Leaf)
    };
    assert_eq!(world.states(award), []);
    assert_eq!(key("proven").public(), again.content.bidder);
}
