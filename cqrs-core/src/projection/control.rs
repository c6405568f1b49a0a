use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::handler::{HandlerProgress, HandlerState};
use crate::projection::generation::active;
use crate::projection::{Generation, GenerationError, Projection, RebuildProgress, RowStore};
use crate::store::StoreError;

/// A projection of a running application: what its runners share with whoever looks after it.
pub(crate) struct Shared<P> {
    pub(crate) projection: P,
    pub(crate) name: Arc<str>,
    /// Counts what this process knows to have happened to the generations.
    pub(crate) changes: watch::Sender<u64>,
    /// How far the generation is that this node builds.
    pub(crate) progress: watch::Sender<Option<RebuildProgress>>,
    /// What builds rows on this node, once it runs.
    pub(crate) build: OnceLock<watch::Receiver<HandlerProgress>>,
}

/// A projection whose type is no longer known, for whoever looks after it.
pub(crate) trait ProjectionControl: Send + Sync {
    fn version(&self) -> u32;
    fn rebuild_partitions(&self) -> u16;
    fn generations(&self) -> BoxFuture<'_, Result<Vec<Generation>, StoreError>>;
    fn rebuild(&self, log: String) -> BoxFuture<'_, Result<u64, GenerationError>>;
    fn roll_back(&self) -> BoxFuture<'_, Result<u64, GenerationError>>;
    fn discard(&self, generation: u64) -> BoxFuture<'_, Result<(), GenerationError>>;
    /// Changes when something may have happened to the generations.
    fn changes(&self) -> watch::Receiver<u64>;
    fn progress(&self) -> Option<RebuildProgress>;
    /// Why this node has given up to build rows, if it has.
    fn build_failure(&self) -> Option<String>;
}

impl<P: Projection> Shared<P> {
    pub(crate) fn new(name: Arc<str>, projection: P) -> Self {
        let (changes, progress) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { projection, name, changes, progress, build: OnceLock::new() }
    }

    pub(crate) fn rows(&self) -> &P::Rows {
        self.projection.rows()
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) async fn all(&self) -> Result<Vec<Generation>, StoreError> {
        self.rows().generations(&self.name).await
    }
}

impl<P: Projection> ProjectionControl for Shared<P> {
    fn version(&self) -> u32 {
        P::VERSION
    }

    fn rebuild_partitions(&self) -> u16 {
        P::REBUILD_PARTITIONS
    }

    fn generations(&self) -> BoxFuture<'_, Result<Vec<Generation>, StoreError>> {
        Box::pin(self.all())
    }

    fn rebuild(&self, log: String) -> BoxFuture<'_, Result<u64, GenerationError>> {
        Box::pin(async move {
            let generations = self.all().await?;
            if let Some(newer) = active(&generations).filter(|active| active.version > P::VERSION) {
                let (projection, active) = (self.name.as_ref().to_owned(), newer.version);
                return Err(GenerationError::Newer { projection, active, own: P::VERSION });
            }
            let number = self.rows().add(&self.name, P::VERSION, &log).await?;
            self.changed();
            Ok(number)
        })
    }

    fn roll_back(&self) -> BoxFuture<'_, Result<u64, GenerationError>> {
        Box::pin(async move {
            let number = self.rows().roll_back(&self.name).await?;
            self.changed();
            Ok(number)
        })
    }

    fn discard(&self, generation: u64) -> BoxFuture<'_, Result<(), GenerationError>> {
        Box::pin(async move {
            self.rows().discard(&self.name, generation).await?;
            self.changed();
            Ok(())
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn progress(&self) -> Option<RebuildProgress> {
        self.progress.borrow().clone()
    }

    fn build_failure(&self) -> Option<String> {
        let build = self.build.get()?.borrow();
        let has_failed = build.state == HandlerState::Failed;
        has_failed.then(|| build.last_error.as_deref().unwrap_or("it gave up").to_owned())
    }
}
