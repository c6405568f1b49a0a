//! The rows of projections, in tables of user code.

mod claim;
mod generations;
mod names;
mod rows;
mod switch;
mod transaction;

pub use rows::PostgresRows;
pub use transaction::PostgresRowTransaction;
