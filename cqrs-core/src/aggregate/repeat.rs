use crate::aggregate::failure::{replay_error, untold};
use crate::aggregate::instance::Loaded;
use crate::aggregate::{Aggregate, AggregateRuntime, At, Outcome, ReplayError, Success};
use crate::dispatch::DispatchError;
use crate::id::CommandId;
use crate::panics;
use crate::store::{Appended, StreamId};

impl<A: Aggregate> AggregateRuntime<A> {
    /// The aggregate as it stands: from memory if it is there, else from the store.
    pub(crate) async fn current(&self, stream_id: &StreamId, command_id: CommandId) -> Outcome<A> {
        let loaded =
            self.peek(stream_id).await.map_err(|error| replay_error(command_id, stream_id, error))?;
        Ok(Success {
            version: loaded.version,
            position: None,
            events: Vec::new(),
            state: loaded.state,
            repeated: false,
        })
    }

    /// The state of an aggregate, without bringing it to life.
    pub(crate) async fn peek(&self, stream_id: &StreamId) -> Result<Loaded<A>, ReplayError> {
        let known = self.find(stream_id).and_then(|instance| instance.loaded());
        let read = async {
            let Some(mut loaded) = known else {
                return self.load(stream_id).await;
            };
            // Another node may have written since.
            self.catch_up(stream_id, &mut loaded, At::LATEST).await?;
            Ok(loaded)
        };
        panics::catch_async(read)
            .await
            .unwrap_or_else(|message| Err(ReplayError::Panicked { aggregate: A::NAME, message }))
    }

    /// The outcome that an earlier dispatch with the same id had.
    pub(crate) async fn repeat(
        &self,
        stream_id: &StreamId,
        command_id: CommandId,
        append_id: CommandId,
    ) -> Outcome<A> {
        match self.environment.store.outcome(append_id).await {
            Ok(Some(appended)) => self.repeated(stream_id, command_id, appended).await,
            // It was there a moment ago; only a reset of the store can take it away.
            Ok(None) => self.current(stream_id, command_id).await,
            Err(error) => Err(untold(command_id, stream_id, error)),
        }
    }

    /// Tells what an earlier append with the same id wrote.
    pub(crate) async fn repeated(
        &self,
        stream_id: &StreamId,
        command_id: CommandId,
        appended: Appended,
    ) -> Outcome<A> {
        let Some(first) = appended.streams.first().filter(|first| first.stream_id == *stream_id) else {
            let first =
                appended.streams.first().map_or_else(|| stream_id.clone(), |first| first.stream_id.clone());
            return Err(DispatchError::IdReused { command_id, stream_id: stream_id.clone(), first });
        };
        let read_back =
            panics::catch_async(self.read_back(stream_id, first.events, first.version, &appended));
        read_back
            .await
            .unwrap_or_else(|message| Err(ReplayError::Panicked { aggregate: A::NAME, message }))
            .map_err(|error| untold(command_id, stream_id, error))
    }

    async fn read_back(
        &self,
        stream_id: &StreamId,
        count: u64,
        mut version: u64,
        appended: &Appended,
    ) -> Result<Success<A>, ReplayError> {
        let events = match count {
            0 => Vec::new(),
            _ => self.events_between(stream_id, version + 1 - count, version).await?,
        };
        let then = self.load_at(stream_id, At::Version(version)).await?;
        if version == 0 {
            // A state-stored aggregate has no event stream to count in; its state knows its version.
            version = then.version;
        }
        let position = (appended.position > 0).then_some(appended.position);
        Ok(Success { version, position, events, state: then.state, repeated: true })
    }
}
