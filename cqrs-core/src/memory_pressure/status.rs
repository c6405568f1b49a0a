use crate::memory_pressure::MemoryUse;

/// How memory is, and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStatus {
    /// What was in use at the last look; `None` when that is not known, or nobody looks.
    pub memory: Option<MemoryUse>,
    /// How many aggregates may be in memory at the moment.
    pub max_live_aggregates: usize,
    /// How many aggregates have left memory for its sake since the application was started. Those that left because they
    /// were not used for long, or because there were more than [`Config::max_live_aggregates`], do not count.
    ///
    /// [`Config::max_live_aggregates`]: crate::application::Config::max_live_aggregates
    pub passivated: u64,
    /// Whether memory ran short and has not been below the low-water mark since.
    pub is_under_pressure: bool,
}
