use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{Data, DeriveInput, Generics, LitStr, Type};

use crate::shared::dispatch::DispatchOptions;
use crate::shared::errors::Errors;
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::types;
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The keyword of an item that is no struct.
    pub(crate) not_a_struct: Option<TokenStream>,
    pub(crate) name: Option<LitStr>,
    pub(crate) middleware: Vec<Type>,
    pub(crate) includes: Vec<Type>,
    /// Where they are listed.
    pub(crate) includes_key: Option<Ident>,
    pub(crate) options: DispatchOptions,
}

const SPEC: Spec = Spec {
    what: "router",
    separator: '=',
    keys: &[
        ("middleware", "middleware = [AuditLog]"),
        ("includes", "includes = [OtherRouter]"),
        ("timeout", "timeout = \"5s\""),
        ("consistency", "consistency = strong"),
        ("consistency_timeout", "consistency_timeout = \"5s\""),
        ("retry_attempts", "retry_attempts = 3"),
        ("name", "name = \"BankRouter\""),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(input: &DeriveInput, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        not_a_struct: match &input.data {
            Data::Struct(_) => None,
            Data::Enum(data) => Some(data.enum_token.to_token_stream()),
            Data::Union(data) => Some(data.union_token.to_token_stream()),
        },
        name: None,
        middleware: Vec::new(),
        includes: Vec::new(),
        includes_key: None,
        options: DispatchOptions::default(),
    };
    Keys::new(&SPEC).read_attributes(&input.attrs, "router", errors, |entry, _| read(entry, &mut model));
    model
}

fn read(entry: &Entry<'_>, model: &mut Model) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "middleware" => model.middleware = entry.value_with(types)?,
        "includes" => {
            model.includes_key = Some(entry.key.clone());
            model.includes = entry.value_with(types)?;
        }
        "name" => model.name = Some(entry.text()?),
        "crate" => model.krate = entry.krate()?,
        _ => model.options.read(entry)?,
    }
    Ok(())
}
