use std::fmt;

use crate::schema::EventLock;
use crate::schema::locked::{LockedEvent, LockedField, LockedPayload, LockedVariant};

const HEADER: &str = "\
# The events as they are stored; `cqrs::schema::check!()` compares them with the program. Commit this file.
# It is brought up to date by a run of the test with CQRS_EVENTS_LOCK=write.
";

/// The text of the file: sorted, and a line for each thing that may change, so that a difference is easily read.
impl fmt::Display for EventLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{HEADER}")?;
        for (name, event) in &self.events {
            writeln!(formatter, "\nevent {}", Word(name))?;
            write!(formatter, "{event}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LockedEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "    version {}", self.version)?;
        for alias in &self.aliases {
            writeln!(formatter, "    alias {}", Word(alias))?;
        }
        write_payload(&self.payload, "    ", formatter)?;
        for LockedVariant { name, aliases, payload } in &self.variants {
            writeln!(formatter, "    variant {}", Word(name))?;
            for alias in aliases {
                writeln!(formatter, "        alias {}", Word(alias))?;
            }
            write_payload(payload, "        ", formatter)?;
        }
        Ok(())
    }
}

fn write_payload(payload: &LockedPayload, indent: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(formatter, "{indent}shape {}", payload.shape)?;
    for field in &payload.fields {
        writeln!(formatter, "{indent}{field}")?;
    }
    Ok(())
}

impl fmt::Display for LockedField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "field {}: {}", Word(&self.name), self.ty)?;
        if !self.with.is_empty() {
            write!(formatter, "; with {}", Quoted(&self.with))?;
        }
        for alias in &self.aliases {
            write!(formatter, "; alias {}", Quoted(alias))?;
        }
        let optional = if self.is_optional { "; optional" } else { "" };
        let flattened = if self.is_flattened { "; flattened" } else { "" };
        write!(formatter, "{optional}{flattened}")
    }
}

/// A name, quoted where it would not stand out otherwise.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |character: char| character.is_alphanumeric() || "_-./".contains(character);
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            write!(formatter, "{}", self.0)
        } else {
            write!(formatter, "{}", Quoted(self.0))
        }
    }
}

/// A string of JSON.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", serde_json::Value::from(self.0))
    }
}
