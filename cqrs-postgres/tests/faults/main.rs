//! Whatever breaks, the log is what callers were told: each fault is brought about on purpose, and the log is read by
//! plain SQL afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test waits for the tasks that it spawns")]

mod chaos;
mod children;
mod commits;
mod disk;
mod idle;
mod injected;
mod killed;
mod latency;
mod leases;
mod ledger;
mod listeners;
mod locked;
mod lost_answers;
mod malformed;
mod partition;
mod pools;
mod restarts;
mod support;
mod zombies;
