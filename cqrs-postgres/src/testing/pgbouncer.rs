use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use nix::sys::signal::Signal;
use url::form_urlencoded;

use crate::testing::HarnessError;
use crate::testing::account::Account;
use crate::testing::binaries::find_pgbouncer;
use crate::testing::daemon::Daemon;
use crate::testing::folder::Folder;
use crate::testing::port::on_free_port;
use crate::testing::server::blocking;
use crate::testing::server_url::ServerUrl;

/// A `PgBouncer` in front of a server, with a pool of connections that clients share transaction by
/// transaction.
///
/// It is gone when the value is dropped and when the process ends, even by `kill -9`. Everybody on this
/// machine is let in, and becomes the user of the server's URL.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_postgres::testing::{PgBouncer, TestServer};
/// use sqlx::{Connection, PgConnection};
///
/// let server = TestServer::shared().await?;
/// let bouncer = PgBouncer::start_with(server.url(), [("default_pool_size", "1")]).await?;
/// let mut connection = PgConnection::connect(bouncer.url()).await?;
/// sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PgBouncer {
    url: ServerUrl,
    // Dropped before the folder is.
    daemon: Option<Daemon>,
    #[expect(dead_code, reason = "the daemon's, to be dropped after it")]
    folder: Folder,
}

impl PgBouncer {
    /// Starts a pooler in front of the server of this URL.
    ///
    /// # Errors
    /// When it is not the URL of a server, or `PgBouncer` is not installed or does not start.
    ///
    /// # Cancel safety
    /// A pooler whose start is given up vanishes as soon as it has started.
    pub async fn start(url: &str) -> Result<Self, HarnessError> {
        Self::start_with(url, [("default_pool_size", "20")]).await
    }

    /// Starts a pooler with settings of its configuration's section `[pgbouncer]`.
    ///
    /// Unless set, `pool_mode` is `transaction`, and `max_client_conn` is 1000.
    ///
    /// # Errors
    /// When it is not the URL of a server, or `PgBouncer` is not installed or does not start.
    ///
    /// # Cancel safety
    /// A pooler whose start is given up vanishes as soon as it has started.
    pub async fn start_with(
        url: &str,
        settings: impl IntoIterator<Item = (&str, &str)>,
    ) -> Result<Self, HarnessError> {
        let server = ServerUrl::parse(url)?;
        let settings =
            settings.into_iter().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>();
        blocking(move || on_free_port(|port| Self::start_on(&server, &settings, port))).await
    }

    /// The URL of the server by way of the pooler.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    fn start_on(server: &ServerUrl, settings: &str, port: u16) -> Result<Self, HarnessError> {
        let program = find_pgbouncer()?;
        let account = Account::choose()?;
        let folder = Folder::create(&Folder::default_parent(), account, "pid", "QUIT");
        let mut folder = folder.map_err(HarnessError::io("create a folder for `pgbouncer`"))?;
        let path = folder.path().join("pgbouncer.ini");
        let pid = folder.path().join("pid");
        let text = configuration(server, settings, port, &pid);
        fs::write(&path, text).map_err(HarnessError::io("write `pgbouncer.ini`"))?;
        let mut daemon = Daemon::start("pgbouncer", account.command(&program).arg(&path), &mut folder)?;
        // It notes its number when it runs, and the port answers when it listens.
        daemon.await_ready(|| pid.exists() && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        Ok(Self { url: server.by_way_of(port), daemon: Some(daemon), folder })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The watchdog does what fails here.
        let _ = self.daemon.take().map(|daemon| daemon.stop(Signal::SIGQUIT));
    }
}

fn configuration(server: &ServerUrl, settings: &str, port: u16, pid: &Path) -> String {
    format!(
        "[databases]\n\
         * = {}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         pidfile = {}\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         max_client_conn = 1000\n\
         ignore_startup_parameters = extra_float_digits,options\n\
         {settings}",
        target(server),
        pid.display(),
    )
}

/// Where the pooler goes, and as whom.
fn target(server: &ServerUrl) -> String {
    let host = format!("host={} port={}", quote(server.host()), server.port());
    let user = decode(server.user());
    let user = if user.is_empty() { String::new() } else { format!(" user={}", quote(&user)) };
    let password = server.password().map(|password| format!(" password={}", quote(&decode(password))));
    host + &user + &password.unwrap_or_default()
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// What `%40` and the like stand for.
fn decode(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ServerUrl, target};

    #[test]
    fn a_password_may_hold_anything() {
        let server = ServerUrl::parse("postgres://ada:a+b&c%40%27d@db.example/app").unwrap();
        assert_eq!(target(&server), "host='db.example' port=5432 user='ada' password='a+b&c@''d'");
    }
}
