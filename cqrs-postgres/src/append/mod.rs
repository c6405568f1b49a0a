//! Appending: requests are collected while the last batch commits, and travel together in the next transaction.
//!
//! [`Unit`] is what happens wholly or not at all, [`Writer`] collects units into a [`Batch`](batch::Batch), which a
//! [`Lane`](lane::Lane) brings to the database, settling what broken connections leave open; [`statement`] is one call
//! of the database.

mod arguments;
mod batch;
mod lane;
mod statement;
mod unit;
mod writer;

pub(crate) use arguments::expectation;
pub(crate) use lane::{Lane, Sent};
pub(crate) use statement::{Answer, append_unit, append_within, read_outcome, refused};
pub(crate) use unit::{Request, Unit};
pub(crate) use writer::Writer;
