use std::fs;
use std::path::{Path, PathBuf};

use cqrs::event::{EventRegistry, EventSchema};
use cqrs::prelude::*;
use cqrs::schema::{LockError, LockMode, LockOutcome, check_file};

use crate::domain::{Closed, Withdrawn};

const MODES: [LockMode; 4] = [LockMode::Check, LockMode::Create, LockMode::Write, LockMode::Overwrite];

/// A file of a test's own, which does not exist yet.
fn fresh(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("events_lock_{test}"));
    let _there_or_not = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder.join("events.lock")
}

fn registry(schemas: &[&'static EventSchema]) -> EventRegistry {
    let mut registry = EventRegistry::default();
    schemas.iter().for_each(|schema| registry.register(schema));
    registry
}

#[test]
fn a_missing_file_is_written_unless_it_is_only_checked() {
    let events = registry(&[Withdrawn::SCHEMA]);
    for mode in MODES {
        let path = fresh("missing");
        let result = check_file(&path, &events, mode);
        if mode == LockMode::Check {
            let error = result.unwrap_err();
            assert!(matches!(error, LockError::Missing { .. }), "{error}");
            assert!(!path.exists());
            continue;
        }
        assert_eq!(result.unwrap(), LockOutcome::Written);
        assert_eq!(check_file(&path, &events, LockMode::Check).unwrap(), LockOutcome::UpToDate);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn changes_that_can_be_read_are_told_and_taken_in_when_asked_for() {
    let (before, now) = (registry(&[Withdrawn::SCHEMA]), registry(&[Withdrawn::SCHEMA, Closed::SCHEMA]));
    for mode in MODES {
        let path = fresh("updates");
        check_file(&path, &before, LockMode::Create).unwrap();
        let committed = fs::read_to_string(&path).unwrap();
        let result = check_file(&path, &now, mode);
        if matches!(mode, LockMode::Check | LockMode::Create) {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("event \"Closed\" is new"), "{text}");
            assert!(text.contains("CQRS_EVENTS_LOCK=write"), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), committed);
            continue;
        }
        assert_eq!(result.unwrap(), LockOutcome::Written);
        assert_eq!(check_file(&path, &now, LockMode::Check).unwrap(), LockOutcome::UpToDate);
    }
}

#[test]
fn changes_that_cannot_be_read_are_all_told_and_taken_in_only_by_force() {
    let committed =
        "event Sold\nversion 2\nshape unit\nevent Withdrawn\nversion 1\nshape struct\nfield amount: u8";
    for mode in MODES {
        let path = fresh("faults");
        fs::write(&path, committed).unwrap();
        let result = check_file(&path, &registry(&[Withdrawn::SCHEMA]), mode);
        if mode == LockMode::Overwrite {
            assert_eq!(result.unwrap(), LockOutcome::Written);
            continue;
        }
        let text = result.unwrap_err().to_string();
        assert!(text.contains("2 changes that leave stored events unreadable"), "{text}");
        assert!(text.contains("event \"Sold\" is gone"), "{text}");
        assert!(text.contains("the field `amount` was `u8`, and is now `u64`"), "{text}");
        assert!(text.contains("#[event(version = 2, upcast(1 => function))]"), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), committed);
    }
}

#[test]
fn events_that_contradict_each_other_are_not_compared() {
    const OTHER: &EventSchema = &EventSchema::new("Closed", 1).at("other.rs", 1);
    let path = fresh("contradiction");
    let error = check_file(&path, &registry(&[Closed::SCHEMA, OTHER]), LockMode::Overwrite).unwrap_err();
    assert!(matches!(error, LockError::Registry { .. }), "{error}");
    assert!(error.to_string().contains("taken twice"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_file_that_cannot_be_understood_or_reached_is_an_error() {
    let path = fresh("broken");
    fs::write(&path, "event A\n=======\n").unwrap();
    let error = check_file(&path, &registry(&[]), LockMode::Write).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = check_file(path.join("below"), &registry(&[]), LockMode::Write).unwrap_err();
    assert!(matches!(error, LockError::Io { .. }), "{error}");
}

#[test]
#[should_panic(expected = "event \"Sold\" is gone")]
fn the_macro_panics_with_the_faults() {
    let path = fresh("macro");
    fs::write(&path, "event Sold\nversion 1\nshape unit").unwrap();
    cqrs::schema::check!(&path);
}
