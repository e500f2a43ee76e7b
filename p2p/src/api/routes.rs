//! Everything but auctions, blocks, events and peers: the peer itself, transactions, accounts, credentials, upkeep.

use super::{
    Api,
    door::Caller,
    error::{Failure, of_refused},
    extract::{Id, Raw},
    schema,
    types::{Account, IssuerInfo, LeafPath, Status, Submitted, TxStatus, TypeInfo},
};
use crate::node::{Chain, Client, wall_clock};
use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{Method, StatusCode, Uri, header},
    response::IntoResponse,
};
use std::str::FromStr;
use tender_auction::genesis::Issuer;
use tender_wire::{FieldBytes, PublicKey, TimeMs, TxHash};

/// What a round that is lost, or a slow disk, may add to the time between blocks before announcements count again.
const PAUSE_MS: u64 = 1_000;

type Answer<T> = Result<Json<T>, Failure>;

/// The peer and its chain
#[utoipa::path(get, path = "/v1/status", tag = "peer", responses((status = 200, body = Status)))]
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
        syncing: is_syncing(&chain, best_known_height, wall_clock()),
        mempool: u32::try_from(shared.mempool.len()).unwrap_or(u32::MAX),
        halted: shared.halted().borrow().clone(),
    })
}

/// One block behind is every peer now and then. A tip of this very moment is certified, and no announcement stands against it.
fn is_syncing(chain: &Chain, best: tender_wire::Height, now: TimeMs) -> bool {
    let usual = chain.params.block_interval_ms.saturating_mul(2);
    let age = now.0.saturating_sub(chain.time.0);
    best > chain.height.next() && age > usual.saturating_add(PAUSE_MS)
}

/// Submit a signed transaction
///
/// Answers when this peer has judged it; `GET /v1/transactions/{hash}` says when it is in a block. Clients take turns; one that hangs up before
/// the answer has withdrawn its transaction, and one that sends too much that no peer accepts is told to wait (429).
#[utoipa::path(post, path = "/v1/transactions", tag = "chain",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The canonical bytes of one transaction"),
    responses((status = 200, body = Submitted)))]
pub(super) async fn submit(
    State(api): State<Api>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Raw(body): Raw,
) -> Answer<Submitted> {
    let client = Client::at(caller.address());
    let tx_hash = api.submitter.submit(body.to_vec(), client).await?;
    Ok(Json(Submitted { tx_hash }))
}

/// What became of a transaction
#[utoipa::path(get, path = "/v1/transactions/{hash}", tag = "chain",
    params(("hash" = schema::Hex32, Path, description = "The transaction")),
    responses((status = 200, body = TxStatus)))]
pub(super) async fn transaction(State(api): State<Api>, Id(hash): Id<TxHash>) -> Answer<TxStatus> {
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

/// A signer
#[utoipa::path(get, path = "/v1/accounts/{key}", tag = "chain",
    params(("key" = schema::Hex32, Path, description = "The signer's key")),
    responses((status = 200, body = Account)))]
pub(super) async fn account(State(api): State<Api>, Id(key): Id<PublicKey>) -> Answer<Account> {
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

/// A leaf of the registry and its path
///
/// Under the newest root: what a holder proves with.
#[utoipa::path(get, path = "/v1/registry/{leaf}", tag = "chain",
    params(("leaf" = schema::Hex32, Path, description = "The leaf")),
    responses((status = 200, body = LeafPath)))]
pub(super) async fn leaf(State(api): State<Api>, Id(leaf): Id<FieldBytes>) -> Answer<LeafPath> {
    // It looks at every leaf: not on a thread that others wait for.
    let found = api.read(move |shared| {
        let chain = shared.chain();
        let hint = "it was never posted, is revoked, or is in no block yet";
        let missing = || Failure::not_found(format!("the registry has no live leaf {leaf}"), hint);
        let (index, _) = chain.app.find_leaf(&leaf).ok_or_else(missing)?;
        let path = chain.app.registry_path(index).ok_or_else(missing)?;
        let (root, _) = chain.app.good_root().ok_or_else(missing)?;
        Ok(LeafPath {
            index,
            root,
            siblings: path.siblings.to_vec(),
        })
    });
    found.await.map(Json)
}

/// The capability types
#[utoipa::path(get, path = "/v1/types", tag = "chain", responses((status = 200, body = Vec<TypeInfo>)))]
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

/// The issuers
#[utoipa::path(get, path = "/v1/issuers", tag = "chain", responses((status = 200, body = Vec<IssuerInfo>)))]
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

/// Whether the process does its work at all
#[utoipa::path(get, path = "/health", tag = "peer", responses((status = 200, body = String, content_type = "text/plain")))]
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

/// Whether it should be asked
///
/// That is: connected, caught up, not halted.
#[utoipa::path(get, path = "/ready", tag = "peer", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, Failure> {
    health(State(api.clone())).await?;
    let chain = api.shared.chain();
    let best = api.shared.best_known_height();
    if is_syncing(&chain, best, wall_clock()) {
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

/// Counters, as OpenMetrics text
#[utoipa::path(get, path = "/metrics", tag = "peer",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
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
        "GET /v1/openapi.json lists what there is",
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(80).collect();
    let message = format!("{path:?} does not take {method}");
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        message,
        "GET /v1/openapi.json says what it takes",
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

#[cfg(test)]
mod tests {
    use super::*;
    use tender_auction::{market::Market, scenario};
    use tender_consensus::chain::ChainState;
    use tender_wire::Height;

    /// B20, L: whatever is announced, a peer whose tip is of this moment is not behind; one whose tip is older may be.
    #[test]
    fn a_tip_of_this_moment_stands_against_announcements() {
        let mut chain = ChainState::genesis(&Market::new(scenario::genesis()).unwrap());
        chain.height = Height(50);
        let later = |ms| TimeMs(chain.time.0 + ms);
        let interval = chain.params.block_interval_ms;
        for best in [0, 50, 51] {
            assert!(
                !is_syncing(&chain, Height(best), later(1_000_000)),
                "{best}"
            );
        }
        for best in [52, u64::MAX] {
            assert!(!is_syncing(&chain, Height(best), later(interval)));
            assert!(!is_syncing(&chain, Height(best), TimeMs(0)));
            assert!(is_syncing(
                &chain,
                Height(best),
                later(2 * interval + 1_001)
            ));
        }
    }
}
