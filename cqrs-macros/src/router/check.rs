use crate::router::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::lists::without_duplicates;
use crate::shared::names::{check_wire_name, plain, show};

/// Notes all mistakes; false when no impl can be made.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) -> bool {
    if let Some(name) = &model.name {
        check_wire_name(name, "router's name", errors);
    }
    let middleware = std::mem::take(&mut model.middleware);
    model.middleware = without_duplicates(middleware, "middleware", show, errors);
    let includes = std::mem::take(&mut model.includes);
    model.includes = without_duplicates(includes, "router", show, errors);
    let own_name = plain(&model.ident);
    model.includes.retain(|router| {
        let itself = show(router) == own_name || show(router) == "Self";
        if itself {
            errors.at(router, "a router cannot include itself");
        }
        !itself
    });
    if let Some(keyword) = &model.not_a_struct {
        errors.at(keyword, format!("a router is a struct: write `struct {};`", model.ident));
        return false;
    }
    if !model.generics.params.is_empty() {
        errors.at(&model.generics, "a router has no generics");
        return false;
    }
    true
}
