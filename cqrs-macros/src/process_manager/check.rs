use crate::process_manager::KIND;
use crate::process_manager::parse::{Model, SPEC};
use crate::shared::errors::Errors;
use crate::shared::handling::{agreed_error, check_events, is_repeated};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    model.common.check(&SPEC, &KIND, errors);
    drop_repeated(model, errors);
    if model.common.events_known {
        check_events(&model.common.interested_in, &model.common.handlings, &KIND, errors);
    }
    check_interest(model, errors);
    check_idle(model, errors);
    if model.common.error.is_none() {
        let of_hooks = model.hooks.iter().find_map(|hook| hook.error()).cloned();
        model.common.error = agreed_error(&mut model.common.handlings, &KIND, errors).or(of_hooks);
    }
    model.common.block.check_head(KIND.attribute, errors)
}

/// Drops the second of two methods for one event, with what stands on it.
fn drop_repeated(model: &mut Model, errors: &mut Errors) {
    let (handlings, ons) = (std::mem::take(&mut model.common.handlings), std::mem::take(&mut model.ons));
    for (handling, on) in handlings.into_iter().zip(ons) {
        if !is_repeated(&model.common.handlings, &handling, errors) {
            model.common.handlings.push(handling);
            model.ons.push(on);
        }
    }
}

/// Each method says what its event does, and to whom.
fn check_interest(model: &Model, errors: &mut Errors) {
    for (handling, on) in model.common.handlings.iter().zip(&model.ons) {
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
