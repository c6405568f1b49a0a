//! Scheduled commands: to be carried out at a time, once or again and again, whichever node runs then.

mod handle;
mod scheduled;
mod scheduler;

pub use handle::{ScheduleError, ScheduledCommand, Schedules};
pub use scheduled::{CronError, Schedule};
pub use scheduler::Scheduler;

pub(crate) use scheduled::next_time;
pub(crate) use scheduler::TIMES_SET_ASIDE;
