/// What is known about the event, for a context that has it as its field `event`, and counts attempts at it.
macro_rules! about_event {
    ($context:ty) => {
        impl $context {
            /// The event's own id.
            #[must_use]
            pub fn event_id(&self) -> $crate::id::EventId {
                self.event.event_id
            }

            /// The event's place in the log.
            #[must_use]
            pub fn position(&self) -> u64 {
                self.event.position
            }

            /// The stream that the event was written to.
            #[must_use]
            pub fn stream_id(&self) -> &$crate::store::StreamId {
                &self.event.stream_id
            }

            /// The event's place in that stream.
            #[must_use]
            pub fn stream_version(&self) -> u64 {
                self.event.stream_version
            }

            /// The identity of the aggregate that emitted the event: the stream id without its prefix.
            #[must_use]
            pub fn aggregate_id(&self) -> &str {
                self.event.stream_id.identity()
            }

            /// The wire name under which the event is stored; upcasting may have led to another type.
            #[must_use]
            pub fn event_type(&self) -> &str {
                &self.event.event_type
            }

            /// The command that caused the event.
            #[must_use]
            pub fn causation_id(&self) -> $crate::id::CausationId {
                self.event.causation_id
            }

            /// What the event belongs together with.
            #[must_use]
            pub fn correlation_id(&self) -> $crate::id::CorrelationId {
                self.event.correlation_id
            }

            /// What the caller and the middleware attached to the command.
            #[must_use]
            pub fn metadata(&self) -> &$crate::event::Metadata {
                &self.event.metadata
            }

            /// When the store recorded the event. The rows of a projection go by this where they depend on the time, so that a
            /// rebuild gives the same.
            #[must_use]
            pub fn created_at(&self) -> chrono::DateTime<chrono::Utc> {
                self.event.created_at
            }

            /// Which attempt at this event this is; the first is 1.
            #[must_use]
            pub fn attempt(&self) -> u32 {
                self.attempt
            }

            /// The event as it is stored.
            #[must_use]
            pub fn recorded(&self) -> &$crate::store::RecordedEvent {
                &self.event
            }
        }
    };
}

pub(crate) use about_event;
