use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Meta, Path, Token};

use crate::shared::errors::Errors;
use crate::shared::impl_block::Method;
use crate::shared::paths::{Crate, located};

/// The attribute on a method that says what its event does, and to which instances.
pub(crate) const MARKER: &str = "on";

/// `#[on(start, by = transfer_id)]`.
pub(crate) struct On {
    pub(crate) role: Option<Role>,
    pub(crate) whom: Option<Whom>,
    /// The attribute, to be blamed.
    pub(crate) tokens: TokenStream,
}

/// What an event does to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Start,
    StartStrict,
    Continue,
    ContinueStrict,
    StartOrContinue,
    Stop,
}

/// To which instances an event leads.
#[derive(Clone)]
pub(crate) enum Whom {
    /// The one that a field names.
    By(Ident),
    /// Those that a field lists.
    Each(Ident),
    /// Those that a function says.
    With(Path),
}

const ROLES: &str = "`start`, `start!`, `continue`, `continue!`, `start_or_continue` or `stop`";

impl On {
    /// Takes the attributes off a method, and reads the first.
    pub(crate) fn take(method: &mut Method, errors: &mut Errors) -> Option<Self> {
        let mut taken: Vec<Attribute> = Vec::new();
        method.attrs.retain(|attr| {
            let is_on = attr.path().is_ident(MARKER);
            if is_on {
                taken.push(attr.clone());
            }
            !is_on
        });
        if let [_, second, ..] = taken.as_slice() {
            errors.at(second, "a method has one `#[on(..)]`");
        }
        taken.first().map(|attr| Self::read(attr, errors))
    }

    fn read(attr: &Attribute, errors: &mut Errors) -> Self {
        let mut on = Self { role: None, whom: None, tokens: attr.to_token_stream() };
        let Meta::List(list) = &attr.meta else {
            errors.at(attr, format!("say what the event does: `#[on(start, by = id)]`, with {ROLES}"));
            return on;
        };
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                on.read_one(input)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        let read = read.parse2(list.tokens.clone());
        let is_well = read.is_ok();
        errors.take(read);
        match (&on.role, &on.whom) {
            (Some(_), Some(Whom::With(path))) => {
                errors
                    .at(path, "the function of `with` says what the event does as well: leave the role out");
            }
            (None, whom) if is_well && !matches!(whom, Some(Whom::With(_))) => {
                errors.at(attr, format!("it lacks what the event does: {ROLES}"));
            }
            _ => {}
        }
        on
    }

    fn read_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let word = input.call(Ident::parse_any)?;
        let text = word.to_string();
        if let "by" | "each" | "with" = text.as_str() {
            input.parse::<Token![=]>().map_err(|error| {
                syn::Error::new(error.span(), format!("`{text}` needs a value: write `{text} = ..`"))
            })?;
            let whom = match text.as_str() {
                "by" => Whom::By(input.parse()?),
                "each" => Whom::Each(input.parse()?),
                _ => Whom::With(input.parse()?),
            };
            if self.whom.replace(whom).is_some() {
                return Err(syn::Error::new_spanned(word, "one of `by`, `each` and `with` is enough"));
            }
            return Ok(());
        }
        let is_strict = input.parse::<Option<Token![!]>>()?.is_some();
        let role = match (text.as_str(), is_strict) {
            ("start", false) => Role::Start,
            ("start", true) => Role::StartStrict,
            ("continue", false) => Role::Continue,
            ("continue", true) => Role::ContinueStrict,
            ("start_or_continue", false) => Role::StartOrContinue,
            ("stop", false) => Role::Stop,
            _ => return Err(syn::Error::new_spanned(word, format!("expected {ROLES}, or `by = id`"))),
        };
        if self.role.replace(role).is_some() {
            return Err(syn::Error::new_spanned(word, "an event does one thing"));
        }
        Ok(())
    }
}

impl Role {
    fn expand(self, krate: &Crate) -> TokenStream {
        let variant = quote::format_ident!("{self:?}");
        quote!(#krate::process_manager::Role::#variant)
    }
}

impl Whom {
    /// The interest in `__event`, with `__context`.
    pub(crate) fn interest(&self, krate: &Crate, role: Option<Role>) -> TokenStream {
        let role = role.unwrap_or(Role::Continue).expand(krate);
        match self {
            Self::By(field) => {
                let span = located(field.span());
                let id = quote_spanned!(span=> &__event.#field);
                quote!(#krate::process_manager::Interest::of(#role, [#id]))
            }
            Self::Each(field) => {
                let span = located(field.span());
                let ids = quote_spanned!(span=> &__event.#field);
                quote!(#krate::process_manager::Interest::of(#role, #ids))
            }
            Self::With(function) => quote!(#function(__event, __context)),
        }
    }
}
