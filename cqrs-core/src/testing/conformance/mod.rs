//! The conformance suite: what every store adapter must do, case by case.
//!
//! An adapter runs it with one line in a test file. The expression gives a fresh, empty store; each case
//! becomes a test of its own, which gets a store of its own:
//!
//! ```ignore
//! cqrs_core::store_conformance!(|| async { MemoryStore::new() });
//! ```
//!
//! A store that can be configured to allow hard deletion gives a second expression; the first one must give
//! a store that refuses it. The macro makes one module per group, so that two invocations need a module each:
//!
//! ```ignore
//! mod plain {
//!     cqrs_core::store_conformance!(
//!         || async { super::fresh_store().await },
//!         hard_deletion = || async { super::fresh_store_that_erases().await },
//!     );
//! }
//! ```
//!
//! A store that keeps an audit too runs the cases of that with a line of its own:
//!
//! ```ignore
//! cqrs_core::audit_conformance!(|| async { MemoryStore::new() });
//! ```
//!
//! A store of rows says how a test writes to its connections ([`TestRows`]), and runs the cases of
//! [`RowStore`](crate::projection::RowStore):
//!
//! ```ignore
//! cqrs_core::row_conformance!(|| async { MyTestRows::new() });
//! ```
//!
//! A case is an `async fn` over `Arc<dyn Store>` that panics when the store fails it; it can be called
//! without the macro too. Cases begin with an empty store, use several threads, and never sleep. Names that
//! begin with a letter and a number refer to the scenarios from which the suite was collected.

#![expect(clippy::missing_panics_doc, reason = "panicking is how a case fails, and the only way")]

pub mod activation;
pub mod append;
pub mod append_all;
pub mod audit;
pub mod bad_input;
pub mod checkpoints;
pub mod concurrency;
pub mod deletion;
pub mod expected;
pub mod filters;
pub mod generations;
pub mod hard_deletion;
pub mod idempotency;
pub mod identity;
pub mod isolation;
pub mod leases;
pub mod lineage;
pub mod links;
pub mod multi_stream;
pub mod read_log;
pub mod read_stream;
pub mod records;
pub mod row_alone;
pub mod row_owners;
pub mod row_projections;
pub mod row_transactions;
pub mod snapshots;
pub mod state;
pub mod tail;

mod fixture;
mod list;
mod rows;
mod run;

#[doc(hidden)]
pub use run::{run, run_with_audit, run_with_rows, run_with_two};

pub use rows::{RowConnection, TestRows};

#[doc(inline)]
pub use crate::audit_conformance;
#[doc(inline)]
pub use crate::row_conformance;
#[doc(inline)]
pub use crate::store_conformance;
