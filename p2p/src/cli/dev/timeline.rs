//! The live timeline: one line per event, with the seconds since the start; coloured on a terminal, plain elsewhere.

use crate::{
    api::types::{Event, Phase},
    cli::out,
};
use std::{fmt::Display, io::IsTerminal as _, time::Instant};
use tender_wire::Height;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What a line is about; also its first column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Peers and files.
    Network,
    /// Credentials and attestations.
    Attest,
    /// Auctions.
    Auction,
    /// Sealed bids.
    Bid,
    /// What a cheat tried.
    Cheat,
    /// Blocks.
    Block,
    /// Assignments after clearing.
    Award,
    /// Certificates.
    Certificate,
}

impl Topic {
    const fn label(self) -> &'static str {
        match self {
            Topic::Network => "network",
            Topic::Attest => "attest",
            Topic::Auction => "auction",
            Topic::Bid => "bid",
            Topic::Cheat => "cheat",
            Topic::Block => "block",
            Topic::Award => "award",
            Topic::Certificate => "proof",
        }
    }

    /// ANSI colour.
    const fn colour(self) -> u8 {
        match self {
            Topic::Network | Topic::Block => 90,
            Topic::Attest => 34,
            Topic::Auction => 35,
            Topic::Bid => 36,
            Topic::Cheat => 31,
            Topic::Award | Topic::Certificate => 32,
        }
    }
}

/// A clock and a style.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    started: Instant,
    colour: bool,
}

impl Timeline {
    /// Starts the clock.
    pub fn new() -> Self {
        Timeline {
            started: Instant::now(),
            colour: std::io::stdout().is_terminal(),
        }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Prints a line.
    pub fn say(&self, topic: Topic, line: impl Display) {
        let (at, label) = (self.seconds(), topic.label());
        if self.colour {
            let line = out::harmless(&line.to_string());
            out::say_raw(format_args!(
                "{at:7.2}s  \x1b[{}m{label:<8}\x1b[0m {line}",
                topic.colour()
            ));
        } else {
            out::say(format_args!("{at:7.2}s  {label:<8} {line}"));
        }
    }

    /// Prints a heading.
    pub fn heading(&self, text: &str) {
        if self.colour {
            out::say_raw(format_args!("\n\x1b[1m{}\x1b[0m", out::harmless(text)));
        } else {
            out::say(format_args!("\n{text}"));
        }
    }

    /// Prints a peer's blocks and phases until the peer stops. Empty blocks are summed up.
    pub async fn follow(self, mut events: Receiver<Event>) {
        let mut empty: Option<(Height, Height)> = None;
        loop {
            match events.recv().await {
                Ok(Event::Block {
                    height,
                    transactions: 0,
                    ..
                }) => {
                    empty = Some(empty.map_or((height, height), |(first, _)| (first, height)));
                }
                Ok(Event::Block {
                    height,
                    round,
                    summary,
                    block_id,
                    ..
                }) => {
                    self.flush(&mut empty);
                    let late = if round.0 > 0 {
                        format!(", in round {round}")
                    } else {
                        String::new()
                    };
                    self.say(
                        Topic::Block,
                        format_args!("{height} ({}): {summary}{late}", block_id.short()),
                    );
                }
                Ok(Event::Auction { phase, height, .. }) => {
                    self.flush(&mut empty);
                    self.say(
                        Topic::Auction,
                        format_args!("{} (block {height})", entered(phase)),
                    );
                }
                Ok(Event::Refused { .. } | Event::Gap { .. }) => {} // refusals are told by whoever tried
                Err(RecvError::Lagged(missed)) => {
                    self.say(Topic::Block, format_args!("… {missed} events not shown"))
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn flush(&self, empty: &mut Option<(Height, Height)>) {
        match empty.take() {
            Some((first, last)) if first < last => {
                self.say(Topic::Block, format_args!("{first} to {last}: empty"))
            }
            Some((only, _)) => self.say(Topic::Block, format_args!("{only}: empty")),
            None => {}
        }
    }
}

fn entered(phase: Phase) -> &'static str {
    match phase {
        Phase::Keys => "opened: the validators post one-time seal keys",
        Phase::Bidding => "seal keys are frozen: bidding begins",
        Phase::Reveal => "closed: the validators reveal their one-time secrets",
        Phase::Clearing => "enough secrets revealed: every bid opens in the next block",
        Phase::Cleared => "cleared",
        Phase::Void => "void",
        Phase::Finished => "every assignment has ended",
    }
}
