use quote::ToTokens;

use crate::event_handler::KIND;
use crate::event_handler::hook::Hook;
use crate::event_handler::parse::{Model, SPEC};
use crate::shared::batch::{WITHOUT_EVENTS, check_batch, check_without_methods};
use crate::shared::errors::Errors;
use crate::shared::handling::{agreed_error, check_events, distinct};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    model.common.check(&SPEC, &KIND, errors);
    model.common.handlings = distinct(std::mem::take(&mut model.common.handlings), errors);
    if model.common.events_known {
        check_events(&model.common.interested_in, &model.common.handlings, model.kind(), errors);
    }
    if let Some(events) = &model.events {
        check_batch(events, model.on_batch.as_ref(), model.batch_method(), errors);
        check_without_methods(&mut model.common.handlings, &mut model.partition_by, errors);
    } else if let Some(on_batch) = &model.on_batch {
        errors.at(&on_batch.method, WITHOUT_EVENTS);
    } else {
        let unfit = [model.batch_size.as_ref().map(ToTokens::to_token_stream), model.batch_time.clone()];
        for value in unfit.into_iter().flatten() {
            errors.at(value, "batches come to `on_batch`: add that method, and write `events = Events` instead of `interested_in`");
        }
    }
    if model.common.error.is_none() {
        let error = agreed_error(&mut model.common.handlings, &KIND, errors);
        let of_batch = || model.on_batch.as_ref()?.error();
        model.common.error = error.or_else(of_batch).or_else(|| model.hooks.iter().find_map(Hook::error));
    }
    model.common.block.check_head(KIND.attribute, errors)
}
