//! Everything that is tested through the facade, in one binary.
//!
//! A test that covers a scenario of the acceptance lists carries the scenario's id in its name or in a comment.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]
#![expect(unreachable_pub, reason = "test domains read like those of an application")]

mod abandoned;
mod aggregates;
mod applications;
mod bad_input;
mod bank_example;
mod clock_jumps;
mod consistency;
mod dispatch;
mod events;
mod handlers;
mod hot_aggregate;
mod isolation;
mod leases;
mod lifespan;
mod middleware;
mod outcomes;
mod process_managers;
#[path = "../support/program.rs"]
mod program;
mod projections;
mod properties;
mod publishers;
mod races;
mod rebuild_example;
mod routing;
mod schedule;
mod shutdown;
mod snapshots;
mod support;
mod user_code;
