//! `#[derive(Event)]`.

mod check;
mod expand;
mod parse;
mod payload;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use crate::shared::errors::Errors;

pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let model = syn::parse2(input).map(|input| parse::model(&input, &mut errors));
    let Some(model) = errors.take(model) else {
        return quote::quote!(#errors);
    };
    let expandable = check::check(&model, &mut errors);
    expand::expand(&model, expandable, &errors)
}
