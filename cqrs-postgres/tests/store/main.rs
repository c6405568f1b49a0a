//! The Postgres store, on a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test joins what it spawns")]

mod batches;
mod bytes;
mod categories;
mod conformance;
mod filters;
mod follow;
mod immutable;
mod isolation;
mod lineage;
mod locks;
mod migrations;
mod names;
mod pools;
mod records;
mod rows;
mod streams;
mod support;
mod tables;
mod tail;
mod transactions;
