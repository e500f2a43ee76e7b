//! The routes by which the owner chooses whom this peer talks to. They ask for the home's token ([`super::token`]) and are not there where other
//! machines are let in: whoever may ban can cut a peer off from its chain.

use super::{Api, error::Failure, extract::Id, types::Neighbour};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use libp2p::PeerId;

/// The owner, who has shown the token.
pub(super) struct Operator;

impl FromRequestParts<Api> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        api.check_token(&parts.headers, "chooses the peer's peers")?;
        Ok(Operator)
    }
}

/// The connected peers
#[utoipa::path(get, path = "/v1/admin/peers", tag = "peer", security(("token" = [])),
    responses((status = 200, body = Vec<Neighbour>)))]
pub(super) async fn list(_: Operator, State(api): State<Api>) -> Json<Vec<Neighbour>> {
    let connected = api.shared.network.peers().into_iter();
    let shown = connected.map(|peer| Neighbour {
        peer_id: peer.id.to_string(),
        address: peer.address.to_string(),
        outbound: peer.outbound,
        agent: peer.agent,
    });
    Json(shown.collect())
}

/// Ban a peer
///
/// Its connections are closed and none is made again, until it is unbanned or this peer starts anew.
#[utoipa::path(post, path = "/v1/admin/peers/{id}/ban", tag = "peer", security(("token" = [])),
    params(("id" = String, Path, description = "Its libp2p peer id")),
    responses((status = 204, description = "Done")))]
pub(super) async fn ban(
    _: Operator,
    State(api): State<Api>,
    Id(peer): Id<PeerId>,
) -> Result<StatusCode, Failure> {
    api.shared.network.ban(peer).await.map_err(|error| {
        let hint = "unban one that is: POST /v1/admin/peers/{id}/unban";
        Failure::new(
            StatusCode::CONFLICT,
            "too_many_banned",
            error.to_string(),
            hint,
        )
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unban a peer
#[utoipa::path(post, path = "/v1/admin/peers/{id}/unban", tag = "peer", security(("token" = [])),
    params(("id" = String, Path, description = "Its libp2p peer id")),
    responses((status = 204, description = "Done")))]
pub(super) async fn unban(
    _: Operator,
    State(api): State<Api>,
    Id(peer): Id<PeerId>,
) -> Result<StatusCode, Failure> {
    api.shared.network.unban(peer).await;
    Ok(StatusCode::NO_CONTENT)
}
