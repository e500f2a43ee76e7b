//! `tender keys`.

use super::{error::Failure, out, start::told, testnet::make_keys};
use crate::{
    config::{Config, Home, Role},
    keystore::{
        KeyFile, KeyKind,
        passphrase::{Passphrase, VARIABLE},
    },
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
    /// Protect the keys of a home directory with a passphrase
    #[command(
        after_help = "Every command that uses the keys then needs TENDER_PASSPHRASE_FILE=FILE in its environment. A passphrase is never given \
        itself, neither as an argument nor in a variable: others can see those. Who loses it loses the keys."
    )]
    Protect(ProtectArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The home directory; made if it is not there
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// Also a validator's keys
    #[arg(long)]
    validator: bool,
    /// Protect the keys with the passphrase in this file (mode 0600)
    #[arg(long, value_name = "FILE", env = VARIABLE)]
    passphrase_file: Option<PathBuf>,
    /// Print the public keys as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The home directory
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// Open protected keys with the passphrase in this file (mode 0600)
    #[arg(long, value_name = "FILE", env = VARIABLE)]
    passphrase_file: Option<PathBuf>,
    /// Print the public keys as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ProtectArgs {
    /// The home directory
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// The file with the passphrase (mode 0600)
    #[arg(long, value_name = "FILE", env = VARIABLE)]
    passphrase_file: PathBuf,
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
                let passphrase = passphrase(args.passphrase_file.as_deref())?;
                make_keys(&home, role, passphrase.as_ref())?;
                if !home.config().exists() {
                    let config = Config {
                        role,
                        ..Config::default()
                    };
                    config.create(&home.config()).map_err(told)?;
                }
                show(&args.home, passphrase.as_ref(), args.json)?;
                if !args.json && !home.genesis().exists() {
                    out::say(format_args!(
                        "  next: put the chain's genesis file at {}, and addresses of its peers under `bootstrap` in {} (or give --bootstrap to `tender start`)",
                        home.genesis().display(),
                        home.config().display(),
                    ));
                }
                Ok(())
            }
            KeysCommand::Show(args) => {
                let passphrase = passphrase(args.passphrase_file.as_deref())?;
                show(&args.home, passphrase.as_ref(), args.json)
            }
            KeysCommand::Protect(args) => protect(&args),
        }
    }
}

fn passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    file.map(Passphrase::from_file).transpose().map_err(told)
}

fn protect(args: &ProtectArgs) -> Result<(), Failure> {
    let home = Home::at(&args.home);
    let passphrase = Passphrase::from_file(&args.passphrase_file).map_err(told)?;
    let kinds = KeyKind::ALL.into_iter();
    let kinds: Vec<_> = kinds.filter(|kind| home.key(*kind).exists()).collect();
    if kinds.is_empty() {
        let what = format!("{} holds no keys", args.home.display());
        return Err(Failure::new(what, "make some with `tender keys new`"));
    }
    // All are read before any is written: a key under another passphrase changes nothing.
    let load = |kind: &KeyKind| KeyFile::load_with(&home.key(*kind), *kind, Some(&passphrase));
    let keys: Vec<_> = kinds
        .iter()
        .map(load)
        .collect::<Result<_, _>>()
        .map_err(told)?;
    for key in &keys {
        key.protect(&home.key(key.kind()), &passphrase)
            .map_err(told)?;
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let (home, file) = (args.home.display(), args.passphrase_file.display());
    out::say(format_args!(
        "protected the keys of {home}: {}",
        names.join(", ")
    ));
    out::say(format_args!(
        "  next: {VARIABLE}={file} in the environment of every command that uses them; `tender keys show --home {home} --passphrase-file {file}` tries it"
    ));
    Ok(())
}

fn show(home: &Path, passphrase: Option<&Passphrase>, json: bool) -> Result<(), Failure> {
    let home = Home::at(home);
    let load = |kind| KeyFile::load_with(&home.key(kind), kind, passphrase).map_err(told);
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
