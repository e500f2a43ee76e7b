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

/// A witness that does not prove the clearing of its market: the first condition that fails. Bids are named by their position in the market, tasks
/// by id, entries by number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A form that is no longer read.
    #[error(
        "a witness of form {found}, this build reads form {expected}: a chain made by an earlier build is checked by that build"
    )]
    Form {
        /// The witness's form.
        found: u32,
        /// The one that is read.
        expected: u32,
    },
    /// A nonce that is never tried.
    #[error("nonce {found} is never tried")]
    NonceBound {
        /// The witness's.
        found: u32,
    },
    /// A smaller nonce has a unique optimum.
    #[error("nonce {found}, the least with a unique optimum is {expected}")]
    Nonce {
        /// The right nonce.
        expected: u32,
        /// The witness's.
        found: u32,
    },
    /// A winning entry that does not exist, is named twice, or is out of order.
    #[error("entry {entry} among those that win is out of order, out of range or named twice")]
    WonOrder {
        /// Its number.
        entry: u32,
    },
    /// More winners than units.
    #[error("task {task}: more winners than its {quantity} units")]
    Quantity {
        /// Task id.
        task: u32,
        /// Units there are.
        quantity: u32,
    },
    /// A bid that wins more than its slots.
    #[error("bid {bid} wins more than its {slots} slots")]
    Slots {
        /// Position of the bid.
        bid: u32,
        /// Its slots.
        slots: u32,
    },
    /// A price setter that does not exist, is named twice, or is out of order.
    #[error(
        "entry {entry} among those that set prices is out of order, out of range or named twice"
    )]
    SetterOrder {
        /// Its number.
        entry: u32,
    },
    /// A price set by a bid that serves the task, or that has no slots.
    #[error("task {task}: bid {bid} cannot set its price: it wins there, or has no slots")]
    NoSetter {
        /// Task id.
        task: u32,
        /// Position of the bid.
        bid: u32,
    },
    /// Two setters of one price.
    #[error("task {task}: a second entry to set its price")]
    SecondSetter {
        /// Task id.
        task: u32,
    },
    /// A price set for a task with a unit that nobody serves.
    #[error("task {task}: a price is set, but a unit is spare")]
    SpareUnit {
        /// Task id.
        task: u32,
    },
    /// Prices that follow from one another.
    #[error("task {task}: its price follows from itself")]
    Circle {
        /// Id of one of the tasks.
        task: u32,
    },
    /// A price that is not below the reserve, or far below every offer.
    #[error(
        "task {task}: the price that its setter sets is not below the reserve, or below all offers"
    )]
    TaskPrice {
        /// Task id.
        task: u32,
    },
    /// At these prices the bid would rather not serve a task it wins, or would rather serve one that it does not.
    #[error(
        "bid {bid}, task {task}: another assignment is worth more, or another setter sets the price"
    )]
    NotOptimal {
        /// Position of the bid.
        bid: u32,
        /// Task id.
        task: u32,
    },
    /// Another unit of a bid than the one named first is its least profitable, or as little profitable and earlier.
    #[error("bid {bid}: the unit named first is not the first that it profits least from")]
    Marginal {
        /// Position of the bid.
        bid: u32,
    },
    /// An entry before the setter sets the same price.
    #[error("task {task}: an earlier entry sets the same price")]
    NotFirstSetter {
        /// Task id.
        task: u32,
    },
    /// Another assignment is worth as much, tie breakers included.
    #[error("another assignment has the same surplus and the same tie breakers")]
    NotUnique,
}
