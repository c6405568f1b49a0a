use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::projection::{InlineError, InlineProjection};
use cqrs_core::store::{
    Append, AppendError, Appended, EventStore as _, InlineAppend, InlineRowsError, StoreError,
};
use tokio::time::{sleep, timeout};

use crate::append::{Lane, Sent, Unit};
use crate::error::Fault;
use crate::inline::check::check;
use crate::inline::transaction::{Failed, InlineAppending, Progress, Tried, not_projected};
use crate::retry::{ATTEMPTS, pause};
use crate::store::committed;
use crate::{PostgresRows, PostgresStore};

#[async_trait]
impl InlineAppend for PostgresStore {
    async fn check_rows(&self, rows: &(dyn Any + Send + Sync)) -> Result<(), InlineRowsError> {
        match rows.downcast_ref::<PostgresRows>() {
            Some(rows) => check(self, rows).await,
            None => Err(InlineRowsError::OtherKind),
        }
    }

    async fn append_inline(
        &self,
        mut appends: Vec<Append>,
        projections: &[Arc<InlineProjection>],
    ) -> Result<Vec<Appended>, AppendError> {
        let mut with_rows = Vec::with_capacity(projections.len());
        for projection in projections {
            let Some(rows) = projection.rows().downcast_ref::<PostgresRows>() else {
                let fault = StoreError::Failed("these rows do not lie in Postgres".into());
                return Err(not_projected(projection.name(), InlineError::NotCommitted(fault)));
            };
            with_rows.push((&**projection, rows));
        }
        let unit = match appends.pop() {
            Some(append) if appends.is_empty() => Unit::one(append),
            Some(append) => {
                appends.push(append);
                Unit::chain(appends)
            }
            None => return Ok(Vec::new()),
        };
        if let Err(fault) = unit.check(self.shared.schema.max_append_bytes) {
            // What is known by its id has the first outcome, whatever it holds now.
            return match unit.appends.first().filter(|_| !unit.is_chain) {
                Some(append) => self.outcome(append.id).await?.map(|first| vec![first]).ok_or(fault),
                None => Err(fault),
            };
        }
        let appending = InlineAppending { store: &self.shared, unit: &unit, projections: &with_rows };
        // One at a time: they would only wait for each other in the database.
        let _turn = self.shared.inline.lock().await;
        appending.settle().await
    }
}

impl InlineAppending<'_> {
    /// Appends, and finds out what became of it.
    async fn settle(&self) -> Result<Vec<Appended>, AppendError> {
        let (store, unit) = (self.store, self.unit);
        let (mut sent, mut attempts) = (Sent::now(), 0);
        loop {
            let mut progress = Progress::default();
            let failed = match self.try_once(sent.is_open(), &mut progress).await {
                Ok(Tried::Written(appended, head)) => {
                    if head > 0 {
                        committed(&store.pool, &store.head, &store.channel, head);
                    }
                    return Ok(appended);
                }
                Ok(Tried::Known(append_id)) => {
                    return Lane::new(store).first_outcomes(unit, append_id, &sent).await;
                }
                Ok(Tried::Refused(error)) => return Err(error),
                Err(failed) => failed,
            };
            attempts += 1;
            match failed.fault {
                Fault::Lost if progress.is_committing => {
                    tracing::warn!(
                        cqrs.schema = store.schema.name(),
                        error = &*failed.source as &dyn std::error::Error,
                        "the connection broke while committing, finding out what was written"
                    );
                    sent.lost(&failed.source);
                }
                // Nothing was written, and nothing is open.
                Fault::Refused if !sent.is_open() => return Err(StoreError::Failed(failed.source).into()),
                Fault::Lost | Fault::Transient if attempts < ATTEMPTS => {}
                _ if !sent.is_open() => return Err(StoreError::Unavailable(failed.source).into()),
                _ => {}
            }
            if sent.is_open_for() >= store.pool.config().settle_timeout {
                return sent.unknown(unit);
            }
            sleep(pause(attempts)).await;
        }
    }

    /// One try, on a connection of its own, which is kept if it is certainly in order.
    async fn try_once(&self, is_open: bool, progress: &mut Progress) -> Result<Tried, Failed> {
        let pool = &self.store.pool;
        let mut session = pool.inline_session().await?;
        let limits = self.projections.iter().map(|(projection, _)| projection.limit());
        // A server that does not answer in time never may: the connection can be dead without either end knowing.
        let limit = limits.fold(pool.config().patience(), |all, one| all.saturating_add(one));
        let tried = timeout(limit, self.attempt(&mut session, is_open, progress)).await;
        let tried = tried.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()));
        if progress.is_hung {
            // The server may still be at a statement of the projection's, with the log's lock.
            self.terminate(progress.backend).await;
        }
        if tried.is_err() || progress.is_hung {
            session.discard();
        }
        tried
    }

    /// Ends a transaction whose connection cannot be used any more. When this fails, the server does it: as soon as its
    /// statement is done or has taken too long.
    async fn terminate(&self, backend: Option<i32>) {
        let ended = async {
            let mut session = self.store.pool.session().await?;
            let query = sqlx::query("select pg_terminate_backend($1)").bind(backend).persistent(false);
            query.execute(session.open().await?).await?;
            session.finish().await
        };
        let Err(error) = ended.await else { return };
        tracing::warn!(
            cqrs.schema = self.store.schema.name(),
            error = &error as &dyn std::error::Error,
            "the transaction of a projection that hangs could not be ended"
        );
    }
}
