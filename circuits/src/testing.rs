//! What an author tests a capability type with, in three lines.
//!
//! ```
//! # use tender_circuits::{score::{self, Score}, testing};
//! # let named = serde_json::from_str(r#"{ "suite": "mmlu-pro", "score": 700 }"#).unwrap();
//! let reached = score::schema().claim_from_named(&named).unwrap();
//! let covered = testing::laws(&Score, &[(reached.clone(), reached)]).unwrap();
//! assert_eq!(covered.scopes, ["suite", "score/attested covers claimed"]);
//! ```
//!
//! | law | broken when |
//! |---|---|
//! | **twin** | `check` accepts what `constrain` does not, or the other way round |
//! | **names** | `check` refuses for one field, and the first violated constraint lies in no scope of that name |
//! | **shape** | the constraints change with the values |
//! | **need** | no case is refused by a scope alone: left out of the circuit, its absence would go unnoticed |
//!
//! Cases grow from pairs that hold ([`around`]): every value of either side in turn made zero, one less, one more, the largest. Give pairs that
//! just hold, so that one step breaks them. Every case a type's author has thought of can be added: see [`twin`] and [`deletions`].
//!
//! *Not shown:* that advice ([`crate::r1cs::Builder::advice`]) is bound. The values here are those an honest prover computes; what another choice
//! would do is for the author to try. Nor that the whole circuit holds together: prove and verify once ([`mod@crate::prove`]).

use crate::{
    capability::{Capability, Unsupported},
    circuit::own_part,
    r1cs::{Assignment, Shape, Written},
    schema::{Claim, FieldValue},
};
use std::collections::BTreeSet;
use tender_wire::Digest;

/// Attributes, and a claim about them.
pub type Case = (Claim, Claim);

/// What cases came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Cases that both `check` and the constraints accept.
    pub accepted: usize,
    /// Cases that both refuse.
    pub refused: usize,
    /// Scopes of the type's own constraints, in order.
    pub scopes: Vec<String>,
}

/// A law that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A case with another number of values than the type has fields.
    #[error(
        "{0:?} has {1} attributes and {2} claimed values; the type has other numbers of fields"
    )]
    Misfit(Case, usize, usize),
    /// Native check and constraints disagree.
    #[error("{case:?}: `check` {}, the constraints {}",
        native.as_ref().map_or_else(|| "accepts".into(), |n| format!("refuses ({n})")),
        constraint.as_ref().map_or_else(|| "accept".into(), |c| format!("refuse ({c})")))]
    Twin {
        /// Attributes and claim.
        case: Box<Case>,
        /// What `check` says.
        native: Option<Unsupported>,
        /// The first constraint violated.
        constraint: Option<Written>,
    },
    /// Both refuse, for reasons of different names.
    #[error(
        "{case:?}: `check` names {field}, but the first violated constraint is {scope}: give its scope the field's name, and check in the same order"
    )]
    Names {
        /// Attributes and claim.
        case: Box<Case>,
        /// The field named by `check`.
        field: String,
        /// The scope of the first violated constraint.
        scope: Written,
    },
    /// The constraints depend on values.
    #[error(
        "{0:?}: the constraints differ from those of the first case: they must depend on the schemas alone, so never branch on a value"
    )]
    Shape(Box<Case>),
    /// All cases are accepted, or all refused.
    #[error("all {0} cases end alike: give some that hold and some that do not")]
    OneSided(usize),
    /// A constraint that no case needs.
    #[error(
        "no case is refused by `{scope}` alone: leave the constraint out, or add a case that just breaks it"
    )]
    Unneeded {
        /// Its scope.
        scope: String,
    },
}

/// All laws, on cases grown around pairs that hold. See the module's documentation.
///
/// # Errors
/// [`Broken`]: the first law that does not hold, with the case.
pub fn laws(capability: &dyn Capability, pairs: &[Case]) -> Result<Covered, Broken> {
    let cases = around(pairs);
    let covered = twin(capability, &cases)?;
    deletions(capability, &cases)?;
    Ok(covered)
}

/// The pairs, and each with one value of one side changed: to zero, one less, one more, the largest; masks also by a bit, a field element to
/// another.
pub fn around(pairs: &[Case]) -> Vec<Case> {
    let mut cases = pairs.to_vec();
    for (attributes, claim) in pairs {
        cases.extend(changed(attributes).map(|attributes| (attributes, claim.clone())));
        cases.extend(changed(claim).map(|claim| (attributes.clone(), claim)));
    }
    cases
}

fn changed(claim: &Claim) -> impl Iterator<Item = Claim> + '_ {
    let at = claim.0.iter().enumerate();
    at.flat_map(move |(index, value)| {
        near(value).into_iter().map(move |value| {
            let mut values = claim.0.clone();
            if let Some(slot) = values.get_mut(index) {
                *slot = value;
            }
            Claim(values)
        })
    })
}

fn near(value: &FieldValue) -> Vec<FieldValue> {
    match *value {
        FieldValue::Amount(a) => [0, a.saturating_sub(1), a.saturating_add(1), u32::MAX]
            .map(FieldValue::Amount)
            .to_vec(),
        FieldValue::Mask(m) => {
            let fewer = m & m.wrapping_sub(1);
            let more = m | m.wrapping_add(1);
            [0, fewer, more, !m, u64::MAX]
                .map(FieldValue::Mask)
                .to_vec()
        }
        FieldValue::Exact(mut e) => {
            let [.., last] = &mut e.0;
            *last ^= 1;
            vec![FieldValue::Exact(e)]
        }
    }
}

/// The laws of twin, names and shape on these cases.
///
/// # Errors
/// [`Broken`].
pub fn twin(capability: &dyn Capability, cases: &[Case]) -> Result<Covered, Broken> {
    let mut first: Option<Digest> = None;
    let mut covered = Covered {
        accepted: 0,
        refused: 0,
        scopes: Vec::new(),
    };
    for case in cases {
        let trial = Trial::of(capability, case)?;
        let shape = trial.shape.hash();
        if *first.get_or_insert(shape) != shape {
            return Err(Broken::Shape(Box::new(case.clone())));
        }
        let native = capability.check(&case.0, &case.1).err();
        let constraint = trial.shape.unsatisfied(&trial.values);
        match (native, constraint) {
            (None, None) => covered.accepted = covered.accepted.saturating_add(1),
            (Some(native), Some(scope)) => {
                if scope.scope.split('/').next() != Some(native.field.as_str()) {
                    return Err(Broken::Names {
                        case: Box::new(case.clone()),
                        field: native.field,
                        scope,
                    });
                }
                covered.refused = covered.refused.saturating_add(1);
            }
            (native, constraint) => {
                return Err(Broken::Twin {
                    case: Box::new(case.clone()),
                    native,
                    constraint,
                });
            }
        }
        covered.scopes = trial.scopes();
    }
    if covered.accepted == 0 || covered.refused == 0 {
        return Err(Broken::OneSided(cases.len()));
    }
    Ok(covered)
}

/// The law of need: each scope of the type's own constraints refuses some case that nothing else refuses.
///
/// # Errors
/// [`Broken::Unneeded`] naming the first scope that does not.
pub fn deletions(capability: &dyn Capability, cases: &[Case]) -> Result<(), Broken> {
    let mut scopes = Vec::new();
    let mut needed = BTreeSet::new();
    for case in cases {
        let trial = Trial::of(capability, case)?;
        let violated: BTreeSet<&str> = trial.violated();
        if let (Some(only), 1) = (violated.first(), violated.len()) {
            needed.insert((*only).to_owned());
        }
        scopes = trial.scopes();
    }
    match scopes.into_iter().find(|scope| !needed.contains(scope)) {
        Some(scope) => Err(Broken::Unneeded { scope }),
        None => Ok(()),
    }
}

/// The type's own constraints with the values of one case.
struct Trial {
    shape: Shape,
    values: Assignment,
    /// First row of the type's own.
    from: usize,
}

impl Trial {
    fn of(capability: &dyn Capability, case: &Case) -> Result<Trial, Broken> {
        let (attested, claimed) = (case.0.0.len(), case.1.0.len());
        let fields = (
            capability.attributes().fields.len(),
            capability.schema().fields.len(),
        );
        if (attested, claimed) != fields {
            return Err(Broken::Misfit(case.clone(), attested, claimed));
        }
        let (shape, values, from) = own_part(capability, &case.0, &case.1);
        Ok(Trial {
            shape,
            values,
            from,
        })
    }

    fn violated(&self) -> BTreeSet<&str> {
        let rows = self.shape.violated(&self.values);
        rows.filter_map(|row| self.shape.scope_of(row)).collect()
    }

    fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = Vec::new();
        for row in self.from..self.shape.constraints() {
            let scope = self.shape.scope_of(row).unwrap_or_default();
            if scopes.last().is_none_or(|last| last != scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }
}

#[cfg(test)]
mod tests;
