//! The vote write-ahead log: what must be on disk before a signature leaves the process.
//!
//! It holds the kernel's inputs of the current height in order, the blocks it judged, every message this validator
//! signed, and the offences not yet counted. The kernel is a pure function of its inputs, so replaying them gives the same state, locks included; what replay signs must equal what
//! was signed ([`crate::engine::Engine::start`]). `Start` is the high-water mark: once it names a height, none below is ever signed for
//! again, and a store that is behind it is refused.
//!
//! ```text
//!  0        4          8                12                 16
//!  | "TWAL" | len u32 | crc32(bytes 0..8) | crc32(bytes 0..12 ‖ payload) | payload: len bytes, canonical WalRecord | next frame…
//! ```
//! Integers little-endian. An append that did not finish is a prefix of a frame (or zeros, where the file grew but its data did not arrive): it is cut off, for
//! nothing that depended on it was ever sent. Anything else that does not check is damage: a signature may be missing, so signing
//! must stop. The header has its own checksum so that a damaged length is not taken for an unfinished append (THREATS P4).
//! Bound: a length above [`MAX_FRAME_BYTES`] is damage before anything is allocated.

use crate::{
    block::Block,
    evidence::Evidence,
    kernel::Timeout,
    vote::{Proposal, Vote},
};
use serde::{Deserialize, Serialize};
use tender_wire::{BlockId, ChainId, CodecError, Height, Round, Wire, decode, encode};

/// Largest payload of a frame.
pub const MAX_FRAME_BYTES: usize = WalRecord::MAX_BYTES;
const MARKER: [u8; 4] = *b"TWAL";
const HEADER_BYTES: usize = 16;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WalRecord {
    /// A height begins; everything before it is obsolete.
    Start {
        /// The chain.
        chain: ChainId,
        /// The height.
        height: Height,
        /// The block it builds on.
        parent: BlockId,
    },
    /// The kernel was started.
    Begin,
    /// A proposal was taken in.
    Proposal {
        /// The proposal.
        proposal: Proposal,
        /// Whether its time suited the clock then.
        timely: bool,
    },
    /// A vote was taken in.
    Vote(Vote),
    /// A body that may be voted for: kept so that no crash of everyone loses it.
    Block(Box<Block>),
    /// A block was executed.
    Judged {
        /// The block.
        block: BlockId,
        /// The verdict.
        valid: bool,
    },
    /// A block was built.
    Built {
        /// The round it is for.
        round: Round,
        /// The block.
        block: BlockId,
    },
    /// A timeout expired.
    Timeout(Timeout),
    /// This validator signed a proposal.
    SignedProposal(Proposal),
    /// This validator signed a vote.
    SignedVote(Vote),
    /// An offence waits to be counted. Not the kernel's concern: it is here so that a restart does not lose it.
    Evidence(Evidence),
    /// The body of a block judged valid was dropped for want of room.
    Forgotten(BlockId),
}

impl Wire for WalRecord {
    const NAME: &'static str = "WAL record";
    const MAX_BYTES: usize = Block::MAX_BYTES + 64;
}

/// Why a log must not be signed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// Bytes that no interrupted append leaves behind.
    #[error("the vote log is damaged at byte {offset} ({what}): signatures may be missing from it")]
    Damaged {
        /// Where the bad frame starts.
        offset: usize,
        /// What does not check.
        what: &'static str,
    },
    /// A frame with a good checksum that holds no record.
    #[error("the vote log holds an unreadable record at byte {offset}: {source}")]
    Record {
        /// Where the frame starts.
        offset: usize,
        /// The codec's reason.
        source: CodecError,
    },
}

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The records, in order.
    pub records: Vec<WalRecord>,
    /// Bytes up to the end of the last whole frame; the rest of the file must be cut off before appending.
    pub valid_len: usize,
}

/// The frame of a record, ready to append.
pub fn frame(record: &WalRecord) -> Vec<u8> {
    let payload = encode(record);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(payload.len().saturating_add(HEADER_BYTES));
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out.extend_from_slice(&checksum(&out, &payload).to_le_bytes());
    out.extend_from_slice(&payload);
    out
}

/// Reads a whole log.
///
/// # Errors
/// [`WalError`] for anything but an unfinished last frame.
pub fn scan(bytes: &[u8]) -> Result<Scan, WalError> {
    let mut records = Vec::new();
    let mut offset = 0usize;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let damaged = |what| WalError::Damaged { offset, what };
        if rest.iter().all(|b| *b == 0) {
            break; // the file grew, its data never arrived
        }
        let Some((header, body)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            if MARKER.starts_with(rest) || rest.starts_with(&MARKER) {
                break; // unfinished header
            }
            return Err(damaged("not a frame"));
        };
        let [a, b, c, d, l0, l1, l2, l3, h0, h1, h2, h3, p0, p1, p2, p3] = *header;
        let (head, checked) = (header.split_at(8).0, header.split_at(12).0);
        if [a, b, c, d] != MARKER || crc32fast::hash(head) != u32::from_le_bytes([h0, h1, h2, h3]) {
            return Err(damaged("frame header"));
        }
        let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if len > MAX_FRAME_BYTES {
            return Err(damaged("frame length"));
        }
        let Some(payload) = body.get(..len) else {
            break; // unfinished payload
        };
        if checksum(checked, payload) != u32::from_le_bytes([p0, p1, p2, p3]) {
            return Err(damaged("record checksum"));
        }
        records.push(decode(payload).map_err(|source| WalError::Record { offset, source })?);
        offset = offset.saturating_add(HEADER_BYTES).saturating_add(len);
    }
    Ok(Scan {
        records,
        valid_len: offset,
    })
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::TimeoutKind;

    fn sample() -> Vec<WalRecord> {
        let timeout = |round| Timeout {
            round: Round(round),
            kind: TimeoutKind::Propose,
        };
        let start = WalRecord::Start {
            chain: ChainId([7; 32]),
            height: Height(3),
            parent: BlockId([9; 32]),
        };
        vec![
            start,
            WalRecord::Begin,
            WalRecord::Timeout(timeout(0)),
            WalRecord::Timeout(timeout(1)),
        ]
    }

    fn log() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for record in sample() {
            bytes.extend(frame(&record));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// P3: of an append that was not fsynced the disk may hold any of its sectors, in place of the rest zeros or no file. Whichever they are, what
    /// was fsynced before is there, nothing is read that was not written, and where that cannot be known the log is refused.
    #[test]
    fn any_sectors_of_an_unsynced_append_cost_nothing_that_was_synced() {
        let mut rng = crate::sim::Rng::new(3);
        let (synced, _) = log();
        let timeout = |round| Timeout {
            round: Round(round),
            kind: TimeoutKind::Precommit,
        };
        let mut written = sample();
        written.extend((2..30).map(|round| WalRecord::Timeout(timeout(round))));
        let whole: Vec<u8> = written.iter().flat_map(frame).collect();
        let (mut cut, mut refused) = (0, 0);
        for sector in [16, 64, 512] {
            for _ in 0..400 {
                let mut disk = whole.clone();
                let percent = rng.below(101);
                let mut end = synced.len();
                let mut at = synced.len();
                while at < disk.len() {
                    let next = (at / sector * sector + sector).min(disk.len());
                    if rng.chance(percent) {
                        end = next;
                    } else {
                        disk[at..next].fill(0);
                    }
                    at = next;
                }
                if rng.chance(50) {
                    disk.truncate(end);
                }
                match scan(&disk) {
                    Ok(scan) => {
                        assert!(scan.records.len() >= sample().len());
                        assert!(written.starts_with(&scan.records));
                        cut += usize::from(scan.records.len() < written.len());
                    }
                    Err(error) => {
                        let WalError::Damaged { offset, .. } = error else {
                            panic!("{error}")
                        };
                        assert!(offset >= synced.len());
                        refused += 1;
                    }
                }
            }
        }
        assert!(cut > 0 && refused > 0, "{cut} cut, {refused} refused");
    }

    /// P3, P4: a log cut at any byte gives exactly the whole frames before the cut.
    #[test]
    fn torn_at_any_byte_keeps_the_whole_frames_before() {
        let (bytes, ends) = log();
        for cut in 0..=bytes.len() {
            let scan = scan(&bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|e| **e <= cut && **e > 0).count();
            assert_eq!(scan.records, sample()[..whole], "cut at {cut}");
            assert_eq!(scan.valid_len, ends[whole]);
        }
    }

    /// P4: any flipped bit stops signing, also in the last frame and in its length.
    #[test]
    fn flipped_anywhere_is_damage_never_a_shorter_log() {
        let (bytes, _) = log();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(scan(&bad).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn zeros_after_the_last_frame_are_an_append_that_never_arrived() {
        let (mut bytes, _) = log();
        let len = bytes.len();
        bytes.extend([0; 4096]);
        assert_eq!(scan(&bytes).unwrap().valid_len, len);
        bytes.push(1);
        assert!(scan(&bytes).is_err());
    }

    #[test]
    fn zeroed_or_swapped_in_the_middle_is_damage() {
        let (bytes, ends) = log();
        let mut zeroed = bytes.clone();
        zeroed[ends[1]..ends[2]].fill(0);
        assert!(scan(&zeroed).is_err());
        assert!(scan(&bytes[1..]).is_err());
    }
}
