use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Attribute, LitStr, Meta, Path, Token, token};

use crate::shared::errors::Errors;
use crate::shared::names::listed;
use crate::shared::paths::Crate;

/// The keys that an attribute or macro knows.
pub(crate) struct Spec {
    /// Whose keys they are, for messages.
    pub(crate) what: &'static str,
    /// What stands between a key and its value.
    pub(crate) separator: char,
    /// Each key, with an example of its use.
    pub(crate) keys: &'static [(&'static str, &'static str)],
}

impl Spec {
    /// How a key is written.
    pub(crate) fn example(&self, key: &str) -> &'static str {
        self.keys.iter().find(|(known, _)| *known == key).map_or("", |(_, example)| example)
    }
}

/// One key, with the input behind it.
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a Ident,
    pub(crate) input: ParseStream<'a>,
    example: &'static str,
    separator: char,
}

impl Entry<'_> {
    pub(crate) fn has_value(&self) -> bool {
        match self.separator {
            ':' => self.input.peek(Token![:]) && !self.input.peek(Token![::]),
            _ => self.input.peek(Token![=]),
        }
    }

    /// The value behind the separator.
    pub(crate) fn value<T: Parse>(&self) -> syn::Result<T> {
        self.value_with(T::parse)
    }

    pub(crate) fn value_with<T>(
        &self,
        parse: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
    ) -> syn::Result<T> {
        if !self.has_value() {
            return Err(self.missing_value());
        }
        self.input.parse::<TokenTree>()?;
        if self.input.is_empty() || self.input.peek(Token![,]) {
            return Err(self.missing_value());
        }
        parse(self.input)
    }

    /// A string that is part of the value's syntax.
    pub(crate) fn text(&self) -> syn::Result<LitStr> {
        self.value_with(|input| {
            input.parse().map_err(|error: syn::Error| {
                syn::Error::new(error.span(), format!("expected a string: write `{}`", self.example))
            })
        })
    }

    /// The path of the facade.
    pub(crate) fn krate(&self) -> syn::Result<Crate> {
        self.value_with(Path::parse_mod_style).map(Crate::new)
    }

    /// Makes sure that the key stands alone.
    pub(crate) fn flag(&self) -> syn::Result<()> {
        if self.input.is_empty() || self.input.peek(Token![,]) {
            return Ok(());
        }
        Err(self.input.error(format!("`{}` takes no value", self.key)))
    }

    pub(crate) fn has_group(&self) -> bool {
        self.input.peek(token::Paren)
    }

    pub(crate) fn missing_value(&self) -> syn::Error {
        syn::Error::new_spanned(self.key, format!("`{}` needs a value: write `{}`", self.key, self.example))
    }
}

/// Reads keys, each at most once, over one or several attributes.
pub(crate) struct Keys {
    spec: &'static Spec,
    seen: HashMap<String, Ident>,
}

impl Keys {
    pub(crate) fn new(spec: &'static Spec) -> Self {
        Self { spec, seen: HashMap::new() }
    }

    /// Reads the keys of an attribute macro, and tells which there were.
    pub(crate) fn read_all(
        spec: &'static Spec,
        tokens: TokenStream,
        errors: &mut Errors,
        on_key: impl FnMut(&Entry<'_>, &mut Errors) -> syn::Result<()>,
    ) -> Self {
        let mut keys = Self::new(spec);
        let read = |input: ParseStream<'_>| {
            keys.read(input, errors, on_key);
            Ok(())
        };
        let read = read.parse2(tokens);
        errors.take(read);
        keys
    }

    /// Where a key was given.
    pub(crate) fn get(&self, key: &str) -> Option<&Ident> {
        self.seen.get(key)
    }

    /// Reads all keys of the input. A key that is wrong is noted and skipped, and the rest is read.
    pub(crate) fn read(
        &mut self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        mut on_key: impl FnMut(&Entry<'_>, &mut Errors) -> syn::Result<()>,
    ) {
        while !input.is_empty() {
            let read = self.read_one(input, errors, &mut on_key);
            if errors.take(read).is_none() {
                skip_entry(input);
            }
            if input.is_empty() {
                return;
            }
            if input.parse::<Option<Token![,]>>().ok().flatten().is_none() {
                errors.push(input.error("expected `,`"));
                skip_entry(input);
                let _comma = input.parse::<Option<Token![,]>>();
            }
        }
    }

    fn read_one(
        &mut self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        on_key: &mut impl FnMut(&Entry<'_>, &mut Errors) -> syn::Result<()>,
    ) -> syn::Result<()> {
        let key = input.call(Ident::parse_any)?;
        let name = key.to_string();
        let Some((_, example)) = self.spec.keys.iter().find(|(known, _)| *known == name) else {
            return Err(syn::Error::new_spanned(&key, self.unknown(&name)));
        };
        if self.seen.contains_key(&name) {
            return Err(syn::Error::new_spanned(&key, format!("`{name}` is given twice")));
        }
        self.seen.insert(name, key.clone());
        on_key(&Entry { key: &key, input, example, separator: self.spec.separator }, errors)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.spec.keys.iter().map(|(key, _)| *key).collect();
        format!("unknown {} key `{name}`, expected {}", self.spec.what, listed(&known, "or"))
    }

    /// Reads the keys of the helper attributes of a derive macro.
    pub(crate) fn read_attributes(
        &mut self,
        attrs: &[Attribute],
        name: &str,
        errors: &mut Errors,
        mut on_key: impl FnMut(&Entry<'_>, &mut Errors) -> syn::Result<()>,
    ) {
        for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
            match &attr.meta {
                Meta::Path(_) => {}
                Meta::List(list) => {
                    let read = |input: ParseStream<'_>| {
                        self.read(input, errors, &mut on_key);
                        Ok(())
                    };
                    let read = read.parse2(list.tokens.clone());
                    errors.take(read);
                }
                Meta::NameValue(_) => errors.at(attr, format!("expected `#[{name}(..)]`")),
            }
        }
    }
}

/// Skips to the next comma, or to the end.
pub(crate) fn skip_entry(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
