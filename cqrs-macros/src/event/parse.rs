use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Expr, Generics, LitInt, LitStr, Token, Type, bracketed, parenthesized};

use crate::event::payload::Payload;
use crate::shared::errors::Errors;
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::types;
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) union: Option<Token![union]>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<Version>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) upcasters: Vec<Upcaster>,
    /// Whether all upcasters could be read, so that it can be told which are missing.
    pub(crate) upcasters_known: bool,
    pub(crate) payload: Payload,
}

pub(crate) struct Version {
    pub(crate) literal: LitInt,
    pub(crate) number: u32,
}

/// `1 => function -> [Other]`.
pub(crate) struct Upcaster {
    pub(crate) from: Version,
    pub(crate) function: Expr,
    pub(crate) produces: Vec<Type>,
}

const SPEC: Spec = Spec {
    what: "event",
    separator: '=',
    keys: &[
        ("name", "name = \"AccountOpened\""),
        ("version", "version = 2"),
        ("aliases", "aliases = [\"OldName\"]"),
        ("upcast", "upcast(1 => function)"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(input: &DeriveInput, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        union: match &input.data {
            Data::Union(union) => Some(union.union_token),
            Data::Struct(_) | Data::Enum(_) => None,
        },
        name: None,
        version: None,
        aliases: Vec::new(),
        upcasters: Vec::new(),
        upcasters_known: true,
        payload: Payload::read(&input.attrs, &input.data),
    };
    Keys::new(&SPEC).read_attributes(&input.attrs, "event", errors, |entry, _| read(entry, &mut model));
    model
}

fn read(entry: &Entry<'_>, model: &mut Model) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "name" => model.name = Some(entry.text()?),
        "version" => model.version = Some(entry.value_with(version)?),
        "aliases" => model.aliases = entry.value_with(strings)?,
        "upcast" => {
            let upcasters = upcasters(entry);
            model.upcasters_known = upcasters.is_ok();
            model.upcasters = upcasters?;
        }
        _ => model.krate = entry.krate()?,
    }
    Ok(())
}

fn version(input: ParseStream<'_>) -> syn::Result<Version> {
    let literal: LitInt = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), "expected a version: a whole number from 1"))?;
    let number = literal
        .base10_parse()
        .map_err(|_| syn::Error::new_spanned(&literal, "expected a version: a whole number from 1"))?;
    Ok(Version { literal, number })
}

fn strings(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

fn upcasters(entry: &Entry<'_>) -> syn::Result<Vec<Upcaster>> {
    if !entry.has_group() {
        return Err(entry.missing_value());
    }
    let content;
    parenthesized!(content in entry.input);
    Ok(Punctuated::<Upcaster, Token![,]>::parse_terminated_with(&content, upcaster)?.into_iter().collect())
}

fn upcaster(input: ParseStream<'_>) -> syn::Result<Upcaster> {
    let from = version(input)?;
    input.parse::<Token![=>]>()?;
    let function = input.parse()?;
    let produces = if input.parse::<Option<Token![->]>>()?.is_some() { types(input)? } else { Vec::new() };
    Ok(Upcaster { from, function, produces })
}
