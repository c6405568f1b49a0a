//! Commands for one account: all callers wait for the same aggregate.
//!
//! `cqrs-es` is left out: its in-memory store checks no version, so that concurrent commands for one aggregate
//! overwrite each other's events.

use crate::dispatch::on_memory;
use crate::point::{BoxError, Effort, Point, Value};
use crate::workload::{Load, two_workers};

pub(crate) fn measure(point: Point, effort: Effort) -> Result<Vec<Value>, BoxError> {
    let load = Load { callers: point.callers, accounts: 1, commands: effort.pick(40_000, 200_000) };
    two_workers()?.block_on(on_memory(point.metric, load))
}
