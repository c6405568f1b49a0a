//! Other frameworks, with the same domain, commands and load.

pub(crate) mod cqrs_es;
