//! The store port: what an adapter implements, and the values that cross it.
//!
//! A store keeps one gapless, commit-ordered log of events, grouped into streams. Every event has a
//! position in the log (1, 2, 3, ...) and a version in its stream (1, 2, 3, ...); whenever a position can be
//! read, all positions before it can be read. Beside the log it keeps snapshots, which are a cache, the
//! checkpoints of handlers with what they keep beside, and the leases by which several nodes agree on who runs
//! a handler.
//!
//! The four concerns are four traits, [`EventStore`], [`SnapshotStore`], [`CheckpointStore`] and [`LeaseStore`],
//! so that snapshots may live elsewhere than events. An adapter that has them all is a [`Store`]; one that can write rows
//! of projections together with events is [`InlineAppend`] as well. The conformance
//! suite of `cqrs_core::testing` (feature `testing`) says what an adapter must do, case by case.

mod append;
mod checkpoint;
mod error;
mod filter;
mod inline;
mod lease;
mod port;
mod record;
mod recorded;
mod snapshot;
mod stream_id;

pub use append::{Append, Appended, Deletion, EventData, ExpectedVersion, Link, StreamWrite, WrittenStream};
pub use checkpoint::CheckpointStore;
pub use error::{AppendError, BindError, CheckpointError, StoreError};
pub use filter::{Direction, EventFilter};
pub use inline::{InlineAppend, InlineRowsError};
pub use lease::{HeldLease, LeaseStore};
pub use port::{EventStore, Store, StoreIdentity};
pub(crate) use record::all_records;
pub use record::{HandlerCommit, HandlerRecord};
pub use recorded::{LogPage, RecordedEvent, StreamInfo, StreamStatus};
pub use snapshot::{Snapshot, SnapshotStore, StoredState};
pub use stream_id::{InvalidStreamId, StreamId};
