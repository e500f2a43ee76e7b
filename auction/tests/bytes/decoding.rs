//! Every damage to every kind, at the decoder.

use crate::registry::{Kind, kinds};
use allocation_counter::measure;
use std::{collections::BTreeSet, fs, path::Path, sync::OnceLock};
use tender_wire::{CodecError, testing};

fn all() -> &'static [Kind] {
    static ALL: OnceLock<Vec<Kind>> = OnceLock::new();
    ALL.get_or_init(kinds)
}

/// Reads bytes of a kind. serde reserves up to 1 MiB ahead for each of the lists that stand inside one another, three deep; everything else is in
/// proportion to what has arrived.
fn read(kind: &Kind, bytes: &[u8], why: impl Fn() -> String) -> Result<Vec<u8>, CodecError> {
    let mut again = None;
    let used = measure(|| again = Some((kind.again)(bytes))).bytes_max;
    let room = (3 << 20) + (64 << 10) + kind.growth * bytes.len() as u64;
    let why = || format!("{:?}: {}: {used} bytes of {room}", kind.name, why());
    assert!(used <= room, "{}", why());
    again.unwrap()
}

/// B14, B15, B18: every truncation, every flipped bit, a byte more, a lying length anywhere. What is not refused is itself an encoding, bit by bit.
#[test]
fn a_damaged_encoding_is_refused_or_is_one_itself() {
    for kind in all() {
        for example in &kind.examples {
            assert_eq!(read(kind, example, String::new).as_ref(), Ok(example));
            let (mut turn, mut refused) = (0, 0);
            testing::each(example, |damage, bytes| {
                turn += 1;
                if turn % kind.stride != 0 {
                    return;
                }
                match read(kind, bytes, || damage.to_string()) {
                    Ok(again) => assert_eq!(again, bytes, "{:?}: {damage}", kind.name),
                    Err(_) => refused += 1,
                }
                let may = matches!(
                    damage,
                    testing::Damage::Flip { .. } | testing::Damage::Length { .. }
                );
                assert!(
                    may || (kind.again)(bytes).is_err(),
                    "{:?}: {damage}",
                    kind.name
                );
            });
            assert!(
                refused * kind.stride >= example.len(),
                "{:?}: {refused}",
                kind.name
            );
        }
    }
}

/// B15: as large as its cap allows, with a list at each place where a length could stand, of items that cost their sender the least:
/// endless, or as many as one may claim.
#[test]
fn the_largest_bombs_take_a_few_times_their_size() {
    for kind in all().iter().filter(|kind| kind.stride == 1) {
        for example in &kind.examples {
            for (at, place) in example.windows(8).enumerate() {
                // A length of ours is small; no list begins elsewhere.
                if u64::from_le_bytes(place.try_into().unwrap()) > 4096 {
                    continue;
                }
                for claim in [1 << 40, 4096, 64] {
                    let mut bytes = example[..at].to_vec();
                    bytes.extend(u64::to_le_bytes(claim));
                    bytes.resize(kind.max_bytes, 0);
                    let why = || format!("{claim} items at byte {at}");
                    if let Ok(again) = read(kind, &bytes, why) {
                        assert_eq!(again, bytes);
                    }
                }
            }
        }
    }
}

/// B18: a type that is decoded and not damaged here cannot be forgotten.
#[test]
fn every_decoded_type_is_damaged_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for folder in ["consensus", "circuits", "auction"] {
        let mut places = vec![root.join(folder).join("src")];
        if folder == "consensus" {
            places.push(root.join("consensus/wire/src"));
        }
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
            let code = text.split("\nmod tests {").next().unwrap();
            for line in code.lines() {
                let rest = line.trim().strip_prefix("impl Wire for ");
                found.extend(rest.map(|rest| (folder, rest.trim_end_matches(" {").to_owned())));
            }
            let others = code.matches("Wire for").count() - code.matches("impl Wire for ").count();
            assert_eq!(others, 0, "{}: written in another way", place.display());
        }
    }
    let here = all()
        .iter()
        .map(|kind| (kind.name.0, kind.name.1.to_owned()));
    assert_eq!(here.collect::<BTreeSet<_>>(), found);
}
