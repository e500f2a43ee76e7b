//! The store on a real disk: what is committed is there, what is damaged is named.

use super::*;
use std::{fs, panic};

const CHAIN: ChainId = ChainId([1; 32]);

fn id(height: u64) -> BlockId {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&height.to_le_bytes());
    BlockId(id)
}

fn block(height: u64) -> Vec<u8> {
    vec![u8::try_from(height % 251).unwrap(); 1000]
}

fn certificate(height: u64) -> Vec<u8> {
    height.to_le_bytes().repeat(20)
}

fn commit(store: &Store, height: u64) {
    let index = [
        (format!("height/{height:03}").into_bytes(), vec![1, 2]),
        (b"last".to_vec(), height.to_le_bytes().to_vec()),
    ];
    store
        .commit(
            Height(height),
            id(height),
            &block(height),
            &certificate(height),
            &index,
        )
        .unwrap();
}

/// A store of `n` blocks.
fn filled(n: u64) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), CHAIN).unwrap();
    (1..=n).for_each(|h| commit(&store, h));
    (dir, store)
}

#[test]
fn what_is_committed_is_found_also_after_reopening() {
    let (dir, store) = filled(5);
    drop(store);
    let store = Store::open(dir.path(), CHAIN).unwrap();
    assert_eq!(store.tip().unwrap(), Some((Height(5), id(5))));
    for h in 1..=5 {
        let stored = store.block(Height(h)).unwrap().unwrap();
        assert_eq!(stored.height, Height(h));
        assert_eq!(
            (stored.block, stored.certificate),
            (block(h), certificate(h))
        );
        assert_eq!(store.height_of(&id(h)).unwrap(), Some(Height(h)));
    }
    assert_eq!(store.block(Height(6)).unwrap(), None);
    assert_eq!(store.height_of(&id(6)).unwrap(), None);
    assert_eq!(
        store.index_get(b"last").unwrap(),
        Some(5u64.to_le_bytes().to_vec())
    );
    assert_eq!(store.index_get(b"lost").unwrap(), None);
}

#[test]
fn an_empty_store_has_no_tip() {
    let (_dir, store) = filled(0);
    assert_eq!(store.tip().unwrap(), None);
    assert_eq!(store.blocks(Height(0), 10, 1 << 20).unwrap(), vec![]);
    assert_eq!(store.snapshot().unwrap(), None);
}

#[test]
fn b13_heights_have_no_holes_and_never_regress() {
    let (_dir, store) = filled(2);
    for height in [0, 1, 2, 4, u64::MAX] {
        let error = store
            .commit(Height(height), id(9), b"", b"", &[(b"k".to_vec(), vec![])])
            .unwrap_err();
        assert!(matches!(error, StoreError::NotNext { .. }), "{error}");
    }
    assert_eq!(store.tip().unwrap(), Some((Height(2), id(2))));
    assert_eq!(store.index_get(b"k").unwrap(), None, "all or nothing");
    assert_eq!(store.height_of(&id(9)).unwrap(), None);
}

#[test]
fn ranges_are_capped_in_count_and_bytes() {
    let (_dir, store) = filled(10);
    let one = block(1).len() + certificate(1).len();
    let heights = |from, count, bytes| -> Vec<u64> {
        let found = store.blocks(Height(from), count, bytes).unwrap();
        found.iter().map(|b| b.height.0).collect()
    };
    assert_eq!(heights(3, 4, usize::MAX), [3, 4, 5, 6]);
    assert_eq!(heights(0, 2, usize::MAX), [1, 2]);
    assert_eq!(heights(9, 100, usize::MAX), [9, 10]);
    assert_eq!(heights(11, 100, usize::MAX), [0; 0]);
    assert_eq!(heights(1, 100, 3 * one), [1, 2, 3]);
    assert_eq!(heights(1, 100, 3 * one - 1), [1, 2]);
    assert_eq!(heights(1, 100, one - 1), [0; 0]);
    assert_eq!(heights(1, 0, usize::MAX), [0; 0]);
}

#[test]
fn scans_stay_in_their_prefix_and_page() {
    let (_dir, store) = filled(5);
    let keys = |after: Option<&[u8]>, limit| -> Vec<String> {
        let found = store.index_scan(b"height/", after, limit).unwrap();
        let text = |(key, _)| String::from_utf8(key).unwrap();
        found.into_iter().map(text).collect()
    };
    assert_eq!(keys(None, 2), ["height/001", "height/002"]);
    assert_eq!(keys(Some(b"height/002"), 2), ["height/003", "height/004"]);
    assert_eq!(keys(Some(b"height/004"), 9), ["height/005"]);
    assert_eq!(keys(Some(b"a"), 1), ["height/001"]);
    assert_eq!(keys(Some(b"z"), 9), [""; 0]);
}

#[test]
fn the_snapshot_is_the_last_one_put() {
    let (_dir, store) = filled(1);
    store.put_snapshot(Height(1), b"old").unwrap();
    store.put_snapshot(Height(2), &vec![5; 1 << 20]).unwrap();
    assert_eq!(
        store.snapshot().unwrap(),
        Some((Height(2), vec![5; 1 << 20]))
    );
}

#[test]
fn another_chain_is_told_so() {
    let (dir, store) = filled(1);
    drop(store);
    let error = Store::open(dir.path(), ChainId([2; 32])).unwrap_err();
    assert!(matches!(error, StoreError::OtherChain { .. }), "{error}");
    assert!(error.to_string().contains(&CHAIN.to_string()), "{error}");
    assert_eq!(
        Store::open(dir.path(), CHAIN).unwrap().tip().unwrap(),
        Some((Height(1), id(1)))
    );
}

#[test]
fn p7_one_directory_has_one_holder() {
    let (dir, store) = filled(0);
    let error = Store::open(dir.path(), CHAIN).unwrap_err().to_string();
    assert!(error.contains("already in use by process"), "{error}");
    drop(store);
    Store::open(dir.path(), CHAIN).unwrap();
}

/// P1, P2: the file as a killed process leaves it, without redb's orderly closing.
#[test]
fn p1_a_copy_of_the_open_file_has_every_commit() {
    let (dir, store) = filled(0);
    for height in 1..=8 {
        commit(&store, height);
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join(FILE), copy.path().join(FILE)).unwrap();
        for _ in 0..2 {
            let found = Store::open(copy.path(), CHAIN).unwrap();
            assert_eq!(found.tip().unwrap(), Some((Height(height), id(height))));
            assert_eq!(
                found.blocks(Height(1), 99, usize::MAX).unwrap().len(),
                height as usize
            );
        }
    }
}

/// P4: whatever byte is flipped, no reading gives anything but what was written, and nothing panics.
#[test]
fn p4_a_flipped_byte_is_an_error_or_harmless_never_a_wrong_answer() {
    let (dir, store) = filled(6);
    drop(store);
    let good = fs::read(dir.path().join(FILE)).unwrap();
    let mut noticed = 0;
    // redb's own panics, which the store turns into errors, would fill the screen.
    panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|at| at.file().contains("redb")) {
            eprintln!("{info}");
        }
    }));
    // Page heads, where the structure is, and a sample of the rest.
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let heads = used.iter().filter(|at| *at % 4096 < 6);
    let sample = heads.chain(used.iter().step_by(used.len() / 200)).copied();
    for at in sample {
        let copy = tempfile::tempdir().unwrap();
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(copy.path().join(FILE), &bad).unwrap();
        let read = panic::catch_unwind(|| -> Result<(), StoreError> {
            let store = Store::open(copy.path(), CHAIN)?;
            assert_eq!(store.tip()?, Some((Height(6), id(6))), "byte {at}");
            let blocks = store.blocks(Height(1), 99, usize::MAX)?;
            let wrong = blocks.iter().any(|b| b.block != block(b.height.0));
            assert!(blocks.len() == 6 && !wrong, "byte {at}");
            for h in 1..=6 {
                assert_eq!(store.height_of(&id(h))?, Some(Height(h)), "byte {at}");
            }
            Ok(())
        });
        match read {
            Ok(Ok(())) => {}
            Ok(Err(StoreError::Damaged { .. } | StoreError::OtherFormat { .. })) => noticed += 1,
            Ok(Err(other)) => panic!("byte {at}: {other}"),
            Err(_) => panic!("byte {at}: panicked"),
        }
    }
    let _ = panic::take_hook();
    assert!(noticed > 0);
}

#[test]
fn p4_a_file_that_is_no_database_or_cut_short_is_damage() {
    let (dir, store) = filled(3);
    drop(store);
    let path = dir.path().join(FILE);
    let good = fs::read(&path).unwrap();
    for bad in [
        &b"hello"[..],
        &good[..100],
        &good[..good.len() / 2],
        &[0; 8192],
    ] {
        fs::write(&path, bad).unwrap();
        let error = Store::open(dir.path(), CHAIN).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. } | StoreError::Io { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
