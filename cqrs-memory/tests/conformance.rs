//! The conformance suite on the in-memory store.

use cqrs_memory::MemoryStore;

cqrs_core::store_conformance!(
    || async { MemoryStore::new() },
    hard_deletion = || async { MemoryStore::builder().allow_hard_deletion().build() },
);

cqrs_core::audit_conformance!(|| async { MemoryStore::new() });
