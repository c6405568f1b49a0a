//! This framework on its Postgres store.

mod append;
mod balances;
mod bank;
mod counted;
mod divided;
mod event;
mod fill;
mod flat_cost;
mod inline;
mod log;
mod memory;
mod money;
mod partitions;
mod projection;
mod reader;
mod rebuild;
mod role;
mod set_up;
mod strong;
mod tail_reads;
mod tenants;
mod timers;
mod transfers;
mod two_processes;
mod wal;

pub(crate) use append::{Appends, Bytea, Jsonb};
pub(crate) use role::Role;
pub(crate) use set_up::set_up;
pub(crate) use wal::Wal;
