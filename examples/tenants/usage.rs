//! What the process uses.

use std::fmt;
use std::fs;

use cqrs::postgres::{PostgresPool, sqlx};

/// How many connections to the database the program has open, as the server counts them.
pub async fn connections(pool: &PostgresPool) -> Result<i64, sqlx::Error> {
    let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = current_setting('application_name')";
    sqlx::query_scalar(count).fetch_one(pool.user_pool()).await
}

/// Memory in KiB; Linux tells, others do not.
#[derive(Clone, Copy)]
pub struct Memory(Option<u64>);

impl Memory {
    /// What of the process is in memory.
    pub fn resident() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Self(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()))
    }

    /// What `count` things added since `before`, for each.
    pub fn each(self, before: Self, count: usize) -> Self {
        let added = self.0.zip(before.0).map(|(after, before)| after.saturating_sub(before));
        Self(added.map(|added| added / u64::try_from(count).unwrap_or(1)))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kibibytes) => write!(formatter, "{kibibytes} KiB"),
            None => formatter.write_str("an unknown amount of memory"),
        }
    }
}
