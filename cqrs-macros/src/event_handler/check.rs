use quote::ToTokens;

use crate::event_handler::KIND;
use crate::event_handler::hook::Hook;
use crate::event_handler::parse::Model;
use crate::shared::batch::{WITHOUT_EVENTS, check_batch, check_without_methods};
use crate::shared::errors::Errors;
use crate::shared::handling::{agreed_error, check_events, distinct};
use crate::shared::names::{check_wire_name, listed};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    check_keys(model, errors);
    model.handlings = distinct(std::mem::take(&mut model.handlings), errors);
    if model.events_known {
        check_events(&model.interested_in, &model.handlings, model.kind(), errors);
    }
    if let Some(events) = &model.events {
        check_batch(events, model.on_batch.as_ref(), model.batch_method(), errors);
        check_without_methods(&mut model.handlings, &mut model.partition_by, errors);
    } else if let Some(on_batch) = &model.on_batch {
        errors.at(&on_batch.method, WITHOUT_EVENTS);
    } else {
        let unfit = [model.batch_size.as_ref().map(ToTokens::to_token_stream), model.batch_time.clone()];
        for value in unfit.into_iter().flatten() {
            errors.at(value, "batches come to `on_batch`: add that method, and write `events = Events` instead of `interested_in`");
        }
    }
    if model.error.is_none() {
        let error = agreed_error(&mut model.handlings, &KIND, errors);
        let of_batch = || model.on_batch.as_ref()?.error();
        model.error = error.or_else(of_batch).or_else(|| model.hooks.iter().find_map(Hook::error));
    }
    model.block.check_head("event_handler", errors)
}

fn check_keys(model: &Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "handler's name", errors);
    }
    model.subscription.check(errors);
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
