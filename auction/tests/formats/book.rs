//! The vectors the types give, and how `fixtures/FORMATS.md` and `fixtures/vectors.json` must show them.
//!
//! In the document a vector stands in a fenced block `vector`, as `name = <hex>`, or `name = sha256 <hex>, <n> bytes` above [`FULL_BYTES`];
//! a byte string to be refused in a block `refuse`; a text in a block `json <name>`. Hex is broken into lines of [`LINE`] digits.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tender_wire::{CodecError, Wire, decode, encode, hex};

/// Longest vector the document shows in full.
const FULL_BYTES: usize = 800;
/// Hex digits of a line.
const LINE: usize = 96;

/// Every vector, in the order it was made.
#[derive(Default)]
pub struct Book {
    vectors: Vec<(String, Vec<u8>)>,
    refusals: Vec<(String, Vec<u8>)>,
    texts: Vec<(String, String)>,
}

impl Book {
    /// Adds bytes.
    pub fn bytes(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.vectors.push((name.into(), bytes.as_ref().to_vec()));
    }

    /// Adds a value's canonical encoding, and gives it back.
    pub fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Vec<u8> {
        let bytes = encode(value);
        self.bytes(name, &bytes);
        bytes
    }

    /// Adds a value that also travels by itself: what is written must read back.
    pub fn wire<T: Wire + PartialEq + std::fmt::Debug>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Vec<u8> {
        let bytes = self.value(name, value);
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value), "{name}");
        bytes
    }

    /// Adds a text shown as it is.
    pub fn text(&mut self, name: &str, text: String) {
        self.texts.push((name.into(), text));
    }

    /// Adds bytes the codec must refuse as a `T`, for the reason given.
    pub fn refuse<T: Wire + std::fmt::Debug>(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        why: fn(&CodecError) -> bool,
    ) {
        let error = decode::<T>(&bytes).expect_err(name);
        assert!(why(&error), "{name}: refused for another reason: {error}");
        self.refused(name, bytes);
    }

    /// Adds bytes the caller has seen refused.
    pub fn refused(&mut self, name: &str, bytes: Vec<u8>) {
        self.refusals.push((name.into(), bytes));
    }

    /// Everything in full, for programs.
    pub fn to_json(&self) -> Value {
        let full = |list: &[(String, Vec<u8>)]| {
            let pairs = list.iter().map(|(n, b)| (n.clone(), json!(hex::encode(b))));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        let texts = self.texts.iter().map(|(n, t)| (n.clone(), json!(t)));
        json!({
            "refused": full(&self.refusals),
            "texts": texts.collect::<Map<_, _>>(),
            "vectors": full(&self.vectors),
        })
    }

    /// The document's blocks as they must read: `(kind, name)` to text.
    fn expected(&self) -> BTreeMap<Slot, String> {
        let mut all = BTreeMap::new();
        let mut add = |kind: &str, name: &str, text| {
            let slot = (kind.to_owned(), name.to_owned());
            assert!(all.insert(slot, text).is_none(), "{kind} {name} twice");
        };
        for (name, bytes) in &self.vectors {
            add("vector", name, shown(name, bytes));
        }
        for (name, bytes) in &self.refusals {
            add("refuse", name, shown(name, bytes));
        }
        for (name, text) in &self.texts {
            add("json", name, text.clone());
        }
        all
    }

    /// What is wrong with the document, each with the text that would be right.
    pub fn faults(&self, document: &str) -> Vec<String> {
        let mut expected = self.expected();
        let mut faults = Vec::new();
        for part in parts(document) {
            let Part::Entry { slot, text } = part else {
                continue;
            };
            match expected.remove(&slot) {
                None => faults.push(format!("unknown or twice: {} {}", slot.0, slot.1)),
                Some(right) if right != text => {
                    faults.push(format!("wrong {}, should be:\n{right}", slot.0));
                }
                Some(_) => {}
            }
        }
        let missing = expected.iter();
        faults.extend(missing.map(|((kind, _), text)| format!("missing {kind}:\n{text}")));
        faults
    }

    /// The document with every known entry put right.
    pub fn blessed(&self, document: &str) -> String {
        let expected = self.expected();
        let mut out = String::new();
        for part in parts(document) {
            out += match &part {
                Part::Prose(line) => line,
                Part::Entry { slot, text } => expected.get(slot).unwrap_or(text),
            };
        }
        out
    }
}

type Slot = (String, String);

enum Part {
    Prose(String),
    Entry { slot: Slot, text: String },
}

/// A vector as the document shows it.
fn shown(name: &str, bytes: &[u8]) -> String {
    if bytes.len() > FULL_BYTES {
        let digest = hex::encode(Sha256::digest(bytes));
        return format!("{name} = sha256 {digest}, {} bytes\n", bytes.len());
    }
    let digits = hex::encode(bytes);
    if digits.len() <= LINE {
        return format!("{name} = {digits}\n");
    }
    let mut out = format!("{name} =\n");
    for line in digits.as_bytes().chunks(LINE) {
        out += &format!("  {}\n", String::from_utf8_lossy(line));
    }
    out
}

/// Takes a document apart so that its parts, joined, are the document again.
fn parts(document: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fence: Option<(String, String)> = None; // kind, name of a text
    for line in document.split_inclusive('\n') {
        let bare = line.trim_end();
        let prose = Part::Prose(line.to_owned());
        match (&fence, bare.strip_prefix("```")) {
            (Some(_), Some("")) => {
                fence = None;
                parts.push(prose);
            }
            (None, Some(info)) => {
                let (kind, name) = info.split_once(' ').unwrap_or((info, ""));
                fence = Some((kind.into(), name.into()));
                parts.push(prose);
                if kind == "json" && !name.is_empty() {
                    let slot = (kind.to_owned(), name.to_owned());
                    let text = String::new();
                    parts.push(Part::Entry { slot, text });
                }
            }
            (Some((kind, name)), _) if kind == "json" && !name.is_empty() => match parts.last_mut()
            {
                Some(Part::Entry { text, .. }) => *text += line,
                _ => unreachable!("the block began with its entry"),
            },
            (Some((kind, _)), _) if kind == "vector" || kind == "refuse" => {
                match (bare.split_once(" ="), parts.last_mut()) {
                    (Some((name, _)), _) => parts.push(Part::Entry {
                        slot: (kind.clone(), name.into()),
                        text: line.into(),
                    }),
                    (None, Some(Part::Entry { text, .. })) => *text += line,
                    (None, _) => panic!("a {kind} block begins without a name: {bare}"),
                }
            }
            _ => parts.push(prose),
        }
    }
    assert!(fence.is_none(), "a fenced block is not closed");
    parts
}

#[test]
fn parts_join_to_the_document_and_faults_are_found() {
    let mut book = Book::default();
    book.bytes("a", [1, 2]);
    book.bytes("long", [7; 100]);
    book.text("t", "{}\n".into());
    let blank = "# x\n```vector\na = 00\nlong =\n  00\n```\ntext\n```json t\n```\n```rust\nlet a = 1;\n```\n";
    assert_eq!(book.faults(blank).len(), 3);
    let good = book.blessed(blank);
    assert!(
        good.contains("\na = 0102\n")
            && good.contains("```json t\n{}\n```")
            && good.ends_with("let a = 1;\n```\n")
    );
    assert_eq!(book.faults(&good), Vec::<String>::new());
    assert_eq!(book.blessed(&good), good);
    let more = format!("{good}```vector\nb = 00\n```\n");
    assert_eq!(book.faults(&more).len(), 1);
    assert_eq!(book.faults(&good.replace("a = 0102\n", "")).len(), 1);
}
