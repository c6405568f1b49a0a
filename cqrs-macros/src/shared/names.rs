use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Attribute, LitStr, PathSegment, Type};

use crate::shared::errors::Errors;

/// The last segment of a path type: `Opened` of `events::Opened`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Paren(paren) => last_segment(&paren.elem),
        Type::Group(group) => last_segment(&group.elem),
        _ => None,
    }
}

pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// What tells types apart inside a macro, which cannot resolve paths: the last segment, with its generics.
pub(crate) fn key(ty: &Type) -> String {
    last_segment(ty).map_or_else(|| show(ty), show)
}

/// Tokens as a person would write them.
pub(crate) fn show(tokens: &(impl ToTokens + ?Sized)) -> String {
    let mut text = String::new();
    write_tokens(tokens.to_token_stream(), &mut text);
    text
}

fn write_tokens(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => write_group(&group, text),
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' | ';' => text.extend([punct.as_char(), ' ']),
                '=' | '+' => text.extend([' ', punct.as_char(), ' ']),
                '-' => text.push_str(" -"),
                '>' if text.ends_with(" -") => text.push_str("> "),
                other => text.push(other),
            },
            word => {
                if text.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}

fn write_group(group: &Group, text: &mut String) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => (" { ", " }"),
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    write_tokens(group.stream(), text);
    text.truncate(text.trim_end_matches([' ', ',']).len());
    text.push_str(close);
}

/// `a`, `b` or `c`.
pub(crate) fn listed(names: &[impl AsRef<str>], last: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The identifier as a wire name: without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The `#[cfg]`s, for what is generated from the item that they stand on.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect()
}

/// Checks a name that is stored.
pub(crate) fn check_wire_name(name: &LitStr, what: &str, errors: &mut Errors) {
    let value = name.value();
    if value.is_empty() {
        errors.at(name, format!("the {what} is empty"));
    } else if value.chars().any(char::is_control) {
        errors.at(name, format!("the {what} holds a control character"));
    } else if value.starts_with('$') {
        errors.at(name, format!("the {what} begins with `$`, which is reserved for the framework"));
    }
}

/// Checks a stream prefix.
pub(crate) fn check_prefix(prefix: &LitStr, errors: &mut Errors) {
    let value = prefix.value();
    if value.is_empty() {
        errors.at(prefix, "the stream prefix is empty");
    } else if value.contains('-') {
        errors.at(
            prefix,
            format!(
                "the stream prefix holds a `-`, which separates it from the identity: write `{}`",
                value.replace('-', "_")
            ),
        );
    }
}

/// How many single-character edits lie between two names, to recognise misspelt ones.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, character) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
