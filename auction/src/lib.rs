//! Sealed-bid auctions: which agent serves which task, at what price, decided the same way on every peer.
//!
//! ```text
//!               AuctionSpec                Bid (evidence in the open, prices sealed)
//!                    │                      │
//!                    ▼                      ▼                    seal keys, reveals
//!  Transaction ──▶ market: admission ──▶ execution ◀──────────────────┘
//!                                           │  close · open · judge · clear · pay
//!                     ledger ◀── capacity ──┤
//!                                           ▼
//!                                    OutcomeRecord ──▶ outcome tree in the block ──▶ AssignmentCertificate ──▶ audit
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`genesis`] | what does the chain start from? |
//! | [`task`], [`bid`], [`transaction`] | what can people and peers send? |
//! | [`market`] | does it apply, and what does a block bring about? The [`Application`] of consensus |
//! | [`ledger`] | whose machine is this, and how much of it is taken? |
//! | [`seal`] | how is a bid kept secret until the close, and opened without its bidder? |
//! | [`clearing`] | who wins, and what are they paid? |
//! | [`outcome`] | every way an entry, a task unit or an assignment can end |
//! | [`certificate`], [`checkpoint`], [`audit`] | how does a stranger check one outcome, or all of history? |
//! | [`scenario`] | a whole market in memory, for tests and examples |
//!
//! [`Application`]: tender_consensus::application::Application
//!
//! # Invariants
//!
//! - Everything that decides is a pure function of (state, block): integers, ordered collections, named bounds. No clock, no hidden
//!   randomness, no floats. Memories of verdicts and openings save time and change no result.
//! - Every refusal, outcome and error is one variant of a closed enum that carries the ids it is about.
//! - Foreign bytes enter through [`transaction::Transaction::from_bytes`] and the witness decoder alone: bounded and canonical.
//!
//! # Not here
//!
//! Moving money, running tasks, or knowing that hardware exists: evidence shows what issuers attested.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod audit;
pub mod bid;
pub mod certificate;
pub mod checkpoint;
pub mod clearing;
pub mod genesis;
pub mod ledger;
pub mod market;
pub mod outcome;
pub mod scenario;
pub mod seal;
pub mod task;
pub mod transaction;
