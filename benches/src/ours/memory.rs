//! How much memory a process takes while it appends as fast as it can.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::child;
use crate::footprint::{peak_bytes, resident_bytes};
use crate::ours::append::{Appends, Jsonb};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres as _, Ready, Slice};

/// What the child tells besides its memory.
const STORED: &str = "stored";

pub(super) struct Memory {
    database: Database,
    stored: AtomicUsize,
}

impl Memory {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let database = course.database().clone();
        let subject = Appends::<Jsonb>::set_up(&database).await?;
        Ok(Ready::of(subject, Self { database, stored: AtomicUsize::new(0) }))
    }
}

#[async_trait]
impl Contender for Memory {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let millis = (slice.warm_up + slice.length).as_millis();
        let arguments = [slice.number.to_string(), slice.callers.to_string(), millis.to_string()];
        let values = child::run_role("memory", self.database.url(), &arguments).await?;
        let (stored, values): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| value.metric == STORED);
        let stored = stored.into_iter().next().ok_or("the process has not told what it stored")?;
        self.stored.fetch_add(stored.count(), Ordering::Relaxed);
        Ok(values)
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

/// The child's side.
pub(super) async fn measure(
    database: &Database,
    slice: usize,
    callers: usize,
    millis: u64,
) -> Result<Vec<Value>, BoxError> {
    let appends = Appends::<Jsonb>::set_up(database).await?;
    let before = resident_bytes()?;
    let length = Duration::from_millis(millis);
    let answered = Slice { number: slice, callers, warm_up: Duration::ZERO, length }.run(&appends).await?;
    let (after, peak) = (resident_bytes()?, peak_bytes()?);
    appends.close().await;
    Ok(vec![
        Value::new(Metric::Memory, mebibytes(peak), "MiB"),
        Value::new("memory-before", mebibytes(before), "MiB"),
        Value::new("memory-after", mebibytes(after), "MiB"),
        Value::of_count(STORED, answered.acknowledged),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1024 * 1024)
}
