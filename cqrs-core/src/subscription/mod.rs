//! The way of events from the log to whoever follows it.
//!
//! One tail reader per application instance reads the log once, for all handlers, into a buffer that is
//! bounded in bytes. A handler that is at the end takes its events from there, and is woken only for events
//! that it is interested in, by their types and streams. A handler that is behind the buffer reads its own range of
//! the log, filtered alike, until it has caught up.
//!
//! [`Follow`] is for everybody else: it reads a store from a position on and then waits for more.

mod ahead;
mod buffer;
mod follow;
mod head;
mod pages;
mod subscriber;
mod tail;

pub use follow::Follow;

pub(crate) use ahead::Ahead;
pub(crate) use buffer::Buffered;
pub(crate) use pages::{Page, Pages};
pub(crate) use subscriber::Subscriber;
pub(crate) use tail::Tail;
