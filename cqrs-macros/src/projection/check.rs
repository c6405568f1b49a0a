use crate::projection::KIND;
use crate::projection::methods::ON_BATCH;
use crate::projection::parse::{Model, SPEC};
use crate::shared::batch::{WITHOUT_EVENTS, check_batch, check_without_methods};
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::{agreed_error, check_events, distinct};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    model.common.check(&SPEC, &KIND, errors);
    model.common.handlings = distinct(std::mem::take(&mut model.common.handlings), errors);
    if model.common.events_known {
        check_events(&model.common.interested_in, &model.common.handlings, &KIND, errors);
    }
    check_events_or_batch(model, errors);
    if !model.has_rows {
        errors.at(
            &model.common.block.self_ty,
            "the projection lacks the method `rows`, which tells where its rows lie: add `fn rows(&self) -> &MemoryRows<Key, Row> { &self.rows }`, or one with another type",
        );
    }
    if model.common.error.is_none() {
        let error = agreed_error(&mut model.common.handlings, &KIND, errors);
        let others = || [&model.on_batch, &model.create].into_iter().flatten().find_map(Given::error);
        model.common.error = error.or_else(others);
    }
    model.common.block.check_head(KIND.attribute, errors) && model.rows.is_some()
}

/// Events come to `on_batch`, or each to its own method.
fn check_events_or_batch(model: &mut Model, errors: &mut Errors) {
    if let Some(events) = &model.events {
        check_batch(events, model.on_batch.as_ref(), ON_BATCH, errors);
        check_without_methods(&mut model.common.handlings, &mut model.partition_by, errors);
    } else if let Some(on_batch) = &model.on_batch {
        errors.at(&on_batch.method, WITHOUT_EVENTS);
    }
}
