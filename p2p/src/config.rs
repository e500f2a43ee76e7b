//! A peer's home directory and its `config.toml`.
//!
//! ```text
//!  <home>/                 0700
//!  ├── config.toml         what a person may change
//!  ├── genesis.json        the chain
//!  ├── addresses.json      where the running peer listens, written at start
//!  ├── api-token           0600, what the API wants to be shown before it signs or chooses peers, made at the first start
//!  ├── keys/<kind>.json    0600, see `keystore`
//!  └── data/               see `store`
//! ```
//!
//! Invariant: an unknown key, a wrong type or a dangerous setting is an error with its line, never ignored.

use crate::{
    files,
    keystore::KeyKind,
    logging::{self, LogFormat},
    store::wal::WAL_FILE,
};
use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// Port the API prefers.
const API_PORT: u16 = 4780;
/// Port peers prefer, TCP and UDP.
const PEER_PORT: u16 = 4770;
/// Listeners of events at once, unless the configuration says otherwise.
pub const LISTENERS: u16 = 256;
/// Most that it may say.
pub const MAX_LISTENERS: u16 = 4096;
/// A configuration is some kilobytes.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Why a home or its configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a home.
    #[error("{path} is missing: create a home with `tender testnet`, or point --home at one", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file does not parse. The reason shows the line.
    #[error("{path}: {reason}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column, the text there, and what was expected.
        reason: String,
    },
    /// A value parses but must not be used.
    #[error("{path}: {key} = {value}: {reason}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// What `config.toml` holds. Every part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What this peer does for the chain.
    pub role: Role,
    /// Peer-to-peer addresses.
    pub network: NetworkSection,
    /// The HTTP API.
    pub api: ApiSection,
    /// Logs.
    pub log: LogSection,
    /// Where things are, if not in the home.
    pub paths: PathsSection,
}

/// What a peer does for the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Follows the chain, verifies all of it, signs nothing.
    #[default]
    Follower,
    /// Also proposes, votes and opens sealed bids; needs a consensus and a seal key.
    Validator,
}

/// `[network]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSection {
    /// Multiaddresses to listen on; port 0 takes any free port.
    pub listen: Vec<Multiaddr>,
    /// Multiaddresses of peers to stay connected to, with or without `/p2p/<id>`.
    pub bootstrap: Vec<Multiaddr>,
}

impl Default for NetworkSection {
    fn default() -> Self {
        let ip = Multiaddr::empty().with(Ipv4Addr::LOCALHOST.into());
        let udp = libp2p::multiaddr::Protocol::Udp(PEER_PORT);
        NetworkSection {
            listen: vec![
                ip.clone().with(libp2p::multiaddr::Protocol::Tcp(PEER_PORT)),
                ip.with(udp).with(libp2p::multiaddr::Protocol::QuicV1),
            ],
            bootstrap: Vec::new(),
        }
    }
}

/// `[api]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSection {
    /// Address and port; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Must be true for `listen` to be anything but loopback: the API has no users and no encryption.
    pub allow_remote: bool,
    /// Listeners of events at once, each a connection and some 30 KiB of memory; at most [`MAX_LISTENERS`].
    pub listeners: u16,
}

impl Default for ApiSection {
    fn default() -> Self {
        ApiSection {
            listen: (Ipv4Addr::LOCALHOST, API_PORT).into(),
            allow_remote: false,
            listeners: LISTENERS,
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// Levels by target, for example `warn,tender_p2p=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection {
            filter: logging::DEFAULT_FILTER.to_owned(),
            format: LogFormat::default(),
        }
    }
}

/// `[paths]`: relative to the home, or absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathsSection {
    /// The data directory, if not `data`.
    pub data: Option<PathBuf>,
    /// The key directory, if not `keys`.
    pub keys: Option<PathBuf>,
    /// The genesis file, if not `genesis.json`.
    pub genesis: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, key and line.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = read_capped(path, MAX_CONFIG_BYTES)?;
        let config: Config = toml::from_str(&text).map_err(|e| ConfigError::Parse {
            path: path.into(),
            reason: e.to_string(),
        })?;
        config.check(path)?;
        Ok(config)
    }

    /// Writes the file anew; refuses to replace one.
    ///
    /// # Errors
    /// [`ConfigError::Io`].
    pub fn create(&self, path: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string_pretty(self).map_err(|e| ConfigError::Parse {
            path: path.into(),
            reason: e.to_string(),
        })?;
        files::create_new(path, text.as_bytes()).map_err(|e| io_error(path, "create", e))
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let refused = |key, value: String, reason: String| ConfigError::Refused {
            path: path.into(),
            key,
            value,
            reason,
        };
        if !self.api.listen.ip().is_loopback() && !self.api.allow_remote {
            return Err(refused(
                "api.listen",
                self.api.listen.to_string(),
                "the API would be open to other machines, without users or encryption; listen on 127.0.0.1, or set \
                 api.allow_remote = true if something in front of it protects it"
                    .into(),
            ));
        }
        if self.api.listeners > MAX_LISTENERS {
            return Err(refused(
                "api.listeners",
                self.api.listeners.to_string(),
                format!(
                    "at most {MAX_LISTENERS}: each is a connection that this process keeps open"
                ),
            ));
        }
        logging::check(&self.log.filter)
            .map_err(|e| refused("log.filter", self.log.filter.clone(), e.to_string()))
    }
}

/// Where the running peer listens: `addresses.json`, for people and programs that start it with port 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Its peer id.
    pub peer_id: PeerId,
    /// Its peer-to-peer addresses, with `/p2p/<id>`: what others put into `bootstrap`.
    pub listen: Vec<Multiaddr>,
    /// Base URL of its API, if it serves one.
    pub api: Option<String>,
}

/// A peer's home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    paths: PathsSection,
}

impl Home {
    /// A home at its default layout, not looked at yet.
    pub fn at(root: impl Into<PathBuf>) -> Home {
        Home {
            root: root.into(),
            paths: PathsSection::default(),
        }
    }

    /// Opens a home by its `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] if it is missing or not acceptable.
    pub fn open(root: impl Into<PathBuf>) -> Result<(Home, Config), ConfigError> {
        let mut home = Home::at(root);
        let config = Config::load(&home.config())?;
        home.paths = config.paths.clone();
        Ok((home, config))
    }

    /// Creates a home with a configuration. Keys and genesis are the caller's to write.
    ///
    /// # Errors
    /// [`ConfigError::Io`], also if there is a configuration already.
    pub fn create(root: impl Into<PathBuf>, config: &Config) -> Result<Home, ConfigError> {
        let mut home = Home::at(root);
        home.paths = config.paths.clone();
        for dir in [home.root.clone(), home.keys(), home.data()] {
            files::create_private_dir(&dir).map_err(|e| io_error(&dir, "create", e))?;
        }
        config.create(&home.config())?;
        Ok(home)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.place(&self.paths.genesis, "genesis.json")
    }

    /// The key directory.
    pub fn keys(&self) -> PathBuf {
        self.place(&self.paths.keys, "keys")
    }

    /// The key file of a kind.
    pub fn key(&self, kind: KeyKind) -> PathBuf {
        self.keys().join(format!("{kind}.json"))
    }

    /// The data directory, for [`crate::store::Store::open`].
    pub fn data(&self) -> PathBuf {
        self.place(&self.paths.data, "data")
    }

    /// The vote log.
    pub fn wal(&self) -> PathBuf {
        self.data().join(WAL_FILE)
    }

    /// What the API wants to be shown before it signs with the agent key or chooses the peer's peers.
    pub fn api_token(&self) -> PathBuf {
        self.root.join("api-token")
    }

    /// `addresses.json`.
    pub fn addresses(&self) -> PathBuf {
        self.root.join("addresses.json")
    }

    /// Writes `addresses.json`.
    ///
    /// # Errors
    /// [`ConfigError::Io`].
    pub fn write_addresses(&self, addresses: &Addresses) -> Result<(), ConfigError> {
        let path = self.addresses();
        let text = serde_json::to_vec_pretty(addresses);
        text.map_err(io::Error::from)
            .and_then(|text| files::replace(&path, &text))
            .map_err(|e| io_error(&path, "write", e))
    }

    /// Reads what a running peer wrote.
    ///
    /// # Errors
    /// [`ConfigError`] if it never ran or the file is damaged.
    pub fn read_addresses(&self) -> Result<Addresses, ConfigError> {
        let path = self.addresses();
        let text = read_capped(&path, MAX_CONFIG_BYTES)?;
        serde_json::from_str(&text).map_err(|e| ConfigError::Parse {
            path,
            reason: format!("{e}; start the peer to write it anew"),
        })
    }

    fn place(&self, set: &Option<PathBuf>, default: &str) -> PathBuf {
        // Joining an absolute path gives that path.
        match set {
            Some(path) => self.root.join(path),
            None => self.root.join(default),
        }
    }
}

fn read_capped(path: &Path, max: u64) -> Result<String, ConfigError> {
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(ConfigError::Missing { path: path.into() });
        }
        other => other.map_err(|e| io_error(path, "open", e))?,
    };
    let mut text = String::new();
    // Of what is read, not of what the system says of it: a device has no length and no end.
    io::Read::read_to_string(&mut io::Read::take(file, max.saturating_add(1)), &mut text)
        .map_err(|e| io_error(path, "read", e))?;
    if text.len() as u64 > max {
        return Err(ConfigError::Parse {
            path: path.into(),
            reason: format!("more than {max} bytes, no more are read"),
        });
    }
    Ok(text)
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> ConfigError {
    ConfigError::Io {
        path: path.into(),
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_configuration_is_so_long_and_no_longer() {
        let comment = |bytes: u64| "#".repeat(usize::try_from(bytes).unwrap());
        assert_eq!(
            parse(&comment(MAX_CONFIG_BYTES)).unwrap(),
            Config::default()
        );
        let refused = parse(&comment(MAX_CONFIG_BYTES + 1)).unwrap_err();
        assert!(refused.contains("more than 1048576 bytes"), "{refused}");
        let endless = Config::load(Path::new("/dev/zero"))
            .unwrap_err()
            .to_string();
        assert!(endless.contains("more than 1048576 bytes"), "{endless}");
    }

    #[test]
    fn an_empty_file_is_the_default_and_what_is_written_is_read() {
        assert_eq!(parse("").unwrap(), Config::default());
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            role: Role::Validator,
            network: NetworkSection {
                bootstrap: vec!["/ip4/10.0.0.1/udp/4770/quic-v1".parse().unwrap()],
                ..NetworkSection::default()
            },
            paths: PathsSection {
                data: Some("/var/lib/tender".into()),
                ..PathsSection::default()
            },
            ..Config::default()
        };
        let path = dir.path().join("config.toml");
        config.create(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap(), config);
        assert!(config.create(&path).is_err(), "never overwritten");
    }

    #[test]
    fn errors_name_the_file_the_line_and_the_key() {
        for (text, said) in [
            ("role = \"validator\"\n[network]\nlisen = []", "lisen"),
            ("role = \"king\"", "king"),
            ("\n\n[api]\nlisten = \"localhost\"", "line 4"),
            ("[network]\nlisten = [\"127.0.0.1:1\"]", "line 2"),
            ("[api]\nlisten = \"0.0.0.0:80\"", "api.allow_remote"),
            ("[log]\nfilter = \"x=loud\"", "log.filter"),
            ("[log]\nformat = \"xml\"", "line 2"),
            ("x = ", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{said} not in: {error}");
            assert!(error.contains("config.toml"), "{error}");
        }
        assert!(parse("[api]\nlisten = \"0.0.0.0:80\"\nallow_remote = true").is_ok());
    }

    #[test]
    fn a_configuration_allows_so_many_listeners_and_no_more() {
        let with = |listeners: u16| parse(&format!("[api]\nlisteners = {listeners}"));
        assert_eq!(with(MAX_LISTENERS).unwrap().api.listeners, MAX_LISTENERS);
        let refused = with(MAX_LISTENERS + 1).unwrap_err();
        assert!(refused.contains("api.listeners"), "{refused}");
    }

    #[test]
    fn a_home_has_every_path_and_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("peer");
        assert!(matches!(
            Home::open(&root).unwrap_err(),
            ConfigError::Missing { .. }
        ));
        let config = Config {
            paths: PathsSection {
                data: Some("elsewhere".into()),
                ..PathsSection::default()
            },
            ..Config::default()
        };
        let home = Home::create(&root, &config).unwrap();
        assert_eq!(home.wal(), root.join("elsewhere/votes.wal"));
        assert_eq!(home.key(KeyKind::Seal), root.join("keys/seal.json"));
        assert_eq!(Home::open(&root).unwrap(), (home.clone(), config.clone()));
        assert!(Home::create(&root, &config).is_err());

        assert!(matches!(
            home.read_addresses().unwrap_err(),
            ConfigError::Missing { .. }
        ));
        let addresses = Addresses {
            peer_id: PeerId::random(),
            listen: vec!["/ip4/127.0.0.1/tcp/1234".parse().unwrap()],
            api: Some("http://127.0.0.1:1".into()),
        };
        for _ in 0..2 {
            home.write_addresses(&addresses).unwrap();
            assert_eq!(home.read_addresses().unwrap(), addresses);
        }
    }
}
