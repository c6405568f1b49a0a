//! Frameworks on Postgres, each through its own public interface.

mod cqrs_es;
mod disintegrate;
mod eventcore;
mod evento;
mod eventsourced;
mod pool;
mod retry;
mod set_up;

pub(crate) use set_up::{ALL, WITH_HANDLERS, set_up};
