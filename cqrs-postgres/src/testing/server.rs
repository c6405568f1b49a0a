use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Connection, PgConnection};
use tokio::task::spawn_blocking;

use crate::testing::cluster::Cluster;
use crate::testing::server_url::ServerUrl;
use crate::testing::{HarnessError, TestServerBuilder};

/// A Postgres server for tests.
///
/// [`TestServer::start`] makes one from the programs that are installed on the machine: a cluster in a folder
/// of its own, on a port of its own, open to everybody on this machine. It is gone when the value is dropped
/// and when the process ends, even by `kill -9`. When root runs the tests, the user `postgres` or `nobody`
/// runs the server.
///
/// Most tests share one: [`TestServer::shared`], with a [`TestSchema`](crate::testing::TestSchema) for each.
/// Those that stop, kill or pause it start their own.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::testing::TestServer;
///
/// let server = TestServer::start().await?;
/// sqlx::raw_sql("CREATE TABLE t AS SELECT 1 AS n").execute(&mut server.connect().await?).await?;
///
/// server.kill().await?;
/// server.start_again().await?;
///
/// let n: i32 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut server.connect().await?).await?;
/// assert_eq!(n, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestServer {
    url: ServerUrl,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Own(Arc<Mutex<Cluster>>),
    /// The server of `DATABASE_URL`.
    External,
}

/// How a server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopMode {
    /// Ends the connections, and writes everything down (`pg_ctl stop -m fast`).
    Fast,
    /// Ends at once; the next start recovers from the log (`pg_ctl stop -m immediate`).
    Immediate,
}

impl TestServer {
    /// Starts a server for this value alone.
    ///
    /// # Errors
    /// When Postgres is not installed, or does not start.
    ///
    /// # Cancel safety
    /// A server whose start is given up vanishes as soon as it has started.
    pub async fn start() -> Result<Self, HarnessError> {
        Self::builder().start().await
    }

    /// Configures a server for this value alone.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder::new()
    }

    pub(crate) fn own(cluster: Cluster) -> Self {
        let url = ServerUrl::local(cluster.port());
        Self { url, kind: Kind::Own(Arc::new(Mutex::new(cluster))) }
    }

    pub(crate) fn external(url: &str) -> Result<Self, HarnessError> {
        Ok(Self { url: ServerUrl::parse(url)?, kind: Kind::External })
    }

    /// `postgres://...`, of the database `postgres` or the one that `DATABASE_URL` names.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The server's address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// The server's port. It is the same after each start.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port()
    }

    /// Whether the server is the one of `DATABASE_URL`, which a test neither stops nor pauses.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.kind, Kind::External)
    }

    /// The folder with the server's log (`log`) and data (`data`), while it exists.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`.
    pub fn folder(&self) -> Result<PathBuf, HarnessError> {
        Ok(lock(self.cluster("look into the folder of")?).folder().to_owned())
    }

    /// A connection, for SQL of the test's own.
    ///
    /// # Errors
    /// When the server does not take it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn connect(&self) -> Result<PgConnection, HarnessError> {
        connect(self.url()).await
    }

    /// Stops the server; without effect when it does not run.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`, or does not stop.
    ///
    /// # Cancel safety
    /// The server stops all the same.
    pub async fn stop(&self, mode: StopMode) -> Result<(), HarnessError> {
        self.control("stop", move |cluster| cluster.stop(mode)).await
    }

    /// Stops the server, and starts it again with the same data on the same port.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`, does not stop, or does not start.
    ///
    /// # Cancel safety
    /// The server restarts all the same.
    pub async fn restart(&self, mode: StopMode) -> Result<(), HarnessError> {
        self.control("restart", move |cluster| {
            cluster.stop(mode)?;
            cluster.start()
        })
        .await
    }

    /// Kills all processes of the server (`kill -9`), as an operating system without memory does.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`.
    ///
    /// # Cancel safety
    /// The server is killed all the same.
    pub async fn kill(&self) -> Result<(), HarnessError> {
        self.control("kill", Cluster::kill).await
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill`](Self::kill) with the same data on the same
    /// port; without effect while it runs.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`, or does not start.
    ///
    /// # Cancel safety
    /// The server starts all the same.
    pub async fn start_again(&self) -> Result<(), HarnessError> {
        self.control("start", Cluster::start).await
    }

    /// Stops all processes of the server where they are: connections stay open, and nothing answers until
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`.
    ///
    /// # Cancel safety
    /// The server is paused all the same.
    pub async fn pause(&self) -> Result<(), HarnessError> {
        self.control("pause", Cluster::pause).await
    }

    /// Lets a paused server go on where it was.
    ///
    /// # Errors
    /// When the server is the one of `DATABASE_URL`.
    ///
    /// # Cancel safety
    /// The server goes on all the same.
    pub async fn resume(&self) -> Result<(), HarnessError> {
        self.control("resume", Cluster::resume).await
    }

    pub(crate) fn server_url(&self) -> &ServerUrl {
        &self.url
    }

    fn cluster(&self, operation: &'static str) -> Result<&Arc<Mutex<Cluster>>, HarnessError> {
        match &self.kind {
            Kind::Own(cluster) => Ok(cluster),
            Kind::External => Err(HarnessError::NotOurs { operation }),
        }
    }

    async fn control(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Cluster) -> Result<(), HarnessError> + Send + 'static,
    ) -> Result<(), HarnessError> {
        let cluster = Arc::clone(self.cluster(operation)?);
        blocking(move || change(&mut lock(&cluster))).await
    }
}

/// Runs what blocks beside the runtime's threads, to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HarnessError> + Send + 'static,
) -> Result<T, HarnessError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

pub(crate) async fn connect(url: &str) -> Result<PgConnection, HarnessError> {
    PgConnection::connect(url).await.map_err(HarnessError::sql("connect to the server"))
}

fn lock(cluster: &Mutex<Cluster>) -> std::sync::MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}
