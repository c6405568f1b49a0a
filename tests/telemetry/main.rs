//! What the framework tells about itself. `tracing` remembers for all threads who is interested in what, hence a binary
//! of its own, with one subscriber that hears everything.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]
#![expect(unreachable_pub, reason = "test domains read like those of an application")]

mod batches;
mod collector;
mod domain;
mod errors;
mod export;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../it/applications/faulty_store.rs"]
mod faulty_store;
mod fields;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../it/support/gate.rs"]
mod gate;
mod lag;
mod links;
mod names;
mod operations;
#[path = "../support/program.rs"]
mod program;
mod recorder;
mod steps;
mod story;
mod table;
mod traces;
