//! Damage to what this crate alone writes and reads (THREATS B15, B18). The types of the lower crates: `auction/tests/bytes`.

use super::{
    archive::{Opened, Phases, Validators},
    status::StatusMessage,
};
use crate::api::types::Phase;
use std::{collections::BTreeSet, fs, path::Path};
use tender_auction::scenario::{class, spec, task};
use tender_consensus::sim::keys::test_validators;
use tender_wire::{
    AuctionId, BlockId, CodecError, Height, PublicKey, Wire, decode, encode, testing,
};

/// Name, bytes of one, and how it is read and written again.
type Kind = (
    &'static str,
    Vec<u8>,
    fn(&[u8]) -> Result<Vec<u8>, CodecError>,
);

fn kind<T: Wire>(name: &'static str, value: &T) -> Kind {
    (name, encode(value), |bytes| {
        decode::<T>(bytes).map(|value| encode(&value))
    })
}

fn kinds() -> [Kind; 4] {
    let opened = Opened {
        auction: AuctionId([1; 32]),
        opener: PublicKey([2; 32]),
        spec: spec(
            vec![class("small", &[("cpu_milli", 1)])],
            vec![task("render", 0, 10, 1)],
        ),
    };
    let status = StatusMessage {
        height: Height(3),
        tip: BlockId([4; 32]),
        beat: 5,
    };
    let validators = Validators(test_validators(&[1, 2]).as_slice().to_vec());
    let phases = Phases(vec![
        (AuctionId([1; 32]), Phase::Keys),
        (AuctionId([2; 32]), Phase::Finished),
    ]);
    [
        kind("Opened", &opened),
        kind("StatusMessage", &status),
        kind("Validators", &validators),
        kind("Phases", &phases),
    ]
}

#[test]
fn b18_a_damaged_record_or_status_is_refused_or_is_one_itself() {
    for (name, example, again) in kinds() {
        assert_eq!(again(&example).as_ref(), Ok(&example), "{name}");
        let mut refused = 0;
        testing::each(&example, |damage, bytes| match again(bytes) {
            Ok(read) => assert_eq!(read, bytes, "{name}: {damage}"),
            Err(_) => refused += 1,
        });
        assert!(refused >= example.len(), "{name}");
    }
}

#[test]
fn b18_every_type_decoded_here_is_damaged_here() {
    let mut found = BTreeSet::new();
    let mut places = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(
                fs::read_dir(place)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = fs::read_to_string(&place).unwrap();
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("impl Wire for "));
        found.extend(names.map(|name| name.trim_end_matches(" {").to_owned()));
    }
    let here: BTreeSet<_> = kinds()
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(here, found);
}
