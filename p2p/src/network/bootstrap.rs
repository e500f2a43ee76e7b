//! Dialling the addresses we were given, for ever, with a growing pause.
//!
//! Invariant: an address is dialled only while its peer is not connected, and not before its pause is over; a peer
//! that starts after us, or comes back, is found within [`MAX_PAUSE_LOCAL`] or [`MAX_PAUSE`].

use super::limits::ip_of;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::dial_opts::DialOpts};
use std::time::{Duration, Instant};

/// Pause before the second attempt; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause on loopback, where an attempt costs nothing.
pub(crate) const MAX_PAUSE_LOCAL: Duration = Duration::from_secs(2);
/// Longest pause elsewhere.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Pause after the address turned out to belong to another chain.
const FOREIGN_PAUSE: Duration = Duration::from_secs(60);
/// Addresses of the configuration and the command line; more than a person writes.
pub(crate) const MAX_BOOTSTRAP: usize = 256;

/// The addresses to keep in touch with.
#[derive(Debug, Default)]
pub(super) struct Bootstrap {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Without `/p2p`.
    address: Multiaddr,
    /// Whom we expect or last found there.
    peer: Option<PeerId>,
    /// The configuration named the peer: whoever else answers is refused.
    pinned: bool,
    not_before: Instant,
    pause: Duration,
}

impl Bootstrap {
    pub(super) fn new(addresses: &[Multiaddr], now: Instant) -> Self {
        let entries = addresses
            .iter()
            .map(|address| {
                let (address, peer) = split(address);
                Entry {
                    address,
                    peer,
                    pinned: peer.is_some(),
                    not_before: now,
                    pause: FIRST_PAUSE,
                }
            })
            .collect();
        Bootstrap { entries }
    }

    /// What to dial now.
    pub(super) fn due(
        &mut self,
        now: Instant,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<DialOpts> {
        let mut dials = Vec::new();
        for entry in &mut self.entries {
            if entry.peer.is_some_and(|peer| is_connected(&peer)) {
                entry.pause = FIRST_PAUSE;
                continue;
            }
            if now < entry.not_before {
                continue;
            }
            let cap = match ip_of(&entry.address) {
                Some(ip) if ip.is_loopback() => MAX_PAUSE_LOCAL,
                _ => MAX_PAUSE,
            };
            entry.not_before = later(now, entry.pause);
            entry.pause = entry.pause.saturating_mul(2).min(cap);
            let address = entry.address.clone();
            dials.push(match entry.peer.filter(|_| entry.pinned) {
                Some(peer) => DialOpts::peer_id(peer).addresses(vec![address]).build(),
                None => DialOpts::unknown_peer_id().address(address).build(),
            });
        }
        dials
    }

    /// We reached `peer` at `address`.
    pub(super) fn reached(&mut self, peer: PeerId, address: &Multiaddr) {
        let (address, _) = split(address);
        for entry in &mut self.entries {
            if entry.address == address && !entry.pinned {
                entry.peer = Some(peer);
            }
        }
    }

    /// `address` is our own.
    pub(super) fn remove(&mut self, address: &Multiaddr) {
        let (address, _) = split(address);
        self.entries.retain(|entry| entry.address != address);
    }

    /// `peer` is of another chain: leave it alone for a while.
    pub(super) fn foreign(&mut self, peer: &PeerId, now: Instant) {
        for entry in &mut self.entries {
            if entry.peer == Some(*peer) {
                entry.not_before = later(now, FOREIGN_PAUSE);
            }
        }
    }
}

/// The moment `pause` after `now`.
pub(super) fn later(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or(now)
}

/// An address without its `/p2p`, and the peer that named.
fn split(address: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let mut address = address.clone();
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_cap_and_never_end() {
        let start = Instant::now();
        for (address, cap) in [
            ("/ip4/127.0.0.1/tcp/9", MAX_PAUSE_LOCAL),
            ("/ip4/8.8.8.8/tcp/9", MAX_PAUSE),
        ] {
            let mut bootstrap = Bootstrap::new(&[address.parse().unwrap()], start);
            let mut now = start;
            let mut dialled = Vec::new();
            for _ in 0..6000 {
                if !bootstrap.due(now, |_| false).is_empty() {
                    dialled.push(now);
                }
                now += Duration::from_millis(50);
            }
            let gaps: Vec<_> = dialled.windows(2).map(|w| w[1] - w[0]).collect();
            assert_eq!(gaps[0], FIRST_PAUSE);
            assert_eq!(*gaps.last().unwrap(), cap);
            assert!(gaps.iter().all(|gap| *gap <= cap));
        }
    }

    #[test]
    fn a_connected_peer_is_not_dialled_and_a_lost_one_is_at_once() {
        let now = Instant::now();
        let peer = PeerId::random();
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
        let mut bootstrap = Bootstrap::new(std::slice::from_ref(&address), now);
        assert_eq!(bootstrap.due(now, |_| false).len(), 1);
        bootstrap.reached(peer, &address.clone().with(Protocol::P2p(peer)));
        let soon = now + Duration::from_secs(3);
        assert!(bootstrap.due(soon, |p| *p == peer).is_empty());
        assert_eq!(bootstrap.due(soon, |_| false).len(), 1);
    }
}
