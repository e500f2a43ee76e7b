//! Tendermint consensus for Tender: peers that do not trust each other agree on one chain of blocks.
//!
//! ```text
//!             transactions            ┌───────────────────────── this crate ─────────────────────────┐
//!  mempool ──────────(TxPool)───────▶ │ engine ─▶ kernel        chain ──▶ Application (the market)   │
//!  network ◀─Send, Ask / Gossip─────▶ │   │      (one height)     ▲        propose, execute          │
//!  vote log ◀─Persist / Persisted───▶ │   └── admission, bodies, outbox, sync, replay, evidence      │
//!  block store ◀─Commit / Stored────▶ │                                                              │
//!  clock ────────now, Timeout, Tick─▶ └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`application`] | what must the thing we agree on be able to do? |
//! | [`kernel`] | Tendermint for one height, as a pure function; rules, deviations from the paper, why it is safe |
//! | [`engine`] | the node around it, without network, clock or disk; what the shell must do |
//! | [`chain`] | when does a block extend the chain? |
//! | [`block`], [`vote`], [`certificate`], [`evidence`], [`validators`], [`proposer`], [`tx`] | what is hashed and signed, byte by byte |
//! | [`accountability`] | who is to blame if two blocks of one height are certified? |
//! | [`message`] | what peers say to each other |
//! | [`wal`] | the vote log's frames, and when a log must not be signed on |
//! | [`params`], [`signer`] | what genesis fixes; where signatures are made |
//! | [`sim`] | a seeded network in one process, with everything going wrong; Byzantine validators; a toy application |
//!
//! # The promises, and where they are kept
//! * **Agreement** with less than a third of the power Byzantine: the lock rules of [`kernel`], one vote per slot for ever ([`wal`], the guard in
//!   [`engine`]), quorums counted exactly ([`validators`], [`certificate`]).
//! * **The proposer is not trusted**: a prevote, a lock and a decision need the whole body, executed ([`chain::ChainState::apply`]); a wrong root gets nil.
//! * **Progress** after the network calms down: growing timeouts, f+1 round skip, votes and bodies pulled when they were missed.
//! * **Nothing a stranger sends panics, grows without bound or stalls**: every list is capped, every message passes one door ([`engine`]),
//!   cheap checks first, one signature check.
//! * **Going on could break a promise → halt** ([`engine::HaltReason`]); **a stranger misbehaved → skip it and name it**
//!   ([`engine::Verdict::Reject`]).
//!
//! Pure: no sockets, clocks, files, threads, floats or hidden randomness; the same inputs give the same outputs. What a transaction
//! means, who is jailed for evidence, and how validators change is the application's business.
//!
//! # What a shell does
//! 1. Rebuild the tip: [`chain::ChainState::genesis`], then [`chain::ChainState::apply`] over the stored blocks; read the vote log with
//!    [`wal::scan`] and cut the file to `valid_len` (an error there: do not sign).
//! 2. [`engine::Engine::start`]; then for every message, timeout and tick [`engine::Engine::step`], carrying out the effects in order.
//! 3. `Persist`: append [`engine::WalBatch::bytes`] (or, if it [`engine::WalBatch::begins`] a height, write them to a new file and rename it over
//!    the old), fsync, then `Input::Persisted(batch)`. `Commit`: store block and certificate durably, then `Input::Stored(height)`.
//! 4. Serve peers' requests from [`engine::Engine::answer`], and committed ranges (at most [`message::MAX_RANGE_BLOCKS`] blocks and
//!    [`message::MAX_RESPONSE_BYTES`] bytes) from the store.
//!
//! Not here yet: timeouts that adapt to the network; their place is marked in [`engine`].

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod accountability;
pub mod application;
pub mod block;
pub mod certificate;
pub mod chain;
pub mod engine;
pub mod evidence;
pub mod kernel;
pub mod message;
pub mod params;
pub mod proposer;
pub mod signer;
pub mod sim;
pub mod tx;
pub mod validators;
pub mod vote;
pub mod wal;
