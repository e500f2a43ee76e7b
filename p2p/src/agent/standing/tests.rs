//! How much a standing agent does in one look, before a peer that a test makes up.

use super::{awards::Due, bids::Machines, journal::Step, *};
use crate::{
    agent::testing::{Answer, actor, attested, auction, fine, names, peer},
    api::types::{Account, Submitted, TxStatus},
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tender_auction::{scenario::key, transaction::Action};
use tender_wire::TxHash;

/// Ann's agent, with an empty journal.
fn agent(directory: &Path, client: Client) -> Agent {
    let prices = json!({ "types": { "resources/v1": {} } });
    let (events, _) = sync_channel(1);
    Agent {
        options: Options {
            place: Place::at(directory),
            prices: PathBuf::new(),
            command: None,
            jobs: 1,
            auctions: None,
            hide_issuer: false,
            retry: false,
        },
        home: directory.to_path_buf(),
        own: key("ann").public(),
        actor: actor("ann", client),
        prover: Prover::in_home(directory),
        prices: serde_json::from_value(prices).unwrap(),
        names: Some(names()),
        journal: Journal::open(directory).unwrap(),
        events,
        running: BTreeMap::new(),
        memory: BTreeMap::new(),
        machines: None,
        told: BTreeMap::new(),
        ended_until: None,
        ended: 0,
        height: None,
        looked: None,
        busy: false,
        _lock: DirLock::acquire(directory).unwrap(),
    }
}

/// Counts what is submitted to a peer that otherwise answers this.
fn counting(mut other: impl FnMut(&str) -> Answer + Send + 'static) -> (Client, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let client = peer(move |what| match what {
        "post /v1/transactions" => {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let tx_hash = TxHash([u8::try_from(number).unwrap(); 32]);
            fine(&Submitted { tx_hash })
        }
        _ => other(what),
    });
    (client, sent)
}

#[test]
fn so_many_steps_wait_for_a_block_together_and_the_others_for_the_next_look() {
    let account = Account {
        key: key("ann").public(),
        next_sequence: 0,
        issuer: None,
    };
    for steps in [MAX_WAITING, MAX_WAITING + 1] {
        let dir = tempfile::tempdir().unwrap();
        let account = account.clone();
        let (client, sent) = counting(move |_| fine(&account));
        let mut agent = agent(dir.path(), client);
        let due = |number: usize| Due {
            auction: AuctionId([1; 32]),
            award: format!("{number}-a"),
            step: Step::Accept,
            action: Action::Revoke { index: 0 },
            what: String::new(),
        };
        assert!(agent.send((0..steps).map(due).collect()).is_ok());
        assert_eq!(sent.load(Ordering::SeqCst), MAX_WAITING);
        assert_eq!(agent.busy, steps > MAX_WAITING);
    }
}

#[test]
fn so_many_bids_are_made_in_a_look_and_the_others_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (scenario, auction) = auction();
    let path = format!("get /v1/auctions/{}", auction.summary.auction);
    let told = auction.clone();
    let (client, sent) = counting(move |what| match what {
        "get /v1/auctions" => fine(&[(); 0]),
        _ if what == path => fine(&told),
        _ => fine(&TxStatus::Pending),
    });
    let mut agent = agent(dir.path(), client);
    let machines = (0..=PROOFS_PER_LOOK).map(|number| {
        let serial = format!("box-{number}");
        let held = vec![attested(&scenario, "ann", &serial)];
        (serial, held)
    });
    let machines: Machines = machines.collect();
    let mut look = || {
        agent.busy = false;
        let looked = agent.bid_with_all(&machines, &auction.summary, &mut 0);
        assert!(looked.is_ok());
        (sent.load(Ordering::SeqCst), agent.busy)
    };
    assert_eq!(look(), (PROOFS_PER_LOOK, true));
    assert_eq!(look(), (PROOFS_PER_LOOK + 1, false));
    assert_eq!(look(), (PROOFS_PER_LOOK + 1, false));
}

#[test]
fn a_bid_that_is_refused_is_tried_so_often_and_given_up_then() {
    let dir = tempfile::tempdir().unwrap();
    let (_, auction) = auction();
    let id = auction.summary.auction;
    let mut agent = agent(dir.path(), Client::new("127.0.0.1:1"));
    let refusal = Failure::new("refused", "");
    for _ in 0..MAX_TRIES {
        assert!(matches!(agent.is_to_bid(&auction, "box", &[]), Ok(true)));
        assert!(agent.bid_refused(&auction, "box", &refusal).is_ok());
        assert!(matches!(agent.is_to_bid(&auction, "box", &[]), Ok(false)));
        // The pause is over.
        agent.memory.get_mut(&id).unwrap().wait.clear();
    }
    assert!(matches!(agent.is_to_bid(&auction, "box", &[]), Ok(false)));
    let told = &agent.memory[&id].told["box"];
    assert!(told.contains("given up"), "{told}");
    assert!(matches!(
        agent.is_to_bid(&auction, "another", &[]),
        Ok(true)
    ));
}
