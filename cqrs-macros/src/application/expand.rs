use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::application::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::lists::{middleware_entries, type_list};
use crate::shared::names::plain;
use crate::shared::paths::located;

pub(crate) fn expand(model: &Model, errors: &Errors) -> TokenStream {
    let (declaration, deref) = (declaration(model), deref(model));
    let (application, builder) = (application(model), builder(model));
    quote! {
        #errors
        #declaration
        #deref
        #application
        #builder
    }
}

fn declaration(model: &Model) -> TokenStream {
    let Model { krate, attrs, visibility, struct_token, ident, .. } = model;
    quote! {
        #(#attrs)*
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #visibility #struct_token #ident(#krate::application::Running<#ident>);
    }
}

fn deref(model: &Model) -> TokenStream {
    let Model { krate, ident, .. } = model;
    quote! {
        #[automatically_derived]
        impl ::core::ops::Deref for #ident {
            type Target = #krate::application::Running<#ident>;
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    }
}

fn application(model: &Model) -> TokenStream {
    let Model { krate, ident, .. } = model;
    let name = model.name.as_ref().map_or_else(|| plain(ident), syn::LitStr::value);
    let routers = type_list(&model.routers, model.routers_key.as_ref());
    let definition = definition(model);
    quote! {
        #[automatically_derived]
        impl #krate::application::Application for #ident {
            const NAME: &'static str = #name;
            type Routers = #routers;
            #definition
            fn from_running(__running: #krate::application::Running<Self>) -> Self {
                Self(__running)
            }
        }
    }
}

fn definition(model: &Model) -> Option<TokenStream> {
    let krate = &model.krate;
    let handlers = model.event_handlers.iter().map(|handler| {
        let span = located(handler.span());
        quote_spanned! {span=>
            .event_handler(#krate::handler::HandlerEntry::new::<#handler>(
                #krate::__private::default_instance!(#handler)
            ))
        }
    });
    let projections = model.projections.iter().map(|projection| {
        let span = located(projection.span());
        quote_spanned! {span=>
            .projection(#krate::projection::ProjectionEntry::new::<#projection>(
                #krate::__private::default_instance!(#projection)
            ))
        }
    });
    let process_managers = model.process_managers.iter().map(|manager| {
        let span = located(manager.span());
        quote_spanned!(span=> .process_manager::<#manager>())
    });
    let publishers = model.publishers.iter().map(|publisher| {
        let span = located(publisher.span());
        quote_spanned! {span=>
            .publisher::<#publisher>(#krate::__private::default_instance!(#publisher))
        }
    });
    let middleware = middleware_entries(krate, &model.middleware);
    let defaults = model.options.expand(krate).map(|defaults| quote!(.defaults(#defaults)));
    let additions =
        quote!(#(#handlers)* #(#projections)* #(#process_managers)* #(#publishers)* #middleware #defaults);
    (!additions.is_empty()).then(|| {
        quote! {
            fn definition() -> #krate::application::Definition {
                #krate::application::Definition::new() #additions
            }
        }
    })
}

/// The constructor as an inherent function, so that nobody has to import the trait.
fn builder(model: &Model) -> TokenStream {
    let Model { krate, visibility, ident, .. } = model;
    quote! {
        #[automatically_derived]
        impl #ident {
            /// Binds an instance to a store; `start()` of what this gives starts it.
            #visibility fn builder(store: impl #krate::store::Store) -> #krate::application::Builder<Self> {
                #krate::application::Builder::new(store)
            }
        }
    }
}
