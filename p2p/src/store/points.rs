//! Named points in the order of writes, at which tests crash the process, let the disk fail or slow it down.
//!
//! Only builds with debug assertions know them: a release does nothing at a point, and reads no variable. `TENDER_CRASH_AT=wal.sync:17` kills
//! the process, as `kill -9` would, when it passes that point for the 17th time; `TENDER_FAIL_AT=wal.sync:3` makes what is done there
//! fail, once; `TENDER_SLOW_AT=wal.sync:500` makes each pass take so many milliseconds. Commas separate several. A variable that does not
//! parse kills at the first point, so that no test waits for nothing.

/// A place in the order of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before a batch is appended to the vote log.
    WalWrite,
    /// Appended, before the fsync.
    WalSync,
    /// Synced, before anything is sent.
    WalSynced,
    /// Before the file is made that replaces the vote log.
    WalCreate,
    /// Made, before it is written.
    WalFill,
    /// Written, before the fsync.
    WalFillSync,
    /// Synced, before it takes the log's name.
    WalRename,
    /// Renamed, before the fsync of the directory.
    WalDirSync,
    /// The log is replaced.
    WalReplaced,
    /// Before the vote log is read at a start.
    WalRead,
    /// The first block store is made under another name.
    StoreCreated,
    /// It has its name, before the fsync of the directory.
    StoreDirSync,
    /// Before a block is committed to the store.
    StoreCommit,
    /// Before the store grows its file.
    StoreGrow,
    /// Before the store writes a page.
    StoreWrite,
    /// Before the store's fsync.
    StoreSync,
    /// The block is on disk, and nobody knows.
    StoreCommitted,
    /// Everybody may know; the log is still of the height before.
    HeightBegins,
    /// Before a signed message leaves.
    Send,
    /// A start has executed a stored block again.
    Recovering,
    /// A start has recovered everything and begins to take part.
    Recovered,
}

impl Point {
    /// Every point.
    #[cfg(debug_assertions)]
    pub const ALL: [Point; 21] = [
        Point::WalWrite,
        Point::WalSync,
        Point::WalSynced,
        Point::WalCreate,
        Point::WalFill,
        Point::WalFillSync,
        Point::WalRename,
        Point::WalDirSync,
        Point::WalReplaced,
        Point::WalRead,
        Point::StoreCreated,
        Point::StoreDirSync,
        Point::StoreCommit,
        Point::StoreGrow,
        Point::StoreWrite,
        Point::StoreSync,
        Point::StoreCommitted,
        Point::HeightBegins,
        Point::Send,
        Point::Recovering,
        Point::Recovered,
    ];

    /// The name in the environment.
    #[cfg(debug_assertions)]
    pub const fn name(self) -> &'static str {
        match self {
            Point::WalWrite => "wal.write",
            Point::WalSync => "wal.sync",
            Point::WalSynced => "wal.synced",
            Point::WalCreate => "wal.create",
            Point::WalFill => "wal.fill",
            Point::WalFillSync => "wal.fill-sync",
            Point::WalRename => "wal.rename",
            Point::WalDirSync => "wal.dir-sync",
            Point::WalReplaced => "wal.replaced",
            Point::WalRead => "wal.read",
            Point::StoreCreated => "store.created",
            Point::StoreDirSync => "store.dir-sync",
            Point::StoreCommit => "store.commit",
            Point::StoreGrow => "store.grow",
            Point::StoreWrite => "store.write",
            Point::StoreSync => "store.sync",
            Point::StoreCommitted => "store.committed",
            Point::HeightBegins => "height.begins",
            Point::Send => "send",
            Point::Recovering => "recovering",
            Point::Recovered => "recovered",
        }
    }
}

#[cfg(debug_assertions)]
pub(crate) use armed::{at, pass};

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn at(_: Point) -> std::io::Result<()> {
    Ok(())
}

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn pass(_: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use super::Point;
    use rustix::process::{Signal, getpid, kill_process};
    use std::{
        io,
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
        thread::sleep,
        time::Duration,
    };

    /// A point and how often it is still passed before something happens there, or how slow it is.
    struct Armed {
        point: Point,
        left: AtomicU32,
    }

    static CRASHES: LazyLock<Vec<Armed>> = LazyLock::new(|| read("TENDER_CRASH_AT"));
    static FAILURES: LazyLock<Vec<Armed>> = LazyLock::new(|| read("TENDER_FAIL_AT"));
    static DELAYS: LazyLock<Vec<Armed>> = LazyLock::new(|| read("TENDER_SLOW_AT"));

    fn read(variable: &str) -> Vec<Armed> {
        let text = std::env::var(variable).unwrap_or_default();
        let armed = |entry: &str| {
            let (name, count) = entry.split_once(':')?;
            let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
            let left = AtomicU32::new(count.parse().ok()?);
            Some(Armed { point, left })
        };
        let entries = text.split(',').filter(|entry| !entry.is_empty());
        entries
            .map(armed)
            .collect::<Option<_>>()
            .unwrap_or_else(|| {
                eprintln!("{variable}={text} is not POINT:COUNT,…");
                die()
            })
    }

    /// Whether this is the time that was asked for.
    fn is_due(armed: &[Armed], point: Point) -> bool {
        armed.iter().filter(|it| it.point == point).any(|it| {
            let one_less = |left: u32| left.checked_sub(1);
            let last = it
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
            last == Ok(1)
        })
    }

    /// Passes a point: dies there, or fails what is done there, if the environment says so.
    pub(crate) fn at(point: Point) -> io::Result<()> {
        pass(point);
        if is_due(&FAILURES, point) {
            let name = point.name();
            return Err(io::Error::other(format!("made to fail at {name}")));
        }
        Ok(())
    }

    /// Passes a point where nothing can fail.
    pub(crate) fn pass(point: Point) {
        for slow in DELAYS.iter().filter(|it| it.point == point) {
            sleep(Duration::from_millis(
                slow.left.load(Ordering::Acquire).into(),
            ));
        }
        if is_due(&CRASHES, point) {
            eprintln!("made to crash at {}", point.name());
            die();
        }
    }

    fn die() -> ! {
        // Nothing is flushed, dropped or closed, as with a signal from outside.
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    }
}
