use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use cqrs_core::projection::{
    Claim, Generation, GenerationError, GenerationState, RowError, RowPlace, RowStore, RowTransaction,
};
use cqrs_core::store::{HandlerCommit, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::inline_rows::InlineRows;
use crate::rows_mut::RowsMut;
use crate::tables::{Table, Tables};

/// The rows of a projection, in memory: a map that queries read and that the projection alone writes to.
///
/// Clones are handles to the same rows. A projection's writes become visible all at once, with its position, so that no
/// reader ever sees half of a batch or of a rebuild. Of two transactions that are made side by side and write to the same
/// row, the later one is refused.
///
/// The rows belong to the process and are made anew when it starts. Of several nodes only the one that runs the
/// projection has them: for nodes in processes of their own, take a database.
///
/// ```
/// use cqrs_memory::MemoryRows;
///
/// let balances: MemoryRows<String, u64> = MemoryRows::new();
/// assert_eq!(balances.get("a-1"), None);
/// let rich = balances.read(|rows| rows.values().filter(|balance| **balance > 1_000).count());
/// assert_eq!(rich, 0);
/// ```
pub struct MemoryRows<K, V> {
    tables: Arc<Mutex<Tables<K, V>>>,
    /// Held by whoever writes to the rows that readers see, where both appends and their owner do.
    alone: Arc<tokio::sync::Mutex<()>>,
}

impl<K, V> MemoryRows<K, V> {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<K: Ord + Clone, V: Clone> MemoryRows<K, V> {
    /// A copy of a row.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.read(|rows| rows.get(key).cloned())
    }

    /// Looks at the rows as they are now. Everybody else waits meanwhile: `look` must neither take long nor use these rows
    /// in any other way.
    pub fn read<T>(&self, look: impl FnOnce(&BTreeMap<K, V>) -> T) -> T {
        let tables = self.lock();
        match tables.active() {
            Some(table) => look(&table.rows),
            None => look(&BTreeMap::new()),
        }
    }

    /// The rows as they are now, which stay like that. As long as it is kept, the next write copies all rows first:
    /// [`MemoryRows::read`] costs less where it is short.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BTreeMap<K, V>> {
        self.lock().active().map(|table| Arc::clone(&table.rows)).unwrap_or_default()
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(BTreeMap::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, V> MemoryRows<K, V> {
    pub(crate) async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.alone).lock_owned().await
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tables<K, V>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for MemoryRows<K, V> {
    fn clone(&self) -> Self {
        Self { tables: Arc::clone(&self.tables), alone: Arc::clone(&self.alone) }
    }
}

impl<K, V> Default for MemoryRows<K, V> {
    fn default() -> Self {
        Self { tables: Arc::default(), alone: Arc::default() }
    }
}

impl<K, V> fmt::Debug for MemoryRows<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.lock();
        formatter
            .debug_struct("MemoryRows")
            .field("projection", &tables.projection)
            .field("generations", &tables.generations().len())
            .finish_non_exhaustive()
    }
}

/// Writes to rows in memory, which nobody sees before they are committed.
pub struct MemoryRowTransaction<K, V> {
    rows: MemoryRows<K, V>,
    place: RowPlace,
    is_made: bool,
    changes: RowsMut<K, V>,
    /// How many commits there were when it began.
    began: u64,
    /// Says that it is open.
    _open: Arc<()>,
    _alone: Option<OwnedMutexGuard<()>>,
}

impl<K, V> RowStore for MemoryRows<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    type Connection = RowsMut<K, V>;
    type Transaction = MemoryRowTransaction<K, V>;

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        let mut tables = self.lock();
        tables.check(projection)?;
        let all = tables.generations().iter();
        Ok(all.map(|one| one.clone().held(tables.is_held(one.number))).collect())
    }

    async fn add(&self, projection: &str, version: u32, log: &str) -> Result<u64, GenerationError> {
        let mut tables = self.lock();
        tables.check(projection)?;
        if tables.find(GenerationState::Building).is_some() {
            return Err(GenerationError::Building { projection: projection.to_owned() });
        }
        let number = tables.next_number();
        let state = GenerationState::Building;
        tables.push(Generation::new(number, version, state, 0, log.to_owned(), Utc::now()));
        Ok(number)
    }

    async fn claim(&self, place: &RowPlace) -> Result<Claim, RowError> {
        let mut tables = self.lock();
        let position = tables.info(place.generation).map(|info| info.position);
        let (Some(position), Some(table)) = (position, tables.table(place.generation)) else {
            return Err(place.fenced());
        };
        if table.epoch > place.epoch {
            return Err(place.fenced());
        }
        table.epoch = place.epoch;
        let records = table.records.values().cloned().collect();
        Ok(Claim { position, is_made: table.is_made, records })
    }

    async fn make(&self, place: &RowPlace) -> Result<MemoryRowTransaction<K, V>, RowError> {
        let changes = RowsMut::new(Arc::default());
        Ok(MemoryRowTransaction {
            rows: self.clone(),
            place: place.clone(),
            is_made: true,
            changes,
            began: 0,
            _open: Arc::default(),
            _alone: None,
        })
    }

    async fn begin(&self, place: &RowPlace) -> Result<MemoryRowTransaction<K, V>, RowError> {
        let mut tables = self.lock();
        let Some(table) = tables.table(place.generation).filter(|table| table.epoch == place.epoch) else {
            return Err(place.fenced());
        };
        let changes = RowsMut::new(Arc::clone(&table.rows));
        Ok(MemoryRowTransaction {
            rows: self.clone(),
            place: place.clone(),
            is_made: false,
            changes,
            began: table.commits,
            _open: Arc::clone(&table.open),
            _alone: None,
        })
    }

    async fn begin_alone(&self, place: &RowPlace) -> Result<(MemoryRowTransaction<K, V>, u64), RowError> {
        let alone = self.alone().await;
        let position = self.lock().info(place.generation).map(|info| info.position);
        let transaction = self.begin(place).await?;
        let position = position.ok_or_else(|| place.fenced())?;
        Ok((MemoryRowTransaction { _alone: Some(alone), ..transaction }, position))
    }

    fn inline(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(InlineRows(Box::new(self.clone()))))
    }

    async fn activate(&self, place: &RowPlace, from: u64, to: u64) -> Result<(), RowError> {
        let mut tables = self.lock();
        let is_building = tables
            .info(place.generation)
            .is_some_and(|info| info.state == GenerationState::Building && info.position == from);
        if !is_building || tables.table(place.generation).is_none_or(|table| table.epoch != place.epoch) {
            return Err(place.fenced());
        }
        let active = tables.find(GenerationState::Active).map(|active| (active.number, active.position));
        if let Some((_, active)) = active.filter(|(_, active)| *active > to) {
            return Err(RowError::Behind { active });
        }
        if let Some((number, _)) = active {
            tables.set_state(number, GenerationState::Kept);
        }
        tables.set_state(place.generation, GenerationState::Active);
        tables.set_position(place.generation, to);
        Ok(())
    }

    async fn hold_active(&self, place: &RowPlace, limit: Duration) -> Result<u64, RowError> {
        let mut tables = self.lock();
        let is_building =
            tables.info(place.generation).is_some_and(|info| info.state == GenerationState::Building);
        let is_owner = tables.table(place.generation).is_some_and(|table| table.epoch == place.epoch);
        match tables.find(GenerationState::Active).map(|active| active.position) {
            Some(position) if is_building && is_owner => {
                tables.held_until = Some(Instant::now() + limit);
                Ok(position)
            }
            _ => Err(place.fenced()),
        }
    }

    async fn roll_back(&self, projection: &str) -> Result<u64, GenerationError> {
        let mut tables = self.lock();
        tables.check(projection)?;
        let kept = tables.generations().iter().rev().find(|one| one.state == GenerationState::Kept);
        let active = tables.find(GenerationState::Active);
        let (Some(kept), Some(active)) = (kept.map(|kept| kept.number), active.map(|active| active.number))
        else {
            return Err(GenerationError::NothingKept { projection: projection.to_owned() });
        };
        tables.set_state(active, GenerationState::RolledBack);
        tables.set_state(kept, GenerationState::Active);
        Ok(kept)
    }

    async fn discard(&self, projection: &str, generation: u64) -> Result<(), GenerationError> {
        let mut tables = self.lock();
        tables.check(projection)?;
        match tables.info(generation).map(|info| info.state) {
            None | Some(GenerationState::Active) => {
                Err(GenerationError::NoSuchGeneration { projection: projection.to_owned(), generation })
            }
            Some(_) => {
                tables.remove(generation);
                Ok(())
            }
        }
    }
}

impl<K, V> RowTransaction for MemoryRowTransaction<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    type Connection = RowsMut<K, V>;

    fn connection(&mut self) -> &mut RowsMut<K, V> {
        &mut self.changes
    }

    async fn commit(self, from: u64, commit: HandlerCommit) -> Result<(), RowError> {
        let Self { rows, place, is_made, changes, began, _alone, .. } = self;
        let mut tables = rows.lock();
        let is_there = !tables.is_held(place.generation)
            && tables.info(place.generation).is_some_and(|info| info.position == from);
        let Some(table) =
            tables.table(place.generation).filter(|table| is_there && table.epoch == place.epoch)
        else {
            return Err(place.fenced());
        };
        if is_made {
            *table = Table { epoch: place.epoch, is_made, ..Table::default() };
        }
        if table.has_written(began, changes.changed()) {
            let fault = "another transaction has written to the same row meanwhile";
            return Err(RowError::Refused(StoreError::Failed(fault.into())));
        }
        table.note_written(changes.changed());
        changes.apply(&mut table.rows);
        for (key, record) in commit.records {
            match record {
                Some(record) => table.records.insert(key, record),
                None => table.records.remove(&key),
            };
        }
        if let Some(position) = commit.position {
            tables.set_position(place.generation, position);
        }
        Ok(())
    }

    async fn roll_back(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl<K, V> fmt::Debug for MemoryRowTransaction<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryRowTransaction").field("place", &self.place).finish_non_exhaustive()
    }
}
