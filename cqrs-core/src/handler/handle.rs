use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::application::Core;
use crate::handler::order::{ORDER, Order, Round};
use crate::handler::own_state::STATE;
use crate::handler::parked::PARKED;
use crate::handler::{Entry, HandlerStatus, ParkedKey, Part};
use crate::store::{CheckpointError, HandlerCommit, StoreError};

/// An event handler of a running application, for whoever looks after it: [`Running::handler`] gives it.
///
/// What is told to it is written down in the store, and done by the node that runs the handler, whichever that is, as
/// soon as it hears of it, which is usually at once. None of this waits until it is done.
///
/// [`Running::handler`]: crate::application::Running::handler
#[derive(Clone)]
pub struct HandlerHandle<'a> {
    core: &'a Core,
    entry: Arc<Entry>,
}

/// Why a parked key was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParkedError {
    /// It is not parked.
    #[error("handler {handler:?} has not parked the key {key:?}")]
    NotParked {
        /// The handler's name.
        handler: String,
        /// The key.
        key: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> HandlerHandle<'a> {
    pub(crate) fn new(core: &'a Core, entry: Arc<Entry>) -> Self {
        Self { core, entry }
    }

    pub(crate) fn core(&self) -> &'a Core {
        self.core
    }

    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What the handler is doing.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn status(&self) -> Result<HandlerStatus, StoreError> {
        let status = self.entry.status(self.core.store.head().await?);
        Ok(self.core.with_lag(status, &self.entry.filter).await)
    }

    /// The keys behind `after` whose events wait, all when it is `None`, at most `limit` of them, in the order of the
    /// bytes of the keys.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn parked(&self, after: Option<&str>, limit: usize) -> Result<Vec<ParkedKey>, StoreError> {
        let mut records = Vec::new();
        for part in &self.entry.parts {
            records.extend(self.core.checkpoints.records(&part.name, PARKED, after, limit).await?);
        }
        records.sort_by(|one, other| one.key.cmp(&other.key));
        records.into_iter().take(limit).map(ParkedKey::of_record).collect()
    }

    /// Has the events of a parked key tried again, in their order. The first one that fails is parked again; when none
    /// does, the key is parked no more.
    ///
    /// # Errors
    /// When the key is not parked, or the store cannot be reached.
    pub async fn retry_parked(&self, key: &str) -> Result<(), ParkedError> {
        self.parked_at(key).await?;
        Ok(self.tell_about(key, &Order::RetryParked { key: key.to_owned() }).await?)
    }

    /// Has the event at which a key is parked left out, and the later ones of the key tried again, as
    /// [`HandlerHandle::retry_parked`] does.
    ///
    /// # Errors
    /// When the key is not parked, or the store cannot be reached.
    pub async fn skip_parked(&self, key: &str) -> Result<(), ParkedError> {
        let at = Some(self.parked_at(key).await?);
        Ok(self.tell_about(key, &Order::SkipParked { key: key.to_owned(), at }).await?)
    }

    /// Has the handler stop behind the event that it is at, or the events that it has at once, on whichever node it runs
    /// and also after a restart, until [`HandlerHandle::resume`]. A dispatch that waits for it is told at once that it does
    /// not come further.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.write(HandlerCommit::new().put(Order::Pause.record())).await
    }

    /// Has the handler go on where it was paused; nothing happens when it was not.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.write(HandlerCommit::new().remove(ORDER, Order::Pause.key())).await
    }

    /// Has the handler forget how far it has come, what it has parked and which effects it has made, and begin anew
    /// where it begins when it has never run. Whatever it does to the world outside it does again. Its
    /// [`before_reset`](crate::handler::EventHandler::before_reset) is called first, and may refuse.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.begin_anew(None).await
    }

    /// Has the handler begin anew behind this position, as [`HandlerHandle::reset`] does.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn reset_to(&self, position: u64) -> Result<(), StoreError> {
        self.begin_anew(Some(position)).await
    }

    /// The partitions of the handler, each as if it were a handler; one that is not divided is one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn partitions(&self) -> Result<Vec<HandlerStatus>, StoreError> {
        let head = self.core.store.head().await?;
        let mut statuses = Vec::new();
        for part in &self.entry.parts {
            statuses.push(self.core.with_lag(part.status(head), &self.entry.filter).await);
        }
        Ok(statuses)
    }

    /// The states that the handler keeps ([`EventHandler::State`]), one for each of its partitions, in their order; `None`
    /// where there is none, or not yet. It is what the store has, on whichever node the handler runs: what was handled
    /// since the last checkpoint is not in it.
    ///
    /// [`EventHandler::State`]: crate::handler::EventHandler::State
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps is no JSON.
    pub async fn states(&self) -> Result<Vec<Option<Value>>, StoreError> {
        let mut states = Vec::new();
        for part in &self.entry.parts {
            let record = self.core.checkpoints.record(&part.name, STATE, STATE).await?;
            let state = record.map(|record| serde_json::from_slice(&record.data)).transpose();
            states.push(state.map_err(|fault| {
                let handler = &part.name;
                StoreError::Corrupt(format!("the state of handler {handler:?} is no JSON: {fault}").into())
            })?);
        }
        Ok(states)
    }

    async fn begin_anew(&self, to: Option<u64>) -> Result<(), StoreError> {
        // One partition is told, and has the others stop first.
        let Some(first) = self.entry.parts.first() else { return Ok(()) };
        self.tell(first, &Order::Reset { to, round: Round::new() }).await
    }

    async fn parked_at(&self, key: &str) -> Result<u64, ParkedError> {
        match self.core.checkpoints.record(&self.entry.part_of(key).name, PARKED, key).await? {
            Some(parked) => Ok(parked.position),
            None => Err(ParkedError::NotParked { handler: self.name().to_owned(), key: key.to_owned() }),
        }
    }

    /// Tells something about a key to whoever keeps it.
    pub(crate) async fn tell_about(&self, key: &str, order: &Order) -> Result<(), StoreError> {
        self.tell(self.entry.part_of(key), order).await
    }

    async fn tell(&self, part: &Part, order: &Order) -> Result<(), StoreError> {
        self.write_for(part, HandlerCommit::new().put(order.record())).await?;
        self.core.leases.call_owners().await
    }

    /// Changes what the owners of all partitions find.
    pub(crate) async fn write(&self, orders: HandlerCommit) -> Result<(), StoreError> {
        Ok(self.change(orders).await?)
    }

    /// [`HandlerHandle::write`] for what expects something.
    pub(crate) async fn change(&self, commit: HandlerCommit) -> Result<(), CheckpointError> {
        for part in &self.entry.parts {
            self.write_for(part, commit.clone()).await?;
        }
        Ok(self.core.leases.call_owners().await?)
    }

    async fn write_for(&self, part: &Part, orders: HandlerCommit) -> Result<(), CheckpointError> {
        self.core.checkpoints.change_records(&part.name, orders).await?;
        part.control.call();
        Ok(())
    }
}

impl fmt::Debug for HandlerHandle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandlerHandle").field("name", &self.entry.name).finish_non_exhaustive()
    }
}
