use cqrs::event::EventRegistry;
use cqrs::schema::EventLock;
use serde_json::json;

use crate::domain::{Address, Moved, Opened, Paid};

#[test]
fn a_text_is_read_as_it_was_written() {
    let lock = EventLock::of(&EventRegistry::of_program());
    let text = lock.to_string();
    assert_eq!(text.parse::<EventLock>().unwrap(), lock);
    assert_eq!(text.replace('\n', "\r\n").parse::<EventLock>().unwrap(), lock, "as checked out on Windows");
}

/// The names in the file are those that serde writes.
#[test]
fn names_are_those_of_the_wire() {
    let text = EventLock::of(&EventRegistry::of_program()).to_string();
    let opened = Opened { account_owner: "Ann".to_owned() };
    assert_eq!(serde_json::to_value(&opened).unwrap(), json!({ "accountOwner": "Ann" }));
    assert!(text.contains("field accountOwner: String\n"), "{text}");
    assert_eq!(serde_json::to_value(Paid::Cash).unwrap(), json!("Cash"));
    assert!(text.contains("variant Cash\n        alias Coins\n        shape unit\n"), "{text}");
    let address = Address { street: "Mill Lane".to_owned() };
    let moved = Moved { address, rest: [].into(), moved_at: 5, cached: Some(1) };
    assert_eq!(serde_json::to_value(&moved).unwrap(), json!({ "street": "Mill Lane", "when: exactly": "5" }));
    assert!(text.contains("field \"when: exactly\": u64; with \"as_text\"\n"), "{text}");
    assert!(!text.contains("cached"), "{text}");
}

#[test]
fn a_line_that_cannot_be_understood_is_named() {
    let cases = [
        ("version 1", 1, "`event NAME` first"),
        ("# a remark\n\nevent A\nversion one", 4, "a version: a whole number from 1"),
        ("event A\nfield amount", 2, "`field NAME: TYPE`"),
        ("event A\nalias \"open", 2, "a name, or a string as in JSON"),
        ("event A\nevent A", 2, "an event that is not in the file yet"),
        (
            "event A\n<<<<<<< HEAD",
            2,
            "`event`, `version`, `alias`, `shape`, `field` or `variant`, and what belongs to it",
        ),
    ];
    for (text, line, expected) in cases {
        let error = text.parse::<EventLock>().unwrap_err();
        assert_eq!((error.line, error.expected), (line, expected), "{error}");
    }
}
