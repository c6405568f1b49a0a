use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, LitStr, Type};

use crate::aggregate::apply::{Apply, BeforeExecute};
use crate::aggregate::settings::{Settings, Snapshots};
use crate::shared::decision::{Decision, Place};
use crate::shared::errors::Errors;
use crate::shared::impl_block::{ImplBlock, Method, Part};
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::names::cfgs;
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) block: ImplBlock,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) stream_prefix: Option<LitStr>,
    pub(crate) error: Option<Type>,
    pub(crate) events: Option<Ident>,
    pub(crate) settings: Settings,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) applies: Vec<Apply>,
    pub(crate) before_execute: Vec<BeforeExecute>,
}

pub(crate) const MARKERS: [&str; 3] = ["execute", "apply", "before_execute"];

const SPEC: Spec = Spec {
    what: "aggregate",
    separator: '=',
    keys: &[
        ("stream_prefix", "stream_prefix = \"account\""),
        ("error", "error = BankError"),
        ("name", "name = \"BankAccount\""),
        ("events", "events = BankAccountEvent"),
        ("snapshot_every", "snapshot_every = 100"),
        ("snapshot_version", "snapshot_version = 2"),
        ("snapshot_on_passivation", "snapshot_on_passivation"),
        ("state_stored", "state_stored"),
        ("lifespan", "lifespan = YourLifespan"),
        ("mailbox", "mailbox = 256"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(keys: TokenStream, block: ImplBlock, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        cfgs: cfgs(&block.attrs),
        block,
        name: None,
        stream_prefix: None,
        error: None,
        events: None,
        settings: Settings::default(),
        decisions: Vec::new(),
        applies: Vec::new(),
        before_execute: Vec::new(),
    };
    Keys::read_all(&SPEC, keys, errors, |entry, _| read(entry, &mut model));
    read_methods(&mut model, errors);
    model
}

fn read(entry: &Entry<'_>, model: &mut Model) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "stream_prefix" => model.stream_prefix = Some(entry.text()?),
        "error" => model.error = Some(entry.value()?),
        "name" => model.name = Some(entry.text()?),
        "events" => model.events = Some(entry.value()?),
        "snapshot_every" => {
            let every = entry.value_with(crate::shared::dispatch::count)?;
            model.settings.snapshots.push((entry.key.clone(), Snapshots::Every(every)));
        }
        "snapshot_version" => {
            let version = entry.value_with(crate::shared::dispatch::count)?;
            model.settings.snapshot_version = Some((entry.key.clone(), version));
        }
        "snapshot_on_passivation" => {
            entry.flag()?;
            model.settings.snapshots.push((entry.key.clone(), Snapshots::OnPassivation));
        }
        "state_stored" => {
            entry.flag()?;
            model.settings.snapshots.push((entry.key.clone(), Snapshots::StateStored));
        }
        "lifespan" => model.settings.lifespan = Some(entry.value()?),
        "mailbox" => model.settings.mailbox = Some(entry.value_with(crate::shared::dispatch::count)?),
        _ => model.krate = entry.krate()?,
    }
    Ok(())
}

fn read_methods(model: &mut Model, errors: &mut Errors) {
    for part in &mut model.block.parts {
        let Part::Method(method) = part else { continue };
        let markers = method.take_markers(&MARKERS, errors);
        if let [_, second, ..] = markers.as_slice() {
            errors.at(second, "a method has one of `#[execute]`, `#[apply]` and `#[before_execute]`");
        }
        let Some(marker) = markers.first() else { continue };
        read_method(
            &marker.to_string(),
            method,
            (&mut model.decisions, &mut model.applies, &mut model.before_execute),
            errors,
        );
    }
}

type Read<'a> = (&'a mut Vec<Decision>, &'a mut Vec<Apply>, &'a mut Vec<BeforeExecute>);

fn read_method(marker: &str, method: &Method, (decisions, applies, before): Read<'_>, errors: &mut Errors) {
    match marker {
        "execute" => decisions.extend(Decision::read(method, Place::Aggregate, errors)),
        "apply" => applies.extend(Apply::read(method, errors)),
        _ => before.push(BeforeExecute::read(method, errors)),
    }
}
