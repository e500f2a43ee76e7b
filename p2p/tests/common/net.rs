//! A network of one validator, and people who use it by command line.

use super::{Peer, Ran, run, tender, until};
use serde_json::json;
use std::path::PathBuf;
use tender_p2p::{agent::client::Client, cli::place::Place};

/// A network of one validator and the files written on the way.
pub struct Net {
    pub dir: tempfile::TempDir,
    pub api: Client,
    pub peer: Peer,
}

impl Net {
    pub fn new() -> Net {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        tender([
            "testnet",
            "--validators",
            "1",
            "--followers",
            "0",
            "--agents",
            "ann,bob",
            "--block-interval-ms",
            "200",
            "--output",
            net.to_str().unwrap(),
        ])
        .ok();
        let home = net.join("validator-0");
        let peer = Peer::start(&home);
        until("the peer is up", || {
            Place::at(&home).client().and_then(|c| c.status()).is_ok()
        });
        let api = Place::at(&home).client().unwrap();
        Net { dir, api, peer }
    }

    pub fn home(&self, who: &str) -> PathBuf {
        self.dir.path().join("net").join(who)
    }

    pub fn write(&self, name: &str, value: &serde_json::Value) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    }

    /// Runs a command from somebody's home at the one peer.
    pub fn as_(&self, who: &str, line: &str) -> Ran {
        run(&format!(
            "{line} --home {} --api {}",
            self.home(who).display(),
            self.api.url()
        ))
    }

    pub fn key(&self, who: &str) -> String {
        let keys = run(&format!(
            "keys show --json --home {}",
            self.home(who).display()
        ))
        .json();
        keys["agent"].as_str().unwrap().to_owned()
    }

    pub fn attest(&self, who: &str, serial: &str, cpu: u32, flags: &str) {
        let machine = json!({ "serial": serial, "attributes": { "cpu_milli": cpu, "memory_mib": 65536, "gpu_model": "none", "region": "uk", "skills": "docker" } });
        let inventory = self.write("machine.json", &machine);
        let directory = self.home(who).join("credentials");
        std::fs::create_dir_all(&directory).unwrap();
        let output = directory.join(format!("{serial}.json"));
        let line = format!(
            "issuer attest {inventory} --holder {} --output {} {flags}",
            self.key(who),
            output.display()
        );
        assert!(
            self.as_("issuer-acme-labs", &line)
                .ok()
                .contains("attested")
        );
    }

    pub fn open(&self, title: &str, tasks: serde_json::Value) -> String {
        self.open_for(title, tasks, 12, 3600)
    }

    /// Opens an auction with these windows, in seconds, and waits until it takes bids.
    pub fn open_for(
        &self,
        title: &str,
        tasks: serde_json::Value,
        bidding: u64,
        lease: u64,
    ) -> String {
        let needs = json!({ "cpu_milli": 4000, "skills": ["docker"] });
        let file = self.write("auction.json", &json!({
            "title": title, "bidding_seconds": bidding, "lease_seconds": lease, "tasks": tasks,
            "classes": { "small": { "requires": [{ "type": "resources/v1", "needs": needs, "evidence": ["proof", "attestation"] }] } },
        }));
        let opened = self
            .as_("opener", &format!("auction open {file} --json"))
            .json();
        let id = opened["auction"].as_str().unwrap().to_owned();
        self.wait(&id, "bidding");
        id
    }

    pub fn wait(&self, id: &str, phase: &str) {
        until(phase, || {
            let listed = self.as_("opener", "auction list --json").json();
            listed
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["auction"] == id && it["phase"] == phase)
        });
    }
}
