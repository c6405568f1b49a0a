use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The connections of a store, lent one by one.
///
/// The pool beneath lends the one that has rested longest, and asks the server a question whenever it gets one back.
/// So those that are given back are kept here, and the one that came last is lent first: whoever reads page after page
/// prepares and plans the statement once, instead of once for each connection of the pool.
///
/// **Invariant**: whoever asks the pool has a permit, and while somebody asks it, none is kept here: so the pool always has
/// one left.
#[derive(Clone)]
pub(crate) struct Connections {
    pool: PgPool,
    permits: Arc<Semaphore>,
    kept: Arc<Kept>,
    acquire_timeout: Duration,
}

/// A connection that somebody has; it is given back when it is dropped.
pub(crate) struct Loan {
    connection: Option<PoolConnection<Postgres>>,
    is_in_order: bool,
    kept: Arc<Kept>,
    /// Dropped last: the connection is back before the next one may look for it.
    _permit: OwnedSemaphorePermit,
}

/// The connections that were given back.
struct Kept(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    /// The one that came last at the end.
    connections: Vec<PoolConnection<Postgres>>,
    /// How many ask the pool for one.
    asking: usize,
    is_closed: bool,
}

/// Asks the pool, until it is dropped.
struct Asking<'a>(&'a Kept);

impl Connections {
    /// Lends the connections of `pool`, which are all taken here.
    pub(crate) fn of(pool: PgPool) -> Self {
        let options = pool.options();
        Self {
            permits: Arc::new(Semaphore::new(options.get_max_connections() as usize)),
            kept: Arc::new(Kept(Mutex::default())),
            acquire_timeout: options.get_acquire_timeout(),
            pool,
        }
    }

    pub(crate) async fn acquire(&self) -> Result<Loan, sqlx::Error> {
        let permit = timeout(self.acquire_timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.kept.take() {
            Ok(connection) => connection,
            Err(_asking) => self.pool.acquire().await?,
        };
        let (connection, kept) = (Some(connection), Arc::clone(&self.kept));
        Ok(Loan { connection, is_in_order: false, kept, _permit: permit })
    }

    /// Whether another connection could be had at once.
    pub(crate) fn has_spare(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// How many connections there are.
    pub(crate) fn size(&self) -> u32 {
        self.pool.size()
    }

    /// Hands those that are kept to the pool from time to time, which closes those that have rested or lived for too
    /// long.
    pub(crate) fn tidy_up(&self, every: Duration) -> impl Future<Output = ()> + Send + 'static {
        let kept = Arc::downgrade(&self.kept);
        async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(kept) = kept.upgrade() else { return };
                drop(kept.take_all());
            }
        }
    }

    /// Closes all connections, and waits for those that are lent.
    pub(crate) async fn close(&self) {
        drop(self.kept.close());
        self.permits.close();
        self.pool.close().await;
    }
}

impl Loan {
    /// There is nothing left to be read or undone: whoever comes next may have the connection as it is.
    pub(crate) fn in_order(&mut self) {
        self.is_in_order = true;
    }

    /// The connection is closed instead of given back.
    pub(crate) fn close_on_drop(&mut self) {
        self.is_in_order = false;
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_deref().expect("a loan has its connection until it is dropped")
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.is_in_order = false;
        self.connection.as_deref_mut().expect("a loan has its connection until it is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.is_in_order) {
            self.kept.put(connection);
        }
    }
}

impl Kept {
    /// The one that came last; when there is none, those that come are left to the pool, until the pool was asked.
    fn take(&self) -> Result<PoolConnection<Postgres>, Asking<'_>> {
        let mut shelf = self.lock();
        shelf.connections.pop().ok_or_else(|| {
            shelf.asking += 1;
            Asking(self)
        })
    }

    /// Keeps a connection, or lets it go to the pool.
    fn put(&self, connection: PoolConnection<Postgres>) {
        let mut shelf = self.lock();
        if shelf.asking == 0 && !shelf.is_closed {
            shelf.connections.push(connection);
        }
    }

    fn take_all(&self) -> Vec<PoolConnection<Postgres>> {
        mem::take(&mut self.lock().connections)
    }

    fn close(&self) -> Vec<PoolConnection<Postgres>> {
        self.lock().is_closed = true;
        self.take_all()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().asking -= 1;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // To go back to the pool takes a runtime, and there may be none any more.
        for connection in self.close() {
            drop(connection.detach());
        }
    }
}
