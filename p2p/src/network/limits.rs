//! How many connections, in all and from one address.
//!
//! libp2p's own limits know peers, not addresses; [`PerAddress`] adds the missing one, so that one host with many
//! identities cannot take every slot (THREATS B17). Loopback is exempt: a whole network may run there.

use libp2p::{
    Multiaddr, PeerId, connection_limits,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished, dummy,
    },
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

/// Established connections in all. With [`super::transport`]'s windows this bounds buffered bytes.
pub(crate) const MAX_CONNECTIONS: u32 = 128;
/// Established connections that strangers opened; the rest is kept for the ones we choose.
pub(crate) const MAX_INCOMING: u32 = 96;
/// Established connections that we opened.
pub(crate) const MAX_OUTGOING: u32 = 64;
/// Handshakes under way, each direction. A handshake lives at most `transport::HANDSHAKE_TIMEOUT`.
pub(crate) const MAX_PENDING: u32 = 32;
/// Two peers that dial each other at once briefly hold two; one more for a connection that is dying.
pub(crate) const MAX_PER_PEER: u32 = 3;
/// From one IPv4 address or IPv6 /64: an office behind one NAT, not a flood.
pub(crate) const MAX_PER_ADDRESS: usize = 16;

pub(super) fn connection_limits() -> connection_limits::Behaviour {
    connection_limits::Behaviour::new(
        connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING))
            .with_max_pending_outgoing(Some(MAX_PENDING))
            .with_max_established_incoming(Some(MAX_INCOMING))
            .with_max_established_outgoing(Some(MAX_OUTGOING))
            .with_max_established(Some(MAX_CONNECTIONS))
            .with_max_established_per_peer(Some(MAX_PER_PEER)),
    )
}

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

/// Refuses inbound connections from an address that already holds [`MAX_PER_ADDRESS`].
#[derive(Debug, Default)]
pub(super) struct PerAddress {
    inbound: BTreeMap<ConnectionId, IpAddr>,
}

/// One address holds as many connections as it may.
#[derive(Debug, thiserror::Error)]
#[error("{MAX_PER_ADDRESS} connections from {0} already")]
struct TooManyFrom(IpAddr);

impl PerAddress {
    fn check(&self, remote: &Multiaddr) -> Result<(), ConnectionDenied> {
        let Some(origin) = origin_of(remote) else {
            return Ok(());
        };
        let held = self.inbound.values().filter(|ip| **ip == origin).count();
        if held >= MAX_PER_ADDRESS {
            return Err(ConnectionDenied::new(TooManyFrom(origin)));
        }
        Ok(())
    }
}

impl NetworkBehaviour for PerAddress {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.check(remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(remote)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                connection_id,
                endpoint,
                ..
            }) if endpoint.is_listener() => {
                if let Some(origin) = origin_of(endpoint.get_remote_address()) {
                    self.inbound.insert(connection_id, origin);
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.inbound.remove(&connection_id);
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

    fn connect(limit: &mut PerAddress, id: usize, remote: &str) -> bool {
        let (local, remote) = (
            "/ip4/10.0.0.1/tcp/1".parse().unwrap(),
            remote.parse().unwrap(),
        );
        let id = ConnectionId::new_unchecked(id);
        let ok = limit
            .handle_established_inbound_connection(id, PeerId::random(), &local, &remote)
            .is_ok();
        if ok {
            let endpoint = libp2p::core::ConnectedPoint::Listener {
                local_addr: local,
                send_back_addr: remote,
            };
            limit.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: PeerId::random(),
                connection_id: id,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
        }
        ok
    }

    #[test]
    fn b17_many_identities_from_one_address() {
        let mut limit = PerAddress::default();
        for i in 0..MAX_PER_ADDRESS {
            assert!(connect(
                &mut limit,
                i,
                &format!("/ip6/2001:db8::{i:x}/tcp/9")
            ));
        }
        assert!(
            !connect(&mut limit, 100, "/ip6/2001:db8::ffff/tcp/9"),
            "the same /64 is one origin"
        );
        assert!(connect(&mut limit, 101, "/ip6/2001:db8:0:1::1/tcp/9"));
        for i in 0..200 {
            assert!(connect(&mut limit, 200 + i, "/ip4/127.0.0.1/tcp/9"));
        }
    }
}
