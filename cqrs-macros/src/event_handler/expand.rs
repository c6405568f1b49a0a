use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::event_handler::methods::{Handling, Output};
use crate::event_handler::parse::{Model, StartFrom};
use crate::shared::errors::Errors;
use crate::shared::names::{plain, show};
use crate::shared::paths::ends;
use crate::shared::set::{Member, Set};

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let Model { krate, block, cfgs, .. } = model;
    if !expandable {
        return quote!(#errors #block);
    }
    let events = Ident::new("__Event", Span::call_site());
    let members: Vec<_> = model.handlings.iter().map(member).collect();
    let set = Set { krate, name: &events, members: &members };
    let declaration = set.declaration(&format!("The events of the handler `{}`.", show(&block.self_ty)));
    let set = set.event_set();
    let handler = handler(model, &events);
    quote! {
        #errors
        #block
        #(#cfgs)*
        const _: () = {
            #declaration
            #set
            #handler
        };
    }
}

fn member(handling: &Handling) -> Member {
    Member { cfgs: handling.cfgs.clone(), variant: handling.variant.clone(), event: handling.event.clone() }
}

fn handler(model: &Model, events: &Ident) -> TokenStream {
    let Model { krate, block, .. } = model;
    let self_ty = &block.self_ty;
    let name = model
        .name
        .as_ref()
        .map_or_else(|| block.type_name().map_or_else(String::new, plain), syn::LitStr::value);
    let error =
        model.error.as_ref().map_or_else(|| quote!(::core::convert::Infallible), |error| quote!(#error));
    let (start_from, consistency) = (start_from(model), consistency(model));
    let arms = model.handlings.iter().map(|handling| arm(handling, events));
    let on_error = on_error(model);
    let partition_by = partition_by(model, events);
    let before_reset = before_reset(model);
    quote! {
        #[automatically_derived]
        impl #krate::handler::EventHandler for #self_ty {
            const NAME: &'static str = #name;
            #start_from
            #consistency
            type Event = #events;
            type Error = #error;
            async fn handle(
                &self,
                __event: #events,
                __context: &#krate::event::EventContext,
            ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
                match __event { #(#arms)* }
            }
            #partition_by
            #before_reset
            #on_error
        }
    }
}

fn start_from(model: &Model) -> Option<TokenStream> {
    let krate = &model.krate;
    let start_from = match model.start_from.as_ref()? {
        StartFrom::Origin => quote!(Origin),
        StartFrom::Current => quote!(Current),
        StartFrom::Position(position) => quote!(Position(#position)),
    };
    Some(quote! {
        const START_FROM: #krate::handler::StartFrom = #krate::handler::StartFrom::#start_from;
    })
}

fn consistency(model: &Model) -> Option<TokenStream> {
    let krate = &model.krate;
    model.strong.then(|| {
        quote! {
            const CONSISTENCY: #krate::handler::HandlerConsistency = #krate::handler::HandlerConsistency::Strong;
        }
    })
}

fn partition_by(model: &Model, events: &Ident) -> Option<TokenStream> {
    let krate = &model.krate;
    let field = model.partition_by.as_ref()?;
    let arms = model.handlings.iter().map(|Handling { cfgs, variant, .. }| {
        quote!(#(#cfgs)* #events::#variant(__event) => ::std::string::ToString::to_string(&__event.#field),)
    });
    Some(quote! {
        fn partition_by(&self, __event: &#events, _: &#krate::event::EventContext) -> ::std::string::String {
            match __event { #(#arms)* }
        }
    })
}

fn arm(handling: &Handling, events: &Ident) -> TokenStream {
    let Handling { cfgs, variant, .. } = handling;
    let body = if handling.callable { call(handling) } else { quote!(::core::result::Result::Ok(())) };
    let event = if handling.callable { quote!(ref __event) } else { quote!(_) };
    quote!(#(#cfgs)* #events::#variant(#event) => { #body })
}

/// Calls the method, and makes the handler's `Result` of what it returns.
fn call(handling: &Handling) -> TokenStream {
    let method = &handling.method;
    let (start, end) = match &handling.output {
        Output::Nothing => ends(method),
        Output::Result(ty) | Output::Opaque(ty) => ends(ty),
    };
    let context = handling.takes_context.then(|| quote!(__context));
    let function = quote_spanned!(start=> Self::#method);
    let arguments = quote_spanned!(end=> (self, __event, #context));
    let wait = handling.is_async.then(|| quote_spanned!(end=> .await));
    match &handling.output {
        Output::Nothing => quote!(#function #arguments #wait; ::core::result::Result::Ok(())),
        Output::Result(_) | Output::Opaque(_) => {
            let convert = quote_spanned!(end=> .map_err(::core::convert::Into::into));
            quote!(#function #arguments #wait #convert)
        }
    }
}

fn on_error(model: &Model) -> Option<TokenStream> {
    let on_error = model.on_error.as_ref().filter(|on_error| on_error.callable)?;
    let (krate, cfgs) = (&model.krate, &on_error.cfgs);
    let wait = on_error.is_async.then(|| quote!(.await));
    Some(quote! {
        #(#cfgs)*
        async fn on_error(
            &self,
            __failure: &#krate::handler::HandlerFailure<<Self as #krate::handler::EventHandler>::Error>,
        ) -> #krate::handler::ErrorAction {
            Self::on_error(self, __failure) #wait
        }
    })
}

fn before_reset(model: &Model) -> Option<TokenStream> {
    let before_reset = model.before_reset.as_ref().filter(|before_reset| before_reset.callable)?;
    let (krate, cfgs) = (&model.krate, &before_reset.cfgs);
    let wait = before_reset.is_async.then(|| quote!(.await));
    Some(quote! {
        #(#cfgs)*
        async fn before_reset(
            &self,
        ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
            Self::before_reset(self) #wait .map_err(::core::convert::Into::into)
        }
    })
}
