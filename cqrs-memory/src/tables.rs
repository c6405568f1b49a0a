use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_core::projection::{Generation, GenerationState};
use cqrs_core::store::{HandlerRecord, StoreError};
use tokio::time::Instant;

/// All generations of a projection's rows.
pub(crate) struct Tables<K, V> {
    pub(crate) projection: Option<Arc<str>>,
    generations: Vec<Generation>,
    tables: BTreeMap<u64, Table<K, V>>,
    last_number: u64,
    /// Until when nothing is committed to the active generation.
    pub(crate) held_until: Option<Instant>,
}

/// The rows of a generation, and what is kept beside them.
pub(crate) struct Table<K, V> {
    pub(crate) rows: Arc<BTreeMap<K, V>>,
    pub(crate) records: BTreeMap<(Cow<'static, str>, String), HandlerRecord>,
    pub(crate) epoch: u64,
    pub(crate) is_made: bool,
    /// Counts the commits.
    pub(crate) commits: u64,
    /// By which of them each row was written, of those that were made while another transaction was open.
    pub(crate) written: BTreeMap<K, u64>,
    /// Each open transaction has one.
    pub(crate) open: Arc<()>,
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// Whether one of these rows was written since that many commits, by a transaction beside this one.
    pub(crate) fn has_written<'a>(&self, since: u64, mut keys: impl Iterator<Item = &'a K>) -> bool
    where
        K: 'a,
    {
        keys.any(|key| self.written.get(key).is_some_and(|commit| *commit > since))
    }

    /// These rows are written. That is remembered for the transactions that are open besides this one.
    pub(crate) fn note_written<'a>(&mut self, keys: impl Iterator<Item = &'a K>)
    where
        K: 'a,
    {
        self.commits += 1;
        if Arc::strong_count(&self.open) > 2 {
            self.written.extend(keys.map(|key| (key.clone(), self.commits)));
        } else {
            self.written.clear();
        }
    }
}

impl<K, V> Tables<K, V> {
    /// That the rows belong to this projection, or to none until now.
    pub(crate) fn check(&mut self, projection: &str) -> Result<(), StoreError> {
        let own = self.projection.get_or_insert_with(|| Arc::from(projection));
        match **own == *projection {
            true => Ok(()),
            false => Err(StoreError::Failed(
                format!("these rows belong to projection {own:?}: give {projection:?} rows of its own")
                    .into(),
            )),
        }
    }

    /// Whether the generation stands still.
    pub(crate) fn is_held(&self, generation: u64) -> bool {
        let is_active = self.find(GenerationState::Active).is_some_and(|active| active.number == generation);
        is_active && self.held_until.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn generations(&self) -> &[Generation] {
        &self.generations
    }

    pub(crate) fn info(&self, generation: u64) -> Option<&Generation> {
        self.generations.iter().find(|one| one.number == generation)
    }

    pub(crate) fn find(&self, state: GenerationState) -> Option<&Generation> {
        self.generations.iter().find(|one| one.state == state)
    }

    pub(crate) fn table(&mut self, generation: u64) -> Option<&mut Table<K, V>> {
        self.tables.get_mut(&generation)
    }

    pub(crate) fn active(&self) -> Option<&Table<K, V>> {
        self.tables.get(&self.find(GenerationState::Active)?.number)
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn push(&mut self, generation: Generation) {
        self.tables.insert(generation.number, Table::default());
        self.generations.push(generation);
    }

    /// Nobody owns it then, and nothing stands still.
    pub(crate) fn set_state(&mut self, generation: u64, state: GenerationState) {
        self.held_until = None;
        if let Some(table) = self.tables.get_mut(&generation) {
            table.epoch = 0;
        }
        if let Some(info) = self.generations.iter_mut().find(|one| one.number == generation) {
            info.state = state;
        }
    }

    pub(crate) fn set_position(&mut self, generation: u64, position: u64) {
        if let Some(info) = self.generations.iter_mut().find(|one| one.number == generation) {
            info.position = position;
        }
    }

    pub(crate) fn remove(&mut self, generation: u64) {
        self.tables.remove(&generation);
        self.generations.retain(|one| one.number != generation);
    }
}

impl<K, V> Default for Tables<K, V> {
    fn default() -> Self {
        Self {
            projection: None,
            generations: Vec::new(),
            tables: BTreeMap::new(),
            last_number: 0,
            held_until: None,
        }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: Arc::default(),
            records: BTreeMap::new(),
            epoch: 0,
            is_made: false,
            commits: 0,
            written: BTreeMap::new(),
            open: Arc::default(),
        }
    }
}
