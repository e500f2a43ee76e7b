//! Tendermint consensus as a pure kernel and engine, generic over an application.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]
