use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, LitInt, LitStr, Type};

use crate::projection::KIND;
use crate::projection::methods::{self, Rows};
use crate::shared::batch::EXCLUSIVE;
use crate::shared::consistency::strong;
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::{Handling, handles};
use crate::shared::impl_block::{ImplBlock, Part};
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::{types, without_duplicates};
use crate::shared::names::{cfgs, key};
use crate::shared::numbers::partitions;
use crate::shared::on_error::OnError;
use crate::shared::paths::Crate;
use crate::shared::subscription::Subscription;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) block: ImplBlock,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) interested_in: Vec<Type>,
    /// The set of events, of which many at a time come to `on_batch`.
    pub(crate) events: Option<Type>,
    pub(crate) subscription: Subscription,
    /// Whether a dispatch with strong consistency waits for the projection.
    pub(crate) strong: bool,
    /// Whether rows are written in the transactions of appends.
    pub(crate) inline: bool,
    /// The field of every event that keeps the order.
    pub(crate) partition_by: Option<Ident>,
    pub(crate) rebuild_partitions: Option<LitInt>,
    pub(crate) error: Option<Type>,
    pub(crate) handlings: Vec<Handling>,
    pub(crate) on_batch: Option<Given>,
    pub(crate) create: Option<Given>,
    pub(crate) rows: Option<Rows>,
    pub(crate) on_error: Option<OnError>,
    /// Whether there is a method `rows`, whatever it looks like.
    pub(crate) has_rows: bool,
    /// The required keys that are not there at all.
    pub(crate) missing: Vec<&'static str>,
    /// Whether the list of events could be read.
    pub(crate) events_known: bool,
}

const SPEC: Spec = Spec {
    what: "projection",
    separator: '=',
    keys: &[
        ("name", "name = \"balances\""),
        ("version", "version = 1"),
        ("interested_in", "interested_in = [AccountOpened]"),
        ("events", "events = BalanceEvent"),
        ("category", "category = \"account\""),
        ("stream", "stream = \"account-42\""),
        ("consistency", "consistency = strong"),
        ("inline", "inline"),
        ("partition_by", "partition_by = account_id"),
        ("rebuild_partitions", "rebuild_partitions = 8"),
        ("error", "error = sqlx::Error"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(keys: TokenStream, block: ImplBlock, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        cfgs: cfgs(&block.attrs),
        block,
        name: None,
        version: None,
        interested_in: Vec::new(),
        events: None,
        subscription: Subscription::default(),
        strong: false,
        inline: false,
        partition_by: None,
        rebuild_partitions: None,
        error: None,
        handlings: Vec::new(),
        on_batch: None,
        create: None,
        rows: None,
        on_error: None,
        has_rows: false,
        missing: Vec::new(),
        events_known: false,
    };
    let mut seen = Keys::new(&SPEC);
    let read_keys = |input: ParseStream<'_>| {
        seen.read(input, errors, |entry, errors| read(entry, &mut model, errors));
        Ok(())
    };
    let done = read_keys.parse2(keys);
    errors.take(done);
    if let (Some(_), Some(key)) = (seen.get("interested_in"), seen.get("events")) {
        errors.at(key, EXCLUSIVE);
    }
    let is_there =
        |key: &str| seen.get(key).is_some() || key == "interested_in" && seen.get("events").is_some();
    model.missing = ["name", "interested_in"].into_iter().filter(|key| !is_there(key)).collect();
    read_methods(&mut model, errors);
    model
}

fn read(entry: &Entry<'_>, model: &mut Model, errors: &mut Errors) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "name" => model.name = Some(entry.text()?),
        "version" => model.version = Some(entry.value_with(version)?),
        "interested_in" => {
            let events = entry.value_with(types)?;
            model.interested_in = without_duplicates(events, "event", key, errors);
            model.events_known = true;
        }
        "events" => model.events = Some(entry.value()?),
        "category" => model.subscription.category = Some(entry.text()?),
        "stream" => model.subscription.stream = Some(entry.text()?),
        "consistency" => model.strong = entry.value_with(strong)?,
        "inline" => {
            entry.flag()?;
            model.inline = true;
        }
        "partition_by" => model.partition_by = Some(entry.value()?),
        "rebuild_partitions" => model.rebuild_partitions = Some(entry.value_with(partitions)?),
        "error" => model.error = Some(entry.value()?),
        _ => model.krate = entry.krate()?,
    }
    Ok(())
}

fn version(input: ParseStream<'_>) -> syn::Result<LitInt> {
    const EXPECTED: &str = "expected a version: a whole number from 1";
    let version: LitInt =
        input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), EXPECTED))?;
    match version.base10_parse::<u32>() {
        Ok(1..) => Ok(version),
        _ => Err(syn::Error::new_spanned(version, EXPECTED)),
    }
}

fn read_methods(model: &mut Model, errors: &mut Errors) {
    for part in &model.block.parts {
        let Part::Method(method) = part else { continue };
        let name = &method.signature.ident;
        if name == "on_error" {
            model.on_error = Some(OnError::read(method, &KIND, "ProjectionFailure", errors));
        } else if name == "rows" {
            model.has_rows = true;
            model.rows = Rows::read(method, errors);
        } else if name == "create" {
            model.create = Some(methods::create(method, errors));
        } else if name == "on_batch" {
            model.on_batch = Some(methods::on_batch(method, errors));
        } else if handles(method, &model.interested_in) {
            model.handlings.extend(Handling::read(method, &KIND, errors));
        }
    }
}
