//! What every request passes before a route sees it: where it says it is going, and how long it may take.

use super::{REQUEST_TIMEOUT, door::Caller, error::Failure};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::net::IpAddr;
use tokio::time::timeout;

/// Longest host name repeated in an error.
const SHOWN_CHARS: usize = 64;
/// Longest body after which a connection is kept: buffers grow with bodies, and stay as long as their connections.
pub(crate) const KEPT_BODY_BYTES: u64 = 32 << 10;

/// Refuses requests meant for another name: a web page that had its own name resolve to this machine (DNS rebinding). Where the API
/// was opened to other machines on purpose, names are the business of what stands in front of it.
pub(super) async fn host(State(remote): State<bool>, request: Request, next: Next) -> Response {
    let refused = if remote {
        None
    } else {
        foreign_name(request.headers())
    };
    match refused {
        None => next.run(request).await,
        Some(name) => Failure::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            format!("this API answers on this machine's own name, not as {name:?}"),
            "use http://127.0.0.1 or http://localhost, and no web page of another origin",
        )
        .into_response(),
    }
}

/// Ends what takes too long, and has the door watch over the answer.
pub(super) async fn in_time(
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let body_bytes = body_bytes(request.headers());
    let is_kept = body_bytes <= KEPT_BODY_BYTES;
    // The door's own patience is for those whom this one cannot reach.
    let patience = REQUEST_TIMEOUT.saturating_mul(2);
    let request = if body_bytes == 0 {
        caller.serves(patience);
        request
    } else {
        request.map(|body| caller.receives(body, patience))
    };
    let mut answer = begun_in_time(next.run(request)).await;
    if !is_kept {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    caller.answers(answer)
}

/// The answer, or that there is none.
async fn begun_in_time(answer: impl Future<Output = Response>) -> Response {
    timeout(REQUEST_TIMEOUT, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {REQUEST_TIMEOUT:?}");
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message, "try again").into_response()
    })
}

/// Bytes of a request's body; as many as can be if it does not say.
fn body_bytes(headers: &HeaderMap) -> u64 {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return u64::MAX;
    }
    let length = headers.get(header::CONTENT_LENGTH);
    length.map_or(0, |text| {
        let length = text.to_str().ok().and_then(|text| text.parse().ok());
        length.unwrap_or(u64::MAX)
    })
}

fn foreign_name(headers: &HeaderMap) -> Option<String> {
    foreign(headers, header::HOST).or_else(|| foreign(headers, header::ORIGIN))
}

/// The header's host if it names something other than this machine's loopback.
fn foreign(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    let text = value.to_str().unwrap_or("?");
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (!local).then(|| host.chars().take(SHOWN_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::time::Duration;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn an_answer_begins_in_time_or_not_at_all() {
        for (early, status) in [(true, StatusCode::OK), (false, StatusCode::GATEWAY_TIMEOUT)] {
            let answer = async {
                let moment = Duration::from_millis(1);
                let late = REQUEST_TIMEOUT + moment;
                sleep(if early {
                    REQUEST_TIMEOUT - moment
                } else {
                    late
                })
                .await;
                StatusCode::OK.into_response()
            };
            assert_eq!(begun_in_time(answer).await.status(), status);
        }
    }

    #[test]
    fn only_loopback_names_pass() {
        for (host, passes) in [
            ("localhost:4780", true),
            ("LOCALHOST", true),
            ("127.0.0.1:1", true),
            ("[::1]:80", true),
            ("http://localhost:3000", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("https://evil.example", false),
            ("10.0.0.1", false),
            ("null", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(foreign(&headers, header::HOST).is_none(), passes, "{host}");
        }
        assert_eq!(foreign(&HeaderMap::new(), header::HOST), None);
    }
}
