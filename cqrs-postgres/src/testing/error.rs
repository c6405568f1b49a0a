use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the harness could not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The programs of a Postgres server are not on this machine.
    #[error(
        "PostgreSQL is not installed: found no folder with `initdb` and `postgres` in {}; install it with \
         `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora) or \
         `brew install postgresql@17` (macOS), or name a running server in DATABASE_URL",
        list(searched)
    )]
    PostgresNotInstalled {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// The program `pgbouncer` is not on this machine.
    #[error(
        "PgBouncer is not installed: found no `pgbouncer` in {}; install it with `apt-get install pgbouncer` \
         (Debian, Ubuntu), `dnf install pgbouncer` (Fedora) or `brew install pgbouncer` (macOS)",
        list(searched)
    )]
    PgBouncerNotInstalled {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// Root runs the tests, Postgres refuses to be run by root, and there is nobody else.
    #[error("Postgres refuses to be run by root, and there is neither a user `postgres` nor a user `nobody`")]
    NoUnprivilegedUser,
    /// The server is the one of `DATABASE_URL`: the harness neither stops nor starts it.
    #[error(
        "cannot {operation} the server of DATABASE_URL: it does not belong to the test; use `TestServer::start`"
    )]
    NotOurs {
        /// What was asked.
        operation: &'static str,
    },
    /// Not the URL of a Postgres server.
    #[error("not a URL of a Postgres server such as postgres://user@host:5432/database: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A program ended that should have run on, or ended with a failure.
    #[error("`{program}` failed ({status}): {output}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last of what it wrote.
        output: String,
    },
    /// A program is not ready, or does not end, in the time that it has.
    #[error("`{program}` did not {operation} within {limit:?}: {output}")]
    TimedOut {
        /// Its name.
        program: &'static str,
        /// What it should have done.
        operation: &'static str,
        /// The time that it had.
        limit: Duration,
        /// The last of what it wrote.
        output: String,
    },
    /// The operating system refused something.
    #[error("could not {operation}")]
    Io {
        /// What was tried.
        operation: String,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// The server refused something.
    #[error("could not {operation}")]
    Sql {
        /// What was tried.
        operation: String,
        /// Its answer.
        #[source]
        source: sqlx::Error,
    },
}

impl HarnessError {
    pub(crate) fn io(operation: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Io { operation, source }
    }

    pub(crate) fn sql(operation: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Sql { operation, source }
    }
}

fn list(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "any folder".to_owned();
    }
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
