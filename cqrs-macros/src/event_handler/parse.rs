use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{LitInt, Type, parenthesized};

use crate::event_handler::hook::Hook;
use crate::event_handler::{KIND, KIND_WITH_STATE};
use crate::shared::batch::EXCLUSIVE;
use crate::shared::consumer::Consumer;
use crate::shared::duration::duration;
use crate::shared::errors::Errors;
use crate::shared::given::{Given, Parameter};
use crate::shared::handling::{Handling, Kind, handles};
use crate::shared::impl_block::{ImplBlock, Method, Part};
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::numbers::{number, partitions};
use crate::shared::on_error::OnError;

pub(crate) struct Model {
    pub(crate) common: Consumer,
    /// The set of events, of which many at a time come to `on_batch`.
    pub(crate) events: Option<Type>,
    pub(crate) batch_size: Option<LitInt>,
    pub(crate) batch_time: Option<TokenStream>,
    pub(crate) start_from: Option<StartFrom>,
    /// The field of every event that keeps the order.
    pub(crate) partition_by: Option<Ident>,
    pub(crate) partitions: Option<LitInt>,
    /// What is kept between events.
    pub(crate) state: Option<Type>,
    pub(crate) on_batch: Option<Given>,
    pub(crate) on_error: Option<OnError>,
    /// What is called apart from events.
    pub(crate) hooks: Vec<Hook>,
}

/// What the method looks like that batches come to.
const ON_BATCH: &str = "async fn on_batch(&self, events: &[Envelope<Events>]) -> Result<(), Error>";

const ON_BATCH_WITH_STATE: &str =
    "async fn on_batch(&self, events: &[Envelope<Events>], state: &mut State) -> Result<(), Error>";

impl Model {
    /// What its methods take.
    pub(crate) fn kind(&self) -> &'static Kind {
        if self.state.is_some() { &KIND_WITH_STATE } else { &KIND }
    }

    /// What the method looks like that its batches come to.
    pub(crate) fn batch_method(&self) -> &'static str {
        if self.state.is_some() { ON_BATCH_WITH_STATE } else { ON_BATCH }
    }
}

pub(crate) enum StartFrom {
    Origin,
    Current,
    Position(LitInt),
}

pub(crate) const SPEC: Spec = Spec {
    what: "event handler",
    separator: '=',
    keys: &[
        ("name", "name = \"welcome-email\""),
        ("interested_in", "interested_in = [AccountOpened]"),
        ("events", "events = MailEvent"),
        ("batch_size", "batch_size = 100"),
        ("batch_time", "batch_time = \"200ms\""),
        ("category", "category = \"account\""),
        ("stream", "stream = \"account-42\""),
        ("start_from", "start_from = origin"),
        ("consistency", "consistency = strong"),
        ("partition_by", "partition_by = account_id"),
        ("partitions", "partitions = 16"),
        ("state", "state = Totals"),
        ("error", "error = MailError"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(keys: TokenStream, block: ImplBlock, errors: &mut Errors) -> Model {
    let mut model = Model {
        common: Consumer::new(block),
        events: None,
        batch_size: None,
        batch_time: None,
        start_from: None,
        partition_by: None,
        partitions: None,
        state: None,
        on_batch: None,
        on_error: None,
        hooks: Vec::new(),
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
        "events" => model.events = Some(entry.value()?),
        "batch_size" => model.batch_size = Some(entry.value_with(batch_size)?),
        "batch_time" => model.batch_time = Some(duration(entry.value()?)?),
        "start_from" => model.start_from = Some(entry.value_with(start_from)?),
        "partition_by" => model.partition_by = Some(entry.value()?),
        "partitions" => model.partitions = Some(entry.value_with(partitions)?),
        "state" => model.state = Some(entry.value()?),
        _ => model.common.read(entry, errors)?,
    }
    Ok(())
}

pub(crate) fn start_from(input: ParseStream<'_>) -> syn::Result<StartFrom> {
    const EXPECTED: &str = "expected `origin`, `current` or `position(42)`";
    let word: Ident = input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), EXPECTED))?;
    match word.to_string().as_str() {
        "origin" => Ok(StartFrom::Origin),
        "current" => Ok(StartFrom::Current),
        "position" => {
            let content;
            parenthesized!(content in input);
            let position: LitInt = content.parse()?;
            position.base10_parse::<u64>()?;
            Ok(StartFrom::Position(position))
        }
        _ => Err(syn::Error::new_spanned(word, EXPECTED)),
    }
}

fn batch_size(input: ParseStream<'_>) -> syn::Result<LitInt> {
    number(input, 1..=10_000, "expected a number from 1 to 10000")
}

fn read_methods(model: &mut Model, errors: &mut Errors) {
    let kind = model.kind();
    for part in &model.common.block.parts {
        let Part::Method(method) = part else { continue };
        if method.signature.ident == "on_error" {
            model.on_error = Some(OnError::read(method, &KIND, "HandlerFailure", errors));
        } else if method.signature.ident == "on_batch" {
            model.on_batch = Some(on_batch(method, model.state.is_some(), errors));
        } else if Hook::is(method) {
            model.hooks.push(Hook::read(method, errors));
        } else if handles(method, &model.common.interested_in) {
            let handling = Handling::read(method, kind, errors);
            model.common.handlings.extend(handling);
        }
    }
}

fn on_batch(method: &Method, has_state: bool, errors: &mut Errors) -> Given {
    match has_state {
        true => {
            Given::read(method, &KIND, &[Parameter::Events, Parameter::Mutable], ON_BATCH_WITH_STATE, errors)
        }
        false => Given::read(method, &KIND, &[Parameter::Events], ON_BATCH, errors),
    }
}
