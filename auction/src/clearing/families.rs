//! Families of generated markets: what the engine is measured on, and what the search for its worst market walks through.
//!
//! A [`Family`] is a list of numbers (see [`Parameter`]); eight of them have names. Family, size and seed give one [`Instance`],
//! the same on every machine: integers only, drawn by SplitMix64 (Steele, Lea and Flood 2014).
//!
//! Text form: a name, and what differs from it: `natural`, `price-war:window=40:noise=3`.
//!
//! # Shape of an instance
//!
//! Agent `a` has one bid and is a bidder of its own. It stands at task `c = ⌊a · crowd‰ of the tasks / agents⌋` and enters
//! `degree` distinct tasks among the `window` from there on (any tasks if `window` is 0). With `b(k)` a number below `k`:
//!
//! ```text
//! reserve_t  = reserve + b(spread) + task part,                         task part  = b(task-cost), one for each task
//! price_at   = 1 + base + b(min(noise, reserve_t − base)),              agent part = b(agent-cost), one for each agent
//! base       = agent part + task part + slope·|t − c| + product·(a mod window)·(t mod window)
//! ```
//!
//! A base at or above the reserve makes the price the reserve. So `1 ≤ price ≤ reserve` for every entry, and every entry counts.

mod instance;

pub use instance::{Draw, Instance};

use super::MAX_PRICE;
use instance::{draw, quotient};
use std::{fmt, str::FromStr};

/// A parameter of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Tasks per thousand agents.
    Tasks,
    /// Entries of a bid; 0: one for every task.
    Degree,
    /// Neighbouring tasks an agent draws its entries from; 0: all tasks.
    Window,
    /// How far along the tasks agents stand, in thousandths: below 1000, agents are denser than tasks where they stand.
    Crowd,
    /// Range of the part of a price that each entry draws.
    Noise,
    /// Range of the part that each agent draws.
    AgentCost,
    /// Range of the part that each task draws, in its reserve and in prices for it.
    TaskCost,
    /// What a place between agent and task costs.
    Slope,
    /// Factor of the product of the agent's and the task's number (Machol and Wien 1976: assignments that are hard in every row).
    Product,
    /// Least reserve.
    Reserve,
    /// Range of what a reserve is above that.
    Spread,
    /// Most slots of a bid; each has from 1 to as many.
    Slots,
    /// Most units of a task; each has from 1 to as many.
    Quantity,
    /// 1: an assignment of every agent is hidden among the entries, as far as there are tasks.
    Planted,
}

impl Parameter {
    /// All of them, in the order of a family's numbers.
    pub const ALL: [Parameter; 14] = [
        Parameter::Tasks,
        Parameter::Degree,
        Parameter::Window,
        Parameter::Crowd,
        Parameter::Noise,
        Parameter::AgentCost,
        Parameter::TaskCost,
        Parameter::Slope,
        Parameter::Product,
        Parameter::Reserve,
        Parameter::Spread,
        Parameter::Slots,
        Parameter::Quantity,
        Parameter::Planted,
    ];

    /// Its name in a family's text.
    pub fn name(self) -> &'static str {
        match self {
            Parameter::Tasks => "tasks",
            Parameter::Degree => "degree",
            Parameter::Window => "window",
            Parameter::Crowd => "crowd",
            Parameter::Noise => "noise",
            Parameter::AgentCost => "agent-cost",
            Parameter::TaskCost => "task-cost",
            Parameter::Slope => "slope",
            Parameter::Product => "product",
            Parameter::Reserve => "reserve",
            Parameter::Spread => "spread",
            Parameter::Slots => "slots",
            Parameter::Quantity => "quantity",
            Parameter::Planted => "planted",
        }
    }

    /// Least and greatest value.
    pub fn bounds(self) -> (u64, u64) {
        match self {
            Parameter::Tasks => (1, 100_000),
            Parameter::Degree => (0, 4096),
            Parameter::Window => (0, 1 << 24),
            Parameter::Crowd => (1, 1000),
            Parameter::Noise | Parameter::Reserve | Parameter::Spread => (1, MAX_PRICE.0),
            Parameter::AgentCost | Parameter::TaskCost | Parameter::Slope | Parameter::Product => {
                (0, MAX_PRICE.0)
            }
            Parameter::Slots | Parameter::Quantity => (1, 64),
            Parameter::Planted => (0, 1),
        }
    }
}

/// Values, in the order of [`Parameter::ALL`].
type Values = [u64; Parameter::ALL.len()];

/// A way to draw markets of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    name: &'static str,
    values: Values,
}

/// tasks, degree, window, crowd, noise, agent-cost, task-cost, slope, product, reserve, spread, slots, quantity, planted
#[rustfmt::skip]
const NAMED: [Family; 8] = [
    // Prices and reserves as they come.
    Family { name: "natural",    values: [1000, 10, 0, 1000, 1_000_000, 0, 0, 0, 0, 300_000, 700_000, 1, 1, 0] },
    // A handful of prices: almost every choice is a tie in money.
    Family { name: "heavy-ties", values: [1000, 10, 0, 1000, 20, 0, 0, 0, 0, 10, 15, 1, 1, 0] },
    // Cheap agents are cheap everywhere, dear tasks dear for all: all want the same, and differ little.
    Family { name: "correlated", values: [1000, 10, 0, 1000, 100_000, 300_000, 400_000, 0, 0, 400_000, 1, 1, 1, 0] },
    // Five agents to a task.
    Family { name: "few-tasks",  values: [200, 10, 0, 1000, 1_000_000, 0, 0, 0, 0, 300_000, 700_000, 1, 1, 0] },
    // Reserves so high that an optimum serves every task, which some assignment does.
    Family { name: "planted",    values: [1000, 10, 0, 1000, 1_000_000, 0, 0, 0, 0, 4_000_000_000, 1, 1, 1, 1] },
    // Everybody enters everything, and everything is served: the assignment problem.
    Family { name: "dense",      values: [1000, 0, 0, 1000, 1_000_000, 0, 0, 0, 0, 4_000_000_000, 1, 1, 1, 0] },
    // Agents with several machines, tasks in several copies.
    Family { name: "multi-slot", values: [1000, 10, 0, 1000, 1_000_000, 0, 0, 0, 0, 300_000, 700_000, 4, 4, 0] },
    // Neighbours fight over too few tasks for almost no difference in price; only far along the row are tasks free.
    Family { name: "price-war",  values: [1000, 10, 40, 900, 16, 0, 0, 0, 0, 1_000_000_000, 1, 1, 1, 0] },
];

impl Family {
    /// Those with a name of their own.
    pub fn named() -> [Family; 8] {
        NAMED
    }

    /// The named family it is derived from.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value of a parameter.
    pub fn value(&self, parameter: Parameter) -> u64 {
        let mut all = Parameter::ALL.iter().zip(self.values);
        let found = all.find(|(it, _)| **it == parameter);
        found.map_or(0, |(_, value)| value)
    }

    /// The same with another value of a parameter.
    ///
    /// # Errors
    /// [`FamilyError::Bounds`] if the value is outside [`Parameter::bounds`].
    pub fn with(mut self, parameter: Parameter, value: u64) -> Result<Self, FamilyError> {
        let (least, most) = parameter.bounds();
        if !(least..=most).contains(&value) {
            return Err(FamilyError::Bounds {
                parameter,
                least,
                most,
            });
        }
        for (it, old) in Parameter::ALL.iter().zip(&mut self.values) {
            if *it == parameter {
                *old = value;
            }
        }
        Ok(self)
    }

    /// Agents and tasks of an instance of about so many entries.
    pub fn sizes(&self, entries: usize) -> (usize, usize) {
        let (entries, per_mille) = (entries as u64, self.value(Parameter::Tasks));
        let agents = match self.value(Parameter::Degree) {
            0 => quotient(entries.saturating_mul(1000), per_mille).isqrt(),
            degree => quotient(entries, degree),
        };
        let agents = agents.max(1);
        let tasks = (agents.saturating_mul(per_mille) / 1000).max(1);
        (agents as usize, tasks as usize)
    }

    /// The instance of about so many entries under a seed: as many whole bids as fit.
    ///
    /// # Errors
    /// [`FamilyError::TooLarge`] if agents, tasks or entries do not fit 32 bits.
    pub fn instance(&self, entries: usize, seed: u64) -> Result<Instance, FamilyError> {
        let (agents, tasks) = self.sizes(entries);
        let degree = match self.value(Parameter::Degree) as usize {
            0 => tasks,
            degree => degree.min(tasks),
        };
        let fits = |n: usize| u32::try_from(n).is_ok();
        if !(fits(agents) && fits(tasks) && agents.checked_mul(degree).is_some_and(fits)) {
            return Err(FamilyError::TooLarge);
        }
        Ok(draw(self, [agents, tasks, degree], seed))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let base = NAMED.iter().find(|it| it.name == self.name);
        for parameter in Parameter::ALL {
            let value = self.value(parameter);
            if base.map(|it| it.value(parameter)) != Some(value) {
                write!(f, ":{}={value}", parameter.name())?;
            }
        }
        Ok(())
    }
}

impl FromStr for Family {
    type Err = FamilyError;

    fn from_str(text: &str) -> Result<Self, FamilyError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let base = NAMED.into_iter().find(|it| it.name == name);
        let mut family = base.ok_or_else(|| FamilyError::Unknown(name.into()))?;
        for part in parts {
            let unreadable = || FamilyError::Unreadable(part.into());
            let (name, value) = part.split_once('=').ok_or_else(unreadable)?;
            let mut all = Parameter::ALL.into_iter();
            let parameter = all.find(|it| it.name() == name).ok_or_else(unreadable)?;
            family = family.with(parameter, value.parse().map_err(|_| unreadable())?)?;
        }
        Ok(family)
    }
}

/// Why a text is no family, or a family has no instance of a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FamilyError {
    /// No family has this name.
    #[error("no family is called {0:?}: {known}", known = NAMED.map(|it| it.name).join(", "))]
    Unknown(String),
    /// A part that is not `parameter=number`.
    #[error("{0:?} is not parameter=number with one of {known}", known = Parameter::ALL.map(Parameter::name).join(", "))]
    Unreadable(String),
    /// A value out of its bounds.
    #[error("{name} is from {least} to {most}", name = parameter.name())]
    Bounds {
        /// Whose value.
        parameter: Parameter,
        /// Its least value.
        least: u64,
        /// Its greatest value.
        most: u64,
    },
    /// More agents, tasks or entries than 32 bits count.
    #[error("that many entries cannot be numbered in 32 bits")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_families_and_come_back() {
        for family in Family::named() {
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        let text = "price-war:window=7:noise=3";
        let family: Family = text.parse().unwrap();
        assert_eq!(family.to_string(), text);
        assert_eq!(family.value(Parameter::Window), 7);
        for (text, says) in [
            ("natura", "natural, heavy-ties"),
            ("natural:window", "parameter=number"),
            ("natural:width=3", "agent-cost"),
            ("natural:crowd=0", "crowd is from 1 to 1000"),
            ("natural:noise=-1", "parameter=number"),
        ] {
            let why = text.parse::<Family>().unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}
