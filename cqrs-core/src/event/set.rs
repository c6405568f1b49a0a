use std::borrow::Cow;
use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::EventSchema;

/// The event types that an aggregate or a handler understands: an enum with a variant each, or one event.
///
/// `#[derive(EventSet)]` implements it for an enum whose variants hold one event each; `#[aggregate]` and
/// `#[event_handler]` make such an enum by themselves, and `#[derive(Event)]` makes each event a set of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of events: add `#[derive(cqrs::Event)]` to an event, `#[derive(cqrs::EventSet)]` to an enum of events",
    label = "not a set of events"
)]
pub trait EventSet: Clone + std::fmt::Debug + PartialEq + Send + Sync + Sized + 'static {
    /// The types in the set.
    fn schemas() -> Vec<&'static EventSchema>;

    /// The type of this value.
    fn schema(&self) -> &'static EventSchema;

    /// Decodes a payload of the type that `schema` describes; `None` when that type is not in the set.
    ///
    /// # Errors
    /// When the payload does not fit the type.
    fn decode(schema: &EventSchema, payload: Payload<'_>) -> Result<Option<Self>, serde_json::Error>;

    /// Encodes this value as the payload of its type.
    ///
    /// # Errors
    /// When the value has no JSON form.
    fn encode(&self) -> Result<Bytes, serde_json::Error>;
}

/// A payload in its present version, not decoded yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// As it is stored.
    Stored(&'a [u8]),
    /// As an upcaster made it.
    Upcast(Cow<'a, Value>),
}

impl Payload<'_> {
    /// Decodes the payload.
    ///
    /// # Errors
    /// When the payload does not fit the type.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Stored(bytes) => serde_json::from_slice(bytes),
            Self::Upcast(value) => serde_json::from_value(value.into_owned()),
        }
    }
}

/// Encodes an event as a payload.
///
/// # Errors
/// When the value has no JSON form.
pub(crate) fn encode<T: Serialize>(event: &T) -> Result<Bytes, serde_json::Error> {
    // Written into a buffer that is kept, so that the payload itself is as large as it has to be. An event
    // that encodes others while it is encoded finds none, and makes its own.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let encoded = serde_json::to_writer(&mut buffer, event);
    let payload = encoded.map(|()| Bytes::copy_from_slice(&buffer));
    if buffer.capacity() <= KEPT_BUFFER {
        BUFFER.set(buffer);
    }
    payload
}

/// The largest buffer that a thread keeps for encoding.
const KEPT_BUFFER: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Implements [`EventSet`] for a type that implements [`Event`](crate::event::Event) by hand.
#[macro_export]
macro_rules! event_set_of_one {
    ($event:ty) => {
        impl $crate::event::EventSet for $event {
            fn schemas() -> ::std::vec::Vec<&'static $crate::event::EventSchema> {
                ::std::vec![<Self as $crate::event::Event>::SCHEMA]
            }

            fn schema(&self) -> &'static $crate::event::EventSchema {
                <Self as $crate::event::Event>::SCHEMA
            }

            fn decode(
                schema: &$crate::event::EventSchema,
                payload: $crate::event::Payload<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, $crate::__private::serde_json::Error>
            {
                if schema.name != <Self as $crate::event::Event>::SCHEMA.name {
                    return ::core::result::Result::Ok(::core::option::Option::None);
                }
                payload.decode().map(::core::option::Option::Some)
            }

            fn encode(
                &self,
            ) -> ::core::result::Result<$crate::__private::Bytes, $crate::__private::serde_json::Error> {
                $crate::__private::encode(self)
            }
        }
    };
}
