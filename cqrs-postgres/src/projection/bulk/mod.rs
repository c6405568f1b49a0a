//! Rows of many events that are written with one statement, by methods that are given one event each.

mod row;
mod rows;
mod writer;

pub use row::BulkRow;
pub use rows::BulkRows;
pub use writer::BulkWriter;
