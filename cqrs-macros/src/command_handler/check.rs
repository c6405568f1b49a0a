use crate::command_handler::parse::Model;
use crate::shared::decision::without_duplicates;
use crate::shared::errors::Errors;
use crate::shared::names::{key, show};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    model.decisions = without_duplicates(std::mem::take(&mut model.decisions), errors);
    if !model.block.check_head("command_handler", errors) {
        return false;
    }
    check_states(model, errors);
    if !model.marked {
        errors.at(
            &model.block.self_ty,
            "a command handler needs a method for each of its commands: add `#[execute] async fn withdraw(&self, state: &Account, command: &Withdraw)`",
        );
    }
    true
}

fn check_states(model: &mut Model, errors: &mut Errors) {
    let Some(aggregate) = &model.aggregate else { return };
    for decision in &mut model.decisions {
        let Some(state) = decision.state.as_ref().filter(|state| key(state) != key(aggregate)) else {
            continue;
        };
        errors
            .at(state, format!("the handler is one of `{0}`: the state is taken as `&{0}`", show(aggregate)));
        decision.correct_state(aggregate);
    }
}
