//! Where a command acts: a home directory, and the peer that runs from it (or another).

use super::{
    actor::Actor,
    client::Client,
    error::Failure,
    start::{genesis_of, told},
};
use crate::{
    api::types::AuctionDetail,
    config::Home,
    documents::{
        FileError,
        credential::{self, CredentialFile},
        names::Names,
    },
    keystore::{KeyFile, KeyKind},
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{genesis::Genesis, outcome::OutcomeRecord, task::AuctionSpec};
use tender_circuits::Circuits;
use tender_wire::{AuctionId, PublicKey, SecretKey};
use zeroize::Zeroizing;

/// How long a peer that is behind or alone may take to be neither: one that has just started needs some seconds.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(100);

/// Directory of a home that holds what its agent is attested for.
pub const CREDENTIALS: &str = "credentials";

/// Home directory and peer of a command.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// Home directory: keys, genesis file, credentials, and the peer's addresses while it runs
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    pub home: Option<PathBuf>,
    /// Speak to the peer at this address instead of the one that runs from the home directory
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
}

impl Place {
    /// The home directory and its own peer.
    pub fn at(home: &Path) -> Self {
        Place {
            home: Some(home.to_path_buf()),
            api: None,
        }
    }

    /// The home directory.
    ///
    /// # Errors
    /// A usage [`Failure`] if none is named.
    pub fn home(&self) -> Result<PathBuf, Failure> {
        self.home.clone().ok_or_else(|| {
            Failure::usage(
                "this needs a home directory",
                "name it with --home DIR, or set TENDER_HOME",
            )
        })
    }

    /// A client of the peer.
    ///
    /// # Errors
    /// [`Failure`] if no peer is named or none has run from the home directory.
    pub fn client(&self) -> Result<Client, Failure> {
        if let Some(url) = &self.api {
            return Ok(Client::new(url));
        }
        let home = self.home.as_ref().ok_or_else(|| {
            Failure::usage(
                "this needs a peer to ask",
                "name its home with --home DIR, or its API with --api URL",
            )
        })?;
        let api = Home::at(home)
            .read_addresses()
            .ok()
            .and_then(|addresses| addresses.api);
        api.map(|url| Client::new(&url)).ok_or_else(|| {
            let what = format!("no peer runs from {}", home.display());
            let next = format!(
                "start it with `tender start --home {}`, or name another with --api URL",
                home.display()
            );
            Failure::new(what, next)
        })
    }

    /// What the home's peer wants to be shown before it obeys.
    ///
    /// # Errors
    /// [`Failure`] if no home is named, or no peer has run from it.
    pub fn api_token(&self) -> Result<Zeroizing<String>, Failure> {
        let path = Home::at(self.home()?).api_token();
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::new(
                format!("{}: {e}", path.display()),
                "the peer of this home makes it when it starts: `tender start`",
            )
        })?;
        Ok(Zeroizing::new(text))
    }

    /// The home's agent, at its peer, which is of its chain and can pass things on.
    ///
    /// # Errors
    /// [`Failure`] if key, genesis or peer are missing, or the peer is of no use.
    pub fn actor(&self) -> Result<Actor, Failure> {
        let actor = self.unasked_actor()?;
        self.check_peer(&actor)?;
        Ok(actor)
    }

    /// The home's agent, at a peer that may not run yet.
    ///
    /// # Errors
    /// [`Failure`] if key or genesis are missing, or no peer is named.
    pub fn unasked_actor(&self) -> Result<Actor, Failure> {
        self.signer(KeyKind::Agent)
    }

    /// The home's validator, at its peer: it signs approvals with its consensus key, under a tag of their own.
    ///
    /// # Errors
    /// [`Failure`] as for [`Self::actor`]; a home that is no validator's has no such key.
    pub fn validator(&self) -> Result<Actor, Failure> {
        let actor = self.signer(KeyKind::Consensus)?;
        self.check_peer(&actor)?;
        Ok(actor)
    }

    fn signer(&self, kind: KeyKind) -> Result<Actor, Failure> {
        let (genesis, key) = self.identity(kind)?;
        Ok(Actor {
            client: self.client()?,
            chain: genesis.chain_id(),
            genesis,
            key,
        })
    }

    /// The home's chain and one of its keys, without a peer.
    ///
    /// # Errors
    /// [`Failure`] if key or genesis are missing.
    pub fn identity(&self, kind: KeyKind) -> Result<(Genesis, SecretKey), Failure> {
        let home = self.home()?;
        let (home, _) = Home::open(&home).map_err(told)?;
        let genesis = genesis_of(&home)?;
        let path = home.key(kind);
        let key = KeyFile::load(&path, kind).map_err(told)?.signing_key();
        let key = key.ok_or_else(|| {
            Failure::new(
                format!("{} holds no {kind} key", path.display()),
                "restore it from a backup",
            )
        })?;
        Ok((genesis, key))
    }

    /// Refuses a peer that could pass nothing on: of another chain, without neighbours, or far behind. It is given [`CATCH_UP`].
    fn check_peer(&self, actor: &Actor) -> Result<(), Failure> {
        let url = actor.client.url();
        let started = Instant::now();
        loop {
            let status = actor.client.status()?;
            if status.chain_id != actor.chain {
                let genesis = self.home()?.join("genesis.json");
                let what = format!(
                    "the peer at {url} is on chain {} (\"{}\"), {} is chain {} (\"{}\")",
                    status.chain_id,
                    status.chain_name,
                    genesis.display(),
                    actor.chain,
                    actor.genesis.name
                );
                let next = format!(
                    "name a peer of this home's chain (`tender status --api {url}` shows that one's), or run its own: `tender start`"
                );
                return Err(Failure::new(what, next));
            }
            let alone = status.peers == 0 && !status.voting;
            if !alone && !status.syncing {
                return Ok(());
            }
            if started.elapsed() < CATCH_UP {
                sleep(POLL);
                continue;
            }
            let height = status.height;
            let (state, next) = if alone {
                (
                    "and is connected to no other peer".into(),
                    "; give it one that it can reach: `tender start --bootstrap ADDRESS`",
                )
            } else {
                let best = status.best_known_height;
                (
                    format!("and still catching up to {best}"),
                    "; try again when it has caught up",
                )
            };
            return Err(Failure::new(
                format!("the peer at {url} is at height {height} {state}"),
                format!("`tender status` shows how far it is{next}"),
            ));
        }
    }

    /// Types and issuers of the chain as the peer has it.
    ///
    /// # Errors
    /// [`Failure`] from the peer.
    pub fn names(&self, client: &Client) -> Result<Names, Failure> {
        let types = client
            .types()?
            .into_iter()
            .map(|info| info.record)
            .collect();
        let issuers = client
            .issuers()?
            .into_iter()
            .filter(|it| it.listed)
            .map(|it| (it.index, it.issuer))
            .collect();
        Ok(Names {
            types,
            issuers,
            circuits: Circuits::default(),
        })
    }

    /// What the home's agent is attested for.
    ///
    /// # Errors
    /// [`Failure`] naming the file that cannot be used.
    pub fn credentials(&self, actor: &Actor) -> Result<Vec<CredentialFile>, Failure> {
        Ok(credential::read_all(
            &self.home()?.join(CREDENTIALS),
            &actor.chain,
            &actor.key,
        )?)
    }

    /// [`Self::credentials`] without those that cannot be used; what is wrong with them comes beside.
    ///
    /// # Errors
    /// [`Failure`] if no home is named.
    pub fn usable_credentials(
        &self,
        actor: &Actor,
    ) -> Result<(Vec<CredentialFile>, Vec<FileError>), Failure> {
        Ok(credential::read_usable(
            &self.home()?.join(CREDENTIALS),
            &actor.chain,
            &actor.key,
        ))
    }

    /// An auction by its id or the start of it.
    ///
    /// # Errors
    /// [`Failure`] if none or several match.
    pub fn auction(&self, client: &Client, text: &str) -> Result<AuctionId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = client.auctions()?;
        let mut found = all
            .iter()
            .filter(|it| it.auction.to_string().starts_with(text));
        match (found.next(), found.next()) {
            (Some(only), None) if !text.is_empty() => Ok(only.auction),
            (Some(_), Some(_)) => Err(Failure::usage(
                format!("several auctions start with `{text}`"),
                "give more of the id",
            )),
            _ => Err(Failure::new(
                format!("no auction starts with `{text}`"),
                "see `tender auction list`",
            )),
        }
    }
}

/// A task by name or number.
///
/// # Errors
/// [`Failure`] listing the tasks.
pub fn task(spec: &AuctionSpec, text: &str) -> Result<u32, Failure> {
    let named = spec.tasks.iter().position(|task| task.name == text);
    let numbered = || text.parse::<usize>().ok().filter(|n| *n < spec.tasks.len());
    named
        .or_else(numbered)
        .and_then(|index| u32::try_from(index).ok())
        .ok_or_else(|| {
            let known: Vec<_> = spec.tasks.iter().map(|t| t.name.as_str()).collect();
            Failure::new(
                format!("the auction has no task `{text}`"),
                format!("use one of: {}", known.join(", ")),
            )
        })
}

/// A bidder of an auction by its key or the start of it.
///
/// # Errors
/// [`Failure`] if none or several match.
pub fn bidder(detail: &AuctionDetail, text: &str) -> Result<PublicKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let outcomes = detail.outcomes.iter().filter_map(|record| match record {
        OutcomeRecord::Entry(r) => Some(r.bidder),
        OutcomeRecord::Bid(r) => Some(r.bidder),
        _ => None,
    });
    let all: std::collections::BTreeSet<_> = outcomes
        .chain(detail.live_bids.iter().map(|b| b.bidder))
        .collect();
    let mut found = all.iter().filter(|key| key.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(only), None) if !text.is_empty() => Ok(*only),
        (Some(_), Some(_)) => Err(Failure::usage(
            format!("several bidders' keys start with `{text}`"),
            "give more of the key",
        )),
        _ => Err(Failure::new(
            format!("no bidder's key starts with `{text}`"),
            "see `tender auction show` for the bidders",
        )),
    }
}
