//! The shapes of stored events under guard: `events.lock` is a file beside `Cargo.toml` that says of each event type under
//! which name, in which version and with which fields it is stored. A test compares it with the program, so that nobody
//! changes an event in a way that what is stored can no longer be read.
//!
//! ```no_run
//! // tests/events_lock.rs, in the crate of the events
//! # use cqrs_core as bank;
//! use bank as _; // a crate that nothing mentions is not linked, and its events are then missing
//!
//! #[test]
//! fn events_can_still_be_read() {
//!     cqrs_core::schema::check!();
//! }
//! ```
//!
//! The file is made when the test first runs; commit it. A change of an event is then one of these:
//!
//! | change | what the test says |
//! |---|---|
//! | a field is removed, renamed, required, or of another type; a variant is removed; the payload is something else as a whole | fails until the version is raised, with an upcaster for what is stored |
//! | a schema is written by hand that was derived, and does not say the shape | fails until it does ([`EventSchema::shape`](crate::event::EventSchema::shape)), or the version is raised |
//! | a type or an alias is removed, a version is lowered | fails until it is put back, or its successor has the name among its aliases |
//! | a new event, a raised version, a field that may be missing, a serde alias, a variant | fails until the file is brought up to date: `CQRS_EVENTS_LOCK=write cargo test` |
//!
//! `CQRS_EVENTS_LOCK` decides what the test does:
//!
//! | value | meaning |
//! |---|---|
//! | `create` | compares, and writes a file that does not exist: the default |
//! | `check` | compares, and fails when the file does not exist: the default where `CI` is set, so that a file that nobody committed is noticed |
//! | `write` | takes in changes that leave stored events readable, and refuses others |
//! | `overwrite` | takes in all changes: for events that are stored nowhere yet |
//!
//! Names are those of the wire: serde's `rename`, `rename_all`, `alias`, `default`, `skip`, `flatten`, `with`, `transparent`,
//! and the tags of enums count. Types are compared as they are written in the source, without the paths of modules; what
//! a type of a field looks like inside is not known here. Raise the version of an event when such a type changes, or
//! store types that do not.

mod change;
mod check;
mod compare;
mod error;
mod file;
mod locked;
mod parse;
mod text;

pub use change::{SchemaFault, SchemaUpdate};
pub use error::{LockError, LockSyntaxError};
pub use file::{LockMode, LockOutcome, check_file};
pub use locked::EventLock;

#[doc(hidden)]
pub use check::check_events_lock;

#[doc(inline)]
pub use crate::__check_events_lock as check;
