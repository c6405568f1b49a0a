use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::projection::{Generation, GenerationError};
use crate::store::{HandlerCommit, HandlerRecord, StoreError};

/// Where the rows of projections lie, with how far they are made beside them, so that both are written in one
/// transaction.
///
/// It need not be where the log is. Clones are handles to the same rows.
pub trait RowStore: Clone + fmt::Debug + Send + Sync + 'static {
    /// What a projection writes to.
    type Connection: Send;

    /// Writes that are made together, with the checkpoint.
    type Transaction: RowTransaction<Connection = Self::Connection>;

    /// The generations of a projection, in their order.
    fn generations(
        &self,
        projection: &str,
    ) -> impl Future<Output = Result<Vec<Generation>, StoreError>> + Send;

    /// Begins a generation that is built from the position 0 of `log`; gives its number. Its rows are
    /// [made](RowStore::make) later. At most one is being built.
    fn add(
        &self,
        projection: &str,
        version: u32,
        log: &str,
    ) -> impl Future<Output = Result<u64, GenerationError>> + Send;

    /// Notes down who owns a generation from now on, and reads how far it is made. An owner with an earlier epoch cannot
    /// commit any more. What is told is not lost any more, even where commits do not wait for the disk.
    fn claim(&self, place: &RowPlace) -> impl Future<Output = Result<Claim, RowError>> + Send;

    /// Begins the transaction that creates the empty rows of a claimed generation. What was there of them is dropped.
    fn make(&self, place: &RowPlace) -> impl Future<Output = Result<Self::Transaction, RowError>> + Send;

    /// Begins a transaction on the rows of a claimed generation. An owner that builds rows has several of them at once
    /// ([`Projection::REBUILD_PARTITIONS`](crate::projection::Projection::REBUILD_PARTITIONS)); it may have to wait for one,
    /// but not for another one of its own to be committed.
    fn begin(&self, place: &RowPlace) -> impl Future<Output = Result<Self::Transaction, RowError>> + Send;

    /// Begins a transaction on the rows of a claimed generation to which nobody else writes until it ends; tells up to
    /// where they are made. Needed only where rows are written [inline](RowStore::inline) as well: the provided method keeps
    /// nobody out, so that a store of rows that gives something there has one of its own.
    fn begin_alone(
        &self,
        place: &RowPlace,
    ) -> impl Future<Output = Result<(Self::Transaction, u64), RowError>> + Send {
        async move {
            let position = self.claim(place).await?.position;
            Ok((self.begin(place).await?, position))
        }
    }

    /// What a store of events that can write these rows in its appends' transactions knows them by
    /// ([`InlineAppend`](crate::store::InlineAppend)); `None` when there is no such store.
    fn inline(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// Gives readers the generation that is being built, instead of the active one, which is kept. Its rows are made up
    /// to `from`, as its owner believes, and there is nothing for them up to `to`. Refused as [`RowError::Behind`] when the
    /// active one has come further than that. Neither has an owner then.
    fn activate(
        &self,
        place: &RowPlace,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<(), RowError>> + Send;

    /// Has the active generation stand still, which whoever builds the one of `place` asks for when it cannot come as far
    /// by itself: nothing is committed to it until it is followed by that one, or this time has passed. Tells up to where
    /// its rows are made.
    fn hold_active(
        &self,
        place: &RowPlace,
        limit: Duration,
    ) -> impl Future<Output = Result<u64, RowError>> + Send;

    /// Gives readers the generation that was kept last; tells which one that is.
    fn roll_back(&self, projection: &str) -> impl Future<Output = Result<u64, GenerationError>> + Send;

    /// Drops a generation that readers do not see.
    fn discard(
        &self,
        projection: &str,
        generation: u64,
    ) -> impl Future<Output = Result<(), GenerationError>> + Send;
}

/// Writes to rows that are made together, or not at all. Dropping it undoes them.
pub trait RowTransaction: Send {
    /// What a projection writes to.
    type Connection: Send;

    /// What a projection writes to.
    fn connection(&mut self) -> &mut Self::Connection;

    /// Commits the writes, the position of `commit` if it has one, and its records. Nothing is written, and this is
    /// [`RowError::Fenced`], unless the generation is made up to `from` and has the owner of the transaction's place: of
    /// transactions that are made side by side, those without a position leave each other alone.
    /// [`RowError::Refused`] says that nothing was written because of what the writes are, [`RowError::Store`] leaves open what
    /// happened.
    fn commit(self, from: u64, commit: HandlerCommit) -> impl Future<Output = Result<(), RowError>> + Send;

    /// Undoes everything.
    fn roll_back(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A generation, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// The projection's name.
    pub projection: Arc<str>,
    /// The number of the generation.
    pub generation: u64,
    /// The epoch of the owner's lease.
    pub epoch: u64,
}

/// What the owner of a generation finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The position up to which its rows are made.
    pub position: u64,
    /// Whether there are rows at all, empty ones included.
    pub is_made: bool,
    /// What is kept beside them.
    pub records: Vec<HandlerRecord>,
}

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Somebody else owns the generation, or has written to it, or it is gone.
    #[error("the rows of projection {projection:?}, generation {generation}, belong to another owner")]
    Fenced {
        /// The projection.
        projection: String,
        /// The generation.
        generation: u64,
    },
    /// The active generation has come further.
    #[error("the active rows are made up to position {active}")]
    Behind {
        /// Up to where.
        active: u64,
    },
    /// The writes cannot be committed, however often it is tried.
    #[error("the rows refuse what was written")]
    Refused(#[source] StoreError),
    /// The rows cannot be reached.
    #[error("the rows cannot be reached")]
    Store(#[from] StoreError),
}

impl RowPlace {
    /// The error that this is not the place's owner.
    #[must_use]
    pub fn fenced(&self) -> RowError {
        RowError::Fenced { projection: self.projection.as_ref().to_owned(), generation: self.generation }
    }
}
