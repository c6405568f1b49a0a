//! Aggregates at run time: what a decision may look like, one command at a time, replay, earlier states, other
//! writers.

mod command_handlers;
mod conflicts;
mod decisions;
mod external;
mod failures;
mod instances;
mod replay;
mod state_stored;
mod time_travel;
