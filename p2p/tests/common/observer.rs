//! A peer that hears everything anybody signs, and remembers it.

use libp2p::{PeerId, identity::Keypair};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tender_consensus::{
    message::{Bundle, Message, Request, Response},
    vote::{Proposal, Vote, VoteKind},
    wal::WalRecord,
};
use tender_p2p::{
    config::Home,
    metrics::Metrics,
    network::{Network, NetworkConfig, NetworkEvent, NetworkHandle, Topic, Verdict},
};
use tender_wire::{BlockId, ChainId, Height, PublicKey, Round, decode, encode};
use tokio::sync::mpsc;

/// What a validator may say once: a proposal (`None`) or a vote.
pub type Slot = (PublicKey, Height, Round, Option<VoteKind>);
/// What it says there.
pub type Said = (Option<BlockId>, Option<Round>);

/// Everything that was ever signed or shown, as far as anybody can see.
#[derive(Default)]
pub struct Ledger {
    pub said: BTreeMap<Slot, Said>,
    /// The highest tip that each peer has shown to anybody.
    pub shown: BTreeMap<PeerId, Height>,
    contradictions: Vec<String>,
}

impl Ledger {
    fn vote(&mut self, chain: &ChainId, vote: &Vote) {
        vote.verify(chain).unwrap();
        let slot = (vote.validator, vote.height, vote.round, Some(vote.kind));
        self.hear(slot, (vote.block, None));
    }

    fn proposal(&mut self, chain: &ChainId, it: &Proposal) {
        it.verify(chain).unwrap();
        let slot = (it.validator, it.height, it.round, None);
        self.hear(slot, (Some(it.block), it.pol_round));
    }

    fn hear(&mut self, slot: Slot, said: Said) {
        let before = *self.said.entry(slot).or_insert(said);
        if before != said {
            self.contradictions
                .push(format!("{slot:?}: first {before:?}, then {said:?}"));
        }
    }

    fn bundle(&mut self, chain: &ChainId, bundle: &Bundle) {
        bundle.votes.iter().for_each(|it| self.vote(chain, it));
        let proposals = bundle.proposals.iter();
        proposals.for_each(|it| self.proposal(chain, it));
    }

    /// The highest tip anybody has shown.
    pub fn height(&self) -> Height {
        self.shown.values().copied().max().unwrap_or_default()
    }

    /// What a vote log says was signed: the height it is at, and what for.
    pub fn log(
        &mut self,
        chain: &ChainId,
        records: &[WalRecord],
    ) -> (Height, BTreeSet<(Round, Option<VoteKind>)>) {
        let (mut height, mut signed) = (Height(0), BTreeSet::new());
        for record in records {
            match record {
                WalRecord::Start { height: at, .. } => {
                    height = *at;
                    signed.clear();
                }
                WalRecord::SignedVote(vote) => {
                    self.vote(chain, vote);
                    signed.insert((vote.round, Some(vote.kind)));
                }
                WalRecord::SignedProposal(it) => {
                    self.proposal(chain, it);
                    signed.insert((it.round, None));
                }
                _ => {}
            }
        }
        (height, signed)
    }

    /// What a validator was heard to say, from a height on.
    pub fn said_by(&self, key: PublicKey, from: Height) -> impl Iterator<Item = &Slot> {
        let since = (key, from, Round(0), None);
        let said = self.said.range(since..).map(|(slot, _)| slot);
        said.take_while(move |(by, ..)| *by == key)
    }

    /// Nobody has said two things.
    #[track_caller]
    pub fn check(&self) {
        assert!(self.contradictions.is_empty(), "{:#?}", self.contradictions);
    }
}

/// A peer that listens to everybody, asks everybody, and says nothing.
pub struct Observer {
    ledger: Arc<Mutex<Ledger>>,
    _runtime: tokio::runtime::Runtime,
}

impl Observer {
    pub fn start(chain: ChainId, validators: &[PathBuf]) -> Observer {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listens = |home: &Path| Home::open(home).unwrap().1.network.listen[0].clone();
        let config = NetworkConfig {
            chain,
            listen: Vec::new(),
            bootstrap: validators.iter().map(|home| listens(home)).collect(),
            metrics: Metrics::new(),
        };
        let kept = Arc::clone(&ledger);
        runtime.spawn(async move {
            let identity = Keypair::generate_ed25519();
            let (network, events) = Network::start(config, &identity).await.unwrap();
            tokio::spawn(ask(network.clone(), chain, Arc::clone(&kept)));
            listen(network, chain, events, kept).await;
        });
        Observer {
            ledger,
            _runtime: runtime,
        }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(
    network: NetworkHandle,
    chain: ChainId,
    mut events: mpsc::Receiver<NetworkEvent>,
    ledger: Arc<Mutex<Ledger>>,
) {
    while let Some(event) = events.recv().await {
        match event {
            NetworkEvent::Gossip {
                id, topic, data, ..
            } => {
                if topic == Topic::Vote {
                    match decode::<Message>(&data).unwrap() {
                        Message::Vote(vote) => lock(&ledger).vote(&chain, &vote),
                        Message::Proposal(it) => lock(&ledger).proposal(&chain, &it.proposal),
                        Message::Evidence(it) => panic!("of whom? {it:?}"),
                    }
                }
                network.report(id, Verdict::Ignore).await;
            }
            // Asked, it knows nothing.
            NetworkEvent::Request { data, reply, .. } => {
                let answer = match decode::<Request>(&data).unwrap() {
                    Request::Block(_) => Response::Block(None),
                    Request::Transactions(_) => Response::Transactions(Vec::new()),
                    Request::Votes(_) => Response::Votes(Bundle::default()),
                    Request::Blocks(_) => Response::Blocks(Vec::new()),
                };
                let _ = reply.send(encode(&answer));
            }
            NetworkEvent::PeerConnected(_) | NetworkEvent::PeerDisconnected(_) => {}
        }
    }
}

/// Gossip loses messages; what a validator holds of the height in progress it tells whoever asks.
async fn ask(network: NetworkHandle, chain: ChainId, ledger: Arc<Mutex<Ledger>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for peer in network.peers() {
            let height = lock(&ledger).height().next();
            let question = encode(&Request::Votes(height));
            let Ok(answer) = network.request(peer.id, question).await else {
                continue;
            };
            let Ok(Response::Votes(bundle)) = decode(&answer) else {
                panic!("no answer to what was asked");
            };
            let mut ledger = lock(&ledger);
            ledger.bundle(&chain, &bundle);
            let shown = ledger.shown.entry(peer.id).or_default();
            *shown = bundle.tip.max(*shown);
        }
    }
}
