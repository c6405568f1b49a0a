//! The shapes of stored events under guard. The event types of a program are compared as a whole, hence a binary of
//! its own.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]
#![expect(unreachable_pub, reason = "the events read like those of an application")]

mod changes;
mod domain;
mod files;
mod shapes;

/// Fails when an event of this binary changes; `CQRS_EVENTS_LOCK=write cargo test --test events_lock` takes it in.
#[test]
fn the_events_of_this_program_are_those_of_the_committed_file() {
    cqrs::schema::check!("tests/events_lock/events.lock");
}
