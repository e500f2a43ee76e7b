//! Laws of the pool: bounds hold, order is fair, nobody blocks another.

use super::*;
use tender_consensus::params::MAX_TX_BYTES;
use tender_wire::SecretKey;

fn key(i: u8) -> PublicKey {
    SecretKey::from_seed(&mut [i; 32]).public()
}

fn tx(name: &str) -> TxBytes {
    TxBytes::new(name.as_bytes().to_vec()).unwrap()
}

fn pool() -> Mempool {
    Mempool::new(Metrics::new())
}

fn numbered(signer: u8, sequence: u64) -> Lane {
    Lane::Numbered {
        signer: key(signer),
        sequence,
    }
}

fn names(pool: &Mempool) -> Vec<String> {
    let all = pool.candidates(usize::MAX, usize::MAX);
    all.iter()
        .map(|t| String::from_utf8(t.bytes().to_vec()).unwrap())
        .collect()
}

#[test]
fn a_signers_numbers_come_in_order_and_everybodys_first_before_anybodys_second() {
    let pool = pool();
    for (name, lane) in [
        ("a0", numbered(1, 5)),
        ("a1", numbered(1, 6)),
        ("a2", numbered(1, 7)),
        ("b0", Lane::Bid { bidder: key(2) }),
        ("b1", Lane::Bid { bidder: key(2) }),
        ("c0", numbered(3, 5)),
        ("seal", Lane::Committee),
    ] {
        pool.insert(tx(name), lane, Source::Own, 5).unwrap();
    }
    assert_eq!(names(&pool), ["seal", "a0", "b0", "c0", "a1", "b1", "a2"]);
    assert_eq!(pool.next_sequence(&key(1), 5), 8);
    assert_eq!(pool.next_sequence(&key(9), 5), 5);
}

#[test]
fn gaps_used_numbers_and_second_claims_to_a_number_are_refused() {
    let pool = pool();
    let put =
        |name, sequence, next| pool.insert(tx(name), numbered(1, sequence), Source::Own, next);
    assert!(matches!(
        put("late", 4, 5),
        Err(PoolError::Past { expected: 5, .. })
    ));
    assert!(matches!(
        put("early", 6, 5),
        Err(PoolError::Gap { expected: 5, .. })
    ));
    put("five", 5, 5).unwrap();
    assert!(matches!(
        put("other five", 5, 5),
        Err(PoolError::Taken { .. })
    ));
    assert!(matches!(put("five", 5, 5), Err(PoolError::Duplicate(_))));
    put("six", 6, 5).unwrap();
    // Five is committed: six is next on chain, seven the next free.
    pool.remove([tx("five").hash()]);
    assert_eq!(pool.next_sequence(&key(1), 6), 7);
}

#[test]
fn what_waits_for_a_predecessor_that_is_gone_has_no_place() {
    let pool = pool();
    for (name, sequence) in [("five", 5), ("six", 6), ("seven", 7)] {
        pool.insert(tx(name), numbered(1, sequence), Source::Own, 5)
            .unwrap();
    }
    let place = |sequence| pool.check_place(&numbered(1, sequence), 5);
    assert!([5, 6, 7].iter().all(|n| place(*n).is_ok()));
    pool.remove([tx("six").hash()]);
    assert_eq!(place(5), Ok(()));
    assert_eq!(place(7).unwrap_err().code, "sequence");
    assert_eq!(pool.check_place(&Lane::Committee, 5), Ok(()));
}

#[test]
fn caps_hold_and_a_block_is_filled_within_its_bytes() {
    let pool = pool();
    for i in 0..10 {
        let name = format!("{i:0>100}");
        pool.insert(tx(&name), Lane::Bid { bidder: key(i) }, Source::Own, 0)
            .unwrap();
    }
    assert_eq!(pool.candidates(3, usize::MAX).len(), 3);
    assert_eq!(pool.candidates(usize::MAX, 399).len(), 3);
    assert_eq!(pool.candidates(usize::MAX, 0).len(), 0);
}

#[test]
fn what_does_not_fit_holds_back_what_depends_on_it_and_nobody_else() {
    let pool = pool();
    let big = TxBytes::new(vec![7; 1000]).unwrap();
    pool.insert(big, numbered(1, 0), Source::Own, 0).unwrap();
    pool.insert(tx("depends"), numbered(1, 1), Source::Own, 0)
        .unwrap();
    pool.insert(tx("other"), numbered(2, 0), Source::Own, 0)
        .unwrap();
    let chosen = pool.candidates(10, 100);
    assert_eq!(chosen, [tx("other")]);
}

#[test]
fn l1_one_signer_or_peer_fills_its_own_room_only() {
    let pool = pool();
    let peer = PeerId::random();
    for i in 0..MAX_PER_SIGNER {
        pool.insert(tx(&format!("s{i}")), numbered(1, i as u64), Source::Own, 0)
            .unwrap();
    }
    let full = pool.insert(tx("s"), numbered(1, MAX_PER_SIGNER as u64), Source::Own, 0);
    assert!(matches!(full, Err(PoolError::SignerFull { .. })));
    for i in 0..MAX_PER_PEER {
        let bidder = PublicKey([(i / 200) as u8; 32]);
        pool.insert(
            tx(&format!("p{i}")),
            Lane::Bid { bidder },
            Source::Peer(peer),
            0,
        )
        .unwrap();
    }
    let lane = Lane::Bid { bidder: key(77) };
    let full = pool.insert(tx("p"), lane, Source::Peer(peer), 0);
    assert!(matches!(full, Err(PoolError::PeerFull { .. })));
    pool.insert(tx("p"), lane, Source::Peer(PeerId::random()), 0)
        .unwrap();
    // Room comes back when its transactions are gone.
    pool.remove([tx("p0").hash()]);
    pool.insert(tx("p2"), lane, Source::Peer(peer), 0)
        .unwrap_err(); // a duplicate
    pool.insert(tx("again"), lane, Source::Peer(peer), 0)
        .unwrap();
}

#[test]
fn l1_a_flood_leaves_room_for_committee_duties() {
    let pool = pool();
    let mut held = 0usize;
    for i in 0..=u16::MAX {
        let mut bidder = [0; 32];
        bidder[..2].copy_from_slice(&i.to_le_bytes());
        let lane = Lane::Bid {
            bidder: PublicKey(bidder),
        };
        match pool.insert(tx(&format!("{i}")), lane, Source::Own, 0) {
            Ok(()) => held += 1,
            Err(PoolError::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(held, MAX_TXS - COMMITTEE_ROOM);
    pool.insert(tx("seal"), Lane::Committee, Source::Own, 0)
        .unwrap();
    assert_eq!(pool.candidates(1, usize::MAX), [tx("seal")]);
}

#[test]
fn l1_a_flood_of_large_transactions_leaves_room_for_committee_duties() {
    let pool = pool();
    let large = |i: u64| {
        let mut bytes = vec![0; MAX_TX_BYTES];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        TxBytes::new(bytes).unwrap()
    };
    let fits = (MAX_BYTES - COMMITTEE_BYTES) / MAX_TX_BYTES;
    for i in 0..fits as u64 {
        let bidder = PublicKey([(i / 200) as u8; 32]);
        pool.insert(large(i), Lane::Bid { bidder }, Source::Own, 0)
            .unwrap();
    }
    let lane = Lane::Bid { bidder: key(77) };
    let full = pool.insert(tx("bid"), lane, Source::Own, 0);
    assert!(matches!(full, Err(PoolError::Full { .. })));
    pool.insert(tx("seal"), Lane::Committee, Source::Own, 0)
        .unwrap();
    assert_eq!(pool.candidates(1, usize::MAX), [tx("seal")]);
}

#[test]
fn bytes_are_counted_down_to_zero() {
    let pool = pool();
    pool.insert(tx("one"), Lane::Committee, Source::Own, 0)
        .unwrap();
    pool.insert(tx("two"), numbered(1, 0), Source::Peer(PeerId::random()), 0)
        .unwrap();
    pool.remove([tx("one").hash(), tx("two").hash(), tx("three").hash()]);
    let inner = pool.lock();
    assert!(
        inner.entries.is_empty()
            && inner.lanes.is_empty()
            && inner.by_peer.is_empty()
            && inner.bytes == 0
    );
}

#[test]
fn own_transactions_are_due_again_after_the_memory_of_gossip_not_before() {
    let pool = pool();
    pool.insert(tx("own"), Lane::Committee, Source::Own, 0)
        .unwrap();
    pool.insert(
        tx("foreign"),
        Lane::Committee,
        Source::Peer(PeerId::random()),
        0,
    )
    .unwrap();
    let now = Instant::now();
    assert!(pool.due_again(now).is_empty());
    let later = now + RESEND_AFTER + Duration::from_secs(1);
    assert_eq!(pool.due_again(later), [tx("own")]);
    assert!(pool.due_again(later).is_empty());
}

/// What was submitted while no peer was there is due as soon as somebody asks for it, which is when there is one; no more at once than a neighbour
/// can take.
#[test]
fn what_nobody_heard_is_due_at_once_and_so_many_at_a_time() {
    let pool = pool();
    for i in 0..=MAX_RESENT {
        let name = format!("{i}");
        let bidder = key(u8::try_from(i % 200).unwrap());
        pool.insert(tx(&name), Lane::Bid { bidder }, Source::Own, 0)
            .unwrap();
        pool.unheard(&tx(&name).hash());
    }
    let now = Instant::now();
    assert_eq!(pool.due_again(now).len(), MAX_RESENT);
    assert_eq!(pool.due_again(now).len(), 1);
    assert!(pool.due_again(now).is_empty(), "now they are heard");
}

/// T26: room is known before a proof is verified, and as insertion would say it.
#[test]
fn room_can_be_asked_for() {
    let pool = pool();
    let bidder = key(1);
    for i in 0..MAX_PER_SIGNER {
        let lane = Lane::Bid { bidder };
        assert_eq!(pool.check_room(&tx("next"), &lane, &Source::Own), Ok(()));
        pool.insert(tx(&format!("{i}")), lane, Source::Own, 0)
            .unwrap();
    }
    let lane = Lane::Bid { bidder };
    let full = PoolError::SignerFull { signer: bidder };
    assert_eq!(pool.check_room(&tx("next"), &lane, &Source::Own), Err(full));
    assert_eq!(pool.insert(tx("next"), lane, Source::Own, 0), Err(full));
}
