//! The market as consensus sees it.

use super::{
    Market,
    event::BlockOutcome,
    execute::{ExecutionError, Run},
    refusal::Refusal,
    state::{Clock, MarketState},
    witness::Witnesses,
};
use crate::{
    outcome::{OutcomeRecord, outcome_root},
    transaction::Transaction,
};
use std::collections::BTreeMap;
use tender_consensus::{
    application::{Application, BlockContext, Executed, Genesis, Payload},
    tx::TxBytes,
};
use tender_wire::PublicKey;

/// The part of a block, in eighths, that seal keys and reveals leave to everything else: spam must not keep auctions from closing.
const SHARED_EIGHTHS: usize = 7;

impl Application for Market {
    type State = MarketState;
    type Outcome = BlockOutcome;
    type Error = ExecutionError;

    fn genesis(&self) -> Genesis<MarketState> {
        Genesis {
            chain: self.initial.chain(),
            time: self.genesis.time,
            params: self.genesis.consensus.clone(),
            validators: self.initial.validators().clone(),
            state: self.initial.clone(),
            state_root: self.initial.root(),
            needs_block: false,
        }
    }

    fn foresee(&self, parent: &MarketState, blocks: &[&[TxBytes]]) {
        self.verify_range(parent, blocks);
    }

    fn propose(
        &self,
        parent: &MarketState,
        context: &BlockContext,
        candidates: &[TxBytes],
    ) -> Payload {
        let mut run = Run::begin(self, parent, context);
        let most_bytes =
            (context.params.max_block_bytes as usize).saturating_sub(run.witness_room());
        let most_txs = context.params.max_block_txs as usize;
        // Rounded in favour of everything else, or a block of fewer than eight would have no room for it.
        let shared =
            |most: usize| most.saturating_sub((most / 8).saturating_mul(8 - SHARED_EIGHTHS));
        let mut transactions: Vec<TxBytes> = Vec::new();
        let mut bytes = 0usize;
        for (candidate, tx) in in_order(candidates) {
            let (most_bytes, most_txs) = match tx {
                Transaction::SealKey(_) | Transaction::SealReveal(_) => (most_bytes, most_txs),
                Transaction::Bid(_) if !run.takes_bids() => continue,
                _ => (shared(most_bytes), shared(most_txs)),
            };
            let with = bytes.saturating_add(candidate.bytes().len());
            if with > most_bytes || transactions.len() >= most_txs {
                continue;
            }
            if run.apply(&tx).is_ok() {
                transactions.push(candidate.clone());
                bytes = with;
            }
        }
        let mut witnesses = Witnesses::Solve(Vec::new());
        match run.end(&mut witnesses).and_then(|()| witnesses.finish()) {
            Ok(witnesses) => Payload {
                transactions,
                witnesses,
            },
            // Only a market without a unique optimum ends here, for every proposer alike (probability below 2^-288).
            Err(_) => Payload::default(),
        }
    }

    fn execute(
        &self,
        parent: &MarketState,
        context: &BlockContext,
        payload: &Payload,
    ) -> Result<Executed<MarketState, BlockOutcome>, ExecutionError> {
        let transactions: Vec<_> = (payload.transactions.iter())
            .map(|tx| Transaction::from_bytes(tx.bytes()))
            .collect();
        let at = Clock {
            height: context.height,
            time: context.time,
        };
        self.verify_ahead(parent, at, &transactions);
        let mut run = Run::begin(self, parent, context);
        for (index, tx) in transactions.into_iter().enumerate() {
            let tx = tx.map_err(|error| Refusal::Malformed { error });
            let applied = tx.and_then(|tx| run.apply(&tx));
            applied.map_err(|refusal| ExecutionError::Transaction { index, refusal })?;
            if run.has_too_many_bids() {
                return Err(ExecutionError::TooManyBids);
            }
        }
        let mut witnesses = Witnesses::Check(payload.witnesses.iter());
        run.end(&mut witnesses)?;
        witnesses.finish()?;
        Ok(report(run))
    }
}

fn report(run: Run<'_>) -> Executed<MarketState, BlockOutcome> {
    let records: Vec<OutcomeRecord> = run.records.into_values().collect();
    let state = run.state;
    Executed {
        state_root: state.root(),
        outcome_root: outcome_root(&records),
        next_validators: state.validators().as_slice().to_vec(),
        needs_block: state.needs_block(),
        outcome: BlockOutcome {
            records: records.into(),
            events: run.events.into(),
        },
        state,
    }
}

/// Candidates in the order they are tried: seal keys and reveals first, then the rest as they came, but the actions of one signer
/// by sequence number, whatever order they arrived in.
fn in_order(candidates: &[TxBytes]) -> Vec<(&TxBytes, Transaction)> {
    let decoded = candidates
        .iter()
        .filter_map(|c| Some((c, Transaction::from_bytes(c.bytes()).ok()?)));
    let (mut ordered, rest): (Vec<_>, Vec<_>) = decoded
        .partition(|(_, tx)| matches!(tx, Transaction::SealKey(_) | Transaction::SealReveal(_)));
    let mut numbered: BTreeMap<PublicKey, Vec<(u64, usize)>> = BTreeMap::new();
    for (place, (_, tx)) in rest.iter().enumerate() {
        if let Transaction::Signed(tx) = tx {
            numbered
                .entry(tx.signer)
                .or_default()
                .push((tx.sequence, place));
        }
    }
    // Each signer's actions keep the places they hold together, filled by sequence number.
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    for actions in numbered.values() {
        let mut sorted = actions.clone();
        sorted.sort_unstable();
        moved.extend(
            actions
                .iter()
                .zip(sorted)
                .map(|((_, place), (_, from))| (*place, from)),
        );
    }
    let mut rest: Vec<Option<_>> = rest.into_iter().map(Some).collect();
    for place in 0..rest.len() {
        let from = moved.get(&place).copied().unwrap_or(place);
        ordered.extend(rest.get_mut(from).and_then(Option::take));
    }
    ordered
}
