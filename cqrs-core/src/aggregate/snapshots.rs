use std::sync::Arc;

use crate::aggregate::instance::Loaded;
use crate::aggregate::{Aggregate, AggregateRuntime, Lifespan, SnapshotPolicy};
use crate::panics;
use crate::store::{Snapshot, StreamId};

impl<A: Aggregate> AggregateRuntime<A> {
    /// Takes a snapshot in the background when one is due after a commit.
    pub(crate) fn snapshot_if_due(&self, stream_id: &StreamId, loaded: &mut Loaded<A>) {
        if let SnapshotPolicy::Every(events) = self.settings.snapshots
            && loaded.version - loaded.snapshot_version >= events
            && self.snapshot(stream_id, loaded)
        {
            loaded.snapshot_version = loaded.version;
        }
    }

    /// Takes a snapshot in the background when an instance leaves memory and its policy says so.
    pub(crate) fn snapshot_on_passivation(&self, stream_id: &StreamId, loaded: &Loaded<A>) {
        if self.settings.snapshots == SnapshotPolicy::OnPassivation
            && loaded.version > loaded.snapshot_version
        {
            self.snapshot(stream_id, loaded);
        }
    }

    /// Takes a snapshot in the background when the lifespan asked for one.
    pub(crate) fn snapshot_on_stop(&self, stream_id: &StreamId, loaded: &Loaded<A>, lifespan: Lifespan) {
        if lifespan == Lifespan::StopAfterSnapshot && loaded.version > loaded.snapshot_version {
            self.snapshot(stream_id, loaded);
        } else {
            self.snapshot_on_passivation(stream_id, loaded);
        }
    }

    /// Encodes and saves a state off the way of commands; tells whether it will. A snapshot that fails is
    /// logged, and the next one is due as usual.
    fn snapshot(&self, stream_id: &StreamId, loaded: &Loaded<A>) -> bool {
        let Some(codec) = &self.settings.codec else {
            return false;
        };
        let Ok(permit) = Arc::clone(&self.environment.snapshot_writers).try_acquire_owned() else {
            tracing::debug!(cqrs.stream_id = %stream_id, "snapshot put off: too many are being written");
            return false;
        };
        let (encode, schema_version) = (codec.encode, codec.schema_version);
        let environment = Arc::clone(&self.environment);
        let stream_id = stream_id.clone();
        let (state, version) = (Arc::clone(&loaded.state), loaded.version);
        let working = self.environment.working.token();
        self.environment.tasks.spawn(async move {
            let _held = (permit, working);
            let data = match panics::catch(|| encode(&state)) {
                Ok(Ok(data)) => data,
                Ok(Err(error)) => return warn(&stream_id, version, &error),
                Err(message) => return warn(&stream_id, version, &message),
            };
            let snapshot = Snapshot {
                stream_id,
                version,
                state_type: A::NAME.to_owned(),
                schema_version,
                data,
                created_at: environment.clock.now(),
            };
            let stream_id = snapshot.stream_id.clone();
            match panics::catch_async(environment.snapshots.save_snapshot(snapshot)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn(&stream_id, version, &error),
                Err(message) => warn(&stream_id, version, &message),
            }
        });
        true
    }
}

fn warn(stream_id: &StreamId, version: u64, error: &dyn std::fmt::Display) {
    tracing::warn!(cqrs.stream_id = %stream_id, cqrs.stream_version = version, %error, "snapshot not taken");
}
