//! `#[process_manager]`.

mod check;
mod expand;
mod hooks;
mod on;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::shared::errors::Errors;
use crate::shared::handling::Kind;
use crate::shared::impl_block::without_markers;

const KIND: Kind = Kind {
    attribute: "process_manager",
    what: "process manager",
    context: "Process",
    beside: None,
    undeclared: None,
    is_mutable: true,
    wanted: "expected `&mut self`, the event `&E`, and if needed `process: &mut Process`",
    behind_event: "process: &mut Process",
};

pub(crate) fn attribute(keys: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(block) = errors.take(syn::parse2(item.clone())) else {
        let item = without_markers(item, &[on::MARKER]);
        return quote!(#errors #item);
    };
    let mut model = parse::model(keys, block, &mut errors);
    let expandable = check::check(&mut model, &mut errors);
    expand::expand(&model, expandable, &errors)
}
