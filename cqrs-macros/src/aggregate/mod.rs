//! `#[aggregate]`.

mod apply;
mod check;
mod expand;
mod parse;
mod settings;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::shared::errors::Errors;
use crate::shared::impl_block::without_markers;

pub(crate) fn attribute(keys: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(block) = errors.take(syn::parse2(item.clone())) else {
        let item = without_markers(item, &parse::MARKERS);
        return quote!(#errors #item);
    };
    let mut model = parse::model(keys, block, &mut errors);
    let expandable = check::check(&mut model, &mut errors);
    expand::expand(&model, expandable, &errors)
}
