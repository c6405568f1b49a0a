use proc_macro2::Ident;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Lit, Token, token};

use crate::shared::case::Case;
use crate::shared::names::plain;

/// What `#[serde(..)]` says. Whatever cannot be read here is left to serde, which reports it.
#[derive(Default)]
pub(crate) struct SerdeKeys(Vec<(String, Option<String>)>);

impl SerdeKeys {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let mut keys = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            let _left_to_serde = attr.parse_nested_meta(|meta| keys.read_key("", &meta));
        }
        keys
    }

    /// `rename(serialize = "a")` is kept as `rename.serialize`.
    fn read_key(&mut self, prefix: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let Some(key) = meta.path.get_ident() else { return Err(meta.error("not a key of serde's")) };
        let key = format!("{prefix}{key}");
        if meta.input.peek(token::Paren) {
            return meta.parse_nested_meta(|inner| self.read_key(&format!("{key}."), &inner));
        }
        let value = match meta.input.peek(Token![=]) {
            true => match meta.value()?.parse()? {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            false => None,
        };
        self.0.push((key, value));
        Ok(())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.texts(key).next()
    }

    pub(crate) fn texts<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).filter_map(|(_, value)| value.as_deref())
    }

    /// A key that may be given for writing and for reading apart: what is written.
    pub(crate) fn written(&self, key: &str) -> Option<&str> {
        self.text(key).or_else(|| self.text(&format!("{key}.serialize")))
    }

    /// How names are written, if another way than in the source.
    pub(crate) fn case(&self, key: &str) -> Option<Case> {
        self.written(key).and_then(Case::read)
    }

    /// The name on the wire of the field that these are the keys of.
    pub(crate) fn name_of(&self, ident: Option<&Ident>, index: usize, case: Option<Case>) -> String {
        match (self.written("rename"), ident) {
            (Some(name), _) => name.to_owned(),
            (None, Some(ident)) => {
                let name = plain(ident);
                case.map_or(name.clone(), |case| case.of_field(&name))
            }
            (None, None) => index.to_string(),
        }
    }
}
