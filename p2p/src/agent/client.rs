//! The command line's side of the HTTP API: one blocking client of one peer.
//!
//! Invariant: whatever the peer answers becomes a value or a [`Failure`] that says what to do. Bounds: [`TIMEOUT`] per
//! call, [`MAX_ANSWER_BYTES`] per answer.

use super::error::Failure;
use crate::api::types::{
    Account, ApiError, AuctionDetail, AuctionSummary, BlockInfo, IssuerInfo, LeafPath, Neighbour,
    Status, Submitted, TxStatus, TypeInfo,
};
use libp2p::PeerId;
use serde::de::DeserializeOwned;
use std::{
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{certificate::AssignmentCertificate, transaction::Transaction};
use tender_consensus::block::{CommittedBlock, Header};
use tender_wire::{AuctionId, BidId, FieldBytes, Height, PublicKey, TxHash, Wire as _, decode};

/// Longest wait for one answer: reading an auction of 4096 units takes a busy peer about a second.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer, in bytes: an auction with its outcomes, in JSON.
pub(crate) const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// Auctions of a full page, unless the peer is asked for fewer.
pub(crate) const AUCTIONS_PER_PAGE: usize = 1000;
/// Most auctions read of one peer, about 500 bytes each.
pub(crate) const MAX_AUCTIONS: usize = 1_000_000;
/// Pause between two looks at a transaction.
const POLL: Duration = Duration::from_millis(50);

/// Which outcome a certificate is wanted of; at least one is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The task.
    pub task: Option<u32>,
    /// Whose.
    pub bidder: Option<PublicKey>,
    /// Of which bid.
    pub bid: Option<BidId>,
}

/// A peer's API.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the API at `url`, as `http://127.0.0.1:26680`.
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let base = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        Client {
            base: base.trim_end_matches('/').to_owned(),
            agent: config.new_agent(),
        }
    }

    /// The API's address.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// [`Failure`], as for every call below.
    pub fn status(&self) -> Result<Status, Failure> {
        self.get("/v1/status")
    }

    /// `GET /v1/auctions`, all pages.
    pub fn auctions(&self) -> Result<Vec<AuctionSummary>, Failure> {
        self.auctions_after(None)
    }

    /// `GET /v1/auctions?after={id}`, all pages: what was opened after that auction, in opening order.
    pub fn auctions_after(&self, after: Option<AuctionId>) -> Result<Vec<AuctionSummary>, Failure> {
        let mut all: Vec<AuctionSummary> = Vec::new();
        loop {
            let path = match all.last().map(|it| it.auction).or(after) {
                Some(id) => format!("/v1/auctions?after={id}"),
                None => "/v1/auctions".into(),
            };
            let page: Vec<AuctionSummary> = self.get(&path)?;
            let full = page.len() >= AUCTIONS_PER_PAGE;
            all.extend(page);
            if !full || all.len() >= MAX_AUCTIONS {
                return Ok(all);
            }
        }
    }

    /// `GET /v1/auctions/{id}`.
    pub fn auction(&self, id: &AuctionId) -> Result<AuctionDetail, Failure> {
        self.get(&format!("/v1/auctions/{id}"))
    }

    /// `GET /v1/accounts/{key}`.
    pub fn account(&self, key: &PublicKey) -> Result<Account, Failure> {
        self.get(&format!("/v1/accounts/{key}"))
    }

    /// `GET /v1/registry/{leaf}`.
    pub fn leaf(&self, leaf: &FieldBytes) -> Result<LeafPath, Failure> {
        self.get(&format!("/v1/registry/{leaf}"))
    }

    /// `GET /v1/types`.
    pub fn types(&self) -> Result<Vec<TypeInfo>, Failure> {
        self.get("/v1/types")
    }

    /// `GET /v1/issuers`.
    pub fn issuers(&self) -> Result<Vec<IssuerInfo>, Failure> {
        self.get("/v1/issuers")
    }

    /// `GET /v1/blocks/{height}`.
    pub fn block(&self, height: Height) -> Result<BlockInfo, Failure> {
        self.get(&format!("/v1/blocks/{height}"))
    }

    /// `GET /v1/auctions/{id}/certificate`: of a task's assignment, or of a bidder's or a bid's outcome (on that task).
    pub fn certificate(
        &self,
        auction: &AuctionId,
        of: &Wanted,
    ) -> Result<AssignmentCertificate, Failure> {
        let task = of.task.map(|task| format!("task={task}"));
        let bidder = of.bidder.map(|key| format!("bidder={key}"));
        let bid = of.bid.map(|id| format!("bid={id}"));
        let query: Vec<_> = task.into_iter().chain(bidder).chain(bid).collect();
        let path = format!("/v1/auctions/{auction}/certificate?{}", query.join("&"));
        let bytes = self.bytes(self.agent.get(format!("{}{path}", self.base)).call())?;
        AssignmentCertificate::from_json(&bytes).map_err(|e| {
            Failure::new(
                format!("{} answered something unexpected: {e}", self.base),
                "check that it runs the same version",
            )
        })
    }

    /// `GET /v1/blocks?from=H`: a page of blocks as they were committed; empty at the end.
    pub fn blocks(&self, from: Height) -> Result<Vec<u8>, Failure> {
        self.bytes(
            self.agent
                .get(format!("{}/v1/blocks?from={from}", self.base))
                .call(),
        )
    }

    /// The headers of these heights, both included, out of [`Self::blocks`].
    pub fn headers(&self, from: Height, to: Height) -> Result<Vec<Header>, Failure> {
        let mut headers: Vec<Header> = Vec::new();
        let mut next = from;
        while next <= to {
            let page = self.blocks(next)?;
            let before = next;
            for block in frames(&page) {
                let header = block
                    .and_then(|bytes| decode::<CommittedBlock>(bytes).ok())
                    .map(|committed| committed.block.header)
                    .filter(|header| header.height == next)
                    .ok_or_else(|| self.no_blocks(next))?;
                if next <= to {
                    headers.push(header);
                }
                next = next.next();
            }
            if next == before {
                return Err(self.no_blocks(next));
            }
        }
        Ok(headers)
    }

    fn no_blocks(&self, height: Height) -> Failure {
        Failure::new(
            format!("{} does not serve block {height}", self.base),
            "ask another peer with --api URL, or this one later",
        )
    }

    /// `GET /v1/transactions/{hash}`.
    pub fn transaction(&self, hash: &TxHash) -> Result<TxStatus, Failure> {
        self.get(&format!("/v1/transactions/{hash}"))
    }

    /// `POST /v1/transactions`.
    pub fn submit(&self, transaction: &Transaction) -> Result<TxHash, Failure> {
        self.submit_bytes(transaction.to_bytes())
    }

    /// `POST /v1/transactions` of bytes as they are.
    pub fn submit_bytes(&self, transaction: Vec<u8>) -> Result<TxHash, Failure> {
        let sent = self
            .agent
            .post(format!("{}/v1/transactions", self.base))
            .content_type("application/octet-stream")
            .send(&transaction[..]);
        self.read::<Submitted>(sent)
            .map(|submitted| submitted.tx_hash)
    }

    /// `GET /metrics`.
    pub fn metrics(&self) -> Result<String, Failure> {
        let bytes = self.bytes(self.agent.get(format!("{}/metrics", self.base)).call())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until a transaction is in a block of this peer.
    pub fn wait_committed(&self, hash: &TxHash, within: Duration) -> Result<Height, Failure> {
        let started = Instant::now();
        loop {
            match self.transaction(hash)? {
                TxStatus::Committed { height } => return Ok(height),
                TxStatus::Refused { error } => return Err(refusal(error)),
                TxStatus::Pending | TxStatus::Unknown if started.elapsed() < within => sleep(POLL),
                TxStatus::Pending | TxStatus::Unknown => {
                    let what = format!(
                        "transaction {hash} is not in a block after {} s",
                        within.as_secs()
                    );
                    let next =
                        "see `tender status`: are more than two thirds of the validators up?";
                    return Err(Failure {
                        code: Some("timeout".into()),
                        ..Failure::new(what, next)
                    });
                }
            }
        }
    }

    /// `GET /v1/admin/peers`, for whoever has the token of the peer's home.
    pub fn peers(&self, token: &str) -> Result<Vec<Neighbour>, Failure> {
        let asked = self.agent.get(format!("{}/v1/admin/peers", self.base));
        self.read(asked.header("authorization", bearer(token)).call())
    }

    /// `POST /v1/admin/peers/{id}/ban`.
    pub fn ban(&self, peer: &PeerId, token: &str) -> Result<(), Failure> {
        self.order(peer, "ban", token)
    }

    /// `POST /v1/admin/peers/{id}/unban`.
    pub fn unban(&self, peer: &PeerId, token: &str) -> Result<(), Failure> {
        self.order(peer, "unban", token)
    }

    fn order(&self, peer: &PeerId, what: &str, token: &str) -> Result<(), Failure> {
        let url = format!("{}/v1/admin/peers/{peer}/{what}", self.base);
        let asked = self.agent.post(url).header("authorization", bearer(token));
        self.bytes(asked.send_empty()).map(drop)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.read(self.agent.get(format!("{}{path}", self.base)).call())
    }

    fn read<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Failure> {
        let body = self.bytes(answer)?;
        serde_json::from_slice(&body).map_err(|e| self.unexpected(&e, &body))
    }

    /// The body of a successful answer; any other answer is a failure.
    fn bytes(&self, answer: Answer) -> Result<Vec<u8>, Failure> {
        let mut answer = answer.map_err(|e| {
            let code = Some("unreachable".to_owned());
            let next =
                "start the peer with `tender start --home DIR`, or name another with --api URL";
            Failure {
                code,
                ..Failure::new(format!("no answer from {}: {e}", self.base), next)
            }
        })?;
        let is_success = answer.status().is_success();
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_vec();
        let body = body
            .map_err(|e| Failure::new(format!("{}: broken answer: {e}", self.base), "try again"))?;
        if is_success {
            return Ok(body);
        }
        Err(serde_json::from_slice(&body).map_or_else(|e| self.unexpected(&e, &body), refusal))
    }

    fn unexpected(&self, error: &serde_json::Error, body: &[u8]) -> Failure {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        let what = format!(
            "{} answered something unexpected ({error}): {text}",
            self.base
        );
        Failure::new(
            what,
            "check that this is the API of a Tender peer of the same version",
        )
    }
}

/// What a request shows to be obeyed.
fn bearer(token: &str) -> String {
    format!("Bearer {}", token.trim())
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Blocks one after the other, each with its length before it (`u32`, little-endian); `None` where what follows is none, and then no more.
pub fn frames(mut rest: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let frame = rest.split_first_chunk::<4>().and_then(|(len, tail)| {
            let len = usize::try_from(u32::from_le_bytes(*len))
                .ok()
                .filter(|len| *len <= CommittedBlock::MAX_BYTES)?;
            tail.split_at_checked(len)
        });
        let (block, tail) = frame.unzip();
        rest = tail.unwrap_or_default();
        Some(block)
    })
}

/// A peer's refusal as a failure.
pub fn refusal(error: ApiError) -> Failure {
    let ApiError {
        code,
        message,
        hint,
    } = error;
    Failure {
        code: Some(code.clone()),
        ..Failure::new(format!("refused ({code}): {message}"), hint)
    }
}
