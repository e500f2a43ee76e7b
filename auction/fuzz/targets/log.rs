//! A vote log of any bytes, and any records behind good checksums: read, cut or refused; and a validator that starts from it starts or refuses, and
//! does not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};
use tender_consensus::{
    chain::ChainState,
    engine::{Engine, Input},
    sim::{
        Sim, SimConfig, SimPool,
        keys::{test_keys, test_validators},
        toy::Toy,
    },
    wal::{self, WalRecord},
};
use tender_fuzz::seeds;
use tender_wire::{TimeMs, decode, encode};

/// A height that got nowhere, with several rounds in its log.
fn honest() -> Vec<u8> {
    let mut sim = Sim::new(SimConfig::default());
    sim.partition(&[&[0, 1]]);
    sim.run_for(6_000);
    sim.vote_log(0).to_vec()
}

fn app() -> &'static Arc<Toy> {
    static APP: OnceLock<Arc<Toy>> = OnceLock::new();
    APP.get_or_init(|| {
        let config = SimConfig::default();
        Arc::new(Toy {
            validators: test_validators(&config.powers),
            params: config.params,
            endless: config.endless,
        })
    })
}

fn start(records: Vec<WalRecord>) {
    let chain = ChainState::genesis(&**app());
    let now = TimeMs(chain.time.0 + 10_000);
    let signer = Box::new(test_keys(4).swap_remove(0));
    let pool = Arc::new(SimPool::default());
    let started = Engine::start(
        Arc::clone(app()),
        chain,
        None,
        Some(signer),
        pool,
        records,
        now,
    );
    if let Ok((mut engine, _)) = started {
        engine.step(TimeMs(now.0 + 1), Input::Tick);
    }
}

fuzz_target!(
    init: {
        let log = honest();
        let records = wal::scan(&log).expect("it was written so").records;
        let mut behind = vec![1];
        for record in &records {
            let bytes = encode(record);
            behind.extend(u16::try_from(bytes.len()).expect("small").to_le_bytes());
            behind.extend(bytes);
        }
        seeds([[&[0], &log[..]].concat(), behind]);
    },
    |data: &[u8]| {
        let Some((mode, mut rest)) = data.split_first() else { return };
        if mode % 2 == 0 {
            if let Ok(scan) = wal::scan(rest) {
                let again: Vec<u8> = scan.records.iter().flat_map(wal::frame).collect();
                assert_eq!(again, rest[..scan.valid_len]);
                start(scan.records);
            }
            return;
        }
        let mut records = Vec::new();
        while let Some((len, tail)) = rest.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len)).min(tail.len());
            let (bytes, tail) = tail.split_at(len);
            records.extend(decode::<WalRecord>(bytes).ok());
            rest = tail;
        }
        start(records);
    }
);
