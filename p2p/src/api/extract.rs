//! What handlers take out of a request; whatever is wrong with it becomes a [`Failure`] that says so.

use super::{error::Failure, routes::parse};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use std::{fmt::Display, str::FromStr};

/// The one identifier in a path.
pub(super) struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T>
where
    T::Err: Display,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|e| Failure::bad_request(e.body_text()))?;
        parse(&text).map(Id)
    }
}

/// The query.
pub(super) struct Ask<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(it)| Ask(it))
            .map_err(|e| Failure::bad_request(e.body_text()))
    }
}

/// A JSON body.
pub(super) struct Document<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Document<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Json::<T>::from_request(request, state).await;
        body.map(|Json(it)| Document(it))
            .map_err(|e| body_failure(e.status(), e.body_text()))
    }
}

/// A body as it is.
pub(super) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await;
        body.map(Raw)
            .map_err(|e| body_failure(e.status(), e.body_text()))
    }
}

fn body_failure(status: StatusCode, message: String) -> Failure {
    let (code, hint) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "split it: an auction of fewer tasks, say"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "wrong_content_type",
            "send it as Content-Type: application/json",
        ),
        StatusCode::UNPROCESSABLE_ENTITY => (
            "bad_document",
            "correct the field named; GET /v1/openapi.json says what belongs there",
        ),
        _ => ("bad_request", "send one whole JSON document"),
    };
    Failure::new(status, code, message, hint)
}
