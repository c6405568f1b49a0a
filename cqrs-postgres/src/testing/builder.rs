use std::path::PathBuf;

use crate::testing::cluster::Cluster;
use crate::testing::folder::Folder;
use crate::testing::server::blocking;
use crate::testing::{HarnessError, TestServer};

/// Configures a [`TestServer`].
///
/// ```no_run
/// # async fn example() -> Result<(), cqrs_postgres::testing::HarnessError> {
/// use cqrs_postgres::testing::TestServer;
///
/// let server = TestServer::builder().durable().setting("shared_buffers", "1GB").data_on("/mnt/fast").start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start` is called"]
pub struct TestServerBuilder {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) parent: PathBuf,
    pub(crate) programs: Option<PathBuf>,
}

impl TestServerBuilder {
    pub(crate) fn new() -> Self {
        // A test that loses the machine's power is a test that nobody sees; a killed server loses nothing by
        // these.
        let fast = [("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "200")];
        let settings = fast.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { settings: settings.into(), parent: Folder::default_parent(), programs: None }
    }

    /// A setting of `postgresql.conf`; of two with one name, the later holds.
    ///
    /// Unless set, `fsync` and `full_page_writes` are off and `max_connections` is 200.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Sees to it that commits are on the disk, as in production: for benchmarks.
    pub fn durable(self) -> Self {
        self.setting("fsync", "on").setting("synchronous_commit", "on").setting("full_page_writes", "on")
    }

    /// The folder in which the server gets its folder; the one for temporary files unless set.
    ///
    /// When root runs the tests, the user `postgres` must be able to enter it.
    pub fn data_on(mut self, folder: impl Into<PathBuf>) -> Self {
        self.parent = folder.into();
        self
    }

    /// The folder with `initdb` and `postgres`, to test against one version of several.
    ///
    /// Unless set, it is searched in `PATH`, asked of `pg_config`, and searched where packages install it.
    pub fn programs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.programs = Some(folder.into());
        self
    }

    /// Creates the cluster, and starts its server.
    ///
    /// # Errors
    /// When Postgres is not installed, or does not start.
    ///
    /// # Cancel safety
    /// A server whose start is given up vanishes as soon as it has started.
    pub async fn start(self) -> Result<TestServer, HarnessError> {
        blocking(move || Ok(TestServer::own(Cluster::create(&self)?))).await
    }
}
