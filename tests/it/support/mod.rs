//! What the tests of commands and aggregates share: a small domain, gates, a store that misbehaves on demand.

pub mod gate;
pub mod log;
pub mod mortal;
pub mod store;
pub mod tally;
