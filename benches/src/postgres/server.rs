//! The server that is measured on.

use cqrs::postgres::testing::TestServer;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use crate::point::BoxError;
use crate::postgres::Database;

/// A Postgres server, and the right to create databases on it.
#[derive(Debug)]
pub(crate) struct Server {
    url: Url,
    /// The server, when it is one of our own; it ends with this value.
    _own: Option<TestServer>,
}

impl Server {
    /// The server that `DATABASE_URL` names, else a new one: with the settings that Postgres comes with, except that
    /// it takes 200 connections.
    pub(crate) async fn find() -> Result<Self, BoxError> {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Ok(Self { url: Url::parse(&url)?, _own: None });
        }
        let own = TestServer::builder().durable().start().await?;
        Ok(Self { url: Url::parse(own.url())?, _own: Some(own) })
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

    /// Runs a statement about a database, whose name cannot be a parameter.
    async fn run(&self, statement: String) -> Result<(), BoxError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}
