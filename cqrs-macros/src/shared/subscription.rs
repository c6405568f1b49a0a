use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

use crate::shared::errors::Errors;
use crate::shared::names::check_wire_name;
use crate::shared::paths::Crate;

/// The streams that a handler is subscribed to: those of a category, or one; all where neither is given.
#[derive(Default)]
pub(crate) struct Subscription {
    pub(crate) category: Option<LitStr>,
    pub(crate) stream: Option<LitStr>,
}

/// The longest name of a stream, in bytes.
const MAX_BYTES: usize = 255;

impl Subscription {
    /// Notes what can name no stream.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if let (Some(_), Some(stream)) = (&self.category, &self.stream) {
            errors.at(stream, "`category` and `stream` exclude each other: a stream is of one category");
        }
        if let Some(category) = &self.category {
            check_name(category, "category", errors);
            let value = category.value();
            if let Some((before, _)) = value.split_once('-') {
                errors.at(
                    category,
                    format!(
                        "the category holds a `-`, before which it ends: write `category = \"{before}\"`, or `stream = \"{value}\"` for one stream"
                    ),
                );
            }
        }
        if let Some(stream) = &self.stream {
            check_name(stream, "stream's name", errors);
        }
    }

    /// The constant, unless it is the default.
    pub(crate) fn expand(&self, krate: &Crate) -> Option<TokenStream> {
        let subscribe_to = match (&self.category, &self.stream) {
            (None, None) => return None,
            (_, Some(stream)) => quote!(Stream(#stream)),
            (Some(category), None) => quote!(Category(#category)),
        };
        Some(quote! {
            const SUBSCRIBE_TO: #krate::handler::SubscribeTo = #krate::handler::SubscribeTo::#subscribe_to;
        })
    }
}

fn check_name(name: &LitStr, what: &str, errors: &mut Errors) {
    check_wire_name(name, what, errors);
    let length = name.value().len();
    if length > MAX_BYTES {
        errors.at(name, format!("the {what} has {length} bytes, at most {MAX_BYTES} can name a stream"));
    }
}
