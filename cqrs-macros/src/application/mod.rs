//! `application!`.

mod check;
mod expand;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::parse::Parser as _;

use crate::shared::errors::Errors;

pub(crate) fn application(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let model = (|input: syn::parse::ParseStream<'_>| parse::model(input, &mut errors)).parse2(input);
    let Some(mut model) = errors.take(model) else {
        return quote::quote!(#errors);
    };
    check::check(&mut model, &mut errors);
    expand::expand(&model, &errors)
}
