//! Bidding: with every machine in every auction that takes bids, once.

use super::{
    Agent, MAX_TRIES, PROOFS_PER_LOOK, REREAD, RETRY, Trouble, offer, offer::Offer, plain, problem,
    said,
};
use crate::{
    agent::{bidding::Bidder, error::Failure},
    api::types::{AuctionDetail, AuctionSummary, Phase, TxStatus},
    documents::{
        credential::{Content, CredentialFile},
        names::Names,
        read_json,
    },
};
use std::{collections::BTreeMap, time::Instant};
use tender_auction::transaction::Transaction;
use tender_wire::TxHash;

/// A home's credentials by machine.
pub(super) type Machines = BTreeMap<String, Vec<CredentialFile>>;

/// Refusals that say that a bid of this machine is in already.
const IS_IN: [&str; 2] = ["not_newer", "duplicate"];

impl Agent {
    /// Bids wherever there is no bid yet.
    pub(super) fn bid_in<'s>(
        &mut self,
        open: impl Iterator<Item = &'s AuctionSummary>,
    ) -> Result<(), Trouble> {
        let mut open = open.peekable();
        if open.peek().is_none() {
            return Ok(());
        }
        let (read, machines) = match self.machines.take() {
            Some((read, machines)) if read.elapsed() < REREAD => (read, machines),
            _ => (Instant::now(), self.machines()?),
        };
        let mut proofs = 0usize;
        for summary in open {
            let bid = self.bid_with_all(&machines, summary, &mut proofs);
            self.apart(&summary.auction, bid)?;
        }
        self.machines = Some((read, machines));
        Ok(())
    }

    pub(super) fn bid_with_all(
        &mut self,
        machines: &Machines,
        summary: &AuctionSummary,
        proofs: &mut usize,
    ) -> Result<(), Trouble> {
        let detail = self.client().auction(&summary.auction)?;
        if detail.summary.phase != Phase::Bidding {
            return Ok(());
        }
        for (serial, held) in machines {
            if !self.is_to_bid(&detail, serial, held)? {
                continue;
            }
            if *proofs >= PROOFS_PER_LOOK {
                self.busy = true;
                return Ok(());
            }
            if self.bid_with(&detail, serial, held)? {
                *proofs = proofs.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The home's credentials by machine; also looks at what may have changed: names, prices.
    fn machines(&mut self) -> Result<Machines, Trouble> {
        let names = self.options.place.names(self.client())?;
        let read = read_json(&self.options.prices);
        match read.and_then(|prices: crate::documents::prices::PriceFile| {
            let checked = prices.check(&names).map(|()| prices);
            checked.map_err(|p| p.in_file(&self.options.prices))
        }) {
            Ok(prices) => {
                self.prices = prices;
                self.told.remove("prices");
            }
            Err(error) => {
                let text = said(&error.into());
                self.tell(
                    "prices",
                    format!("{text}; until then the prices read before hold"),
                );
            }
        }
        self.names = Some(names);
        let mut machines = Machines::new();
        let (files, wrong) = self.options.place.usable_credentials(&self.actor)?;
        if !wrong.is_empty() {
            let wrong: Vec<_> = wrong.into_iter().map(|e| said(&e.into())).collect();
            let text = wrong.join("; ");
            self.tell("credentials", format!("left out: {text}"));
        } else if files.is_empty() {
            let what = "this home holds no credential: have a machine attested with `tender issuer attest`";
            self.tell("credentials", what.into());
        } else {
            self.told.remove("credentials");
        }
        for file in files {
            machines.entry(file.serial.clone()).or_default().push(file);
        }
        Ok(machines)
    }

    /// Whether the machine has no bid in this auction, none on its way, and may be tried.
    pub(super) fn is_to_bid(
        &mut self,
        detail: &AuctionDetail,
        serial: &str,
        held: &[CredentialFile],
    ) -> Result<bool, Trouble> {
        let auction = detail.summary.auction;
        let own = self.own;
        let is_own = |asset| held.iter().any(|file| file.asset() == asset);
        let live = detail.live_bids.iter();
        if let Some(live) = live
            .clone()
            .find(|bid| bid.bidder == own && is_own(bid.asset))
        {
            let text = format!(
                "the bid with {} is in, {} (sequence {})",
                plain(serial),
                live.bid.short(),
                live.sequence
            );
            self.say(detail, serial, text);
            // From here on the agent takes part, whoever made the bid.
            return self
                .journal
                .edit(&auction, |_| {})
                .map(|()| false)
                .map_err(Trouble::Final);
        }
        let tries = self
            .memory
            .get(&auction)
            .and_then(|it| it.tries.get(serial));
        if tries.is_some_and(|tries| *tries >= MAX_TRIES) || !self.may_try(&auction, serial) {
            return Ok(false);
        }
        let page = self.journal.page(&auction);
        let Some(sent) = page.and_then(|page| page.bids.get(serial)).copied() else {
            return Ok(true);
        };
        match self.client().transaction(&sent)? {
            TxStatus::Pending | TxStatus::Committed { .. } => Ok(false),
            TxStatus::Unknown => Ok(true),
            TxStatus::Refused { error } => {
                let failure = crate::agent::client::refusal(error);
                self.bid_refused(detail, serial, &failure)?;
                Ok(false)
            }
        }
    }

    /// Bids with one machine, if there is something to bid for; whether it came to a proof.
    fn bid_with(
        &mut self,
        detail: &AuctionDetail,
        serial: &str,
        held: &[CredentialFile],
    ) -> Result<bool, Trouble> {
        let auction = detail.summary.auction;
        if !self.journal.has_room() {
            let text = format!("no bid with {}: too much is under way", plain(serial));
            self.say(detail, serial, text);
            self.wait(&auction, serial, REREAD);
            return Ok(false);
        }
        let Some(names) = self.names.clone() else {
            return Ok(false);
        };
        let held = self.usable(detail, held, &names)?;
        let (transaction, tasks) = match self.make(detail, serial, held, &names) {
            Ok(made) => made,
            Err(Why::Nothing(why)) => {
                let text = format!("nothing to bid for with {}: {why}", plain(serial));
                self.say(detail, serial, text);
                self.wait(&auction, serial, REREAD);
                return Ok(false);
            }
            Err(Why::Failed(failure)) if failure.is_code("unreachable") => {
                return Err(failure.into());
            }
            Err(Why::Failed(failure)) => {
                self.bid_refused(detail, serial, &failure)?;
                return Ok(true);
            }
        };
        self.note_bid(detail, serial, Some(transaction.hash()))?;
        match self.client().submit(&transaction) {
            Ok(_) => {
                let text = format!("bid with {} for {tasks} tasks", plain(serial));
                self.say(detail, serial, text);
            }
            Err(failure) if failure.is_code("unreachable") => return Err(failure.into()),
            Err(failure) => self.bid_refused(detail, serial, &failure)?,
        }
        Ok(true)
    }

    /// The machine's credentials that the registry and the issuers still stand behind, best first.
    fn usable(
        &mut self,
        detail: &AuctionDetail,
        held: &[CredentialFile],
        names: &Names,
    ) -> Result<Vec<CredentialFile>, Trouble> {
        let mut usable = Vec::new();
        for file in held {
            let listed = names.issuers.iter();
            let mut stands = listed
                .clone()
                .any(|(index, _)| *index == file.issuer_index());
            if let Content::Credential { credential, .. } = &file.content {
                match self.client().leaf(&credential.leaf()) {
                    Ok(_) => {}
                    Err(failure) if failure.is_code("not_found") => stands = false,
                    Err(failure) => return Err(failure.into()),
                }
            }
            if stands {
                usable.push(file.clone());
            } else {
                let text = format!(
                    "what {} attested of {} is revoked, or in no block yet",
                    plain(&file.issuer),
                    plain(&file.serial)
                );
                let matter = format!("{} by {}", file.serial, file.issuer);
                self.say(detail, &matter, text);
            }
        }
        Ok(offer::best_first(usable, &detail.spec, names))
    }

    /// The bid: offered, planned, sealed, proven and signed; and for how many tasks.
    fn make(
        &self,
        detail: &AuctionDetail,
        serial: &str,
        held: Vec<CredentialFile>,
        names: &Names,
    ) -> Result<(Transaction, usize), Why> {
        let Some(asset) = held.first().map(CredentialFile::asset) else {
            return Err(Why::Nothing("nothing attested of it stands".into()));
        };
        let bidder = Bidder {
            actor: &self.actor,
            prover: &self.prover,
            credentials: &held,
            names,
        };
        let offer = Offer {
            spec: &detail.spec,
            names,
            prices: &self.prices,
            held: &held,
            reserved: &|type_id| bidder.reserved(type_id, &asset),
        };
        let file = offer
            .bid(serial, self.options.hide_issuer)
            .map_err(Why::Nothing)?;
        let plan = bidder
            .plan(detail, &file)
            .map_err(|p| Why::Nothing(problem(&p)))?;
        for warning in &plan.warnings {
            tracing::warn!(
                "auction {}: {warning}: those entries will lose",
                detail.summary.auction.short()
            );
        }
        let mut content = bidder.seal(detail, &plan)?;
        let bid = bidder.prove(detail, &plan, &mut content)?;
        Ok((Transaction::Bid(Box::new(bid)), plan.entries.len()))
    }

    pub(super) fn bid_refused(
        &mut self,
        detail: &AuctionDetail,
        serial: &str,
        failure: &Failure,
    ) -> Result<(), Trouble> {
        let auction = detail.summary.auction;
        if IS_IN.iter().any(|code| failure.is_code(code)) {
            // It shows among the live bids in a moment.
            self.wait(&auction, serial, RETRY);
            return Ok(());
        }
        self.note_bid(detail, serial, None)?;
        let tries = &mut self.memory.entry(auction).or_default().tries;
        let tries = tries.entry(serial.to_owned()).or_default();
        *tries = tries.saturating_add(1);
        let next = if *tries >= MAX_TRIES {
            "given up"
        } else {
            "tried again shortly"
        };
        let text = format!(
            "no bid with {} ({next}, {tries} of {MAX_TRIES}): {}",
            plain(serial),
            said(failure)
        );
        self.say(detail, serial, text);
        self.wait(&auction, serial, RETRY);
        Ok(())
    }

    /// Remembers the bid that is on its way, or that it is not.
    fn note_bid(
        &mut self,
        detail: &AuctionDetail,
        serial: &str,
        sent: Option<TxHash>,
    ) -> Result<(), Trouble> {
        let auction = detail.summary.auction;
        if sent.is_none() && self.journal.page(&auction).is_none() {
            return Ok(());
        }
        let note = |page: &mut super::journal::Page| match sent {
            Some(hash) => drop(page.bids.insert(serial.to_owned(), hash)),
            None => drop(page.bids.remove(serial)),
        };
        self.journal.edit(&auction, note).map_err(Trouble::Final)
    }
}

/// Why a machine does not bid.
enum Why {
    /// There is nothing for it.
    Nothing(String),
    /// Something is in the way.
    Failed(Failure),
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Self {
        Why::Failed(failure)
    }
}
