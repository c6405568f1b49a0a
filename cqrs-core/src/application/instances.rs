use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::store::StoreIdentity;

/// The instances that run in this process. Two that share store, name and node are most likely a mistake, so
/// the second is refused.
static RUNNING: Mutex<Option<HashSet<Key>>> = Mutex::new(None);

type Key = (StoreIdentity, String, Option<String>);

/// The right to run under a name; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    key: Key,
}

impl Claim {
    /// Takes the right, unless another instance has it.
    pub(crate) fn take(store: StoreIdentity, name: &str, node: Option<&str>) -> Option<Self> {
        let key = (store, name.to_owned(), node.map(str::to_owned));
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        // Made only when the key is new: a claim that is dropped gives the key back.
        running.get_or_insert_default().insert(key.clone()).then(|| Self { key })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_mut() {
            running.remove(&self.key);
        }
    }
}
