//! Every JSON file: the first byte picks it, the rest is read. What is read is the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use tender_fuzz::{
    seeds,
    texts::{File, files},
};

fn all() -> &'static [File] {
    static ALL: OnceLock<Vec<File>> = OnceLock::new();
    ALL.get_or_init(files)
}

fuzz_target!(
    init: {
        let of = |(n, file): (usize, &File)| {
            let pick = u8::try_from(n).expect("few kinds");
            [&[pick], file.text.as_bytes()].concat()
        };
        seeds(all().iter().enumerate().map(of));
    },
    |data: &[u8]| {
        let Some((pick, bytes)) = data.split_first() else { return };
        let file = &all()[usize::from(*pick) % all().len()];
        if let Ok(text) = (file.again)(bytes) {
            assert_eq!((file.again)(text.as_bytes()), Ok(text), "{}", file.name);
        }
    }
);
