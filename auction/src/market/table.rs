//! A table of the state: shared between copies of the state until one of them edits it, and hashed at most once per edit.
//!
//! Invariant: [`Table::root`] is a function of the content alone. Bound: an edit copies one table's top level, once per
//! copy of the state; large rows sit behind `Arc`s or tables of their own.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};
use tender_wire::{Digest, Tag, hash_of};

/// What a table holds: something with a root.
pub trait Content {
    /// Digest of the content. By default a table is hashed whole, in its canonical encoding.
    fn digest(&self) -> Digest;
}

/// Hashes the listed types whole: they are small, or change rarely.
macro_rules! hashed_whole {
    ($($content:ty),* $(,)?) => { $(
        impl $crate::market::table::Content for $content {
            fn digest(&self) -> tender_wire::Digest { $crate::market::table::whole(self) }
        }
    )* };
}
pub(crate) use hashed_whole;

/// The digest of a value's canonical encoding.
pub fn whole<T: Serialize>(value: &T) -> Digest {
    hash_of(Tag::Table, value)
}

/// Copy-on-write content with its root.
#[derive(Debug, Default)]
pub struct Table<T>(Arc<Row<T>>);

#[derive(Debug, Default)]
struct Row<T> {
    content: T,
    root: OnceLock<Digest>,
}

impl<T: Clone> Clone for Row<T> {
    fn clone(&self) -> Self {
        Row {
            content: self.content.clone(),
            root: OnceLock::new(), // a copy is made to be edited
        }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Table(Arc::clone(&self.0))
    }
}

impl<T> Table<T> {
    /// A table of this content.
    pub fn new(content: T) -> Self {
        Table(Arc::new(Row {
            content,
            root: OnceLock::new(),
        }))
    }
}

impl<T: Clone> Table<T> {
    /// The content, to be changed; forgets the root.
    pub fn edit(&mut self) -> &mut T {
        let row = Arc::make_mut(&mut self.0);
        row.root = OnceLock::new();
        &mut row.content
    }
}

impl<T: Content> Table<T> {
    /// The content's digest.
    pub fn root(&self) -> Digest {
        *self.0.root.get_or_init(|| self.0.content.digest())
    }
}

impl<T> Deref for Table<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.content
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.content.serialize(s)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        T::deserialize(d).map(Table::new)
    }
}
