use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use crate::event::{EventSet, Metadata, encode_json};

/// What others are told of an event: a contract of its own, with a name and a version of its own.
///
/// ```
/// use cqrs_core::publisher::IntegrationEvent;
///
/// #[derive(serde::Serialize)]
/// struct CustomerJoined {
///     customer: String,
/// }
///
/// let joined = CustomerJoined { customer: "c-1".to_owned() };
/// let event = IntegrationEvent::new("CustomerJoined", 1, &joined)?.partition_key("c-1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct IntegrationEvent {
    pub(super) name: Cow<'static, str>,
    pub(super) version: u32,
    pub(super) payload: Bytes,
    pub(super) partition_key: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

impl IntegrationEvent {
    /// A message of this name and version, with this value as its payload.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn new<T: Serialize>(
        name: impl Into<Cow<'static, str>>,
        version: u32,
        payload: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::encoded(name.into(), version, encode_json(payload)?))
    }

    /// The event itself, under its name and in its present version.
    ///
    /// # Errors
    /// When the event has no JSON form.
    pub fn of<E: EventSet>(event: &E) -> Result<Self, serde_json::Error> {
        let schema = event.schema();
        Ok(Self::encoded(Cow::Borrowed(schema.name), schema.version, event.encode()?))
    }

    fn encoded(name: Cow<'static, str>, version: u32, payload: Bytes) -> Self {
        Self { name, version, payload, partition_key: None, metadata: None }
    }

    /// Sets what keeps the order among messages at the broker; the event's stream unless set.
    pub fn partition_key(mut self, key: impl Into<String>) -> Self {
        self.partition_key = Some(key.into());
        self
    }

    /// Sets what goes along; the event's metadata unless set.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }
}
