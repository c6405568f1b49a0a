//! Measurements on Postgres: every subject on the same server, each on a database of its own.
//!
//! Subjects take turns in short slices, round by round, so that whatever disturbs the machine disturbs all of
//! them. They share this process: what a slice measures is mostly the server, and setting a subject up takes
//! longer than a slice.

mod contender;
mod contest;
mod course;
mod database;
mod server;
mod settings;
mod slice;
mod subjects;

pub(crate) use contender::{Banking, CatchUp, Contender, Fill, OnPostgres, Rehydrate};
pub(crate) use contest::Contest;
pub(crate) use course::{Course, Ready};
pub(crate) use database::Database;
pub(crate) use server::Server;
pub(crate) use settings::head;
pub(crate) use slice::{Call, Calls, Slice};
