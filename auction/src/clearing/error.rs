//! Why a market cannot be cleared, and why a witness is refused.

use tender_wire::BidId;

/// A market that breaks a rule of [`super::Market`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearingError {
    /// More tasks, bids or entries than a market may have.
    #[error("{found} {what}, a market has at most {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Tasks not strictly ascending by id.
    #[error("task {id} is out of order or twice")]
    TaskOrder {
        /// The second of the offending pair.
        id: u32,
    },
    /// Bids not strictly ascending by id.
    #[error("bid {id} is out of order or twice")]
    BidOrder {
        /// The second of the offending pair.
        id: BidId,
    },
    /// Entries of a bid not strictly ascending by task.
    #[error("bid {id}: the entry for task {task} is out of order or twice")]
    EntryOrder {
        /// The bid.
        id: BidId,
        /// Task of the second of the offending pair.
        task: u32,
    },
    /// An entry for a task the market does not have.
    #[error("bid {id}: there is no task {task} in this market")]
    UnknownTask {
        /// The bid.
        id: BidId,
        /// The task named.
        task: u32,
    },
    /// A reserve of zero or above [`super::MAX_PRICE`].
    #[error("task {task}: the reserve {reserve} is not between 1 and 10^15")]
    Reserve {
        /// The task.
        task: u32,
        /// Its reserve.
        reserve: u64,
    },
    /// A bonus above [`super::MAX_PRICE`].
    #[error("bid {id}: the bonus {bonus} is above 10^15")]
    Bonus {
        /// The bid.
        id: BidId,
        /// Its bonus.
        bonus: u64,
    },
    /// A price of zero, or above the task's reserve and the bid's bonus.
    #[error(
        "bid {id}: the price {price} for task {task} is not between 1 and its reserve and bonus, {most}"
    )]
    Price {
        /// The bid.
        id: BidId,
        /// The task.
        task: u32,
        /// The price.
        price: u64,
        /// The task's reserve and the bid's bonus.
        most: u64,
    },
    /// No nonce made the optimum unique (probability below 2^-288).
    #[error("no nonce of {tried} gives a unique optimum")]
    NoUniqueOptimum {
        /// Nonces tried.
        tried: u32,
    },
}

/// A witness that does not prove the clearing of its market.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The market itself is malformed.
    #[error(transparent)]
    Market(#[from] ClearingError),
    /// Not one list of winners per task.
    #[error("winners for {found} tasks, the market has {expected}")]
    Tasks {
        /// Tasks of the market.
        expected: usize,
        /// Lists in the witness.
        found: usize,
    },
    /// Winners of a task not strictly ascending.
    #[error("task {task}: winner {bid} is out of order or twice")]
    WinnerOrder {
        /// Task id.
        task: u32,
        /// The second bid index of the offending pair.
        bid: u32,
    },
    /// A winner without an entry for the task.
    #[error("task {task}: bid {bid} has no entry for it")]
    NoEntry {
        /// Task id.
        task: u32,
        /// Bid index.
        bid: u32,
    },
    /// More winners than units.
    #[error("task {task}: {winners} winners for {quantity} units")]
    Quantity {
        /// Task id.
        task: u32,
        /// Winners named.
        winners: usize,
        /// Units there are.
        quantity: u32,
    },
    /// A bid that wins more than its slots.
    #[error("bid {bid} wins more than its {slots} slots")]
    Slots {
        /// Bid index.
        bid: u32,
        /// Its slots.
        slots: u32,
    },
    /// Not the least nonce with a unique optimum.
    #[error("nonce {found}, the least with a unique optimum is {expected}")]
    Nonce {
        /// The right nonce.
        expected: u32,
        /// The witness's.
        found: u32,
    },
    /// A feasible assignment, but not the optimum.
    #[error("task {task}: these are not its winners in the optimum")]
    NotOptimal {
        /// First task that differs.
        task: u32,
    },
}
