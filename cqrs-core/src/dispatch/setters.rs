/// The methods that set the options of one dispatch, for each kind of dispatch: it keeps them in `self.call`.
macro_rules! option_setters {
    () => {
        /// How long the command may take until its events are stored; 5 s unless set. Beyond that,
        /// [`DispatchError::Timeout`](crate::dispatch::DispatchError::Timeout) tells whether it may have happened.
        pub fn timeout(mut self, limit: ::std::time::Duration) -> Self {
            self.call.defaults = self.call.defaults.timeout(limit);
            self
        }

        /// The command may take for ever.
        pub fn no_timeout(mut self) -> Self {
            self.call.defaults = self.call.defaults.no_timeout();
            self
        }

        /// What the dispatch waits for once the events are stored; nothing unless set.
        pub fn consistency(mut self, consistency: $crate::dispatch::Consistency) -> Self {
            self.call.defaults = self.call.defaults.consistency(consistency);
            self
        }

        /// How long that wait may take; 5 s unless set.
        pub fn consistency_timeout(mut self, limit: ::std::time::Duration) -> Self {
            self.call.defaults = self.call.defaults.consistency_timeout(limit);
            self
        }

        /// The version that the aggregate must have: 0 when it must not exist yet. A dispatch that expects a
        /// version is never executed again on another one.
        pub fn expected_version(mut self, version: u64) -> Self {
            self.call.expected_version = Some(version);
            self
        }

        /// Attaches a value to the command; it is stored with each of its events.
        pub fn metadata(mut self, name: impl Into<String>, value: impl Into<::serde_json::Value>) -> Self {
            self.call.metadata.insert(name, value);
            self
        }

        /// The trace that the command belongs to, where the caller was told of it by others, such as in the headers of a
        /// request. It is stored with each event of the command, unless the application has a
        /// [propagator]($crate::telemetry::Propagator): then the trace context of the dispatch is, whose span is linked
        /// to this one.
        pub fn trace_context(mut self, context: &$crate::telemetry::TraceContext) -> Self {
            context.put_into(&mut self.call.metadata);
            self
        }

        /// The message that caused the command; the ambient event unless set.
        pub fn causation_id(mut self, id: impl Into<$crate::id::CausationId>) -> Self {
            self.call.causation_id = Some(id.into());
            self
        }

        /// What the command belongs together with; the ambient correlation unless set, a new one where there is
        /// none.
        pub fn correlation_id(mut self, id: $crate::id::CorrelationId) -> Self {
            self.call.correlation_id = Some(id);
            self
        }

        /// The command's id; drawn unless set. Dispatching a command with an id that was carried out before
        /// gives the outcome of that time and changes nothing; a refusal is not remembered.
        pub fn command_id(mut self, id: $crate::id::CommandId) -> Self {
            self.call.command_id = Some(id);
            self
        }

        /// A key under which the command is executed at most once, whatever its id.
        pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self {
            self.call.idempotency_key = Some($crate::id::CommandId::from_key(key.as_ref()));
            self
        }

        /// How many times the command is executed again after a version conflict; 10 unless set.
        pub fn retry_attempts(mut self, attempts: u32) -> Self {
            self.call.defaults = self.call.defaults.retry_attempts(attempts);
            self
        }
    };
}

pub(crate) use option_setters;
