//! Instances of families: drawn, as markets, as bytes.

use super::{Family, Parameter};
use crate::clearing::{Bounds, ClearingError, MAX_PRICE, Market, MarketBid, MarketTask};
use tender_wire::{BidId, Digest, Price, PublicKey};

/// A generated market, as flat as it gets. Bid `a` has the entries `offsets[a]..offsets[a + 1]` of `entry_tasks` and `prices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// By task: the most a unit may cost.
    pub reserves: Vec<u64>,
    /// By task: its units.
    pub quantities: Vec<u32>,
    /// By bid: its slots.
    pub slots: Vec<u32>,
    /// By bid, and one more: where its entries begin.
    pub offsets: Vec<u32>,
    /// By entry: its task, ascending within a bid.
    pub entry_tasks: Vec<u32>,
    /// By entry: its price.
    pub prices: Vec<u64>,
}

impl Instance {
    /// The entries of each bid, in order: (task, price).
    pub fn bids(&self) -> impl Iterator<Item = impl Iterator<Item = (u32, u64)> + '_> + '_ {
        let ends = self.offsets.windows(2);
        ends.map(|ends| {
            let (from, to) = match ends {
                [from, to] => (*from as usize, *to as usize),
                _ => (0, 0),
            };
            let tasks = self.entry_tasks.get(from..to).unwrap_or_default();
            let prices = self.prices.get(from..to).unwrap_or_default();
            tasks.iter().copied().zip(prices.iter().copied())
        })
    }

    /// The market, within [`Bounds::ENGINE`]. Bid ids and bidders look like hashes and keys, and follow from the bids' numbers.
    ///
    /// # Errors
    /// [`ClearingError::TooLarge`].
    pub fn market(&self) -> Result<Market, ClearingError> {
        let tasks = (0u32..).zip(self.reserves.iter().zip(&self.quantities));
        let tasks = tasks.map(|(id, (reserve, quantity))| MarketTask {
            id,
            reserve: Price(*reserve),
            quantity: *quantity,
        });
        let bids = (0u64..).zip(self.slots.iter().zip(self.bids()));
        let bids = bids.map(|(number, (slots, entries))| {
            let bid = MarketBid {
                bid_id: BidId::from(Digest(name(number, number << 32))),
                bidder: PublicKey(name(number, Draw::new(number).number())),
                slots: *slots,
                bonus: 0,
            };
            (bid, entries.map(|(task, price)| (task, Price(price))))
        });
        Market::within(&Bounds::ENGINE, tasks.collect(), bids)
    }

    /// The bids as bytes, to hash as a yardstick: for each entry, in order, the bid's number as `u32`, the task's as `u32` and the price as
    /// `u64`, little-endian: 16 bytes, the least from which a market's bids can be read.
    pub fn bid_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.prices.len().saturating_mul(16));
        for (bid, entries) in (0u32..).zip(self.bids()) {
            for (task, price) in entries {
                out.extend_from_slice(&bid.to_le_bytes());
                out.extend_from_slice(&task.to_le_bytes());
                out.extend_from_slice(&price.to_le_bytes());
            }
        }
        out
    }
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Draw(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()).wrapping_mul(u128::from(bound));
        (wide >> 64) as u64
    }
}

/// 32 bytes that begin with `head`; the others follow from a number.
fn name(number: u64, head: u64) -> [u8; 32] {
    let mut draw = Draw::new(!number);
    let mut bytes = [0; 32];
    for (at, part) in bytes.chunks_exact_mut(8).enumerate() {
        let value = if at == 0 { head } else { draw.number() };
        part.copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

/// Draws an instance of so many agents, tasks and entries of each agent.
pub(super) fn draw(family: &Family, [agents, tasks, degree]: [usize; 3], seed: u64) -> Instance {
    let value = |parameter| family.value(parameter);
    let mut draw = Draw::new(seed);
    let mut costs = |count: usize, parameter| -> Vec<u64> {
        let range = value(parameter);
        (0..count).map(|_| draw.below(range)).collect()
    };
    let agent_costs = costs(agents, Parameter::AgentCost);
    let task_costs = costs(tasks, Parameter::TaskCost);
    let some = |draw: &mut Draw, count: usize, parameter| -> Vec<u32> {
        let most = value(parameter);
        let one = |_| draw.below(most).saturating_add(1) as u32;
        (0..count).map(one).collect()
    };
    let quantities = some(&mut draw, tasks, Parameter::Quantity);
    let slots = some(&mut draw, agents, Parameter::Slots);
    let spread = value(Parameter::Spread);
    let reserves: Vec<u64> = (task_costs.iter())
        .map(|cost| {
            let reserve = value(Parameter::Reserve).saturating_add(draw.below(spread));
            reserve.saturating_add(*cost).min(MAX_PRICE.0)
        })
        .collect();
    let hidden = planted(value(Parameter::Planted) == 1, tasks, &mut draw);
    let all = tasks as u64;
    let window = match value(Parameter::Window) {
        0 => all,
        window => window.clamp(degree as u64, all),
    };
    let row = all.saturating_mul(value(Parameter::Crowd)) / 1000;
    let mut instance = Instance {
        reserves,
        quantities,
        slots,
        offsets: vec![0],
        entry_tasks: Vec::with_capacity(agents.saturating_mul(degree)),
        prices: Vec::with_capacity(agents.saturating_mul(degree)),
    };
    let mut chosen = Vec::with_capacity(degree);
    for (agent, agent_cost) in (0u64..).zip(&agent_costs) {
        let place = quotient(agent.saturating_mul(row), agents as u64);
        let first = place.min(all.saturating_sub(window));
        let own = agent
            .checked_rem(all)
            .and_then(|at| hidden.get(at as usize));
        choose(&mut chosen, first, window, degree, own, &mut draw);
        for task in &chosen {
            let (number, at) = (u64::from(*task), *task as usize);
            let reserve = instance.reserves.get(at).copied().unwrap_or(1);
            let product = remainder(agent, window).saturating_mul(remainder(number, window));
            let base = agent_cost
                .saturating_add(task_costs.get(at).copied().unwrap_or(0))
                .saturating_add(value(Parameter::Slope).saturating_mul(number.abs_diff(place)))
                .saturating_add(value(Parameter::Product).saturating_mul(product));
            let room = value(Parameter::Noise).min(reserve.saturating_sub(base));
            let price = base.saturating_add(draw.below(room)).saturating_add(1);
            instance.entry_tasks.push(*task);
            instance.prices.push(price.min(reserve));
        }
        let end = instance.entry_tasks.len() as u32;
        instance.offsets.push(end);
    }
    instance
}

/// A random order of the tasks, by Fisher and Yates; nothing if nothing is hidden.
fn planted(is_planted: bool, tasks: usize, draw: &mut Draw) -> Vec<u32> {
    let mut order: Vec<u32> = match u32::try_from(tasks) {
        Ok(tasks) if is_planted => (0..tasks).collect(),
        _ => Vec::new(),
    };
    for last in (1..order.len()).rev() {
        let other = draw.below((last as u64).saturating_add(1)) as usize;
        order.swap(last, other);
    }
    order
}

/// So many distinct tasks of the window, ascending, with the agent's own among them.
fn choose(
    chosen: &mut Vec<u32>,
    first: u64,
    window: u64,
    degree: usize,
    own: Option<&u32>,
    draw: &mut Draw,
) {
    chosen.clear();
    chosen.extend(own);
    let wanted = degree as u64;
    if wanted.saturating_mul(4) >= window {
        // By one pass over the window: each with the odds that what is still wanted has among what is left.
        let own = own.copied().map(u64::from);
        let others = (first..first.saturating_add(window)).filter(|task| Some(*task) != own);
        let mut left = others.clone().count() as u64;
        for task in others {
            let missing = wanted.saturating_sub(chosen.len() as u64);
            if draw.below(left) < missing {
                chosen.push(task as u32);
            }
            left = left.saturating_sub(1);
        }
    } else {
        while chosen.len() < degree {
            let task = first.saturating_add(draw.below(window)) as u32;
            if !chosen.contains(&task) {
                chosen.push(task);
            }
        }
    }
    chosen.sort_unstable();
}

/// `a / b`, and 0 for `b = 0`.
pub(super) fn quotient(a: u64, b: u64) -> u64 {
    a.checked_div(b).unwrap_or(0)
}

fn remainder(a: u64, b: u64) -> u64 {
    a.checked_rem(b).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::FamilyError;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_instance_is_a_market_of_the_size_asked_for() {
        let mut families = Family::named().to_vec();
        families.push(
            "natural:degree=3:window=4:crowd=1:slope=1000000000000000"
                .parse()
                .unwrap(),
        );
        families.push("planted:degree=1:window=1".parse().unwrap());
        families.push(
            "dense:product=1000:agent-cost=9:tasks=100000"
                .parse()
                .unwrap(),
        );
        for family in families {
            for entries in [1, 10, 1000, 2500] {
                let it = family.instance(entries, 5).unwrap();
                assert_eq!(it, family.instance(entries, 5).unwrap(), "{family}");
                let (agents, tasks) = family.sizes(entries);
                assert_eq!(it.slots.len(), agents, "{family}");
                assert_eq!(it.quantities.len(), tasks, "{family}");
                assert_eq!(it.bids().count(), agents, "{family}");
                assert_eq!(it.bid_bytes().len(), 16 * it.prices.len());
                for bid in it.bids() {
                    let bid: Vec<_> = bid.collect();
                    let distinct: BTreeSet<_> = bid.iter().map(|(task, _)| *task).collect();
                    assert_eq!(distinct.len(), bid.len(), "{family}");
                    assert!(bid.is_sorted(), "{family}");
                    for (task, price) in bid {
                        let reserve = it.reserves[task as usize];
                        assert!(
                            (1..=reserve).contains(&price),
                            "{family}: {price} of {reserve}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn families_have_the_size_and_the_seed_asked_for() {
        for family in Family::named() {
            let it = family.instance(10_000, 1).unwrap();
            assert_eq!(it.prices.len(), 10_000, "{family}");
            assert_ne!(it, family.instance(10_000, 2).unwrap(), "{family}");
        }
        let wide: Family = "natural:degree=1".parse().unwrap();
        assert_eq!(wide.instance(1 << 33, 1), Err(FamilyError::TooLarge));
    }

    #[test]
    fn a_planted_market_has_an_assignment_of_all() {
        let family: Family = "planted:degree=1".parse().unwrap();
        let it = family.instance(500, 3).unwrap();
        let tasks: BTreeSet<_> = it.entry_tasks.iter().collect();
        assert_eq!(tasks.len(), 500);
    }
}
