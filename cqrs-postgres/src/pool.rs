use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::announce::Announcer;
use crate::connections::Connections;
use crate::listen::Listener;
use crate::session::Session;
use crate::{ConnectError, PostgresConfig, PostgresStore, Schema, migrate};

/// For how long a connection of user code may have been idle without being tested before it is given out.
const UNTESTED: Duration = Duration::from_secs(1);

/// Connections to one database, which any number of stores share.
///
/// Cloning is cheap. Five hundred tenants with a schema each need no more connections than one.
///
/// ```no_run
/// # async fn example() -> Result<(), cqrs_postgres::ConnectError> {
/// use cqrs_postgres::{PostgresConfig, PostgresPool};
///
/// let pool = PostgresPool::connect(PostgresConfig::new("postgres://localhost/shop").connections(24)).await?;
/// let first = pool.store("tenant_a").await?;
/// let second = pool.store("tenant_b").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresPool {
    shared: Arc<Shared>,
}

struct Shared {
    /// What the store itself does.
    own: Connections,
    /// Appends in whose transactions the code of projections runs. There are no such connections until there are such
    /// projections.
    inline: Connections,
    /// What user code does.
    user: PgPool,
    config: PostgresConfig,
    /// How a transaction begins behind a pooler.
    begin: Option<Arc<str>>,
    listener: Listener,
    announcer: Announcer,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_at_drop: DropGuard,
}

impl PostgresPool {
    /// Connects to the database once, to see that it is there. The schema of the configuration does not matter here.
    ///
    /// # Errors
    /// When the URL is invalid, or the database does not answer.
    pub async fn connect(config: PostgresConfig) -> Result<Self, ConnectError> {
        let options =
            || PgPoolOptions::new().acquire_timeout(config.acquire_timeout).idle_timeout(config.idle_timeout);
        // The store copes with a connection that broke while it was idle; asking each time costs a round trip.
        let own = options().max_connections(config.connections).test_before_acquire(false);
        let own = Connections::of(own.connect_lazy_with(config.options()?));
        let inline = options().max_connections(config.connections).test_before_acquire(false);
        let inline = Connections::of(inline.connect_lazy_with(config.plain_options()?));
        let user = tested_when_idle(options().max_connections(config.user_connections));
        let user = user.connect_lazy_with(config.plain_options()?);
        if let Err(error) = own.acquire().await {
            return Err(cause(error, config.options()?).await);
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let begin = config.transaction_pooler.then(|| Arc::from(config.begin()));
        let listener = Listener::new(config.listen_options()?);
        let announcer = Announcer::new(own.clone(), begin.clone());
        let shared = Shared {
            own,
            inline,
            user,
            begin,
            listener,
            announcer,
            tasks,
            _stop_at_drop: stop.clone().drop_guard(),
            stop,
            config,
        };
        shared.tasks.spawn(shared.announcer.run(shared.stop.clone()));
        let tidy_up = shared.own.tidy_up(shared.config.idle_timeout);
        shared.tasks.spawn(shared.stop.clone().run_until_cancelled_owned(tidy_up));
        let tidy_up = shared.inline.tidy_up(shared.config.idle_timeout);
        shared.tasks.spawn(shared.stop.clone().run_until_cancelled_owned(tidy_up));
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens the store of a schema; see [`PostgresStore::connect`].
    ///
    /// # Errors
    /// When the schema's name is invalid, its tables are not as they must be, or the database does not answer.
    pub async fn store(&self, schema: impl Into<Schema>) -> Result<PostgresStore, ConnectError> {
        PostgresStore::open(self.clone(), schema.into()).await
    }

    /// Creates a schema and its tables, or brings them up to date. Programs at once wait for each other.
    ///
    /// # Errors
    /// When the schema was written by a newer version or with other settings, or the database does not answer.
    /// Nothing has changed then.
    pub async fn migrate(&self, schema: impl Into<Schema>) -> Result<(), ConnectError> {
        migrate::migrate(self, &schema.into()).await
    }

    /// Checks that a schema is there and up to date.
    ///
    /// # Errors
    /// When it is not, or the database does not answer.
    pub async fn verify(&self, schema: impl Into<Schema>) -> Result<(), ConnectError> {
        migrate::verify(self, &schema.into()).await
    }

    /// Drops a schema with all that is in it; there need not be one.
    ///
    /// # Errors
    /// When the schema's name is invalid, or the database does not answer.
    pub async fn drop_schema(&self, schema: impl Into<Schema>) -> Result<(), ConnectError> {
        migrate::drop_schema(self, &schema.into()).await
    }

    /// The connections for user code.
    #[must_use]
    pub fn user_pool(&self) -> &PgPool {
        &self.shared.user
    }

    /// Finishes the appends that are under way, and closes all connections. Stores that use the pool fail from then on.
    /// Waits for user code that still holds a connection.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.user.close().await;
        self.shared.inline.close().await;
        self.shared.own.close().await;
    }

    /// A connection for the store itself.
    pub(crate) async fn session(&self) -> Result<Session, sqlx::Error> {
        Session::acquire(&self.shared.own, self.shared.begin.clone()).await
    }

    /// A connection for an append in whose transaction the code of projections runs.
    pub(crate) async fn inline_session(&self) -> Result<Session, sqlx::Error> {
        let begin = self.shared.config.begin_inline();
        Session::acquire(&self.shared.inline, Some(begin.into())).await
    }

    /// A connection that answers. Those that broke while they were idle are thrown away, however many they are, so
    /// that whoever has met one of them meets no further one.
    pub(crate) async fn live_session(&self) -> Result<Session, sqlx::Error> {
        let deadline = Instant::now() + self.shared.config.acquire_timeout;
        loop {
            let mut session = self.session().await?;
            let answer = timeout_at(deadline, session.ping()).await;
            if let Ok(Ok(())) = answer {
                return Ok(session);
            }
            session.discard();
            if answer.is_err() {
                return Err(sqlx::Error::PoolTimedOut);
            }
        }
    }

    /// Whether another connection could be had at once.
    pub(crate) fn has_spare(&self) -> bool {
        self.shared.own.has_spare()
    }

    pub(crate) fn config(&self) -> &PostgresConfig {
        &self.shared.config
    }

    pub(crate) fn listener(&self) -> &Listener {
        &self.shared.listener
    }

    pub(crate) fn announcer(&self) -> &Announcer {
        &self.shared.announcer
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }
}

/// Why there is no connection. A pool that is refused tries again for a while, and says no more than that it gave up.
async fn cause(error: sqlx::Error, options: PgConnectOptions) -> ConnectError {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error.into();
    }
    match timeout(Duration::from_secs(1), PgConnection::connect_with(&options)).await {
        Ok(Err(cause)) => cause.into(),
        _ => error.into(),
    }
}

impl fmt::Debug for PostgresPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresPool")
            .field("connections", &self.shared.own.size())
            .field("user_connections", &self.shared.user.size())
            .finish_non_exhaustive()
    }
}

/// Does without the test of a connection, which costs a round trip, where it was used just now.
fn tested_when_idle(options: PgPoolOptions) -> PgPoolOptions {
    options.test_before_acquire(false).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for > UNTESTED {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}
