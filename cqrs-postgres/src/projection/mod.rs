//! The rows of projections, in tables of user code.

mod bulk;
mod claim;
mod generations;
mod mark;
mod names;
mod rows;
mod switch;
mod transaction;

pub use bulk::{BulkRow, BulkRows, BulkWriter};
pub(crate) use claim::{RECORDS, record};
pub(crate) use names::literal;
pub use rows::PostgresRows;
pub use transaction::PostgresRowTransaction;
