//! Projections: rows that are made from events, and written together with how far they are made.
//!
//! | concept | type |
//! |---|---|
//! | a projection | [`Projection`] |
//! | where its rows lie | [`RowStore`], [`RowTransaction`] |
//! | what it is told about an event | [`ProjectionContext`], [`Projected`] |
//! | rows made anew beside those that readers see | [`Generation`], [`Rebuild`] |
//! | rows that are written in the transaction of the events | [`Projection::INLINE`], [`InlineProjection`], [`InlineError`] |
//! | waiting for rows, rebuilding, going back | [`ProjectionHandle`] |

mod batch;
mod build;
mod context;
mod control;
mod entry;
mod generation;
mod hand;
mod handle;
mod inline;
mod live;
mod made;
mod partitions;
mod progress;
mod projecting;
mod rebuild;
mod rows;
mod single;

pub use context::{Projected, ProjectionContext};
pub use entry::ProjectionEntry;
pub use generation::{Generation, GenerationError, GenerationState};
pub use handle::{AtLeastError, ProjectionHandle};
pub use inline::{InlineError, InlineProjection, RowsNotReady};
pub use progress::RebuildProgress;
pub use rebuild::{Rebuild, RebuildError};
pub use rows::{Claim, RowError, RowPlace, RowStore, RowTransaction};

pub(crate) use context::ProjectionPlace;
pub(crate) use control::ProjectionControl;
pub(crate) use entry::definition;
pub(crate) use inline::InlineSource;
pub(crate) use projecting::Trouble;

use std::error::Error;

use crate::event::EventSet;
use crate::handler::{ErrorAction, HandlerConsistency, HandlerFailure, RetryPolicy, SubscribeTo};

/// An event that was not projected, and what is known about the attempts.
pub type ProjectionFailure<E> = HandlerFailure<E, ProjectionContext>;

/// Makes rows for queries from events, as `#[projection]` makes it.
///
/// Each event takes effect exactly once: the rows that it leads to and the projection's position are written in one
/// transaction. Events come in the order of the log, from its beginning, in batches: up to 500 at a time, fewer when
/// they take longer than about 50 ms. When a batch fails, nothing of it is written; its events are then projected one by
/// one, and the one that fails goes the way that [`Projection::on_error`] says, as with an
/// [`EventHandler`](crate::handler::EventHandler).
///
/// Rows are a function of the log. A projection has no way to the application and should do nothing but write rows:
/// everything else would be done again by a rebuild.
///
/// # Versions
/// When [`Projection::VERSION`] grows, the rows of the new version are built beside the old ones, and given to readers at
/// once when they have caught up. The old rows are kept, for [`ProjectionHandle::roll_back`], until they are
/// [discarded](ProjectionHandle::discard). Until the switch, nodes that still run the old code go on with the old rows;
/// where none does, the old rows stay as they are, and readers see them like that.
///
/// # Inline
/// Ordinarily rows follow the events, a moment later. With [`Projection::INLINE`] they are written in the very transaction
/// in which the application's commands append the events: when a dispatch has returned, the rows hold its events. Rows
/// that cannot share a transaction with the application's store are refused when it starts.
///
/// - A command whose events cannot be projected is refused, as
///   [`DispatchError::NotProjected`](crate::dispatch::DispatchError::NotProjected): when the projection fails, panics or
///   takes longer than [`Config::inline_limit`](crate::application::Config::inline_limit). Nothing is stored, nothing is
///   parked, and [`Projection::on_error`] is not asked.
/// - Events that are written in another way, such as by another program or while the projection was not inline, are
///   projected as ordinarily, and at the latest by the next command whose events the projection wants: up to 500 of them
///   in its transaction. When more are missing, when an event among them cannot be projected, or the rows are about to be
///   replaced by ones that were built beside them, commands wait for up to 2 s and are then refused.
/// - Events of a key that is parked refuse their commands until the key is tried again or skipped.
/// - Commands are refused as well while readers see rows of another version. To deploy a new version, start a node of it
///   that is given no commands yet; it builds the new rows while nodes of the old version go on. From the moment when
///   readers see them, nodes of the new version take commands, and those of the old one refuse them.
///
/// **The cost**: appends of a store happen one after the other. One with inline projections keeps all others waiting for
/// as long as the projection's writes take, and does not share its transaction with them: hundreds of commands a second
/// where there would be tens of thousands. Choose it where a reader must never see less than what was answered and cannot
/// tell what it wants to see; where the writer reads for itself, wait for its position
/// ([`ProjectionHandle::at_least`]), or dispatch with strong consistency, both of which slow down nobody else.
///
/// # By hand
/// ```
/// use cqrs_core::projection::{Projection, ProjectionContext, RowStore};
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
///
/// struct Openings<Rows>(Rows);
///
/// impl<Rows: RowStore<Connection: Extend<u64>>> Projection for Openings<Rows> {
///     const NAME: &'static str = "openings";
///     const VERSION: u32 = 1;
///     type Event = Opened;
///     type Rows = Rows;
///     type Error = std::io::Error;
///
///     fn rows(&self) -> &Rows {
///         &self.0
///     }
///
///     async fn handle(
///         &self,
///         _event: &Opened,
///         rows: &mut Rows::Connection,
///         context: &ProjectionContext,
///     ) -> Result<(), Self::Error> {
///         rows.extend([context.position()]);
///         Ok(())
///     }
/// }
/// ```
///
/// # Cancel safety
/// The future of a method is dropped when it takes longer than
/// [`Config::handling_limit`](crate::application::Config::handling_limit), 60 s unless set, which counts as a failure
/// ([`HandlerError::TimedOut`](crate::handler::HandlerError::TimedOut)); and when the application's shutdown deadline passes:
/// the events are then projected at the next start. What it has written is undone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection: add `#[cqrs::projection(name = \"..\", interested_in = [..])]` to its `impl` block",
    label = "not a projection"
)]
pub trait Projection: Send + Sync + Sized + 'static {
    /// The name under which its position is kept.
    const NAME: &'static str;

    /// The version of what it makes of events. A program whose version is higher than that of the rows builds new ones.
    const VERSION: u32 = 1;

    /// Whether a dispatch with strong consistency waits for it.
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Eventual;

    /// Whether its rows are written in the transaction in which events are appended. A dispatch never waits for it then.
    const INLINE: bool = false;

    /// The streams whose events it is interested in.
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::All;

    /// Among how many transactions, 1 to 1,024, the events of a stretch of the log are divided by their keys
    /// ([`Projection::partition_by`]) while rows are built beside those that readers see. The transactions are made side by
    /// side, each on a connection of its own as far as there are any.
    ///
    /// More than 1 says that rows of different keys do not depend on each other: the events of a key keep their order, those
    /// of different keys do not. A row that several keys write to has to be written by statements that may come in any
    /// order, such as `set total = total + 1`, and shows what was built at the end. Where two transactions lock such rows
    /// crosswise, the database ends one of them, whose events are projected again.
    ///
    /// It takes a stretch of at least 100 events, and pays where the rows are written to a database: as a first guess, as
    /// many as the database has cores. A page of the log is as many times
    /// [`Config::tail_page`](crate::application::Config::tail_page), 16 times at most. The number can be changed at any
    /// time, also in the middle of a rebuild.
    const REBUILD_PARTITIONS: u16 = 1;

    /// The events that it is interested in.
    type Event: EventSet;

    /// Where its rows lie.
    type Rows: RowStore;

    /// Why it fails.
    type Error: Error + Send + Sync + 'static;

    /// Where its rows lie. Each projection has rows of its own.
    fn rows(&self) -> &Self::Rows;

    /// Creates what rows are written to, such as tables, when a generation of rows is begun.
    fn create(
        &self,
        rows: &mut <Self::Rows as RowStore>::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = rows;
        async { Ok(()) }
    }

    /// Writes what one event leads to.
    fn handle(
        &self,
        event: &Self::Event,
        rows: &mut <Self::Rows as RowStore>::Connection,
        context: &ProjectionContext,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Writes what several events lead to, in their order; by default one after the other. Worth to be written by hand
    /// where rows can be written many at a time.
    fn handle_batch(
        &self,
        events: &[Projected<Self::Event>],
        rows: &mut <Self::Rows as RowStore>::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async move {
            for one in events {
                self.handle(&one.event, rows, &one.context).await?;
            }
            Ok(())
        }
    }

    /// What keeps the order among events: later events of a key wait behind one that is parked. By default the stream, as for
    /// an event with which this panics, or gives a key that no database keeps, of more than 255 bytes or with a NUL character.
    fn partition_by(&self, event: &Self::Event, context: &ProjectionContext) -> String {
        let _ = event;
        context.stream_id().as_str().to_owned()
    }

    /// Decides what becomes of an event that could not be projected. By default the [`RetryPolicy::default`] decides: it
    /// is tried again with growing delays, and in the end its key is parked while everything else goes on. When it panics or
    /// takes too long itself, the projection stops.
    fn on_error(&self, failure: &ProjectionFailure<Self::Error>) -> impl Future<Output = ErrorAction> + Send {
        let action = RetryPolicy::default().decide(failure);
        async move { action }
    }
}
