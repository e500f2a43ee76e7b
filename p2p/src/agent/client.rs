//! The command line's side of the HTTP API: one blocking client of one peer.
//!
//! Invariant: whatever the peer answers becomes a value or a [`Failure`] that says what to do. Bounds: [`TIMEOUT`] per
//! call, [`MAX_ANSWER_BYTES`] per answer.

use super::error::Failure;
use crate::{
    api::types::{
        Account, ApiError, AuctionDetail, AuctionSummary, BlockInfo, IssuerInfo, LeafPath,
        Neighbour, Status, Submitted, TxStatus, TypeInfo,
    },
    mempool::RESEND_AFTER,
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
/// Longest wait for a transaction's block: longer than a pool waits before it tells its neighbours again.
pub(crate) const COMMIT_WITHIN: Duration = Duration::from_secs(90);
const _: () = assert!(COMMIT_WITHIN.as_secs() > RESEND_AFTER.as_secs());
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
        Self::waiting(url, TIMEOUT)
    }

    /// One that waits so long for an answer.
    fn waiting(url: &str, within: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(within))
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
        all_pages(after, |after| match after {
            Some(id) => self.get(&format!("/v1/auctions?after={id}")),
            None => self.get("/v1/auctions"),
        })
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

    /// Waits until a transaction is in a block of this peer, for [`COMMIT_WITHIN`].
    pub fn wait_committed(&self, hash: &TxHash) -> Result<Height, Failure> {
        let started = Instant::now();
        loop {
            if let Some(end) = end_of(self.transaction(hash)?, hash, started.elapsed()) {
                return end;
            }
            sleep(POLL);
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
            .limit(MAX_ANSWER_BYTES.saturating_add(1)) // it refuses a body of as many
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

/// Auctions page by page, until one is not full, or there are too many.
fn all_pages(
    after: Option<AuctionId>,
    mut page: impl FnMut(Option<AuctionId>) -> Result<Vec<AuctionSummary>, Failure>,
) -> Result<Vec<AuctionSummary>, Failure> {
    let mut all: Vec<AuctionSummary> = Vec::new();
    loop {
        let next = page(all.last().map(|it| it.auction).or(after))?;
        let is_full = next.len() >= AUCTIONS_PER_PAGE;
        let room = MAX_AUCTIONS.saturating_sub(all.len());
        all.extend(next.into_iter().take(room));
        if !is_full || all.len() >= MAX_AUCTIONS {
            return Ok(all);
        }
    }
}

/// What has become of a transaction that was waited for so long; `None` if it is to be waited for still.
fn end_of(status: TxStatus, hash: &TxHash, waited: Duration) -> Option<Result<Height, Failure>> {
    match status {
        TxStatus::Committed { height } => Some(Ok(height)),
        TxStatus::Refused { error } => Some(Err(refusal(error))),
        TxStatus::Pending | TxStatus::Unknown if waited < COMMIT_WITHIN => None,
        TxStatus::Pending | TxStatus::Unknown => {
            let what = format!(
                "transaction {hash} is not in a block after {} s, and may still come into one",
                COMMIT_WITHIN.as_secs()
            );
            let next = "see `tender status`: are more than two thirds of the validators up?";
            Some(Err(Failure {
                code: Some("timeout".into()),
                ..Failure::new(what, next)
            }))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::testing::{fine, peer},
        api::types::Phase,
    };
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    #[test]
    fn a_peer_that_does_not_answer_is_waited_for_so_long_and_no_longer() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let failure = Client::waiting(&url, Duration::from_millis(200))
            .status()
            .unwrap_err();
        assert!(failure.is_code("unreachable"), "{failure}");
        assert!(failure.what.contains(&url), "{failure}");
        let client = Client::new(&url);
        assert_eq!(client.agent.config().timeouts().global, Some(TIMEOUT));
    }

    /// D: a peer's answer is read so far and no further, whatever it says of its length.
    #[test]
    fn an_answer_is_so_long_and_no_longer() {
        let endless = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", endless.local_addr().unwrap());
        thread::spawn(move || {
            for (stream, more) in endless.incoming().zip([0u64, 1]) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
                stream.write_all(head).unwrap();
                let mut body = std::io::repeat(7).take(MAX_ANSWER_BYTES + more);
                let _ = std::io::copy(&mut body, &mut stream);
            }
        });
        let client = Client::new(&url);
        let whole = client.blocks(Height(1)).unwrap();
        assert_eq!(whole.len() as u64, MAX_ANSWER_BYTES);
        let refused = client.blocks(Height(1)).unwrap_err();
        assert!(refused.what.contains("broken answer"), "{refused}");
    }

    #[test]
    fn auctions_are_read_page_by_page_so_many_and_no_more() {
        let summary = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            AuctionSummary {
                auction: AuctionId(id),
                title: String::new(),
                opener: PublicKey([0; 32]),
                phase: Phase::Finished,
                opened_at: Height(1),
                phase_ends_at: None,
                ended_at: None,
                tasks: 1,
                bids: 0,
            }
        };
        // A peer that has so many, told in pages of so many; and how often it is asked.
        let read = |has: usize, of: usize| {
            let (mut told, mut asked, mut last) = (0, 0, None);
            let page = |after| {
                assert_eq!(after, last);
                asked += 1;
                let next: Vec<_> = (told..has).take(of).map(summary).collect();
                told += next.len();
                last = next.last().map(|it: &AuctionSummary| it.auction).or(after);
                Ok(next)
            };
            (all_pages(None, page).unwrap().len(), asked)
        };
        let page = AUCTIONS_PER_PAGE;
        assert_eq!(read(page - 1, page), (page - 1, 1));
        assert_eq!(read(page, page), (page, 2));
        assert_eq!(read(page + 1, page), (page + 1, 2));
        let most = (MAX_AUCTIONS, MAX_AUCTIONS / page);
        assert_eq!(read(MAX_AUCTIONS, page), most);
        assert_eq!(read(MAX_AUCTIONS + 1, page), most);
        assert_eq!(read(2 * MAX_AUCTIONS, MAX_AUCTIONS + 1), (MAX_AUCTIONS, 1));
    }

    #[test]
    fn a_block_is_waited_for_so_long_and_then_it_is_said_what_may_still_happen() {
        let hash = TxHash([7; 32]);
        let moment = Duration::from_millis(1);
        for status in [TxStatus::Pending, TxStatus::Unknown] {
            let after = |waited| end_of(status.clone(), &hash, waited);
            assert_eq!(after(COMMIT_WITHIN - moment), None);
            let failure = after(COMMIT_WITHIN).unwrap().unwrap_err();
            assert!(failure.is_code("timeout"));
            for part in [&hash.to_string(), "after 90 s", "may still come into one"] {
                assert!(failure.what.contains(part), "{failure}");
            }
        }
        let mut looks = 0;
        let client = peer(move |_| {
            looks += 1;
            fine(&match looks {
                1 => TxStatus::Unknown,
                2 => TxStatus::Pending,
                _ => TxStatus::Committed { height: Height(3) },
            })
        });
        assert_eq!(client.wait_committed(&hash), Ok(Height(3)));
    }
}
