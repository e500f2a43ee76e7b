//! Every decoded type: the first byte picks it, the rest is read. What is read is written again in the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use tender_fuzz::{
    registry::{Kind, kinds},
    seeds,
};

fn all() -> &'static [Kind] {
    static ALL: OnceLock<Vec<Kind>> = OnceLock::new();
    ALL.get_or_init(kinds)
}

fuzz_target!(
    init: {
        let of = |(n, kind): (usize, &'static Kind)| {
            let pick = u8::try_from(n).expect("few kinds");
            kind.examples.iter().map(move |bytes| [&[pick], &bytes[..]].concat())
        };
        seeds(all().iter().enumerate().flat_map(of));
    },
    |data: &[u8]| {
        let Some((pick, bytes)) = data.split_first() else { return };
        let kind = &all()[usize::from(*pick) % all().len()];
        if let Ok(again) = (kind.again)(bytes) {
            assert_eq!(again, bytes, "{:?}", kind.name);
        }
    }
);
