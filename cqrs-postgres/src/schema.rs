use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::ConnectError;

/// A schema of a Postgres database, and how it is used: one log, for one application instance.
///
/// ```
/// use cqrs_postgres::{Migrate, Payload, Schema};
///
/// let plain = Schema::from("tenant_a");
/// let configured = Schema::named("tenant_b").payload(Payload::Bytea).migrate(Migrate::Verify);
/// # assert_ne!(plain.name(), configured.name());
/// ```
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) name: String,
    pub(crate) payload: Payload,
    pub(crate) migrate: Migrate,
    pub(crate) allow_hard_deletion: bool,
    pub(crate) retention: Duration,
    pub(crate) max_append_bytes: usize,
}

/// How payloads, metadata and states lie in the database; snapshots are always `bytea`. Chosen when the schema is created, and kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Payload {
    /// As `jsonb`, for SQL to look into. The database keeps the value, not its text: spaces, the order of keys and
    /// the notation of numbers may change. A NUL character (`\u0000`) in a text is refused.
    #[default]
    Jsonb,
    /// As `bytea`, byte for byte.
    Bytea,
}

/// What connecting does about the tables of a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Migrate {
    /// Creates the schema and its tables, or brings them up to date. Several processes may do it at once.
    #[default]
    Automatic,
    /// Refuses a schema that is missing or not up to date.
    Verify,
    /// Looks at nothing.
    Off,
}

impl Schema {
    /// The name of the schema that is used when none is given.
    pub const DEFAULT_NAME: &'static str = "cqrs";

    /// A schema with default settings.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            payload: Payload::default(),
            migrate: Migrate::default(),
            allow_hard_deletion: false,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            max_append_bytes: 16 * 1024 * 1024,
        }
    }

    /// How payloads lie in the database; [`Payload::Jsonb`] by default.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// What connecting does about the tables; [`Migrate::Automatic`] by default.
    #[must_use]
    pub fn migrate(mut self, migrate: Migrate) -> Self {
        self.migrate = migrate;
        self
    }

    /// Whether streams may be deleted for good; they may not by default.
    #[must_use]
    pub fn allow_hard_deletion(mut self, allow: bool) -> Self {
        self.allow_hard_deletion = allow;
        self
    }

    /// How long the outcomes of appends are kept, so that a repeated command is recognised; 7 days by default.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How many bytes of payload and metadata one append may hold; 16 MiB by default. A larger one is refused before
    /// it is sent.
    #[must_use]
    pub fn max_append_bytes(mut self, bytes: usize) -> Self {
        self.max_append_bytes = bytes;
        self
    }

    /// The schema's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        let fault = if self.name.is_empty() {
            "it is empty"
        } else if self.name.len() > 63 {
            "Postgres names have at most 63 bytes"
        } else if self.name.contains('\0') {
            "it holds a NUL character"
        } else if self.name.contains('$') {
            "it holds a `$`"
        } else if self.name.starts_with("pg_") {
            "names that begin with `pg_` are reserved"
        } else {
            return Ok(());
        };
        Err(ConnectError::InvalidSchema { schema: self.name.clone(), fault })
    }

    /// The name as SQL takes it literally.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }

    /// The channel on which the schema's head is announced; channel names have at most 63 bytes too.
    pub(crate) fn channel(&self) -> String {
        let readable = format!("cqrs:{}", self.name);
        if readable.len() <= 63 {
            return readable;
        }
        format!("cqrs:{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, self.name.as_bytes()))
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self::named(Self::DEFAULT_NAME)
    }
}

impl<T: Into<String>> From<T> for Schema {
    fn from(name: T) -> Self {
        Self::named(name)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_checked() {
        assert_eq!(Schema::named("a\"b").quoted(), "\"a\"\"b\"");
        for bad in ["", "pg_toast", "a\0b", "a$b", &"x".repeat(64)] {
            assert!(Schema::named(bad).check().is_err(), "{bad:?}");
        }
        assert!(Schema::named("ünï-cödé").check().is_ok());
    }

    #[test]
    fn channels_fit_and_differ() {
        let (first, second) = (Schema::named("x".repeat(63)), Schema::named(format!("{}y", "x".repeat(62))));
        assert!(first.channel().len() <= 63);
        assert_ne!(first.channel(), second.channel());
        assert_eq!(Schema::named("bank").channel(), "cqrs:bank");
    }
}
