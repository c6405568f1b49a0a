//! Projections on rows in memory: each event takes effect once, whatever happens meanwhile.

mod at_least;
mod basics;
mod batches;
mod crash_points;
pub mod domain;
mod failures;
mod flaky;
pub mod inline;
mod interrupted;
mod kit;
mod owners;
mod partitions;
mod rebuild;
mod versions;
