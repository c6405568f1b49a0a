//! Event handlers: what they are given, in which order, and what becomes of failures.

mod added_and_removed;
mod ambient;
mod batches;
mod catch_up;
mod correlation;
mod crash_points;
pub mod domain;
mod effects;
mod errors;
mod hanging;
mod hooks;
mod kit;
mod lifecycle;
mod names_and_start;
mod order;
mod parking;
pub mod partitions;
mod pausing;
mod redelivery;
mod restart;
mod state;
mod subscriptions;
mod surplus;
mod tail;
