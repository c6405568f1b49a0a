//! Memory that runs short: aggregates that nobody needs at the moment leave it before the system ends the process.
//!
//! Every few seconds an application looks at how much memory is in use, and how much may be
//! ([`MemoryMeter`], by default [`SystemMemory`]). Above the high-water mark the less recently used half of the aggregates
//! in memory leave it, those excepted that are at work, and the bound on their number falls to what is left; that happens
//! again with each look until there is less pressure. Below the low-water mark the bound is what was configured again.
//! Nothing is lost by that: whoever is needed again is read from its snapshot and events.
//!
//! | | | unless set |
//! |---|---|---|
//! | how often it looks | [`Config::memory_interval`] | 5 s |
//! | high-water mark | [`Config::memory_high_water`] | 85 % |
//! | low-water mark | [`Config::memory_low_water`] | 70 % |
//! | the bound without pressure | [`Config::max_live_aggregates`] | 100,000 |
//! | the lowest bound | | a hundredth of that, at least 1 |
//! | to turn it off | [`Config::ignore_memory`] | it is on |
//!
//! Where no limit is known, nothing happens. Each application instance of a process looks for itself. What has happened is told by [`Health::memory`] and the log.
//!
//! [`Config::memory_interval`]: crate::application::Config::memory_interval
//! [`Config::memory_high_water`]: crate::application::Config::memory_high_water
//! [`Config::memory_low_water`]: crate::application::Config::memory_low_water
//! [`Config::max_live_aggregates`]: crate::application::Config::max_live_aggregates
//! [`Config::ignore_memory`]: crate::application::Config::ignore_memory
//! [`Health::memory`]: crate::application::Health::memory

mod bound;
mod cgroup;
mod meter;
mod status;
mod system;
mod watch;

pub use meter::{MemoryMeter, MemoryUse};
pub use status::MemoryStatus;
pub use system::SystemMemory;

pub(crate) use bound::LiveBound;
pub(crate) use watch::watch;
