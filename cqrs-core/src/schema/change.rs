/// A change that leaves stored events unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaFault {
    /// Nothing is stored under this name any more, and nothing reads it.
    #[error("event {event:?} is gone")]
    EventRemoved {
        /// The wire name.
        event: String,
    },
    /// The event is no longer read under a name of old.
    #[error("event {event:?} has lost its alias {alias:?}")]
    AliasRemoved {
        /// The wire name.
        event: String,
        /// The name of old.
        alias: String,
    },
    /// The version is below one that is stored.
    #[error("event {event:?} was of version {from}, and is now of version {to}")]
    VersionLowered {
        /// The wire name.
        event: String,
        /// The version of the file.
        from: u32,
        /// The version of the program.
        to: u32,
    },
    /// The payload is something else as a whole.
    #[error("event {event:?} version {version}: {place} was of shape \"{from}\", and is now \"{to}\"")]
    ShapeChanged {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The payload, or the variant.
        place: String,
        /// The shape of the file.
        from: String,
        /// The shape of the program.
        to: String,
    },
    /// What the payload is can no longer be told, as when a schema is written by hand that was derived before.
    #[error(
        "event {event:?} version {version}: {place} was of shape \"{from}\", and its schema does not say any more of which it is"
    )]
    ShapeUnknown {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The payload, or the variant.
        place: String,
        /// The shape of the file.
        from: String,
    },
    /// A field is not read any more: it was removed, or has another name.
    #[error("event {event:?} version {version}: {field} is gone")]
    FieldRemoved {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The field, with its variant.
        field: String,
    },
    /// A field is of another type, or is written in another way.
    #[error("event {event:?} version {version}: {field} was `{from}`, and is now `{to}`")]
    FieldChanged {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The field, with its variant.
        field: String,
        /// The type of the file.
        from: String,
        /// The type of the program.
        to: String,
    },
    /// A field is needed that stored payloads do not hold, or need not.
    #[error("event {event:?} version {version}: {field} is required, and payloads are stored without it")]
    FieldRequired {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The field, with its variant.
        field: String,
    },
    /// A variant is not read any more.
    #[error("event {event:?} version {version}: the variant `{variant}` is gone")]
    VariantRemoved {
        /// The wire name.
        event: String,
        /// The version that both have.
        version: u32,
        /// The variant.
        variant: String,
    },
}

impl SchemaFault {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::EventRemoved { event } => format!(
                "keep the type, or name it in its successor: `#[event(aliases = [{event:?}])]`; if the type is there, link its crate into the test: `use the_crate as _;`"
            ),
            Self::AliasRemoved { alias, .. } => format!("put {alias:?} back into `#[event(aliases = [..])]`"),
            Self::VersionLowered { from, .. } => format!("set `version = {from}` or more"),
            Self::FieldRequired { version, .. } => {
                format!("give it `#[serde(default)]` or make it an `Option`, or {}", raised(*version))
            }
            Self::FieldRemoved { version, .. } | Self::VariantRemoved { version, .. } => format!(
                "if it has a new name, add `#[serde(alias = \"..\")]` there, otherwise {}",
                raised(*version)
            ),
            Self::ShapeUnknown { version, .. } => format!(
                "say it by hand as well: `EventSchema::new(..).shape(..).fields(..)`, or `.variants(..)`; if payloads have changed, {}",
                raised(*version)
            ),
            Self::ShapeChanged { version, .. } | Self::FieldChanged { version, .. } => raised(*version),
        }
    }
}

fn raised(version: u32) -> String {
    let next = version.saturating_add(1);
    format!(
        "raise the version and lift what is stored: `#[event(version = {next}, upcast({version} => function))]`"
    )
}

/// A change that leaves stored events readable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaUpdate {
    /// A new type.
    #[error("event {event:?} is new")]
    Added {
        /// The wire name.
        event: String,
    },
    /// A type has a new name, and the one that it had among its aliases.
    #[error("event {from:?} is now called {to:?}")]
    Renamed {
        /// The name of the file.
        from: String,
        /// The name of the program.
        to: String,
    },
    /// A new version, with upcasters for what is stored.
    #[error("event {event:?} was of version {from}, and is now of version {to}")]
    VersionRaised {
        /// The wire name.
        event: String,
        /// The version of the file.
        from: u32,
        /// The version of the program.
        to: u32,
    },
    /// Fields, variants or aliases that do not stand in the way of what is stored.
    #[error("event {event:?} has other fields, variants or aliases, with which stored events can be read")]
    Changed {
        /// The wire name.
        event: String,
    },
}
