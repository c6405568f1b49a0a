use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{Data, DeriveInput, Fields, Generics, Variant};

use crate::shared::errors::Errors;
use crate::shared::keys::{Keys, Spec};
use crate::shared::paths::Crate;
use crate::shared::set::Member;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) members: Vec<Member>,
    /// The keyword of an item that is no enum.
    pub(crate) not_an_enum: Option<TokenStream>,
}

const SPEC: Spec = Spec { what: "event set", separator: '=', keys: &[("crate", "crate = ::cqrs")] };

pub(crate) fn model(input: &DeriveInput, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        members: Vec::new(),
        not_an_enum: None,
    };
    Keys::new(&SPEC).read_attributes(&input.attrs, "event_set", errors, |entry, _| {
        model.krate = entry.krate()?;
        Ok(())
    });
    match &input.data {
        Data::Enum(data) => {
            model.members = data.variants.iter().filter_map(|variant| member(variant, errors)).collect();
        }
        Data::Struct(data) => model.not_an_enum = Some(data.struct_token.to_token_stream()),
        Data::Union(data) => model.not_an_enum = Some(data.union_token.to_token_stream()),
    }
    model
}

fn member(variant: &Variant, errors: &mut Errors) -> Option<Member> {
    let only = match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first(),
        _ => None,
    };
    let Some(field) = only else {
        let name = &variant.ident;
        errors.at(variant, format!("a variant of an event set holds one event: write `{name}({name})`"));
        return None;
    };
    Some(Member { cfgs: Vec::new(), variant: variant.ident.clone(), event: field.ty.clone() })
}
