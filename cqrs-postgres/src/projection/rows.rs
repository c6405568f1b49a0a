use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::projection::{Claim, Generation, GenerationError, RowError, RowPlace, RowStore};
use cqrs_core::store::StoreError;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};

use crate::PostgresStore;
use crate::error::store_error;
use crate::projection::PostgresRowTransaction;
use crate::projection::mark::Mark;
use crate::projection::names::{literal, namespace, quoted};

/// Where projections write rows to tables of your own, in any Postgres database: that of the log, or another one.
///
/// A projection's methods are given the driver's `&mut PgConnection`, in a transaction that also holds the projection's
/// position, and name their tables without a schema. The tables are created by the projection's
/// [`create`](cqrs_core::projection::Projection::create), once for each generation of rows, in a schema that is made for
/// them:
///
/// | schema | what is in it |
/// |---|---|
/// | `views`, the one given here | how far each projection is; tables of the framework |
/// | `views_balances` | the rows of the projection `balances` that readers see |
/// | `views_balances_g2` | rows of its generation 2 that are being built, or kept |
///
/// Readers name the second one. When new rows have caught up, the schemas are renamed in one transaction, which waits
/// for nobody: a query sees the old rows or the new ones, and prepared statements find the new tables by themselves.
/// Where the columns have changed, a statement that stays prepared and selects `*` fails once on a connection that has
/// used it before ("cached plan must not change result type").
///
/// The role of the connections needs the right to create schemas in the database.
///
/// # Durability
/// Rows that readers see are committed as the connections commit. While rows are being built, commits do not wait for the
/// disk (`synchronous_commit = off`): a crash of the server costs at most the last moments of them, which are then made
/// again. The switch to them waits for the disk as the connections do, and with it all that was committed before.
///
/// # Connections
/// A projection uses one connection of the pool while it writes, and one more while rows are being built, or as many as it
/// has [`REBUILD_PARTITIONS`](cqrs_core::projection::Projection::REBUILD_PARTITIONS). With fewer connections its partitions
/// wait for each other, and for nothing else; those that have waited longer than the pool lets them are projected
/// afterwards, in order. So the pool needs a connection for each partition, one for rows that readers see, and those of
/// the readers. A transaction that does nothing for 60 s, because its process stands still, is ended by the server.
///
/// [Inline projections](cqrs_core::projection::Projection#inline) write on connections of the log's store, with its role and
/// its settings, which must be allowed to write to these schemas. A deferred constraint is looked at with the commit.
///
/// ```no_run
/// # async fn example(store: cqrs_postgres::PostgresStore) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::PostgresRows;
///
/// // In the database of the log, next to the log's schema:
/// let rows = PostgresRows::beside(&store);
/// // In another one:
/// let pool = sqlx::PgPool::connect("postgres://localhost/reports").await?;
/// let reports = PostgresRows::new(pool, "bank_views");
/// assert_eq!(reports.schema_of("balances"), "bank_views_balances");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresRows {
    pub(crate) pool: PgPool,
    pub(crate) schema: Arc<str>,
    pub(super) is_pooled: bool,
}

/// How long a transaction may do nothing before the server ends it.
const IDLE: &str = "60s";

impl PostgresRows {
    /// Rows in a database; `schema` is where the framework keeps how far they are, and what the names of the schemas of
    /// rows begin with. Projections of two applications must not share it.
    #[must_use]
    pub fn new(pool: PgPool, schema: impl Into<String>) -> Self {
        Self { pool, schema: Arc::from(schema.into()), is_pooled: false }
    }

    /// Rows in the database of a log, on the connections for user code; the schema is that of the log with `_views`
    /// behind it.
    #[must_use]
    pub fn beside(store: &PostgresStore) -> Self {
        let rows = Self::new(store.user_pool().clone(), format!("{}_views", store.schema().name()));
        rows.transaction_pooler(store.pool().config().is_pooled())
    }

    /// The connections go through a pooler in transaction mode, such as `PgBouncer`: no statement is prepared across
    /// transactions. [`PostgresRows::beside`] goes by the store. Statements of user code have to say so themselves, by
    /// `persistent(false)`.
    #[must_use]
    pub fn transaction_pooler(self, pooler: bool) -> Self {
        Self { is_pooled: pooler, ..self }
    }

    /// The name of the schema in which readers find the rows of a projection.
    #[must_use]
    pub fn schema_of(&self, projection: &str) -> String {
        namespace(&self.schema, projection)
    }

    /// The connections.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// SQL with the name of the schema in it.
    pub(crate) fn sql(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(sql.replace("$schema", &quoted(&self.schema)))
    }

    /// A statement with the name of the schema in it.
    pub(crate) fn query<'q>(&self, sql: &str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(self.sql(sql)).persistent(!self.is_pooled)
    }

    /// Creates the framework's tables.
    pub(crate) async fn create_tables(&self) -> Result<(), StoreError> {
        let created = match self.try_create_tables().await {
            // Somebody else was first, which a transaction that began before does not see.
            Err(sqlx::Error::Database(told)) if told.is_unique_violation() => self.try_create_tables().await,
            created => created,
        };
        created.map_err(store_error)
    }

    async fn try_create_tables(&self) -> Result<(), sqlx::Error> {
        let tables = include_str!("tables.sql");
        let lock = format!(
            "set local client_min_messages = warning; select pg_advisory_xact_lock(hashtext({}));",
            literal(&self.schema)
        );
        let mut transaction = self.pool.begin().await?;
        let sql = self.sql(&format!("{lock} {tables}"));
        sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// What a transaction of a projection begins with. By the lock of `mark`, which is nobody else's, others find it.
    fn begin_sql(&self, place: &RowPlace, mark: Mark) -> AssertSqlSafe<String> {
        let (projection, generation) = (literal(&place.projection), place.generation);
        self.sql(&format!(
            "begin isolation level read committed; \
             set local idle_in_transaction_session_timeout = '{IDLE}'; \
             select $schema.enter({projection}, {generation}), pg_advisory_xact_lock_shared({mark})"
        ))
    }
}

impl RowStore for PostgresRows {
    type Connection = PgConnection;
    type Transaction = PostgresRowTransaction;

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        self.list(projection).await
    }

    async fn add(&self, projection: &str, version: u32, log: &str) -> Result<u64, GenerationError> {
        self.add_generation(projection, version, log).await
    }

    async fn claim(&self, place: &RowPlace) -> Result<Claim, RowError> {
        self.claim_generation(place).await
    }

    async fn make(&self, place: &RowPlace) -> Result<PostgresRowTransaction, RowError> {
        let mut transaction = self.begin(place).await?;
        transaction.make().await?;
        Ok(transaction)
    }

    async fn begin(&self, place: &RowPlace) -> Result<PostgresRowTransaction, RowError> {
        let mark = Mark::new();
        let transaction = self.pool.begin_with(self.begin_sql(place, mark)).await.map_err(store_error)?;
        Ok(PostgresRowTransaction::new(self.clone(), transaction, place.clone(), mark))
    }

    async fn begin_alone(&self, place: &RowPlace) -> Result<(PostgresRowTransaction, u64), RowError> {
        let mut transaction = self.begin(place).await?;
        let position = transaction.lock().await?;
        Ok((transaction, position))
    }

    fn inline(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(self.clone()))
    }

    async fn activate(&self, place: &RowPlace, from: u64, to: u64) -> Result<(), RowError> {
        self.activate_generation(place, from, to).await
    }

    async fn hold_active(&self, place: &RowPlace, limit: Duration) -> Result<u64, RowError> {
        self.hold_active_generation(place, limit).await
    }

    async fn roll_back(&self, projection: &str) -> Result<u64, GenerationError> {
        self.roll_back_generation(projection).await
    }

    async fn discard(&self, projection: &str, generation: u64) -> Result<(), GenerationError> {
        self.discard_generation(projection, generation).await
    }
}

impl fmt::Debug for PostgresRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresRows").field("schema", &self.schema).finish_non_exhaustive()
    }
}
