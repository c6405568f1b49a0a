use std::sync::{Arc, Weak};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::ambient::HandlerKey;
use crate::application::Core;
use crate::event::{EventContext, EventRegistry, EventSet};
use crate::handler::Effects;
use crate::store::{
    CheckpointError, CheckpointStore, HandlerCommit, HandlerRecord, RecordedEvent, StoreError,
};
use crate::telemetry::Propagation;

/// What the kit calls itself, where an application's name is asked for.
pub(crate) const APPLICATION: &str = "test";

/// Where a handler or a process manager stands in a scenario: in no application, and on no store.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) core: Weak<Core>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) key: HandlerKey,
    pub(crate) propagation: Propagation,
}

impl Scene {
    pub(crate) fn of(handler: &str) -> Self {
        let name: Arc<str> = Arc::from(handler);
        Self {
            core: Weak::new(),
            effects: Arc::new(Effects::new(Arc::clone(&name), Arc::new(Forgetful))),
            // Applications count from 1.
            key: HandlerKey { instance: 0, name },
            propagation: Propagation::default(),
        }
    }

    pub(crate) fn context(&self, event: &RecordedEvent, attempt: u32) -> EventContext {
        EventContext::new(
            event.clone(),
            Arc::from(APPLICATION),
            Arc::clone(&self.key.name),
            attempt,
            self.core.clone(),
            Arc::clone(&self.effects),
        )
    }
}

/// The event types of the program, those of `Set` included.
pub(crate) fn registry_of<Set: EventSet>() -> EventRegistry {
    let mut registry = EventRegistry::of_program();
    Set::schemas().into_iter().for_each(|schema| registry.register(schema));
    registry
}

/// A store that keeps nothing: the results of effects last as long as the scenario.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl CheckpointStore for Forgetful {
    async fn checkpoint(&self, _handler: &str) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn save_checkpoint(
        &self,
        _handler: &str,
        _position: u64,
        _epoch: u64,
    ) -> Result<(), CheckpointError> {
        Ok(())
    }

    async fn delete_checkpoint(&self, _handler: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit(
        &self,
        _handler: &str,
        _epoch: u64,
        _commit: HandlerCommit,
    ) -> Result<(), CheckpointError> {
        Ok(())
    }

    async fn change_records(&self, _handler: &str, _commit: HandlerCommit) -> Result<(), CheckpointError> {
        Ok(())
    }

    async fn records_of(
        &self,
        _handler: &str,
        _kind: &str,
        _keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn records(
        &self,
        _handler: &str,
        _kind: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn due_records(
        &self,
        _handler: &str,
        _kind: &str,
        _at: DateTime<Utc>,
        _limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        Ok(Vec::new())
    }
}
