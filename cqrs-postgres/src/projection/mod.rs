//! The rows of projections, in tables of user code.

mod claim;
mod generations;
mod names;
mod rows;
mod switch;
mod transaction;

pub(crate) use claim::{RECORDS, record};
pub(crate) use names::literal;
pub use rows::PostgresRows;
pub use transaction::PostgresRowTransaction;
