//! Damaged bodies at a running peer's handlers: a reason for each, nothing broken, nothing believed (THREATS B18, B22).

use crate::{
    api::send,
    net::{Net, PATIENCE, config, credential, genesis, holds, validator_keys},
};
use serde_json::json;
use tender_p2p::{
    api::types::ApiError,
    config::{Config, Home},
    keystore::{KeyFile, KeyKind},
    node::Node,
};
use tender_wire::testing;

fn refused(path: &str, status: u16, body: &[u8]) {
    let error: ApiError = serde_json::from_slice(body)
        .unwrap_or_else(|e| panic!("{path}: {status}: {e}: {}", String::from_utf8_lossy(body)));
    assert!(
        !error.code.is_empty() && !error.hint.is_empty(),
        "{path}: {error:?}"
    );
    assert!(error.message.len() < 3000, "{path}: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_damaged_transaction_is_taken_and_the_original_still_is() {
    let net = Net::start("bytes", 1).await;
    let node = &net.nodes[0];
    let good = credential(&net.genesis, 0);
    let mut damaged = Vec::new();
    let mut turn = 0;
    testing::each(&good, |_, bytes| {
        turn += 1;
        if turn % 17 == 0 {
            damaged.push(bytes.to_vec());
        }
    });
    assert!(damaged.len() > 100);
    for bytes in damaged {
        let (status, body) = send(node, "POST", "/v1/transactions", &[], bytes).await;
        assert!((400..500).contains(&status), "{status}");
        refused("/v1/transactions", status, &body);
    }
    let (status, _) = send(node, "POST", "/v1/transactions", &[], good).await;
    assert_eq!(status, 200);
    holds(node, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damaged_document_is_answered_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(dir.path().join("home"), &Config::default()).unwrap();
    KeyFile::create(&home.key(KeyKind::Agent), KeyKind::Agent, None).unwrap();
    let genesis = genesis("documents", 1);
    let mut config = config(&genesis, dir.path(), vec![]);
    config.home = Some(home.root().to_owned());
    let node = Node::start(config, validator_keys(0)).await.unwrap();
    let token = std::fs::read_to_string(home.api_token()).unwrap();
    let shown: &'static str = format!("Bearer {}", token.trim()).leak();
    let headers = [
        ("authorization", shown),
        ("content-type", "application/json"),
    ];
    let id = "ab".repeat(32);
    let auction = json!({ "title": "t", "bidding_seconds": 60, "lease_seconds": 60, "classes": { "c": { "requires": [{ "type": "nothing/v1" }] } }, "tasks": [{ "name": "a", "class": "c", "reserve": 1 }] });
    let step = format!("/v1/auctions/{id}");
    for (path, body) in [
        ("/v1/auctions".to_owned(), auction),
        (
            "/v1/bids".to_owned(),
            json!({ "auction": id, "prices": { "a": 1 } }),
        ),
        (format!("{step}/accept"), json!({ "task": "a" })),
        (
            format!("{step}/deliver"),
            json!({ "task": 0, "result": id }),
        ),
        (
            format!("{step}/confirm"),
            json!({ "task": "a", "bidder": id }),
        ),
        (format!("{step}/reject"), json!({ "task": "a" })),
    ] {
        let text = body.to_string();
        let mut bodies = vec![
            text.replacen('{', "{\"one_more\":1,", 1).into_bytes(),
            text.replacen('{', &format!("{{{},", &text[1..text.len() - 1]), 1)
                .into_bytes(),
            "[".repeat(100_000).into_bytes(),
            vec![0xff; 100],
        ];
        let mut turn = 0;
        testing::each(text.as_bytes(), |_, bytes| {
            turn += 1;
            if turn % 41 == 0 {
                bodies.push(bytes.to_vec());
            }
        });
        for (n, body) in bodies.into_iter().enumerate() {
            let (status, answer) = send(&node, "POST", &path, &headers, body).await;
            // There is no such auction, type or task: nothing succeeds, and a few are only refused when they are tried.
            assert!(
                (400..500).contains(&status),
                "{path}: {status}: {}",
                String::from_utf8_lossy(&answer)
            );
            assert_ne!(status, 401, "{path}");
            assert!(n >= 4 || [400, 422].contains(&status), "{path}: {status}");
            refused(&path, status, &answer);
        }
    }
    let (status, _) = tokio::time::timeout(PATIENCE, send(&node, "GET", "/v1/status", &[], vec![]))
        .await
        .unwrap();
    assert_eq!(status, 200);
    assert_eq!(node.chain().height.0, 0, "nothing was done");
}
