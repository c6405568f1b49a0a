use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned as _;
use syn::{Attribute, Type};

use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::{Kind, Output, check_self};
use crate::shared::impl_block::Method;
use crate::shared::names::cfgs;
use crate::shared::paths::located;

/// A method that is given certain things: `create`, or `on_batch`.
pub(crate) struct Given {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    /// Where the type of each argument stands.
    arguments: Vec<Span>,
    is_async: bool,
    pub(crate) output: Output,
    /// Whether the method can be called; otherwise its mistakes have been noted.
    pub(crate) callable: bool,
}

/// What a method is given.
pub(crate) enum Parameter {
    /// `&[..]`.
    Events,
    /// `&mut ..`.
    Mutable,
}

impl Given {
    pub(crate) fn read(
        method: &Method,
        kind: &Kind,
        wanted: &[Parameter],
        text: &str,
        errors: &mut Errors,
    ) -> Self {
        let mut mistakes = Errors::default();
        check_self(method, kind, &mut mistakes);
        let signature = &method.signature;
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let fits =
            types.len() == wanted.len() && types.iter().zip(wanted).all(|(ty, wanted)| wanted.fits(ty));
        if !fits {
            mistakes.at(&signature.inputs, format!("expected `{text}`"));
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self {
            cfgs: cfgs(&method.attrs),
            method: signature.ident.clone(),
            arguments: types.into_iter().map(|ty| located(ty.span())).collect(),
            is_async: signature.asyncness.is_some(),
            output: Output::of(&signature.output),
            callable,
        }
    }

    /// Why it fails, as far as that can be seen.
    pub(crate) fn error(&self) -> Option<Type> {
        match &self.output {
            Output::Result(error) => Some(error.clone()),
            Output::Nothing | Output::Opaque(_) => None,
        }
    }

    /// Calls the method with these variables, and makes a `Result` of what it returns.
    pub(crate) fn call(&self, variables: &[&str]) -> TokenStream {
        let Self { method, arguments, is_async, output, .. } = self;
        let (start, end) = output.ends(method);
        let variables = variables.iter().zip(arguments).map(|(variable, span)| {
            let variable = Ident::new(variable, *span);
            quote_spanned!(*span=> #variable)
        });
        let function = quote_spanned!(start=> Self::#method);
        let arguments = quote_spanned!(end=> (self, #(#variables),*));
        output.convert(&quote_spanned!(end=> #function #arguments), *is_async, end)
    }
}

impl Parameter {
    fn fits(&self, ty: &Type) -> bool {
        let Type::Reference(reference) = ty else { return false };
        match self {
            Self::Events => reference.mutability.is_none() && matches!(&*reference.elem, Type::Slice(_)),
            Self::Mutable => reference.mutability.is_some(),
        }
    }
}
