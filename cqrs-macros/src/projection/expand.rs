use proc_macro2::TokenStream;
use quote::quote;

use crate::projection::KIND;
use crate::projection::methods::Rows;
use crate::projection::parse::Model;
use crate::shared::consumer::Consumer;
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::Handling;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let Model { common, events, .. } = model;
    let Some(rows) = model.rows.as_ref().filter(|_| expandable) else {
        let block = &common.block;
        return quote!(#errors #block);
    };
    common.expand(&KIND, events.as_ref(), errors, |events| projection(model, rows, events))
}

fn projection(model: &Model, rows: &Rows, events: &TokenStream) -> TokenStream {
    let Consumer { krate, block, subscription, .. } = &model.common;
    let self_ty = &block.self_ty;
    let (name, error, consistency) = (model.common.name(), model.common.error(), model.common.consistency());
    let subscribe_to = subscription.expand(krate);
    let Rows { cfgs, ty } = rows;
    let version = model.version.as_ref().map(|version| quote!(const VERSION: u32 = #version;));
    let inline = model.inline.then(|| {
        quote!(
            const INLINE: bool = true;
        )
    });
    let rebuild_partitions =
        model.rebuild_partitions.as_ref().map(|number| quote!(const REBUILD_PARTITIONS: u16 = #number;));
    let create = model.create.as_ref().and_then(|create| create_method(model, create));
    let handle = match &model.on_batch {
        Some(on_batch) if model.events.is_some() => batch_methods(model, on_batch, events),
        _ => handle_method(model, events),
    };
    let partition_by = partition_by(model, events);
    let failure = quote!(
        #krate::projection::ProjectionFailure<<Self as #krate::projection::Projection>::Error>
    );
    let on_error = model.on_error.as_ref().and_then(|on_error| on_error.expand(krate, &failure));
    quote! {
        #[automatically_derived]
        impl #krate::projection::Projection for #self_ty {
            const NAME: &'static str = #name;
            #version
            #consistency
            #inline
            #subscribe_to
            #rebuild_partitions
            type Event = #events;
            type Rows = #ty;
            type Error = #error;
            #(#cfgs)*
            fn rows(&self) -> &Self::Rows {
                Self::rows(self)
            }
            #create
            #handle
            #partition_by
            #on_error
        }
    }
}

/// What a method that may fail gives.
fn result(model: &Model) -> TokenStream {
    let krate = &model.common.krate;
    quote!(::core::result::Result<(), <Self as #krate::projection::Projection>::Error>)
}

/// What the rows are written through.
fn connection(model: &Model) -> TokenStream {
    let krate = &model.common.krate;
    quote! {
        <<Self as #krate::projection::Projection>::Rows as #krate::projection::RowStore>::Connection
    }
}

fn create_method(model: &Model, create: &Given) -> Option<TokenStream> {
    let (result, connection) = (result(model), connection(model));
    let (cfgs, body) = (&create.cfgs, create.call(&["__rows"]));
    create.callable.then(|| {
        quote! {
            #(#cfgs)*
            async fn create(&self, __rows: &mut #connection) -> #result {
                #body
            }
        }
    })
}

fn handle_method(model: &Model, events: &TokenStream) -> TokenStream {
    let krate = &model.common.krate;
    let (result, connection) = (result(model), connection(model));
    let arms = model.common.handlings.iter().map(|handling| arm(handling, events));
    let body = match model.events {
        None => quote!(match *__event { #(#arms)* }),
        // Nothing takes them, which has been noted.
        Some(_) => quote!(::core::result::Result::Ok(())),
    };
    quote! {
        async fn handle(
            &self,
            __event: &#events,
            __rows: &mut #connection,
            __context: &#krate::projection::ProjectionContext,
        ) -> #result {
            #body
        }
    }
}

fn arm(handling: &Handling, events: &TokenStream) -> TokenStream {
    let Handling { cfgs, variant, .. } = handling;
    match handling.callable {
        true => {
            let call = handling.call();
            quote!(#(#cfgs)* #events::#variant(ref __event) => { #call })
        }
        false => quote!(#(#cfgs)* #events::#variant(_) => { ::core::result::Result::Ok(()) }),
    }
}

/// One event is a batch of one.
fn batch_methods(model: &Model, on_batch: &Given, events: &TokenStream) -> TokenStream {
    let krate = &model.common.krate;
    let (result, connection) = (result(model), connection(model));
    let body = match on_batch.callable {
        true => on_batch.call(&["__events", "__rows"]),
        false => quote!(::core::result::Result::Ok(())),
    };
    quote! {
        async fn handle(
            &self,
            __event: &#events,
            __rows: &mut #connection,
            __context: &#krate::projection::ProjectionContext,
        ) -> #result {
            let __one = #krate::projection::Projected::new(
                ::core::clone::Clone::clone(__event),
                ::core::clone::Clone::clone(__context),
            );
            let __one = [__one];
            #krate::projection::Projection::handle_batch(self, &__one, __rows).await
        }
        async fn handle_batch(
            &self,
            __events: &[#krate::projection::Projected<#events>],
            __rows: &mut #connection,
        ) -> #result {
            #body
        }
    }
}

fn partition_by(model: &Model, events: &TokenStream) -> Option<TokenStream> {
    let krate = &model.common.krate;
    let field = model.partition_by.as_ref()?;
    let arms = model.common.handlings.iter().map(|Handling { cfgs, variant, .. }| {
        quote!(#(#cfgs)* #events::#variant(__event) => ::std::string::ToString::to_string(&__event.#field),)
    });
    Some(quote! {
        fn partition_by(
            &self,
            __event: &#events,
            _: &#krate::projection::ProjectionContext,
        ) -> ::std::string::String {
            match __event { #(#arms)* }
        }
    })
}
