//! The price file: what a standing agent asks for a task, from what the task's class requires and what the machine is.
//!
//! ```json
//! { "base": 200, "minimum": 400,
//!   "types": { "resources/v1": {
//!     "per_unit": {
//!       "cpu_milli": { "price": 30, "per": 1000 },
//!       "gpu_milli": { "price": 700, "per": 1000, "percent": { "gpu_model": { "A100": 180, "H100": 400 } } } },
//!     "labels": { "skills": { "nvlink": 150 }, "region": { "japan": 90 } } } } }
//! ```
//!
//! All in smallest units of money, integers throughout:
//!
//! ```text
//! price  = max(minimum, 1, base + Σ over the class's types (Σ fields + Σ labels))
//! field  = ⌈required · price · percent / (per · 100)⌉       required: the class's amount of this field
//! ```
//!
//! - **per_unit** prices amounts (`at_least` fields). A field left out costs nothing.
//! - **percent** scales one amount's price by what the machine is attested to be: the dearest of its labels that is named, 100 if none is.
//!   Percentages of several fields multiply.
//! - **labels** adds a sum once per task. Of a `has_all` field (skills): for each label the class requires. Of a `within` field (GPU
//!   model, region): the dearest label the machine is attested for, whatever the class accepts.
//!
//! A class that needs a type the file does not name has no price, and neither has one beyond [`MAX_PRICE`]: it is not bid for. Nor is a task
//! whose price is above its reserve. Bounds: [`MAX_PRICE`] and [`MAX_PERCENT`] for what is written, [`super::MAX_FILE_BYTES`] for the file.

use super::{
    error::{Located as _, Problem},
    names::Names,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_auction::task::{Class, MAX_PRICE, Requirement};
use tender_circuits::{CapabilityType, Claim, ClaimSchema, FieldValue, Rule};
use tender_wire::{Price, TypeId};

/// Largest percentage: a thousand times the plain price.
pub const MAX_PERCENT: u32 = 100_000;

/// Sums of money by the name of a field and one of its labels.
type ByLabel<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Prices as an agent's operator writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// What the prices are, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Asked for any task, before anything is counted.
    #[serde(default)]
    pub base: u64,
    /// The least asked for a task.
    #[serde(default)]
    pub minimum: u64,
    /// Prices by capability type, written `name/vN`.
    pub types: BTreeMap<String, TypePrices>,
}

/// What a class's requirement of one type costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypePrices {
    /// By field, for what is required of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_unit: BTreeMap<String, UnitPrice>,
    /// Added once per task, by field and label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: ByLabel<u64>,
}

/// The price of an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPrice {
    /// For so many …
    pub price: u64,
    /// … of the field's unit.
    #[serde(default = "one")]
    pub per: u64,
    /// Scales the price by what the machine is attested to be, by field and label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub percent: ByLabel<u32>,
}

fn one() -> u64 {
    1
}

/// Why a class has no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The file does not name a type that the class requires.
    #[error("the price file says nothing of {0}")]
    Type(String),
    /// The sum is beyond the highest reserve price there can be.
    #[error("its price would be above {MAX_PRICE}, the highest there can be")]
    TooHigh,
}

impl PriceFile {
    /// Checks that everything named exists on the chain and every number is within bounds.
    ///
    /// # Errors
    /// The first [`Problem`], with its field.
    pub fn check(&self, names: &Names) -> Result<(), Problem> {
        bounded("base", self.base, MAX_PRICE.0)?;
        bounded("minimum", self.minimum, MAX_PRICE.0)?;
        for (name, prices) in &self.types {
            let record = names.type_named(name).at(format!("types.{name}"))?;
            prices.check(&record.schema).at(format!("types.{name}"))?;
        }
        Ok(())
    }

    /// What a task of this class costs on a machine; `attested` gives what the machine is attested for, by type.
    ///
    /// # Errors
    /// [`Unpriced`] if there is no price.
    pub fn price<'a>(
        &self,
        names: &Names,
        class: &Class,
        attested: impl Fn(&TypeId) -> Option<&'a Claim>,
    ) -> Result<Price, Unpriced> {
        let mut sum = u128::from(self.base);
        for need in &class.requirements {
            let unknown = || Unpriced::Type(names.type_label(&need.type_id));
            let record = names.type_of(&need.type_id).ok_or_else(unknown)?;
            let prices = self.types.get(&record.label()).ok_or_else(unknown)?;
            let part = prices.of(record, need, attested(&need.type_id));
            sum = part
                .and_then(|part| sum.checked_add(part))
                .ok_or(Unpriced::TooHigh)?;
        }
        let price = u64::try_from(sum).map_err(|_| Unpriced::TooHigh)?;
        let price = Price(price.max(self.minimum).max(1));
        if price > MAX_PRICE {
            return Err(Unpriced::TooHigh);
        }
        Ok(price)
    }
}

impl TypePrices {
    fn check(&self, schema: &ClaimSchema) -> Result<(), Problem> {
        for (name, unit) in &self.per_unit {
            unit.check(schema, name).at(format!("per_unit.{name}"))?;
        }
        check_labels(schema, &self.labels, |sum| bounded("", *sum, MAX_PRICE.0)).at("labels")
    }

    /// `None` if the numbers run over.
    fn of(
        &self,
        record: &CapabilityType,
        need: &Requirement,
        machine: Option<&Claim>,
    ) -> Option<u128> {
        let mut sum = 0u128;
        for (index, field) in record.schema.fields.iter().enumerate() {
            if let Some(unit) = self.per_unit.get(&field.name) {
                let required = need.requirement.amount(index).unwrap_or(0);
                sum = sum.checked_add(unit.of(required, &record.schema, machine)?)?;
            }
            let Some(labels) = self.labels.get(&field.name) else {
                continue;
            };
            let added = if field.rule == Rule::HasAll {
                let wanted = labelled(labels, &field.labels, mask(Some(&need.requirement), index));
                wanted.map(|sum| u128::from(*sum)).sum()
            } else {
                let is = labelled(labels, &field.labels, mask(machine, index));
                is.max().map_or(0, |sum| u128::from(*sum))
            };
            sum = sum.checked_add(added)?;
        }
        Some(sum)
    }
}

impl UnitPrice {
    fn check(&self, schema: &ClaimSchema, name: &str) -> Result<(), Problem> {
        match schema.field(name) {
            Some((_, field)) if matches!(field.rule, Rule::AtLeast { .. }) => {}
            Some((_, field)) => {
                let problem = format!("`{name}` is {}, not an amount", field.rule.kind());
                return Err(Problem::new(
                    "",
                    problem,
                    "price its labels, under `labels`",
                ));
            }
            None => {
                let amounts = schema.fields.iter().filter(|f| f.labels.is_empty());
                return Err(unknown_field(name, amounts.map(|f| f.name.as_str())));
            }
        }
        bounded("price", self.price, MAX_PRICE.0)?;
        if self.per == 0 {
            let next = "write how many units the price is for, for example 1000";
            return Err(Problem::new("per", "is 0", next));
        }
        check_labels(schema, &self.percent, |percent| {
            if *percent == 0 {
                let next = "100 is the plain price; leave the label out for that";
                return Err(Problem::new("", "is 0", next));
            }
            bounded("", u64::from(*percent), u64::from(MAX_PERCENT))
        })
        .at("percent")
    }

    /// ⌈required · price · Π percent / (per · Π 100)⌉.
    fn of(&self, required: u32, schema: &ClaimSchema, machine: Option<&Claim>) -> Option<u128> {
        let mut product = u128::from(required).checked_mul(u128::from(self.price))?;
        let mut divisor = u128::from(self.per);
        for (index, field) in schema.fields.iter().enumerate() {
            if let Some(percents) = self.percent.get(&field.name) {
                let is = labelled(percents, &field.labels, mask(machine, index));
                product = product.checked_mul(u128::from(is.max().copied().unwrap_or(100)))?;
                divisor = divisor.checked_mul(100)?;
            }
        }
        // A divisor of 0 is refused when the file is checked.
        (divisor > 0).then(|| product.div_ceil(divisor))
    }
}

/// The values of the labels that are set in a mask, whatever the case they are written in.
fn labelled<'v, T>(
    values: &'v BTreeMap<String, T>,
    labels: &[String],
    mask: u64,
) -> impl Iterator<Item = &'v T> {
    let set = move |name: &String| {
        let known = labels.iter().zip(0u32..64);
        let mut found = known.filter(|(label, _)| label.eq_ignore_ascii_case(name));
        found.any(|(_, bit)| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
    };
    values
        .iter()
        .filter(move |(name, _)| set(name))
        .map(|(_, value)| value)
}

fn mask(claim: Option<&Claim>, index: usize) -> u64 {
    match claim.and_then(|claim| claim.0.get(index)) {
        Some(FieldValue::Mask(mask)) => *mask,
        _ => 0,
    }
}

fn check_labels<T>(
    schema: &ClaimSchema,
    by_label: &ByLabel<T>,
    check: impl Fn(&T) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for (name, values) in by_label {
        let masks = || schema.fields.iter().filter(|f| !f.labels.is_empty());
        let field = masks().find(|f| f.name == *name);
        let field = field
            .ok_or_else(|| unknown_field(name, masks().map(|f| f.name.as_str())))
            .at(name)?;
        for (label, value) in values {
            let is_known = |known: &String| known.eq_ignore_ascii_case(label);
            if !field.labels.iter().any(is_known) {
                let next = format!("use some of: {}", field.labels.join(", "));
                let problem = format!("`{name}` has no such label");
                return Err(Problem::new(format!("{name}.{label}"), problem, next));
            }
            check(value).at(format!("{name}.{label}"))?;
        }
    }
    Ok(())
}

fn unknown_field<'f>(name: &str, known: impl Iterator<Item = &'f str>) -> Problem {
    let known: Vec<_> = known.collect();
    let next = format!("use some of: {}", known.join(", "));
    Problem::new(
        "",
        format!("the type has no field `{name}` of this kind"),
        next,
    )
}

fn bounded(field: &str, found: u64, most: u64) -> Result<(), Problem> {
    if found <= most {
        return Ok(());
    }
    Err(Problem::new(
        field,
        format!("is {found}"),
        format!("write at most {most}"),
    ))
}
