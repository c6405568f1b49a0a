use crate::projection::KIND;
use crate::projection::methods::ON_BATCH;
use crate::projection::parse::Model;
use crate::shared::batch::{WITHOUT_EVENTS, check_batch, check_without_methods};
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::{agreed_error, check_events, distinct};
use crate::shared::names::{check_wire_name, listed};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    check_keys(model, errors);
    model.handlings = distinct(std::mem::take(&mut model.handlings), errors);
    if model.events_known {
        check_events(&model.interested_in, &model.handlings, &KIND, errors);
    }
    check_events_or_batch(model, errors);
    if !model.has_rows {
        errors.at(
            &model.block.self_ty,
            "the projection lacks the method `rows`, which tells where its rows lie: add `fn rows(&self) -> &MemoryRows<Key, Row> { &self.rows }`, or one with another type",
        );
    }
    if model.error.is_none() {
        let error = agreed_error(&mut model.handlings, &KIND, errors);
        let others = || [&model.on_batch, &model.create].into_iter().flatten().find_map(Given::error);
        model.error = error.or_else(others);
    }
    model.block.check_head(KIND.attribute, errors) && model.rows.is_some()
}

fn check_keys(model: &Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "projection's name", errors);
    }
    if model.missing.is_empty() {
        return;
    }
    let cure = |key: &&str| match *key {
        "name" => "name = \"balances\"",
        _ => "interested_in = [AccountOpened]",
    };
    let cure: Vec<_> = model.missing.iter().map(cure).collect();
    let missing = listed(&model.missing, "and");
    let cure = cure.join(", ");
    errors.at(&model.block.self_ty, format!("the projection lacks {missing}: add `#[projection({cure})]`"));
}

/// Events come to `on_batch`, or each to its own method.
fn check_events_or_batch(model: &mut Model, errors: &mut Errors) {
    if let Some(events) = &model.events {
        check_batch(events, model.on_batch.as_ref(), ON_BATCH, errors);
        check_without_methods(&mut model.handlings, &mut model.partition_by, errors);
    } else if let Some(on_batch) = &model.on_batch {
        errors.at(&on_batch.method, WITHOUT_EVENTS);
    }
}
