use sqlx::{AssertSqlSafe, PgConnection};

use crate::testing::clean_up::{CleanUp, execute};
use crate::testing::server::connect;
use crate::testing::server_url::ServerUrl;
use crate::testing::unique::unique_name;
use crate::testing::{HarnessError, TestServer};

/// A database for one test, for what concerns more than one schema: settings, extensions, other users of the
/// server.
///
/// Dropping the value drops the database where it would stay, on the server of `DATABASE_URL`. A server that
/// the harness has started takes it along when it vanishes.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::testing::{TestDatabase, TestServer};
///
/// let database = TestDatabase::new(TestServer::shared().await?).await?;
/// sqlx::raw_sql("CREATE SCHEMA bank").execute(&mut database.connect().await?).await?;
/// database.drop_all().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    url: ServerUrl,
    name: String,
    clean_up: CleanUp,
}

impl TestDatabase {
    /// Creates an empty database on the server.
    ///
    /// # Errors
    /// When the server does not take a connection, or its user may not create databases.
    ///
    /// # Cancel safety
    /// When the future is dropped, a database may stay.
    pub async fn new(server: &TestServer) -> Result<Self, HarnessError> {
        let name = unique_name();
        let mut connection = server.connect().await?;
        // Nobody is ever connected to this template, which would stand in the way.
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        execute(&mut connection, AssertSqlSafe(create))
            .await
            .map_err(HarnessError::sql("create a database"))?;
        let clean_up = CleanUp::on(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        Ok(Self { url: server.server_url().with_database(&name), name, clean_up })
    }

    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The database's name. It needs no quotes in SQL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to the database.
    ///
    /// # Errors
    /// When the server does not take it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn connect(&self) -> Result<PgConnection, HarnessError> {
        connect(self.url()).await
    }

    /// Ends all connections to the database, and drops it.
    ///
    /// # Errors
    /// When the server refuses.
    ///
    /// # Cancel safety
    /// The database is dropped, or it is not.
    pub async fn drop_all(self) -> Result<(), HarnessError> {
        self.clean_up.run().await
    }
}
