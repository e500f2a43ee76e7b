//! The API as programs see it: answers, refusals, and what it does not let in.

use crate::{
    net::{Net, PATIENCE, config, credential, eventually, follower_keys, holds},
    openapi::Described,
};
use libp2p::PeerId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    path::Path,
};
use tender_auction::{
    audit::Audit,
    scenario::{ISSUERS, OPENER, key},
};
use tender_circuits::{IssuerIndex, placed};
use tender_consensus::{block::CommittedBlock, tx::TxBytes};
use tender_p2p::{
    agent::client::Client,
    api::{
        MAX_BODY_BYTES,
        types::{Account, ApiError, BlockInfo, LeafPath, Status, Submitted, TxStatus},
    },
    cli::place::Place,
    config::{Addresses, ApiSection, Home},
    node::{Node, NodeHandle},
};
use tender_wire::{FieldBytes, Height, TxHash, decode};
use tokio::{task::spawn_blocking, time::timeout};

/// One request; status and body.
pub async fn send(
    node: &NodeHandle,
    method: &'static str,
    path: &str,
    headers: &[(&'static str, &'static str)],
    body: Vec<u8>,
) -> (u16, Vec<u8>) {
    let url = format!("{}{path}", node.api_url().unwrap());
    let headers = headers.to_vec();
    let sent = spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let body = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_vec()
            .unwrap();
        (answer.status().as_u16(), body)
    });
    sent.await.unwrap()
}

/// A JSON answer, which must be as described.
pub async fn get<T: DeserializeOwned>(node: &NodeHandle, path: &str) -> T {
    let (status, body) = send(node, "GET", path, &[], Vec::new()).await;
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    let value = serde_json::from_slice(&body).unwrap();
    Described::of(node)
        .await
        .promises("GET", path, status, &value);
    serde_json::from_slice(&body).unwrap()
}

async fn refused(
    node: &NodeHandle,
    method: &'static str,
    path: &str,
    body: Vec<u8>,
) -> (u16, String) {
    let (status, body) = send(node, method, path, &[], body).await;
    let error: ApiError = serde_json::from_slice(&body)
        .unwrap_or_else(|e| panic!("{path}: {status}: {e}: {}", String::from_utf8_lossy(&body)));
    assert!(
        !error.message.is_empty() && !error.hint.is_empty(),
        "{path}: {error:?}"
    );
    let value = serde_json::from_slice(&body).unwrap();
    if error.code != "foreign_host" && status != 405 && !error.message.contains("nothing at") {
        let described = Described::of(node).await;
        described.promises(method, path, status, &value);
    }
    (status, error.code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_submitted_is_found_again_and_what_is_wrong_is_named() {
    let net = Net::start("api", 1).await;
    let node = &net.nodes[0];

    // The way of a transaction.
    let bytes = credential(&net.genesis, 0);
    let hash = TxBytes::new(bytes.clone()).unwrap().hash();
    assert_eq!(
        get::<TxStatus>(node, &format!("/v1/transactions/{hash}")).await,
        TxStatus::Unknown
    );
    let (status, body) = send(node, "POST", "/v1/transactions", &[], bytes.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_slice::<Submitted>(&body).unwrap().tx_hash,
        hash
    );
    let issuer = key(ISSUERS[0]).public();
    let account: Account = get(node, &format!("/v1/accounts/{issuer}")).await;
    assert_eq!(
        (account.next_sequence, account.issuer.map(|i| i.value())),
        (1, Some(0))
    );
    holds(node, 1).await;
    let committed = get::<TxStatus>(node, &format!("/v1/transactions/{hash}")).await;
    assert_eq!(committed, TxStatus::Committed { height: Height(1) });
    let (asset, commitment) = (FieldBytes::from_u64(7), FieldBytes::from_u64(1));
    let leaf = placed(IssuerIndex::new(0).unwrap(), &asset, &commitment).unwrap();
    let leaf: LeafPath = get(node, &format!("/v1/registry/{leaf}")).await;
    assert_eq!(
        (leaf.index, Some(leaf.root)),
        (0, node.chain().app.good_root().map(|(root, _)| root))
    );
    let block: BlockInfo = get(node, "/v1/blocks/1").await;
    assert_eq!(
        (block.block_id, block.transactions),
        (node.chain().tip, vec![hash])
    );

    let status: Status = get(node, "/v1/status").await;
    assert_eq!(
        (status.height, status.voting, status.halted),
        (Height(1), true, None)
    );
    assert_eq!(get::<Vec<Value>>(node, "/v1/types").await.len(), 1);
    assert_eq!(get::<Vec<Value>>(node, "/v1/issuers").await.len(), 3);
    assert!(get::<Vec<Value>>(node, "/v1/auctions").await.is_empty());

    // Refusals: a code, a sentence and what to do, and nothing changed.
    let mut forged = credential(&net.genesis, 1);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let stale = credential(&net.genesis, 0);
    let nobody = key(OPENER).public();
    for (method, path, body, expected) in [
        (
            "POST",
            "/v1/transactions",
            bytes,
            (409, "already_committed"),
        ),
        (
            "POST",
            "/v1/transactions",
            forged.clone(),
            (422, "bad_signature"),
        ),
        ("POST", "/v1/transactions", vec![], (400, "malformed")),
        (
            "POST",
            "/v1/transactions",
            b"{\"bid\":1}".to_vec(),
            (400, "malformed"),
        ),
        (
            "POST",
            "/v1/transactions",
            vec![0; 100 << 10],
            (413, "too_large"),
        ),
        (
            "POST",
            "/v1/transactions",
            credential(&net.genesis, 5),
            (409, "sequence"),
        ),
        ("GET", "/v1/transactions/xyz", vec![], (400, "bad_request")),
        ("GET", "/v1/auctions/00", vec![], (400, "bad_request")),
        ("GET", "/v1/auctions?limit=-1", vec![], (400, "bad_request")),
        (
            "GET",
            "/v1/auctions?colour=red",
            vec![],
            (400, "bad_request"),
        ),
        ("GET", "/v1/blocks/99", vec![], (404, "not_found")),
        ("GET", "/v1/blocks/-1", vec![], (400, "bad_request")),
        ("GET", "/v1/blocks/%FF", vec![], (400, "bad_request")),
        ("GET", "/v1/blocks", vec![], (400, "bad_request")),
        ("GET", "/v1/events?from=x", vec![], (400, "bad_request")),
        (
            "POST",
            "/v1/transactions",
            vec![0; MAX_BODY_BYTES + 1],
            (413, "too_large"),
        ),
        ("POST", "/v1/bids", b"{}".to_vec(), (409, "no_agent_key")),
        (
            "POST",
            "/v1/auctions",
            b"{}".to_vec(),
            (409, "no_agent_key"),
        ),
        ("GET", "/v1/nonsense", vec![], (404, "not_found")),
        ("DELETE", "/v1/status", vec![], (405, "wrong_method")),
        (
            "POST",
            "/v1/admin/peers/nobody/ban",
            vec![],
            (401, "no_token"),
        ),
    ] {
        let (status, code) = refused(node, method, path, body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {path}");
    }
    let missing = format!("/v1/registry/{}", FieldBytes::from_u64(77));
    assert_eq!(
        refused(node, "GET", &missing, vec![]).await,
        (404, "not_found".into())
    );
    let account: Account = get(node, &format!("/v1/accounts/{nobody}")).await;
    assert_eq!((account.next_sequence, account.issuer), (0, None));
    let forged: TxHash = TxBytes::new(forged).unwrap().hash();
    let remembered = get::<TxStatus>(node, &format!("/v1/transactions/{forged}")).await;
    assert!(matches!(remembered, TxStatus::Refused { error } if error.code == "bad_signature"));
    assert_eq!(TxBytes::new(stale).unwrap().hash(), hash);
    assert_eq!(node.chain().height, Height(1));
    // For whoever watches over the process.
    for path in ["/health", "/ready"] {
        assert_eq!(send(node, "GET", path, &[], vec![]).await.0, 200, "{path}");
    }
    let (_, metrics) = send(node, "GET", "/metrics", &[], vec![]).await;
    assert!(
        String::from_utf8(metrics)
            .unwrap()
            .contains("tender_height 1")
    );
    let written: Addresses =
        serde_json::from_slice(&std::fs::read(net.dirs[0].path().join("addresses.json")).unwrap())
            .unwrap();
    assert_eq!(
        (written.api, written.peer_id),
        (node.api_url(), node.peer_id())
    );
    assert_eq!(written.listen, node.listen_addresses());

    // An auditor needs the genesis document and these bytes.
    net.submit(0, 1).await;
    holds(node, 2).await;
    let (_, bytes) = send(node, "GET", "/v1/blocks?from=1", &[], vec![]).await;
    let mut audit = Audit::new(net.genesis.clone()).unwrap();
    let mut rest = bytes.as_slice();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (block, after) = after.split_at(u32::from_le_bytes(*len) as usize);
        audit
            .block(&decode::<CommittedBlock>(block).unwrap())
            .unwrap();
        rest = after;
    }
    assert_eq!(audit.report().height, Height(2));
    assert_eq!(audit.report().block_id, node.chain().tip);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b22_web_pages_strangers_and_open_doors_are_kept_out() {
    let net = Net::start("doors", 1).await;
    let node = &net.nodes[0];
    for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let (status, body) = send(node, "GET", "/v1/status", &[(header, value)], vec![]).await;
        let error: ApiError = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, error.code.as_str()),
            (403, "foreign_host"),
            "{header}"
        );
    }
    // Bytes that are no HTTP end their own connection and nothing else.
    let address = node.api_url().unwrap().replace("http://", "");
    let garbage = spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(&[0xff; 1000]).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    });
    garbage.await.unwrap();
    assert_eq!(send(node, "GET", "/health", &[], vec![]).await.0, 200);
    after_a_large_body_a_connection_is_closed(node).await;

    let dir = tempfile::tempdir().unwrap();
    let mut open = config(&net.genesis, dir.path(), Vec::new());
    open.api = Some(ApiSection {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..ApiSection::default()
    });
    let error = Node::start(open, follower_keys())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("allow_remote"), "{error}");

    // Whoever lets others in does not let them choose its peers.
    let mut open = config(&net.genesis, dir.path(), Vec::new());
    open.api = Some(ApiSection {
        listen: "127.0.0.1:0".parse().unwrap(),
        allow_remote: true,
        ..ApiSection::default()
    });
    let follower = Node::start(open, follower_keys()).await.unwrap();
    let ban = format!("/v1/admin/peers/{}/ban", node.peer_id());
    let answer = refused(&follower, "POST", &ban, vec![]).await;
    assert_eq!(answer, (404, "not_found".into()));
    // Nor sign with its key.
    let answer = refused(&follower, "POST", "/v1/bids", vec![]).await;
    assert_eq!(answer, (404, "not_found".into()));
    let answer = refused(&follower, "POST", "/v1/auctions", vec![]).await;
    assert_eq!(answer, (405, "wrong_method".into()));

    // Whoever is in the middle of a request is cut off when the peer stops, and holds none of its files.
    let url = follower.api_url().unwrap();
    let mut half = std::net::TcpStream::connect(url.replace("http://", "")).unwrap();
    let head = "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    half.write_all(head.as_bytes()).unwrap();
    let half = spawn_blocking(move || {
        let mut said = [0; 25];
        half.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        half
    });
    let mut half = half.await.unwrap();
    follower.shutdown().await;
    let again = config(&net.genesis, dir.path(), Vec::new());
    let again = Node::start(again, follower_keys()).await.unwrap();
    again.shutdown().await;
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = half.read_to_end(&mut Vec::new());
    assert!(!end.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
}

/// P10, B22: buffers grow with bodies, and go with their connections.
async fn after_a_large_body_a_connection_is_closed(node: &NodeHandle) {
    for (bytes, is_kept) in [(32 << 10, true), ((32 << 10) + 1, false)] {
        let address = node.api_url().unwrap().replace("http://", "");
        let answered = spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let head = format!(
                "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![0; bytes]).unwrap();
            let (mut answer, mut byte) = (Vec::new(), [0]);
            while !answer.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                answer.push(byte[0]);
            }
            String::from_utf8(answer).unwrap().to_lowercase()
        });
        let head = answered.await.unwrap();
        assert!(head.starts_with("http/1.1 400"), "{head}");
        assert_eq!(!head.contains("connection: close"), is_kept, "{head}");
    }
}

/// THREATS D, B22: whom a peer talks to is its owner's to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_listed_and_banned_for_whoever_shows_the_token_alone() {
    let net = Net::start("owner", 4).await;
    let (node, other) = (&net.nodes[0], &net.nodes[1]);
    let home = net.dirs[0].path().to_path_buf();
    let bearer = |home: &Path| {
        let token = std::fs::read_to_string(Home::at(home).api_token()).unwrap();
        &*Box::leak(format!("Bearer {}", token.trim()).into_boxed_str())
    };
    let (mine, theirs) = (bearer(&home), bearer(net.dirs[1].path()));
    let ban = format!("/v1/admin/peers/{}/ban", other.peer_id());
    let unban = format!("/v1/admin/peers/{}/unban", other.peer_id());
    for shown in [&[][..], &[("authorization", theirs)]] {
        for (method, path) in [
            ("GET", "/v1/admin/peers"),
            ("POST", &*ban),
            ("POST", &*unban),
        ] {
            let (status, body) = send(node, method, path, shown, vec![]).await;
            let error: ApiError = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, error.code.as_str()), (401, "no_token"), "{path}");
        }
    }
    let mine = [("authorization", mine)];
    let nobody = "/v1/admin/peers/nobody/ban";
    assert_eq!(send(node, "POST", nobody, &mine, vec![]).await.0, 400);

    // And by the command line.
    let at = Place {
        home: Some(home),
        api: node.api_url(),
    };
    let client = Client::new(&at.api.clone().unwrap());
    let (client, token) = (&client, at.api_token().unwrap());
    let (other, token) = (other.peer_id(), &token);
    let is_listed = || {
        let id = other.to_string();
        let listed = tokio::task::block_in_place(|| client.peers(token).unwrap());
        listed.iter().any(|peer| peer.peer_id == id)
    };
    eventually("connected", is_listed).await;
    tokio::task::block_in_place(|| client.ban(&other, token).unwrap());
    eventually("dropped", || !is_listed()).await;
    tokio::task::block_in_place(|| client.unban(&other, token).unwrap());
    eventually("back", is_listed).await;
    // Of a full list the owner is told.
    let network = &node.shared().network;
    for _ in 0..4096 {
        network.ban(PeerId::random()).await.unwrap();
    }
    let refused = tokio::task::block_in_place(|| client.ban(&other, token).unwrap_err());
    assert!(refused.is_code("too_many_banned"), "{refused}");
    assert!(is_listed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_lost_a_part_of_itself_says_so() {
    let net = Net::start("half", 1).await;
    let node = &net.nodes[0];
    assert_eq!(send(node, "GET", "/health", &[], vec![]).await.0, 200);
    node.shared().network.shutdown().await;
    let mut halted = node.halted();
    let halted = halted.wait_for(Option::is_some);
    let reason = timeout(PATIENCE, halted).await.unwrap().unwrap().clone();
    assert!(reason.unwrap().contains("the network"));
    assert_eq!(send(node, "GET", "/health", &[], vec![]).await.0, 503);
}
