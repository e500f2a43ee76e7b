//! `tender status`: the chain, the peer, and what can be required and claimed.

use super::{
    error::Failure,
    out,
    place::Place,
    table::{Table, schema_table},
};
use crate::api::types::Status;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Also list capability types with their fields and labels, and the issuers
    #[arg(long)]
    types: bool,
    /// Print data as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl StatusArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let client = self.place.client()?;
        let status = client.status()?;
        if self.json {
            if self.types {
                let (types, issuers) = (client.types()?, client.issuers()?);
                return out::json(
                    &serde_json::json!({ "status": status, "types": types, "issuers": issuers }),
                );
            }
            return out::json(&status);
        }
        print(&status, client.url());
        if self.types {
            for info in client.types()? {
                out::say(format_args!(
                    "\n{}  ({})",
                    info.record.label(),
                    info.type_id.short()
                ));
                out::say(schema_table(&info.record.schema).to_string().trim_end());
            }
            out::say("");
            let mut table = Table::new(["issuer", "index", "key"]);
            for it in client.issuers()?.iter().filter(|it| it.listed) {
                table.row([
                    it.issuer.name.clone(),
                    it.index.to_string(),
                    it.issuer.key.to_string(),
                ]);
            }
            out::say(table.to_string().trim_end());
        }
        Ok(())
    }
}

fn print(status: &Status, url: &str) {
    out::say(format_args!(
        "chain     {} ({})",
        status.chain_name,
        status.chain_id.short()
    ));
    out::say(format_args!(
        "height    {}, block {}",
        status.height,
        status.block_id.short()
    ));
    out::say(format_args!("state     {}", status.state_root.short()));
    let role = match (status.validator, status.voting) {
        (Some(key), true) => format!("validator {}", key.short()),
        (Some(key), false) => format!("validator key {}, not in the current set", key.short()),
        (None, _) => "follower".into(),
    };
    out::say(format_args!(
        "peer      {role}, {} peers, API {url}",
        status.peers
    ));
    if status.syncing {
        out::say(format_args!(
            "catching up to height {}",
            status.best_known_height
        ));
    }
    if let Some(reason) = &status.halted {
        out::say(format_args!("HALTED    {reason}"));
    }
}
