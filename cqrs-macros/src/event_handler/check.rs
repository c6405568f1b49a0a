use syn::Type;

use crate::event_handler::methods::{Handling, Output};
use crate::event_handler::parse::Model;
use crate::shared::decision::same_item;
use crate::shared::errors::Errors;
use crate::shared::names::{check_wire_name, key, last_segment, listed, plain, show};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    check_keys(model, errors);
    model.handlings = distinct(std::mem::take(&mut model.handlings), errors);
    if model.events_known {
        check_events(model, errors);
    }
    if model.error.is_none() {
        model.error = agreed_error(&mut model.handlings, errors);
    }
    model.block.check_head("event_handler", errors)
}

fn check_keys(model: &Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "handler's name", errors);
    }
    if !model.missing.is_empty() {
        let cure: Vec<_> =
            model
                .missing
                .iter()
                .map(|key| {
                    if *key == "name" {
                        "name = \"welcome-email\""
                    } else {
                        "interested_in = [AccountOpened]"
                    }
                })
                .collect();
        errors.at(
            &model.block.self_ty,
            format!(
                "the event handler lacks {}: add `#[event_handler({})]`",
                listed(&model.missing, "and"),
                cure.join(", ")
            ),
        );
    }
}

/// Compares the list of events with the methods, both ways.
fn check_events(model: &Model, errors: &mut Errors) {
    for event in &model.interested_in {
        if !model.handlings.iter().any(|handling| key(&handling.event) == key(event)) {
            let name = show(event);
            errors.at(
                event,
                format!(
                    "no method handles `{name}`: add `async fn {}(&self, event: &{name}, context: &EventContext)`",
                    method_name(event)
                ),
            );
        }
    }
    for handling in &model.handlings {
        if !model.interested_in.iter().any(|event| key(event) == key(&handling.event)) {
            let event = &handling.event;
            errors.at(
                event,
                format!(
                    "`{}` handles `{name}`, which is not listed: add `{name}` to `interested_in`",
                    handling.method,
                    name = show(event)
                ),
            );
        }
    }
}

/// `on_account_opened` for `AccountOpened`.
fn method_name(event: &Type) -> String {
    let name = last_segment(event).map_or_else(String::new, |segment| plain(&segment.ident));
    let mut method = "on".to_owned();
    for (index, character) in name.char_indices() {
        if character.is_uppercase() || index == 0 {
            method.push('_');
        }
        method.extend(character.to_lowercase());
    }
    method
}

/// Drops the second of two methods for one event, and notes it.
fn distinct(handlings: Vec<Handling>, errors: &mut Errors) -> Vec<Handling> {
    let mut kept: Vec<Handling> = Vec::with_capacity(handlings.len());
    for handling in handlings {
        let event = &handling.event;
        match kept.iter().find(|other| same_item(&other.event, &other.cfgs, event, &handling.cfgs)) {
            Some(other) => errors.at(
                event,
                format!(
                    "the event `{}` is handled twice, by `{}` and by `{}`",
                    show(event),
                    other.method,
                    handling.method
                ),
            ),
            None => kept.push(handling),
        }
    }
    kept
}

/// The error that all methods name. Those that differ are not called, for their mistake has been noted.
fn agreed_error(handlings: &mut [Handling], errors: &mut Errors) -> Option<Type> {
    let mut agreed: Option<Type> = None;
    for handling in handlings {
        match (&handling.output, &agreed) {
            (Output::Nothing, _) => {}
            (Output::Opaque(ty), _) => {
                errors.at(ty, "the handler's error cannot be seen here: return `Result<(), Error>`, or name it with `error = Error`");
                handling.callable = false;
            }
            (Output::Result(error), None) => agreed = Some(error.clone()),
            (Output::Result(error), Some(first)) if show(first) == show(error) => {}
            (Output::Result(error), Some(first)) => {
                let (first, second) = (show(first), show(error));
                errors.at(
                    error,
                    format!("the methods differ in their errors, `{first}` and `{second}`: name the handler's with `error = ..`, made from both by `From`"),
                );
                handling.callable = false;
            }
        }
    }
    agreed
}
