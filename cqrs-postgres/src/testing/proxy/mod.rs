//! A proxy that breaks connections.

mod connection;
mod controls;
mod fault;
mod listener;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::testing::HarnessError;
use crate::testing::server_url::ServerUrl;
use controls::Controls;
use listener::Listener;

/// Stands between a store and its server, and lets them feel the network: connections that are cut, refused,
/// silent or slow, and answers that are lost.
///
/// It lives in the runtime that it was started in, and ends with the value. Each control takes effect on open
/// connections too, whatever they are waiting for. TLS would hide from it what is sent, so that its URLs
/// switch it off.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::testing::{Proxy, TestServer};
/// use sqlx::{Connection, PgConnection};
///
/// let proxy = Proxy::start(TestServer::shared().await?.url()).await?;
/// let mut connection = PgConnection::connect(proxy.url()).await?;
///
/// proxy.lose_answer_to("COMMIT");
/// let mut transaction = connection.begin().await?;
/// sqlx::raw_sql("CREATE TABLE t ()").execute(&mut *transaction).await?;
/// transaction.commit().await.expect_err("the server has committed, and nobody was told");
/// assert_eq!(proxy.lost_answers(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    server: ServerUrl,
    url: ServerUrl,
    controls: Arc<Controls>,
    listener: Listener,
}

impl Proxy {
    /// Starts a proxy in front of the server of this URL.
    ///
    /// # Errors
    /// When it is not the URL of a server, or no port is free.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn start(url: &str) -> Result<Self, HarnessError> {
        let server = ServerUrl::parse(url)?;
        let controls = Arc::new(Controls::new(server.host(), server.port()));
        let listener = Listener::start(Arc::clone(&controls)).await?;
        let url = server.by_way_of(listener.port());
        Ok(Self { server, url, controls, listener })
    }

    /// The URL of the server by way of the proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The URL by way of the proxy of what this URL names on the same server: another database, say.
    ///
    /// # Errors
    /// When it is not the URL of a server.
    pub fn url_of(&self, url: &str) -> Result<String, HarnessError> {
        Ok(ServerUrl::parse(url)?.by_way_of(self.listener.port()).as_str().to_owned())
    }

    /// Cuts all connections that are open, held or not; both sides have lost them when this returns.
    ///
    /// # Cancel safety
    /// The connections are cut all the same.
    pub async fn cut(&self) {
        self.controls.cut().await;
    }

    /// Refuses new connections, as a machine without a server does; open ones stay.
    ///
    /// # Cancel safety
    /// They are refused all the same.
    pub async fn refuse(&self) {
        self.listener.close().await;
    }

    /// Takes connections again; without effect when they are taken.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn accept(&self) -> Result<(), HarnessError> {
        self.listener.open(Arc::clone(&self.controls)).await
    }

    /// Holds all bytes, those of new connections too, both ways, until [`heal`](Self::heal).
    pub fn partition(&self) {
        self.controls.change(|weather| weather.partitioned = true);
    }

    /// Lets all bytes go on that [`partition`](Self::partition) holds.
    pub fn heal(&self) {
        self.controls.change(|weather| weather.partitioned = false);
    }

    /// Each byte to the server takes this much longer.
    pub fn delay_requests(&self, latency: Duration) {
        self.controls.change(|weather| weather.to_server = latency);
    }

    /// Each byte from the server takes this much longer.
    pub fn delay_answers(&self, latency: Duration) {
        self.controls.change(|weather| weather.to_client = latency);
    }

    /// Loses the answer to the next request that holds these bytes: the server gets the request whole and
    /// answers it, and instead of the answer the client finds its connection cut.
    ///
    /// The bytes may be of the SQL or of a parameter as it is sent; a request with a prepared statement holds
    /// the SQL of that statement. Preparing a statement is not a request. When this is called several times,
    /// each call loses one answer.
    pub fn lose_answer_to(&self, bytes: impl Into<Vec<u8>>) {
        self.controls.faults().lose_next(bytes.into());
    }

    /// Loses the answers to this part of all requests from now on, from 0 for none to 1 for all.
    ///
    /// Requests in one order meet the same fate with the same seed.
    pub fn lose_answers(&self, probability: f64, seed: u64) {
        self.controls.faults().lose_some(probability, seed);
    }

    /// Loses no more answers.
    pub fn lose_no_answers(&self) {
        self.controls.faults().lose_none();
    }

    /// Ready when the next request that holds these bytes, as in [`lose_answer_to`](Self::lose_answer_to), has been
    /// sent on to the server. Requests count from this call on, also before the future is polled.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub fn await_request(&self, bytes: &str) -> impl Future<Output = ()> + Send + use<> {
        let forwarded = self.controls.faults().await_next(bytes.as_bytes().to_vec());
        async move {
            // A proxy that is gone sends nothing on.
            if forwarded.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// How many connections were taken so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.controls.connections()
    }

    /// How many connections were cut so far, those with a lost answer among them.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.controls.cuts()
    }

    /// How many answers were lost so far.
    #[must_use]
    pub fn lost_answers(&self) -> u64 {
        self.controls.lost_answers()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.end();
        self.controls.end();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("server", &self.server.host())
            .field("port", &self.listener.port())
            .field("connections", &self.connections())
            .field("cuts", &self.cuts())
            .finish_non_exhaustive()
    }
}
