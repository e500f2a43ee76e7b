//! The counters and gauges of one peer, in OpenMetrics text.
//!
//! What becomes of bids on their way into the pool:
//!
//! | series | |
//! |---|---|
//! | `tender_engine{engine}` | 1 for the engine that verifies proofs |
//! | `tender_proof_wait_seconds` | from a transaction's arrival to the beginning of the batch its proofs are verified in |
//! | `tender_proof_batch` | proofs in each batch |
//! | `tender_proof_batch_seconds` | what verifying each batch took |
//! | `tender_proofs_total{verdict}` | proofs judged: `Ok`, or the rule that was broken ([`ProofVerdict`]) |
//! | `tender_judged_total{verdict}` | transactions judged: `admitted`, or the code they were refused with |
//! | `tender_admission_seconds` | from a transaction's arrival to its verdict |
//!
//! Invariant: no label holds text a stranger chose; every label is a closed enum or a word of this program, so the number of series is bounded.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::{sync::Arc, time::Duration};
use tender_circuits::verify::{Engine, VerifyError};

/// Label of [`Metrics::proofs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProofLabels {
    /// The verifier's verdict.
    pub verdict: ProofVerdict,
}

/// A verifier's verdict on a capability proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ProofVerdict {
    /// It verifies.
    Ok,
    /// The statement is not one of its key: the number of inputs, or their form.
    Inputs,
    /// The bytes are no points of the right groups.
    Malformed,
    /// The bytes are not the encoding of what they decode to.
    NotCanonical,
    /// A point is the identity.
    Identity,
    /// It does not prove the statement.
    Invalid,
}

impl ProofVerdict {
    /// Every verdict but [`ProofVerdict::Ok`].
    pub const BAD: [ProofVerdict; 5] = [
        ProofVerdict::Inputs,
        ProofVerdict::Malformed,
        ProofVerdict::NotCanonical,
        ProofVerdict::Identity,
        ProofVerdict::Invalid,
    ];

    /// The label of a verdict.
    pub fn of(verdict: &Result<(), VerifyError>) -> Self {
        match verdict {
            Ok(()) => ProofVerdict::Ok,
            Err(VerifyError::InputCount { .. } | VerifyError::InputNotCanonical { .. }) => {
                ProofVerdict::Inputs
            }
            Err(VerifyError::ProofMalformed) => ProofVerdict::Malformed,
            Err(VerifyError::ProofNotCanonical) => ProofVerdict::NotCanonical,
            Err(VerifyError::ProofIdentity) => ProofVerdict::Identity,
            Err(VerifyError::Invalid) => ProofVerdict::Invalid,
        }
    }
}

/// Label of [`Metrics::engine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EngineLabels {
    /// Its name.
    pub engine: &'static str,
}

/// Label of [`Metrics::judged`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JudgedLabels {
    /// `admitted`, or the rule that refused it: a code of this program.
    pub verdict: &'static str,
}

/// Labels of [`Metrics::gossip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GossipLabels {
    /// The topic the message came on.
    pub topic: TopicLabel,
    /// What became of it.
    pub outcome: GossipOutcome,
}

/// A gossip topic, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TopicLabel {
    /// Transactions.
    Tx,
    /// Votes and proposals.
    Vote,
    /// Evidence.
    Evidence,
    /// Status.
    Status,
}

/// What became of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum GossipOutcome {
    /// Valid: forwarded.
    Accept,
    /// Not wanted now: not forwarded, nobody's fault.
    Ignore,
    /// Invalid: not forwarded, its sender's fault.
    Reject,
    /// Dropped unread because the peer was too busy.
    Overload,
    /// Valid, but judged after gossipsub had forgotten it: not forwarded.
    Late,
    /// Sent by this peer.
    Published,
    /// Ours, given up: no peer appeared in time, or all their queues were full.
    Unsent,
}

/// Labels of [`Metrics::requests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Who asked.
    pub direction: Direction,
    /// How it ended.
    pub outcome: RequestOutcome,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Direction {
    /// A remote peer asked us.
    In,
    /// We asked.
    Out,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RequestOutcome {
    /// Answered.
    Answered,
    /// Refused: too many at once, or too busy.
    Refused,
    /// No answer: timeout, disconnect or dropped.
    Failed,
}

/// The metrics of one peer. Cheap to clone: clones count into the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Last committed height.
    pub height: Gauge,
    /// Current consensus round at the height being decided.
    pub round: Gauge,
    /// Connected peers of this chain.
    pub peers: Gauge,
    /// Peers shut out for a while since start: for lies, floods, or what gossip holds against them.
    pub shut_out: Counter,
    /// Transactions waiting.
    pub mempool_txs: Gauge,
    /// Bytes of transactions waiting.
    pub mempool_bytes: Gauge,
    /// Blocks committed since start.
    pub blocks: Counter,
    /// Transactions committed since start.
    pub txs: Counter,
    /// 1 for the engine that verifies proofs.
    pub engine: Family<EngineLabels, Gauge>,
    /// Proofs judged at admission, by verdict.
    pub proofs: Family<ProofLabels, Counter>,
    /// Seconds transactions with proofs waited for their batch.
    pub proof_wait_seconds: Histogram,
    /// Proofs judged together, for each batch.
    pub proof_batch: Histogram,
    /// Seconds each batch took.
    pub proof_batch_seconds: Histogram,
    /// Transactions judged at admission, by verdict.
    pub judged: Family<JudgedLabels, Counter>,
    /// Seconds from a transaction's arrival to its verdict.
    pub admission_seconds: Histogram,
    /// Gossip messages, by topic and outcome.
    pub gossip: Family<GossipLabels, Counter>,
    /// Requests, by direction and outcome.
    pub requests: Family<RequestLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All series, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tender");
        let mut gauge = |name, help| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let height = gauge("height", "Last committed height");
        let round = gauge("round", "Consensus round at the height being decided");
        let peers = gauge("peers", "Connected peers of this chain");
        let mempool_txs = gauge("mempool_txs", "Transactions waiting");
        let mempool_bytes = gauge("mempool_bytes", "Bytes of transactions waiting");

        let blocks = Counter::default();
        registry.register("blocks", "Blocks committed since start", blocks.clone());
        let shut_out = Counter::default();
        registry.register("shut_out", "Peers shut out for a while", shut_out.clone());
        let txs = Counter::default();
        registry.register("txs", "Transactions committed since start", txs.clone());
        let engine = Family::default();
        registry.register("engine", "The engine that verifies proofs", engine.clone());
        let proofs = Family::default();
        registry.register(
            "proofs",
            "Capability proofs judged at admission",
            proofs.clone(),
        );
        let mut histogram = |name, help, start, factor, buckets| {
            let histogram = Histogram::new(exponential_buckets(start, factor, buckets));
            registry.register(name, help, histogram.clone());
            histogram
        };
        let proof_wait_seconds = histogram(
            "proof_wait_seconds",
            "Seconds from a transaction's arrival to the batch of its proofs",
            0.000_25,
            2.0,
            15,
        );
        let proof_batch = histogram(
            "proof_batch",
            "Capability proofs judged together",
            1.0,
            2.0,
            10,
        );
        let proof_batch_seconds = histogram(
            "proof_batch_seconds",
            "Seconds a batch of proofs took",
            0.000_25,
            2.0,
            14,
        );
        let admission_seconds = histogram(
            "admission_seconds",
            "Seconds from a transaction's arrival to its verdict",
            0.001,
            4.0,
            8,
        );
        let judged = Family::default();
        registry.register("judged", "Transactions judged at admission", judged.clone());
        let gossip = Family::default();
        registry.register("gossip", "Gossip messages", gossip.clone());
        let requests = Family::default();
        registry.register("requests", "Requests between peers", requests.clone());

        Metrics {
            registry: Arc::new(registry),
            height,
            round,
            peers,
            shut_out,
            mempool_txs,
            mempool_bytes,
            blocks,
            txs,
            engine,
            proofs,
            proof_wait_seconds,
            proof_batch,
            proof_batch_seconds,
            judged,
            admission_seconds,
            gossip,
            requests,
        }
    }

    /// Says which engine verifies proofs.
    pub fn set_engine(&self, engine: Engine) {
        let engine = engine.name();
        self.engine.get_or_create(&EngineLabels { engine }).set(1);
    }

    /// Counts a batch of proofs.
    pub fn count_proofs(&self, verdicts: &[Result<(), VerifyError>], took: Duration) {
        for verdict in verdicts {
            let verdict = ProofVerdict::of(verdict);
            self.proofs.get_or_create(&ProofLabels { verdict }).inc();
        }
        let size = u32::try_from(verdicts.len()).unwrap_or(u32::MAX);
        self.proof_batch.observe(size.into());
        self.proof_batch_seconds.observe(took.as_secs_f64());
    }

    /// Counts a transaction judged, by the rule that refused it or `admitted`.
    pub fn count_judged(&self, verdict: &'static str, took: Duration) {
        self.judged.get_or_create(&JudgedLabels { verdict }).inc();
        self.admission_seconds.observe(took.as_secs_f64());
    }

    /// Counts one gossip message.
    pub fn count_gossip(&self, topic: TopicLabel, outcome: GossipOutcome) {
        self.gossip
            .get_or_create(&GossipLabels { topic, outcome })
            .inc();
    }

    /// Counts one request.
    pub fn count_request(&self, direction: Direction, outcome: RequestOutcome) {
        self.requests
            .get_or_create(&RequestLabels { direction, outcome })
            .inc();
    }

    /// Everything, in OpenMetrics text (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` cannot fail; a failing encoder would be a mistake in this file.
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("metrics did not encode");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_into_the_same_text() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        clone.height.set(7);
        clone.blocks.inc();
        let bad = Err(VerifyError::Invalid);
        let verdicts = [
            Ok(()),
            bad.clone(),
            Ok(()),
            bad,
            Err(VerifyError::ProofIdentity),
        ];
        clone.count_proofs(&verdicts, Duration::from_millis(3));
        clone.set_engine(Engine::Portable);
        clone.count_judged("invalid_proof", Duration::ZERO);
        clone.count_gossip(TopicLabel::Vote, GossipOutcome::Reject);
        clone.count_request(Direction::In, RequestOutcome::Refused);
        let text = metrics.encode();
        for line in [
            "tender_height 7",
            "tender_blocks_total 1",
            "tender_proofs_total{verdict=\"Ok\"} 2",
            "tender_proofs_total{verdict=\"Invalid\"} 2",
            "tender_proofs_total{verdict=\"Identity\"} 1",
            "tender_engine{engine=\"portable\"} 1",
            "tender_proof_batch_sum 5.0",
            "tender_proof_batch_seconds_count 1",
            "tender_judged_total{verdict=\"invalid_proof\"} 1",
            "tender_gossip_total{topic=\"Vote\",outcome=\"Reject\"} 1",
            "tender_requests_total{direction=\"In\",outcome=\"Refused\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in:\n{text}");
        }
    }
}
