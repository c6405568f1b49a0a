use std::thread;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};
use tokio::runtime;
use tokio::time::timeout;

use crate::testing::server::connect;
use crate::testing::{HarnessError, TestServer};

/// Dropping a value must not hang because its server does.
const LIMIT: Duration = Duration::from_secs(5);

/// What removes a test's traces from a server: by hand, or when it is dropped on a server that stays.
#[derive(Debug)]
pub(crate) struct CleanUp {
    url: String,
    sql: String,
    armed: bool,
}

impl CleanUp {
    pub(crate) fn on(server: &TestServer, sql: String) -> Self {
        Self { url: server.url().to_owned(), sql, armed: server.is_external() }
    }

    pub(crate) async fn run(mut self) -> Result<(), HarnessError> {
        clean(&self.url, &self.sql).await?;
        self.armed = false;
        Ok(())
    }
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (url, sql) = (std::mem::take(&mut self.url), std::mem::take(&mut self.sql));
        // The runtime of the test, if there still is one, cannot be waited for from here.
        let clean = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            // What stays behind is not worth a failure.
            let _ = runtime.block_on(async { timeout(LIMIT, clean(&url, &sql)).await });
            Ok::<_, std::io::Error>(())
        };
        let _ = thread::spawn(clean).join();
    }
}

async fn clean(url: &str, sql: &str) -> Result<(), HarnessError> {
    let mut connection = connect(url).await?;
    execute(&mut connection, AssertSqlSafe(sql)).await.map_err(HarnessError::sql("clean up"))?;
    connection.close().await.map_err(HarnessError::sql("close the connection"))
}

/// Executes SQL without results.
pub(crate) async fn execute(connection: &mut PgConnection, sql: impl SqlSafeStr) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}
