//! The server that is measured on.

use cqrs::postgres::testing::TestServer;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use crate::point::BoxError;
use crate::postgres::Database;

/// Writes so much that the write-ahead log has files to use again, as that of a server that has run for a while: a new
/// server makes a file for each 16 MB, which costs tens of milliseconds and is no part of what is measured.
const WARM_UP: [&str; 3] = [
    "CREATE TABLE warm_up AS SELECT repeat('x', 1000) AS filling FROM generate_series(1, 700000)",
    "DROP TABLE warm_up",
    "CHECKPOINT",
];

/// A Postgres server, and the right to create databases on it.
#[derive(Debug)]
pub(crate) struct Server {
    url: Url,
    /// The server, when it is one of our own; it ends with this value.
    _own: Option<TestServer>,
}

impl Server {
    /// The server that `DATABASE_URL` names, else a new one: with the settings that Postgres comes with, except that
    /// it takes 200 connections, warmed up.
    pub(crate) async fn find() -> Result<Self, BoxError> {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Ok(Self { url: Url::parse(&url)?, _own: None });
        }
        let own = TestServer::builder().durable().start().await?;
        let server = Self { url: Url::parse(own.url())?, _own: Some(own) };
        for statement in WARM_UP {
            server.run(statement.to_owned()).await?;
        }
        Ok(server)
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, BoxError> {
        let place = self.url.host_str().unwrap_or_default();
        let connection = PgConnection::connect(self.url.as_str()).await;
        connection.map_err(|error| format!("no Postgres server at {place:?}: {error}").into())
    }

    /// A new, empty database. It is dropped by [`drop_database`](Self::drop_database).
    pub(crate) async fn create_database(&self, name: &str) -> Result<Database, BoxError> {
        let name = format!("cqrs_bench_{}_{}", std::process::id(), name.replace('-', "_"));
        self.run(format!("CREATE DATABASE {name}")).await?;
        let mut url = self.url.clone();
        url.set_path(&name);
        Ok(Database::new(name, url))
    }

    pub(crate) async fn drop_database(&self, database: &Database) -> Result<(), BoxError> {
        self.run(format!("DROP DATABASE {} WITH (FORCE)", database.name())).await
    }

    /// Runs a statement.
    async fn run(&self, statement: String) -> Result<(), BoxError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}
