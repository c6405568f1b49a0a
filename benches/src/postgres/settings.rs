//! What decides how fast a server can be: its settings, and how long it takes to commit.

use std::time::Instant;

use sqlx::PgPool;

use crate::point::BoxError;
use crate::postgres::Database;

/// The settings that the head of a report shows.
const SHOWN: &str = r"
SELECT name, current_setting(name)
FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers']) AS name
";

/// Without these, a commit that was acknowledged may be lost: no figure would mean anything.
const DURABLE: [&str; 2] = ["fsync", "synchronous_commit"];

const COMMITS: usize = 300;

/// The lines about the server at the head of a report.
///
/// # Errors
///
/// A server that does not keep what it acknowledges is not measured.
pub(crate) async fn head(database: &Database) -> Result<Vec<String>, BoxError> {
    let pool = database.pool(1).await?;
    let settings: Vec<(String, String)> = sqlx::query_as(SHOWN).fetch_all(&pool).await?;
    for (name, value) in &settings {
        if DURABLE.contains(&name.as_str()) && value != "on" {
            return Err(format!("the server has {name} = {value}, which is not measured").into());
        }
    }
    let settings: Vec<_> = settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let commit = commit_micros(&pool).await?;
    let commit = format!("commit of one row, alone: {commit:.0} us (median of {COMMITS})");
    Ok(vec![format!("Postgres: {}", settings.join(", ")), commit])
}

/// How long a lone transaction takes that inserts one row, in the middle.
async fn commit_micros(pool: &PgPool) -> Result<f64, BoxError> {
    sqlx::raw_sql("CREATE TABLE commits (n bigint)").execute(pool).await?;
    let mut times = Vec::with_capacity(COMMITS);
    while times.len() < COMMITS {
        let started = Instant::now();
        sqlx::query("INSERT INTO commits (n) VALUES (1)").execute(pool).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[COMMITS / 2].as_secs_f64() * 1e6)
}
