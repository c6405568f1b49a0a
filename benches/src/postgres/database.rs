//! A database of one subject.

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::point::BoxError;

#[derive(Clone, Debug)]
pub(crate) struct Database {
    name: String,
    url: Url,
}

impl Database {
    pub(crate) fn new(name: String, url: Url) -> Self {
        Self { name, url }
    }

    /// The database that a URL names.
    pub(crate) fn at(url: Url) -> Self {
        Self { name: url.path().trim_start_matches('/').to_owned(), url }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) async fn pool(&self, connections: u32) -> Result<PgPool, BoxError> {
        let options = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
        Ok(options.connect(self.url.as_str()).await?)
    }

    /// Tells the planner what is in the tables, as a server does by itself after a while.
    pub(crate) async fn analyze(&self) -> Result<(), BoxError> {
        let mut connection = PgConnection::connect(self.url.as_str()).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, query: &'static str) -> Result<usize, BoxError> {
        let mut connection = PgConnection::connect(self.url.as_str()).await?;
        let number: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(usize::try_from(number)?)
    }
}
