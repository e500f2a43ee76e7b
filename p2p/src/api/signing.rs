//! The routes that spend the owner's key: the peer opens auctions, bids and takes an assignment's steps with its home's agent key.
//!
//! They ask for the home's token ([`super::token`]) and are not there at all where other machines are let in. The work itself is that of the
//! command line ([`crate::agent`]), on a thread that may block, speaking to this same API: what is signed passes the same doors as what
//! strangers send. Each answers 200 when its transaction is in a block, or after ten seconds 202 with the `Location` of a job, which
//! answers in the same way.

use super::{
    Api,
    error::Failure,
    extract::{Document, Id, Once},
    jobs::Jobs,
    types::{
        AcceptRequest, AuctionDetail, Award, BidRequest, DeliverRequest, Done, OpenedAuction,
        Phase, PlacedBid, Running, TakenStep, TaskName, VerdictRequest,
    },
};
use crate::{
    agent::{self, bidding::Bidder, prover::Prover},
    cli::{self, auction::now, place::Place},
    config::Home,
    documents::{
        Problem,
        auction::{AuctionFile, Opening},
        bid::BidFile,
    },
    keystore::KeyKind,
};
use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tender_auction::{
    task::auction_id,
    transaction::{Action, AwardRef},
};
use tender_wire::{AuctionId, PublicKey};

/// Largest auction document, in bytes: 1024 tasks are about 300 KiB.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// The owner's side: its home, its prover and what is under way.
pub(super) struct Signing {
    place: Place,
    prover: Prover,
    jobs: Jobs,
}

impl Signing {
    /// For the agent of a home, at its own peer; `None` if the home has no agent key.
    pub(super) fn of(home: PathBuf, api: SocketAddr) -> Result<Option<Arc<Self>>, String> {
        let at = Home::open(&home).map_err(|e| e.to_string())?.0;
        if !at.key(KeyKind::Agent).exists() {
            return Ok(None);
        }
        let [a, b, c, d, ..] = agent::bidding::random().map_err(|e| e.what)?;
        Ok(Some(Arc::new(Signing {
            prover: Prover::in_home(&home),
            place: Place {
                home: Some(home),
                api: Some(format!("http://{api}")),
            },
            jobs: Jobs::new(u32::from_be_bytes([a, b, c, d])),
        })))
    }

    fn open(&self, file: &AuctionFile) -> Result<Done, Failure> {
        let actor = self.place.unasked_actor()?;
        let names = self.place.names(&actor.client)?;
        let opening = Opening {
            names: &names,
            block_interval_ms: actor.genesis.consensus.block_interval_ms,
            now: now(),
        };
        let spec = file.spec(&opening).map_err(of_problem)?;
        let opener = actor.key.public();
        let (sequence, height) = actor.act(Action::OpenAuction(Box::new(spec)))?;
        Ok(Done::Opened(OpenedAuction {
            auction: auction_id(&actor.chain, &opener, sequence),
            opener,
            height,
        }))
    }

    fn bid(&self, auction: &AuctionId, file: &BidFile) -> Result<Done, Failure> {
        let actor = self.place.unasked_actor()?;
        let detail = actor.client.auction(auction)?;
        let phase = detail.summary.phase;
        if phase != Phase::Bidding {
            let message = format!(
                "auction {auction} takes no bids: {}",
                cli::auction::phase(phase)
            );
            let hint = "bids are taken in the phase `bidding`, which GET /v1/events tells of";
            return Err(Failure::new(
                StatusCode::CONFLICT,
                "not_bidding",
                message,
                hint,
            ));
        }
        let names = self.place.names(&actor.client)?;
        let credentials = self.place.credentials(&actor)?;
        let bidder = Bidder {
            actor: &actor,
            prover: &self.prover,
            credentials: &credentials,
            names: &names,
        };
        let plan = bidder.plan(&detail, file).map_err(of_problem)?;
        let placed = bidder.place(&detail, &plan)?;
        Ok(Done::Placed(PlacedBid {
            bid: placed.id,
            bidder: actor.key.public(),
            height: placed.height,
            attempts: u32::try_from(placed.attempts).unwrap_or(u32::MAX),
            warnings: plan.warnings,
        }))
    }

    fn step(
        &self,
        auction: &AuctionId,
        task: &TaskName,
        whose: Whose,
        action: impl FnOnce(AwardRef) -> Action,
    ) -> Result<Done, Failure> {
        let actor = self.place.unasked_actor()?;
        let detail = actor.client.auction(auction)?;
        let whose = match whose {
            Whose::Own => Some(actor.key.public()),
            Whose::Any => None,
            Whose::Of(key) => Some(key),
        };
        let award = find(&detail, task, whose)?;
        let (_, height) = actor.act(action(award))?;
        Ok(Done::Stepped(TakenStep {
            auction: *auction,
            task: award.task,
            bid: award.bid,
            height,
        }))
    }
}

/// Whose assignment is meant.
enum Whose {
    Own,
    Any,
    Of(PublicKey),
}

fn find(
    detail: &AuctionDetail,
    task: &TaskName,
    whose: Option<PublicKey>,
) -> Result<AwardRef, Failure> {
    let tasks = &detail.spec.tasks;
    let index = match task {
        TaskName::Number(number) => usize::try_from(*number).ok(),
        TaskName::Name(name) => tasks.iter().position(|task| task.name == *name),
    };
    let named = index.and_then(|index| Some((u32::try_from(index).ok()?, &tasks.get(index)?.name)));
    let (index, text) = named.ok_or_else(|| {
        let hint = "see `spec.tasks` in GET /v1/auctions/{id} for its tasks";
        Failure::not_found(format!("the auction has no task {task}"), hint)
    })?;
    let is_meant =
        |award: &&Award| award.task == index && whose.is_none_or(|key| award.bidder == key);
    let mut found = detail.awards.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(award), None) => Ok(AwardRef {
            auction: detail.summary.auction,
            task: index,
            bid: award.bid,
        }),
        (Some(_), Some(_)) => Err(Failure::new(
            StatusCode::CONFLICT,
            "ambiguous",
            format!("task {text} is assigned several times"),
            "name the winner with \"bidder\"",
        )),
        (None, _) => {
            let message = format!(
                "task {text} has no such assignment in auction {}",
                detail.summary.auction
            );
            let hint =
                "see `awards` in GET /v1/auctions/{id}; the peer acts for its own agent only";
            Err(Failure::not_found(message, hint))
        }
    }
}

fn of_problem(problem: Problem) -> Failure {
    let Problem {
        field,
        problem,
        next,
    } = problem;
    let next = next.replace("; nothing was sent", "");
    Failure::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_document",
        format!("{field}: {problem}"),
        &next,
    )
}

/// The owner, who has shown the token.
pub(super) struct Owner(Arc<Signing>);

impl FromRequestParts<Api> for Owner {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let Some(signing) = &api.signing else {
            return Err(Failure::new(
                StatusCode::CONFLICT,
                "no_agent_key",
                "this peer's home holds no agent key to sign with",
                "make one with `tender keys new` and start the peer again, or sign elsewhere and use POST /v1/transactions",
            ));
        };
        api.check_token(&parts.headers, "signs with the home's agent key")?;
        Ok(Owner(Arc::clone(signing)))
    }
}

impl Owner {
    /// Begins work and answers when it has ended, or where to ask.
    async fn answer(
        self,
        work: impl FnOnce(&Signing) -> Result<Done, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let signing = Arc::clone(&self.0);
        let job = self.0.jobs.begin(move || work(&signing))?;
        self.answer_of(job).await
    }

    /// [`Owner::answer`], once for every key.
    async fn answer_once(
        self,
        Once(key): Once,
        request: &impl Serialize,
        work: impl FnOnce(&Signing) -> Result<Done, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let Some(key) = key else {
            return self.answer(work).await;
        };
        let request = serde_json::to_vec(request).map_err(|_| Failure::internal())?;
        let content = Sha256::digest(request).into();
        let signing = Arc::clone(&self.0);
        let job = self
            .0
            .jobs
            .begin_once(key, content, move || work(&signing))?;
        self.answer_of(job).await
    }

    async fn answer_of(self, job: String) -> Result<Response, Failure> {
        Ok(match self.0.jobs.end_of(&job).await? {
            Some(done) => ([(header::CACHE_CONTROL, "no-store")], Json(done)).into_response(),
            None => {
                let location = [(header::LOCATION, format!("/v1/jobs/{job}"))];
                (StatusCode::ACCEPTED, location, Json(Running { job })).into_response()
            }
        })
    }
}

/// Open an auction
///
/// The body is the document that `tender auction open FILE` reads. The peer signs it with its home's agent key. Sent again, it opens another
/// auction, unless both times with the same `Idempotency-Key`: then it answers the same, until the peer stops or has done 64 other jobs.
#[utoipa::path(post, path = "/v1/auctions", tag = "signing", request_body = AuctionFile, security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible characters, the client's own for this auction")),
    responses((status = 200, body = OpenedAuction, description = "The auction is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn open(
    owner: Owner,
    key: Once,
    Document(file): Document<AuctionFile>,
) -> Result<Response, Failure> {
    let request = file.clone();
    owner
        .answer_once(key, &request, move |signing| signing.open(&file))
        .await
}

/// Bid
///
/// The body is the document that `tender bid --file` reads, with the auction's id. The peer chooses what to claim from the home's
/// credentials, seals the prices, proves, signs and submits. A second bid with the same machine replaces the first.
#[utoipa::path(post, path = "/v1/bids", tag = "signing", request_body = BidRequest, security(("token" = [])),
    responses((status = 200, body = PlacedBid, description = "The bid is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn bid(
    owner: Owner,
    Document(wanted): Document<BidRequest>,
) -> Result<Response, Failure> {
    let BidRequest {
        auction,
        machine,
        slots,
        prices,
        claim,
        hide_issuer,
    } = wanted;
    let file = BidFile {
        machine,
        slots,
        prices,
        claim,
        hide_issuer,
    };
    owner
        .answer(move |signing| signing.bid(&auction, &file))
        .await
}

/// Accept an assignment
///
/// By its winner, in time: see `accept_by` of the award.
#[utoipa::path(post, path = "/v1/auctions/{id}/accept", tag = "signing", request_body = AcceptRequest, security(("token" = [])),
    params(("id" = super::schema::Hex32, Path, description = "The auction")),
    responses((status = 200, body = TakenStep, description = "The step is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn accept(
    owner: Owner,
    Id(auction): Id<AuctionId>,
    Document(AcceptRequest { task }): Document<AcceptRequest>,
) -> Result<Response, Failure> {
    owner
        .answer(move |signing| signing.step(&auction, &task, Whose::Own, Action::Accept))
        .await
}

/// Deliver a result
///
/// By the winner; the result's hash goes on chain, the result itself goes to the opener by other ways.
#[utoipa::path(post, path = "/v1/auctions/{id}/deliver", tag = "signing", request_body = DeliverRequest, security(("token" = [])),
    params(("id" = super::schema::Hex32, Path, description = "The auction")),
    responses((status = 200, body = TakenStep, description = "The step is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn deliver(
    owner: Owner,
    Id(auction): Id<AuctionId>,
    Document(DeliverRequest { task, result }): Document<DeliverRequest>,
) -> Result<Response, Failure> {
    let action = move |award| Action::Deliver { award, result };
    owner
        .answer(move |signing| signing.step(&auction, &task, Whose::Own, action))
        .await
}

/// Confirm a result
///
/// By the opener.
#[utoipa::path(post, path = "/v1/auctions/{id}/confirm", tag = "signing", request_body = VerdictRequest, security(("token" = [])),
    params(("id" = super::schema::Hex32, Path, description = "The auction")),
    responses((status = 200, body = TakenStep, description = "The step is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn confirm(
    owner: Owner,
    Id(auction): Id<AuctionId>,
    Document(wanted): Document<VerdictRequest>,
) -> Result<Response, Failure> {
    verdict(owner, auction, wanted, Action::Confirm).await
}

/// Reject a result
///
/// By the opener.
#[utoipa::path(post, path = "/v1/auctions/{id}/reject", tag = "signing", request_body = VerdictRequest, security(("token" = [])),
    params(("id" = super::schema::Hex32, Path, description = "The auction")),
    responses((status = 200, body = TakenStep, description = "The step is in a block"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn reject(
    owner: Owner,
    Id(auction): Id<AuctionId>,
    Document(wanted): Document<VerdictRequest>,
) -> Result<Response, Failure> {
    verdict(owner, auction, wanted, Action::Reject).await
}

async fn verdict(
    owner: Owner,
    auction: AuctionId,
    VerdictRequest { task, bidder }: VerdictRequest,
    action: fn(AwardRef) -> Action,
) -> Result<Response, Failure> {
    let whose = bidder.map_or(Whose::Any, Whose::Of);
    owner
        .answer(move |signing| signing.step(&auction, &task, whose, action))
        .await
}

/// Ask after a job
///
/// Answers as the request that began it would have: waits a while, then says 202 again.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "signing", security(("token" = [])),
    params(("id" = String, Path, description = "The job, as the answer 202 named it")),
    responses((status = 200, body = Done, description = "What the request answers"),
        (status = 202, body = Running, description = "Not yet: ask where `Location` says", headers(("Location" = String, description = "`/v1/jobs/{id}`")))))]
pub(super) async fn job(owner: Owner, Id(job): Id<String>) -> Result<Response, Failure> {
    owner.answer_of(job).await
}
