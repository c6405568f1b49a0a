use proc_macro2::TokenStream;
use quote::quote;

use crate::router::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::lists::{middleware_entries, type_list};
use crate::shared::names::plain;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    if !expandable {
        return quote!(#errors);
    }
    let Model { krate, ident, .. } = model;
    let name = model.name.as_ref().map_or_else(|| plain(ident), syn::LitStr::value);
    let includes = type_list(&model.includes, model.includes_key.as_ref());
    let middleware = middleware_entries(krate, &model.middleware);
    let defaults = model.options.expand(krate).map(|defaults| quote!(.defaults(#defaults)));
    let additions = quote!(#middleware #defaults);
    let definition = (!additions.is_empty()).then(|| {
        quote! {
            fn definition() -> #krate::router::RouterDefinition {
                #krate::router::RouterDefinition::of::<Self>() #additions
            }
        }
    });
    quote! {
        #errors
        #[automatically_derived]
        impl #krate::router::Router for #ident {
            const NAME: &'static str = #name;
            type Includes = #includes;
            #definition
        }
    }
}
