//! What most files of an application need: `use cqrs::prelude::*;`.

#[cfg(feature = "macros")]
#[doc(no_inline)]
pub use cqrs_macros::{aggregate, application, command_handler, event_handler, process_manager, projection};

#[cfg(feature = "memory")]
#[doc(no_inline)]
pub use crate::{MemoryRows, MemoryStore, RowsMut};

#[cfg(feature = "postgres")]
#[doc(no_inline)]
pub use crate::postgres::{PostgresConfig, PostgresStore};

#[doc(no_inline)]
pub use crate::{
    Aggregate, Application, Command, Event, EventHandler, EventSet, Middleware, ProcessManager, Projection,
    Publisher, Router,
    aggregate::{Emitter, Events, Lifespan},
    application::Config,
    command::{CommandContext, ValidationErrors},
    dispatch::Consistency::{self, Eventual, Strong},
    dispatch::{DispatchError, Dispatched},
    event::{EventContext, RawEvent},
    handler::{ErrorAction, HandlerFailure, RetryPolicy, StartContext},
    middleware::{DispatchContext, DispatchFailure, DispatchOutcome, Halt},
    process_manager::{Interest, Process, ProcessAction, ProcessError, ProcessFailure, SentCommand},
    projection::{Projected, ProjectionContext, ProjectionFailure},
};
