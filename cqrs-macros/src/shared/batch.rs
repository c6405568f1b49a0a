//! Events that come together, to one method, as a set.

use syn::{Ident, Type};

use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::Handling;

/// That a key is not needed beside another.
pub(crate) const EXCLUSIVE: &str =
    "`events` and `interested_in` exclude each other: the set of `events` tells which they are";

/// That `on_batch` is there, and `events` is not.
pub(crate) const WITHOUT_EVENTS: &str = "`on_batch` takes a set of events: write `events = Events` instead of `interested_in`, with an enum that has `#[derive(EventSet)]`";

/// A set of events needs a method; `wanted` is what that is to be.
pub(crate) fn check_batch(events: &Type, on_batch: Option<&Given>, wanted: &str, errors: &mut Errors) {
    if on_batch.is_none() {
        errors.at(events, format!("no method takes the events: add `{wanted}`"));
    }
}

/// Methods and keys that go with single events do not go with a set.
pub(crate) fn check_without_methods(
    handlings: &mut Vec<Handling>,
    partition_by: &mut Option<Ident>,
    errors: &mut Errors,
) {
    for handling in handlings.drain(..) {
        let method = &handling.method;
        errors
            .at(method, format!("`{method}` is never called: with `events`, all events come to `on_batch`"));
    }
    if let Some(field) = partition_by.take() {
        errors.at(
            field,
            "`partition_by` names a field of the events in `interested_in`, and does not go with `events`",
        );
    }
}
