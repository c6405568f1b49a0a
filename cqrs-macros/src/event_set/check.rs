use std::collections::HashMap;

use crate::event_set::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::names::show;

/// Notes all mistakes; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    if let Some(keyword) = &model.not_an_enum {
        errors.at(keyword, "an event set is an enum whose variants hold one event each");
        return false;
    }
    if !model.generics.params.is_empty() {
        errors.at(&model.generics, "an event set has no generics");
        return false;
    }
    let sound = errors.is_empty();
    check_members(model, errors);
    if model.members.is_empty() && sound {
        errors
            .at(&model.ident, "an event set needs a variant: add one for each event, like `Opened(Opened)`");
    }
    // With a variant that holds no event the matches of the impl would have to leave it out.
    sound && !model.members.is_empty()
}

fn check_members(model: &mut Model, errors: &mut Errors) {
    let mut seen = HashMap::new();
    for member in &model.members {
        let event = show(&member.event);
        match seen.get(&event) {
            Some(other) => errors.at(&member.event, format!("the variant `{other}` holds `{event}` already")),
            None => drop(seen.insert(event, member.variant.clone())),
        }
    }
}
