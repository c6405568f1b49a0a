use proc_macro2::TokenStream;
use quote::quote;

use crate::event_handler::start_from;
use crate::process_manager::KIND;
use crate::process_manager::on::{On, Whom};
use crate::process_manager::parse::Model;
use crate::shared::consumer::Consumer;
use crate::shared::errors::Errors;
use crate::shared::handling::Handling;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    if !expandable {
        let block = &model.common.block;
        return quote!(#errors #block);
    }
    model.common.expand(&KIND, None, errors, |events| manager(model, events))
}

fn manager(model: &Model, events: &TokenStream) -> TokenStream {
    let Consumer { krate, block, subscription, .. } = &model.common;
    let self_ty = &block.self_ty;
    let (name, error, consistency) = (model.common.name(), model.common.error(), model.common.consistency());
    let subscribe_to = subscription.expand(krate);
    let start_from = start_from(krate, model.start_from.as_ref());
    let constants = constants(model);
    let interests = model.common.handlings.iter().zip(&model.ons);
    let interests = interests.map(|(handling, on)| interest(model, handling, on.as_ref(), events));
    let arms = model.common.handlings.iter().map(|handling| arm(handling, events));
    let hooks = model.hooks.iter().filter_map(|hook| hook.expand(krate));
    quote! {
        #[automatically_derived]
        impl #krate::process_manager::ProcessManager for #self_ty {
            const NAME: &'static str = #name;
            #start_from
            #consistency
            #subscribe_to
            #constants
            type Event = #events;
            type Error = #error;
            fn interest(
                __event: &#events,
                __context: &#krate::event::EventContext,
            ) -> #krate::process_manager::Interest {
                match *__event { #(#interests)* }
            }
            async fn handle(
                &mut self,
                __event: #events,
                __context: &mut #krate::process_manager::Process,
            ) -> ::core::result::Result<(), <Self as #krate::process_manager::ProcessManager>::Error> {
                match __event { #(#arms)* }
            }
            #(#hooks)*
        }
    }
}

fn constants(model: &Model) -> TokenStream {
    let idle_timeout = model.idle_timeout.as_ref().map(|(_, time)| {
        quote! {
            const IDLE_TIMEOUT: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(#time);
        }
    });
    let has_after_command = model.hooks.iter().any(|hook| hook.which.name == "after_command");
    let after_command = has_after_command.then(|| {
        quote!(
            const AFTER_COMMAND: bool = true;
        )
    });
    quote!(#idle_timeout #after_command)
}

/// The arm that tells to which instances an event leads.
fn interest(model: &Model, handling: &Handling, on: Option<&On>, events: &TokenStream) -> TokenStream {
    let krate = &model.common.krate;
    let Handling { cfgs, variant, .. } = handling;
    let of_all = model.by.clone().map(Whom::By);
    let whom = on.and_then(|on| on.whom.clone()).or(of_all);
    let interest = match whom {
        Some(whom) => whom.interest(krate, on.and_then(|on| on.role)),
        None => quote!(#krate::process_manager::Interest::none()),
    };
    quote!(#(#cfgs)* #events::#variant(ref __event) => { let _ = __event; #interest })
}

fn arm(handling: &Handling, events: &TokenStream) -> TokenStream {
    let Handling { cfgs, variant, .. } = handling;
    let body = if handling.callable { handling.call() } else { quote!(::core::result::Result::Ok(())) };
    let event = if handling.callable { quote!(ref __event) } else { quote!(_) };
    quote!(#(#cfgs)* #events::#variant(#event) => { #body })
}
