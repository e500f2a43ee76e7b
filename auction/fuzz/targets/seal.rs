//! Sealed parts and the bodies in them: what was not sealed so opens to nothing; what was, to itself; a body has one form.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::{collections::BTreeMap, sync::OnceLock};
use tender_auction::seal::{
    Associated, BidBody, CommitteeKey, MAX_BODY_BYTES, OpenError, Opener, Sealed, seal,
};
use tender_fuzz::{
    example::{Example, MAX_ENTRIES, THRESHOLD},
    registry::Vectors,
    seeds,
};
use tender_wire::{decode, encode};

struct Room {
    keys: Vec<CommitteeKey>,
    opener: Opener,
    associated: Associated,
    honest: Vec<u8>,
}

fn room() -> &'static Room {
    static ROOM: OnceLock<Room> = OnceLock::new();
    ROOM.get_or_init(|| {
        let example: Example = Vectors::read().example();
        let keys: Vec<_> = example.members.iter().map(|(_, key, ..)| *key).collect();
        let reveals: BTreeMap<_, _> = (1u8..)
            .zip(&example.members)
            .map(|(rank, (.., reveal))| (rank, *reveal))
            .collect();
        let content = &example.bids[0].content;
        Room {
            opener: Opener::new(&keys, THRESHOLD, &reveals).expect("honest keys"),
            keys,
            associated: content.associated(&example.chain),
            honest: encode(&content.sealed),
        }
    })
}

#[derive(Arbitrary)]
enum Try {
    Raw(Vec<u8>),
    Body(Vec<u8>, u8),
    Sealed {
        plain: Vec<u8>,
        seed: [u8; 32],
        at: u16,
        change: u8,
    },
}

fuzz_target!(
    init: {
        let room = room();
        seeds([[&[0, 0, 0, 0], &room.honest[..]].concat()]);
    },
    |data: &[u8]| {
        let room = room();
        if let Ok(sealed) = decode::<Sealed>(data)
            && data != room.honest
        {
            assert_eq!(room.opener.open(&room.associated, &sealed).map(|_| ()), Err(OpenError::Invalid));
        }
        let Ok(wanted) = Try::arbitrary_take_rest(Unstructured::new(data)) else { return };
        match wanted {
            Try::Raw(bytes) => {
                if let Ok(sealed) = decode::<Sealed>(&bytes)
                    && bytes != room.honest
                {
                    assert!(room.opener.open(&room.associated, &sealed).is_err());
                }
            }
            Try::Body(bytes, max) => {
                for max in [usize::from(MAX_ENTRIES), usize::from(max)] {
                    if let Ok(body) = BidBody::decode(&bytes, max) {
                        assert_eq!(*body.encode(max).expect("it was read"), bytes);
                    }
                }
            }
            Try::Sealed { plain, seed, at, change } => {
                let sealed = seal(&room.keys, THRESHOLD, &room.associated, &plain, seed);
                let Ok(sealed) = sealed else {
                    assert!(plain.len() > MAX_BODY_BYTES - 16);
                    return;
                };
                assert_eq!(*room.opener.open(&room.associated, &sealed).expect("honest"), plain);
                let mut bytes = encode(&sealed);
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= change;
                if change != 0
                    && let Ok(sealed) = decode::<Sealed>(&bytes)
                {
                    assert!(room.opener.open(&room.associated, &sealed).is_err());
                }
            }
        }
    }
);
