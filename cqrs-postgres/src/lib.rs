//! The Postgres store of the cqrs framework.
//!
//! A [`PostgresStore`] is one gapless, commit-ordered log in a schema of a database, with its streams, snapshots,
//! checkpoints and leases. An application runs on it as it runs on the store in memory:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cqrs_postgres::{PostgresConfig, PostgresStore};
//!
//! let store = PostgresStore::connect(PostgresConfig::new("postgres://localhost/bank").schema("tenant_a")).await?;
//! // let bank = Bank::builder(store).name("tenant_a").start().await?;
//! # Ok(()) }
//! ```
//!
//! A monolith has one schema, a service with several contexts one schema or one database for each, a service with
//! many tenants a schema for each tenant on a shared [`PostgresPool`].
//!
//! # How it appends
//! Positions are given under one lock that is held to the end of the transaction, the highest one plus 1: whoever
//! sees a position sees all before it, and no number is ever missing. What would make that slow, a wait for the disk
//! for each append, is shared: appends that come while another one is being committed travel together in the next
//! transaction, each with its own expected version, its own result and its own failure. A lone append waits for nobody.
//!
//! # Requirements
//! Postgres 13 or later. Every statement names the schema, and nothing relies on the state of a session, so that the
//! store works behind a pooler in transaction mode
//! ([`PostgresConfig::transaction_pooler`]).

mod announce;
mod append;
mod audit;
mod change;
mod checkpoint;
mod config;
mod connections;
mod delete;
mod error;
mod event_store;
mod expected;
mod head;
mod inline;
mod lease;
mod link;
mod listen;
mod log;
mod log_page;
mod migrate;
mod names;
mod payload;
mod pool;
mod projection;
mod read;
mod records;
mod retry;
mod rows;
mod schema;
mod session;
mod snapshot;
mod statements;
mod store;
mod streams;
mod transaction;

#[cfg(all(unix, feature = "testing"))]
pub mod testing;

pub use config::{Notifications, PostgresConfig};
pub use error::{ConnectError, SchemaGone};
pub use pool::PostgresPool;
pub use projection::{BulkRow, BulkRows, BulkWriter, PostgresRowTransaction, PostgresRows};
pub use schema::{Migrate, Payload, Schema};
pub use store::PostgresStore;
pub use streams::{StreamPage, StreamQuery};
pub use transaction::PostgresTransaction;

/// The driver whose types stand in this crate's interface, for user code to match it.
#[doc(no_inline)]
pub use sqlx;
