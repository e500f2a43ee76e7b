//! `tender peers`: whom the peer of this home talks to, and whom it must not.

use super::{error::Failure, out, place::Place, table::Table};
use clap::{Args, Subcommand};
use libp2p::PeerId;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct PeersArgs {
    #[command(subcommand)]
    command: Option<PeersCommand>,
    /// Print data as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Drop a peer and let it in no more, until it is unbanned or this peer starts anew
    Ban(OneArgs),
    /// Let a banned peer in again
    Unban(OneArgs),
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Its libp2p peer id, as `tender peers` shows it
    peer: PeerId,
    #[command(flatten)]
    place: Place,
}

impl PeersArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Some(PeersCommand::Ban(OneArgs { peer, place })) => {
                place.client()?.ban(&peer, &place.api_token()?)?;
                out::say(format_args!("banned {peer}"));
            }
            Some(PeersCommand::Unban(OneArgs { peer, place })) => {
                place.client()?.unban(&peer, &place.api_token()?)?;
                out::say(format_args!("unbanned {peer}"));
            }
            None => {
                let peers = self.place.client()?.peers(&self.place.api_token()?)?;
                if self.json {
                    return out::json(&peers);
                }
                let mut table = Table::new(["peer", "address", "dialled by", "runs"]);
                for it in peers {
                    let by = if it.outbound { "us" } else { "it" };
                    table.row([it.peer_id, it.address, by.into(), it.agent]);
                }
                if table.is_empty() {
                    out::say("no peer is connected");
                } else {
                    out::say(table.to_string().trim_end());
                }
            }
        }
        Ok(())
    }
}
