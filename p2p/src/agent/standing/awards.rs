//! What is done about own assignments: accept, run the command, deliver; and what is told of them.

use super::{
    Agent, DIRECTORY, Event, MAX_RUNS, MAX_WAITING, RETRY, Trouble,
    job::{self, Ended, Job, Order},
    journal::{Row, Step},
    plain, said,
};
use crate::{
    agent::client::Wanted,
    api::types::{AuctionDetail, AuctionSummary, Award, Phase, TxStatus},
    cli::{
        table::amount,
        words::{self, Reader, task_of},
    },
};
use std::{
    path::PathBuf,
    sync::mpsc::Receiver,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tender_auction::{
    outcome::{AwardState, EntryOutcome, OutcomeRecord},
    transaction::{Action, AwardRef, SignedTx, Transaction},
};
use tender_wire::AuctionId;

/// An action that is due.
pub(super) struct Due {
    pub(super) auction: AuctionId,
    /// The assignment, as the journal names it.
    pub(super) award: String,
    pub(super) step: Step,
    pub(super) action: Action,
    /// What it is, for people.
    pub(super) what: String,
}

/// The name of an assignment in the journal and on disk.
fn name_of(award: &Award) -> String {
    format!("{}-{}", award.task, award.bid)
}

impl Agent {
    /// Looks at the own assignments of an auction that has cleared; gives what is due.
    pub(super) fn attend(&mut self, summary: &AuctionSummary) -> Result<Vec<Due>, Trouble> {
        let auction = summary.auction;
        if self.memory.get(&auction).is_some_and(|it| it.foreign) {
            return Ok(Vec::new());
        }
        let detail = self.client().auction(&auction)?;
        let own = self.own;
        let awards: Vec<_> = detail.awards.iter().filter(|it| it.bidder == own).collect();
        if awards.is_empty() && !detail.outcomes.iter().any(|it| bidder_of(it) == Some(own)) {
            self.memory.entry(auction).or_default().foreign = true;
            return Ok(Vec::new());
        }
        // Also where the journal was lost, or the bid was made by hand.
        self.journal
            .edit(&auction, |_| {})
            .map_err(Trouble::Final)?;
        self.tell_outcomes(&detail)?;
        let mut due = Vec::new();
        for award in &awards {
            due.extend(self.advance(&detail, award)?);
        }
        let at_work = awards.iter().filter(|it| it.state == AwardState::Accepted);
        let at_work: Vec<_> = at_work.map(|it| name_of(it)).collect();
        self.stop_commands_of(&auction, |award| !at_work.contains(award));
        Ok(due)
    }

    /// What is due about one assignment.
    fn advance(&mut self, detail: &AuctionDetail, award: &Award) -> Result<Option<Due>, Trouble> {
        let auction = detail.summary.auction;
        let name = name_of(award);
        let task = plain(&words::task_name(&detail.spec, award.task));
        let row = self.journal.row(&auction, &name);
        let due = |step, action, what| Due {
            auction,
            award: name.clone(),
            step,
            action,
            what,
        };
        let named = AwardRef {
            auction,
            task: award.task,
            bid: award.bid,
        };
        match award.state {
            AwardState::Assigned => {
                let by = award
                    .accept_by
                    .map_or_else(String::new, |by| format!(" by block {by}"));
                let text = format!(
                    "{task} is assigned for {}, to accept{by}",
                    amount(award.payment.0)
                );
                self.say(detail, &name, text);
                if self.is_on_its_way(detail, &name, &row, Step::Accept)? {
                    return Ok(None);
                }
                Ok(Some(due(
                    Step::Accept,
                    Action::Accept(named),
                    format!("{task} accepted"),
                )))
            }
            AwardState::Accepted => {
                if self.is_on_its_way(detail, &name, &row, Step::Deliver)? {
                    return Ok(None);
                }
                let dir = self.directory(&auction, &name);
                let recorded = job::recorded(&dir).unwrap_or_else(|e| {
                    self.say(
                        detail,
                        &name,
                        format!("{task}: {}/output: {e}", dir.display()),
                    );
                    None
                });
                if let Some((result, bytes)) = recorded {
                    let what = format!(
                        "{task} delivered: {bytes} bytes, SHA-256 {result}, in {}/output",
                        dir.display()
                    );
                    let action = Action::Deliver {
                        award: named,
                        result,
                    };
                    return Ok(Some(due(Step::Deliver, action, what)));
                }
                self.work(detail, award, &task, &row)?;
                Ok(None)
            }
            state => {
                self.say(detail, &name, format!("{task} is {}", words::award(&state)));
                Ok(None)
            }
        }
    }

    /// Whether this step was sent and may still come into a block, or may not be tried now.
    fn is_on_its_way(
        &mut self,
        detail: &AuctionDetail,
        name: &str,
        row: &Row,
        step: Step,
    ) -> Result<bool, Trouble> {
        let auction = detail.summary.auction;
        if !self.may_try(&auction, name) {
            return Ok(true);
        }
        let Some((_, sent)) = row.sent.filter(|(of, _)| *of == step) else {
            return Ok(false);
        };
        match self.client().transaction(&sent)? {
            // In a block newer than what was read of the auction.
            TxStatus::Committed { .. } | TxStatus::Pending => Ok(true),
            TxStatus::Unknown => Ok(false),
            TxStatus::Refused { error } => {
                let failure = crate::agent::client::refusal(error);
                self.say(detail, &format!("{name} refused"), said(&failure));
                self.wait(&auction, name, RETRY);
                let forget = |page: &mut super::journal::Page| {
                    if let Some(row) = page.awards.get_mut(name) {
                        row.sent = None;
                    }
                };
                self.journal
                    .edit(&auction, forget)
                    .map_err(Trouble::Final)?;
                Ok(true)
            }
        }
    }

    /// Signs what is due, notes it and submits it, as much as may wait for one block.
    pub(super) fn send(&mut self, due: Vec<Due>) -> Result<(), Trouble> {
        if due.is_empty() {
            return Ok(());
        }
        let first = self.client().account(&self.own)?.next_sequence;
        self.busy = due.len() > MAX_WAITING;
        for (it, sequence) in due.into_iter().take(MAX_WAITING).zip(first..) {
            let signed = SignedTx::new(&self.actor.chain, &self.actor.key, sequence, it.action);
            let transaction = Transaction::Signed(Box::new(signed));
            let sent = Some((it.step, transaction.hash()));
            let (auction, award) = (it.auction, it.award);
            let note = |page: &mut super::journal::Page| {
                page.awards.entry(award.clone()).or_default().sent = sent;
            };
            self.journal.edit(&auction, note).map_err(Trouble::Final)?;
            match self.client().submit(&transaction) {
                Ok(_) => tracing::info!("auction {}: {}", auction.short(), it.what),
                Err(failure) if failure.is_code("unreachable") => return Err(failure.into()),
                Err(failure) => {
                    tracing::warn!("auction {}: {}", auction.short(), said(&failure));
                    // Its sequence number is free; the others are signed anew in the next look, this one later.
                    let forget = |page: &mut super::journal::Page| {
                        page.awards.entry(award.clone()).or_default().sent = None;
                    };
                    self.journal
                        .edit(&auction, forget)
                        .map_err(Trouble::Final)?;
                    self.wait(&auction, &award, RETRY);
                    self.busy = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Starts the command of an accepted assignment unless it runs or must not.
    fn work(
        &mut self,
        detail: &AuctionDetail,
        award: &Award,
        task: &str,
        row: &Row,
    ) -> Result<(), Trouble> {
        let auction = detail.summary.auction;
        let name = name_of(award);
        let key = (auction, name.clone());
        let Some(command) = self.options.command.clone() else {
            let next = format!(
                "tender deliver {} --task {} --result FILE",
                auction.short(),
                award.task
            );
            self.say(
                detail,
                &name,
                format!("{task} is accepted; deliver it with `{next}`"),
            );
            return Ok(());
        };
        if self.running.contains_key(&key) {
            return Ok(());
        }
        if row.failures >= MAX_RUNS {
            let text = format!(
                "{task}: the command failed {} times and is left; put it right and start the agent with --retry, or deliver by hand with `tender deliver {} --task {} --result FILE`",
                row.failures,
                auction.short(),
                award.task
            );
            self.say(detail, &name, text);
            return Ok(());
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        if detail.spec.lease_end.0 <= now.as_secs() {
            self.say(detail, &name, format!("{task}: the lease is over"));
            return Ok(());
        }
        if self.running.len() >= self.options.jobs {
            self.say(
                detail,
                &name,
                format!("{task} waits for another command to end"),
            );
            return Ok(());
        }
        let order = self.order(detail, award, command)?;
        let (events, ended_key) = (self.events.clone(), key.clone());
        let done = move |ended| {
            let (auction, award) = ended_key;
            let _ = events.send(Event::Ended {
                auction,
                award,
                ended,
            });
        };
        match Job::start(order, done) {
            Ok(job) => {
                self.running.insert(key, job);
                let run = row.failures.saturating_add(1);
                self.say(
                    detail,
                    &name,
                    format!("{task}: the command runs ({run} of {MAX_RUNS})"),
                );
            }
            Err(e) => {
                self.say(
                    detail,
                    &name,
                    format!("{task}: no thread for the command: {e}"),
                );
                self.wait(&auction, &name, RETRY);
            }
        }
        Ok(())
    }

    fn order(
        &self,
        detail: &AuctionDetail,
        award: &Award,
        command: String,
    ) -> Result<Order, Trouble> {
        let auction = detail.summary.auction;
        let wanted = Wanted {
            task: Some(award.task),
            bidder: Some(self.own),
            bid: Some(award.bid),
        };
        let certificate = self.client().certificate(&auction, &wanted)?.to_json();
        let spec = &detail.spec;
        let task = task_of(spec, award.task);
        let class = task.and_then(|task| spec.classes.get(usize::from(task.class)));
        let environment = vec![
            ("TENDER_HOME", self.home.display().to_string()),
            ("TENDER_API", self.client().url().to_owned()),
            ("TENDER_AUCTION", auction.to_string()),
            ("TENDER_TASK", plain(&words::task_name(spec, award.task))),
            ("TENDER_TASK_NUMBER", award.task.to_string()),
            (
                "TENDER_TASK_SPEC",
                task.map_or_else(String::new, |t| t.spec.to_string()),
            ),
            (
                "TENDER_CLASS",
                class.map_or_else(String::new, |c| plain(&c.name)),
            ),
            ("TENDER_BID", award.bid.to_string()),
            ("TENDER_ASSET", award.asset.to_string()),
            ("TENDER_PAYMENT", award.payment.0.to_string()),
            ("TENDER_LEASE_END", spec.lease_end.0.to_string()),
        ];
        Ok(Order {
            dir: self.directory(&auction, &name_of(award)),
            command,
            certificate,
            environment,
            until: spec.lease_end,
        })
    }

    fn directory(&self, auction: &AuctionId, award: &str) -> PathBuf {
        let jobs = self.home.join(DIRECTORY).join("jobs");
        jobs.join(auction.to_string()).join(award)
    }

    /// Takes note that a command has ended.
    pub(super) fn command_ended(
        &mut self,
        auction: &AuctionId,
        award: String,
        ended: Ended,
    ) -> Result<(), crate::agent::error::Failure> {
        self.busy = true;
        if let Some(job) = self.running.remove(&(*auction, award.clone())) {
            job.join();
        }
        let (short, task) = (auction.short(), award.split('-').next().unwrap_or_default());
        match ended {
            Ended::Recorded { bytes } => {
                tracing::info!("auction {short}: task {task}: the command printed {bytes} bytes");
            }
            Ended::Stopped => {
                tracing::info!("auction {short}: task {task}: the command was stopped")
            }
            Ended::Failed(why) => {
                tracing::warn!("auction {short}: task {task}: the command failed: {why}");
                let mut failures = 0;
                self.journal.edit(auction, |page| {
                    let row = page.awards.entry(award.clone()).or_default();
                    row.failures = row.failures.saturating_add(1);
                    failures = row.failures;
                })?;
                // 2, 4, … seconds.
                let pause = 1u64.checked_shl(failures).unwrap_or(60).min(60);
                self.wait(auction, &award, Duration::from_secs(pause));
            }
        }
        Ok(())
    }

    /// Stops commands whose assignment does not wait for them any more.
    pub(super) fn stop_commands_of(&self, auction: &AuctionId, is_over: impl Fn(&String) -> bool) {
        for ((of, award), job) in &self.running {
            if of == auction && is_over(award) {
                job.stop();
            }
        }
    }

    /// Stops all commands, and waits until they have ended.
    pub(super) fn stop_commands(&mut self, woken: &Receiver<Event>) {
        if !self.running.is_empty() {
            tracing::info!(
                "stopping {} commands; they are run again when the agent is started again",
                self.running.len()
            );
        }
        self.running.values().for_each(Job::stop);
        for (_, job) in std::mem::take(&mut self.running) {
            job.join();
        }
        // Outputs recorded meanwhile are delivered when the agent is started again; failures count.
        while let Ok(event) = woken.try_recv() {
            if let Event::Ended {
                auction,
                award,
                ended,
            } = event
                && let Err(failure) = self.command_ended(&auction, award, ended)
            {
                tracing::warn!("{}", said(&failure));
            }
        }
    }

    /// Says once how the own entries of an auction ended.
    pub(super) fn tell_outcomes(&mut self, detail: &AuctionDetail) -> Result<(), Trouble> {
        let own = self.own;
        let (mut won, mut lost) = (Vec::new(), 0usize);
        let Some(names) = self.names.clone() else {
            return Ok(());
        };
        let reader = Reader {
            names: &names,
            auction: detail,
            call: &words::by_key,
        };
        let mut out = Vec::new();
        for record in detail
            .outcomes
            .iter()
            .filter(|it| bidder_of(it) == Some(own))
        {
            match record {
                OutcomeRecord::Entry(entry) => match entry.outcome {
                    EntryOutcome::Won { payment } => {
                        let task = plain(&words::task_name(&detail.spec, entry.task));
                        won.push(format!("{task} for {}", amount(payment.0)));
                    }
                    _ => lost = lost.saturating_add(1),
                },
                OutcomeRecord::Bid(bid) => {
                    out.push(format!(
                        "bid {} is out: {}",
                        bid.bid.short(),
                        reader.bid(bid)
                    ));
                }
                _ => {}
            }
        }
        for text in out {
            self.say(detail, &text.clone(), text);
        }
        let text = match (won.is_empty(), lost) {
            (true, 0) => return Ok(()),
            (true, _) => format!("won nothing, lost {lost} entries"),
            (false, _) => format!("won {}; lost {lost} entries", won.join(", ")),
        };
        let hint = format!(
            "`tender explain {} {}`",
            detail.summary.auction.short(),
            own.short()
        );
        self.say(detail, "outcomes", format!("{text} ({hint} says why)"));
        Ok(())
    }

    /// Says how the auction and the own assignments ended.
    pub(super) fn tell_endings(&mut self, detail: &AuctionDetail) {
        let own = self.own;
        for award in detail.awards.iter().filter(|it| it.bidder == own) {
            let task = plain(&words::task_name(&detail.spec, award.task));
            let text = format!("{task} is {}", words::award(&award.state));
            self.say(detail, &name_of(award), text);
        }
        let text = if detail.summary.phase == Phase::Void {
            "is void"
        } else {
            "has ended"
        };
        self.say(detail, "end", text.into());
    }
}

fn bidder_of(record: &OutcomeRecord) -> Option<tender_wire::PublicKey> {
    match record {
        OutcomeRecord::Entry(it) => Some(it.bidder),
        OutcomeRecord::Bid(it) => Some(it.bidder),
        OutcomeRecord::Award(it) => Some(it.bidder),
        OutcomeRecord::Auction(_) | OutcomeRecord::Unit(_) => None,
    }
}
