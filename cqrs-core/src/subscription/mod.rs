//! The way of events from the log to whoever follows it.
//!
//! One tail reader per application instance reads the log once, for all handlers, into a buffer that is
//! bounded in bytes. A handler that is at the end takes its events from there, and is woken only for events
//! of types that it is interested in. A handler that is behind the buffer reads its own range of the log,
//! filtered by type, until it has caught up.
//!
//! [`Follow`] is for everybody else: it reads a store from a position on and then waits for more.

mod buffer;
mod follow;
mod head;
mod pages;
mod subscriber;
mod tail;

pub use follow::Follow;

pub(crate) use buffer::Buffered;
pub(crate) use pages::{Page, Pages};
pub(crate) use subscriber::Subscriber;
pub(crate) use tail::Tail;
