use std::any::Any;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::projection::{Generation, GenerationState, InlineError, RowsNotReady};
use cqrs_core::store::{AppendError, Appended, HandlerRecord, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use crate::MemoryRows;
use crate::rows_mut::RowsMut;
use crate::tables::Tables;

/// Rows whose types are not known, as appends write to them.
pub(crate) struct InlineRows(pub(crate) Box<dyn BeginInline>);

/// How long an append waits for whoever else writes to the rows.
const PATIENCE: Duration = Duration::from_secs(1);

#[async_trait]
pub(crate) trait BeginInline: Send + Sync {
    /// Begins to write to the rows that readers see, with nobody else doing so until it ends.
    async fn begin(&self, projection: &str) -> Result<Box<dyn Writing>, InlineError>;
}

/// Writes to rows that are made together with an append, or not at all.
pub(crate) trait Writing: Send {
    /// The generation that readers see.
    fn active(&self) -> Option<&Generation>;

    /// What is kept beside its rows.
    fn records(&self) -> &[HandlerRecord];

    /// What the projection writes to.
    fn connection(&mut self) -> &mut (dyn Any + Send);

    /// Makes the writes if `append` succeeds, so that nobody sees the one without the other; the rows are made up to
    /// `position` then.
    fn commit(self: Box<Self>, position: u64, append: &mut Append<'_>) -> Result<Vec<Appended>, AppendError>;
}

pub(crate) type Append<'a> = dyn FnMut() -> Result<Vec<Appended>, AppendError> + 'a;

struct Rows<K, V> {
    rows: MemoryRows<K, V>,
    projection: String,
    active: Option<Generation>,
    records: Vec<HandlerRecord>,
    changes: RowsMut<K, V>,
    _alone: OwnedMutexGuard<()>,
}

#[async_trait]
impl<K, V> BeginInline for MemoryRows<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    async fn begin(&self, projection: &str) -> Result<Box<dyn Writing>, InlineError> {
        self.lock().check(projection).map_err(InlineError::NotCommitted)?;
        let alone = timeout(PATIENCE, self.alone()).await.map_err(|_| RowsNotReady::Busy)?;
        let mut tables = self.lock();
        let active = active(&tables);
        let table = active.as_ref().and_then(|active| tables.table(active.number));
        let (records, before) = match table {
            Some(table) => (table.records.values().cloned().collect(), Arc::clone(&table.rows)),
            None => (Vec::new(), Arc::default()),
        };
        let (rows, projection, changes) = (self.clone(), projection.to_owned(), RowsMut::new(before));
        Ok(Box::new(Rows { rows, projection, active, records, changes, _alone: alone }))
    }
}

/// The generation that readers see, if it has rows.
fn active<K, V>(tables: &MutexGuard<'_, Tables<K, V>>) -> Option<Generation> {
    let active = tables.find(GenerationState::Active)?;
    Some(active.clone().held(tables.is_held(active.number)))
}

impl<K, V> Writing for Rows<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn active(&self) -> Option<&Generation> {
        self.active.as_ref()
    }

    fn records(&self) -> &[HandlerRecord] {
        &self.records
    }

    fn connection(&mut self) -> &mut (dyn Any + Send) {
        &mut self.changes
    }

    fn commit(self: Box<Self>, position: u64, append: &mut Append<'_>) -> Result<Vec<Appended>, AppendError> {
        let Self { rows, projection, active: begun, changes, .. } = *self;
        let mut tables = rows.lock();
        // Others may have taken their place, or have them stand still.
        let number = begun.as_ref().filter(|_| active(&tables) == begun).map(|begun| begun.number);
        let Some(table) = number.and_then(|number| tables.table(number)) else {
            return Err(not_projected(&projection, RowsNotReady::Busy.into()));
        };
        let appended = append()?;
        changes.apply(&mut table.rows);
        if let Some(number) = number {
            tables.set_position(number, position);
        }
        Ok(appended)
    }
}

pub(crate) fn not_projected(projection: &str, error: InlineError) -> AppendError {
    AppendError::NotProjected { projection: projection.to_owned(), source: Box::new(error) }
}

/// The writes to rows of another kind.
pub(crate) fn foreign() -> InlineError {
    InlineError::NotCommitted(StoreError::Failed("these rows do not lie in memory".into()))
}
