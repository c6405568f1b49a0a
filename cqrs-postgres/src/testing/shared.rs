use std::env;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::testing::cluster::Cluster;
use crate::testing::server::blocking;
use crate::testing::{HarnessError, TestServer};

static SERVER: OnceLock<TestServer> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

impl TestServer {
    /// The server that all tests of this process share: the one that the environment variable `DATABASE_URL`
    /// names, or else one that is started when the first test asks for it.
    ///
    /// Nothing of it belongs to a runtime, so that each test may have its own.
    ///
    /// # Errors
    /// When `DATABASE_URL` is not the URL of a server, or else when Postgres is not installed or does not
    /// start. The next call tries again.
    ///
    /// # Cancel safety
    /// The server starts all the same.
    pub async fn shared() -> Result<&'static Self, HarnessError> {
        match SERVER.get() {
            Some(server) => Ok(server),
            None => blocking(first).await,
        }
    }
}

/// Starts the server, unless another thread was faster.
fn first() -> Result<&'static TestServer, HarnessError> {
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let server = match env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => TestServer::external(&url)?,
        _ => TestServer::own(Cluster::create(&TestServer::builder())?),
    };
    Ok(SERVER.get_or_init(|| server))
}
