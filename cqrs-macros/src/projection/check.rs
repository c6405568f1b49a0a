use syn::Type;

use crate::projection::KIND;
use crate::projection::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::handling::{Output, agreed_error, check_events, distinct};
use crate::shared::names::{check_wire_name, listed};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    check_keys(model, errors);
    model.handlings = distinct(std::mem::take(&mut model.handlings), errors);
    if model.events_known {
        check_events(&model.interested_in, &model.handlings, &KIND, errors);
    }
    check_batch(model, errors);
    if !model.has_rows {
        errors.at(
            &model.block.self_ty,
            "the projection lacks the method `rows`, which tells where its rows lie: add `fn rows(&self) -> &MemoryRows<Key, Row> { &self.rows }`, or one with another type",
        );
    }
    if model.error.is_none() {
        model.error = agreed_error(&mut model.handlings, &KIND, errors).or_else(|| error_of_others(model));
    }
    model.block.check_head(KIND.attribute, errors) && model.rows.is_some()
}

fn check_keys(model: &Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "projection's name", errors);
    }
    model.subscription.check(errors);
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
fn check_batch(model: &mut Model, errors: &mut Errors) {
    let Some(events) = &model.events else {
        if let Some(on_batch) = &model.on_batch {
            errors.at(
                &on_batch.method,
                "`on_batch` takes a set of events: write `events = Events` instead of `interested_in`, with an enum that has `#[derive(EventSet)]`",
            );
        }
        return;
    };
    if model.on_batch.is_none() {
        errors.at(
            events,
            "no method takes the events: add `async fn on_batch(&self, events: &[Projected<Events>], rows: &mut ..) -> Result<(), Error>`",
        );
    }
    for handling in &model.handlings {
        errors.at(
            &handling.method,
            format!("`{}` is never called: with `events`, all events come to `on_batch`", handling.method),
        );
    }
    model.handlings.clear();
    if let Some(field) = model.partition_by.take() {
        errors.at(
            field,
            "`partition_by` names a field of the events in `interested_in`, and does not go with `events`",
        );
    }
}

/// The error of `on_batch`, or of `create`.
fn error_of_others(model: &Model) -> Option<Type> {
    let outputs = [&model.on_batch, &model.create].into_iter().flatten().map(|given| &given.output);
    outputs.into_iter().find_map(|output| match output {
        Output::Result(error) => Some(error.clone()),
        _ => None,
    })
}
