use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use crate::event_set::parse::Model;
use crate::shared::errors::Errors;
use crate::shared::set::Set;

pub(crate) fn expand(model: &Model, expandable: bool, errors: &Errors) -> TokenStream {
    let Model { krate, ident, members, .. } = model;
    let set = Set { krate, name: ident, members };
    let set = match (expandable, errors.is_empty()) {
        (true, true) => set.to_token_stream(),
        // Two variants of one type would have conflicting conversions.
        (true, false) => set.event_set(),
        (false, _) => TokenStream::new(),
    };
    quote!(#errors #set)
}
