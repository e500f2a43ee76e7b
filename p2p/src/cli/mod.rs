//! The command line: what people type, in the words they use.
//!
//! Every command is a client of one peer's HTTP API, or works on files alone (`keys`, `verify`, `audit`, `capability`, `testnet`); `start` and
//! `dev` run peers. Secrets never leave the process that holds the home directory: sealing, proving and signing happen here.
//!
//! Exit codes: 0 fine, 1 failure, 2 wrong usage, 3 a verification said no.

mod agent;
pub mod auction;
pub(crate) mod audit;
mod bench;
mod bid;
pub(crate) mod capability;
mod certificate;
mod credentials;
pub mod dev;
mod explain;
pub(crate) mod governance;
mod hints;
mod inventory;
mod issuer;
mod keys;
pub(crate) mod life;
mod limits;
pub(crate) mod out;
mod peers;
pub mod place;
pub mod start;
mod status;
pub mod table;
pub mod testnet;
pub mod verify;
pub mod words;

use crate::agent::{actor, bidding, client, error, issuing, machine, prover};
use clap::{Parser, Subcommand};
use error::Failure;
use std::process::ExitCode;

/// An auction-based allocator for agents that do not trust each other.
#[derive(Debug, Parser)]
#[command(
    name = "tender",
    version,
    max_term_width = 110,
    long_about = "An auction-based allocator for agents that do not trust each other.\n\n\
        Agents bid for tasks with sealed prices and with proofs of what their machines are attested for; validators agree on \
        the bids, clear the auction by one rule and commit an assignment that anyone can verify with the genesis file alone.",
    after_help = "Start here:\n  \
        tender dev --once                         a whole network and one auction, in one process\n  \
        tender testnet --validators 4 --output net  the same network as directories, one per peer\n  \
        tender start --home net/validator-0       run one of them\n\n\
        Exit codes: 0 fine, 1 failure, 2 wrong usage, 3 a verification said no."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole network in this process and play one auction on it, cheats included
    Dev(dev::DevArgs),
    /// Write the directories of a new network: genesis, validators, followers, issuers, agents
    Testnet(testnet::TestnetArgs),
    /// Run the peer of a home directory until it is interrupted
    Start(start::StartArgs),
    /// Make and show keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Show what this machine has, and write the inventory file an issuer attests
    Inventory(inventory::InventoryArgs),
    /// Show what this home's agent is attested for
    Credentials(credentials::CredentialsArgs),
    /// Attest machines, and revoke what was attested (issuers)
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Open auctions and look at them
    #[command(subcommand)]
    Auction(auction::AuctionCommand),
    /// Bid with a machine: seals the prices, proves the claim, signs, and waits for the block
    Bid(bid::BidArgs),
    /// Stand by: bid in every auction by a price file, accept what is won, run a command and deliver
    Agent(agent::AgentArgs),
    /// Take on an assignment (the winner, before the deadline)
    Accept(life::WinnerArgs),
    /// Hand over a result (the winner)
    Deliver(life::DeliverArgs),
    /// Accept a delivered result (the opener)
    Confirm(life::OpenerArgs),
    /// Refuse a delivered result (the opener)
    Reject(life::OpenerArgs),
    /// Change what the chain accepts: types, issuers, openers, validators (validators)
    #[command(subcommand)]
    Governance(governance::GovernanceCommand),
    /// Show the chain, the peer, and with --types what can be required and claimed
    Status(status::StatusArgs),
    /// Show the peers that the peer of this home is connected to; ban and unban them
    Peers(peers::PeersArgs),
    /// Say how each entry of a bidder ended, and why
    Explain(explain::ExplainArgs),
    /// Take away the certificate of a task's assignment or of a bidder's outcome
    Certificate(certificate::CertificateArgs),
    /// Check a certificate with the genesis file alone; exits 3 if it does not hold
    Verify(verify::VerifyArgs),
    /// Circuit developers: set up, prove, verify, inspect, export and measure capability types, without a chain
    #[command(subcommand)]
    Capability(capability::CapabilityCommand),
    /// Re-execute a whole history and compare everything; exits 3 at the first difference
    Audit(audit::AuditArgs),
    /// Show every limit of this program: what it bounds, and what becomes of one more
    Limits(limits::LimitsArgs),
    /// Measure on this machine: verifying, proving, whole auctions
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

impl Cli {
    fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Dev(args) => args.run(),
            Command::Testnet(args) => args.run(),
            Command::Start(args) => args.run(),
            Command::Keys(command) => command.run(),
            Command::Inventory(args) => args.run(),
            Command::Credentials(args) => args.run(),
            Command::Issuer(command) => command.run(),
            Command::Auction(command) => command.run(),
            Command::Bid(args) => args.run(),
            Command::Agent(args) => args.run(),
            Command::Accept(args) => args.run(life::Step::Accept),
            Command::Deliver(args) => args.run(),
            Command::Confirm(args) => args.run(life::Verdict::Confirm),
            Command::Reject(args) => args.run(life::Verdict::Reject),
            Command::Governance(command) => command.run(),
            Command::Status(args) => args.run(),
            Command::Peers(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Certificate(args) => args.run(),
            Command::Verify(args) => args.run(),
            Command::Capability(command) => command.run(),
            Command::Audit(args) => args.run(),
            Command::Limits(args) => args.run(),
            Command::Bench(command) => command.run(),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let line: Vec<_> = std::env::args().collect();
            let told = hints::complete(&failure.to_string(), &line);
            out::note(format_args!("error: {told}"));
            ExitCode::from(failure.exit)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_tree_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
