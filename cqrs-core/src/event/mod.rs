//! Events: facts in the past tense, their wire names and versions, and the one place where stored payloads
//! become typed values again.
//!
//! | concept | type |
//! |---|---|
//! | an event type | [`Event`], with its [`EventSchema`] |
//! | the event types that somebody understands | [`EventSet`] |
//! | all event types of a program | [`EventRegistry`] |
//! | old payloads made new | [`Upcaster`], [`RawEvent`] |
//! | what comes with an event | [`Metadata`], [`EventContext`] |

mod about;
mod context;
mod decode;
mod metadata;
mod raw;
mod registration;
mod registry;
mod schema;
mod set;
mod shape;

pub use context::EventContext;
pub use decode::DecodeError;
pub use metadata::Metadata;
pub use raw::{IntoUpcast, RawEvent, UpcastError};
pub use registration::EventRegistration;
pub use registry::{EventRegistry, RegistryFault};
pub use schema::{EventSchema, Upcast, Upcaster};
pub use set::{EventSet, Payload};
pub use shape::{EventField, EventShape, EventVariant};

pub(crate) use about::about_event;
pub(crate) use decode::{Decoded, decode};
pub(crate) use set::encode as encode_json;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A fact that happened, as `#[derive(Event)]` makes it.
///
/// The wire name and the schema version are what is stored; they do not depend on the type's path, so that
/// the type can be renamed and moved freely.
///
/// # By hand
/// ```
/// use cqrs_core::event::{Event, EventSchema};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
/// struct AccountOpened { owner: String }
///
/// impl Event for AccountOpened {
///     const SCHEMA: &'static EventSchema = &EventSchema::new("AccountOpened", 1).at(file!(), line!());
/// }
/// cqrs_core::event::event_set_of_one!(AccountOpened);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event: add `#[derive(cqrs::Event)]` to it",
    label = "not an event"
)]
pub trait Event:
    Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static
{
    /// The wire name, the version and the upcasters.
    const SCHEMA: &'static EventSchema;
}

#[doc(inline)]
pub use crate::event_set_of_one;
