//! Markets as files, for programs in other languages.
//!
//! All numbers are little-endian:
//!
//! ```text
//! "TENDERM1"                                    8 bytes
//! agents, tasks, entries                        u64 each
//! reserves, prices                              u64 by task, u64 by entry
//! quantities, slots                             u32 by task, u32 by agent
//! offsets                                       u32 by agent and one more: where its entries begin
//! tasks of the entries                          u32 by entry
//! ```

use super::{super::Failure, cell::Subject};
use crate::documents::{Access, write_bytes};
use std::path::{Path, PathBuf};
use tender_auction::clearing::families::Instance;

/// What such a file begins with.
const MAGIC: &[u8; 8] = b"TENDERM1";

/// Writes a market into a directory, under a name that says what it is.
///
/// # Errors
/// [`Failure`] naming the file that cannot be written.
pub(super) fn dump(subject: &Subject, directory: &Path, seed: u64) -> Result<PathBuf, Failure> {
    let family = subject.family.to_string().replace([':', '='], "_");
    let name = format!("{family}-{}-{seed}.market", subject.entries());
    let path = directory.join(name);
    write_bytes(&path, &encode(&subject.instance), Access::Public)?;
    Ok(path)
}

fn encode(instance: &Instance) -> Vec<u8> {
    let Instance {
        reserves,
        quantities,
        slots,
        offsets,
        entry_tasks,
        prices,
    } = instance;
    let mut out = MAGIC.to_vec();
    for count in [slots.len(), reserves.len(), prices.len()] {
        out.extend_from_slice(&(count as u64).to_le_bytes());
    }
    for numbers in [reserves, prices] {
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    for numbers in [quantities, slots, offsets, entry_tasks] {
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_auction::clearing::families::Family;

    #[test]
    fn a_file_is_as_long_as_its_description_says() {
        for family in Family::named() {
            let instance = family.instance(1000, 1).unwrap();
            let (agents, tasks) = (instance.slots.len(), instance.reserves.len());
            let (bytes, entries) = (encode(&instance), instance.prices.len());
            let expected = 32 + 8 * (tasks + entries) + 4 * (tasks + 2 * agents + 1 + entries);
            assert_eq!(bytes.len(), expected, "{family}");
            assert!(bytes.starts_with(b"TENDERM1"));
        }
    }
}
