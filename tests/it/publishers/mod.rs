//! Publishers: what reaches a broker, in which order, under which ids, and what remains of it when something fails.

mod confirmation;
mod crash_points;
pub mod domain;
mod failures;
mod interrupted;
mod looking_after;
mod messages;
mod slow;
mod zombies;
