//! Damaged files: the JSON that people hand each other. Whatever is still read means what it says: written again it is read again as the same.

use crate::{
    registry::{Vectors, every},
    texts::{File, files},
};
use allocation_counter::measure;
use serde_json::Value;
use tender_auction::certificate::AssignmentCertificate;
use tender_wire::testing;

/// Reads a damaged file, in memory of a few times its size. What is read is the same when it is written and read again.
fn check(file: &File, bytes: &[u8], why: &dyn Fn() -> String) -> Result<String, String> {
    let mut read = None;
    let used = measure(|| read = Some((file.again)(bytes))).bytes_max;
    let room = (64 << 10) + 16 * bytes.len() as u64;
    assert!(used <= room, "{}: {}: {used} bytes", file.name, why());
    let read = read.unwrap();
    if let Ok(text) = &read {
        let again = (file.again)(text.as_bytes());
        assert_eq!(again.as_ref(), Ok(text), "{}: {}", file.name, why());
    }
    read
}

/// B18: every truncation and every flipped bit of every file.
#[test]
fn a_damaged_file_is_refused_or_means_what_it_says() {
    for file in files() {
        let text = file.text.as_bytes();
        assert!(check(&file, text, &String::new).is_ok(), "{}", file.name);
        for len in 0..text.trim_ascii_end().len() {
            let cut = check(&file, &text[..len], &|| format!("cut to {len}"));
            assert!(cut.is_err(), "{}: cut to {len}", file.name);
        }
        let stride = match file.name {
            "snarkjs key" => every(11), // points are checked for their subgroups
            _ => 1,
        };
        let (mut turn, mut refused) = (0, 0);
        testing::each_flip(text, |damage, bytes| {
            turn += 1;
            if turn % stride != 0 {
                return;
            }
            refused += usize::from(check(&file, bytes, &|| damage.to_string()).is_err());
        });
        assert!(refused * stride > text.len(), "{}: {refused}", file.name);
    }
}

/// D: no field unknown, none twice, no number but the integers that are meant, no nesting that runs a stack over.
#[test]
fn a_file_has_one_reading() {
    let mut numbers = 0;
    for file in files() {
        let whole: Value = serde_json::from_str(&file.text).unwrap();
        let refuse = |text: String| {
            let short: String = text.chars().take(80).collect();
            let read = check(&file, text.as_bytes(), &|| short.clone());
            assert!(read.is_err(), "{}: {short}", file.name);
            assert!(read.unwrap_err().len() < 400 + text.len());
        };
        let inside = file.text.trim().strip_prefix('{');
        for (name, value) in whole.as_object().into_iter().flatten() {
            refuse(format!("{{\"{name}\": {value}, {}", inside.unwrap()));
        }
        if let Some(inside) = inside {
            refuse(format!("{{\"one_more\": 1, {inside}"));
        }
        let mut at = 0;
        for (digits, _) in file.text.match_indices(|c: char| c.is_ascii_digit()) {
            let alone = file.text[..digits].ends_with([':', ' ', '[', ',']) && digits >= at;
            let len = file.text[digits..]
                .find(|c: char| !c.is_ascii_digit())
                .unwrap();
            if !alone || file.text[..digits].matches('"').count() % 2 == 1 {
                continue;
            }
            at = digits + len;
            numbers += 1;
            for other in [
                "-1",
                "1.0",
                "1e3",
                "18446744073709551616",
                "1e999",
                "null",
                "\"1\"",
                "[1]",
                "{}",
                "true",
            ] {
                refuse(format!(
                    "{}{other}{}",
                    &file.text[..digits],
                    &file.text[at..]
                ));
            }
        }
        for open in ["[", "{\"a\":", "[[{\"format\":"] {
            refuse(open.repeat(100_000));
        }
    }
    assert!(numbers > 50, "{numbers}");
}

/// B12, B14, B18: a certificate is good as it was written, and no other way.
#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    let vectors = Vectors::read();
    let example = vectors.example();
    for name in ["certificate", "certificate_set_change"] {
        let text = vectors.text(name);
        let verdict = |bytes: &[u8]| {
            let read = AssignmentCertificate::from_json(bytes)?;
            read.verify(&example.genesis).map(|_| ())
        };
        assert_eq!(verdict(text.as_bytes()), Ok(()));
        testing::each_flip(text.as_bytes(), |damage, bytes| {
            assert!(verdict(bytes).is_err(), "{name}: {damage}");
        });
    }
}
