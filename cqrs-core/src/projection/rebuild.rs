use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::application::Core;
use crate::projection::{GenerationState, ProjectionControl, RebuildProgress};
use crate::store::StoreError;

/// How often another node's generations are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Rows that are built beside those that readers see. Dropping it changes nothing about that.
pub struct Rebuild<'a> {
    pub(crate) core: &'a Core,
    pub(crate) control: Arc<dyn ProjectionControl>,
    pub(crate) projection: Arc<str>,
    pub(crate) generation: u64,
}

/// Why rows did not come to be seen by readers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// They were discarded.
    #[error("generation {generation} of projection {projection:?} was discarded before it was built")]
    Discarded {
        /// The projection.
        projection: String,
        /// The generation.
        generation: u64,
    },
    /// This node has given up at an event, and does not go on until the application is started again.
    #[error("generation {generation} of projection {projection:?} cannot be built: {error}")]
    Failed {
        /// The projection.
        projection: String,
        /// The generation.
        generation: u64,
        /// Why, with all causes.
        error: String,
    },
    /// The rows cannot be reached.
    #[error("the rows cannot be reached")]
    Store(#[from] StoreError),
}

impl Rebuild<'_> {
    /// The number of the generation that is built.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How far it is; `None` when it is built no more, because readers see it or because it was discarded.
    ///
    /// # Errors
    /// When the rows, or the log, cannot be reached.
    pub async fn progress(&self) -> Result<Option<RebuildProgress>, StoreError> {
        let own = self.control.progress().filter(|progress| progress.generation == self.generation);
        let target = self.core.store.head().await?;
        if let Some(progress) = own {
            return Ok(Some(RebuildProgress { target: target.max(progress.position), ..progress }));
        }
        let generations = self.control.generations().await?;
        let building = generations.into_iter().find(|generation| {
            generation.number == self.generation && generation.state == GenerationState::Building
        });
        Ok(building.map(|building| RebuildProgress {
            generation: building.number,
            version: building.version,
            position: building.position,
            target: target.max(building.position),
            rate: None,
            remaining: None,
        }))
    }

    /// Waits until readers see the rows. There is no limit of time: wrap it in one where that is wanted.
    ///
    /// # Errors
    /// When the generation was discarded, this node has given up to build it, or the rows cannot be reached.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn switched(&self) -> Result<(), RebuildError> {
        let mut changes = self.control.changes();
        loop {
            changes.mark_unchanged();
            let generations = self.control.generations().await?;
            match generations.iter().find(|generation| generation.number == self.generation) {
                Some(generation) if generation.state == GenerationState::Building => {}
                Some(_) => return Ok(()),
                None => {
                    let (projection, generation) = (self.projection.as_ref().to_owned(), self.generation);
                    return Err(RebuildError::Discarded { projection, generation });
                }
            }
            if let Some(error) = self.control.build_failure() {
                let (projection, generation) = (self.projection.as_ref().to_owned(), self.generation);
                return Err(RebuildError::Failed { projection, generation, error });
            }
            let _ = timeout(LOOK, changes.changed()).await;
        }
    }
}

impl fmt::Debug for Rebuild<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rebuild")
            .field("projection", &self.projection)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
