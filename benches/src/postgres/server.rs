//! The server that is measured on.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use crate::point::BoxError;
use crate::postgres::Database;

/// The server that is used when `DATABASE_URL` names none.
const LOCAL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A Postgres server, and the right to create databases on it.
#[derive(Debug)]
pub(crate) struct Server {
    url: Url,
}

impl Server {
    pub(crate) fn find() -> Result<Self, BoxError> {
        let url = std::env::var("DATABASE_URL");
        Ok(Self { url: Url::parse(url.as_deref().unwrap_or(LOCAL))? })
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
