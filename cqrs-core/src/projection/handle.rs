use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::application::Core;

use crate::handler::{Entry, HandlerState, HandlerStatus};
use crate::projection::generation::building;
use crate::projection::{Generation, GenerationError, ProjectionControl, Rebuild};
use crate::store::StoreError;

/// A projection of a running application, for whoever reads its rows or looks after it.
///
/// [`Running::projection`] gives it. What it parks, pauses and resumes is told to the [`HandlerHandle`] of its name.
///
/// [`Running::projection`]: crate::application::Running::projection
/// [`HandlerHandle`]: crate::handler::HandlerHandle
#[derive(Clone)]
pub struct ProjectionHandle<'a> {
    core: &'a Core,
    entry: Arc<Entry>,
    control: Arc<dyn ProjectionControl>,
}

/// Why rows do not contain an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AtLeastError {
    /// They were not made so far in time.
    #[error(
        "projection {projection:?} is {state} at position {position}, and did not come to {wanted} within {limit:?}"
    )]
    TimedOut {
        /// The projection.
        projection: String,
        /// The position that was waited for.
        wanted: u64,
        /// The position up to which the rows are made.
        position: u64,
        /// What the projection is doing.
        state: HandlerState,
        /// How long it was waited.
        limit: Duration,
    },
    /// The projection does not come further by itself.
    #[error("projection {projection:?} is {state} at position {position}, and will not come to {wanted}")]
    Down {
        /// The projection.
        projection: String,
        /// The position that was waited for.
        wanted: u64,
        /// The position up to which the rows are made.
        position: u64,
        /// What the projection is doing.
        state: HandlerState,
    },
    /// The event at the position is parked, or waits behind one that is.
    #[error(
        "projection {projection:?} has parked the event at position {wanted}, or one of its key before it"
    )]
    Parked {
        /// The projection.
        projection: String,
        /// The position that was waited for.
        wanted: u64,
    },
}

impl<'a> ProjectionHandle<'a> {
    /// `None` if it is no projection.
    pub(crate) fn new(core: &'a Core, entry: Arc<Entry>) -> Option<Self> {
        let control = Arc::clone(entry.projection.as_ref()?);
        Some(Self { core, entry, control })
    }

    /// The projection's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// The version of this program's code.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.control.version()
    }

    /// What the projection is doing. Its position is that of the rows that readers see.
    ///
    /// # Errors
    /// When the log cannot be reached.
    pub async fn status(&self) -> Result<HandlerStatus, StoreError> {
        let status = self.entry.status(self.core.store.head().await?);
        Ok(self.core.with_lag(status, &self.entry.filter).await)
    }

    /// Waits until the rows that readers see are made at least up to a position, such as that of a command
    /// ([`Dispatched::position`](crate::dispatch::Dispatched::position)), on whichever node that happens: whoever has
    /// written reads what was written.
    ///
    /// That the event at the position is parked is told by the node that makes the rows, for the latest 10,000 such events.
    /// Other events may be parked, also one of the same command: a dispatch with [`Consistency::Strong`] tells of all of
    /// its own.
    ///
    /// [`Consistency::Strong`]: crate::dispatch::Consistency::Strong
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # use cqrs_core::projection::Projection;
    /// # async fn example<A: Application, Balances: Projection>(bank: A, position: u64) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let balances = bank.projection::<Balances>().ok_or("there is no such projection")?;
    /// balances.at_least(position, Duration::from_secs(2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that takes longer than `limit`, the projection does not come further, or the event is parked.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn at_least(&self, position: u64, limit: Duration) -> Result<(), AtLeastError> {
        let wanted = position;
        let projection = || self.name().to_owned();
        let reached = timeout(limit, self.entry.reach(wanted)).await;
        let HandlerStatus { position, state, .. } = self.entry.status(wanted);
        if position < wanted {
            let projection = projection();
            return Err(match reached {
                Ok(_) => AtLeastError::Down { projection, wanted, position, state },
                Err(_) => AtLeastError::TimedOut { projection, wanted, position, state, limit },
            });
        }
        if self.entry.has_left(wanted, wanted) {
            return Err(AtLeastError::Parked { projection: projection(), wanted });
        }
        Ok(())
    }

    /// The generations of its rows, in their order.
    ///
    /// # Errors
    /// When the rows cannot be reached.
    pub async fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        self.control.generations().await
    }

    /// Has all rows made anew by the code of this program, beside those that readers see, which are kept up to date
    /// meanwhile. When the new ones have caught up, readers see them at once; the old ones are kept.
    ///
    /// It takes all the time there is while nothing is written to the log, and about a sixth of it otherwise. It goes on
    /// after a restart where it was. It is done by a node with code of this version, whichever has time.
    ///
    /// # Errors
    /// When rows are being built already, readers see rows of a later version, or the rows cannot be reached.
    pub async fn rebuild(&self) -> Result<Rebuild<'a>, GenerationError> {
        let generation = self.control.rebuild(self.core.store.identity().to_string()).await?;
        self.tell_others().await;
        Ok(self.rebuild_of(generation))
    }

    /// The rows that are being built, because of [`ProjectionHandle::rebuild`] or of a new version; `None` when there
    /// are none.
    ///
    /// # Errors
    /// When the rows cannot be reached.
    pub async fn building(&self) -> Result<Option<Rebuild<'a>>, StoreError> {
        let generations = self.control.generations().await?;
        Ok(building(&generations).map(|building| self.rebuild_of(building.number)))
    }

    /// Gives readers the rows that they saw before; tells their generation. They are as they were then, and are brought
    /// up to date by nodes that have code of their version; until one has, readers see them as they are.
    ///
    /// The generation that readers saw is kept, and not built again by itself. To have a version once more that was
    /// rolled back, [rebuild](ProjectionHandle::rebuild) it.
    ///
    /// # Errors
    /// When no earlier rows are kept, or the rows cannot be reached.
    pub async fn roll_back(&self) -> Result<u64, GenerationError> {
        let generation = self.control.roll_back().await?;
        // Nodes that do not own the rows go by it.
        self.core.checkpoints.delete_checkpoint(self.name()).await?;
        self.tell_others().await;
        Ok(generation)
    }

    /// Drops the rows of a generation that readers do not see: one that is being built, is kept, or was rolled back.
    ///
    /// # Errors
    /// When there is none, readers see it, or the rows cannot be reached.
    pub async fn discard(&self, generation: u64) -> Result<(), GenerationError> {
        self.control.discard(generation).await?;
        self.tell_others().await;
        Ok(())
    }

    fn rebuild_of(&self, generation: u64) -> Rebuild<'a> {
        let (control, projection) = (Arc::clone(&self.control), Arc::clone(&self.entry.name));
        Rebuild { core: self.core, control, projection, generation }
    }

    /// Other nodes look from time to time when they are not told.
    async fn tell_others(&self) {
        if let Err(error) = self.core.leases.call_owners().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the other nodes could not be told");
        }
    }
}

impl fmt::Debug for ProjectionHandle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProjectionHandle").field("name", &self.entry.name).finish_non_exhaustive()
    }
}
