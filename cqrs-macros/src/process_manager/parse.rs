use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, LitStr, Type};

use crate::event_handler::{StartFrom, parse_start_from};
use crate::process_manager::KIND;
use crate::process_manager::hooks::Hook;
use crate::process_manager::on::On;
use crate::shared::consistency::strong;
use crate::shared::duration::duration;
use crate::shared::errors::Errors;
use crate::shared::handling::{Handling, handles};
use crate::shared::impl_block::{ImplBlock, Part};
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::{types, without_duplicates};
use crate::shared::names::{cfgs, key};
use crate::shared::paths::Crate;
use crate::shared::subscription::Subscription;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) block: ImplBlock,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) interested_in: Vec<Type>,
    pub(crate) subscription: Subscription,
    /// The field of every event that names the instance, unless its method says otherwise.
    pub(crate) by: Option<Ident>,
    pub(crate) start_from: Option<StartFrom>,
    /// Whether a dispatch with strong consistency waits for it.
    pub(crate) strong: bool,
    pub(crate) idle_timeout: Option<(Ident, TokenStream)>,
    pub(crate) error: Option<Type>,
    pub(crate) handlings: Vec<Handling>,
    /// What stands on the methods, in the same order.
    pub(crate) ons: Vec<Option<On>>,
    pub(crate) hooks: Vec<Hook>,
    /// The required keys that are not there at all.
    pub(crate) missing: Vec<&'static str>,
    /// Whether it could be read of each handling method which event it is for.
    pub(crate) methods_known: bool,
    /// Whether the list of events could be read.
    pub(crate) events_known: bool,
}

const SPEC: Spec = Spec {
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
        krate: Crate::default(),
        cfgs: cfgs(&block.attrs),
        block,
        name: None,
        interested_in: Vec::new(),
        subscription: Subscription::default(),
        by: None,
        start_from: None,
        strong: false,
        idle_timeout: None,
        error: None,
        handlings: Vec::new(),
        ons: Vec::new(),
        hooks: Vec::new(),
        missing: Vec::new(),
        methods_known: true,
        events_known: false,
    };
    let mut seen = Keys::new(&SPEC);
    let read_keys = |input: ParseStream<'_>| {
        seen.read(input, errors, |entry, errors| read(entry, &mut model, errors));
        Ok(())
    };
    let done = read_keys.parse2(keys);
    errors.take(done);
    model.missing = ["name", "interested_in"].into_iter().filter(|key| seen.get(key).is_none()).collect();
    read_methods(&mut model, errors);
    model
}

fn read(entry: &Entry<'_>, model: &mut Model, errors: &mut Errors) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "name" => model.name = Some(entry.text()?),
        "interested_in" => {
            let events = entry.value_with(types)?;
            model.interested_in = without_duplicates(events, "event", key, errors);
            model.events_known = true;
        }
        "by" => model.by = Some(entry.value()?),
        "start_from" => model.start_from = Some(entry.value_with(parse_start_from)?),
        "category" => model.subscription.category = Some(entry.text()?),
        "stream" => model.subscription.stream = Some(entry.text()?),
        "consistency" => model.strong = entry.value_with(strong)?,
        "idle_timeout" => model.idle_timeout = Some((entry.key.clone(), duration(entry.value()?)?)),
        "error" => model.error = Some(entry.value()?),
        _ => model.krate = entry.krate()?,
    }
    Ok(())
}

fn read_methods(model: &mut Model, errors: &mut Errors) {
    for part in &mut model.block.parts {
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
        } else if on.is_some() || handles(method, &model.interested_in) {
            let handling = Handling::read(method, &KIND, errors);
            model.methods_known &= handling.is_some();
            if let Some(handling) = handling {
                model.handlings.push(handling);
                model.ons.push(on);
            }
        }
    }
}
