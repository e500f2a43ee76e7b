//! How many connections: in all, from one address, of one peer; how many handshakes; and who is shut out for a while.
//!
//! Reserved peers, whom the owner named by their ids among the bootstrap addresses, have places of their own: whatever strangers take, they
//! find room (THREATS B20). One address under many names holds few of the strangers' places, established or half-open (B16, B17); loopback is
//! exempt, for a whole network may run there.
//!
//! Bounds: [`MAX_CONNECTIONS`] of strangers and [`MAX_PER_PEER`] of each reserved peer, which with [`super::muxer`]'s windows bounds what is
//! buffered; [`MAX_SHUT_OUT`] peers remembered.

use super::bootstrap::later;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, dummy,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Established connections of strangers.
pub(crate) const MAX_CONNECTIONS: usize = 128;
/// Of those, opened by them; the rest is kept for the ones we choose.
pub(crate) const MAX_INCOMING: usize = 96;
/// Of those, opened by us.
pub(crate) const MAX_OUTGOING: usize = 64;
/// Handshakes that strangers began and that are under way; each lives at most `transport::HANDSHAKE_TIMEOUT`.
pub(crate) const MAX_HANDSHAKES: usize = 128;
/// Of those, from one address.
pub(crate) const MAX_HANDSHAKES_PER_ADDRESS: usize = 8;
/// Dials of strangers under way.
pub(crate) const MAX_DIALS: usize = 32;
/// Two peers that dial each other at once briefly hold two; one more for a connection that is dying.
pub(crate) const MAX_PER_PEER: usize = 3;
/// From one IPv4 address or IPv6 /64: an office behind one NAT, not a flood.
pub(crate) const MAX_PER_ADDRESS: usize = 16;
/// Peers shut out at once; beyond it the one whose time ends first is let in again.
pub(crate) const MAX_SHUT_OUT: usize = 4096;

/// The IP address a multiaddress begins with.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

/// What is counted as one origin: an IPv4 address, or the /64 an IPv6 host is given whole. Loopback is none.
fn origin_of(address: &Multiaddr) -> Option<IpAddr> {
    let ip = ip_of(address).filter(|ip| !ip.is_loopback())?;
    Some(match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    })
}

/// The peers named by id among these addresses, and the IP addresses they are at.
#[derive(Clone, Debug, Default)]
pub(super) struct Reserved {
    peers: BTreeSet<PeerId>,
    pub(super) ips: BTreeSet<IpAddr>,
}

impl Reserved {
    pub(super) fn of(bootstrap: &[Multiaddr]) -> Self {
        let mut reserved = Reserved::default();
        for address in bootstrap {
            if let Some(Protocol::P2p(peer)) = address.iter().last() {
                reserved.peers.insert(peer);
                reserved.ips.extend(ip_of(address));
            }
        }
        reserved
    }

    fn is_home(&self, origin: Option<IpAddr>) -> bool {
        let mut origins = self.ips.iter().filter_map(|ip| origin_of(&(*ip).into()));
        origin.is_some_and(|origin| origins.any(|home| home == origin))
    }
}

/// Refuses connections beyond the limits.
#[derive(Debug)]
pub(super) struct Limits {
    reserved: Reserved,
    /// Inbound handshakes under way, by origin.
    handshakes: BTreeMap<ConnectionId, Option<IpAddr>>,
    /// Dials of strangers under way.
    dials: BTreeSet<ConnectionId>,
    held: BTreeMap<ConnectionId, Held>,
    /// Until when.
    shut_out: BTreeMap<PeerId, Instant>,
}

/// An established connection.
#[derive(Debug)]
struct Held {
    peer: PeerId,
    inbound: bool,
    origin: Option<IpAddr>,
    reserved: bool,
}

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
enum Full {
    #[error("{0} connections already")]
    Connections(usize),
    #[error("{0} handshakes under way already")]
    Handshakes(usize),
    #[error("{MAX_PER_PEER} connections of this peer already")]
    Peer,
    #[error("enough connections from {0} already")]
    Address(IpAddr),
    #[error("this peer is shut out for a while")]
    ShutOut,
}

/// Denies if `held` has reached `max`.
fn room(held: usize, max: usize, full: Full) -> Result<(), ConnectionDenied> {
    if held >= max {
        return Err(ConnectionDenied::new(full));
    }
    Ok(())
}

impl Limits {
    pub(super) fn new(reserved: Reserved) -> Self {
        Limits {
            reserved,
            handshakes: BTreeMap::new(),
            dials: BTreeSet::new(),
            held: BTreeMap::new(),
            shut_out: BTreeMap::new(),
        }
    }

    /// Whether the owner named this peer.
    pub(super) fn is_reserved(&self, peer: &PeerId) -> bool {
        self.reserved.peers.contains(peer)
    }

    /// Refuses a peer for a while; whether it was not refused already.
    pub(super) fn shut_out(&mut self, peer: PeerId, now: Instant, length: Duration) -> bool {
        self.shut_out.retain(|_, until| *until > now);
        if self.shut_out.len() >= MAX_SHUT_OUT {
            let first = self.shut_out.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(peer, _)| *peer) {
                self.shut_out.remove(&first);
            }
        }
        let until = later(now, length);
        let before = self.shut_out.get(&peer).copied();
        self.shut_out
            .insert(peer, before.unwrap_or(until).max(until));
        before.is_none()
    }

    /// Lets a peer in before its time.
    pub(super) fn let_in(&mut self, peer: &PeerId) {
        self.shut_out.remove(peer);
    }

    fn count(&self, of: impl Fn(&Held) -> bool) -> usize {
        self.held.values().filter(|held| of(held)).count()
    }

    fn check_address(&self, origin: Option<IpAddr>) -> Result<(), ConnectionDenied> {
        let Some(ip) = origin else { return Ok(()) };
        let held = self.count(|it| it.inbound && !it.reserved && it.origin == origin);
        room(held, MAX_PER_ADDRESS, Full::Address(ip))
    }

    fn check_shut_out(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        match self.shut_out.get(peer) {
            Some(until) if *until > Instant::now() => Err(ConnectionDenied::new(Full::ShutOut)),
            _ => Ok(()),
        }
    }

    fn check_established(&self, peer: &PeerId, inbound: bool) -> Result<(), ConnectionDenied> {
        self.check_shut_out(peer)?;
        room(self.count(|it| it.peer == *peer), MAX_PER_PEER, Full::Peer)?;
        if self.is_reserved(peer) {
            return Ok(());
        }
        let max = if inbound { MAX_INCOMING } else { MAX_OUTGOING };
        let alike = self.count(|it| !it.reserved && it.inbound == inbound);
        room(alike, max, Full::Connections(max))?;
        let all = self.count(|it| !it.reserved);
        room(all, MAX_CONNECTIONS, Full::Connections(MAX_CONNECTIONS))
    }
}

impl NetworkBehaviour for Limits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let origin = origin_of(remote);
        let under_way = |of: &dyn Fn(Option<IpAddr>) -> bool| {
            self.handshakes.values().filter(|it| of(**it)).count()
        };
        if let Some(ip) = origin {
            let alike = under_way(&|other| other == origin);
            room(alike, MAX_HANDSHAKES_PER_ADDRESS, Full::Address(ip))?;
        }
        // Who it is is not known yet; where it comes from is.
        if !self.reserved.is_home(origin) {
            let strangers = under_way(&|other| !self.reserved.is_home(other));
            room(strangers, MAX_HANDSHAKES, Full::Handshakes(MAX_HANDSHAKES))?;
            self.check_address(origin)?;
        }
        self.handshakes.insert(id, origin);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handshakes.remove(&id);
        self.check_established(&peer, true)?;
        if !self.is_reserved(&peer) {
            self.check_address(origin_of(remote))?;
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = &peer {
            self.check_shut_out(peer)?;
        }
        if !peer.is_some_and(|peer| self.is_reserved(&peer)) {
            room(self.dials.len(), MAX_DIALS, Full::Handshakes(MAX_DIALS))?;
            self.dials.insert(id);
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.dials.remove(&id);
        self.check_established(&peer, false)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                connection_id,
                peer_id,
                endpoint,
                ..
            }) => {
                let held = Held {
                    peer: peer_id,
                    inbound: endpoint.is_listener(),
                    origin: origin_of(endpoint.get_remote_address()),
                    reserved: self.is_reserved(&peer_id),
                };
                self.held.insert(connection_id, held);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.held.remove(&connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.handshakes.remove(&connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.dials.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::{core::ConnectedPoint, swarm::DialError};

    /// The limits of a peer, and the connections made to it so far.
    struct Door {
        limits: Limits,
        next: usize,
    }

    impl Door {
        fn new(reserved: &[Multiaddr]) -> Self {
            Door {
                limits: Limits::new(Reserved::of(reserved)),
                next: 0,
            }
        }

        /// Begins a handshake; its number if it is let in.
        fn knock(&mut self, remote: &str) -> Option<ConnectionId> {
            self.next += 1;
            let id = ConnectionId::new_unchecked(self.next);
            let begun = self.limits.handle_pending_inbound_connection(
                id,
                &Multiaddr::empty(),
                &remote.parse().unwrap(),
            );
            begun.ok().map(|()| id)
        }

        fn enter(&mut self, remote: &str, peer: PeerId) -> bool {
            let Some(id) = self.knock(remote) else {
                return false;
            };
            let (local, remote): (Multiaddr, Multiaddr) =
                (Multiaddr::empty(), remote.parse().unwrap());
            let ok = self
                .limits
                .handle_established_inbound_connection(id, peer, &local, &remote)
                .is_ok();
            if ok {
                let endpoint = ConnectedPoint::Listener {
                    local_addr: local,
                    send_back_addr: remote,
                };
                self.hold(id, peer, endpoint);
            }
            ok
        }

        fn hold(&mut self, id: ConnectionId, peer: PeerId, endpoint: ConnectedPoint) {
            let established = ConnectionEstablished {
                peer_id: peer,
                connection_id: id,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            };
            self.limits
                .on_swarm_event(FromSwarm::ConnectionEstablished(established));
        }

        /// Begins to dial a peer; the dial's number if it may be.
        fn dial(&mut self, peer: PeerId) -> Option<ConnectionId> {
            self.next += 1;
            let id = ConnectionId::new_unchecked(self.next);
            let begun = self.limits.handle_pending_outbound_connection(
                id,
                Some(peer),
                &[],
                Endpoint::Dialer,
            );
            begun.ok().map(|_| id)
        }

        /// Dials a peer, which answers; whether the connection is kept.
        fn reach(&mut self, peer: PeerId) -> bool {
            let id = self.dial(peer).expect("few dials are under way");
            let address = Multiaddr::empty();
            let (role_override, port_use) = (Endpoint::Dialer, PortUse::New);
            let ok = self
                .limits
                .handle_established_outbound_connection(id, peer, &address, role_override, port_use)
                .is_ok();
            if ok {
                let endpoint = ConnectedPoint::Dialer {
                    address,
                    role_override,
                    port_use,
                };
                self.hold(id, peer, endpoint);
            }
            ok
        }
    }

    #[test]
    fn b17_many_identities_from_one_address() {
        let mut door = Door::new(&[]);
        for i in 0..MAX_PER_ADDRESS {
            let address = format!("/ip6/2001:db8::{i:x}/tcp/9");
            assert!(door.enter(&address, PeerId::random()));
        }
        assert!(
            !door.enter("/ip6/2001:db8::ffff/tcp/9", PeerId::random()),
            "the same /64 is one origin"
        );
        assert!(door.enter("/ip6/2001:db8:0:1::1/tcp/9", PeerId::random()));
        let local = "/ip4/127.0.0.1/tcp/9";
        let entered = (0..200).filter(|_| door.enter(local, PeerId::random()));
        assert_eq!(entered.count(), MAX_INCOMING - MAX_PER_ADDRESS - 1);
    }

    #[test]
    fn b16_one_address_holds_few_handshakes() {
        let mut door = Door::new(&[]);
        let mallory = "/ip4/9.9.9.9/tcp/1";
        let begun: Vec<_> = (0..1000).filter_map(|_| door.knock(mallory)).collect();
        assert_eq!(begun.len(), MAX_HANDSHAKES_PER_ADDRESS);
        assert!(door.enter("/ip4/8.8.8.8/tcp/1", PeerId::random()));
        // One that came through makes room for another.
        let ids = (PeerId::random(), Multiaddr::empty());
        let remote = mallory.parse().unwrap();
        assert!(
            door.limits
                .handle_established_inbound_connection(begun[0], ids.0, &ids.1, &remote)
                .is_ok()
        );
        assert!(door.knock(mallory).is_some());
        assert!(door.knock(mallory).is_none());
    }

    #[test]
    fn b20_reserved_peers_find_room_whatever_strangers_take() {
        let friend = PeerId::random();
        let address: Multiaddr = format!("/ip4/7.7.7.7/tcp/1/p2p/{friend}").parse().unwrap();
        let mut door = Door::new(&[address, "/ip4/6.6.6.6/tcp/1".parse().unwrap()]);
        let from = |i: usize| format!("/ip4/20.0.{}.{}/tcp/9", i / 200, i % 200);
        let held = (0..2000).filter(|i| door.enter(&from(*i), PeerId::random()));
        assert_eq!(held.count(), MAX_INCOMING);
        let half_open = (2000..4000).filter(|i| door.knock(&from(*i)).is_some());
        assert_eq!(half_open.count(), MAX_HANDSHAKES);
        for _ in 0..MAX_PER_PEER {
            assert!(door.enter("/ip4/7.7.7.7/tcp/5555", friend));
        }
        assert!(!door.enter("/ip4/7.7.7.7/tcp/5555", friend));
        assert!(!door.enter("/ip4/7.7.7.7/tcp/5555", PeerId::random()));
        assert!(!door.enter("/ip4/6.6.6.6/tcp/1", PeerId::random()));
    }

    /// B20: those who dial in leave room for those dialled, those dialled for those who dial in, and both are so many.
    #[test]
    fn connections_are_so_many_either_way_and_in_all() {
        let friend = PeerId::random();
        let address: Multiaddr = format!("/ip4/7.7.7.7/tcp/1/p2p/{friend}").parse().unwrap();
        let from = |i: usize| format!("/ip4/20.0.0.{i}/tcp/9");
        let filled = |inbound: usize, outbound: usize| {
            let mut door = Door::new(std::slice::from_ref(&address));
            for i in 0..inbound {
                assert!(door.enter(&from(i), PeerId::random()));
            }
            for _ in 0..outbound {
                assert!(door.reach(PeerId::random()));
            }
            door
        };
        let mut door = filled(0, MAX_OUTGOING);
        assert!(!door.reach(PeerId::random()), "dialled one more");
        assert!(door.enter(&from(200), PeerId::random()));

        for inbound in [MAX_INCOMING, MAX_CONNECTIONS - MAX_OUTGOING] {
            let mut door = filled(inbound, MAX_CONNECTIONS - inbound);
            assert!(!door.enter(&from(200), PeerId::random()), "one more");
            assert!(!door.reach(PeerId::random()), "one more");
            assert!(door.reach(friend), "the owner's have places beside");
        }
    }

    #[test]
    fn dials_under_way_are_few_and_one_that_ends_makes_room() {
        let friend = PeerId::random();
        let address: Multiaddr = format!("/ip4/7.7.7.7/tcp/1/p2p/{friend}").parse().unwrap();
        let mut door = Door::new(&[address]);
        let dials: Vec<_> = (0..1000)
            .filter_map(|_| door.dial(PeerId::random()))
            .collect();
        assert_eq!(dials.len(), MAX_DIALS);
        assert!(door.dial(friend).is_some());
        let failed = DialFailure {
            peer_id: None,
            error: &DialError::Aborted,
            connection_id: dials[0],
        };
        door.limits.on_swarm_event(FromSwarm::DialFailure(failed));
        assert!(door.dial(PeerId::random()).is_some());
        assert!(door.dial(PeerId::random()).is_none());
    }

    #[test]
    fn a_peer_is_shut_out_for_its_time_and_the_memory_of_it_is_bounded() {
        let mut door = Door::new(&[]);
        let (peer, now) = (PeerId::random(), Instant::now());
        let minute = Duration::from_secs(60);
        door.limits.shut_out(peer, now, minute);
        assert!(!door.enter("/ip4/9.9.9.9/tcp/1", peer));
        assert!(door.enter("/ip4/9.9.9.9/tcp/1", PeerId::random()));
        door.limits.let_in(&peer);
        assert!(door.enter("/ip4/9.9.9.9/tcp/1", peer));
        door.limits.shut_out(peer, now, minute / 2);
        for _ in 0..MAX_SHUT_OUT {
            door.limits.shut_out(PeerId::random(), now, minute);
        }
        assert_eq!(door.limits.shut_out.len(), MAX_SHUT_OUT);
        assert!(door.limits.check_shut_out(&peer).is_ok());
        door.limits.shut_out(peer, now + minute, minute);
        assert_eq!(door.limits.shut_out.len(), 1);
    }
}
