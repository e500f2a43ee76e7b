//! What names mean on one chain: capability types as `resources/v1`, issuers by name.

use super::error::Problem;
use std::collections::BTreeMap;
use tender_auction::genesis::Issuer;
use tender_circuits::{
    CapabilityType, Circuits, Claim, ClaimSchema, IssuerIndex, IssuerMask, NamedValue,
    names::NameError,
};
use tender_wire::TypeId;

/// Values by field name, as people write them.
pub type Named = BTreeMap<String, NamedValue>;

/// The names of one chain.
#[derive(Clone, Debug)]
pub struct Names {
    /// Registered capability types.
    pub types: Vec<CapabilityType>,
    /// Issuers with their indices; a de-listed one is absent.
    pub issuers: Vec<(IssuerIndex, Issuer)>,
    /// Circuits of types whose issuers attest something of another shape than the claim.
    pub circuits: Circuits,
}

impl Names {
    /// The type written as `name/vN`.
    ///
    /// # Errors
    /// A [`Problem`] listing the registered types.
    pub fn type_named(&self, name: &str) -> Result<&CapabilityType, Problem> {
        self.types
            .iter()
            .find(|t| t.label() == name)
            .ok_or_else(|| {
                let known: Vec<_> = self.types.iter().map(CapabilityType::label).collect();
                Problem::new(
                    "",
                    format!("no capability type is named `{name}`"),
                    format!("use one of: {}", known.join(", ")),
                )
            })
    }

    /// The type with this id.
    pub fn type_of(&self, id: &TypeId) -> Option<&CapabilityType> {
        self.types.iter().find(|t| t.id() == *id)
    }

    /// A type's name, or the start of its id where it is not known here.
    pub fn type_label(&self, id: &TypeId) -> String {
        self.type_of(id)
            .map_or_else(|| id.short(), CapabilityType::label)
    }

    /// Shape of what issuers attest: the circuit's own where it is known here, else the claim's.
    pub fn attribute_schema(&self, record: &CapabilityType) -> ClaimSchema {
        self.circuits
            .find(&record.name, record.version)
            .map_or_else(|| record.schema.clone(), |circuit| circuit.attributes())
    }

    /// What a machine has, by names.
    ///
    /// # Errors
    /// A [`Problem`] naming the field and what is known.
    pub fn attributes(&self, record: &CapabilityType, named: &Named) -> Result<Claim, Problem> {
        self.attribute_schema(record)
            .attributes_from_named(named)
            .map_err(name_problem)
    }

    /// The issuer of that name.
    ///
    /// # Errors
    /// A [`Problem`] listing the issuers.
    pub fn issuer_named(&self, name: &str) -> Result<(IssuerIndex, &Issuer), Problem> {
        let found = self.issuers.iter().find(|(_, issuer)| issuer.name == name);
        found
            .map(|(index, issuer)| (*index, issuer))
            .ok_or_else(|| {
                let known: Vec<_> = self.issuers.iter().map(|(_, i)| i.name.as_str()).collect();
                Problem::new(
                    "",
                    format!("no issuer is named `{name}`"),
                    format!("use some of: {}", known.join(", ")),
                )
            })
    }

    /// Names of the issuers in a mask; an unknown one by its number.
    pub fn issuers_in(&self, mask: IssuerMask) -> Vec<String> {
        let name = |index: IssuerIndex| {
            let known = self.issuers.iter().find(|(i, _)| *i == index);
            known.map_or_else(
                || format!("issuer {index}"),
                |(_, issuer)| issuer.name.clone(),
            )
        };
        mask.iter().map(name).collect()
    }

    /// The mask of named issuers; of all of them if none is named.
    ///
    /// # Errors
    /// A [`Problem`] at `[i]` for the first unknown name.
    pub fn issuer_mask(&self, names: Option<&[String]>) -> Result<IssuerMask, Problem> {
        let Some(names) = names else {
            return Ok(self.issuers.iter().map(|(index, _)| *index).collect());
        };
        let indices = names.iter().enumerate().map(|(at, name)| {
            let found = self.issuer_named(name).map_err(|p| Problem {
                field: format!("[{at}]"),
                ..p
            });
            found.map(|(index, _)| index)
        });
        indices.collect()
    }
}

/// What a class requires, by names; what is left out is not required.
///
/// # Errors
/// A [`Problem`] naming the field and what is known.
pub fn requirement(record: &CapabilityType, named: &Named) -> Result<Claim, Problem> {
    record.schema.claim_from_named(named).map_err(name_problem)
}

fn name_problem(error: NameError) -> Problem {
    Problem::new(
        "",
        error.to_string(),
        "correct the field; `tender status --types` lists every field and label",
    )
}
