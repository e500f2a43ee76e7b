//! For tests of whoever asks a peer: one that answers as it is told to, and an auction that takes bids.

use super::{actor::Actor, client::Client};
use crate::{
    api::types::{ApiError, AuctionDetail, AuctionSummary, Phase},
    documents::{
        credential::{Content, CredentialFile},
        names::Names,
    },
};
use serde::Serialize;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};
use tender_auction::{
    market,
    scenario::{ISSUERS, Scenario, attributes, class, genesis, key, spec, task},
};
use tender_circuits::{Circuits, IssuerIndex};
use tender_wire::encode;

/// What a peer answers: status and body.
pub(super) type Answer = (u16, Vec<u8>);

/// An answer that is well.
pub(super) fn fine<T: Serialize>(value: &T) -> Answer {
    (200, serde_json::to_vec(value).unwrap())
}

/// A refusal.
pub(super) fn refused(code: &str) -> Answer {
    let error = ApiError {
        code: code.into(),
        message: "no".into(),
        hint: "do not".into(),
    };
    (409, serde_json::to_vec(&error).unwrap())
}

/// A client of a peer that answers this to a method with a path.
pub(super) fn peer(mut answer: impl FnMut(&str) -> Answer + Send + 'static) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever asked may be gone.
            let _ = serve(stream.unwrap(), &mut answer);
        }
    });
    Client::new(&url)
}

fn serve(mut stream: TcpStream, answer: &mut impl FnMut(&str) -> Answer) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let mut words = head.split(' ');
    let what = format!("{} {}", words.next().unwrap(), words.next().unwrap());
    let (status, body) = answer(&what);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// Somebody of the scenario who signs.
pub(super) fn actor(name: &str, client: Client) -> Actor {
    let genesis = genesis();
    Actor {
        client,
        chain: genesis.chain_id(),
        genesis,
        key: key(name),
    }
}

/// The names of the scenario's chain.
pub(super) fn names() -> Names {
    let genesis = genesis();
    let indices = (0..).map(|index| IssuerIndex::new(index).unwrap());
    Names {
        types: genesis.types,
        issuers: indices.zip(genesis.issuers).collect(),
        circuits: Circuits::default(),
    }
}

/// An auction that takes bids for one task of 1000 `cpu_milli`, as a peer tells of it.
pub(super) fn auction() -> (Scenario, AuctionDetail) {
    let mut scenario = Scenario::default();
    let id = scenario.open(spec(
        vec![class("small", &[("cpu_milli", 1000)])],
        vec![task("work", 0, 100, 1)],
    ));
    scenario.step_until(&id, |phase| matches!(phase, market::Phase::Bidding { .. }));
    let auction = scenario.state.auction(&id).unwrap();
    let keys = auction.ranked_keys();
    let detail = AuctionDetail {
        summary: AuctionSummary {
            auction: id,
            title: "work".into(),
            opener: auction.opener,
            phase: Phase::Bidding,
            opened_at: auction.opened,
            phase_ends_at: None,
            ended_at: None,
            tasks: 1,
            bids: 0,
        },
        spec: (*auction.spec).clone(),
        committee: keys.iter().map(|key| hex::encode(encode(key))).collect(),
        threshold: u32::try_from(auction.threshold()).ok(),
        outcomes: Vec::new(),
        awards: Vec::new(),
        live_bids: Vec::new(),
    };
    (scenario, detail)
}

/// What the first issuer attests somebody of a machine.
pub(super) fn attested(scenario: &Scenario, name: &str, machine: &str) -> CredentialFile {
    let attributes = attributes(&[("cpu_milli", 4000)]);
    let attestation = scenario.attest(0, name, machine, attributes, 1);
    CredentialFile {
        chain: scenario.state.chain(),
        type_id: attestation.type_id,
        issuer: ISSUERS[0].into(),
        serial: machine.into(),
        about: None,
        content: Content::Attestation(attestation),
    }
}
