//! Reusable constraints. Each range check here is load-bearing: the tests of `circuit` delete them one by one and forge.
#![allow(clippy::arithmetic_side_effects)] // field elements; bit positions below 254

pub mod mask;
pub mod merkle;
pub mod range;
