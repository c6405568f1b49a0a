use crate::process_manager::KIND;
use crate::process_manager::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::handling::{agreed_error, check_events, is_repeated};
use crate::shared::names::{check_wire_name, listed};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    check_keys(model, errors);
    drop_repeated(model, errors);
    if model.events_known {
        check_events(&model.interested_in, &model.handlings, &KIND, errors);
    }
    check_interest(model, errors);
    check_idle(model, errors);
    if model.error.is_none() {
        let of_hooks = model.hooks.iter().find_map(|hook| hook.error()).cloned();
        model.error = agreed_error(&mut model.handlings, &KIND, errors).or(of_hooks);
    }
    model.block.check_head("process_manager", errors)
}

fn check_keys(model: &Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "process manager's name", errors);
    }
    model.subscription.check(errors);
    if model.missing.is_empty() {
        return;
    }
    let cure = model.missing.iter().map(|key| match *key {
        "name" => "name = \"money-transfer\"",
        _ => "interested_in = [TransferRequested]",
    });
    errors.at(
        &model.block.self_ty,
        format!(
            "the process manager lacks {}: add `#[process_manager({})]`",
            listed(&model.missing, "and"),
            cure.collect::<Vec<_>>().join(", ")
        ),
    );
}

/// Drops the second of two methods for one event, with what stands on it.
fn drop_repeated(model: &mut Model, errors: &mut Errors) {
    let (handlings, ons) = (std::mem::take(&mut model.handlings), std::mem::take(&mut model.ons));
    for (handling, on) in handlings.into_iter().zip(ons) {
        if !is_repeated(&model.handlings, &handling, errors) {
            model.handlings.push(handling);
            model.ons.push(on);
        }
    }
}

/// Each method says what its event does, and to whom.
fn check_interest(model: &Model, errors: &mut Errors) {
    for (handling, on) in model.handlings.iter().zip(&model.ons) {
        match on {
            None => errors.at(
                &handling.method,
                format!(
                    "`{}` lacks what the event does: add `#[on(start)]`, `#[on(continue)]` or `#[on(stop)]`",
                    handling.method
                ),
            ),
            Some(on) if on.whom.is_none() && model.by.is_none() && on.role.is_some() => errors.at(
                &on.tokens,
                "it lacks the instances: add `by = field` with the field that names the instance, here or to `#[process_manager(..)]` for all",
            ),
            Some(_) => {}
        }
    }
}

fn check_idle(model: &Model, errors: &mut Errors) {
    let has_hook = model.hooks.iter().any(|hook| hook.which.name == "on_idle");
    if let (Some((key, _)), false) = (&model.idle_timeout, has_hook) {
        errors.at(
            key,
            "nothing is done when an instance is idle: add `async fn on_idle(&mut self, process: &mut Process) -> Result<(), Error>`",
        );
    }
}
