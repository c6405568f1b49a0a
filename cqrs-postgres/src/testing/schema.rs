use sqlx::{AssertSqlSafe, PgConnection};

use crate::testing::clean_up::{CleanUp, execute};
use crate::testing::server::connect;
use crate::testing::unique::unique_name;
use crate::testing::{HarnessError, TestServer};

/// A schema for one test: a name that nobody else has, and the end of whatever gets that name.
///
/// The schema is not created: that is what the store under test does.
///
/// Dropping the value drops the schema where it would stay, on the server of `DATABASE_URL`. A server that
/// the harness has started takes it along when it vanishes.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::testing::{TestSchema, TestServer};
///
/// let schema = TestSchema::new(TestServer::shared().await?);
/// let (url, name) = (schema.url(), schema.name());
/// # let connect_a_store = |_: &str, _: &str| {};
/// connect_a_store(url, name);
///
/// let mut connection = schema.connect().await?;
/// let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut connection).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestSchema {
    url: String,
    name: String,
    clean_up: CleanUp,
}

impl TestSchema {
    /// A schema of its own on the server.
    #[must_use]
    pub fn new(server: &TestServer) -> Self {
        let name = unique_name();
        let drop = format!("SET lock_timeout = '2s'; DROP SCHEMA IF EXISTS {name} CASCADE");
        Self { url: server.url().to_owned(), clean_up: CleanUp::on(server, drop), name }
    }

    /// The URL of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The schema's name. It needs no quotes in SQL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection on which unqualified names are those of the schema.
    ///
    /// # Errors
    /// When the server does not take it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn connect(&self) -> Result<PgConnection, HarnessError> {
        let mut connection = connect(&self.url).await?;
        execute(&mut connection, AssertSqlSafe(format!("SET search_path TO {}", self.name)))
            .await
            .map_err(HarnessError::sql("enter the schema"))?;
        Ok(connection)
    }

    /// Drops the schema with all that is in it.
    ///
    /// # Errors
    /// When the server refuses, for instance because somebody locks a table for two seconds.
    ///
    /// # Cancel safety
    /// The schema is dropped, or it is not.
    pub async fn drop_all(self) -> Result<(), HarnessError> {
        self.clean_up.run().await
    }
}
