//! Event handlers: what they are given, in which order, and what becomes of failures.

mod ambient;
mod batches;
mod catch_up;
mod crash_points;
pub mod domain;
mod effects;
mod errors;
mod hooks;
mod kit;
mod lifecycle;
mod names_and_start;
mod order;
mod parking;
mod partitions;
mod redelivery;
mod restart;
mod state;
mod subscriptions;
