//! Routers: groups of commands with middleware and defaults of their own.

mod contains;
mod definition;

pub use contains::{CarriedBy, Contains, Here, Inside, RouterList, There};
pub use definition::{Router, RouterDefinition};
