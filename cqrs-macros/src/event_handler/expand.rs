use proc_macro2::TokenStream;
use quote::quote;

use crate::event_handler::KIND;
use crate::event_handler::parse::{Model, StartFrom};
use crate::shared::consumer::Consumer;
use crate::shared::errors::Errors;
use crate::shared::given::Given;
use crate::shared::handling::Handling;
use crate::shared::paths::Crate;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let Model { common, events, .. } = model;
    if !expandable {
        let block = &common.block;
        return quote!(#errors #block);
    }
    common.expand(&KIND, events.as_ref(), errors, |events| handler(model, events))
}

fn handler(model: &Model, events: &TokenStream) -> TokenStream {
    let Consumer { krate, block, subscription, .. } = &model.common;
    let self_ty = &block.self_ty;
    let (name, error, consistency) = (model.common.name(), model.common.error(), model.common.consistency());
    let subscribe_to = subscription.expand(krate);
    let state = model.state.as_ref().map_or_else(|| quote!(()), |state| quote!(#state));
    let start_from = start_from(krate, model.start_from.as_ref());
    let handle = match &model.on_batch {
        Some(on_batch) if model.events.is_some() => batch_methods(model, on_batch, events),
        _ => handle_method(model, events),
    };
    let failure = quote!(#krate::handler::HandlerFailure<<Self as #krate::handler::EventHandler>::Error>);
    let on_error = model.on_error.as_ref().and_then(|on_error| on_error.expand(krate, &failure));
    let partition_by = partition_by(model, events);
    let partitions = model.partitions.as_ref().map(|number| quote!(const PARTITIONS: u16 = #number;));
    let hooks = model.hooks.iter().filter_map(|hook| hook.expand(krate));
    quote! {
        #[automatically_derived]
        impl #krate::handler::EventHandler for #self_ty {
            const NAME: &'static str = #name;
            #start_from
            #consistency
            #subscribe_to
            #partitions
            type Event = #events;
            type State = #state;
            type Error = #error;
            #handle
            #partition_by
            #(#hooks)*
            #on_error
        }
    }
}

fn handle_method(model: &Model, events: &TokenStream) -> TokenStream {
    let krate = &model.common.krate;
    let arms = model.common.handlings.iter().map(|handling| arm(handling, events));
    let body = match model.events {
        None => quote!(match __event { #(#arms)* }),
        // Nothing takes them, which has been noted.
        Some(_) => quote!(::core::result::Result::Ok(())),
    };
    quote! {
        async fn handle(
            &self,
            __event: #events,
            __state: &mut <Self as #krate::handler::EventHandler>::State,
            __context: &#krate::event::EventContext,
        ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
            #body
        }
    }
}

/// One event is a batch of one.
fn batch_methods(model: &Model, on_batch: &Given, events: &TokenStream) -> TokenStream {
    let krate = &model.common.krate;
    let size = model.batch_size.as_ref().map_or_else(|| quote!(100), |size| quote!(#size));
    let time =
        model.batch_time.as_ref().map(|time| quote!(const BATCH_TIME: ::core::time::Duration = #time;));
    let body = match on_batch.callable {
        true => on_batch.call(&["__events", "__state"]),
        false => quote!(::core::result::Result::Ok(())),
    };
    quote! {
        const BATCH_SIZE: usize = #size;
        #time
        async fn handle(
            &self,
            __event: #events,
            __state: &mut <Self as #krate::handler::EventHandler>::State,
            __context: &#krate::event::EventContext,
        ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
            let __one = [#krate::handler::Envelope::new(__event, ::core::clone::Clone::clone(__context))];
            #krate::handler::EventHandler::handle_batch(self, &__one, __state).await
        }
        async fn handle_batch(
            &self,
            __events: &[#krate::handler::Envelope<#events>],
            __state: &mut <Self as #krate::handler::EventHandler>::State,
        ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
            #body
        }
    }
}

pub(crate) fn start_from(krate: &Crate, start_from: Option<&StartFrom>) -> Option<TokenStream> {
    let start_from = match start_from? {
        StartFrom::Origin => quote!(Origin),
        StartFrom::Current => quote!(Current),
        StartFrom::Position(position) => quote!(Position(#position)),
    };
    Some(quote! {
        const START_FROM: #krate::handler::StartFrom = #krate::handler::StartFrom::#start_from;
    })
}

fn partition_by(model: &Model, events: &TokenStream) -> Option<TokenStream> {
    let krate = &model.common.krate;
    let field = model.partition_by.as_ref()?;
    let arms = model.common.handlings.iter().map(|Handling { cfgs, variant, .. }| {
        quote!(#(#cfgs)* #events::#variant(__event) => ::std::string::ToString::to_string(&__event.#field),)
    });
    Some(quote! {
        fn partition_by(&self, __event: &#events, _: &#krate::event::EventContext) -> ::std::string::String {
            match __event { #(#arms)* }
        }
    })
}

fn arm(handling: &Handling, events: &TokenStream) -> TokenStream {
    let Handling { cfgs, variant, .. } = handling;
    let body = if handling.callable { handling.call() } else { quote!(::core::result::Result::Ok(())) };
    let event = if handling.callable { quote!(ref __event) } else { quote!(_) };
    quote!(#(#cfgs)* #events::#variant(#event) => { #body })
}
