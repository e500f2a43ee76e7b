//! Limits of the state too high to reach by transactions in a test: the state is filled, the one more is real.

use super::{
    Refusal,
    auction::{Auction, MAX_AUCTION_ENTRIES, Phase, ReplacedBid},
    governance::MAX_WAITING,
    registry::{Credentials, MAX_REVOKED_SERIALS, MAX_ROOTS},
    state::{
        MAX_LIVE, MAX_LIVE_PER_OPENER, MAX_SETTLED, MAX_SETTLED_PER_OPENER, MAX_SIGNERS,
        MarketState,
    },
    table::Table,
};
use crate::{
    genesis::{Issuer, MAX_ISSUERS, MAX_TYPES, MAX_VALIDATORS},
    scenario::{ISSUERS, OPENER, Plan, Scenario, VALIDATORS, amounts, class, key, spec, task},
    task::AuctionSpec,
    transaction::{Action, Change, Proposal},
};
use tender_circuits::{CapabilityType, IssuerIndex, asset_of};
use tender_consensus::validators::{Validator, ValidatorSet};
use tender_wire::{AuctionId, BidId, FieldBytes, Height, Power, PublicKey, TypeId};

fn small(max_entries: u8) -> AuctionSpec {
    AuctionSpec {
        max_entries,
        ..spec(vec![class("c", &[])], vec![task("t", 0, 100, 1)])
    }
}

fn open() -> Action {
    Action::OpenAuction(Box::new(small(8)))
}

fn public(n: usize) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    PublicKey(bytes)
}

/// Puts so many more auctions of such openers into the state, live or settled.
fn fill(state: &mut MarketState, count: usize, opener: impl Fn(usize) -> PublicKey, live: bool) {
    let auctions = state.auctions.edit();
    let model: Auction = (**auctions.by_id.values().next().unwrap()).clone();
    for n in 0..count {
        let id = AuctionId(public(auctions.by_id.len()).0);
        let cleared = Height(1);
        let phase = if live {
            model.phase
        } else {
            Phase::Settled { cleared }
        };
        let row = Auction {
            id,
            opener: opener(n),
            phase,
            ..model.clone()
        };
        auctions.by_id.insert(id, Table::new(row));
    }
}

/// A scenario with one live auction, of an opener of its own.
fn with_one() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.act("another", open());
    scenario.step();
    scenario
}

#[test]
fn openers_hold_so_many_auctions_and_no_more() {
    let opener = key(OPENER).public();
    let cases = [
        (MAX_LIVE_PER_OPENER, true, Some(opener), "opener_limit"),
        (MAX_SETTLED_PER_OPENER, false, Some(opener), "opener_limit"),
        (MAX_LIVE - 1, true, None, "auction_limit"),
        (MAX_SETTLED, false, None, "auction_limit"),
    ];
    for (most, live, owner, code) in cases {
        let judged = |count| {
            let mut scenario = with_one();
            fill(
                &mut scenario.state,
                count,
                |n| owner.unwrap_or(public(n)),
                live,
            );
            let refused = scenario.predict(&scenario.sign(OPENER, open()));
            refused.err().map(|it| it.code())
        };
        assert_eq!(judged(most - 1), None, "{most} {live}");
        assert_eq!(judged(most), Some(code), "{most} {live}");
    }
}

#[test]
fn the_chain_remembers_so_many_signers_and_no_more() {
    let mut scenario = Scenario::default();
    let sequences = scenario.state.sequences.edit();
    sequences.0 = (0..MAX_SIGNERS - 1).map(|n| (public(n), 1)).collect();
    let new = scenario.sign("a newcomer", open());
    assert_eq!(scenario.predict(&new), Ok(()));
    let last = public(MAX_SIGNERS);
    scenario.state.sequences.edit().0.insert(last, 1);
    let max = MAX_SIGNERS;
    assert_eq!(scenario.predict(&new), Err(Refusal::TooManySigners { max }));
    // Who is known goes on.
    let opener = key(OPENER).public();
    let sequences = scenario.state.sequences.edit();
    sequences.0.remove(&last);
    sequences.0.insert(opener, 1);
    assert_eq!(scenario.predict(&scenario.sign(OPENER, open())), Ok(()));
}

/// Replaced bids count: each leaves a record.
#[test]
fn an_auction_takes_so_many_entries_and_no_more() {
    let mut scenario = Scenario::default();
    let auction = scenario.open(small(64));
    let cap = MAX_AUCTION_ENTRIES / 64;
    let plan = Plan {
        auction,
        agent: "ann",
        machine: "m",
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 10)],
        claim: amounts(&[]),
    };
    let shown = scenario.attest(0, "ann", "m", plan.claim.clone(), 1);
    let bid = scenario.attested_bid(&plan, &[shown]);
    let bid = crate::transaction::Transaction::Bid(Box::new(bid));
    let mut replace = |count: usize| {
        let row = scenario.state.auctions.edit().by_id.get_mut(&auction);
        row.unwrap().edit().replaced = (0..count)
            .map(|n| {
                let id = BidId(public(n).0);
                let asset = FieldBytes::from_u64(n as u64);
                (
                    id,
                    ReplacedBid {
                        bidder: public(n),
                        asset,
                        by: id,
                    },
                )
            })
            .collect();
        scenario.predict(&bid)
    };
    assert_eq!(replace(cap - 1), Ok(()));
    assert_eq!(replace(cap), Err(Refusal::BidLimit { auction, cap }));
}

#[test]
fn so_many_roots_stay_good_and_no_more() {
    let mut credentials = Credentials::genesis();
    let issuer = IssuerIndex::new(0).unwrap();
    let mut roots = vec![credentials.good_root().unwrap().0];
    for height in 1..=MAX_ROOTS as u64 {
        let commitment = FieldBytes::from_u64(height);
        credentials
            .issue(issuer, &commitment, asset_of("m"))
            .unwrap();
        credentials.end_block(Height(height));
        roots.push(credentials.good_root().unwrap().0);
        let kept = roots
            .iter()
            .filter(|root| credentials.root_height(root).is_some());
        if roots.len() >= MAX_ROOTS {
            assert_eq!(kept.count(), MAX_ROOTS);
        }
    }
    assert_eq!(credentials.root_height(&roots[0]), None, "the oldest went");
}

#[test]
fn an_issuer_revokes_so_many_attestations_and_no_more() {
    let mut scenario = Scenario::default();
    let revoke = Action::RevokeAttestation {
        asset: asset_of("m"),
        serial: 7,
    };
    let mut judged = |revoked| {
        scenario.state.issuers.edit().0[0].revoked_serials = revoked;
        scenario.predict(&scenario.sign(ISSUERS[0], revoke.clone()))
    };
    assert_eq!(judged(MAX_REVOKED_SERIALS - 1), Ok(()));
    let refused = judged(MAX_REVOKED_SERIALS).unwrap_err();
    assert!(matches!(
        refused,
        Refusal::Quota {
            what: "revoked attestations",
            ..
        }
    ));
}

/// What validators may add by vote ends where genesis ends.
#[test]
fn governance_adds_so_many_and_no_more() {
    let judged = |scenario: &Scenario, change: Change| {
        let expiry = Height(100);
        let proposal = Proposal {
            change,
            nonce: 0,
            expiry,
        };
        let approve = Action::Approve(Box::new(proposal));
        let refused = scenario.predict(&scenario.sign(VALIDATORS[0], approve));
        refused.err().map(|it| it.to_string())
    };
    let issuer = || Issuer {
        name: "new".into(),
        key: key("new").public(),
        quota: 1,
    };
    let mut scenario = Scenario::default();
    for n in ISSUERS.len()..MAX_ISSUERS {
        assert_eq!(judged(&scenario, Change::AddIssuer(issuer())), None);
        let (name, key) = (format!("i{n}"), public(n));
        scenario.state.add_issuer(Issuer {
            name,
            key,
            ..issuer()
        });
    }
    let refused = judged(&scenario, Change::AddIssuer(issuer())).unwrap();
    assert!(
        refused.contains("64 issuers, the most allowed"),
        "{refused}"
    );

    let record = |version| CapabilityType {
        version,
        ..scenario.market.genesis().types[0].clone()
    };
    let mut scenario = Scenario::default();
    for n in 1..MAX_TYPES {
        let types = scenario.state.types.edit();
        let id = TypeId(public(n).0);
        types.by_id.insert(id, std::sync::Arc::new(record(0)));
        if n + 1 == MAX_TYPES {
            break;
        }
    }
    assert_eq!(scenario.state.types.by_id.len(), MAX_TYPES);
    let refused = judged(&scenario, Change::AddType(record(9))).unwrap();
    assert!(refused.contains("256 types, the most allowed"), "{refused}");
    scenario.state.types.edit().by_id.pop_first();
    assert_eq!(judged(&scenario, Change::AddType(record(9))), None);

    let mut scenario = Scenario::default();
    let set = |scenario: &mut Scenario, count: usize| {
        let own = VALIDATORS.map(|name| key(name).public());
        let others = (0..count - own.len()).map(|n| key(&format!("v{n}")).public());
        let members = own.into_iter().chain(others);
        let members = members.map(|key| Validator {
            key,
            power: Power(10),
        });
        let set = ValidatorSet::new(members.collect()).unwrap();
        scenario.state.validators.edit().set = set;
    };
    let (key, power) = (key("new").public(), Power(10));
    let one_more = || Change::SetValidator { key, power };
    set(&mut scenario, MAX_VALIDATORS - 1);
    assert_eq!(judged(&scenario, one_more()), None);
    set(&mut scenario, MAX_VALIDATORS);
    let refused = judged(&scenario, one_more()).unwrap();
    assert!(refused.contains("at most 100 validators"), "{refused}");
}

/// One change of the set takes effect per height; of those that passed meanwhile, so many wait.
#[test]
fn so_many_set_changes_wait_and_no_more() {
    let mut scenario = Scenario::default();
    let change = |n: u64| Change::SetValidator {
        key: key(VALIDATORS[0]).public(),
        power: Power(10 + n % 2),
    };
    for n in 0..=MAX_WAITING as u64 {
        scenario.state.apply_change(change(n), Height(1));
    }
    assert_eq!(scenario.state.governance.waiting.len(), MAX_WAITING);
}
