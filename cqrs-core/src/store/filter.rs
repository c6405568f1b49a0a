use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::store::RecordedEvent;

/// Which way a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Latest first.
    Backward,
}

/// Which events of the log are read. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    types: Option<Arc<HashSet<Cow<'static, str>>>>,
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
        Self { types: Some(Arc::new(names.into_iter().map(Into::into).collect())) }
    }

    /// Whether an event of this type passes.
    #[must_use]
    pub fn accepts(&self, event_type: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(event_type))
    }

    /// Whether this event passes.
    #[must_use]
    pub fn passes(&self, event: &RecordedEvent) -> bool {
        self.accepts(&event.event_type)
    }

    /// The wire names that pass; `None` when all do. For adapters that filter in their own language.
    #[must_use]
    pub fn event_types(&self) -> Option<impl Iterator<Item = &str>> {
        self.types.as_ref().map(|types| types.iter().map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_accepts_its_types_only() {
        assert!(EventFilter::all().accepts("Anything"));
        let filter = EventFilter::types(["Opened"]);
        assert!(filter.accepts("Opened"));
        assert!(!filter.accepts("Closed"));
    }
}
