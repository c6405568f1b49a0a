//! Appending: requests are collected while the last batch commits, and travel together in the next transaction.
//!
//! [`Unit`] is what happens wholly or not at all, [`Writer`] collects units and settles what broken connections
//! leave open, [`statement`] is one call of the database.

mod arguments;
mod statement;
mod unit;
mod writer;

pub(crate) use arguments::expectation;
pub(crate) use statement::{Answer, append_within, read_outcome};
pub(crate) use unit::{Request, Unit};
pub(crate) use writer::Writer;
