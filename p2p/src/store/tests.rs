//! The store on a real disk: what is committed is there, what is damaged is named. And on one that loses power.

use super::*;
use std::{
    fs, panic,
    sync::{Arc, Mutex, MutexGuard},
};
use tender_consensus::sim::Rng;

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

/// P4: whatever byte is flipped or page zeroed, no reading gives anything but what was written, and nothing panics.
#[test]
fn p4_a_flipped_byte_or_zeroed_page_is_an_error_or_harmless_never_a_wrong_answer() {
    const PAGE: usize = 4096;
    let disk = Disk::new(Platters::default());
    let store = disk.store().unwrap();
    (1..=6).for_each(|height| commit(&store, height));
    drop(store);
    let good = disk.platters().durable.clone();
    let mut noticed = 0;
    // redb's own panics, which the store turns into errors, would fill the screen.
    panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|at| at.file().contains("redb")) {
            eprintln!("{info}");
        }
    }));
    // Page heads, where the structure is, and a sample of the rest.
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let heads = used.iter().filter(|at| *at % PAGE < 6);
    let sample = heads.chain(used.iter().step_by(used.len() / 1000)).copied();
    let flips = sample.map(|at| (format!("byte {at}"), at..at + 1));
    let pages = (0..good.len())
        .step_by(PAGE)
        .map(|at| (format!("page at {at}"), at..at + PAGE));
    for (case, range) in flips.chain(pages) {
        let mut bad = good.clone();
        match range.len() {
            1 => bad[range.start] ^= 0x55,
            _ => bad[range].fill(0),
        }
        let read = panic::catch_unwind(|| -> Result<(), StoreError> {
            let disk = Disk::new(Platters {
                cached: bad.clone(),
                durable: bad,
                ..Platters::default()
            });
            let store = disk.store()?;
            assert_eq!(store.tip()?, Some((Height(6), id(6))), "{case}");
            let blocks = store.blocks(Height(1), 99, usize::MAX)?;
            let wrong = blocks.iter().any(|b| b.block != block(b.height.0));
            assert!(blocks.len() == 6 && !wrong, "{case}");
            for h in 1..=6 {
                assert_eq!(store.height_of(&id(h))?, Some(Height(h)), "{case}");
            }
            Ok(())
        });
        match read {
            Ok(Ok(())) => {}
            Ok(Err(StoreError::Damaged { .. } | StoreError::OtherFormat { .. })) => noticed += 1,
            Ok(Err(other)) => panic!("{case}: {other}"),
            Err(_) => panic!("{case}: panicked"),
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

/// P4: an empty file is no new store, for a store is made under another name; and half of one that was being made is made again.
#[test]
fn p4_an_emptied_store_is_damage_and_one_that_was_never_finished_is_made_again() {
    let (dir, store) = filled(3);
    drop(store);
    let path = dir.path().join(FILE);
    let good = fs::read(&path).unwrap();
    for begun in [&b""[..], &[0; 8192], &good[..100], &good] {
        fs::write(&path, b"").unwrap();
        let error = Store::open(dir.path(), CHAIN).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        fs::remove_file(&path).unwrap();
        fs::write(path.with_extension("redb.new"), begun).unwrap();
        let store = Store::open(dir.path(), CHAIN).unwrap();
        assert_eq!(store.tip().unwrap(), None);
        drop(store);
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["LOCK", FILE]);
    }
}

/// P7: the lock file is only a name; whoever removes it meets redb's own lock.
#[test]
fn p7_without_the_lock_file_a_second_holder_is_refused_all_the_same() {
    let (dir, _store) = filled(1);
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    let error = Store::open(dir.path(), CHAIN).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::InUse { .. })),
        "{error}"
    );
}

#[test]
fn p7_who_has_voted_from_here_is_remembered() {
    let (dir, store) = filled(0);
    assert_eq!(store.voter().unwrap(), None);
    store.set_voter(&PublicKey([7; 32])).unwrap();
    drop(store);
    let store = Store::open(dir.path(), CHAIN).unwrap();
    assert_eq!(store.voter().unwrap(), Some(PublicKey([7; 32])));
}

/// A disk with a cache: what was not synced when the power went is lost, in part and in any order.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<Platters>>);

#[derive(Clone, Debug, Default)]
struct Platters {
    /// On the platters.
    durable: Vec<u8>,
    /// What readers see.
    cached: Vec<u8>,
    unsynced: Vec<Change>,
    /// Changes and syncs so far.
    done: usize,
    /// What happens when that many are done.
    end: Option<(usize, End)>,
    /// Tried after the end.
    late: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Power,
    /// Power lasts, and one call fails.
    Fault,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// What a disk writes at once.
const SECTOR: usize = 512;

impl Change {
    /// Makes the change, of a write only the sectors that arrive.
    fn apply(&self, bytes: &mut Vec<u8>, arrives: &mut dyn FnMut() -> bool) {
        match self {
            Change::Length(len) => {
                if arrives() {
                    bytes.resize(*len, 0);
                }
            }
            Change::Write(offset, data) => {
                for (sector, at) in data.chunks(SECTOR).zip((*offset..).step_by(SECTOR)) {
                    let end = at + sector.len();
                    if arrives() {
                        let len = bytes.len().max(end);
                        bytes.resize(len, 0);
                        bytes[at..end].copy_from_slice(sector);
                    }
                }
            }
        }
    }
}

impl Platters {
    fn step(&mut self) -> std::io::Result<()> {
        let over = self.end.filter(|(at, _)| self.done >= *at);
        self.done += 1;
        match over {
            None => Ok(()),
            Some((at, end)) => {
                self.late += usize::from(self.done > at + 1);
                Err(std::io::Error::other(format!("{end:?}")))
            }
        }
    }

    fn change(&mut self, change: Change) -> std::io::Result<()> {
        self.step()?;
        change.apply(&mut self.cached, &mut || true);
        self.unsynced.push(change);
        Ok(())
    }

    /// What is found when power is back.
    fn after_power_cut(&self, rng: &mut Rng) -> Platters {
        let mut durable = self.durable.clone();
        let percent = [0, 50, 90, 100][usize::try_from(rng.below(4)).unwrap()];
        for change in &self.unsynced {
            change.apply(&mut durable, &mut || rng.chance(percent));
        }
        Platters {
            cached: durable.clone(),
            durable,
            ..Platters::default()
        }
    }
}

impl Disk {
    fn new(platters: Platters) -> Disk {
        Disk(Arc::new(Mutex::new(platters)))
    }

    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap()
    }

    fn store(&self) -> Result<Store, StoreError> {
        let store = Store::on(self.clone(), PathBuf::from("disk"), None)?;
        store.check_or_claim(Path::new("disk"), CHAIN)?;
        Ok(store)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.platters().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let platters = self.platters();
        let found = platters.cached.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let len = usize::try_from(len).unwrap();
        self.platters().change(Change::Length(len))
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut platters = self.platters();
        platters.step()?;
        platters.durable = platters.cached.clone();
        platters.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.platters().change(Change::Write(offset, data.to_vec()))
    }
}

/// A block of this height as [`commit`] makes it, whose failure is an answer.
fn try_commit(store: &Store, height: u64) -> Result<(), StoreError> {
    let index = [(format!("height/{height:03}").into_bytes(), vec![1, 2])];
    let (block, certificate) = (block(height), certificate(height));
    store.commit(Height(height), id(height), &block, &certificate, &index)
}

/// What is on the disk is `acknowledged` blocks, or one more that was on its way.
#[track_caller]
fn check_chain(store: &Store, acknowledged: u64, case: &str) -> u64 {
    let tip = store.tip().unwrap().map_or(0, |(height, _)| height.0);
    assert!(
        tip == acknowledged || tip == acknowledged + 1,
        "{case}: {tip}"
    );
    let blocks = store.blocks(Height(1), 99, usize::MAX).unwrap();
    assert_eq!(blocks.len() as u64, tip, "{case}");
    for found in blocks {
        let height = found.height.0;
        assert_eq!(found.block, block(height), "{case}");
        assert_eq!(found.certificate, certificate(height), "{case}");
        assert_eq!(store.height_of(&id(height)).unwrap(), Some(Height(height)));
        let index = store.index_get(format!("height/{height:03}").as_bytes());
        assert_eq!(index.unwrap(), Some(vec![1, 2]), "{case}");
    }
    tip
}

/// P1, P3: power fails after each of the disk's operations, what was not synced arrives or not, and power fails again while that is
/// recovered from. Every block that was acknowledged is there, whole; none is there in part.
#[test]
fn p3_power_cut_at_every_operation_loses_no_acknowledged_block() {
    let empty = Disk::new(Platters::default());
    empty.store().unwrap();
    let mut cut_in_recovery = 0;
    for seed in 0..5 {
        let mut rng = Rng::new(seed);
        cut_in_recovery += cut_everywhere(&empty.platters(), &mut rng);
    }
    assert!(cut_in_recovery > 20, "{cut_in_recovery}");
}

/// One cut per operation; gives how many recoveries were cut as well.
fn cut_everywhere(empty: &Platters, rng: &mut Rng) -> usize {
    let mut cut_in_recovery = 0;
    for after in 0.. {
        let case = format!("cut after {after} operations");
        let mut start = empty.clone();
        (start.done, start.end) = (0, Some((after, End::Power)));
        let disk = Disk::new(start);
        let mut acknowledged = 0;
        let ended = (|| {
            let store = disk.store()?;
            for height in 1..=4 {
                try_commit(&store, height)?;
                acknowledged = height;
            }
            Ok::<_, StoreError>(())
        })();
        let mut found = disk.platters().after_power_cut(rng);
        // A second cut, in the recovery from the first.
        found.end = Some((usize::try_from(rng.below(20)).unwrap(), End::Power));
        let second = Disk::new(found);
        let recovered = second.store().map(drop);
        cut_in_recovery += usize::from(recovered.is_err());
        let third = Disk::new(second.platters().after_power_cut(rng));
        let store = third.store().unwrap_or_else(|e| panic!("{case}: {e}"));
        let tip = check_chain(&store, acknowledged, &case);
        try_commit(&store, tip + 1).unwrap();
        if ended.is_ok() {
            assert!(after > 40, "too few operations to cut: {after}");
            break;
        }
    }
    cut_in_recovery
}

/// P5, P6: any write or fsync fails while power lasts, as on a full disk. The commit is an error, nothing is tried again, and whoever opens the
/// files finds what was acknowledged.
#[test]
fn p5_after_any_failed_operation_the_store_does_nothing_and_has_everything() {
    for after in 0.. {
        let case = format!("failed after {after} operations");
        let disk = Disk::new(Platters::default());
        let mut acknowledged = 0;
        let ended = (|| {
            let store = disk.store()?;
            {
                let mut platters = disk.platters();
                (platters.done, platters.end) = (0, Some((after, End::Fault)));
            }
            for height in 1..=4 {
                match try_commit(&store, height) {
                    Ok(()) => acknowledged = height,
                    Err(error) => {
                        let late = disk.platters().late;
                        assert!(matches!(error, StoreError::Io { .. }), "{case}: {error}");
                        assert!(try_commit(&store, height).is_err(), "{case}");
                        assert_eq!(disk.platters().late, late, "{case}: tried again");
                        return Err(error);
                    }
                }
            }
            Ok(())
        })();
        assert_eq!(disk.platters().late, 0, "{case}: wrote after the failure");
        let mut left = disk.platters().clone();
        left.end = None;
        let store = Disk::new(left).store();
        check_chain(&store.unwrap(), acknowledged, &case);
        if ended.is_ok() {
            assert!(after > 30, "too few operations to fail: {after}");
            break;
        }
    }
}
