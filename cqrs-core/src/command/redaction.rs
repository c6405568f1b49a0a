use serde_json::Value;

/// What of a command is never written down: paths into its JSON form, each a list of names from the outside in.
///
/// In a list every element is meant. Where a path ends in nothing, since there is no such name, all of what it was looked
/// for in is redacted: what cannot be found must not slip through under another name.
///
/// ```
/// use cqrs_core::command::Redaction;
/// use serde_json::json;
///
/// let redaction = Redaction::of(&[&["password"], &["cards", "number"]]);
/// let mut data = json!({ "user": "ann", "password": "x", "cards": [{ "number": 7, "until": 9 }] });
/// redaction.apply(&mut data);
/// let rest = json!({ "user": "ann", "password": "[redacted]", "cards": [{ "number": "[redacted]", "until": 9 }] });
/// assert_eq!(data, rest);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redaction {
    paths: &'static [&'static [&'static str]],
}

impl Redaction {
    /// What stands in place of what is redacted.
    pub const MARK: &'static str = "[redacted]";

    /// Nothing is redacted.
    pub const NOTHING: Self = Self::of(&[]);

    /// Everything is redacted.
    pub const ALL: Self = Self::of(&[&[]]);

    /// These paths are redacted. The names are those of the JSON form.
    #[must_use]
    pub const fn of(paths: &'static [&'static [&'static str]]) -> Self {
        Self { paths }
    }

    /// Puts [`Redaction::MARK`] in place of what is redacted.
    pub fn apply(&self, data: &mut Value) {
        for path in self.paths {
            redact(data, path, true);
        }
    }
}

/// A field of the command itself may be left out of its JSON form; the macro has seen to it that it has this name.
fn redact(data: &mut Value, path: &[&str], is_command: bool) {
    let Some((name, rest)) = path.split_first() else {
        *data = Redaction::MARK.into();
        return;
    };
    match data {
        Value::Null => {}
        Value::Array(elements) => elements.iter_mut().for_each(|element| redact(element, path, is_command)),
        Value::Object(fields) => match fields.get_mut(*name) {
            Some(field) => redact(field, rest, false),
            None if is_command => {}
            None => *data = Redaction::MARK.into(),
        },
        _ => *data = Redaction::MARK.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(redaction: Redaction, mut data: Value, expected: &Value) {
        redaction.apply(&mut data);
        assert_eq!(data, *expected);
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        const PATHS: Redaction = Redaction::of(&[&["a", "b", "c"]]);
        check(
            PATHS,
            json!({ "a": { "b": { "c": 1, "d": 2 } } }),
            &json!({ "a": { "b": { "c": "[redacted]", "d": 2 } } }),
        );
        check(
            PATHS,
            json!({ "a": [{ "b": [{ "c": 1 }, null] }, { "b": null }] }),
            &json!({ "a": [{ "b": [{ "c": "[redacted]" }, null] }, { "b": null }] }),
        );
    }

    #[test]
    fn what_is_not_found_takes_its_surroundings_with_it() {
        const PATHS: Redaction = Redaction::of(&[&["card", "number"]]);
        check(PATHS, json!({ "card": { "nr": 1 }, "x": 2 }), &json!({ "card": "[redacted]", "x": 2 }));
        check(PATHS, json!({ "card": "4711", "x": 2 }), &json!({ "card": "[redacted]", "x": 2 }));
        check(PATHS, json!({ "card": null, "x": 2 }), &json!({ "card": null, "x": 2 }));
        check(PATHS, json!({ "x": 2 }), &json!({ "x": 2 }));
        check(PATHS, json!("text"), &json!("[redacted]"));
    }

    #[test]
    fn all_and_nothing() {
        check(Redaction::ALL, json!({ "x": 2 }), &json!("[redacted]"));
        check(Redaction::NOTHING, json!({ "x": 2 }), &json!({ "x": 2 }));
    }

    #[test]
    fn what_is_redacted_twice_stays_so() {
        const PATHS: Redaction = Redaction::of(&[&["card"], &["card", "number"]]);
        check(PATHS, json!({ "card": { "number": 1 } }), &json!({ "card": "[redacted]" }));
    }
}
