//! Every way the API says no: a status code, a stable code, what happened, what to do next.

use super::types::ApiError;
use crate::{agent, mempool::Refused, node::ArchiveError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// An error with its status code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) status: StatusCode,
    pub(super) error: ApiError,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: &str,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        let error = ApiError {
            code: code.to_owned(),
            message: message.into(),
            hint: hint.to_owned(),
        };
        Failure { status, error }
    }

    /// A path, query or body that is not what the route takes.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        let hint = "check the request against GET /v1/openapi.json";
        Failure::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    /// A part of this peer failed; its log says more.
    pub(super) fn internal() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Failure::new(
            status,
            "internal",
            "this answer failed",
            "see the peer's log",
        )
    }

    /// Something that is not there.
    pub(super) fn not_found(message: impl Into<String>, hint: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let fresh = [(header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, fresh, Json(self.error)).into_response();
        let more = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        tracing::error!(%error, "the API cannot read the store");
        let hint = "this peer's disk needs attention: see its log";
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            error.to_string(),
            hint,
        )
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = status_of(refused.code);
        Failure {
            status,
            error: of_refused(&refused),
        }
    }
}

/// What the agent's side says, as the API tells it.
impl From<agent::error::Failure> for Failure {
    fn from(failure: agent::error::Failure) -> Self {
        let code = failure.code.as_deref().unwrap_or("failed");
        let hint = match failure.next.as_str() {
            "" => "see the message; nothing else was done",
            next => next,
        };
        Failure::new(status_of(code), code, failure.what, hint)
    }
}

fn status_of(code: &str) -> StatusCode {
    match code {
        "malformed" | "bad_request" => StatusCode::BAD_REQUEST,
        "not_found" => StatusCode::NOT_FOUND,
        "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "already_committed" | "sequence" | "duplicate" | "not_bidding" => StatusCode::CONFLICT,
        "busy" | "mempool_full" | "signer_limit" | "too_many_refused" => {
            StatusCode::TOO_MANY_REQUESTS
        }
        "stopping" | "unreachable" => StatusCode::SERVICE_UNAVAILABLE,
        "timeout" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// A refusal as the API tells it.
pub fn of_refused(refused: &Refused) -> ApiError {
    ApiError {
        code: refused.code.to_owned(),
        message: refused.message.clone(),
        hint: hint(refused).to_owned(),
    }
}

fn hint(refused: &Refused) -> &'static str {
    match refused.code {
        "malformed" => {
            "send the canonical bytes of one transaction, as `tender` and the library write them"
        }
        "too_large" => "split it: an auction of fewer tasks, say",
        "sequence" => "ask GET /v1/accounts/{key} for the next sequence number and sign again",
        "already_committed" => "nothing to do: see GET /v1/transactions/{hash}",
        "bad_signature" => "sign with the key named as signer, for this chain",
        "invalid_proof" => {
            "prove again: for this auction, this bidder, this sequence number and this sealed body"
        }
        "unknown_root" | "root_too_old" => {
            "fetch the leaf's path again and prove under the newest root"
        }
        "unknown_auction" => "see GET /v1/auctions; this peer may still be catching up",
        "not_bidding" => "see the auction's phase in GET /v1/auctions/{id}",
        "asset_bound" => "the machine is bound to another holder until its bids and leases end",
        "no_capacity" => "offer fewer slots, or wait until a lease of the machine ends",
        "mempool_full" | "busy" | "signer_limit" => "wait for a block, then try again",
        "too_many_refused" => "send only what applies; one more is forgiven every second",
        _ if refused.for_ever => "no peer accepts this transaction: make a new one",
        _ => "this holds for the chain as this peer knows it now: see GET /v1/status",
    }
}
