use crate::aggregate::apply::Apply;
use crate::aggregate::parse::Model;
use crate::shared::decision::{same_item, without_duplicates};
use crate::shared::errors::Errors;
use crate::shared::names::{check_prefix, check_wire_name, plain, show};

/// Notes all mistakes, and drops what is there twice; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    if let Some(name) = &model.name {
        check_wire_name(name, "aggregate's name", errors);
    }
    // The type's name, which is the prefix otherwise, is always fit to be one.
    if let Some(prefix) = &model.stream_prefix {
        check_prefix(prefix, errors);
    }
    model.settings.check(errors);
    let methods_sound = errors.is_empty();
    model.decisions = without_duplicates(std::mem::take(&mut model.decisions), errors);
    model.applies = distinct(std::mem::take(&mut model.applies), errors);
    for second in model.before_execute.iter().skip(1) {
        errors.at(&second.method, "there is a method with `#[before_execute]` already");
    }
    model.before_execute.truncate(1);
    if !model.block.check_head("aggregate", errors) {
        return false;
    }
    if model.applies.is_empty() && methods_sound {
        errors.at(
            &model.block.self_ty,
            "an aggregate needs a method for each of its events: add `#[apply] fn opened(&mut self, event: &Opened)`",
        );
    }
    true
}

/// Drops the second of two methods for one event, and events whose variants would have one name.
fn distinct(applies: Vec<Apply>, errors: &mut Errors) -> Vec<Apply> {
    let mut kept: Vec<Apply> = Vec::with_capacity(applies.len());
    for apply in applies {
        let event = &apply.event;
        if let Some(other) =
            kept.iter().find(|other| same_item(&other.event, &other.cfgs, event, &apply.cfgs))
        {
            errors.at(
                event,
                format!(
                    "the event `{}` is applied twice, by `{}` and by `{}`",
                    show(event),
                    other.method,
                    apply.method
                ),
            );
        } else if let Some(other) = kept.iter().find(|other| clash(other, &apply)) {
            errors.at(
                event,
                format!(
                    "`{}` and `{}` would both be the variant `{}`: give one of them another name with `type`",
                    show(event),
                    show(&other.event),
                    plain(&apply.variant)
                ),
            );
        } else {
            kept.push(apply);
        }
    }
    kept
}

/// Whether two events that differ would have variants of one name.
fn clash(left: &Apply, right: &Apply) -> bool {
    left.variant == right.variant && left.cfgs.is_empty() && right.cfgs.is_empty()
}
