//! Reading a witness: is it an assignment, and do its setters form a graph of prices?
//!
//! One pass over the bids, with both lists beside it. What it leaves behind is all that the later steps need to know of the witness.

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use crate::clearing::{CheckError, Market};

/// No entry, or no task.
pub(super) const NONE: u32 = u32::MAX;

/// One bit for every entry.
#[derive(Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn reset(&mut self, len: usize) {
        self.0.clear();
        self.0.resize(len.div_ceil(64), 0);
    }

    /// Sets a bit that was not set.
    fn set(&mut self, at: u32) -> bool {
        let word = &mut self.0[(at >> 6) as usize];
        let bit = 1 << (at & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> bool {
        self.0[(at >> 6) as usize] >> (at & 63) & 1 == 1
    }
}

/// What sets the price of a task: `price = offset + price of parent`, or `offset` alone.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The losing entry that sets it; [`NONE`] where the reserve is the price.
    pub(super) setter: u32,
    /// The bid of the setter.
    pub(super) bid: u32,
    /// The task of the unit that bid would give up, its marginal one; [`NONE`] if it has a free slot.
    pub(super) parent: u32,
    /// What the setter asks here more than there; what it asks, less its bonus, if it has a free slot.
    pub(super) offset: i64,
}

const UNSET: Step = Step {
    setter: NONE,
    bid: NONE,
    parent: NONE,
    offset: 0,
};

/// What a bid does in the assignment.
#[derive(Clone, Copy)]
pub(super) struct Role {
    /// The won entry it profits least from, if all its slots are sold; [`NONE`] if one is free.
    pub(super) marginal: u32,
    /// Prices it sets.
    pub(super) sets: u32,
}

/// Sets no price and wins nothing, whatever the prices: without slots, or without entries.
pub(super) const IDLE: Role = Role {
    marginal: NONE - 1,
    sets: 0,
};

/// A feasible assignment, and the graph of its prices.
#[derive(Default)]
pub(super) struct Assignment {
    won: Bits,
    sets: Bits,
    /// Units of bid `b` are `starts[b] .. starts[b + 1]` of the witness's list.
    pub(super) starts: Vec<u32>,
    pub(super) roles: Vec<Role>,
    /// Units of each task that nobody serves.
    pub(super) spare: Vec<u32>,
    pub(super) steps: Vec<Step>,
}

impl Assignment {
    #[inline]
    pub(super) fn has_won(&self, entry: u32) -> bool {
        self.won.get(entry)
    }

    #[inline]
    pub(super) fn sets(&self, entry: u32) -> bool {
        self.sets.get(entry)
    }

    /// Reads the lists of a witness.
    ///
    /// # Errors
    /// [`CheckError`]: entries out of order, a bid or a task beyond its slots or units, a setter that cannot be one.
    pub(super) fn read(
        &mut self,
        market: &Market,
        won: &[u32],
        setters: &[u32],
    ) -> Result<(), CheckError> {
        self.won.reset(market.entry_count());
        self.sets.reset(market.entry_count());
        self.starts.clear();
        self.roles.clear();
        self.spare.clear();
        self.spare.extend(market.tasks().iter().map(|t| t.quantity));
        self.steps.clear();
        self.steps.resize(market.tasks().len(), UNSET);

        let (mut units, mut prices) = (0usize, 0usize);
        for (bid, row) in market.starts().windows(2).enumerate() {
            let first = units;
            while let Some(&e) = won.get(units).filter(|e| **e < row[1]) {
                if e < row[0] || !self.won.set(e) {
                    return Err(CheckError::WonOrder { entry: e });
                }
                let task = market.entry_tasks()[e as usize] as usize;
                self.spare[task] = self.spare[task].checked_sub(1).ok_or_else(|| {
                    let task = &market.tasks()[task];
                    CheckError::Quantity {
                        task: task.id,
                        quantity: task.quantity,
                    }
                })?;
                units = units.wrapping_add(1); // at most the list's length
            }
            self.starts.push(first as u32);
            let role = role_of(market, bid, row, &won[first..units])?;
            let first = prices;
            while let Some(&e) = setters.get(prices).filter(|e| **e < row[1]) {
                if e < row[0] || !self.sets.set(e) || setters[first..prices].last() > Some(&e) {
                    return Err(CheckError::SetterOrder { entry: e });
                }
                self.set_price(market, bid, e, role)?;
                prices = prices.wrapping_add(1);
            }
            let sets = prices.wrapping_sub(first) as u32;
            self.roles.push(Role { sets, ..role });
        }
        self.starts.push(units as u32);
        if let Some(&entry) = won.get(units) {
            return Err(CheckError::WonOrder { entry });
        }
        if let Some(&entry) = setters.get(prices) {
            return Err(CheckError::SetterOrder { entry });
        }
        Ok(())
    }

    fn set_price(
        &mut self,
        market: &Market,
        bid: usize,
        e: u32,
        role: Role,
    ) -> Result<(), CheckError> {
        let task = market.entry_tasks()[e as usize] as usize;
        let id = market.tasks()[task].id;
        let asked = |e: u32| market.entry_prices()[e as usize] as i64; // at most 2·10^15
        if role.marginal == IDLE.marginal || self.won.get(e) {
            let bid = bid as u32;
            return Err(CheckError::NoSetter { task: id, bid });
        }
        let step = &mut self.steps[task];
        if step.setter != NONE {
            return Err(CheckError::SecondSetter { task: id });
        }
        let (parent, above) = match role.marginal {
            NONE => (NONE, market.bonuses()[bid] as i64),
            unit => (market.entry_tasks()[unit as usize], asked(unit)),
        };
        *step = Step {
            setter: e,
            bid: bid as u32,
            parent,
            offset: asked(e).wrapping_sub(above),
        };
        Ok(())
    }
}

/// The role of a bid that wins these units, before its setters are counted.
fn role_of(market: &Market, bid: usize, row: &[u32], units: &[u32]) -> Result<Role, CheckError> {
    let entries = row[1].wrapping_sub(row[0]);
    let slots = market.slots()[bid];
    let count = units.len() as u32; // distinct entries of the row
    if count > slots {
        let bid = bid as u32;
        return Err(CheckError::Slots { bid, slots });
    }
    let full = count == entries.min(slots);
    // All ascend, or all but the first.
    let sorted = if full {
        units.get(1..).unwrap_or_default()
    } else {
        units
    };
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(CheckError::WonOrder { entry: pair[1] });
    }
    Ok(match units.first() {
        Some(&first) if full => Role {
            marginal: first,
            sets: 0,
        },
        None if full => IDLE,
        _ => Role {
            marginal: NONE,
            sets: 0,
        },
    })
}
