use std::time::Duration;

/// How often what the database could not do this time, but may the next, is tried.
pub(crate) const ATTEMPTS: u32 = 10;

/// How long to wait before the next attempt: 5 ms, doubled with each up to 640 ms, and between half and one and a half
/// times that, so that those who failed together do not come again together.
pub(crate) fn pause(attempts: u32) -> Duration {
    Duration::from_millis(5 << attempts.min(7)).mul_f64(0.5 + fastrand::f64())
}
