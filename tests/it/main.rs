//! Everything that is tested through the facade, in one binary.
//!
//! A test that covers a scenario of the acceptance lists carries the scenario's id in its name or in a comment.

#![expect(
    unreachable_pub,
    missing_docs,
    reason = "test domains read like those of an application"
)]

mod abandoned;
mod outcomes;
