use std::fmt;

use sqlx::PgPool;

/// By what a transaction is found among all of the server, also where a pooler hides whose connection it is: it holds an
/// advisory lock of a number that is drawn for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(i64);

const END: &str = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 1 \
     and database = (select oid from pg_database where datname = current_database()) \
     and (classid::bigint << 32 | objid::bigint) = $1";

impl Mark {
    pub(super) fn new() -> Self {
        Self(fastrand::i64(1..))
    }

    /// Ends the transaction, whatever it is at, together with its connection to the server.
    pub(super) async fn end(self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query(END).bind(self.0).persistent(false).execute(pool).await.map(drop)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}
