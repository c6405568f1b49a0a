//! What callers do about conflicts when their framework leaves it to them.

use std::time::Duration;

/// Calls again, after a pause that is random and grows to 16 ms, until the outcome is no conflict.
pub(super) async fn retried<T, E, F>(
    mut call: impl FnMut() -> F,
    is_conflict: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut longest = 1_000;
    loop {
        match call().await {
            Err(error) if is_conflict(&error) => {
                tokio::time::sleep(Duration::from_micros(fastrand::u64(0..longest))).await;
                longest = (longest * 2).min(16_000);
            }
            outcome => return outcome,
        }
    }
}
