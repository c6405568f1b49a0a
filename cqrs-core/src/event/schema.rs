use serde_json::Value;

use crate::event::{EventField, EventShape, EventVariant, RawEvent, UpcastError};

/// What the framework knows of an event type.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EventSchema {
    /// The wire name.
    pub name: &'static str,
    /// The version of the payload's shape; the first is 1.
    pub version: u32,
    /// Wire names of old, under which the type may be stored as well.
    pub aliases: &'static [&'static str],
    /// One upcaster for each version below `version`.
    pub upcasters: &'static [Upcaster],
    /// What the payload is as a whole.
    pub shape: EventShape,
    /// The fields, for lists and checks.
    pub fields: &'static [EventField],
    /// The variants of an enum.
    pub variants: &'static [EventVariant],
    /// The crate that owns the type.
    pub krate: &'static str,
    /// Where the type is declared.
    pub file: &'static str,
    /// Where the type is declared.
    pub line: u32,
}

/// Turns the payload of one version into that of the next, or into other events.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Upcaster {
    /// The version that it takes.
    pub from: u32,
    /// The function.
    pub upcast: fn(Value) -> Result<Upcast, UpcastError>,
    /// The wire names of the other event types that it may give; whoever wants one of those reads this
    /// type as well.
    pub produces: &'static [&'static str],
}

/// What an upcaster gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Upcast {
    /// The payload of the next version of the same type.
    Next(Value),
    /// These events in its place; none drops it.
    Events(Vec<RawEvent>),
}

impl Upcaster {
    /// An upcaster from version `from`.
    #[must_use]
    pub const fn new(from: u32, upcast: fn(Value) -> Result<Upcast, UpcastError>) -> Self {
        Self { from, upcast, produces: &[] }
    }

    /// Declares the other event types that it may give, by wire name.
    #[must_use]
    pub const fn producing(mut self, names: &'static [&'static str]) -> Self {
        self.produces = names;
        self
    }
}

impl EventSchema {
    /// A schema with neither aliases nor upcasters, of a payload that nothing is known of.
    #[must_use]
    pub const fn new(name: &'static str, version: u32) -> Self {
        Self {
            name,
            version,
            aliases: &[],
            upcasters: &[],
            shape: EventShape::Unknown,
            fields: &[],
            variants: &[],
            krate: "",
            file: "",
            line: 0,
        }
    }

    /// Adds wire names of old.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Adds the upcasters.
    #[must_use]
    pub const fn upcasters(mut self, upcasters: &'static [Upcaster]) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// Says what the payload is as a whole.
    #[must_use]
    pub const fn shape(mut self, shape: EventShape) -> Self {
        self.shape = shape;
        self
    }

    /// Adds the fields.
    #[must_use]
    pub const fn fields(mut self, fields: &'static [EventField]) -> Self {
        self.fields = fields;
        self
    }

    /// Adds the variants of an enum.
    #[must_use]
    pub const fn variants(mut self, variants: &'static [EventVariant]) -> Self {
        self.variants = variants;
        self
    }

    /// Adds the owning crate.
    #[must_use]
    pub const fn krate(mut self, krate: &'static str) -> Self {
        self.krate = krate;
        self
    }

    /// Adds the place of the declaration.
    #[must_use]
    pub const fn at(mut self, file: &'static str, line: u32) -> Self {
        self.file = file;
        self.line = line;
        self
    }

    pub(crate) fn upcaster(&self, from: u32) -> Option<&'static Upcaster> {
        self.upcasters.iter().find(|upcaster| upcaster.from == from)
    }
}
