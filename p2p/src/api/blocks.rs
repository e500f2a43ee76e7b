//! Blocks: for people as JSON, for auditors as the bytes that were committed.
//!
//! `GET /v1/blocks?from=H&count=N` answers `application/octet-stream`: for each block, ascending and without gaps, a `u32` little-endian
//! length and that many bytes, the canonical encoding of a [`tender_consensus::block::CommittedBlock`]. The next page starts after the last block got; an
//! empty answer is the end. Bounds: [`MAX_PAGE_BLOCKS`], [`MAX_PAGE_BYTES`].

use super::{
    Api,
    error::Failure,
    extract::{Ask, Id},
    types::BlockInfo,
};
use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use tender_consensus::{block::CommittedBlock, tx::TxBytes};
use tender_wire::{Height, Wire};

/// Blocks of one page.
pub const MAX_PAGE_BLOCKS: usize = 256;
/// Bytes of one page, at least one block of any size.
pub const MAX_PAGE_BYTES: usize = CommittedBlock::MAX_BYTES;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    from: u64,
    count: Option<usize>,
}

/// Blocks as they were committed
///
/// For each block, ascending and without gaps, a `u32` little-endian length and that many bytes: the canonical encoding of a committed
/// block. The next page starts after the last block got; an empty answer is the end.
#[utoipa::path(get, path = "/v1/blocks", tag = "chain",
    params(
        ("from" = u64, Query, description = "First height wanted"),
        ("count" = Option<u32>, Query, description = "At most so many; 256 unless said otherwise"),
    ),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>, description = "A page of blocks")))]
pub(super) async fn range(
    State(api): State<Api>,
    Ask(Range { from, count }): Ask<Range>,
) -> Result<Response, Failure> {
    let (from, count) = (
        Height(from.max(1)),
        count.unwrap_or(MAX_PAGE_BLOCKS).min(MAX_PAGE_BLOCKS),
    );
    api.answer_large("application/octet-stream", move |shared| {
        let page = shared.archive.raw_blocks(from, count, MAX_PAGE_BYTES)?;
        let mut bytes = Vec::new();
        for stored in page {
            let len = stored.block.len().saturating_add(stored.certificate.len());
            bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
            // A structure is its fields in order, so these are the bytes of a `CommittedBlock`.
            bytes.extend_from_slice(&stored.block);
            bytes.extend_from_slice(&stored.certificate);
        }
        Ok(bytes)
    })
    .await
}

/// A block
#[utoipa::path(get, path = "/v1/blocks/{height}", tag = "chain",
    params(("height" = u64, Path, description = "Heights count from 1")),
    responses((status = 200, body = BlockInfo)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(height): Id<u64>,
) -> Result<Json<BlockInfo>, Failure> {
    let height = Height(height);
    let block = api
        .read(move |shared| Ok(shared.archive.block(height)?))
        .await?;
    let CommittedBlock { block, .. } = block.ok_or_else(|| {
        let tip = api.shared.chain().height;
        Failure::not_found(
            format!("there is no block {height}, the last is {tip}"),
            "blocks count from 1",
        )
    })?;
    Ok(Json(BlockInfo {
        height,
        block_id: block.id(),
        time_ms: block.header.time,
        state_root: block.header.state_root,
        outcome_root: block.header.outcome_root,
        transactions: block.transactions.iter().map(TxBytes::hash).collect(),
    }))
}
