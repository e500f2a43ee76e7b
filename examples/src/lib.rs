//! What the runnable examples under `examples/` share.

pub mod carbon;
pub mod openb;
