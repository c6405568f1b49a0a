use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{LitInt, Type};

use crate::projection::KIND;
use crate::projection::methods::{self, Rows};
use crate::shared::batch::EXCLUSIVE;
use crate::shared::consumer::Consumer;
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::{Handling, handles};
use crate::shared::impl_block::{ImplBlock, Part};
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::numbers::partitions;
use crate::shared::on_error::OnError;

pub(crate) struct Model {
    pub(crate) common: Consumer,
    pub(crate) version: Option<LitInt>,
    /// The set of events, of which many at a time come to `on_batch`.
    pub(crate) events: Option<Type>,
    /// Whether rows are written in the transactions of appends.
    pub(crate) inline: bool,
    /// The field of every event that keeps the order.
    pub(crate) partition_by: Option<Ident>,
    pub(crate) rebuild_partitions: Option<LitInt>,
    pub(crate) on_batch: Option<Given>,
    pub(crate) create: Option<Given>,
    pub(crate) rows: Option<Rows>,
    pub(crate) on_error: Option<OnError>,
    /// Whether there is a method `rows`, whatever it looks like.
    pub(crate) has_rows: bool,
}

pub(crate) const SPEC: Spec = Spec {
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
        common: Consumer::new(block),
        version: None,
        events: None,
        inline: false,
        partition_by: None,
        rebuild_partitions: None,
        on_batch: None,
        create: None,
        rows: None,
        on_error: None,
        has_rows: false,
    };
    let seen = Keys::read_all(&SPEC, keys, errors, |entry, errors| read(entry, &mut model, errors));
    if let (Some(_), Some(key)) = (seen.get("interested_in"), seen.get("events")) {
        errors.at(key, EXCLUSIVE);
    }
    model.common.has_seen(&seen);
    read_methods(&mut model, errors);
    model
}

fn read(entry: &Entry<'_>, model: &mut Model, errors: &mut Errors) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "version" => model.version = Some(entry.value_with(version)?),
        "events" => model.events = Some(entry.value()?),
        "inline" => {
            entry.flag()?;
            model.inline = true;
        }
        "partition_by" => model.partition_by = Some(entry.value()?),
        "rebuild_partitions" => model.rebuild_partitions = Some(entry.value_with(partitions)?),
        _ => model.common.read(entry, errors)?,
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
    for part in &model.common.block.parts {
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
        } else if handles(method, &model.common.interested_in) {
            model.common.handlings.extend(Handling::read(method, &KIND, errors));
        }
    }
}
