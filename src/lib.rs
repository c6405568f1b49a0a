#![doc = include_str!("docs/crate.md")]

#[expect(unused_extern_crates, reason = "the macros refer to the crate by its name, here as well")]
extern crate self as cqrs;

pub use cqrs_core::{
    BoxError, aggregate, ambient, application, audit, clock, command, dispatch, event, handler, id, lineage,
    memory_pressure, middleware, process_manager, projection, publisher, router, schedule, schema, store,
    subscription, telemetry,
};

#[cfg(feature = "testing")]
pub use cqrs_core::testing;

#[cfg(feature = "memory")]
#[doc(inline)]
pub use cqrs_memory::{MemoryRows, MemoryStore, RowsMut};

/// The Postgres store.
#[cfg(feature = "postgres")]
#[doc(inline)]
pub use cqrs_postgres as postgres;

#[doc(no_inline)]
pub use cqrs_core::{
    aggregate::Aggregate, application::Application, command::Command, event::Event, event::EventSet,
    handler::EventHandler, middleware::Middleware, process_manager::ProcessManager, projection::Projection,
    publisher::Publisher, router::Router,
};

#[cfg(feature = "macros")]
#[doc(inline)]
pub use cqrs_macros::{
    Command, Event, EventSet, Router, aggregate, application, command_handler, event_handler,
    process_manager, projection,
};

pub mod prelude;

/// What code made by the macros calls. Not for people.
#[doc(hidden)]
pub mod __private {
    pub use cqrs_core::__private::*;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
