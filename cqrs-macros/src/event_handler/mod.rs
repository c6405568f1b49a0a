//! `#[event_handler]`.

mod check;
mod expand;
mod hook;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use expand::start_from;
pub(crate) use parse::{StartFrom, start_from as parse_start_from};

use proc_macro2::TokenStream;
use quote::quote;

use crate::shared::errors::Errors;
use crate::shared::handling::Kind;
use crate::shared::impl_block::without_markers;

const KIND: Kind = Kind {
    attribute: "event_handler",
    what: "handler",
    context: "EventContext",
    beside: None,
    undeclared: Some("state"),
    is_mutable: false,
    wanted: "expected `&self`, the event `&E`, and if needed `context: &EventContext`",
    behind_event: "context: &EventContext",
};

/// What methods take when the handler keeps a state.
const KIND_WITH_STATE: Kind = Kind {
    beside: Some("__state"),
    undeclared: None,
    wanted: "expected `&self`, the event `&E`, and if needed `state: &mut State` and `context: &EventContext`",
    behind_event: "state: &mut State",
    ..KIND
};

pub(crate) fn attribute(keys: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(block) = errors.take(syn::parse2(item.clone())) else {
        // Its methods have no marks to be taken off.
        let item = without_markers(item, &[]);
        return quote!(#errors #item);
    };
    let mut model = parse::model(keys, block, &mut errors);
    let expandable = check::check(&mut model, &mut errors);
    expand::expand(&model, expandable, &errors)
}
