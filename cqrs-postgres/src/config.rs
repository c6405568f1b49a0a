use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::{ConnectError, Schema};

/// How a database is reached, and with how many connections.
///
/// ```
/// use std::time::Duration;
/// use cqrs_postgres::PostgresConfig;
///
/// let config = PostgresConfig::new("postgres://bank@localhost/bank")
///     .schema("tenant_a")
///     .connections(16)
///     .statement_timeout(Duration::from_secs(5));
/// ```
///
/// The store has connections of its own, which user code cannot exhaust; those of [`PostgresConfig::user_connections`]
/// are for user code. Both open as they are needed. One more connection listens for what other processes announce, and
/// one for each store runs [inline projections](cqrs_core::projection::Projection#inline), where there are any.
#[derive(Clone)]
pub struct PostgresConfig {
    address: Address,
    pub(crate) schema: Schema,
    pub(crate) connections: u32,
    pub(crate) user_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) settle_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) notifications: Notifications,
    pub(crate) transaction_pooler: bool,
}

#[derive(Clone)]
enum Address {
    Url(String),
    Options(Box<PgConnectOptions>),
}

/// How a process hears at once that another one has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notifications {
    /// By `LISTEN`, on a connection of its own to the same server.
    #[default]
    Listen,
    /// By `LISTEN`, on a connection to this URL: the server itself, where the other connections go through a pooler.
    ListenOn(String),
    /// Not at all: the log is polled.
    Off,
}

impl PostgresConfig {
    /// A database by its URL, `postgres://user:password@host:port/database?sslmode=require`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::with(Address::Url(url.into()))
    }

    /// A database by the driver's options: fields, sockets, certificates.
    #[must_use]
    pub fn from_options(options: PgConnectOptions) -> Self {
        Self::with(Address::Options(Box::new(options)))
    }

    fn with(address: Address) -> Self {
        Self {
            address,
            schema: Schema::default(),
            connections: 10,
            user_connections: 5,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            settle_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            poll_interval: Duration::from_secs(1),
            notifications: Notifications::default(),
            transaction_pooler: false,
        }
    }

    /// The schema, by name or with settings; `cqrs` by default.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<Schema>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How many connections the store may open for itself; 10 by default, at least 2.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(2);
        self
    }

    /// How many connections user code may have, by [`PostgresStore::begin`](crate::PostgresStore::begin) and
    /// [`PostgresStore::user_pool`](crate::PostgresStore::user_pool); 5 by default, at least 1.
    #[must_use]
    pub fn user_connections(mut self, connections: u32) -> Self {
        self.user_connections = connections.max(1);
        self
    }

    /// How long to wait for a free connection; 5 s by default.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a statement of the store may take; 30 s by default.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long an append may wait for the log's lock, which a transaction of user code may hold; 5 s by default.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How long to try to find out what became of an append whose connection broke; 30 s by default.
    #[must_use]
    pub fn settle_timeout(mut self, timeout: Duration) -> Self {
        self.settle_timeout = timeout;
        self
    }

    /// How long an idle connection stays open; 60 s by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How often the head of the log is looked at, in case an announcement was lost; 1 s by default.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How the process hears of others' writes; [`Notifications::Listen`] by default.
    #[must_use]
    pub fn notifications(mut self, notifications: Notifications) -> Self {
        self.notifications = notifications;
        self
    }

    /// The connections go through a pooler in transaction mode, such as `PgBouncer`: statements are not prepared across
    /// transactions, and each call is a transaction of its own. `LISTEN` needs [`Notifications::ListenOn`] then;
    /// otherwise the log is polled.
    #[must_use]
    pub fn transaction_pooler(mut self, pooler: bool) -> Self {
        self.transaction_pooler = pooler;
        self
    }

    /// What each transaction begins with in which the store's statements come first, and the code of projections then.
    pub(crate) fn begin_inline(&self) -> String {
        format!("{}; set local idle_in_transaction_session_timeout = '{INLINE_IDLE}'", self.begin())
    }

    /// The driver's options for a connection of the store.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, ConnectError> {
        let options = self.plain_options()?;
        if self.transaction_pooler {
            // A pooler refuses parameters that it does not know; they are set in each transaction.
            return Ok(options.statement_cache_capacity(0));
        }
        Ok(options
            .statement_cache_capacity(256)
            .options([("statement_timeout", millis(self.statement_timeout))])
            .options([("lock_timeout", millis(self.lock_timeout))])
            .options([("default_transaction_isolation", "read committed")])
            .options([("plan_cache_mode", "force_generic_plan")])
            .options(BY_INDEX.map(|setting| (setting, "off"))))
    }

    /// The driver's options for a connection of user code.
    pub(crate) fn plain_options(&self) -> Result<PgConnectOptions, ConnectError> {
        let options = match &self.address {
            Address::Url(url) => url.parse().map_err(ConnectError::InvalidUrl)?,
            Address::Options(options) => PgConnectOptions::clone(options),
        };
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("cqrs"),
        };
        if self.transaction_pooler { Ok(options.statement_cache_capacity(0)) } else { Ok(options) }
    }

    /// The driver's options for the connection that listens, if there is to be one.
    pub(crate) fn listen_options(&self) -> Result<Option<PgConnectOptions>, ConnectError> {
        match &self.notifications {
            Notifications::Listen if self.transaction_pooler => Ok(None),
            Notifications::Listen => self.plain_options().map(Some),
            Notifications::ListenOn(url) => url.parse().map(Some).map_err(ConnectError::InvalidUrl),
            Notifications::Off => Ok(None),
        }
    }

    /// How long to wait for an answer before the connection is taken for dead: a server that is alive has given up
    /// before.
    pub(crate) fn patience(&self) -> Duration {
        self.statement_timeout + GRACE
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.transaction_pooler
    }

    /// What each transaction begins with when statements cannot rely on the session.
    pub(crate) fn begin(&self) -> String {
        let mut begin = format!(
            "begin isolation level read committed; set local plan_cache_mode = force_generic_plan; \
             set local statement_timeout = {}; set local lock_timeout = {}",
            millis(self.statement_timeout),
            millis(self.lock_timeout)
        );
        BY_INDEX.iter().for_each(|setting| begin.push_str(&format!("; set local {setting} = off")));
        begin
    }
}

/// How much longer than the server a client waits for a statement.
const GRACE: Duration = Duration::from_secs(2);

/// How long a transaction that holds the log's lock may do nothing, because its process stands still, before the server
/// ends it.
const INLINE_IDLE: &str = "10s";

/// Takes back, for the rest of a transaction, what [`PostgresConfig::begin`] sets for the store's statements alone.
pub(crate) fn leave_settings() -> String {
    let settings = ["plan_cache_mode", "lock_timeout"].into_iter().chain(BY_INDEX);
    settings.map(|setting| format!("set local {setting} to default")).collect::<Vec<_>>().join("; ")
}

/// What is switched off for the store's own statements. Every one of them goes by an index; a plan that was made while
/// the tables were small, without statistics, would otherwise be kept when they are large.
const BY_INDEX: [&str; 6] =
    ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit"];

/// A timeout as Postgres takes it; 0 would mean none, so it is never less than 1 ms.
fn millis(timeout: Duration) -> u128 {
    timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into())
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address holds the password.
        formatter
            .debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .field("user_connections", &self.user_connections)
            .finish_non_exhaustive()
    }
}
