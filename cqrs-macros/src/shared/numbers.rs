use std::ops::RangeInclusive;

use syn::LitInt;
use syn::parse::ParseStream;

/// How many partitions there are.
pub(crate) fn partitions(input: ParseStream<'_>) -> syn::Result<LitInt> {
    number(input, 1..=1_024, "expected a number from 1 to 1024")
}

pub(crate) fn number(
    input: ParseStream<'_>,
    range: RangeInclusive<u16>,
    expected: &str,
) -> syn::Result<LitInt> {
    let number: LitInt =
        input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), expected))?;
    match number.base10_parse() {
        Ok(value) if range.contains(&value) => Ok(number),
        _ => Err(syn::Error::new_spanned(number, expected)),
    }
}
