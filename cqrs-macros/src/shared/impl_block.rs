use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Generics, Ident, ImplItem, Signature, Token, Type, Visibility, WhereClause, braced, token,
};

use crate::shared::errors::Errors;
use crate::shared::names::{distance, listed};

/// An `impl` block whose method bodies are tokens, so that half-written ones still go through.
pub(crate) struct ImplBlock {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) impl_token: Token![impl],
    pub(crate) generics: Generics,
    pub(crate) trait_for: Option<(Type, Token![for])>,
    pub(crate) self_ty: Type,
    pub(crate) brace: token::Brace,
    pub(crate) inner_attrs: Vec<Attribute>,
    pub(crate) parts: Vec<Part>,
}

pub(crate) enum Part {
    Method(Box<Method>),
    Other(TokenStream),
}

pub(crate) struct Method {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        if !input.peek(Token![impl]) {
            return Err(input.error("expected an `impl` block"));
        }
        let impl_token = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let first: Type = input.parse()?;
        let (trait_for, self_ty) = match input.parse::<Option<Token![for]>>()? {
            Some(for_token) => (Some((first, for_token)), input.parse()?),
            None => (None, first),
        };
        generics.where_clause = input.parse::<Option<WhereClause>>()?;
        let content;
        let brace = braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        let mut parts = Vec::new();
        while !content.is_empty() {
            parts.push(content.parse()?);
        }
        Ok(Self { attrs, impl_token, generics, trait_for, self_ty, brace, inner_attrs, parts })
    }
}

impl Parse for Part {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let attrs = ahead.call(Attribute::parse_outer)?;
        let visibility = ahead.parse()?;
        let signature = ahead.fork();
        if signature.parse::<Signature>().is_err() && !ahead.peek(Token![fn]) {
            let item: ImplItem = input.parse()?;
            return Ok(Self::Other(item.into_token_stream()));
        }
        input.advance_to(&ahead);
        let method = Method { attrs, visibility, signature: input.parse()?, body: body(input)? };
        Ok(Self::Method(Box::new(method)))
    }
}

fn body(input: ParseStream<'_>) -> syn::Result<Group> {
    if !input.peek(token::Brace) {
        return Err(input.error("expected the method's body"));
    }
    input.parse()
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, impl_token, generics, trait_for, self_ty, brace, inner_attrs, parts } = self;
        let trait_for = trait_for.as_ref().map(|(path, for_token)| quote!(#path #for_token));
        let where_clause = &generics.where_clause;
        tokens.extend(quote!(#(#attrs)* #impl_token #generics #trait_for #self_ty #where_clause));
        brace.surround(tokens, |tokens| {
            tokens.extend(quote!(#(#inner_attrs)* #(#parts)*));
        });
    }
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Method(method) => {
                let Method { attrs, visibility, signature, body } = &**method;
                tokens.extend(quote!(#(#attrs)* #visibility #signature #body));
            }
            Self::Other(item) => item.to_tokens(tokens),
        }
    }
}

impl ImplBlock {
    /// The last segment of the type's path.
    pub(crate) fn type_name(&self) -> Option<&Ident> {
        crate::shared::names::last_segment(&self.self_ty).map(|segment| &segment.ident)
    }

    /// Notes what no attribute of ours can stand on.
    pub(crate) fn check_head(&self, attribute: &str, errors: &mut Errors) -> bool {
        if let Some((path, for_token)) = &self.trait_for {
            errors.at(
                quote!(#path #for_token),
                format!(
                    "`#[{attribute}]` stands on an `impl` block without a trait, like `impl {} {{ .. }}`",
                    crate::shared::names::show(&self.self_ty)
                ),
            );
            return false;
        }
        let where_clause = &self.generics.where_clause;
        if !self.generics.params.is_empty() || where_clause.is_some() {
            let generics = &self.generics;
            errors.at(
                quote!(#generics #where_clause),
                format!("`#[{attribute}]` needs a type without generics: write the block for one type"),
            );
            return false;
        }
        if self.type_name().is_none() {
            errors.at(&self.self_ty, format!("`#[{attribute}]` needs the name of a type"));
            return false;
        }
        true
    }
}

impl Method {
    /// Takes the attributes of ours off the method, and gives their names. What looks like a misspelling of
    /// one is noted and taken off as well.
    pub(crate) fn take_markers(&mut self, markers: &[&'static str], errors: &mut Errors) -> Vec<Ident> {
        let mut found = Vec::new();
        self.attrs.retain(|attr| {
            let Some(name) = attr.path().get_ident() else {
                return true;
            };
            let text = name.to_string();
            if markers.contains(&text.as_str()) {
                if let Err(error) = attr.meta.require_path_only() {
                    errors.push(syn::Error::new(error.span(), format!("`#[{text}]` takes no arguments")));
                }
                found.push(name.clone());
                return false;
            }
            let misspelt = !KNOWN.contains(&text.as_str())
                && markers.iter().any(|marker| distance(marker, &text) <= 1 + marker.len() / 7);
            if misspelt {
                errors.at(name, format!("unknown attribute `{text}`, expected {}", listed(markers, "or")));
            }
            !misspelt
        });
        found
    }
}

/// Attributes that are like one of ours and yet none.
const KNOWN: [&str; 3] = ["allow", "expect", "cfg"];

/// The tokens of a block that could not be read, without the markers on its methods: so that the only error
/// is the one about what could not be read.
pub(crate) fn without_markers(block: TokenStream, markers: &[&str]) -> TokenStream {
    block
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let mut stripped = Group::new(Delimiter::Brace, strip(group.stream(), markers));
                stripped.set_span(group.span());
                TokenTree::Group(stripped)
            }
            other => other,
        })
        .collect()
}

/// Whether an attribute begins with one of the markers.
fn is_marked(attribute: TokenStream, markers: &[&str]) -> bool {
    let first = attribute.into_iter().next();
    first.is_some_and(|first| markers.contains(&first.to_string().as_str()))
}

fn strip(content: TokenStream, markers: &[&str]) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for token in content {
        let after_pound = matches!(kept.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
        let is_marker = matches!(&token, TokenTree::Group(group)
            if group.delimiter() == Delimiter::Bracket && is_marked(group.stream(), markers));
        if after_pound && is_marker {
            kept.pop();
        } else {
            kept.push(token);
        }
    }
    kept.into_iter().collect()
}
