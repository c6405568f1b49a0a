use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Attribute, ReturnType, Type};

use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::{Kind, check_self};
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named};
use crate::shared::paths::Crate;

/// The method `on_error`.
pub(crate) struct OnError {
    cfgs: Vec<Attribute>,
    is_async: bool,
    callable: bool,
}

impl OnError {
    pub(crate) fn read(method: &Method, kind: &Kind, failure: &str, errors: &mut Errors) -> Self {
        let wanted =
            format!("expected `async fn on_error(&self, failure: &{failure}<Error>) -> ErrorAction`");
        let mut mistakes = Errors::default();
        check_self(method, kind, &mut mistakes);
        let signature = &method.signature;
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let takes_failure = matches!(types.as_slice(), [Type::Reference(reference)]
            if reference.mutability.is_none() && is_named(&reference.elem, failure));
        if !takes_failure {
            mistakes.at(&signature.inputs, &wanted);
        }
        match &signature.output {
            ReturnType::Default => mistakes.at(&signature.ident, &wanted),
            ReturnType::Type(_, ty) if !is_named(ty, "ErrorAction") => {
                mistakes.at(ty.to_token_stream(), &wanted);
            }
            ReturnType::Type(..) => {}
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self { cfgs: cfgs(&method.attrs), is_async: signature.asyncness.is_some(), callable }
    }

    /// The method of the trait, which calls the user's; `failure` is the type that the trait gives.
    pub(crate) fn expand(&self, krate: &Crate, failure: &TokenStream) -> Option<TokenStream> {
        let Self { cfgs, is_async, callable } = self;
        let wait = is_async.then(|| quote!(.await));
        callable.then(|| {
            quote! {
                #(#cfgs)*
                async fn on_error(&self, __failure: &#failure) -> #krate::handler::ErrorAction {
                    Self::on_error(self, __failure) #wait
                }
            }
        })
    }
}
