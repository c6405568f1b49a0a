use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::mem;

use cqrs_core::projection::{RowError, RowTransaction};
use cqrs_core::store::{HandlerCommit, StoreError};
use sqlx::PgConnection;

use crate::projection::PostgresRowTransaction;
use crate::projection::bulk::BulkRow;
use crate::projection::transaction::not_written;
use crate::session::Query;

/// What a projection on [`BulkRows`](crate::BulkRows) writes to.
pub struct BulkWriter {
    transaction: PostgresRowTransaction,
    /// In the order in which they are to be made.
    statements: Vec<Statement>,
}

/// A statement, and the rows that it is to write.
struct Statement {
    sql: &'static str,
    rows: Box<dyn Rows>,
    /// What its rows are told by.
    keys: HashSet<u64>,
}

/// Rows whose type is no longer known.
trait Rows: Any + Send {
    fn bind(self: Box<Self>, query: Query<'static>) -> Query<'static>;
}

struct RowsOf<R: BulkRow>(R::Arrays);

impl<R: BulkRow> Rows for RowsOf<R> {
    fn bind(self: Box<Self>, query: Query<'static>) -> Query<'static> {
        R::bind(self.0, query)
    }
}

impl BulkWriter {
    pub(super) fn new(transaction: PostgresRowTransaction) -> Self {
        Self { transaction, statements: Vec::new() }
    }

    /// Has a row written by a statement that is given an array for each column, together with other rows, at the end of the
    /// batch at the latest.
    ///
    /// Rows of one statement come in their order. Rows of different statements that are the same, by their first values,
    /// are written in their order as well; others may change places.
    ///
    /// # Errors
    /// When rows had to be written first, and the database fails or refuses them. What is refused later fails the batch
    /// all the same: each of its events is then projected alone, so that the right one is found.
    ///
    /// # Cancel safety
    /// The transaction must be given up when the future is dropped.
    pub async fn write<R: BulkRow>(&mut self, sql: &'static str, row: R) -> Result<(), sqlx::Error> {
        let key = row.key();
        let is_its =
            |statement: &Statement| statement.sql == sql && (&*statement.rows as &dyn Any).is::<RowsOf<R>>();
        let place = self.statements.iter().position(is_its);
        // It must not come before what is to be done with the same row first.
        let later = place.map_or(&[][..], |place| &self.statements[place + 1..]);
        if later.iter().any(|statement| statement.keys.contains(&key)) {
            self.flush().await?;
        }
        let place = place.filter(|place| *place < self.statements.len()).unwrap_or_else(|| {
            let rows = Box::new(RowsOf::<R>(R::Arrays::default()));
            self.statements.push(Statement { sql, rows, keys: HashSet::new() });
            self.statements.len() - 1
        });
        let statement = &mut self.statements[place];
        statement.keys.insert(key);
        if let Some(RowsOf(arrays)) = (&mut *statement.rows as &mut dyn Any).downcast_mut::<RowsOf<R>>() {
            row.push(arrays);
        }
        Ok(())
    }

    /// The connection, for whatever else is to be done in the transaction: it finds all rows that were written before.
    ///
    /// # Errors
    /// When the database fails or refuses these.
    ///
    /// # Cancel safety
    /// The transaction must be given up when the future is dropped.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.flush().await?;
        Ok(self.transaction.connection())
    }

    async fn flush(&mut self) -> Result<(), sqlx::Error> {
        let is_persistent = self.transaction.is_persistent();
        for Statement { sql, rows, .. } in mem::take(&mut self.statements) {
            let query = rows.bind(sqlx::query(sql).persistent(is_persistent));
            query.execute(self.transaction.connection()).await?;
        }
        Ok(())
    }
}

impl RowTransaction for BulkWriter {
    type Connection = Self;

    fn connection(&mut self) -> &mut Self {
        self
    }

    async fn commit(mut self, from: u64, commit: HandlerCommit) -> Result<(), RowError> {
        self.flush().await.map_err(not_written)?;
        self.transaction.commit(from, commit).await
    }

    async fn roll_back(self) -> Result<(), StoreError> {
        self.transaction.roll_back().await
    }
}

impl fmt::Debug for BulkWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statements: Vec<_> = self.statements.iter().map(|statement| statement.sql).collect();
        formatter.debug_struct("BulkWriter").field("statements", &statements).finish_non_exhaustive()
    }
}
