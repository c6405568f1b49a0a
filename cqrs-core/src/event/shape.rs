use std::fmt;

/// What a payload is as a whole, as far as serde's attributes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventShape {
    /// Not known, as when the schema is written by hand and does not say.
    Unknown,
    /// That of another type (`#[serde(from = ..)]`, `#[serde(into = ..)]`).
    As {
        /// The other type.
        ty: &'static str,
    },
    /// Nothing: `struct Closed;`.
    Unit,
    /// An object of named fields.
    Struct,
    /// A list of values.
    Tuple,
    /// A single value: a struct of one field without a name, or `#[serde(transparent)]`.
    Newtype,
    /// One of several variants, each as an object of its own name.
    Enum,
    /// One of several variants, told apart by a field within them.
    Tagged {
        /// The field.
        tag: &'static str,
    },
    /// One of several variants, with their name and their content in two fields.
    Adjacent {
        /// The field of the name.
        tag: &'static str,
        /// The field of the content.
        content: &'static str,
    },
    /// One of several variants, told apart by what they hold.
    Untagged,
}

impl fmt::Display for EventShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(formatter, "unknown"),
            Self::As { ty } => write!(formatter, "as {ty}"),
            Self::Unit => write!(formatter, "unit"),
            Self::Struct => write!(formatter, "struct"),
            Self::Tuple => write!(formatter, "tuple"),
            Self::Newtype => write!(formatter, "newtype"),
            Self::Enum => write!(formatter, "enum"),
            Self::Tagged { tag } => write!(formatter, "enum with tag {tag:?}"),
            Self::Adjacent { tag, content } => {
                write!(formatter, "enum with tag {tag:?} and content {content:?}")
            }
            Self::Untagged => write!(formatter, "enum without tag"),
        }
    }
}

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventField {
    /// Its name in the payload; the index for fields without one.
    pub name: &'static str,
    /// Its type, as it is written in the source.
    pub ty: &'static str,
    /// Other names under which it is read.
    pub aliases: &'static [&'static str],
    /// Whether a payload without it can be read.
    pub is_optional: bool,
    /// Whether its own fields stand in its place (`#[serde(flatten)]`).
    pub is_flattened: bool,
    /// The function or module that writes and reads it in place of the type (`#[serde(with = ..)]`); empty when there
    /// is none.
    pub with: &'static str,
}

impl EventField {
    /// A field that every payload holds.
    #[must_use]
    pub const fn new(name: &'static str, ty: &'static str) -> Self {
        Self { name, ty, aliases: &[], is_optional: false, is_flattened: false, with: "" }
    }

    /// Adds other names under which it is read.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Says that a payload without it can be read.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// Says that its own fields stand in its place.
    #[must_use]
    pub const fn flattened(mut self) -> Self {
        self.is_flattened = true;
        self
    }

    /// Says what writes and reads it in place of its type.
    #[must_use]
    pub const fn with(mut self, path: &'static str) -> Self {
        self.with = path;
        self
    }
}

/// A variant of an event that is an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventVariant {
    /// Its name in the payload.
    pub name: &'static str,
    /// Other names under which it is read.
    pub aliases: &'static [&'static str],
    /// What its content is as a whole.
    pub shape: EventShape,
    /// Its fields.
    pub fields: &'static [EventField],
}

impl EventVariant {
    /// A variant.
    #[must_use]
    pub const fn new(name: &'static str, shape: EventShape, fields: &'static [EventField]) -> Self {
        Self { name, aliases: &[], shape, fields }
    }

    /// Adds other names under which it is read.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}
