use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, LitStr};

use crate::shared::paths::located;

/// A length of time: `"5s"`, or any expression that gives a `Duration`.
pub(crate) fn duration(expression: Expr) -> syn::Result<TokenStream> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => from_text(&text),
        Expr::Lit(literal) => Err(syn::Error::new_spanned(literal, EXPECTED)),
        other => Ok(quote!(#other)),
    }
}

const EXPECTED: &str = "expected a length of time such as `\"500ms\"`, `\"5s\"`, `\"2m\"` or `\"1h\"`, or an expression of type `Duration`";

fn from_text(text: &LitStr) -> syn::Result<TokenStream> {
    let value = text.value();
    let digits = value.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = &value[digits.len()..];
    let factor = match unit {
        "ms" => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(syn::Error::new_spanned(text, EXPECTED)),
    };
    let count: u64 = digits.trim().parse().map_err(|_| syn::Error::new_spanned(text, EXPECTED))?;
    let span = located(text.span());
    if factor == 0 {
        return Ok(quote_spanned!(span=> ::core::time::Duration::from_millis(#count)));
    }
    let seconds = count.checked_mul(factor).ok_or_else(|| syn::Error::new_spanned(text, EXPECTED))?;
    Ok(quote_spanned!(span=> ::core::time::Duration::from_secs(#seconds)))
}
