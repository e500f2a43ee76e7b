//! State roots, put together from the layouts alone.

use crate::{
    book::Book,
    example::{self, Example},
    run::Step,
};
use std::collections::{BTreeMap, VecDeque};
use tender_auction::market::{Auction, Market, table::Content};
use tender_circuits::{IssuerIndex, Registry};
use tender_consensus::chain::ChainState;
use tender_wire::{Digest, FieldBytes, Height, Tag, TimeMs, encode, hash, merkle};

/// Section 18.
pub fn add(book: &mut Book, example: &Example, steps: &[Step]) {
    genesis_state(book, example);
    state(book, example, steps);
}

/// Roots before the first block.
fn genesis_state(book: &mut Book, example: &Example) {
    let market = Market::new(example.genesis.clone()).unwrap();
    book.bytes("genesis_app_root", market.initial_state().root());
    book.bytes(
        "genesis_state_root",
        ChainState::genesis(&market).state_root,
    );
}

/// The state after block 3, put together from the layouts alone.
fn state(book: &mut Book, example: &Example, steps: &[Step]) {
    let chain = &steps[2].chain;
    let app = &chain.app;
    let (bid_a, bid_b) = (&example.bids[0].content, &example.bids[1].content);
    let (issuer, opener) = (
        example::key(example::ISSUER).public(),
        example::key(example::OPENER).public(),
    );
    let table = |bytes: &[u8]| hash(Tag::Table, &[bytes]);
    let mut roots: Vec<Digest> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        book.bytes(&format!("table_{name}"), &bytes);
        let root = table(&bytes);
        book.bytes(&format!("table_{name}_root"), root);
        roots.push(root);
    };
    add("rules", encode(&(example.chain, 1_000u64, true, 1024u32)));
    add("clock", encode(&(Height(3), TimeMs(1_700_000_003_000))));
    add(
        "sequences",
        encode(&BTreeMap::from([(issuer, 1u64), (opener, 1)])),
    );
    add(
        "issuers",
        encode(&vec![("acme", issuer, 100u32, 1u32, 0u32, None::<Height>)]),
    );
    add(
        "types",
        encode(&BTreeMap::from([(("machine", 1u16), example.record.id())])),
    );
    let rows = table(&encode(&vec![(
        IssuerIndex::new(0).unwrap(),
        bid_a.asset,
        false,
    )]));
    let empty = Registry::default().root();
    let recent = VecDeque::from([(empty, Height(0)), (example.registry.root(), Height(3))]);
    let revoked: BTreeMap<(FieldBytes, IssuerIndex), Height> = BTreeMap::new();
    let serials: BTreeMap<(IssuerIndex, FieldBytes, u64), Height> = BTreeMap::new();
    add(
        "credentials",
        encode(&(
            (1u32, example.registry.root(), merkle::root(&[rows])),
            (recent, revoked, serials),
        )),
    );
    let account = |bidder| {
        (
            bidder,
            Some(example.record.id()),
            Vec::<u64>::new(),
            1u32,
            0u32,
            Vec::<(Height, Vec<u64>)>::new(),
        )
    };
    add(
        "ledger",
        encode(&BTreeMap::from([
            (bid_a.asset, account(bid_a.bidder)),
            (bid_b.asset, account(bid_b.bidder)),
        ])),
    );
    let auction = app.auction(&example.auction).unwrap();
    let (core, bids) = auction_parts(auction);
    let row = hash(Tag::Table, &[&core, &bids]);
    assert_eq!(row, auction.digest());
    add("auctions", encode(&(1u64, vec![(example.auction, row)])));
    add("endings", encode(&BTreeMap::<(TimeMs, u8), u8>::new()));
    add(
        "validators",
        encode(&(app.validators(), BTreeMap::<u8, u8>::new())),
    );
    let nothing: BTreeMap<Digest, Height> = BTreeMap::new();
    add(
        "governance",
        encode(&(
            &example.genesis.openers,
            &nothing,
            &nothing,
            Vec::<u8>::new(),
        )),
    );

    let parts: Vec<&[u8]> = roots.iter().map(AsRef::as_ref).collect();
    let root = hash(Tag::State, &parts);
    assert_eq!(root, app.root(), "the layouts give the state's own root");
    book.bytes("table_credential_rows_root", rows);
    book.bytes("auction_core", core);
    book.bytes("auction_bids", bids);
    book.bytes("auction_row", row);
    book.bytes("app_root_3", root);

    let rotation = book.value("rotation_3", &chain.rotation);
    assert_eq!(
        rotation,
        encode(&(vec![-1i128, -1, -1, 3], vec![0u8, 0, 2, 0]))
    );
    let offences = book.value("offences_3", &chain.offences);
    let whole = hash(Tag::ChainState, &[root.as_ref(), &rotation, &offences]);
    assert_eq!(whole, steps[2].block.header.state_root);
    book.bytes("state_root_3", whole);
}

/// What an auction's row is hashed from.
fn auction_parts(a: &Auction) -> (Vec<u8>, Vec<u8>) {
    let spec_hash = hash(Tag::Table, &[&encode(&*a.spec)]);
    assert_eq!(spec_hash, a.spec_hash);
    let core = encode(&(
        (
            a.id,
            a.opener,
            a.order,
            a.opened,
            a.opening_block,
            spec_hash,
        ),
        (
            &a.committee.members,
            a.committee.faulty,
            &a.keys,
            a.phase,
            &a.by_asset,
            &a.replaced,
        ),
        (&a.suspended, &a.reveals, &a.awards, &a.runners_up),
    ));
    let mut bids = Vec::new();
    for (id, bid) in &a.bids {
        bids.extend(id.0);
        bids.extend(encode(&bid.admitted));
        bid.evidences
            .iter()
            .for_each(|e| bids.extend(encode(&e.fresh_at)));
    }
    (core, bids)
}
