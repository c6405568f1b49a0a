//! `#[projection]`.

mod check;
mod expand;
mod methods;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::shared::errors::Errors;
use crate::shared::handling::Kind;
use crate::shared::impl_block::without_markers;

const KIND: Kind = Kind {
    attribute: "projection",
    what: "projection",
    context: "ProjectionContext",
    beside: Some("__rows"),
    undeclared: None,
    is_mutable: false,
    wanted: "expected `&self`, the event `&E`, and if needed the rows `&mut ..` and `context: &ProjectionContext`",
    behind_event: "rows: &mut ..",
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
