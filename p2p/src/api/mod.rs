//! The HTTP API of one peer: what agents, people and their tools ask and submit.
//!
//! | route | answers |
//! |---|---|
//! | `GET /v1/status` | [`types::Status`] |
//! | `POST /v1/transactions` | [`types::Submitted`], when judged |
//! | `GET /v1/transactions/{hash}` | [`types::TxStatus`] |
//! | `GET /v1/auctions?after&limit` | [`types::AuctionSummary`] list, in opening order |
//! | `GET /v1/auctions/{id}` | [`types::AuctionDetail`] |
//! | `GET /v1/auctions/{id}/explain?bidder` | the bidder's outcome records |
//! | `GET /v1/auctions/{id}/certificate?task&bidder&bid` | the certificate file |
//! | `GET /v1/accounts/{key}` | [`types::Account`] |
//! | `GET /v1/registry/{leaf}` | [`types::LeafPath`] |
//! | `GET /v1/types`, `GET /v1/issuers` | [`types::TypeInfo`], [`types::IssuerInfo`] lists |
//! | `GET /v1/blocks/{height}` | [`types::BlockInfo`] |
//! | `GET /v1/blocks?from&count` | canonical bytes, see [`blocks`] |
//! | `GET /v1/events` | server-sent [`types::Event`]s |
//! | `POST /v1/admin/peers/{id}/ban`, `…/unban` | 204; not where other machines are let in |
//! | `GET /health`, `/ready`, `/metrics` | for whoever watches over the process |
//!
//! It has no users and no encryption: it binds to loopback unless told otherwise, and then refuses requests whose `Host` or `Origin`
//! is another name (a web page must not reach it by DNS rebinding). Every error is an [`types::ApiError`].
//!
//! Bounds: [`MAX_BODY_BYTES`], [`REQUEST_TIMEOUT`], [`MAX_CONNECTIONS`], and so many answers that read the disk at once.

mod auctions;
pub mod blocks;
mod door;
pub mod error;
mod guard;
mod routes;
pub mod types;

use crate::{
    config::ApiSection,
    node::{Shared, Submitter},
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::{JoinHandle, spawn_blocking},
};

/// Largest request body: a transaction with room to spare.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// Longest time to read a request and start its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Open connections; more wait in the system's queue.
pub const MAX_CONNECTIONS: usize = 64;
/// Answers that read the disk at once.
const MAX_READS: usize = 8;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is open to other machines and nobody said it may be.
    #[error(
        "the API would be open to other machines on {0}, without users or encryption: listen on 127.0.0.1, or set api.allow_remote = true"
    )]
    Remote(SocketAddr),
    /// The address cannot be bound.
    #[error(
        "the API cannot listen on {address}: {source}; is the port taken? port 0 takes any free one"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
    submitter: Submitter,
    reads: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Api {
    /// Does what reads the disk on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, error::Failure> + Send + 'static,
    ) -> Result<T, error::Failure> {
        let _permit = self.reads.acquire().await;
        let shared = Arc::clone(&self.shared);
        let done = spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|_| {
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            Err(error::Failure::new(
                status,
                "internal",
                "this answer failed",
                "see the peer's log",
            ))
        })
    }
}

/// Binds and serves until `stop` turns true. Gives the bound address.
///
/// # Errors
/// [`ServeError`].
pub(crate) async fn serve(
    config: ApiSection,
    shared: Arc<Shared>,
    submitter: Submitter,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), ServeError> {
    let address = config.listen;
    if !address.ip().is_loopback() && !config.allow_remote {
        return Err(ServeError::Remote(address));
    }
    let bind = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let api = Api {
        shared,
        submitter,
        reads: Arc::new(Semaphore::new(MAX_READS)),
        stop: stop.clone(),
    };
    let router = router(api, config.allow_remote);
    let listener = door::Door::new(listener);
    let server = tokio::spawn(async move {
        let stopped = async move {
            let mut stop = stop;
            // An error means the peer is gone, which is as good.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
        {
            tracing::error!(%error, "the API has stopped");
        }
    });
    Ok((bound, server))
}

fn router(api: Api, remote: bool) -> Router {
    let mut router = Router::new();
    if !remote {
        router = router
            .route("/v1/admin/peers/{id}/ban", post(routes::ban))
            .route("/v1/admin/peers/{id}/unban", post(routes::unban));
    }
    router
        .route("/v1/status", get(routes::status))
        .route("/v1/transactions", post(routes::submit))
        .route("/v1/transactions/{hash}", get(routes::transaction))
        .route("/v1/auctions", get(auctions::list))
        .route("/v1/auctions/{id}", get(auctions::detail))
        .route("/v1/auctions/{id}/explain", get(auctions::explain))
        .route("/v1/auctions/{id}/certificate", get(auctions::certificate))
        .route("/v1/accounts/{key}", get(routes::account))
        .route("/v1/registry/{leaf}", get(routes::leaf))
        .route("/v1/types", get(routes::types))
        .route("/v1/issuers", get(routes::issuers))
        .route("/v1/blocks", get(blocks::range))
        .route("/v1/blocks/{height}", get(blocks::one))
        .route("/v1/events", get(routes::events))
        .route("/health", get(routes::health))
        .route("/ready", get(routes::ready))
        .route("/metrics", get(routes::metrics))
        .fallback(routes::nowhere)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(guard::in_time))
        .layer(middleware::from_fn_with_state(remote, guard::host))
        .with_state(api)
}
