use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::Member;

use crate::command::parse::{IdentifyBy, Model, Prefix, REQUIRED, Shape};
use crate::shared::errors::Errors;
use crate::shared::names::{check_prefix, check_wire_name, listed, show};

/// Notes all mistakes; false when no impl can be made.
pub(crate) fn check(model: &Model, errors: &mut Errors) -> bool {
    if let Some(name) = &model.name {
        check_wire_name(name, "command's name", errors);
    }
    if let Some(Prefix::Text(prefix)) = &model.prefix {
        check_prefix(prefix, errors);
    }
    check_missing(model, errors);
    check_field(model, errors);
    if let Some(redact) = &model.redact {
        redact.check(&model.ident, &model.json, errors);
    }
    check_item(model, errors) && model.router.is_some() && model.aggregate.is_some()
}

fn check_item(model: &Model, errors: &mut Errors) -> bool {
    if let Shape::Union(union) = &model.shape {
        errors.at(union, "a union cannot be a command: make it a struct or an enum");
        return false;
    }
    if !model.generics.params.is_empty() {
        errors.at(&model.generics, "a command has no generics: write a type for each");
        return false;
    }
    true
}

fn check_missing(model: &Model, errors: &mut Errors) {
    let missing: Vec<_> = REQUIRED.into_iter().filter(|(key, _)| !model.given.contains(key)).collect();
    if missing.is_empty() {
        return;
    }
    let keys: Vec<_> = missing.iter().map(|(key, _)| *key).collect();
    let cure: Vec<_> = missing.iter().map(|(_, example)| *example).collect();
    let place = match &model.attribute {
        Some(attribute) => attribute.to_token_stream(),
        None => model.ident.to_token_stream(),
    };
    errors.at(
        place,
        format!("the command lacks {}: add `#[command({})]`", listed(&keys, "and"), cure.join(", ")),
    );
}

fn check_field(model: &Model, errors: &mut Errors) {
    let Some(IdentifyBy::Field(field)) = &model.identify_by else {
        return;
    };
    let Shape::Struct(fields) = &model.shape else {
        errors.at(
            field,
            "an enum has no fields: identify it by a function such as `Self::id`, or by an expression with `self` such as `self.id()`",
        );
        return;
    };
    if !has_field(fields, field) {
        errors.at(field, unknown_field(&model.ident, field, fields));
    }
}

pub(crate) fn has_field(fields: &[Member], field: &Member) -> bool {
    fields.iter().any(|member| member == field)
}

/// What to say of a field that is not there.
pub(crate) fn unknown_field(command: &Ident, field: &Member, fields: &[Member]) -> String {
    let names: Vec<_> = fields.iter().map(show).collect();
    let there = match names.as_slice() {
        [] => "it has no fields".to_owned(),
        [only] => format!("its field is `{only}`"),
        several => format!("its fields are {}", listed(several, "and")),
    };
    format!("`{command}` has no field `{}`: {there}", show(field))
}
