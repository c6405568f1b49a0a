//! What led to what. An event carries its command as its causation, the event that made a handler send that command in
//! its metadata ([`Metadata::command_causation_id`](crate::event::Metadata::command_causation_id)), and the correlation
//! that all of them share; so the way from the first command to the last event can be gone in both directions.

mod query;
mod tree;

pub use query::Lineage;
pub use tree::{LineageNode, LineageTree};
