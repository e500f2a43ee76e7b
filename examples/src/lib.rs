//! What the runnable examples under `examples/` share.

pub mod openb;
