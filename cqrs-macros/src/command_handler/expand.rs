use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use crate::command_handler::parse::Model;
use crate::shared::decision::Decision;
use crate::shared::errors::Errors;
use crate::shared::paths::ends;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let Model { block, cfgs, decisions, .. } = model;
    if !expandable {
        return quote!(#errors #block);
    }
    let impls = decisions.iter().filter_map(|decision| {
        let aggregate = decision.state.as_ref()?;
        Some(handler(model, decision, aggregate))
    });
    let cfgs = quote!(#(#cfgs)*);
    quote! {
        #errors
        #block
        #(#cfgs #impls)*
    }
}

fn handler(model: &Model, decision: &Decision, aggregate: &Type) -> TokenStream {
    let krate = &model.krate;
    let handler = &model.block.self_ty;
    let Decision { cfgs, command, .. } = decision;
    let body = decision.body(krate, aggregate);
    // A state of another type is blamed on what the user wrote.
    let (start, _) = ends(aggregate);
    let state = quote_spanned!(start=> &#aggregate);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::command::CommandHandler<#command> for #handler {
            async fn handle(
                &self,
                __state: #state,
                __command: &#command,
                __emitter: &mut #krate::aggregate::Emitter<'_, #aggregate>,
                __context: &#krate::command::CommandContext,
            ) -> ::core::result::Result<(), <#aggregate as #krate::aggregate::Aggregate>::Error> {
                #body
            }
        }
    }
}
