use std::panic::Location;

use crate::application::Application;
use crate::event::EventSet;
use crate::store::RecordedEvent;
use crate::testing::{EventProbe, ReceivedEvent};

/// Waits up to 5 s for an event of `E` that `matches`, anywhere in the log: [`EventProbe::wait_for`] from the
/// origin.
///
/// # Panics
/// As [`EventProbe::wait_for`].
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
#[track_caller]
pub fn wait_for_event<E: EventSet>(
    application: &impl Application,
    matches: impl FnMut(&E, &RecordedEvent) -> bool,
) -> impl Future<Output = ReceivedEvent<E>> {
    let (probe, caller) = (EventProbe::from_origin(application), Location::caller());
    async move { probe.wait_at(caller, matches).await }
}

/// Sees to it that the log of the settled application has an event of `E` that `matches`:
/// [`EventProbe::assert_received`] from the origin.
///
/// # Panics
/// As [`EventProbe::assert_received`].
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
#[track_caller]
pub fn assert_received<E: EventSet>(
    application: &impl Application,
    matches: impl FnMut(&E, &RecordedEvent) -> bool,
) -> impl Future<Output = ReceivedEvent<E>> {
    let (probe, caller) = (EventProbe::from_origin(application), Location::caller());
    async move { probe.assert_at(caller, matches).await }
}

/// Sees to it that the log of the settled application has no event of `E` that `matches`:
/// [`EventProbe::refute`] from the origin.
///
/// # Panics
/// As [`EventProbe::refute`].
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
#[track_caller]
pub fn refute_received<E: EventSet>(
    application: &impl Application,
    matches: impl FnMut(&E, &RecordedEvent) -> bool,
) -> impl Future<Output = ()> {
    let (probe, caller) = (EventProbe::from_origin(application), Location::caller());
    async move { probe.refute_at(caller, matches).await }
}

/// Sees to it that the log of the settled application has two events that match and belong together:
/// [`EventProbe::assert_correlated`] from the origin.
///
/// # Panics
/// As [`EventProbe::assert_correlated`].
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
#[track_caller]
pub fn assert_correlated<First: EventSet, Second: EventSet>(
    application: &impl Application,
    first: impl FnMut(&First, &RecordedEvent) -> bool,
    second: impl FnMut(&Second, &RecordedEvent) -> bool,
) -> impl Future<Output = (ReceivedEvent<First>, ReceivedEvent<Second>)> {
    let (probe, caller) = (EventProbe::from_origin(application), Location::caller());
    async move { probe.correlate_at(caller, first, second).await }
}
