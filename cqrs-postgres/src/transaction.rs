use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cqrs_core::store::{Append, AppendError, Appended, StoreError};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use crate::PostgresStore;
use crate::append::{Answer, Unit, append_within};
use crate::error::store_error;
use crate::store::committed;

/// A transaction of user code in which events are appended as well: they and the rows that user code writes are
/// committed together, or none of them.
///
/// It derefs to the driver's connection. An append takes the lock of the log and keeps it until the transaction ends:
/// **make it the last thing before the commit**, since every other append of the schema waits meanwhile (those of the
/// store give up after [`PostgresConfig::lock_timeout`](crate::PostgresConfig::lock_timeout)). The transaction must be
/// `READ COMMITTED`, and must not be joined by a second one of the same task that appends too: they would wait for
/// each other until that timeout.
///
/// Inline projections are not asked: their rows follow a moment later, or with the next command.
///
/// Dropping it undoes everything.
///
/// ```no_run
/// # async fn example(store: cqrs_postgres::PostgresStore, append: cqrs_core::store::Append)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = store.begin().await?;
/// sqlx::query("insert into usernames (name) values ($1)").bind("ada").execute(&mut *transaction).await?;
/// transaction.append(append).await?;
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
pub struct PostgresTransaction {
    transaction: Transaction<'static, Postgres>,
    store: PostgresStore,
    /// The position of the last event appended.
    head: u64,
}

impl PostgresStore {
    /// Begins a transaction for user code, on one of its connections.
    ///
    /// # Errors
    /// When the database does not answer, or user code has all of its connections in use.
    pub async fn begin(&self) -> Result<PostgresTransaction, StoreError> {
        let begin = "begin isolation level read committed";
        let transaction = self.user_pool().begin_with(begin).await.map_err(store_error)?;
        Ok(PostgresTransaction { transaction, store: self.clone(), head: 0 })
    }

    /// Appends within a transaction that user code has begun by itself on this database; see
    /// [`PostgresTransaction`] for the limits. Readers in this process notice the events a moment after the commit.
    ///
    /// # Errors
    /// As [`EventStore::append`](cqrs_core::store::EventStore::append). After
    /// [`AppendError::WrongExpectedVersion`] and the other refusals the transaction can go on; after
    /// [`AppendError::Store`] and [`AppendError::DuplicateEvent`] it can only be rolled back.
    pub async fn append_in(
        &self,
        connection: &mut PgConnection,
        append: Append,
    ) -> Result<Appended, AppendError> {
        let appended = self.append_on(connection, append).await?;
        if appended.position > 0 {
            let notify = sqlx::query(AssertSqlSafe(Arc::clone(&self.shared.statements.notify)));
            let notify = notify.bind(self.shared.channel.to_string()).bind(appended.position.to_string());
            notify.persistent(false).execute(connection).await.map_err(store_error)?;
        }
        Ok(appended)
    }

    async fn append_on(
        &self,
        connection: &mut PgConnection,
        append: Append,
    ) -> Result<Appended, AppendError> {
        let unit = Unit::one(append);
        unit.check(self.shared.schema.max_append_bytes)?;
        let persistent = !self.shared.pool.config().is_pooled();
        let (statements, payload) = (&self.shared.statements, self.shared.schema.payload);
        match append_within(connection, statements, payload, persistent, &unit).await? {
            Answer::Written(mut all) => {
                all.pop().ok_or_else(|| StoreError::Failed("the append has no outcome".into()).into())
            }
            Answer::Refused(error) => Err(error),
            // The events of an append that was made before are there already.
            Answer::Known(append_id) => Err(AppendError::AlreadyAppended { append_id }),
        }
    }
}

impl PostgresTransaction {
    /// Appends within the transaction; others see the events after the commit.
    ///
    /// # Errors
    /// As [`PostgresStore::append_in`].
    pub async fn append(&mut self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.store.append_on(&mut self.transaction, append).await?;
        self.head = self.head.max(appended.position);
        Ok(appended)
    }

    /// Commits everything, and wakes those who wait for events.
    ///
    /// # Errors
    /// When the commit fails. When the connection broke meanwhile, whether it happened is open:
    /// [`EventStore::outcome`](cqrs_core::store::EventStore::outcome) tells, by the append's id.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(store_error)?;
        if self.head > 0 {
            let shared = &self.store.shared;
            committed(&shared.pool, &shared.head, &shared.channel, self.head);
        }
        Ok(())
    }

    /// Undoes everything.
    ///
    /// # Errors
    /// When the connection breaks; the server undoes it then.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.map_err(store_error)
    }
}

impl Deref for PostgresTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for PostgresTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for PostgresTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresTransaction").field("store", &self.store).finish_non_exhaustive()
    }
}
