//! Dispatch: the way of a command from the caller to the log, and what comes back.
//!
//! 1. The options are resolved: call, command, router, application, framework, the first that says
//!    something wins. Ids are drawn, correlation is inherited.
//! 2. The layers of middleware are entered.
//! 3. The command is validated, its identity becomes a stream id.
//! 4. The aggregate executes it and its events are appended, under the command's id.
//! 5. With strong consistency, handlers are waited for.
//! 6. The layers are left.

mod builder;
mod error;
mod json;
mod options;
mod outcome;
mod pipeline;
mod setters;

pub use builder::Dispatch;
pub use error::{DispatchError, PanicPlace, Pending, Rejection, TimeoutOutcome};
pub use json::{DispatchJson, JsonDispatched, JsonEvent};
pub use options::{Consistency, DispatchDefaults};
pub use outcome::Dispatched;

pub(crate) use json::{DispatchAny, Typed};
pub(crate) use options::{CallOptions, Resolved};
pub(crate) use pipeline::{Request, dispatch};
