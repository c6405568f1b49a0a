use proc_macro2::Ident;
use syn::parse::ParseStream;

/// `strong` or `eventual`: whether a dispatch with strong consistency waits for whoever this stands on.
pub(crate) fn strong(input: ParseStream<'_>) -> syn::Result<bool> {
    const EXPECTED: &str = "expected `strong` or `eventual`";
    let word: Ident = input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), EXPECTED))?;
    match word.to_string().as_str() {
        "strong" => Ok(true),
        "eventual" => Ok(false),
        _ => Err(syn::Error::new_spanned(word, EXPECTED)),
    }
}
