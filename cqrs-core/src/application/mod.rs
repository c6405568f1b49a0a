//! Applications: everything that belongs together, supervised as one.
//!
//! `application!` declares a type that implements [`Application`]; its [`Builder`] binds it to a store and
//! starts it; what comes out is a handle to the [`Running`] application.

mod attach;
mod attachment;
mod builder;
mod check;
mod config;
mod core;
mod definition;
mod error;
mod handler_error;
mod handlers;
mod health;
mod inline;
mod instances;
mod places;
mod running;
mod start;
mod supervisor;

pub use builder::Builder;
pub use config::Config;
pub use definition::{Application, Definition};
pub use error::{ForeignRows, ShutdownReport, StartError, StartFault};
pub use handler_error::{AddHandlerError, RemoveHandlerError};
pub use health::{ApplicationState, Health};
pub use running::{AggregateState, Running, StateError};

pub(crate) use core::Core;
pub(crate) use supervisor::Supervised;
