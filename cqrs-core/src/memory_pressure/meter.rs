use std::fmt;

/// Tells how much memory is in use.
///
/// [`SystemMemory`](crate::memory_pressure::SystemMemory) does it where Linux tells; other platforms, and tests, give their
/// own to [`Builder::memory_meter`](crate::application::Builder::memory_meter):
///
/// ```
/// use cqrs_core::memory_pressure::{MemoryMeter, MemoryUse};
///
/// /// Of a process that may have a gigabyte.
/// #[derive(Debug)]
/// struct Quota;
///
/// impl MemoryMeter for Quota {
///     fn measure(&self) -> Option<MemoryUse> {
///         # let allocated_by_now = || 900_000_000;
///         Some(MemoryUse { used: allocated_by_now(), limit: 1_000_000_000 })
///     }
/// }
///
/// assert_eq!(Quota.measure().map(|memory| memory.percent()), Some(90));
/// ```
pub trait MemoryMeter: fmt::Debug + Send + Sync + 'static {
    /// How much is in use now, and how much may be; `None` when either is not known. It is asked in a task of the
    /// application and must not take long. When it panics, it is asked again later.
    fn measure(&self) -> Option<MemoryUse>;
}

/// How much memory is in use, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// What is in use and cannot be had back at once, in bytes.
    pub used: u64,
    /// How much may be in use before somebody is killed, in bytes.
    pub limit: u64,
}

impl MemoryUse {
    /// The part of the limit that is in use, in percent, rounded down; more than 100 is possible. A limit of 0 is used
    /// up.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = (u128::from(self.used) * 100).checked_div(u128::from(self.limit)).unwrap_or(100);
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} bytes ({} %)", self.used, self.limit, self.percent())
    }
}
