use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::id::CausationId;
use crate::telemetry::TraceContext;

/// What travels with a command and is stored with each of its events: JSON values by name.
///
/// Cloning is cheap. Names that start with `$` are kept for the framework.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Metadata {
    entries: Option<Arc<Map<String, Value>>>,
}

/// Under which name the message is kept that caused the command that caused the event.
const COMMAND_CAUSATION: &str = "$command_causation_id";

impl Metadata {
    /// No entry.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// Sets an entry; an earlier value of the same name is replaced.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let entries = self.entries.get_or_insert_default();
        Arc::make_mut(entries).insert(name.into(), value.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            Arc::make_mut(self.entries.get_or_insert_default()).remove(name);
        }
    }

    /// The entry of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.as_ref()?.get(name)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().flat_map(|entries| entries.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.is_empty())
    }

    /// Takes over the entries of `other`; where both have a name, `other` wins.
    pub fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            self.entries.clone_from(&other.entries);
            return;
        }
        for (name, value) in other.iter() {
            self.insert(name, value.clone());
        }
    }

    /// The message that caused the command that caused the event: for a command that a handler sent, the
    /// event that the handler handled.
    #[must_use]
    pub fn command_causation_id(&self) -> Option<CausationId> {
        let text = self.get(COMMAND_CAUSATION)?.as_str()?;
        Uuid::parse_str(text).ok().map(CausationId::from)
    }

    /// The trace that the event comes from: the place in it of the dispatch of its command, or of whoever dispatched that.
    /// A publisher hands it on in the headers of its messages, say.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        TraceContext::of_metadata(self)
    }

    pub(crate) fn set_command_causation_id(&mut self, id: CausationId) {
        self.insert(COMMAND_CAUSATION, id.to_string());
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(entries: Map<String, Value>) -> Self {
        Self { entries: (!entries.is_empty()).then(|| Arc::new(entries)) }
    }
}

impl From<Metadata> for Map<String, Value> {
    fn from(metadata: Metadata) -> Self {
        metadata.entries.map(Arc::unwrap_or_clone).unwrap_or_default()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries: Map<String, Value> =
            entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::from(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_entries_win_and_the_origin_is_untouched() {
        let first: Metadata = [("actor", "u-1"), ("tenant", "a")].into_iter().collect();
        let mut second = first.clone();
        second.extend(&[("actor", "u-2")].into_iter().collect());
        assert_eq!(second.get("actor"), Some(&Value::from("u-2")));
        assert_eq!(second.get("tenant"), Some(&Value::from("a")));
        assert_eq!(first.get("actor"), Some(&Value::from("u-1")));
    }

    #[test]
    fn e_071_empty_metadata_is_an_empty_object_on_the_wire() {
        assert_eq!(serde_json::to_string(&Metadata::new()).unwrap(), "{}");
        let back: Metadata = serde_json::from_str("{}").unwrap();
        assert!(back.is_empty());
    }

    #[test]
    fn e_102_what_caused_the_command_is_known_also_behind_json() {
        let cause = CausationId::from(Uuid::from_u128(7));
        let mut metadata: Metadata = [("actor", "u-1")].into_iter().collect();
        assert_eq!(metadata.command_causation_id(), None);
        metadata.set_command_causation_id(cause);
        assert_eq!(metadata.command_causation_id(), Some(cause));
        let back: Metadata = serde_json::from_slice(&serde_json::to_vec(&metadata).unwrap()).unwrap();
        assert_eq!((back.command_causation_id(), &back), (Some(cause), &metadata));
        for strange in [Value::Null, 7.into(), "no id".into()] {
            metadata.insert(COMMAND_CAUSATION, strange);
            assert_eq!(metadata.command_causation_id(), None);
        }
    }
}
