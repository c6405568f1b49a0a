use std::fmt;

use crate::application::Core;
use crate::handler::parked::{PARKED, ParkedOrder};
use crate::handler::status::Entry;
use crate::handler::{HandlerStatus, ParkedKey};
use crate::store::{HandlerCommit, StoreError};

/// An event handler of a running application, for whoever looks after it: [`Running::handler`] gives it.
///
/// What is told to it reaches the node that runs the handler, whichever that is: at once when it is this one, within a
/// second when it is another one.
///
/// [`Running::handler`]: crate::application::Running::handler
#[derive(Clone, Copy)]
pub struct HandlerHandle<'a> {
    core: &'a Core,
    entry: &'a Entry,
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
    pub(crate) fn new(core: &'a Core, entry: &'a Entry) -> Self {
        Self { core, entry }
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
        Ok(self.entry.status(self.core.store.head().await?))
    }

    /// The keys behind `after` whose events wait, all when it is `None`, at most `limit` of them, in the order of the
    /// bytes of the keys.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn parked(&self, after: Option<&str>, limit: usize) -> Result<Vec<ParkedKey>, StoreError> {
        let records = self.core.checkpoints.records(self.name(), PARKED, after, limit).await?;
        records.into_iter().map(ParkedKey::of_record).collect()
    }

    /// Has the events of a parked key tried again, in their order. The first one that fails is parked again; when none
    /// does, the key is parked no more.
    ///
    /// This says what is to be done, and does not wait for it.
    ///
    /// # Errors
    /// When the key is not parked, or the store cannot be reached.
    pub async fn retry_parked(&self, key: &str) -> Result<(), ParkedError> {
        self.order(key, ParkedOrder::Retry).await
    }

    /// Has the event at which a key is parked left out, and the later ones of the key tried again, as
    /// [`HandlerHandle::retry_parked`] does.
    ///
    /// # Errors
    /// When the key is not parked, or the store cannot be reached.
    pub async fn skip_parked(&self, key: &str) -> Result<(), ParkedError> {
        self.order(key, ParkedOrder::Skip).await
    }

    async fn order(&self, key: &str, order: ParkedOrder) -> Result<(), ParkedError> {
        if self.core.checkpoints.record(self.name(), PARKED, key).await?.is_none() {
            return Err(ParkedError::NotParked { handler: self.name().to_owned(), key: key.to_owned() });
        }
        let told = HandlerCommit::new().put(order.record(key));
        self.core.checkpoints.change_records(self.name(), told).await?;
        self.entry.control.tell();
        Ok(())
    }
}

impl fmt::Debug for HandlerHandle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandlerHandle").field("name", &self.entry.name).finish_non_exhaustive()
    }
}
