use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, Fields, LitStr, Member, Token, bracketed};

use crate::command::check::unknown_field;
use crate::shared::errors::Errors;
use crate::shared::names::{plain, show};
use crate::shared::paths::Crate;
use crate::shared::serde_keys::SerdeKeys;

/// What of a command is never written down.
pub(crate) enum Redact {
    All,
    Paths(Vec<RedactedPath>),
}

/// `card.number`: a field, and names on the wire within it.
pub(crate) struct RedactedPath {
    field: Member,
    within: Vec<String>,
}

/// The fields of a command in its JSON form.
pub(crate) enum JsonFields {
    Named(Vec<JsonField>),
    /// It has no names for the fields, or other ones.
    Unnamed,
    OfVariants,
}

pub(crate) struct JsonField {
    member: Member,
    name: String,
    is_flattened: bool,
}

pub(crate) fn paths(input: ParseStream<'_>) -> syn::Result<Redact> {
    let content;
    bracketed!(content in input);
    let paths = Punctuated::<RedactedPath, Token![,]>::parse_terminated(&content)?;
    Ok(Redact::Paths(paths.into_iter().collect()))
}

impl Parse for RedactedPath {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let field = input.parse()?;
        let mut within = Vec::new();
        while input.parse::<Option<Token![.]>>()?.is_some() {
            within.push(match input.peek(LitStr) {
                true => input.parse::<LitStr>()?.value(),
                false => plain(&input.call(Ident::parse_any)?),
            });
        }
        Ok(Self { field, within })
    }
}

impl JsonFields {
    pub(crate) fn read(attrs: &[Attribute], data: &Data) -> Self {
        let keys = SerdeKeys::read(attrs);
        let fields = match data {
            Data::Struct(data) => &data.fields,
            Data::Enum(_) | Data::Union(_) => return Self::OfVariants,
        };
        let is_other = keys.has("into") || keys.has("transparent");
        let Fields::Named(_) = fields else { return Self::Unnamed };
        if is_other {
            return Self::Unnamed;
        }
        let case = keys.case("rename_all");
        let fields = fields.iter().zip(fields.members()).enumerate().map(|(index, (field, member))| {
            let keys = SerdeKeys::read(&field.attrs);
            let name = keys.name_of(field.ident.as_ref(), index, case);
            JsonField { member, name, is_flattened: keys.has("flatten") }
        });
        Self::Named(fields.collect())
    }
}

impl Redact {
    /// Notes what cannot be found in the JSON form.
    pub(crate) fn check(&self, command: &Ident, fields: &JsonFields, errors: &mut Errors) {
        let Self::Paths(paths) = self else { return };
        for path in paths {
            let field = &path.field;
            match fields {
                JsonFields::OfVariants => errors.at(
                    field,
                    "an enum has no fields to be named: write `redact` alone, for all of it, or make it a struct",
                ),
                JsonFields::Unnamed => errors.at(
                    field,
                    format!("the JSON form of `{command}` does not name its fields: write `redact` alone, for all of it"),
                ),
                JsonFields::Named(fields) => match fields.iter().find(|known| known.member == *field) {
                    None => {
                        let members: Vec<_> = fields.iter().map(|field| field.member.clone()).collect();
                        errors.at(field, unknown_field(command, field, &members));
                    }
                    Some(known) if known.is_flattened => errors.at(
                        field,
                        format!(
                            "the field `{}` is flattened, and has no name in the JSON form: write `redact` alone, for all of it",
                            show(field)
                        ),
                    ),
                    Some(_) => {}
                },
            }
        }
    }

    /// The constant that says it; nothing is lost where a mistake was noted.
    pub(crate) fn expand(&self, krate: &Crate, fields: &JsonFields) -> TokenStream {
        let redaction = match (self, fields) {
            (Self::Paths(paths), JsonFields::Named(fields)) => {
                let paths =
                    paths.iter().filter_map(|path| path.names(fields)).map(|names| quote!(&[#(#names),*]));
                quote!(of(&[#(#paths),*]))
            }
            _ => quote!(ALL),
        };
        quote! {
            const REDACTION: #krate::command::Redaction = #krate::command::Redaction::#redaction;
        }
    }
}

impl RedactedPath {
    fn names<'a>(&'a self, fields: &'a [JsonField]) -> Option<Vec<&'a str>> {
        let field = fields.iter().find(|known| known.member == self.field)?;
        Some(std::iter::once(&field.name).chain(&self.within).map(String::as_str).collect())
    }
}
