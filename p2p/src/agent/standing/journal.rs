//! What a standing agent must remember beside the chain: which transactions it has sent and not yet seen in a block, and how often a
//! command has failed.
//!
//! The chain is the truth about bids and assignments; the journal only keeps a restarted agent from sending again what still waits in
//! its peer. Losing it costs nothing but that, and the counts of failed runs.
//!
//! Invariants: a transaction's hash is on disk before the transaction is sent; the file is replaced whole, fsynced. Bound: rows of auctions
//! that have ended are dropped, and [`Journal::has_room`] says no before [`MAX_BYTES`] is near.

use crate::{
    agent::error::Failure,
    documents::{FileError, parse_json, read_text_within},
    files,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};
use tender_auction::task::MAX_ENTRIES;
use tender_wire::{AuctionId, TxHash};

/// Largest journal read, in bytes.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Longest row, in bytes of JSON: a serial number or award, a hash and a count.
const ROW_BYTES: u64 = 400;
/// Rows beyond which no new bid is made.
pub(crate) const MAX_ROWS: usize = 131_072;
/// Rows a bid may come to: its own, and one for each entry that is won.
const ROWS_PER_BID: usize = 1 + MAX_ENTRIES as usize;
const _: () = assert!((MAX_ROWS + ROWS_PER_BID) as u64 * ROW_BYTES < MAX_BYTES);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    auctions: BTreeMap<AuctionId, Page>,
}

/// What is remembered of one auction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The bid sent with each machine.
    pub(super) bids: BTreeMap<String, TxHash>,
    /// By `task-bid`.
    pub(super) awards: BTreeMap<String, Row>,
}

/// What is remembered of one assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// What was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<(Step, TxHash)>,
    /// Runs of the command that failed.
    #[serde(default)]
    pub(super) failures: u32,
}

/// What an agent sends about an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Accept,
    Deliver,
}

/// The open journal. The lock of its directory is held elsewhere.
pub(super) struct Journal {
    path: PathBuf,
    book: Book,
}

impl Journal {
    /// Reads the journal of a directory; there may be none yet.
    pub(super) fn open(directory: &Path) -> Result<Journal, Failure> {
        let path = directory.join("journal.json");
        let book = read(&path).map_err(|error| {
            let next = "move the file away and start again: bids and assignments are on chain, only counts of failed runs are lost";
            Failure {
                next: next.into(),
                ..Failure::from(error)
            }
        })?;
        Ok(Journal { path, book })
    }

    pub(super) fn page(&self, auction: &AuctionId) -> Option<&Page> {
        self.book.auctions.get(auction)
    }

    pub(super) fn row(&self, auction: &AuctionId, award: &str) -> Row {
        let row = self.page(auction).and_then(|page| page.awards.get(award));
        row.cloned().unwrap_or_default()
    }

    /// Whether anything is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.book.auctions.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        let rows = |page: &Page| page.bids.len().max(1).saturating_mul(ROWS_PER_BID);
        let all = self.book.auctions.values().map(rows);
        all.fold(0, usize::saturating_add) < MAX_ROWS
    }

    /// Changes what is remembered of an auction. On disk when this returns.
    pub(super) fn edit(
        &mut self,
        auction: &AuctionId,
        change: impl FnOnce(&mut Page),
    ) -> Result<(), Failure> {
        let is_new = !self.book.auctions.contains_key(auction);
        let page = self.book.auctions.entry(*auction).or_default();
        let before = page.clone();
        change(page);
        if is_new || *page != before {
            self.write()?;
        }
        Ok(())
    }

    /// Forgets an auction that has ended.
    pub(super) fn forget(&mut self, auction: &AuctionId) -> Result<(), Failure> {
        match self.book.auctions.remove(auction) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    /// Forgets that commands failed.
    pub(super) fn pardon(&mut self) -> Result<(), Failure> {
        let pages = self.book.auctions.values_mut();
        for row in pages.flat_map(|page| page.awards.values_mut()) {
            row.failures = 0;
        }
        self.write()
    }

    fn write(&self) -> Result<(), Failure> {
        let written = serde_json::to_vec_pretty(&self.book)
            .map_err(io::Error::from)
            .and_then(|text| files::replace(&self.path, &text));
        written.map_err(|e| {
            Failure::new(
                format!("{}: cannot be written: {e}", self.path.display()),
                "make room or put the directory's permissions right, then start the agent again; it goes on where it stopped",
            )
        })
    }
}

fn read(path: &Path) -> Result<Book, FileError> {
    if let Ok(false) = path.try_exists() {
        return Ok(Book::default());
    }
    parse_json(path, &read_text_within(path, MAX_BYTES)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_and_what_failed_survives_and_what_ended_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        assert!(journal.is_empty());
        let (one, two) = (AuctionId([1; 32]), AuctionId([2; 32]));
        journal
            .edit(&one, |page| {
                page.bids.insert("box".into(), TxHash([7; 32]));
                let row = Row {
                    sent: Some((Step::Accept, TxHash([8; 32]))),
                    failures: 2,
                };
                page.awards.insert("0-ab".into(), row);
            })
            .unwrap();
        journal.edit(&two, |_| {}).unwrap();
        let mut again = Journal::open(dir.path()).unwrap();
        assert_eq!(again.book, journal.book);
        assert_eq!(again.row(&one, "0-ab").failures, 2);
        again.pardon().unwrap();
        again.forget(&two).unwrap();
        let again = Journal::open(dir.path()).unwrap();
        assert_eq!(again.row(&one, "0-ab").failures, 0);
        let sent = again.row(&one, "0-ab").sent;
        assert_eq!(sent, Some((Step::Accept, TxHash([8; 32]))));
        assert!(again.page(&two).is_none());
    }

    #[test]
    fn a_damaged_journal_is_told_with_what_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal.json"), "{ \"auctions\": 3 }").unwrap();
        let said = Journal::open(dir.path()).err().unwrap().to_string();
        assert!(
            said.contains("journal.json:1:") && said.contains("move the file away"),
            "{said}"
        );
    }

    #[test]
    fn a_journal_is_so_long_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.json");
        let said = |bytes: u64| {
            let file = std::fs::File::create(&path).unwrap();
            file.set_len(bytes).unwrap();
            Journal::open(dir.path()).err().unwrap().to_string()
        };
        let read = said(MAX_BYTES);
        assert!(read.contains("journal.json:1:1"), "{read}");
        let refused = said(MAX_BYTES + 1);
        assert!(refused.contains("larger than 67108864"), "{refused}");
        assert!(refused.contains("move the file away"), "{refused}");
    }

    /// However many auctions take bids, what was begun fits the journal.
    #[test]
    fn with_so_many_rows_no_new_bid_is_made_and_what_was_begun_still_fits() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        let mut rows = 0;
        for number in 0.. {
            assert_eq!(journal.has_room(), rows < MAX_ROWS);
            if rows >= MAX_ROWS {
                break;
            }
            let mut auction = [0; 32];
            auction[..8].copy_from_slice(&u64::to_be_bytes(number));
            let page = journal.book.auctions.entry(AuctionId(auction)).or_default();
            page.bids.insert("s".repeat(100), TxHash([0xff; 32]));
            for task in 0..MAX_ENTRIES {
                let row = Row {
                    sent: Some((Step::Deliver, TxHash([0xff; 32]))),
                    failures: u32::MAX,
                };
                let name = format!("{}-{}", u32::MAX - u32::from(task), TxHash([0xff; 32]));
                page.awards.insert(name, row);
            }
            rows += ROWS_PER_BID;
        }
        journal.write().unwrap();
        let written = std::fs::metadata(&journal.path).unwrap().len();
        assert!(written <= MAX_BYTES, "{written}");
    }
}
