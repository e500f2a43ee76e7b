//! What handlers take out of a request; whatever is wrong with it becomes a [`Failure`] that says so.

use super::{error::Failure, routes::parse};
use crate::documents::unique;
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use std::{fmt::Display, str::FromStr};
use tender_wire::text::line;

/// Longest reason repeated of what a body holds, in characters.
const MAX_REASON_CHARS: usize = 400;

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

/// Longest key that a client may ask under.
pub(crate) const MAX_KEY_CHARS: usize = 64;

/// The key under which a client asks, if it means to ask again should the answer be lost.
pub(super) struct Once(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Once(None));
        };
        let is_sound = |text: &&str| {
            (1..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(is_sound).ok_or_else(|| {
            let rule = format!("Idempotency-Key: 1 to {MAX_KEY_CHARS} visible characters");
            Failure::bad_request(rule)
        })?;
        Ok(Once(Some(key.to_owned())))
    }
}

/// A JSON body, in which nothing is named twice.
pub(super) struct Document<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Document<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let Raw(bytes) = Raw::from_request(whole, state).await?;
        let again = Request::from_parts(parts, Body::from(bytes.clone()));
        let Json(document) = Json::<T>::from_request(again, state)
            .await
            .map_err(|e| body_failure(e.status(), &e.body_text()))?;
        unique::check(&bytes)
            .map_err(|e| body_failure(StatusCode::UNPROCESSABLE_ENTITY, &e.to_string()))?;
        Ok(Document(document))
    }
}

/// A body as it is.
pub(super) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await;
        body.map(Raw)
            .map_err(|e| body_failure(e.status(), &e.body_text()))
    }
}

fn body_failure(status: StatusCode, message: &str) -> Failure {
    let message = line(message, MAX_REASON_CHARS);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_of_so_many_visible_characters_and_no_more() {
        for (key, is_sound) in [
            ("k".repeat(MAX_KEY_CHARS), true),
            ("k".repeat(MAX_KEY_CHARS + 1), false),
            (String::new(), false),
            ("two words".into(), false),
        ] {
            let request = Request::builder().header("idempotency-key", &key);
            let (mut parts, _) = request.body(Body::empty()).unwrap().into_parts();
            match Once::from_request_parts(&mut parts, &()).await {
                Ok(Once(found)) => assert!(is_sound && found == Some(key)),
                Err(said) => {
                    let code = said.error.code.as_str();
                    assert!(!is_sound && (said.status.as_u16(), code) == (400, "bad_request"));
                }
            }
        }
    }
}
