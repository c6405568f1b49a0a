use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, ReturnType, Type};

use crate::event_handler::KIND;
use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::{Output, check_self};
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named};
use crate::shared::paths::Crate;

/// A method that is called apart from events: `init`, `after_start` or `before_reset`.
pub(crate) struct Hook {
    cfgs: Vec<Attribute>,
    method: Ident,
    is_told: bool,
    takes_context: bool,
    is_async: bool,
    output: Output,
    callable: bool,
}

/// The type of what `after_start` is told.
const CONTEXT: &str = "StartContext";

impl Hook {
    /// Whether a method is one.
    pub(crate) fn is(method: &Method) -> bool {
        ["init", "after_start", "before_reset"].iter().any(|name| method.signature.ident == name)
    }

    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Self {
        let signature = &method.signature;
        let is_told = signature.ident == "after_start";
        let context = if is_told { ", context: &StartContext" } else { "" };
        let wanted = format!("expected `async fn {}(&self{context}) -> Result<(), Error>`", signature.ident);
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let takes_context = match &*types {
            [] => false,
            [Type::Reference(ty)] if is_told && ty.mutability.is_none() && is_named(&ty.elem, CONTEXT) => {
                true
            }
            _ => {
                mistakes.at(&signature.inputs, &wanted);
                false
            }
        };
        match &signature.output {
            ReturnType::Type(_, ty) if is_named(ty, "Result") => {}
            ReturnType::Type(_, ty) => mistakes.at(ty.to_token_stream(), &wanted),
            ReturnType::Default => mistakes.at(&signature.ident, &wanted),
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self {
            cfgs: cfgs(&method.attrs),
            method: signature.ident.clone(),
            is_told,
            takes_context,
            is_async: signature.asyncness.is_some(),
            output: Output::of(&signature.output),
            callable,
        }
    }

    /// Why it fails, as far as that can be seen.
    pub(crate) fn error(&self) -> Option<Type> {
        match &self.output {
            Output::Result(error) if self.callable => Some(error.clone()),
            _ => None,
        }
    }

    /// The method of the trait, which calls the user's.
    pub(crate) fn expand(&self, krate: &Crate) -> Option<TokenStream> {
        let Self { cfgs, method, .. } = self;
        let parameter = self.is_told.then(|| quote!(, __context: &#krate::handler::StartContext));
        let argument = self.takes_context.then(|| quote!(, __context));
        let (start, end) = self.output.ends(method);
        let function = quote_spanned!(start=> Self::#method);
        let call = quote_spanned!(end=> #function(self #argument));
        let body = self.output.convert(&call, self.is_async, end);
        self.callable.then(|| {
            quote! {
                #(#cfgs)*
                async fn #method(
                    &self #parameter
                ) -> ::core::result::Result<(), <Self as #krate::handler::EventHandler>::Error> {
                    #body
                }
            }
        })
    }
}
