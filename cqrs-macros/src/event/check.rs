use crate::event::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::names::{check_wire_name, plain};

/// Notes all mistakes; false when no impl can be made.
pub(crate) fn check(model: &Model, errors: &mut Errors) -> bool {
    check_names(model, errors);
    check_version(model, errors);
    check_upcasters(model, errors);
    check_item(model, errors)
}

fn check_item(model: &Model, errors: &mut Errors) -> bool {
    if let Some(union) = &model.union {
        errors.at(union, "a union cannot be an event: make it a struct or an enum");
        return false;
    }
    if !model.generics.params.is_empty() {
        errors.at(
            &model.generics,
            "an event has no generics: a stored name belongs to one type, so write a struct for each",
        );
        return false;
    }
    true
}

fn check_names(model: &Model, errors: &mut Errors) {
    let name = model.name.as_ref().map_or_else(|| plain(&model.ident), syn::LitStr::value);
    if let Some(name) = &model.name {
        check_wire_name(name, "event's name", errors);
    }
    for (index, alias) in model.aliases.iter().enumerate() {
        check_wire_name(alias, "alias", errors);
        if alias.value() == name {
            errors.at(alias, "the alias is the event's name: give a name that it had before");
        } else if model.aliases[..index].iter().any(|other| other.value() == alias.value()) {
            errors.at(alias, "the alias is given twice");
        }
    }
}

fn check_version(model: &Model, errors: &mut Errors) {
    let Some(version) = &model.version else { return };
    if version.number == 0 {
        errors.at(&version.literal, "versions begin at 1");
    }
    if !model.upcasters_known {
        return;
    }
    let is_missing = |from: &u32| model.upcasters.iter().all(|upcaster| upcaster.from.number != *from);
    // A version of millions is a slip of the pen, and its list of upcasters would not help.
    let missing: Vec<_> = (1..version.number).filter(is_missing).take(20).collect();
    let cure: Vec<_> = missing.iter().map(|from| format!("{from} => function")).collect();
    let names: Vec<_> = missing.iter().map(u32::to_string).collect();
    let needed = match names.split_last() {
        None => return,
        Some((only, [])) => format!("an upcaster from version {only}"),
        Some((last, rest)) => format!("upcasters from the versions {} and {last}", rest.join(", ")),
    };
    errors.at(
        &version.literal,
        format!("version {} needs {needed}: add `upcast({})`", version.number, cure.join(", ")),
    );
}

fn check_upcasters(model: &Model, errors: &mut Errors) {
    let version = model.version.as_ref().map_or(1, |version| version.number);
    for (index, upcaster) in model.upcasters.iter().enumerate() {
        let from = upcaster.from.number;
        let literal = &upcaster.from.literal;
        if from == 0 {
            errors.at(literal, "versions begin at 1");
        } else if from >= version {
            errors.at(
                literal,
                format!(
                    "the event has version {version}, and an upcaster comes from a version below: set `version = {}`, or remove the upcaster",
                    from.saturating_add(1)
                ),
            );
        } else if model.upcasters[..index].iter().any(|other| other.from.number == from) {
            errors.at(literal, format!("there is an upcaster from version {from} already"));
        }
    }
}
