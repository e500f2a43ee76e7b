//! `GET /v1/openapi.json`: the API described by the code that serves it.
//!
//! Routes and descriptions are registered together, so neither can be without the other; what every route has in common (its errors) is
//! added here.

use super::types::ApiError;
use axum::{Extension, body::Bytes, http::header, response::IntoResponse};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, OpenApi as Description, PathItem, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tender peer",
        description = "The HTTP API of one peer. Identifiers are hex, times are numbers with their unit in the name, money is smallest units. \
            Every answer but 2xx is an `ApiError`."
    ),
    components(schemas(ApiError)),
    modifiers(&Token),
    tags(
        (name = "peer", description = "The process"),
        (name = "chain", description = "What was committed, and how to add to it"),
        (name = "auctions", description = "Auctions of the present and the past"),
        (name = "signing", description = "What the peer signs with its home's agent key, for whoever shows the home's token. A request that takes \
            longer than ten seconds is answered 202 with a `Location` to ask again; it goes on meanwhile.")
    )
)]
struct Frame;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut Description) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "The content of the file `api-token` in the peer's home, which only its owner can read",
        ));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// The document without its routes.
pub(super) fn frame() -> Description {
    Frame::openapi()
}

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Text(Bytes);

impl Text {
    pub(super) fn of(mut described: Description) -> Self {
        for path in described.paths.paths.values_mut() {
            operations(path).for_each(complete);
        }
        let text = described.to_pretty_json().unwrap_or_default();
        Text(Bytes::from(text))
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    path.get.iter_mut().chain(path.post.iter_mut())
}

/// Adds what every operation has: a description of each response, which the format wants, and that of its errors.
fn complete(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for response in responses.values_mut() {
        match response {
            RefOr::T(response) if response.description.is_empty() => {
                response.description = "The answer".into();
            }
            _ => {}
        }
    }
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("ApiError")));
    let response = ResponseBuilder::new()
        .description("What went wrong, and what to do next")
        .content("application/json", error.build());
    responses.insert("default".into(), response.build().into());
}

/// This description
#[utoipa::path(get, path = "/v1/openapi.json", tag = "peer",
    responses((status = 200, body = Object, description = "An OpenAPI 3.1 document")))]
pub(super) async fn document(Extension(Text(text)): Extension<Text>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}
