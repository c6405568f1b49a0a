//! The conformance suites on what lies in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cqrs_core::testing::conformance::TestRows;
use cqrs_memory::{MemoryRows, MemoryStore, RowsMut};

cqrs_core::store_conformance!(
    || async { MemoryStore::new() },
    hard_deletion = || async { MemoryStore::builder().allow_hard_deletion().build() },
);

cqrs_core::audit_conformance!(|| async { MemoryStore::new() });

cqrs_core::row_conformance!(|| async { Maps::default() });

/// Each projection has rows of its own.
#[derive(Default)]
struct Maps(Mutex<BTreeMap<String, MemoryRows<String, String>>>);

impl TestRows for Maps {
    type Store = MemoryRows<String, String>;

    fn store(&self, projection: &str) -> Self::Store {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(projection.to_owned()).or_default().clone()
    }

    async fn create(&self, _connection: &mut RowsMut<String, String>) {}

    async fn put(&self, connection: &mut RowsMut<String, String>, key: &str, value: &str) {
        connection.insert(key.to_owned(), value.to_owned());
    }

    async fn written(&self, connection: &mut RowsMut<String, String>) -> BTreeMap<String, String> {
        connection.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    async fn read(&self, projection: &str) -> BTreeMap<String, String> {
        self.store(projection).snapshot().as_ref().clone()
    }
}
