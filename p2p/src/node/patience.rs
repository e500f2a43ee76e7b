//! How much a client of the API may submit that no peer accepts, before it is told to wait.
//!
//! Each such transaction may cost a proof's verification, so each client has [`BURST`] of them, and one more a second. A peer that gossips the
//! like loses its standing with gossipsub instead. Bound: [`MAX_CLIENTS`] remembered; those who spent least are forgotten first.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Refused transactions a client may send at once.
pub(crate) const BURST: u32 = 64;
/// How long until one of them is forgiven.
pub(crate) const FORGIVEN_AFTER: Duration = Duration::from_secs(1);
/// Clients remembered.
pub(crate) const MAX_CLIENTS: usize = 1024;

/// Who submits, as far as turns and patience go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// This process.
    Process,
    /// A connection of a program on this machine: they share an address.
    Connection(SocketAddr),
    /// Another machine.
    Address(IpAddr),
}

impl Client {
    /// Who is at the other end of a connection.
    pub fn at(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() {
            Client::Connection(address)
        } else {
            Client::Address(address.ip())
        }
    }
}

/// What clients have spent.
#[derive(Default)]
pub(super) struct Patience(Mutex<BTreeMap<Client, Spent>>);

#[derive(Clone, Copy)]
struct Spent {
    /// Refusals not forgiven yet.
    refused: u32,
    /// When that was so.
    at: Instant,
}

impl Patience {
    /// Whether a client may go on.
    pub(super) fn is_left(&self, client: &Client, now: Instant) -> bool {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(client)
            .is_none_or(|spent| spent.by(now).refused < BURST)
    }

    /// A client sent what no peer accepts.
    pub(super) fn spend(&self, client: Client, now: Instant) {
        if client == Client::Process {
            return;
        }
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= MAX_CLIENTS && !rows.contains_key(&client) {
            rows.retain(|_, spent| spent.by(now).refused > 0);
            let least = rows.iter().min_by_key(|(_, spent)| spent.by(now).refused);
            if let Some(least) = least.map(|(client, _)| *client)
                && rows.len() >= MAX_CLIENTS
            {
                rows.remove(&least);
            }
        }
        let before = rows.get(&client).map_or(0, |spent| spent.by(now).refused);
        let refused = before.saturating_add(1).min(BURST);
        rows.insert(client, Spent { refused, at: now });
    }
}

impl Spent {
    /// With what has been forgiven since.
    fn by(self, now: Instant) -> Spent {
        let since = now.saturating_duration_since(self.at).as_millis();
        let forgiven = since.checked_div(FORGIVEN_AFTER.as_millis()).unwrap_or(0);
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        Spent {
            refused: self.refused.saturating_sub(forgiven),
            at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(port: u16) -> Client {
        Client::at(([127, 0, 0, 1], port).into())
    }

    /// T26, B22: who sends nonsense waits, and nobody else does.
    #[test]
    fn patience_ends_for_one_client_and_comes_back_with_time() {
        let (patience, now) = (Patience::default(), Instant::now());
        let (flood, other) = (connection(1), connection(2));
        for _ in 0..BURST {
            assert!(patience.is_left(&flood, now));
            patience.spend(flood, now);
        }
        assert!(!patience.is_left(&flood, now) && patience.is_left(&other, now));
        patience.spend(flood, now);
        let later = now + FORGIVEN_AFTER;
        assert!(patience.is_left(&flood, later), "one is forgiven");
        patience.spend(flood, later);
        assert!(!patience.is_left(&flood, later));
        for _ in 0..2 * BURST {
            patience.spend(Client::Process, now);
        }
        assert!(patience.is_left(&Client::Process, now));
    }

    #[test]
    fn machines_are_told_apart_by_address_and_programs_here_by_connection() {
        let far = |port| Client::at(([10, 0, 0, 1], port).into());
        assert_eq!(far(1), far(2));
        assert_ne!(connection(1), connection(2));
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:7".parse().unwrap();
        assert!(matches!(Client::at(mapped), Client::Connection(_)));
    }

    #[test]
    fn many_clients_do_not_make_a_flooder_forgotten() {
        let (patience, now) = (Patience::default(), Instant::now());
        let flood = connection(1);
        for _ in 0..BURST {
            patience.spend(flood, now);
        }
        for port in 2..u16::try_from(2 * MAX_CLIENTS).unwrap() {
            patience.spend(connection(port), now);
        }
        assert!(!patience.is_left(&flood, now));
        assert!(patience.0.lock().unwrap().len() <= MAX_CLIENTS);
    }
}
