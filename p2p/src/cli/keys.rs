//! `tender keys`.

use super::{error::Failure, out, start::told, testnet::make_keys};
use crate::{
    config::{Config, Home, Role},
    keystore::{KeyFile, KeyKind},
};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tender_wire::PublicKey;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a home directory: a configuration, and keys for agent and network (for a validator also consensus and seal)
    New(NewArgs),
    /// Show the public keys of a home directory
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The home directory; made if it is not there
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// Also a validator's keys
    #[arg(long)]
    validator: bool,
    /// Print the public keys as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The home directory
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// Print the public keys as JSON
    #[arg(long)]
    json: bool,
}

/// The public keys of a home.
#[derive(Debug, Serialize)]
struct PublicKeys {
    agent: PublicKey,
    peer_id: String,
    validator: Option<PublicKey>,
}

impl KeysCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            KeysCommand::New(args) => {
                let role = if args.validator {
                    Role::Validator
                } else {
                    Role::Follower
                };
                let home = Home::at(&args.home);
                make_keys(&home, role)?;
                if !home.config().exists() {
                    let config = Config {
                        role,
                        ..Config::default()
                    };
                    config.create(&home.config()).map_err(told)?;
                }
                show(&args.home, args.json)?;
                if !args.json && !home.genesis().exists() {
                    out::say(format_args!(
                        "  next: put the chain's genesis file at {}, and addresses of its peers under `bootstrap` in {} (or give --bootstrap to `tender start`)",
                        home.genesis().display(),
                        home.config().display(),
                    ));
                }
                Ok(())
            }
            KeysCommand::Show(args) => show(&args.home, args.json),
        }
    }
}

fn show(home: &Path, json: bool) -> Result<(), Failure> {
    let home = Home::at(home);
    let load = |kind| KeyFile::load(&home.key(kind), kind).map_err(told);
    let keys = PublicKeys {
        agent: load(KeyKind::Agent)?.public(),
        peer_id: load(KeyKind::Network)?
            .peer_id()
            .map_or_else(String::new, |id| id.to_string()),
        validator: home
            .key(KeyKind::Consensus)
            .exists()
            .then(|| load(KeyKind::Consensus))
            .transpose()?
            .map(|k| k.public()),
    };
    if json {
        return out::json(&keys);
    }
    out::say(format_args!("agent      {}", keys.agent));
    out::say(format_args!("peer id    {}", keys.peer_id));
    if let Some(key) = keys.validator {
        out::say(format_args!("validator  {key}"));
    }
    Ok(())
}
