//! Other frameworks, with the same domain, commands and load.

pub(crate) mod cqrs_es;
#[cfg_attr(not(feature = "peers"), path = "none.rs")]
pub(crate) mod on_postgres;
