//! Snapshots: when they are taken, when they are used, and what happens when they are wrong.

pub mod domain;
mod faults;
mod passivation;
mod restoring;
mod taking;
