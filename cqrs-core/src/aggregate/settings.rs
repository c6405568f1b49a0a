use std::any::{TypeId, type_name};
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::{Aggregate, AggregateLifespan, DefaultLifespan, Lifespan};
use crate::command::AnyCommand;

/// When the state of an aggregate is kept beside its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotPolicy {
    /// Never; snapshots that are there are ignored.
    Never,
    /// When this many events or more have come since the last one; 0 is [`SnapshotPolicy::Never`].
    Every(u64),
    /// When an instance leaves memory because of its lifespan or of the bound on live instances.
    OnPassivation,
    /// Instead of the events: only the latest state is kept, with its version. The events of the aggregate
    /// reach no handler.
    StateStored,
}

/// How the runtime treats an aggregate. Made once, when the application starts.
pub struct AggregateSettings<A: Aggregate> {
    pub(crate) snapshots: SnapshotPolicy,
    pub(crate) codec: Option<StateCodec<A>>,
    pub(crate) lifespan: LifespanHooks<A>,
    pub(crate) mailbox: usize,
}

/// Turns a state into bytes and back.
pub struct StateCodec<A> {
    pub(crate) schema_version: u32,
    pub(crate) encode: fn(&A) -> Result<Bytes, serde_json::Error>,
    pub(crate) decode: fn(&[u8]) -> Result<A, serde_json::Error>,
}

impl<A> StateCodec<A> {
    pub(crate) fn json(schema_version: u32) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        Self {
            schema_version,
            encode: |state| serde_json::to_vec(state).map(Bytes::from),
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }
}

pub(crate) struct LifespanHooks<A: Aggregate> {
    pub(crate) after_event: fn(&A::Event) -> Lifespan,
    pub(crate) after_command: fn(&AnyCommand) -> Lifespan,
    pub(crate) after_error: fn(&A::Error) -> Lifespan,
}

impl<A: Aggregate> LifespanHooks<A> {
    fn of<L: AggregateLifespan<A>>() -> Self {
        Self { after_event: L::after_event, after_command: L::after_command, after_error: L::after_error }
    }
}

impl<A: Aggregate> AggregateSettings<A> {
    /// How many commands may wait for one instance, unless set: 1,024.
    pub const DEFAULT_MAILBOX: usize = 1_024;

    /// No snapshots, the [`DefaultLifespan`], a mailbox of [`AggregateSettings::DEFAULT_MAILBOX`] commands.
    #[must_use]
    pub fn new() -> Self {
        Self {
            snapshots: SnapshotPolicy::Never,
            codec: None,
            lifespan: LifespanHooks::of::<DefaultLifespan>(),
            mailbox: Self::DEFAULT_MAILBOX,
        }
    }

    /// Keeps snapshots. `schema_version` tells the shapes of the state apart over time: raise it when the
    /// state's fields change, and snapshots of the old shape are ignored.
    #[must_use]
    pub fn snapshots(mut self, policy: SnapshotPolicy, schema_version: u32) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        self.snapshots = if policy == SnapshotPolicy::Every(0) { SnapshotPolicy::Never } else { policy };
        // Without a codec nobody looks at snapshots that are there.
        self.codec = (self.snapshots != SnapshotPolicy::Never).then(|| StateCodec::json(schema_version));
        self
    }

    /// Sets how long instances are kept in memory.
    #[must_use]
    pub fn lifespan<L: AggregateLifespan<A>>(mut self) -> Self {
        self.lifespan = LifespanHooks::of::<L>();
        self
    }

    /// Sets how many commands may wait for one instance, at least 1; senders wait beyond that.
    #[must_use]
    pub fn mailbox(mut self, commands: usize) -> Self {
        self.mailbox = commands.max(1);
        self
    }
}

impl<A: Aggregate> Default for AggregateSettings<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Aggregate> fmt::Debug for AggregateSettings<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AggregateSettings")
            .field("snapshots", &self.snapshots)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for StateCodec<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StateCodec(v{})", self.schema_version)
    }
}

/// What `start()` checks of an aggregate type.
#[derive(Clone, Copy, Debug)]
pub struct AggregateDescription {
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    pub(crate) name: &'static str,
    pub(crate) stream_prefix: &'static str,
    pub(crate) schemas: fn() -> Vec<&'static crate::event::EventSchema>,
}

impl AggregateDescription {
    pub(crate) fn of<A: Aggregate>() -> Self {
        Self {
            type_id: TypeId::of::<A>(),
            type_name: type_name::<A>(),
            name: A::NAME,
            stream_prefix: A::STREAM_PREFIX,
            schemas: <A::Event as crate::event::EventSet>::schemas,
        }
    }
}
