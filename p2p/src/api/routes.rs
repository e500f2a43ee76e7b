//! Everything but auctions and blocks: the peer, transactions, accounts, credentials, events, upkeep.

use super::{
    Api,
    error::{Failure, of_refused},
    types::{Account, IssuerInfo, LeafPath, Status, Submitted, TxStatus, TypeInfo},
};
use crate::node::Chain;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{Method, StatusCode, Uri, header},
    response::{
        IntoResponse, Sse,
        sse::{Event as SseEvent, KeepAlive},
    },
};
use futures::stream::{self, Stream};
use libp2p::PeerId;
use std::{convert::Infallible, str::FromStr};
use tender_auction::genesis::Issuer;
use tender_wire::{FieldBytes, PublicKey, TxHash};
use tokio::sync::broadcast::error::RecvError;

type Answer<T> = Result<Json<T>, Failure>;

pub(super) async fn status(State(api): State<Api>) -> Json<Status> {
    let shared = &api.shared;
    let chain = shared.chain();
    let best_known_height = shared.best_known_height();
    let validator = shared.validator;
    Json(Status {
        chain_id: chain.chain,
        chain_name: shared.market.genesis().name.clone(),
        peer_id: shared.network.local_peer().to_string(),
        validator,
        voting: validator.is_some_and(|key| chain.validators.index_of(&key).is_some()),
        height: chain.height,
        block_id: chain.tip,
        state_root: chain.state_root,
        time_ms: chain.time,
        round: shared.round(),
        peers: u32::try_from(shared.network.peers().len()).unwrap_or(u32::MAX),
        best_known_height,
        syncing: is_syncing(&chain, best_known_height),
        mempool: u32::try_from(shared.mempool.len()).unwrap_or(u32::MAX),
        halted: shared.halted().borrow().clone(),
    })
}

/// One block behind is every peer now and then.
fn is_syncing(chain: &Chain, best: tender_wire::Height) -> bool {
    best > chain.height.next()
}

pub(super) async fn submit(State(api): State<Api>, body: Bytes) -> Answer<Submitted> {
    let tx_hash = api.submitter.submit(body.to_vec()).await?;
    Ok(Json(Submitted { tx_hash }))
}

pub(super) async fn transaction(
    State(api): State<Api>,
    Path(hash): Path<String>,
) -> Answer<TxStatus> {
    let hash: TxHash = parse(&hash)?;
    let status = api
        .read(move |shared| {
            // A block is told of once the chain shows it, so that what follows from it can be read at once.
            let shown = shared.chain().height;
            match shared.archive.transaction(&hash)? {
                Some(height) if height <= shown => return Ok(TxStatus::Committed { height }),
                Some(_) => return Ok(TxStatus::Pending),
                None if shared.mempool.contains(&hash) => return Ok(TxStatus::Pending),
                None => {}
            }
            Ok(match shared.refused.reason(&hash) {
                Some(refused) => TxStatus::Refused {
                    error: of_refused(&refused),
                },
                None => TxStatus::Unknown,
            })
        })
        .await?;
    Ok(Json(status))
}

pub(super) async fn account(State(api): State<Api>, Path(key): Path<String>) -> Answer<Account> {
    let key: PublicKey = parse(&key)?;
    let chain = api.shared.chain();
    let on_chain = chain.app.next_sequence(&key);
    let mut listed = chain
        .app
        .issuers()
        .filter(|(_, row)| row.delisted.is_none());
    Ok(Json(Account {
        key,
        next_sequence: api.shared.mempool.next_sequence(&key, on_chain),
        issuer: listed
            .find(|(_, row)| row.key == key)
            .map(|(index, _)| index),
    }))
}

pub(super) async fn leaf(State(api): State<Api>, Path(leaf): Path<String>) -> Answer<LeafPath> {
    let leaf: FieldBytes = parse(&leaf)?;
    let chain = api.shared.chain();
    let hint = "it was never posted, is revoked, or is in no block yet";
    let missing = || Failure::not_found(format!("the registry has no live leaf {leaf}"), hint);
    let (index, _) = chain.app.find_leaf(&leaf).ok_or_else(missing)?;
    let path = chain.app.registry_path(index).ok_or_else(missing)?;
    let (root, _) = chain.app.good_root().ok_or_else(missing)?;
    Ok(Json(LeafPath {
        index,
        root,
        siblings: path.siblings.to_vec(),
    }))
}

pub(super) async fn types(State(api): State<Api>) -> Json<Vec<TypeInfo>> {
    let chain = api.shared.chain();
    let all = chain.app.capability_types();
    Json(
        all.map(|(id, record)| TypeInfo {
            type_id: *id,
            record: record.clone(),
        })
        .collect(),
    )
}

pub(super) async fn issuers(State(api): State<Api>) -> Json<Vec<IssuerInfo>> {
    let chain = api.shared.chain();
    let all = chain.app.issuers().map(|(index, row)| IssuerInfo {
        index,
        issuer: Issuer {
            name: row.name.clone(),
            key: row.key,
            quota: row.quota,
        },
        listed: row.delisted.is_none(),
    });
    Json(all.collect())
}

/// Events from now on. A listener that falls behind misses some; the stream ends with the peer.
pub(super) async fn events(
    State(api): State<Api>,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let events = api.shared.subscribe();
    let stream = stream::unfold(
        (events, api.stop.clone()),
        |(mut events, mut stop)| async move {
            loop {
                let next = tokio::select! {
                    next = events.recv() => next,
                    _ = stop.wait_for(|stop| *stop) => return None,
                };
                match next {
                    Ok(event) => {
                        let line = SseEvent::default().json_data(&event).unwrap_or_default();
                        return Some((Ok(line), (events, stop)));
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "a listener is too slow")
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        },
    );
    Sse::new(stream).keep_alive(KeepAlive::default())
}

pub(super) async fn ban(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let peer: PeerId = parse(&id)?;
    api.shared.network.ban(peer).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unban(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let peer: PeerId = parse(&id)?;
    api.shared.network.unban(peer).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the process does its work at all.
pub(super) async fn health(State(api): State<Api>) -> Result<&'static str, Failure> {
    match &*api.shared.halted().borrow() {
        None => Ok("ok\n"),
        Some(reason) => Err(unavailable(
            "halted",
            reason.clone(),
            "see the peer's log; its files are as they were",
        )),
    }
}

/// Whether it should be asked: connected, caught up, not halted.
pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, Failure> {
    health(State(api.clone())).await?;
    let chain = api.shared.chain();
    let best = api.shared.best_known_height();
    if is_syncing(&chain, best) {
        let message = format!("at height {}, peers are at {best}", chain.height);
        return Err(unavailable(
            "syncing",
            message,
            "wait until it has caught up",
        ));
    }
    let alone = chain.validators.len() == 1 && api.shared.validator.is_some();
    if api.shared.network.peers().is_empty() && !alone {
        let hint = "check its bootstrap addresses and that they can be reached";
        return Err(unavailable("no_peers", "no peer is connected".into(), hint));
    }
    Ok("ready\n")
}

fn unavailable(code: &str, message: String, hint: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, message, hint)
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, open_metrics)],
        api.shared.metrics.encode(),
    )
}

pub(super) async fn nowhere(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(80).collect();
    Failure::not_found(
        format!("there is nothing at {path:?}"),
        "paths begin with /v1; see the API documentation",
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(80).collect();
    let message = format!("{path:?} does not take {method}");
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        message,
        "see the API documentation",
    )
}

/// An identifier in a path or query.
pub(super) fn parse<T: FromStr>(text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| Failure::bad_request(error.to_string()))
}
