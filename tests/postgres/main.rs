//! Applications on the Postgres store, through the facade, on a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test joins what it spawns")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

mod applications;
mod audited;
mod bank;
mod bank_example;
mod clock_jumps;
mod crash_points;
mod domain;
mod errands;
mod handler_state;
#[path = "../support/mortal/mod.rs"]
mod mortal;
mod nodes;
mod odd_keys;
mod outages;
mod partitions;
mod process_crash_points;
mod process_effects;
mod process_managers;
#[path = "../support/program.rs"]
mod program;
mod projections;
mod publisher_crash_points;
mod publishers;
mod rebuild_example;
mod redelivery;
mod scheduled;
mod subscriptions;
mod time_travel;
mod upcasting;
