use std::sync::Arc;

use crate::aggregate::instance::Loaded;
use crate::aggregate::{Aggregate, AggregateRuntime, At, SnapshotPolicy};
use crate::event::{DecodeError, Decoded, decode};
use crate::panics;
use crate::store::{Direction, RecordedEvent, Snapshot, StoreError, StreamId};

/// Why the state of an aggregate could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored event cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stored state of a state-stored aggregate cannot be decoded; there are no events to replay instead.
    #[error("the stored state at version {version} does not fit {aggregate}")]
    State {
        /// The name of the aggregate's type.
        aggregate: &'static str,
        /// The version of the state.
        version: u64,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The stored state of a state-stored aggregate is of another schema version.
    #[error("the stored state at version {version} has schema version {found}, {aggregate} has {expected}")]
    StateVersion {
        /// The name of the aggregate's type.
        aggregate: &'static str,
        /// The version of the state.
        version: u64,
        /// The schema version of the stored state.
        found: u32,
        /// The schema version of the program.
        expected: u32,
    },
    /// The aggregate is state-stored, but its stream has events: it was not always.
    #[error("{aggregate} is state-stored, but its stream has events; it cannot change from one to the other")]
    NotStateStored {
        /// The name of the aggregate's type.
        aggregate: &'static str,
    },
    /// User code panicked while the state was rebuilt.
    #[error("{aggregate} panicked while it was replayed: {message}")]
    Panicked {
        /// The name of the aggregate's type.
        aggregate: &'static str,
        /// The panic's message.
        message: String,
    },
}

impl<A: Aggregate> AggregateRuntime<A> {
    /// The state of an aggregate as it stands in the store: from its snapshot and the events since, or from
    /// all its events, however many, a page at a time.
    pub(crate) async fn load(&self, stream_id: &StreamId) -> Result<Loaded<A>, ReplayError> {
        self.load_at(stream_id, At::LATEST).await
    }

    /// The state of an aggregate as it was then. A state-stored aggregate has its latest only.
    pub(crate) async fn load_at(&self, stream_id: &StreamId, at: At) -> Result<Loaded<A>, ReplayError> {
        if self.settings.snapshots == SnapshotPolicy::StateStored {
            return self.load_state(stream_id).await;
        }
        let snapshot = match at {
            At::Version(version) => self.usable_snapshot(stream_id, version).await?,
            // A snapshot does not tell which positions and times its events have.
            At::Position(_) | At::Time(_) => None,
        };
        let mut loaded = snapshot.unwrap_or_default();
        self.catch_up(stream_id, &mut loaded, at).await?;
        Ok(loaded)
    }

    /// [`AggregateRuntime::load_at`] for people who look: without a live instance, and panics are errors.
    pub(crate) async fn peek_at(&self, stream_id: &StreamId, at: At) -> Result<Loaded<A>, ReplayError> {
        panics::catch_async(self.load_at(stream_id, at))
            .await
            .unwrap_or_else(|message| Err(ReplayError::Panicked { aggregate: A::NAME, message }))
    }

    /// Applies the events behind the state's version, up to the first one behind `until`.
    pub(crate) async fn catch_up(
        &self,
        stream_id: &StreamId,
        loaded: &mut Loaded<A>,
        until: At,
    ) -> Result<(), ReplayError> {
        if self.settings.snapshots == SnapshotPolicy::StateStored {
            *loaded = self.load_state(stream_id).await?;
            return Ok(());
        }
        let last = until.last_version();
        while loaded.version < last {
            let missing = usize::try_from(last - loaded.version).unwrap_or(usize::MAX);
            let limit = self.environment.replay_page.min(missing);
            let from = loaded.version + 1;
            let store = &self.environment.store;
            let page = store.read_stream(stream_id, from, Direction::Forward, limit).await?;
            let read = page.len();
            for event in &page {
                if until.is_before(event) {
                    return Ok(());
                }
                self.apply(Arc::make_mut(&mut loaded.state), event)?;
                loaded.version = place(event, stream_id).unwrap_or(loaded.version + 1);
            }
            if read < limit {
                break;
            }
        }
        Ok(())
    }

    /// Reads what another writer wrote, who was first and left the stream at version `actual`.
    pub(crate) async fn follow(
        &self,
        stream_id: &StreamId,
        loaded: &mut Loaded<A>,
        actual: u64,
    ) -> Result<(), ReplayError> {
        if actual < loaded.version {
            // The stream was hard-deleted; what is remembered belongs to the one that was.
            *loaded = self.load(stream_id).await?;
            return Ok(());
        }
        self.catch_up(stream_id, loaded, At::LATEST).await
    }

    /// The events of a stream from version `from` to version `to`, decoded.
    pub(crate) async fn events_between(
        &self,
        stream_id: &StreamId,
        from: u64,
        to: u64,
    ) -> Result<Vec<A::Event>, ReplayError> {
        let mut events = Vec::new();
        let mut next = from;
        while next <= to {
            let missing = usize::try_from(to - next + 1).unwrap_or(usize::MAX);
            let limit = self.environment.replay_page.min(missing);
            let store = &self.environment.store;
            let page = store.read_stream(stream_id, next, Direction::Forward, limit).await?;
            if page.is_empty() {
                break;
            }
            next += page.len() as u64;
            for event in &page {
                self.decode(event, |event| events.push(event))?;
            }
        }
        Ok(events)
    }

    fn apply(&self, state: &mut A, event: &RecordedEvent) -> Result<(), DecodeError> {
        self.decode(event, |event| state.apply(&event))
    }

    fn decode(&self, event: &RecordedEvent, mut each: impl FnMut(A::Event)) -> Result<(), DecodeError> {
        decode(&self.environment.registry, event, |decoded| match decoded {
            Decoded::Event(event) => {
                each(event);
                Ok(())
            }
            Decoded::Foreign(name) => Err(DecodeError::ForeignType {
                position: event.position,
                name,
                stream_id: event.stream_id.to_string(),
            }),
        })
    }

    async fn load_state(&self, stream_id: &StreamId) -> Result<Loaded<A>, ReplayError> {
        let Some(stored) = self.environment.store.stored_state(stream_id).await? else {
            // An aggregate that was event-sourced before would silently begin anew.
            if self.environment.store.stream_info(stream_id).await?.is_some() {
                return Err(ReplayError::NotStateStored { aggregate: A::NAME });
            }
            return Ok(Loaded::default());
        };
        let codec = self.settings.codec.as_ref().expect("a state-stored aggregate has a codec");
        let version = stored.version;
        if stored.schema_version != codec.schema_version {
            return Err(ReplayError::StateVersion {
                aggregate: A::NAME,
                version,
                found: stored.schema_version,
                expected: codec.schema_version,
            });
        }
        let state = (codec.decode)(&stored.data).map_err(|source| ReplayError::State {
            aggregate: A::NAME,
            version,
            source,
        })?;
        Ok(Loaded { state: Arc::new(state), version, snapshot_version: version })
    }

    /// The snapshot of an aggregate, if it can be trusted: a snapshot is a cache, and whatever is wrong with
    /// it is logged and leads to a full replay.
    async fn usable_snapshot(
        &self,
        stream_id: &StreamId,
        until: u64,
    ) -> Result<Option<Loaded<A>>, ReplayError> {
        let Some(codec) = &self.settings.codec else {
            return Ok(None);
        };
        let warn = |reason: &dyn std::fmt::Display| {
            tracing::warn!(cqrs.stream_id = %stream_id, "snapshot ignored: {reason}");
        };
        let snapshot = match self.environment.snapshots.latest_snapshot(stream_id).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(None),
            Err(error) => {
                warn(&error);
                return Ok(None);
            }
        };
        if snapshot.version > until {
            return Ok(None);
        }
        if snapshot.schema_version != codec.schema_version || snapshot.state_type != A::NAME {
            tracing::debug!(cqrs.stream_id = %stream_id, "snapshot of another schema ignored");
            return Ok(None);
        }
        if !self.stream_reaches(stream_id, &snapshot).await? {
            warn(&"it is ahead of its stream");
            // Were it kept, it would be taken for one of this stream as soon as that is as long.
            if let Err(error) = self.environment.snapshots.delete_snapshot(stream_id).await {
                warn(&error);
            }
            return Ok(None);
        }
        match (codec.decode)(&snapshot.data) {
            Ok(state) => Ok(Some(Loaded {
                state: Arc::new(state),
                version: snapshot.version,
                snapshot_version: snapshot.version,
            })),
            Err(error) => {
                warn(&error);
                Ok(None)
            }
        }
    }

    /// Whether the stream has the event that the snapshot was taken at. After a hard deletion it has not.
    async fn stream_reaches(&self, stream_id: &StreamId, snapshot: &Snapshot) -> Result<bool, StoreError> {
        let store = &self.environment.store;
        let at = store.read_stream(stream_id, snapshot.version, Direction::Forward, 1).await?;
        Ok(!at.is_empty())
    }
}

impl<A: Aggregate> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: Arc::new(A::default()), version: 0, snapshot_version: 0 }
    }
}

/// The version of an event in the stream that it is read from; links do not tell theirs.
fn place(event: &RecordedEvent, stream_id: &StreamId) -> Option<u64> {
    (event.stream_id == *stream_id).then_some(event.stream_version)
}
