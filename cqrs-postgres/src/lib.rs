//! The Postgres store of the cqrs framework.
//!
//! Not built yet: this crate holds its place in the workspace and exports nothing.

#[cfg(all(unix, feature = "testing"))]
pub mod testing;
