//! JSON in which no object names anything twice.
//!
//! A parser that keeps the last of two equal names reads something else than one that keeps the first, or a person who stops at it: two
//! prices of one task would be one bid here and another there. Types whose fields are fixed refuse it by themselves; maps do not.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeSet, fmt};

/// Checks a whole document.
///
/// # Errors
/// The first name that an object has twice, with its place; or that it is no JSON.
pub fn check(json: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice(json).map(|Unique| ())
}

/// Any JSON without a name twice; nothing of it is kept.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("`{name}` is given twice")));
            }
            names.insert(name);
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    /// D: one document has one reading.
    #[test]
    fn a_name_given_twice_is_refused_wherever_it_stands() {
        for good in [
            r#"{"a": 1, "b": {"a": [null, true, -1, 1.5, "a"]}}"#,
            r#"[{"a": 1}, {"a": 1}]"#,
            "3",
        ] {
            check(good.as_bytes()).unwrap();
        }
        for bad in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"b": [{"a": 1, "c": 2, "\u0061": 3}]}"#,
        ] {
            let said = check(bad.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("`a` is given twice at line 1"), "{said}");
        }
        let deep = "[".repeat(100_000);
        assert!(check(deep.as_bytes()).is_err());
    }
}
