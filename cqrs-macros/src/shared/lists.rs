use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Token, Type, bracketed};

use crate::shared::errors::Errors;
use crate::shared::names::show;
use crate::shared::paths::{Crate, located};

/// `[A, B]`.
pub(crate) fn types(input: ParseStream<'_>) -> syn::Result<Vec<Type>> {
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<Type, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// Drops what is listed twice, and notes it.
pub(crate) fn without_duplicates(
    types: Vec<Type>,
    what: &str,
    key: fn(&Type) -> String,
    errors: &mut Errors,
) -> Vec<Type> {
    let mut kept: Vec<Type> = Vec::with_capacity(types.len());
    for ty in types {
        if kept.iter().any(|other| key(other) == key(&ty)) {
            errors.at(&ty, format!("the {what} `{}` is listed twice", show(&ty)));
        } else {
            kept.push(ty);
        }
    }
    kept
}

/// A list as a type: `(A, (B, ()))`. An entry that does not fit is blamed on the list's key.
pub(crate) fn type_list(types: &[Type], key: Option<&Ident>) -> TokenStream {
    let span = key.map_or_else(Span::call_site, |key| located(key.span()));
    types.iter().rev().fold(quote!(()), |rest, ty| quote_spanned!(span=> (#ty, #rest)))
}

/// The calls that add layers of middleware to a definition.
pub(crate) fn middleware_entries(krate: &Crate, types: &[Type]) -> TokenStream {
    types
        .iter()
        .map(|ty| {
            let span = located(ty.span());
            quote_spanned! {span=>
                .middleware(#krate::middleware::MiddlewareEntry::new::<#ty>(
                    #krate::__private::default_instance!(#ty)
                ))
            }
        })
        .collect()
}
