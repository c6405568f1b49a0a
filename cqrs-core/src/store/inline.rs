use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;

use crate::projection::InlineProjection;
use crate::store::{Append, AppendError, Appended, EventStore, StoreError};

/// A store that can write the rows of projections in the transactions of its appends.
#[async_trait]
pub trait InlineAppend: EventStore {
    /// That rows, as [`RowStore::inline`](crate::projection::RowStore::inline) gave them, can be written in a transaction
    /// of this store.
    async fn check_rows(&self, rows: &(dyn Any + Send + Sync)) -> Result<(), InlineRowsError>;

    /// Makes appends as one, as [`EventStore::append_all`] does, and has projections write the rows of their events in the
    /// same transaction: all of it happens, or nothing. A lone append that was made before is answered as by
    /// [`EventStore::append`], and nothing is projected.
    ///
    /// The rows that readers see are written to, if they are as [`InlineProjection::check`] asks for. Those of events that
    /// are missing in them, at most [`InlineProjection::MOST_MISSED`], are written first, so that they are made up to the
    /// last of the appended events, in the order of the log. Nobody else writes to them meanwhile.
    ///
    /// What keeps a projection from doing so refuses the appends as [`AppendError::NotProjected`].
    async fn append_inline(
        &self,
        appends: Vec<Append>,
        projections: &[Arc<InlineProjection>],
    ) -> Result<Vec<Appended>, AppendError>;
}

/// Why rows cannot be written in the transactions of a store's appends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InlineRowsError {
    /// They are not of the store's kind.
    #[error("they are not rows of this kind of store")]
    OtherKind,
    /// They lie in another database than the log.
    #[error("they lie in another database than the log")]
    OtherDatabase,
    /// One of both cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}
