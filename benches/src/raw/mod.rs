//! Postgres by hand: what an application would write that uses no framework. It decides nothing and keeps no
//! state, so that it bounds what the frameworks can reach with the same statements.

mod append;
mod read;
mod table;

pub(crate) use append::{Coalesced, Insert};
pub(crate) use read::Read;
pub(crate) use table::data_of_256_bytes;
