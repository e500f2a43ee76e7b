//! The genesis document: everything a stranger needs to verify the chain. The chain id is its hash.

use crate::{market::sealing::is_balanced, task::MAX_NAME_BYTES};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tender_circuits::{CapabilityType, capability::TypeError};
use tender_consensus::{
    params::{Params, ParamsError},
    validators::{Validator, ValidatorSet, ValidatorSetError},
};
use tender_wire::{
    ChainId, Power, PublicKey, SignatureError, Tag, TimeMs, Wire, encode, hash_of, text::is_plain,
};

/// Format version of the genesis document and of every structure under it.
pub const VERSION: u16 = 1;
/// Most validators: sealing is per member (32 bytes a share) and certificates carry every signature.
pub const MAX_VALIDATORS: usize = 100;
/// Most issuers a chain ever has: an evidence names them by bits of a `u64`.
pub const MAX_ISSUERS: usize = 64;
/// Most leaves one issuer may ever post: taking it off the list zeroes them all in one block, less than half a millisecond each.
pub const MAX_QUOTA: u32 = 4096;
/// Most capability types a chain ever has.
pub const MAX_TYPES: usize = 256;
/// Most shares one auction's opening may cost: 2^16 bids of a committee of one.
pub const MAX_OPEN_BUDGET: u32 = 1 << 16;
/// Most keys on an openers list.
pub const MAX_OPENERS: usize = 256;

/// The genesis document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// [`VERSION`].
    pub version: u16,
    /// For people; also separates chains that are otherwise alike.
    pub name: String,
    /// Time of block 0.
    pub time: TimeMs,
    /// Times and sizes of consensus. They are rules of validity, so they stand here and never in a program's defaults.
    pub consensus: Params,
    /// Whether types with a single-party (forgeable) setup are accepted. Only for development.
    pub allow_insecure_setup: bool,
    /// First validator set, sorted by key; n >= 3f + 1 by count.
    pub validators: Vec<GenesisValidator>,
    /// First issuers; an issuer's index is its position.
    pub issuers: Vec<Issuer>,
    /// Who may open auctions.
    pub openers: Openers,
    /// First capability types, sorted by (name, version).
    pub types: Vec<CapabilityType>,
    /// Shares that opening one auction may cost: it admits at most `open_budget / |K|` bids.
    pub open_budget: u32,
}

impl Wire for Genesis {
    const NAME: &'static str = "genesis";
    const MAX_BYTES: usize = 4 << 20;
}

/// A validator of the first set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// For people.
    pub name: String,
    /// Consensus key.
    pub key: PublicKey,
    /// Voting power.
    pub power: Power,
}

/// An authority whose attestations the chain knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// For people; unique.
    pub name: String,
    /// Signs leaves, revocations and attestations.
    pub key: PublicKey,
    /// Leaves it may post in all: bounds the work of de-listing it.
    pub quota: u32,
}

/// Who may open auctions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Openers {
    /// Anyone: development chains.
    Any,
    /// These keys, sorted.
    List(Vec<PublicKey>),
}

/// Why a genesis document, or a part of it proposed later, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Another format.
    #[error("genesis version {found}: this program reads version {VERSION}")]
    Version {
        /// The document's version.
        found: u16,
    },
    /// A name that is empty or too long, or not plain text.
    #[error(
        "{what}: a name is 1 to {MAX_NAME_BYTES} bytes without control or invisible characters"
    )]
    Name {
        /// Whose name.
        what: String,
    },
    /// A list longer than allowed, or empty where it may not be.
    #[error("{found} {what}, there must be {least} to {most}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// A list out of order, or with one thing twice.
    #[error("{what}: entry {index} is out of order or twice (sort them, each once)")]
    Order {
        /// The list.
        what: &'static str,
        /// The second of the offending pair, from 0.
        index: usize,
    },
    /// A key that is no point, or weak.
    #[error("{what}: key {key}: {error}")]
    Key {
        /// Whose key.
        what: String,
        /// The key.
        key: PublicKey,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// Validators that are no set.
    #[error("validators: {0}")]
    Validators(#[from] ValidatorSetError),
    /// Too many validators that together hold less than a third of the power.
    #[error(
        "validators: n = {count} is less than 3f + 1 with f = {faulty} members below a third of the power; give them nearly equal power"
    )]
    Unbalanced {
        /// n.
        count: usize,
        /// f.
        faulty: u16,
    },
    /// A parameter out of range.
    #[error("{0}")]
    Params(#[from] ParamsError),
    /// An issuer without quota, or above the registry's size.
    #[error("issuer {name}: a quota is 1 to {most}, this is {found}")]
    Quota {
        /// The issuer.
        name: String,
        /// Its quota.
        found: u32,
        /// At most.
        most: u32,
    },
    /// A capability type that is none.
    #[error("type {name}: {error}")]
    Type {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: TypeError,
    },
    /// A document longer than anybody reads.
    #[error("the document has {found} bytes in canonical form, at most {max} are read", max = Genesis::MAX_BYTES)]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Less than one share for each member.
    #[error(
        "open_budget is {found}, must be {least} to {most}: every bid costs a share per validator"
    )]
    OpenBudget {
        /// The document's.
        found: u32,
        /// At least: the number of validators.
        least: u32,
        /// At most.
        most: u32,
    },
}

impl Genesis {
    /// The chain id.
    pub fn chain_id(&self) -> ChainId {
        hash_of(Tag::Genesis, self).into()
    }

    /// Checks every rule; a chain starts from nothing else.
    ///
    /// # Errors
    /// The first rule broken, as a [`GenesisError`].
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.version != VERSION {
            return Err(GenesisError::Version {
                found: self.version,
            });
        }
        check_name("the chain", &self.name)?;
        self.consensus.check()?;
        let validators = self.validator_set()?;
        let (least, most) = (
            u32::try_from(validators.len()).unwrap_or(u32::MAX),
            MAX_OPEN_BUDGET,
        );
        if !(least..=most).contains(&self.open_budget) {
            return Err(GenesisError::OpenBudget {
                found: self.open_budget,
                least,
                most,
            });
        }
        count("issuers", self.issuers.len(), 0, MAX_ISSUERS)?;
        let mut seen = BTreeSet::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            check_issuer(issuer)?;
            if !seen.insert(issuer.name.as_bytes()) || !seen.insert(issuer.key.as_ref()) {
                return Err(GenesisError::Order {
                    what: "issuers",
                    index,
                });
            }
        }
        check_openers(&self.openers)?;
        count("types", self.types.len(), 0, MAX_TYPES)?;
        ascending("types", &self.types, |t| (t.name.clone(), t.version))?;
        let found = encode(self).len();
        if found > Genesis::MAX_BYTES {
            return Err(GenesisError::TooLong { found });
        }
        self.types
            .iter()
            .try_for_each(|record| check_type(record, self.allow_insecure_setup))
    }

    /// The first validator set.
    ///
    /// # Errors
    /// [`GenesisError`] unless they are sorted, sound and balanced.
    pub fn validator_set(&self) -> Result<ValidatorSet, GenesisError> {
        count("validators", self.validators.len(), 1, MAX_VALIDATORS)?;
        ascending("validators", &self.validators, |v| v.key)?;
        for validator in &self.validators {
            check_name("a validator", &validator.name)?;
        }
        let validators = self.validators.iter().map(|v| Validator {
            key: v.key,
            power: v.power,
        });
        let set = ValidatorSet::new(validators.collect())?;
        if !is_balanced(&set) {
            let faulty = crate::market::sealing::faulty(&set);
            return Err(GenesisError::Unbalanced {
                count: set.len(),
                faulty,
            });
        }
        Ok(set)
    }
}

pub(crate) fn check_type(
    record: &CapabilityType,
    allow_insecure_setup: bool,
) -> Result<(), GenesisError> {
    record
        .check(allow_insecure_setup)
        .map_err(|error| GenesisError::Type {
            name: record.name.chars().take(MAX_NAME_BYTES).collect(),
            error,
        })
}

pub(crate) fn check_issuer(issuer: &Issuer) -> Result<(), GenesisError> {
    check_name("an issuer", &issuer.name)?;
    check_key(&format!("issuer {}", issuer.name), &issuer.key)?;
    let most = MAX_QUOTA;
    if !(1..=most).contains(&issuer.quota) {
        let name = issuer.name.clone();
        return Err(GenesisError::Quota {
            name,
            found: issuer.quota,
            most,
        });
    }
    Ok(())
}

pub(crate) fn check_openers(openers: &Openers) -> Result<(), GenesisError> {
    let Openers::List(keys) = openers else {
        return Ok(());
    };
    count("openers", keys.len(), 0, MAX_OPENERS)?;
    ascending("openers", keys, |key| *key)?;
    keys.iter().try_for_each(|key| check_key("an opener", key))
}

fn check_key(what: &str, key: &PublicKey) -> Result<(), GenesisError> {
    key.check().map_err(|error| GenesisError::Key {
        what: what.into(),
        key: *key,
        error,
    })
}

fn check_name(what: &str, name: &str) -> Result<(), GenesisError> {
    let sound = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(is_plain);
    if sound {
        Ok(())
    } else {
        Err(GenesisError::Name { what: what.into() })
    }
}

fn count(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), GenesisError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(GenesisError::Count {
        what,
        found,
        least,
        most,
    })
}

fn ascending<T, K: Ord>(
    what: &'static str,
    list: &[T],
    key: impl Fn(&T) -> K,
) -> Result<(), GenesisError> {
    for (pair, index) in list.windows(2).zip(1usize..) {
        if let [a, b] = pair
            && key(a) >= key(b)
        {
            return Err(GenesisError::Order { what, index });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{genesis, key};

    #[test]
    fn a_sound_document_passes_and_names_the_chain() {
        let sound = genesis();
        sound.check().unwrap();
        let mut other = sound.clone();
        other.open_budget -= 1;
        assert_ne!(
            sound.chain_id(),
            other.chain_id(),
            "every field is in the chain id"
        );
        let bytes = tender_wire::encode(&sound);
        assert_eq!(tender_wire::decode::<Genesis>(&bytes), Ok(sound.clone()));
        let json = serde_json::to_string(&sound).unwrap();
        assert_eq!(serde_json::from_str::<Genesis>(&json).unwrap(), sound);
    }

    #[test]
    fn every_rule_names_what_and_where() {
        type Change = fn(&mut Genesis);
        let cases: [(&str, Change); 19] = [
            ("genesis version 2", |g| g.version = 2),
            ("the chain: a name", |g| g.name.clear()),
            ("the chain: a name", |g| g.name = "a\nb".into()),
            ("the chain: a name", |g| g.name = "a\u{202e}b".into()),
            ("block_interval_ms", |g| g.consensus.block_interval_ms = 0),
            ("evidence_age", |g| g.consensus.evidence_age = 0),
            ("0 validators", |g| g.validators.clear()),
            ("validators: entry 1", |g| g.validators.swap(0, 1)),
            ("validators: entry 1", |g| {
                g.validators[1] = g.validators[0].clone()
            }),
            ("no power", |g| g.validators[2].power = Power(0)),
            ("malformed or weak", |g| {
                g.validators[0].key = PublicKey([0; 32])
            }),
            ("less than 3f + 1", |g| g.validators[0].power = Power(1_000)),
            ("open_budget is 3", |g| g.open_budget = 3),
            ("issuers: entry 1", |g| {
                g.issuers[1].name = g.issuers[0].name.clone()
            }),
            ("issuers: entry 2", |g| g.issuers[2].key = g.issuers[0].key),
            ("issuer issuer-1: key", |g| {
                g.issuers[1].key = PublicKey([0; 32])
            }),
            ("a quota is 1", |g| g.issuers[0].quota = 0),
            ("single-party setup", |g| g.allow_insecure_setup = false),
            ("types: entry 1", |g| g.types.push(g.types[0].clone())),
        ];
        for (expected, change) in cases {
            let mut document = genesis();
            change(&mut document);
            let error = document.check().unwrap_err().to_string();
            assert!(
                error.contains(expected),
                "expected `{expected}` in `{error}`"
            );
        }
    }

    #[test]
    fn openers_are_sorted_and_sound() {
        let mut document = genesis();
        let mut keys = ["a", "b"].map(|name| key(name).public()).to_vec();
        keys.sort_unstable();
        document.openers = Openers::List(keys.clone());
        document.check().unwrap();
        keys.reverse();
        document.openers = Openers::List(keys);
        assert!(matches!(
            document.check(),
            Err(GenesisError::Order {
                what: "openers",
                index: 1
            })
        ));
        document.openers = Openers::List(vec![PublicKey([0; 32])]);
        assert!(matches!(document.check(), Err(GenesisError::Key { .. })));
    }

    /// T5: a type whose key lets anybody forge is refused before a chain starts.
    #[test]
    fn t5_a_degenerate_verifying_key_is_refused() {
        let mut document = genesis();
        let vk = &mut document.types[0].vk;
        let (gamma, delta) = (32 + 64, 32 + 128);
        vk.copy_within(delta..delta + 64, gamma);
        let error = document.check().unwrap_err().to_string();
        assert!(error.contains("forged by anyone"), "{error}");
    }
}
