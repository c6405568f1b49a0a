//! The Postgres store, on a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
