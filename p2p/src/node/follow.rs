//! What a peer does after each durable block, off the consensus thread: judges its pool again, pays its seal duties, opens
//! bids ahead.
//!
//! Each follower is a thread woken by [`super::keeper`]; several blocks may lie between two turns, which is fine: all of this is a
//! function of the newest chain.

use super::{
    admission::{Admission, Origin},
    driver::Jobs,
    shared::Shared,
};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::sync::{Arc, mpsc::Receiver};
use tender_auction::{market::duties, seal::SealSeed};
use tender_consensus::tx::TxBytes;
use tender_wire::SecretKey;
use tokio::sync::watch;

/// The keys a validator pays its seal duties with.
pub(super) struct Member {
    pub(super) key: SecretKey,
    pub(super) seed: SealSeed,
}

/// Judges the pool, then what was set aside; pays duties. Until `wake` ends.
pub(super) fn pool_and_duties(
    shared: &Shared,
    admission: &Admission,
    jobs: &Jobs,
    member: Option<&Member>,
    wake: &Receiver<()>,
) {
    while wake.recv().is_ok() {
        revalidate(shared);
        admission.next_block();
        if let Some(member) = member {
            pay(shared, admission, member);
        }
        jobs.work();
    }
}

/// Opens the bids of closed auctions, on every core, before the block that needs it is executed: the consensus thread then finds that done. Who may
/// have to propose that block solves it, too; others only check. Until `wake` ends.
pub(super) fn openings(shared: &Shared, may_propose: bool, wake: &Receiver<()>) {
    while wake.recv().is_ok() {
        let (market, chain) = (&shared.market, shared.chain());
        let due = market.due_openings(&chain.app);
        due.par_iter().for_each(|bid| market.open_ahead(bid));
        if may_propose {
            market.clear_ahead(&chain.app);
        }
    }
}

/// Drops what no longer applies, remembering why; also what waits for a predecessor that is gone.
fn revalidate(shared: &Shared) {
    for tx in shared.mempool.snapshot() {
        let (hash, verdict) = (tx.hash(), shared.predict_again(tx.bytes()));
        let verdict = verdict.and_then(|(lane, next)| shared.mempool.check_place(&lane, next));
        let Err(refused) = verdict else {
            continue;
        };
        shared.mempool.remove([hash]);
        // It may have left the pool because a block took it.
        if !matches!(shared.archive.transaction(&hash), Ok(Some(_))) {
            tracing::info!(tx = %hash, code = refused.code, reason = %refused.message, "waiting transaction dropped");
            shared.refuse(hash, refused);
        }
    }
}

/// Submits the seal keys and reveals this member owes by the durable chain. Those submitted before have the same hash.
fn pay(shared: &Shared, admission: &Admission, member: &Member) {
    let chain = shared.chain();
    for duty in duties(&chain.app, chain.tip, &member.key, &member.seed) {
        match TxBytes::new(duty.to_bytes()) {
            Ok(tx) if shared.mempool.contains(&tx.hash()) => {}
            Ok(tx) => {
                if !admission.offer(tx, Origin::Duty) {
                    tracing::warn!(
                        "no room for a seal duty; it is tried again after the next block"
                    );
                }
            }
            Err(error) => tracing::error!(%error, "a seal duty does not fit a transaction"),
        }
    }
}

/// Halts the peer when a part of it ends, by a panic or otherwise, though nobody stopped the peer: half a peer must not look
/// healthy. Each part holds one until it ends.
pub(super) struct Alarm {
    pub(super) part: &'static str,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !*self.stop.borrow() {
            let part = self.part;
            self.shared
                .halt(format!("{part} has ended though nobody stopped it"));
        }
    }
}

/// Starts a thread, named after the part it is.
pub(super) fn spawn(
    alarm: Alarm,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let name = alarm.part.into();
    std::thread::Builder::new().name(name).spawn(move || {
        let _alarm = alarm;
        work();
    })
}

/// A wake-up line for a follower: one wake-up waits at most.
pub(super) fn wake_line() -> (std::sync::mpsc::SyncSender<()>, Receiver<()>) {
    std::sync::mpsc::sync_channel(1)
}

/// [`pool_and_duties`] and [`openings`] as threads.
pub(super) fn start(
    shared: &Arc<Shared>,
    admission: &Arc<Admission>,
    jobs: &Jobs,
    member: Option<Member>,
    wakes: (Receiver<()>, Receiver<()>),
    alarm: impl Fn(&'static str) -> Alarm,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let (pool_wake, opening_wake) = wakes;
    let (for_pool, for_openings) = (Arc::clone(shared), Arc::clone(shared));
    let (admission, jobs) = (Arc::clone(admission), jobs.clone());
    let may_propose = member.is_some();
    let pool = spawn(alarm("tender-pool"), move || {
        pool_and_duties(&for_pool, &admission, &jobs, member.as_ref(), &pool_wake);
    })?;
    let opener = spawn(alarm("tender-openings"), move || {
        openings(&for_openings, may_propose, &opening_wake)
    })?;
    Ok(vec![pool, opener])
}
