use crate::application::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::lists::without_duplicates;
use crate::shared::names::{check_wire_name, show};

/// Notes all mistakes, and drops what is there twice.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) {
    if let Some(name) = &model.name {
        check_wire_name(name, "application's name", errors);
    }
    if model.routers_key.is_none() {
        errors.at(
            &model.ident,
            "the application lacks `routers`: add `routers: [YourRouter]`, or `routers: []` for one that carries no commands",
        );
    }
    for (list, what) in [
        (&mut model.routers, "router"),
        (&mut model.event_handlers, "event handler"),
        (&mut model.projections, "projection"),
        (&mut model.process_managers, "process manager"),
        (&mut model.publishers, "publisher"),
        (&mut model.middleware, "middleware"),
    ] {
        *list = without_duplicates(std::mem::take(list), what, show, errors);
    }
}
