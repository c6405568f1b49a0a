use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cqrs_core::store::{StoreError, StoreIdentity};
use sqlx::PgPool;
use sqlx::Row as _;
use tokio::sync::{mpsc, watch};

use crate::append::{Request, Writer};
use crate::checkpoint::CommitNumbers;
use crate::head::Head;
use crate::names::Names;
use crate::rows::unsigned;
use crate::statements::Statements;
use crate::{ConnectError, Migrate, PostgresConfig, PostgresPool, Schema, migrate};

/// A log in a schema of a Postgres database.
///
/// Cloning is cheap, and the clones are handles to the same store. Connections close when the last handle has gone;
/// appends under way are finished first.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) pool: PostgresPool,
    pub(crate) schema: Schema,
    pub(crate) statements: Arc<Statements>,
    pub(crate) names: Names,
    pub(crate) commits: CommitNumbers,
    pub(crate) head: Arc<Head>,
    pub(crate) channel: Arc<str>,
    pub(crate) requests: mpsc::Sender<Request>,
    /// Held by an append in whose transaction the code of projections runs: one after the other.
    pub(crate) inline: tokio::sync::Mutex<()>,
    identity: StoreIdentity,
}

/// How many appends wait for the one under way, at most; further ones wait to wait.
const QUEUE: usize = 4_096;

/// How often outcomes that are kept no longer are removed, and how many at a time.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
const FORGET_AT_ONCE: i64 = 10_000;

impl Shared {
    pub(crate) fn identity(&self) -> &StoreIdentity {
        &self.identity
    }
}

impl PostgresStore {
    /// Connects to a database, and creates or checks the tables of the schema, as [`Schema::migrate`] says.
    ///
    /// # Errors
    /// When the URL or the schema's name is invalid, the database does not answer, or the tables are not as they
    /// must be.
    pub async fn connect(config: PostgresConfig) -> Result<Self, ConnectError> {
        let schema = config.schema.clone();
        PostgresPool::connect(config).await?.store(schema).await
    }

    pub(crate) async fn open(pool: PostgresPool, schema: Schema) -> Result<Self, ConnectError> {
        match schema.migrate {
            Migrate::Automatic => migrate::migrate(&pool, &schema).await?,
            Migrate::Verify => migrate::verify(&pool, &schema).await?,
            Migrate::Off => schema.check()?,
        }
        let statements = Arc::new(Statements::of(&schema));
        let mut session = pool.session().await?;
        let query = session.query(&statements.store_id);
        let id: uuid::Uuid = query.fetch_one(session.open().await?).await?.try_get(0)?;
        session.finish().await?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let shared = Shared {
            statements,
            names: Names::default(),
            commits: CommitNumbers::default(),
            head: Head::new(),
            channel: schema.channel().into(),
            requests,
            inline: tokio::sync::Mutex::default(),
            identity: StoreIdentity::new(&format!("postgres:{id}")),
            schema,
            pool,
        };
        let writer = Writer::new(&shared, queue);
        shared.pool.tasks().spawn(writer.run());
        let store = Self { shared: Arc::new(shared) };
        store.shared.pool.tasks().spawn(forget_appends(Arc::downgrade(&store.shared)));
        Ok(store)
    }

    /// The connections that the store uses.
    #[must_use]
    pub fn pool(&self) -> &PostgresPool {
        &self.shared.pool
    }

    /// The connections for user code: whatever it does with them, the store keeps its own. One that has been idle for more
    /// than a second is tested before it is given out.
    #[must_use]
    pub fn user_pool(&self) -> &PgPool {
        self.shared.pool.user_pool()
    }

    /// The schema that holds the log.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.shared.schema
    }

    pub(crate) fn store_identity(&self) -> &StoreIdentity {
        &self.shared.identity
    }

    /// The head, followed from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        let receiver = self.shared.head.watch();
        self.follow();
        receiver
    }

    pub(crate) fn watch_released_leases(&self) -> watch::Receiver<u64> {
        let receiver = self.shared.head.watch_leases();
        self.follow();
        receiver
    }

    /// Sees to it that what other processes write is noticed.
    fn follow(&self) {
        let Shared { pool, head, channel, .. } = &*self.shared;
        // What was written before anybody watched has not been noticed.
        head.look();
        if !head.begin_to_follow() {
            return;
        }
        if let Some(listen) = pool.listener().follow(channel, head, pool.stop()) {
            pool.tasks().spawn(listen);
        }
        pool.tasks().spawn(look_up(Arc::downgrade(&self.shared), Arc::clone(head)));
    }
}

impl PostgresStore {
    /// Looks the head up.
    pub(crate) async fn read_head(&self) -> Result<u64, StoreError> {
        let head = self.ask_one(&self.shared.statements.head, |query| query, |row| row.try_get(0)).await?;
        Ok(unsigned(head.unwrap_or_default()))
    }
}

/// Tells this process and the others that events up to `position` were committed.
pub(crate) fn committed(pool: &PostgresPool, head: &Head, channel: &Arc<str>, position: u64) {
    head.advance(position);
    pool.announcer().head(channel, position);
}

/// Looks the head up whenever somebody says that it may have moved, and from time to time, as long as the store is
/// there.
async fn look_up(store: Weak<Shared>, head: Arc<Head>) {
    let Some((poll, stop)) =
        store.upgrade().map(|shared| (shared.pool.config().poll_interval, shared.pool.stop().clone()))
    else {
        return;
    };
    while stop.run_until_cancelled(head.wait_to_look(poll)).await.is_some() {
        let Some(shared) = store.upgrade() else { return };
        if !head.is_watched() {
            continue;
        }
        let store = PostgresStore { shared };
        match store.read_head().await {
            Ok(position) => head.advance(position),
            Err(error) => tracing::debug!(
                cqrs.schema = store.schema().name(),
                error = &error as &dyn std::error::Error,
                "the head of the log could not be read"
            ),
        }
    }
}

/// Removes the outcomes that are kept no longer, as long as the store is there.
async fn forget_appends(store: Weak<Shared>) {
    let Some(stop) = store.upgrade().map(|shared| shared.pool.stop().clone()) else { return };
    loop {
        // Spread, so that many stores do not do it at once.
        let pause = FORGET_EVERY.mul_f64(0.5 + fastrand::f64());
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        let Some(shared) = store.upgrade() else { return };
        if let Err(error) = (PostgresStore { shared }).forget_appends().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old outcomes of appends could not be removed"
            );
        }
    }
}

impl PostgresStore {
    /// Removes the outcomes of appends that are older than [`Schema::retention`]; gives how many. The store does it
    /// by itself about once an hour.
    ///
    /// # Errors
    /// When the database fails; what was removed until then stays so.
    pub async fn forget_appends(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let some = self
                .ask_one(
                    &self.shared.statements.forget_appends,
                    |query| query.bind(self.shared.schema.retention.as_secs_f64()).bind(FORGET_AT_ONCE),
                    |row| row.try_get(0).map(unsigned),
                )
                .await?
                .unwrap_or_default();
            removed += some;
            if some == 0 {
                return Ok(removed);
            }
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("schema", &self.shared.schema.name())
            .finish_non_exhaustive()
    }
}
