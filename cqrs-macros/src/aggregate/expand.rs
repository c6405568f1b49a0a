use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::aggregate::apply::Apply;
use crate::aggregate::parse::Model;
use crate::shared::decision::Decision;
use crate::shared::errors::Errors;
use crate::shared::names::{plain, show};
use crate::shared::set::{Member, Set};

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let block = &model.block;
    let Some(type_name) = block.type_name().filter(|_| expandable) else {
        return quote!(#errors #block);
    };
    let name = model
        .events
        .clone()
        .unwrap_or_else(|| format_ident!("{}Event", plain(type_name), span = type_name.span()));
    let members: Vec<_> = model.applies.iter().map(member).collect();
    let set = Set { krate: &model.krate, name: &name, members: &members };
    let docs = format!("The events of the aggregate `{}`.", show(&block.self_ty));
    let mut items = vec![set.declaration(&docs), set.event_set(), aggregate(model, type_name, &name)];
    items.extend(set.conversions());
    items.push(into_events_of_set(model, &name));
    items.extend(model.applies.iter().map(|apply| into_events(model, apply)));
    items.extend(model.decisions.iter().map(|decision| execute(model, decision)));
    let cfgs = &model.cfgs;
    let cfgs = quote!(#(#cfgs)*);
    quote! {
        #errors
        #block
        #(#cfgs #items)*
    }
}

fn member(apply: &Apply) -> Member {
    Member { cfgs: apply.cfgs.clone(), variant: apply.variant.clone(), event: apply.event.clone() }
}

fn aggregate(model: &Model, type_name: &Ident, events: &Ident) -> TokenStream {
    let Model { krate, block, .. } = model;
    let self_ty = &block.self_ty;
    let type_name = plain(type_name);
    let name = model.name.as_ref().map_or_else(|| type_name.clone(), syn::LitStr::value);
    let prefix = model.stream_prefix.as_ref().map_or(type_name, syn::LitStr::value);
    let error =
        model.error.as_ref().map_or_else(|| quote!(::core::convert::Infallible), |error| quote!(#error));
    let arms = model.applies.iter().map(|apply| apply_arm(apply, events));
    let before_execute = before_execute(model);
    let settings = model.settings.expand(krate);
    quote! {
        #[automatically_derived]
        impl #krate::aggregate::Aggregate for #self_ty {
            type Event = #events;
            type Error = #error;
            const NAME: &'static str = #name;
            const STREAM_PREFIX: &'static str = #prefix;
            fn apply(&mut self, __event: &#events) {
                match *__event { #(#arms)* }
            }
            #before_execute
            #settings
        }
    }
}

fn apply_arm(apply: &Apply, events: &Ident) -> TokenStream {
    let Apply { cfgs, method, variant, callable, .. } = apply;
    if *callable {
        quote!(#(#cfgs)* #events::#variant(ref __event) => Self::#method(self, __event),)
    } else {
        quote!(#(#cfgs)* #events::#variant(_) => {})
    }
}

fn before_execute(model: &Model) -> Option<TokenStream> {
    let before = model.before_execute.first().filter(|before| before.callable)?;
    let (krate, cfgs, method) = (&model.krate, &before.cfgs, &before.method);
    Some(quote! {
        #(#cfgs)*
        fn before_execute(
            &self,
            __context: &#krate::command::CommandContext,
        ) -> ::core::result::Result<(), <Self as #krate::aggregate::Aggregate>::Error> {
            Self::#method(self, __context)
        }
    })
}

fn into_events(model: &Model, Apply { cfgs, event, .. }: &Apply) -> TokenStream {
    let emit_into = emit_into(model);
    let (krate, aggregate) = (&model.krate, &model.block.self_ty);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::aggregate::IntoEvents<#aggregate> for #event {
            #emit_into
        }
    }
}

fn into_events_of_set(model: &Model, events: &Ident) -> TokenStream {
    let emit_into = emit_into(model);
    let (krate, aggregate) = (&model.krate, &model.block.self_ty);
    quote! {
        #[automatically_derived]
        impl #krate::aggregate::IntoEvents<#aggregate> for #events {
            #emit_into
        }
    }
}

fn emit_into(model: &Model) -> TokenStream {
    let (krate, aggregate) = (&model.krate, &model.block.self_ty);
    quote! {
        fn emit_into(
            self,
            __emitter: &mut #krate::aggregate::Emitter<'_, #aggregate>,
        ) -> ::core::result::Result<(), <#aggregate as #krate::aggregate::Aggregate>::Error> {
            __emitter.emit(self);
            ::core::result::Result::Ok(())
        }
    }
}

fn execute(model: &Model, decision: &Decision) -> TokenStream {
    let (krate, aggregate) = (&model.krate, &model.block.self_ty);
    let Decision { cfgs, command, .. } = decision;
    let body = decision.body(krate, aggregate);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::aggregate::Execute<#command> for #aggregate {
            fn execute(
                &self,
                __command: &#command,
                __emitter: &mut #krate::aggregate::Emitter<'_, Self>,
                __context: &#krate::command::CommandContext,
            ) -> ::core::result::Result<(), <Self as #krate::aggregate::Aggregate>::Error> {
                #body
            }
        }
    }
}
