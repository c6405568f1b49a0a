use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};

use crate::connections::{Connections, Loan};

/// A statement of the store, and its arguments.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// A connection, for as long as it takes to do one thing.
///
/// Behind a pooler in transaction mode each thing is a transaction, since the pooler gives the next statement to
/// another connection of the server.
pub(crate) struct Session {
    connection: Loan,
    begin: Option<Arc<str>>,
    is_open: bool,
}

impl Session {
    pub(crate) async fn acquire(
        connections: &Connections,
        begin: Option<Arc<str>>,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: connections.acquire().await?, begin, is_open: false })
    }

    /// Whether somebody answers at the other end.
    pub(crate) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    /// Makes a query of `sql`; it stays prepared where that is possible.
    pub(crate) fn query<'q>(&self, sql: &Arc<str>) -> Query<'q> {
        sqlx::query(AssertSqlSafe(Arc::clone(sql))).persistent(self.begin.is_none())
    }

    /// The connection, ready for statements.
    pub(crate) async fn open(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.begin.is_some() { self.begin().await } else { Ok(&mut self.connection) }
    }

    /// Begins a transaction whatever the mode.
    pub(crate) async fn begin(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if !self.is_open {
            let begin = self.begin.clone().unwrap_or_else(|| "begin isolation level read committed".into());
            // Before it is: whoever stops waiting for the answer may leave an open transaction.
            self.is_open = true;
            sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *self.connection).await?;
        }
        Ok(&mut self.connection)
    }

    /// Begins a transaction of the driver, for what makes transactions of its own within.
    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
        self.connection.begin().await
    }

    /// Ends what was begun: what was written counts from here on.
    pub(crate) async fn finish(&mut self) -> Result<(), sqlx::Error> {
        self.end("commit").await
    }

    /// Ends what was begun, and undoes it.
    pub(crate) async fn undo(&mut self) -> Result<(), sqlx::Error> {
        self.end("rollback").await
    }

    async fn end(&mut self, how: &'static str) -> Result<(), sqlx::Error> {
        if std::mem::take(&mut self.is_open) {
            sqlx::raw_sql(how).execute(&mut *self.connection).await?;
        }
        self.connection.in_order();
        Ok(())
    }

    /// Throws the connection away: nobody knows what state it is in.
    pub(crate) fn discard(mut self) {
        self.connection.close_on_drop();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_open {
            // Somebody stopped half-way: the server undoes it when the connection ends.
            self.connection.close_on_drop();
        }
    }
}
