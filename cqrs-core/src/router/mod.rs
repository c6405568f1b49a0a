//! Routers: groups of commands with middleware and defaults of their own.

mod contains;
mod definition;

pub use contains::{Contains, Here, Inside, RouterList, There, Unlisted};
pub use definition::{Router, RouterDefinition};
