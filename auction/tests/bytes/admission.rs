//! Damaged transactions at the market's door: whatever still decodes is refused with a reason; and what its own signer damaged and signed anew
//! is refused or does what it says, in a block that executes.

use crate::{
    example,
    registry::{Vectors, every},
    run,
};
use std::sync::OnceLock;
use tender_auction::{
    market::{Market, MarketState, Refusal},
    transaction::{Action, AwardRef, Change, Proposal, SealKeyTx, SignedTx, Transaction},
};
use tender_consensus::{
    application::{Application as _, BlockContext, Payload},
    chain::ChainState,
    tx::TxBytes,
};
use tender_wire::{ChainId, Digest, Height, Power, PublicKey, SecretKey, decode, encode, testing};

/// A transaction and the chain to which it applies next.
struct Case {
    chain: ChainState<MarketState>,
    tx: Transaction,
}

struct World {
    market: Market,
    cases: Vec<Case>,
}

/// One transaction of every kind, on the worked example's chain.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let example = Vectors::read().example();
        let market = Market::new(example.genesis.clone()).unwrap();
        let steps = run::run(&example);
        let mut cases = Vec::new();
        let mut add = |chain: &ChainState<MarketState>, tx: Transaction| {
            let chain = chain.clone();
            cases.push(Case { chain, tx });
        };
        let [opening, keys, bids, reveals] = example.transactions();
        let genesis = ChainState::genesis(&market);
        opening.iter().for_each(|tx| add(&genesis, tx.clone()));
        add(&steps[0].chain, keys[0].clone());
        bids.iter().for_each(|tx| add(&steps[1].chain, tx.clone()));
        add(&steps[4].chain, reveals[0].clone());

        let signed = |chain: &ChainState<MarketState>, key: &SecretKey, action| {
            let sequence = chain.app.next_sequence(&key.public());
            let tx = SignedTx::new(&example.chain, key, sequence, action);
            Transaction::Signed(Box::new(tx))
        };
        let [issuer, opener, winner, validator] =
            [example::ISSUER, example::OPENER, example::BIDDER_A, 1].map(example::key);
        let (asset, serial) = (example.credential.asset, 7);
        for action in [
            Action::Revoke { index: 0 },
            Action::RevokeAttestation { asset, serial },
        ] {
            add(&steps[0].chain, signed(&steps[0].chain, &issuer, action));
        }
        for change in [
            Change::SetValidator {
                key: example::key(9).public(),
                power: Power(1),
            },
            Change::AddIssuer(tender_auction::genesis::Issuer {
                name: "new".into(),
                key: example::key(9).public(),
                quota: 1,
            }),
        ] {
            let proposal = Proposal {
                change,
                nonce: 0,
                expiry: Height(20),
            };
            let action = Action::Approve(Box::new(proposal));
            add(&steps[0].chain, signed(&steps[0].chain, &validator, action));
        }
        let award = AwardRef {
            auction: example.auction,
            task: 0,
            bid: example.bids[0].content.id(),
        };
        let mut chain = steps[6].chain.clone();
        let result = Digest([4; 32]);
        for action in [Action::Accept(award), Action::Deliver { award, result }] {
            let tx = signed(&chain, &winner, action);
            add(&chain, tx.clone());
            let context = next(&chain);
            chain.app = execute(&market, &chain, &tx).unwrap();
            (chain.height, chain.time) = (context.height, context.time);
        }
        for action in [Action::Confirm(award), Action::Reject(award)] {
            add(&chain, signed(&chain, &opener, action));
        }
        World { market, cases }
    })
}

fn next(chain: &ChainState<MarketState>) -> BlockContext {
    chain.context(chain.earliest(), Vec::new())
}

/// A block with this transaction alone, as every peer executes it.
fn execute(
    market: &Market,
    chain: &ChainState<MarketState>,
    tx: &Transaction,
) -> Result<MarketState, String> {
    let context = next(chain);
    let candidates = [TxBytes::new(tx.to_bytes()).unwrap()];
    let payload = market.propose(&chain.app, &context, &candidates);
    let payload = Payload {
        transactions: candidates.to_vec(),
        ..payload
    };
    let executed = market.execute(&chain.app, &context, &payload);
    executed.map(|it| it.state).map_err(|e| e.to_string())
}

/// B18, T3, T28: nobody but its signer can change a single bit of a transaction; a reveal, which nobody signs, proves itself bit by bit.
#[test]
fn a_damaged_transaction_is_refused_with_a_reason() {
    let World { market, cases } = world();
    for Case { chain, tx } in cases {
        assert_eq!(market.predict(&chain.app, tx), Ok(()), "{}", tx.kind());
        let (mut malformed, mut refused) = (0, 0);
        testing::each(&tx.to_bytes(), |damage, bytes| {
            let verdict = Transaction::from_bytes(bytes)
                .map_err(|error| Refusal::Malformed { error })
                .and_then(|damaged| market.predict(&chain.app, &damaged));
            match verdict {
                Ok(()) => panic!("{}: {damage}: admitted", tx.kind()),
                Err(Refusal::Malformed { .. }) => malformed += 1,
                Err(other) => {
                    assert!(!other.code().is_empty() && other.to_string().len() < 1000);
                    refused += 1;
                }
            }
        });
        assert!(
            malformed > 50 && refused > 100,
            "{}: {malformed}, {refused}",
            tx.kind()
        );
    }
}

/// B18, B22: what a signer may say is anything that decodes. Each is refused, or does something that every peer can execute, write down and read.
#[test]
fn a_signer_that_damages_its_own_transaction_gets_a_verdict_and_nothing_breaks() {
    let World { market, cases } = world();
    let (mut turn, mut admitted, mut refused) = (0, 0, 0);
    for Case { chain, tx } in cases {
        let stride = match tx {
            Transaction::Bid(_) => every(47), // a proof costs milliseconds
            _ => every(5),
        };
        testing::each(&tx.to_bytes(), |damage, bytes| {
            turn += 1;
            let Ok(damaged) = Transaction::from_bytes(bytes) else {
                return;
            };
            if turn % stride != 0 {
                return;
            }
            let Some(hostile) = signed_again(&chain.chain, damaged) else {
                return;
            };
            let predicted = market.predict(&chain.app, &hostile);
            let executed = execute(market, chain, &hostile);
            assert_eq!(
                predicted.is_ok(),
                executed.is_ok(),
                "{}: {damage}: {predicted:?} {:?}",
                tx.kind(),
                executed.as_ref().err()
            );
            match executed {
                Err(_) => refused += 1,
                Ok(state) => {
                    admitted += 1;
                    let read: MarketState = decode(&encode(&state)).unwrap();
                    assert_eq!(read.root(), state.root(), "{}: {damage}", tx.kind());
                }
            }
        });
    }
    assert!(
        admitted > 200 && refused > 800,
        "{admitted} admitted, {refused} refused"
    );
}

/// The transaction with a good signature, if its signer is one of the example's.
fn signed_again(chain: &ChainId, tx: Transaction) -> Option<Transaction> {
    let key_of = |public: PublicKey| {
        let known = [
            1,
            2,
            3,
            4,
            example::ISSUER,
            example::OPENER,
            example::BIDDER_A,
            example::BIDDER_B,
        ];
        known
            .map(example::key)
            .into_iter()
            .find(|key| key.public() == public)
    };
    Some(match tx {
        Transaction::Bid(bid) => {
            let key = key_of(bid.content.bidder)?;
            Transaction::Bid(Box::new(bid.content.sign(chain, &key)))
        }
        Transaction::SealKey(tx) => {
            let key = key_of(tx.member)?;
            Transaction::SealKey(SealKeyTx::new(chain, &key, tx.auction, tx.key, tx.proof))
        }
        Transaction::Signed(tx) => {
            let key = key_of(tx.signer)?;
            Transaction::Signed(Box::new(SignedTx::new(chain, &key, tx.sequence, tx.action)))
        }
        Transaction::SealReveal(_) => return None,
    })
}
