use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::event::{Event, Upcast};

/// An event whose payload is not typed yet: what upcasters give when one event becomes several.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RawEvent {
    /// The wire name.
    pub name: Cow<'static, str>,
    /// The version of the payload's shape.
    pub version: u32,
    /// The payload.
    pub data: Value,
}

impl RawEvent {
    /// An event of any name and version; it is upcast further when that version is an old one.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, version: u32, data: Value) -> Self {
        Self { name: name.into(), version, data }
    }

    /// An event of type `E` in its present version.
    #[must_use]
    pub fn of<E: Event>(data: Value) -> Self {
        Self::new(E::SCHEMA.name, E::SCHEMA.version, data)
    }
}

/// A payload that an upcaster cannot make new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpcastError(String);

impl UpcastError {
    /// An error with a reason.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for UpcastError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UpcastError {}

/// What the function of an upcaster may return: a payload, several events, or either in a `Result`.
#[diagnostic::on_unimplemented(
    message = "an upcaster cannot return `{Self}`: return `serde_json::Value`, `Vec<RawEvent>`, or a `Result` of one of them",
    label = "not what an upcaster gives"
)]
pub trait IntoUpcast {
    /// Gives the one form that the framework works with.
    ///
    /// # Errors
    /// When the upcaster itself failed.
    fn into_upcast(self) -> Result<Upcast, UpcastError>;
}

impl IntoUpcast for Value {
    fn into_upcast(self) -> Result<Upcast, UpcastError> {
        Ok(Upcast::Next(self))
    }
}

impl IntoUpcast for Vec<RawEvent> {
    fn into_upcast(self) -> Result<Upcast, UpcastError> {
        Ok(Upcast::Events(self))
    }
}

impl<T: IntoUpcast, E: fmt::Display> IntoUpcast for Result<T, E> {
    fn into_upcast(self) -> Result<Upcast, UpcastError> {
        self.map_err(UpcastError::new)?.into_upcast()
    }
}
