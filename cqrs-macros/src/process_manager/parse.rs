use proc_macro2::{Ident, TokenStream};

use crate::event_handler::{StartFrom, parse_start_from};
use crate::process_manager::KIND;
use crate::process_manager::hooks::Hook;
use crate::process_manager::on::On;
use crate::shared::consumer::Consumer;
use crate::shared::duration::duration;
use crate::shared::errors::Errors;
use crate::shared::handling::{Handling, handles};
use crate::shared::impl_block::{ImplBlock, Part};
use crate::shared::keys::{Entry, Keys, Spec};

pub(crate) struct Model {
    pub(crate) common: Consumer,
    /// The field of every event that names the instance, unless its method says otherwise.
    pub(crate) by: Option<Ident>,
    pub(crate) start_from: Option<StartFrom>,
    pub(crate) idle_timeout: Option<(Ident, TokenStream)>,
    /// What stands on the methods, in the same order.
    pub(crate) ons: Vec<Option<On>>,
    pub(crate) hooks: Vec<Hook>,
}

pub(crate) const SPEC: Spec = Spec {
    what: "process manager",
    separator: '=',
    keys: &[
        ("name", "name = \"money-transfer\""),
        ("interested_in", "interested_in = [TransferRequested]"),
        ("category", "category = \"account\""),
        ("stream", "stream = \"account-42\""),
        ("by", "by = transfer_id"),
        ("start_from", "start_from = origin"),
        ("consistency", "consistency = strong"),
        ("idle_timeout", "idle_timeout = \"24h\""),
        ("error", "error = TransferError"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(keys: TokenStream, block: ImplBlock, errors: &mut Errors) -> Model {
    let mut model = Model {
        common: Consumer::new(block),
        by: None,
        start_from: None,
        idle_timeout: None,
        ons: Vec::new(),
        hooks: Vec::new(),
    };
    let seen = Keys::read_all(&SPEC, keys, errors, |entry, errors| read(entry, &mut model, errors));
    model.common.has_seen(&seen);
    read_methods(&mut model, errors);
    model
}

fn read(entry: &Entry<'_>, model: &mut Model, errors: &mut Errors) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "by" => model.by = Some(entry.value()?),
        "start_from" => model.start_from = Some(entry.value_with(parse_start_from)?),
        "idle_timeout" => model.idle_timeout = Some((entry.key.clone(), duration(entry.value()?)?)),
        _ => model.common.read(entry, errors)?,
    }
    Ok(())
}

fn read_methods(model: &mut Model, errors: &mut Errors) {
    for part in &mut model.common.block.parts {
        let Part::Method(method) = part else { continue };
        let on = On::take(method, errors);
        if let Some(hook) = Hook::read(method, errors) {
            if let Some(on) = on {
                errors.at(
                    on.tokens,
                    format!("`{}` is called by its name: it has no `#[on(..)]`", hook.which.name),
                );
            }
            model.hooks.push(hook);
        } else if on.is_some() || handles(method, &model.common.interested_in) {
            let handling = Handling::read(method, &KIND, errors);
            if let Some(handling) = handling {
                model.common.handlings.push(handling);
                model.ons.push(on);
            }
        }
    }
}
