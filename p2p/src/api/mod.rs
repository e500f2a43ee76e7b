//! The HTTP API of one peer: what agents, people and their tools ask and submit.
//!
//! | route | answers |
//! |---|---|
//! | `GET /v1/status` | [`types::Status`] |
//! | `POST /v1/transactions` | [`types::Submitted`], when judged |
//! | `GET /v1/transactions/{hash}` | [`types::TxStatus`] |
//! | `GET /v1/auctions` | [`types::AuctionSummary`] list, in opening order |
//! | `GET /v1/auctions/{id}` | [`types::AuctionDetail`] |
//! | `GET /v1/auctions/{id}/explain` | the bidder's outcome records |
//! | `GET /v1/auctions/{id}/certificate` | the certificate file |
//! | `GET /v1/accounts/{key}` | [`types::Account`] |
//! | `GET /v1/registry/{leaf}` | [`types::LeafPath`] |
//! | `GET /v1/types` | [`types::TypeInfo`] list |
//! | `GET /v1/issuers` | [`types::IssuerInfo`] list |
//! | `GET /v1/blocks/{height}` | [`types::BlockInfo`] |
//! | `GET /v1/blocks` | canonical bytes, see [`blocks`] |
//! | `GET /v1/events` | server-sent [`types::Event`]s, resumable, see [`events`] |
//! | `GET /v1/openapi.json` | this table with every type, generated from the code |
//! | `GET /health` | for whoever watches over the process |
//! | `GET /ready` | the same |
//! | `GET /metrics` | OpenMetrics text |
//!
//! Not where other machines are let in:
//!
//! | route | answers |
//! |---|---|
//! | `POST /v1/auctions` | [`types::OpenedAuction`]; this and what follows wants the home's token, and signs with the agent's key: see `signing` |
//! | `POST /v1/bids` | [`types::PlacedBid`] |
//! | `POST /v1/auctions/{id}/accept` | [`types::TakenStep`] |
//! | `POST /v1/auctions/{id}/deliver` | the same |
//! | `POST /v1/auctions/{id}/confirm` | the same |
//! | `POST /v1/auctions/{id}/reject` | the same |
//! | `GET /v1/jobs/{id}` | what a signing request that took too long answers |
//! | `GET /v1/admin/peers` | [`types::Neighbour`] list; this and what follows wants the token and signs nothing: see `peers` |
//! | `POST /v1/admin/peers/{id}/ban` | 204 |
//! | `POST /v1/admin/peers/{id}/unban` | 204 |
//!
//! It has no users and no encryption: it binds to loopback unless told otherwise, and then refuses requests whose `Host` or `Origin`
//! is another name (a web page must not reach it by DNS rebinding). Every error is an [`types::ApiError`].
//!
//! Bounds: [`MAX_BODY_BYTES`], [`door::MAX_HEAD_BYTES`], [`REQUEST_TIMEOUT`], [`MAX_CONNECTIONS`] beside the listeners of events
//! ([`ApiSection::listeners`]), so many signing jobs, so many answers that read the disk at once, and so many bytes of large answers on their
//! way ([`large`]). Who exceeds one is told so, 429 or 503 with a reason, or loses its connection if it says nothing.

pub(crate) mod auctions;
pub mod blocks;
pub(crate) mod door;
pub mod error;
pub mod events;
pub(crate) mod extract;
pub(crate) mod guard;
pub(crate) mod jobs;
pub(crate) mod large;
mod openapi;
mod peers;
mod routes;
pub mod schema;
pub(crate) mod signing;
mod token;
pub mod types;

use crate::{
    blocking::Blocking,
    config::{ApiSection, Home},
    node::{Shared, Submitter, handle::API_GRACE},
};
use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, StatusCode},
    middleware,
};
use large::Large;
use std::{io, net::SocketAddr, path::PathBuf, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::sleep,
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

/// Largest request body: a transaction with room to spare.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// Longest time to read a request and start its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Open connections, beside those of listeners. For one more, one that keeps its place without need is closed.
pub const MAX_CONNECTIONS: usize = 256;
/// Answers that read the disk at once: each may keep a core busy that consensus needs now and then.
pub(crate) const MAX_READS: usize = 4;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is open to other machines and nobody said it may be.
    #[error(
        "the API would be open to other machines on {0}, without users or encryption: listen on 127.0.0.1, or set api.allow_remote = true"
    )]
    Remote(SocketAddr),
    /// The address cannot be bound.
    #[error("the API cannot listen on {address}: {source}; is the port taken?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The owner's side of its home cannot be used.
    #[error("the API cannot serve its home: {0}")]
    Home(String),
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
    submitter: Submitter,
    reads: Blocking,
    large: Large,
    listeners: Arc<Semaphore>,
    max_listeners: u16,
    token: Option<Arc<token::Token>>,
    signing: Option<Arc<signing::Signing>>,
    stop: watch::Receiver<bool>,
}

impl Api {
    /// Does what reads the disk on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, error::Failure> + Send + 'static,
    ) -> Result<T, error::Failure> {
        let shared = Arc::clone(&self.shared);
        let done = self.reads.run(move || work(&shared)).await;
        done.unwrap_or_else(|| Err(error::Failure::internal()))
    }

    /// Whether a request comes from the home's owner.
    fn check_token(&self, headers: &HeaderMap, does: &str) -> Result<(), error::Failure> {
        if self.token.as_ref().is_some_and(|it| it.is_shown(headers)) {
            return Ok(());
        }
        Err(error::Failure::new(
            StatusCode::UNAUTHORIZED,
            "no_token",
            format!("this route {does} and wants its home's token"),
            "send `Authorization: Bearer <token>`; the token is in the file api-token of the peer's home",
        ))
    }
}

/// Binds and serves until `stop` turns true; obeys the owner of a home and signs for its agent, if one is given. Gives the bound address.
///
/// # Errors
/// [`ServeError`].
pub(crate) async fn serve(
    config: ApiSection,
    home: Option<PathBuf>,
    shared: Arc<Shared>,
    submitter: Submitter,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), ServeError> {
    let address = config.listen;
    if !address.ip().is_loopback() && !config.allow_remote {
        return Err(ServeError::Remote(address));
    }
    door::allow_sockets(config.listeners);
    let bind = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let home = home.filter(|_| !config.allow_remote);
    let token = home.as_deref().map(|home| {
        let path = Home::at(home).api_token();
        token::Token::at(&path).map_err(|e| ServeError::Home(format!("{}: {e}", path.display())))
    });
    let signing = home.map(|home| signing::Signing::of(home, bound));
    let api = Api {
        shared,
        submitter,
        reads: Blocking::new(MAX_READS),
        large: Large::default(),
        listeners: Arc::new(Semaphore::new(config.listeners.into())),
        max_listeners: config.listeners,
        token: token.transpose()?.map(Arc::new),
        signing: signing.transpose().map_err(ServeError::Home)?.flatten(),
        stop: stop.clone(),
    };
    let router = router(api, config.allow_remote);
    let router = router.into_make_service_with_connect_info::<door::Caller>();
    let listener = door::Door::new(listener);
    let lines = listener.lines();
    let server = tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stop.clone()));
        let mut served = pin!(served.into_future());
        let late = async {
            stopped(stop).await;
            sleep(API_GRACE).await;
        };
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = late => {
                lines.end_all();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::error!(%error, "the API has stopped");
        }
    });
    Ok((bound, server))
}

/// Waits until the peer stops.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means the peer is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The routes and their description: one cannot be without the other.
fn router(api: Api, remote: bool) -> Router {
    let mut router = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(routes::status))
        .routes(routes!(routes::submit))
        .routes(routes!(routes::transaction))
        .routes(routes!(auctions::detail))
        .routes(routes!(auctions::explain))
        .routes(routes!(auctions::certificate))
        .routes(routes!(routes::account))
        .routes(routes!(routes::leaf))
        .routes(routes!(routes::types))
        .routes(routes!(routes::issuers))
        .routes(routes!(blocks::range))
        .routes(routes!(blocks::one))
        .routes(routes!(events::events))
        .routes(routes!(openapi::document))
        .routes(routes!(routes::health))
        .routes(routes!(routes::ready))
        .routes(routes!(routes::metrics));
    router = if remote {
        router.routes(routes!(auctions::list))
    } else {
        let roomy = DefaultBodyLimit::max(signing::MAX_DOCUMENT_BYTES);
        router
            .routes(routes!(auctions::list, signing::open).layer(roomy))
            .routes(routes!(signing::bid))
            .routes(routes!(signing::accept))
            .routes(routes!(signing::deliver))
            .routes(routes!(signing::confirm))
            .routes(routes!(signing::reject))
            .routes(routes!(signing::job))
            .routes(routes!(peers::list))
            .routes(routes!(peers::ban))
            .routes(routes!(peers::unban))
    };
    let (router, described) = router.split_for_parts();
    router
        .fallback(routes::nowhere)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(Extension(openapi::Text::of(described)))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(remote, guard::host))
        .layer(middleware::from_fn(guard::in_time))
        .with_state(api)
}
