//! The in-memory store of the cqrs framework: for tests, for trying out, and for contexts whose log may be
//! lost with the process.
//!
//! [`MemoryStore`] keeps the contract of [`cqrs_core::store`] in full: it passes the same conformance suite
//! as the stores that write to disk, so that what works on it works on them.
//!
//! ```
//! use cqrs_core::event::Metadata;
//! use cqrs_core::id::{CommandId, CorrelationId, EventId};
//! use cqrs_core::store::{Append, Direction, EventData, EventStore, ExpectedVersion, StreamId};
//! use cqrs_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let account = StreamId::new("account-1")?;
//! let command = CommandId::new();
//! let opened = EventData {
//!     event_id: EventId::new(),
//!     event_type: "AccountOpened".into(),
//!     schema_version: 1,
//!     data: r#"{"owner":"Ada"}"#.into(),
//!     metadata: Metadata::new(),
//!     causation_id: command.into(),
//!     correlation_id: CorrelationId::new(),
//! };
//!
//! let append = Append::to_stream(command, account.clone(), ExpectedVersion::NoStream, vec![opened]);
//! let first = store.append(append.clone()).await?;
//! assert_eq!((first.position, first.repeated), (1, false));
//!
//! // The same append again: the first outcome, and nothing is written.
//! let second = store.append(append).await?;
//! assert_eq!((second.position, second.repeated), (1, true));
//!
//! let events = store.read_stream(&account, 1, Direction::Forward, 100).await?;
//! assert_eq!(events.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - Positions (1, 2, 3, ...) are gapless, and so are the versions of every stream.
//! - An append happens as a whole, once, or not at all; one lock orders everything.
//! - Nothing outlives the last handle: there is no durability.
//!
//! # Cost
//! An append of one event costs about a microsecond; reading shares payloads instead of copying them. The
//! memory grows with every event and with every append that is remembered; [`MemoryStoreBuilder::max_events`]
//! bounds the events.

mod append;
mod append_all;
mod audit;
mod builder;
mod checkpoint;
mod contents;
mod delete;
mod event_store;
mod id_hash;
mod inline;
mod inline_rows;
mod lease;
mod link;
mod log;
mod records;
mod rows;
mod rows_mut;
mod snapshot;
mod store;
mod stream;
mod tables;

pub use builder::MemoryStoreBuilder;
pub use rows::{MemoryRowTransaction, MemoryRows};
pub use rows_mut::RowsMut;
pub use store::MemoryStore;
