use std::path::Path;

use crate::event::EventRegistry;
use crate::schema::{LockMode, check_file};

/// Compares the events of the program with `events.lock` beside the `Cargo.toml` of the crate that calls, or with
/// another file: `check!("locks/events.lock")`, relative to the same folder.
///
/// The events are those of `#[derive(Event)]` in all crates that the test links. For a test among the units of a crate,
/// those of its other tests are among them: give it a file in `tests/` of its own. Events that are registered by hand are
/// compared with [`check_file`].
///
/// # Panics
/// When the file is not up to date, with every fault and its cure; when it is missing where `CI` is set; when it cannot be
/// read or written.
#[doc(hidden)]
#[macro_export]
macro_rules! __check_events_lock {
    () => {
        $crate::__private::check_events_lock(::core::env!("CARGO_MANIFEST_DIR"), "events.lock")
    };
    ($path:expr $(,)?) => {
        $crate::__private::check_events_lock(::core::env!("CARGO_MANIFEST_DIR"), $path)
    };
}

/// What the macro calls.
///
/// # Panics
/// When the file is not up to date.
#[track_caller]
pub fn check_events_lock(folder: &str, path: impl AsRef<Path>) {
    let checked = LockMode::of_environment()
        .and_then(|mode| check_file(Path::new(folder).join(path), &EventRegistry::of_program(), mode));
    if let Err(error) = checked {
        panic!("{error}");
    }
}
