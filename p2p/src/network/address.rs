//! Which of the addresses a stranger claims for itself we are willing to dial.
//!
//! Invariant: only plain IP addresses over our two transports, at most [`MAX_ADDRESSES`], and none that reaches deeper
//! into our own network than the connection the claim came over: a peer on the internet cannot make us dial our
//! loopback or private hosts.

use super::limits::ip_of;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::net::IpAddr;

/// Addresses kept per peer: a few interfaces over two transports.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// The acceptable ones among the addresses `peer` claims over a connection from `remote`, without `/p2p`.
pub(super) fn accept(peer: &PeerId, claimed: &[Multiaddr], remote: &Multiaddr) -> Vec<Multiaddr> {
    let Some(reach) = ip_of(remote).map(Reach::of) else {
        return Vec::new();
    };
    let mut accepted = Vec::new();
    for address in claimed {
        if accepted.len() == MAX_ADDRESSES {
            break;
        }
        if let Some(plain) = plain_address(peer, address)
            && ip_of(&plain).is_some_and(|ip| is_dialable(ip) && Reach::of(ip) >= reach)
            && !accepted.contains(&plain)
        {
            accepted.push(plain);
        }
    }
    accepted
}

/// How far an address reaches; a claim may not be narrower than the connection it came over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Loopback,
    Private,
    Global,
}

impl Reach {
    fn of(ip: IpAddr) -> Self {
        let private = match ip {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        match ip {
            _ if ip.is_loopback() => Reach::Loopback,
            _ if private => Reach::Private,
            _ => Reach::Global,
        }
    }
}

fn is_dialable(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// `/ip/tcp` or `/ip/udp/quic-v1`, optionally ending in this peer's own `/p2p`, which is cut off.
fn plain_address(peer: &PeerId, address: &Multiaddr) -> Option<Multiaddr> {
    let mut parts = address.iter();
    let ip = parts.next()?;
    if !matches!(ip, Protocol::Ip4(_) | Protocol::Ip6(_)) {
        return None;
    }
    let port = parts.next()?;
    let mut plain = Multiaddr::empty().with(ip).with(port.clone());
    match port {
        Protocol::Tcp(port) if port != 0 => {}
        Protocol::Udp(port) if port != 0 && parts.next() == Some(Protocol::QuicV1) => {
            plain.push(Protocol::QuicV1);
        }
        _ => return None,
    }
    match (parts.next(), parts.next()) {
        (None, _) => Some(plain),
        (Some(Protocol::P2p(id)), None) if id == *peer => Some(plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_addresses_are_dropped() {
        let peer = PeerId::random();
        let other = PeerId::random();
        let internet = "/ip4/8.8.8.8/tcp/4001";
        let loopback = "/ip4/127.0.0.1/udp/4001/quic-v1";
        let lan = "/ip4/192.168.0.9/tcp/4001";
        let cases: &[(&str, &str, bool)] = &[
            (internet, "/ip4/9.9.9.9/tcp/1", true),
            (internet, "/ip6/2001:db8::1/udp/1/quic-v1", true),
            (internet, "/ip4/10.0.0.1/tcp/1", false),
            (internet, "/ip4/127.0.0.1/tcp/1", false),
            (internet, "/ip6/::1/tcp/1", false),
            (internet, "/ip6/::ffff:127.0.0.1/tcp/1", false),
            (internet, "/ip4/169.254.169.254/tcp/80", false),
            (internet, "/ip4/0.0.0.0/tcp/1", false),
            (internet, "/ip4/255.255.255.255/tcp/1", false),
            (internet, "/ip4/224.0.0.1/udp/1/quic-v1", false),
            (internet, "/ip4/9.9.9.9/tcp/0", false),
            (internet, "/ip4/9.9.9.9/udp/1", false),
            (internet, "/ip4/9.9.9.9/tcp/1/ws", false),
            (internet, "/ip4/9.9.9.9", false),
            (internet, "/dns4/example.org/tcp/1", false),
            (lan, "/ip4/10.0.0.1/tcp/1", true),
            (lan, "/ip4/127.0.0.1/tcp/1", false),
            (loopback, "/ip4/127.0.0.1/tcp/1", true),
            (loopback, "/ip4/10.0.0.1/tcp/1", true),
        ];
        for (remote, claim, ok) in cases {
            let got = accept(&peer, &[claim.parse().unwrap()], &remote.parse().unwrap());
            assert_eq!(!got.is_empty(), *ok, "{claim} over {remote}");
        }
        let own = format!("{internet}/p2p/{peer}").parse().unwrap();
        let foreign = format!("{internet}/p2p/{other}").parse().unwrap();
        let relayed = format!("{internet}/p2p/{other}/p2p-circuit/p2p/{peer}")
            .parse()
            .unwrap();
        let got = accept(&peer, &[own, foreign, relayed], &internet.parse().unwrap());
        assert_eq!(got, vec![internet.parse().unwrap()]);
    }

    #[test]
    fn the_address_book_of_a_peer_is_bounded() {
        let claims: Vec<Multiaddr> = (1..1000)
            .map(|port| format!("/ip4/9.9.9.9/tcp/{port}").parse().unwrap())
            .collect();
        let got = accept(
            &PeerId::random(),
            &claims,
            &"/ip4/8.8.8.8/tcp/1".parse().unwrap(),
        );
        assert_eq!(got.len(), MAX_ADDRESSES);
    }
}
