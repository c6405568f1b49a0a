use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::id::CorrelationId;
use crate::store::{RecordedEvent, StreamId};

/// Which way a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Latest first.
    Backward,
}

/// Which events of the log are read: those that fulfil every condition. Cloning is cheap.
///
/// ```
/// use cqrs_core::store::{EventFilter, StreamId};
///
/// let filter = EventFilter::types(["AccountOpened", "AccountClosed"]).category("account");
/// assert!(filter.accepts("AccountOpened") && !filter.accepts("MoneyDeposited"));
/// assert!(filter.includes(&StreamId::new("account-42")?));
/// assert!(!filter.includes(&StreamId::new("order-42")?));
/// # Ok::<(), cqrs_core::store::InvalidStreamId>(())
/// ```
///
/// An event belongs to the stream that it was written to, whichever streams it is linked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    types: Option<Arc<HashSet<Cow<'static, str>>>>,
    category: Option<Arc<str>>,
    stream_id: Option<StreamId>,
    correlation_id: Option<CorrelationId>,
}

impl EventFilter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The events of these types, by their wire names.
    #[must_use]
    pub fn types<T: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = T>) -> Self {
        Self { types: Some(Arc::new(names.into_iter().map(Into::into).collect())), ..Self::all() }
    }

    /// Of these the events whose stream is of this category: what stands before the first `-` of its name, which is the
    /// stream prefix of an aggregate ([`StreamId::category`]). The category that is named last counts.
    #[must_use]
    pub fn category(mut self, category: impl Into<Arc<str>>) -> Self {
        self.category = Some(category.into());
        self
    }

    /// Of these the events that were written to this stream; those that are linked into it are not among them. The
    /// stream that is named last counts.
    #[must_use]
    pub fn stream(mut self, stream_id: StreamId) -> Self {
        self.stream_id = Some(stream_id);
        self
    }

    /// Of these the events that belong together by this correlation id. The one that is named last counts.
    #[must_use]
    pub fn correlation(mut self, correlation_id: CorrelationId) -> Self {
        self.correlation_id = Some(correlation_id);
        self
    }

    /// Whether an event of this type may pass.
    #[must_use]
    pub fn accepts(&self, event_type: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(event_type))
    }

    /// Whether an event of this stream may pass.
    #[must_use]
    pub fn includes(&self, stream_id: &StreamId) -> bool {
        self.stream_id.as_ref().is_none_or(|only| only == stream_id)
            && self.category.as_ref().is_none_or(|only| **only == *stream_id.category())
    }

    /// Whether this event passes.
    #[must_use]
    pub fn passes(&self, event: &RecordedEvent) -> bool {
        self.accepts(&event.event_type)
            && self.includes(&event.stream_id)
            && self.correlation_id.is_none_or(|only| only == event.correlation_id)
    }

    /// The wire names that pass; `None` when all do. For adapters that filter in their own language, as
    /// [`EventFilter::only_category`], [`EventFilter::only_stream`] and [`EventFilter::only_correlation`] are.
    #[must_use]
    pub fn event_types(&self) -> Option<impl Iterator<Item = &str>> {
        self.types.as_ref().map(|types| types.iter().map(AsRef::as_ref))
    }

    /// The category whose events pass; `None` when it does not matter.
    #[must_use]
    pub fn only_category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// The stream whose events pass; `None` when it does not matter.
    #[must_use]
    pub fn only_stream(&self) -> Option<&StreamId> {
        self.stream_id.as_ref()
    }

    /// The correlation whose events pass; `None` when it does not matter.
    #[must_use]
    pub fn only_correlation(&self) -> Option<CorrelationId> {
        self.correlation_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamId {
        StreamId::new(name).unwrap()
    }

    #[test]
    fn a_filter_accepts_its_types_only() {
        assert!(EventFilter::all().accepts("Anything"));
        let filter = EventFilter::types(["Opened"]);
        assert!(filter.accepts("Opened"));
        assert!(!filter.accepts("Closed"));
    }

    #[test]
    fn a_filter_includes_the_streams_of_its_category_only() {
        let filter = EventFilter::all().category("account");
        for (name, expected) in [
            ("account-1", true),
            ("account", true),
            ("accounts-1", false),
            ("-account", false),
            ("Account-1", false),
        ] {
            assert_eq!(filter.includes(&stream(name)), expected, "{name}");
        }
        assert!(!EventFilter::all().category("account-1").includes(&stream("account-1")));
    }

    #[test]
    fn a_filter_includes_its_stream_only() {
        let filter = EventFilter::all().stream(stream("account-1"));
        assert!(filter.includes(&stream("account-1")));
        assert!(!filter.includes(&stream("account-12")) && !filter.includes(&stream("account")));
        assert!(filter.clone().category("account").includes(&stream("account-1")));
        assert!(!filter.category("order").includes(&stream("account-1")), "both conditions hold");
    }
}
