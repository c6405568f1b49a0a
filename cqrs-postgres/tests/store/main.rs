//! The Postgres store, on a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test joins what it spawns")]

mod batches;
mod bytes;
mod conformance;
mod immutable;
mod isolation;
mod migrations;
mod pools;
mod support;
mod tail;
mod transactions;
