use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::event::parse::{Model, Upcaster};
use crate::shared::errors::Errors;
use crate::shared::names::plain;
use crate::shared::paths::{Crate, located};

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    if !expandable {
        return quote!(#errors);
    }
    let Model { krate, ident, .. } = model;
    let schema = schema(model, errors.is_empty());
    let registration = errors.is_empty().then(|| {
        quote! {
            #krate::__private::inventory::submit! {
                #krate::event::EventRegistration::of::<#ident>()
            }
        }
    });
    quote! {
        #errors
        #[automatically_derived]
        impl #krate::event::Event for #ident {
            const SCHEMA: &'static #krate::event::EventSchema = &#schema;
        }
        #krate::event::event_set_of_one!(#ident);
        #registration
    }
}

/// The schema; without upcasters where there are mistakes, for they may be among them.
fn schema(model: &Model, right: bool) -> TokenStream {
    let krate = &model.krate;
    let name = model.name.as_ref().map_or_else(|| plain(&model.ident), syn::LitStr::value);
    let version = model.version.as_ref().map_or(1, |version| version.number);
    let aliases = model.aliases.iter();
    let aliases = (!model.aliases.is_empty()).then(|| quote!(.aliases(&[#(#aliases),*])));
    let upcasters = model.upcasters.iter().map(|upcaster| upcaster.expand(krate));
    let upcasters =
        (right && !model.upcasters.is_empty()).then(|| quote!(.upcasters(const { &[#(#upcasters),*] })));
    let payload = model.payload.expand(krate);
    quote! {
        #krate::event::EventSchema::new(#name, #version)
            #aliases
            #upcasters
            #payload
            .krate(::core::env!("CARGO_PKG_NAME"))
            .at(::core::file!(), ::core::line!())
    }
}

impl Upcaster {
    fn expand(&self, krate: &Crate) -> TokenStream {
        let Self { from, function, produces } = self;
        let from = from.number;
        let span = located(function.span());
        let facade = krate.at(span);
        let upcast = quote_spanned! {span=>
            #facade::event::IntoUpcast::into_upcast(#facade::__private::call(#function, __payload))
        };
        let names = produces.iter().map(|event| {
            let span = located(event.span());
            quote_spanned!(span=> <#event as #krate::event::Event>::SCHEMA.name)
        });
        let producing = (!produces.is_empty()).then(|| quote!(.producing(const { &[#(#names),*] })));
        quote!(#krate::event::Upcaster::new(#from, |__payload| #upcast) #producing)
    }
}
