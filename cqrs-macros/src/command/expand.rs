use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, Member};

use crate::command::check::has_field;
use crate::command::parse::{IdentifyBy, Model, Prefix, Shape, Validate};
use crate::shared::errors::Errors;
use crate::shared::names::plain;
use crate::shared::paths::{ends, located};

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let (Some(router), Some(aggregate), true) = (&model.router, &model.aggregate, expandable) else {
        return quote!(#errors);
    };
    let Model { krate, ident, .. } = model;
    let name = model.name.as_ref().map_or_else(|| plain(ident), syn::LitStr::value);
    let handler = model.handler.as_ref().map_or_else(
        || {
            // Without a handler the aggregate decides: when it does not, it is the one to blame.
            let (start, end) = ends(aggregate);
            let krate = krate.at(start);
            let direct = quote_spanned!(end=> Direct);
            quote_spanned!(start=> #krate::command::#direct)
        },
        |handler| quote!(#handler),
    );
    let (identity, prefix) = (identity(model), prefix(model));
    let (validate, defaults) = (validate(model), defaults(model));
    let redaction = model.redact.as_ref().map(|redact| redact.expand(krate, &model.json));
    let registration = errors.is_empty().then(|| registration(model));
    quote! {
        #errors
        #[automatically_derived]
        impl #krate::command::Command for #ident {
            type Router = #router;
            type Aggregate = #aggregate;
            type Handler = #handler;
            const NAME: &'static str = #name;
            #redaction
            #identity
            #prefix
            #validate
            #defaults
        }
        #registration
    }
}

fn identity(model: &Model) -> TokenStream {
    let krate = &model.krate;
    // What cannot be shown is blamed on the field, the expression or the function.
    let (receiver, body, (start, end)) = match &model.identify_by {
        Some(IdentifyBy::Field(field)) if is_field(&model.shape, field) => {
            let span = located(field.span());
            (quote!(self), quote_spanned!(span=> &self.#field), (span, span))
        }
        Some(IdentifyBy::Expression(expression, token)) => {
            // A path of fields is shown where it is; by itself it would be moved out of the command.
            let body = match expression {
                Expr::Field(_) => quote!(&#expression),
                _ => quote!(#expression),
            };
            (quote!(#token), body, ends(expression))
        }
        Some(IdentifyBy::Function(function)) => {
            let (start, end) = ends(function);
            let krate = krate.at(start);
            let call = quote_spanned!(start=> #krate::__private::call);
            let arguments = quote_spanned!(end=> (#function, self));
            (quote!(self), quote!(#call #arguments), (start, end))
        }
        // The mistake has been noted.
        _ => (quote!(self), quote!(""), ends(&model.ident)),
    };
    let display = quote_spanned!(end=> Display);
    let output = quote_spanned!(start=> impl ::core::fmt::#display);
    quote! {
        fn identity(&#receiver) -> #output {
            #body
        }
    }
}

fn is_field(shape: &Shape, field: &Member) -> bool {
    matches!(shape, Shape::Struct(fields) if has_field(fields, field))
}

fn prefix(model: &Model) -> Option<TokenStream> {
    let prefix = match model.prefix.as_ref()? {
        Prefix::Text(text) => quote!(::std::borrow::Cow::Borrowed(#text)),
        Prefix::Function(function) => {
            let span = located(function.span());
            quote_spanned!(span=> ::core::convert::Into::into((#function)()))
        }
    };
    Some(quote! {
        fn stream_prefix() -> ::std::borrow::Cow<'static, str> {
            #prefix
        }
    })
}

fn validate(model: &Model) -> Option<TokenStream> {
    let krate = &model.krate;
    let body = match model.validate.as_ref()? {
        Validate::Function(function) => {
            let (start, end) = ends(function);
            let krate = krate.at(start);
            let call = quote_spanned!(start=> #krate::__private::call);
            let arguments = quote_spanned!(end=> (#function, self));
            quote!(#call #arguments)
        }
        Validate::Method(key) => {
            let span = located(key.span());
            let method = quote_spanned!(span=> Self::validate(self));
            // Without such a method the call would be one of itself; the trait makes it ambiguous instead.
            quote! {
                #[allow(unused_imports, reason = "the trait is only found when the method is missing")]
                use #krate::__private::InherentValidateIsMissing as _;
                #method
            }
        }
    };
    Some(quote! {
        fn validate(&self) -> ::core::result::Result<(), #krate::command::ValidationErrors> {
            #body
        }
    })
}

fn defaults(model: &Model) -> Option<TokenStream> {
    let krate = &model.krate;
    let defaults = model.options.expand(krate)?;
    Some(quote! {
        fn defaults() -> #krate::dispatch::DispatchDefaults {
            #defaults
        }
    })
}

fn registration(model: &Model) -> TokenStream {
    let Model { krate, ident, .. } = model;
    quote!(#krate::__private::register_command!(#ident);)
}
