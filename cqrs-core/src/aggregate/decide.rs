use crate::aggregate::failure::abandoned;
use crate::aggregate::instance::Loaded;
use crate::aggregate::{Aggregate, AggregateRuntime, Emitter, Order, Replier, SnapshotPolicy};
use crate::command::{CommandContext, Execution};
use crate::dispatch::DispatchError;
use crate::event::EventSet as _;
use crate::id::EventId;
use crate::store::{Append, EventData, ExpectedVersion, StreamId, StreamWrite};

impl<A: Aggregate> AggregateRuntime<A> {
    /// Lets the aggregate decide; gives the events and the state with them.
    pub(super) async fn decide(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
        reply: &mut Replier<A>,
        attempt: u32,
    ) -> Result<(Vec<A::Event>, Option<A>), DispatchError<A::Error>> {
        let context = self.context_of(stream_id, current, order, attempt);
        let mut emitter = Emitter::new(&*current.state);
        let decided = match self.begin_decision(current, order, &mut emitter, &context) {
            Execution::Ready(decided) => decided,
            Execution::Pending(deciding) => tokio::select! {
                biased;
                decided = deciding => decided,
                // Nothing would be stored any more, and others wait for the aggregate.
                () = reply.closed() => return Err(abandoned(order)),
            },
        };
        decided.map_err(DispatchError::Rejected)?;
        Ok(emitter.finish())
    }

    /// The same for a decision that is made without waiting; `None` when it is not, or is a refusal. What waits is not
    /// begun.
    pub(super) fn decide_at_once(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
    ) -> Option<(Vec<A::Event>, Option<A>)> {
        let context = self.context_of(stream_id, current, order, 1);
        let mut emitter = Emitter::new(&*current.state);
        let Execution::Ready(Ok(())) = self.begin_decision(current, order, &mut emitter, &context) else {
            return None;
        };
        Some(emitter.finish())
    }

    fn context_of(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
        attempt: u32,
    ) -> CommandContext {
        CommandContext {
            command_id: order.command_id,
            correlation_id: order.correlation_id,
            causation_id: order.causation_id,
            metadata: order.metadata.clone(),
            stream_id: stream_id.clone(),
            version: current.version,
            attempt,
            now: self.environment.clock.now(),
        }
    }

    fn begin_decision<'a>(
        &'a self,
        current: &'a Loaded<A>,
        order: &'a Order<A>,
        emitter: &'a mut Emitter<'_, A>,
        context: &'a CommandContext,
    ) -> Execution<'a, A::Error> {
        match current.state.before_execute(context) {
            Ok(()) => {
                let services = &self.environment.services;
                (order.run)(&*order.command, services, &current.state, emitter, context)
            }
            Err(refusal) => Execution::Ready(Err(refusal)),
        }
    }

    /// The append of what was decided on `current`.
    pub(super) fn append_of(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
        events: &[A::Event],
        changed: Option<&A>,
    ) -> Result<Append, DispatchError<A::Error>> {
        let id = order.append_id;
        let stream_id = stream_id.clone();
        // Without events there is no new state: then the append only keeps the outcome of its id.
        if self.settings.snapshots == SnapshotPolicy::StateStored && !events.is_empty() {
            let codec = self.settings.codec.as_ref().expect("a state-stored aggregate has a codec");
            let data = (codec.encode)(changed.unwrap_or(&current.state)).map_err(|error| {
                let command_id = order.command_id;
                DispatchError::Unencodable { command_id, what: A::NAME, source: error.into() }
            })?;
            let write = StreamWrite::State {
                stream_id,
                expected: current.version,
                version: current.version + events.len() as u64,
                schema_version: codec.schema_version,
                data,
            };
            return Ok(Append { id, writes: vec![write] });
        }
        let mut metadata = order.metadata.clone();
        if let Some(causation_id) = order.causation_id {
            metadata.set_command_causation_id(causation_id);
        }
        let data = |event: &A::Event| {
            let schema = event.schema();
            Ok(EventData {
                event_id: EventId::new(),
                event_type: schema.name.into(),
                schema_version: schema.version,
                data: self.encode(order, event)?,
                metadata: metadata.clone(),
                causation_id: order.command_id.into(),
                correlation_id: order.correlation_id,
            })
        };
        let events = events.iter().map(data).collect::<Result<_, _>>()?;
        let expected = match self.settings.snapshots {
            SnapshotPolicy::StateStored => ExpectedVersion::Any,
            _ => ExpectedVersion::Exact(current.version),
        };
        Ok(Append::to_stream(id, stream_id, expected, events))
    }

    fn encode(&self, order: &Order<A>, event: &A::Event) -> Result<bytes::Bytes, DispatchError<A::Error>> {
        let command_id = order.command_id;
        let event_type = event.schema().name;
        let data = event.encode().map_err(|error| DispatchError::Unencodable {
            command_id,
            what: event_type,
            source: error.into(),
        })?;
        let limit = self.environment.payload_limit;
        if data.len() > limit {
            return Err(DispatchError::PayloadTooLarge { command_id, event_type, size: data.len(), limit });
        }
        Ok(data)
    }
}
