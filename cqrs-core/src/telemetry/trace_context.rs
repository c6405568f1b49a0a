use crate::event::Metadata;

/// The place of a span in a distributed trace, as the W3C recommendation
/// [Trace Context](https://www.w3.org/TR/trace-context/) writes it.
///
/// It is stored with each event of a command, in its metadata under [`TraceContext::TRACEPARENT`] and
/// [`TraceContext::TRACESTATE`], and [`Metadata::trace_context`] gives it.
///
/// ```
/// use cqrs_core::telemetry::TraceContext;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
/// assert_eq!(context.with_tracestate("vendor=1").tracestate(), Some("vendor=1"));
/// assert!(TraceContext::new("00-0-0-01").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

/// A text that is not the `traceparent` of a trace context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{traceparent:?} is not a traceparent: `version-trace_id-parent_id-flags` in hexadecimal digits is expected"
)]
pub struct InvalidTraceContext {
    traceparent: String,
}

/// How many digits each part has: version, trace id, parent id, flags.
const DIGITS: [usize; 4] = [2, 32, 16, 2];

impl TraceContext {
    /// The name in an event's metadata of version, trace id, parent id and flags.
    pub const TRACEPARENT: &str = "$traceparent";

    /// The name in an event's metadata of what vendors add.
    pub const TRACESTATE: &str = "$tracestate";

    /// The trace context of a `traceparent` header: version, trace id, parent id and flags, in 2, 32, 16 and 2 lower
    /// case hexadecimal digits, with hyphens between them.
    ///
    /// # Errors
    /// When the text is none, or one of the ids is zero.
    pub fn new(traceparent: impl Into<String>) -> Result<Self, InvalidTraceContext> {
        let traceparent = traceparent.into();
        if is_traceparent(&traceparent) {
            return Ok(Self { traceparent, tracestate: None });
        }
        Err(InvalidTraceContext { traceparent })
    }

    /// The same with the value of a `tracestate` header.
    #[must_use]
    pub fn with_tracestate(mut self, tracestate: impl Into<String>) -> Self {
        self.tracestate = Some(tracestate.into()).filter(|state| !state.is_empty());
        self
    }

    /// Version, trace id, parent id and flags.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// What vendors have added, if they have.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// The trace context that metadata carry; `None` also when it is not a valid one.
    pub(crate) fn of_metadata(metadata: &Metadata) -> Option<Self> {
        let text = |name| metadata.get(name).and_then(|value| value.as_str());
        let context = Self::new(text(Self::TRACEPARENT)?).ok()?;
        Some(match text(Self::TRACESTATE) {
            Some(state) => context.with_tracestate(state),
            None => context,
        })
    }

    /// Has metadata carry this, and nothing of an earlier one.
    pub(crate) fn put_into(&self, metadata: &mut Metadata) {
        metadata.insert(Self::TRACEPARENT, self.traceparent.as_str());
        match &self.tracestate {
            Some(state) => metadata.insert(Self::TRACESTATE, state.as_str()),
            None => metadata.remove(Self::TRACESTATE),
        }
    }
}

/// Later versions may have further parts; none of these is needed.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let known = DIGITS.map(|digits| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == digits && part.bytes().all(is_digit))
    });
    let [Some(version), Some(trace_id), Some(parent_id), Some(_)] = known else { return false };
    let is_zero = |id: &str| id.bytes().all(|digit| digit == b'0');
    let is_whole = version != "00" || parts.next().is_none();
    version != "ff" && is_whole && !is_zero(trace_id) && !is_zero(parent_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_not_a_traceparent_is_refused() {
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-further",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert!(TraceContext::new(wrong).is_err(), "{wrong}");
        }
        assert!(TraceContext::new(VALID).is_ok());
        assert!(TraceContext::new(format!("01{}-further", &VALID[2..])).is_ok(), "a later version");
    }

    #[test]
    fn metadata_carry_one_trace_context_at_a_time() {
        let first = TraceContext::new(VALID).unwrap().with_tracestate("vendor=1");
        let second = TraceContext::new(VALID.replace("b7", "a7")).unwrap();
        let mut metadata: Metadata = [("actor", "u-1")].into_iter().collect();
        first.put_into(&mut metadata);
        assert_eq!(metadata.trace_context(), Some(first));
        second.put_into(&mut metadata);
        assert_eq!(metadata.trace_context(), Some(second));
        assert_eq!(metadata.iter().count(), 2, "what others have attached is untouched");
    }

    #[test]
    fn what_is_no_trace_context_is_left_out() {
        let metadata: Metadata = [(TraceContext::TRACEPARENT, "nonsense")].into_iter().collect();
        assert_eq!(metadata.trace_context(), None);
    }
}
