use std::str::FromStr;

use crate::schema::locked::{LockedEvent, LockedField, LockedPayload, LockedVariant};
use crate::schema::{EventLock, LockSyntaxError};

impl FromStr for EventLock {
    type Err = LockSyntaxError;

    /// Reads the text of a file. Empty lines, and those that begin with `#`, are passed over; how far a line is indented
    /// does not matter.
    fn from_str(text: &str) -> Result<Self, LockSyntaxError> {
        let mut lock = Self::default();
        let mut current = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            read_line(line, &mut lock, &mut current).map_err(|expected| LockSyntaxError {
                line: number + 1,
                text: line.to_owned(),
                expected,
            })?;
        }
        Ok(lock)
    }
}

/// Reads one line into the event that is being read; an error is what was expected in its place.
fn read_line(line: &str, lock: &mut EventLock, current: &mut Option<String>) -> Result<(), &'static str> {
    let (key, rest) = line.split_once(' ').ok_or(EXPECTED)?;
    if key == "event" {
        let name = word(rest)?;
        if lock.events.insert(name.clone(), LockedEvent::default()).is_some() {
            return Err("an event that is not in the file yet");
        }
        *current = Some(name);
        return Ok(());
    }
    let event = current.as_ref().and_then(|name| lock.events.get_mut(name)).ok_or("`event NAME` first")?;
    match key {
        "version" => event.version = rest.parse().map_err(|_| "a version: a whole number from 1")?,
        "variant" => event.variants.push(LockedVariant {
            name: word(rest)?,
            aliases: Vec::new(),
            payload: LockedPayload::default(),
        }),
        "alias" => latest(event).0.push(word(rest)?),
        "shape" => rest.clone_into(&mut latest(event).1.shape),
        "field" => latest(event).1.fields.push(field(rest)?),
        _ => return Err(EXPECTED),
    }
    Ok(())
}

const EXPECTED: &str = "`event`, `version`, `alias`, `shape`, `field` or `variant`, and what belongs to it";

/// What lines speak of: the variant that was begun last, or else the event.
fn latest(event: &mut LockedEvent) -> (&mut Vec<String>, &mut LockedPayload) {
    match event.variants.last_mut() {
        Some(variant) => (&mut variant.aliases, &mut variant.payload),
        None => (&mut event.aliases, &mut event.payload),
    }
}

fn word(text: &str) -> Result<String, &'static str> {
    if text.starts_with('"') {
        return serde_json::from_str(text).map_err(|_| "a name, or a string as in JSON");
    }
    Ok(text.to_owned())
}

/// `NAME: TYPE; with "PATH"; alias "NAME"; optional; flattened`. A type never ends in one of these words, so that they
/// are taken off from the end.
fn field(text: &str) -> Result<LockedField, &'static str> {
    const EXPECTED: &str = "`field NAME: TYPE`";
    let name_end = match text.strip_prefix('"') {
        Some(_) => text.find("\": ").map(|quote| quote + 1),
        None => text.find(": "),
    };
    let (name, ty) = text.split_at(name_end.ok_or(EXPECTED)?);
    let mut field = LockedField {
        name: word(name)?,
        ty: String::new(),
        aliases: Vec::new(),
        is_optional: false,
        is_flattened: false,
        with: String::new(),
    };
    let mut ty = ty.strip_prefix(": ").ok_or(EXPECTED)?;
    loop {
        if let Some(shorter) = ty.strip_suffix("; flattened") {
            (field.is_flattened, ty) = (true, shorter);
        } else if let Some(shorter) = ty.strip_suffix("; optional") {
            (field.is_optional, ty) = (true, shorter);
        } else if let Some((shorter, alias)) = quoted(ty, "; alias ") {
            field.aliases.insert(0, alias);
            ty = shorter;
        } else if let Some((shorter, with)) = quoted(ty, "; with ") {
            (field.with, ty) = (with, shorter);
        } else {
            break;
        }
    }
    ty.clone_into(&mut field.ty);
    Ok(field)
}

/// What stands before the last `key`, and the string behind it.
fn quoted<'a>(text: &'a str, key: &str) -> Option<(&'a str, String)> {
    let (before, value) = text.rsplit_once(key)?;
    let value = serde_json::from_str(value).ok()?;
    Some((before, value))
}
