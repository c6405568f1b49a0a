//! What the tests of commands and aggregates share: a small domain, gates, a store that misbehaves on demand.

pub mod gate;
pub mod log;
pub mod logged;
#[path = "../../support/mortal/mod.rs"]
pub mod mortal;
pub mod store;
pub mod tally;
